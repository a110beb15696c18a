use std::collections::HashMap;

use bytes::Bytes;
use http::Method as Verb;
use prost::Message as _;
use prost_types::{FileDescriptorProto, FileDescriptorSet};

use super::super::binding::{BodyRule, RouteRule, RulePart};
use super::super::field_path::FieldPath;
use super::super::sources::Source;
use super::*;

const LIBRARY: &str = r#"syntax = "proto3";
package lib.v1;

import "google/api/annotations.proto";
import "google/api/httpbody.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
import "shared/book.proto";

service Library {
  rpc GetBook(GetBookRequest) returns (shared.Book) {
    option (google.api.http) = {
      get: "/v1/{name=shelves/*/books/*}"
      additional_bindings { post: "/v1/books:get" body: "*" response_body: "title" }
      additional_bindings { custom { kind: "*" path: "/v1/any/{book.id}" } body: "book" }
      additional_bindings { custom { kind: "REPORT" path: "/v1/{at}/{count}" } }
    };
  }
  rpc PutBook(GetBookRequest) returns (shared.Book) {
    option (google.api.http).put = "/v1/{name=**}";
    option (google.api.http).body = "book";
  }
  rpc Plain(GetBookRequest) returns (shared.Book);
  rpc Watch(stream GetBookRequest) returns (stream google.api.HttpBody) {
    option (google.api.http) = { delete: "/v1/watch" };
  }
}

message GetBookRequest {
  string name = 1;
  shared.Book book = 2;
  google.protobuf.Timestamp at = 3;
  google.protobuf.Int32Value count = 4;
}
"#;

const BOOK: &str = r#"syntax = "proto3";
package shared;
message Book {
  string id = 1;
  string title = 2;
  repeated string tags = 3;
  Book sequel = 4;
  map<string, string> labels = 5;
  string display_name = 6;
}
"#;

fn proto(name: &str, text: &str) -> Source {
    Source::Proto { name: name.into(), text: text.into() }
}

fn build_with(sources: &[Source], imports: &[(&str, &str)]) -> Result<Schema, Vec<SchemaError>> {
    let imports: HashMap<&str, &str> = imports.iter().copied().collect();
    Schema::build(sources, &mut |name| imports.get(name).map(|text| (*text).to_owned()))
}

fn library() -> Schema {
    build_with(&[proto("library.proto", LIBRARY)], &[("shared/book.proto", BOOK)]).unwrap()
}

/// The bindings of a method as texts: what they match, body, response body, captures.
fn told(schema: &Schema, method: &str) -> Vec<String> {
    let method = schema.method("lib.v1.Library", method).unwrap();
    let one = |binding: &Arc<Binding>| {
        let body = match &binding.body {
            BodyRule::None => "-",
            BodyRule::Whole => "*",
            BodyRule::Field(path) => path.text(),
        };
        let response = binding.response_body.as_ref().map_or("-", |path| path.text());
        let captures: Vec<&str> = binding.captures.iter().map(|path| path.text()).collect();
        format!("{} | {body} | {response} | {}", binding.text, captures.join(","))
    };
    method.mappings().iter().map(one).collect()
}

fn check_library(schema: &Schema) {
    assert_eq!(
        told(schema, "GetBook"),
        [
            "GET /v1/{name=shelves/*/books/*} | - | - | name",
            "POST /v1/books:get | * | title | ",
            "* /v1/any/{book.id} | book | - | book.id",
            "REPORT /v1/{at}/{count} | - | - | at,count",
        ]
    );
    assert_eq!(told(schema, "PutBook"), ["PUT /v1/{name=**} | book | - | name"]);
    assert_eq!(told(schema, "Watch"), ["DELETE /v1/watch | - | - | "]);
    assert_eq!(told(schema, "Plain"), ["POST /lib.v1.Library/Plain | * | - | "]);
    assert!(schema.method("lib.v1.Library", "Plain").unwrap().bindings.is_empty());
}

#[test]
fn services_methods_and_their_ways_in() {
    let schema = library();
    check_library(&schema);
    assert_eq!(schema.services().map(|service| &*service.full_name).collect::<Vec<_>>(), ["lib.v1.Library"]);
    let watch = schema.method("lib.v1.Library", "Watch").unwrap();
    assert!(watch.client_streaming && watch.server_streaming);
    assert_eq!(watch.path.as_str(), "/lib.v1.Library/Watch");
    assert_eq!(&*schema.messages().get(watch.input).full_name, "lib.v1.GetBookRequest");
    assert_eq!(&*schema.messages().get(watch.output).full_name, "google.api.HttpBody");
    let get = schema.method("lib.v1.Library", "GetBook").unwrap();
    assert!(!get.client_streaming && !get.server_streaming);
    assert_eq!(get.bindings[2].verb, None);
    assert_eq!(get.bindings[3].verb, Some(Verb::from_bytes(b"REPORT").unwrap()));
    let id = get.bindings[2].captures[0].fields(schema.messages()).map(|(_, field)| field.number).collect::<Vec<_>>();
    assert_eq!(id, [2, 1]);
    assert_eq!(get.place.to_string(), "library.proto:11:3");
    assert_eq!(get.bindings[0].place.to_string(), "library.proto:13:13");
    assert!(schema.method("lib.v1.Library", "Nope").is_none());
    assert!(schema.service("lib.v1").is_none());
}

#[test]
fn a_routes_binding_takes_the_body_where_the_verb_has_one() {
    for (verb, body) in
        [(Verb::POST, "*"), (Verb::PUT, "*"), (Verb::PATCH, "*"), (Verb::GET, ""), (Verb::DELETE, ""), (Verb::HEAD, "")]
    {
        assert_eq!(Binding::default_body(&verb), body, "{verb}");
    }
}

#[test]
fn a_routes_rule_is_held_against_its_method() {
    let schema = build_with(&[proto("library.proto", LIBRARY), proto("shared/book.proto", BOOK)], &[]).unwrap();
    let method = schema.method("lib.v1.Library", "GetBook").unwrap();
    let bind = |path: &str, body, response_body| {
        let template = Arc::new(super::super::template::Template::parse_route(path).unwrap());
        let rule = RouteRule { verb: Some(Verb::PUT), template, body, response_body, place: Place::file("a.yaml") };
        Binding::for_route(&rule, method)
    };
    let binding = bind("/v2/{name=shelves/*}/{book.id}:take", "at", "tags").unwrap();
    assert_eq!(binding.captures.iter().map(FieldPath::text).collect::<Vec<_>>(), ["name", "book.id"]);
    let BodyRule::Field(body) = &binding.body else { panic!("{:?}", binding.body) };
    assert_eq!((body.text(), binding.response_body.as_ref().map(FieldPath::text)), ("at", Some("tags")));
    assert_eq!(
        (&*binding.text, binding.place.to_string()),
        ("PUT /v2/{name=shelves/*}/{book.id}:take", "a.yaml".into())
    );
    assert_eq!(bind("/old/**", "", "").unwrap().body, BodyRule::None);
    assert_eq!(bind("/old/**", "*", "").unwrap().body, BodyRule::Whole);

    type Case<'c> = (&'c str, &'c str, &'c str, &'c [(RulePart, &'c str)]);
    let cases: &[Case<'_>] = &[
        ("/{nme}", "", "", &[(RulePart::Path, "`nme` is no field of lib.v1.GetBookRequest")]),
        ("/{book}", "", "", &[(RulePart::Path, "is a message (shared.Book)")]),
        ("/{book.tags}", "", "", &[(RulePart::Path, "is repeated")]),
        ("/{at}/{at.seconds}", "", "", &[(RulePart::Path, "fill the same field")]),
        ("/{name.x}", "", "", &[(RulePart::Path, "no single message")]),
        ("/x", "boook", "", &[(RulePart::Body, "`boook` is no field of")]),
        ("/x", "book.id", "", &[(RulePart::Body, "within a field")]),
        ("/x", "", "displayName", &[(RulePart::ResponseBody, "the field's name is `display_name`")]),
        ("/{x}", "y", "z", &[(RulePart::Path, "`x`"), (RulePart::Body, "`y`"), (RulePart::ResponseBody, "`z`")]),
    ];
    for (path, body, response_body, expected) in cases {
        let errors = bind(path, body, response_body).unwrap_err();
        let fits = errors.len() == expected.len()
            && errors
                .iter()
                .zip(*expected)
                .all(|(one, (part, told))| one.part == *part && one.error.to_string().contains(told));
        assert!(fits, "{path} {body} {response_body}: {errors:?}");
    }
    let unknown = bind("/{book.displayName}", "", "").unwrap_err().remove(0).error.unknown.unwrap();
    assert_eq!(
        (&*unknown.message, unknown.by_json.as_deref(), unknown.fields.len()),
        ("shared.Book", Some("display_name"), 6)
    );
}

/// The library as a descriptor set, as `protoc --descriptor_set_out` writes it; `keep` chooses the files.
fn library_set(keep: impl Fn(&str) -> bool, source_info: bool) -> Bytes {
    let sources = [proto("library.proto", LIBRARY), proto("shared/book.proto", BOOK)];
    let (pool, _) = sources::compile(&sources, &mut |_| None).unwrap();
    let mut set = Vec::new();
    for file in pool.files().filter(|file| keep(file.name())) {
        let mut encoded = file.encode_to_vec();
        if !source_info && file.file_descriptor_proto().source_code_info.is_some() {
            // Field 9 of FileDescriptorProto; the raw bytes are kept otherwise, for the options in them.
            let positions = FileDescriptorProto {
                source_code_info: file.file_descriptor_proto().source_code_info.clone(),
                ..Default::default()
            };
            let tail = positions.encode_to_vec();
            let at = encoded.windows(tail.len()).position(|window| window == tail).unwrap();
            encoded.drain(at..at + tail.len());
        }
        prost::encoding::encode_key(1, prost::encoding::WireType::LengthDelimited, &mut set);
        prost::encoding::encode_varint(encoded.len() as u64, &mut set);
        set.extend(encoded);
    }
    set.into()
}

#[test]
fn descriptor_sets_mean_the_same_with_and_without_their_imports() {
    let all = library_set(|_| true, true);
    let own = library_set(|name| !name.starts_with("google/"), true);
    let bare = library_set(|name| !name.starts_with("google/api"), false);
    for bytes in [all.clone(), own, bare] {
        check_library(&build_with(&[Source::DescriptorSet { name: "library.binpb".into(), bytes }], &[]).unwrap());
    }
    let alone = Source::DescriptorSet { name: "a".into(), bytes: library_set(|name| name == "library.proto", true) };
    check_library(&build_with(std::slice::from_ref(&alone), &[("shared/book.proto", BOOK)]).unwrap());
    // The same file from two sides is one file.
    let both = [alone, proto("shared/book.proto", BOOK), Source::DescriptorSet { name: "b".into(), bytes: all }];
    check_library(&build_with(&both, &[]).unwrap());
}

#[test]
fn a_set_that_carries_the_option_but_does_not_import_its_definition_works() {
    // As some generators write it: no import of annotations.proto, and the option as a field that nobody defines.
    let sources = [proto("library.proto", LIBRARY), proto("shared/book.proto", BOOK)];
    let (pool, _) = sources::compile(&sources, &mut |_| None).unwrap();
    let library = pool.get_file_by_name("library.proto").unwrap();
    let mut encoded = library.encode_to_vec();
    let import = b"\x1a\x1cgoogle/api/annotations.proto";
    let at = encoded.windows(import.len()).position(|window| window == import).unwrap();
    encoded.drain(at..at + import.len());
    let mut set = FileDescriptorSet { file: vec![] }.encode_to_vec();
    prost::encoding::encode_key(1, prost::encoding::WireType::LengthDelimited, &mut set);
    prost::encoding::encode_varint(encoded.len() as u64, &mut set);
    set.extend(encoded);
    let source = Source::DescriptorSet { name: "a.pb".into(), bytes: set.into() };
    check_library(&build_with(&[source], &[("shared/book.proto", BOOK)]).unwrap());
}

/// A service with this option on its one method, the option on line 6 from column 5.
fn with_option(option: &str) -> String {
    format!(
        "syntax = \"proto3\";\nimport \"google/api/annotations.proto\";\nimport \"shared/book.proto\";\nservice S {{\n  \
         rpc Do(shared.Book) returns (shared.Book) {{\n    option (google.api.http) = {{ {option} }};\n  }}\n}}\n"
    )
}

fn errors(sources: &[Source], imports: &[(&str, &str)]) -> Vec<String> {
    build_with(sources, imports).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn a_bad_rule_is_told_with_its_method_and_place() {
    let cases = [
        ("get: \"v1\"", "a.proto:6:40: method S.Do: `GET v1`: a path must begin with `/`"),
        ("get: \"\"", "a.proto:6:5: method S.Do: `GET `: the path is empty"),
        ("get: \"/v1/{id\"", "a.proto:6:44: method S.Do: `GET /v1/{id`: this `{` is never closed"),
        ("get: '/v1/**/x'", "a.proto:6:46: method S.Do: `GET /v1/**/x`: `**` must be the last segment"),
        ("get: \"/v1/{nope}\"", "a.proto:6:45: method S.Do: `GET /v1/{nope}`: `nope` is no field of shared.Book"),
        (
            "get: \"/{displayName}\"",
            "a.proto:6:42: method S.Do: `GET /{displayName}`: `displayName` is no field of shared.Book; the field's name is `display_name`",
        ),
        ("get: \"/v1/{tags}\"", "a.proto:6:45: method S.Do: `GET /v1/{tags}`: `tags` is repeated"),
        ("get: \"/v1/{labels}\"", "a.proto:6:45: method S.Do: `GET /v1/{labels}`: `labels` is repeated"),
        ("get: \"/v1/{sequel}\"", "`sequel` is a message (shared.Book), which a path cannot fill"),
        ("get: \"/v1/{id.x}\"", "`id.x`: `x` cannot be reached"),
        ("get: \"/v1/{labels.key}\"", "`key` cannot be reached"),
        ("get: \"/v1/{sequel.sequel.nope}\"", "`nope` is no field of shared.Book"),
        ("get: \"/v1/{id}/{id}\"", "`id` is captured twice"),
        (
            "post: \"/v1\" body: \"nope\"",
            "a.proto:6:53: method S.Do: `POST /v1`: body: `nope` is no field of shared.Book",
        ),
        ("post: \"/v1\" body: \"sequel.id\"", "body: `sequel.id` is within a field"),
        ("get: \"/v1\" response_body: \"nope\"", "response_body: `nope` is no field of shared.Book"),
        ("get: \"/v1\" response_body: \"*\"", "response_body: `*` is no field of shared.Book"),
        ("body: \"*\"", "a.proto:6:5: method S.Do: its google.api.http rule has no pattern"),
        ("custom { kind: \"a b\" path: \"/v1\" }", "a.proto:6:50: method S.Do: `a b` is no HTTP method"),
        ("custom { kind: \"\" path: \"/v1\" }", "`` is no HTTP method"),
        (
            "get: \"/v1\" additional_bindings { get: \"/v2\" additional_bindings { get: \"/v3\" } }",
            "method S.Do: additional_bindings cannot hold additional_bindings",
        ),
    ];
    for (option, expected) in cases {
        let told = errors(&[proto("a.proto", &with_option(option))], &[("shared/book.proto", BOOK)]);
        assert_eq!(told.len(), 1, "{option}: {told:?}");
        assert!(told[0].contains(expected), "{option}: {told:?}");
    }
}

#[test]
fn all_bad_rules_are_told_at_once() {
    let text =
        with_option("get: \"a\" additional_bindings { get: \"b\" } additional_bindings { post: \"/c\" body: \"d\" }");
    assert_eq!(errors(&[proto("a.proto", &text)], &[("shared/book.proto", BOOK)]).len(), 3);
}

#[test]
fn a_bad_file_is_told_with_its_place() {
    let cases: &[(&str, &str)] = &[
        ("syntax = \"proto3\";\nmessage A {\n  strin name = 1;\n}\n", "a.proto:3:3: name 'strin' is not defined"),
        (
            "syntax = \"proto3\";\nmessage A {\n  string name = ;\n}\n",
            "a.proto:3:17: expected an integer, but found ';'",
        ),
        ("syntax = \"proto3\";\nmessage A {\n", "a.proto:2:12: expected "),
        ("syntax = \"proto4\";\n", "a.proto:1:10: unknown syntax 'proto4'"),
        ("syntax = \"proto3\";\nmessage A {}\nmessage A {}\n", "a.proto:3:9: name 'A' is defined twice"),
        (
            "syntax = \"proto3\";\nmessage A {\n  string a = 1;\n  string b = 1;\n}\n",
            "a.proto:4:14: field number '1' is already used",
        ),
        ("syntax = \"proto3\";\nimport \"nope.proto\";\n", "a.proto:2:1: import `nope.proto` is not found"),
        (
            "syntax = \"proto3\";\nimport \"b.proto\";\n",
            "b.proto:1:18: files import each other in a circle: a.proto -> b.proto -> a.proto",
        ),
        ("syntax = \"proto3\";\nimport \"bad.proto\";\n", "bad.proto:1:1: expected"),
        ("edition = \"2023\";\n", "a.proto:1:1: this file is written in Protobuf editions"),
        (
            "syntax = \"proto3\";\nmessage A {}\nservice S {\n  rpc Do(A) returns (A) {\n    option (google.api.http).get = \"/\";\n  }\n}\n",
            "a.proto:5:5: name 'google.api.http' is not defined; import \"google/api/annotations.proto\"",
        ),
        (
            "syntax = \"proto3\";\nimport \"google/api/annotations.proto\";\nmessage A {}\nservice S {\n  rpc Do(A) returns (A) {\n    \
             option (google.api.http) = { got: \"/\" };\n  }\n}\n",
            "a.proto:6:",
        ),
    ];
    let imports = [("b.proto", "syntax='proto3'; import \"a.proto\";"), ("bad.proto", "what")];
    for (text, expected) in cases {
        let told = errors(&[proto("a.proto", text)], &imports);
        assert_eq!(told.len(), 1, "{text}: {told:?}");
        assert!(told[0].contains(expected), "{text}: {told:?}");
    }
}

#[test]
fn all_that_is_wrong_with_files_is_told_at_once() {
    let one = "syntax = \"proto3\";\nmessage A {\n  X x = 1;\n  Y y = 2;\n}\n";
    let two = "syntax = \"proto3\";\nimport \"nope.proto\";\n";
    let after = "syntax = \"proto3\";\nimport \"one.proto\";\nmessage B { A a = 1; Z z = 2; }";
    let told = errors(&[proto("one.proto", one), proto("two.proto", two), proto("after.proto", after)], &[]);
    assert_eq!(
        told,
        [
            "two.proto:2:1: import `nope.proto` is not found",
            "one.proto:3:3: name 'X' is not defined",
            "one.proto:4:3: name 'Y' is not defined",
        ]
    );
}

#[test]
fn a_bad_descriptor_set_is_told_by_its_name() {
    let set = |file: FileDescriptorProto| Bytes::from(FileDescriptorSet { file: vec![file] }.encode_to_vec());
    let named = |name: &str| FileDescriptorProto { name: Some(name.into()), ..Default::default() };
    let cases = [
        (Bytes::new(), "x.pb: not a descriptor set: there is no file in it"),
        (Bytes::from_static(b"syntax = \"proto3\";"), "x.pb: not a descriptor set"),
        (Bytes::from_static(b"\x0a\xff\xff\xff\xff\x0fabc"), "x.pb: not a descriptor set: it ends within a file"),
        (Bytes::from_static(b"\x0a\x02\x0a\x05"), "x.pb: not a descriptor set"),
        (
            set(FileDescriptorProto { syntax: Some("editions".into()), ..named("e.proto") }),
            "x.pb: e.proto is written in Protobuf editions",
        ),
        (
            set(FileDescriptorProto { syntax: Some("proto9".into()), ..named("e.proto") }),
            "e.proto has the unknown syntax `proto9`",
        ),
        (
            set(FileDescriptorProto { dependency: vec!["nope.proto".into()], ..named("e.proto") }),
            "e.proto: import `nope.proto` is not found",
        ),
        (
            set(FileDescriptorProto { dependency: vec!["e.proto".into()], ..named("e.proto") }),
            "in a circle: e.proto -> e.proto",
        ),
    ];
    for (bytes, expected) in cases {
        let told = errors(&[Source::DescriptorSet { name: "x.pb".into(), bytes }], &[]);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains(expected), "{expected}: {told:?}");
    }
}

#[test]
fn two_different_files_of_one_name_are_refused() {
    let one = proto("a.proto", "syntax = \"proto3\"; message A {}");
    let two = proto("a.proto", "syntax = \"proto3\"; message B {}");
    assert!(build_with(&[one.clone(), one.clone()], &[]).is_ok());
    assert_eq!(errors(&[one, two], &[]), ["a.proto: two different files have this name"]);
}

#[test]
fn what_is_known_needs_no_resolver() {
    let names = [
        "google/api/annotations",
        "google/api/http",
        "google/api/httpbody",
        "google/protobuf/any",
        "google/protobuf/struct",
    ];
    let imports: String = names.iter().map(|name| format!("import \"{name}.proto\";\n")).collect();
    let text = format!(
        "syntax = \"proto3\";\n{imports}message A {{ google.api.HttpBody a = 1; google.protobuf.Value b = 2; }}"
    );
    let schema = build_with(&[proto("a.proto", &text)], &[]).unwrap();
    assert!(schema.messages().by_name("google.api.HttpBody").is_some());
}

#[test]
fn columns_count_characters() {
    let cases = [
        ("message M { /* ééééé */ Nope x = 1; }", "a.proto:3:25: name 'Nope' is not defined"),
        ("message M { /* é */ X x = 1; /* é */ Y y = 2; }", "a.proto:3:38: name 'Y' is not defined"),
        ("/* é */ message M {} /* é */ message M {}", "a.proto:3:38: name 'M' is defined twice"),
        ("/* é */ message M { 1 }", "a.proto:3:21: expected"),
        ("/* é */ import \"nope.proto\";", "a.proto:3:9: import `nope.proto` is not found"),
        (
            "message M {} service S { rpc Do(M) returns (M) { /* é */ option (google.api.http) = { get: \"/é/{x\" }; } }",
            "a.proto:3:96: method S.Do: `GET /é/{x`: this `{` is never closed",
        ),
    ];
    for (text, expected) in cases {
        let text = format!("syntax = \"proto3\";\nimport \"google/api/annotations.proto\";\n{text}");
        let told = errors(&[proto("a.proto", &text)], &[]);
        assert!(told.iter().any(|told| told.contains(expected)), "{text}: {told:?}");
    }
    let text = "syntax = \"proto3\";\nmessage M {}\n/* é */ service S { /* é */ rpc Do(M) returns (M); }";
    let schema = build_with(&[proto("a.proto", text)], &[]).unwrap();
    assert_eq!(schema.service("S").unwrap().place.to_string(), "a.proto:3:9");
    assert_eq!(schema.method("S", "Do").unwrap().place.to_string(), "a.proto:3:29");
}

/// A rule with so many `additional_bindings` within each other.
fn nested(depth: usize) -> String {
    format!("get: \"/x\" {}{}", "additional_bindings { ".repeat(depth), "} ".repeat(depth))
}

#[test]
fn an_option_that_is_nested_too_deep_is_refused_before_it_is_read() {
    let text = with_option(&nested(3000));
    let told = errors(&[proto("a.proto", &text)], &[("shared/book.proto", BOOK)]);
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with("a.proto:6:5: this option's value is nested too deep"), "{told:?}");
    // One that is not too deep for its reader has the mistakes that it has.
    let told = errors(&[proto("a.proto", &with_option(&nested(90)))], &[("shared/book.proto", BOOK)]);
    assert!(told[0].contains("additional_bindings cannot hold additional_bindings"), "{told:?}");
}

#[test]
fn a_set_with_an_option_that_is_nested_too_deep_is_refused_before_it_is_read() {
    let file = |option: &str| {
        let parsed = protox::file::File::from_source("a.proto", &with_option(option)).unwrap();
        let descriptor = FileDescriptorProto::from(parsed);
        let bytes = FileDescriptorSet { file: vec![descriptor] }.encode_to_vec().into();
        Source::DescriptorSet { name: "a.pb".into(), bytes }
    };
    let told = errors(&[file(&nested(3000))], &[("shared/book.proto", BOOK)]);
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with("a.pb: a.proto: this option's value is nested too deep"), "{told:?}");
    assert!(build_with(&[file("get: \"/x\"")], &[("shared/book.proto", BOOK)]).is_ok());
}

#[test]
fn places_are_right_in_a_long_file() {
    let mut text =
        String::from("syntax = \"proto3\";\nimport \"google/api/annotations.proto\";\nmessage M {}\nservice S {\n");
    let methods = 5000;
    for number in 0..methods {
        text += &format!(
            "  rpc Do{number}(M) returns (M) {{\n    option (google.api.http) = {{ get: \"/v1/{number}\" additional_bindings {{ get: \"/v2/{number}\" }} }};\n  }}\n"
        );
    }
    text += "}\n";
    let schema = build_with(&[proto("a.proto", &text)], &[]).unwrap();
    for (number, method) in schema.service("S").unwrap().methods.iter().enumerate() {
        let line = 5 + 3 * number;
        assert_eq!(method.place.to_string(), format!("a.proto:{line}:3"));
        assert_eq!(method.bindings[0].place.to_string(), format!("a.proto:{}:40", line + 1));
        let column = 40 + format!("/v1/{number}\" additional_bindings {{ get: \"").len();
        assert_eq!(method.bindings[1].place.to_string(), format!("a.proto:{}:{column}", line + 1));
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_and_no_text_panic(noise in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40), at in 0..2000_usize) {
        let _ = build_with(&[Source::DescriptorSet { name: "x".into(), bytes: noise.clone().into() }], &[]);
        let mut set = library_set(|name| !name.starts_with("google/"), false).to_vec();
        let at = at % set.len();
        for (to, from) in set.iter_mut().skip(at).zip(&noise) {
            *to = *from;
        }
        let _ = build_with(&[Source::DescriptorSet { name: "x".into(), bytes: set.into() }], &[]);
        let _ = build_with(&[proto("x.proto", &String::from_utf8_lossy(&noise))], &[]);
        let _ = build_with(&[proto("x.proto", &with_option(&String::from_utf8_lossy(&noise)))], &[("shared/book.proto", BOOK)]);
    }
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_text() {
    let text = "\u{feff}syntax = \"proto3\"; package p; message M {}\nservice S { rpc Do(M) returns (M); }";
    let schema = build_with(&[Source::Proto { name: "p.proto".into(), text: text.into() }], &[]).unwrap();
    assert_eq!(schema.service("p.S").unwrap().place.to_string(), "p.proto:2:1");
}
