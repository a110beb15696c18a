//! Framing tricks against a servlet that takes HTTP/1 and trusts what it reads: none reaches it as another request, or in a form that
//! is not the proxy's own; and what is valid is served.

use tokio::io::AsyncWriteExt;

use crate::support::http1::Caller;
use crate::support::raw_http2::{self, GOAWAY, HEADERS, PING, PRIORITY, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame};
use crate::support::servlet::echo;
use crate::support::{Origin, Running, Servlet};

/// What the proxy has to make of a variant.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    /// Served, with this body.
    Served(Vec<u8>),
    Refused,
}

struct Variant {
    bytes: Vec<u8>,
    verdict: Verdict,
}

/// What hides in bodies, and must never become a request.
const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";

fn chunked(body: &str) -> String {
    format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
}

/// A POST with these field lines, each with its line end.
fn post(version: &str, fields: &str, body: &str) -> Vec<u8> {
    format!("POST /v HTTP/{version}\r\nHost: a\r\n{fields}\r\n{body}").into_bytes()
}

fn refused(bytes: Vec<u8>) -> Variant {
    Variant { bytes, verdict: Verdict::Refused }
}

fn served(bytes: Vec<u8>, body: &str) -> Variant {
    Variant { bytes, verdict: Verdict::Served(body.into()) }
}

/// `Transfer-Encoding`, well and badly written: alone, beside a length on either side, twice, and on HTTP/1.0.
fn transfer_encodings() -> Vec<Variant> {
    let good = [
        "Transfer-Encoding: chunked",
        "Transfer-Encoding:chunked",
        "transfer-encoding: Chunked",
        "TRANSFER-ENCODING:\tCHUNKED \t",
        "Transfer-Encoding:   chunked",
    ];
    let bad = [
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunkedx",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: 'chunked'",
        "Transfer-Encoding: \x0bchunked",
        "Transfer-Encoding: chunked\x0c",
        "Transfer-Encoding: chunked\0",
        "Transfer-Encoding: chunked\u{a0}",
        "Transfer-Encoding: chunk ed",
        "Transfer-Encoding:",
        "Transfer-Encoding: ,chunked",
        "Transfer-Encoding: chunked,",
        "Transfer-Encoding: \r\n chunked",
        "Transfer-Encoding:\r\n\tchunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding\t: chunked",
        " Transfer-Encoding: chunked",
        "\tTransfer-Encoding: chunked",
        "Transfer-Encoding\0: chunked",
        "X: y\nTransfer-Encoding: chunked",
        "X: y\rTransfer-Encoding: chunked",
        "X: y\r\n Transfer-Encoding: chunked",
        "Transfer-Encoding: chunked\nX: y",
        "Transfer-Encoding chunked",
        ": chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding:",
        "Connection: transfer-encoding\r\nTransfer-Encoding: chunked",
    ];
    let body = chunked(HIDDEN);
    let beside = format!("Content-Length: {}\r\n", body.len());
    let mut variants = Vec::new();
    for (fields, is_good) in good.iter().map(|field| (field, true)).chain(bad.iter().map(|field| (field, false))) {
        let alone = post("1.1", &format!("{fields}\r\n"), &body);
        variants.push(if is_good { served(alone, HIDDEN) } else { refused(alone) });
        variants.push(refused(post("1.1", &format!("{fields}\r\n{beside}"), &body)));
        variants.push(refused(post("1.1", &format!("{beside}{fields}\r\n"), &body)));
        variants.push(refused(post("1.1", &format!("Content-Length: 3\r\n{fields}\r\n"), &body)));
        variants.push(refused(post("1.0", &format!("{fields}\r\n{beside}"), &body)));
    }
    // Another name, that some gateways take for the same: it does not go on.
    variants.push(served(post("1.1", &format!("Transfer_Encoding: chunked\r\n{beside}"), &body), &body));
    variants.push(served(post("1.1", &format!("{beside}Content_Length: 3\r\n"), &body), &body));
    variants
}

fn content_lengths() -> Vec<Variant> {
    let length = HIDDEN.len();
    let bad = [
        format!("+{length}"),
        format!("-{length}"),
        format!("{length}a"),
        format!("{length};"),
        format!("{length}.0"),
        format!("{length}, {length}"),
        format!("{length},{length}"),
        format!("{length} {length}"),
        format!("0x{length:x}"),
        format!("'{length}'"),
        format!("\x0b{length}"),
        format!("{length}\0"),
        format!("\r\n {length}"),
        format!("{length}\r\nContent-Length: {length}"),
        format!("{length}\r\nContent-Length: 0"),
        format!("0\r\nContent-Length: {length}"),
        format!("{length}\r\nContent-Length:"),
        format!("{length}\r\ncontent-length: {length}"),
        "18446744073709551616".into(),
        "99999999999999999999999999".into(),
        String::new(),
        "\u{0665}".into(),
        "1e2".into(),
        "-0".into(),
    ];
    let mut variants = Vec::new();
    for version in ["1.1", "1.0"] {
        for value in &bad {
            variants.push(refused(post(version, &format!("Content-Length: {value}\r\n"), HIDDEN)));
        }
        for name in
            ["Content-Length ", "Content-Length\t", " Content-Length", "Content-Length\0", "X: y\nContent-Length"]
        {
            variants.push(refused(post(version, &format!("{name}: {length}\r\n"), HIDDEN)));
        }
        for name in ["Content-Length:", "content-length:  ", "CONTENT-LENGTH:\t"] {
            variants.push(served(post(version, &format!("{name}{length} \r\n"), HIDDEN), HIDDEN));
        }
        variants.push(served(post(version, &format!("Content-Length: 00{length}\r\n"), HIDDEN), HIDDEN));
        variants.push(refused(post(
            version,
            &format!("Connection: content-length\r\nContent-Length: {length}\r\n"),
            HIDDEN,
        )));
    }
    variants
}

fn chunks() -> Vec<Variant> {
    let size = HIDDEN.len();
    let good = [
        format!("{size:x}\r\n{HIDDEN}\r\n0\r\n\r\n"),
        format!("{size:X}\r\n{HIDDEN}\r\n0\r\n\r\n"),
        format!("000{size:x}\r\n{HIDDEN}\r\n000\r\n\r\n"),
        format!("{size:x};a=b\r\n{HIDDEN}\r\n0;x\r\n\r\n"),
        format!("{size:x};a=\"{HIDDEN_SHORT}\"\r\n{HIDDEN}\r\n0\r\n\r\n"),
        format!("{size:x}\r\n{HIDDEN}\r\n0\r\nX-T: y\r\n\r\n"),
        format!("{size:x}\r\n{HIDDEN}\r\n0\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\nHost: b\r\n\r\n"),
    ];
    let bad = [
        format!("{size:x} \r\n{HIDDEN}\r\n0\r\n\r\n"),
        format!(" {size:x}\r\n{HIDDEN}\r\n0\r\n\r\n"),
        format!("0x{size:x}\r\n{HIDDEN}\r\n0\r\n\r\n"),
        format!("+{size:x}\r\n{HIDDEN}\r\n0\r\n\r\n"),
        format!("-{size:x}\r\n{HIDDEN}\r\n0\r\n\r\n"),
        format!("{size:x}\n{HIDDEN}\r\n0\r\n\r\n"),
        format!("{size:x}\r{HIDDEN}\r\n0\r\n\r\n"),
        format!("{size:x}\r\r\n{HIDDEN}\r\n0\r\n\r\n"),
        format!("{size:x}\r\n{HIDDEN}\n0\r\n\r\n"),
        format!("{size:x}\r\n{HIDDEN}0\r\n\r\n"),
        format!("{size:x}\r\n{HIDDEN}XX0\r\n\r\n"),
        format!("{size:x}\r\n{HIDDEN}\r\n0\n\r\n{HIDDEN}"),
        format!("{size:x}\r\n{HIDDEN}\r\n0 \r\n\r\n"),
        format!("{size:x}\r\n{HIDDEN}\r\n0\r\nX y\r\n\r\n"),
        format!("{size:x}\r\n{HIDDEN}\r\n0\r\nX : y\r\n\r\n"),
        format!("{size:x}\r\n{HIDDEN}\r\n0\r\nX: y\n\r\n"),
        format!("{size:x}\r\n{HIDDEN}\r\n0\r\nX: y\r\n z\r\n\r\n"),
        format!("{size:x}\r\n{HIDDEN}\r\n\r\n0\r\n\r\n"),
        format!("{size:x};\0\r\n{HIDDEN}\r\n0\r\n\r\n"),
        format!("{size:x};a\n{HIDDEN}\r\n0\r\n\r\n"),
        format!("{size:x};a\rb\r\n{HIDDEN}\r\n0\r\n\r\n"),
        format!("{size:x},\r\n{HIDDEN}\r\n0\r\n\r\n"),
        format!("{size:x}_0\r\n{HIDDEN}\r\n0\r\n\r\n"),
        format!("{size:x}\t\r\n{HIDDEN}\r\n0\r\n\r\n"),
        format!("\r\n{HIDDEN}\r\n0\r\n\r\n"),
        format!(";\r\n{HIDDEN}\r\n0\r\n\r\n"),
        format!("g\r\n{HIDDEN}\r\n0\r\n\r\n"),
        format!("ffffffffffffffff1\r\n{HIDDEN}\r\n0\r\n\r\n"),
        format!("10000000000000000\r\n{HIDDEN}\r\n0\r\n\r\n"),
        format!("00000000000000000{size:x}\r\n{HIDDEN}\r\n0\r\n\r\n"),
        format!("0\n\r\n{HIDDEN}"),
        HIDDEN.into(),
    ];
    let with = |body: &String| post("1.1", "Transfer-Encoding: chunked\r\n", body);
    let good = good.iter().map(|body| served(with(body), HIDDEN));
    good.chain(bad.iter().map(|body| refused(with(body)))).collect()
}

const HIDDEN_SHORT: &str = "0 GET";

/// Request lines and Host fields.
fn heads() -> Vec<Variant> {
    let lines = [
        "GET  /v HTTP/1.1",
        "GET /v  HTTP/1.1",
        "GET\t/v HTTP/1.1",
        "GET /v\tHTTP/1.1",
        " GET /v HTTP/1.1",
        "GET /v HTTP/1.1 ",
        "GET /v http/1.1",
        "GET /v HTTP/1.10",
        "GET /v HTTP/01.1",
        "GET /v HTTP/1,1",
        "GET /v HTTP/+1.1",
        "GET /v HTTP/2.0",
        "GET /v",
        "GET /v ",
        "GET /v /hidden HTTP/1.1",
        "GET /v#hidden HTTP/1.1",
        "GET /v\\..\\hidden HTTP/1.1",
        "GET /v%00 HTTP/1.1",
        "GET /v\0 HTTP/1.1",
        "GET /v\u{e4} HTTP/1.1",
        "GET v HTTP/1.1",
        "GET * HTTP/1.1",
        "GET http:///v HTTP/1.1",
        "GET http://u@a/v HTTP/1.1",
        "GET http://a:b/v HTTP/1.1",
        "GET ftp://a/v HTTP/1.1",
        "GET //a@b:c HTTP/2",
        "G(T /v HTTP/1.1",
        "GET\0 /v HTTP/1.1",
        "CONNECT a:80 HTTP/1.1",
        "\r\n\r\nGET /v HTTP/1.1",
        "\nGET /v HTTP/1.1",
        "\rGET /v HTTP/1.1",
    ];
    let fields = [
        "",
        "Host: a\r\nHost: a\r\n",
        "Host: a\r\nHost: b\r\n",
        "Host: a, b\r\n",
        "Host: u@a\r\n",
        "Host: a:port\r\n",
        "Host: a:65536\r\n",
        "Host: a b\r\n",
        "Host: a/b\r\n",
        "Host: a?b\r\n",
        "Host: a#b\r\n",
        "Host: [::1\r\n",
        "Host: \r\n",
        "Host : a\r\n",
        " Host: a\r\n",
        "Host: a\r\n b\r\n",
        "Host: a\nX: y\r\n",
        "X: y\nHost: a\r\n",
        "Host\0: a\r\n",
        "Host: a\0b\r\n",
        "Host: a\r\nConnection: Host\r\n",
        "Host: a\r\nConnection: close, host\r\n",
        "Host: a\r\nConnection: authorization\r\n",
        "Host: a\r\nX\r\n",
        "Host: a\r\nX y: z\r\n",
        "Host: a\r\n: y\r\n",
        "Host: a\r\nX: y\rz\r\n",
    ];
    let mut variants: Vec<Variant> =
        lines.iter().map(|line| refused(format!("{line}\r\nHost: a\r\n\r\n{HIDDEN}").into_bytes())).collect();
    variants
        .extend(fields.iter().map(|fields| refused(format!("GET /v HTTP/1.1\r\n{fields}\r\n{HIDDEN}").into_bytes())));
    for good in [
        "GET /v HTTP/1.1\r\nHost: a:80\r\nConnection: close\r\n\r\n",
        "GET /v HTTP/1.1\r\nHost: [::1]:80\r\nConnection: TE, close\r\nTE: trailers\r\n\r\n",
        "\r\nGET /v HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET http://a/v HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n",
        "GET /v HTTP/1.0\r\n\r\n",
        "GET /v HTTP/1.0\r\nHost:\r\n\r\n",
    ] {
        variants.push(served(good.as_bytes().to_vec(), ""));
    }
    variants
}

#[tokio::test]
async fn no_trick_reaches_the_servlet_and_what_is_valid_is_served() {
    let origin = Origin::start().await;
    let proxy = Running::plain(&origin.address).await;
    let variants: Vec<Variant> =
        [transfer_encodings(), content_lengths(), chunks(), heads()].into_iter().flatten().collect();
    assert!(variants.len() > 300);
    for Variant { bytes, verdict } in variants {
        let shown = bytes.escape_ascii().to_string();
        let mut caller = Caller::connect(&proxy.address).await;
        // The proxy may have refused, and closed, before all is written.
        let _ = caller.socket.write_all(&bytes).await;
        match verdict {
            Verdict::Refused => {
                let (answers, _) = caller.rest().await;
                let answers = String::from_utf8_lossy(&answers).into_owned();
                let mut codes = ["400", "431", "501", "505"].iter().map(|code| format!("HTTP/1.1 {code} "));
                assert!(codes.any(|start| answers.starts_with(&start)), "{shown}\nwas answered {answers:?}");
                assert_eq!(
                    answers.matches("\r\nconnection: close\r\n").count(),
                    1,
                    "{shown}\nwas answered {answers:?}"
                );
                // Another that leaves at once gets no further.
                let mut hasty = Caller::connect(&proxy.address).await;
                let _ = hasty.socket.write_all(&bytes).await;
                let _ = hasty.socket.shutdown().await;
                let (answers, _) = hasty.rest().await;
                assert!(!answers.starts_with(b"HTTP/1.1 2"), "{shown}\nwas answered {}", answers.escape_ascii());
                let taken = origin.taken();
                assert!(taken.is_empty(), "{shown}\nreached the servlet as {taken:?}");
            }
            Verdict::Served(body) => {
                let answer = caller.answer().await.unwrap_or_else(|| panic!("{shown}\nwas not answered"));
                assert_eq!(answer.status, 200, "{shown}\nwas answered {answer:?}");
                assert_eq!(answer.body, body, "{shown}");
                let taken = origin.taken();
                assert_eq!((taken.len(), taken[0].target(), &taken[0].body), (1, "/v", &body), "{shown}");
            }
        }
        assert_eq!(origin.unclean(), Vec::<String>::new(), "{shown}");
    }
}

#[tokio::test]
async fn fields_that_forge_or_end_here_do_not_go_on() {
    let origin = Origin::start().await;
    let proxy = Running::plain(&origin.address).await;
    let request = "GET /v HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: 1.2.3.4\r\nX-Forwarded-For: 1.2.3.4\r\nConnection: close, x-hop\r\n\
        X-Hop: 1\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nTE: gzip\r\nX-End: 2\r\n\r\n";
    assert_eq!(Caller::once(&proxy.address, request).await.status, 200);
    let taken = origin.taken();
    for gone in ["x_forwarded_for", "x-hop", "keep-alive", "proxy-connection", "te", "connection"] {
        assert_eq!(taken[0].field(gone), None, "{gone}");
    }
    assert_eq!(taken[0].field("x-end"), Some("2"));
    assert_eq!(taken[0].field("x-forwarded-for"), Some("127.0.0.1"), "the peer is not trusted");
}

#[tokio::test]
async fn a_flood_of_frames_that_bring_nothing_ends_its_connection() {
    let servlet = Servlet::start(echo).await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let path = "/echo.v1.Echo/Say";
    for flood in [
        frame(PING, 0, 0, &[0; 8]),
        frame(SETTINGS, 0, 0, &[]),
        frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1]),
        frame(0xbe, 0, 0, b"unknown"),
        frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]),
        frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]),
        // Of a stream that is over.
        frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]),
    ] {
        let mut caller = raw_http2::Caller::connect(&proxy.address).await;
        assert!(caller.lives(1, path).await);
        let (mut read, mut write) = caller.socket.into_split();
        let kind = flood[3];
        let writing = tokio::spawn(async move {
            // Until the proxy has had enough of it.
            while write.write_all(&flood.repeat(100)).await.is_ok() {}
        });
        let mut all = Vec::new();
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut read, &mut all).await;
        writing.await.unwrap();
        let told =
            all.windows(17).any(|part| part[3] == GOAWAY && part[..3] == [0, 0, 8] && part[13..] == [0, 0, 0, 11]);
        assert!(told, "ENHANCE_YOUR_CALM for kind {kind}");
    }
}

#[tokio::test]
async fn pings_of_one_that_works_are_no_flood() {
    let servlet = Servlet::start(echo).await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let mut caller = raw_http2::Caller::connect(&proxy.address).await;
    for call in 0..1500 {
        caller.write(&[frame(PING, 0, 0, &[0; 8]), frame(PING, 0, 0, &[1; 8])].concat()).await;
        assert!(caller.lives(1 + 2 * call, "/echo.v1.Echo/Say").await, "call {call}");
    }
    // Half a head and silence costs nobody else anything.
    caller.write(&frame(HEADERS, 0, 100_001, b"")).await;
    assert!(raw_http2::Caller::connect(&proxy.address).await.lives(1, "/echo.v1.Echo/Say").await);
}
