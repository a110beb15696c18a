//! What a peer may not do, and that it does no harm.

use super::*;

fn refused(block: &[u8]) {
    let mut decoder = Decoder::new(4096);
    // Two entries, so that indexes have something to point to.
    decode(&mut decoder, &[literal(0x40, b"a", b"b"), literal(0x40, b"c", b"d")].concat()).unwrap();
    assert!(decode(&mut decoder, block).is_err(), "{}", hex(block));
}

#[test]
fn what_is_no_block_ends_the_connection() {
    let cases: &[&[u8]] = &[
        // No field stands at 0, nor past the table: 62 and 63 are there.
        &[0x80],
        &[0xc0],
        &[0xff, 0x00],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0x0f],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0x1f],
        b"\x7f\x01\x01v",
        b"\x0f\x31\x01v",
        b"\x1f\x31\x01v",
        // Cut off.
        &[0xff],
        &[0x40],
        &[0x00],
        &[0x10],
        &[0x44],
        &[0x40, 0x01],
        b"\x40\x01a",
        b"\x40\x01a\x02b",
        b"\x40\x7f\xff\xff\xff\xff\x0fa",
        b"\x41\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        // Huffman code: padding of zeros, of a byte, the end inside.
        &[0x41, 0x81, 0b0001_1110],
        &[0x41, 0x82, 0b0001_1111, 0xff],
        &[0x41, 0x84, 0xff, 0xff, 0xff, 0xff],
        &[0x40, 0x81, 0b0001_1110, 0x00],
        // Table sizes: too large, inside a block, cut off.
        &[0x3f, 0xe2, 0x1f],
        &[0x3f, 0xff, 0xff, 0xff, 0xff, 0x0f],
        &[0x82, 0x20],
        &[0x20, 0x82, 0x3f, 0xe1, 0x1f],
        &[0x3f],
    ];
    for block in cases {
        refused(block);
    }
}

#[test]
fn fields_before_the_fault_were_given() {
    let mut fields = Vec::new();
    let fault = Decoder::new(4096).decode(&[0x82, 0x84, 0x80, 0x86], &mut |field| fields.push(field));
    assert!(fault.is_err());
    assert_eq!(all_shown(&fields), [":method: GET", ":path: /"]);
}

#[test]
fn the_table_is_resized_at_the_beginning_of_a_block() {
    let mut decoder = Decoder::new(4096);
    decode(&mut decoder, &literal(0x40, b"a", b"b")).unwrap();
    // To what it holds, and back.
    assert!(decode(&mut decoder, &[0x3f, 0x03, 0x3f, 0xe1, 0x1f, 0xbe]).is_ok());
    assert_eq!((decoder.table().size(), decoder.table().limit()), (34, 4096));
    // Below it, which empties it.
    assert!(decode(&mut decoder, &[0x3f, 0x02, 0x3f, 0xe1, 0x1f, 0xbe]).is_err());
    assert_eq!((decoder.table().size(), decoder.table().limit()), (0, 4096));
    decode(&mut decoder, &[0x20]).unwrap();
    decode(&mut decoder, &literal(0x40, b"a", b"b")).unwrap();
    assert_eq!((decoder.table().size(), decoder.table().limit()), (0, 0));
}

#[test]
fn an_entry_larger_than_the_table_empties_it() {
    let mut decoder = Decoder::new(4096);
    decode(&mut decoder, &literal(0x40, b"a", b"b")).unwrap();
    let large = literal(0x40, b"a", &[b'x'; 4096]);
    assert_eq!(decode(&mut decoder, &large).unwrap(), [header("a", &"x".repeat(4096))]);
    assert_eq!(decoder.table().size(), 0);
}

#[test]
fn an_entry_may_take_its_name_from_one_that_it_pushes_out() {
    let mut decoder = Decoder::new(4096);
    decode(&mut decoder, &[&[0x3f, 0x09][..], &literal(0x40, b"name", b"1234")].concat()).unwrap();
    assert_eq!(decode(&mut decoder, b"\x7e\x045678").unwrap(), [header("name", "5678")]);
    assert_eq!(all_shown(decoder.table().fields()), ["name: 5678"]);
}

#[test]
fn a_table_that_is_smaller_than_usual_begins_as_usual() {
    // The peer has not heard of it yet.
    let mut decoder = Decoder::new(64);
    decode(&mut decoder, &[literal(0x40, b"a", b"b"), literal(0x40, b"c", b"d")].concat()).unwrap();
    assert_eq!(decoder.table().size(), 68);
    assert!(decode(&mut decoder, &[0x3f, 0x22]).is_err(), "65 bytes");
    decode(&mut decoder, &[0x3f, 0x21]).unwrap();
    assert_eq!((decoder.table().size(), decoder.table().limit()), (34, 64));
}

fn holds(decoder: &Decoder) {
    let table = decoder.table();
    assert!(table.size() <= table.limit() && table.limit() <= 4096);
    assert!(table.fields().count() <= table.size() / 32);
}

/// Blocks as a peer sends them, one after the other.
fn good_blocks() -> Vec<Vec<u8>> {
    let mut blocks: Vec<Vec<u8>> = [
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "3f61 8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
        "4803 3330 37be bf",
    ]
    .into_iter()
    .map(unhex)
    .collect();
    blocks.push([literal(0x40, b"x-\xff", b"\0"), literal(0x10, b"password", b"secret"), vec![0xbe]].concat());
    blocks
}

#[test]
fn no_part_of_a_block_does_harm() {
    let blocks = good_blocks();
    for (nth, block) in blocks.iter().enumerate() {
        for len in 0..=block.len() {
            let mut decoder = Decoder::new(4096);
            let mut whole = Vec::new();
            for before in &blocks[..nth] {
                decode(&mut decoder, before).unwrap();
            }
            let mut part = Vec::new();
            let _ = decoder.decode(&block[..len], &mut |field| part.push(field));
            holds(&decoder);
            let mut other = Decoder::new(4096);
            for before in &blocks[..nth] {
                decode(&mut other, before).unwrap();
            }
            other.decode(block, &mut |field| whole.push(field)).unwrap();
            assert!(whole.starts_with(&part));
        }
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_do_harm(blocks in proptest::collection::vec(proptest::collection::vec(proptest::num::u8::ANY, 0..64), 1..8)) {
        let mut decoder = Decoder::new(4096);
        for block in blocks {
            let _ = decode(&mut decoder, &block);
            holds(&decoder);
        }
    }

    #[test]
    fn no_changed_bytes_do_harm(
        changes in proptest::collection::vec((0..5_usize, 0..40_usize, proptest::num::u8::ANY), 1..10),
        rounds in 1..20_usize,
    ) {
        let mut blocks = good_blocks();
        for (block, at, byte) in changes {
            let len = blocks[block].len();
            blocks[block][at % len] = byte;
        }
        let mut decoder = Decoder::new(4096);
        for block in blocks.iter().cycle().take(rounds * 5) {
            let _ = decode(&mut decoder, block);
            holds(&decoder);
        }
    }
}
