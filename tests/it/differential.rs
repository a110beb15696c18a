//! Our reading of HTTP/1 beside hyper's: generated requests, valid and not. Whatever both take for a request they must take for the
//! same one, since a servlet or a proxy behind us may read as hyper does.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::http1::Caller;
use crate::support::{Origin, Running};

/// What a request was understood to be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Understood {
    method: String,
    target: String,
    host: Option<String>,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

/// A field that both sides hand on as it is.
fn is_compared(name: &str) -> bool {
    name.starts_with("x-") && !name.starts_with("x-forwarded")
}

/// One of these texts, by weight.
fn of(choices: &'static [(u32, &'static str)]) -> impl Strategy<Value = String> {
    let union = choices.iter().map(|(weight, text)| (*weight, Just((*text).to_owned()).boxed()));
    proptest::strategy::Union::new_weighted(union.collect())
}

fn line() -> impl Strategy<Value = String> {
    let method =
        of(&[(6, "GET"), (6, "POST"), (2, "PUT"), (1, "DELETE"), (1, "OPTIONS"), (1, "BREW"), (1, "get"), (1, "G@T")]);
    let target = of(&[
        (8, "/"),
        (4, "/a/b?c=d&e=%20"),
        (2, "//a//b/../c/./"),
        (2, "/a;b=c,d:e@f!$'()*+~"),
        (1, "/%zz%2f%2F%5c"),
        (1, "/\"<>^`{|}"),
        (1, "http://b/a?x"),
        (1, "http://b"),
        (1, "*"),
        (1, "a"),
        (1, "/a b"),
        (1, "/\u{e4}"),
        (1, "/?/?#x"),
    ]);
    let version = of(&[(12, "HTTP/1.1"), (4, "HTTP/1.0"), (1, "HTTP/1.2"), (1, "http/1.1"), (1, "HTTP/1.1 ")]);
    let start = of(&[(12, ""), (1, "\r\n"), (1, " ")]);
    let space = of(&[(20, " "), (1, "  "), (1, "\t")]);
    (start, method, space, target, version)
        .prop_map(|(start, method, space, target, version)| format!("{start}{method}{space}{target}{space}{version}"))
}

fn fields() -> impl Strategy<Value = Vec<String>> {
    let field = of(&[
        (2, "X-Plain: value"),
        (2, "x-spaced:   a  b\t"),
        (1, "X-Empty:"),
        (1, "X-Bytes: \u{e4}\u{20ac}"),
        (1, "X-List: a\r\nX-List: b"),
        (1, "X_Under: c"),
        (1, "X-Colon: a: b"),
        (1, "X-Fold: a\r\n b"),
        (1, "X-Space : a"),
        (1, "X-Quote: \"a\\\"b\""),
        (1, "X-Long: 0123456789012345678901234567890123456789012345678901234567890123456789"),
        (1, "Accept: */*"),
        (1, "Connection: keep-alive"),
        (1, "Connection: x-plain"),
        (1, "X-Tab:\ta"),
        (1, "X-Nul: a\0"),
        (1, "X-Cr: a\rb"),
        (1, "Expect: 100-continue"),
    ]);
    proptest::collection::vec(field, 0..4)
}

fn framing() -> impl Strategy<Value = String> {
    of(&[
        (8, "\r\n"),
        (6, "Content-Length: 5\r\n\r\nhello"),
        (2, "Content-Length: 005\r\n\r\nhello"),
        (2, "Content-Length: 0\r\n\r\n"),
        (6, "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        (2, "Transfer-Encoding: Chunked\r\n\r\n2;a=b\r\nhe\r\n03\r\nllo\r\n0\r\n\r\n"),
        (2, "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: x\r\n\r\n"),
        (1, "Transfer-Encoding: chunked\r\n\r\nA\r\nhellohello\r\n0\r\n\r\n"),
        (1, "Transfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n"),
        (1, "Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n"),
        (1, "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n"),
        (1, "Transfer-Encoding: identity, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        (1, "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        (1, "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        (1, "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
        (1, "Content-Length: 5, 5\r\n\r\nhello"),
        (1, "Content-Length: +5\r\n\r\nhello"),
        (1, "Content-Length: 9\r\n\r\nhello"),
    ])
}

fn request() -> impl Strategy<Value = Vec<u8>> {
    let host = of(&[
        (12, "Host: a\r\n"),
        (2, "Host: A.test:80\r\n"),
        (2, ""),
        (1, "Host: a\r\nHost: b\r\n"),
        (1, "Host: a,b\r\n"),
    ]);
    (line(), host, fields(), framing()).prop_map(|(line, host, fields, framing)| {
        let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
        format!("{line}\r\n{host}{fields}{framing}").into_bytes()
    })
}

/// The first request that hyper's server makes of `bytes`, which are all that comes.
async fn by_hyper(bytes: &[u8]) -> Option<Understood> {
    let understood = Arc::new(Mutex::new(None));
    let first = Arc::clone(&understood);
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let first = Arc::clone(&first);
        async move {
            let (head, body) = request.into_parts();
            if let Ok(body) = body.collect().await {
                let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
                let fields = head.headers.iter().filter(|(name, _)| is_compared(name.as_str()));
                let authority = head.uri.authority().map(ToString::to_string);
                first.lock().unwrap().get_or_insert(Understood {
                    method: head.method.to_string(),
                    target: head.uri.path_and_query().map_or("/".into(), ToString::to_string),
                    host: authority.or_else(|| head.headers.get("host").map(text)),
                    fields: fields.map(|(name, value)| (name.to_string(), text(value))).collect(),
                    body: body.to_bytes().to_vec(),
                });
            }
            Ok::<_, Infallible>(http::Response::new(Full::new(Bytes::new())))
        }
    });
    let (mut ours, theirs) = tokio::io::duplex(64 * 1024);
    ours.write_all(bytes).await.unwrap();
    ours.shutdown().await.unwrap();
    let serving =
        hyper::server::conn::http1::Builder::new().half_close(true).serve_connection(TokioIo::new(theirs), service);
    let (_, _) = tokio::join!(serving, async move { ours.read_to_end(&mut Vec::new()).await });
    understood.lock().unwrap().take()
}

/// The first request that reaches the servlet behind our own.
async fn by_ours(proxy: &Running, origin: &Origin, bytes: &[u8]) -> Option<Understood> {
    let mut caller = Caller::connect(&proxy.address).await;
    let _ = caller.socket.write_all(bytes).await;
    // What has no end yet is left by a FIN; what is whole has been answered by then.
    let answered = loop {
        let mut start = [0; 12];
        tokio::select! {
            read = caller.socket.read_exact(&mut start) => match read {
                Ok(_) if &start == b"HTTP/1.1 100" => continue,
                Ok(_) => break &start == b"HTTP/1.1 200",
                Err(_) => break false,
            },
            () = proxy_rests(proxy) => break false,
        }
    };
    let taken = origin.taken().into_iter().next().filter(|_| answered)?;
    let compared = |(name, value): &(String, String)| is_compared(name).then(|| (name.clone(), value.clone()));
    Some(Understood {
        method: taken.method().to_owned(),
        target: taken.target().to_owned(),
        host: taken.field("host").map(str::to_owned),
        fields: taken.fields.iter().filter_map(compared).collect(),
        body: taken.body,
    })
}

/// Other connections are opened and answered, many times over: whoever is still silent waits for more bytes.
async fn proxy_rests(proxy: &Running) {
    for _ in 0..50 {
        Caller::once(&proxy.address, "GET /\r\n").await;
    }
}

#[tokio::test]
async fn what_hyper_and_we_accept_we_understand_alike() {
    let origin = Origin::start().await;
    let proxy = Running::plain(&origin.address).await;
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]));
    let (mut both, mut neither) = (0, 0);
    for _ in 0..1500 {
        let bytes = request().new_tree(&mut runner).unwrap().current();
        let (theirs, ours) = (by_hyper(&bytes).await, by_ours(&proxy, &origin, &bytes).await);
        match (theirs, ours) {
            (Some(mut theirs), Some(mut ours)) => {
                both += 1;
                // A field that Connection names ends with us.
                if bytes.windows(19).any(|part| part == b"Connection: x-plain") {
                    for one in [&mut theirs, &mut ours] {
                        one.fields.retain(|(name, _)| name != "x-plain");
                    }
                }
                theirs.fields.sort();
                ours.fields.sort();
                assert_eq!(ours, theirs, "{}", bytes.escape_ascii());
            }
            (None, None) => neither += 1,
            // We are stricter, and serve 1.0 callers as 1.0 callers.
            (Some(_), None) | (None, Some(_)) => {}
        }
        assert_eq!(origin.unclean(), Vec::<String>::new(), "{}", bytes.escape_ascii());
    }
    assert!(both > 300 && neither > 100, "{both} {neither}: too few to tell");
}
