//! Which fields are fields (RFC 9113 §8.2.1, §8.3), whichever way they are written.

use super::*;

/// Every way to write a field: to be indexed, not, or never; plain or coded. Then whatever refers to what was put in the table.
fn each_way(name: &[u8], value: &[u8]) -> Vec<Field> {
    let mut fields = Vec::new();
    for first in [0x00, 0x10, 0x40] {
        for block in [literal(first, name, value), huffman_literal(first, name, value)] {
            let mut decoder = Decoder::new(4096);
            let among = [&[0x82][..], &block, &[0x84]].concat();
            let decoded = decode(&mut decoder, &among).unwrap();
            assert_eq!(decoded.len(), 3);
            assert_eq!((shown(&decoded[0]).as_str(), shown(&decoded[2]).as_str()), (":method: GET", ":path: /"));
            fields.push(decoded[1].clone());
            if first == 0x40 {
                assert_eq!(decoder.table().size(), name.len() + value.len() + 32, "whatever it is, it takes its room");
                fields.extend(decode(&mut decoder, &[0xbe]).unwrap());
                // By its name alone.
                let by_name = [&[0x0f, 62 - 15][..], &literal(0, b"", value)[2..]].concat();
                fields.extend(decode(&mut decoder, &by_name).unwrap());
            }
        }
    }
    fields
}

#[test]
fn a_field_is_judged_by_its_own_rule() {
    let cases: &[(&[u8], &[u8], Option<&str>)] = &[
        (b"x-name", b"a value", Some("x-name: a value")),
        (b"x_name", b"", Some("x_name: ")),
        (b"!#$%&'*+-.^_`|~09az", b"", Some("!#$%&'*+-.^_`|~09az: ")),
        (b"x-name", b"tab\tand \xc3\xa4 \xff", Some("x-name: tab\\tand \\xc3\\xa4 \\xff")),
        (b"x-name", b"a", Some("x-name: a")),
        (b"x-name", b" a", Some("x-name:  a")),
        (b"x-name", b"a ", Some("x-name: a ")),
        (b"x-name", b"\ta", Some("x-name: \\ta")),
        (b"x-name", b"a\t", Some("x-name: a\\t")),
        (b"x-name", b" ", Some("x-name:  ")),
        (b"X-name", b"", None),
        (b"x name", b"", None),
        (b"x\0", b"", None),
        (b"x\xc3\xa4", b"", None),
        (b"x:y", b"", None),
        (b"x\"y", b"", None),
        (b"", b"", None),
        (b"", b"a", None),
        (b"x-name", b"a\r\nb", None),
        (b"x-name", b"a\nb", None),
        (b"x-name", b"a\rb", None),
        (b"x-name", b"\0", None),
        (b"x-name", b"\x7f", None),
        (b"x-name", b"\x01", None),
        (b":path", b"/a?b=c", Some(":path: /a?b=c")),
        (b":path", b"*", Some(":path: *")),
        (b":path", "/ä".as_bytes(), Some(":path: /ä")),
        (b":path", b"", None),
        (b":path", b"a", None),
        (b":path", b"/\xff", None),
        (b":path", b"/a#b", None),
        (b":path", b"/a?b#c", None),
        (b":path", b"#", None),
        (b":path", b"/a b", None),
        (b":path", b"/a\0", None),
        (b":method", b"GET", Some(":method: GET")),
        (b":method", b"PROPFIND", Some(":method: PROPFIND")),
        (b":method", b"G T", None),
        (b":method", b"", None),
        (b":scheme", b"https", Some(":scheme: https")),
        (b":scheme", b"coap+tcp", Some(":scheme: coap+tcp")),
        (b":scheme", b"", None),
        (b":scheme", b"ht tp", None),
        (b":scheme", b"1http", None),
        (b":status", b"200", Some(":status: 200")),
        (b":status", b"599", Some(":status: 599")),
        (b":status", b"2000", None),
        (b":status", b"20", None),
        (b":status", b"099", None),
        (b":status", b"2x0", None),
        (b":authority", b"a.example:80", Some(":authority: a.example:80")),
        (b":authority", b"", Some(":authority: ")),
        (b":authority", b"%2Frun%2Fx", Some(":authority: %2Frun%2Fx")),
        (b":authority", b"a\0", None),
        (b":authority", b" a", None),
        (b":protocol", b"websocket", None),
        (b":unknown", b"", None),
        (b":Path", b"/", None),
        (b":", b"", None),
    ];
    for (name, value, expected) in cases {
        for field in each_way(name, value) {
            match expected {
                Some(text) => assert_eq!(shown(&field), *text),
                None => assert!(
                    matches!(field, Field::Malformed(_)),
                    "{}: {} is {field:?}",
                    name.escape_ascii(),
                    value.escape_ascii()
                ),
            }
        }
    }
}

#[test]
fn every_byte_is_judged() {
    for byte in 0..=255_u8 {
        let is_token = byte.is_ascii_digit() || byte.is_ascii_lowercase() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let is_value = byte == b'\t' || (byte >= b' ' && byte != 0x7f);
        let sound = |field: &Field| !matches!(field, Field::Malformed(_));
        for len in [1, 7, 20, 70] {
            let padded = |byte: u8| [&vec![b'x'; len][..], &[byte], b"x"].concat();
            for field in each_way(&padded(byte), b"v") {
                assert_eq!(sound(&field), is_token, "{byte:#x} in a name");
            }
            for field in each_way(b"x-name", &padded(byte)) {
                assert_eq!(sound(&field), is_value, "{byte:#x} in a value");
            }
        }
        assert_eq!(each_way(&[byte], b"v").iter().all(sound), is_token, "{byte:#x} as a name");
        assert_eq!(each_way(b"x-name", &[byte]).iter().all(sound), is_value, "{byte:#x} as a value");
    }
}

#[test]
fn a_name_in_the_table_serves_other_values_even_if_its_own_was_none() {
    let mut decoder = Decoder::new(4096);
    let block = [
        &literal(0x40, b"x-name", b"a\nb")[..],
        // Index 62: its name, other values, plain and coded.
        b"\x7e\x04good",
        b"\x0f\x30\x04good",
        b"\x0f\x30\x02\n\n",
        &[0xbf],
    ]
    .concat();
    let malformed = "malformed: malformed field value";
    assert_eq!(
        all_shown(&decode(&mut decoder, &block).unwrap()),
        [malformed, "x-name: good", "x-name: good", malformed, malformed]
    );
    // A name that is none stays so, whatever its value.
    let block = [&literal(0x40, b"X", b"good")[..], b"\x0f\x2f\x04good"].concat();
    let malformed = "malformed: malformed field name";
    assert_eq!(all_shown(&decode(&mut decoder, &block).unwrap()), [malformed, malformed]);
}

#[test]
fn what_shall_be_in_no_table_is_sensitive() {
    let is_sensitive = |field: &Field| match field {
        Field::Header(_, value) | Field::Authority(value) => value.is_sensitive(),
        other => panic!("{other:?}"),
    };
    for (first, expected) in [(0x00, false), (0x10, true), (0x40, false)] {
        for name in [&b"password"[..], b":authority"] {
            let fields = decode(&mut Decoder::new(4096), &literal(first, name, b"secret")).unwrap();
            assert_eq!(fields.iter().map(is_sensitive).collect::<Vec<_>>(), [expected]);
        }
    }
}

#[test]
fn sizes_are_those_of_the_texts() {
    let cases: &[(&str, &str)] = &[
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "a.example"),
        (":path", "/a?b"),
        (":status", "200"),
        ("content-type", "application/grpc"),
        ("x", ""),
    ];
    for (name, value) in cases {
        for field in each_way(name.as_bytes(), value.as_bytes()) {
            assert_eq!(field.size(), name.len() + value.len() + 32);
        }
    }
}
