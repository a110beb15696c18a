//! The parts by themselves: integers, Huffman code, the static table.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::super::hash::{hash, is_same};
use super::super::{huffman, integer, static_table};
use super::*;

#[test]
fn integers_are_those_of_the_rfc() {
    // RFC 7541 §C.1, and the edges.
    let cases: &[(usize, u32, &str)] = &[
        (10, 5, "0a"),
        (1337, 5, "1f9a0a"),
        (42, 7, "2a"),
        (0, 4, "00"),
        (14, 4, "0e"),
        (15, 4, "0f00"),
        (126, 7, "7e"),
        (127, 7, "7f00"),
        (127 + 127, 7, "7f7f"),
        (127 + 128, 7, "7f8001"),
        (u32::MAX as usize, 7, "7f80ffffff0f"),
    ];
    for (value, bits, text) in cases {
        let mut out = BytesMut::new();
        integer::write(*value, *bits, 0, &mut out);
        assert_eq!(hex(&out), *text, "{value}");
        out.extend_from_slice(b"rest");
        assert_eq!(integer::read(&out, *bits), Ok((*value, &b"rest"[..])), "{value}");
        for short in 0..unhex(text).len() {
            assert!(integer::read(&out[..short], *bits).is_err(), "{value}, {short} bytes of it");
        }
    }
}

#[test]
fn integers_past_any_use_are_refused() {
    assert_eq!(integer::read(&unhex("7f8080808000"), 7), Ok((127, &[][..])), "padded, but not past what 32 bits take");
    for text in ["7f81ffffff0f", "7fffffffff7f", "7f808080808000", "7fffffffffffffffffff01"] {
        assert!(integer::read(&unhex(text), 7).is_err(), "{text}");
    }
}

fn decoded(coded: &[u8]) -> Option<Vec<u8>> {
    huffman::decode(coded, <[u8]>::to_vec)
}

#[test]
fn every_byte_has_a_code_wherever_it_stands() {
    for byte in 0..=255 {
        for before in 0..14 {
            for after in [0, 1, 2, 5, 9] {
                let text =
                    [&b"/a0Z.~e-_%x/a0Z.~e-_%x"[..before], &[byte], &b"aeiost012abcdefghijklm"[..after]].concat();
                assert_eq!(decoded(&huffman::encode(&text)).unwrap(), text);
            }
        }
    }
    assert_eq!(decoded(b"").unwrap(), b"");
}

#[test]
fn padding_is_less_than_a_byte_of_ones() {
    assert_eq!(decoded(&[0b0001_1111]).unwrap(), b"a");
    assert_eq!(decoded(&[0b0001_1110]), None);
    assert_eq!(decoded(&[0b0001_1111, 0xff]), None);
    assert_eq!(decoded(&[0xff]), None);
    for before in [&b""[..], b"a", b"0123456789", b"0123456789abcdefghijklmn"] {
        let coded = huffman::encode(before);
        let bits: usize = before.len();
        assert!(decoded(&coded).is_some(), "{bits}");
        for ones in 1..12 {
            assert_eq!(decoded(&[&coded[..], &[0xff; 12][..ones]].concat()), None, "the end is no symbol");
        }
        let after = [&coded[..], &[0xff; 5], &huffman::encode(b"aaaaaaaaaaaaaaaaaaaaaa")].concat();
        assert_eq!(decoded(&after), None, "and nothing comes after it");
    }
}

/// The bits of each byte's code.
static CODES: LazyLock<HashMap<Vec<bool>, u8>> = LazyLock::new(|| {
    (0..=255)
        .map(|byte| {
            let bits = bits_of(&huffman::encode(&[byte]));
            // What is padding shows when the byte is written eight times.
            let often = bits_of(&huffman::encode(&[byte; 8]));
            (1..=bits.len())
                .find(|len| often.len() == 8 * len && often.chunks(*len).all(|code| *code == bits[..*len]))
                .map(|len| (bits[..len].to_vec(), byte))
                .unwrap()
        })
        .collect()
});

/// Bit by bit.
fn slowly(coded: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let mut code = Vec::new();
    for bit in bits_of(coded) {
        code.push(bit);
        if let Some(byte) = CODES.get(&code) {
            text.push(*byte);
            code.clear();
        }
    }
    (code.len() < 8 && code.iter().all(|bit| *bit)).then_some(text)
}

fn bits_of(bytes: &[u8]) -> Vec<bool> {
    bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1)).collect()
}

proptest::proptest! {
    #[test]
    fn any_text_comes_back(text in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
        proptest::prop_assert_eq!(decoded(&huffman::encode(&text)), Some(text));
    }

    #[test]
    fn any_printable_text_comes_back(text in proptest::collection::vec(b' '..0x7f, 0..60)) {
        proptest::prop_assert_eq!(decoded(&huffman::encode(&text)), Some(text));
    }

    #[test]
    fn any_bits_are_read_as_they_are_bit_by_bit(
        coded in proptest::collection::vec(proptest::num::u8::ANY, 0..40),
        ones in 0..3_usize,
    ) {
        let coded = [&coded[..], &[0xff; 3][..ones]].concat();
        proptest::prop_assert_eq!(decoded(&coded), slowly(&coded));
    }
}

#[test]
fn the_static_table_is_that_of_the_rfc() {
    // RFC 7541 Appendix A.
    const TABLE: &str = ":authority: \n:method: GET\n:method: POST\n:path: /\n:path: /index.html\n:scheme: http\n\
        :scheme: https\n:status: 200\n:status: 204\n:status: 206\n:status: 304\n:status: 400\n:status: 404\n\
        :status: 500\naccept-charset: \naccept-encoding: gzip, deflate\naccept-language: \naccept-ranges: \naccept: \n\
        access-control-allow-origin: \nage: \nallow: \nauthorization: \ncache-control: \ncontent-disposition: \n\
        content-encoding: \ncontent-language: \ncontent-length: \ncontent-location: \ncontent-range: \n\
        content-type: \ncookie: \ndate: \netag: \nexpect: \nexpires: \nfrom: \nhost: \nif-match: \n\
        if-modified-since: \nif-none-match: \nif-range: \nif-unmodified-since: \nlast-modified: \nlink: \n\
        location: \nmax-forwards: \nproxy-authenticate: \nproxy-authorization: \nrange: \nreferer: \nrefresh: \n\
        retry-after: \nserver: \nset-cookie: \nstrict-transport-security: \ntransfer-encoding: \nuser-agent: \n\
        vary: \nvia: \nwww-authenticate: ";
    let expected: Vec<&str> = TABLE.split('\n').collect();
    let fields: Vec<&Field> = (1..=static_table::LEN).map(|index| static_table::get(index).unwrap()).collect();
    assert_eq!(all_shown(fields.iter().copied()), expected);
    assert!(static_table::get(0).is_none() && static_table::get(62).is_none());
    for (nth, field) in fields.iter().enumerate() {
        if let Field::Header(name, _) = field {
            assert_eq!(static_table::place_of(name.as_str().as_bytes()), Some(nth + 1), "{name}");
        }
    }
    for name in ["", "a", "grpc-timeout", "te", "cookies", "x-accept", "content-lentgh", ":path"] {
        assert_eq!(static_table::place_of(name.as_bytes()), None, "{name}");
    }
    for (place, name) in [
        (static_table::ACCEPT_ENCODING, "accept-encoding"),
        (static_table::AUTHORIZATION, "authorization"),
        (static_table::COOKIE, "cookie"),
        (static_table::PROXY_AUTHORIZATION, "proxy-authorization"),
        (static_table::SET_COOKIE, "set-cookie"),
    ] {
        assert_eq!(static_table::place_of(name.as_bytes()), Some(place));
    }
}

#[test]
fn texts_are_the_same_only_if_every_byte_is() {
    for len in 0..40 {
        let text: Vec<u8> = (0..len).map(|nth| b'a' + nth % 23).collect();
        assert!(is_same(&text, &text.clone()));
        assert!(!is_same(&text, &[&text[..], b"a"].concat()));
        for at in 0..text.len() {
            let mut other = text.clone();
            other[at] ^= 1;
            assert!(!is_same(&text, &other), "{at} of {len}");
            assert_ne!(hash(0, &text), hash(0, &other), "{at} of {len}");
        }
    }
    let split = |at: usize| hash(hash(0, &b"a-name-and-value"[..at]), &b"a-name-and-value"[at..]);
    assert!((1..16).all(|at| split(at) != split(0)), "two texts are not one");
}
