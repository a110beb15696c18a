//! One rule: what a request must be, and where it then goes.

use std::cmp::{Ordering, Reverse};
use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::host::HostPattern;
use crate::schema::Template;

/// Two tables in one: every route comes before any service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// What servlets list under `routes`.
    Routes,
    /// What follows from the schemas of their services.
    Services,
}

/// Where a rule was written, for messages: `servlets/echo.yaml:5:3`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin(Arc<str>);

impl Origin {
    pub fn new(text: impl Into<Arc<str>>) -> Origin {
        Origin(text.into())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A header that a request must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderMatch {
    pub name: HeaderName,
    /// One of its values must be this, byte by byte; `None`: it must be there.
    pub value: Option<HeaderValue>,
}

impl HeaderMatch {
    fn fits(&self, headers: &HeaderMap) -> bool {
        match &self.value {
            None => headers.contains_key(&self.name),
            Some(value) => headers.get_all(&self.name).iter().any(|found| found == value),
        }
    }

    /// Whether no request with one value a header fits both.
    fn excludes(&self, other: &HeaderMatch) -> bool {
        self.name == other.name && self.value.is_some() && other.value.is_some() && self.value != other.value
    }
}

/// A rule of a table.
#[derive(Clone, Debug)]
pub struct Entry<T> {
    pub tier: Tier,
    pub host: HostPattern,
    pub path: Arc<Template>,
    /// The HTTP method; `None` for any. HEAD is not GET, here as in Envoy: an entry for GET does not serve it.
    pub method: Option<Method>,
    /// All of them must fit.
    pub headers: Vec<HeaderMatch>,
    pub origin: Origin,
    pub target: T,
}

impl<T> Entry<T> {
    /// The header that a request lacks, if there is one.
    pub(super) fn missing(&self, headers: &HeaderMap) -> Option<&HeaderMatch> {
        self.headers.iter().find(|header| !header.fits(headers))
    }

    pub(super) fn takes(&self, method: &Method) -> bool {
        self.method.as_ref().is_none_or(|own| own == method)
    }

    /// Which of two entries of the same path is asked first: one with a method, then the one with more headers.
    pub(super) fn order(&self, other: &Entry<T>) -> Ordering {
        let key = |entry: &Entry<T>| (entry.method.is_none(), Reverse(entry.headers.len()));
        key(self).cmp(&key(other))
    }

    /// Whether neither of two entries of the same tier, host and path comes first for a request that fits both.
    pub(super) fn ties(&self, other: &Entry<T>) -> bool {
        let exclusive = self.headers.iter().any(|one| other.headers.iter().any(|two| one.excludes(two)));
        self.method == other.method && self.headers.len() == other.headers.len() && !exclusive
    }
}

/// `GET *.example.com/v1/* [x-env: a]`.
impl<T> fmt::Display for Entry<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(method) = &self.method {
            write!(f, "{method} ")?;
        }
        if self.host != HostPattern::Any {
            write!(f, "{}", self.host)?;
        }
        write!(f, "{}", self.path)?;
        for header in &self.headers {
            match &header.value {
                Some(value) => write!(f, " [{}: {}]", header.name, String::from_utf8_lossy(value.as_bytes()))?,
                None => write!(f, " [{}]", header.name)?,
            }
        }
        Ok(())
    }
}
