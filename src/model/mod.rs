//! The nouns that every other folder speaks in. No behaviour that needs a clock, a socket or chance.

mod address;
mod code;
mod conn;
mod deadline;
mod fault;
mod frame;
mod gather;
mod outcome;
mod pieces;
mod table;

pub use address::{Address, AddressError};
pub use code::Code;
pub use conn::{ConnInfo, HttpProtocol};
pub use deadline::{Deadline, parse_grpc_timeout, write_grpc_timeout};
pub use fault::{Answer, Fault, Kind, Retry, Side, Stage};
pub use frame::{Body, Frame};
pub use gather::{Stop, gather};
pub use outcome::{Outcome, Verdict};
pub use pieces::Pieces;
pub use table::{EndpointSpec, Group, MAX_WEIGHT, Table};
