//! A proxy in this process, on files of its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use telamon::app::Process;
use tempfile::TempDir;

use super::http1;

/// The schema that most tests speak.
pub const ECHO_PROTO: &str = r#"
syntax = "proto3";
package echo.v1;
import "google/api/annotations.proto";
import "google/api/httpbody.proto";

service Echo {
  rpc Say(Words) returns (Words) { option (google.api.http) = { get: "/v1/say/{text}" additional_bindings { post: "/v1/say" body: "*" } }; }
  rpc Count(Words) returns (stream Words) { option (google.api.http) = { get: "/v1/count/{text}" }; }
  rpc Join(stream Words) returns (Words) { option (google.api.http) = { post: "/v1/join" body: "*" }; }
  rpc Chat(stream Words) returns (stream Words) { option (google.api.http) = { post: "/v1/chat" body: "*" }; }
  rpc Page(Words) returns (google.api.HttpBody) { option (google.api.http) = { get: "/v1/page/{text}" }; }
  rpc Plain(Words) returns (Words);
}

message Words {
  string text = 1;
  int64 number = 2;
  repeated string more = 3;
}
"#;

/// A running proxy; stopped when dropped.
pub struct Running {
    process: Option<Process>,
    pub directory: TempDir,
    pub address: String,
    pub admin: String,
}

impl Running {
    /// One servlet, `echo`, with [`ECHO_PROTO`] and these endpoints: address and weight.
    pub async fn echo(endpoints: &[(&str, u32)]) -> Running {
        Running::echo_with(endpoints, "", "").await
    }

    /// The same, with limits; `limits` is what stands between the braces of `limits:`.
    pub async fn echo_within(endpoints: &[(&str, u32)], limits: &str) -> Running {
        Running::echo_with(endpoints, "", &format!("limits: {{ {limits} }}\n")).await
    }

    /// The same, with `more` in the servlet's file and `settings` in `telamon.yaml`.
    pub async fn echo_with(endpoints: &[(&str, u32)], more: &str, settings: &str) -> Running {
        let files = [
            ("protos/echo.proto", ECHO_PROTO),
            ("servlets/echo.yaml", &format!("{ECHO}{more}")),
            ("endpoints/echo.yaml", &table(endpoints)),
        ];
        Running::with(&files, settings).await
    }

    /// One servlet, `plain`, that takes every path untranslated over HTTP/1.1 to `address`.
    pub async fn plain(address: &str) -> Running {
        Running::with(&[("servlets/plain.yaml", PLAIN), ("endpoints/plain.yaml", &table(&[(address, 1)]))], "").await
    }

    /// Any files; `settings` is added to a `telamon.yaml` with one listener, `ingress`, and admin.
    pub async fn with(files: &[(&str, &str)], settings: &str) -> Running {
        Running::with_listeners(files, "  - { name: ingress, address: 127.0.0.1:0 }\n", settings).await
    }

    /// The same with other listeners: lines of a list.
    pub async fn with_listeners(files: &[(&str, &str)], listeners: &str, settings: &str) -> Running {
        let directory = tempfile::tempdir().unwrap();
        for (path, text) in files {
            write(directory.path(), path, text);
        }
        let start = format!(
            "workers: 2\nlisteners:\n{listeners}admin: {{ address: 127.0.0.1:0 }}\nservlets: servlets/\n{settings}"
        );
        write(directory.path(), "telamon.yaml", &start);
        let file = directory.path().join("telamon.yaml");
        let process =
            tokio::task::spawn_blocking(move || Process::start(&file).unwrap_or_else(|error| panic!("{error}")));
        let process = process.await.unwrap();
        let address = process.listeners()[0].1.to_string();
        let admin = process.admin().unwrap().to_string();
        Running { process: Some(process), directory, address, admin }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn write(&self, path: &str, text: &str) {
        write(self.directory.path(), path, text);
    }

    /// Replaces a file in one step, as deployers do.
    pub fn replace(&self, path: &str, text: &str) {
        write(self.directory.path(), &format!("{path}.new"), text);
        std::fs::rename(self.path(&format!("{path}.new")), self.path(path)).unwrap();
    }

    /// Has the files read again, as SIGHUP does.
    pub fn reload(&self) {
        self.process.as_ref().unwrap().reload();
    }

    /// The reports of all reloads, the newest first.
    pub async fn reloads(&self) -> Vec<serde_json::Value> {
        self.admin_get("/api/v1/reloads").await.json()["reloads"].as_array().unwrap().clone()
    }

    /// Waits for the first report after the `known` ones.
    pub async fn report_after(&self, known: usize) -> serde_json::Value {
        loop {
            let reports = self.reloads().await;
            if reports.len() > known {
                return reports[reports.len() - known - 1].clone();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The names of the servlets that run.
    pub async fn servlets(&self) -> Vec<String> {
        let answer = self.admin_get("/api/v1/servlets").await.json();
        answer["servlets"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    }

    /// The value of a series in `/metrics`, labels in the order of their names.
    pub async fn metric(&self, series: &str) -> Option<f64> {
        let answer = self.admin_get("/metrics").await;
        answer.text().lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }

    /// Drains: what is in flight has `limit`.
    pub async fn stop(mut self, limit: Duration) {
        let process = self.process.take().unwrap();
        tokio::task::spawn_blocking(move || process.stop(limit)).await.unwrap();
    }

    /// The listener named so.
    pub fn listener(&self, name: &str) -> String {
        let listeners = self.process.as_ref().unwrap().listeners();
        listeners.iter().find(|(own, _)| own == name).unwrap().1.to_string()
    }

    pub async fn admin_get(&self, path: &str) -> http1::Answer {
        http1::Caller::once(&self.admin, &format!("GET {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n"))
            .await
    }

    /// The endpoints of a servlet as the admin API tells them.
    pub async fn endpoints(&self, servlet: &str) -> Vec<serde_json::Value> {
        let answer = self.admin_get(&format!("/api/v1/servlets/{servlet}/endpoints")).await;
        answer.json()["endpoints"].as_array().unwrap().clone()
    }

    /// Waits until no call is in flight to any endpoint of `servlet`.
    pub async fn at_rest(&self, servlet: &str) {
        self.until(servlet, |endpoints| endpoints.iter().all(|endpoint| endpoint["in_flight"] == 0)).await;
    }

    /// Waits until what the admin API tells of `servlet` is as it should be.
    pub async fn until(&self, servlet: &str, is_so: impl Fn(&[serde_json::Value]) -> bool) {
        while !is_so(&self.endpoints(servlet).await) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Threads are joined: not on the test's own runtime.
        if let Some(process) = self.process.take() {
            std::thread::spawn(move || drop(process)).join().unwrap();
        }
    }
}

/// The servlet of [`ECHO_PROTO`].
pub const ECHO: &str = "schema: ../protos/echo.proto\nservices: [echo.v1.Echo]\n";

/// A servlet that takes everything over HTTP/1.1.
pub const PLAIN: &str = "upstream: http1\nroutes:\n  - { match: { path: \"/**\" } }\n";

/// A table's text.
pub fn table(endpoints: &[(&str, u32)]) -> String {
    let lines: String = endpoints
        .iter()
        .map(|(address, weight)| format!("  - {{ address: \"{address}\", weight: {weight} }}\n"))
        .collect();
    if lines.is_empty() { "endpoints: []\n".into() } else { format!("endpoints:\n{lines}") }
}

fn write(directory: &Path, path: &str, text: &str) {
    let path = directory.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}
