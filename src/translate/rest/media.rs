//! Whether a request's body can be read as JSON, by its head. Leans towards old clients: no content type at all is taken for JSON,
//! which its first byte will show; a wrong one is refused, and told apart when it is a known slip.

use http::{HeaderMap, header};

use super::super::dialect::is_grpc;
use crate::model::{Fault, Kind, Stage};

/// The fault that a body of one byte or more would be.
pub(super) fn check_json(headers: &HeaderMap) -> Result<(), Fault> {
    check_coding(headers)?;
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let Some(value) = types.next() else { return Ok(()) };
    if types.any(|other| other != value) {
        return Err(unsupported("more than one Content-Type; expected application/json"));
    }
    let Ok(text) = std::str::from_utf8(value.as_bytes()) else {
        return Err(unsupported("the Content-Type is not text; expected application/json"));
    };
    let mut parts = text.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    if !essence.is_empty() && !is_json(&essence) {
        let hint = if is_grpc(essence.as_bytes()) {
            "; gRPC is spoken over HTTP/2 only"
        } else if essence == "application/x-www-form-urlencoded" || essence == "multipart/form-data" {
            "; forms are not read: send JSON, with curl by -H 'Content-Type: application/json'"
        } else {
            ""
        };
        let shown: String = essence.chars().take(64).collect();
        return Err(unsupported(format!("Content-Type `{shown}` is not supported; expected application/json{hint}")));
    }
    for parameter in parts {
        let Some((name, value)) = parameter.split_once('=') else { continue };
        let value = value.trim().trim_matches('"');
        let utf8 = ["utf-8", "utf8", "us-ascii"].iter().any(|charset| value.eq_ignore_ascii_case(charset));
        if name.trim().eq_ignore_ascii_case("charset") && !utf8 {
            return Err(unsupported("JSON is UTF-8 (RFC 8259 §8.1); another charset is not supported"));
        }
    }
    Ok(())
}

/// The fault that an encoded body would be (RFC 9110 §15.5.16).
pub(super) fn check_coding(headers: &HeaderMap) -> Result<(), Fault> {
    let coded = headers.get_all(header::CONTENT_ENCODING).iter().any(|value| {
        value.as_bytes().split(|byte| *byte == b',').any(|coding| {
            let coding = coding.trim_ascii();
            !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity")
        })
    });
    if coded { Err(unsupported("a Content-Encoding is not supported; send the body as it is")) } else { Ok(()) }
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

    #[test]
    fn what_is_json_and_what_is_not() {
        let cases: &[(&[&str], Option<&str>)] = &[
            (&[], None),
            (&[""], None),
            (&["application/json"], None),
            (&["Application/JSON"], None),
            (&["application/json; charset=utf-8"], None),
            (&["application/json;charset=\"UTF-8\";x=y"], None),
            (&["application/json;"], None),
            (&["application/problem+json"], None),
            (&["application/json", "application/json"], None),
            (&["application/json", "text/plain"], Some("more than one")),
            (&["application/json; charset=iso-8859-1"], Some("UTF-8")),
            (&["application/jsonx"], Some("expected application/json")),
            (&["application/+json"], Some("expected")),
            (&["text/plain"], Some("`text/plain`")),
            (&["application/x-www-form-urlencoded"], Some("forms")),
            (&["multipart/form-data; boundary=x"], Some("forms")),
            (&["application/grpc"], Some("HTTP/2 only")),
            (&["application/grpc+json"], Some("HTTP/2 only")),
            (&["application/grpc-web+json"], Some("not supported")),
            (&["application/xml"], Some("not supported")),
        ];
        for (values, expected) in cases {
            let result = check_json(&head("content-type", values));
            match (result, expected) {
                (Ok(()), None) => {}
                (Err(fault), Some(part)) => {
                    assert_eq!(fault.kind, Kind::UnsupportedMediaType);
                    assert!(fault.message.contains(part), "{values:?}: {}", fault.message);
                }
                (result, _) => panic!("{values:?}: {result:?}"),
            }
        }
    }

    #[test]
    fn an_encoded_body_is_refused() {
        for (values, fine) in [
            (&["identity"][..], true),
            (&["", "Identity"], true),
            (&["gzip"], false),
            (&["identity, br"], false),
            (&["identity", "deflate"], false),
        ] {
            assert_eq!(check_json(&head("content-encoding", values)).is_ok(), fine, "{values:?}");
        }
    }
}
