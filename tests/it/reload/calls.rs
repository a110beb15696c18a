//! Calls in flight, their counts and their connections live on while tables change under them.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;
use crate::support::servlet::talk;

#[tokio::test]
async fn weight_0_drains_what_is_in_flight_finishes_and_nothing_new_comes() {
    let (old, gate) = gated("old").await;
    let new = named("new").await;
    let proxy = Running::echo(&[(&old.address, 1)]).await;
    let address = proxy.address.clone();
    let waiting = tokio::spawn(async move { Caller::connect(&address).await.call(SAY, b"").await });
    proxy.until("echo", |endpoints| endpoints[0]["in_flight"] == 1).await;

    proxy.replace("endpoints/echo.yaml", &table(&[(&old.address, 0), (&new.address, 1)]));
    in_force(&proxy, &[(&old.address, 0), (&new.address, 1)]).await;
    let endpoint = &proxy.endpoints("echo").await[0];
    assert_eq!((&endpoint["state"], &endpoint["in_flight"]), (&"draining".into(), &1.into()));
    assert_eq!(endpoint["why"], "its weight is 0: no new calls; 1 call is in flight");
    assert_eq!((&endpoint["expected_share"], &endpoint["effective_weight"]), (&0.0.into(), &0.0.into()));
    for _ in 0..20 {
        assert_eq!(who(&proxy).await, "new");
    }
    assert_eq!(old.calls(), 1);
    gate.add_permits(1);
    assert_eq!(waiting.await.unwrap().messages, [text_field(1, "old")]);
    proxy.until("echo", |endpoints| endpoints[0]["in_flight"] == 0 && endpoints[0]["requests"] == 1).await;
    assert!(proxy.endpoints("echo").await[0]["why"].as_str().unwrap().ends_with("nothing is in flight"));
}

#[tokio::test]
async fn reweighting_opens_no_connection_and_loses_no_count() {
    let (one, gate) = gated("one").await;
    let two = named("two").await;
    let proxy = Running::echo(&[(&one.address, 1), (&two.address, 0)]).await;
    let caller = Caller::connect(&proxy.address).await;
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let caller = caller.clone();
            tokio::spawn(async move { caller.call(SAY, b"").await })
        })
        .collect();
    proxy.until("echo", |endpoints| endpoints[0]["in_flight"] == 3).await;
    // A connection a worker: the warm ones.
    while one.connections() < 2 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    for round in 1..=50 {
        let weights = [(&*one.address, round + 1), (&*two.address, round % 2)];
        proxy.replace("endpoints/echo.yaml", &table(&weights));
        proxy.reload();
        in_force(&proxy, &weights).await;
        let endpoints = proxy.endpoints("echo").await;
        assert_eq!((&endpoints[0]["in_flight"], &endpoints[1]["in_flight"]), (&3.into(), &0.into()), "{round}");
    }
    assert_eq!(one.connections(), 2);
    assert!(two.connections() <= 2, "{}", two.connections());
    gate.add_permits(3);
    for call in waiting {
        assert_eq!(call.await.unwrap().grpc_status(), "0");
    }
    proxy.until("echo", |endpoints| endpoints[0]["in_flight"] == 0 && endpoints[0]["requests"] == 3).await;
    assert_eq!(proxy.endpoints("echo").await[0]["failures"], 0);
}

#[tokio::test]
async fn conversations_go_on_over_every_change_to_their_own_end() {
    let (staying, going) = (Servlet::start(talk).await, Servlet::start(talk).await);
    let proxy = Running::echo(&[(&staying.address, 1)]).await;
    let caller = Caller::connect(&proxy.address).await;
    let mut on_staying = Talk::begin(&caller).await;
    proxy.replace("endpoints/echo.yaml", &table(&[(&going.address, 1), (&staying.address, 0)]));
    in_force(&proxy, &[(&going.address, 1), (&staying.address, 0)]).await;
    let mut on_going = Talk::begin(&caller).await;
    assert_eq!((staying.calls(), going.calls()), (1, 1));

    // Removed from the table, the servlet's whole file changed, its schema changed, and in the end the servlet removed.
    proxy.replace("endpoints/echo.yaml", &table(&[(&staying.address, 2)]));
    in_force(&proxy, &[(&staying.address, 2)]).await;
    on_going.say(b"removed").await;
    on_staying.say(b"still here").await;
    let known = proxy.reloads().await.len();
    proxy.replace("servlets/echo.yaml", &format!("{ECHO}{ALLOW}timeout: 1h\nbalance: {{ policy: round_robin }}\n"));
    assert_eq!(proxy.report_after(known).await["accepted"], true);
    proxy.replace("protos/echo.proto", &ECHO_PROTO.replace("\"/v1/", "\"/v2/"));
    assert_eq!(proxy.report_after(known + 1).await["accepted"], true);
    on_going.say(b"another schema").await;
    on_staying.say(b"another schema").await;
    std::fs::remove_file(proxy.path("servlets/echo.yaml")).unwrap();
    while !proxy.servlets().await.is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    on_going.say(b"no servlet").await;
    on_staying.say(b"no servlet").await;
    assert_eq!(caller.call(SAY, b"").await.grpc_status(), "12");
    on_going.end().await;
    on_staying.end().await;
    assert_eq!((staying.calls(), going.calls()), (1, 1));
    assert!(staying.seen()[0].whole && going.seen()[0].whole);
}

#[tokio::test]
async fn an_endpoint_that_comes_back_is_served_again() {
    let (one, two) = (named("one").await, named("two").await);
    let proxy = Running::echo(&[(&one.address, 1), (&two.address, 1)]).await;
    for _ in 0..5 {
        proxy.replace("endpoints/echo.yaml", &table(&[(&two.address, 1)]));
        in_force(&proxy, &[(&two.address, 1)]).await;
        assert_eq!(who(&proxy).await, "two");
        proxy.replace("endpoints/echo.yaml", &table(&[(&one.address, 1)]));
        in_force(&proxy, &[(&one.address, 1)]).await;
        assert_eq!(who(&proxy).await, "one");
    }
}

const RELOADS: u32 = 300;

/// Four gRPC callers and four HTTP/1.0 callers, until they are told to stop. Any call that fails is a panic.
struct Callers {
    stop: Arc<AtomicBool>,
    calls: Arc<AtomicUsize>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Callers {
    async fn start(proxy: &Running) -> Callers {
        let mut callers = Callers { stop: Arc::default(), calls: Arc::default(), tasks: Vec::new() };
        for _ in 0..4 {
            let caller = Caller::connect(&proxy.address).await;
            callers.keep(move || {
                let caller = caller.clone();
                async move {
                    let answer: grpc::Answer = caller.call(SAY, &text_field(1, "hello")).await;
                    assert_eq!(answer.grpc_status(), "0", "{answer:?}");
                }
            });
            let address = proxy.address.clone();
            callers.keep(move || {
                let address = address.clone();
                async move {
                    let answer = http1::Caller::once(&address, "GET /v1/say/hello HTTP/1.0\r\n\r\n").await;
                    assert_eq!(answer.status, 200, "{}", answer.text());
                }
            });
        }
        callers
    }

    fn keep<T: Future<Output = ()> + Send + 'static>(&mut self, once: impl Fn() -> T + Send + Sync + 'static) {
        let (stop, calls) = (Arc::clone(&self.stop), Arc::clone(&self.calls));
        self.tasks.push(tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                once().await;
                calls.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }

    async fn stop(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        self.calls.load(Ordering::Relaxed)
    }
}

#[tokio::test]
async fn three_hundred_reloads_under_traffic_act_each_and_fail_no_call() {
    let servlets = [named("one").await, named("two").await, named("three").await];
    let names = ["one", "two", "three"];
    let all: Vec<(&str, u32)> = servlets.iter().map(|servlet| (&*servlet.address, 1)).collect();
    let proxy = Running::echo(&all).await;
    let callers = Callers::start(&proxy).await;
    for round in 0..RELOADS {
        // One of the three is out, by its weight or by its absence; the weights of the others change as well.
        let out = (round % 3) as usize;
        let by_absence = round % 2 == 0;
        let weights: Vec<(&str, u32)> = servlets
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != out || !by_absence)
            .map(|(index, servlet)| (&*servlet.address, if index == out { 0 } else { 1 + round % (3 + index as u32) }))
            .collect();
        proxy.replace("endpoints/echo.yaml", &table(&weights));
        proxy.reload();
        in_force(&proxy, &weights).await;
        let mut answered = BTreeSet::new();
        for _ in 0..4 {
            answered.insert(who(&proxy).await);
        }
        assert!(!answered.contains(names[out]), "round {round}: {answered:?}");
        assert!(answered.iter().all(|name| names.contains(&&**name)), "round {round}: {answered:?}");
    }
    let calls = callers.stop().await;
    assert!(calls > RELOADS as usize, "{calls}");
    assert_eq!(proxy.metric("telamon_reloads_total{result=\"accepted\"}").await, Some(f64::from(RELOADS)));
    assert_eq!(proxy.metric("telamon_reloads_total{result=\"rejected\"}").await, Some(0.0));
    proxy.until("echo", |endpoints| endpoints.iter().all(|endpoint| endpoint["in_flight"] == 0)).await;
    assert!(proxy.endpoints("echo").await.iter().all(|endpoint| endpoint["failures"] == 0));
}

#[tokio::test]
async fn options_that_change_act_on_an_endpoint_that_stays() {
    let gate = Arc::new(Semaphore::new(0));
    let inside = Arc::clone(&gate);
    let mut one_stream = h2::server::Builder::new();
    one_stream.max_concurrent_streams(1);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let servlet = Servlet::on(listener, one_stream, move |mut call: Call| {
        let gate = Arc::clone(&inside);
        async move {
            call.read().await;
            gate.acquire().await.unwrap().forget();
            call.reply(&[], "0", None);
        }
    });
    let narrow = format!("{ECHO}endpoint_connections: 1\n");
    let files = [
        ("protos/echo.proto", ECHO_PROTO),
        ("servlets/echo.yaml", &*narrow),
        ("endpoints/echo.yaml", &table(&[(&servlet.address, 1)])),
    ];
    let proxy = Running::with(&files, "").await;
    // One connection of ours is one worker's, and its calls are.
    let caller = Caller::connect(&proxy.address).await;
    let call = || {
        let caller = caller.clone();
        tokio::spawn(async move { caller.call(SAY, b"").await })
    };
    let first = [call(), call()];
    proxy.until("echo", |endpoints| endpoints[0]["in_flight"] == 2).await;
    servlet.called(1).await;
    assert_eq!(servlet.calls(), 1);
    proxy.replace("servlets/echo.yaml", &format!("{ECHO}endpoint_connections: 4\n"));
    assert_eq!(proxy.report_after(0).await["accepted"], true);
    // Who comes now may open another connection, and who waits gets on it as well.
    let second = [call(), call()];
    while servlet.calls() < 4 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    gate.add_permits(4);
    for call in first.into_iter().chain(second) {
        assert_eq!(call.await.unwrap().grpc_status(), "0");
    }
}
