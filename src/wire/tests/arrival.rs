//! However the bytes of a connection arrive, it says the same; after an anomaly it says nothing more; and what it took can be
//! written down in one way that is read the same again.

use proptest::prelude::*;

use super::driver::{Reader, Said, check_anomaly, check_written};

/// Parts of connections, good and bad, so that every rule is met in many places.
fn fragment() -> impl Strategy<Value = Vec<u8>> {
    let texts: &[&str] = &[
        "GET / HTTP/1.1\r\n",
        "POST /a?b HTTP/1.1\r\n",
        "POST / HTTP/1.0\r\n",
        "GET http://b/c HTTP/1.1\r\n",
        "OPTIONS * HTTP/1.1\r\n",
        "GET / HTTP/2.0\r\n",
        "GET /\r\n",
        "Host: a\r\n",
        "Host: a\r\n",
        "Host: a\r\nContent-Length: 5\r\n\r\nhello",
        "Host: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        "Host: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "Content-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Connection: close, x\r\n",
        "Expect: 100-continue\r\n",
        "Connection: TE\r\nTE: trailers\r\n",
        "Connection: upgrade\r\nUpgrade: h2c, websocket\r\n",
        "X: y\r\n",
        "X : y\r\n",
        " fold\r\n",
        "\r\n",
        "\r\n",
        "\r\n",
        "hello",
        "5\r\nhello\r\n",
        "5;ext=1\r\nhello\r\n",
        "0\r\n\r\n",
        "0\r\nX: y\r\n\r\n",
        "0\r\nHost: y\r\n",
        "\n",
        "\r",
        "\0",
        ";",
        "f",
    ];
    prop_oneof![
        20 => prop::sample::select(texts).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..4),
        1 => (1_usize..200).prop_map(|len| vec![b'a'; len]),
    ]
}

/// Whole good requests, with what must be understood of each.
fn good_request() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let body = prop::collection::vec(any::<u8>(), 0..40);
    (body, 0..5_u8).prop_map(|(body, form)| {
        let mut wire = Vec::new();
        match form {
            0 => wire.extend_from_slice(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            1 => wire.extend_from_slice(b"\r\nGET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
            2 => {
                wire.extend_from_slice(
                    format!("PUT /b HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes(),
                );
                wire.extend_from_slice(&body);
            }
            _ => {
                wire.extend_from_slice(b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
                for chunk in body.chunks(usize::from(form)) {
                    wire.extend_from_slice(format!("{:x};e\r\n", chunk.len()).as_bytes());
                    wire.extend_from_slice(chunk);
                    wire.extend_from_slice(b"\r\n");
                }
                wire.extend_from_slice(b"0\r\nX-Sum: 1\r\n\r\n");
            }
        }
        (wire, if form < 2 { Vec::new() } else { body })
    })
}

/// What a connection may carry: good requests with a few things put into them, left out or changed; or parts at random.
fn connection() -> impl Strategy<Value = Vec<u8>> {
    let place = any::<prop::sample::Index>;
    let change = (place(), 0..4_u8, fragment(), any::<u8>());
    let changed = (prop::collection::vec(good_request(), 1..4), prop::collection::vec(change, 0..3)).prop_map(
        |(requests, changes)| {
            let mut bytes: Vec<u8> = requests.into_iter().flat_map(|(wire, _)| wire).collect();
            for (place, how, fragment, byte) in changes {
                let at = place.index(bytes.len());
                match how {
                    0 => bytes[at] = byte,
                    1 => bytes[at] ^= 1 << (byte % 8),
                    2 => drop(bytes.remove(at)),
                    _ => drop(bytes.splice(at..at, fragment)),
                }
            }
            bytes
        },
    );
    prop_oneof![3 => changed, 1 => prop::collection::vec(fragment(), 0..12).prop_map(|parts| parts.concat())]
}

fn split(bytes: &[u8], cuts: &[prop::sample::Index]) -> Vec<Vec<u8>> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| bytes[pair[0]..pair[1]].to_vec()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_split_says_the_same(
        bytes in connection(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let whole = Reader::of([&bytes[..]]);
        let parts = split(&bytes, &cuts);
        prop_assert_eq!(&Reader::of(parts.iter().map(Vec::as_slice)).said, &whole.said);
        prop_assert_eq!(&Reader::of(bytes.chunks(1)).said, &whole.said);
    }

    #[test]
    fn nothing_after_an_anomaly_is_read(bytes in connection()) {
        check_anomaly(&mut Reader::of([&bytes[..]]));
    }

    #[test]
    fn good_requests_are_all_served(
        requests in prop::collection::vec(good_request(), 1..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let wire: Vec<u8> = requests.iter().flat_map(|(wire, _)| wire.clone()).collect();
        let parts = split(&wire, &cuts);
        let reader = Reader::of(parts.iter().map(Vec::as_slice));
        prop_assert_eq!(reader.heads.len(), requests.len());
        prop_assert_eq!(reader.said.iter().filter(|said| matches!(said, Said::End)).count(), requests.len());
        let bodies: Vec<u8> = reader.said.iter().flat_map(|said| match said {
            Said::Body(body) => body.clone(),
            _ => Vec::new(),
        }).collect();
        prop_assert_eq!(bodies, requests.into_iter().flat_map(|(_, body)| body).collect::<Vec<_>>());
        prop_assert!(reader.buf.is_empty());
    }

    #[test]
    fn what_was_taken_has_one_way_to_be_written(bytes in connection()) {
        for head in Reader::of([&bytes[..]]).heads {
            check_written(&head);
        }
    }
}
