use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};

use super::*;

struct One(&'static str);

impl FileResolver for One {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match name {
            "t.proto" => File::from_source(name, self.0),
            _ => Err(protox::Error::file_not_found(name)),
        }
    }
}

fn compile(source: &'static str) -> Messages {
    let mut resolver = ChainFileResolver::new();
    resolver.add(GoogleFileResolver::new());
    resolver.add(One(source));
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).open_file("t.proto").unwrap();
    Messages::build(&compiler.descriptor_pool())
}

fn message<'a>(messages: &'a Messages, name: &str) -> &'a Message {
    messages.get(messages.by_name(name).unwrap())
}

#[test]
fn proto3_presence_packing_maps_and_oneofs() {
    let messages = compile(
        r#"syntax = "proto3"; package t;
        message M {
            int32 plain = 1; optional int32 may = 2; repeated int32 many = 3; repeated string words = 4;
            map<string, M> tree = 5; oneof a { int32 x = 6; M y = 7; } oneof b { string z = 8; }
            repeated int32 loose = 9 [packed = false]; M self = 10;
        }"#,
    );
    let id = messages.by_name("t.M").unwrap();
    let m = messages.get(id);
    let of = |name: &str| m.by_json_name(name).unwrap();
    assert_eq!(of("plain").cardinality, Cardinality::Singular { presence: false });
    assert_eq!(of("may").cardinality, Cardinality::Singular { presence: true });
    assert_eq!(of("may").oneof, None);
    assert_eq!(of("many").cardinality, Cardinality::Repeated { packed: true });
    assert_eq!(of("loose").cardinality, Cardinality::Repeated { packed: false });
    assert_eq!(of("words").cardinality, Cardinality::Repeated { packed: false });
    assert_eq!(of("tree").cardinality, Cardinality::Map { key: FieldKind::String });
    assert_eq!(of("tree").kind, FieldKind::Message(id));
    assert!(of("x").oneof.is_some() && of("x").oneof == of("y").oneof && of("x").oneof != of("z").oneof);
    assert!(of("x").has_presence() && of("self").has_presence());
    assert!(m.fields().iter().zip(0..).all(|(field, place)| field.index == place));
}

#[test]
fn names_are_found_both_ways_and_json_names_win() {
    let messages = compile(
        r#"syntax = "proto2"; package t;
        message M { optional int32 foo_bar = 1; optional int32 odd = 2 [json_name = "b"]; optional int32 b = 3 [json_name = "c"]; }"#,
    );
    let m = message(&messages, "t.M");
    for (name, number) in [("fooBar", 1), ("foo_bar", 1), ("odd", 2), ("b", 2), ("c", 3)] {
        assert_eq!(m.by_json_name(name).unwrap().number, number, "{name}");
    }
    assert!(m.by_json_name("FooBar").is_none());
}

#[test]
fn numbers_are_found_however_sparse() {
    let messages = compile(
        r#"syntax = "proto3"; package t;
        message M { int32 a = 536870911; int32 b = 1; int32 c = 63; int32 d = 64; int32 e = 70000; }"#,
    );
    let m = message(&messages, "t.M");
    for (number, name) in [(1, "b"), (63, "c"), (64, "d"), (70000, "e"), (536_870_911, "a")] {
        assert_eq!(&*m.by_number(number).unwrap().name, name);
    }
    for number in [0, 2, 62, 65, 69_999, 536_870_910, u32::MAX] {
        assert!(m.by_number(number).is_none(), "{number}");
    }
    assert!(m.low_numbers.len() <= 64);
}

#[test]
fn groups_extensions_and_aliases() {
    let messages = compile(
        r#"syntax = "proto2"; package t;
        message M { optional group Box = 1 { optional int32 x = 1; } extensions 100 to 200; }
        extend M { optional string more = 100; repeated int32 most = 101 [packed = true]; }
        enum E { option allow_alias = true; ZERO = 0; NULL = 0; NEG = -1; }"#,
    );
    let m = message(&messages, "t.M");
    assert!(m.by_json_name("box").unwrap().delimited);
    assert_eq!(m.by_json_name("[t.more]").unwrap().number, 100);
    assert_eq!(m.by_number(101).unwrap().cardinality, Cardinality::Repeated { packed: true });
    let e = &messages.enums[0];
    assert_eq!(&*e.full_name, "t.E");
    assert_eq!((e.name(0), e.name(-1), e.name(7)), (Some("ZERO"), Some("NEG"), None));
    assert_eq!((e.number("NULL"), e.number("NEG"), e.number("zero")), (Some(0), Some(-1), None));
}

#[test]
fn well_known_messages_are_known() {
    let messages = compile(
        r#"syntax = "proto3"; package t;
        import "google/protobuf/struct.proto"; import "google/protobuf/wrappers.proto";
        message M { google.protobuf.Value v = 1; google.protobuf.NullValue n = 2; google.protobuf.UInt64Value u = 3; M m = 4; }"#,
    );
    let m = message(&messages, "t.M");
    let kind = |name: &str| m.by_json_name(name).unwrap().kind;
    assert_eq!(messages.well_known(kind("v")), Some(WellKnown::Value));
    assert_eq!(messages.well_known(kind("u")), Some(WellKnown::Uint64Wrapper));
    assert_eq!(messages.well_known(kind("m")), None);
    assert!(messages.is_null_value(kind("n")) && !messages.is_null_value(kind("v")));
}

#[test]
fn an_id_from_another_schema_finds_nothing_and_does_not_panic() {
    let messages = compile(r#"syntax = "proto3"; package t; message M {}"#);
    assert!(messages.get(MessageId(9)).fields().is_empty());
    assert!(messages.enumeration(EnumId(9)).name(0).is_none());
}
