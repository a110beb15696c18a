//! A peer to measure beside: what a user of Pingora writes who wants a gRPC proxy and a plain one and nothing more. One thread a port,
//! weighted round robin, keep-alive on both sides, and as many streams on an upstream connection as a gRPC server takes.
//!
//! `peer-pingora GRPC_PORT PLAIN_PORT ADDRESS=WEIGHT...`

use std::collections::BTreeSet;

use async_trait::async_trait;
use futures::FutureExt;
use pingora::apps::HttpServerOptions;
use pingora::lb::discovery::Static;
use pingora::lb::selection::RoundRobin;
use pingora::lb::{Backend, Backends, LoadBalancer};
use pingora::prelude::*;
use pingora::protocols::ALPN;
use pingora::proxy::http_proxy_service;
use pingora::server::configuration::ServerConf;

/// Pingora opens a connection a stream unless it is told otherwise.
const STREAMS: usize = 256;

type Failed = Box<dyn std::error::Error>;

struct Spread {
    backends: LoadBalancer<RoundRobin>,
    upstream: ALPN,
}

#[async_trait]
impl ProxyHttp for Spread {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _session: &mut Session, _ctx: &mut ()) -> Result<Box<HttpPeer>> {
        let backend = self.backends.select(b"", 16).ok_or_else(|| Error::explain(InternalError, "no backend"))?;
        let mut peer = HttpPeer::new(backend, false, String::new());
        peer.options.alpn = self.upstream.clone();
        peer.options.max_h2_streams = STREAMS;
        Ok(Box::new(peer))
    }
}

fn backends(arguments: &[String]) -> Result<LoadBalancer<RoundRobin>, Failed> {
    let mut set = BTreeSet::new();
    for argument in arguments {
        let (address, weight) = argument.split_once('=').ok_or("not ADDRESS=WEIGHT")?;
        set.insert(Backend::new_with_weight(address, weight.parse()?)?);
    }
    let backends = LoadBalancer::from_backends(Backends::new(Static::new(set)));
    backends.update().now_or_never().ok_or("a static set is there at once")??;
    Ok(backends)
}

fn main() -> Result<(), Failed> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [grpc, plain, addresses @ ..] = arguments.as_slice() else { return Err("too few arguments".into()) };
    let mut server = Server::new_with_opt_and_conf(None, ServerConf { threads: 1, ..ServerConf::default() });
    server.bootstrap();
    for (port, upstream) in [(grpc, ALPN::H2), (plain, ALPN::H1)] {
        let spread = Spread { backends: backends(addresses)?, upstream };
        let mut service = http_proxy_service(&server.configuration, spread);
        let logic = service.app_logic_mut().ok_or("a service has logic")?;
        let mut options = HttpServerOptions::default();
        options.h2c = true;
        logic.server_options = Some(options);
        service.add_tcp(&format!("127.0.0.1:{port}"));
        server.add_service(service);
    }
    server.run_forever()
}
