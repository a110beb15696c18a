//! What is promised, over real sockets: a proxy in this process, scripted servlets, callers that write bytes themselves.
#![allow(dead_code, reason = "each file of tests uses its own part of the support")]

mod grpc;
mod http10;
mod support;
