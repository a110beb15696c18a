//! What a request's body is written in, by its head. Leans towards old clients: no content type at all is taken for JSON, which its
//! first byte will show; one that the method cannot take is refused with those that it can.

use http::{HeaderMap, header};

use super::answer_form;
use super::header_value::Valued;
use crate::model::{Fault, Kind, Stage};

/// What a body is written in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Media {
    Json,
    /// NDJSON.
    Lines,
    /// `application/x-www-form-urlencoded`.
    Urlencoded,
    /// `multipart/form-data`, with its boundary.
    Multipart(String),
    Protobuf,
}

/// What the method's side says about a body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// Any number of messages, not one.
    pub(super) streaming: bool,
    /// Each is a message, and so may have fields by name; not a bare number, text, list or map.
    pub(super) message: bool,
}

/// What the body is written in; the error is the fault that a body of one byte or more would be.
pub(super) fn media(headers: &HeaderMap, wanted: Wanted) -> Result<Media, Fault> {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let Some(value) = types.next() else { return Ok(Media::Json) };
    if types.any(|other| other != value) {
        return Err(unsupported(format!("more than one Content-Type; expected {}", wanted.taken())));
    }
    if value == "application/json" {
        return Ok(Media::Json);
    }
    let Ok(text) = std::str::from_utf8(value.as_bytes()) else {
        return Err(unsupported(format!("the Content-Type is not text; expected {}", wanted.taken())));
    };
    let read = Valued::read(text);
    let media = match &*read.value {
        "" => Media::Json,
        essence if is_json(essence) => Media::Json,
        essence if answer_form::lines(essence).is_some() && wanted.streaming => Media::Lines,
        essence if answer_form::protobuf(essence).is_some() && wanted.message && !wanted.streaming => Media::Protobuf,
        "application/x-www-form-urlencoded" if wanted.message => Media::Urlencoded,
        "multipart/form-data" if wanted.message => Media::Multipart(boundary(&read)?),
        essence => return Err(refused(essence, wanted)),
    };
    let charset = read.parameter("charset").unwrap_or_default();
    let utf8 = ["", "utf-8", "utf8", "us-ascii"].iter().any(|known| charset.eq_ignore_ascii_case(known));
    match media {
        Media::Json | Media::Lines if !utf8 => {
            Err(unsupported("JSON is UTF-8 (RFC 8259 §8.1); another charset is not supported"))
        }
        Media::Urlencoded if !utf8 => Err(unsupported("a form is read as UTF-8; another charset is not supported")),
        media => Ok(media),
    }
}

/// Where the body is a `google.api.HttpBody`: the boundary of a form, whose file it is; anything else is the body as it stands.
pub(super) fn raw_form(headers: &HeaderMap) -> Result<Option<String>, Fault> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let read = Valued::read(value);
    if read.value == "multipart/form-data" { boundary(&read).map(Some) } else { Ok(None) }
}

/// RFC 2046 §5.1.1: 1 to 70 characters of a few kinds.
fn boundary(read: &Valued<'_>) -> Result<String, Fault> {
    let boundary = read.parameter("boundary").unwrap_or_default();
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
    if (1..=70).contains(&boundary.len()) && boundary.bytes().all(fine) && !boundary.ends_with(' ') {
        return Ok(boundary.into_owned());
    }
    let told =
        "multipart/form-data has a parameter `boundary` of 1 to 70 letters, digits and '()+_,-./:=? (RFC 2046 §5.1.1)";
    Err(Fault::new(Kind::InvalidRequest, Stage::Plan, told))
}

impl Wanted {
    fn taken(self) -> &'static str {
        match (self.message, self.streaming) {
            (true, false) => {
                "application/json, application/x-protobuf, application/x-www-form-urlencoded or multipart/form-data"
            }
            (true, true) => {
                "application/json (an array), application/x-ndjson, application/x-www-form-urlencoded or multipart/form-data"
            }
            (false, false) => "application/json",
            (false, true) => "application/json (an array) or application/x-ndjson",
        }
    }
}

fn refused(essence: &str, wanted: Wanted) -> Fault {
    let hint = if answer_form::lines(essence).is_some() {
        "; lines of JSON are for methods that take a stream"
    } else if answer_form::protobuf(essence).is_some() && wanted.streaming {
        "; a stream of messages has no protobuf form here: send lines of JSON, or speak gRPC"
    } else if answer_form::protobuf(essence).is_some()
        || essence.ends_with("form-data")
        || essence.ends_with("urlencoded")
    {
        "; this body is one field, and no message"
    } else {
        ""
    };
    let shown: String = essence.chars().take(64).collect();
    unsupported(format!("Content-Type `{shown}` is not supported; expected {}{hint}", wanted.taken()))
}

fn is_json(essence: &str) -> bool {
    essence == "application/json"
        || essence
            .strip_prefix("application/")
            .and_then(|subtype| subtype.strip_suffix("+json"))
            .is_some_and(|name| !name.is_empty() && !name.starts_with("grpc"))
}

fn unsupported(message: impl Into<std::borrow::Cow<'static, str>>) -> Fault {
    Fault::new(Kind::UnsupportedMediaType, Stage::Plan, message)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn head(name: &'static str, values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers
    }

    const ONE: Wanted = Wanted { streaming: false, message: true };
    const MANY: Wanted = Wanted { streaming: true, message: true };
    const SCALAR: Wanted = Wanted { streaming: false, message: false };
    const SCALARS: Wanted = Wanted { streaming: true, message: false };

    fn check(values: &[&'static str], wanted: Wanted, expected: Result<Media, &str>) {
        let result = media(&head("content-type", values), wanted);
        match (result, expected) {
            (Ok(media), Ok(expected)) => assert_eq!(media, expected, "{values:?}"),
            (Err(fault), Err(part)) => {
                assert_eq!(fault.kind, Kind::UnsupportedMediaType);
                assert!(fault.message.contains(part), "{values:?}: {}", fault.message);
            }
            (result, _) => panic!("{values:?}: {result:?}"),
        }
    }

    #[test]
    fn what_is_json_and_what_is_not() {
        let fine: &[&[&str]] = &[
            &[],
            &[""],
            &["application/json"],
            &["Application/JSON"],
            &["application/json; charset=utf-8"],
            &["application/json;charset=\"UTF-8\";x=y"],
            &["application/json;"],
            &["application/problem+json"],
            &["application/json", "application/json"],
        ];
        let wrong: &[(&[&str], &str)] = &[
            (&["application/json", "text/plain"], "more than one"),
            (&["application/json; charset=iso-8859-1"], "UTF-8"),
            (&["application/jsonx"], "expected application/json"),
            (&["application/+json"], "expected"),
            (&["text/plain"], "`text/plain`"),
            (&["application/grpc"], "not supported"),
            (&["application/grpc+json"], "not supported"),
            (&["application/grpc-web+json"], "not supported"),
            (&["application/xml"], "not supported"),
        ];
        for wanted in [ONE, MANY, SCALAR, SCALARS] {
            for values in fine {
                check(values, wanted, Ok(Media::Json));
            }
            for (values, part) in wrong {
                check(values, wanted, Err(part));
            }
        }
    }

    #[test]
    fn what_else_is_taken_depends_on_the_method() {
        let boundary = Media::Multipart("a b".into());
        for (value, media, taken) in [
            ("application/x-ndjson", Media::Lines, [false, true, false, true]),
            ("application/ndjson;charset=UTF-8", Media::Lines, [false, true, false, true]),
            ("Application/JSONL", Media::Lines, [false, true, false, true]),
            ("application/x-www-form-urlencoded", Media::Urlencoded, [true, true, false, false]),
            ("application/x-www-form-urlencoded; charset=utf-8", Media::Urlencoded, [true, true, false, false]),
            ("multipart/form-data; boundary=\"a b\"", boundary, [true, true, false, false]),
            ("application/x-protobuf", Media::Protobuf, [true, false, false, false]),
            ("application/protobuf; proto=a.B", Media::Protobuf, [true, false, false, false]),
            ("application/vnd.google.protobuf", Media::Protobuf, [true, false, false, false]),
        ] {
            for (wanted, taken) in [ONE, MANY, SCALAR, SCALARS].into_iter().zip(taken) {
                check(
                    &[value],
                    wanted,
                    if taken { Ok(media.clone()) } else { Err("is not supported; expected application/json") },
                );
            }
        }
        check(&["application/x-www-form-urlencoded; charset=iso-8859-1"], ONE, Err("UTF-8"));
        check(&["application/x-ndjson; charset=utf-16"], MANY, Err("UTF-8"));
        check(&["application/x-protobuf"], MANY, Err("lines of JSON"));
        check(&["application/x-ndjson"], ONE, Err("take a stream"));
    }

    #[test]
    fn a_boundary_is_of_a_few_characters() {
        let long = "x".repeat(70);
        let header = |boundary: &str| {
            let value = format!("multipart/form-data; boundary={boundary}");
            HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::try_from(value).unwrap())])
        };
        for boundary in [&long, "----WebKitFormBoundaryA1", "0"] {
            assert_eq!(raw_form(&header(boundary)).unwrap().as_deref(), Some(boundary));
        }
        for boundary in [&format!("{long}x"), "", "\"a \"", "\"a\\\"b\"", "a@b"] {
            assert_eq!(raw_form(&header(boundary)).unwrap_err().kind, Kind::InvalidRequest, "{boundary}");
            assert_eq!(media(&header(boundary), ONE).unwrap_err().kind, Kind::InvalidRequest, "{boundary}");
        }
        assert_eq!(raw_form(&head("content-type", &["text/plain; boundary=x"])).unwrap(), None);
    }
}
