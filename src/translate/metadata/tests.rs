use super::*;
use crate::translate::conversation::map;

#[test]
fn a_request_keeps_what_the_servlet_may_want_to_know() {
    let kept = [
        ("authorization", "Bearer x"),
        ("x-request-id", "1"),
        ("x-twice", "a"),
        ("x-twice", "b"),
        ("traceparent", "00-1-1-01"),
        ("user-agent", "curl/7"),
        ("cookie", "a=b"),
        ("trace-bin", "AAEC"),
        ("padded-bin", "AA=="),
        ("grpc-trace-bin", "AAEC"),
        ("grpc-tags-bin", "AA"),
        ("x-forwarded-for", "1.2.3.4, 5.6.7.8"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "for=1.2.3.4"),
        ("tracestate", "a=1,b=2"),
        ("tracestate", "c=3"),
        ("baggage", "k=v;p=1, l=%20"),
        ("accept-language", "de"),
        ("range", "bytes=0-1"),
        ("listed-bin", "AAEC, AA"),
        ("snake_case.dotted", "1"),
        ("x-empty", ""),
    ];
    let dropped = [
        ("host", "a"),
        ("connection", "close, X-Hop"),
        ("x-hop", "1"),
        ("keep-alive", "5"),
        ("te", "trailers"),
        ("trailer", "x"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("http2-settings", "AA"),
        ("proxy-authorization", "secret"),
        ("expect", "100-continue"),
        ("content-type", "application/json"),
        ("content-length", "3"),
        ("content-encoding", "br"),
        ("accept", "*/*"),
        ("accept-encoding", "gzip"),
        ("grpc-timeout", "1S"),
        ("grpc-status", "0"),
        ("grpc-encoding", "gzip"),
        ("grpc-previous-rpc-attempts", "2"),
        ("connect-timeout-ms", "1"),
        ("connect-protocol-version", "1"),
        ("connect-content-encoding", "gzip"),
        ("repr-digest", "sha-256=:AA==:"),
        ("broken-bin", "%"),
        ("urlsafe-bin", "-_"),
        ("half-broken-bin", "AAEC, %"),
        ("x-latin", "caf\u{e9}"),
        ("odd!name", "1"),
    ];
    let all: Vec<_> = kept.iter().chain(&dropped).copied().collect();
    assert_eq!(request_metadata(map(&all)), map(&kept));

    // Value by value, where there are several.
    let several =
        [("x-one", "1"), ("x-some", "a"), ("x-some", "caf\u{e9}"), ("x-some", "b"), ("y-bin", "%"), ("y-bin", "AA")];
    let fine = [("x-one", "1"), ("x-some", "a"), ("x-some", "b"), ("y-bin", "AA")];
    assert_eq!(request_metadata(map(&several)), map(&fine));
    let named = [("connection", "x-some"), ("x-some", "a"), ("x-some", "caf\u{e9}"), ("x-one", "1")];
    assert_eq!(request_metadata(map(&named)), map(&[("x-one", "1")]));
}

#[test]
fn a_reply_keeps_metadata_and_loses_what_is_not_the_callers() {
    let kept = [
        ("x-one", "1"),
        ("date", "now"),
        ("server", "s"),
        ("set-cookie", "a=b"),
        ("set-cookie", "c=d"),
        ("data-bin", "AAEC,/w"),
        ("retry-after", "3"),
        ("www-authenticate", "Bearer"),
        ("access-control-allow-origin", "*"),
        ("traceparent", "00-1-1-01"),
    ];
    let dropped = [
        ("content-type", "application/grpc"),
        ("content-length", "7"),
        ("content-encoding", "gzip"),
        ("transfer-encoding", "chunked"),
        ("trailer", "x"),
        ("upgrade", "h2c"),
        ("keep-alive", "1"),
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("proxy-authenticate", "Basic"),
        ("grpc-encoding", "identity"),
        ("grpc-accept-encoding", "gzip"),
        ("grpc-status", "0"),
        ("connect-content-encoding", "gzip"),
        ("endpoint-load-metrics-bin", "AA"),
    ];
    let all: Vec<_> = kept.iter().chain(&dropped).copied().collect();
    assert_eq!(reply_headers(&map(&all), None), map(&kept));
}

#[test]
fn trailers_come_into_a_head_but_for_what_only_a_head_may_say() {
    let initial = map(&[("x-one", "1"), ("set-cookie", "a=b")]);
    let kept = [("x-one", "2"), ("x-cost", "3"), ("cost-bin", "AA"), ("retry-after", "1")];
    let dropped = [
        ("grpc-status", "0"),
        ("grpc-message", "x"),
        ("grpc-status-details-bin", "AA"),
        ("content-length", "9"),
        ("set-cookie", "c=d"),
        ("connection", "close"),
        ("host", "a"),
        ("authorization", "x"),
        ("location", "/"),
        ("cache-control", "public"),
        ("vary", "*"),
        ("x-forwarded-for", "6.6.6.6"),
        ("access-control-allow-origin", "*"),
    ];
    let trailers: Vec<_> = kept.iter().chain(&dropped).copied().collect();
    let expected = [&[("x-one", "1"), ("set-cookie", "a=b")][..], &kept].concat();
    assert_eq!(reply_headers(&initial, Some(&map(&trailers))), map(&expected));
}
