//! Asks a replica for its own descriptors, over a connection that is made for this and closed after it. Slow and rare, and apart from
//! all traffic: it leans towards giving up, since the last good schema goes on meanwhile and the next try is soon.

use std::pin::pin;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use h2::RecvStream;
use h2::client::{ResponseFuture, SendRequest};
use http::{Request, header};

use super::Options;
use crate::model::{Address, Code};
use crate::schema::{MAX_ANSWER, Reflection};
use crate::translate::Status;
use crate::transport;

/// Where the questions go, the better first. The older name is what most servers of some years ago have alone.
const METHODS: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// For one replica, connecting included: hundreds of files, a round trip each, are told in less.
const TIMEOUT: Duration = Duration::from_secs(10);

/// gRPC's prefix: a flag and the length.
const PREFIX: usize = 5;

/// What a replica tells of the services that `wanted` asks for, as a `google.protobuf.FileDescriptorSet`.
///
/// # Errors
/// A sentence for people: why this replica gives no schema.
pub async fn reflect(address: &Address, options: &Options, wanted: &Reflection) -> Result<Vec<u8>, String> {
    let asking = ask(address, options, wanted);
    tokio::time::timeout(TIMEOUT, asking).await.unwrap_or_else(|_| Err(format!("not told within {TIMEOUT:?}")))
}

/// Why a conversation ended early.
enum Stopped {
    /// The replica has no such method.
    Unimplemented,
    Broken(String),
}

impl Stopped {
    fn broken(why: impl std::fmt::Display) -> Stopped {
        Stopped::Broken(why.to_string())
    }

    fn by(status: &Status) -> Stopped {
        if status.code == Code::Unimplemented {
            return Stopped::Unimplemented;
        }
        let message: String = status.message.chars().take(200).flat_map(char::escape_default).collect();
        Stopped::Broken(format!("the call ended with {} {message}", status.code.name()))
    }
}

async fn ask(address: &Address, options: &Options, wanted: &Reflection) -> Result<Vec<u8>, String> {
    let stream =
        transport::connect(address, options.connect_timeout).await.map_err(|fault| fault.message.into_owned())?;
    let (send, connection) = h2::client::Builder::new()
        .initial_window_size(1 << 20)
        .initial_connection_window_size(1 << 20)
        .max_header_list_size(options.head_bytes)
        .enable_push(false)
        .data_frame_budget(usize::MAX)
        .handshake::<_, Bytes>(stream)
        .await
        .map_err(|error| format!("no HTTP/2 with the replica: {error}"))?;
    let authority = match address {
        Address::Tcp(address) => address.to_string(),
        Address::Unix(_) => "localhost".to_owned(),
    };
    let talking = async {
        for method in METHODS {
            match converse(send.clone(), &format!("http://{authority}{method}"), wanted.clone()).await {
                Err(Stopped::Unimplemented) => {}
                Err(Stopped::Broken(why)) => return Err(why),
                Ok(told) => return told.into_descriptor_set().map_err(|error| error.to_string()),
            }
        }
        Err("it has no reflection (grpc.reflection.v1 or v1alpha)".to_owned())
    };
    let mut connection = pin!(connection);
    tokio::select! {
        // What has been heard counts, even when the connection is over.
        biased;
        told = talking => told,
        ended = &mut connection => Err(match ended {
            Ok(()) => "the replica closed the connection".to_owned(),
            Err(error) => format!("the connection broke: {error}"),
        }),
    }
}

/// One call: a question, its answer, and so on.
async fn converse(send: SendRequest<Bytes>, uri: &str, mut reflection: Reflection) -> Result<Reflection, Stopped> {
    let request = Request::post(uri)
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers")
        .body(())
        .map_err(Stopped::broken)?;
    let mut send = send.ready().await.map_err(Stopped::broken)?;
    let (response, mut questions) = send.send_request(request, false).map_err(Stopped::broken)?;
    let mut answers = Answers { state: State::Head(response), buffer: BytesMut::new() };
    while let Some(question) = reflection.ask() {
        // A stream that is over takes no question: the answer's side knows why.
        let _ = questions.send_data(framed(&question), false);
        let answer = answers.next().await?;
        reflection.hear(answer).map_err(Stopped::broken)?;
    }
    let _ = questions.send_data(Bytes::new(), true);
    Ok(reflection)
}

fn framed(message: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(PREFIX + message.len());
    framed.put_u8(0);
    // Questions are names of bounded length.
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put_slice(message);
    framed.freeze()
}

/// The answers of one call, a message at a time. No more is held than one and a frame.
struct Answers {
    state: State,
    buffer: BytesMut,
}

enum State {
    Head(ResponseFuture),
    Body(RecvStream),
}

impl Answers {
    async fn next(&mut self) -> Result<Bytes, Stopped> {
        loop {
            if let Some(message) = self.take()? {
                return Ok(message);
            }
            match &mut self.state {
                State::Head(response) => {
                    let (head, body) = response.await.map_err(Stopped::broken)?.into_parts();
                    let is_grpc = head
                        .headers
                        .get(header::CONTENT_TYPE)
                        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
                    if !head.status.is_success() || !is_grpc {
                        return Err(Stopped::by(&Status::from_http(head.status)));
                    }
                    if body.is_end_stream() {
                        return Err(Stopped::by(&Status::from_trailers(&head.headers)));
                    }
                    self.state = State::Body(body);
                }
                State::Body(body) => match body.data().await {
                    Some(data) => {
                        let data = data.map_err(Stopped::broken)?;
                        let _ = body.flow_control().release_capacity(data.len());
                        self.buffer.extend_from_slice(&data);
                    }
                    None => {
                        let trailers = body.trailers().await.map_err(Stopped::broken)?.unwrap_or_default();
                        return Err(match Status::from_trailers(&trailers) {
                            status if status.is_ok() => Stopped::broken("the call ended before everything was told"),
                            status => Stopped::by(&status),
                        });
                    }
                },
            }
        }
    }

    /// The message at the front, once it is whole.
    fn take(&mut self) -> Result<Option<Bytes>, Stopped> {
        let mut front = self.buffer.as_ref();
        if front.len() < PREFIX {
            return Ok(None);
        }
        if front.get_u8() != 0 {
            return Err(Stopped::broken("an answer is compressed, which was not asked for"));
        }
        let length = usize::try_from(front.get_u32()).unwrap_or(usize::MAX);
        if length > MAX_ANSWER {
            return Err(Stopped::broken(format!("an answer is over {} MiB", MAX_ANSWER >> 20)));
        }
        if front.len() < length {
            return Ok(None);
        }
        self.buffer.advance(PREFIX);
        Ok(Some(self.buffer.split_to(length).freeze()))
    }
}
