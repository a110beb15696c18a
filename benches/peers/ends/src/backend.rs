//! Backends: three ports, one thread, answers that are made before the first call. HTTP/2 and HTTP/1.1 on the same port.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;

use crate::answer::{Answers, plain};
use crate::http1;
use crate::http2::{Event, Link};

/// Serves for ever, on these addresses.
pub(crate) async fn serve(addresses: Vec<SocketAddr>) -> io::Result<()> {
    let answers = Rc::new(Answers::new());
    let plain: Rc<[u8]> = plain().into();
    for address in addresses {
        let listener = TcpListener::bind(address).await?;
        let (answers, plain) = (answers.clone(), plain.clone());
        spawn_local(async move {
            // Out of descriptors, say: then the caller's check fails, and that says enough.
            while let Ok((socket, _)) = listener.accept().await {
                spawn_local(connection(socket, answers.clone(), plain.clone()));
            }
        });
    }
    println!("ready");
    std::future::pending().await
}

/// A connection that breaks was broken by the proxy, whose caller will know.
async fn connection(socket: TcpStream, answers: Rc<Answers>, plain: Rc<[u8]>) {
    let mut first = [0; 3];
    let _ = socket.set_nodelay(true);
    match socket.peek(&mut first).await {
        Ok(1..) if first.starts_with(b"PRI") => drop(grpc(socket, &answers).await),
        Ok(1..) => drop(http1::answer(socket, &plain).await),
        _ => {}
    }
}

async fn grpc(socket: TcpStream, answers: &Answers) -> io::Result<()> {
    let mut link = Link::server(socket);
    let mut asked = std::collections::HashMap::new();
    loop {
        link.turn(&mut |sending, event| {
            let ended = match event {
                Event::Head { stream, fields, end } => {
                    asked.insert(stream, fields.path);
                    end.then_some(stream)
                }
                Event::Data { stream, end, .. } => end.then_some(stream),
                Event::Reset { stream, .. } => {
                    asked.remove(&stream);
                    None
                }
            };
            if let Some(stream) = ended
                && let Some(path) = asked.remove(&stream)
                && let Some(body) = answers.of(&path)
            {
                sending.reply(stream, body);
            }
        })
        .await?;
    }
}
