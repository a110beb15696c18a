//! Connect's requests: the same for any split; messages of protobuf come out as they went in, and those of JSON as the codec has them;
//! and what is well made is taken.

use http::request::Parts;
use http::uri::PathAndQuery;
use telamon::translate::json::{ReadOptions, to_wire};
use telamon::translate::{Codec, ConnectPlan, Form, Translation};

use super::calls::{LIMIT, framed, head, messages, method, request, words};
use super::draw::pieces;

/// The bytes in messages of that codec, framed if they are a stream, are taken for what they are.
fn check_made<'a>(call: &(Translation, Parts), (codec, form): (Codec, Form), parts: impl Iterator<Item = &'a [u8]>) {
    let (mut body, mut expected) = (Vec::new(), Vec::new());
    for part in parts {
        let text = String::from_utf8_lossy(part);
        let sent = match codec {
            Codec::Proto => part.to_vec(),
            Codec::Json => serde_json::json!({ "text": text }).to_string().into_bytes(),
        };
        if sent.len() > LIMIT {
            continue;
        }
        let meant = if codec == Codec::Proto { part.to_vec() } else { words(text.as_bytes()) };
        expected.extend(framed(&meant));
        body.extend(if form == Form::Post { sent } else { framed(&sent) });
        if form == Form::Post {
            break;
        }
    }
    if form == Form::Stream || !expected.is_empty() {
        assert_eq!(request(call, body.chunks(3)), (expected, Ok(())));
    }
}

pub fn check(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    let Some((bytes, parts)) = pieces(rest) else { return };
    let codec = if choice & 1 == 0 { Codec::Proto } else { Codec::Json };
    let (form, name) = if choice & 2 == 0 { (Form::Post, "One") } else { (Form::Stream, "Many") };
    let method = method(name);
    let path = PathAndQuery::from_static("/fuzz.v1.Fuzz/Any");
    let plan = ConnectPlan { path, method: Some(method.clone()), codec, form, message_limit: LIMIT };
    let call = (Translation::Connect(plan), head("/fuzz.v1.Fuzz/Any", &[]));
    check_made(&call, (codec, form), parts.clone());
    let (frames, end) = request(&call, [bytes]);
    let (cut, cut_end) = request(&call, parts);
    assert_eq!(end, cut_end);
    if end.is_err() {
        // Streams of protobuf go on as they come, up to what is wrong.
        assert!(codec == Codec::Proto || frames == cut);
        return;
    }
    assert_eq!(frames, cut);
    let sent = if form == Form::Post { vec![bytes] } else { messages(bytes).expect("whole frames") };
    if codec == Codec::Proto {
        let expected = if form == Form::Post { framed(bytes) } else { bytes.to_vec() };
        assert_eq!(frames, expected);
        return;
    }
    let expected = sent.into_iter().flat_map(|json| {
        let mut wire = Vec::new();
        let options = ReadOptions { ignore_unknown: true };
        to_wire(&method.messages, method.input, json, &options, &mut wire).expect("what was taken is JSON");
        framed(&wire)
    });
    assert_eq!(frames, expected.collect::<Vec<u8>>());
}
