//! RFC 7541 Appendix C, example by example: fields, and what the table holds after them.

use super::*;

/// A block, its fields, and then the table, newest first, with its size.
struct Example {
    section: &'static str,
    block: &'static str,
    fields: &'static [&'static str],
    table: &'static [&'static str],
    size: usize,
}

fn follow(decoder: &mut Decoder, examples: &[Example]) {
    for Example { section, block, fields, table, size } in examples {
        let decoded = decode(decoder, &unhex(block)).unwrap();
        assert_eq!(all_shown(&decoded), *fields, "{section}");
        assert_eq!(all_shown(decoder.table().fields()), *table, "{section}");
        assert_eq!(decoder.table().size(), *size, "{section}");
    }
}

#[test]
fn single_fields_are_read() {
    let examples = [
        Example {
            section: "C.2.1",
            block: "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
            fields: &["custom-key: custom-header"],
            table: &["custom-key: custom-header"],
            size: 55,
        },
        Example {
            section: "C.2.2",
            block: "040c 2f73 616d 706c 652f 7061 7468",
            fields: &[":path: /sample/path"],
            table: &[],
            size: 0,
        },
        Example {
            section: "C.2.3",
            block: "1008 7061 7373 776f 7264 0673 6563 7265 74",
            fields: &["password: secret"],
            table: &[],
            size: 0,
        },
        Example { section: "C.2.4", block: "82", fields: &[":method: GET"], table: &[], size: 0 },
    ];
    for example in examples {
        follow(&mut Decoder::new(4096), &[example]);
    }
}

const FIRST_REQUEST: &[&str] = &[":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"];
const SECOND_REQUEST: &[&str] =
    &[":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com", "cache-control: no-cache"];
const THIRD_REQUEST: &[&str] = &[
    ":method: GET",
    ":scheme: https",
    ":path: /index.html",
    ":authority: www.example.com",
    "custom-key: custom-value",
];

fn requests([first, second, third]: [&'static str; 3]) -> [Example; 3] {
    [
        Example {
            section: "first request",
            block: first,
            fields: FIRST_REQUEST,
            table: &[":authority: www.example.com"],
            size: 57,
        },
        Example {
            section: "second request",
            block: second,
            fields: SECOND_REQUEST,
            table: &["cache-control: no-cache", ":authority: www.example.com"],
            size: 110,
        },
        Example {
            section: "third request",
            block: third,
            fields: THIRD_REQUEST,
            table: &["custom-key: custom-value", "cache-control: no-cache", ":authority: www.example.com"],
            size: 164,
        },
    ]
}

#[test]
fn requests_are_read() {
    // C.3.
    let plain = [
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "8286 84be 5808 6e6f 2d63 6163 6865",
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ];
    follow(&mut Decoder::new(4096), &requests(plain));
    // C.4.
    let coded = [
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ];
    follow(&mut Decoder::new(4096), &requests(coded));
}

fn responses([first, second, third]: [&'static str; 3]) -> [Example; 3] {
    [
        Example {
            section: "first response",
            block: first,
            fields: &[
                ":status: 302",
                "cache-control: private",
                "date: Mon, 21 Oct 2013 20:13:21 GMT",
                "location: https://www.example.com",
            ],
            table: &[
                "location: https://www.example.com",
                "date: Mon, 21 Oct 2013 20:13:21 GMT",
                "cache-control: private",
                ":status: 302",
            ],
            size: 222,
        },
        Example {
            section: "second response",
            block: second,
            fields: &[
                ":status: 307",
                "cache-control: private",
                "date: Mon, 21 Oct 2013 20:13:21 GMT",
                "location: https://www.example.com",
            ],
            table: &[
                ":status: 307",
                "location: https://www.example.com",
                "date: Mon, 21 Oct 2013 20:13:21 GMT",
                "cache-control: private",
            ],
            size: 222,
        },
        Example {
            section: "third response",
            block: third,
            fields: &[
                ":status: 200",
                "cache-control: private",
                "date: Mon, 21 Oct 2013 20:13:22 GMT",
                "location: https://www.example.com",
                "content-encoding: gzip",
                "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
            ],
            table: &[
                "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
                "content-encoding: gzip",
                "date: Mon, 21 Oct 2013 20:13:22 GMT",
            ],
            size: 215,
        },
    ]
}

/// A decoder whose peer has agreed on 256 bytes, as those examples have it.
fn small() -> Decoder {
    let mut decoder = Decoder::new(256);
    decode(&mut decoder, &unhex("3fe101")).unwrap();
    decoder
}

#[test]
fn responses_are_read_and_push_each_other_out() {
    // C.5.
    let plain = [
        "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d
         546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "4803 3330 37c1 c0bf",
        "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f
         6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b
         2076 6572 7369 6f6e 3d31",
    ];
    follow(&mut small(), &responses(plain));
    // C.6.
    let coded = [
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7
         8f0b 97c8 e9ae 82ae 43d3",
        "4883 640e ffc1 c0bf",
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335
         dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
    ];
    follow(&mut small(), &responses(coded));
}

#[test]
fn what_comes_again_is_written_as_the_examples_have_it() {
    // The fields of C.3, each block a second time: what C.3 inserts at once, we insert then.
    let fields = |texts: &[&str]| -> Vec<Field> {
        texts
            .iter()
            .map(|text| {
                let (name, value) = text.rsplit_once(": ").unwrap();
                super::super::field::Name::parse(name.as_bytes()).with(value.as_bytes()).ok().unwrap()
            })
            .collect()
    };
    let mut encoder = Encoder::new();
    let mut blocks = Vec::new();
    for texts in [FIRST_REQUEST, SECOND_REQUEST, THIRD_REQUEST] {
        encode(&mut encoder, &fields(texts));
        blocks.push(hex(&encode(&mut encoder, &fields(texts))));
    }
    assert_eq!(
        blocks,
        [
            // C.3.1.
            "828684410f7777772e6578616d706c652e636f6d",
            // C.3.2.
            "828684be58086e6f2d6361636865",
            // C.3.3.
            "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
        ]
    );
}
