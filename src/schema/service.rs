//! Services and methods, as routing and translation see them, and the schema that holds them.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;
use http::uri::PathAndQuery;
use prost_reflect::{MethodDescriptor, ServiceDescriptor};

use super::binding::Binding;
use super::message::{EnumId, MessageId, Messages};
use super::place::{Place, SchemaError};
use super::places::Places;
use super::rule;
use super::sources::{self, Source, Texts};

/// Everything that a servlet's schema files say. Immutable; a reload builds another.
#[derive(Debug)]
pub struct Schema {
    messages: Arc<Messages>,
    places: Places,
    services: Vec<Service>,
    by_name: HashMap<Box<str>, usize, FixedState>,
}

/// A gRPC service.
#[derive(Debug)]
pub struct Service {
    /// `pkg.Service`.
    pub full_name: Arc<str>,
    /// In the order of the .proto.
    pub methods: Vec<Arc<Method>>,
    pub place: Place,
}

/// A gRPC method.
#[derive(Debug)]
pub struct Method {
    /// `pkg.Service`.
    pub service: Arc<str>,
    pub name: Arc<str>,
    /// `/pkg.Service/Method`, ready to be sent.
    pub path: PathAndQuery,
    pub input: MessageId,
    pub output: MessageId,
    pub client_streaming: bool,
    pub server_streaming: bool,
    /// Whether it is declared to only read: `option idempotency_level = NO_SIDE_EFFECTS`.
    pub no_side_effects: bool,
    /// Its google.api.http rules; without any, [`Method::mappings`] gives the one that follows from its name.
    pub bindings: Vec<Arc<Binding>>,
    auto: Arc<Binding>,
    pub messages: Arc<Messages>,
    pub place: Place,
}

impl Method {
    /// The ways in over HTTP: its rules, or `POST /pkg.Service/Method` when it has none, as with Envoy's `auto_mapping`.
    pub fn mappings(&self) -> &[Arc<Binding>] {
        if self.bindings.is_empty() { std::slice::from_ref(&self.auto) } else { &self.bindings }
    }
}

impl Schema {
    /// Compiles .proto texts and descriptor sets into one schema. `resolve` gives the text of an import, or `None`; google/api's
    /// annotations, http and httpbody, google/rpc's code, error_details and status, and google/protobuf, are known without it.
    ///
    /// # Errors
    /// All that is wrong, with file, line and column where they are known.
    pub fn build(
        sources: &[Source],
        resolve: &mut dyn FnMut(&str) -> Option<String>,
    ) -> Result<Schema, Vec<SchemaError>> {
        let (pool, texts) = sources::compile(sources, resolve)?;
        let messages = Arc::new(Messages::build(&pool));
        let mut errors = Vec::new();
        let services: Vec<Service> =
            pool.services().map(|service| build_service(&service, &messages, &texts, &mut errors)).collect();
        if !errors.is_empty() {
            return Err(errors);
        }
        let by_name = services.iter().zip(0..).map(|(service, index)| ((*service.full_name).into(), index)).collect();
        let places = Places::build(&pool, &messages, &texts);
        Ok(Schema { messages, places, services, by_name })
    }

    /// Whether an import is known without being resolved, so that a file which goes by its name is never read for it.
    pub fn knows(import: &str) -> bool {
        sources::known(import).is_some()
    }

    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.services.iter()
    }

    /// The service of that full name, `pkg.Service`.
    pub fn service(&self, full_name: &str) -> Option<&Service> {
        self.services.get(*self.by_name.get(full_name)?)
    }

    /// The method of a service, both by name.
    pub fn method(&self, service: &str, method: &str) -> Option<&Arc<Method>> {
        self.service(service)?.methods.iter().find(|candidate| *candidate.name == *method)
    }

    pub fn messages(&self) -> &Arc<Messages> {
        &self.messages
    }

    /// Where a message of this schema is defined.
    pub fn place_of_message(&self, id: MessageId) -> Place {
        self.places.message(id)
    }

    /// Where a field is defined, by its [`Field::index`](super::Field::index); where its message is, when that is all that is known.
    pub fn place_of_field(&self, id: MessageId, index: u32) -> Place {
        self.places.field(id, index)
    }

    /// Where an enum of this schema is defined.
    pub fn place_of_enum(&self, id: EnumId) -> Place {
        self.places.enumeration(id)
    }
}

fn build_service(
    service: &ServiceDescriptor,
    messages: &Arc<Messages>,
    texts: &Texts,
    errors: &mut Vec<SchemaError>,
) -> Service {
    let full_name: Arc<str> = service.full_name().into();
    let mut methods: Vec<Arc<Method>> = Vec::new();
    for method in service.methods() {
        match build_method(&method, &full_name, messages, texts, errors) {
            Ok(method) => methods.push(Arc::new(method)),
            Err(message) => {
                let message = format!("method {}: {message}", method.full_name());
                errors.push(SchemaError { place: texts.definition(&method.parent_file(), method.path()), message });
            }
        }
    }
    Service { full_name, methods, place: texts.definition(&service.parent_file(), service.path()) }
}

fn build_method(
    method: &MethodDescriptor,
    service: &Arc<str>,
    messages: &Arc<Messages>,
    texts: &Texts,
    errors: &mut Vec<SchemaError>,
) -> Result<Method, String> {
    let message = |name: &str| messages.by_name(name).ok_or_else(|| format!("there is no message {name}"));
    let input = message(method.input().full_name())?;
    let output = message(method.output().full_name())?;
    let path = format!("/{service}/{}", method.name());
    let place = texts.definition(&method.parent_file(), method.path());
    // Only a descriptor set made by hand can hold names that are no identifiers.
    let auto = Binding::auto(&path, place.clone()).map_err(|error| format!("its name is not valid: {error}"))?;
    let bindings = rule::bindings(method, (input, output), messages, texts, errors);
    Ok(Method {
        service: service.clone(),
        name: method.name().into(),
        path: PathAndQuery::try_from(path).map_err(|error| format!("its name is not valid: {error}"))?,
        input,
        output,
        client_streaming: method.is_client_streaming(),
        server_streaming: method.is_server_streaming(),
        no_side_effects: rule::has_no_side_effects(method),
        bindings,
        auto: Arc::new(auto),
        messages: messages.clone(),
        place,
    })
}

#[cfg(test)]
mod tests;
