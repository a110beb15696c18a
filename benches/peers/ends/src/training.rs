//! Calls that no row measures: other dialects, and messages of many kinds of fields. A packaged build is trained on them beside those of
//! the rows, so that what nobody compares is not slow for it.

use std::rc::Rc;

use crate::answer::{Call, Expected, TEXT, framed, text_field};
use crate::http2::Body;

/// Messages of a stream: enough that beginning and ending it are not most of it.
pub(crate) const TEXTS: usize = 20;
/// Bytes, so many that they do not come in one read.
const UPLOAD: usize = 100_000;

const ORDER: &str = r#"{
  "id": "a-1", "customer": "9007199254740993", "total": 1234.5, "paid": true, "state": "STATE_PAID",
  "lines": [{"name": "a pen", "quantity": 3, "price": "120"}, {"name": "caf\u00e9 \"crème\"", "quantity": 1, "price": "450"}],
  "labels": {"from": "north", "for": "a friend"}, "made": "2026-11-23T12:34:56.789Z", "seal": "AAECAwQFBgcICQ==",
  "sizes": [1, 2, 300, -4], "within": "90.5s", "note": "a note", "change": "-77", "rate": 0.25
}"#;
const FORM: &str = "customer=9007199254740993&total=1234.5&paid=true&state=STATE_PAID&made=2026-11-23T12%3A34%3A56Z\
    &seal=AAECAwQF&sizes=1&sizes=300&within=90.5s&note=a+note&change=-77&rate=0.25";

fn varint_field(number: u8, mut value: u64) -> Vec<u8> {
    let mut bytes = vec![number << 3];
    while value >= 128 {
        bytes.push(value as u8 | 128);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// `ORDER` on the wire.
pub(crate) fn order() -> Vec<u8> {
    let line = |name: &str, quantity, price: u64| {
        let fixed = [&[3 << 3 | 1][..], &price.to_le_bytes()].concat();
        text_field(6, &[text_field(1, name.as_bytes()), varint_field(2, quantity), fixed].concat())
    };
    let label = |key: &str, value: &str| {
        text_field(7, &[text_field(1, key.as_bytes()), text_field(2, value.as_bytes())].concat())
    };
    [
        text_field(1, b"a-1"),
        varint_field(2, 9_007_199_254_740_993),
        [&[3 << 3 | 1][..], &1234.5_f64.to_le_bytes()].concat(),
        varint_field(4, 1),
        varint_field(5, 1),
        line("a pen", 3, 120),
        line("café \"crème\"", 1, 450),
        label("from", "north"),
        label("for", "a friend"),
        text_field(8, &[varint_field(1, 1_795_437_296), varint_field(2, 789_000_000)].concat()),
        text_field(9, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        text_field(10, &[1, 2, 0xac, 2, 0xfc, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
        text_field(11, &[varint_field(1, 90), varint_field(2, 500_000_000)].concat()),
        text_field(12, &text_field(1, b"a note")),
        varint_field(13, 153),
        [&[14 << 3 | 5][..], &0.25_f32.to_le_bytes()].concat(),
    ]
    .concat()
}

/// An answer in the envelope (`telamon.v1.HttpServlet`): a head, a body.
pub(crate) fn page() -> Vec<u8> {
    let field = |name: &str, value: &str| {
        text_field(3, &[text_field(1, name.as_bytes()), text_field(2, value.as_bytes())].concat())
    };
    let length = TEXT.len().to_string();
    let head = [varint_field(1, 200), field("Content-Type", "text/plain"), field("Content-Length", &length)].concat();
    [framed(&text_field(1, &head)), framed(&text_field(2, TEXT.as_bytes()))].concat()
}

/// Over HTTP/1, all of them.
pub(crate) fn call(name: &str) -> Option<Call> {
    const JSON: &str = "application/json";
    const CONNECT: &str = "connect-protocol-version: 1\r\n";
    let within = |part: &[u8]| Expected::Within(part.to_vec());
    let text = || within(TEXT.as_bytes());
    let place = "/bench.v1.Bench/Place";
    let (method, path, content_type, fields, body, expected) = match name {
        "order" => ("POST", "/v1/orders".into(), JSON, "", ORDER.into(), within(b"9007199254740993")),
        "order_query" => ("GET", format!("/v1/orders/a-1?{FORM}"), "", "", Vec::new(), within(b"9007199254740993")),
        "order_form" => {
            let kind = "application/x-www-form-urlencoded";
            ("POST", "/v1/orders".into(), kind, "", FORM.into(), within(b"9007199254740993"))
        }
        "order_connect" => ("POST", place.into(), JSON, CONNECT, ORDER.into(), within(b"9007199254740993")),
        "order_proto" => ("POST", place.into(), "application/proto", CONNECT, order(), Expected::Exactly(order())),
        "order_wire" => {
            let fields = "accept: application/x-protobuf\r\n";
            ("POST", "/v1/orders".into(), "application/x-protobuf", fields, order(), Expected::Exactly(order()))
        }
        "order_grpc" => ("POST", place.into(), "application/grpc", "", framed(&order()), within(&order())),
        "order_web" => ("POST", place.into(), "application/grpc-web+proto", "", framed(&order()), within(&order())),
        "texts" => ("GET", "/v1/texts/q".into(), "", "", Vec::new(), text()),
        "texts_lines" => ("GET", "/v1/texts/q".into(), "", "accept: application/x-ndjson\r\n", Vec::new(), text()),
        "texts_events" => ("GET", "/v1/texts/q".into(), "", "accept: text/event-stream\r\n", Vec::new(), text()),
        "page" => ("GET", "/page?q=1".into(), "", "user-agent: bench\r\naccept: */*\r\n", Vec::new(), text()),
        "page_upload" => ("POST", "/page".into(), "text/plain", "", vec![b'u'; UPLOAD], text()),
        "plain_upload" => ("POST", "/plain".into(), "text/plain", "", vec![b'u'; UPLOAD], text()),
        _ => return None,
    };
    let body = Rc::new(Body { frame: 16_384, bytes: body });
    Some(Call { method, path, content_type, fields, body, expected })
}
