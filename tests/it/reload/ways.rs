//! However a file is written, it is taken up; asserted by traffic and by admin.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::*;

/// Writes the endpoint table in one of the ways that editors, scripts and deployers do.
type Way = fn(&Path, &str);

const WAYS: [(&str, Way); 4] = [
    ("in place", |path, text| fs::write(path, text).unwrap()),
    ("renamed over", |path, text| {
        let new = path.with_extension("tmp");
        fs::write(&new, text).unwrap();
        fs::rename(new, path).unwrap();
    }),
    ("deleted and created", |path, text| {
        fs::remove_file(path).unwrap();
        fs::write(path, text).unwrap();
    }),
    ("a link to it swapped", |path, text| {
        let target = path.with_extension(format!("{}", text.len()));
        fs::write(&target, text).unwrap();
        let link = path.with_extension("link");
        symlink(&target, &link).unwrap();
        fs::rename(link, path).unwrap();
    }),
];

#[tokio::test]
async fn a_table_is_taken_up_however_it_is_written() {
    let (one, two) = (named("one").await, named("two").await);
    let proxy = Running::echo(&[(&one.address, 1)]).await;
    for (way, write) in WAYS {
        for (servlet, name, weight) in [(&two, "two", 2), (&one, "one", 3)] {
            write(&proxy.path("endpoints/echo.yaml"), &table(&[(&servlet.address, weight)]));
            in_force(&proxy, &[(&servlet.address, weight)]).await;
            for _ in 0..5 {
                assert_eq!(who(&proxy).await, name, "{way}");
            }
        }
    }
    let reports = proxy.reloads().await;
    let accepted = reports.iter().filter(|report| report["accepted"] == true && report["servlet"] == "echo").count();
    assert!(accepted >= 8, "{reports:?}");
    assert_eq!(proxy.metric("telamon_reloads_total{result=\"accepted\"}").await, Some(accepted as f64));
}

/// A mounted ConfigMap: every file a link through `..data`, which is swapped.
struct ConfigMap<'a> {
    directory: &'a Path,
    version: u32,
}

impl ConfigMap<'_> {
    fn publish(&mut self, name: &str, text: &str) {
        let old = self.directory.join(format!("..v{}", self.version));
        self.version += 1;
        let new = format!("..v{}", self.version);
        fs::create_dir(self.directory.join(&new)).unwrap();
        fs::write(self.directory.join(&new).join(name), text).unwrap();
        symlink(&new, self.directory.join("..data_tmp")).unwrap();
        fs::rename(self.directory.join("..data_tmp"), self.directory.join("..data")).unwrap();
        if self.version == 1 {
            let file = self.directory.join(name);
            let _ = fs::remove_file(&file);
            symlink(Path::new("..data").join(name), file).unwrap();
        } else {
            fs::remove_dir_all(old).unwrap();
        }
    }
}

#[tokio::test]
async fn mounted_config_maps_are_followed_through_their_swaps() {
    let (one, two) = (named("one").await, named("two").await);
    let proxy = Running::echo(&[(&one.address, 1)]).await;
    let directories = ["endpoints", "servlets", "protos"].map(|name| proxy.path(name));
    let [mut tables, mut servlets, mut protos] =
        directories.each_ref().map(|directory| ConfigMap { directory, version: 0 });
    for _ in 0..3 {
        for (servlet, name) in [(&two, "two"), (&one, "one")] {
            tables.publish("echo.yaml", &table(&[(&servlet.address, 1)]));
            in_force(&proxy, &[(&servlet.address, 1)]).await;
            assert_eq!(who(&proxy).await, name);
        }
    }
    servlets.publish("echo.yaml", &format!("{ECHO}{ALLOW}"));
    for version in 2..5 {
        protos.publish(
            "echo.proto",
            &ECHO_PROTO.replace("\"/v1/page/{text}\"", &format!("\"/v{version}/page/{{text}}\"")),
        );
        while status(&proxy, &format!("/v{version}/page/x")).await == 404 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        servlets.publish(
            "echo.yaml",
            &format!("{ECHO}{ALLOW}routes: [{{ match: {{ path: /old{version} }}, call: echo.v1.Echo/Say }}]\n"),
        );
        while status(&proxy, &format!("/old{version}")).await == 404 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert_eq!(status(&proxy, &format!("/old{}", version - 1)).await, 404);
        assert_eq!(status(&proxy, &format!("/v{}/page/x", version - 1)).await, 404);
    }
}

#[tokio::test]
async fn a_new_file_is_a_new_servlet_and_a_file_that_goes_takes_its_servlet() {
    let (one, two) = (named("one").await, named("two").await);
    let proxy = Running::echo(&[(&one.address, 1)]).await;
    let caller = Caller::connect(&proxy.address).await;
    assert_eq!(caller.call("/other.v1.Other/Do", b"").await.grpc_status(), "12");
    // The servlet before its table: refused until both are there.
    proxy.write("servlets/other.yaml", "services: [other.v1.Other]\n");
    let report = proxy.report_after(0).await;
    assert_eq!((&report["accepted"], &report["servlet"]), (&false.into(), &"other".into()));
    proxy.write("endpoints/other.yaml", &table(&[(&two.address, 1)]));
    while proxy.servlets().await != ["echo", "other"] {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let answer = caller.call("/other.v1.Other/Do", b"").await;
    assert_eq!((answer.grpc_status(), answer.messages.len()), ("0", 1));
    assert_eq!(proxy.metric("telamon_retries_total{servlet=\"other\"}").await, Some(0.0));

    fs::remove_file(proxy.path("servlets/other.yaml")).unwrap();
    while proxy.servlets().await != ["echo"] {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(caller.call("/other.v1.Other/Do", b"").await.grpc_status(), "12");
    assert_eq!(proxy.admin_get("/api/v1/servlets/other/endpoints").await.status, 404);
    assert_eq!(proxy.metric("telamon_retries_total{servlet=\"other\"}").await, None);
    assert_eq!(proxy.reloads().await[0]["accepted"], true);
    assert_eq!(who(&proxy).await, "one");

    // And back again: as new.
    proxy.write("servlets/other.yaml", "services: [other.v1.Other]\n");
    while proxy.servlets().await != ["echo", "other"] {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(caller.call("/other.v1.Other/Do", b"").await.grpc_status(), "0");
    assert_eq!(proxy.endpoints("other").await[0]["requests"], 1);
}

#[tokio::test]
async fn a_schema_is_taken_up_and_one_in_its_imports_too() {
    let one = named("one").await;
    let proxy = Running::with(
        &[
            ("protos/words.proto", "syntax = \"proto3\";\npackage echo.v1;\nmessage Words { string text = 1; }\n"),
            (
                "protos/echo.proto",
                "syntax = \"proto3\";\npackage echo.v1;\nimport \"words.proto\";\nimport \"google/api/annotations.proto\";\n\
                 service Echo { rpc Say(Words) returns (Words) { option (google.api.http) = { get: \"/v1/say/{text}\" }; } }\n",
            ),
            ("servlets/echo.yaml", &format!("{ECHO}{ALLOW}")),
            ("endpoints/echo.yaml", &table(&[(&one.address, 1)])),
        ],
        "",
    )
    .await;
    assert_eq!(who(&proxy).await, "one");
    proxy.write(
        "protos/words.proto",
        "syntax = \"proto3\";\npackage echo.v1;\nmessage Words { string text = 1 [json_name = \"word\"]; }\n",
    );
    loop {
        let answer = http1::Caller::once(&proxy.address, "GET /v1/say/x HTTP/1.0\r\n\r\n").await;
        assert_eq!(answer.status, 200);
        if answer.json() == serde_json::json!({"word": "one"}) {
            break;
        }
        assert_eq!(answer.json(), serde_json::json!({"text": "one"}));
    }
}

#[tokio::test]
async fn files_are_read_again_when_that_is_asked_for() {
    let (one, two) = (named("one").await, named("two").await);
    let proxy = Running::echo(&[(&one.address, 1)]).await;
    for round in 1..20 {
        let (servlet, name) = if round % 2 == 1 { (&two, "two") } else { (&one, "one") };
        proxy.replace("endpoints/echo.yaml", &table(&[(&servlet.address, round)]));
        proxy.reload();
        in_force(&proxy, &[(&servlet.address, round)]).await;
        assert_eq!(who(&proxy).await, name);
    }
    // Asked for without a change: nothing happens, and nothing is told.
    let known = proxy.reloads().await.len();
    for _ in 0..20 {
        proxy.reload();
    }
    proxy.replace("endpoints/echo.yaml", &table(&[(&one.address, 99)]));
    in_force(&proxy, &[(&one.address, 99)]).await;
    assert_eq!(proxy.reloads().await.len(), known + 1);
}

#[tokio::test]
async fn settings_that_servlets_inherit_act_and_others_wait_for_a_restart() {
    let (servlet, gate) = gated("one").await;
    let proxy = Running::echo(&[(&servlet.address, 1)]).await;
    let start = fs::read_to_string(proxy.path("telamon.yaml")).unwrap();
    proxy.replace("telamon.yaml", &format!("{start}defaults: {{ timeout: 30ms }}\nlimits: {{ connections: 5 }}\n"));
    proxy.until("echo", |_| true).await;
    let report = loop {
        let reports = proxy.reloads().await;
        if let Some(report) = reports.iter().find(|report| report["servlet"].is_null()) {
            break report.clone();
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    assert!(report["summary"].as_str().unwrap().contains("needs a restart: limits"), "{report}");
    assert_eq!(status(&proxy, "/v1/say/x").await, 504);
    proxy.replace("telamon.yaml", &start);
    while proxy.reloads().await[0]["accepted"] != true || proxy.reloads().await.len() < 4 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    gate.add_permits(10);
    assert_eq!(who(&proxy).await, "one");
}
