//! JSON to wire.

use super::*;

#[test]
fn bytes_on_the_wire_are_what_protobuf_says() {
    let cases: &[(&str, &[u8])] = &[
        ("{}", b""),
        (r#"{"int32":150}"#, &[0x18, 0x96, 0x01]),
        (r#"{"int32":-1}"#, &[0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        (r#"{"sint32":-1}"#, &[0x38, 0x01]),
        (r#"{"string":"hi"}"#, &[0x72, 2, b'h', b'i']),
        (r#"{"fixed32":1}"#, &[0x4d, 1, 0, 0, 0]),
        (r#"{"double":1}"#, &[0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]),
        (r#"{"manyInt32":[3,270,86942]}"#, &[0x82, 0x02, 6, 3, 0x8e, 2, 0x9e, 0xa7, 5]),
        (r#"{"looseInt32":[1,0]}"#, &[0xc0, 0x02, 1, 0xc0, 0x02, 0]),
        (r#"{"manyInt32":[]}"#, b""),
        (r#"{"nested":{}}"#, &[0x8a, 0x01, 0]),
        (r#"{"boolMap":{"true":"5"}}"#, &[0xc2, 0x03, 4, 8, 1, 0x10, 5]),
        (r#"{"color":"DEEP_BLUE"}"#, &[0x80, 0x01, 2]),
        (r#"{"int32":0,"string":"","bool":false,"double":0.0,"color":"COLOR_NONE","bytes":""}"#, b""),
        (r#"{"optInt32":0}"#, &[0xa8, 0x01, 0]),
        (r#"{"oneString":""}"#, &[0xf2, 0x03, 0]),
        (r#"{"double":-0.0}"#, &[0x09, 0, 0, 0, 0, 0, 0, 0, 0x80]),
        (r#"{"int32Value":0}"#, &[0xa2, 0x05, 0]),
    ];
    for (json, wire) in cases {
        assert_eq!(read(json).unwrap(), *wire, "{json}");
    }
}

#[test]
fn lengths_of_every_size_are_put_in_front() {
    for length in [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152] {
        let text = "x".repeat(length);
        let json = format!(r#"{{"nested":{{"nested":{{"string":"{text}","int32":1}}}},"int32":2}}"#);
        assert!(means(&json, &read(&json).unwrap(), "t.Rich"), "{length}");
        let escaped = format!(r#"{{"string":"{text}\n"}}"#);
        assert!(means(&escaped, &read(&escaped).unwrap(), "t.Rich"), "{length}");
    }
}

#[test]
fn integers_are_exact_in_every_notation() {
    reads_back(&[
        (r#"{"int32":2147483647}"#, r#"{"int32":2147483647}"#),
        (r#"{"int32":-2147483648}"#, r#"{"int32":-2147483648}"#),
        (r#"{"int32":"-2147483648"}"#, r#"{"int32":-2147483648}"#),
        (r#"{"int32":1.0}"#, r#"{"int32":1}"#),
        (r#"{"int32":1e3}"#, r#"{"int32":1000}"#),
        (r#"{"int32":"1E+3"}"#, r#"{"int32":1000}"#),
        (r#"{"int32":12.50e1}"#, r#"{"int32":125}"#),
        (r#"{"int32":1000e-3}"#, r#"{"int32":1}"#),
        (r#"{"int32":0e999999999999999999999}"#, "{}"),
        (r#"{"int32":-0}"#, "{}"),
        (r#"{"uint32":-0.0}"#, "{}"),
        (r#"{"uint32":4294967295}"#, r#"{"uint32":4294967295}"#),
        (r#"{"int64":9223372036854775807}"#, r#"{"int64":"9223372036854775807"}"#),
        (r#"{"int64":"-9223372036854775808"}"#, r#"{"int64":"-9223372036854775808"}"#),
        (r#"{"int64":9007199254740993.0}"#, r#"{"int64":"9007199254740993"}"#),
        (r#"{"uint64":18446744073709551615}"#, r#"{"uint64":"18446744073709551615"}"#),
        (r#"{"uint64":1844674407370955161.5e1}"#, r#"{"uint64":"18446744073709551615"}"#),
        (r#"{"uint64":18446744073709551615000e-3}"#, r#"{"uint64":"18446744073709551615"}"#),
        (r#"{"sint64":-9223372036854775808}"#, r#"{"sint64":"-9223372036854775808"}"#),
        (r#"{"sint32":-2147483648}"#, r#"{"sint32":-2147483648}"#),
        (r#"{"fixed64":"1"}"#, r#"{"fixed64":"1"}"#),
        (r#"{"sfixed32":-5}"#, r#"{"sfixed32":-5}"#),
        (r#"{"sfixed64":-5}"#, r#"{"sfixed64":"-5"}"#),
    ]);
    refuses(&[
        (r#"{"int32":2147483648}"#, "$.int32", "range"),
        (r#"{"int32":-2147483649}"#, "$.int32", "range"),
        (r#"{"uint32":4294967296}"#, "$.uint32", "range"),
        (r#"{"uint32":-1}"#, "$.uint32", "no sign"),
        (r#"{"int64":9223372036854775808}"#, "$.int64", "range"),
        (r#"{"uint64":18446744073709551616}"#, "$.uint64", "range"),
        (r#"{"int32":1e99999999999999999999}"#, "$.int32", "range"),
        (r#"{"int32":1.5}"#, "$.int32", "fraction"),
        (r#"{"int32":1e-1}"#, "$.int32", "fraction"),
        (r#"{"int32":1e-99999999999999999999}"#, "$.int32", "fraction"),
        (r#"{"int32":"1.5"}"#, "$.int32", "fraction"),
        (r#"{"int32":""}"#, "$.int32", "not an integer"),
        (r#"{"int32":" 1"}"#, "$.int32", "not an integer"),
        (r#"{"int32":"1 "}"#, "$.int32", "not an integer"),
        (r#"{"int32":"0x1"}"#, "$.int32", "not an integer"),
        (r#"{"int32":"01"}"#, "$.int32", "not an integer"),
        (r#"{"int32":"NaN"}"#, "$.int32", "not an integer"),
        (r#"{"int32":true}"#, "$.int32", "expected a number, found a bool"),
        (r#"{"int32":{}}"#, "$.int32", "expected a number, found an object"),
        (r#"{"int32":01}"#, "$.int32", "not a number"),
        (r#"{"int32":+1}"#, "$.int32", "found '+'"),
        (r#"{"int32":1.}"#, "$.int32", "not a number"),
        (r#"{"int32":.5}"#, "$.int32", "found '.'"),
        (r#"{"int32":1e}"#, "$.int32", "not a number"),
        (r#"{"int32":-}"#, "$.int32", "not a number"),
        (r#"{"int32":NaN}"#, "$.int32", "found 'N'"),
    ]);
}

#[test]
fn floats_keep_their_value_and_range() {
    reads_back(&[
        (r#"{"double":1.7976931348623157e308}"#, r#"{"double":1.7976931348623157e+308}"#),
        (r#"{"double":5e-324}"#, r#"{"double":5e-324}"#),
        (r#"{"double":1e-999}"#, "{}"),
        (r#"{"double":"1.5"}"#, r#"{"double":1.5}"#),
        (r#"{"double":0.1}"#, r#"{"double":0.1}"#),
        (r#"{"double":-0.0}"#, r#"{"double":-0}"#),
        (r#"{"double":100}"#, r#"{"double":100}"#),
        (r#"{"double":"NaN"}"#, r#"{"double":"NaN"}"#),
        (r#"{"double":"-Infinity"}"#, r#"{"double":"-Infinity"}"#),
        (r#"{"float":"Infinity"}"#, r#"{"float":"Infinity"}"#),
        (r#"{"float":0.1}"#, r#"{"float":0.1}"#),
        (r#"{"float":3.4028235e38}"#, r#"{"float":3.4028235e+38}"#),
        (r#"{"float":16777217}"#, r#"{"float":16777216}"#),
        // Halfway between two floats but for a bit far behind, which a detour over a double would lose.
        (r#"{"float":1.00000017881393432617187499}"#, r#"{"float":1.0000001}"#),
    ]);
    refuses(&[
        (r#"{"double":1.8e308}"#, "$.double", "range"),
        (r#"{"double":"-1e999"}"#, "$.double", "range"),
        (r#"{"float":3.5e38}"#, "$.float", "range"),
        (r#"{"float":"-1e39"}"#, "$.float", "range"),
        (r#"{"double":"nan"}"#, "$.double", "not a number"),
        (r#"{"double":"inf"}"#, "$.double", "not a number"),
        (r#"{"double":"+1"}"#, "$.double", "not a number"),
        (r#"{"double":Infinity}"#, "$.double", "found 'I'"),
        (r#"{"double":""}"#, "$.double", "not a number"),
    ]);
}

#[test]
fn strings_bools_bytes_and_enums() {
    reads_back(&[
        (r#"{"string":"\"\\\/\b\f\n\r\t\u0041\u00e9\ud83d\ude00"}"#, "{\"string\":\"\\\"\\\\/\\b\\f\\n\\r\\tAé😀\"}"),
        (r#"{"string":"\u0000\u001f\u007f"}"#, "{\"string\":\"\\u0000\\u001f\u{7f}\"}"),
        (r#"{"str\u0069ng":"x"}"#, r#"{"string":"x"}"#),
        (r#"{"bool":true}"#, r#"{"bool":true}"#),
        (r#"{"bytes":"-_-_"}"#, r#"{"bytes":"+/+/"}"#),
        (r#"{"bytes":"+/+/"}"#, r#"{"bytes":"+/+/"}"#),
        (r#"{"bytes":"\/+8="}"#, r#"{"bytes":"/+8="}"#),
        (r#"{"bytes":"YQ"}"#, r#"{"bytes":"YQ=="}"#),
        (r#"{"bytes":"YWI"}"#, r#"{"bytes":"YWI="}"#),
        (r#"{"bytes":"YWJj"}"#, r#"{"bytes":"YWJj"}"#),
        (r#"{"color":"RED"}"#, r#"{"color":"RED"}"#),
        (r#"{"color":"CRIMSON"}"#, r#"{"color":"RED"}"#),
        (r#"{"color":2}"#, r#"{"color":"DEEP_BLUE"}"#),
        (r#"{"color":-3}"#, r#"{"color":"NEGATIVE"}"#),
        (r#"{"color":77}"#, r#"{"color":77}"#),
        (r#"{"color":1.0}"#, r#"{"color":"RED"}"#),
    ]);
    refuses(&[
        (r#"{"string":1}"#, "$.string", "expected a string, found a number"),
        (r#"{"string":"\ud800"}"#, "$.string", "surrogate"),
        (r#"{"string":"\udc00\ud800"}"#, "$.string", "surrogate"),
        (r#"{"string":"\ud800\u0041"}"#, "$.string", "surrogate"),
        (r#"{"string":"\ud800x"}"#, "$.string", "surrogate"),
        (r#"{"string":"\u12"}"#, "$.string", "four hexadecimal"),
        (r#"{"string":"\u+123"}"#, "$.string", "four hexadecimal"),
        (r#"{"string":"\x"}"#, "$.string", "escape"),
        (r#"{"string":"\é"}"#, "$.string", "escape"),
        ("{\"string\":\"a\nb\"}", "$.string", "control"),
        ("{\"string\":\"a\u{1f}b\"}", "$.string", "control"),
        (r#"{"string":"abc"#, "$.string", "ends inside a string"),
        (r#"{"string":"abc\"#, "$.string", "ends inside a string"),
        (r#"{"bool":"true"}"#, "$.bool", "expected true or false"),
        (r#"{"bool":1}"#, "$.bool", "expected true or false"),
        (r#"{"bool":truex}"#, "$.bool", "unknown word"),
        (r#"{"bool":tru}"#, "$.bool", "expected true or false"),
        (r#"{"bytes":"YQ+_"}"#, "$.bytes", "base64"),
        (r#"{"bytes":"Y"}"#, "$.bytes", "base64"),
        (r#"{"bytes":"YQ==YQ=="}"#, "$.bytes", "base64"),
        (r#"{"bytes":"Y Q="}"#, "$.bytes", "base64"),
        (r#"{"bytes":1}"#, "$.bytes", "expected a string"),
        (r#"{"color":"PINK"}"#, "$.color", "no value \"PINK\""),
        (r#"{"color":"red"}"#, "$.color", "no value"),
        (r#"{"color":"1"}"#, "$.color", "no value"),
        (r#"{"color":2147483648}"#, "$.color", "range"),
        (r#"{"color":1.5}"#, "$.color", "fraction"),
        (r#"{"color":true}"#, "$.color", "name or number"),
    ]);
}

#[test]
fn names_null_and_repetition() {
    reads_back(&[
        (r#"{"opt_int32":1}"#, r#"{"optInt32":1}"#),
        (r#"{"other-name":1}"#, r#"{"other-name":1}"#),
        (r#"{"renamed":1}"#, r#"{"other-name":1}"#),
        (r#"{"int32":null,"nested":null,"manyInt32":null,"stringMap":null,"optString":null,"timestamp":null}"#, "{}"),
        (r#"{"struct":null,"listValue":null,"any":null,"int32Value":null,"manyValue":null,"manyNull":null}"#, "{}"),
        (r#"{"value":null}"#, r#"{"value":null}"#),
        (r#"{"oneNull":null}"#, r#"{"oneNull":null}"#),
        (r#"{"oneNull":"NULL_VALUE"}"#, r#"{"oneNull":null}"#),
        (r#"{"oneValue":null}"#, r#"{"oneValue":null}"#),
        (r#"{"nullValue":null}"#, "{}"),
        (r#"{"manyNull":[null,"NULL_VALUE",0]}"#, r#"{"manyNull":[null,null,null]}"#),
        (r#"{"manyValue":[null,1,[],{}]}"#, r#"{"manyValue":[null,1,[],{}]}"#),
        (r#"{"fixed64Map":{"1":null}}"#, r#"{"fixed64Map":{"1":null}}"#),
        (r#"{"oneInt32":null,"oneString":"x"}"#, r#"{"oneString":"x"}"#),
        (r#"{"oneString":"x","oneInt32":null}"#, r#"{"oneString":"x"}"#),
        (r#" { "int32" : 1 , "manyInt32" : [ 1 , 2 ] } "#, r#"{"int32":1,"manyInt32":[1,2]}"#),
        ("\t{\r\n}\n", "{}"),
    ]);
    refuses(&[
        (r#"{"int32":1,"int32":1}"#, "$.int32", "twice"),
        (r#"{"optInt32":1,"opt_int32":1}"#, "$.opt_int32", "twice"),
        (r#"{"int32":null,"int32":1}"#, "$.int32", "twice"),
        (r#"{"oneInt32":1,"oneString":""}"#, "$.oneString", "oneof"),
        (r#"{"oneValue":null,"oneNull":null}"#, "$.oneNull", "oneof"),
        (r#"{"nullValue":1}"#, "$.nullValue", "null has no number"),
        (r#"{"manyNull":[0,-1]}"#, "$.manyNull[1]", "null has no number"),
        (r#"{"manyInt32":[1,null]}"#, "$.manyInt32[1]", "null"),
        (r#"{"manyString":[null]}"#, "$.manyString[0]", "null"),
        (r#"{"manyNested":[{},null]}"#, "$.manyNested[1]", "null"),
        (r#"{"manyInt32Value":[null]}"#, "$.manyInt32Value[0]", "null"),
        (r#"{"manyTimestamp":[null]}"#, "$.manyTimestamp[0]", "null"),
        (r#"{"stringMap":{"a":null}}"#, "$.stringMap.a", "null"),
        (r#"{"int32Map":{"1":null}}"#, "$.int32Map.1", "null"),
        (r#"{"manyInt32":1}"#, "$.manyInt32", "expected an array"),
        (r#"{"manyNested":{}}"#, "$.manyNested", "expected an array"),
        (r#"{"int32":[1]}"#, "$.int32", "found an array"),
        (r#"{"nested":[]}"#, "$.nested", "expected an object"),
        (r#"{"nope":1}"#, "$.nope", "t.Rich has no field \"nope\""),
        (r#"{"nested":{"manyNested":[{},{"Int32":1}]}}"#, "$.nested.manyNested[1].Int32", "no field"),
        (r#"{"stringMap":{"a b":1}}"#, "$.stringMap[\"a b\"]", "expected a string"),
        ("null", "$", "expected an object, found null"),
        ("[]", "$", "expected an object"),
        ("", "$", "ends too early"),
        ("{", "$", "ends too early"),
        (r#"{"int32""#, "$", "ends too early"),
        (r#"{"int32" 1}"#, "$", "':'"),
        (r#"{"int32":1,}"#, "$", "comma"),
        (r#"{,}"#, "$", "expected a key"),
        (r#"{int32:1}"#, "$", "expected a key"),
        (r#"{'int32':1}"#, "$", "expected a key"),
        (r#"{"int32":1 "int64":1}"#, "$", "',' or '}'"),
        (r#"{"manyInt32":[1,]}"#, "$.manyInt32", "comma"),
        (r#"{"manyInt32":[1 2]}"#, "$.manyInt32", "',' or ']'"),
        (r#"{"manyInt32":[,1]}"#, "$.manyInt32[0]", "found ','"),
        (r#"{} {}"#, "$", "more text"),
        (r#"{}x"#, "$", "more text"),
        ("/* */ {}", "$", "expected an object, found '/'"),
        ("\u{feff}{}", "$", "expected an object"),
        ("\u{a0}{}", "$", "expected an object"),
    ]);
}

#[test]
fn maps_have_typed_keys() {
    reads_back(&[
        (r#"{"stringMap":{"b":"1","a":"2","":"3"}}"#, r#"{"stringMap":{"":"3","a":"2","b":"1"}}"#),
        (r#"{"int32Map":{"-1":{"int32":1}}}"#, r#"{"int32Map":{"-1":{"int32":1}}}"#),
        (r#"{"int64Map":{"9007199254740993":"NaN"}}"#, r#"{"int64Map":{"9007199254740993":"NaN"}}"#),
        (r#"{"uint32Map":{"4294967295":"YQ"}}"#, r#"{"uint32Map":{"4294967295":"YQ=="}}"#),
        (r#"{"uint64Map":{"18446744073709551615":"RED"}}"#, r#"{"uint64Map":{"18446744073709551615":"RED"}}"#),
        (r#"{"boolMap":{"true":1,"false":2}}"#, r#"{"boolMap":{"false":"2","true":"1"}}"#),
        (r#"{"sint32Map":{"-5":true,"-0":false}}"#, r#"{"sint32Map":{"-5":true,"0":false}}"#),
        (r#"{"sfixed32Map":{"-5":"1970-01-01T00:00:00Z"}}"#, r#"{"sfixed32Map":{"-5":"1970-01-01T00:00:00Z"}}"#),
    ]);
    refuses(&[
        (r#"{"stringMap":{"a":"1","a":"1"}}"#, "$.stringMap", "twice"),
        (r#"{"stringMap":{"a":"1","\u0061":"1"}}"#, "$.stringMap", "twice"),
        (r#"{"int32Map":{"1":{},"1.0":{}}}"#, "$.int32Map", "twice"),
        (r#"{"int32Map":{"x":{}}}"#, "$.int32Map.x", "no key"),
        (r#"{"int32Map":{"":{}}}"#, "$.int32Map[\"\"]", "no key"),
        (r#"{"int32Map":{"2147483648":{}}}"#, "$.int32Map", "range"),
        (r#"{"uint32Map":{"-1":""}}"#, "$.uint32Map", "sign"),
        (r#"{"boolMap":{"True":1}}"#, "$.boolMap.True", "no key"),
        (r#"{"boolMap":{"1":1}}"#, "$.boolMap.1", "no key"),
        (r#"{"stringMap":[]}"#, "$.stringMap", "expected an object"),
        (r#"{"int32Map":{1:{}}}"#, "$.int32Map", "expected a key"),
    ]);
}

#[test]
fn unknown_things_can_be_passed_over_but_must_be_json() {
    let lenient = |json: &str| {
        let mut out = Vec::new();
        let options = ReadOptions { ignore_unknown: true };
        to_wire(&MESSAGES, id("t.Rich"), json.as_bytes(), &options, &mut out).map(|()| write(&out).unwrap())
    };
    for (json, expected) in [
        (r#"{"nope":{"a":[1,"\u0041",{"b":null}],"c":-1e5},"int32":1}"#, r#"{"int32":1}"#),
        (r#"{"color":"PINK","manyColor":["RED","PINK"],"uint64Map":{"1":"PINK"}}"#, r#"{"manyColor":["RED"]}"#),
        (r#"{"oneColor":"PINK","oneInt32":1}"#, r#"{"oneInt32":1}"#),
        (
            r#"{"any":{"@type":"x/google.protobuf.Duration","value":"1s","x":[]}}"#,
            r#"{"any":{"@type":"x/google.protobuf.Duration","value":"1s"}}"#,
        ),
        (r#"{"empty":{"a":1}}"#, r#"{"empty":{}}"#),
    ] {
        assert_eq!(lenient(json).unwrap(), expected, "{json}");
    }
    for json in [
        r#"{"nope":1,"nope":2}"#,
        r#"{"nope":{"a":1,"a":2}}"#,
        r#"{"nope":01}"#,
        r#"{"nope":[1,]}"#,
        r#"{"nope":"\ud800"}"#,
        r#"{"nope":tru}"#,
        r#"{"nope":}"#,
        r#"{"nope":{"a"}}"#,
        "{\"nope\":\"\u{1}\"}",
        r#"{"color":"\ud800"}"#,
    ] {
        assert!(lenient(json).is_err(), "{json}");
    }
}

#[test]
fn bad_utf8_is_refused_at_its_place() {
    let error = to_wire(&MESSAGES, id("t.Rich"), b"{\"string\":\"a\xffb\"}", &ReadOptions::default(), &mut Vec::new());
    assert_eq!(error.unwrap_err().offset(), 12);
}

#[test]
fn one_field_alone() {
    for (name, json, expected) in [
        ("int32", "5", r#"{"int32":5}"#),
        ("manyInt32", "[1,2]", r#"{"manyInt32":[1,2]}"#),
        ("nested", r#"{"int32":1}"#, r#"{"nested":{"int32":1}}"#),
        ("stringMap", r#"{"a":"b"}"#, r#"{"stringMap":{"a":"b"}}"#),
        ("timestamp", r#""1970-01-01T00:00:00Z""#, r#"{"timestamp":"1970-01-01T00:00:00Z"}"#),
        ("value", "null", r#"{"value":null}"#),
        ("nested", "null", "{}"),
    ] {
        let mut out = Vec::new();
        field_to_wire(&MESSAGES, field(name), json.as_bytes(), &ReadOptions::default(), &mut out).unwrap();
        assert_eq!(write(&out).unwrap(), expected);
    }
    let bad = field_to_wire(&MESSAGES, field("int32"), b"1 2", &ReadOptions::default(), &mut Vec::new());
    assert!(bad.unwrap_err().message().contains("more text"));
}

#[test]
fn groups_and_extensions() {
    for (json, expected) in [
        (r#"{"box":{"label":"a","inner":{"number":0}}}"#, r#"{"box":{"label":"a","inner":{"number":0}}}"#),
        (r#"{"crate":[{"size":1},{}]}"#, r#"{"crate":[{"size":1},{}]}"#),
        (r#"{"loose":[1,2],"tight":[1,2]}"#, r#"{"loose":[1,2],"tight":[1,2]}"#),
        (r#"{"[t.extra]":"x","[t.more]":[{}]}"#, r#"{"[t.extra]":"x","[t.more]":[{}]}"#),
    ] {
        let wire = read_as("t.Old", json).unwrap();
        assert_eq!(write_as("t.Old", &wire).unwrap(), expected);
        assert!(means(json, &wire, "t.Old"), "{json}");
    }
    assert_eq!(read_as("t.Old", r#"{"box":{"label":"a"}}"#).unwrap(), [0x23, 0x0a, 1, b'a', 0x24]);
}
