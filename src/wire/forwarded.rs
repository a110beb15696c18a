//! Who called, for the servlet to read: `X-Forwarded-For`, `-Proto` and `-Host`. A peer that is not trusted could write anything
//! there, so all that it wrote of the kind is replaced; what a trusted proxy wrote is kept and added to.

use std::net::{IpAddr, Ipv4Addr};

use http::header::{FORWARDED, HOST};
use http::{HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;

static FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// What a connection adds to each of its requests; made once a connection.
#[derive(Clone, Debug)]
pub struct Forwarding {
    peer: Option<HeaderValue>,
    scheme: HeaderValue,
    trusted: bool,
}

impl Forwarding {
    /// `peer` is `None` on a Unix socket. `scheme` is what the caller spoke: `http` or `https`. `trusted`: the peer is a proxy whose
    /// word counts.
    pub fn new(peer: Option<IpAddr>, scheme: &'static str, trusted: bool) -> Forwarding {
        // An IPv4 caller of a dual-stack socket is known by its IPv4 address.
        let peer = peer.and_then(|ip| match ip.to_canonical() {
            IpAddr::V4(ip) => dotted(ip),
            ip @ IpAddr::V6(_) => HeaderValue::try_from(ip.to_string()).ok(),
        });
        Forwarding { peer, scheme: HeaderValue::from_static(scheme), trusted }
    }

    /// Whether the peer is believed in what it says of others.
    pub fn is_trusted(&self) -> bool {
        self.trusted
    }

    /// What the caller spoke: `http` or `https`.
    pub fn scheme(&self) -> &[u8] {
        self.scheme.as_bytes()
    }

    /// Writes the fields. `Host` holds the authority; hop-by-hop fields were stripped before, or `Connection` could name these.
    pub fn apply(&self, headers: &mut HeaderMap) {
        if self.trusted {
            self.append(headers);
        } else {
            self.replace(headers);
        }
    }

    fn replace(&self, headers: &mut HeaderMap) {
        if headers.keys().any(is_claim) {
            let claims: SmallVec<[HeaderName; 4]> = headers.keys().filter(|name| is_claim(name)).cloned().collect();
            for name in claims {
                headers.remove(name);
            }
        }
        // None of these is there now.
        set(headers, &FOR, self.peer.clone());
        set(headers, &PROTO, Some(self.scheme.clone()));
        let host = headers.get(HOST).cloned();
        set(headers, &FORWARDED_HOST, host);
    }

    fn append(&self, headers: &mut HeaderMap) {
        if let Some(peer) = &self.peer {
            let chain = match headers.contains_key(&FOR) {
                true => joined(headers, peer),
                false => Some(peer.clone()),
            };
            set(headers, &FOR, chain);
        }
        if !headers.contains_key(&PROTO) {
            set(headers, &PROTO, Some(self.scheme.clone()));
        }
        if !headers.contains_key(&FORWARDED_HOST) {
            let host = headers.get(HOST).cloned();
            set(headers, &FORWARDED_HOST, host);
        }
    }
}

/// An address in text: written plainly, since callers with a connection a call pay for it in each.
fn dotted(ip: Ipv4Addr) -> Option<HeaderValue> {
    let mut text = SmallVec::<[u8; 16]>::new();
    for octet in ip.octets() {
        if !text.is_empty() {
            text.push(b'.');
        }
        text.extend_from_slice(itoa::Buffer::new().format(octet).as_bytes());
    }
    HeaderValue::from_bytes(&text).ok()
}

/// Whether a field says who called.
fn is_claim(name: &HeaderName) -> bool {
    *name == FORWARDED || name.as_str().starts_with("x-forwarded-")
}

/// The chain so far, its lines joined, with `peer` at its end.
fn joined(headers: &HeaderMap, peer: &HeaderValue) -> Option<HeaderValue> {
    let links: Vec<&[u8]> = headers.get_all(&FOR).iter().chain([peer]).map(HeaderValue::as_bytes).collect();
    HeaderValue::from_bytes(&links.join(&b", "[..])).ok()
}

/// A head is bounded far below what a map holds, so there is always room.
fn set(headers: &mut HeaderMap, name: &HeaderName, value: Option<HeaderValue>) {
    if let Some(value) = value {
        let _ = headers.try_insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forwarded(peer: Option<&str>, trusted: bool, fields: &[(&'static str, &'static str)]) -> Vec<(String, String)> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        Forwarding::new(peer.map(|ip| ip.parse().unwrap()), "http", trusted).apply(&mut headers);
        let mut all: Vec<_> =
            headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
        all.sort();
        all
    }

    fn fields(fields: &[(&str, &str)]) -> Vec<(String, String)> {
        fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn addresses_are_written_as_ever() {
        for ip in [
            "0.0.0.0",
            "1.2.3.4",
            "10.20.30.40",
            "127.0.0.1",
            "192.168.100.255",
            "255.255.255.255",
            "::1",
            "2001:db8::7",
        ] {
            assert_eq!(forwarded(Some(ip), false, &[])[0].1, ip);
        }
    }

    const FORGED: &[(&str, &str)] = &[
        ("forwarded", "for=6.6.6.6"),
        ("host", "a.example"),
        ("x-forwarded-client-cert", "forged"),
        ("x-forwarded-for", "6.6.6.6"),
        ("x-forwarded-for", "7.7.7.7"),
        ("x-forwarded-host", "evil"),
        ("x-forwarded-proto", "https"),
    ];

    #[test]
    fn what_a_stranger_claims_is_replaced() {
        assert_eq!(
            forwarded(Some("1.2.3.4"), false, FORGED),
            fields(&[
                ("host", "a.example"),
                ("x-forwarded-for", "1.2.3.4"),
                ("x-forwarded-host", "a.example"),
                ("x-forwarded-proto", "http"),
            ])
        );
        assert_eq!(
            forwarded(None, false, &FORGED[2..]),
            fields(&[("x-forwarded-proto", "http")]),
            "no address and no host to tell of"
        );
    }

    #[test]
    fn what_a_trusted_proxy_says_is_added_to() {
        assert_eq!(
            forwarded(Some("1.2.3.4"), true, FORGED),
            fields(&[
                ("forwarded", "for=6.6.6.6"),
                ("host", "a.example"),
                ("x-forwarded-client-cert", "forged"),
                ("x-forwarded-for", "6.6.6.6, 7.7.7.7, 1.2.3.4"),
                ("x-forwarded-host", "evil"),
                ("x-forwarded-proto", "https"),
            ])
        );
        assert_eq!(
            forwarded(Some("::ffff:1.2.3.4"), true, &[("host", "a")]),
            fields(&[
                ("host", "a"),
                ("x-forwarded-for", "1.2.3.4"),
                ("x-forwarded-host", "a"),
                ("x-forwarded-proto", "http"),
            ])
        );
    }
}
