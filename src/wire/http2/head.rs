//! Heads out of decoded fields, and what makes one malformed (RFC 9113 §8.1.1, §8.2, §8.3): that is the fault of its stream alone.

use http::header::{CONTENT_LENGTH, HeaderName, TE};
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::hpack::Field;
use crate::wire::framing::parse_length;
use crate::wire::hop_by_hop::ends_here;

/// A request's head, as it came: what HTTP/2 itself says is checked, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    pub method: Method,
    pub scheme: Option<Scheme>,
    pub authority: Option<HeaderValue>,
    pub path: Option<PathAndQuery>,
    pub fields: HeaderMap,
    /// Some fields are left out, since there are more than may be.
    pub is_cut: bool,
}

/// The head of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyHead {
    pub status: StatusCode,
    pub fields: HeaderMap,
}

/// What may be of one head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadRoom {
    /// Of all fields, as [`Field::size`] counts them.
    pub bytes: usize,
    pub fields: usize,
}

/// Room for the fields of most requests, with those that say where it came from.
const REQUEST_FIELDS: usize = 12;

/// Gathers the fields of one block.
#[derive(Debug)]
pub(super) struct Gathered {
    room: HeadRoom,
    method: Option<Method>,
    scheme: Option<Scheme>,
    authority: Option<HeaderValue>,
    path: Option<PathAndQuery>,
    status: Option<StatusCode>,
    fields: HeaderMap,
    /// A pseudo-field has come.
    has_pseudo: bool,
    is_cut: bool,
    malformed: Option<&'static str>,
}

impl Gathered {
    pub(super) fn new(room: HeadRoom) -> Gathered {
        Gathered {
            room,
            method: None,
            scheme: None,
            authority: None,
            path: None,
            status: None,
            fields: HeaderMap::new(),
            has_pseudo: false,
            is_cut: false,
            malformed: None,
        }
    }

    pub(super) fn take(&mut self, field: Field) {
        let size = field.size();
        if size > self.room.bytes {
            self.room.bytes = 0;
            self.is_cut = true;
            return;
        }
        self.room.bytes -= size;
        match field {
            Field::Header(name, value) => return self.take_header(name, value),
            Field::Method(method) => Gathered::set(&mut self.method, method, &mut self.malformed),
            Field::Scheme(scheme) => Gathered::set(&mut self.scheme, scheme, &mut self.malformed),
            Field::Authority(authority) => Gathered::set(&mut self.authority, authority, &mut self.malformed),
            Field::Path(path) => Gathered::set(&mut self.path, path, &mut self.malformed),
            Field::Status(status) => Gathered::set(&mut self.status, status, &mut self.malformed),
            Field::Malformed(why) => {
                self.malformed = Some(why);
                return;
            }
        }
        self.has_pseudo = true;
        if !self.fields.is_empty() {
            self.malformed = Some("a pseudo-field behind other fields");
        }
    }

    fn take_header(&mut self, name: HeaderName, value: HeaderValue) {
        let is_request = self.method.is_some();
        // A request has more of them than an answer, and gets some of ours.
        if self.fields.is_empty() && is_request {
            self.fields.reserve(REQUEST_FIELDS);
        }
        // Of a request it is refused by an answer. An answer's work is done, and gRPC lets whoever passes it on take the space off
        // (PROTOCOL-HTTP2.md, `ASCII-Value`).
        let value = if is_request { value } else { within(value) };
        let is_there = self.fields.len() < self.room.fields && self.fields.try_append(name, value).is_ok();
        self.is_cut |= !is_there;
    }

    fn set<T>(place: &mut Option<T>, value: T, malformed: &mut Option<&'static str>) {
        if place.replace(value).is_some() {
            *malformed = Some("a pseudo-field twice");
        }
    }

    /// Whether it begins a request, and is not what ends one.
    pub(super) fn is_request(&self) -> bool {
        self.method.is_some() || self.path.is_some()
    }

    /// # Errors
    /// Why it is malformed.
    pub(super) fn into_request(self) -> Result<RequestHead, &'static str> {
        if let Some(why) = self.malformed {
            return Err(why);
        }
        // What was left out may be missing: the answer says that there was too much.
        let method = match self.method {
            Some(method) => method,
            None if self.is_cut => Method::GET,
            None => return Err("a request without a method"),
        };
        let (has_scheme, has_path) = (self.scheme.is_some(), self.path.is_some());
        if self.status.is_some() {
            return Err("a status in a request");
        }
        // RFC 9113 §8.5: to CONNECT there is only a host.
        let is_connect = method == Method::CONNECT;
        if (has_scheme, has_path) != (!is_connect, !is_connect) && !self.is_cut {
            return Err(if is_connect {
                "CONNECT with a scheme or a path"
            } else {
                "a request without a scheme or a path"
            });
        }
        // Fields of connections are refused by an answer, as in HTTP/1.
        let Gathered { scheme, authority, path, fields, is_cut, .. } = self;
        Ok(RequestHead { method, scheme, authority, path, fields, is_cut })
    }

    /// # Errors
    /// Why it is malformed.
    pub(super) fn into_reply(self) -> Result<ReplyHead, &'static str> {
        let Gathered { malformed, method, scheme, authority, path, status, fields, is_cut, .. } = self;
        if let Some(why) = malformed {
            return Err(why);
        }
        if method.is_some() || scheme.is_some() || authority.is_some() || path.is_some() {
            return Err("a request's pseudo-field in an answer");
        }
        if is_cut {
            return Err("a head that is larger than the limit");
        }
        if let Some(why) = of_connections(&fields) {
            return Err(why);
        }
        let status = status.ok_or("an answer without a status")?;
        // RFC 9113 §8.6.
        if status == StatusCode::SWITCHING_PROTOCOLS {
            return Err("an answer with status 101");
        }
        Ok(ReplyHead { status, fields })
    }

    /// # Errors
    /// Why they are malformed.
    pub(super) fn into_trailers(self) -> Result<HeaderMap, &'static str> {
        match self.malformed {
            Some(why) => Err(why),
            None if self.has_pseudo => Err("a pseudo-field in trailers"),
            None if self.is_cut => Err("trailers that are larger than the limit"),
            None => of_connections(&self.fields).map_or(Ok(self.fields), Err),
        }
    }
}

/// Whether there is space around a value, which RFC 9113 §8.2.1 forbids.
pub(in crate::wire) fn has_space_around(value: &HeaderValue) -> bool {
    matches!(value.as_bytes(), [b' ' | b'\t', ..] | [.., b' ' | b'\t'])
}

/// A value without the space around it.
fn within(value: HeaderValue) -> HeaderValue {
    if !has_space_around(&value) {
        return value;
    }
    let mut within = HeaderValue::from_bytes(value.as_bytes().trim_ascii()).unwrap_or_else(|_| value.clone());
    within.set_sensitive(value.is_sensitive());
    within
}

/// Fields of HTTP/1 connections (RFC 9113 §8.2.2).
fn of_connections(fields: &HeaderMap) -> Option<&'static str> {
    let mut of_hop = fields.iter().filter(|(name, _)| ends_here(name) && name.as_str() != "http2-settings");
    of_hop.find_map(|(name, value)| match name == TE {
        true if value.as_bytes().eq_ignore_ascii_case(b"trailers") => None,
        true => Some("`te` other than `trailers`"),
        false => Some("a field of HTTP/1 connections"),
    })
}

/// How long the body is that `fields` promise.
///
/// # Errors
/// It is no number, or there are several (RFC 9110 §8.6).
pub(super) fn promised(fields: &HeaderMap) -> Result<Option<u64>, &'static str> {
    let mut values = fields.get_all(CONTENT_LENGTH).iter();
    let Some(first) = values.next() else { return Ok(None) };
    let length = parse_length(first.as_bytes()).filter(|_| values.all(|other| other == first));
    length.map(Some).ok_or("a malformed content-length")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: HeadRoom = HeadRoom { bytes: 1000, fields: 5 };

    fn header(name: &'static str, value: &'static str) -> Field {
        Field::Header(HeaderName::from_static(name), HeaderValue::from_static(value))
    }

    fn gathered(fields: &[Field]) -> Gathered {
        let mut gathered = Gathered::new(ROOM);
        for field in fields {
            gathered.take(field.clone());
        }
        gathered
    }

    fn path() -> Field {
        Field::Path(PathAndQuery::from_static("/a"))
    }

    #[test]
    fn a_request_has_a_method_a_scheme_and_a_path_once_and_in_front() {
        let (get, http) = (Field::Method(Method::GET), Field::Scheme(Scheme::HTTP));
        let sound = [get.clone(), http.clone(), path(), header("te", "trailers"), header("x", "1"), header("x", "2")];
        let head = gathered(&sound).into_request().unwrap();
        assert_eq!((head.method, head.path.unwrap().as_str(), head.fields.len()), (Method::GET, "/a", 3));
        let connect = Field::Method(Method::CONNECT);
        assert!(gathered(&[connect.clone(), Field::Authority(HeaderValue::from_static("a:1"))]).into_request().is_ok());
        for malformed in [
            &[][..],
            &[get.clone(), http.clone()],
            &[get.clone(), path()],
            &[http.clone(), path()],
            &[get.clone(), get.clone(), http.clone(), path()],
            &[get.clone(), http.clone(), path(), path()],
            &[get.clone(), header("x", "1"), http.clone(), path()],
            &[get.clone(), http.clone(), path(), Field::Status(StatusCode::OK)],
            &[get.clone(), http.clone(), path(), Field::Malformed("")],
            &[connect, http.clone(), path()],
        ] {
            assert!(gathered(malformed).into_request().is_err(), "{malformed:?}");
        }
    }

    #[test]
    fn an_answer_has_a_status_and_trailers_have_nothing_of_the_kind() {
        let ok = Field::Status(StatusCode::OK);
        assert_eq!(gathered(&[ok.clone(), header("x", "1")]).into_reply().unwrap().status, StatusCode::OK);
        assert!(gathered(&[header("x", "1")]).into_reply().is_err());
        assert!(gathered(&[ok.clone(), path()]).into_reply().is_err());
        for (name, value) in [("te", "gzip"), ("connection", "close"), ("transfer-encoding", "chunked")] {
            assert!(gathered(&[ok.clone(), header(name, value)]).into_reply().is_err(), "{name}");
        }
        assert!(gathered(&[Field::Status(StatusCode::SWITCHING_PROTOCOLS)]).into_reply().is_err());
        assert_eq!(gathered(&[header("x", "1")]).into_trailers().unwrap().len(), 1);
        assert!(gathered(&[ok]).into_trailers().is_err());
        assert!(gathered(&[header("connection", "close")]).into_trailers().is_err());
    }

    #[test]
    fn what_is_too_much_is_left_out_and_said() {
        let (get, http) = (Field::Method(Method::GET), Field::Scheme(Scheme::HTTP));
        let mut fields = vec![get, http, path()];
        fields.extend((0..5).map(|_| header("x", "1")));
        assert!(!gathered(&fields).into_request().unwrap().is_cut);
        fields.push(header("x", "1"));
        let head = gathered(&fields).into_request().unwrap();
        assert!(head.is_cut && head.fields.len() == 5);
        let long = Field::Header(HeaderName::from_static("x"), HeaderValue::from_bytes(&[b'a'; 1000]).unwrap());
        assert!(gathered(&[Field::Status(StatusCode::OK), long.clone()]).into_reply().is_err());
        assert!(gathered(&[long]).into_trailers().is_err());
        // The answer is the same when a pseudo-field is what is too much.
        let path = Field::Path(PathAndQuery::try_from(format!("/{}", "a".repeat(1000))).unwrap());
        for fields in [[Field::Method(Method::GET), path.clone()], [path, Field::Method(Method::GET)]] {
            assert!(gathered(&fields).into_request().unwrap().is_cut);
        }
    }

    #[test]
    fn a_length_is_one_number() {
        let of = |values: &[&'static str]| {
            let mut fields = HeaderMap::new();
            for value in values {
                fields.append(CONTENT_LENGTH, HeaderValue::from_static(value));
            }
            promised(&fields)
        };
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&["12"]), Ok(Some(12)));
        assert_eq!(of(&["12", "12"]), Ok(Some(12)));
        for malformed in [&["12", "13"][..], &["+1"], &[""], &["1, 1"], &["99999999999999999999"]] {
            assert!(of(malformed).is_err(), "{malformed:?}");
        }
    }
}
