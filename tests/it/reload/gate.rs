//! A schema that would break callers does not replace the one that serves them, until an operator says so.

use super::*;

#[tokio::test]
async fn a_schema_that_breaks_callers_is_refused_until_it_is_allowed() {
    let one = named("one").await;
    let proxy = Running::echo(&[(&one.address, 1)]).await;
    let refused = "telamon_schema_changes_refused_total";
    assert_eq!(proxy.metric(refused).await, Some(0.0));

    proxy.replace("protos/echo.proto", &ECHO_PROTO.replace("\"/v1/say/{text}\"", "\"/v2/say/{text}\""));
    let report = proxy.report_after(0).await;
    assert_eq!((&report["accepted"], &report["servlet"]), (&false.into(), &"echo".into()), "{report:#}");
    let [problem] = report["problems"].as_array().unwrap().as_slice() else { panic!("{report:#}") };
    assert!(problem["file"].as_str().unwrap().ends_with("protos/echo.proto") && problem["at"]["line"].is_u64());
    assert!(problem["hint"].as_str().unwrap().contains("schema_changes: allow"), "{problem}");
    let changes = report["changes"].as_array().unwrap();
    let told: Vec<(&str, &str)> =
        changes.iter().map(|one| (one["what"].as_str().unwrap(), one["subject"].as_str().unwrap())).collect();
    assert_eq!(told, [("route_removed", "GET /v1/say/{text}"), ("route_added", "GET /v2/say/{text}")]);
    assert_eq!(changes[0]["breaks"], serde_json::json!(["json"]));
    assert_eq!(changes[1]["breaks"], serde_json::json!([]));
    assert_eq!(proxy.metric(refused).await, Some(1.0));
    assert_eq!((who(&proxy).await.as_str(), status(&proxy, "/v2/say/x").await), ("one", 404));

    proxy.replace("servlets/echo.yaml", &format!("{ECHO}{ALLOW}"));
    let report = proxy.report_after(1).await;
    assert_eq!((&report["accepted"], report["changes"].as_array().unwrap().len()), (&true.into(), 2), "{report:#}");
    assert_eq!((status(&proxy, "/v1/say/x").await, status(&proxy, "/v2/say/x").await), (404, 200));
    assert_eq!(proxy.metric(refused).await, Some(1.0));
}

#[tokio::test]
async fn a_schema_that_only_adds_passes_and_is_told() {
    let one = named("one").await;
    let proxy = Running::echo(&[(&one.address, 1)]).await;
    proxy.replace("protos/echo.proto", &ECHO_PROTO.replace("string text = 1;", "string text = 1; bool loud = 77;"));
    let report = proxy.report_after(0).await;
    assert_eq!(report["accepted"], true, "{report:#}");
    let changes = report["changes"].as_array().unwrap();
    assert!(!changes.is_empty() && changes.iter().all(|one| one["what"] == "field_added"), "{report:#}");
    assert_eq!(who(&proxy).await, "one");
}
