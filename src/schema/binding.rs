//! One way from HTTP into a method: verb, path and what the body means (google/api/http.proto).

use std::sync::Arc;

use super::field_path::FieldPath;
use super::message::{MessageId, Messages};
use super::place::Place;
use super::template::{Template, TemplateError};

/// One HTTP mapping of a method.
#[derive(Clone, Debug)]
pub struct Binding {
    /// The HTTP method; `None` for any (a `custom` rule of kind `*`).
    pub verb: Option<http::Method>,
    pub template: Arc<Template>,
    /// The input's fields that the template's variables fill, in their order.
    pub captures: Box<[FieldPath]>,
    pub body: BodyRule,
    /// The field of the output that is the body of the answer; all of the output when there is none.
    pub response_body: Option<FieldPath>,
    /// For people: `GET /v1/{name}`, the path as it was written.
    pub text: Box<str>,
    /// Where it was written; for a mapping that nobody wrote, where its method was.
    pub place: Place,
}

/// What the body of a request fills. What neither it nor the path fills comes from the query, unless the body is the whole message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyRule {
    /// Nothing: there is no body.
    None,
    /// The whole message, but for what the path fills.
    Whole,
    /// This field of the message; always one at its top level.
    Field(FieldPath),
}

/// What a mapping says before it is checked; empty texts for what it does not say.
pub(super) struct Draft<'r> {
    pub(super) verb: Option<http::Method>,
    pub(super) path: &'r str,
    pub(super) body: &'r str,
    pub(super) response_body: &'r str,
}

/// What is wrong with a draft: a sentence, and the text that it is about with the byte in it.
pub(super) struct Refused<'r> {
    pub(super) message: String,
    pub(super) about: &'r str,
    pub(super) at: usize,
}

impl Binding {
    /// A configured route's way into a method: body `*` on POST, PUT and PATCH, else the query. `verb` is that of the requests it
    /// serves; a route for any verb needs one binding for POST and one for GET, and picks by the request.
    pub fn for_route(verb: http::Method, template: Arc<Template>, place: Place) -> Binding {
        let whole = [http::Method::POST, http::Method::PUT, http::Method::PATCH].contains(&verb);
        let body = if whole { BodyRule::Whole } else { BodyRule::None };
        let text = format!("{verb} {template}").into();
        Binding { verb: Some(verb), template, captures: [].into(), body, response_body: None, text, place }
    }

    /// `POST /pkg.Service/Method` with body `*`: how a method without a rule is reached (Envoy's `auto_mapping`).
    ///
    /// # Errors
    /// When the path is no template, which the names of a valid schema always are.
    pub fn auto(path: &str, place: Place) -> Result<Binding, TemplateError> {
        let template = Arc::new(Template::parse_route(path)?);
        Ok(Binding::for_route(http::Method::POST, template, place))
    }

    pub(super) fn check<'r>(
        draft: &Draft<'r>,
        (input, output): (MessageId, MessageId),
        messages: &Messages,
        place: Place,
    ) -> Result<Binding, Refused<'r>> {
        let about = draft.path;
        let template =
            Template::parse(about).map_err(|error| Refused { message: error.message, about, at: error.at })?;
        let mut captures: Vec<FieldPath> = Vec::new();
        for variable in template.variables() {
            let refused = |message| Refused { message, about, at: variable.at };
            let path = FieldPath::resolve(messages, input, &variable.field).map_err(refused)?;
            path.check_capture(messages).map_err(refused)?;
            if let Some(other) = captures.iter().find(|other| path.is_within(other) || other.is_within(&path)) {
                return Err(refused(format!("`{}` and `{}` fill the same field", other.text(), path.text())));
            }
            captures.push(path);
        }
        let body = match draft.body {
            "" => BodyRule::None,
            "*" => BodyRule::Whole,
            name => BodyRule::Field(top_level(messages, input, name, "body")?),
        };
        let response_body = match draft.response_body {
            "" => None,
            name => Some(top_level(messages, output, name, "response_body")?),
        };
        let text = pattern(draft.verb.as_ref(), about).into();
        let (verb, template) = (draft.verb.clone(), Arc::new(template));
        Ok(Binding { verb, template, captures: captures.into(), body, response_body, text, place })
    }
}

/// A mapping's verb and path, for people.
pub(super) fn pattern(verb: Option<&http::Method>, path: &str) -> String {
    format!("{} {path}", verb.map_or("*", http::Method::as_str))
}

fn top_level<'r>(messages: &Messages, root: MessageId, name: &'r str, option: &str) -> Result<FieldPath, Refused<'r>> {
    let refused = |message| Refused { message: format!("{option}: {message}"), about: name, at: 0 };
    if name.contains('.') {
        return Err(refused(format!("`{name}` is within a field; it must be one of the message itself")));
    }
    FieldPath::resolve(messages, root, name).map_err(refused)
}
