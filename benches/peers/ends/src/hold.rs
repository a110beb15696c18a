//! Connections and calls that stand still, so that what they cost in memory can be read off the proxy. A number on standard input says
//! how many there are to be; the same number on standard output says that they are there.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt, BufReader};

use crate::answer::Call;
use crate::http1::{self, Caller};
use crate::http2::{Event, Link};
use crate::load::{self, Protocol};

/// Connections that calls in flight are spread over.
const CARRIERS: usize = 20;

pub(crate) async fn run(address: SocketAddr, protocol: Protocol, call: Call) -> io::Result<()> {
    let held = call.path.ends_with("/Hold");
    let mut links: Vec<Box<Link>> = Vec::new();
    let mut callers: Vec<Caller> = Vec::new();
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut there = 0;
    let request = http1::request(&call, "1.1");
    while let Some(line) = lines.next_line().await? {
        let wanted: usize = line.trim().parse().map_err(io::Error::other)?;
        while there < wanted {
            if held {
                while links.len() < CARRIERS {
                    links.push(load::connected(address).await?);
                }
                load::start(&mut links[there % CARRIERS].sending, &call);
            } else if protocol == Protocol::Http2 {
                let mut link = load::connected(address).await?;
                once(&mut link, &call).await?;
                links.push(link);
            } else {
                let mut caller = Caller::connect(address).await?;
                let answer = caller.call(&request).await?;
                if answer.status != 200 {
                    return Err(io::Error::other(format!("status {}", answer.status)));
                }
                callers.push(caller);
            }
            there += 1;
        }
        if held {
            for link in &mut links {
                // A turn sends what waits; then there is nothing to read but acknowledgements.
                let _ = tokio::time::timeout(std::time::Duration::from_millis(50), link.turn(&mut |_, _| ())).await;
            }
        }
        println!("{there}");
    }
    Ok(())
}

/// One call, and its answer to the end.
async fn once(link: &mut Link, call: &Call) -> io::Result<()> {
    let stream = load::start(&mut link.sending, call);
    let mut ended = None;
    while ended.is_none() {
        link.turn(&mut |sending, event| {
            ended = match event {
                Event::Head { fields, end: true, .. } if fields.grpc_status == Some(0) => Some(true),
                Event::Head { end: true, .. } | Event::Reset { .. } => Some(false),
                Event::Head { .. } | Event::Data { .. } => return,
            };
            sending.forget(stream);
        })
        .await?;
    }
    if ended == Some(true) { Ok(()) } else { Err(io::Error::other("a call failed")) }
}
