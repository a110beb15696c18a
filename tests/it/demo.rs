//! `telamon demo`, as a newcomer meets it: what it prints works when it is pasted, and nothing of it is left behind.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::grpc::Caller;
use crate::support::http1;
use crate::support::program::{Left, Program, telamon};

/// A running demo.
struct Demo {
    program: Program,
    /// Its commands, in order.
    commands: Vec<String>,
    proxy: String,
    admin: String,
    files: PathBuf,
}

impl Demo {
    async fn start(args: &[&str], temporary: &Path) -> Demo {
        let args: Vec<String> = ["demo"].iter().chain(args).map(|arg| (*arg).to_owned()).collect();
        let temporary = temporary.to_owned();
        tokio::task::spawn_blocking(move || {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let program = Program::start(&args, &[("TMPDIR", &temporary)]);
            let text = program.says(|text| text.contains("Ctrl-C ends it.").then(|| text.to_owned()));
            let between = |before: &str, after: &str| {
                let rest = text.split_once(before).unwrap_or_else(|| panic!("{before}: {text}")).1;
                rest.split_once(after).unwrap().0.to_owned()
            };
            Demo {
                commands: text.lines().filter_map(|line| line.strip_prefix("    ")).map(str::to_owned).collect(),
                proxy: between("the proxy on http://", ","),
                admin: between("admin on http://", "/,"),
                files: between("files in ", "\n").into(),
                program,
            }
        })
        .await
        .unwrap()
    }

    /// Pastes the command that has all these words into a shell.
    async fn paste(&self, words: &[&str]) -> String {
        let command = self.commands.iter().find(|command| words.iter().all(|word| command.contains(word)));
        let command = command.unwrap_or_else(|| panic!("{words:?}: {:?}", self.commands)).clone();
        tokio::task::spawn_blocking(move || {
            let output = Command::new("sh").arg("-c").arg(&command).output().unwrap();
            assert!(output.status.success(), "{command}: {output:?}");
            String::from_utf8(output.stdout).unwrap()
        })
        .await
        .unwrap()
    }

    async fn get(&self, path: &str) -> http1::Answer {
        http1::Caller::once(&self.proxy, &format!("GET {path} HTTP/1.0\r\n\r\n")).await
    }

    async fn end(self) -> Left {
        self.program.signal(Signal::INT);
        self.program.end().await
    }
}

fn free_port() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}

#[tokio::test]
async fn what_it_prints_works_and_nothing_is_left_behind() {
    let temporary = tempfile::tempdir().unwrap();
    let demo = Demo::start(&["--port", &free_port(), "--admin-port", &free_port()], temporary.path()).await;
    assert!(demo.files.starts_with(std::fs::canonicalize(temporary.path()).unwrap()), "{:?}", demo.files);
    assert!(demo.commands.iter().any(|command| command.contains("curl --http1.0")), "{:?}", demo.commands);

    // The requests of its commands, with a client that every machine has: this one.
    let path = |command: &str| command.split_once(&demo.proxy).unwrap().1.trim_end_matches('\'').to_owned();
    let commands: Vec<&String> = demo.commands.iter().filter(|command| command.contains("curl ")).collect();
    let by = |words: &str| path(commands.iter().find(|command| command.contains(words)).unwrap());
    let who = demo.get(&by("--http1.0 http")).await;
    assert_eq!(who.status, 200);
    assert!(["ada", "bea", "cal"].contains(&who.json()["name"].as_str().unwrap()), "{}", who.text());
    let rye = demo.get(&by("/v1/loaves/rye")).await;
    assert_eq!((rye.status, rye.json()["name"].clone()), (200, "loaves/rye".into()));
    let loaves = demo.get(&by("grain=RYE")).await;
    assert_eq!((loaves.status, loaves.json()["loaves"].as_array().unwrap().len()), (200, 1));
    let watch = demo.get(&by(":watch")).await;
    assert!(watch.status == 200 && watch.json().as_array().unwrap().len() > 1, "{}", watch.text());
    let fail = demo.get(&by("/v1/fail/")).await;
    assert_eq!((fail.status, fail.json()["message"].clone()), (404, "sold out".into()));
    assert_eq!(demo.get(&by("/v1/nothing")).await.status, 404);
    let order = r#"{"loaf":"loaves/rye","quantity":2}"#;
    assert!(commands.iter().any(|command| command.contains(order)));
    let request = format!(
        "POST /v1/orders HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{order}",
        order.len()
    );
    assert_eq!(http1::Caller::once(&demo.proxy, &request).await.status, 200);
    let caller = Caller::connect(&demo.proxy).await;
    assert_eq!(caller.call("/demo.v1.Bakery/Who", b"").await.grpc_status(), "0");
    let explained = demo.paste(&["explain"]).await;
    assert!(explained.contains("servlet   bakery"), "{explained}");

    let files = demo.files.clone();
    assert!(files.join("telamon.yaml").is_file());
    let left = demo.end().await;
    assert_eq!((left.status.code(), &*left.err), (Some(0), ""), "{left:?}");
    assert!(!files.exists(), "its files are removed");
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0);
    assert!(!left.out.contains('\u{1b}'), "no colour when not on a terminal: {}", left.out);
}

#[tokio::test]
async fn editing_the_file_that_it_names_moves_the_shares() {
    let temporary = tempfile::tempdir().unwrap();
    let demo =
        Demo::start(&["--port", &free_port(), "--admin-port", &free_port(), "--work", "0"], temporary.path()).await;
    let mut counts = std::collections::BTreeMap::<String, i32>::new();
    for _ in 0..60 {
        let name = demo.get("/v1/who").await.json()["name"].as_str().unwrap().to_owned();
        *counts.entry(name).or_default() += 1;
    }
    assert_eq!(counts.len(), 3, "{counts:?}");
    demo.paste(&["sed -i", "weight: 0"]).await;
    let path = "GET /api/v1/servlets/bakery/endpoints HTTP/1.0\r\n\r\n";
    while http1::Caller::once(&demo.admin, path).await.json()["endpoints"][0]["configured_weight"] != 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut after = std::collections::BTreeMap::<String, i32>::new();
    for _ in 0..30 {
        let name = demo.get("/v1/who").await.json()["name"].as_str().unwrap().to_owned();
        *after.entry(name).or_default() += 1;
    }
    assert_eq!(after.get("ada"), None, "{after:?}");
    assert!(after["bea"] > after["cal"], "{after:?}");
    // It shows what it did, and what it will not do.
    let table = demo.files.join("endpoints/bakery.yaml");
    let demo = tokio::task::spawn_blocking(move || {
        demo.program.says(|text| text.contains("reloaded: ").then_some(()));
        let text = std::fs::read_to_string(&table).unwrap();
        std::fs::write(&table, text.replace("weight: 2", "weight: two")).unwrap();
        demo.program.says(|text| (text.contains("not reloaded: ") && text.contains("bakery.yaml:4")).then_some(()));
        demo
    });
    let demo = demo.await.unwrap();
    assert_eq!(demo.get("/v1/who").await.status, 200);
    assert_eq!(demo.end().await.status.code(), Some(0));
}

#[tokio::test]
async fn a_taken_port_is_passed_over() {
    let temporary = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let demo = Demo::start(&["--port", &port, "--admin-port", &port], temporary.path()).await;
    assert!(!demo.proxy.ends_with(&port) && !demo.admin.ends_with(&port));
    assert_ne!(demo.proxy, demo.admin);
    assert_eq!(demo.get("/v1/who").await.status, 200);
    assert_eq!(demo.end().await.status.code(), Some(0));
}

#[tokio::test]
async fn a_directory_of_ones_own_is_kept_and_one_in_use_is_refused() {
    let temporary = tempfile::tempdir().unwrap();
    let own = temporary.path().join("my demo");
    let args = ["--dir", own.to_str().unwrap(), "--port", "0", "--admin-port", "0", "--load", "50"];
    let demo = Demo::start(&args, temporary.path()).await;
    // The load shows, without any client.
    let demo = tokio::task::spawn_blocking(move || {
        demo.program.says(|text| text.rsplit_once("ends it.")?.1.contains("ada").then_some(()));
        demo
    });
    assert_eq!(demo.await.unwrap().end().await.status.code(), Some(0));
    let settings = own.join("telamon.yaml");
    assert_eq!(telamon(&["check", "--config", settings.to_str().unwrap()]).status.code(), Some(0));
    let left = telamon(&["demo", "--dir", own.to_str().unwrap()]);
    assert_eq!(left.status.code(), Some(1));
    assert!(left.err.contains("not empty") && left.err.contains("my demo"), "{left:?}");
}
