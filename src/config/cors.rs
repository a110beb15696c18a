//! Which pages of other origins may call a servlet, as it is written. What follows from it is `policy::Cors`.

use std::time::Duration;

use http::{HeaderName, Method};
use serde_json::{Value, json};

use crate::discovery::{Content, Decode, Node, Reader, record};
use crate::policy::{self, CorsRules, Named, OriginPattern, OriginPatternError};

record! {
    /// Which pages of other origins may call. Preflights are answered here, and answers say who may read them. An empty `allow_origins` is as if none of this were there.
    pub(super) struct CorsKeys {
        /// Origins as browsers send them: `https://app.example.com`, `https://*.example.com` for all under it, or `*`.
        pub allow_origins: Vec<Origin>,
        /// Methods besides GET, HEAD and POST, or `*`.
        pub allow_methods: MethodNames = MethodNames(Named::These(Vec::new())),
        /// Request fields besides those of gRPC-Web and Connect, or `*`.
        pub allow_headers: FieldNames = FieldNames(Named::These(Vec::new())),
        /// Fields of answers that pages may read besides those that gRPC-Web and Connect need, or `*`. Connect's unary trailers are named `trailer-NAME`.
        pub expose_headers: FieldNames = FieldNames(Named::These(Vec::new())),
        /// How long a browser goes by a preflight's answer. Short enough that a change here is soon in force everywhere.
        pub max_age: Duration = Duration::from_secs(600),
        /// Whether cookies and the like may come along. Not with `*` in any of the lists.
        pub allow_credentials: bool = false,
    }
}

/// [`CorsKeys`] that go together.
#[derive(Clone, Debug, PartialEq)]
pub struct Cors(CorsKeys);

impl Cors {
    /// What the request path goes by; `None` when no origin is allowed.
    pub fn rules(&self) -> Option<policy::Cors> {
        let keys = &self.0;
        policy::Cors::new(&CorsRules {
            origins: keys.allow_origins.iter().map(|origin| origin.0.clone()).collect(),
            methods: keys.allow_methods.0.clone(),
            request_fields: keys.allow_headers.0.clone(),
            reply_fields: keys.expose_headers.0.clone(),
            max_age: keys.max_age,
            credentials: keys.allow_credentials,
        })
    }
}

impl Decode for Cors {
    fn decode(node: &Node, reader: &mut Reader) -> Option<Self> {
        Self::decode_over(node, reader, None)
    }

    fn decode_over(node: &Node, reader: &mut Reader, base: Option<&Self>) -> Option<Self> {
        let keys = CorsKeys::decode_over(node, reader, base.map(|base| &base.0))?;
        let open = [
            ("allow_origins", keys.allow_origins.contains(&Origin(OriginPattern::Any))),
            ("allow_methods", keys.allow_methods.0 == Named::Any),
            ("allow_headers", keys.allow_headers.0 == Named::Any),
            ("expose_headers", keys.expose_headers.0 == Named::Any),
        ];
        match open.into_iter().find(|(_, open)| *open) {
            Some((key, _)) if keys.allow_credentials => {
                let at = match &*node.content {
                    Content::Map(entries) => entries.iter().find(|(key, _)| key.text == "allow_credentials"),
                    _ => None,
                };
                let at = at.map_or(node.at, |(_, value)| value.at);
                reader.key("allow_credentials", |reader| {
                    let problem = reader.report(at, format!("is not allowed with `*` in `{key}`"));
                    problem.value = Some("true".into());
                    problem.allowed = Some("names instead of `*`, which browsers refuse beside credentials".into());
                });
                None
            }
            _ => Some(Cors(keys)),
        }
    }

    fn schema() -> Value {
        CorsKeys::schema()
    }
}

/// `https://app.example.com`, `https://*.example.com` or `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin(OriginPattern);

impl Decode for Origin {
    fn decode(node: &Node, reader: &mut Reader) -> Option<Self> {
        let text = reader.text(node, "an origin, like `https://app.example.com`, `https://*.example.com` or `*`")?;
        match text.parse() {
            Ok(pattern) => Some(Origin(pattern)),
            Err(OriginPatternError(allowed)) => reader.reject(node, allowed),
        }
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": r"^(\*|null|[A-Za-z][A-Za-z0-9+.-]*://(\*\.)?([A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|\[[0-9A-Fa-f:.]+\])(:[1-9][0-9]{0,4})?)$" })
    }
}

/// HTTP methods, or `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MethodNames(Named<Method>);

impl Decode for MethodNames {
    fn decode(node: &Node, reader: &mut Reader) -> Option<Self> {
        const ALLOWED: &str = "an HTTP method in capitals, like `PUT`, or `*`";
        let read = |text: &str| {
            let capitals = !text.bytes().any(|byte| byte.is_ascii_lowercase());
            Method::from_bytes(text.as_bytes()).ok().filter(|method| capitals && *method != Method::CONNECT)
        };
        names(node, reader, ALLOWED, read).map(MethodNames)
    }

    fn schema() -> Value {
        json!({ "type": "array", "items": { "type": "string", "pattern": "^[A-Z0-9!#$%&'*+.^_`|~-]+$" } })
    }

    fn written(&self) -> Value {
        written(&self.0, Method::as_str)
    }
}

/// Names of header fields, or `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FieldNames(Named<HeaderName>);

impl Decode for FieldNames {
    fn decode(node: &Node, reader: &mut Reader) -> Option<Self> {
        let read = |text: &str| HeaderName::from_bytes(text.as_bytes()).ok();
        names(node, reader, "the name of a header field, or `*`", read).map(FieldNames)
    }

    fn schema() -> Value {
        json!({ "type": "array", "items": { "type": "string", "minLength": 1 } })
    }

    fn written(&self) -> Value {
        written(&self.0, HeaderName::as_str)
    }
}

fn names<T>(node: &Node, reader: &mut Reader, allowed: &str, read: impl Fn(&str) -> Option<T>) -> Option<Named<T>> {
    let mut any = false;
    let these = reader.list(node, &format!("a list, each {allowed}"), |item, reader| {
        let text = reader.text(item, allowed)?;
        if text == "*" {
            any = true;
            return Some(None);
        }
        match read(text) {
            Some(name) => Some(Some(name)),
            None => reader.reject(item, allowed),
        }
    })?;
    Some(if any { Named::Any } else { Named::These(these.into_iter().flatten().collect()) })
}

fn written<T>(names: &Named<T>, text: impl Fn(&T) -> &str) -> Value {
    match names {
        Named::Any => json!(["*"]),
        Named::These(these) => these.iter().map(text).collect::<Vec<_>>().into(),
    }
}
