//! The form that an answer takes, chosen by `Accept` (RFC 9110 §12.5.1) among what its method can be answered in. Leans towards
//! answering: a caller that accepts none of our forms gets JSON, as Envoy gives it, and never an error about an answer that is fine.

use std::cmp::Reverse;

use http::header::{self, HeaderMap, HeaderValue};

use super::header_value::{Valued, split};

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";
const LINES: [&str; 3] = ["application/x-ndjson", "application/ndjson", "application/jsonl"];
const PROTOBUF: [&str; 3] = ["application/x-protobuf", "application/protobuf", "application/vnd.google.protobuf"];

/// How messages are written into an answer. A `google.api.HttpBody` is its own form, whatever is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerForm {
    /// One message as JSON; a stream as an array.
    Json,
    /// A line of JSON for each message of a stream, under this content type.
    Lines(&'static str),
    /// A server-sent event for each message of a stream (html.spec.whatwg.org, `text/event-stream`).
    Events,
    /// One message as it is on the wire, under this content type.
    Protobuf(&'static str),
}

impl AnswerForm {
    /// The form that a request asks for: by `Accept`, else in kind. `streaming`: whether there is any number of messages.
    pub(crate) fn asked(headers: &HeaderMap, streaming: bool) -> AnswerForm {
        let sent = headers.get(header::CONTENT_TYPE).filter(|value| *value != JSON);
        let sent = sent.and_then(|value| value.to_str().ok()).and_then(protobuf);
        let in_kind = sent.map_or(AnswerForm::Json, AnswerForm::Protobuf);
        let mut accepts = headers.get_all(header::ACCEPT).iter();
        if accepts.next().is_none_or(|only| only == "*/*" && accepts.next().is_none()) {
            return in_kind;
        }
        let ranges = Ranges::read(headers);
        if ranges.0.is_empty() {
            return in_kind;
        }
        if streaming { ranges.for_stream(sent) } else { ranges.for_one(sent) }
    }

    pub(super) fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(self.name())
    }

    fn name(self) -> &'static str {
        match self {
            AnswerForm::Json => JSON,
            AnswerForm::Events => EVENTS,
            AnswerForm::Lines(name) | AnswerForm::Protobuf(name) => name,
        }
    }
}

/// The name under which a content type says protobuf.
pub(super) fn protobuf(content_type: &str) -> Option<&'static str> {
    one_of(PROTOBUF, content_type)
}

/// The name under which a content type says NDJSON.
pub(super) fn lines(content_type: &str) -> Option<&'static str> {
    one_of(LINES, content_type)
}

fn one_of(names: [&'static str; 3], content_type: &str) -> Option<&'static str> {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    names.into_iter().find(|name| name.eq_ignore_ascii_case(essence))
}

/// The media ranges of `Accept`, in their order.
struct Ranges(Vec<Range>);

struct Range {
    /// `type/subtype`, `type/*` or `*/*`.
    name: String,
    /// In thousandths; 0 is a refusal.
    weight: u16,
}

/// How much a form is wanted: by weight, then by how exactly it is named, then by what is named first.
type Rating = (u16, u8, Reverse<usize>);

/// As a [`Rating`] has it: the form's own name.
const EXACT: u8 = 2;

impl Ranges {
    fn read(headers: &HeaderMap) -> Ranges {
        let texts = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        Ranges(texts.flat_map(|text| split(text, b',')).filter_map(Range::read).collect())
    }

    /// By the most exact range that it fits; `None` when it fits none, or is refused.
    fn rate(&self, form: AnswerForm) -> Option<Rating> {
        let fitting = self.0.iter().zip(0..).filter_map(|(range, place)| {
            let exactness = range.exactness(form.name())?;
            Some((exactness, Reverse(place), range.weight))
        });
        let (exactness, place, weight) = fitting.max()?;
        (weight > 0).then_some((weight, exactness, place))
    }

    /// What is wanted most; of what is wanted equally, the first.
    fn best(&self, offers: impl Iterator<Item = AnswerForm>) -> Option<(Rating, AnswerForm)> {
        let rated = offers.filter_map(|form| Some((self.rate(form)?, form)));
        rated.reduce(|best, next| if next.0 > best.0 { next } else { best })
    }

    fn for_one(&self, sent: Option<&'static str>) -> AnswerForm {
        let offers = std::iter::once(AnswerForm::Json).chain(PROTOBUF.map(AnswerForm::Protobuf));
        let best = self.best(offers);
        let Some(name) = sent else { return best.map_or(AnswerForm::Json, |(_, form)| form) };
        match (best, self.rate(AnswerForm::Protobuf(name))) {
            (Some(((most, ..), form)), rating) if rating.is_none_or(|(weight, ..)| weight < most) => form,
            _ => AnswerForm::Protobuf(name),
        }
    }

    /// Protobuf is chosen only when nothing else will do: there is no such form for a stream, and that is then told.
    fn for_stream(&self, sent: Option<&'static str>) -> AnswerForm {
        let best = self.best([AnswerForm::Json, AnswerForm::Events].into_iter().chain(LINES.map(AnswerForm::Lines)));
        match (best, sent) {
            (Some((_, form)), None) => form,
            (Some(((_, exactness, _), form)), Some(_)) if exactness == EXACT => form,
            (_, Some(name)) => AnswerForm::Protobuf(name),
            (None, None) => {
                let named = PROTOBUF.map(AnswerForm::Protobuf).into_iter().find(|form| self.rate(*form).is_some());
                named.unwrap_or(AnswerForm::Json)
            }
        }
    }
}

impl Range {
    /// What is no range is passed over.
    fn read(text: &str) -> Option<Range> {
        let read = Valued::read(text);
        let weight = match read.parameter("q") {
            Some(weight) => thousandths(&weight)?,
            None => 1000,
        };
        // Java's HttpURLConnection says `*`.
        let name = if read.value == "*" { "*/*".to_owned() } else { read.value };
        name.contains('/').then_some(Range { name, weight })
    }

    fn exactness(&self, name: &str) -> Option<u8> {
        if self.name == name {
            return Some(EXACT);
        }
        match self.name.strip_suffix('*')? {
            "*/" => Some(0),
            kind => (kind.ends_with('/') && name.starts_with(kind)).then_some(1),
        }
    }
}

/// `0.5`, `1`, and `.5`, which Java's HttpURLConnection says.
fn thousandths(weight: &str) -> Option<u16> {
    let (whole, fraction) = weight.split_once('.').unwrap_or((weight, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let whole = match whole {
        "0" => 0,
        "" if !fraction.is_empty() => 0,
        "1" => 1000,
        _ => return None,
    };
    let fraction: u16 = format!("{fraction:0<3}").parse().ok()?;
    Some(whole + fraction).filter(|weight| *weight <= 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const X: AnswerForm = AnswerForm::Protobuf("application/x-protobuf");
    const NDJSON: AnswerForm = AnswerForm::Lines("application/x-ndjson");

    fn asked(content_type: &'static str, accepts: &[&'static str], streaming: bool) -> AnswerForm {
        let mut headers = HeaderMap::new();
        if !content_type.is_empty() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        for accept in accepts {
            headers.append(header::ACCEPT, HeaderValue::from_static(accept));
        }
        AnswerForm::asked(&headers, streaming)
    }

    #[test]
    fn a_stream_is_answered_as_its_caller_accepts() {
        let cases: &[(&[&str], AnswerForm)] = &[
            (&[], AnswerForm::Json),
            (&[""], AnswerForm::Json),
            (&["*/*"], AnswerForm::Json),
            (&["application/*"], AnswerForm::Json),
            (&["text/*"], AnswerForm::Events),
            (&["text/event-stream"], AnswerForm::Events),
            (&["Text/Event-Stream;charset=utf-8"], AnswerForm::Events),
            (&["text/event-stream, */*"], AnswerForm::Events),
            (&["*/*, text/event-stream"], AnswerForm::Events),
            (&["application/x-ndjson"], NDJSON),
            (&["application/ndjson"], AnswerForm::Lines("application/ndjson")),
            (&["application/jsonl"], AnswerForm::Lines("application/jsonl")),
            (&["application/json, application/x-ndjson"], AnswerForm::Json),
            (&["application/x-ndjson, application/json"], NDJSON),
            (&["application/x-ndjson;q=0.5, application/json"], AnswerForm::Json),
            (&["application/json;q=0.5", "application/x-ndjson;q=0.501"], NDJSON),
            (&["application/json;q=0, */*"], AnswerForm::Events),
            (&["application/json;q=0, text/event-stream;q=0, */*;q=0.1"], NDJSON),
            (&["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"], AnswerForm::Json),
            (&["text/html, image/gif, *; q=.2, */*; q=.2"], AnswerForm::Json),
            // None of ours.
            (&["image/png"], AnswerForm::Json),
            (&["*/*;q=0"], AnswerForm::Json),
            (&["application/x-ndjson;q=0"], AnswerForm::Json),
            (&["application/x-ndjson;q=2"], AnswerForm::Json),
            (&["application/x-ndjson;q=1.001"], AnswerForm::Json),
            (&["nothing"], AnswerForm::Json),
            // No form of a stream, which is told when nothing else will do.
            (&["application/x-protobuf"], X),
            (&["application/x-protobuf, */*;q=0.1"], AnswerForm::Json),
            (&["application/x-protobuf, application/json;q=0.1"], AnswerForm::Json),
        ];
        for (accepts, expected) in cases {
            assert_eq!(asked("application/json", accepts, true), *expected, "{accepts:?}");
        }
    }

    #[test]
    fn one_message_is_answered_in_kind_unless_another_form_is_asked_for() {
        let cases: &[(&str, &[&str], AnswerForm)] = &[
            ("", &[], AnswerForm::Json),
            ("application/json", &["*/*"], AnswerForm::Json),
            ("", &["text/event-stream"], AnswerForm::Json),
            ("", &["application/x-ndjson"], AnswerForm::Json),
            ("", &["application/x-protobuf"], X),
            ("", &["application/protobuf, */*"], AnswerForm::Protobuf("application/protobuf")),
            ("", &["application/json, application/x-protobuf"], AnswerForm::Json),
            ("", &["application/json;q=0.9, application/x-protobuf"], X),
            ("application/x-protobuf", &[], X),
            ("application/X-Protobuf; messageType=a.B", &[], X),
            ("application/protobuf", &["*/*"], AnswerForm::Protobuf("application/protobuf")),
            ("application/vnd.google.protobuf", &["a/b"], AnswerForm::Protobuf("application/vnd.google.protobuf")),
            ("application/x-protobuf", &["application/json, text/plain, */*"], X),
            ("application/x-protobuf", &["application/json"], AnswerForm::Json),
            ("application/x-protobuf", &["application/json, */*;q=0.5"], AnswerForm::Json),
        ];
        for (content_type, accepts, expected) in cases {
            assert_eq!(asked(content_type, accepts, false), *expected, "{content_type} {accepts:?}");
        }
    }

    #[test]
    fn protobuf_to_a_stream_needs_an_answer_that_is_named() {
        for (accepts, expected) in [
            (&[][..], X),
            (&["*/*"], X),
            (&["application/json"], AnswerForm::Json),
            (&["application/x-ndjson, */*"], NDJSON),
        ] {
            assert_eq!(asked("application/x-protobuf", accepts, true), expected, "{accepts:?}");
        }
    }
}
