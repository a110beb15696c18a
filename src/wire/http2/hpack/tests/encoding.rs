//! What we choose to write, of what HPACK allows.

use http::{Method, StatusCode};

use super::*;

fn block_of(encoder: &mut Encoder, fields: &[Field]) -> String {
    hex(&encode(encoder, fields))
}

fn path(text: &str) -> Field {
    Field::Path(text.parse().unwrap())
}

#[test]
fn what_the_static_table_holds_is_a_byte() {
    let mut encoder = Encoder::new();
    for index in 1..=61 {
        let field = super::super::static_table::get(index).unwrap();
        let is_credential = matches!(index, 23 | 32 | 49 | 55);
        if !is_credential {
            assert_eq!(encode(&mut encoder, std::slice::from_ref(field)), [0x80 | index as u8], "{field:?}");
        }
    }
    assert_eq!(encoder.table().size(), 0);
}

#[test]
fn what_comes_a_second_time_goes_into_the_table_and_then_is_a_byte() {
    let cases: &[(Field, &str, &str)] = &[
        (Field::Method(Method::PUT), "0203505554", "4203505554"),
        (Field::Scheme("ws".parse().unwrap()), "06027773", "46027773"),
        (Field::Authority(HeaderValue::from_static("a")), "010161", "410161"),
        (path("/a"), "04022f61", "44022f61"),
        (Field::Status(StatusCode::IM_A_TEAPOT), "0803343138", "4803343138"),
        (header("te", "trailers"), "000274650874 7261696c657273", "4002746508747261696c657273"),
        (header("content-type", "a/b"), "0f1003612f62", "5f03612f62"),
    ];
    for (field, first, second) in cases {
        let mut encoder = Encoder::new();
        let fields = std::slice::from_ref(field);
        assert_eq!(block_of(&mut encoder, fields), first.replace(' ', ""));
        assert_eq!(encoder.table().size(), 0);
        assert_eq!(block_of(&mut encoder, fields), *second);
        assert_eq!(encoder.table().size(), field.size());
        for _ in 0..3 {
            assert_eq!(block_of(&mut encoder, fields), "be");
        }
        assert_eq!(encoder.table().size(), field.size());
    }
}

#[test]
fn a_name_that_comes_again_is_put_in_the_table_once() {
    let mut encoder = Encoder::new();
    let lens: Vec<usize> =
        (0..6).map(|nth| encode(&mut encoder, &[header("grpc-timeout", &format!("{nth}000m"))]).len()).collect();
    // Name and value; again, to be indexed; then the name is two bytes.
    assert_eq!(lens, [20, 20, 8, 8, 8, 8]);
    assert_eq!(encoder.table().size(), 12 + 5 + 32);
}

#[test]
fn values_that_never_come_again_push_nothing_out() {
    let mut encoder = Encoder::new();
    let same: Vec<Field> = (0..16).map(|nth| header("x-same", &format!("value {nth}"))).collect();
    encode(&mut encoder, &same);
    encode(&mut encoder, &same);
    for nth in 0..5000 {
        let unique = [
            header("x-request-id", &format!("{:032x}", nth * 0x9e37_79b9_7f4a_7c15_u128)),
            path(&format!("/things/{nth}")),
            header("content-length", &nth.to_string()),
        ];
        encode(&mut encoder, &unique);
        assert_eq!(encode(&mut encoder, &same).len(), same.len(), "after {nth}");
    }
}

#[test]
fn a_name_alone_pushes_nothing_out() {
    let mut encoder = Encoder::new();
    let same: Vec<Field> = (0..60).map(|nth| header("x-same", &format!("a value that fills {nth:010}"))).collect();
    for _ in 0..3 {
        encode(&mut encoder, &same);
    }
    assert_eq!(encoder.table().size(), 60 * 67, "no room for what comes now");
    for nth in 0..100 {
        encode(&mut encoder, &[header("x-request-id-of-a-caller", &format!("{nth:032x}"))]);
    }
    assert_eq!(encode(&mut encoder, &same).len(), same.len());
}

#[test]
fn what_is_sensitive_stands_in_no_table() {
    let mut secret = HeaderValue::from_static("a secret of more than twenty bytes");
    secret.set_sensitive(true);
    let cases = [
        Field::Header(HeaderName::from_static("x-token"), secret),
        header("authorization", "Basic YTpi"),
        header("cookie", "a=1"),
        header("set-cookie", "a=1"),
        header("proxy-authorization", "Basic YTpi"),
        header("cookie", ""),
    ];
    for field in cases {
        let mut encoder = Encoder::new();
        for _ in 0..4 {
            let block = encode(&mut encoder, std::slice::from_ref(&field));
            assert_eq!(block[0] & 0xf0, 0x10, "{field:?}");
            assert_eq!(decode(&mut Decoder::new(4096), &block).unwrap(), std::slice::from_ref(&field));
        }
        assert_eq!(encoder.table().size(), 0);
    }
    // What cannot be guessed is worth its room.
    let long = [header("authorization", "Bearer 0123456789abcdef0123456789abcdef")];
    let mut encoder = Encoder::new();
    let lens: Vec<usize> = (0..3).map(|_| encode(&mut encoder, &long).len()).collect();
    assert_eq!(lens, [42, 41, 1]);
    // Even then, one that is called sensitive is written out.
    let Field::Header(name, mut value) = long[0].clone() else { unreachable!() };
    value.set_sensitive(true);
    assert_eq!(encode(&mut encoder, &[Field::Header(name, value)])[0], 0x1f);
}

#[test]
fn large_fields_are_never_put_in_the_table() {
    for (len, expected) in [(1024 - 32 - 1, 1024), (1024 - 32, 0)] {
        let mut encoder = Encoder::new();
        for _ in 0..3 {
            encode(&mut encoder, &[header("a", &"x".repeat(len))]);
        }
        assert_eq!(encoder.table().size(), expected);
    }
}

#[test]
fn the_peer_hears_of_the_smallest_table_and_then_of_the_last() {
    let cases: &[(&[u32], &str)] = &[
        (&[], ""),
        (&[4096], ""),
        (&[65536], ""),
        (&[u32::MAX], ""),
        (&[0], "20"),
        (&[30], "3e"),
        (&[256], "3fe101"),
        (&[0, 4096], "203fe11f"),
        (&[256, 30, 100], "3e3f45"),
        (&[256, 30, 100, 8192], "3e3fe11f"),
        (&[100, 30], "3e"),
        (&[100, 256], "3f453fe101"),
        (&[0, 0], "20"),
    ];
    for (settings, updates) in cases {
        let mut encoder = Encoder::new();
        for peer in *settings {
            encoder.set_max_table(*peer);
        }
        assert_eq!(block_of(&mut encoder, &[path("/")]), format!("{updates}84"), "{settings:?}");
        assert_eq!(block_of(&mut encoder, &[path("/")]), "84", "said once");
        assert!(decode(&mut Decoder::new(4096), &unhex(updates)).is_ok());
    }
    // From a small table: what is larger is told once, and what is the same not at all.
    let mut encoder = Encoder::new();
    encoder.set_max_table(100);
    encode(&mut encoder, &[]);
    encoder.set_max_table(200);
    assert_eq!(block_of(&mut encoder, &[]), "3fa901");
    encoder.set_max_table(300);
    encoder.set_max_table(200);
    assert_eq!(block_of(&mut encoder, &[]), "");
}

#[test]
fn a_smaller_table_holds_less() {
    let fields: Vec<Field> = (0..10).map(|nth| header("name", &nth.to_string())).collect();
    let mut encoder = Encoder::new();
    encode(&mut encoder, &fields);
    encode(&mut encoder, &fields);
    assert_eq!(encoder.table().size(), 370);
    encoder.set_max_table(200);
    assert_eq!(encoder.table().size(), 185);
    encoder.set_max_table(0);
    encoder.set_max_table(4096);
    assert_eq!(encoder.table().size(), 0);
}

#[test]
fn nothing_is_held_before_there_is_something_to_hold() {
    let mut encoder = Encoder::new();
    encoder.set_max_table(200);
    encode(&mut encoder, &[path("/"), Field::Method(Method::GET)]);
    assert!(encoder.table().is_bare());
    encode(&mut encoder, &[path("/a")]);
    assert!(!encoder.table().is_bare());
    let mut decoder = Decoder::new(4096);
    decode(&mut decoder, &[0x3f, 0x45, 0x82, 0x84]).unwrap();
    assert!(decoder.is_bare());
    decode(&mut decoder, &literal(0x40, b"a", b"b")).unwrap();
    assert!(!decoder.is_bare());
    // Two of each connection.
    assert!(size_of::<Encoder>() + size_of::<Decoder>() <= 200);
}
