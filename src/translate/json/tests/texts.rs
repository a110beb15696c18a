//! Fields from plain text.

use super::*;

fn from_text(name: &str, text: &str) -> Result<String, JsonError> {
    let mut out = Vec::new();
    scalar_from_text(&MESSAGES, field(name), text, &mut out).map(|()| write(&out).unwrap())
}

#[test]
fn the_type_decides_what_a_text_means() {
    for (name, text, expected) in [
        ("int32", "-5", r#"{"int32":-5}"#),
        ("int32", "+5", r#"{"int32":5}"#),
        ("int32", "007", r#"{"int32":7}"#),
        ("int32", "-007", r#"{"int32":-7}"#),
        ("optInt32", "00", r#"{"optInt32":0}"#),
        ("int32", "1e3", r#"{"int32":1000}"#),
        ("int64", "9223372036854775807", r#"{"int64":"9223372036854775807"}"#),
        ("uint64", "18446744073709551615", r#"{"uint64":"18446744073709551615"}"#),
        ("sint32", "-1", r#"{"sint32":-1}"#),
        ("fixed32", "1", r#"{"fixed32":1}"#),
        ("double", "1.5", r#"{"double":1.5}"#),
        ("double", "00.5", r#"{"double":0.5}"#),
        ("double", "-Infinity", r#"{"double":"-Infinity"}"#),
        ("float", "NaN", r#"{"float":"NaN"}"#),
        ("bool", "true", r#"{"bool":true}"#),
        ("bool", "1", r#"{"bool":true}"#),
        ("bool", "TRUE", r#"{"bool":true}"#),
        ("boolValue", "no", r#"{"boolValue":false}"#),
        ("string", "\"x\"", r#"{"string":"\"x\""}"#),
        ("oneString", "", r#"{"oneString":""}"#),
        ("bytes", "_-8", r#"{"bytes":"/+8="}"#),
        ("color", "RED", r#"{"color":"RED"}"#),
        ("color", "-3", r#"{"color":"NEGATIVE"}"#),
        ("color", "99", r#"{"color":99}"#),
        ("manyInt32", "4", r#"{"manyInt32":[4]}"#),
        ("manyString", "a", r#"{"manyString":["a"]}"#),
        ("manyTimestamp", "1970-01-01T00:00:00Z", r#"{"manyTimestamp":["1970-01-01T00:00:00Z"]}"#),
        ("timestamp", "1970-01-01T01:00:00.5+01:00", r#"{"timestamp":"1970-01-01T00:00:00.500Z"}"#),
        ("duration", "-1.5s", r#"{"duration":"-1.500s"}"#),
        ("fieldMask", "a.fooBar,b_c", r#"{"fieldMask":"a.fooBar,bC"}"#),
        ("int32Value", "0", r#"{"int32Value":0}"#),
        ("uint64Value", "5", r#"{"uint64Value":"5"}"#),
        ("stringValue", "", r#"{"stringValue":""}"#),
        ("bytesValue", "YQ", r#"{"bytesValue":"YQ=="}"#),
        ("doubleValue", "1", r#"{"doubleValue":1}"#),
        ("value", "5", r#"{"value":"5"}"#),
        ("oneNull", "null", r#"{"oneNull":null}"#),
        ("oneNull", "NULL_VALUE", r#"{"oneNull":null}"#),
    ] {
        assert_eq!(
            from_text(name, text).unwrap_or_else(|error| panic!("{name}={text}: {error}")),
            expected,
            "{name}={text}"
        );
    }
}

#[test]
fn a_text_that_does_not_fit_is_refused_and_leaves_nothing() {
    for (name, text) in [
        ("int32", ""),
        ("int32", "x"),
        ("int32", "1.5"),
        ("int32", "2147483648"),
        ("int32", " 1"),
        ("int32", "+-1"),
        ("int32", "--1"),
        ("int32", "-"),
        ("int32", "+"),
        ("int32", "0x10"),
        ("uint32", "-1"),
        ("double", ""),
        ("double", "."),
        ("double", "inf"),
        ("double", "1e999"),
        ("bool", ""),
        ("bool", "maybe"),
        ("bytes", "Y"),
        ("color", ""),
        ("color", "red"),
        ("color", "1.5"),
        ("timestamp", ""),
        ("timestamp", "yesterday"),
        ("duration", "1"),
        ("fieldMask", "a,,b"),
        ("int32Value", "x"),
        ("nested", "{}"),
        ("struct", "{}"),
        ("listValue", "[]"),
        ("any", "{}"),
        ("empty", ""),
        ("oneNull", "1"),
        ("stringMap", "a"),
        ("int32Map", "1"),
    ] {
        let mut out = vec![1, 2];
        let error = scalar_from_text(&MESSAGES, field(name), text, &mut out).expect_err(&format!("{name}={text}"));
        assert_eq!(out, [1, 2], "{name}={text}");
        assert_eq!(error.path(), format!("$.{}", field(name).name));
    }
}
