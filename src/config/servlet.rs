//! One servlet as its file, its schema and its table say together. Checked: whoever holds one may run it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::Method;

use super::protos::Compiled;
use super::{ServletOptions, Upstream};
use crate::discovery::Position;
use crate::model::Table;
use crate::route::{HeaderMatch, HostPattern};
use crate::schema::{self, Binding, Place, Schema, Template};

/// A servlet, ready to run.
#[derive(Clone, Debug)]
pub struct ServletDef {
    /// The name of its file, without the extension.
    pub name: Arc<str>,
    /// Its file, as an operator would open it. Positions in this value are in there.
    pub file: Arc<str>,
    /// What the dialects are translated by; without one only gRPC callers are served.
    pub schema: Option<Arc<Schema>>,
    /// What that was made from.
    pub(super) compiled: Option<Arc<Compiled>>,
    /// With `schema: reflection`: how far it is known.
    pub reflected: Option<Reflected>,
    pub upstream: Upstream,
    /// Callable by every dialect, REST by the rules in the schema. Empty unless `upstream` is gRPC.
    pub services: Vec<ServiceDef>,
    /// Where its file lists them; the file's beginning when it does not.
    pub(super) services_at: Position,
    /// More ways in, tried before the services of every servlet.
    pub routes: Vec<RouteDef>,
    pub table: Table,
    /// The whole call, of any kind, when the servlet's file says so.
    pub timeout: Option<Duration>,
    /// What unary gRPC calls get when it does not.
    pub unary_timeout: Duration,
    pub options: ServletOptions,
}

impl ServletDef {
    /// Why nothing can be translated yet, although it will be.
    pub fn pending(&self) -> Option<&str> {
        match &self.reflected {
            Some(Reflected::Pending(why)) => Some(why),
            Some(Reflected::Known(_)) | None => None,
        }
    }

    /// A place in its schema as an operator would open it.
    pub(super) fn shown(&self, place: &Place) -> String {
        let Some(compiled) = &self.compiled else { return place.to_string() };
        let shown = Place { file: compiled.shown(&place.file).into(), ..place.clone() };
        match self.reflected {
            Some(_) => format!("{shown}, as the endpoints of {} tell it", self.name),
            None => shown.to_string(),
        }
    }
}

/// How far a schema is known that the endpoints tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reflected {
    /// It is `ServletDef::schema`, from the descriptors that are kept at this path.
    Known(PathBuf),
    /// Not at all, for this reason: only gRPC callers are served.
    Pending(String),
}

/// One line of `services`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceDef {
    /// `pkg.v1.Service`, `pkg.v1.*` or `*`.
    pub pattern: String,
    pub at: Position,
}

/// One line of `routes`.
#[derive(Clone, Debug)]
pub struct RouteDef {
    pub matches: MatchDef,
    /// The gRPC method behind it: service and method. There exactly when the upstream is gRPC.
    pub call: Option<(String, String)>,
    /// How a request becomes the input of that method.
    pub binding: Option<RouteBinding>,
    pub at: Position,
}

/// A route's way into its method.
#[derive(Clone, Debug)]
pub struct RouteBinding {
    pub method: Arc<schema::Method>,
    pub binding: Arc<Binding>,
    /// Instead of `binding` for requests that have no body by their verb, on routes for any verb that do not say what a body fills.
    pub bodiless: Option<Arc<Binding>>,
}

/// What a request must be for a route to take it.
#[derive(Clone, Debug)]
pub struct MatchDef {
    pub host: HostPattern,
    pub path: Arc<Template>,
    pub method: Option<Method>,
    /// All of them must be there.
    pub headers: Vec<HeaderMatch>,
}
