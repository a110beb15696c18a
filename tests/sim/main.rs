//! Seeded simulation of the balance contract: the code that runs in the proxy, driven by simulated time and servers, beside the
//! field's rules.

mod ours;
mod rivals;
mod shares;
mod table;
mod trouble;
mod world;
