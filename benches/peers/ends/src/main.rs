//! The two ends of a measured call, as one program:
//!
//! - `peer-ends backend ADDRESS...` serves fixed answers;
//! - `peer-ends load ADDRESS CALL PROTOCOL CONNECTIONS STREAMS CALLS RATE [PATH]` calls, `RATE` a second (0: as fast as answers come),
//!   and prints a line of JSON;
//! - `peer-ends hold ADDRESS CALL PROTOCOL` holds connections, or calls, as many as standard input says.
//!
//! Both run on one thread, and cost less than the proxies between them.

mod answer;
mod backend;
mod hold;
mod hpack;
mod http1;
mod http2;
mod load;
mod training;

use std::error::Error;
use std::str::FromStr;

use answer::Call;
use load::{Load, Protocol};
use tokio::task::LocalSet;

type Failed = Box<dyn Error>;

fn main() -> Result<(), Failed> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    match words.as_slice() {
        ["backend", addresses @ ..] => {
            let addresses = addresses.iter().map(|address| address.parse()).collect::<Result<_, _>>()?;
            local.block_on(&runtime, backend::serve(addresses))?;
        }
        ["load", address, call, protocol, connections, streams, calls, rate, path @ ..] => {
            let load = Load {
                address: address.parse()?,
                protocol: protocol.parse()?,
                connections: connections.parse()?,
                streams: streams.parse()?,
                calls: calls.parse()?,
                rate: Some(rate.parse()?).filter(|rate| *rate > 0.0),
                call: named(call, path.first())?,
            };
            local.block_on(&runtime, load::run(load))?;
        }
        ["hold", address, call, protocol] => {
            local.block_on(&runtime, hold::run(address.parse()?, protocol.parse()?, named(call, None)?))?;
        }
        _ => return Err("one of: backend, load, hold; see the head of main.rs".into()),
    }
    Ok(())
}

fn named(name: &str, path: Option<&&str>) -> Result<Call, Failed> {
    Call::named(name, path.map(|path| (*path).to_owned())).ok_or_else(|| format!("no call is named {name}").into())
}

impl FromStr for Protocol {
    type Err = Failed;

    fn from_str(text: &str) -> Result<Self, Failed> {
        match text {
            "http2" => Ok(Self::Http2),
            "http11" => Ok(Self::Http11),
            "http10" => Ok(Self::Http10),
            _ => Err(format!("no protocol is named {text}").into()),
        }
    }
}
