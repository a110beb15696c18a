//! The path of a request, one file a step:
//!
//! ```text
//! call      the story
//!   plan      decide: route, policy, dialect, servlet. No await, no lock, one reading of the clock
//!   outbound  the head that goes upstream
//!   attempt   act: pick → lease → send → head, or a fault → once more?
//!   reply     answer: translate the head; a fault is told in the caller's own dialect
//!   body      frames both ways; at the end of the stream the tally is closed
//! ```
//! `mount` is what the request path knows of a servlet, `worker` what it keeps from call to call, `refresh` how it follows a change, `late`
//! watches a call's deadline, `tally` is what a call leaves behind.

mod attempt;
mod body;
mod call;
mod cors;
mod explain;
mod late;
mod mount;
mod outbound;
mod plan;
mod rarely;
mod refresh;
mod reply;
mod request_stream;
mod tally;
mod worker;

pub use body::ReplyBody;
pub use call::{Connection, Proxy, Trust};
pub use explain::{Explanation, explain};
pub use mount::{Call, MetadataNames, Mount, Routing, Target, Upstream};
pub use plan::{Carriage, Plan, plan};
pub use worker::Worker;
