//! Which change of a schema is told, and whom it breaks. `j` stands for JSON callers, `w` for those of the wire format.

use super::super::{Schema, Source};
use super::*;

fn schema(text: &str) -> Schema {
    let text = format!(
        "syntax = \"proto3\"; package p;
        import \"google/api/annotations.proto\"; import \"google/protobuf/wrappers.proto\";
        import \"google/protobuf/timestamp.proto\"; import \"google/protobuf/struct.proto\";
        import \"google/protobuf/empty.proto\";
        {text}"
    );
    let source = Source::Proto { name: "p.proto".into(), text };
    Schema::build(&[source], &mut |_| None).unwrap_or_else(|errors| panic!("{errors:?}"))
}

const ALL: Reach<'static> = Reach { serves: &|_| true, calls: &[] };

/// `what subject breaks`, one for each change.
fn told(old: &str, new: &str) -> Vec<String> {
    let changes = compare(&schema(old), &schema(new), &ALL);
    let line = |change: &Change| {
        let breaks = [(change.breaks.json, "j"), (change.breaks.wire, "w")];
        let breaks: String = breaks.iter().filter(|(is, _)| *is).map(|(_, letter)| *letter).collect();
        format!("{} {} {}", change.what.name(), change.subject, if breaks.is_empty() { "-" } else { &breaks })
    };
    changes.iter().map(line).collect()
}

/// What is told when the message of a method's request changes.
fn of_message(old: &str, new: &str) -> Vec<String> {
    let around = |fields: &str| {
        format!(
            "service S {{ rpc Do(M) returns (google.protobuf.Empty); }}
            enum E {{ ZERO = 0; ONE = 1; }} enum F {{ ZERO_F = 0; }}
            message In {{ string s = 1; }} message Pair {{ string key = 1; int32 value = 2; }}
            message Odd {{ int32 key = 1; }}
            message M {{ {fields} }}"
        )
    };
    told(&around(old), &around(new))
}

#[test]
fn nothing_comes_of_nothing() {
    let text = "service S { rpc Do(M) returns (M); } message M { M m = 1; map<string, M> ms = 2; oneof o { M a = 3; string b = 4; } }";
    assert_eq!(told(text, text), [""; 0]);
}

#[test]
fn a_type_is_compatible_by_the_rules_of_the_wire_and_of_json() {
    for (old, new, expected) in [
        // "int32, uint32, int64, uint64, and bool are all compatible"; in JSON 64 bits are a string.
        ("int32", "int64", "j"),
        ("int64", "int32", "j"),
        ("int32", "uint32", "j"),
        ("uint32", "int32", "j"),
        ("int64", "uint64", "j"),
        ("uint32", "uint64", "j"),
        ("bool", "int32", "j"),
        ("uint64", "bool", "j"),
        // "sint32 and sint64 are compatible with each other but not with the other integer types"
        ("sint32", "sint64", "j"),
        ("sint32", "int32", "w"),
        ("int64", "sint64", "w"),
        ("sint32", "uint32", "jw"),
        // "fixed32 is compatible with sfixed32, and fixed64 with sfixed64"
        ("fixed32", "sfixed32", "j"),
        ("fixed64", "sfixed64", "j"),
        ("fixed32", "uint32", "w"),
        ("sfixed64", "int64", "w"),
        ("fixed32", "fixed64", "jw"),
        // "string and bytes are compatible as long as the bytes are valid UTF-8"
        ("string", "bytes", "j"),
        ("bytes", "string", "j"),
        // "Embedded messages are compatible with bytes if the bytes contain an encoded version of the message"
        ("bytes", "In", "j"),
        ("In", "bytes", "j"),
        ("string", "In", "jw"),
        ("In", "string", "jw"),
        // "enum is compatible with int32, uint32, int64, and uint64"
        ("E", "int32", "j"),
        ("uint64", "E", "j"),
        ("E", "sint32", "jw"),
        ("E", "bool", "jw"),
        ("E", "string", "jw"),
        // Floating point: other lengths. JSON writes both as numbers, and a double takes every float.
        ("float", "double", "w"),
        ("double", "float", "jw"),
        ("float", "int32", "jw"),
        ("int32", "double", "jw"),
        ("int32", "string", "jw"),
        ("int64", "string", "jw"),
        ("bool", "string", "jw"),
        // Well-known types are JSON of their own.
        ("google.protobuf.Timestamp", "string", "jw"),
        ("string", "google.protobuf.StringValue", "w"),
        ("google.protobuf.Int32Value", "int32", "w"),
        ("google.protobuf.Int32Value", "google.protobuf.Int64Value", "j"),
        ("google.protobuf.BoolValue", "google.protobuf.StringValue", "jw"),
        ("google.protobuf.Timestamp", "In", "jw"),
        ("In", "google.protobuf.Struct", "jw"),
        ("google.protobuf.Struct", "google.protobuf.Value", "jw"),
        // "For string, bytes, and message fields, singular is compatible with repeated"; numbers are packed.
        ("string", "repeated string", "j"),
        ("repeated In", "In", "j"),
        ("bytes", "repeated string", "j"),
        ("int32", "repeated int32", "jw"),
        ("repeated E", "E", "jw"),
        ("repeated int32", "repeated int64", "j"),
        // A map is a repeated message of a key and a value.
        ("map<string, int32>", "repeated Pair", "j"),
        ("repeated Pair", "map<string, int32>", "j"),
        ("repeated Odd", "map<string, int32>", "jw"),
        ("map<string, int32>", "map<string, int64>", "j"),
        ("map<int32, string>", "map<int64, string>", ""),
        ("map<int64, string>", "map<int32, string>", "j"),
        ("map<uint32, string>", "map<int64, string>", ""),
        ("map<uint64, string>", "map<int64, string>", "j"),
        ("map<int32, string>", "map<string, string>", "jw"),
        ("map<string, string>", "In", "jw"),
    ] {
        let lines = of_message(&format!("{old} f = 1;"), &format!("{new} f = 1;"));
        let breaks = if expected.is_empty() { "-" } else { expected };
        assert!(lines.contains(&format!("field_retyped p.M.f {breaks}")), "{old} to {new}: {lines:?}");
        let retyped = lines.iter().filter(|line| line.starts_with("field_retyped")).count();
        assert_eq!(retyped, 1, "{old} to {new}: {lines:?}");
    }
}

#[test]
fn every_type_takes_its_own_place() {
    let types =
        "double float int32 int64 uint32 uint64 sint32 sint64 fixed32 fixed64 sfixed32 sfixed64 bool string bytes E In";
    for one in types.split(' ') {
        for many in ["", "repeated "] {
            let field = format!("{many}{one} f = 1;");
            assert_eq!(of_message(&field, &field), [""; 0], "{field}");
        }
    }
}

#[test]
fn fields_are_known_by_their_names_and_then_by_their_numbers() {
    for (old, new, expected) in [
        ("string a = 1;", "", vec!["field_removed p.M.a j"]),
        ("", "string a = 1;", vec!["field_added p.M.a -"]),
        ("string a = 1;", "string a = 2;", vec!["field_renumbered p.M.a w"]),
        ("string a = 1;", "string b = 1;", vec!["field_renamed p.M.a j"]),
        ("string a_b = 1;", "string c = 1 [json_name = \"aB\"];", vec!["field_renamed p.M.a_b j"]),
        ("string a = 1;", "string a = 1 [json_name = \"b\"];", vec!["json_name p.M.a j"]),
        // A number that another field takes.
        ("string a = 1;", "int32 b = 1;", vec!["field_renamed p.M.a j", "field_retyped p.M.a jw"]),
        ("string a = 1; string b = 2;", "string b = 1;", vec!["field_renumbered p.M.b w", "field_removed p.M.a j"]),
        (
            "string a = 1; string b = 2;",
            "string a = 2; string b = 1;",
            vec!["field_renumbered p.M.a w", "field_renumbered p.M.b w"],
        ),
        ("string a = 1;", "optional string a = 1;", vec!["field_presence p.M.a -"]),
        // Packed or not, both are read.
        ("repeated int32 a = 1;", "repeated int32 a = 1 [packed = false];", vec![]),
        ("reserved 1;", "reserved 2;", vec![]),
    ] {
        assert_eq!(of_message(old, new), expected, "{old} to {new}");
    }
}

#[test]
fn a_oneof_is_the_fields_that_exclude_each_other() {
    for (old, new, expected) in [
        // "Changing a single optional field into a member of a new oneof is safe", and back.
        ("optional string a = 1;", "oneof o { string a = 1; }", vec![]),
        ("oneof o { string a = 1; }", "optional string a = 1;", vec![]),
        (
            "string a = 1;",
            "oneof o { string a = 1; string b = 2; }",
            vec!["field_presence p.M.a -", "field_added p.M.b -"],
        ),
        ("oneof o { string a = 1; string b = 2; }", "oneof other { string b = 2; string a = 1; }", vec![]),
        // "Moving fields into an existing oneof is not safe"
        (
            "oneof o { string a = 1; } optional string b = 2;",
            "oneof o { string a = 1; string b = 2; }",
            vec!["field_moved p.M.b jw"],
        ),
        (
            "optional string a = 1; optional string b = 2;",
            "oneof o { string a = 1; string b = 2; }",
            vec!["field_moved p.M.a jw", "field_moved p.M.b jw"],
        ),
        (
            "oneof o { string a = 1; string b = 2; string c = 3; }",
            "oneof o { string a = 1; string b = 2; } optional string c = 3;",
            vec!["field_moved p.M.c jw"],
        ),
        (
            "oneof o { string a = 1; string b = 2; }",
            "oneof o { string a = 1; } oneof q { string b = 2; }",
            vec!["field_moved p.M.a jw", "field_moved p.M.b jw"],
        ),
        ("oneof o { string a = 1; string b = 2; }", "oneof o { string a = 1; }", vec!["field_removed p.M.b j"]),
    ] {
        assert_eq!(of_message(old, new), expected, "{old} to {new}");
    }
}

#[test]
fn values_of_enums_are_names_in_json_and_numbers_on_the_wire() {
    let of_enum = |old: &str, new: &str| {
        let around = |values: &str| {
            format!("service S {{ rpc Do(M) returns (M); }} message M {{ repeated E e = 1; }} enum E {{ {values} }}")
        };
        told(&around(old), &around(new))
    };
    for (old, new, expected) in [
        ("A = 0;", "A = 0; B = 1;", vec!["value_added p.E.B -"]),
        ("A = 0; B = 1;", "A = 0;", vec!["value_removed p.E.B j"]),
        ("A = 0; B = 1;", "A = 0; B = 2;", vec!["value_renumbered p.E.B w"]),
        ("A = 0; B = 1;", "A = 0; C = 1;", vec!["value_renamed p.E.B j"]),
        ("A = 0; B = 1;", "option allow_alias = true; A = 0; B = 1; C = 1;", vec!["value_added p.E.C -"]),
        (
            "A = 0; B = 1;",
            "option allow_alias = true; A = 0; C = 1; B = 1;",
            vec!["value_renamed p.E.B j", "value_added p.E.C -"],
        ),
        ("A = 0; B = 1; C = 2;", "A = 0; B = 2; C = 1;", vec!["value_renumbered p.E.B w", "value_renumbered p.E.C w"]),
    ] {
        assert_eq!(of_enum(old, new), expected, "{old} to {new}");
    }
}

#[test]
fn routes_are_verbs_and_paths_that_lead_to_methods() {
    let rpc = |name: &str, rule: &str| match rule {
        "" => format!("rpc {name}(M) returns (R);"),
        rule => format!("rpc {name}(M) returns (R) {{ option (google.api.http) = {{ {rule} }}; }}"),
    };
    let around = |rpcs: &[String]| {
        let types = "message M { string a = 1; string b = 2; M m = 3; } message R { M m = 1; M n = 2; }";
        format!("service S {{ {} }} {types}", rpcs.concat())
    };
    let one = |rule: &str| around(&[rpc("Do", rule)]);
    for (old, new, expected) in [
        (
            one("get: \"/v1/x\""),
            one("get: \"/v1/x\" additional_bindings { get: \"/v2/x\" }"),
            vec!["route_added GET /v2/x -"],
        ),
        (one("get: \"/v1/x\""), one("get: \"/v2/x\""), vec!["route_removed GET /v1/x j", "route_added GET /v2/x -"]),
        (one("get: \"/v1/x\""), one("post: \"/v1/x\""), vec!["route_removed GET /v1/x j", "route_added POST /v1/x -"]),
        (one("get: \"/v1/x\""), one("custom { kind: \"*\" path: \"/v1/x\" }"), vec!["route_added * /v1/x -"]),
        (
            one("custom { kind: \"*\" path: \"/v1/x\" }"),
            one("get: \"/v1/x\""),
            vec!["route_removed * /v1/x j", "route_added GET /v1/x -"],
        ),
        // Whoever gets a rule loses the path of its name.
        (one(""), one("get: \"/v1/x\""), vec!["route_removed POST /p.S/Do j", "route_added GET /v1/x -"]),
        (one("get: \"/v1/{a}\""), one("get: \"/v1/{b}\""), vec!["variable_moved GET /v1/{a} j"]),
        (one("get: \"/v1/{a}\""), one("get: \"/v1/{m.a}\""), vec!["variable_moved GET /v1/{a} j"]),
        (one("get: \"/v1/{a}\""), one("get: \"/v1/{a=*}\""), vec![]),
        (one("get: \"/v1/{a=x/*}\""), one("get: \"/v1/x/{a}\""), vec!["variable_moved GET /v1/{a=x/*} j"]),
        (
            one("get: \"/v1/{a}:go\""),
            one("get: \"/v1/{a}\""),
            vec!["route_removed GET /v1/{a}:go j", "route_added GET /v1/{a} -"],
        ),
        (one("post: \"/x\" body: \"*\""), one("post: \"/x\" body: \"m\""), vec!["body_moved POST /x j"]),
        (one("post: \"/x\""), one("post: \"/x\" body: \"*\""), vec!["body_moved POST /x j"]),
        (one("get: \"/x\""), one("get: \"/x\" response_body: \"m\""), vec!["response_body_moved GET /x j"]),
        (
            one("get: \"/x\" response_body: \"n\""),
            one("get: \"/x\" response_body: \"m\""),
            vec!["response_body_moved GET /x j"],
        ),
        // Two methods change places.
        (
            around(&[rpc("A", "get: \"/a\""), rpc("B", "get: \"/b\"")]),
            around(&[rpc("A", "get: \"/b\""), rpc("B", "get: \"/a\"")]),
            vec!["route_moved GET /a j", "route_moved GET /b j"],
        ),
        (
            around(&[rpc("A", "get: \"/a\""), rpc("B", "")]),
            around(&[rpc("A", "get: \"/a\"")]),
            vec!["method_removed p.S/B jw", "route_removed POST /p.S/B j"],
        ),
        (
            around(&[rpc("A", "")]),
            around(&[rpc("A", ""), rpc("B", "")]),
            vec!["method_added p.S/B -", "route_added POST /p.S/B -"],
        ),
    ] {
        assert_eq!(told(&old, &new), expected, "{old} to {new}");
    }
}

#[test]
fn a_field_that_is_renamed_stays_the_same_for_the_paths_that_name_it() {
    let with = |name: &str| {
        format!(
            "service S {{ rpc Do(M) returns (M) {{ option (google.api.http) = {{ put: \"/v1/{{{name}}}\" body: \"{name}2\" response_body: \"{name}2\" }}; }} }}
            message M {{ string {name} = 1; M {name}2 = 2; }}"
        )
    };
    assert_eq!(told(&with("a"), &with("b")), ["field_renamed p.M.a j", "field_renamed p.M.a2 j"]);
}

#[test]
fn a_method_is_its_stream_and_its_types() {
    let method = |text: &str| {
        format!(
            "service S {{ rpc Do{text}; }} message M {{ string a = 1; }} message N {{ string a = 1; }} message O {{ int32 a = 1; }}"
        )
    };
    let base = method("(M) returns (M)");
    for (new, expected) in [
        ("(stream M) returns (M)", vec!["method_streaming p.S/Do jw"]),
        ("(M) returns (stream M)", vec!["method_streaming p.S/Do jw"]),
        // Nobody sees the name of a message that looks the same.
        ("(N) returns (M)", vec!["method_retyped p.S/Do -"]),
        ("(M) returns (O)", vec!["field_retyped p.M.a jw", "method_retyped p.S/Do -"]),
        ("(M) returns (google.protobuf.Timestamp)", vec!["method_retyped p.S/Do jw"]),
    ] {
        assert_eq!(told(&base, &method(new)), expected, "{new}");
    }
}

#[test]
fn only_what_is_reached_counts_and_each_type_once() {
    let text = |field: &str| {
        format!(
            "service S {{ rpc Do(M) returns (M); rpc Again(M) returns (M); }} service Hidden {{ rpc Do(H) returns (H); rpc Open(O) returns (O); }}
            message M {{ M m = 1; repeated Deep d = 2; map<string, Deep> e = 3; }} message Deep {{ {field} M back = 2; }}
            message H {{ {field} }} message O {{ {field} }} message Unused {{ {field} }}"
        )
    };
    let (old, new) = (schema(&text("string f = 1;")), schema(&text("int32 f = 1;")));
    let subjects = |reach: &Reach<'_>| -> Vec<String> {
        compare(&old, &new, reach).into_iter().map(|change| change.subject).collect()
    };
    let serves: &dyn Fn(&str) -> bool = &|name| name == "p.S";
    assert_eq!(subjects(&Reach { serves, calls: &[] }), ["p.Deep.f"]);
    assert_eq!(
        subjects(&Reach { serves, calls: &[("p.Hidden", "Open"), ("p.Hidden", "None")] }),
        ["p.O.f", "p.Deep.f"]
    );
    assert_eq!(subjects(&Reach { serves: &|_| false, calls: &[] }), [""; 0]);
}

#[test]
fn services_come_and_go() {
    let (one, two) = ("service S { rpc Do(M) returns (M); }", "service T { rpc Do(M) returns (M); }");
    let message = "message M {}";
    assert_eq!(
        told(&format!("{one}{message}"), &format!("{two}{message}")),
        ["service_removed p.S jw", "route_removed POST /p.S/Do j", "service_added p.T -", "route_added POST /p.T/Do -"]
    );
}

#[test]
fn a_change_is_told_with_its_place_and_a_sentence() {
    let source = |text: &str| Source::Proto {
        name: "dir/p.proto".into(),
        text: format!("syntax = \"proto3\";\npackage p;\n{text}"),
    };
    let built = |text: &str| Schema::build(&[source(text)], &mut |_| None).unwrap();
    let service = "service S { rpc Do(M) returns (M); }\n";
    let old = built(&format!(
        "{service}message M {{\n  string a = 1;\n  string b = 2;\n  E e = 3;\n}}\nenum E {{ Z = 0; Y = 1; }}"
    ));
    let new = built(&format!(
        "{service}message M {{\n  // Now a number.\n  int64 a = 1;\n  E e = 3;\n}}\nenum E {{ Z = 0; }}"
    ));
    let told: Vec<String> =
        compare(&old, &new, &ALL).iter().map(|change| format!("{}: {change}", change.place)).collect();
    assert_eq!(
        told,
        [
            "dir/p.proto:6:3: p.M.a: retyped from string to int64 (breaks JSON and gRPC callers)",
            "dir/p.proto:4:1: p.M.b: removed (breaks JSON callers)",
            "dir/p.proto:9:1: p.E.Y: removed (breaks JSON callers)",
        ]
    );
}

#[test]
fn there_is_an_end_to_what_is_told() {
    let fields = |kind: &str| (1..=1500).map(|number| format!("{kind} f{number} = {number};")).collect::<String>();
    let text = |kind: &str| format!("service S {{ rpc Do(M) returns (M); }} message M {{ {} }}", fields(kind));
    let changes = compare(&schema(&text("string")), &schema(&text("int32")), &ALL);
    let last = changes.last().unwrap();
    assert_eq!((changes.len(), last.what, last.breaks), (MAX_CHANGES + 1, What::Unfinished, Breaks::BOTH));
    assert_eq!(last.told, "and 500 more");
}

#[test]
fn pairs_have_an_end_too() {
    let mut pairs = Pairs::default();
    for old in 0..300 {
        for new in 0..300 {
            pairs.add(old, new);
        }
    }
    assert!(pairs.overflowed);
    assert_eq!(std::iter::from_fn(|| pairs.next()).count(), MAX_PAIRS);
}

#[test]
fn a_route_that_comes_before_an_old_one_takes_its_requests() {
    let with = |more: &str| {
        format!(
            "service S {{
                rpc Get(M) returns (M) {{ option (google.api.http) = {{ get: \"/v1/{{name}}\" additional_bindings {{ custom {{ kind: \"*\" path: \"/v2/any\" }} }} additional_bindings {{ get: \"/v3/{{name=**}}\" }} additional_bindings {{ get: \"/v4/fixed\" }} }}; }}
                {more}
            }} message M {{ string name = 1; string other = 2; }}"
        )
    };
    let rpc = |rule: &str| format!("rpc New(M) returns (M) {{ option (google.api.http) = {{ {rule} }}; }}");
    for (rule, moved) in [
        ("get: \"/v1/search\"", Some("GET /v1/{name}")),
        ("get: \"/v1/{name}:read\"", Some("GET /v1/{name}")),
        ("get: \"/v3/a/{other}\"", Some("GET /v3/{name=**}")),
        ("get: \"/v2/any\"", Some("* /v2/any")),
        ("custom { kind: \"*\" path: \"/v1/all\" }", Some("GET /v1/{name}")),
        ("post: \"/v1/search\"", None),
        ("get: \"/v1/a/b\"", None),
        ("get: \"/v4/{name}\"", None),
        ("get: \"/v4/fixed:read\"", None),
    ] {
        let lines = told(&with(""), &with(&rpc(rule)));
        let found: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("route_moved ")).collect();
        let expected: Vec<String> = moved.iter().map(|old| format!("{old} j")).collect();
        assert_eq!(found, expected, "{rule}: {lines:?}");
    }
    // The same method, read in the same way, is no other.
    let same = |more: &str| {
        format!(
            "service S {{ rpc Get(M) returns (M) {{ option (google.api.http) = {{ get: \"/v1/{{name=**}}\" {more} }}; }} }} message M {{ string name = 1; }}"
        )
    };
    let lines = told(&same(""), &same("additional_bindings { get: \"/v1/{name=shelves/*}\" }"));
    assert!(!lines.iter().any(|line| line.starts_with("route_moved")), "{lines:?}");
    let lines = told(&same(""), &same("additional_bindings { get: \"/v1/{name=shelves/*}\" response_body: \"name\" }"));
    assert!(lines.contains(&"route_moved GET /v1/{name=**} j".to_owned()), "{lines:?}");
}

#[test]
fn a_method_that_may_no_longer_be_got_breaks_connect_callers() {
    let with = |level: &str| {
        format!("service S {{ rpc Do(M) returns (M) {{ option idempotency_level = {level}; }} }} message M {{}}")
    };
    let expected = ["method_side_effects p.S/Do j"];
    assert_eq!(told(&with("NO_SIDE_EFFECTS"), &with("IDEMPOTENT")), expected);
    assert_eq!(told(&with("IDEMPOTENT"), &with("NO_SIDE_EFFECTS")), [""; 0]);
}

#[test]
fn whoever_requires_a_field_breaks_with_it() {
    let with = |fields: &str| {
        let text =
            format!("syntax = \"proto2\"; package p; service S {{ rpc Do(M) returns (M); }} message M {{ {fields} }}");
        Schema::build(&[Source::Proto { name: "p.proto".into(), text }], &mut |_| None).unwrap()
    };
    for (old, new, expected) in [
        ("optional int32 a = 1;", "required int32 a = 1;", vec![("field_required", Breaks::BOTH)]),
        ("required int32 a = 1;", "optional int32 a = 1;", vec![("field_required", Breaks::WIRE)]),
        ("", "required int32 a = 1;", vec![("field_added", Breaks::BOTH)]),
        ("required int32 a = 1;", "", vec![("field_removed", Breaks::BOTH)]),
        ("required int32 a = 1;", "required int32 a = 1;", vec![]),
        ("", "optional int32 a = 1;", vec![("field_added", Breaks::NOBODY)]),
    ] {
        let changes = compare(&with(old), &with(new), &ALL);
        let found: Vec<_> = changes.iter().map(|change| (change.what.name(), change.breaks)).collect();
        assert_eq!(found, expected, "{old} to {new}");
    }
}
