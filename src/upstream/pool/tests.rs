use std::future::{Future, poll_fn};
use std::task::Poll;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::Notify;
use tokio::task::spawn_local;

use super::*;
use crate::balance::Policy;
use crate::model::{EndpointSpec, Frame, Table};
use crate::servlet::Servlet;

/// No body.
#[derive(Debug)]
struct Empty;

impl Body for Empty {
    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _cx: &mut std::task::Context<'_>,
    ) -> Poll<Option<Result<Frame, Fault>>> {
        Poll::Ready(None)
    }

    fn is_end(&self) -> bool {
        true
    }
}

/// A server that takes one call at a time on a connection, and counts the connections that it has taken and those that are open. It
/// answers a call when there is a permit.
#[derive(Clone)]
struct Server {
    /// Connections that are closed unanswered, by the order of their coming.
    refused: std::ops::Range<usize>,
    accepted: Rc<Cell<usize>>,
    /// The paths of the calls.
    asked: Rc<RefCell<Vec<String>>>,
    taken: Rc<Cell<usize>>,
    open: Rc<Cell<usize>>,
    changed: Rc<Notify>,
    go: Rc<tokio::sync::Semaphore>,
}

impl Server {
    async fn start() -> (Server, Arc<Servlet>) {
        Server::refusing(0..0).await
    }

    async fn refusing(refused: std::ops::Range<usize>) -> (Server, Arc<Servlet>) {
        let server = Server {
            refused,
            accepted: Rc::default(),
            asked: Rc::default(),
            taken: Rc::default(),
            open: Rc::default(),
            changed: Rc::default(),
            go: Rc::new(tokio::sync::Semaphore::new(0)),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string().parse().unwrap();
        let table = Table::flat(vec![EndpointSpec { address, weight: 1 }]);
        let servlet = Servlet::new("a".into(), Policy::default(), &table, now());
        let all = server.clone();
        spawn_local(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let number = all.accepted.replace(all.accepted.get() + 1);
                all.changed.notify_waiters();
                if !all.refused.contains(&number) {
                    spawn_local(all.clone().serve(socket));
                }
            }
        });
        (server, servlet)
    }

    async fn serve(self, socket: tokio::net::TcpStream) {
        let mut connection =
            h2::server::Builder::new().max_concurrent_streams(1).handshake::<_, bytes::Bytes>(socket).await.unwrap();
        self.taken.set(self.taken.get() + 1);
        self.open.set(self.open.get() + 1);
        self.changed.notify_waiters();
        while let Some(Ok((head, mut respond))) = connection.accept().await {
            self.asked.borrow_mut().push(head.uri().path().to_owned());
            self.changed.notify_waiters();
            let go = Rc::clone(&self.go);
            spawn_local(async move {
                go.acquire().await.unwrap().forget();
                respond.send_response(http::Response::new(()), true).unwrap();
            });
        }
        self.open.set(self.open.get() - 1);
        self.changed.notify_waiters();
    }

    async fn until(&self, is_so: impl Fn(&Server) -> bool) {
        loop {
            let changed = self.changed.notified();
            if is_so(self) {
                return;
            }
            changed.await;
        }
    }
}

fn run(test: impl Future<Output = ()> + 'static) {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).unwrap();
    runtime.block_on(test);
}

async fn call(pool: &Pool, servlet: &Servlet, options: &Options) {
    ask(pool, servlet, options, "/").await.unwrap();
}

async fn ask(pool: &Pool, servlet: &Servlet, options: &Options, path: &str) -> Result<(), Fault> {
    let mut head = Request::post(format!("http://a{path}")).body(()).unwrap();
    let endpoint = servlet.snapshot().endpoints().next().unwrap().clone();
    let sent = pool.send(&endpoint, options, Protocol::Http2, &mut head, None, &mut Some(Empty)).await;
    let mut exchange = sent?;
    poll_fn(|cx| exchange.poll_head(cx)).await.map(|_| ())
}

/// A pool's calls, each in a task of its own.
#[derive(Clone)]
struct Calls {
    pool: Rc<Pool>,
    servlet: Arc<Servlet>,
    options: Options,
}

impl Calls {
    fn new(servlet: &Arc<Servlet>, options: Options) -> Calls {
        Calls { pool: Rc::new(Pool::new()), servlet: Arc::clone(servlet), options }
    }

    fn spawn(&self, path: &'static str) -> tokio::task::JoinHandle<Result<(), Fault>> {
        let calls = self.clone();
        spawn_local(async move { ask(&calls.pool, &calls.servlet, &calls.options, path).await })
    }

    fn waiting(&self) -> usize {
        self.pool.endpoints.borrow().values().map(|replica| replica.queue.len()).sum()
    }

    async fn until_waiting(&self, many: usize) {
        while self.waiting() != many {
            tokio::task::yield_now().await;
        }
    }
}

#[test]
fn connections_that_a_crowd_needed_are_let_go_but_for_one() {
    run(async {
        let (server, servlet) = Server::start().await;
        let options = Options { idle_http2_timeout: Duration::from_millis(20), ..Options::default() };
        let pool = Rc::new(Pool::new());
        let calls: Vec<_> = (0..4)
            .map(|_| {
                let (pool, servlet, options) = (Rc::clone(&pool), Arc::clone(&servlet), options.clone());
                spawn_local(async move { call(&pool, &servlet, &options).await })
            })
            .collect();
        // However long a call takes, its connection is in use.
        server.until(|server| server.open.get() == 4).await;
        server.go.add_permits(4);
        for call in calls {
            call.await.unwrap();
        }
        server.until(|server| server.open.get() == 1).await;
        let taken = server.taken.get();
        server.go.add_permits(1);
        call(&pool, &servlet, &options).await;
        assert_eq!((server.taken.get(), server.open.get()), (taken, 1), "the one that is left is used");
    });
}

#[test]
fn who_waits_is_served_in_the_order_of_coming_and_nobody_overtakes() {
    run(async {
        let (server, servlet) = Server::start().await;
        let calls = Calls::new(&servlet, Options { connections: 1, ..Options::default() });
        let again = calls.clone();
        // Ends, and comes again before anybody else has a turn.
        let first = spawn_local(async move {
            ask(&again.pool, &again.servlet, &again.options, "/first").await.unwrap();
            ask(&again.pool, &again.servlet, &again.options, "/again").await.unwrap();
        });
        server.until(|server| server.asked.borrow().len() == 1).await;
        let mut waiting = Vec::new();
        for (number, path) in ["/b", "/gone", "/c", "/d"].into_iter().enumerate() {
            waiting.push(calls.spawn(path));
            calls.until_waiting(number + 1).await;
        }
        waiting.remove(1).abort();
        calls.until_waiting(3).await;
        server.go.add_permits(5);
        first.await.unwrap();
        for call in waiting {
            call.await.unwrap().unwrap();
        }
        assert_eq!(*server.asked.borrow(), ["/first", "/b", "/c", "/d", "/again"]);
        assert_eq!((server.taken.get(), calls.waiting()), (1, 0));
    });
}

#[test]
fn a_wait_has_an_end_and_what_is_freed_then_is_for_the_next() {
    run(async {
        let (server, servlet) = Server::start().await;
        let brief = Options { connections: 1, queue_timeout: Duration::from_millis(20), ..Options::default() };
        let calls = Calls::new(&servlet, brief);
        let held = calls.spawn("/held");
        server.until(|server| server.asked.borrow().len() == 1).await;
        let fault = calls.spawn("/late").await.unwrap().unwrap_err();
        assert_eq!((fault.kind, fault.answer().retry), (FaultKind::Saturated, crate::model::Retry::Elsewhere));
        server.go.add_permits(2);
        held.await.unwrap().unwrap();
        calls.spawn("/next").await.unwrap().unwrap();
        assert_eq!(*server.asked.borrow(), ["/held", "/next"]);
    });
}

#[test]
fn a_further_connection_that_fails_is_not_tried_again_by_every_call() {
    run(async {
        let (server, servlet) = Server::refusing(1..1000).await;
        let calls = Calls::new(&servlet, Options::default());
        let started = now();
        let mut all = vec![calls.spawn("/")];
        server.until(|server| server.asked.borrow().len() == 1).await;
        for waiting in 1..20 {
            all.push(calls.spawn("/"));
            calls.until_waiting(waiting).await;
            server.until(|server| server.accepted.get() > 1).await;
            // Until it is told, if it is.
            while calls.pool.endpoints.borrow().values().any(|replica| replica.connecting.get()) {
                tokio::task::yield_now().await;
            }
        }
        // One, another 100 ms later, and so on.
        let failed = u32::try_from(server.accepted.get() - 1).unwrap();
        let pauses = Duration::from_millis(100) * (2_u32.pow(failed - 1) - 1);
        assert!(pauses <= started.elapsed(), "{failed} tries in {:?}", started.elapsed());
        server.go.add_permits(20);
        for call in all {
            call.await.unwrap().unwrap();
        }
    });
}

#[test]
fn who_waits_gets_the_further_connection_that_comes_up_after_a_pause() {
    run(async {
        let (server, servlet) = Server::refusing(1..3).await;
        let calls = Calls::new(&servlet, Options::default());
        let held = calls.spawn("/held");
        server.until(|server| server.asked.borrow().len() == 1).await;
        let waiting = calls.spawn("/waiting");
        server.until(|server| server.asked.borrow().len() == 2).await;
        assert_eq!((server.accepted.get(), server.taken.get()), (4, 2));
        server.go.add_permits(2);
        held.await.unwrap().unwrap();
        waiting.await.unwrap().unwrap();
    });
}

#[test]
fn pauses_double_up_to_ten_seconds_and_a_success_forgets_them() {
    let further = Further::default();
    let now = Instant::now();
    for pause in [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000] {
        assert_eq!(further.failed(now), now + Duration::from_millis(pause));
    }
    further.went_well();
    assert!(!further.pauses());
    assert_eq!(further.failed(now), now + FIRST_PAUSE);
}
