//! Two servlets that claim the same: what runs goes on, and the newcomer is told both files.

use super::*;

fn files_of(report: &serde_json::Value) -> String {
    assert_eq!(report["accepted"], false, "{report}");
    report["problems"].to_string()
}

#[tokio::test]
async fn a_service_that_another_servlet_has_is_refused_to_the_newcomer() {
    let (one, two) = (named("one").await, named("two").await);
    let proxy = Running::echo(&[(&one.address, 1)]).await;
    // Its name comes first; that it is new decides all the same.
    proxy.write("endpoints/a.yaml", &table(&[(&two.address, 1)]));
    proxy.write("servlets/a.yaml", "services: [echo.v1.Echo]\n");
    let report = proxy.report_after(0).await;
    assert_eq!(report["servlet"], "a");
    let told = files_of(&report);
    assert!(told.contains("servlets/a.yaml") && told.contains("servlets/echo.yaml"), "{told}");
    assert_eq!(report["problems"][0]["at"], serde_json::json!({"line": 1, "column": 12}));
    assert_eq!(proxy.servlets().await, ["echo"]);
    assert_eq!(who(&proxy).await, "one");
    let answer = Caller::connect(&proxy.address).await.call(SAY, b"").await;
    assert_eq!(answer.messages, [text_field(1, "one")]);

    // When the old one gives it up, the newcomer has it.
    proxy.replace("servlets/echo.yaml", "services: [echo.v2.Echo]\n");
    while proxy.servlets().await != ["a", "echo"] {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let answer = Caller::connect(&proxy.address).await.call(SAY, b"").await;
    assert_eq!(answer.messages, [text_field(1, "two")]);
    assert_eq!(status(&proxy, "/v1/say/x").await, 404);
}

#[tokio::test]
async fn rules_of_two_schemas_that_tie_are_refused_likewise() {
    let (one, two) = (named("one").await, named("two").await);
    let proxy = Running::echo(&[(&one.address, 1)]).await;
    proxy.write("protos/other.proto", &ECHO_PROTO.replace("package echo.v1;", "package other.v1;"));
    proxy.write("endpoints/other.yaml", &table(&[(&two.address, 1)]));
    proxy.write("servlets/other.yaml", &format!("schema: ../protos/other.proto\nservices: [other.v1.Echo]\n{ALLOW}"));
    let told = files_of(&proxy.report_after(0).await);
    for part in ["GET /v1/say/{text}", "servlets/other.yaml", "servlets/echo.yaml", "echo.proto:"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(proxy.servlets().await, ["echo"]);
    assert_eq!(who(&proxy).await, "one");

    // A running servlet that changes into another's way goes back to what it was, too.
    let mended = ECHO_PROTO.replace("package echo.v1;", "package other.v1;").replace("\"/v1/", "\"/other/");
    proxy.replace("protos/other.proto", &mended);
    while proxy.servlets().await != ["echo", "other"] {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let known = proxy.reloads().await.len();
    proxy.replace("protos/other.proto", &mended.replace("\"/other/say/{text}\"", "\"/v1/say/{number}\""));
    let report = proxy.report_after(known).await;
    assert_eq!(report["servlet"], "other");
    let told = files_of(&report);
    assert!(told.contains("servlets/echo.yaml"), "{told}");
    assert_eq!(who(&proxy).await, "one");
    assert_eq!(status(&proxy, "/other/say/x").await, 200);
}

#[tokio::test]
async fn routes_that_tie_are_refused_and_both_at_once_are_both_told() {
    let (one, two) = (named("one").await, named("two").await);
    let proxy = Running::echo(&[(&one.address, 1)]).await;
    let plain = "upstream: http2\nroutes: [{ match: { path: /plain/* } }]\n";
    for name in ["a", "b"] {
        proxy.write(&format!("endpoints/{name}.yaml"), &table(&[(&two.address, 1)]));
    }
    proxy.write("servlets/a.yaml", plain);
    while proxy.servlets().await != ["a", "echo"] {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let known = proxy.reloads().await.len();
    proxy.write("servlets/b.yaml", plain);
    let report = proxy.report_after(known).await;
    assert_eq!(report["servlet"], "b");
    let told = files_of(&report);
    assert!(told.contains("servlets/a.yaml") && told.contains("servlets/b.yaml"), "{told}");
    // Removing the first lets the second in.
    std::fs::remove_file(proxy.path("servlets/a.yaml")).unwrap();
    while proxy.servlets().await != ["b", "echo"] {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
