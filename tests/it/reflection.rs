//! `schema: reflection`: descriptors come from the servlet itself, act like a changed file, and are there again at the next start.

use std::sync::{Arc, Mutex};

use prost::Message as _;
use serde_json::json;

use crate::support::http1::{self, Caller};
use crate::support::program::telamon;
use crate::support::proxy::table;
use crate::support::{Call, Running, Servlet, framed, grpc, number_field, text_field};

const V1: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const V1ALPHA: &str = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

const LIB: &str = r#"
schema: reflection
services: [lib.v1.Library]
routes:
  - { match: { method: GET, path: "/v1/books/{id}" }, call: lib.v1.Library/Get }
  - { match: { path: /old/get }, call: lib.v1.Library/Get }
"#;

#[test]
fn check_says_what_it_cannot_check() {
    let directory = tempfile::tempdir().unwrap();
    let write = |path: &str, bytes: &[u8]| {
        let path = directory.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    write("telamon.yaml", b"listeners: [{ name: in, address: 127.0.0.1:0 }]\n");
    write("servlets/lib.yaml", LIB.as_bytes());
    write("endpoints/lib.yaml", b"endpoints: []\n");
    let check = || telamon(&["check", "--config", directory.path().join("telamon.yaml").to_str().unwrap()]);
    let left = check();
    assert_eq!(left.status.code(), Some(0), "{left:?}");
    assert!(
        left.out.contains("lib: services and routes are not checked") && left.out.contains("lib.binpb"),
        "{left:?}"
    );

    let What::Files(files, _) = library("", &[V1]) else { panic!() };
    let set: Vec<u8> = files.iter().flat_map(|(_, bytes)| field(1, bytes)).collect();
    write(".telamon/lib.binpb", &set);
    let left = check();
    assert_eq!(left.status.code(), Some(0), "{left:?}");
    assert!(left.out.contains("lib: checked against the schema that was fetched last"), "{left:?}");
}

/// What a servlet tells of itself, as it can be changed while it runs.
#[derive(Clone)]
struct Told(Arc<Mutex<What>>);

#[derive(Clone)]
enum What {
    /// Nothing: it has no reflection.
    Nothing,
    /// These files, by name, under the paths of these versions.
    Files(Vec<(String, Vec<u8>)>, &'static [&'static str]),
    /// These bytes, as the answer to everything.
    Raw(Vec<u8>),
    /// It takes every call and answers none.
    Silence,
}

impl Told {
    fn new(what: What) -> Told {
        Told(Arc::new(Mutex::new(what)))
    }

    fn now(&self) -> What {
        self.0.lock().unwrap().clone()
    }

    fn set(&self, what: What) {
        *self.0.lock().unwrap() = what;
    }
}

/// The library in two files; `extra` is added to the service.
fn library(extra: &str, versions: &'static [&'static str]) -> What {
    let ask = "syntax = \"proto3\"; package lib.v1; message Ask { int64 id = 1; } message Book { string title = 1; }";
    let service = format!(
        "syntax = \"proto3\"; package lib.v1; import \"lib/ask.proto\"; service Library {{ rpc Get(Ask) returns (Book); {extra} }}"
    );
    let file = |name: &str, text: &str| {
        let file = protox::file::File::from_source(name, text).unwrap();
        (name.to_owned(), file.file_descriptor_proto().encode_to_vec())
    };
    What::Files(vec![file("lib/service.proto", &service), file("lib/ask.proto", ask)], versions)
}

fn field(number: u32, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    prost::encoding::bytes::encode(number, &bytes.to_vec(), &mut out);
    out
}

/// Answers one question of the reflection protocol.
fn answer(question: &[u8], files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let (tag, name) = (question[0] >> 3, String::from_utf8_lossy(&question[2..]).into_owned());
    let told = match tag {
        3 => files.iter().find(|(own, _)| *own == name).map(|(_, bytes)| field(4, &field(1, bytes))),
        4 => (name == "lib.v1.Library").then(|| field(4, &field(1, &files[0].1))),
        7 => {
            let names = ["grpc.reflection.v1.ServerReflection", "lib.v1.Library"];
            Some(field(6, &names.map(|name| field(1, &field(1, name.as_bytes()))).concat()))
        }
        _ => None,
    };
    told.unwrap_or_else(|| field(7, &number_field(1, 5)))
}

/// A library that tells of itself.
async fn servlet(told: &Told) -> Servlet {
    let told = told.clone();
    Servlet::start(move |call: Call| serve(call, told.now())).await
}

async fn serve(mut call: Call, what: What) {
    let path = call.head.uri.path().to_owned();
    if path.starts_with("/lib.v1.") {
        call.read().await;
        return call.reply(&[&text_field(1, "it")], "0", None);
    }
    match what {
        What::Files(files, versions) if versions.contains(&path.as_str()) => {
            let mut send = call.begin();
            while let Some(question) = call.piece().await.filter(|piece| !piece.is_empty()) {
                send.send_data(framed(&answer(&question[5..], &files)).into(), false).unwrap();
            }
            send.send_trailers(crate::support::servlet::trailers("0", None)).unwrap();
        }
        What::Raw(bytes) => {
            call.piece().await;
            let mut send = call.begin();
            let _ = send.send_data(bytes.into(), false);
            call.reset().await;
        }
        What::Silence => call.reset().await,
        What::Files(..) | What::Nothing => call.refuse("12", Some("no such method")),
    }
}

async fn proxy(servlet: &Servlet, settings: &str) -> Running {
    let files = [("servlets/lib.yaml", LIB), ("endpoints/lib.yaml", &table(&[(&servlet.address, 1)]))];
    Running::with(&files, settings).await
}

async fn get(proxy: &Running, path: &str) -> http1::Answer {
    Caller::once(&proxy.address, &format!("GET {path} HTTP/1.0\r\n\r\n")).await
}

async fn post(proxy: &Running, path: &str) -> http1::Answer {
    let request = format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}");
    Caller::once(&proxy.address, &request).await
}

/// Waits for an answer of this status.
async fn becomes(proxy: &Running, path: &str, status: u16) -> http1::Answer {
    loop {
        let answer = post(proxy, path).await;
        if answer.status == status {
            return answer;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn the_servlet_tells_its_schema_in_either_version() {
    for versions in [&[V1][..], &[V1ALPHA], &[V1, V1ALPHA]] {
        let servlet = servlet(&Told::new(library("rpc Put(Book) returns (Book);", versions))).await;
        let proxy = proxy(&servlet, "").await;
        let answer = becomes(&proxy, "/lib.v1.Library/Put", 200).await;
        assert_eq!(answer.json(), json!({"title": "it"}));
        assert_eq!(get(&proxy, "/v1/books/7").await.json(), json!({"title": "it"}));
        let seen = servlet.seen().pop().unwrap();
        assert_eq!((seen.path.as_str(), seen.body), ("/lib.v1.Library/Get", framed(&number_field(1, 7))));
        let asked = servlet.seen().iter().filter(|seen| seen.path == versions[0]).count();
        assert_eq!(asked, 1, "one conversation tells everything");
        let report = proxy.reloads().await[0].clone();
        assert_eq!((&report["servlet"], &report["accepted"]), (&json!("lib"), &json!(true)));
    }
}

#[tokio::test]
async fn services_by_pattern_are_listed_by_the_servlet() {
    let servlet = servlet(&Told::new(library("", &[V1]))).await;
    let files = [
        ("servlets/lib.yaml", "schema: reflection\nservices: [\"*\"]\n"),
        ("endpoints/lib.yaml", &table(&[(&servlet.address, 1)])),
    ];
    let proxy = Running::with(&files, "").await;
    assert_eq!(becomes(&proxy, "/lib.v1.Library/Get", 200).await.json(), json!({"title": "it"}));
}

#[tokio::test]
async fn before_anything_is_told_only_grpc_callers_are_served() {
    let told = Told::new(What::Nothing);
    let servlet = servlet(&told).await;
    let proxy = proxy(&servlet, "").await;
    let caller = grpc::Caller::connect(&proxy.address).await;
    assert_eq!(caller.call("/lib.v1.Library/Get", b"").await.grpc_status(), "0");
    let cases =
        [post(&proxy, "/lib.v1.Library/Get").await, get(&proxy, "/v1/books/7").await, get(&proxy, "/v1/x").await];
    for answer in cases {
        assert_eq!(answer.status, 503);
        let told = answer.json();
        assert_eq!(told["code"], 14);
        assert!(told["message"].as_str().unwrap().contains("schema of servlet `lib` is not fetched yet"), "{told}");
    }
    // Whoever brings protobuf needs no schema; Connect's JSON does.
    let web = "POST /lib.v1.Library/Get HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc-web\r\nContent-Length: 5\r\nConnection: close\r\n\r\n\0\0\0\0\0";
    assert_eq!(Caller::once(&proxy.address, web).await.status, 200);
    let json = "POST /lib.v1.Library/Get HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nConnect-Protocol-Version: 1\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
    let answer = Caller::once(&proxy.address, json).await;
    assert_eq!((answer.status, &answer.json()["code"]), (503, &json!("unavailable")));
    assert!(!proxy.path(".telamon").exists());
    // It learns to tell, and an operator does not want to wait.
    told.set(library("", &[V1]));
    proxy.reload();
    becomes(&proxy, "/lib.v1.Library/Get", 200).await;
    assert_eq!(post(&proxy, "/v1/nobody/knows").await.status, 404);
}

#[tokio::test]
async fn a_servlet_that_hangs_or_lies_stops_nobody_else() {
    let mut huge = vec![0];
    huge.extend_from_slice(&u32::MAX.to_be_bytes());
    let not_descriptors = framed(&field(4, &field(1, b"\x0a\xff")));
    let compressed = [&[1][..], &framed(b"x")[1..]].concat();
    for what in
        [What::Silence, What::Raw(huge), What::Raw(not_descriptors), What::Raw(compressed), What::Raw(framed(b""))]
    {
        let told = Told::new(what);
        let servlet = servlet(&told).await;
        let proxy = proxy(&servlet, "").await;
        while !servlet.seen().iter().any(|seen| seen.path == V1) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let caller = grpc::Caller::connect(&proxy.address).await;
        assert_eq!(caller.call("/lib.v1.Library/Get", b"").await.grpc_status(), "0");
        assert_eq!(post(&proxy, "/lib.v1.Library/Get").await.status, 503);
        told.set(library("", &[V1]));
        proxy.reload();
        becomes(&proxy, "/lib.v1.Library/Get", 200).await;
    }
}

#[tokio::test]
async fn another_endpoint_is_asked_when_one_does_not_answer() {
    let (dumb, speaking) = (servlet(&Told::new(What::Nothing)).await, servlet(&Told::new(library("", &[V1]))).await);
    let files = [
        ("servlets/lib.yaml", LIB),
        ("endpoints/lib.yaml", &table(&[("127.0.0.1:1", 1), (&dumb.address, 1), (&speaking.address, 1)])),
    ];
    let proxy = Running::with(&files, "").await;
    becomes(&proxy, "/lib.v1.Library/Get", 200).await;
}

#[tokio::test]
async fn what_was_told_last_is_there_at_the_next_start() {
    let state = tempfile::tempdir().unwrap();
    let settings = format!("state: {}\n", state.path().display());
    let told = Told::new(library("", &[V1]));
    let servlet = servlet(&told).await;
    let first = proxy(&servlet, &settings).await;
    becomes(&first, "/lib.v1.Library/Get", 200).await;
    let kept = state.path().join("lib.binpb");
    while !kept.exists() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    drop(first);
    told.set(What::Nothing);
    let second = proxy(&servlet, &settings).await;
    assert_eq!(get(&second, "/v1/books/7").await.json(), json!({"title": "it"}));
}

#[tokio::test]
async fn a_new_table_brings_its_endpoints_schema() {
    let old = servlet(&Told::new(library("", &[V1]))).await;
    let new = servlet(&Told::new(library("rpc Put(Book) returns (Book);", &[V1]))).await;
    let proxy = proxy(&old, "").await;
    becomes(&proxy, "/lib.v1.Library/Get", 200).await;
    assert_eq!(post(&proxy, "/lib.v1.Library/Put").await.status, 404);
    proxy.replace("endpoints/lib.yaml", &table(&[(&new.address, 1)]));
    becomes(&proxy, "/lib.v1.Library/Put", 200).await;
}

#[tokio::test]
async fn a_schema_that_does_not_fit_is_refused_and_the_one_before_goes_on() {
    let told = Told::new(library("", &[V1]));
    let servlet = servlet(&told).await;
    let proxy = proxy(&servlet, "").await;
    becomes(&proxy, "/lib.v1.Library/Get", 200).await;
    let kept = proxy.path(".telamon/lib.binpb");
    while !kept.exists() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let before = std::fs::read(&kept).unwrap();
    let known = proxy.reloads().await.len();
    // The method is gone that a route leads to.
    let gone = "syntax = \"proto3\"; package lib.v1; message Ask {} service Library { rpc Other(Ask) returns (Ask); }";
    let file = protox::file::File::from_source("lib/service.proto", gone).unwrap();
    told.set(What::Files(vec![("lib/service.proto".into(), file.file_descriptor_proto().encode_to_vec())], &[V1]));
    proxy.reload();
    let report = proxy.report_after(known).await;
    assert_eq!((&report["servlet"], &report["accepted"]), (&json!("lib"), &json!(false)));
    assert_eq!(report["problems"][0]["path"], "routes[0].call");
    assert_eq!(get(&proxy, "/v1/books/7").await.status, 200);
    assert_eq!(std::fs::read(&kept).unwrap(), before);
}
