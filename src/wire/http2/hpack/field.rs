//! Fields as the rest of the house knows them, and the rules by which bytes become one (RFC 9113 §8.2.1, §8.3). We judge a field by
//! itself: which fields belong into which head, and how often, is for whoever reads the head.

use http::uri::{PathAndQuery, Scheme};
use http::{HeaderName, HeaderValue, Method, StatusCode};

use super::FIELD_OVERHEAD;

/// One decoded field, parsed once: what refers to the table shares the parsed value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    Method(Method),
    Scheme(Scheme),
    /// A lawful field value, maybe empty; whether it names a host is for the reader to judge.
    Authority(HeaderValue),
    /// It begins with `/` or `?`, or is `*`.
    Path(PathAndQuery),
    Status(StatusCode),
    /// The value is sensitive when its writer wants it in no table (RFC 7541 §7.1.3): the next hop shall keep to that.
    Header(HeaderName, HeaderValue),
    /// A field that HTTP/2 forbids, and why: a malformed name or value, an unknown pseudo-field (`:protocol` too), a path, method,
    /// scheme or status that is none. It concerns its stream alone.
    Malformed(&'static str),
}

impl Field {
    /// Name, value and 32, in bytes (RFC 7541 §4.1; RFC 9113 §6.5.2 counts header lists by it). Of a malformed field, whose text is
    /// not kept, the 32 alone.
    pub fn size(&self) -> usize {
        let text = match self {
            Field::Method(method) => ":method".len() + method.as_str().len(),
            Field::Scheme(scheme) => ":scheme".len() + scheme.as_str().len(),
            Field::Authority(authority) => ":authority".len() + authority.len(),
            Field::Path(path) => ":path".len() + path.as_str().len(),
            Field::Status(_) => ":status".len() + 3,
            Field::Header(name, value) => name.as_str().len() + value.len(),
            Field::Malformed(_) => 0,
        };
        text + FIELD_OVERHEAD
    }
}

/// The name of a field, which decides how its value is read.
#[derive(Clone, Debug)]
pub(super) enum Name {
    Method,
    Scheme,
    Authority,
    Path,
    Status,
    Header(HeaderName),
    /// No value makes a field of it.
    Malformed {
        len: usize,
        why: &'static str,
    },
}

/// A field that HTTP/2 forbids. Its name stays, since a later field may refer to it and give it a better value.
pub(super) struct Malformed {
    pub(super) why: &'static str,
    pub(super) name: Name,
}

impl Name {
    pub(super) fn parse(text: &[u8]) -> Name {
        let malformed = |why| Name::Malformed { len: text.len(), why };
        match text {
            b":method" => Name::Method,
            b":scheme" => Name::Scheme,
            b":authority" => Name::Authority,
            b":path" => Name::Path,
            b":status" => Name::Status,
            [b':', ..] => malformed("unknown pseudo-field"),
            // `http` takes this for part of a name; no token holds it (RFC 9110 §5.6.2).
            _ if text.contains(&b'"') => malformed("malformed field name"),
            _ => match HeaderName::from_lowercase(text) {
                Ok(name) => Name::Header(name),
                Err(_) => malformed("malformed field name"),
            },
        }
    }

    /// The name of a field that is sound.
    pub(super) fn of(field: &Field) -> Name {
        match field {
            Field::Method(_) => Name::Method,
            Field::Scheme(_) => Name::Scheme,
            Field::Authority(_) => Name::Authority,
            Field::Path(_) => Name::Path,
            Field::Status(_) => Name::Status,
            Field::Header(name, _) => Name::Header(name.clone()),
            Field::Malformed(why) => Name::Malformed { len: 0, why },
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Name::Method => ":method".len(),
            Name::Scheme => ":scheme".len(),
            Name::Authority => ":authority".len(),
            Name::Path => ":path".len(),
            Name::Status => ":status".len(),
            Name::Header(name) => name.as_str().len(),
            Name::Malformed { len, .. } => *len,
        }
    }

    /// The field of this name and `value`.
    pub(super) fn with(self, value: &[u8]) -> Result<Field, Malformed> {
        let parsed = match &self {
            Name::Header(_) => {
                return match HeaderValue::from_bytes(value).ok() {
                    // Spaces around it are for whoever knows whose it is: an answer is not lost for them.
                    Some(value) => Ok(self.with_header_value(value)),
                    None => Err(Malformed { why: "malformed field value", name: self }),
                };
            }
            Name::Path => path(value).map(Field::Path).ok_or("malformed :path"),
            Name::Authority => authority(value).map(Field::Authority).ok_or("malformed :authority"),
            Name::Method => Method::from_bytes(value).map(Field::Method).map_err(|_| "malformed :method"),
            Name::Scheme => scheme(value).map(Field::Scheme).ok_or("malformed :scheme"),
            Name::Status => StatusCode::from_bytes(value).map(Field::Status).map_err(|_| "malformed :status"),
            Name::Malformed { why, .. } => Err(*why),
        };
        parsed.map_err(|why| Malformed { why, name: self })
    }

    fn with_header_value(self, value: HeaderValue) -> Field {
        match self {
            Name::Header(name) => Field::Header(name, value),
            Name::Method | Name::Scheme | Name::Authority | Name::Path | Name::Status | Name::Malformed { .. } => {
                Field::Malformed("malformed field name")
            }
        }
    }
}

/// Without control characters but tabs, and with neither spaces nor tabs around it.
fn authority(text: &[u8]) -> Option<HeaderValue> {
    if let [b' ' | b'\t', ..] | [.., b' ' | b'\t'] = text {
        return None;
    }
    HeaderValue::from_bytes(text).ok()
}

fn path(text: &[u8]) -> Option<PathAndQuery> {
    // What parses URIs would cut a fragment off, and say nothing.
    if text.contains(&b'#') {
        return None;
    }
    PathAndQuery::try_from(text).ok()
}

fn scheme(text: &[u8]) -> Option<Scheme> {
    // It begins with a letter (RFC 3986 §3.1).
    text.first().filter(|first| first.is_ascii_alphabetic()).and_then(|_| Scheme::try_from(text).ok())
}
