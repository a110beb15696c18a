//! Servlets that answer with bytes made before.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;

use crate::h2_bytes::{
    ACK, DATA, END_HEADERS, END_STREAM, Fields, Frame, HEADERS, PING, PREFACE, SETTINGS, frame, put, put_settings,
};
use crate::section::Peer;

/// A gRPC servlet that answers every call with these messages, frames and all. Its address.
pub(crate) async fn grpc(answer: Vec<u8>) -> SocketAddr {
    let (listener, address) = listen().await;
    spawn_local(Peer::new(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let _ = socket.set_nodelay(true);
            let answer = answer.clone();
            spawn_local(Peer::new(async move {
                let _ = serve_grpc(socket, &answer).await;
            }));
        }
    }));
    address
}

/// `:status: 200`.
const OK: [u8; 1] = [8];

async fn serve_grpc(mut socket: TcpStream, answer: &[u8]) -> std::io::Result<()> {
    let mut out = Vec::new();
    put_settings(&mut out);
    let mut fields = Fields::default();
    let mut read = Vec::new();
    while read.len() < PREFACE.len() {
        if socket.read_buf(&mut read).await? == 0 {
            return Ok(());
        }
    }
    read.drain(..PREFACE.len());
    loop {
        let mut rest = read.as_slice();
        while let Some((Frame { kind, flags, stream, payload }, after)) = frame(rest) {
            rest = after;
            match kind {
                SETTINGS | PING if flags & ACK == 0 => {
                    put(&mut out, kind, ACK, 0, if kind == PING { payload } else { &[] });
                }
                DATA | HEADERS if flags & END_STREAM != 0 => {
                    let head = fields.block(&OK, &[("content-type", "application/grpc")]);
                    put(&mut out, HEADERS, END_HEADERS, stream, &head);
                    put(&mut out, DATA, 0, stream, answer);
                    let trailers = fields.block(&[], &[("grpc-status", "0")]);
                    put(&mut out, HEADERS, END_HEADERS | END_STREAM, stream, &trailers);
                }
                _ => {}
            }
        }
        let taken = read.len() - rest.len();
        read.drain(..taken);
        socket.write_all(&out).await?;
        out.clear();
        if socket.read_buf(&mut read).await? == 0 {
            return Ok(());
        }
    }
}

/// A servlet over HTTP/1.1 that answers every request, none of which has a body, with these bytes.
pub(crate) async fn http1(answer: Vec<u8>) -> SocketAddr {
    let (listener, address) = listen().await;
    spawn_local(Peer::new(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ = socket.set_nodelay(true);
            let answer = answer.clone();
            spawn_local(Peer::new(async move {
                let mut read = Vec::new();
                while socket.read_buf(&mut read).await.is_ok_and(|read| read > 0) {
                    if read.ends_with(b"\r\n\r\n") {
                        read.clear();
                        let _ = socket.write_all(&answer).await;
                    }
                }
            }));
        }
    }));
    address
}

/// The least that HTTP/2 costs a servlet on the library that the proxy has too: a task a stream that reads and answers. Counted.
pub(crate) async fn h2_echo(answer: Vec<u8>) -> SocketAddr {
    let (listener, address) = listen().await;
    let answer = Bytes::from(answer);
    spawn_local(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let _ = socket.set_nodelay(true);
            let answer = answer.clone();
            spawn_local(async move {
                let Ok(mut connection) = h2::server::handshake(socket).await else { return };
                while let Some(Ok((request, mut respond))) = connection.accept().await {
                    let answer = answer.clone();
                    spawn_local(async move {
                        let mut body = request.into_body();
                        while let Some(Ok(data)) = body.data().await {
                            let _ = body.flow_control().release_capacity(data.len());
                        }
                        let mut head = Response::new(());
                        let content_type = HeaderValue::from_static("application/grpc");
                        head.headers_mut().insert(http::header::CONTENT_TYPE, content_type);
                        let Ok(mut send) = respond.send_response(head, false) else { return };
                        let _ = send.send_data(answer, false);
                        let mut trailers = HeaderMap::new();
                        trailers.insert("grpc-status", HeaderValue::from_static("0"));
                        let _ = send.send_trailers(trailers);
                    });
                }
            });
        }
    });
    address
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("bound");
    (listener, address)
}
