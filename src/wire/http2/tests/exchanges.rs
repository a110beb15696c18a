//! Calls between two connections of the core, as they come: short and long, both ways at once, given up at any moment by either side.
//! Every byte that was sent is received in its order, or the stream has an error; nobody waits who could go on; and when all is over
//! nothing is left.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use proptest::prelude::*;

use super::super::{Connection, Options, Reason, RecvStream, SendStream, StreamError};
use super::world::{Chance, Wire, World, drive};
use super::{CLIENT, SERVER, options};
use crate::model::Frame;

/// How a sender stops.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stop {
    End,
    /// With the last byte.
    EndAtOnce,
    Trailers,
    Reset,
    Drop,
    /// It says no more, and stays.
    Hold,
}

/// What is sent one way of a call, and how much of it is read.
#[derive(Clone, Debug)]
struct Flow {
    pieces: Vec<usize>,
    stop: Stop,
    read: Option<usize>,
}

impl Flow {
    fn is_whole(&self) -> bool {
        matches!(self.stop, Stop::End | Stop::EndAtOnce | Stop::Trailers)
    }
}

/// What became of a flow.
#[derive(Debug, Default)]
struct Fate {
    sent: Vec<u8>,
    /// Its end was sent.
    is_sent: bool,
    sender_is_done: bool,
    received: Vec<u8>,
    outcome: Option<Outcome>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    Ended { has_trailers: bool },
    Error(StreamError),
    ReadEnough,
}

type Shared = Rc<RefCell<Fate>>;

/// Of each call, up and down.
type Fates = Rc<[(Shared, Shared)]>;

async fn send_all(mut send: SendStream, flow: Flow, salt: usize, fate: Shared) {
    if send_pieces(&mut send, &flow, salt, &fate).await.is_ok() {
        match flow.stop {
            Stop::End => fate.borrow_mut().is_sent = send.send(&mut Bytes::new(), true),
            Stop::EndAtOnce if flow.pieces.is_empty() => fate.borrow_mut().is_sent = send.send(&mut Bytes::new(), true),
            Stop::Trailers => {
                let trailers = HeaderMap::from_iter([(http::header::ETAG, HeaderValue::from_static("end"))]);
                fate.borrow_mut().is_sent = send.send_trailers(&trailers);
            }
            Stop::Reset => send.reset(Reason::INTERNAL_ERROR),
            Stop::EndAtOnce | Stop::Drop => {}
            Stop::Hold => drop(poll_fn(|cx| send.poll_reset(cx)).await),
        }
    }
    fate.borrow_mut().sender_is_done = true;
}

async fn send_pieces(send: &mut SendStream, flow: &Flow, salt: usize, fate: &Shared) -> Result<(), StreamError> {
    for (nth, len) in flow.pieces.iter().enumerate() {
        let bytes: Vec<u8> = (0..*len).map(|at| (at * 7 + nth * 31 + salt) as u8).collect();
        let is_last = flow.stop == Stop::EndAtOnce && nth + 1 == flow.pieces.len();
        let mut data = Bytes::from(bytes);
        while !data.is_empty() {
            let room = poll_fn(|cx| send.poll_room(cx)).await?;
            let before = data.clone();
            assert!(send.send(&mut data, is_last), "a stream with room is there");
            let sent = before.len() - data.len();
            assert!(sent > 0 && sent <= room);
            let mut fate = fate.borrow_mut();
            fate.sent.extend_from_slice(&before[..sent]);
            fate.is_sent = is_last && data.is_empty();
        }
    }
    Ok(())
}

async fn receive_all(mut recv: RecvStream, is_client: bool, flow: Flow, fate: Shared) {
    if is_client {
        match poll_fn(|cx| recv.poll_head(cx)).await {
            Ok(head) => assert_eq!(head.fields["salt"], "1"),
            Err(error) => {
                fate.borrow_mut().outcome = Some(Outcome::Error(error));
                return;
            }
        }
    }
    let outcome = loop {
        if flow.read.is_some_and(|most| fate.borrow().received.len() >= most) {
            break Outcome::ReadEnough;
        }
        match poll_fn(|cx| recv.poll_frame(cx)).await {
            Some(Ok(Frame::Data(data))) => fate.borrow_mut().received.extend_from_slice(&data),
            Some(Ok(Frame::Trailers(trailers))) => {
                assert_eq!(trailers["etag"], "end");
                assert!(recv.is_end());
                break Outcome::Ended { has_trailers: true };
            }
            Some(Err(error)) => break Outcome::Error(error),
            None => break Outcome::Ended { has_trailers: false },
        }
    };
    fate.borrow_mut().outcome = Some(outcome);
}

#[derive(Clone, Debug)]
struct Plan {
    up: Flow,
    down: Flow,
}

impl Plan {
    /// What goes in pieces of so many bytes takes so much longer.
    fn shortened(mut self, piece: usize) -> Plan {
        for flow in [&mut self.up, &mut self.down] {
            flow.pieces.iter_mut().for_each(|len| *len = (*len).min(piece.saturating_mul(100)));
        }
        self
    }
}

fn flow() -> impl Strategy<Value = Flow> {
    let len = prop_oneof![4 => 1..300_usize, 2 => 1..20_000_usize, 1 => 1..100_000_usize];
    let stop = prop_oneof![
        3 => Just(Stop::End), 3 => Just(Stop::EndAtOnce), 3 => Just(Stop::Trailers),
        1 => Just(Stop::Reset), 1 => Just(Stop::Drop), 1 => Just(Stop::Hold),
    ];
    let read = prop_oneof![4 => Just(None), 1 => (0..30_000_usize).prop_map(Some)];
    (prop::collection::vec(len, 0..5), stop, read).prop_map(|(pieces, stop, read)| Flow { pieces, stop, read })
}

fn plans() -> impl Strategy<Value = Vec<Plan>> {
    prop::collection::vec((flow(), flow()).prop_map(|(up, down)| Plan { up, down }), 1..12)
}

/// The client's calls, which begin when the server has said its first word.
fn begin(connection: &Connection, world: &World, plans: &[Plan], fates: &[(Shared, Shared)]) {
    for (nth, (plan, (up, down))) in plans.iter().zip(fates).enumerate() {
        let request = Request::post(format!("http://a/{nth}")).body(()).unwrap();
        let (recv, send) = connection.request(&request, false).expect("it takes as many");
        world.spawn(send_all(send, plan.up.clone(), nth, Rc::clone(up)));
        world.spawn(receive_all(recv, true, plan.down.clone(), Rc::clone(down)));
    }
}

fn serve(connection: &Connection, world: &World, plans: &[Plan], fates: &[(Shared, Shared)]) {
    while let Some(mut opened) = connection.accept() {
        let path = opened.head.path.unwrap();
        let nth: usize = path.as_str()[1..].parse().unwrap();
        let ((up, down), plan) = (&fates[nth], &plans[nth]);
        let answer = Response::builder().header("salt", "1").body(()).unwrap();
        // It may be reset already.
        opened.send.answer(&answer, false);
        world.spawn(send_all(opened.send, plan.down.clone(), nth + 100, Rc::clone(down)));
        world.spawn(receive_all(opened.recv, false, plan.up.clone(), Rc::clone(up)));
    }
}

/// `other`: the flow of the same call the other way.
fn check(flow: &Flow, other: &Flow, fate: &Fate) -> Result<(), TestCaseError> {
    prop_assert!(fate.sent.starts_with(&fate.received), "received what was not sent, or in another order");
    let is_let_go = matches!(flow.stop, Stop::Hold | Stop::Drop);
    // A stream whose opening and reset are read at once reaches nobody.
    let is_unopened = |by: &Flow| by.stop == Stop::Reset && fate.received.is_empty();
    match fate.outcome {
        Some(Outcome::Ended { has_trailers }) => {
            prop_assert!(fate.is_sent && fate.received.len() == fate.sent.len(), "an end too early");
            prop_assert_eq!(has_trailers, flow.stop == Stop::Trailers);
        }
        Some(Outcome::ReadEnough) => prop_assert!(flow.read.is_some()),
        Some(Outcome::Error(_)) => {}
        None => prop_assert!(is_let_go || is_unopened(flow), "its reader was not woken"),
    }
    let is_done = fate.sender_is_done || flow.stop == Stop::Hold || is_unopened(other);
    prop_assert!(is_done, "its sender was not woken");
    // Whoever is done with a call may end it; what was whole by then arrives.
    if flow.is_whole() && flow.read.is_none() && other.stop != Stop::Reset {
        prop_assert!(matches!(fate.outcome, Some(Outcome::Ended { .. })), "{:?}", fate.outcome);
        prop_assert_eq!(fate.received.len(), flow.pieces.iter().sum::<usize>());
    }
    Ok(())
}

fn check_at_rest(connection: &Connection, other: &Connection) -> Result<(), TestCaseError> {
    let (state, other) = (connection.state(), other.state());
    prop_assert!(state.streams.is_empty() && state.arrived.is_empty() && state.unserved.is_empty());
    prop_assert_eq!((state.open, state.outbox.len()), (0, 0));
    prop_assert_eq!(state.window_in + i64::from(state.untold), i64::from(state.options.connection_window));
    prop_assert_eq!(state.window_in, other.window_out);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 2_000, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn what_is_sent_is_received(
        plans in plans(),
        windows in prop::sample::select(vec![(65_535, 65_535), (1, 65_535), (100, 200), (20_000, 3), (300_000, 200_000)]),
        most in prop::sample::select(vec![1_usize, 20, 3_000, 100_000]),
        seed in any::<u64>(),
    ) {
        let chance = Chance::new(seed);
        let world = World::default();
        let plans_fates = plans.iter().map(|_| Default::default()).collect();
        let (plans, fates): (Rc<[Plan]>, Fates) =
            (plans.into_iter().map(|plan| plan.shortened(most)).collect(), plans_fates);
        let client = Connection::new(Options { stream_window: windows.0, ..options(CLIENT) });
        let server = Connection::new(Options { stream_window: windows.1, ..options(SERVER) });
        let (up, down) = (Wire::new(most * 3), Wire::new(most * 3));
        let mut is_begun = false;
        let (of_client, of_server) = ((world.clone(), Rc::clone(&plans), Rc::clone(&fates)), (world.clone(), Rc::clone(&plans), Rc::clone(&fates)));
        world.spawn(drive(client.clone(), (Rc::clone(&down), Rc::clone(&up)), most, chance.clone(), move |connection| {
            if !is_begun && connection.allowed_streams() > 0 {
                is_begun = true;
                begin(connection, &of_client.0, &of_client.1, &of_client.2);
            }
        }));
        world.spawn(drive(server.clone(), (Rc::clone(&up), Rc::clone(&down)), most, chance.clone(), move |connection| {
            serve(connection, &of_server.0, &of_server.1, &of_server.2);
        }));
        world.run(&chance);
        for (plan, (up, down)) in plans.iter().zip(fates.iter()) {
            check(&plan.up, &plan.down, &up.borrow())?;
            check(&plan.down, &plan.up, &down.borrow())?;
        }
        world.drop_all_but(2);
        world.run(&chance);
        prop_assert!(up.borrow().is_empty() && down.borrow().is_empty());
        check_at_rest(&client, &server)?;
        check_at_rest(&server, &client)?;
        prop_assert!(client.lost().is_none() && server.lost().is_none());
    }
}
