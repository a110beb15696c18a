//! Requests onto a connection to a servlet: request line, fields and framing, always of HTTP/1.1. Framing is told by what is known of
//! the body and never by a field that somebody else wrote, so that two readers of it cannot differ.

use bytes::{BufMut, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use smallvec::SmallVec;

use super::delimiter::{BodyBroken, BodyLength, Delimiter};
use super::trailers;

/// Writes one request.
#[derive(Debug)]
pub struct RequestEncoder {
    delimiter: Delimiter,
    /// What the head says of the fields that will follow the body.
    announced: SmallVec<[HeaderValue; 1]>,
}

impl RequestEncoder {
    /// Writes the request line and fields to `out`. The head is one of ours: path and query alone in its URI, its authority in `Host`,
    /// no field that ends at this hop. `upgrade`: the protocols to change to, which a request has in a body's place.
    ///
    /// A body of unknown length goes in chunks. One that is empty is told by a length of 0 with methods that want a body
    /// (RFC 9110 §8.6), and with others not at all.
    pub fn start(
        head: &Request<()>,
        length: BodyLength,
        upgrade: Option<&HeaderValue>,
        out: &mut BytesMut,
    ) -> RequestEncoder {
        let (delimiter, length) = match length {
            _ if upgrade.is_some() => (Delimiter::None, None),
            BodyLength::Empty if [Method::POST, Method::PUT, Method::PATCH].contains(head.method()) => {
                (Delimiter::Length(0), Some(0))
            }
            BodyLength::Empty => (Delimiter::None, None),
            BodyLength::Exact(length) => (Delimiter::Length(length), Some(length)),
            BodyLength::Unknown => (Delimiter::Chunks { trailers: head.headers().contains_key(TRAILER) }, None),
        };
        let target = head.uri().path_and_query().map_or("/", |target| target.as_str());
        out.reserve(written_len(head, target));
        out.put_slice(head.method().as_str().as_bytes());
        out.put_slice(b" ");
        out.put_slice(target.as_bytes());
        out.put_slice(b" HTTP/1.1\r\n");
        // First, so that it is seen first (RFC 9110 §7.2).
        if let Some(host) = head.headers().get(HOST) {
            put_field(out, "host", host.as_bytes());
        }
        let chunked = matches!(delimiter, Delimiter::Chunks { .. });
        for (name, value) in head.headers() {
            if name != HOST && !is_ours(name) && (chunked || name != TRAILER) {
                put_field(out, name.as_str(), value.as_bytes());
            }
        }
        if let Some(length) = length {
            put_field(out, "content-length", itoa::Buffer::new().format(length).as_bytes());
        } else if chunked {
            put_field(out, "transfer-encoding", b"chunked");
        }
        if let Some(protocols) = upgrade {
            put_field(out, "connection", b"upgrade");
            put_field(out, "upgrade", protocols.as_bytes());
        }
        out.put_slice(b"\r\n");
        let announced =
            if chunked { head.headers().get_all(TRAILER).iter().cloned().collect() } else { SmallVec::new() };
        RequestEncoder { delimiter, announced }
    }

    /// Frames a piece of `len` bytes: writes what precedes it to `out`, and returns what must follow its bytes. After an error the
    /// connection must be closed, so that the servlet does not take the request for whole.
    pub fn frame(&mut self, len: usize, out: &mut BytesMut) -> Result<&'static [u8], BodyBroken> {
        self.delimiter.frame(len, out)
    }

    /// Ends the body: writes the last chunk, with those `trailers` that are allowed there and that the head announced. Others have gone
    /// with chunks so far that servers read without expecting any.
    pub fn end(&mut self, trailers: Option<&HeaderMap>, out: &mut BytesMut) -> Result<(), BodyBroken> {
        if let Delimiter::Chunks { .. } = self.delimiter.end()? {
            out.put_slice(b"0\r\n");
            for (name, value) in trailers.into_iter().flatten() {
                if trailers::is_allowed(name) && self.is_announced(name) {
                    out.reserve(name.as_str().len() + value.len() + 6);
                    put_field(out, name.as_str(), value.as_bytes());
                }
            }
            out.put_slice(b"\r\n");
        }
        Ok(())
    }

    fn is_announced(&self, name: &HeaderName) -> bool {
        let mut announced = self.announced.iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        announced.any(|field| field.trim_ascii().eq_ignore_ascii_case(name.as_str().as_bytes()))
    }
}

/// Fields that this writer has to itself, whoever put them into the map.
fn is_ours(name: &HeaderName) -> bool {
    name == CONTENT_LENGTH || name == TRANSFER_ENCODING || name == CONNECTION || name == UPGRADE
}

/// Room for all of a head, framing and an upgrade of the usual length included.
fn written_len(head: &Request<()>, target: &str) -> usize {
    const FIXED: usize = " HTTP/1.1\r\n".len() + "content-length: 18446744073709551615\r\n\r\n".len() + 64;
    let fields = head.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    head.method().as_str().len() + target.len() + FIXED + fields.sum::<usize>()
}

fn put_field(out: &mut BytesMut, name: &str, value: &[u8]) {
    out.put_slice(name.as_bytes());
    out.put_slice(b": ");
    out.put_slice(value);
    out.put_slice(b"\r\n");
}
