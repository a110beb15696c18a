//! `telamon demo`: three replicas of a small gRPC servlet, a proxy before them and admin beside it, with nothing else needed on the
//! machine. The proxy is the one that `telamon run` starts, from files that the demo writes; nothing is simulated.

mod bakery;
mod client;
mod files;
mod load;
mod message;
mod servlet;
mod shares;
mod tour;
mod watch;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::app::{Caught, Process};
use crate::model::Address;

pub use bakery::{Bakery, PROTO};
pub use servlet::{serve, start};

use files::Files;
use load::Load;
use watch::Watch;

/// How the demo is to be run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where its files go; a new temporary directory, removed at the end, when `None`.
    pub dir: Option<PathBuf>,
    /// The proxy's port; a free one near it when it is taken.
    pub port: u16,
    /// The admin API's port, likewise.
    pub admin_port: u16,
    /// Background calls a second; none when 0.
    pub load: u32,
    /// What each call costs a replica.
    pub work: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options { dir: None, port: 8080, admin_port: 9900, load: 0, work: Duration::from_millis(10) }
    }
}

/// The bakers' names and weights.
const BAKERS: [(&str, u32); 3] = [("ada", 3), ("bea", 2), ("cal", 1)];

/// One replica and where it is.
#[derive(Clone, Debug)]
struct Replica {
    bakery: Arc<Bakery>,
    weight: u32,
    address: SocketAddr,
}

/// Where the running parts are.
#[derive(Clone, Debug)]
struct Places {
    proxy: SocketAddr,
    admin: SocketAddr,
}

/// Runs the demo until a signal ends it.
///
/// # Errors
/// For people to read: no port, no file, no thread to be had, or a proxy that does not start.
pub fn run(options: &Options) -> Result<(), String> {
    // First of all: whatever ends the demo from here on, its files are removed.
    let caught = Caught::new().map_err(|error| error.to_string())?;
    let replicas = start_replicas(options.work).map_err(|error| format!("a replica cannot be started: {error}"))?;
    let wanted = Places { proxy: near(options.port), admin: near(options.admin_port) };
    let files = Files::write(options.dir.as_deref(), &wanted, &replicas)?;
    let process = Process::start(&files.settings()).map_err(|error| error.to_string())?;
    let places = places(&process)?;
    wait_until_it_works(places.proxy)?;
    tour::print(&places, &files, options.load);

    let watch = Watch::start(places.admin, replicas);
    let load = Load::start(places.proxy, options.load);
    process.run(caught);
    load.stop();
    watch.stop();
    Ok(())
}

fn start_replicas(work: Duration) -> io::Result<Vec<Replica>> {
    let start = |(name, weight)| {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let bakery = Arc::new(Bakery::new(name, work));
        servlet::start(listener, Arc::clone(&bakery))?;
        Ok(Replica { bakery, weight, address })
    };
    BAKERS.into_iter().map(start).collect()
}

/// The first free port of twenty from `port` on; any when none of them is. Somebody may take it before the proxy does, and then the
/// proxy says so.
fn near(port: u16) -> SocketAddr {
    let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    (port..port.saturating_add(20)).map(at).find(|address| TcpListener::bind(address).is_ok()).unwrap_or(at(0))
}

/// The one seam to the running process.
fn places(process: &Process) -> Result<Places, String> {
    let tcp = |address: Option<Address>| match address {
        Some(Address::Tcp(address)) => Ok(address),
        Some(Address::Unix(_)) | None => Err("the demo listens on loopback alone".to_owned()),
    };
    let first = process.listeners().first().map(|(_, address)| address.clone());
    Ok(Places { proxy: tcp(first)?, admin: tcp(process.admin())? })
}

/// A call through the whole of it, as an HTTP/1.0 client makes it.
fn wait_until_it_works(proxy: SocketAddr) -> Result<(), String> {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let told = match client::get(proxy, "/v1/who") {
            Ok((200, _)) => return Ok(()),
            Ok((status, body)) => format!("the first call was answered with {status}: {body}"),
            Err(error) => format!("the first call failed: {error}"),
        };
        if Instant::now() > end {
            return Err(told);
        }
        thread::sleep(Duration::from_millis(50));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_passed_over() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let found = near(port);
        assert_ne!(found.port(), port);
        assert!(found.ip().is_loopback());
    }
}
