//! Whoever waits for the connection is called when there is room, and no stream has all of it.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use proptest::prelude::*;

use super::raw::*;
use super::world::{Call, Queue};
use super::written;

/// A stream that always has more to send, and does so when it is called.
struct Sender {
    open: Open,
    waker: Waker,
    sent: usize,
}

impl Sender {
    fn go_on(&mut self) {
        let mut cx = Context::from_waker(&self.waker);
        while self.open.send.poll_room(&mut cx).map(Result::unwrap).is_ready() {
            let mut data = Bytes::from_static(&[0; 40_000]);
            assert!(self.open.send.send(&mut data, false));
            self.sent += 40_000 - data.len();
        }
    }
}

/// All of them are called first.
fn senders(raw: &mut Raw, count: usize) -> (Vec<Sender>, Queue) {
    raw.say(&settings(&[(4, (1 << 31) - 1)]));
    let queue = Queue::new(Mutex::new((0..count).collect()));
    let senders = (0..count).map(|nth| {
        raw.say(&request(nth as u32 * 2 + 1, END));
        let mut open = raw.accept().unwrap();
        assert!(open.answer(false));
        Sender { open, waker: Waker::from(Arc::new(Call { nth, queue: Arc::clone(&queue) })), sent: 0 }
    });
    (senders.collect(), queue)
}

/// In which order those who were woken go on.
#[derive(Clone, Copy, Debug)]
enum Order {
    AsWoken,
    /// As they stand, and this one whether it was woken or not.
    Pushy(usize),
    AsTheyStand,
}

/// The peer takes what there is, always as much, and opens the connection's window by `increment` a round. What each has sent in the
/// end.
fn rounds(count: usize, rounds: usize, increment: u32, order: Order) -> Vec<usize> {
    let mut raw = Raw::server();
    if increment == 0 {
        raw.say(&window(0, (1 << 31) - 65_536));
    }
    let (mut senders, queue) = senders(&mut raw, count);
    for round in 0..rounds {
        let mut woken = std::mem::take(&mut *queue.lock().unwrap());
        match order {
            Order::AsWoken => {}
            Order::Pushy(nth) => woken.push_front(nth),
            Order::AsTheyStand => woken.make_contiguous().sort(),
        }
        woken.into_iter().for_each(|nth| senders[nth].go_on());
        let there = written(&raw.connection);
        assert!(!there.is_empty(), "nobody was called in round {round}");
        if increment > 0 {
            raw.say(&window(0, increment));
        }
    }
    senders.iter().map(|sender| sender.sent).collect()
}

#[test]
fn nobody_starves() {
    for (count, increment) in [(2, 0), (10, 0), (100, 0), (3, 20_000), (40, 20_000), (100, 40_000)] {
        for order in [Order::AsWoken, Order::Pushy(1), Order::AsTheyStand] {
            let sent = rounds(count, 20 + 5 * count, increment, order);
            let fair = sent.iter().sum::<usize>() / count;
            let (least, most) = (*sent.iter().min().unwrap(), *sent.iter().max().unwrap());
            // Whoever comes uncalled may be first when nobody else is there, once a round.
            let bound = if let Order::AsWoken = order { (2, 1) } else { (4, 1) };
            let is_fair = least * bound.0 > fair * bound.1;
            assert!(is_fair, "{count} {increment} {order:?}: {least}..{most} of {fair}");
        }
    }
}

#[test]
fn one_alone_has_all_of_it() {
    let sent = rounds(1, 10, 0, Order::AsWoken);
    // But for the heads of the frames.
    assert!(sent[0] > 10 * 511 * 1024, "{sent:?}");
}

#[test]
fn who_is_called_and_does_not_come_holds_nobody_up() {
    let mut raw = Raw::server();
    raw.say(&window(0, (1 << 31) - 65_536));
    let (mut senders, queue) = senders(&mut raw, 10);
    senders.iter_mut().for_each(Sender::go_on);
    queue.lock().unwrap().clear();
    for _ in 0..100 {
        written(&raw.connection);
        // The first nine wait no more.
        if queue.lock().unwrap().drain(..).any(|nth| nth == 9) {
            senders[9].go_on();
        }
    }
    assert!(senders.last().unwrap().sent > 100 * 4096);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    /// However the socket and the peer take it, somebody can always go on.
    #[test]
    fn somebody_can_always_go_on(
        count in 1..20_usize,
        steps in proptest::collection::vec((0..20_usize, 0..200_000_usize, 0..100_000_u32), 1..200),
    ) {
        let mut raw = Raw::server();
        let (mut senders, queue) = senders(&mut raw, count);
        for (nth, most, increment) in steps {
            // Any of those who were woken.
            let mut woken = queue.lock().unwrap();
            let next = if woken.is_empty() { None } else { let at = nth % woken.len(); woken.remove(at) };
            drop(woken);
            if let Some(next) = next {
                senders[next].go_on();
            }
            let mut left = most;
            let _ = raw.connection.write(|pieces| {
                let len = pieces.iter().map(|piece| piece.len()).sum::<usize>().min(left);
                left -= len;
                if len == 0 { Poll::Pending } else { Poll::Ready(Ok(len)) }
            });
            if increment > 50_000 {
                raw.say(&window(0, increment));
            }
        }
        // All that was ever woken goes on until nothing moves.
        while raw.connection.has_output() || !queue.lock().unwrap().is_empty() {
            written(&raw.connection);
            let woken = std::mem::take(&mut *queue.lock().unwrap());
            woken.into_iter().for_each(|nth| senders[nth].go_on());
        }
        prop_assert_eq!(raw.connection.window(), 0, "the window is used up");
        raw.say(&window(0, 1));
        prop_assert!(!queue.lock().unwrap().is_empty());
    }
}
