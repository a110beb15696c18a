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

/// A stream whose body pauses, beside others.
struct Fitful {
    id: u32,
    open: Option<Open>,
    waker: Waker,
    ready: usize,
    window: i64,
}

impl Fitful {
    fn open(raw: &mut Raw, nth: usize, queue: &Queue, window: i64) -> Option<Fitful> {
        let id = nth as u32 * 2 + 1;
        raw.say(&request(id, END));
        let mut open = raw.accept()?;
        assert!(open.answer(false));
        let waker = Waker::from(Arc::new(Call { nth, queue: Arc::clone(queue) }));
        Some(Fitful { id, open: Some(open), waker, ready: 0, window })
    }

    fn go_on(&mut self) {
        let Some(open) = &mut self.open else { return };
        let mut cx = Context::from_waker(&self.waker);
        while self.ready > 0 {
            match open.send.poll_room(&mut cx) {
                Poll::Ready(Ok(_)) => {
                    let mut data = Bytes::from(vec![0; self.ready.min(40_000)]);
                    let before = data.len();
                    assert!(open.send.send(&mut data, false) && data.len() < before);
                    self.ready -= before - data.len();
                    self.window -= (before - data.len()) as i64;
                }
                Poll::Ready(Err(_)) => return self.open = None,
                Poll::Pending => return,
            }
        }
    }
}

/// The socket takes so much. How much there was for it.
fn taken(raw: &Raw, most: usize) -> usize {
    let mut left = most;
    let _ = raw.connection.write(|pieces| {
        let len = pieces.iter().map(|piece| piece.len()).sum::<usize>().min(left);
        left -= len;
        if len == 0 { Poll::Pending } else { Poll::Ready(Ok(len)) }
    });
    most - left
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    /// Bodies that pause, partial writes, windows that open late and shrink, resets, streams that end uncalled and called: when all has come
    /// to rest, nobody who has something to say and may say it waits.
    #[test]
    fn nobody_is_forgotten(
        window_of_stream in prop::sample::select(vec![0_i64, 1, 5_000, 65_535, 1_000_000]),
        count in 1..90_usize,
        steps in proptest::collection::vec((0..12_u8, 0..1000_usize, 1..400_000_usize), 1..250),
    ) {
        let mut raw = Raw::server();
        raw.say(&settings(&[(4, window_of_stream as u32)]));
        let (queue, mut initial) = (Queue::default(), window_of_stream);
        let mut all: Vec<Fitful> = Vec::new();
        while all.len() < count
            && let Some(stream) = Fitful::open(&mut raw, all.len(), &queue, initial)
        {
            all.push(stream);
        }
        for (step, nth, amount) in steps {
            let next_nth = all.len();
            let stream = &mut all[nth % next_nth];
            match step {
                0 | 1 => {
                    stream.ready += amount;
                    stream.go_on();
                }
                2 | 3 => {
                    for _ in 0..nth % 7 {
                        let mut woken = queue.lock().unwrap();
                        let next = if woken.is_empty() { None } else { let at = amount % woken.len(); woken.remove(at) };
                        drop(woken);
                        next.into_iter().for_each(|next| all[next].go_on());
                    }
                }
                4 | 5 => drop(taken(&raw, amount)),
                6 if raw.connection.window() < 100_000_000 => raw.say(&window(0, amount as u32)),
                7 if stream.open.is_some() && stream.window < 100_000_000 => {
                    stream.window += amount as i64;
                    raw.say(&window(stream.id, amount as u32));
                }
                8 => raw.say(&reset(stream.id, super::super::Reason::CANCEL)),
                9 if next_nth < 400 => {
                    stream.open = None;
                    all.extend(Fitful::open(&mut raw, next_nth, &queue, initial));
                }
                10 => {
                    let changed = (amount % 70_000) as i64;
                    all.iter_mut().for_each(|stream| stream.window += changed - initial);
                    initial = changed;
                    raw.say(&settings(&[(4, changed as u32)]));
                }
                _ => {
                    loop {
                        let woken = std::mem::take(&mut *queue.lock().unwrap());
                        let rests = woken.is_empty();
                        woken.into_iter().for_each(|nth| all[nth].go_on());
                        if taken(&raw, 30_000 + amount) == 0 && rests {
                            break;
                        }
                    }
                    let open = raw.connection.window();
                    for stream in all.iter().filter(|stream| stream.open.is_some() && stream.ready > 0) {
                        prop_assert!(open <= 0 || stream.window <= 0, "{} has {} to say, with {open} and {}", stream.id, stream.ready, stream.window);
                    }
                }
            }
        }
    }
}
