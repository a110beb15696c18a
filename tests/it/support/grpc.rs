//! A gRPC caller over HTTP/2 with prior knowledge.

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Request, StatusCode};
use tokio::net::TcpStream;

use super::{framed, unframed, whole};

/// One connection.
#[derive(Clone)]
pub struct Caller {
    pub send: SendRequest<Bytes>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub messages: Vec<Vec<u8>>,
    /// The trailers; of a trailers-only answer its head.
    pub trailers: HeaderMap,
}

impl Answer {
    pub fn grpc_status(&self) -> &str {
        self.trailers.get("grpc-status").map_or("none", |value| value.to_str().unwrap())
    }

    pub fn grpc_message(&self) -> &str {
        self.trailers.get("grpc-message").map_or("", |value| value.to_str().unwrap())
    }
}

impl Caller {
    pub async fn connect(address: &str) -> Caller {
        let socket = TcpStream::connect(address).await.unwrap();
        let (send, connection) = h2::client::handshake(socket).await.unwrap();
        tokio::spawn(async move {
            let _ = connection.await;
        });
        Caller { send }
    }

    pub fn request(path: &str) -> Request<()> {
        Request::post(format!("http://proxy.test{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .unwrap()
    }

    /// A unary call.
    pub async fn call(&self, path: &str, message: &[u8]) -> Answer {
        self.send(Caller::request(path), &[message]).await.unwrap()
    }

    /// A call with these messages; the error is how its stream broke.
    pub async fn send(&self, request: Request<()>, messages: &[&[u8]]) -> Result<Answer, h2::Error> {
        let mut send = self.send.clone().ready().await?;
        let (response, mut stream) = send.send_request(request, false)?;
        let body: Vec<u8> = messages.iter().flat_map(|message| framed(message)).collect();
        stream.send_data(body.into(), true)?;
        read(response).await
    }
}

/// Reads an answer to its end.
pub async fn read(response: h2::client::ResponseFuture) -> Result<Answer, h2::Error> {
    let (parts, mut body) = response.await?.into_parts();
    let mut bytes = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        let _ = body.flow_control().release_capacity(data.len());
        bytes.extend_from_slice(&data);
    }
    let trailers = body.trailers().await?.unwrap_or_else(|| parts.headers.clone());
    // What an error cuts off may end in the middle of a message.
    let messages = if trailers.get("grpc-status").is_some_and(|status| status == "0") {
        unframed(&bytes)
    } else {
        unframed(whole(&bytes))
    };
    Ok(Answer { status: parts.status, headers: parts.headers, messages, trailers })
}
