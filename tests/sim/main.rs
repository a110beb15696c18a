//! Seeded simulation of the balance contract: the code that runs in the proxy, driven by simulated time and servers, beside the
//! field's rules.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "all of it is test code: a panic is a failed test")]

mod ours;
mod rivals;
mod shares;
mod sweep;
mod table;
mod trouble;
mod world;
