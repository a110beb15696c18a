//! What each cell promises, by each dialect's specification and by the design.

use super::cell::{Cell, Http, Kind, Outcome, Way};
use super::servlet::TOLD;
use super::told::{End, How, Told};

/// What a cell promises.
#[derive(Debug)]
pub struct Promise {
    /// Of its words only a part.
    pub told: Told,
    /// The call reaches the servlet.
    pub carried: bool,
}

const INVALID_ARGUMENT: u8 = 3;
const DEADLINE_EXCEEDED: u8 = 4;
const NOT_FOUND: u8 = 5;
const UNIMPLEMENTED: u8 = 12;
const UNAVAILABLE: u8 = 14;

pub fn promise(cell: &Cell) -> Promise {
    if let Some((code, how, words)) = refusal(cell) {
        let told = Told { messages: Vec::new(), end: End::Error(code, how), words: words.to_owned(), gzip: false };
        return Promise { told, carried: false };
    }
    let (messages, end, words) = match cell.outcome {
        Outcome::Ok => (cell.replies(), End::Ok, ""),
        Outcome::Before => (Vec::new(), before(cell, NOT_FOUND), TOLD),
        Outcome::Midway => (first(cell), after_first(cell, NOT_FOUND), TOLD),
        Outcome::Cut => (first(cell), after_first(cell, UNAVAILABLE), ""),
        Outcome::Deadline if cell.kind.streams_down() => (first(cell), after_first(cell, DEADLINE_EXCEEDED), ""),
        Outcome::Deadline => (Vec::new(), before(cell, DEADLINE_EXCEEDED), ""),
        Outcome::Gone => (Vec::new(), End::Gone, ""),
    };
    let messages =
        if cell.way.is_bytes(cell.kind) && !messages.is_empty() { vec![messages.concat()] } else { messages };
    // The servlet's own words are told where an error is, a break has none.
    let words = if end == End::Broken { "" } else { words };
    let gzip = cell.is_gzip() && !messages.is_empty() && answers_gzip(cell);
    Promise { told: Told { messages, end, words: words.to_owned(), gzip }, carried: true }
}

/// What a caller is told whose call cannot be carried.
fn refusal(cell: &Cell) -> Option<(u8, How, &'static str)> {
    let unary = cell.kind == Kind::Unary;
    match cell.way {
        Way::Grpc if cell.http != Http::V2 && !unary => {
            Some((UNIMPLEMENTED, How::Head, "streams: over HTTP/1 gRPC is unary"))
        }
        Way::ConnectGet if !unary => Some((UNIMPLEMENTED, How::Connect(405), "is called by POST")),
        Way::Protobuf if cell.kind.streams_down() => {
            Some((INVALID_ARGUMENT, How::StatusProto(406), "a stream of messages has no protobuf form here"))
        }
        Way::Protobuf if !unary => {
            Some((INVALID_ARGUMENT, How::StatusProto(415), "a stream of messages has no protobuf form here"))
        }
        _ => None,
    }
}

/// Whether an answer is compressed for a caller that takes nothing else. Messages of JSON in Connect's streams go as they are.
fn answers_gzip(cell: &Cell) -> bool {
    cell.way != Way::ConnectJson || cell.kind == Kind::Unary
}

/// What the servlet sees of a compressed request: passed through as it is, or not compressed any more.
pub fn passes_gzip(cell: &Cell) -> bool {
    match cell.way {
        Way::Grpc | Way::Web | Way::WebText | Way::Envelope | Way::Plain => true,
        Way::ConnectProto => cell.kind != Kind::Unary,
        _ => false,
    }
}

/// The answer has one message and one head, which waits for the status.
fn waits_for_status(cell: &Cell) -> bool {
    match cell.way {
        Way::Grpc => cell.http != Http::V2,
        Way::Web | Way::WebText | Way::Envelope | Way::Plain => false,
        Way::ConnectProto | Way::ConnectJson => cell.kind == Kind::Unary,
        _ => !cell.kind.streams_down(),
    }
}

/// The servlet's first message, where it is told although an error follows.
fn first(cell: &Cell) -> Vec<String> {
    if waits_for_status(cell) {
        Vec::new()
    } else if cell.kind == Kind::Client {
        vec![cell.texts().concat()]
    } else {
        vec![cell.texts()[0].to_owned()]
    }
}

/// The HTTP status that tells a code: the servlet's by google/rpc/code.proto, and Telamon's own.
fn http_status(code: u8) -> u16 {
    match code {
        DEADLINE_EXCEEDED => 504,
        NOT_FOUND => 404,
        UNAVAILABLE => 502,
        other => panic!("{other} is in no cell"),
    }
}

/// An error that is all of the answer.
fn before(cell: &Cell, code: u8) -> End {
    let status = http_status(code);
    End::Error(
        code,
        match cell.way {
            Way::Grpc => How::Head,
            Way::Web | Way::WebText => How::TrailerFrame,
            Way::ConnectProto | Way::ConnectJson if cell.kind != Kind::Unary => How::EndFrame,
            Way::ConnectProto | Way::ConnectJson | Way::ConnectGet => How::Connect(status),
            Way::Protobuf => How::StatusProto(status),
            Way::Plain if code == NOT_FOUND => How::Own(status),
            _ => How::Status(status),
        },
    )
}

/// An error behind a first message.
fn after_first(cell: &Cell, code: u8) -> End {
    if waits_for_status(cell) {
        return before(cell, code);
    }
    match cell.way {
        Way::Grpc => End::Error(code, How::Trailers),
        Way::Web | Way::WebText => End::Error(code, How::TrailerFrame),
        Way::ConnectProto | Way::ConnectJson => End::Error(code, How::EndFrame),
        Way::Lines | Way::Events => End::Error(code, How::Record),
        _ => End::Broken,
    }
}
