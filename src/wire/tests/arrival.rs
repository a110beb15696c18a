//! However the bytes of a connection arrive, it says the same; after an anomaly it says nothing more; and what it took can be
//! written down in one way that is read the same again.

use bytes::BytesMut;
use http::Version;
use proptest::prelude::*;

use crate::wire::{BodyDecoder, Framing, HeadLimits, Piece, RequestHead, RequestParser};

/// Small enough that generated heads meet them.
const LIMITS: HeadLimits = HeadLimits { bytes: 160, fields: 5 };

/// What a connection was understood to say.
#[derive(Debug, PartialEq)]
enum Said {
    Head(String),
    Body(Vec<u8>),
    Trailers(String),
    End,
    Fault(String),
}

/// A connection that reads requests and their bodies, one after another.
struct Reader {
    buf: BytesMut,
    parser: RequestParser,
    body: Option<BodyDecoder>,
    said: Vec<Said>,
    heads: Vec<RequestHead>,
}

impl Reader {
    fn new(limits: HeadLimits) -> Reader {
        let parser = RequestParser::new(limits);
        Reader { buf: BytesMut::new(), parser, body: None, said: Vec::new(), heads: Vec::new() }
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.buf.extend_from_slice(bytes);
        while self.step() {}
    }

    fn step(&mut self) -> bool {
        let Some(body) = &mut self.body else {
            return match self.parser.parse(&mut self.buf, None) {
                Ok(Some(head)) => {
                    self.body = Some(BodyDecoder::new(head.framing));
                    self.said.push(Said::Head(format!("{head:?}")));
                    self.heads.push(head);
                    true
                }
                Ok(None) => false,
                Err(fault) => self.fault(&fault.to_string()),
            };
        };
        match body.decode(&mut self.buf) {
            Ok(Some(Piece::Data(data))) => match self.said.last_mut() {
                Some(Said::Body(whole)) => whole.extend_from_slice(&data),
                _ => self.said.push(Said::Body(data.to_vec())),
            },
            Ok(Some(Piece::Trailers(fields))) => self.said.push(Said::Trailers(format!("{fields:?}"))),
            Ok(Some(Piece::End)) => {
                self.body = None;
                self.said.push(Said::End);
            }
            Ok(None) => return false,
            Err(fault) => return self.fault(&fault.to_string()),
        }
        true
    }

    /// Said once; a later one must be the same.
    fn fault(&mut self, text: &str) -> bool {
        let said = Said::Fault(text.to_owned());
        if !matches!(self.said.last(), Some(Said::Fault(_))) {
            self.said.push(said);
        } else {
            assert_eq!(self.said.last(), Some(&said));
        }
        false
    }
}

fn read_in_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Reader {
    let mut reader = Reader::new(LIMITS);
    parts.into_iter().for_each(|part| reader.receive(part));
    reader
}

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

/// The one way to write a head that was taken.
fn written(head: &RequestHead) -> Vec<u8> {
    let request = &head.request;
    let minor = u8::from(request.version() == Version::HTTP_11);
    let mut bytes = format!("{} {} HTTP/1.{minor}\r\n", request.method(), request.uri()).into_bytes();
    let mut line = |name: &str, value: &[u8]| bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    for (name, value) in request.headers() {
        line(name.as_str(), value.as_bytes());
    }
    match head.framing {
        Framing::None => {}
        Framing::Length(length) => line("content-length", length.to_string().as_bytes()),
        Framing::Chunked => line("transfer-encoding", b"chunked"),
    }
    line("connection", if head.keep_alive { b"keep-alive" } else { b"close" });
    if head.expects_continue {
        line("expect", b"100-continue");
    }
    if head.accepts_trailers {
        line("te", b"trailers");
    }
    if let Some(upgrade) = &head.upgrade {
        line("connection", b"upgrade");
        line("upgrade", upgrade.as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_split_says_the_same(
        bytes in connection(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let whole = read_in_parts([&bytes[..]]);
        let parts = split(&bytes, &cuts);
        prop_assert_eq!(&read_in_parts(parts.iter().map(Vec::as_slice)).said, &whole.said);
        prop_assert_eq!(&read_in_parts(bytes.chunks(1)).said, &whole.said);
    }

    #[test]
    fn nothing_after_an_anomaly_is_read(bytes in connection()) {
        let mut reader = read_in_parts([&bytes[..]]);
        if matches!(reader.said.last(), Some(Said::Fault(_))) {
            let (said, left) = (reader.said.len(), reader.buf.len());
            for more in [&b"\r\n\r\n"[..], b"0\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n"] {
                reader.receive(more);
            }
            prop_assert_eq!(reader.said.len(), said);
            prop_assert_eq!(reader.buf.len(), left + 4 + 5 + 18);
        }
    }

    #[test]
    fn good_requests_are_all_served(
        requests in prop::collection::vec(good_request(), 1..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let wire: Vec<u8> = requests.iter().flat_map(|(wire, _)| wire.clone()).collect();
        let parts = split(&wire, &cuts);
        let reader = read_in_parts(parts.iter().map(Vec::as_slice));
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
        for head in read_in_parts([&bytes[..]]).heads {
            let mut again = Reader::new(HeadLimits::default());
            again.receive(&written(&head));
            let second = again.heads.first().expect("what was written is a head");
            prop_assert_eq!(format!("{second:?}"), format!("{head:?}"));
        }
    }
}
