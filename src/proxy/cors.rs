//! Pages of other origins: whose preflight it is, and who speaks for a call that never became one.

use std::sync::Arc;

use http::header;
use http::request::Parts;
use http::{Method, Response};

use super::mount::{Mount, Routing};
use crate::policy::Cors;
use crate::route::Miss;

/// The answer to a preflight, when the servlet that the call would reach has a word to say about origins.
pub(super) fn preflight(routing: &Routing, head: &Parts) -> Option<(Arc<Mount>, Response<()>)> {
    if head.method != Method::OPTIONS {
        return None;
    }
    let asked = head.headers.get(header::ACCESS_CONTROL_REQUEST_METHOD)?;
    let mount = reached(routing, head, &Method::from_bytes(asked.as_bytes()).ok()?)?;
    let answer = mount.cors.as_ref()?.preflight(&head.headers);
    Some((Arc::clone(mount), answer))
}

/// Who speaks for the answer to a call that could not be planned.
pub(super) fn of_unplanned(routing: &Routing, head: &Parts) -> Option<Arc<Cors>> {
    reached(routing, head, &head.method)?.cors.clone()
}

/// The servlet whose path it is. A preflight does not say in which dialect the call will be, so rules of every kind are asked.
fn reached<'r>(routing: &'r Routing, head: &Parts, method: &Method) -> Option<&'r Arc<Mount>> {
    let host = head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let path = head.uri.path();
    let find = |method: &Method| routing.table.find(host, method, path, &head.headers);
    match find(method) {
        Ok(found) => Some(&found.target.mount),
        Err(Miss::MethodNotAllowed(others)) => {
            // For a method that nobody has there, only whoever has the path alone can speak.
            let mut owners = others.iter().filter_map(|other| find(other).ok()).map(|found| &found.target.mount);
            let first = owners.next()?;
            owners.all(|other| Arc::ptr_eq(first, other)).then_some(first)
        }
        Err(Miss::NotFound) => routing.table.service(path).map(|found| &found.target.mount),
    }
}
