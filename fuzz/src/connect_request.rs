//! Connect's requests: the same for any split; messages of protobuf come out as they went in, and those of JSON as the codec has them.

use http::uri::PathAndQuery;
use telamon::translate::json::{ReadOptions, to_wire};
use telamon::translate::{Codec, ConnectPlan, Form, Translation};

use super::calls::{LIMIT, framed, head, messages, method, request};
use super::draw::pieces;

pub fn check(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    let Some((bytes, parts)) = pieces(rest) else { return };
    let codec = if choice & 1 == 0 { Codec::Proto } else { Codec::Json };
    let (form, name) = if choice & 2 == 0 { (Form::Post, "One") } else { (Form::Stream, "Many") };
    let method = method(name);
    let path = PathAndQuery::from_static("/fuzz.v1.Fuzz/Any");
    let plan = ConnectPlan { path, method: Some(method.clone()), codec, form, message_limit: LIMIT };
    let call = (Translation::Connect(plan), head("/fuzz.v1.Fuzz/Any", &[]));
    let (frames, end) = request(&call, [bytes]);
    let (cut, cut_end) = request(&call, parts);
    assert_eq!(end, cut_end);
    if end.is_err() {
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
