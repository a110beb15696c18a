//! The HTTP API beside the traffic, for operators and for what watches the process. It only reads, and it knows nobody: every answer
//! is a closure that it is given. It lives on a thread of its own, so that a scrape never stalls a call.

mod answers;
mod index;
mod page;
mod server;
mod view;

pub use answers::Answers;
pub use server::Admin;
pub use view::{SchemaState, ServletSummary};
