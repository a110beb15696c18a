//! Carries a request's body onto an HTTP/2 stream, as far as the servlet has room. Small pieces that are there go on together: a server
//! counts those that its handler has not read, and over too many of them ends the connection, with every other call on it.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::{Reason, SendStream};

use crate::model::{Body, Fault, Stop, gather};

#[derive(Debug)]
pub(super) struct Pump<B> {
    body: B,
    send: SendStream<Bytes>,
    /// A piece has been sent.
    begun: bool,
    done: bool,
    /// The body's own, told whenever it is asked.
    fault: Option<Fault>,
}

impl<B: Body + Unpin> Pump<B> {
    /// `done`: the head said that nothing follows.
    pub(super) fn new(body: B, send: SendStream<Bytes>, done: bool) -> Pump<B> {
        Pump { body, send, begun: false, done, fault: None }
    }

    pub(super) fn into_body(self) -> B {
        self.body
    }

    pub(super) fn body_mut(&mut self) -> &mut B {
        &mut self.body
    }

    /// Goes on as far as it can. The waker is called when it can go further.
    ///
    /// # Errors
    /// The body's own fault; the stream is reset. What goes wrong with the stream is told by the answer's side.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Result<(), Fault> {
        while !self.done {
            // The first piece does not wait for room: a new stream is given none before its head has left, and then the two would leave
            // in two writes. The library holds it until it may go.
            if self.begun && self.send.capacity() == 0 {
                self.send.reserve_capacity(1);
                match self.send.poll_capacity(cx) {
                    Poll::Ready(Some(Ok(_))) => {}
                    Poll::Ready(Some(Err(_)) | None) => self.done = true,
                    Poll::Pending => {
                        Pin::new(&mut self.body).poll_progress(cx);
                        return Ok(());
                    }
                }
                continue;
            }
            let (joined, stop) = gather(&mut self.body, cx);
            if self.send_on(joined, stop) {
                return Ok(());
            }
        }
        self.fault.clone().map_or(Ok(()), Err)
    }

    /// Hands on what was gathered. Whether that was nothing, and more will come.
    fn send_on(&mut self, joined: Bytes, stop: Stop) -> bool {
        if let Stop::Fault(fault) = stop {
            self.done = true;
            self.send.send_reset(Reason::CANCEL);
            self.fault = Some(fault);
            return false;
        }
        let end = matches!(stop, Stop::End);
        let nothing = joined.is_empty() && matches!(stop, Stop::Starved);
        self.begun |= !joined.is_empty();
        let mut sent = if end || !joined.is_empty() { self.send.send_data(joined, end) } else { Ok(()) };
        let mut last = end;
        match stop {
            Stop::Trailers(trailers) => {
                last = true;
                sent = sent.and_then(|()| self.send.send_trailers(trailers));
            }
            Stop::Large(data, end) => {
                last = end;
                sent = sent.and_then(|()| self.send.send_data(data, end));
            }
            Stop::Full | Stop::Starved | Stop::End | Stop::Fault(_) => {}
        }
        self.done = last || sent.is_err();
        nothing
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::future::poll_fn;

    use super::*;
    use crate::model::Frame;

    #[derive(Clone, Copy, Debug)]
    enum Item {
        Data(usize),
        /// Nothing is there yet.
        Wait,
        /// The end, which was not told with the last piece.
        End,
    }
    use Item::{Data, End, Wait};

    #[derive(Debug)]
    struct Script(VecDeque<Item>);

    impl Body for Script {
        fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, Fault>>> {
            match self.0.pop_front() {
                Some(Data(len)) => Poll::Ready(Some(Ok(Frame::Data(vec![7; len].into())))),
                Some(Wait) => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                Some(End) | None => Poll::Ready(None),
            }
        }

        fn is_end(&self) -> bool {
            self.0.is_empty()
        }
    }

    /// The sizes of the frames that a server gets.
    async fn frames(script: &[Item]) -> Vec<usize> {
        let (near, far) = tokio::io::duplex(1 << 20);
        let (client, server) = tokio::join!(h2::client::handshake(near), h2::server::handshake(far));
        let ((client, connection), mut server) = (client.unwrap(), server.unwrap());
        let (driven, served) = (tokio::spawn(connection), async {
            let (request, mut respond) = server.accept().await.unwrap().unwrap();
            let serving = tokio::spawn(async move { while server.accept().await.is_some() {} });
            let mut body = request.into_body();
            let mut sizes = Vec::new();
            while let Some(data) = body.data().await {
                let data = data.unwrap();
                body.flow_control().release_capacity(data.len()).unwrap();
                sizes.push(data.len());
            }
            respond.send_response(http::Response::new(()), true).unwrap();
            (sizes, serving)
        });
        let sent = async {
            let mut client = client.ready().await.unwrap();
            let (response, send) =
                client.send_request(http::Request::post("http://a/").body(()).unwrap(), false).unwrap();
            let mut pump = Pump::new(Script(script.iter().copied().collect()), send, false);
            poll_fn(|cx| {
                pump.poll(cx).unwrap();
                if pump.done { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            response.await.unwrap();
        };
        let ((sizes, serving), ()) = tokio::join!(served, sent);
        serving.abort();
        driven.abort();
        sizes
    }

    #[tokio::test]
    async fn small_pieces_that_are_there_go_on_together() {
        let many = vec![Data(5); 3000];
        let cases: &[(&[Item], &[usize])] = &[
            (&[Data(5)], &[5]),
            (&[Data(5), End], &[5]),
            (&[Data(20_000)], &[16_384, 3_616]),
            (&many, &[12_290, 2_710]),
            // Nothing waits for what is not there.
            (&[Data(5), Wait, Data(6), Data(7), Wait, Wait, Data(8)], &[5, 13, 8]),
            // What is not small is not copied.
            (&[Data(5), Data(6), Data(5000), Data(7), Data(8)], &[11, 5000, 15]),
            (&[Data(5000), Data(5000)], &[5000, 5000]),
            (&[Data(0), Data(0), Wait, Data(3), Data(0), Data(4)], &[7]),
        ];
        for (script, expected) in cases {
            assert_eq!(frames(script).await, *expected, "{:?}", script.get(..8).unwrap_or(script));
        }
    }
}
