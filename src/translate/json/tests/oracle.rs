//! Agreement with an independent implementation: on what is taken, and on what it means.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::schema::{Cardinality, FieldKind};
use crate::translate::json::wire::{Records, Span, WireType, put_tag, put_varint, wire_type};

/// Every kind of JSON value, and the texts at the edges of every type.
const VALUES: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "-0",
    "1",
    "-1",
    "5",
    "127",
    "128",
    "255",
    "256",
    "1.0",
    "1.5",
    "-1.5",
    "1e3",
    "1E3",
    "1e-3",
    "100e-2",
    "2147483647",
    "2147483648",
    "-2147483648",
    "-2147483649",
    "4294967295",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "1e30",
    "-1e30",
    "3.4028235e38",
    "3.5e38",
    "1e300",
    "0.1",
    "1e-320",
    "-0.0",
    "\"\"",
    "\"0\"",
    "\"1\"",
    "\"-1\"",
    "\"abc\"",
    "\"1.25\"",
    "\"true\"",
    "\"NaN\"",
    "\"Infinity\"",
    "\"-Infinity\"",
    "\"2147483648\"",
    "\"4294967295\"",
    "\"-9223372036854775808\"",
    "\"9223372036854775807\"",
    "\"18446744073709551615\"",
    "\"RED\"",
    "\"CRIMSON\"",
    "\"NEGATIVE\"",
    "\"red\"",
    "\"NULL_VALUE\"",
    "\"YQ==\"",
    "\"YQ\"",
    "\"YWI=\"",
    "\"YWI\"",
    "\"_-8=\"",
    "\"/+8\"",
    "\"Y\"",
    "\"YR==\"",
    "\"é😀\"",
    "\"\\u0041\\n\\ud83d\\ude00\"",
    "\"1970-01-01T00:00:00Z\"",
    "\"2024-02-29T12:34:56.789+05:30\"",
    "\"0001-01-01T00:00:00Z\"",
    "\"9999-12-31T23:59:59.999999999Z\"",
    "\"2023-02-29T00:00:00Z\"",
    "\"1970-01-01t00:00:00Z\"",
    "\"0s\"",
    "\"1s\"",
    "\"-1.5s\"",
    "\"1.000000001s\"",
    "\"315576000000s\"",
    "\"315576000001s\"",
    "\"1\\u0073\"",
    "\"1.5\"",
    "\"a.fooBar,b\"",
    "\"foo_bar\"",
    "[]",
    "[1]",
    "[1,2,3]",
    "[\"1\"]",
    "[true,false]",
    "[null]",
    "[\"RED\",1]",
    "[{}]",
    "[[]]",
    "[1.5,\"NaN\"]",
    "[\"YQ==\",\"a\"]",
    "[\"1970-01-01T00:00:00Z\"]",
    "{}",
    "{\"int32\":1}",
    "{\"a\":1}",
    "{\"a\":\"b\"}",
    "{\"1\":{}}",
    "{\"1\":1,\"2\":2}",
    "{\"true\":\"1\"}",
    "{\"-1\":true}",
    "{\"1\":\"YQ\"}",
    "{\"1\":\"RED\"}",
    "{\"1\":null}",
    "{\"a\":null}",
    "{\"1\":\"1970-01-01T00:00:00Z\"}",
    "{\"a\":[1,{\"b\":null}]}",
    "{\"nested\":{\"string\":\"x\"}}",
    "{\"oneInt32\":1,\"oneString\":\"x\"}",
    "{\"@type\":\"x/t.Rich\",\"int32\":1}",
    "{\"int32\":1,\"@type\":\"x/t.Rich\"}",
    "{\"@type\":\"x/google.protobuf.Duration\",\"value\":\"1s\"}",
    "{\"value\":\"1s\",\"@type\":\"x/google.protobuf.Duration\"}",
    "{\"@type\":\"x/t.None\"}",
    "{\"@type\":\"t.Rich\"}",
    "{\"seconds\":1}",
    "{\"value\":1}",
];

/// Where the other implementation is knowingly different; see the head of `tests.rs`.
fn differs(field: &Field, value: &str) -> bool {
    let is_number = value.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    let plain_number = value == "0" || (is_number && !value.starts_with("-0") && !value.contains(['.', 'e', 'E']));
    match field.kind {
        // It takes an enum's number only without point, exponent and minus zero, and no number for null at all.
        FieldKind::Enum(id) if MESSAGES.enumeration(id).is_null_value => is_number,
        FieldKind::Enum(_) => is_number && !plain_number,
        _ => match &*field.name {
            // The shortest text of the largest float, which rounds to it.
            "float" | "float_value" => value == "3.4028235e38",
            "any" => value == "{}",
            "many_any" => value == "[{}]",
            _ => false,
        },
    }
}

/// For `null` it makes a single value of what is a list, and falls over it.
fn panics_in_the_oracle(field: &Field, value: &str) -> bool {
    matches!(&*field.name, "many_value" | "many_null") && value == "null"
}

#[test]
fn every_field_takes_and_refuses_the_same_values() {
    let mut failures = Vec::new();
    let mut taken = 0;
    for field in MESSAGES.get(id("t.Rich")).fields() {
        for value in VALUES {
            if panics_in_the_oracle(field, value) {
                continue;
            }
            let json = format!("{{{:?}:{value}}}", field.json_name);
            let agreed = match read(&json) {
                Ok(wire) => {
                    taken += 1;
                    means(&json, &wire, "t.Rich")
                }
                Err(_) => oracle_read("t.Rich", &json).is_none(),
            };
            if !agreed && !differs(field, value) {
                failures.push(format!(
                    "{json}: ours {:?}, theirs taken: {}",
                    read(&json),
                    oracle_read("t.Rich", &json).is_some()
                ));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(taken > 500, "{taken}");
}

/// Numbers as doubles, so that 1 and 1.0 are equal, and not to the last digit: the other writes a float as a double, and the
/// JSON parser of this test may lose a bit.
fn same(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Number(ours), Value::Number(theirs)) => {
            let (ours, theirs) = (ours.as_f64().unwrap(), theirs.as_f64().unwrap());
            (ours - theirs).abs() <= theirs.abs() * 1e-6 || (ours - theirs).abs() < 1e-44
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| same(ours, theirs))
        }
        (Value::Object(ours), Value::Object(theirs)) => {
            let in_both = |(key, ours): (&String, &Value)| theirs.get(key).is_some_and(|theirs| same(ours, theirs));
            ours.len() == theirs.len() && ours.iter().all(in_both)
        }
        _ => ours == theirs,
    }
}

/// Random wire bytes that follow the schema: any field, any order, any number of times.
fn wire_of(message: MessageId, depth: u32) -> BoxedStrategy<Vec<u8>> {
    let fields: Vec<&'static Field> =
        MESSAGES.get(message).fields().iter().filter(|field| depth > 0 || !is_message(field)).collect();
    if fields.is_empty() {
        return Just(Vec::new()).boxed();
    }
    let record = proptest::sample::select(fields).prop_flat_map(move |field| record_of(field, depth));
    let unknown = (2000_u32..2010, any::<u64>()).prop_map(|(number, value)| {
        let mut out = Vec::new();
        put_tag(number, WireType::Varint, &mut out);
        put_varint(value, &mut out);
        out
    });
    proptest::collection::vec(prop_oneof![9 => record, 1 => unknown], 0..6).prop_map(|records| records.concat()).boxed()
}

/// The same records, in the order of their numbers.
fn in_order(wire: &[u8]) -> Vec<u8> {
    let mut records = Records::new(wire, Span::new(0, wire.len()));
    let mut found = Vec::new();
    while let Some(record) = records.next().unwrap() {
        found.push((record.number, &wire[record.start as usize..records.offset()]));
    }
    found.sort_by_key(|(number, _)| *number);
    found.iter().flat_map(|(_, record)| record.iter().copied()).collect()
}

fn is_message(field: &Field) -> bool {
    matches!(field.kind, FieldKind::Message(_)) || matches!(field.cardinality, Cardinality::Map { .. })
}

fn record_of(field: &'static Field, depth: u32) -> BoxedStrategy<Vec<u8>> {
    let number = field.number;
    let payload = match field.cardinality {
        Cardinality::Map { key } => {
            let (keys, values) = (element_of(key, 1, depth), element_of(field.kind, 2, depth));
            (keys, values).prop_map(|(key, value)| [key, value].concat()).boxed()
        }
        Cardinality::Repeated { .. } if wire_type(field.kind) != WireType::Len => {
            let packed =
                proptest::collection::vec(bare_element(field.kind, depth), 0..4).prop_map(|values| values.concat());
            return prop_oneof![
                packed.prop_map(move |bytes| with_length(number, &bytes)),
                element_of(field.kind, number, depth)
            ]
            .boxed();
        }
        _ => return element_of(field.kind, number, depth),
    };
    payload.prop_map(move |bytes| with_length(number, &bytes)).boxed()
}

fn with_length(number: u32, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_tag(number, WireType::Len, &mut out);
    put_varint(bytes.len() as u64, &mut out);
    out.extend_from_slice(bytes);
    out
}

fn element_of(kind: FieldKind, number: u32, depth: u32) -> BoxedStrategy<Vec<u8>> {
    let element = bare_element(kind, depth);
    if wire_type(kind) == WireType::Len {
        return element.prop_map(move |bytes| with_length(number, &bytes)).boxed();
    }
    element
        .prop_map(move |bytes| {
            let mut out = Vec::new();
            put_tag(number, wire_type(kind), &mut out);
            out.extend_from_slice(&bytes);
            out
        })
        .boxed()
}

fn bare_element(kind: FieldKind, depth: u32) -> BoxedStrategy<Vec<u8>> {
    let varint = |value: u64| {
        let mut out = Vec::new();
        put_varint(value, &mut out);
        out
    };
    match kind {
        FieldKind::Message(id) if depth == 0 => {
            let _ = id;
            Just(Vec::new()).boxed()
        }
        FieldKind::Message(id) => wire_of(id, depth - 1),
        FieldKind::String => "[a-c\"\\\\\u{0}é]{0,12}".prop_map(String::into_bytes).boxed(),
        FieldKind::Bytes => proptest::collection::vec(any::<u8>(), 0..6).boxed(),
        FieldKind::Bool => (0_u64..2).prop_map(varint).boxed(),
        FieldKind::Enum(id) if MESSAGES.enumeration(id).is_null_value => Just(vec![0]).boxed(),
        FieldKind::Enum(_) => prop_oneof![0_u64..4, Just(-3_i64 as u64)].prop_map(varint).boxed(),
        FieldKind::Double => {
            any::<f64>().prop_map(|value| if value == 0.0 { 0.0 } else { value }.to_le_bytes().to_vec()).boxed()
        }
        FieldKind::Float => {
            any::<f32>().prop_map(|value| if value == 0.0 { 0.0 } else { value }.to_le_bytes().to_vec()).boxed()
        }
        FieldKind::Fixed64 | FieldKind::Sfixed64 => any::<u64>().prop_map(|value| value.to_le_bytes().to_vec()).boxed(),
        FieldKind::Fixed32 | FieldKind::Sfixed32 => any::<u32>().prop_map(|value| value.to_le_bytes().to_vec()).boxed(),
        FieldKind::Int32 => any::<i32>().prop_map(move |value| varint(i64::from(value) as u64)).boxed(),
        FieldKind::Uint32 | FieldKind::Sint32 => any::<u32>().prop_map(move |value| varint(u64::from(value))).boxed(),
        FieldKind::Int64 | FieldKind::Uint64 | FieldKind::Sint64 => {
            prop_oneof![0_u64..3, any::<u64>()].prop_map(varint).boxed()
        }
    }
}

/// Names and values that both take.
static TAKEN: LazyLock<Vec<(&str, &str)>> = LazyLock::new(|| {
    let fields = MESSAGES.get(id("t.Rich")).fields().iter();
    let pairs = fields.flat_map(|field| VALUES.iter().map(move |value| (field, *value)));
    pairs
        .filter(|(field, value)| {
            !differs(field, value)
                && !panics_in_the_oracle(field, value)
                && read(&format!("{{{:?}:{value}}}", field.json_name)).is_ok()
        })
        .map(|(field, value)| (&*field.json_name, value))
        .collect()
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn wire_means_the_same(wire in wire_of(id("t.Rich"), 3)) {
        let message = oracle_decode("t.Rich", &wire).expect("made by the schema");
        let ours = write(&wire);
        match oracle_write(&message) {
            Some(theirs) => {
                // It takes durations whose halves disagree about the sign, and normalises what it prints.
                if let Err(error) = &ours {
                    prop_assert!(error.message().contains("out of range") || error.message().contains("camelCase"), "{}", error);
                    return Ok(());
                }
                let ours: Value = serde_json::from_str(ours.as_ref().unwrap()).unwrap();
                prop_assert!(same(&ours, &theirs), "{} {}", ours, theirs);
            }
            None => prop_assert!(ours.is_err() || ours.as_ref().unwrap().contains("\"any\":{}") || ours.as_ref().unwrap().contains("manyAny\":[{}"), "{:?}", ours),
        }
    }

    #[test]
    fn floats_come_back_bit_by_bit(double in any::<f64>(), float in any::<f32>()) {
        let mut wire = Vec::new();
        put_tag(1, WireType::Fixed64, &mut wire);
        wire.extend_from_slice(&double.to_le_bytes());
        put_tag(2, WireType::Fixed32, &mut wire);
        wire.extend_from_slice(&float.to_le_bytes());
        let message = oracle_decode("t.Rich", &read(&write(&wire).unwrap()).unwrap()).unwrap();
        let (back_double, back_float) = (message.get_field_by_name("double").unwrap(), message.get_field_by_name("float").unwrap());
        prop_assert!(double.is_nan() || back_double.as_f64().unwrap().to_bits() == double.to_bits());
        prop_assert!(float.is_nan() || back_float.as_f32().unwrap().to_bits() == float.to_bits());
    }

    #[test]
    fn what_was_written_reads_back_as_the_same_text(wire in wire_of(id("t.Rich"), 3)) {
        let Ok(text) = write(&wire) else { return Ok(()) };
        let again = read(&text).unwrap();
        prop_assert_eq!(write(&again).unwrap(), text);
    }

    // A list of nothing changes nothing; but where it is out of order, all is looked over before it is written.
    #[test]
    fn in_order_or_not_the_text_is_the_same(wire in wire_of(id("t.Rich"), 2)) {
        let wire = in_order(&wire);
        let disordered = [&*wire, &*with_length(field("manyInt32").number, &[])].concat();
        prop_assert_eq!(write(&wire), write(&disordered));
    }

    #[test]
    fn several_members_at_once_mean_the_same(members in proptest::collection::vec(proptest::sample::select(&TAKEN[..]), 0..8)) {
        let mut names = std::collections::BTreeSet::new();
        let members: Vec<String> =
            members.iter().filter(|(name, _)| names.insert(*name)).map(|(name, value)| format!("{name:?}:{value}")).collect();
        let json = format!("{{{}}}", members.join(", "));
        match read(&json) {
            Ok(wire) => prop_assert!(means(&json, &wire, "t.Rich"), "{}", json),
            Err(_) => prop_assert!(oracle_read("t.Rich", &json).is_none(), "{}", json),
        }
    }
}
