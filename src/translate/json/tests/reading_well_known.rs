//! JSON to wire: the types that have a JSON form of their own.

use super::*;

#[test]
fn timestamps_durations_and_field_masks() {
    reads_back(&[
        (r#"{"timestamp":"1970-01-01T00:00:00Z"}"#, r#"{"timestamp":"1970-01-01T00:00:00Z"}"#),
        (r#"{"timestamp":"0001-01-01T00:00:00Z"}"#, r#"{"timestamp":"0001-01-01T00:00:00Z"}"#),
        (r#"{"timestamp":"9999-12-31T23:59:59.999999999Z"}"#, r#"{"timestamp":"9999-12-31T23:59:59.999999999Z"}"#),
        (r#"{"timestamp":"2024-02-29T12:00:00.5+01:30"}"#, r#"{"timestamp":"2024-02-29T10:30:00.500Z"}"#),
        (r#"{"timestamp":"2000-02-29T23:59:59.000001-23:59"}"#, r#"{"timestamp":"2000-03-01T23:58:59.000001Z"}"#),
        (r#"{"timestamp":"1969-12-31T23:59:59.9Z"}"#, r#"{"timestamp":"1969-12-31T23:59:59.900Z"}"#),
        (r#"{"duration":"0s"}"#, r#"{"duration":"0s"}"#),
        (r#"{"duration":"-0.5s"}"#, r#"{"duration":"-0.500s"}"#),
        (r#"{"duration":"1.000000001s"}"#, r#"{"duration":"1.000000001s"}"#),
        (r#"{"duration":"1.0001s"}"#, r#"{"duration":"1.000100s"}"#),
        (r#"{"duration":"315576000000s"}"#, r#"{"duration":"315576000000s"}"#),
        (r#"{"duration":"-315576000000s"}"#, r#"{"duration":"-315576000000s"}"#),
        (r#"{"duration":"315576000000.999999999s"}"#, r#"{"duration":"315576000000.999999999s"}"#),
        (r#"{"duration":"-315576000000.1s"}"#, r#"{"duration":"-315576000000.100s"}"#),
        (r#"{"fieldMask":"a.fooBar,b"}"#, r#"{"fieldMask":"a.fooBar,b"}"#),
        (r#"{"fieldMask":""}"#, r#"{"fieldMask":""}"#),
    ]);
    for bad in [
        "",
        "0000-12-31T23:59:59Z",
        "10000-01-01T00:00:00Z",
        "9999-12-31T23:59:59-00:01",
        "0001-01-01T00:00:00+00:01",
        "2023-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2024-13-01T00:00:00Z",
        "2024-00-01T00:00:00Z",
        "2024-01-00T00:00:00Z",
        "2024-04-31T00:00:00Z",
        "2024-01-01T24:00:00Z",
        "2024-01-01T00:60:00Z",
        "2024-01-01T00:00:60Z",
        "2024-01-01t00:00:00Z",
        "2024-01-01T00:00:00z",
        "2024-01-01 00:00:00Z",
        "2024-01-01T00:00:00",
        "2024-01-01T00:00:00.Z",
        "2024-01-01T00:00:00.1234567890Z",
        "2024-01-01T00:00:00+1:00",
        "2024-01-01T00:00:00+24:00",
        "2024-01-01T00:00:00+00:60",
        "2024-01-01T00:00:00+0000",
        "2024-01-01T00:00:00ZZ",
        "2024-1-01T00:00:00Z",
        "+2024-01-01T00:00:00Z",
        " 2024-01-01T00:00:00Z",
        "2024-01-01T00:00Z",
    ] {
        refuses(&[(&format!(r#"{{"timestamp":"{bad}"}}"#), "$.timestamp", "a timestamp")]);
    }
    for bad in [
        "",
        "s",
        "1",
        "1.s",
        ".5s",
        "1.0000000001s",
        "+1s",
        "--1s",
        "1 s",
        "1S",
        "1e3s",
        "315576000001s",
        "-315576000001s",
        "99999999999999999999s",
        "1.5",
        "0x1s",
        "1,5s",
    ] {
        refuses(&[(&format!(r#"{{"duration":"{bad}"}}"#), "$.duration", "a duration")]);
    }
    for bad in ["foo_bar", "a,", ",a", "a,,b"] {
        refuses(&[(&format!(r#"{{"fieldMask":"{bad}"}}"#), "$.fieldMask", "field mask")]);
    }
    refuses(&[(r#"{"timestamp":0}"#, "$.timestamp", "found a number"), (r#"{"duration":1}"#, "$.duration", "found")]);
    assert_eq!(read(r#"{"fieldMask":"a.fooBar,b"}"#).unwrap()[3..], *b"\x0a\x09a.foo_bar\x0a\x01b");
}

#[test]
fn dynamic_values_wrappers_and_empty() {
    reads_back(&[
        (
            r#"{"struct":{"z":[1,"a",true,null,{"x":{}}],"a":-1.5e3,"":""}}"#,
            r#"{"struct":{"":"","a":-1500,"z":[1,"a",true,null,{"x":{}}]}}"#,
        ),
        (r#"{"value":"x"}"#, r#"{"value":"x"}"#),
        (r#"{"value":""}"#, r#"{"value":""}"#),
        (r#"{"value":0}"#, r#"{"value":0}"#),
        (r#"{"value":false}"#, r#"{"value":false}"#),
        (r#"{"value":[]}"#, r#"{"value":[]}"#),
        (r#"{"listValue":[[],[null]]}"#, r#"{"listValue":[[],[null]]}"#),
        (r#"{"empty":{}}"#, r#"{"empty":{}}"#),
        (r#"{"doubleValue":0}"#, r#"{"doubleValue":0}"#),
        (r#"{"floatValue":"NaN"}"#, r#"{"floatValue":"NaN"}"#),
        (r#"{"int64Value":"0"}"#, r#"{"int64Value":"0"}"#),
        (r#"{"uint64Value":7}"#, r#"{"uint64Value":"7"}"#),
        (r#"{"uint32Value":7}"#, r#"{"uint32Value":7}"#),
        (r#"{"boolValue":false}"#, r#"{"boolValue":false}"#),
        (r#"{"stringValue":""}"#, r#"{"stringValue":""}"#),
        (r#"{"bytesValue":"_w"}"#, r#"{"bytesValue":"/w=="}"#),
        (r#"{"manyInt32Value":[0,1]}"#, r#"{"manyInt32Value":[0,1]}"#),
    ]);
    refuses(&[
        (r#"{"struct":{"a":1,"a":1}}"#, "$.struct", "twice"),
        (r#"{"struct":{"a":{"b":[1e999]}}}"#, "$.struct.a.b[0]", "range"),
        (r#"{"struct":[]}"#, "$.struct", "expected an object"),
        (r#"{"listValue":{}}"#, "$.listValue", "expected an array"),
        (r#"{"empty":{"a":1}}"#, "$.empty.a", "no field"),
        (r#"{"int32Value":"x"}"#, "$.int32Value", "not an integer"),
        (r#"{"int32Value":{"value":1}}"#, "$.int32Value", "expected a number"),
        (r#"{"value":tru}"#, "$.value", "expected true or false"),
        (r#"{"value":?}"#, "$.value", "expected"),
    ]);
}

#[test]
fn anys_find_their_type_wherever_it_stands() {
    let inner = r#"{"@type":"x/t.Rich","int32":1}"#;
    reads_back(&[
        (r#"{"any":{"@type":"x/t.Rich","int32":1}}"#, &format!(r#"{{"any":{inner}}}"#)),
        (r#"{"any":{"int32":1,"@type":"x/t.Rich"}}"#, &format!(r#"{{"any":{inner}}}"#)),
        (r#"{"any":{"int32":1,"\u0040type":"x/t.R\u0069ch"}}"#, &format!(r#"{{"any":{inner}}}"#)),
        (
            r#"{"any":{"any":{"any":{"int32":1,"@type":"x/t.Rich"},"@type":"x/t.Rich"},"string":"s","@type":"a/b/t.Rich"}}"#,
            r#"{"any":{"@type":"a/b/t.Rich","string":"s","any":{"@type":"x/t.Rich","any":{"@type":"x/t.Rich","int32":1}}}}"#,
        ),
        (
            r#"{"manyAny":[{"int32":1,"@type":"x/t.Rich"},{"int32":2,"@type":"x/t.Rich"}]}"#,
            r#"{"manyAny":[{"@type":"x/t.Rich","int32":1},{"@type":"x/t.Rich","int32":2}]}"#,
        ),
        (
            r#"{"any":{"value":"1.5s","@type":"x/google.protobuf.Duration"}}"#,
            r#"{"any":{"@type":"x/google.protobuf.Duration","value":"1.500s"}}"#,
        ),
        (
            r#"{"any":{"@type":"x/google.protobuf.Value","value":null}}"#,
            r#"{"any":{"@type":"x/google.protobuf.Value","value":null}}"#,
        ),
        (
            r#"{"any":{"@type":"x/google.protobuf.Any","value":{"int32":1,"@type":"x/t.Rich"}}}"#,
            r#"{"any":{"@type":"x/google.protobuf.Any","value":{"@type":"x/t.Rich","int32":1}}}"#,
        ),
        (
            r#"{"any":{"@type":"x/google.protobuf.Struct","value":{"@type":"y"}}}"#,
            r#"{"any":{"@type":"x/google.protobuf.Struct","value":{"@type":"y"}}}"#,
        ),
        (r#"{"any":{"@type":"x/google.protobuf.Empty"}}"#, r#"{"any":{"@type":"x/google.protobuf.Empty"}}"#),
        (r#"{"any":{"@type":"x/google.protobuf.Empty","value":{}}}"#, r#"{"any":{"@type":"x/google.protobuf.Empty"}}"#),
        (r#"{"any":{}}"#, r#"{"any":{}}"#),
        (r#"{"any":{"@type":"x/t.Rich"}}"#, r#"{"any":{"@type":"x/t.Rich"}}"#),
    ]);
    refuses(&[
        (r#"{"any":{"int32":1}}"#, "$.any", "needs \"@type\""),
        (r#"{"any":{"@type":"t.Rich"}}"#, "$.any.@type", "not in the schema"),
        (r#"{"any":{"@type":"x/"}}"#, "$.any.@type", "not in the schema"),
        (r#"{"any":{"@type":""}}"#, "$.any.@type", "not in the schema"),
        (r#"{"any":{"@type":"x/t.Nope"}}"#, "$.any.@type", "\"x/t.Nope\" is not in the schema"),
        (r#"{"any":{"@type":1}}"#, "$.any", "expected a string"),
        (r#"{"any":{"@type":"x/t.Rich","@type":"x/t.Rich"}}"#, "$.any", "twice"),
        (r#"{"any":{"int32":1,"@type":"x/t.Old","@type":"x/t.Rich"}}"#, "$.any", "twice"),
        (r#"{"any":{"@type":"x/t.Rich","nope":{}}}"#, "$.any.nope", "no field"),
        (r#"{"any":{"@type":"x/google.protobuf.Duration"}}"#, "$.any", "needs \"value\""),
        (r#"{"any":{"@type":"x/google.protobuf.Duration","value":"1s","value":"1s"}}"#, "$.any", "twice"),
        (r#"{"any":{"@type":"x/google.protobuf.Duration","value":"1s","x":1}}"#, "$.any.x", "no field"),
        (r#"{"any":"x"}"#, "$.any", "expected an object"),
        (r#"{"@type":"x/t.Rich"}"#, "$.@type", "no field"),
    ]);
}
