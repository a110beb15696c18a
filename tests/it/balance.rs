//! The balance over sockets: shares follow weights, at every load, and groups keep theirs.

use std::time::Duration;

use crate::support::grpc::Caller;
use crate::support::proxy::{ECHO, ECHO_PROTO, table};
use crate::support::servlet;
use crate::support::{Call, Running, Servlet};

const SAY: &str = "/echo.v1.Echo/Say";

/// Works for 10 ms on each call.
async fn working() -> Servlet {
    Servlet::start(|mut call: Call| async move {
        call.read().await;
        tokio::time::sleep(Duration::from_millis(10)).await;
        call.reply(&[b"done"], "0", None);
    })
    .await
}

async fn proxy(table: &str, more: &str) -> Running {
    let files = [
        ("protos/echo.proto", ECHO_PROTO),
        ("servlets/echo.yaml", &format!("{ECHO}{more}")),
        ("endpoints/echo.yaml", table),
    ];
    Running::with(&files, "").await
}

/// Makes `calls` calls, `at_once` of them in flight, over up to four connections.
async fn drive(proxy: &Running, calls: usize, at_once: usize) {
    let mut callers = Vec::new();
    for _ in 0..at_once.min(4) {
        callers.push(Caller::connect(&proxy.address).await);
    }
    let driving: Vec<_> = (0..at_once)
        .map(|index| {
            let caller = callers[index % callers.len()].clone();
            tokio::spawn(async move {
                for _ in 0..calls / at_once {
                    let answer = caller.call(SAY, b"x").await;
                    assert_eq!(answer.grpc_status(), "0", "{}", answer.grpc_message());
                }
            })
        })
        .collect();
    for one in driving {
        one.await.unwrap();
    }
}

/// What each got, in hundredths of all.
fn shares(servlets: &[Servlet]) -> Vec<f64> {
    let all: usize = servlets.iter().map(Servlet::calls).sum();
    servlets.iter().map(|servlet| servlet.calls() as f64 * 100.0 / all as f64).collect()
}

fn near(shares: &[f64], expected: &[f64], within: f64) -> bool {
    shares.iter().zip(expected).all(|(share, expected)| (share - expected).abs() <= within)
}

async fn three(policy: &str, at_once: usize, calls: usize) -> Vec<f64> {
    let servlets = [working().await, working().await, working().await];
    let lines: Vec<(&str, u32)> = servlets.iter().map(|one| one.address.as_str()).zip([3, 2, 1]).collect();
    let proxy = proxy(&table(&lines), policy).await;
    drive(&proxy, calls, at_once).await;
    proxy.at_rest("echo").await;
    shares(&servlets)
}

#[tokio::test]
async fn shares_follow_weights_at_every_load() {
    for (at_once, calls) in [(1, 300), (4, 1200), (16, 2400), (64, 4800)] {
        let shares = three("", at_once, calls).await;
        assert!(near(&shares, &[50.0, 100.0 / 3.0, 50.0 / 3.0], 2.0), "{at_once} in flight: {shares:?}");
    }
}

#[tokio::test]
async fn round_robin_follows_weights_too() {
    for at_once in [1, 16] {
        let shares = three("balance: { policy: round_robin }\n", at_once, 1200).await;
        assert!(near(&shares, &[50.0, 100.0 / 3.0, 50.0 / 3.0], 1.0), "{at_once} in flight: {shares:?}");
    }
}

#[tokio::test]
async fn a_group_has_its_share_whatever_its_replicas() {
    let mut servlets = Vec::new();
    for _ in 0..4 {
        servlets.push(Servlet::start(servlet::echo).await);
    }
    let line = |index: usize| format!("{{ address: \"{}\" }}", servlets[index].address);
    let text = format!(
        "groups:\n  stable: {{ weight: 95, endpoints: [{}] }}\n  canary: {{ weight: 5, endpoints: [{}, {}, {}] }}\n",
        line(0),
        line(1),
        line(2),
        line(3)
    );
    let proxy = proxy(&text, "").await;
    drive(&proxy, 4000, 8).await;
    let shares = shares(&servlets);
    assert!(near(&shares, &[95.0, 5.0 / 3.0, 5.0 / 3.0, 5.0 / 3.0], 1.0), "{shares:?}");
    proxy.at_rest("echo").await;
}

#[tokio::test]
async fn a_weight_of_zero_drains() {
    let servlets = [Servlet::start(servlet::echo).await, Servlet::start(servlet::echo).await];
    let lines = [(servlets[0].address.as_str(), 1), (servlets[1].address.as_str(), 0)];
    let proxy = proxy(&table(&lines), "").await;
    drive(&proxy, 200, 4).await;
    assert_eq!((servlets[0].calls(), servlets[1].calls()), (200, 0));

    proxy.write("endpoints/echo.yaml", &table(&[(lines[0].0, 0), (lines[1].0, 0)]));
    proxy.until("echo", |endpoints| endpoints.iter().all(|endpoint| endpoint["configured_weight"] == 0)).await;
    // The workers take the new table up at their next call at the latest.
    let answer = Caller::connect(&proxy.address).await.call(SAY, b"x").await;
    assert_eq!(answer.grpc_status(), "14", "{}", answer.grpc_message());
    assert_eq!((servlets[0].calls(), servlets[1].calls()), (200, 0));
}
