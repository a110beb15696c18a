//! One way from HTTP into a method: verb, path and what the body means (google/api/http.proto).

use std::sync::Arc;

use super::field_path::{FieldPath, FieldPathError};
use super::message::{MessageId, Messages};
use super::place::Place;
use super::service::Method;
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

/// A configured route's way into a method, before it is checked.
#[derive(Clone, Debug)]
pub struct RouteRule<'r> {
    /// The verb of the requests that it serves; `None` for any.
    pub verb: Option<http::Method>,
    pub template: Arc<Template>,
    /// As in google.api.http: `*`, a field's name, or empty for none.
    pub body: &'r str,
    /// A field's name, or empty for the whole message.
    pub response_body: &'r str,
    pub place: Place,
}

/// What a route's rule says of which part, where it does not fit the method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteRuleError {
    pub part: RulePart,
    pub error: FieldPathError,
}

/// The parts of a rule that name fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RulePart {
    Path,
    Body,
    ResponseBody,
}

impl Binding {
    /// A configured route's way into `method`, checked as an annotation would be.
    ///
    /// # Errors
    /// Everything that does not fit.
    pub fn for_route(rule: &RouteRule<'_>, method: &Method) -> Result<Binding, Vec<RouteRuleError>> {
        let messages = &*method.messages;
        let (captures, mut errors) = match captures(&rule.template, method.input, messages) {
            Ok(captures) => (captures, Vec::new()),
            Err((error, _)) => (Vec::new(), vec![RouteRuleError { part: RulePart::Path, error }]),
        };
        let mut or_told = |result: Result<Option<FieldPath>, FieldPathError>, part| {
            result.unwrap_or_else(|error| {
                errors.push(RouteRuleError { part, error });
                None
            })
        };
        let body = match rule.body {
            "" => BodyRule::None,
            "*" => BodyRule::Whole,
            name => {
                let field = top_level(messages, method.input, name);
                or_told(field.map(Some), RulePart::Body).map_or(BodyRule::None, BodyRule::Field)
            }
        };
        let response_body = match rule.response_body {
            "" => None,
            name => or_told(top_level(messages, method.output, name).map(Some), RulePart::ResponseBody),
        };
        if !errors.is_empty() {
            return Err(errors);
        }
        let text = pattern(rule.verb.as_ref(), rule.template.text()).into();
        let (verb, template, place) = (rule.verb.clone(), Arc::clone(&rule.template), rule.place.clone());
        Ok(Binding { verb, template, captures: captures.into(), body, response_body, text, place })
    }

    /// What the body of a request fills where nobody says: `*` for the verbs that have one, else nothing (design §3).
    pub fn default_body(verb: &http::Method) -> &'static str {
        if [http::Method::POST, http::Method::PUT, http::Method::PATCH].contains(verb) { "*" } else { "" }
    }

    /// `POST /pkg.Service/Method` with body `*`: how a method without a rule is reached (Envoy's `auto_mapping`).
    ///
    /// # Errors
    /// When the path is no template, which the names of a valid schema always are.
    pub fn auto(path: &str, place: Place) -> Result<Binding, TemplateError> {
        let template = Arc::new(Template::parse_route(path)?);
        let verb = http::Method::POST;
        let text = pattern(Some(&verb), path).into();
        let (captures, body) = ([].into(), BodyRule::Whole);
        Ok(Binding { verb: Some(verb), template, captures, body, response_body: None, text, place })
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
        let captures = captures(&template, input, messages).map_err(|(error, at)| Refused {
            message: error.to_string(),
            about,
            at,
        })?;
        let field = |root, name: &'r str, option: &str| {
            top_level(messages, root, name).map_err(|error| Refused {
                message: format!("{option}: {error}"),
                about: name,
                at: 0,
            })
        };
        let body = match draft.body {
            "" => BodyRule::None,
            "*" => BodyRule::Whole,
            name => BodyRule::Field(field(input, name, "body")?),
        };
        let response_body = match draft.response_body {
            "" => None,
            name => Some(field(output, name, "response_body")?),
        };
        let text = pattern(draft.verb.as_ref(), about).into();
        let (verb, template) = (draft.verb.clone(), Arc::new(template));
        Ok(Binding { verb, template, captures: captures.into(), body, response_body, text, place })
    }
}

/// The fields that a template's variables fill; or what is wrong with one, and where in the template's text it is.
fn captures(
    template: &Template,
    input: MessageId,
    messages: &Messages,
) -> Result<Vec<FieldPath>, (FieldPathError, usize)> {
    let mut captures: Vec<FieldPath> = Vec::new();
    for variable in template.variables() {
        let refused = |error| (error, variable.at);
        let path = FieldPath::resolve(messages, input, &variable.field).map_err(refused)?;
        path.check_capture(messages).map_err(|message| refused(message.into()))?;
        if let Some(other) = captures.iter().find(|other| path.is_within(other) || other.is_within(&path)) {
            let message = format!("`{}` and `{}` fill the same field", other.text(), path.text());
            return Err(refused(message.into()));
        }
        captures.push(path);
    }
    Ok(captures)
}

/// A mapping's verb and path, for people.
pub(super) fn pattern(verb: Option<&http::Method>, path: &str) -> String {
    format!("{} {path}", verb.map_or("*", http::Method::as_str))
}

fn top_level(messages: &Messages, root: MessageId, name: &str) -> Result<FieldPath, FieldPathError> {
    if name.contains('.') {
        return Err(format!("`{name}` is within a field; it must be one of the message itself").into());
    }
    FieldPath::resolve(messages, root, name)
}
