//! Telamon: a gRPC-aware layer-7 load balancer and sidecar.
//!
//! The house, lowest rank first. A folder imports lower ranks only, and equals never import each other; `tests/house.rs`
//! reads this list and holds it. Cores (ranks 0 to 3) think: memory only, time and chance are arguments. Shells touch the world.
//!
//! | rank | folder | what it is for |
//! |---|---|---|
//! | 0 | `model` | the nouns: endpoint, table, gRPC code, outcome, fault, deadline, body frames |
//! | 1 | `wire` | HTTP/1.0, 1.1 and 2 as sans-IO codecs; detect, hop-by-hop, target, forwarded |
//! | 1 | `schema` | compiled descriptors and google.api.http rules |
//! | 2 | `route` | which rule does this head match |
//! | 2 | `translate` | dialects to and from gRPC, as sans-IO state machines |
//! | 2 | `balance` | choose one of these |
//! | 2 | `policy` | may we, how long, once more |
//! | 3 | `servlet` | what is true now of a servlet's endpoints |
//! | 4 | `runtime` | workers, drain, signals, file watching |
//! | 5 | `transport` | sockets |
//! | 5 | `telemetry` | metrics, access log |
//! | 6 | `listener` | accept, sniff, serve, limits |
//! | 6 | `upstream` | connections to endpoints |
//! | 6 | `discovery` | files to endpoint tables |
//! | 7 | `proxy` | the path of a request |
//! | 7 | `admin` | the HTTP API beside the traffic |
//! | 8 | `config` | load, check, report, reload, schema of the files |
//! | 9 | `app` | puts a process together |
//! | 10 | `cli`, `demo` | the command line; the demo servlet |
#![forbid(unsafe_code)]

// Properties that the fuzz targets share with the tests name this crate from outside.
#[cfg(test)]
extern crate self as telamon;

pub mod admin;
pub mod app;
pub mod balance;
pub mod cli;
pub mod config;
pub mod demo;
pub mod discovery;
pub mod listener;
pub mod model;
pub mod policy;
pub mod proxy;
pub mod route;
pub mod runtime;
pub mod schema;
pub mod servlet;
pub mod telemetry;
pub mod translate;
pub mod transport;
pub mod upstream;
pub mod wire;
