//! The head that goes upstream.

use http::header::{self, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Method, Request, Uri, Version};

use super::call::Connection;
use super::mount::{Mount, Upstream};
use super::plan::{Carriage, Plan};
use crate::model::{Deadline, write_grpc_timeout};
use crate::runtime::now;
use crate::upstream::Head;
use crate::wire;

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// Makes the head of the upstream request out of the caller's.
pub(super) fn head(plan: &Plan, head: Parts, conn: &Connection) -> Request<()> {
    match &plan.carriage {
        Carriage::Grpc { path } => {
            let path = path.clone().or_else(|| head.uri.path_and_query().cloned());
            let mut headers = head.headers;
            conn.forwarding.apply(&mut headers);
            let authority = take_authority(&mut headers, &plan.mount);
            grpc(plan, headers, authority, path)
        }
        Carriage::Translated(translation) => {
            let mut from = head.headers;
            conn.forwarding.apply(&mut from);
            let authority = take_authority(&mut from, &plan.mount);
            grpc(plan, translation.metadata(from), authority, Some(translation.method_path().clone()))
        }
        Carriage::Http => untranslated(plan, head, conn),
    }
}

/// The head of one try: a gRPC servlet is told what is left of the call's time when it goes.
pub(super) struct Timed<'c> {
    pub(super) head: &'c mut Request<()>,
    pub(super) upstream: Upstream,
    pub(super) deadline: Deadline,
}

impl Head for Timed<'_> {
    fn head(&mut self) -> &Request<()> {
        if self.upstream == Upstream::Grpc
            && let Some(left) = self.deadline.left(now())
        {
            let (text, len) = write_grpc_timeout(left);
            if let Some(Ok(value)) = text.get(..len).map(HeaderValue::from_bytes) {
                self.head.headers_mut().insert(GRPC_TIMEOUT, value);
            }
        }
        self.head
    }
}

fn grpc(plan: &Plan, mut headers: HeaderMap, authority: Option<Authority>, path: Option<PathAndQuery>) -> Request<()> {
    if let Some(names) = &plan.mount.metadata.request {
        names.withhold(&mut headers);
    }
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    // Where the call has a deadline, each try writes its own.
    if plan.deadline.at().is_none() {
        headers.remove(GRPC_TIMEOUT);
    }
    let mut request = Request::new(());
    *request.method_mut() = Method::POST;
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = absolute(authority, path);
    *request.headers_mut() = headers;
    request
}

fn untranslated(plan: &Plan, head: Parts, conn: &Connection) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = head.method;
    let mut headers = head.headers;
    conn.forwarding.apply(&mut headers);
    if plan.mount.upstream == Upstream::Http2 {
        let authority = take_authority(&mut headers, &plan.mount);
        // Trailers are carried on, so they are taken (RFC 9110 §10.1.4); a gRPC server insists on hearing it.
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = absolute(authority, head.uri.path_and_query().cloned());
    } else {
        if head.version != Version::HTTP_2 {
            // Servers that speak CGI take `a_b` for `a-b`: a way to forge the latter past whoever checked it.
            wire::drop_underscored(&mut headers);
        }
        if !headers.contains_key(header::HOST) {
            let host = HeaderValue::from_str(&plan.mount.name).unwrap_or(HeaderValue::from_static("localhost"));
            headers.insert(header::HOST, host);
        }
        *request.version_mut() = Version::HTTP_11;
        *request.uri_mut() = head.uri;
    }
    *request.headers_mut() = headers;
    request
}

/// `Host` becomes `:authority`; a caller that named none means the servlet. `X-Forwarded-Host` is made of it before.
fn take_authority(headers: &mut HeaderMap, mount: &Mount) -> Option<Authority> {
    let host = headers.remove(header::HOST);
    host.and_then(|host| Authority::from_maybe_shared(host).ok())
        .or_else(|| Authority::try_from(&*mount.name).ok())
        .or_else(|| Some(Authority::from_static("localhost")))
}

fn absolute(authority: Option<Authority>, path: Option<PathAndQuery>) -> Uri {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = authority;
    parts.path_and_query = path.or_else(|| Some(PathAndQuery::from_static("/")));
    Uri::from_parts(parts).unwrap_or_default()
}
