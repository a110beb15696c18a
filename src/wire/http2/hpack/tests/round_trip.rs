//! What one end writes, the other reads, and both tables stay in step whatever the sizes.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    MaxTable(u32),
    Block(Vec<Field>),
}

fn value() -> impl Strategy<Value = HeaderValue> {
    prop_oneof![
        8 => (0..6_u8).prop_map(|nth| format!("value {nth}")),
        1 => (0..200_usize).prop_map(|len| "v".repeat(len)),
        1 => (1000..1100_usize).prop_map(|len| "v".repeat(len)),
        2 => any::<u32>().prop_map(|unique| unique.to_string()),
    ]
    .prop_map(|text| HeaderValue::from_str(&text).unwrap())
}

fn field() -> impl Strategy<Value = Field> {
    const NAMES: &[&str] = &[
        "content-type",
        "cookie",
        "authorization",
        "te",
        "grpc-timeout",
        "x-1",
        "x-2",
        "x-3",
        "a-name-that-is-much-longer",
    ];
    prop_oneof![
        1 => prop::sample::select(&["GET", "POST", "PUT", "DELETE"][..])
            .prop_map(|text| Field::Method(text.parse().unwrap())),
        1 => prop::sample::select(&["http", "https", "ws"][..]).prop_map(|text| Field::Scheme(text.parse().unwrap())),
        1 => prop::sample::select(&["", "a.example", "%2Frun%2Fx"][..])
            .prop_map(|text| Field::Authority(HeaderValue::from_static(text))),
        1 => (0..8_u8).prop_map(|nth| Field::Path(format!("/path/{nth}").parse().unwrap())),
        1 => Just(Field::Path("/".parse().unwrap())),
        1 => (100..1000_u16).prop_map(|code| Field::Status(code.try_into().unwrap())),
        10 => (prop::sample::select(NAMES), value(), prop::bool::weighted(0.05)).prop_map(|(name, mut value, secret)| {
            value.set_sensitive(secret);
            Field::Header(HeaderName::from_static(name), value)
        }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => prop::sample::select(&[0_u32, 31, 40, 64, 100, 200, 300, 1000, 4096, 10_000][..]).prop_map(Step::MaxTable),
        6 => prop::collection::vec(field(), 0..12).prop_map(Step::Block),
    ]
}

fn go(steps: &[Step]) -> Result<(), TestCaseError> {
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(10_000));
    for step in steps {
        match step {
            Step::MaxTable(peer) => encoder.set_max_table(*peer),
            Step::Block(fields) => {
                let block = encode(&mut encoder, fields);
                let decoded = decode(&mut decoder, &block);
                prop_assert_eq!(decoded.as_ref(), Ok(fields));
                prop_assert_eq!(encoder.table().limit(), decoder.table().limit());
                prop_assert!(encoder.table().size() <= encoder.table().limit());
                let sizes: Vec<usize> = decoder.table().fields().map(Field::size).collect();
                prop_assert_eq!(encoder.table().sizes().collect::<Vec<_>>(), sizes);
                let secrets = |fields: &[Field]| -> Vec<bool> {
                    let secret = |field: &Field| matches!(field, Field::Header(_, value) if value.is_sensitive());
                    fields.iter().map(secret).collect()
                };
                for (sent, got) in secrets(fields).iter().zip(secrets(&decoded.unwrap())) {
                    prop_assert!(!sent || got, "what is sensitive stays so");
                }
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read(steps in prop::collection::vec(step(), 1..25)) {
        go(&steps)?;
    }
}

#[test]
fn numbers_go_round_without_harm() {
    // More insertions than the numbers of entries count to.
    let mut encoder = Encoder::new();
    let mut decoder = Decoder::new(4096);
    for round in 0..1320_u32 {
        let fields: Vec<Field> = (0..50).map(|nth| header("x-1", &(round * 50 + nth).to_string())).collect();
        for _ in 0..3 {
            let block = encode(&mut encoder, &fields);
            assert_eq!(decode(&mut decoder, &block).unwrap(), fields);
        }
        assert_eq!(encoder.table().size(), decoder.table().size());
    }
    assert!(encoder.table().size() > 3000);
}
