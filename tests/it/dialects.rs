//! The matrix: every form that callers speak in, by every kind of call, coding, outcome and version of HTTP. A call that can be carried
//! is, and both ends see what was meant; one that cannot is told so, and never reaches the servlet. `docs/dialects.md` shows what was
//! found.

mod asked;
mod cell;
mod codec;
mod expected;
mod page;
mod servlet;
mod told;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use asked::{Asked, PATIENCE_MS};
use cell::{Cell, Outcome, Way};
use expected::{Promise, passes_gzip, promise};
use page::Found;
use servlet::{Board, Saw};
use told::{End, Told};
use wire::{Exchange, Raw};

use crate::support::Running;
use crate::support::proxy::table;

const PROTO: &str = r#"
syntax = "proto3";
package matrix.v1;
import "google/api/annotations.proto";
import "google/api/httpbody.proto";

service Matrix {
  rpc Unary(Words) returns (Words) {
    option idempotency_level = NO_SIDE_EFFECTS;
    option (google.api.http) = { post: "/m/unary" body: "*" };
  }
  rpc Client(stream Words) returns (Words) { option (google.api.http) = { post: "/m/client" body: "*" }; }
  rpc Server(Words) returns (stream Words) { option (google.api.http) = { post: "/m/server" body: "*" }; }
  rpc Bidi(stream Words) returns (stream Words) { option (google.api.http) = { post: "/m/bidi" body: "*" }; }
  rpc RawUnary(google.api.HttpBody) returns (google.api.HttpBody) {
    option (google.api.http) = { post: "/m/raw/unary" body: "*" };
  }
  rpc RawClient(stream google.api.HttpBody) returns (google.api.HttpBody) {
    option (google.api.http) = { post: "/m/raw/client" body: "*" };
  }
  rpc RawServer(google.api.HttpBody) returns (stream google.api.HttpBody) {
    option (google.api.http) = { post: "/m/raw/server" body: "*" };
  }
  rpc RawBidi(stream google.api.HttpBody) returns (stream google.api.HttpBody) {
    option (google.api.http) = { post: "/m/raw/bidi" body: "*" };
  }
}
message Words { string text = 1; }
"#;

/// How many cells are begun at a time: what a call's begin takes is bounded, whatever the machine.
const AT_ONCE: usize = 24;

/// Far longer than any call takes: one that hangs is named.
const HANGS: Duration = Duration::from_secs(90);

async fn proxy(address: &str) -> Running {
    let table = table(&[(address, 1)]);
    let late = format!("timeout: {PATIENCE_MS}ms\n");
    let of = |path: &str, how: &str| format!("routes: [{{ match: {{ path: \"{path}\" }}{how} }}]\n");
    let plain = of("/plain/**", "") + "upstream: http2\n";
    let late_plain = of("/late-plain/**", "") + "upstream: http2\n" + &late;
    let envelope = of("/envelope/**", ", call: telamon.v1.HttpServlet/Serve");
    let late_envelope = of("/late-envelope/**", ", call: telamon.v1.HttpServlet/Serve") + &late;
    let files = [
        ("protos/matrix.proto", PROTO),
        ("servlets/matrix.yaml", "schema: ../protos/matrix.proto\nservices: [matrix.v1.Matrix]\n"),
        ("servlets/plain.yaml", &plain),
        ("servlets/late-plain.yaml", &late_plain),
        ("servlets/envelope.yaml", &envelope),
        ("servlets/late-envelope.yaml", &late_envelope),
        ("endpoints/envelope.yaml", &table),
        ("endpoints/late-envelope.yaml", &table),
        ("endpoints/matrix.yaml", &table),
        ("endpoints/plain.yaml", &table),
        ("endpoints/late-plain.yaml", &table),
    ];
    Running::with(&files, "").await
}

#[tokio::test]
async fn every_dialect_carries_what_it_can_and_tells_what_it_cannot() {
    let board = Board::default();
    let servlet = servlet::start(&board).await;
    let proxy = proxy(&servlet.address).await;
    let (places, mut running) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
    let mut cells = Cell::all();
    // Those that wait for a deadline wait beside the others.
    cells.sort_by_key(|cell| cell.outcome != Outcome::Deadline);
    for (number, cell) in cells.into_iter().enumerate() {
        let (places, board, address) = (Arc::clone(&places), board.clone(), proxy.address.clone());
        running.spawn(async move {
            let run = run(cell, number.to_string(), &address, &board, &places);
            match tokio::time::timeout(HANGS, run).await {
                Ok(found) => found,
                Err(_) => Err(format!("{cell}: hangs; {:?}", board.saw(&number.to_string()))),
            }
        });
    }
    let (mut found, mut wrong) = (Vec::new(), Vec::new());
    for one in running.join_all().await {
        match one {
            Ok(one) => found.push(one),
            Err(told) => wrong.push(told),
        }
    }
    wrong.sort();
    assert!(wrong.is_empty(), "{} of {} cells:\n{}", wrong.len(), wrong.len() + found.len(), wrong.join("\n"));
    found.sort_by_key(|one| one.cell);
    page::check(&found);
    for servlet in proxy.servlets().await {
        proxy.at_rest(&servlet).await;
    }
}

/// Makes the call of one cell and holds it to its promise.
async fn run(cell: Cell, id: String, address: &str, board: &Board, places: &Semaphore) -> Result<Found, String> {
    let place = places.acquire().await.unwrap();
    let mut exchange = Exchange::open(address, cell.http, Asked::of(&cell, &id)).await;
    let mut answer = None;
    if matches!(cell.outcome, Outcome::Deadline | Outcome::Gone) {
        tokio::select! {
            raw = exchange.read() => answer = Some(raw),
            () = board.until(&id, |saw| saw.hangs) => {}
        }
    }
    let raw = match answer {
        Some(raw) => Some(raw),
        None if cell.outcome == Outcome::Gone => {
            exchange.vanish();
            None
        }
        None => {
            // The others need not wait with it.
            drop(place);
            Some(exchange.read().await)
        }
    };
    let promise = promise(&cell);
    if promise.carried && matches!(cell.outcome, Outcome::Deadline | Outcome::Gone) {
        board.until(&id, |saw| saw.reset).await;
    }
    let told = match &raw {
        Some(raw) => told::read(&cell, raw).map_err(|told| format!("{cell}: {told}\n    of {}", shown(raw)))?,
        None => Told { messages: Vec::new(), end: End::Gone, words: String::new(), gzip: false },
    };
    let saw = board.saw(&id);
    let mut wrong = Vec::new();
    check_told(&promise, &told, &mut wrong);
    check_saw(&cell, &promise, &saw, &mut wrong);
    if !wrong.is_empty() {
        let raw = raw.as_ref().map_or_else(String::new, |raw| format!("\n    of {}", shown(raw)));
        return Err(format!("{cell}: {}{raw}", wrong.join("; ")));
    }
    let carried = saw.calls > 0;
    Ok(Found { cell, told, carried, passed_gzip: carried && saw.gzip })
}

fn shown(raw: &Raw) -> String {
    let body = String::from_utf8_lossy(&raw.body);
    format!("{} {:?} {body:?} {:?}, whole: {}", raw.status, raw.headers, raw.trailers, raw.whole)
}

fn check_told(promise: &Promise, told: &Told, wrong: &mut Vec<String>) {
    let expected = &promise.told;
    let is_error = matches!(told.end, End::Error(..));
    // A break may overtake what was written just before it.
    let part = expected.end == End::Broken
        && told.messages.iter().zip(&expected.messages).all(|(is, all)| all.starts_with(is));
    let same = expected.messages == told.messages || part;
    if expected.end == End::Ok && expected.gzip != told.gzip {
        wrong.push(format!("compressed: {}, and not {}", told.gzip, expected.gzip));
    }
    if !same || expected.end != told.end || !told.words.contains(&expected.words) || is_error == told.words.is_empty() {
        wrong.push(format!("expected {expected}, told {told}"));
    }
}

/// What the servlet saw is what the caller meant.
fn check_saw(cell: &Cell, promise: &Promise, saw: &Saw, wrong: &mut Vec<String>) {
    let mut expect = |what: &str, is: bool| {
        if !is {
            wrong.push(format!("{what}: {saw:?}"));
        }
    };
    if !promise.carried {
        return expect("the servlet was called", saw.calls == 0);
    }
    expect("the servlet was not called once", saw.calls == 1);
    let texts = cell.texts();
    let same = if cell.way.is_bytes(cell.kind) { saw.texts.concat() == texts.concat() } else { saw.texts == texts };
    expect("the servlet got other messages", same);
    expect("the servlet got no whole request", saw.whole);
    let cancelled = matches!(cell.outcome, Outcome::Deadline | Outcome::Gone);
    expect("the servlet's call was reset, or was not", saw.reset == cancelled);
    expect("compression passed, or did not", saw.gzip == (cell.is_gzip() && passes_gzip(cell)));
    let header = |name: &str| saw.headers.get(name).map(|value| value.to_str().unwrap());
    if cell.way != Way::Plain {
        expect("no gRPC", header("content-type").is_some_and(|value| value.starts_with("application/grpc")));
        expect("no trailers are taken", header("te") == Some("trailers"));
        let timed = cell.outcome == Outcome::Deadline;
        expect("no deadline is told", !timed || header("grpc-timeout").is_some());
    }
}
