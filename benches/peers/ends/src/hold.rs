//! Connections and calls that stand still, so that what they cost in memory can be read off the proxy. A number on standard input says
//! how many there are to be; the same number on standard output says that they are there.

use std::any::Any;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::answer::Call;
use crate::http1::{self, Caller};
use crate::http2::{Event, Link};
use crate::load::{self, Protocol};

/// Connections that calls in flight are spread over.
const CARRIERS: usize = 20;
/// How many are opened at once.
const AT_ONCE: usize = 50;

/// A connection that is kept open, and nothing more.
type Held = Box<dyn Any>;

pub(crate) async fn run(address: SocketAddr, protocol: Protocol, call: Call) -> io::Result<()> {
    let call = Rc::new(call);
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut carriers = Vec::new();
    let (mut held, mut calls): (Vec<Held>, usize) = (Vec::new(), 0);
    while let Some(line) = lines.next_line().await? {
        let wanted: usize = line.trim().parse().map_err(io::Error::other)?;
        if call.path.ends_with("/Hold") {
            while carriers.len() < CARRIERS {
                carriers.push(load::connected(address).await?);
            }
            while calls < wanted {
                load::start(&mut carriers[calls % CARRIERS].sending, &call);
                calls += 1;
            }
            for link in &mut carriers {
                // A turn sends what waits; then there is nothing to read but acknowledgements.
                let _ = timeout(Duration::from_millis(50), link.turn(&mut |_, _| ())).await;
            }
        } else {
            while held.len() < wanted {
                let mut opening = JoinSet::new();
                for _ in 0..AT_ONCE.min(wanted - held.len()) {
                    opening.spawn_local(called(address, protocol, call.clone()));
                }
                while let Some(opened) = opening.join_next().await {
                    held.push(opened.map_err(io::Error::other)??);
                }
            }
        }
        println!("{wanted}");
    }
    Ok(())
}

/// A connection, after a call.
async fn called(address: SocketAddr, protocol: Protocol, call: Rc<Call>) -> io::Result<Held> {
    if protocol == Protocol::Http2 {
        let mut link = load::connected(address).await?;
        once(&mut link, &call).await?;
        return Ok(link);
    }
    let mut caller = Caller::connect(address).await?;
    let status = caller.call(&http1::request(&call, "1.1")).await?.status;
    if status == 200 { Ok(Box::new(caller)) } else { Err(io::Error::other(format!("status {status}"))) }
}

/// One call, and its answer to the end.
async fn once(link: &mut Link, call: &Call) -> io::Result<()> {
    let stream = load::start(&mut link.sending, call);
    let mut ended = None;
    while ended.is_none() {
        link.turn(&mut |sending, event| {
            ended = match event {
                Event::Head { fields, end: true, .. } => Some(fields.grpc_status == Some(0)),
                Event::Reset { .. } => Some(false),
                Event::Head { .. } | Event::Data { .. } => return,
            };
            sending.forget(stream);
        })
        .await?;
    }
    if ended == Some(true) { Ok(()) } else { Err(io::Error::other("a call failed")) }
}
