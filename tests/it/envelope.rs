//! `call: telamon.v1.HttpServlet/Serve`: whole HTTP exchanges inside gRPC, end to end.

mod bodies;
mod broken;
mod exchanges;

use crate::support::http1::Caller;
use crate::support::proxy::table;
use crate::support::{Call, Running, Servlet};

/// Every path of every host, with no schema.
const ROUTE: &str = "routes: [{ match: { path: \"/**\" }, call: telamon.v1.HttpServlet/Serve }]\n";

async fn before(servlet: &Servlet) -> Running {
    routed(servlet, ROUTE).await
}

/// The same, on a listener whose peers are believed.
async fn trusting(servlet: &Servlet) -> Running {
    let files = [("servlets/web.yaml", ROUTE), ("endpoints/web.yaml", &table(&[(&servlet.address, 1)]))];
    let listener = "  - { name: ingress, address: 127.0.0.1:0, trusted_peers: [127.0.0.0/8] }\n";
    Running::with_listeners(&files, listener, "").await
}

async fn routed(servlet: &Servlet, file: &str) -> Running {
    let files = [("servlets/web.yaml", file), ("endpoints/web.yaml", &table(&[(&servlet.address, 1)]))];
    Running::with(&files, "").await
}

/// Answers each call, once it has been read, with these messages and this status.
async fn answering(messages: Vec<Vec<u8>>, status: &'static str) -> Servlet {
    Servlet::start(move |mut call: Call| {
        let messages = messages.concat();
        async move {
            call.read().await;
            let mut send = call.begin();
            let _ = send.send_data(messages.into(), false);
            let _ = send.send_trailers(crate::support::servlet::trailers(status, Some("told why")));
        }
    })
    .await
}

/// Everything that comes back for a request on a connection of its own, and whether it ended cleanly.
async fn raw(address: &str, request: &str) -> (String, bool) {
    let mut caller = Caller::connect(address).await;
    caller.write(request).await;
    let (bytes, clean) = caller.rest().await;
    (String::from_utf8_lossy(&bytes).into_owned(), clean)
}
