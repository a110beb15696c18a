//! What is promised, over real sockets: a proxy in this process, scripted servlets, callers that write bytes themselves.
#![allow(dead_code, unreachable_pub, reason = "each file of tests uses its own part of the support")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that meets the unexpected should stop there")]

mod balance;
mod deadlines;
mod elsewhere;
mod faults;
mod grpc;
mod http10;
mod rest;
mod streams;
mod support;
mod untranslated;
mod upgrades;
mod upstream;
