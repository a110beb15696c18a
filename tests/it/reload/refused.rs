//! A bad file changes nothing but a counter, a report with its place, and the log; the mended one is taken.

use super::*;

struct Bad {
    file: &'static str,
    text: String,
    line: u32,
    column: u32,
    /// A part of what is told.
    told: &'static str,
}

fn bad_files() -> Vec<Bad> {
    let bad = |file, text: &str, line, column, told| Bad { file, text: text.to_owned(), line, column, told };
    vec![
        bad("endpoints/echo.yaml", "endpoints:\n  - { address: 127.0.0.1:1, weight: 1000001 }\n", 2, 37, "1000001"),
        bad("endpoints/echo.yaml", "endpoints:\n  - { address: localhost:1 }\n", 2, 16, "localhost:1"),
        bad("endpoints/echo.yaml", "endpoint: []\n", 1, 1, "endpoint"),
        bad("servlets/echo.yaml", &format!("{ECHO}timeout: soon\n"), 3, 10, "soon"),
        bad("servlets/echo.yaml", &format!("{ECHO}polisy: 1\n"), 3, 1, "unknown key"),
        bad("servlets/echo.yaml", &ECHO.replace("echo.v1.Echo", "echo.v1.Ecco"), 2, 12, "echo.v1.Ecco"),
        bad("protos/echo.proto", &ECHO_PROTO.replace("string text = 1;", "string text 1;"), 17, 15, "expected"),
    ]
}

#[tokio::test]
async fn each_kind_of_bad_file_is_told_with_its_place_and_changes_nothing() {
    let one = named("one").await;
    let proxy = Running::echo(&[(&one.address, 7)]).await;
    let (mut known, mut refused) = (0, 0);
    for bad in bad_files() {
        let good = std::fs::read_to_string(proxy.path(bad.file)).unwrap();
        proxy.replace(bad.file, &bad.text);
        let report = proxy.report_after(known).await;
        let told = format!("{}: {report:#}", bad.text);
        assert_eq!((&report["accepted"], &report["servlet"]), (&false.into(), &"echo".into()), "{told}");
        assert!(report["summary"].as_str().unwrap().contains("the version before goes on"), "{told}");
        let problem = &report["problems"][0];
        assert!(problem["file"].as_str().unwrap().ends_with(bad.file), "{told}");
        assert_eq!(
            (&problem["at"]["line"], &problem["at"]["column"]),
            (&bad.line.into(), &bad.column.into()),
            "{told}"
        );
        assert!(problem.to_string().contains(bad.told), "{told}");
        refused += 1;
        assert_eq!(proxy.metric("telamon_reloads_total{result=\"rejected\"}").await, Some(f64::from(refused)));
        assert_eq!(who(&proxy).await, "one");
        in_force(&proxy, &[(&one.address, 7)]).await;

        proxy.replace(bad.file, &good);
        let report = proxy.report_after(known + 1).await;
        assert_eq!(report["accepted"], true, "{told} {report:#}");
        known += 2;
    }
    assert_eq!(who(&proxy).await, "one");
}

#[tokio::test]
async fn an_empty_file_is_a_writer_at_work_and_an_empty_list_is_meant() {
    let one = named("one").await;
    let proxy = Running::echo(&[(&one.address, 1)]).await;
    for (known, nothing) in ["", "\n# nothing yet\n"].into_iter().enumerate() {
        proxy.replace("endpoints/echo.yaml", nothing);
        let report = proxy.report_after(known).await;
        assert_eq!(report["accepted"], false, "{report}");
        assert_eq!(who(&proxy).await, "one");
    }
    std::fs::remove_file(proxy.path("endpoints/echo.yaml")).unwrap();
    assert_eq!(proxy.report_after(2).await["accepted"], false);
    assert_eq!(who(&proxy).await, "one");

    proxy.write("endpoints/echo.yaml", "endpoints: []\n");
    in_force(&proxy, &[]).await;
    let answer = http1::Caller::once(&proxy.address, "GET /v1/say/x HTTP/1.0\r\n\r\n").await;
    assert_eq!((answer.status, answer.json()["code"].as_u64()), (503, Some(14)));
    let told = answer.json()["message"].as_str().unwrap().to_owned();
    assert!(told.contains("echo") && told.contains("no endpoint"), "{told}");
    let answer = Caller::connect(&proxy.address).await.call(SAY, b"").await;
    assert_eq!(answer.grpc_status(), "14");
    assert!(answer.grpc_message().contains("echo"), "{}", answer.grpc_message());

    proxy.write("endpoints/echo.yaml", &table(&[(&one.address, 0)]));
    in_force(&proxy, &[(&one.address, 0)]).await;
    let answer = http1::Caller::once(&proxy.address, "GET /v1/say/x HTTP/1.0\r\n\r\n").await;
    assert_eq!(answer.status, 503);
    assert!(answer.json()["message"].as_str().unwrap().contains("weight"), "{}", answer.text());

    proxy.write("endpoints/echo.yaml", &table(&[(&one.address, 1)]));
    in_force(&proxy, &[(&one.address, 1)]).await;
    assert_eq!(who(&proxy).await, "one");
}

#[tokio::test]
async fn bad_settings_change_nothing() {
    let one = named("one").await;
    let proxy = Running::echo(&[(&one.address, 1)]).await;
    proxy.replace("telamon.yaml", "listeners: []\n");
    let report = proxy.report_after(0).await;
    assert_eq!((&report["accepted"], &report["servlet"]), (&false.into(), &serde_json::Value::Null));
    assert_eq!(report["problems"][0]["at"], serde_json::json!({"line": 1, "column": 12}));
    assert_eq!(who(&proxy).await, "one");
    // Servlets go on being reloaded beside it.
    proxy.replace("endpoints/echo.yaml", &table(&[(&one.address, 5)]));
    in_force(&proxy, &[(&one.address, 5)]).await;
}

#[tokio::test]
async fn a_hundred_reports_are_kept_the_newest_first() {
    let one = named("one").await;
    let proxy = Running::echo(&[(&one.address, 1)]).await;
    for weight in 1..=110 {
        proxy.replace("endpoints/echo.yaml", &table(&[(&one.address, weight + 1)]));
        proxy.reload();
        in_force(&proxy, &[(&one.address, weight + 1)]).await;
    }
    let reports = proxy.reloads().await;
    assert_eq!(reports.len(), 100);
    let times: Vec<&str> = reports.iter().map(|report| report["time"].as_str().unwrap()).collect();
    assert!(times.is_sorted_by(|newer, older| newer >= older), "{times:?}");
}
