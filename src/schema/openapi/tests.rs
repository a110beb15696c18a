//! What the document says of each kind of rule and type. That the whole is valid OpenAPI is a public validator's to say.

use super::super::{Schema, Source, Template};
use super::*;
use crate::schema::{Place, RouteRule};

const TEXT: &str = r#"syntax = "proto3";
package lib.v1;

import "google/api/annotations.proto";
import "google/api/httpbody.proto";
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/empty.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";

// Books, and who has them.
service Library {
  // Finds a book.
  //
  // By its shelf.
  rpc GetBook(GetBookRequest) returns (Book) {
    option (google.api.http) = {
      get: "/v1/{name=shelves/*/books/*}"
      additional_bindings { get: "/v1/books/{edition}:latest" response_body: "title" }
      additional_bindings { custom { kind: "*" path: "/v1/any/{name}" } body: "*" }
      additional_bindings { custom { kind: "REPORT" path: "/v1/reports/**" } }
      additional_bindings { get: "/v1/files/{name=files/**}" }
    };
  }
  rpc PutBook(PutBookRequest) returns (google.protobuf.Empty) {
    option (google.api.http) = { put: "/v1/books/{book.title}" body: "book" };
  }
  rpc Watch(GetBookRequest) returns (stream Book) { option (google.api.http) = { get: "/v1/watch" }; }
  rpc Upload(stream google.api.HttpBody) returns (Book) { option (google.api.http) = { post: "/v1/upload" body: "*" }; }
  rpc Send(stream Book) returns (stream google.api.HttpBody);
}

// What is looked for.
message GetBookRequest {
  string name = 1;
  // Which one.
  int32 edition = 2;
  repeated Kind kinds = 3;
  Filter filter = 4;
  map<string, string> labels = 5;
  repeated Filter more = 6;
  google.protobuf.Timestamp since = 7;
  google.protobuf.StringValue title_like = 8;
  google.protobuf.Struct odd = 9;
}

message Filter {
  bool deep = 1;
  Filter inner = 2;
}

message PutBookRequest {
  Book book = 1;
  google.protobuf.FieldMask update_mask = 2;
}

message Book {
  string title = 1;
  Book sequel = 2;
  oneof owner {
    // A reader.
    string reader = 3;
    int64 shop_id = 4;
  }
  bytes scan = 5;
  uint32 pages = 6;
  double weight = 7;
  google.protobuf.Duration loan = 8;
  google.protobuf.Int64Value copies = 9;
  map<int32, Kind> kinds = 10;
  google.protobuf.Any extra = 11;
  google.protobuf.NullValue nothing = 12;
  google.protobuf.Value value = 13;
  google.protobuf.ListValue list = 14;
  google.api.HttpBody raw = 15;
  repeated google.protobuf.BoolValue flags = 16;
}

enum Kind {
  KIND_UNSPECIFIED = 0;
  NOVEL = 1; // Made up.
}
"#;

fn entrances(schema: &Schema) -> Vec<Entrance> {
    let methods = schema.services().flat_map(|service| &service.methods);
    let ways = methods.flat_map(|method| method.mappings().iter().map(move |binding| (method, binding)));
    let entrance = |(method, binding): (&Arc<Method>, &Arc<Binding>)| Entrance {
        method: Arc::clone(method),
        binding: Arc::clone(binding),
        condition: String::new(),
    };
    ways.map(entrance).collect()
}

fn document_with(more: impl FnOnce(&Schema) -> Vec<Entrance>) -> Value {
    let source = Source::Proto { name: "lib.proto".into(), text: TEXT.into() };
    let comments = Comments::read(std::slice::from_ref(&source), &mut |_| None).unwrap();
    let schema = Schema::build(&[source], &mut |_| None).unwrap();
    let ways: Vec<Entrance> = entrances(&schema).into_iter().chain(more(&schema)).collect();
    openapi(&Surface { title: "library", ways: &ways, messages: schema.messages(), comments: &comments })
}

fn document() -> Value {
    document_with(|_| Vec::new())
}

fn names(parameters: &Value, place: &str) -> Vec<String> {
    let all = parameters.as_array().unwrap().iter().filter(|one| one["in"] == place);
    all.map(|one| one["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_way_in_is_an_operation_with_an_id_of_its_own() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"], json!({ "title": "library", "version": "v1" }));
    assert_eq!(document["tags"], json!([{ "name": "lib.v1.Library", "description": "Books, and who has them." }]));
    let paths = document["paths"].as_object().unwrap();
    let mut told: Vec<String> = Vec::new();
    let mut ids = BTreeSet::new();
    for (path, item) in paths {
        for (verb, operation) in item.as_object().unwrap() {
            told.push(format!("{verb} {path}"));
            let operation = if verb == OTHER_VERBS { &operation["report"] } else { operation };
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{operation}");
            assert!(operation["responses"]["200"].is_object() && operation["responses"]["default"].is_object());
        }
    }
    told.sort();
    let expected = [
        "delete /v1/any/{name}",
        "get /v1/any/{name}",
        "get /v1/books/{edition}:latest",
        "get /v1/files/files/{files}",
        "get /v1/shelves/{shelves}/books/{books}",
        "get /v1/watch",
        "patch /v1/any/{name}",
        "post /lib.v1.Library/Send",
        "post /v1/any/{name}",
        "post /v1/upload",
        "put /v1/any/{name}",
        "put /v1/books/{book.title}",
        "x-other-methods /v1/reports/{rest}",
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_path_says_what_its_parts_fill() {
    let document = document();
    let get = &document["paths"]["/v1/shelves/{shelves}/books/{books}"]["get"];
    assert_eq!(get["summary"], "Finds a book.");
    assert_eq!(get["description"], "Finds a book.\n\nBy its shelf.");
    let told = "A part of `name`, which is `shelves/*/books/*`: one segment.";
    assert_eq!(
        get["parameters"][0],
        json!({ "name": "shelves", "in": "path", "required": true, "description": told,
                "schema": { "type": "string", "pattern": "^[^/]+$" } })
    );
    let edition = &document["paths"]["/v1/books/{edition}:latest"]["get"]["parameters"][0];
    assert_eq!(edition["schema"], json!({ "type": "integer", "format": "int32" }));
    assert_eq!(edition["description"], "Which one.");
    let rest = &document["paths"]["/v1/files/files/{files}"]["get"]["parameters"][0];
    assert_eq!(rest["schema"], json!({ "type": "string" }));
    assert!(rest["description"].as_str().unwrap().contains("with their slashes"));
}

#[test]
fn the_query_has_what_path_and_body_leave_and_a_text_can_fill() {
    let document = document();
    let parameters = &document["paths"]["/v1/watch"]["get"]["parameters"];
    assert_eq!(names(parameters, "query"), ["name", "edition", "kinds", "filter.deep", "since", "titleLike"]);
    let of = |name: &str| parameters.as_array().unwrap().iter().find(|one| one["name"] == name).unwrap();
    assert_eq!(of("kinds")["schema"]["items"], json!({ "$ref": "#/components/schemas/lib.v1.Kind" }));
    assert_eq!((&of("kinds")["schema"]["type"], &of("kinds")["explode"]), (&"array".into(), &true.into()));
    assert_eq!(of("since")["schema"], json!({ "type": "string", "format": "date-time" }));
    assert_eq!(of("titleLike")["schema"], json!({ "type": "string" }), "no null in a query");

    let put = &document["paths"]["/v1/books/{book.title}"]["put"];
    assert_eq!(names(&put["parameters"], "query"), ["updateMask"], "the body has the rest");
    let any = &document["paths"]["/v1/any/{name}"]["get"];
    assert_eq!(names(&any["parameters"], "query"), [""; 0]);
}

#[test]
fn bodies_are_messages_fields_streams_and_bytes() {
    let document = document();
    let paths = &document["paths"];
    let book = json!({ "$ref": "#/components/schemas/lib.v1.Book" });
    let json_of = |part: &Value| part["content"]["application/json"]["schema"].clone();
    let raw = json!({ "*/*": { "schema": { "contentMediaType": "application/octet-stream" } } });

    let put = &paths["/v1/books/{book.title}"]["put"];
    assert_eq!(json_of(&put["requestBody"]), book);
    assert_eq!(json_of(&put["responses"]["200"]), json!({ "type": "object" }));
    assert_eq!(json_of(&put["responses"]["default"]), json!({ "$ref": "#/components/schemas/google.rpc.Status" }));
    let latest = &paths["/v1/books/{edition}:latest"]["get"];
    assert_eq!(json_of(&latest["responses"]["200"]), json!({ "type": "string" }), "response_body");
    assert!(latest.get("requestBody").is_none());
    assert_eq!(json_of(&paths["/v1/watch"]["get"]["responses"]["200"]), json!({ "type": "array", "items": book }));
    let taken = &paths["/v1/upload"]["post"]["requestBody"]["content"];
    assert_eq!((&taken["*/*"], taken["multipart/form-data"].is_object()), (&raw["*/*"], true));
    let forms = |part: &Value| part["content"].as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    let json_and_forms =
        "application/json application/x-protobuf application/x-www-form-urlencoded multipart/form-data";
    assert_eq!(forms(&put["requestBody"]), json_and_forms);
    let watch = &paths["/v1/watch"]["get"]["responses"]["200"];
    assert_eq!(forms(watch), "application/json application/x-ndjson text/event-stream");
    let send = &paths["/lib.v1.Library/Send"]["post"];
    assert_eq!(json_of(&send["requestBody"]), json!({ "type": "array", "items": book }));
    assert_eq!(send["responses"]["200"]["content"], raw);
}

#[test]
fn types_are_what_protojson_makes_of_them() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    let book = &schemas["lib.v1.Book"];
    let component = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
    for (field, expected) in [
        ("sequel", component("lib.v1.Book")),
        ("scan", json!({ "type": "string", "contentEncoding": "base64" })),
        ("pages", json!({ "type": "integer", "format": "uint32", "minimum": 0, "maximum": 4_294_967_295_u32 })),
        ("loan", json!({ "type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$" })),
        ("copies", json!({ "anyOf": [{ "type": "string", "format": "int64" }, { "type": "null" }] })),
        ("kinds", json!({ "type": "object", "additionalProperties": component("lib.v1.Kind") })),
        ("nothing", json!({ "type": "null" })),
        ("list", json!({ "type": "array", "items": {} })),
        ("raw", component("google.api.HttpBody")),
        ("flags", json!({ "type": "array", "items": { "anyOf": [{ "type": "boolean" }, { "type": "null" }] } })),
        (
            "weight",
            json!({ "anyOf": [{ "type": "number", "format": "double" }, { "enum": ["NaN", "Infinity", "-Infinity"] }] }),
        ),
        ("shopId", json!({ "type": "string", "format": "int64", "description": "Not together with `reader`." })),
        ("reader", json!({ "type": "string", "description": "A reader.\n\nNot together with `shopId`." })),
    ] {
        assert_eq!(book["properties"][field], expected, "{field}");
    }
    assert!(book["properties"]["extra"]["properties"]["@type"].is_object());
    let members = json!([{ "required": ["reader"] }, { "required": ["shopId"] }]);
    assert_eq!(
        book["allOf"],
        json!([{ "oneOf": [members[0], members[1], { "not": { "anyOf": members } }] }]),
        "one of them, or none"
    );
    assert_eq!(
        schemas["lib.v1.Kind"],
        json!({ "type": "string", "enum": ["KIND_UNSPECIFIED", "NOVEL"], "description": "- `NOVEL`: Made up." })
    );
    assert!(schemas.as_object().unwrap().values().all(Value::is_object), "each is written");
    assert!(schemas.get("lib.v1.PutBookRequest").is_none(), "only what a body refers to");
}

#[test]
fn two_ways_with_one_path_are_one_path() {
    let document = document_with(|schema| {
        let method = schema.method("lib.v1.Library", "Watch").unwrap();
        let route = |path: &str, condition: &str| {
            let template = Arc::new(Template::parse_route(path).unwrap());
            let (verb, place) = (Some(http::Method::GET), Place::file("f"));
            let rule = RouteRule { verb, template, body: "", response_body: "", place };
            let binding = Arc::new(Binding::for_route(&rule, method).unwrap());
            Entrance { method: Arc::clone(method), binding, condition: condition.to_owned() }
        };
        vec![
            route("/v1/any/*", "Only with the host `a`."),
            route("/old/*/x", "Only with the host `b`."),
            route("/", ""),
            route("/", "Only with the host `c`."),
            route("/both", "Only with the host `d`."),
            route("/both", ""),
            route("/both", ""),
        ]
    });
    let paths = &document["paths"];
    assert!(paths.get("/v1/any/{any}").is_none(), "the first gave the names");
    let told = paths["/v1/any/{name}"]["get"]["description"].as_str().unwrap();
    assert!(!told.contains("Leads to"), "the rule before it takes every request: {told}");
    assert_eq!(paths["/old/{any}/x"]["get"]["description"], "Only with the host `b`.");
    assert!(paths["/"]["get"].is_object());
    assert_eq!(paths["/"]["get"].get("description"), None, "nothing comes after what takes every request");
    let told = "Only with the host `d`.\n\nOtherwise leads to `lib.v1.Library/Watch`.";
    assert_eq!(paths["/both"]["get"]["description"], told);
}
