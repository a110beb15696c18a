//! The static table (RFC 7541 Appendix A): fields that every connection knows from the start, parsed by the compiler, and the way back
//! from a name to its place.

use http::header;
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderName, HeaderValue, Method, StatusCode};

use super::field::Field;

/// Its length; the dynamic table's indexes begin after it.
pub(super) const LEN: usize = 61;

/// Places of pseudo-fields, the first of each name.
pub(super) const AUTHORITY: usize = 1;
pub(super) const METHOD: usize = 2;
pub(super) const PATH: usize = 4;
pub(super) const SCHEME: usize = 6;
pub(super) const STATUS: usize = 8;

/// Places of fields that the encoder has a rule of its own for.
pub(super) const ACCEPT_ENCODING: usize = 16;
pub(super) const AUTHORIZATION: usize = 23;
pub(super) const COOKIE: usize = 32;
pub(super) const PROXY_AUTHORIZATION: usize = 49;
pub(super) const SET_COOKIE: usize = 55;

/// The one value in the table that a header field has.
pub(super) const ACCEPTED_ENCODINGS: &str = "gzip, deflate";

/// The place of the first header field; the names of those are all different.
const FIRST_HEADER: usize = 15;

/// The field at `index`, counted from 1.
#[inline]
pub(super) fn get(index: usize) -> Option<&'static Field> {
    TABLE.get(index.wrapping_sub(1))
}

/// The place of the header field `name`.
pub(super) fn place_of(name: &[u8]) -> Option<usize> {
    let place = usize::from(*PLACES.get(slot(name)?)?);
    (*NAMES.get(place.checked_sub(FIRST_HEADER)?)? == name).then_some(place)
}

static TABLE: [Field; LEN] = [
    Field::Authority(HeaderValue::from_static("")),
    Field::Method(Method::GET),
    Field::Method(Method::POST),
    Field::Path(PathAndQuery::from_static("/")),
    Field::Path(PathAndQuery::from_static("/index.html")),
    Field::Scheme(Scheme::HTTP),
    Field::Scheme(Scheme::HTTPS),
    Field::Status(StatusCode::OK),
    Field::Status(StatusCode::NO_CONTENT),
    Field::Status(StatusCode::PARTIAL_CONTENT),
    Field::Status(StatusCode::NOT_MODIFIED),
    Field::Status(StatusCode::BAD_REQUEST),
    Field::Status(StatusCode::NOT_FOUND),
    Field::Status(StatusCode::INTERNAL_SERVER_ERROR),
    empty(header::ACCEPT_CHARSET),
    Field::Header(header::ACCEPT_ENCODING, HeaderValue::from_static(ACCEPTED_ENCODINGS)),
    empty(header::ACCEPT_LANGUAGE),
    empty(header::ACCEPT_RANGES),
    empty(header::ACCEPT),
    empty(header::ACCESS_CONTROL_ALLOW_ORIGIN),
    empty(header::AGE),
    empty(header::ALLOW),
    empty(header::AUTHORIZATION),
    empty(header::CACHE_CONTROL),
    empty(header::CONTENT_DISPOSITION),
    empty(header::CONTENT_ENCODING),
    empty(header::CONTENT_LANGUAGE),
    empty(header::CONTENT_LENGTH),
    empty(header::CONTENT_LOCATION),
    empty(header::CONTENT_RANGE),
    empty(header::CONTENT_TYPE),
    empty(header::COOKIE),
    empty(header::DATE),
    empty(header::ETAG),
    empty(header::EXPECT),
    empty(header::EXPIRES),
    empty(header::FROM),
    empty(header::HOST),
    empty(header::IF_MATCH),
    empty(header::IF_MODIFIED_SINCE),
    empty(header::IF_NONE_MATCH),
    empty(header::IF_RANGE),
    empty(header::IF_UNMODIFIED_SINCE),
    empty(header::LAST_MODIFIED),
    empty(header::LINK),
    empty(header::LOCATION),
    empty(header::MAX_FORWARDS),
    empty(header::PROXY_AUTHENTICATE),
    empty(header::PROXY_AUTHORIZATION),
    empty(header::RANGE),
    empty(header::REFERER),
    empty(header::REFRESH),
    empty(header::RETRY_AFTER),
    empty(header::SERVER),
    empty(header::SET_COOKIE),
    empty(header::STRICT_TRANSPORT_SECURITY),
    empty(header::TRANSFER_ENCODING),
    empty(header::USER_AGENT),
    empty(header::VARY),
    empty(header::VIA),
    empty(header::WWW_AUTHENTICATE),
];

const fn empty(name: HeaderName) -> Field {
    Field::Header(name, HeaderValue::from_static(""))
}

/// The names of the header fields, in the table's order.
#[rustfmt::skip]
const NAMES: [&[u8]; LEN + 1 - FIRST_HEADER] = [
    b"accept-charset", b"accept-encoding", b"accept-language", b"accept-ranges", b"accept",
    b"access-control-allow-origin", b"age", b"allow", b"authorization", b"cache-control", b"content-disposition",
    b"content-encoding", b"content-language", b"content-length", b"content-location", b"content-range",
    b"content-type", b"cookie", b"date", b"etag", b"expect", b"expires", b"from", b"host", b"if-match",
    b"if-modified-since", b"if-none-match", b"if-range", b"if-unmodified-since", b"last-modified", b"link",
    b"location", b"max-forwards", b"proxy-authenticate", b"proxy-authorization", b"range", b"referer", b"refresh",
    b"retry-after", b"server", b"set-cookie", b"strict-transport-security", b"transfer-encoding", b"user-agent",
    b"vary", b"via", b"www-authenticate",
];

const SLOTS: usize = 128;

/// By the [`slot`] of its name, the place of each header field; 0 where there is none.
static PLACES: [u8; SLOTS] = places();

#[allow(clippy::indexing_slicing, reason = "worked out by the compiler, which refuses an index that is out of bounds")]
const fn places() -> [u8; SLOTS] {
    let mut places = [0; SLOTS];
    let mut nth = 0;
    while nth < NAMES.len() {
        if let Some(slot) = slot(NAMES[nth]) {
            assert!(places[slot] == 0, "two names in one slot: choose another factor");
            places[slot] = (FIRST_HEADER + nth) as u8;
        }
        nth += 1;
    }
    places
}

/// A hash that gives each name of the table a slot of its own.
#[inline]
#[allow(clippy::indexing_slicing, reason = "half the length of what is not empty lies inside")]
const fn slot(name: &[u8]) -> Option<usize> {
    /// Found by trying.
    const FACTOR: u32 = 0xf0f7_7331;
    let ([first, ..], [.., last]) = (name, name) else { return None };
    let key = name.len() as u32 ^ (*first as u32) << 8 ^ (name[name.len() / 2] as u32) << 16 ^ (*last as u32) << 24;
    Some((key.wrapping_mul(FACTOR) >> (u32::BITS - SLOTS.ilog2())) as usize)
}
