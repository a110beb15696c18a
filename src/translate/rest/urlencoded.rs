//! A form in a request's body, `application/x-www-form-urlencoded` (url.spec.whatwg.org §5.1), as old clients post it: its fields are
//! bound as query parameters are.

use std::borrow::Cow;

use super::bound::{Fields, excerpt, resolve};
use crate::model::{Fault, Kind, Stage};
use crate::schema::{MessageId, Messages};

/// The wire form of the message whose fields a form gives.
///
/// # Errors
/// A name that is no field of the message, or a value that does not fit it. JSON is told apart, since it is a known slip.
pub(super) fn read(messages: &Messages, root: MessageId, form: &[u8]) -> Result<Vec<u8>, Fault> {
    let form = std::str::from_utf8(form).map_err(|_| invalid("the form is not UTF-8".into()))?;
    if form.trim_start().starts_with(['{', '[']) {
        // What curl makes of `-d '{…}'`.
        let told =
            "the body is JSON, and its Content-Type says a form; with curl, add -H 'Content-Type: application/json'";
        return Err(Fault::new(Kind::UnsupportedMediaType, Stage::RequestBody, told));
    }
    let mut fields = Fields::default();
    for pair in form.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        // Pairs without a name are passed over, as in a query.
        if name.is_empty() {
            continue;
        }
        let name = spaced(name);
        let told = |why: &str| invalid(format!("form field `{}`: {why}", excerpt(&name)));
        let steps = resolve(messages, root, &name).map_err(|why| told(&why))?;
        let value = spaced(value);
        let value = percent_encoding::percent_decode_str(&value).decode_utf8();
        let value = value.map_err(|_| told("its value is not UTF-8 once percent-decoded"))?;
        fields.put(messages, &steps, &value).map_err(|why| told(&why))?;
    }
    Ok(fields.into_bytes())
}

/// A plus is a space; before percent-decoding, so that `%2B` stays a plus.
fn spaced(text: &str) -> Cow<'_, str> {
    if text.contains('+') { Cow::Owned(text.replace('+', " ")) } else { Cow::Borrowed(text) }
}

fn invalid(message: String) -> Fault {
    Fault::new(Kind::InvalidRequest, Stage::RequestBody, message)
}
