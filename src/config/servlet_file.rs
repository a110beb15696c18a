//! `servlets/NAME.yaml` as it is written, before it is held against its schema and its table.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use serde_json::{Value, json};

use super::settings::{Defaults, FilePath};
use super::{MatchDef, ServletOptions, Upstream};
use crate::discovery::{
    Content, Decode, Lenient, Node, OneOrMany, Position, Reader, Record, Spanned, description, quoted_list, record,
};
use crate::route::{self, HeaderMatch};
use crate::schema::{ENVELOPE, Template};

record! {
    /// One servlet: its routes, schema and policy. The servlet's name is the file's.
    pub(super) struct ServletFile {
        /// A .proto file (compiled at load), a descriptor set (.pb, .binpb), or a list of them, relative to this file; or `reflection`: what the endpoints themselves tell by grpc.reflection. Needed for every dialect but gRPC itself and the envelope.
        pub schema: Lenient<Option<SchemaLine>> = Lenient(Some(None)),
        /// The gRPC services that every dialect may call: `pkg.v1.Service`, `pkg.v1.*` for a package, or `*` for all. The exact name comes first.
        pub services: Lenient<Option<Spanned<Vec<Lenient<Spanned<ServicePattern>>>>>> = Lenient(Some(None)),
        /// More ways in, tried before the services of every servlet.
        pub routes: Lenient<Vec<Lenient<Spanned<RouteLine>>>> = Lenient(Some(Vec::new())),
        /// What the endpoints speak. `http1` and `http2` carry plain HTTP through untranslated.
        pub upstream: Lenient<Upstream> = Lenient(Some(Upstream::Grpc)),
        /// The endpoint table, relative to this file; `../endpoints/NAME.yaml` when left out.
        pub endpoints: Lenient<Option<Spanned<FilePath>>> = Lenient(Some(None)),
        /// The whole call, of any kind. When left out, unary gRPC calls have the default one and all others none.
        pub timeout: Lenient<Option<Duration>> = Lenient(Some(None)),
    }
}

impl ServletFile {
    /// The services that it speaks of, as patterns: those that are listed, and those that routes lead to.
    pub(super) fn asked_services(&self) -> Vec<String> {
        let listed = self.services.0.iter().flatten().flat_map(|services| &services.value);
        let listed = listed.filter_map(|line| Some(line.0.as_ref()?.value.0.clone()));
        let routes = self.routes.0.iter().flatten().filter_map(|line| line.0.as_ref());
        let called = routes.filter_map(|line| Some(&line.value.call.0.as_ref()?.as_ref()?.value));
        let called = called.filter(|call| !call.is_envelope()).map(|call| call.service.clone());
        let mut names: Vec<String> = listed.chain(called).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

record! {
    /// One more way in.
    pub(super) struct RouteLine {
        /// What a request must be for this route to take it: `host`, `path`, `method`, `headers`, like `{ path: "/old/**" }`.
        pub r#match: Lenient<MatchLine>,
        /// The gRPC method behind it, `pkg.v1.Service/Method`; `telamon.v1.HttpServlet/Serve` takes whole HTTP exchanges and needs no schema. Required for `upstream: grpc`, refused otherwise.
        pub call: Lenient<Option<Spanned<CallName>>> = Lenient(Some(None)),
        /// What the body of a request fills: `*` for the whole message, a field of it, or `""` for nothing. What neither it nor the path fills comes from the query. `*` on POST, PUT and PATCH and nothing otherwise, when left out.
        pub body: Lenient<Option<Spanned<BodyField>>> = Lenient(Some(None)),
        /// The field of the answer that is told instead of all of it.
        pub response_body: Lenient<Option<Spanned<AnswerField>>> = Lenient(Some(None)),
    }
}

record! {
    /// What a request must be. Whatever is left out matches all.
    pub(super) struct MatchLine {
        /// A host, or `*.` and the end of one, at any depth.
        pub host: Option<HostPattern>,
        /// A path: literal segments, `*` for one segment, `**` at the end for all that follow or none; or a template of google.api.http, whose variables fill fields: `/v1/{name=shelves/*}/books/{book_id}:read`. `/**` when left out.
        pub path: Option<Spanned<PathPattern>> = None,
        /// An HTTP method.
        pub method: Option<MethodName> = None,
        /// Header fields that must be there with exactly this value.
        pub headers: HeaderValues = HeaderValues(Vec::new()),
    }
}

impl MatchLine {
    /// The path's template; `None` never.
    pub(super) fn template(&self) -> Option<Arc<Template>> {
        let written = self.path.as_ref().map(|path| Arc::clone(&path.value.0));
        written.or_else(|| Template::parse_route("/**").ok().map(Arc::new))
    }

    /// The path, and where it stands.
    pub(super) fn written(&self) -> Option<(Position, String)> {
        self.path.as_ref().map(|path| (path.at, path.value.0.text().to_owned()))
    }

    /// `None` never: the path that stands for all is a path.
    pub(super) fn into_def(self) -> Option<MatchDef> {
        let path = self.template()?;
        Some(MatchDef {
            host: self.host.map_or(route::HostPattern::Any, |host| host.0),
            path,
            method: self.method.map(|method| method.0),
            headers: self.headers.0,
        })
    }
}

/// Reads `text` as far as it goes; what a key does not say is as in `defaults`.
pub(super) fn parse(
    text: &str,
    reader: &mut Reader,
    defaults: &Defaults,
) -> Option<(Spanned<ServletFile>, Option<ServletOptions>)> {
    let root = reader.root(text)?;
    let keys = quoted_list(&[ServletFile::KEYS, ServletOptions::KEYS].concat());
    let mut fields = reader.fields(&root, format!("a mapping with {keys}"))?;
    let file = ServletFile::take(&mut fields, reader, None);
    if let Some(upstream @ (Upstream::Http1 | Upstream::Http2)) = file.as_ref().and_then(|file| file.upstream.0)
        && let Content::Map(entries) = &*root.content
        && let Some((key, _)) = entries.iter().find(|(key, _)| key.text == "metadata")
    {
        let wrong = format!("is not allowed with `upstream: {}`", upstream.name());
        let problem = reader.report_at(Some(key.at), "metadata", wrong);
        problem.allowed = Some("nothing is translated, and header fields go through".into());
    }
    let options = ServletOptions::take(&mut fields, reader, Some(&defaults.servlet));
    fields.finish(reader);
    Some((Spanned { value: file?, at: root.at }, options))
}

/// The JSON Schema of a servlet file.
pub(super) fn schema() -> Value {
    let mut options = ServletOptions::properties();
    for option in options.values_mut() {
        if let Some(Value::String(description)) = option.get_mut("description") {
            description.push_str(" When left out, as `defaults` in telamon.yaml say.");
        }
        if let Some(option) = option.as_object_mut() {
            // What a mapping must say, `defaults` may have said.
            option.remove("required");
        }
    }
    let properties: serde_json::Map<String, Value> = ServletFile::properties().into_iter().chain(options).collect();
    json!({
        "type": "object",
        "additionalProperties": false,
        "description": description(&["One servlet: its routes, schema and policy. The servlet's name is the file's."]),
        "properties": properties,
    })
}

/// Where the schema comes from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum SchemaLine {
    Files(Vec<Spanned<FilePath>>),
    /// The endpoints tell it.
    Reflection(Position),
}

/// The word for a schema that the endpoints tell. No schema file can have this name: it has no extension.
pub(super) const REFLECTION: &str = "reflection";

impl SchemaLine {
    /// Where it is written.
    pub(super) fn at(&self) -> Option<Position> {
        match self {
            SchemaLine::Files(paths) => paths.first().map(|path| path.at),
            SchemaLine::Reflection(at) => Some(*at),
        }
    }
}

impl Decode for SchemaLine {
    fn decode(node: &Node, reader: &mut Reader) -> Option<Self> {
        match &*node.content {
            Content::Scalar { text, .. } if text == REFLECTION => Some(SchemaLine::Reflection(node.at)),
            _ => <OneOrMany<Spanned<FilePath>>>::decode(node, reader).map(|paths| SchemaLine::Files(paths.0)),
        }
    }

    fn schema() -> Value {
        let mut schema = <OneOrMany<Spanned<FilePath>>>::schema();
        if let Some(Value::Array(kinds)) = schema.get_mut("oneOf") {
            kinds.insert(0, json!({ "const": REFLECTION }));
            // The word is a path too, as far as a pattern can tell.
            schema = json!({ "anyOf": kinds });
        }
        schema
    }
}

const IDENTIFIERS: &str = "[A-Za-z_][A-Za-z0-9_]*(\\.[A-Za-z_][A-Za-z0-9_]*)*";

/// Whether it is names joined by dots, as protobuf names packages and services.
fn is_full_name(text: &str) -> bool {
    text.split('.').all(|name| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

/// `pkg.v1.Service`, `pkg.v1.*` or `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServicePattern(pub(super) String);

impl Decode for ServicePattern {
    fn decode(node: &Node, reader: &mut Reader) -> Option<Self> {
        const ALLOWED: &str = "a service `pkg.v1.Service`, a package `pkg.v1.*`, or `*`";
        let text = reader.text(node, ALLOWED)?;
        if text == "*" || is_full_name(text.strip_suffix(".*").unwrap_or(text)) {
            return Some(ServicePattern(text.to_owned()));
        }
        reader.reject(node, ALLOWED)
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": format!("^(\\*|{IDENTIFIERS}(\\.\\*)?)$") })
    }
}

/// `pkg.v1.Service/Method`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CallName {
    pub(super) service: String,
    pub(super) method: String,
}

impl CallName {
    /// Whether it is the method that takes whole exchanges, which needs no schema.
    pub(super) fn is_envelope(&self) -> bool {
        (self.service.as_str(), self.method.as_str()) == ENVELOPE
    }
}

impl Decode for CallName {
    fn decode(node: &Node, reader: &mut Reader) -> Option<Self> {
        const ALLOWED: &str = "a method `pkg.v1.Service/Method`";
        let text = reader.text(node, ALLOWED)?;
        match text.split_once('/') {
            Some((service, method)) if is_full_name(service) && is_full_name(method) && !method.contains('.') => {
                Some(CallName { service: service.to_owned(), method: method.to_owned() })
            }
            _ => reader.reject(node, ALLOWED),
        }
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": format!("^{IDENTIFIERS}/[A-Za-z_][A-Za-z0-9_]*$") })
    }
}

/// An exact host or `*.` and the end of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostPattern(route::HostPattern);

impl Decode for HostPattern {
    fn decode(node: &Node, reader: &mut Reader) -> Option<Self> {
        match reader.text(node, "a host, like `api.example.com` or `*.example.com`")?.parse() {
            Ok(pattern) => Some(HostPattern(pattern)),
            Err(route::HostPatternError(allowed)) => reader.reject(node, allowed),
        }
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": r"^(\*|(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?|\[[0-9A-Fa-f:.]+\])$" })
    }
}

/// What the body fills: `*`, a field, or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BodyField(pub(super) String);

impl Decode for BodyField {
    fn decode(node: &Node, reader: &mut Reader) -> Option<Self> {
        const ALLOWED: &str = "`*`, the name of a field, or `\"\"` for no body";
        let text = reader.text(node, ALLOWED)?;
        if matches!(text, "" | "*") || is_full_name(text) {
            return Some(BodyField(text.to_owned()));
        }
        reader.reject(node, ALLOWED)
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^(\\*|[A-Za-z_][A-Za-z0-9_]*)?$" })
    }
}

/// The field that is the body of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AnswerField(pub(super) String);

impl Decode for AnswerField {
    fn decode(node: &Node, reader: &mut Reader) -> Option<Self> {
        const ALLOWED: &str = "the name of a field of the answer";
        let text = reader.text(node, ALLOWED)?;
        if is_full_name(text) { Some(AnswerField(text.to_owned())) } else { reader.reject(node, ALLOWED) }
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" })
    }
}

/// A path of literals, `*` and `**`, or a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PathPattern(pub(super) Arc<Template>);

impl Decode for PathPattern {
    fn decode(node: &Node, reader: &mut Reader) -> Option<Self> {
        const ALLOWED: &str = "a path, like `/old/*/x`, `/old/**` or `/v1/{name}`";
        match Template::parse_route(reader.text(node, ALLOWED)?) {
            Ok(template) => Some(PathPattern(Arc::new(template))),
            Err(error) => reader.reject(node, format!("{ALLOWED}: {}", error.message)),
        }
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^/" })
    }
}

/// An HTTP method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MethodName(pub(super) Method);

impl Decode for MethodName {
    fn decode(node: &Node, reader: &mut Reader) -> Option<Self> {
        const ALLOWED: &str = "an HTTP method in capitals, like `GET`";
        let text = reader.text(node, ALLOWED)?;
        match Method::from_bytes(text.as_bytes()) {
            // Methods are case-sensitive (RFC 9110 §9.1), and nobody means `get`.
            Ok(method) if !text.bytes().any(|byte| byte.is_ascii_lowercase()) && method != Method::CONNECT => {
                Some(MethodName(method))
            }
            _ => reader.reject(node, ALLOWED),
        }
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^[A-Z0-9!#$%&'*+.^_`|~-]+$" })
    }
}

/// Header fields and their exact values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HeaderValues(Vec<HeaderMatch>);

impl Decode for HeaderValues {
    fn decode(node: &Node, reader: &mut Reader) -> Option<Self> {
        const ALLOWED: &str = "a mapping from header names to exact values";
        reader.fields(node, ALLOWED)?;
        let Content::Map(entries) = &*node.content else { return None };
        let mut seen: HashMap<HeaderName, u32> = HashMap::new();
        let mut fields = Some(Vec::new());
        for (key, value) in entries {
            let field = reader.key(key.text.clone(), |reader| {
                let Ok(name) = HeaderName::from_bytes(key.text.as_bytes()) else {
                    reader.report(key.at, "is not a header name");
                    return None;
                };
                if name == http::header::HOST {
                    reader.report(key.at, "is not allowed").allowed = Some("match hosts with `host`".into());
                    return None;
                }
                if let Some(line) = seen.insert(name.clone(), key.at.line) {
                    reader.report(key.at, format!("is there twice, whatever its case: first on line {line}"));
                    return None;
                }
                match HeaderValue::from_str(reader.text(value, "a header's value")?) {
                    Ok(value) => Some(HeaderMatch { name, value: Some(value) }),
                    Err(_) => reader.reject(value, "a header's value"),
                }
            });
            fields = fields.zip(field).map(|(mut fields, field)| {
                fields.push(field);
                fields
            });
        }
        fields.map(HeaderValues)
    }

    fn schema() -> Value {
        json!({ "type": "object", "additionalProperties": { "type": "string" } })
    }

    fn written(&self) -> Value {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let pair = |field: &HeaderMatch| (field.name.to_string(), field.value.as_ref().map(text).into());
        self.0.iter().map(pair).collect::<serde_json::Map<_, _>>().into()
    }
}
