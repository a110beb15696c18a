//! Files change while calls run: what is good acts at once, what is bad changes nothing, and no call notices.

mod calls;
mod conflicts;
mod gate;
mod refused;
mod ways;

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::support::grpc::{self, Caller};
use crate::support::proxy::{ECHO, ECHO_PROTO, table};
use crate::support::{Call, Running, Servlet, framed, http1, text_field};

/// In a servlet's file: a schema may break callers.
const ALLOW: &str = "schema_changes: allow\n";
const SAY: &str = "/echo.v1.Echo/Say";
const CHAT: &str = "/echo.v1.Echo/Chat";

/// A servlet that answers with its name.
async fn named(name: &'static str) -> Servlet {
    Servlet::start(move |mut call: Call| async move {
        call.read().await;
        call.reply(&[&text_field(1, name)], "0", None);
    })
    .await
}

/// Who answers an HTTP/1.0 caller now, or with what status it is turned away.
async fn who(proxy: &Running) -> String {
    let answer = http1::Caller::once(&proxy.address, "GET /v1/say/x HTTP/1.0\r\n\r\n").await;
    match answer.status {
        200 => answer.json()["text"].as_str().unwrap().to_owned(),
        status => status.to_string(),
    }
}

async fn status(proxy: &Running, path: &str) -> u16 {
    http1::Caller::once(&proxy.address, &format!("GET {path} HTTP/1.0\r\n\r\n")).await.status
}

/// Waits until the table in force has exactly these addresses and weights.
async fn in_force(proxy: &Running, expected: &[(&str, u32)]) {
    proxy
        .until("echo", |endpoints| {
            endpoints.len() == expected.len()
                && endpoints.iter().zip(expected).all(|(endpoint, (address, weight))| {
                    endpoint["address"] == *address && endpoint["configured_weight"] == *weight
                })
        })
        .await;
}

/// A servlet whose calls wait for a permit before they answer, by that name.
async fn gated(name: &'static str) -> (Servlet, Arc<Semaphore>) {
    Servlet::gated(move |mut call, gate| async move {
        call.read().await;
        gate.acquire().await.unwrap().forget();
        call.reply(&[&text_field(1, name)], "0", None);
    })
    .await
}

/// One conversation under way.
struct Talk {
    send: h2::SendStream<bytes::Bytes>,
    body: h2::RecvStream,
}

impl Talk {
    async fn begin(caller: &Caller) -> Talk {
        let mut ready = caller.send.clone().ready().await.unwrap();
        let (response, mut send) = ready.send_request(Caller::request(CHAT), false).unwrap();
        send.send_data(framed(b"hello").into(), false).unwrap();
        let mut talk = Talk { send, body: response.await.unwrap().into_body() };
        talk.hear(b"hello").await;
        talk
    }

    async fn say(&mut self, word: &[u8]) {
        self.send.send_data(framed(word).into(), false).unwrap();
        self.hear(word).await;
    }

    async fn hear(&mut self, word: &[u8]) {
        let heard = self.body.data().await.unwrap().unwrap();
        self.body.flow_control().release_capacity(heard.len()).unwrap();
        assert_eq!(heard, framed(word));
    }

    async fn end(mut self) {
        self.send.send_data(bytes::Bytes::new(), true).unwrap();
        assert!(self.body.data().await.is_none());
        assert_eq!(self.body.trailers().await.unwrap().unwrap()["grpc-status"], "0");
    }
}
