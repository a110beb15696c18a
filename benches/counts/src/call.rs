//! Whole unary calls: a caller, the proxy and three servlets with weights 3:2:1 on one thread, over loopback. The kernel's part is not
//! counted, and what the caller and the servlets do is not either; what is left is the proxy, its runtime, and the wake-ups of
//! its peers in the same runtime, which `floor/no-proxy` tells.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use arc_swap::ArcSwap;
use telamon::listener::{Accept, ConnectionCounts, Landing, Limits, Observer, accept};
use telamon::model::Address;
use telamon::proxy::{Proxy, Worker};
use telamon::runtime::{DrainControl, Worker as Place, runtime};
use telamon::telemetry::{LegacyCallers, Metrics};
use telamon::{app, config, transport};
use tokio::task::spawn_local;

use crate::Work;
use crate::caller::Caller;
use crate::files::Files;
use crate::origin;
use crate::section::{Peer, counted};

pub(crate) fn works() -> Vec<Work> {
    let work = |name, run| Work { name, times: TIMES, run };
    vec![
        work("call/grpc", |times| call(Dialect::Grpc { streams: 1 }, times)),
        work("call/grpc-16-streams", |times| call(Dialect::Grpc { streams: 16 }, times)),
        work("call/grpc-web", |times| call(Dialect::GrpcWeb, times)),
        work("call/connect-json", |times| call(Dialect::Connect, times)),
        work("call/rest", |times| call(Dialect::Rest { version: "1.1" }, times)),
        work("call/rest-http10", |times| call(Dialect::Rest { version: "1.0" }, times)),
        work("call/envelope", |times| call(Dialect::Envelope, times)),
        work("call/http1", |times| call(Dialect::Http1, times)),
        work("floor/no-proxy", |times| direct(false, 1, times)),
        work("floor/h2-echo", |times| direct(true, 1, times)),
        work("floor/h2-echo-16-streams", |times| direct(true, 16, times)),
    ]
}

/// Divided by 16 without rest; as many as make what happens now and then, such as an array that grows, small in each.
const TIMES: u32 = 320;

/// Calls before those that are counted: connections, tables and buffers have their size by then.
const WARM: u32 = 64;

/// What a caller speaks, to a servlet that speaks gRPC but for the last.
#[derive(Clone, Copy)]
enum Dialect {
    Grpc { streams: u32 },
    GrpcWeb,
    Connect,
    Rest { version: &'static str },
    Envelope,
    Http1,
}

const PATH: &str = "/bench.v1.EchoService/Echo";

/// As long as makes a message of 46 bytes.
const TEXT: &str = "The quick brown fox jumps over the lazy dog.";

/// One field of protobuf that has a length.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, u8::try_from(bytes.len()).expect("short")], bytes].concat()
}

/// A message of gRPC, framed.
fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("short").to_be_bytes();
    [&[0], &length[..], message].concat()
}

impl Dialect {
    fn servlet(self) -> &'static str {
        match self {
            Dialect::Grpc { .. } | Dialect::GrpcWeb | Dialect::Connect | Dialect::Rest { .. } => {
                "schema: ../echo.proto\nservices: [bench.v1.EchoService]\n"
            }
            Dialect::Envelope => "routes:\n  - { match: { path: /** }, call: telamon.v1.HttpServlet/Serve }\n",
            Dialect::Http1 => "upstream: http1\nroutes:\n  - { match: { path: /** } }\n",
        }
    }

    async fn origin(self) -> SocketAddr {
        match self {
            Dialect::Grpc { .. } | Dialect::GrpcWeb | Dialect::Connect | Dialect::Rest { .. } => {
                origin::grpc(framed(&field(1, TEXT.as_bytes()))).await
            }
            Dialect::Envelope => {
                let length = TEXT.len().to_string();
                let pairs = [("Content-Type", "text/plain"), ("Content-Length", &*length)];
                let fields = pairs
                    .map(|(name, value)| field(3, &[field(1, name.as_bytes()), field(2, value.as_bytes())].concat()));
                // A status of 200.
                let head = field(1, &[vec![1 << 3, 0xc8, 1], fields.concat()].concat());
                origin::grpc([framed(&head), framed(&field(2, TEXT.as_bytes()))].concat()).await
            }
            Dialect::Http1 => {
                let date = "Date: Tue, 15 Nov 1994 08:12:31 GMT";
                let head =
                    format!("HTTP/1.1 200 OK\r\n{date}\r\nContent-Type: text/plain\r\nContent-Length: {}", TEXT.len());
                origin::http1(format!("{head}\r\n\r\n{TEXT}").into_bytes()).await
            }
        }
    }

    async fn caller(self, at: SocketAddr) -> Caller {
        let message = framed(&field(1, TEXT.as_bytes()));
        let json = format!(r#"{{"text":"{TEXT}"}}"#);
        let post = |path: &str, kind: &str, body: &[u8]| {
            let fields = format!("Content-Type: {kind}\r\nContent-Length: {}", body.len());
            let head =
                format!("POST {path} HTTP/1.1\r\nHost: api.example.com\r\nUser-Agent: caller/1.0\r\n{fields}\r\n\r\n");
            [head.as_bytes(), body].concat()
        };
        match self {
            Dialect::Grpc { streams } => Caller::grpc(at, PATH, streams, &message, &message).await,
            Dialect::GrpcWeb => Caller::http1(at, post(PATH, "application/grpc-web+proto", &message), &message).await,
            Dialect::Connect => {
                let kind = "application/json\r\nConnect-Protocol-Version: 1";
                Caller::http1(at, post(PATH, kind, json.as_bytes()), json.as_bytes()).await
            }
            Dialect::Rest { version: "1.0" } => {
                let fields = format!(
                    "User-Agent: caller/1.0\r\nContent-Type: application/json\r\nContent-Length: {}",
                    json.len()
                );
                let request = format!("POST /v1/echo HTTP/1.0\r\n{fields}\r\n\r\n{json}");
                Caller::http10(at, request.into_bytes(), TEXT.as_bytes())
            }
            Dialect::Rest { .. } => {
                let request = post("/v1/echo", "application/json", json.as_bytes());
                Caller::http1(at, request, TEXT.as_bytes()).await
            }
            Dialect::Envelope | Dialect::Http1 => {
                let request =
                    "GET /page?q=1 HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: caller/1.0\r\nAccept: */*\r\n\r\n";
                Caller::http1(at, request.into(), TEXT.as_bytes()).await
            }
        }
    }
}

/// So many calls through the proxy.
fn call(dialect: Dialect, times: u32) {
    let runtime = runtime().expect("a runtime");
    let mut caller = runtime.block_on(async {
        let origins = [dialect.origin().await, dialect.origin().await, dialect.origin().await];
        dialect.caller(proxy(dialect, origins)).await
    });
    runtime.block_on(Peer::new(caller.call(WARM)));
    counted(|| runtime.block_on(Peer::new(caller.call(times))));
}

/// The same caller at a servlet: what the runtime does for the two, or what a servlet on `h2` costs.
fn direct(is_echo: bool, streams: u32, times: u32) {
    let runtime = runtime().expect("a runtime");
    let answer = framed(&field(1, TEXT.as_bytes()));
    let mut caller = runtime.block_on(async {
        let at = if is_echo { origin::h2_echo(answer).await } else { origin::grpc(answer).await };
        Dialect::Grpc { streams }.caller(at).await
    });
    runtime.block_on(Peer::new(caller.call(WARM)));
    counted(|| runtime.block_on(Peer::new(caller.call(times))));
}

/// Starts a worker of a proxy before `origins`, in the runtime that asks. Its address.
fn proxy(dialect: Dialect, origins: [SocketAddr; 3]) -> SocketAddr {
    let [a, b, c] = origins;
    let line = |address, weight| format!("  - {{ address: {address}, weight: {weight} }}\n");
    let endpoints = format!("endpoints:\n{}{}{}", line(a, 3), line(b, 2), line(c, 1));
    let files = Files::new(&[
        ("echo.proto", include_str!("../../../config/protos/bench/v1/echo.proto")),
        ("servlets/echo.yaml", dialect.servlet()),
        ("endpoints/echo.yaml", &endpoints),
    ]);
    let loaded = config::load(&files.root()).unwrap_or_else(|report| panic!("{report}"));
    let metrics = Metrics::new();
    let routing = app::assemble(&loaded, &metrics).expect("one servlet");
    let (control, drain) = DrainControl::new();
    // Dropping it would end the process.
    std::mem::forget(control);
    let legacy = LegacyCallers::new();
    let worker = Worker::new(Arc::new(ArcSwap::from_pointee(routing)), None, legacy.worker(), drain.clone(), 1);
    worker.refresh();
    let anywhere = Address::Tcp(([127, 0, 0, 1], 0).into());
    let mut bound = transport::bind(&anywhere, 1).expect("a port");
    let acceptor = bound.take(0).map(|register| register().expect("a runtime"));
    let Address::Tcp(address) = bound.address else { panic!("asked for TCP") };
    let (landing, mut strips) = Landing::new(1);
    spawn_local(accept(Accept {
        worker: Place { index: 0, of: 1 },
        acceptor,
        local: Address::Tcp(address),
        landing,
        strip: strips.remove(0),
        counts: ConnectionCounts::new(1),
        limits: Rc::new(Limits::default()),
        service: Rc::new(Proxy::new(worker, Arc::from("in"), metrics, Arc::new(|_| false))),
        observer: Rc::new(Nobody),
        drain,
    }));
    address
}

struct Nobody;

impl Observer for Nobody {
    fn opened(&self) {}
    fn closed(&self) {}
    fn refused(&self, why: &'static str) {
        panic!("a connection was refused: {why}");
    }
}
