//! Hosts: patterns, and the one spelling that a request's host is compared in. Letter case, the port and a dot at the end do not count
//! (RFC 9110 §4.2.3, RFC 3986 §3.2.2).

use std::borrow::Cow;
use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// No name in the DNS is longer (RFC 1035 §2.3.4, with dots). What is longer matches no pattern, and costs no look-ups.
const MAX_HOST: usize = 255;

/// Which hosts a rule is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// Exactly this one.
    Exact(Box<str>),
    /// `*.example.com`, at any depth, but not `example.com`; held as `.example.com`.
    Under(Box<str>),
    /// All, and requests without a host.
    Any,
}

/// Why a text is no host pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPatternError(pub String);

impl fmt::Display for HostPatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for HostPatternError {}

impl FromStr for HostPattern {
    type Err = HostPatternError;

    fn from_str(text: &str) -> Result<Self, HostPatternError> {
        let wrong = |message: &str| Err(HostPatternError(message.into()));
        if text == "*" {
            return Ok(HostPattern::Any);
        }
        if let Some(address) = ipv6(text) {
            return Ok(HostPattern::Exact(format!("[{address}]").into()));
        }
        let (wild, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        let name = name.strip_suffix('.').unwrap_or(name);
        if name.is_empty() || text.len() > MAX_HOST {
            return wrong("a host is a name of 1 to 255 characters, `*.` and a name, or `*`");
        }
        if name.contains('*') {
            return wrong("`*` can only be the first label, as in `*.example.com`");
        }
        if name.contains(':') || name.contains('[') {
            return wrong("a host has no port here, and an IPv6 address stands in brackets");
        }
        if !name.is_ascii() {
            return wrong("a host is written in ASCII; use the `xn--` form");
        }
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if !name.split('.').all(|label| !label.is_empty() && label.bytes().all(fits)) {
            return wrong("a host is labels of letters, digits, `-` and `_` with dots between them");
        }
        let name = name.to_ascii_lowercase();
        Ok(if wild { HostPattern::Under(format!(".{name}").into()) } else { HostPattern::Exact(name.into()) })
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostPattern::Exact(name) => f.write_str(name),
            HostPattern::Under(suffix) => write!(f, "*{suffix}"),
            HostPattern::Any => f.write_str("*"),
        }
    }
}

impl HostPattern {
    /// Whether it is for this host, in the spelling of [`spelled`].
    pub(super) fn fits(&self, host: &str) -> bool {
        match self {
            HostPattern::Exact(name) => **name == *host,
            HostPattern::Under(suffix) => host.len() > suffix.len() && host.ends_with(&**suffix),
            HostPattern::Any => true,
        }
    }

    /// Where it stands in the order of precedence: exact, then the longest suffix, then any.
    pub(super) fn rank(&self) -> usize {
        match self {
            HostPattern::Exact(_) => 0,
            HostPattern::Under(suffix) => 1 + MAX_HOST.saturating_sub(suffix.len()),
            HostPattern::Any => usize::MAX,
        }
    }

    /// The same for a request without a host: a rule for all hosts is the one that truly fits it.
    pub(super) fn rank_without_host(&self) -> usize {
        self.rank().wrapping_add(1)
    }
}

/// The name in a `Host` or `:authority`, without its port, in the spelling of patterns. `None` when it can fit no pattern with a name.
pub(super) fn spelled(host: &str) -> Option<Cow<'_, str>> {
    if let Some(inner) = host.strip_prefix('[') {
        let (address, _port) = inner.split_once(']')?;
        return Some(Cow::Owned(format!("[{}]", address.parse::<Ipv6Addr>().ok()?)));
    }
    let name = host.split_once(':').map_or(host, |(name, _port)| name);
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() || name.len() > MAX_HOST {
        return None;
    }
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Some(Cow::Owned(name.to_ascii_lowercase()));
    }
    Some(Cow::Borrowed(name))
}

/// An IPv6 address, in brackets or not.
fn ipv6(text: &str) -> Option<Ipv6Addr> {
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    inner.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_hosts_fit() {
        let cases = [
            ("example.com", "example.com", true),
            ("example.com", "EXAMPLE.com.:8080", true),
            ("Example.Com.", "example.com", true),
            ("example.com", "www.example.com", false),
            ("*.example.com", "www.example.com:80", true),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", ".example.com", false),
            ("*.example.com", "badexample.com", false),
            ("[::1]", "[::1]:8080", true),
            ("::1", "[0:0:0:0:0:0:0:1]", true),
            ("[2001:DB8::1]", "[2001:db8:0::1]", true),
            ("10.0.0.1", "10.0.0.1:80", true),
            ("*", "anything", true),
        ];
        for (pattern, host, fits) in cases {
            let pattern: HostPattern = pattern.parse().unwrap();
            assert_eq!(spelled(host).is_some_and(|host| pattern.fits(&host)), fits, "{pattern} on {host}");
        }
    }

    #[test]
    fn hosts_that_fit_no_name() {
        for host in ["", ":80", ".", "[::1", "[zz]", &"a.".repeat(200)] {
            assert_eq!(spelled(host), None, "{host:?}");
        }
    }

    #[test]
    fn what_is_no_pattern() {
        let cases = [
            ("", "1 to 255"),
            ("*.", "1 to 255"),
            ("a.*.b", "first label"),
            ("*a.b", "first label"),
            ("a:80", "no port"),
            ("[::1]:80", "no port"),
            ("bücher.example", "xn--"),
            ("a..b", "labels"),
            (".a", "labels"),
            ("a b", "labels"),
        ];
        for (text, part) in cases {
            let error = text.parse::<HostPattern>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
