//! Fields that speak to this hop and end here (RFC 9110 §7.6.1), on the way in and on the way out. What `Connection` names goes
//! with it; naming a field that routing, authorization, framing or gRPC live by is an attempt to take it from the next reader, and
//! is refused.

use http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;

use super::framing::is_token;
use super::refusal::Refusal;
use crate::model::{Fault, Stage};

const BAD_CONNECTION: Refusal = Refusal::head("malformed Connection");
const PROTECTED: Refusal = Refusal::head("Connection names a field that must reach the servlet");

/// What a request said to this hop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HopByHop {
    pub close: bool,
    pub keep_alive: bool,
    /// `TE: trailers` (RFC 9110 §10.1.4).
    pub accepts_trailers: bool,
    /// The protocols of `Upgrade` when `Connection` names it, without `h2c`, which is not offered here (RFC 9113 §3.1).
    pub upgrade: Option<HeaderValue>,
}

/// Takes the hop-by-hop fields out of a request and tells what they said. `Connection` that is malformed, or that names `Host`,
/// `Authorization`, a framing field or `grpc-*`, is refused with `Kind::MalformedHead`.
pub fn strip_request(headers: &mut HeaderMap) -> Result<HopByHop, Fault> {
    let mut collector = Collector::default();
    for name in [CONNECTION, UPGRADE, TE] {
        for value in headers.get_all(&name) {
            collector.take(&name, value);
        }
    }
    remove_always(headers);
    collector.finish(headers).map_err(|refusal| refusal.at(Stage::Head))
}

/// Takes the hop-by-hop fields out of a reply. Nothing is refused: a servlet gains nothing by naming the wrong fields, which stay.
/// A 101's `Upgrade` goes too, so whoever switches protocols reads it first.
pub fn strip_reply(headers: &mut HeaderMap) {
    if !headers.keys().any(ends_here) {
        return;
    }
    let named: SmallVec<[HeaderValue; 1]> = headers.get_all(CONNECTION).iter().cloned().collect();
    remove_always(headers);
    leave(&named, headers);
}

/// What a reply said of its connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Persistence {
    pub(super) close: bool,
    pub(super) keep_alive: bool,
}

/// Removes what `Connection` names from the fields of a reply that go on, but for `Upgrade`: whether that goes on is known to whoever
/// knows the status.
pub(super) fn leave(connection: &[HeaderValue], headers: &mut HeaderMap) -> Persistence {
    let mut said = Persistence::default();
    for option in connection.iter().flat_map(options).filter_map(|option| std::str::from_utf8(option).ok()) {
        if option.eq_ignore_ascii_case("close") {
            said.close = true;
        } else if option.eq_ignore_ascii_case("keep-alive") {
            said.keep_alive = true;
        } else if !is_protected(option) && !UPGRADE.as_str().eq_ignore_ascii_case(option) {
            headers.remove(option);
        }
    }
    said
}

/// Drops fields whose names hold `_`, for the way from HTTP/1 to an untranslated servlet: CGI and its heirs read `a_b` and `a-b`
/// as one name, so a caller could forge a field that the proxy wrote. Never for gRPC, whose metadata may have such names.
pub fn drop_underscored(headers: &mut HeaderMap) {
    let is_underscored = |name: &HeaderName| name.as_str().as_bytes().contains(&b'_');
    if !headers.keys().any(is_underscored) {
        return;
    }
    let names: SmallVec<[HeaderName; 4]> = headers.keys().filter(|name| is_underscored(name)).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// Whether a field ends at this hop even when `Connection` does not name it.
pub(super) fn ends_here(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "keep-alive" | "proxy-connection" | "te" | "transfer-encoding" | "upgrade" | "http2-settings" | "connection"
    )
}

/// Looks before it removes: few heads have any of these, and each removal is a search.
fn remove_always(headers: &mut HeaderMap) {
    let names: SmallVec<[HeaderName; 4]> = headers.keys().filter(|name| ends_here(name)).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// Gathers what one head says to this hop, field by field.
#[derive(Debug, Default)]
pub(super) struct Collector {
    connection: SmallVec<[HeaderValue; 1]>,
    upgrade: SmallVec<[HeaderValue; 1]>,
    accepts_trailers: bool,
}

impl Collector {
    /// Takes a field that ends here; `false` for one that goes on.
    pub(super) fn take(&mut self, name: &HeaderName, value: &HeaderValue) -> bool {
        if name == CONNECTION {
            self.connection.push(value.clone());
        } else if name == UPGRADE {
            self.upgrade.push(value.clone());
        } else if name == TE {
            self.accepts_trailers |= options(value).any(|coding| coding.eq_ignore_ascii_case(b"trailers"));
        } else {
            return ends_here(name);
        }
        true
    }

    /// Removes what `Connection` named from the fields that went on.
    pub(super) fn finish(self, headers: &mut HeaderMap) -> Result<HopByHop, Refusal> {
        let mut hop = HopByHop { accepts_trailers: self.accepts_trailers, ..HopByHop::default() };
        let mut names_upgrade = false;
        for option in self.connection.iter().flat_map(options) {
            if option.eq_ignore_ascii_case(b"close") {
                hop.close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                hop.keep_alive = true;
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                names_upgrade = true;
            } else {
                let name = std::str::from_utf8(option).map_err(|_| BAD_CONNECTION)?;
                if !is_token(option) {
                    return Err(BAD_CONNECTION);
                }
                if is_protected(name) {
                    return Err(PROTECTED);
                }
                headers.remove(name);
            }
        }
        if names_upgrade {
            hop.upgrade = offered(&self.upgrade);
        }
        Ok(hop)
    }
}

/// The members of a comma-separated list; empty ones do not count (RFC 9110 §5.6.1.2).
fn options(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|option| !option.is_empty())
}

fn is_protected(name: &str) -> bool {
    const GRPC: &[u8] = b"grpc-";
    [HOST, AUTHORIZATION, CONTENT_LENGTH, TRANSFER_ENCODING]
        .iter()
        .any(|protected| protected.as_str().eq_ignore_ascii_case(name))
        || name.as_bytes().get(..GRPC.len()).is_some_and(|start| start.eq_ignore_ascii_case(GRPC))
}

/// The protocols offered (RFC 9110 §7.8), `h2c` left out. A list that is not of protocols offers nothing: a server may always
/// ignore `Upgrade`.
fn offered(values: &[HeaderValue]) -> Option<HeaderValue> {
    let is_h2c = |protocol: &&[u8]| protocol.eq_ignore_ascii_case(b"h2c");
    if !values.iter().flat_map(options).all(|protocol| protocol.splitn(2, |byte| *byte == b'/').all(is_token)) {
        return None;
    }
    match values {
        [value] if !options(value).any(|protocol| is_h2c(&protocol)) => options(value).next().map(|_| value.clone()),
        _ => {
            let left: Vec<&[u8]> = values.iter().flat_map(options).filter(|protocol| !is_h2c(protocol)).collect();
            if left.is_empty() { None } else { HeaderValue::from_bytes(&left.join(&b", "[..])).ok() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;

    fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn upgrade(fields: &[(&'static str, &'static str)]) -> Option<String> {
        let hop = strip_request(&mut map(fields)).unwrap();
        hop.upgrade.map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn what_ends_here_goes_and_is_told() {
        let mut headers = map(&[
            ("connection", "Keep-Alive, x-mine,, TE"),
            ("connection", "X-Other"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("te", "gzip;q=0.5, Trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "websocket"),
            ("http2-settings", "AAAA"),
            ("x-mine", "1"),
            ("x-other", "2"),
            ("x-stays", "3"),
        ]);
        let hop = strip_request(&mut headers).unwrap();
        assert_eq!(hop, HopByHop { close: false, keep_alive: true, accepts_trailers: true, upgrade: None });
        assert_eq!(headers, map(&[("x-stays", "3")]));
    }

    #[test]
    fn close_is_heard_in_any_case() {
        for value in ["close", "Close", "foo, CLOSE", "keep-alive,close"] {
            assert!(strip_request(&mut map(&[("connection", value)])).unwrap().close, "{value}");
        }
        assert!(!strip_request(&mut map(&[("connection", "closed, x-close")])).unwrap().close);
    }

    #[test]
    fn fields_that_others_live_by_cannot_be_named() {
        for value in [
            "host",
            "Host, close",
            "Authorization",
            "content-length",
            "Transfer-Encoding",
            "grpc-timeout",
            "close, GRPC-Status",
            "a b",
            "\"close\"",
            "close;",
            ":path",
            "x=1",
            "caf\u{e9}",
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONNECTION, HeaderValue::from_bytes(value.as_bytes()).unwrap());
            assert_eq!(strip_request(&mut headers).unwrap_err().kind, Kind::MalformedHead, "{value}");
        }
        assert!(strip_request(&mut map(&[("connection", "TE, grpc, hosts, te")])).is_ok());
    }

    #[test]
    fn an_upgrade_is_one_that_connection_names_and_never_h2c() {
        for (connection, value, offer) in [
            ("upgrade", "websocket", Some("websocket")),
            ("keep-alive, Upgrade", "foo/1, bar", Some("foo/1, bar")),
            ("upgrade, http2-settings", "h2c", None),
            ("upgrade", "H2C, websocket", Some("websocket")),
            ("keep-alive", "websocket", None),
            ("upgrade", "", None),
            ("upgrade", "web socket", None),
            ("upgrade", "a/b/c", None),
        ] {
            let fields = [("connection", connection), ("upgrade", value)];
            assert_eq!(upgrade(&fields).as_deref(), offer, "{connection} {value}");
        }
        let two = [("connection", "upgrade"), ("upgrade", "a"), ("upgrade", "h2c, b")];
        assert_eq!(upgrade(&two).as_deref(), Some("a, b"));
        assert_eq!(upgrade(&[("connection", "upgrade")]), None);
    }

    #[test]
    fn a_reply_loses_the_same_fields_but_none_that_must_arrive() {
        let mut headers = map(&[
            ("connection", "x-mine, content-length, grpc-status, \"odd\""),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2"),
            ("x-mine", "1"),
            ("content-length", "3"),
            ("grpc-status", "0"),
        ]);
        strip_reply(&mut headers);
        assert_eq!(headers, map(&[("content-length", "3"), ("grpc-status", "0")]));
    }

    #[test]
    fn names_with_underscores_can_be_dropped() {
        let mut headers = map(&[("x_forwarded_for", "1"), ("x-a", "2"), ("content_length", "3")]);
        drop_underscored(&mut headers);
        assert_eq!(headers, map(&[("x-a", "2")]));
    }
}
