//! A gRPC server in a page, straight on `h2`: what a replica of the demo is, and a servlet for tests that is none of ours upstream.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use bytes::{BufMut, Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Request, Response};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::bakery::{Answer, Bakery};
use crate::model::Code;

/// The largest request. The bakery's are a few bytes.
const MOST_BYTES: usize = 64 * 1024;

/// `grpc-message` is percent-encoded where it is not printable ASCII (grpc/doc/PROTOCOL-HTTP2.md).
const MESSAGE: &AsciiSet = &CONTROLS.add(b'%');

/// Serves `bakery` on `listener` until the process ends, on a thread of its own.
///
/// # Errors
/// When the system will not watch the socket, or has no thread.
pub fn start(listener: TcpListener, bakery: Arc<Bakery>) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = {
        let _inside = runtime.enter();
        tokio::net::TcpListener::from_std(listener)?
    };
    thread::Builder::new().name(bakery.name().to_owned()).spawn(move || runtime.block_on(serve(listener, bakery)))?;
    Ok(())
}

/// Serves `bakery` for as long as the future lives.
pub async fn serve(listener: tokio::net::TcpListener, bakery: Arc<Bakery>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let _ = stream.set_nodelay(true);
                tokio::spawn(connection(stream, Arc::clone(&bakery)));
            }
            Err(_) => sleep(std::time::Duration::from_millis(100)).await, // out of descriptors
        }
    }
}

async fn connection(stream: TcpStream, bakery: Arc<Bakery>) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        let bakery = Arc::clone(&bakery);
        tokio::spawn(async move {
            // An error means that the caller has gone.
            let _ = call(&bakery, request, respond).await;
        });
    }
}

async fn call(
    bakery: &Bakery,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    let (head, mut body) = request.into_parts();
    let answer = match message(&mut body).await? {
        Ok(message) => {
            let answer = bakery.answer(head.uri.path(), &message);
            if !bakery.work().is_zero() {
                sleep(bakery.work()).await;
            }
            answer
        }
        Err((code, told)) => Answer::Error(code, told.to_owned()),
    };
    let (messages, pause) = match answer {
        Answer::Error(code, told) => return refuse(&mut respond, code, &told),
        Answer::One(message) => (vec![message], std::time::Duration::ZERO),
        Answer::Many(messages, pause) => (messages, pause),
    };
    let mut stream = respond.send_response(head_of_answer(), false)?;
    for (index, message) in messages.iter().enumerate() {
        if index > 0 && !pause.is_zero() {
            tokio::select! {
                () = sleep(pause) => {}
                _ = gone(&mut stream) => return Ok(()),
            }
        }
        stream.send_data(frame(message), false)?;
    }
    stream.send_trailers(trailers(Code::Ok, ""))
}

/// Ready when the caller has reset the stream.
async fn gone(stream: &mut SendStream<Bytes>) -> Result<Reason, h2::Error> {
    std::future::poll_fn(|cx| stream.poll_reset(cx)).await
}

/// The one message of a request, or what is wrong with it.
async fn message(body: &mut RecvStream) -> Result<Result<Vec<u8>, (Code, &'static str)>, h2::Error> {
    let mut received = BytesMut::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        if received.len() + data.len() > MOST_BYTES {
            return Ok(Err((Code::ResourceExhausted, "the request is too large")));
        }
        received.extend_from_slice(&data);
    }
    let Some((head, message)) = received.split_first_chunk::<5>() else {
        return Ok(Err((Code::InvalidArgument, "the request has no message")));
    };
    let [flag, a, b, c, d] = *head;
    Ok(if flag != 0 {
        Err((Code::Unimplemented, "compressed messages are not read here"))
    } else if u32::from_be_bytes([a, b, c, d]) as usize != message.len() {
        Err((Code::InvalidArgument, "the request is not one whole message"))
    } else {
        Ok(message.to_vec())
    })
}

fn refuse(respond: &mut SendResponse<Bytes>, code: Code, told: &str) -> Result<(), h2::Error> {
    let mut response = head_of_answer();
    response.headers_mut().extend(trailers(code, told));
    respond.send_response(response, true).map(drop)
}

fn head_of_answer() -> Response<()> {
    let mut response = Response::new(());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

fn trailers(code: Code, told: &str) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(code.digits()));
    if !told.is_empty()
        && let Ok(told) = HeaderValue::try_from(utf8_percent_encode(told, MESSAGE).to_string())
    {
        trailers.insert("grpc-message", told);
    }
    trailers
}

fn frame(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(5 + message.len());
    frame.put_u8(0);
    frame.put_u32(message.len() as u32);
    frame.put_slice(message);
    frame.freeze()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::message::Writer;
    use super::*;

    /// Status, message, and all bytes of the body.
    async fn ask(address: std::net::SocketAddr, path: &str, body: &[u8]) -> (String, String, Vec<u8>) {
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
        let _driver = tokio::spawn(connection);
        let request = Request::post(format!("http://{address}{path}")).header(CONTENT_TYPE, "application/grpc");
        let (reply, mut sending) = client.send_request(request.body(()).unwrap(), false).unwrap();
        sending.send_data(Bytes::copy_from_slice(body), true).unwrap();
        let reply = reply.await.unwrap();
        assert_eq!(
            (reply.status().as_u16(), &reply.headers()[CONTENT_TYPE]),
            (200, &"application/grpc".parse().unwrap())
        );
        let (head, mut body) = reply.into_parts();
        let mut received = Vec::new();
        while let Some(data) = body.data().await {
            received.extend_from_slice(&data.unwrap());
        }
        let end = body.trailers().await.unwrap().unwrap_or(head.headers);
        let field = |name: &str| end.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        (field("grpc-status"), field("grpc-message"), received)
    }

    fn run<F: Future>(test: impl FnOnce(std::net::SocketAddr) -> F) -> F::Output {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        start(listener, Arc::new(Bakery::new("ada", Duration::ZERO))).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test(address))
    }

    #[test]
    fn it_speaks_grpc() {
        run(async |address| {
            let (status, _, body) = ask(address, "/demo.v1.Bakery/Who", &frame(&[])).await;
            let baker = Writer::default().text(1, "ada").number(2, 1).into_bytes();
            assert_eq!((status.as_str(), body), ("0", frame(&baker).to_vec()));

            let asked = Writer::default().number(1, 9).text(2, "50 % é\n").into_bytes();
            let (status, message, body) = ask(address, "/demo.v1.Bakery/Fail", &frame(&asked)).await;
            assert_eq!((status.as_str(), message.as_str(), body.len()), ("9", "50 %25 %C3%A9%0A", 0));

            let (status, _, body) =
                ask(address, "/demo.v1.Bakery/WatchOrder", &frame(&Writer::default().text(1, "rye-1").into_bytes()))
                    .await;
            assert_eq!(status, "0");
            assert!(body.len() > 5 * 5);
        });
    }

    #[test]
    fn what_is_not_one_message_is_refused() {
        run(async |address| {
            let large = vec![0; MOST_BYTES + 1];
            let cases: [(&[u8], &str); 5] = [
                (&[], "3"),
                (&[0, 0, 0, 0, 1], "3"),
                (&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0], "3"),
                (&[1, 0, 0, 0, 0], "12"),
                (&large, "8"),
            ];
            for (body, expected) in cases {
                let (status, ..) = ask(address, "/demo.v1.Bakery/Who", body).await;
                assert_eq!(status, expected, "{} bytes", body.len());
            }
        });
    }
}
