//! Wire to JSON.

use super::*;
use crate::translate::json::wire::{WireType, put_tag, put_varint};

/// A message made of raw fields.
#[derive(Clone, Default)]
struct Raw(Vec<u8>);

impl Raw {
    fn varint(mut self, number: u32, value: u64) -> Raw {
        put_tag(number, WireType::Varint, &mut self.0);
        put_varint(value, &mut self.0);
        self
    }

    fn bytes(mut self, number: u32, bytes: impl AsRef<[u8]>) -> Raw {
        put_tag(number, WireType::Len, &mut self.0);
        put_varint(bytes.as_ref().len() as u64, &mut self.0);
        self.0.extend_from_slice(bytes.as_ref());
        self
    }

    fn message(self, number: u32, message: Raw) -> Raw {
        self.bytes(number, message.0)
    }

    fn fixed64(mut self, number: u32, value: u64) -> Raw {
        put_tag(number, WireType::Fixed64, &mut self.0);
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    fn fixed32(mut self, number: u32, value: u32) -> Raw {
        put_tag(number, WireType::Fixed32, &mut self.0);
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    fn tag(mut self, number: u32, wire_type: WireType) -> Raw {
        put_tag(number, wire_type, &mut self.0);
        self
    }
}

fn raw() -> Raw {
    Raw::default()
}

fn writes(cases: &[(Raw, &str)]) {
    for (wire, expected) in cases {
        assert_eq!(write(&wire.0).unwrap(), *expected);
    }
}

fn refuses(cases: &[(Raw, &str, &str)]) {
    for (wire, path, words) in cases {
        let error = write(&wire.0).expect_err(words);
        assert_eq!(error.path(), *path, "{error}");
        assert!(error.message().contains(words), "{error}");
    }
}

#[test]
fn any_order_any_pieces_the_last_one_counts() {
    writes(&[
        (raw(), "{}"),
        (raw().varint(3, 1).varint(3, 2), r#"{"int32":2}"#),
        (raw().varint(3, 1).varint(4, 9).varint(3, 2), r#"{"int32":2,"int64":"9"}"#),
        (raw().varint(3, 1).varint(3, 0), "{}"),
        (raw().bytes(14, "b").varint(3, 1), r#"{"int32":1,"string":"b"}"#),
        // Repeated: in pieces, packed and not, however declared.
        (raw().bytes(32, [1, 2]).varint(32, 3).varint(3, 9).bytes(32, [4]), r#"{"int32":9,"manyInt32":[1,2,3,4]}"#),
        (raw().bytes(40, [1, 2]).varint(40, 3), r#"{"looseInt32":[1,2,3]}"#),
        (raw().bytes(32, []).bytes(32, []), "{}"),
        (raw().bytes(36, "a").varint(3, 1).bytes(36, "").bytes(36, "b"), r#"{"int32":1,"manyString":["a","","b"]}"#),
        // Messages in pieces are merged, also deep inside, and their repeated fields joined.
        (
            raw()
                .message(17, raw().varint(3, 1).bytes(32, [1]).message(17, raw().varint(4, 1)))
                .varint(3, 5)
                .message(17, raw().varint(3, 2).bytes(32, [2]).message(17, raw().varint(5, 6).bytes(14, "x"))),
            r#"{"int32":5,"nested":{"int32":2,"nested":{"int64":"1","uint32":6,"string":"x"},"manyInt32":[1,2]}}"#,
        ),
        (raw().message(17, raw().varint(3, 1)).message(17, raw()), r#"{"nested":{"int32":1}}"#),
        (
            raw().message(71, raw().varint(1, 1).varint(2, 5_000)).message(71, raw().varint(1, 2)),
            r#"{"timestamp":"1970-01-01T00:00:02.000005Z"}"#,
        ),
        // Elements of a repeated message are not merged.
        (raw().message(39, raw().varint(3, 1)).message(39, raw()), r#"{"manyNested":[{"int32":1},{}]}"#),
        // Unknown fields and groups, and fields of another type, are passed over.
        (raw().varint(999, 1).varint(3, 1).bytes(998, "x").fixed64(997, 1).fixed32(996, 1), r#"{"int32":1}"#),
        (
            raw()
                .tag(999, WireType::StartGroup)
                .varint(3, 9)
                .tag(5, WireType::StartGroup)
                .tag(5, WireType::EndGroup)
                .bytes(14, "\u{1}")
                .tag(999, WireType::EndGroup)
                .varint(3, 1),
            r#"{"int32":1}"#,
        ),
        (raw().bytes(3, [1]).fixed64(14, 1).varint(17, 1).varint(51, 1).fixed32(32, 1), "{}"),
        // Narrow types take the low bits; a bool is anything but zero.
        (
            raw().varint(3, 0x1_0000_0005).varint(5, u64::MAX).varint(13, 1 << 40),
            r#"{"int32":5,"uint32":4294967295,"bool":true}"#,
        ),
        (raw().varint(3, 1 << 32), "{}"),
    ]);
}

#[test]
fn what_breaks_the_order_late_is_written_as_if_it_had_been_known() {
    let bad = "\u{fe}\u{ff}".bytes().rev().collect::<Vec<u8>>();
    writes(&[
        // What is wrong in front of it does not count.
        (raw().bytes(14, &bad).varint(3, 5).bytes(14, "good"), r#"{"int32":5,"string":"good"}"#),
        (raw().message(17, raw().bytes(14, &bad)).message(17, raw().bytes(14, "x")), r#"{"nested":{"string":"x"}}"#),
        // The unknown between two records of a field.
        (raw().varint(3, 1).varint(20, 9).varint(3, 2), r#"{"int32":2}"#),
        (raw().varint(40, 1).varint(45, 9).varint(40, 2), r#"{"looseInt32":[1,2]}"#),
        (raw().message(17, raw().varint(4, 1).varint(3, 2)), r#"{"nested":{"int32":2,"int64":"1"}}"#),
        (raw().varint(61, 0).varint(61, 3), r#"{"oneInt32":3}"#),
    ]);
    refuses(&[(raw().varint(4, 1).bytes(14, &bad).varint(3, 2), "$.string", "not UTF-8")]);
    let mut out = b"before".to_vec();
    let wire = raw().varint(4, 1).varint(3, 2).0;
    from_wire(&MESSAGES, id("t.Rich"), &wire, &WriteOptions::default(), &mut out).unwrap();
    assert_eq!(out, br#"before{"int32":2,"int64":"1"}"#);
}

#[test]
fn of_a_oneof_the_last_member_counts() {
    writes(&[
        (raw().varint(61, 1).bytes(62, "x"), r#"{"oneString":"x"}"#),
        (raw().bytes(62, "x").varint(61, 0), r#"{"oneInt32":0}"#),
        (
            raw().message(63, raw().varint(3, 1)).message(63, raw().varint(4, 2)),
            r#"{"oneNested":{"int32":1,"int64":"2"}}"#,
        ),
        // Once cleared, what was there before is gone.
        (
            raw().message(63, raw().varint(3, 1)).varint(61, 1).message(63, raw().varint(4, 2)),
            r#"{"oneNested":{"int64":"2"}}"#,
        ),
        (raw().varint(64, 0), r#"{"oneNull":null}"#),
        (raw().varint(61, 1).varint(3, 4).varint(61, 2), r#"{"int32":4,"oneInt32":2}"#),
    ]);
}

#[test]
fn maps_sort_their_keys_and_the_last_of_equal_ones_counts() {
    let entry = |key: &str, value: &str| raw().bytes(1, key).bytes(2, value);
    writes(&[
        (
            raw().message(51, entry("b", "1")).message(51, entry("a", "2")).varint(3, 1).message(51, entry("b", "3")),
            r#"{"int32":1,"stringMap":{"a":"2","b":"3"}}"#,
        ),
        (raw().message(51, raw()), r#"{"stringMap":{"":""}}"#),
        (raw().message(52, raw().varint(1, 5)), r#"{"int32Map":{"5":{}}}"#),
        (raw().message(58, raw()), r#"{"fixed64Map":{"0":null}}"#),
        (raw().message(55, raw().varint(1, 1)), r#"{"uint64Map":{"1":"COLOR_NONE"}}"#),
        (raw().message(56, raw().varint(1, 7).varint(2, 1)), r#"{"boolMap":{"true":"1"}}"#),
        (raw().message(57, raw().varint(1, 3).varint(2, 1)), r#"{"sint32Map":{"-2":true}}"#),
        // Inside an entry too: the last key, a merged message, the unknown passed over, any order.
        (
            raw().message(
                52,
                raw()
                    .message(2, raw().varint(3, 1))
                    .varint(1, 1)
                    .varint(1, 2)
                    .varint(9, 9)
                    .message(2, raw().varint(4, 1)),
            ),
            r#"{"int32Map":{"2":{"int32":1,"int64":"1"}}}"#,
        ),
        (
            raw().message(52, raw().varint(1, u64::MAX)).message(52, raw().varint(1, 1)),
            r#"{"int32Map":{"-1":{},"1":{}}}"#,
        ),
    ]);
}

#[test]
fn dynamic_values_anys_and_masks() {
    let text = |text: &str| raw().bytes(3, text);
    writes(&[
        (raw().message(75, raw()), r#"{"value":null}"#),
        (raw().message(75, raw().varint(1, 0).fixed64(2, 2.5_f64.to_bits())), r#"{"value":2.5}"#),
        (raw().message(75, raw().fixed64(2, 1).varint(4, 1)), r#"{"value":true}"#),
        (
            raw().message(75, raw().message(6, raw().message(1, text("a"))).message(6, raw().message(1, text("b")))),
            r#"{"value":["a","b"]}"#,
        ),
        (
            raw().message(
                75,
                raw().message(6, raw().message(1, text("a"))).varint(4, 0).message(6, raw().message(1, text("b"))),
            ),
            r#"{"value":["b"]}"#,
        ),
        (raw().message(74, raw().message(1, raw().bytes(1, "k"))), r#"{"struct":{"k":null}}"#),
        (raw().message(74, raw()), r#"{"struct":{}}"#),
        (raw().message(76, raw()), r#"{"listValue":[]}"#),
        (raw().message(77, raw()), r#"{"any":{}}"#),
        (
            raw().message(77, raw().bytes(2, raw().varint(3, 1).0).bytes(1, "x/t.Rich")),
            r#"{"any":{"@type":"x/t.Rich","int32":1}}"#,
        ),
        (
            raw().message(77, raw().bytes(1, "x/google.protobuf.Timestamp")),
            r#"{"any":{"@type":"x/google.protobuf.Timestamp","value":"1970-01-01T00:00:00Z"}}"#,
        ),
        (
            raw().message(77, raw().bytes(1, "x/google.protobuf.Empty")),
            r#"{"any":{"@type":"x/google.protobuf.Empty"}}"#,
        ),
        (raw().message(73, raw().bytes(1, "a.foo_bar").bytes(1, "b")), r#"{"fieldMask":"a.fooBar,b"}"#),
        (raw().message(86, raw().varint(1, 1).varint(1, 0)), r#"{"boolValue":false}"#),
        (raw().message(78, raw().varint(1, 1)), r#"{"empty":{}}"#),
    ]);
    for bad in ["fooBar", "foo_3_bar", "foo__bar", "foo_", "_", "", "a_B", "a,b", ","] {
        refuses(&[(raw().message(73, raw().bytes(1, bad)), "$.fieldMask", "camelCase")]);
    }
    refuses(&[
        (raw().message(75, raw().fixed64(2, f64::NAN.to_bits())), "$.value", "finite"),
        (raw().message(92, raw().fixed64(2, f64::INFINITY.to_bits())), "$.manyValue[0]", "finite"),
        (raw().message(77, raw().bytes(1, "x/t.Nope")), "$.any", "not in the schema"),
        (raw().message(77, raw().bytes(2, "x")), "$.any", "not in the schema"),
        (raw().message(77, raw().bytes(1, "t.Rich")), "$.any", "not in the schema"),
        (raw().message(71, raw().varint(1, 253_402_300_800)), "$.timestamp", "out of range"),
        (raw().message(71, raw().varint(1, -62_135_596_801_i64 as u64)), "$.timestamp", "out of range"),
        (raw().message(71, raw().varint(2, 1_000_000_000)), "$.timestamp", "out of range"),
        (raw().message(71, raw().varint(2, u64::MAX)), "$.timestamp", "out of range"),
        (raw().message(72, raw().varint(1, 315_576_000_001)), "$.duration", "out of range"),
        (raw().message(72, raw().varint(1, 1).varint(2, u64::MAX)), "$.duration", "out of range"),
        (raw().message(72, raw().varint(2, 1_000_000_000)), "$.duration", "out of range"),
    ]);
}

#[test]
fn broken_bytes_are_refused_at_their_place() {
    let cases: &[(&[u8], usize, &str)] = &[
        (&[0x18], 1, "ends inside a varint"),
        (&[0x18, 0x80], 1, "ends inside a varint"),
        (&[0x18, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01], 1, "more than ten bytes"),
        (&[0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], 1, "more than 64 bits"),
        (&[0x72, 0x05, b'a'], 2, "beyond the end"),
        (&[0x72, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], 11, "beyond the end"),
        (&[0x4d, 1, 2, 3], 1, "ends inside a field"),
        (&[0x09, 1, 2, 3, 4, 5, 6, 7], 1, "ends inside a field"),
        (&[0x00, 0x00], 0, "field number"),
        (&[0x07], 0, "no such wire type"),
        (&[0x0e], 0, "no such wire type"),
        (&[0x1c], 0, "never began"),
        (&[0x1b, 0x18, 1], 3, "ends inside a group"),
        (&[0x1b, 0x24], 1, "another group"),
        (&[0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 0], 0, "field number"),
        (&[0x72, 2, b'a', 0xff], 3, "not UTF-8"),
        (&[0x82, 0x02, 1, 0x80], 3, "ends inside a varint"),
        (&[0x8a, 0x01, 1, 0x18], 3 + 1, "ends inside a varint"),
    ];
    for (wire, offset, words) in cases {
        let error = write(wire).expect_err(words);
        assert!(error.message().contains(words) && error.offset() == *offset, "{wire:x?}: {error}");
    }
    refuses(&[
        (raw().message(17, raw().bytes(36, "a").bytes(36, [0xff])), "$.nested.manyString[1]", "UTF-8"),
        (raw().message(51, raw().bytes(1, [0xff])), "$.stringMap", "UTF-8"),
        (raw().message(51, raw().bytes(1, "k").bytes(2, [0xff])), "$.stringMap.k", "UTF-8"),
        (raw().message(75, raw().bytes(3, [0xff])), "$.value", "UTF-8"),
        (raw().message(77, raw().bytes(1, [0xff])), "$.any", "UTF-8"),
    ]);
}

#[test]
fn options_change_what_is_written() {
    let with = |wire: &Raw, options: WriteOptions| {
        let mut out = Vec::new();
        from_wire(&MESSAGES, id("t.Old"), &wire.0, &options, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    let all = WriteOptions { always_print_primitive_fields: true, ..WriteOptions::default() };
    assert_eq!(with(&raw().varint(3, 5), all), r#"{"loose":[],"tight":[5],"crate":[],"[t.more]":[]}"#);
    let rich = |wire: &Raw, options: WriteOptions| {
        let mut out = Vec::new();
        from_wire(&MESSAGES, id("t.Rich"), &wire.0, &options, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    let text = rich(&raw().varint(16, 1).bytes(32, []), all);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    for (name, expected) in [
        ("double", "0"),
        ("int32", "0"),
        ("int64", "\"0\""),
        ("bool", "false"),
        ("string", "\"\""),
        ("bytes", "\"\""),
        ("color", "\"RED\""),
        ("manyInt32", "[]"),
        ("stringMap", "{}"),
        ("nullValue", "null"),
        ("other-name", "0"),
    ] {
        assert_eq!(value[name].to_string(), expected, "{name}");
    }
    for name in ["nested", "optInt32", "oneInt32", "timestamp", "int32Value"] {
        assert!(value.get(name).is_none(), "{name}");
    }
    assert_eq!(text.matches("\"manyInt32\"").count(), 1);
    let numbers = WriteOptions { enums_as_ints: true, ..WriteOptions::default() };
    assert_eq!(
        rich(&raw().varint(16, 1).bytes(38, [1, 2]).varint(64, 0), numbers),
        r#"{"color":1,"manyColor":[1,2],"oneNull":null}"#
    );
    let names = WriteOptions { preserve_proto_names: true, ..WriteOptions::default() };
    assert_eq!(rich(&raw().varint(21, 1).varint(101, 1), names), r#"{"opt_int32":1,"renamed":1}"#);
}

#[test]
fn one_field_alone() {
    let wire =
        raw().varint(3, 1).bytes(36, "a").message(17, raw().varint(3, 2)).bytes(36, "b").bytes(62, "x").varint(61, 4);
    for (name, expected) in [
        ("int32", "1"),
        ("manyString", r#"["a","b"]"#),
        ("nested", r#"{"int32":2}"#),
        ("oneInt32", "4"),
        ("oneString", "\"\""),
        ("int64", "\"0\""),
        ("color", "\"COLOR_NONE\""),
        ("manyInt32", "[]"),
        ("stringMap", "{}"),
        ("timestamp", "null"),
        ("oneNested", "{}"),
        ("bytes", "\"\""),
    ] {
        let mut out = Vec::new();
        field_from_wire(&MESSAGES, id("t.Rich"), field(name), &wire.0, &WriteOptions::default(), &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected, "{name}");
    }
}

#[test]
fn groups_are_read_in_pieces_and_any_depth() {
    let crate_of = |size| raw().tag(5, WireType::StartGroup).varint(1, size).tag(5, WireType::EndGroup);
    let mut wire = crate_of(1).varint(1, 9).0;
    wire.extend(crate_of(2).0);
    assert_eq!(write_as("t.Old", &wire).unwrap(), r#"{"number":9,"crate":[{"size":1},{"size":2}]}"#);
    // A group where a length is expected, and the other way round, is another type.
    assert_eq!(write_as("t.Old", &raw().bytes(4, "").0).unwrap(), "{}");
    assert_eq!(write(&raw().tag(17, WireType::StartGroup).tag(17, WireType::EndGroup).0).unwrap(), "{}");
}

#[test]
fn the_text_is_bounded_whatever_makes_it_long() {
    let many = |number: u32, bytes: &[u8]| (0..1000).fold(raw(), |all, _| all.bytes(number, bytes));
    let nulls = many(1, b"");
    let deep = (0..40).fold(raw(), |inner, _| raw().message(17, inner));
    let cases = [
        ("enums of a byte each", raw().bytes(38, [2; 1000])),
        ("empty messages", many(39, b"")),
        ("objects in objects", (0..50).fold(raw(), |all, _| all.message(39, raw().bytes(17, &deep.0)))),
        ("timestamps", many(91, b"")),
        ("nulls", raw().bytes(76, &nulls.0)),
        ("members of a Struct", raw().bytes(74, &nulls.0)),
        ("entries of one key", many(51, b"")),
        ("one string", raw().bytes(14, [1; 1000])),
    ];
    for (what, wire) in cases {
        let mut whole = Vec::new();
        from_wire(&MESSAGES, id("t.Rich"), &wire.0, &WriteOptions::default(), &mut whole).unwrap();
        for most in [whole.len(), 500, 0] {
            let options = WriteOptions { most, ..WriteOptions::default() };
            let mut out = b"before".to_vec();
            let written = from_wire(&MESSAGES, id("t.Rich"), &wire.0, &options, &mut out);
            if whole.len() > most {
                assert!(written.unwrap_err().message().contains("over the limit"), "{what}");
                // An item more, at the most, and no more memory than that.
                assert!(out.len() <= 6 + most + 6100, "{what}: {}", out.len());
            } else if what != "entries of one key" && what != "members of a Struct" {
                written.unwrap();
                assert_eq!(&out[6..], whole, "{what}");
            }
        }
    }
}
