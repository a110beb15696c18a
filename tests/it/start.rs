//! A start tells everything that is wrong at once and ends with 1; when it goes well, every port is open.

use std::path::Path;
use std::time::Duration;

use telamon::app::Process;

use crate::support::program::{Left, Program, telamon};
use crate::support::proxy::{ECHO, ECHO_PROTO, table};
use crate::support::{Running, Servlet, http1, servlet};

fn files(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = directory.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    directory
}

fn run(directory: &Path, command: &str) -> Left {
    telamon(&[command, "--config", directory.join("telamon.yaml").to_str().unwrap()])
}

#[test]
fn every_mistake_is_told_at_once_by_check_and_by_run() {
    let directory = files(&[
        ("telamon.yaml", "listeners: [{ name: in, address: 127.0.0.1:0, colour: red }]\nadmin: { address: nowhere }\n"),
        ("servlets/a.yaml", "services: [a.v1.A]\ntimeout: soon\n"),
        ("endpoints/a.yaml", "endpoints:\n  - { address: 127.0.0.1:1, weight: -1 }\n  - { address: 127.0.0.1:1 }\n"),
        ("servlets/b.yaml", "schema: ../protos/b.proto\nservices: [b.v1.B]\n"),
        ("endpoints/b.yaml", "endpoints: [{ address: 127.0.0.1:1 }]\n"),
        ("protos/b.proto", "syntax = \"proto3\";\nmessage {\n"),
        ("servlets/c.yaml", "services: [c.v1.C]\n"),
    ]);
    for command in ["check", "run"] {
        let left = run(directory.path(), command);
        assert_eq!((left.status.code(), &*left.out), (Some(1), ""), "{left:?}");
        for part in [
            "telamon.yaml:1:47: listeners[0].colour",
            "telamon.yaml:2:19: admin.address",
            "servlets/a.yaml:2:10: timeout",
            "endpoints/a.yaml:2:37: endpoints[0].weight",
            "endpoints/a.yaml:3:16: endpoints[1].address",
            "protos/b.proto:2:9",
            "endpoints/c.yaml",
        ] {
            assert!(left.err.contains(part), "{command} does not tell {part}:\n{}", left.err);
        }
    }
}

#[test]
fn what_is_not_there_is_named() {
    let directory = files(&[("telamon.yaml", "listeners: [{ name: in, address: 127.0.0.1:0 }]\n")]);
    for command in ["check", "run"] {
        let left = run(directory.path(), command);
        assert_eq!(left.status.code(), Some(1));
        assert!(left.err.contains("servlets"), "{}", left.err);
        let left = run(&directory.path().join("none"), command);
        assert_eq!(left.status.code(), Some(1));
        assert!(left.err.contains("none/telamon.yaml"), "{}", left.err);
    }
}

#[test]
fn servlets_that_claim_the_same_do_not_start() {
    let directory = files(&[
        ("telamon.yaml", "listeners: [{ name: in, address: 127.0.0.1:0 }]\n"),
        ("servlets/a.yaml", "services: [echo.v1.Echo]\n"),
        ("servlets/b.yaml", "services: [echo.v1.Echo]\n"),
        ("endpoints/a.yaml", "endpoints: []\n"),
        ("endpoints/b.yaml", "endpoints: []\n"),
    ]);
    for command in ["check", "run"] {
        let left = run(directory.path(), command);
        assert_eq!(left.status.code(), Some(1));
        assert!(left.err.contains("servlets/a.yaml:1:12") && left.err.contains("servlets/b.yaml:1:12"), "{}", left.err);
    }
}

#[tokio::test]
async fn an_address_in_use_is_named_with_who_wanted_it() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let socket = tempfile::tempdir().unwrap();
    let path = socket.path().join("in.sock");
    let _unix = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let (unix, free) = (format!("unix:{}", path.display()), "127.0.0.1:0".to_owned());
    let tcp = address.to_string();
    for (listener, admin, told) in [
        (&tcp, &free, vec!["listener `in`", &tcp, "in use"]),
        (&free, &tcp, vec!["admin", &tcp, "in use"]),
        (&unix, &free, vec!["listener `in`", "in.sock", "in use"]),
    ] {
        let start =
            format!("listeners: [{{ name: in, address: \"{listener}\" }}]\nadmin: {{ address: \"{admin}\" }}\n");
        let directory = files(&[("telamon.yaml", &start), ("servlets/.keep", "")]);
        let file = directory.path().join("telamon.yaml");
        let left =
            tokio::task::spawn_blocking(move || telamon(&["run", "--config", file.to_str().unwrap()])).await.unwrap();
        assert_eq!(left.status.code(), Some(1), "{left:?}");
        for part in told {
            assert!(left.err.contains(part), "{part}: {}", left.err);
        }
        // In the same process as well: a start that fails leaves nothing running and nothing bound.
        let file = directory.path().join("telamon.yaml");
        let failed = tokio::task::spawn_blocking(move || Process::start(&file).is_err()).await.unwrap();
        assert!(failed);
    }
    assert!(path.exists(), "a socket that somebody listens on is not taken away");
}

#[tokio::test]
async fn both_in_use_are_both_told() {
    let taken = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let [one, two] = taken.each_ref().map(|listener| listener.local_addr().unwrap().to_string());
    let start = format!("listeners: [{{ name: in, address: \"{one}\" }}]\nadmin: {{ address: \"{two}\" }}\n");
    let directory = files(&[("telamon.yaml", &start), ("servlets/.keep", "")]);
    let file = directory.path().join("telamon.yaml");
    let left =
        tokio::task::spawn_blocking(move || telamon(&["run", "--config", file.to_str().unwrap()])).await.unwrap();
    assert!(left.err.contains(&one) && left.err.contains(&two), "{}", left.err);
}

#[tokio::test]
async fn a_second_telamon_does_not_share_the_ports_of_the_first() {
    let servlet = Servlet::start(servlet::echo).await;
    let first = Running::echo(&[(&servlet.address, 1)]).await;
    for address in [&first.address, &first.admin] {
        let start = format!("listeners: [{{ name: in, address: \"{address}\" }}]\n");
        let directory = files(&[("telamon.yaml", &start), ("servlets/.keep", "")]);
        let file = directory.path().join("telamon.yaml");
        let left =
            tokio::task::spawn_blocking(move || telamon(&["run", "--config", file.to_str().unwrap()])).await.unwrap();
        assert!(left.status.code() == Some(1) && left.err.contains(&**address), "{left:?}");
    }
}

#[tokio::test]
async fn an_access_log_that_cannot_be_opened_ends_the_start() {
    let start = "listeners: [{ name: in, address: 127.0.0.1:0 }]\naccess_log: none/access.json\n";
    let directory = files(&[("telamon.yaml", start), ("servlets/.keep", "")]);
    let left = run(directory.path(), "run");
    assert_eq!(left.status.code(), Some(1));
    assert!(left.err.contains("none/access.json"), "{}", left.err);
}

#[tokio::test]
async fn every_listener_is_open_and_without_admin_there_is_none() {
    let servlet = Servlet::start(servlet::echo).await;
    let sockets = tempfile::tempdir().unwrap();
    let unix = sockets.path().join("mesh.sock");
    let start = format!(
        "workers: 2\nlisteners:\n  - {{ name: a, address: 127.0.0.1:0 }}\n  - {{ name: b, address: \"[::1]:0\" }}\n  - {{ name: c, address: \"unix:{}\" }}\n",
        unix.display()
    );
    let directory = files(&[
        ("telamon.yaml", &start),
        ("protos/echo.proto", ECHO_PROTO),
        ("servlets/echo.yaml", ECHO),
        ("endpoints/echo.yaml", &table(&[(&servlet.address, 1)])),
    ]);
    let file = directory.path().join("telamon.yaml");
    let process = tokio::task::spawn_blocking(move || Process::start(&file).unwrap()).await.unwrap();
    assert!(process.admin().is_none());
    let listeners = process.listeners();
    assert_eq!(listeners.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["a", "b", "c"]);
    for (_, address) in listeners.iter().take(2) {
        assert_eq!(http1::Caller::once(&address.to_string(), "GET /nowhere HTTP/1.0\r\n\r\n").await.status, 404);
    }
    let mut stream = tokio::net::UnixStream::connect(&unix).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, b"GET /nowhere HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.0 404") || answer.starts_with("HTTP/1.1 404"), "{answer}");
    tokio::task::spawn_blocking(move || process.stop(Duration::ZERO)).await.unwrap();
    assert!(!unix.exists(), "its socket file goes with it");
}

#[tokio::test]
async fn a_process_is_dropped_with_all_its_threads() {
    let threads = || {
        std::fs::read_dir("/proc/self/task")
            .unwrap()
            .filter(|task| {
                let name =
                    task.as_ref().map(|task| std::fs::read_to_string(task.path().join("comm")).unwrap_or_default());
                name.is_ok_and(|name| ["worker-0", "worker-1", "control", "watch", "admin"].contains(&name.trim()))
            })
            .count()
    };
    let servlet = Servlet::start(servlet::echo).await;
    // Other tests of this binary may run beside it in the same process: this one counts only where it is alone.
    if threads() == 0 {
        let proxy = Running::echo(&[(&servlet.address, 1)]).await;
        assert_eq!(threads(), 5);
        drop(proxy);
        assert_eq!(threads(), 0);
    }
}

#[tokio::test]
async fn the_program_tells_where_it_listens() {
    let directory = files(&[
        ("telamon.yaml", "listeners: [{ name: in, address: 127.0.0.1:0 }]\nadmin: { address: 127.0.0.1:0 }\n"),
        ("servlets/.keep", ""),
    ]);
    let file = directory.path().join("telamon.yaml");
    let program = tokio::task::spawn_blocking(move || {
        let program = Program::start(&["run", "--config", file.to_str().unwrap()], &[]);
        let addresses = program.addresses();
        (program, addresses)
    });
    let (program, (address, admin)) = program.await.unwrap();
    assert_eq!(http1::Caller::once(&address, "GET / HTTP/1.0\r\n\r\n").await.status, 404);
    assert_eq!(http1::Caller::once(&admin, "GET /readyz HTTP/1.0\r\n\r\n").await.status, 200);
    program.signal(rustix::process::Signal::TERM);
    let left = program.end().await;
    assert!(!left.err.contains('\u{1b}'), "no colour when not on a terminal: {}", left.err);
}
