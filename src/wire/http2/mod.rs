//! HTTP/2 (RFC 9113), both sides of it, without sockets: bytes that were read go in, bytes to be written come out, and between them
//! streams are opened, read and written. A connection and its streams belong to one thread, so that a call takes no lock; what a
//! stream sends goes straight into what is written next, and a connection that rests holds no buffer.
//!
//! ```text
//!   socket ──▶ Input ──▶ receive ──▶ stream: head, inbox, trailers ──▶ RecvStream
//!   socket ◀── Outbox ◀── send ◀── stream: windows ◀────────────────── SendStream
//! ```

mod budget;
mod carry;
mod data;
mod frame;
mod handle;
pub(super) mod head;
mod heads;
pub mod hpack;
mod inbox;
mod input;
mod outbox;
mod reason;
mod receive;
mod send;
mod settings;
mod state;
mod stream;
#[cfg(test)]
mod tests;

pub use carry::{Broken, Carry};
pub(super) use frame::PREFACE;
pub use handle::{Connection, Opened, RecvStream, SendStream};
pub use head::{HeadRoom, ReplyHead, RequestHead};
pub use input::Input;
pub use reason::Reason;
pub use state::{Options, Side, Unserved};
pub use stream::{Lost, StreamError, Violation};
