//! The command line: it teaches, it explains, and it tells by its exit code how it went.

use std::path::Path;

use serde_json::Value;

use crate::support::program::{Left, telamon};

fn repository(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path).to_str().unwrap().to_owned()
}

/// `telamon explain` over the samples. Its exit code is 1 where Telamon would answer the request itself.
fn explain(args: &[&str]) -> String {
    let settings = repository("config/telamon.yaml");
    let left = telamon(&[&["explain", "--config", &settings], args].concat());
    let code = if left.out.contains("answered by Telamon") { 1 } else { 0 };
    assert_eq!((left.status.code(), &*left.err), (Some(code), ""), "{left:?}");
    left.out
}

#[test]
fn every_command_teaches() {
    let whole = telamon(&["--help"]);
    assert_eq!(whole.status.code(), Some(0));
    for command in ["run", "check", "demo", "explain", "openapi", "schema"] {
        assert!(whole.out.contains(command), "{command}");
        let left = telamon(&[command, "--help"]);
        assert_eq!((left.status.code(), &*left.err), (Some(0), ""), "{command}");
        let example = format!("telamon {command}");
        let examples =
            left.out.split_once("Examples:").unwrap_or_else(|| panic!("{command} shows no examples:\n{}", left.out)).1;
        assert!(examples.contains(&example), "{command}:\n{}", left.out);
        assert!(!left.out.contains('\u{1b}'), "{command}: colour in a pipe");
    }
    let version = telamon(&["--version"]);
    assert_eq!(version.out, format!("telamon {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_usage_error_exits_with_2_and_says_what_is_right() {
    for (args, told) in [
        (&["serve"][..], "serve"),
        (&[], "Usage"),
        (&["run", "--confg", "x"], "--config"),
        (&["run", "--log-level", "loud"], "debug"),
        (&["explain", "GET"], "<URL>"),
        (&["explain", "GET", "nope"], "a path that starts with a slash"),
        (&["explain", "GET", "/", "-H", "nonsense"], "name: value"),
        (&["demo", "--port", "70000"], "65535"),
        (&["schema", "extra"], "extra"),
    ] {
        let left = telamon(args);
        assert_eq!((left.status.code(), &*left.out), (Some(2), ""), "{args:?}: {left:?}");
        assert!(left.err.contains(told), "{args:?}: {}", left.err);
    }
}

#[test]
fn check_is_quiet_about_good_files_but_for_their_names() {
    let settings = repository("config/telamon.yaml");
    let left = telamon(&["check", "--config", &settings]);
    assert_eq!((left.status.code(), &*left.err), (Some(0), ""));
    assert_eq!(
        left.out,
        format!(
            "{settings}: good: 6 servlets (echo, greeter, ledger, library, monolith, wiki), 14 endpoints, 20 routes\n"
        )
    );
}

#[test]
fn check_against_tells_what_changes_for_callers() {
    let samples = repository("config");
    let settings = format!("{samples}/telamon.yaml");
    let against = |other: &str| telamon(&["check", "--config", &settings, "--against", other]);
    for other in [&samples, &settings] {
        let left = against(other);
        assert_eq!((left.status.code(), &*left.err), (Some(0), ""));
        assert_eq!(
            left.out,
            format!(
                "{settings}: good: 6 servlets (echo, greeter, ledger, library, monolith, wiki), 14 endpoints, 20 routes\n"
            ),
            "the same"
        );
    }

    // What was deployed had another field in the place of `name`, and a servlet more.
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let greeter = std::fs::read_to_string(repository("config/protos/greeter.proto")).unwrap();
    write("protos/greeter.proto", &greeter.replace("string name = 1;", "string who = 1;"));
    write("telamon.yaml", "listeners: [{ name: in, address: 127.0.0.1:0 }]\n");
    write("servlets/greeter.yaml", "schema: ../protos/greeter.proto\nservices: [greeter.v1.Greeter]\n");
    write("servlets/old.yaml", "services: [old.v1.Old]\n");
    write("endpoints/greeter.yaml", "endpoints: []\n");
    write("endpoints/old.yaml", "endpoints: []\n");
    let left = against(directory.path().to_str().unwrap());
    assert_eq!(left.status.code(), Some(1), "{left:?}");
    assert!(left.out.contains("greeter: ") && left.out.contains("renamed to `name` (breaks JSON callers)"), "{left:?}");
    assert!(left.out.contains("old: the servlet is gone"), "{left:?}");
    let told = "protos/greeter.proto:11:3: greeter.v1.GreetRequest.who: renamed to `name`, which breaks JSON callers";
    assert!(left.err.contains(told) && left.err.contains("schema_changes: allow"), "{left:?}");

    let left = against("no-such-directory");
    assert_eq!(left.status.code(), Some(1));
    assert!(left.err.starts_with("--against no-such-directory:"), "{left:?}");
}

#[test]
fn the_schema_is_a_json_schema_of_all_three_files() {
    let left = telamon(&["schema"]);
    assert_eq!((left.status.code(), &*left.err), (Some(0), ""));
    let schema: Value = serde_json::from_str(&left.out).unwrap();
    assert!(schema["$schema"].as_str().unwrap().starts_with("https://json-schema.org/"), "{}", left.out);
    let definitions = schema["$defs"].as_object().unwrap();
    assert!(definitions.len() >= 3, "{:?}", definitions.keys());
    let text = left.out.as_str();
    for key in
        ["listeners", "access_log", "services", "upstream", "balance", "endpoints", "groups", "weight", "timeout"]
    {
        assert!(text.contains(&format!("\"{key}\"")), "{key}");
    }
    // References lead somewhere.
    for reference in text.split("\"$ref\": \"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(schema.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn openapi_prints_the_rest_surface_of_a_servlet() {
    let settings = repository("config/telamon.yaml");
    let left = telamon(&["openapi", "echo", "--config", &settings]);
    assert_eq!((left.status.code(), &*left.err), (Some(0), ""));
    let document: Value = serde_json::from_str(&left.out).unwrap();
    assert_eq!((&document["openapi"], &document["info"]["title"]), (&"3.1.0".into(), &"echo".into()));
    assert!(document["paths"]["/v1/echo/{text}"]["get"].is_object(), "{}", left.out);
    let route = &document["paths"]["/cgi-bin/echo.pl"]["post"];
    assert!(route["description"].as_str().unwrap().contains("Only with the host `*.internal`."), "{route}");
    for reference in left.out.split("\"$ref\": \"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some_and(Value::is_object), "{reference}");
    }
    for (servlet, told) in
        [("ledger", "has no schema"), ("nobody", "only echo, greeter, ledger, library, monolith, wiki")]
    {
        let left = telamon(&["openapi", servlet, "--config", &settings]);
        assert_eq!((left.status.code(), &*left.out), (Some(1), ""));
        assert!(left.err.contains(told), "{left:?}");
    }
}

#[test]
fn explain_tells_how_a_rest_call_goes() {
    let told = explain(&["GET", "http://legacy.internal/v1/echo/hello"]);
    for part in [
        "GET /v1/echo/hello (host: legacy.internal)",
        "servlet   echo",
        "dialect   rest",
        "/bench.v1.EchoService/",
        "timeout   5s",
        "policy    fair_least_request",
        "127.0.0.1:50051",
        "weight 3",
        "50.00 %",
        "chosen",
    ] {
        assert!(told.contains(part), "{part}:\n{told}");
    }
    // A route of the servlet, before every service.
    let told = explain(&["POST", "http://old.internal/cgi-bin/echo.pl"]);
    assert!(told.contains("servlet   echo") && told.contains("routes"), "{told}");
}

#[test]
fn explain_marks_the_rule_by_which_head_is_answered() {
    let told = explain(&["HEAD", "http://legacy.internal/v1/echo/hello"]);
    assert!(told.contains("chosen   GET /v1/echo/") && told.contains("dialect   rest"), "{told}");
}

#[test]
fn explain_tells_what_the_listener_refuses() {
    let told = explain(&["CONNECT", "http://legacy.internal/v1/echo/hello"]);
    assert!(told.starts_with("answered by Telamon, at the listener: 501"), "{told}");
}

#[test]
fn explain_tells_of_the_envelope() {
    let told = explain(&["HEAD", "http://wiki.internal/page?x"]);
    let parts = ["servlet   wiki", "dialect   envelope, carried to /telamon.v1.HttpServlet/Serve", "timeout   60s"];
    for part in parts {
        assert!(told.contains(part), "{part}:\n{told}");
    }
}

#[test]
fn explain_tells_how_a_grpc_call_goes() {
    let grpc = ["-H", "content-type: application/grpc"];
    let told = explain(&[&["POST", "/greeter.v1.Greeter/Greet"][..], &grpc].concat());
    for part in ["servlet   greeter", "dialect   grpc", "timeout   15s", "group stable", "group canary", "5.00 %"] {
        assert!(told.contains(part), "{part}:\n{told}");
    }
    assert!(told.contains("chosen   service greeter.v1.Greeter"), "{told}");
    // By its package, without a schema.
    let told = explain(&[&["POST", "/ledger.v1.Books/Enter"][..], &grpc].concat());
    assert!(told.contains("servlet   ledger") && told.contains("timeout   60s"), "{told}");
    // Nobody's.
    let told = explain(&[&["POST", "/no.Such/Method"][..], &grpc].concat());
    assert!(told.contains("answered by Telamon") && told.contains("UNIMPLEMENTED"), "{told}");
}

#[test]
fn explain_tells_what_is_carried_untranslated() {
    let told = explain(&["GET", "http://shop.internal/cart?id=7"]);
    for part in [
        "servlet   monolith",
        "untranslated, over HTTP/1.1",
        "timeout   none",
        "unix:/run/monolith/http.sock",
        "80.00 %",
    ] {
        assert!(told.contains(part), "{part}:\n{told}");
    }
    let told = explain(&["POST", "/upload/x", "-H", "x-tenant: acme"]);
    assert!(told.contains("servlet   monolith"), "{told}");
    // Columns hold, however long a verdict is.
    let told = explain(&["POST", "/upload/x"]);
    let rows: Vec<&str> = told.lines().filter(|line| line.contains("  (routes, ")).collect();
    let places: Vec<_> = rows.iter().map(|row| row.find("  (routes, ")).collect();
    assert!(rows.len() > 1 && places.windows(2).all(|two| two[0] == two[1]), "{told}");
    assert!(told.contains("no x-tenant") && told.contains("answered by Telamon: 404"), "{told}");
}

#[test]
fn explain_takes_a_missing_host_as_the_listener_does() {
    let told = explain(&["GET", "/cart"]);
    assert!(told.starts_with("without a Host, listener `ingress` takes it to mean legacy.internal\n"), "{told}");
    assert!(told.contains("(host: legacy.internal)") && told.contains("answered by Telamon: 404"), "{told}");
    let told = explain(&["GET", "/cart", "-H", "host: shop.internal", "--listener", "ingress"]);
    assert!(told.contains("servlet   monolith") && !told.contains("without a Host"), "{told}");
    let settings = repository("config/telamon.yaml");
    let left = telamon(&["explain", "--config", &settings, "GET", "/", "--listener", "egress"]);
    assert_eq!((left.status.code(), &*left.err), (Some(1), "there is no listener `egress`, only ingress\n"));
}

#[test]
fn explain_tells_what_is_refused_and_why() {
    let told = explain(&["GET", "/v1/nothing"]);
    assert!(told.contains("answered by Telamon: 404") && told.contains("no_route"), "{told}");
    // A method with rules is not reached by its own name, and the answer says by which it is.
    let told = explain(&["POST", "/bench.v1.EchoService/Echo"]);
    let hint = "`/bench.v1.EchoService/Echo` is reached by its rules: GET /v1/echo/{text}, POST /v1/echo\n";
    assert!(told.contains("answered by Telamon: 404") && told.contains(hint), "{told}");
    let told = explain(&["DELETE", "/v1/echo/hello"]);
    for part in ["answered by Telamon: 405", "method_not_allowed", "GET", "not DELETE"] {
        assert!(told.contains(part), "{part}:\n{told}");
    }
}

#[test]
fn explain_over_bad_files_tells_their_mistakes() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("telamon.yaml");
    std::fs::write(&file, "listeners: []\n").unwrap();
    let left: Left = telamon(&["explain", "--config", file.to_str().unwrap(), "GET", "/"]);
    assert_eq!((left.status.code(), &*left.out), (Some(1), ""));
    assert!(left.err.contains("telamon.yaml:1:12"), "{}", left.err);
    let left = telamon(&["explain", "--config", &repository("config/telamon.yaml"), "GET", "*"]);
    assert_eq!(left.status.code(), Some(1), "{left:?}");
}

#[test]
fn check_warns_of_a_log_that_cannot_be_written_here() {
    let directory = tempfile::tempdir().unwrap();
    let settings = directory.path().join("telamon.yaml");
    std::fs::create_dir(directory.path().join("servlets")).unwrap();
    std::fs::create_dir(directory.path().join("endpoints")).unwrap();
    std::fs::write(directory.path().join("servlets/a.yaml"), "services: [\"*\"]\n").unwrap();
    std::fs::write(directory.path().join("endpoints/a.yaml"), "endpoints: []\n").unwrap();
    let check = |log: &str| {
        let text = format!("listeners: [{{ name: in, address: 127.0.0.1:0 }}]\naccess_log: {log}\n");
        std::fs::write(&settings, text).unwrap();
        telamon(&["check", "--config", settings.to_str().unwrap()])
    };
    let left = check("calls.log");
    assert_eq!((left.status.code(), &*left.err), (Some(0), ""));
    assert!(left.out.ends_with(": good: 1 servlet (a), 0 endpoints, 1 route\n"), "{}", left.out);
    assert!(!directory.path().join("calls.log").exists(), "looking creates nothing");
    let left = check("none/calls.log");
    assert_eq!(left.status.code(), Some(0), "{left:?}");
    let place = format!("{}:2:13: access_log: ", settings.display());
    assert!(left.err.starts_with("warning: ") && left.err.contains(&place), "{}", left.err);
    assert!(left.err.contains("there is no directory"), "{}", left.err);
}
