//! Fields that come again outside of the table: read once, and read right.

use std::collections::HashMap;

use proptest::prelude::*;

use super::super::repeated::Repeated;
use super::*;

/// Where the text of the one field of `block` lies.
fn text_of(decoder: &mut Decoder, block: &[u8]) -> *const u8 {
    match &decode(decoder, block).unwrap()[..] {
        [Field::Header(_, value) | Field::Authority(value)] => value.as_bytes().as_ptr(),
        [Field::Path(path)] => path.as_str().as_ptr(),
        fields => panic!("{fields:?}"),
    }
}

#[test]
fn what_came_twice_is_read_no_more() {
    let path = [&[0x04][..], &literal(0, b"", b"/bench.v1.EchoService/Echo")[2..]].concat();
    let coded = huffman_literal(0x00, b"x-name", b"a value");
    for block in [path, coded, literal(0x00, b"x-name", b"a value"), literal(0x00, b":authority", b"a.example")] {
        let mut decoder = Decoder::new(4096);
        let held: Vec<_> =
            (0..5).map(|_| (decode(&mut decoder, &block).unwrap(), text_of(&mut decoder, &block))).collect();
        assert!(held.windows(2).all(|two| two[0].0 == two[1].0 && two[0].1 == two[1].1));
        assert!(!decoder.is_bare());
        assert_eq!(decoder.table().size(), 0, "it stands in no table");
    }
}

#[test]
fn what_comes_once_or_is_large_or_secret_is_not_kept() {
    let mut decoder = Decoder::new(4096);
    for nth in 0..1000 {
        decode(&mut decoder, &literal(0x00, b"grpc-timeout", format!("{nth}m").as_bytes())).unwrap();
    }
    for _ in 0..3 {
        decode(&mut decoder, &literal(0x00, b"x-name", &[b'x'; 200])).unwrap();
        decode(&mut decoder, &literal(0x10, b"password", b"secret")).unwrap();
        decode(&mut decoder, &literal(0x00, b"X", b"malformed")).unwrap();
    }
    assert!(decoder.is_bare());
}

#[test]
fn what_is_kept_outlives_what_is_not_used() {
    let mut decoder = Decoder::new(4096);
    let hot = literal(0x00, b"x-hot", b"a value");
    decode(&mut decoder, &hot).unwrap();
    let text = text_of(&mut decoder, &hot);
    for nth in 0..500 {
        let cold = literal(0x00, b"x-cold", format!("{nth}").as_bytes());
        decode(&mut decoder, &cold).unwrap();
        decode(&mut decoder, &cold).unwrap();
        assert_eq!(text_of(&mut decoder, &hot), text, "after {nth}");
    }
}

#[test]
fn what_only_looks_alike_is_read_for_itself() {
    // Marks are short: among so many fields, two have the same.
    let mut seen = HashMap::new();
    let (one, other) = (0..100_000)
        .find_map(|nth| {
            let block = literal(0x00, b"x-name", nth.to_string().as_bytes());
            seen.insert(Repeated::mark(&block), block.clone()).map(|before| (before, block))
        })
        .unwrap();
    let mut decoder = Decoder::new(4096);
    for _ in 0..3 {
        for block in [&one, &one, &one, &other, &other, &other] {
            assert_eq!(decode(&mut decoder, block), decode(&mut Decoder::new(4096), block));
        }
    }
}

#[test]
fn what_refers_to_the_table_means_what_stands_there_now() {
    let mut decoder = Decoder::new(4096);
    for name in ["a", "b", "c"] {
        decode(&mut decoder, &literal(0x40, name.as_bytes(), b"")).unwrap();
        for _ in 0..4 {
            // By the name at 62.
            assert_eq!(all_shown(&decode(&mut decoder, b"\x0f\x2f\x01v").unwrap()), [format!("{name}: v")]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_comes_again_is_what_came(
        fields in prop::collection::vec((0..3_usize, 0..12_u8, prop::bool::ANY), 1..120),
    ) {
        let mut decoder = Decoder::new(4096);
        for (name, value, is_huffman) in fields {
            let (name, value) = ([&b"x-1"[..], b"x-22", b"Malformed"][name], format!("value {value}"));
            let block = if is_huffman { huffman_literal(0, name, value.as_bytes()) } else { literal(0, name, value.as_bytes()) };
            prop_assert_eq!(decode(&mut decoder, &block), decode(&mut Decoder::new(4096), &block));
        }
    }
}
