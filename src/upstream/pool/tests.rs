use std::future::{Future, poll_fn};
use std::task::Poll;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, LocalOptions};
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
    taken: Rc<Cell<usize>>,
    open: Rc<Cell<usize>>,
    changed: Rc<Notify>,
    go: Rc<tokio::sync::Semaphore>,
}

impl Server {
    async fn start() -> (Server, Arc<Servlet>) {
        let server = Server {
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
                spawn_local(all.clone().serve(socket));
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
        while let Some(Ok((_, mut respond))) = connection.accept().await {
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

async fn call(pool: &Pool<Empty>, servlet: &Servlet, options: &Options) {
    let head = || Request::post("http://a/").body(()).unwrap();
    let endpoint = servlet.snapshot().endpoints().next().unwrap().clone();
    let mut exchange = pool.send(&endpoint, options, Protocol::Http2, &head, None, Empty).await.unwrap();
    poll_fn(|cx| exchange.poll_head(cx)).await.unwrap();
}

#[test]
fn connections_that_a_crowd_needed_are_let_go_but_for_one() {
    run(async {
        let (server, servlet) = Server::start().await;
        let options = Options { idle_http2_timeout: Duration::from_millis(20), ..Options::default() };
        let pool = Rc::new(Pool::<Empty>::new());
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
