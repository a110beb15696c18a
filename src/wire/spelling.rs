//! How a head was spelled: the order of its fields and the case of their names, which HTTP/1 has on the wire and a `HeaderMap` does
//! not keep. It holds no values: those of the map count, whoever changed it since, and what is gone from there is not written.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

/// The spelling of one head. As an extension of a response, it is how HTTP/1 callers get its fields.
#[derive(Clone, Debug, Default)]
pub struct Spelling {
    reason: Option<Bytes>,
    names: Vec<Spelled>,
}

#[derive(Clone, Debug)]
struct Spelled {
    name: HeaderName,
    as_written: Bytes,
    /// Which of the fields of this name it is.
    nth: usize,
}

impl Spelling {
    /// That of a request's head which has been parsed.
    pub fn of_request(head: &Bytes) -> Spelling {
        let mut spelling = Spelling::default();
        let lines = head.split(|byte| *byte == b'\n').skip(1);
        for line in lines {
            let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
            if let Some(as_written) = line.get(..colon)
                && let Ok(name) = HeaderName::from_bytes(as_written)
            {
                spelling.push(name, head.slice_ref(as_written));
            }
        }
        spelling
    }

    /// Adds the next field. `as_written` is `name` in any case.
    pub fn push(&mut self, name: HeaderName, as_written: Bytes) {
        let nth = self.count(&name);
        self.names.push(Spelled { name, as_written, nth });
    }

    /// The phrase behind the status, instead of the usual one. False, and none is set, when it holds a byte that has no place in a
    /// status line (RFC 9112 §4).
    pub fn set_reason(&mut self, reason: Bytes) -> bool {
        let is_phrase = reason.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..));
        self.reason = Some(reason).filter(|reason| is_phrase && !reason.is_empty());
        is_phrase
    }

    pub(super) fn reason(&self) -> Option<&[u8]> {
        self.reason.as_deref()
    }

    pub fn names(&self, name: &HeaderName) -> bool {
        self.names.iter().any(|spelled| spelled.name == *name)
    }

    /// The fields of `headers`: first those that were spelled, as they were and in their order, then the others.
    pub fn fields<'a>(&'a self, headers: &'a HeaderMap) -> impl Iterator<Item = (&'a [u8], &'a HeaderValue)> {
        let spelled = self.names.iter().filter_map(|spelled| {
            let value = headers.get_all(&spelled.name).iter().nth(spelled.nth)?;
            Some((&*spelled.as_written, value))
        });
        let others = headers.keys().flat_map(|name| {
            let more = headers.get_all(name).iter().skip(self.count(name));
            more.map(|value| (name.as_str().as_bytes(), value))
        });
        spelled.chain(others)
    }

    fn count(&self, name: &HeaderName) -> usize {
        self.names.iter().filter(|spelled| spelled.name == *name).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] =
        b"GET / HTTP/1.1\r\nHOST: a\r\nx-One: 1\r\nCookie: a=b:c\r\nX-ONE:2\r\nEmpty:\r\nx-gone: 1\r\n\r\n";

    fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn told(spelling: &Spelling, headers: &HeaderMap) -> Vec<String> {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        spelling.fields(headers).map(|(name, value)| format!("{}={}", text(name), text(value.as_bytes()))).collect()
    }

    #[test]
    fn values_come_from_the_map_and_spelling_from_the_head() {
        let spelling = Spelling::of_request(&Bytes::from_static(HEAD));
        let headers = map(&[
            ("empty", ""),
            ("x-new", "n"),
            ("x-one", "1"),
            ("x-one", "2"),
            ("x-one", "3"),
            ("cookie", "changed"),
            ("host", "a"),
        ]);
        let fields = told(&spelling, &headers);
        assert_eq!(fields[..5], ["HOST=a", "x-One=1", "Cookie=changed", "X-ONE=2", "Empty="]);
        let mut others = fields[5..].to_vec();
        others.sort();
        assert_eq!(others, ["x-new=n", "x-one=3"]);
        assert!(spelling.names(&http::header::COOKIE) && !spelling.names(&http::header::DATE));
    }

    #[test]
    fn without_a_spelling_all_is_as_the_map_has_it() {
        let headers = map(&[("b", "1"), ("a", "2"), ("b", "3")]);
        let mut fields = told(&Spelling::default(), &headers);
        fields.sort();
        assert_eq!(fields, ["a=2", "b=1", "b=3"]);
        assert!(told(&Spelling::of_request(&Bytes::from_static(HEAD)), &HeaderMap::new()).is_empty());
    }

    #[test]
    fn a_reason_cannot_end_its_line() {
        let mut spelling = Spelling::default();
        assert!(spelling.set_reason(Bytes::from_static(b"Not \xe9 Here")));
        assert_eq!(spelling.reason(), Some(&b"Not \xe9 Here"[..]));
        for bad in ["a\rb", "a\nb", "a\0", "\x7f"] {
            assert!(!spelling.set_reason(Bytes::from(bad)));
            assert_eq!(spelling.reason(), None);
        }
        assert!(spelling.set_reason(Bytes::new()));
        assert_eq!(spelling.reason(), None, "an empty one is none");
    }
}
