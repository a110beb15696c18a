//! What a servlet says about how it is reached. Each of these may be written in a servlet's own file, or under `defaults:` in
//! `telamon.yaml` for all servlets whose files do not say.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Cors, Metadata};
use crate::balance::Policy;
use crate::discovery::{Count, Decode, Node, Reader, Size, did_you_mean, quoted_list, record};
use crate::translate::{self, Effort};

record! {
    /// How a servlet's endpoints are chosen and reached.
    pub struct ServletOptions {
        /// How an endpoint is chosen.
        pub balance: Balance = Balance::default(),
        /// How long a connection to an endpoint may take to come up. Replicas are near; one that needs longer is set aside.
        pub connect_timeout: Duration = Duration::from_secs(1),
        /// The largest single message that is translated, each way. The same as gRPC's own default.
        pub message_size: Size<1024, { 1 << 30 }> = Size::mib(4),
        /// The largest request body; no limit when left out, because bodies are carried on as they come and never held.
        pub body_size: Option<Size> = None,
        /// How much of a request body already sent is kept for another endpoint, until the answer's head arrives.
        pub replay_size: Size<0, { 64 << 20 }> = Size::kib(64),
        /// Connections to one endpoint, for each worker. Keeps one servlet from using up the host's ports.
        pub endpoint_connections: Count<1, 65_535> = Count::new(1024),
        /// How long a call may wait at one endpoint for a free connection or HTTP/2 stream, first come, first served; then another endpoint is asked, if there is one, or the caller told: 503, UNAVAILABLE.
        pub queue_timeout: Duration = Duration::from_secs(10),
        /// How long an HTTP/1 connection to an endpoint is kept without a call. Set it below the time that the servers keep theirs: a POST that meets a closing connection fails. 5 s is common; gunicorn has 2 s.
        pub endpoint_idle: Duration = Duration::from_secs(4),
        /// A connection with calls is asked whether it lives after this time. HTTP/2 only. gRPC servers take more than one in five minutes for abuse.
        pub ping_interval: Duration = Duration::from_secs(310),
        /// How long the answer may take before the connection is given up.
        pub ping_timeout: Duration = Duration::from_secs(20),
        /// How long an upgraded connection may be without a byte in either direction. WebSockets that live ping far more often; one whose ends are both gone must not be held for ever.
        pub tunnel_idle: Duration = Duration::from_secs(3600),
        /// Of the answers of translated calls, for callers that ask for it by `Accept-Encoding`: zstd, br, gzip or deflate. Bodies of requests are decoded in any case.
        pub compression: Compression = Compression::default(),
        /// What becomes of a new version of the schema that would break callers of the old one: `refuse` keeps the old, `allow` takes the new. Either way each change is told.
        pub schema_changes: SchemaChanges = SchemaChanges::default(),
        /// Which pages of other origins may call from a browser. When left out, nothing is said of it.
        pub cors: Option<Cors> = None,
        /// Which header fields and metadata go through, each way. gRPC upstreams only.
        pub metadata: Metadata = Metadata::default(),
    }
}

record! {
    /// How an endpoint is chosen.
    pub struct Balance {
        /// `fair_least_request`: shares follow weights, and slow or failing endpoints are shed. `round_robin`: the same order, blind to load.
        pub policy: Policy = Policy::default(),
    }
}

record! {
    /// How answers are compressed.
    pub struct Compression {
        /// Whether they are. On, since only callers that ask get it, and far ones gain more than near ones lose: 64 KiB of JSON take 0.2 ms.
        pub enabled: bool = true,
        /// Answers below this size go as they are, when their length is known: there is little to gain.
        pub min_size: Size<0, { 1 << 30 }> = Size::kib(1),
        /// How hard to look for a shorter form: `fast`, or `small`, which takes several times as long.
        pub effort: Effort = Effort::default(),
    }
}

impl Compression {
    /// As calls meet it; nothing when it is off.
    pub fn of_answers(&self) -> Option<translate::Compression> {
        let (min_size, effort) = (self.min_size.bytes(), self.effort);
        self.enabled.then_some(translate::Compression { min_size, effort })
    }
}

const EFFORTS: [(&str, Effort); 2] = [("fast", Effort::Fast), ("small", Effort::Small)];

impl Decode for Effort {
    fn decode(node: &Node, reader: &mut Reader) -> Option<Self> {
        word(node, reader, &EFFORTS)
    }

    fn schema() -> Value {
        json!({ "enum": EFFORTS.map(|(name, _)| name) })
    }

    fn written(&self) -> Value {
        EFFORTS.iter().find(|(_, effort)| effort == self).map_or(Value::Null, |(name, _)| (*name).into())
    }
}

/// One of a few words.
fn word<T: Copy>(node: &Node, reader: &mut Reader, words: &[(&'static str, T)]) -> Option<T> {
    let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
    let allowed = format!("one of {}", quoted_list(&names));
    let text = reader.text(node, &allowed)?;
    match words.iter().find(|(name, _)| *name == text) {
        Some((_, value)) => Some(*value),
        None => {
            let hint = did_you_mean(text, names);
            let problem = reader.report(node.at, "is not allowed");
            problem.value = Some(node.describe().into());
            problem.allowed = Some(allowed.into());
            problem.hint = hint.map(Into::into);
            None
        }
    }
}

impl Decode for Policy {
    fn decode(node: &Node, reader: &mut Reader) -> Option<Self> {
        word(node, reader, &Policy::ALL.map(|policy| (policy.name(), policy)))
    }

    fn schema() -> Value {
        json!({ "enum": Policy::ALL.map(Policy::name) })
    }

    fn written(&self) -> Value {
        self.name().into()
    }
}

/// What becomes of a schema that would break callers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SchemaChanges {
    /// The servlet goes on as it was, and the reload is refused.
    #[default]
    Refuse,
    /// It is taken, and told.
    Allow,
}

impl SchemaChanges {
    pub const ALL: [SchemaChanges; 2] = [SchemaChanges::Refuse, SchemaChanges::Allow];

    /// The word for it in files.
    pub fn name(self) -> &'static str {
        match self {
            SchemaChanges::Refuse => "refuse",
            SchemaChanges::Allow => "allow",
        }
    }
}

impl Decode for SchemaChanges {
    fn decode(node: &Node, reader: &mut Reader) -> Option<Self> {
        word(node, reader, &SchemaChanges::ALL.map(|changes| (changes.name(), changes)))
    }

    fn schema() -> Value {
        json!({ "enum": SchemaChanges::ALL.map(SchemaChanges::name) })
    }

    fn written(&self) -> Value {
        self.name().into()
    }
}

/// What the endpoints of a servlet speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Upstream {
    /// gRPC: every dialect is translated to it.
    #[default]
    Grpc,
    /// HTTP/1.1, carried through untranslated.
    Http1,
    /// HTTP/2 with prior knowledge, carried through untranslated.
    Http2,
}

impl Upstream {
    pub const ALL: [Upstream; 3] = [Upstream::Grpc, Upstream::Http1, Upstream::Http2];

    /// The word for it in files.
    pub fn name(self) -> &'static str {
        match self {
            Upstream::Grpc => "grpc",
            Upstream::Http1 => "http1",
            Upstream::Http2 => "http2",
        }
    }
}

impl Decode for Upstream {
    fn decode(node: &Node, reader: &mut Reader) -> Option<Self> {
        word(node, reader, &Upstream::ALL.map(|upstream| (upstream.name(), upstream)))
    }

    fn schema() -> Value {
        json!({ "enum": Upstream::ALL.map(Upstream::name) })
    }

    fn written(&self) -> Value {
        self.name().into()
    }
}
