//! One cell of the matrix: who asks, for what kind of call, in what coding, how the call goes, and over which HTTP.

use std::fmt;

/// A form that a caller speaks in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    Grpc,
    Web,
    WebText,
    ConnectProto,
    ConnectJson,
    ConnectGet,
    Json,
    Lines,
    Events,
    Form,
    Multipart,
    Protobuf,
    HttpBody,
    Envelope,
    Plain,
}

impl Way {
    pub const ALL: [Way; 15] = [
        Way::Grpc,
        Way::Web,
        Way::WebText,
        Way::ConnectProto,
        Way::ConnectJson,
        Way::ConnectGet,
        Way::Json,
        Way::Lines,
        Way::Events,
        Way::Form,
        Way::Multipart,
        Way::Protobuf,
        Way::HttpBody,
        Way::Envelope,
        Way::Plain,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Way::Grpc => "gRPC",
            Way::Web => "gRPC-Web",
            Way::WebText => "gRPC-Web, text",
            Way::ConnectProto => "Connect, protobuf",
            Way::ConnectJson => "Connect, JSON",
            Way::ConnectGet => "Connect, GET",
            Way::Json => "REST, JSON",
            Way::Lines => "REST, NDJSON",
            Way::Events => "REST, server-sent events",
            Way::Form => "REST, form",
            Way::Multipart => "REST, multipart form",
            Way::Protobuf => "REST, protobuf",
            Way::HttpBody => "REST, `HttpBody`",
            Way::Envelope => "envelope",
            Way::Plain => "HTTP, untranslated",
        }
    }

    /// A message is a body's bytes: where one ends and the next begins is not kept.
    pub fn is_bytes(self, kind: Kind) -> bool {
        match self {
            Way::HttpBody | Way::Envelope | Way::Plain => true,
            // A file goes into a stream of `HttpBody`.
            Way::Multipart => kind.streams_up(),
            _ => false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Unary,
    Client,
    Server,
    Bidi,
}

impl Kind {
    pub const ALL: [Kind; 4] = [Kind::Unary, Kind::Client, Kind::Server, Kind::Bidi];

    pub fn word(self) -> &'static str {
        match self {
            Kind::Unary => "unary",
            Kind::Client => "client",
            Kind::Server => "server",
            Kind::Bidi => "bidi",
        }
    }

    pub fn streams_up(self) -> bool {
        matches!(self, Kind::Client | Kind::Bidi)
    }

    pub fn streams_down(self) -> bool {
        matches!(self, Kind::Server | Kind::Bidi)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Coding {
    Identity,
    Gzip,
}

/// How the call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    Ok,
    /// The servlet answers with a status alone.
    Before,
    /// The servlet's status comes after a first message.
    Midway,
    /// The servlet resets the call after a first message.
    Cut,
    /// The servlet hangs; after a first message where it may send more than one.
    Deadline,
    /// The caller breaks its side off while the servlet hangs.
    Gone,
}

impl Outcome {
    pub const ALL: [Outcome; 6] =
        [Outcome::Ok, Outcome::Before, Outcome::Midway, Outcome::Cut, Outcome::Deadline, Outcome::Gone];

    pub fn word(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Before => "error before",
            Outcome::Midway => "error midway",
            Outcome::Cut => "cut off",
            Outcome::Deadline => "deadline",
            Outcome::Gone => "caller gone",
        }
    }

    /// What the servlet is told to do.
    pub fn play(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Before => "before",
            Outcome::Midway => "midway",
            Outcome::Cut => "cut",
            Outcome::Deadline | Outcome::Gone => "hang",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Http {
    V10,
    V11,
    V2,
}

impl Http {
    pub const ALL: [Http; 3] = [Http::V10, Http::V11, Http::V2];

    pub fn word(self) -> &'static str {
        match self {
            Http::V10 => "HTTP/1.0",
            Http::V11 => "HTTP/1.1",
            Http::V2 => "HTTP/2",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    pub way: Way,
    pub kind: Kind,
    pub coding: Coding,
    pub outcome: Outcome,
    pub http: Http,
}

impl Cell {
    pub fn all() -> Vec<Cell> {
        let mut all = Vec::new();
        for way in Way::ALL {
            for kind in Kind::ALL {
                for coding in [Coding::Identity, Coding::Gzip] {
                    for outcome in Outcome::ALL {
                        all.extend(Http::ALL.map(|http| Cell { way, kind, coding, outcome, http }));
                    }
                }
            }
        }
        all
    }

    pub fn is_gzip(&self) -> bool {
        self.coding == Coding::Gzip
    }

    /// The texts that the caller sends, a message each.
    pub fn texts(&self) -> Vec<&'static str> {
        let one_message = matches!(self.way, Way::Form | Way::ConnectGet | Way::Protobuf);
        if self.kind.streams_up() && !one_message { vec!["one", "two"] } else { vec!["one"] }
    }

    /// The texts of the servlet's whole answer.
    pub fn replies(&self) -> Vec<String> {
        let texts = self.texts();
        match self.kind {
            Kind::Unary | Kind::Client => vec![texts.concat()],
            Kind::Server => vec!["one".to_owned(), "two".to_owned()],
            Kind::Bidi => texts.into_iter().map(str::to_owned).collect(),
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let coding = if self.is_gzip() { "gzip" } else { "identity" };
        let words = [self.way.name(), self.kind.word(), coding, self.outcome.word(), self.http.word()];
        f.write_str(&words.join(" · "))
    }
}
