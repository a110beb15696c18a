//! Which pages of other origins may call, and what answers say of it (fetch.spec.whatwg.org, "CORS protocol"). Leans towards silence: a
//! browser keeps from the page whatever we do not speak for.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Response, StatusCode};

/// What gRPC-Web and Connect send, besides what browsers let through unasked.
const REQUEST_FIELDS: [&str; 13] = [
    "content-type",
    "authorization",
    "x-grpc-web",
    "x-user-agent",
    "grpc-timeout",
    "grpc-encoding",
    "grpc-accept-encoding",
    "connect-protocol-version",
    "connect-timeout-ms",
    "connect-accept-encoding",
    "connect-content-encoding",
    "content-encoding",
    "accept-encoding",
];

/// What their clients read in an answer's head.
const REPLY_FIELDS: [&str; 6] = [
    "grpc-status",
    "grpc-message",
    "grpc-status-details-bin",
    "grpc-encoding",
    "connect-content-encoding",
    "content-encoding",
];

/// What every page may send, asked or not.
const METHODS: [&str; 3] = ["GET", "HEAD", "POST"];

/// Origins that are spoken for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OriginPattern {
    /// `*`.
    Any,
    /// `https://app.example.com:8443`, or `null`.
    Exact(String),
    /// `https://*.example.com`, at any depth.
    Under {
        /// `https://`
        scheme: String,
        /// `.example.com`
        end: String,
    },
}

/// What a text would have to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OriginPatternError(pub &'static str);

impl FromStr for OriginPattern {
    type Err = OriginPatternError;

    fn from_str(text: &str) -> Result<Self, OriginPatternError> {
        const ALLOWED: &str =
            "an origin as browsers send it, like `https://app.example.com`, `https://*.example.com` or `*`";
        let text = text.to_ascii_lowercase();
        if text == "*" {
            return Ok(OriginPattern::Any);
        }
        if text == "null" {
            return Ok(OriginPattern::Exact(text));
        }
        let Some((scheme, authority)) = text.split_once("://") else { return Err(OriginPatternError(ALLOWED)) };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let is_scheme = scheme.starts_with(|c: char| c.is_ascii_lowercase())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        let name = host.strip_prefix("*.").unwrap_or(host);
        let is_host = match name.strip_prefix('[') {
            Some(_) if name.len() < host.len() => false,
            Some(inner) => inner.strip_suffix(']').is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok()),
            None => name.split('.').all(|label| !label.is_empty() && label.bytes().all(is_label)),
        };
        if !is_scheme || !is_host || port.is_some_and(|port| port.starts_with('0') || port.parse::<u16>().is_err()) {
            return Err(OriginPatternError(ALLOWED));
        }
        if matches!((scheme, port), ("https", Some("443")) | ("http", Some("80"))) {
            return Err(OriginPatternError("the same without its port: browsers leave out the usual one"));
        }
        Ok(match authority.strip_prefix('*') {
            Some(end) => OriginPattern::Under { scheme: format!("{scheme}://"), end: end.to_owned() },
            None => OriginPattern::Exact(text),
        })
    }
}

impl fmt::Display for OriginPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OriginPattern::Any => f.write_str("*"),
            OriginPattern::Exact(origin) => f.write_str(origin),
            OriginPattern::Under { scheme, end } => write!(f, "{scheme}*{end}"),
        }
    }
}

impl OriginPattern {
    fn matches(&self, origin: &str) -> bool {
        match self {
            OriginPattern::Any => true,
            OriginPattern::Exact(own) => own == origin,
            OriginPattern::Under { scheme, end } => {
                let name = origin.strip_prefix(scheme.as_str()).and_then(|rest| rest.strip_suffix(end.as_str()));
                name.is_some_and(|name| name.split('.').all(|label| !label.is_empty() && label.bytes().all(is_label)))
            }
        }
    }
}

fn is_label(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte)
}

/// Names that are added to those that gRPC-Web and Connect need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named<T> {
    /// `*`.
    Any,
    These(Vec<T>),
}

/// What an operator says.
#[derive(Clone, Debug)]
pub struct CorsRules {
    pub origins: Vec<OriginPattern>,
    /// Besides GET, HEAD and POST.
    pub methods: Named<Method>,
    pub request_fields: Named<HeaderName>,
    pub reply_fields: Named<HeaderName>,
    /// How long a browser may go by a preflight's answer.
    pub max_age: Duration,
    /// Whether cookies and the like may come along. Not with `Any` anywhere.
    pub credentials: bool,
}

/// The same, ready to answer.
#[derive(Debug)]
pub struct Cors {
    origins: Vec<OriginPattern>,
    /// `None`: what was asked for.
    methods: Option<HeaderValue>,
    request_fields: Option<HeaderValue>,
    reply_fields: HeaderValue,
    max_age: HeaderValue,
    credentials: bool,
}

impl Cors {
    /// `None` when nobody is spoken for.
    pub fn new(rules: &CorsRules) -> Option<Cors> {
        if rules.origins.is_empty() {
            return None;
        }
        let methods = listed(&METHODS, &rules.methods, Method::as_str);
        let reply_fields = listed(&REPLY_FIELDS, &rules.reply_fields, HeaderName::as_str);
        Some(Cors {
            origins: rules.origins.clone(),
            methods,
            request_fields: listed(&REQUEST_FIELDS, &rules.request_fields, HeaderName::as_str),
            reply_fields: reply_fields.unwrap_or(HeaderValue::from_static("*")),
            max_age: HeaderValue::from(rules.max_age.as_secs()),
            credentials: rules.credentials,
        })
    }

    /// The answer to a preflight: what may be sent, or silence.
    pub fn preflight(&self, asked: &HeaderMap) -> Response<()> {
        const VARY: &str = "origin, access-control-request-method, access-control-request-headers";
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let head = response.headers_mut();
        head.insert(header::VARY, HeaderValue::from_static(VARY));
        let Some(origin) = self.spoken_for(asked.get(header::ORIGIN)) else { return response };
        head.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if self.credentials {
            head.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        let methods = self.methods.as_ref().or(asked.get(header::ACCESS_CONTROL_REQUEST_METHOD));
        let fields = self.request_fields.as_ref().or(asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS));
        for (name, value) in [
            (header::ACCESS_CONTROL_ALLOW_METHODS, methods),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, fields),
            (header::ACCESS_CONTROL_MAX_AGE, Some(&self.max_age)),
        ] {
            if let Some(value) = value {
                head.insert(name, value.clone());
            }
        }
        response
    }

    /// Says in the head of an answer who may read it; what the servlet says of that itself does not count. `kept`: whether the answer
    /// may be kept for another caller, by what asked for it.
    pub fn mark(&self, origin: Option<&HeaderValue>, kept: bool, head: &mut HeaderMap) {
        if (origin.is_some() || kept) && !self.answers_any() && !varies_by_origin(head) {
            head.append(header::VARY, HeaderValue::from_static("origin"));
        }
        let Some(origin) = origin else { return };
        for name in [
            header::ACCESS_CONTROL_ALLOW_ORIGIN,
            header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
        ] {
            head.remove(name);
        }
        let Some(origin) = self.spoken_for(Some(origin)) else { return };
        head.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        head.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, self.reply_fields.clone());
        if self.credentials {
            head.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }

    /// The origin as the answer names it.
    fn spoken_for(&self, origin: Option<&HeaderValue>) -> Option<HeaderValue> {
        let origin = origin?;
        let text = origin.to_str().ok()?;
        if self.answers_any() {
            return Some(HeaderValue::from_static("*"));
        }
        self.origins.iter().any(|pattern| pattern.matches(text)).then(|| origin.clone())
    }

    /// Whether all origins get the same answer, whatever others are named beside `*`. Never with credentials, for which browsers want
    /// the origin's own name.
    fn answers_any(&self) -> bool {
        !self.credentials && self.origins.contains(&OriginPattern::Any)
    }
}

fn varies_by_origin(head: &HeaderMap) -> bool {
    let mut names = head.get_all(header::VARY).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    names.any(|name| matches!(name.trim_ascii().to_ascii_lowercase().as_slice(), b"origin" | b"*"))
}

/// `a, b, c`, each once; `None` for any.
fn listed<T>(first: &[&str], more: &Named<T>, text: impl Fn(&T) -> &str) -> Option<HeaderValue> {
    let Named::These(more) = more else { return None };
    let mut names: Vec<&str> = first.to_vec();
    for name in more.iter().map(text) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    // Names are tokens, so that this is always a value.
    HeaderValue::try_from(names.join(", ")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(origins: &[&str]) -> CorsRules {
        CorsRules {
            origins: origins.iter().map(|text| text.parse().unwrap()).collect(),
            methods: Named::These(vec![Method::PUT, Method::GET]),
            request_fields: Named::These(vec![HeaderName::from_static("x-mine")]),
            reply_fields: Named::These(vec![HeaderName::from_static("x-cost")]),
            max_age: Duration::from_secs(600),
            credentials: false,
        }
    }

    fn asked(origin: &str) -> HeaderMap {
        let fields = [
            ("origin", origin),
            ("access-control-request-method", "DELETE"),
            ("access-control-request-headers", "x-asked"),
        ];
        fields.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect()
    }

    fn text<'h>(head: &'h HeaderMap, name: &str) -> Option<&'h str> {
        head.get(name).map(|value| value.to_str().unwrap())
    }

    #[test]
    fn origins_are_as_browsers_send_them() {
        for good in ["*", "null", "http://a", "HTTPS://A.example:8443", "https://*.example.com", "http://[::1]:80x"] {
            let pattern = good.parse::<OriginPattern>();
            assert_eq!(pattern.is_ok(), !good.ends_with('x'), "{good}");
            if let Ok(pattern) = pattern {
                assert_eq!(pattern.to_string(), good.to_ascii_lowercase());
            }
        }
        for bad in [
            "",
            "a.example",
            "https://",
            "https://a/",
            "https://a/b",
            "https://a b",
            "https://*",
            "https://a.*.b",
            "://a",
            "https://*.*.a",
            "https://a:0",
            "https://a:",
            "https://a:65536",
            "https://a:443",
            "http://a:80",
            "https://*.[::1]",
            "https://u@a",
            "https://a..b",
            "https://.a",
            "https://*a.b",
        ] {
            assert!(bad.parse::<OriginPattern>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_origin_is_matched_whole() {
        let cases = [
            ("https://app.example.com", "https://app.example.com", true),
            ("https://app.example.com", "http://app.example.com", false),
            ("https://app.example.com", "https://app.example.com:8443", false),
            ("https://app.example.com", "https://app.example.com.evil.com", false),
            ("https://*.example.com", "https://a.example.com", true),
            ("https://*.example.com", "https://a.b.example.com", true),
            ("https://*.example.com", "https://example.com", false),
            ("https://*.example.com", "https://.example.com", false),
            ("https://*.example.com", "https://evilexample.com", false),
            ("https://*.example.com", "https://evil.com:1.example.com", false),
            ("https://*.example.com", "https://evil.com/.example.com", false),
            ("https://*.example.com", "https://a.example.com:8443", false),
            ("https://*.example.com:8443", "https://a.example.com:8443", true),
            ("null", "null", true),
            ("https://a", "null", false),
            ("*", "null", true),
        ];
        for (pattern, origin, matches) in cases {
            assert_eq!(pattern.parse::<OriginPattern>().unwrap().matches(origin), matches, "{pattern} {origin}");
        }
    }

    #[test]
    fn a_preflight_is_told_what_may_be_sent() {
        let cors = Cors::new(&rules(&["https://a"])).unwrap();
        let answer = cors.preflight(&asked("https://a"));
        let head = answer.headers();
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        assert_eq!(text(head, "access-control-allow-origin"), Some("https://a"));
        assert_eq!(text(head, "access-control-allow-methods"), Some("GET, HEAD, POST, PUT"));
        let fields = text(head, "access-control-allow-headers").unwrap();
        for name in
            ["content-type", "x-grpc-web", "connect-protocol-version", "authorization", "grpc-encoding", "x-mine"]
        {
            assert!(fields.split(", ").any(|field| field == name), "{name}");
        }
        assert_eq!(text(head, "access-control-max-age"), Some("600"));
        assert_eq!(text(head, "access-control-allow-credentials"), None);
        assert!(text(head, "vary").unwrap().starts_with("origin, "));

        let silent = cors.preflight(&asked("https://b"));
        assert_eq!(silent.headers().keys().collect::<Vec<_>>(), ["vary"]);
        assert!(Cors::new(&rules(&[])).is_none());
    }

    #[test]
    fn any_name_is_the_one_that_was_asked_for() {
        let any =
            CorsRules { methods: Named::Any, request_fields: Named::Any, reply_fields: Named::Any, ..rules(&["*"]) };
        let cors = Cors::new(&any).unwrap();
        let answer = cors.preflight(&asked("https://b"));
        let expected = [("allow-origin", "*"), ("allow-methods", "DELETE"), ("allow-headers", "x-asked")];
        for (name, value) in expected {
            assert_eq!(text(answer.headers(), &format!("access-control-{name}")), Some(value));
        }
        let mut head = HeaderMap::new();
        cors.mark(Some(&HeaderValue::from_static("https://b")), true, &mut head);
        assert_eq!(text(&head, "access-control-expose-headers"), Some("*"));
        assert_eq!(text(&head, "vary"), None, "the same for all");
    }

    #[test]
    fn a_name_beside_any_changes_nothing() {
        let origin = HeaderValue::from_static("https://a");
        for origins in [&["https://a", "*"], &["*", "https://a"]] {
            let cors = Cors::new(&rules(origins)).unwrap();
            let mut head = HeaderMap::new();
            cors.mark(Some(&origin), true, &mut head);
            assert_eq!((text(&head, "access-control-allow-origin"), text(&head, "vary")), (Some("*"), None));
            let answer = cors.preflight(&asked("https://a"));
            assert_eq!(text(answer.headers(), "access-control-allow-origin"), Some("*"));
        }
        // With credentials browsers want the name, which the configuration sees to.
        let cors = Cors::new(&CorsRules { credentials: true, ..rules(&["https://a", "*"]) }).unwrap();
        let mut head = HeaderMap::new();
        cors.mark(Some(&origin), true, &mut head);
        assert_eq!(
            (text(&head, "access-control-allow-origin"), text(&head, "vary")),
            (Some("https://a"), Some("origin"))
        );
    }

    #[test]
    fn an_answer_says_who_may_read_it() {
        let cors = Cors::new(&CorsRules { credentials: true, ..rules(&["https://a"]) }).unwrap();
        let marked = |origin: Option<&'static str>, kept| {
            let mut head = HeaderMap::new();
            head.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("https://servlet"));
            cors.mark(origin.map(HeaderValue::from_static).as_ref(), kept, &mut head);
            head
        };
        let head = marked(Some("https://a"), false);
        assert_eq!(text(&head, "access-control-allow-origin"), Some("https://a"));
        assert_eq!(text(&head, "access-control-allow-credentials"), Some("true"));
        let exposed = text(&head, "access-control-expose-headers").unwrap();
        assert!(
            exposed.starts_with("grpc-status, grpc-message, grpc-status-details-bin") && exposed.ends_with(", x-cost")
        );
        assert_eq!(text(&head, "vary"), Some("origin"));

        let head = marked(Some("https://b"), false);
        assert_eq!((text(&head, "access-control-allow-origin"), text(&head, "vary")), (None, Some("origin")));
        assert_eq!(marked(None, true).len(), 2, "what may be kept says that it would differ");
        assert_eq!(marked(None, false).len(), 1);

        let mut head = HeaderMap::new();
        head.insert(header::VARY, HeaderValue::from_static("Accept, Origin"));
        cors.mark(None, true, &mut head);
        assert_eq!(head.get_all(header::VARY).iter().count(), 1);
    }
}
