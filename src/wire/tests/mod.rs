//! The codec from outside: tables of what is taken and refused, and properties that hold however bytes arrive.

mod arrival;
mod body;
mod h2_head;
mod head;
mod reply;
mod request_encoder;
mod response;

/// The reader of answers, likewise.
#[path = "../../../fuzz/src/wire_response.rs"]
#[allow(dead_code, unreachable_pub, reason = "the fuzz target uses more of it")]
mod answers;
#[path = "../../../fuzz/src/draw.rs"]
#[allow(dead_code, unreachable_pub, reason = "the fuzz target uses more of it")]
mod draw;
/// The reader of connections that the fuzz target has, too.
#[path = "../../../fuzz/src/wire_request.rs"]
#[allow(dead_code, unreachable_pub, reason = "the fuzz target uses more of it")]
mod driver;
