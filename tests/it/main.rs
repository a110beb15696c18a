//! What is promised, over real sockets: a proxy in this process, scripted servlets, callers that write bytes themselves.
#![allow(dead_code, unreachable_pub, reason = "each file of tests uses its own part of the support")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that meets the unexpected should stop there")]

mod access_log;
mod admin;
mod balance;
mod bindings;
mod cli;
mod coding;
mod connect;
mod cors;
mod deadlines;
mod demo;
mod dialects;
mod differential;
mod drain;
mod elsewhere;
mod envelope;
mod faults;
mod grpc;
mod heads;
mod hostile;
mod http10;
mod http11;
mod http2;
mod limits;
mod metadata;
mod reflection;
mod reload;
mod rest;
mod rest_bodies;
mod rest_streams;
mod start;
mod streams;
mod support;
mod untranslated;
mod upgrades;
mod upstream;
mod web;
