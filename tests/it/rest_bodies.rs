//! What bodies beside JSON become: forms, files of any size, and raw protobuf, over every version of HTTP.

use bytes::Bytes;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::flow::Flow;
use crate::support::http1::{Answer, Caller};
use crate::support::proxy::table;
use crate::support::servlet::trailers;
use crate::support::{Call, Running, Servlet, framed, http2, number_field, text_field};

const PROTO: &str = r#"
syntax = "proto3";
package files.v1;
import "google/api/annotations.proto";
import "google/api/httpbody.proto";

service Files {
  rpc Note(Note) returns (Note) { option (google.api.http) = { post: "/v1/notes/{number}" body: "*" additional_bindings { get: "/v1/notes/{number}" } additional_bindings { post: "/v1/next/{number}" body: "next" response_body: "next" } }; }
  rpc Keep(File) returns (Note) { option (google.api.http) = { post: "/v1/files/{name}" body: "content" }; }
  rpc Push(stream google.api.HttpBody) returns (Note) { option (google.api.http) = { post: "/v1/push" body: "*" }; }
  rpc Pull(Note) returns (stream google.api.HttpBody) { option (google.api.http) = { get: "/v1/pull" }; }
  rpc List(Note) returns (stream Note) { option (google.api.http) = { post: "/v1/list" body: "*" }; }
  rpc Join(stream Note) returns (Note) { option (google.api.http) = { post: "/v1/join" body: "*" }; }
  rpc Plain(Note) returns (Note);
}
message Note { string text = 1; int64 number = 2; repeated string tags = 3; bytes blob = 4; Note next = 5; }
message File { string name = 1; google.api.HttpBody content = 2; }
"#;

async fn files(servlet: &str) -> Running {
    let files = [
        ("protos/files.proto", PROTO),
        ("servlets/files.yaml", "schema: ../protos/files.proto\nservices: [files.v1.Files]\n"),
        ("endpoints/files.yaml", &table(&[(servlet, 1)])),
    ];
    Running::with(&files, "").await
}

/// Answers each call with one note, `{"text": "it"}`, or as the header `x-code` says.
async fn one_note() -> Servlet {
    Servlet::start(|mut call: Call| async move {
        call.read().await;
        match call.head.headers.get("x-code").cloned() {
            Some(code) => call.refuse(code.to_str().unwrap(), Some("no")),
            None => call.reply(&[&text_field(1, "it")], "0", None),
        }
    })
    .await
}

/// One request over each version of HTTP.
async fn everywhere(
    address: &str,
    (method, path): (&str, &str),
    fields: &[(&str, &str)],
    body: &[u8],
) -> Vec<(u16, String, Vec<u8>)> {
    let mut answers = Vec::new();
    let kept =
        |answer: Answer| (answer.status, answer.header("content-type").unwrap_or_default().to_owned(), answer.body);
    for version in ["1.0", "1.1"] {
        let lines: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!("{method} {path} HTTP/{version}\r\nHost: a\r\nConnection: close\r\n{lines}");
        let mut caller = Caller::connect(address).await;
        caller.write(format!("{head}Content-Length: {}\r\n\r\n", body.len())).await;
        caller.write(body).await;
        answers.push(kept(caller.answer().await.unwrap()));
    }
    let mut request = http2::request(method, path);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let answer = http2::once(address, request.body(()).unwrap(), body).await.unwrap();
    let content_type = answer.headers["content-type"].to_str().unwrap().to_owned();
    answers.push((answer.status.as_u16(), content_type, answer.body));
    answers
}

fn nested(field: u8, message: &[u8]) -> Vec<u8> {
    [&[field << 3 | 2, u8::try_from(message.len()).unwrap()], message].concat()
}

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
const MULTIPART: (&str, &str) = ("Content-Type", "multipart/form-data; boundary=\"b b\"");

/// A form of parts: name, more of its disposition and other headers, content.
fn multipart(parts: &[(&str, &str, &str)]) -> String {
    let part = |(name, more, content): &(&str, &str, &str)| {
        format!("--b b\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n{content}\r\n")
    };
    parts.iter().map(part).chain(["--b b--\r\n".to_owned()]).collect()
}

#[tokio::test]
async fn forms_become_the_message_over_every_version() {
    let servlet = one_note().await;
    let proxy = files(&servlet.address).await;
    let note = [text_field(1, "a b+"), text_field(3, "x"), text_field(3, "y"), nested(5, &number_field(2, 5))].concat();
    let form = "text=a+b%2B&tags=x&tags=y&next.number=5";
    let parts = multipart(&[("text", "", "a b+"), ("tags", "", "x"), ("tags", "", "y"), ("next.number", "", "5")]);
    let file = "; filename=\"f.png\"\r\nContent-Type: image/png";
    let png = [text_field(1, "image/png"), text_field(2, "\u{1}PNG")].concat();
    for (path, content_type, body, message) in [
        ("/v1/notes/7", FORM, form.to_owned(), [&*note, &number_field(2, 7)].concat()),
        ("/v1/notes/7", MULTIPART, parts, [&*note, &number_field(2, 7)].concat()),
        ("/files.v1.Files/Plain", FORM, "number=3".into(), number_field(2, 3)),
        ("/v1/next/7", FORM, "text=n".into(), [nested(5, &text_field(1, "n")), number_field(2, 7)].concat()),
        ("/v1/notes/7", MULTIPART, multipart(&[("blob", file, "\u{1}\r\n-")]), {
            [text_field(4, "\u{1}\r\n-"), number_field(2, 7)].concat()
        }),
        (
            "/v1/files/n",
            MULTIPART,
            multipart(&[("any", file, "\u{1}PNG")]),
            [nested(2, &png), text_field(1, "n")].concat(),
        ),
        ("/v1/push", MULTIPART, multipart(&[("any", file, "\u{1}PNG")]), png.clone()),
    ] {
        let calls = servlet.calls();
        for (status, ..) in everywhere(&proxy.address, ("POST", path), &[content_type], body.as_bytes()).await {
            assert_eq!(status, 200, "{path} {body}");
        }
        for seen in &servlet.seen()[calls..] {
            assert_eq!(seen.body, framed(&message), "{path} {body}");
            assert!(seen.whole);
        }
    }
    proxy.at_rest("files").await;
}

#[tokio::test]
async fn a_form_that_does_not_fit_never_reaches_the_servlet() {
    let servlet = one_note().await;
    let proxy = files(&servlet.address).await;
    let latin = ("Content-Type", "application/x-www-form-urlencoded; charset=iso-8859-1");
    let cut = multipart(&[("text", "", "x")]);
    let unknown = multipart(&[("nothing", "", "x")]);
    for (content_type, body, status, part) in [
        (FORM, "nothing=1", 400, "`nothing`"),
        (FORM, "next.next.nothing=1", 400, "`next.next.nothing`"),
        (FORM, "text=%ff", 400, "`text`"),
        (latin, "text=x", 415, "UTF-8"),
        (MULTIPART, &unknown, 400, "`nothing`"),
        (MULTIPART, &cut[..cut.len() - 5], 400, "last boundary"),
        (("Content-Type", "multipart/form-data"), &cut, 400, "boundary"),
        (("Content-Type", "text/plain"), "x", 415, "application/x-www-form-urlencoded"),
    ] {
        for (got, kind, told) in
            everywhere(&proxy.address, ("POST", "/v1/notes/7"), &[content_type], body.as_bytes()).await
        {
            let told: serde_json::Value = serde_json::from_slice(&told).unwrap();
            assert_eq!((got, &*kind), (status, "application/json"), "{body}: {told}");
            assert!(told["message"].as_str().unwrap().contains(part), "{body}: {told}");
        }
    }
    assert_eq!(servlet.calls(), 0);
    proxy.at_rest("files").await;
}

#[tokio::test]
async fn protobuf_is_taken_and_answered_in_kind_over_every_version() {
    let servlet = one_note().await;
    let proxy = files(&servlet.address).await;
    let body = [text_field(1, "x"), number_field(2, 1)].concat();
    for name in ["application/x-protobuf", "application/protobuf", "application/vnd.google.protobuf"] {
        let fields = [("Content-Type", name), ("Accept", "*/*")];
        for (path, message) in
            [("/files.v1.Files/Plain", body.clone()), ("/v1/notes/7", [&*body, &number_field(2, 7)].concat())]
        {
            let calls = servlet.calls();
            for answer in everywhere(&proxy.address, ("POST", path), &fields, &body).await {
                assert_eq!(answer, (200, name.to_owned(), text_field(1, "it")), "{path}");
            }
            assert!(servlet.seen()[calls..].iter().all(|seen| seen.body == framed(&message) && seen.whole), "{path}");
        }
        let refused = [fields[0], ("X-Code", "9")];
        for answer in everywhere(&proxy.address, ("POST", "/v1/notes/7"), &refused, &body).await {
            assert_eq!(answer, (400, name.to_owned(), [number_field(1, 9), text_field(2, "no")].concat()));
        }
        let calls = servlet.calls();
        for (path, sent, expected) in [
            ("/v1/notes/7", &b"{}"[..], 400),
            ("/v1/none", &body, 404),
            ("/v1/join", &body, 415),
            ("/v1/list", &body, 406),
        ] {
            for (status, kind, told) in everywhere(&proxy.address, ("POST", path), &fields[..1], sent).await {
                assert_eq!((status, &*kind, told[0]), (expected, name, 8), "{path}");
            }
        }
        assert_eq!(servlet.calls(), calls);
        // Without a body, by Accept.
        let get = format!("GET /v1/notes/7 HTTP/1.0\r\nAccept: {name}\r\n\r\n");
        let answer = Caller::once(&proxy.address, &get).await;
        assert_eq!((answer.header("content-type"), &answer.body), (Some(name), &text_field(1, "it")));
    }
    proxy.at_rest("files").await;
}

#[tokio::test]
async fn protobuf_and_json_meet_by_accept() {
    let servlet = one_note().await;
    let proxy = files(&servlet.address).await;
    let fields = [("Content-Type", "application/x-protobuf"), ("Accept", "application/json")];
    for (status, kind, body) in everywhere(&proxy.address, ("POST", "/v1/notes/7"), &fields, b"").await {
        assert_eq!((status, &*kind), (200, "application/json"));
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&body).unwrap(), json!({"text": "it"}));
    }
    let fields = [("Content-Type", "application/x-protobuf"), ("Accept", "application/x-ndjson")];
    for (status, kind, body) in everywhere(&proxy.address, ("POST", "/v1/list"), &fields, b"").await {
        assert_eq!((status, &*kind, &*body), (200, "application/x-ndjson", &b"{\"text\":\"it\"}\n"[..]));
    }
}

const MIB: usize = 1 << 20;
const MANY: usize = 100;
/// What windows and socket buffers on the way may hold. Nobody holds the file.
const AHEAD: usize = 12 * MIB;

#[tokio::test]
async fn a_file_of_any_size_goes_up_in_bounded_memory() {
    let (servlet, go) = Servlet::gated(|mut call, sign| async move {
        sign.acquire().await.unwrap().forget();
        call.read().await;
        call.reply(&[&text_field(1, "it")], "0", None);
    })
    .await;
    let proxy = files(&servlet.address).await;
    let before =
        "--b b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\nContent-Type: image/png\r\n\r\n";
    for (content_type, before, after) in
        [("image/png", "", ""), ("multipart/form-data; boundary=\"b b\"", before, "\r\n--b b--")]
    {
        let (mut read, mut write) = Caller::connect(&proxy.address).await.socket.into_split();
        let flow = Flow::default();
        let sending = tokio::spawn({
            let flow = flow.clone();
            async move {
                let length = before.len() + MANY * MIB + after.len();
                let fields = format!("Content-Type: {content_type}\r\nContent-Length: {length}");
                let head = format!("POST /v1/push HTTP/1.0\r\n{fields}\r\n\r\n{before}");
                write.write_all(head.as_bytes()).await.unwrap();
                flow.pour(&mut write, b'x', MANY * MIB).await;
                write.write_all(after.as_bytes()).await.unwrap();
                write
            }
        });
        let ahead = flow.stand(MANY * MIB).await;
        assert!(ahead <= AHEAD, "{ahead} bytes taken that the servlet did not read");
        go.add_permits(1);
        let mut text = String::new();
        read.read_to_string(&mut text).await.unwrap();
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        drop(sending.await.unwrap());
        let body = servlet.seen().pop().unwrap().body;
        let mut rest = &body[..];
        let (mut length, mut first) = (0, true);
        while !rest.is_empty() {
            let size = u32::from_be_bytes(rest[1..5].try_into().unwrap()) as usize;
            let (message, after) = rest[5..].split_at(size);
            rest = after;
            assert!(size <= MIB + 64, "a message of {size} bytes");
            // The type, once; then field 2 and its length.
            let told = text_field(1, "image/png");
            let data = if first { message.strip_prefix(&*told).unwrap() } else { message };
            let prefix = 1 + data[1..].iter().take_while(|byte| **byte >= 0x80).count() + 1;
            assert!(data[0] == 0x12 && data[prefix..].iter().all(|byte| *byte == b'x'));
            length += data.len() - prefix;
            first = false;
        }
        assert_eq!(length, MANY * MIB);
    }
    proxy.at_rest("files").await;
}

#[tokio::test]
async fn a_file_of_any_size_comes_down_in_bounded_memory_with_its_type() {
    let flow = Flow::default();
    let servlet = {
        let flow = flow.clone();
        Servlet::start(move |mut call: Call| {
            let flow = flow.clone();
            async move {
                call.read().await;
                let mut send = call.begin();
                // `HttpBody.data` of 1 MiB: field 2, its length as a varint.
                let data = [&[0x12, 0x80, 0x80, 0x40][..], &vec![b'x'; MIB]].concat();
                send.send_data(framed(&text_field(1, "video/mp4")).into(), false).unwrap();
                if flow.carry(&mut send, &Bytes::from(framed(&data)), MANY).await {
                    send.send_trailers(trailers("0", None)).unwrap();
                }
            }
        })
        .await
    };
    let proxy = files(&servlet.address).await;
    let mut caller = Caller::connect(&proxy.address).await;
    caller.write("GET /v1/pull HTTP/1.0\r\nAccept: application/x-ndjson\r\n\r\n").await;
    let ahead = flow.stand(MANY * MIB).await;
    assert!(ahead <= AHEAD, "{ahead} bytes sent that nobody read");
    let answer = caller.answer().await.unwrap();
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("video/mp4")));
    assert_eq!(answer.body.len(), MANY * MIB);
    proxy.at_rest("files").await;
}
