//! Hostile input: deep, endless, broken. It is answered by an error, in time and memory that follow its length.

use proptest::prelude::*;

use super::*;

fn nest(open: &str, inside: &str, close: &str, depth: usize) -> String {
    format!("{}{inside}{}", open.repeat(depth), close.repeat(depth))
}

#[test]
fn a_hundred_levels_are_read_and_one_more_is_refused() {
    for (open, inside, close, levels) in [
        (r#"{"nested":"#, "{}", "}", 99),
        (r#"{"manyNested":["#, "{}", "]}", 49),
        (r#"{"int32Map":{"1":"#, "{}", "}}", 49),
    ] {
        let wire = read(&nest(open, inside, close, levels)).unwrap_or_else(|error| panic!("{open}: {error}"));
        assert!(write(&wire).is_ok(), "{open}");
        let error = read(&nest(open, inside, close, levels + 1)).expect_err(open);
        assert!(error.message().contains("more than 100"), "{open}: {error}");
    }
    for (open, close) in [(r#"{"@type":"x/t.Rich","any":"#, "}"), (r#"{"any":"#, r#","@type":"x/t.Rich"}"#)] {
        let json = |levels| format!(r#"{{"any":{}}}"#, nest(open, r#"{"@type":"x/t.Rich"}"#, close, levels));
        let wire = read(&json(98)).unwrap_or_else(|error| panic!("{open}: {error}"));
        assert!(write(&wire).is_ok(), "{open}");
        assert!(read(&json(99)).is_err(), "{open}");
    }
    for (open, close) in [("[", "]"), (r#"{"":"#, "}")] {
        let json = |levels| format!(r#"{{"value":{}}}"#, nest(open, "1", close, levels));
        let wire = read(&json(99)).unwrap();
        assert_eq!(write(&wire).unwrap(), json(99));
        assert!(read(&json(100)).is_err());
        // And where nobody looks at it.
        let mut out = Vec::new();
        let skip = |json: &str, out: &mut Vec<u8>| {
            to_wire(&MESSAGES, id("t.Rich"), json.as_bytes(), &ReadOptions { ignore_unknown: true }, out)
        };
        assert!(skip(&json(99).replace("value", "nope"), &mut out).is_ok());
        assert!(skip(&json(100).replace("value", "nope"), &mut out).is_err());
    }
    assert!(read(&format!(r#"{{"value":{}"#, "[".repeat(1_000_000))).is_err());
}

#[test]
fn wire_that_is_too_deep_is_refused() {
    let mut wire = Vec::new();
    for _ in 0..99 {
        let mut outer = vec![0x8a, 0x01];
        wire::put_varint(wire.len() as u64, &mut outer);
        outer.extend_from_slice(&wire);
        wire = outer;
    }
    assert!(write(&wire).is_ok());
    let mut outer = vec![0x8a, 0x01];
    wire::put_varint(wire.len() as u64, &mut outer);
    outer.extend_from_slice(&wire);
    assert!(write(&outer).unwrap_err().message().contains("more than 100"));
    let groups = |depth: usize| [[0xa3, 0x06].repeat(depth), [0xa4, 0x06].repeat(depth)].concat();
    assert_eq!(write(&groups(100)).unwrap(), "{}");
    assert!(write(&groups(101)).unwrap_err().message().contains("too many groups"));
    assert!(write(&vec![0xa3; 1_000_000]).is_err());
}

#[test]
fn anys_inside_each_other_are_read_over_once() {
    // With a reading over for each, this would take a hundred times as long; it is here for its answer.
    let text = "x".repeat(100_000);
    let json = nest(r#"{"any":{"any":"#, &format!(r#"{{"string":"{text}"}}"#), r#","@type":"x/t.Rich"}}"#, 0);
    assert!(read(&json).is_ok());
    let inner = format!(r#"{{"@type":"x/t.Rich","string":"{text}"}}"#);
    let json = format!(r#"{{"any":{}}}"#, nest(r#"{"any":"#, &inner, r#","@type":"x/t.Rich"}"#, 98));
    let wire = read(&json).unwrap();
    assert!(wire.len() > text.len());
    assert!(write(&wire).unwrap().contains(&text));
}

#[test]
fn an_error_repeats_no_long_text() {
    let long = "é".repeat(100_000);
    for json in [
        format!(r#"{{"{long}":1}}"#),
        format!(r#"{{"color":"{long}"}}"#),
        format!(r#"{{"int32":"{long}"}}"#),
        format!(r#"{{"int32":{}.5}}"#, "1".repeat(100_000)),
        format!(r#"{{"timestamp":"{long}"}}"#),
        format!(r#"{{"stringMap":{{"{long}":1}}}}"#),
        format!(r#"{{"any":{{"@type":"x/{long}"}}}}"#),
    ] {
        let error = read(&json).unwrap_err();
        assert!(error.to_string().len() < 600, "{}", error.to_string().len());
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = to_wire(&MESSAGES, id("t.Rich"), &bytes, &ReadOptions { ignore_unknown: true }, &mut Vec::new());
        let _ = write(&bytes);
        let _ = write_as("t.Old", &bytes);
    }

    #[test]
    fn json_that_was_tampered_with_never_panics(
        at in 0_usize..400, with in proptest::collection::vec(prop_oneof![Just(b'"'), Just(b'{'), Just(b'}'), Just(b'['), Just(b'\\'), Just(b','), any::<u8>()], 0..4), cut in 0_usize..4,
    ) {
        let json = br#"{"nested":{"int32":-12.0e1,"manyInt32":[1,2,"3"],"stringMap":{"a\u0041":"\ud83d\ude00"}},"timestamp":"2024-02-29T12:00:00.123+01:00","any":{"value":{"a":[null,true,1.5]},"@type":"x/google.protobuf.Struct"},"fieldMask":"aB.c","duration":"-1.5s","oneColor":"RED","bytes":"-_8=","double":"NaN"}"#;
        let mut json = json.to_vec();
        let at = at % json.len();
        let end = (at + cut).min(json.len());
        json.splice(at..end, with);
        if to_wire(&MESSAGES, id("t.Rich"), &json, &ReadOptions::default(), &mut Vec::new()).is_ok() {
            // What we take is JSON by another's judgement, too.
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&json).is_ok());
        }
    }

    #[test]
    fn strings_are_read_as_another_parser_reads_them(text in r#"([a-zé😀 ]|\\["\\/bfnrtux]|\\u[0-9a-fA-F]{3,4}|\\u[dD][89a-fA-F][0-9a-f]{2}|["\x00-\x1f])*"#) {
        let json = format!(r#"{{"string":"{text}"}}"#);
        match read(&json) {
            Ok(wire) => prop_assert!(means(&json, &wire, "t.Rich"), "{}", json),
            Err(_) => prop_assert!(oracle_read("t.Rich", &json).is_none(), "{}", json),
        }
    }

    #[test]
    fn any_text_survives_both_ways(text in any::<String>(), key in any::<String>()) {
        let json = serde_json::json!({ "string": text, "stringMap": { key.as_str(): text }, "struct": { key.as_str(): text } });
        let written = write(&read(&json.to_string()).unwrap()).unwrap();
        let back: serde_json::Value = serde_json::from_str(&written).unwrap();
        if text.is_empty() {
            prop_assert_eq!(&back["struct"], &json["struct"]);
        } else {
            prop_assert_eq!(back, json);
        }
    }
}
