//! Two connections joined by wires in memory, and tasks that go on when they were woken and at no other time: whoever is not woken
//! stands still for ever, and is found.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use bytes::BytesMut;

use super::super::{Connection, Input};

/// Numbers that look like chance.
#[derive(Clone, Debug)]
pub(super) struct Chance(Rc<Cell<u64>>);

impl Chance {
    pub(super) fn new(seed: u64) -> Chance {
        Chance(Rc::new(Cell::new(seed | 1)))
    }

    /// Below `most`.
    pub(super) fn below(&self, most: usize) -> usize {
        let mut state = self.0.get();
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.0.set(state);
        (state >> 11) as usize % most.max(1)
    }
}

type Task = Pin<Box<dyn Future<Output = ()>>>;
/// Who was woken and has not run since, in this order.
pub(super) type Queue = Arc<Mutex<VecDeque<usize>>>;

/// Wakes one of many.
pub(super) struct Call {
    pub(super) nth: usize,
    pub(super) queue: Queue,
}

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        let mut queue = self.queue.lock().unwrap();
        if !queue.contains(&self.nth) {
            queue.push_back(self.nth);
        }
    }
}

/// All tasks. Those that are added while others run are first run after them.
#[derive(Clone, Default)]
pub(super) struct World {
    tasks: Rc<RefCell<Vec<Option<Task>>>>,
    added: Rc<RefCell<Vec<Task>>>,
    queue: Queue,
}

impl World {
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.added.borrow_mut().push(Box::pin(task));
    }

    /// Runs what was woken, in any order, until nothing is.
    pub(super) fn run(&self, chance: &Chance) {
        for _ in 0..3_000_000 {
            for task in self.added.take() {
                let mut tasks = self.tasks.borrow_mut();
                self.queue.lock().unwrap().push_back(tasks.len());
                tasks.push(Some(task));
            }
            let mut queue = self.queue.lock().unwrap();
            let at = chance.below(queue.len());
            let Some(nth) = queue.remove(at) else { return };
            drop(queue);
            let Some(mut task) = self.tasks.borrow_mut().get_mut(nth).and_then(Option::take) else { continue };
            let waker = Waker::from(Arc::new(Call { nth, queue: Arc::clone(&self.queue) }));
            if task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
                self.tasks.borrow_mut()[nth] = Some(task);
            }
        }
        panic!("it never comes to rest");
    }

    /// Drops all tasks but the first `kept`.
    pub(super) fn drop_all_but(&self, kept: usize) {
        let dropped: Vec<_> = self.tasks.borrow_mut().drain(kept..).collect();
        drop(dropped);
    }
}

/// Bytes on their way, as many as there is room for.
#[derive(Debug)]
pub(super) struct Wire {
    bytes: VecDeque<u8>,
    room: usize,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Wire {
    pub(super) fn new(room: usize) -> Rc<RefCell<Wire>> {
        Rc::new(RefCell::new(Wire { bytes: VecDeque::new(), room, reader: None, writer: None }))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn poll_read(&mut self, most: usize, cx: &mut Context<'_>) -> Poll<Vec<u8>> {
        if self.bytes.is_empty() {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
        let len = most.min(self.bytes.len());
        Poll::Ready(self.bytes.drain(..len).collect())
    }

    fn poll_write(&mut self, bytes: &[u8], cx: &mut Context<'_>) -> Poll<usize> {
        let len = bytes.len().min(self.room - self.bytes.len());
        if len == 0 {
            self.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        self.bytes.extend(&bytes[..len]);
        Poll::Ready(len)
    }
}

/// Reads and writes for `connection`, in pieces by chance, and lets `each` look at it after every read.
pub(super) async fn drive(
    connection: Connection,
    (incoming, outgoing): (Rc<RefCell<Wire>>, Rc<RefCell<Wire>>),
    most: usize,
    chance: Chance,
    mut each: impl FnMut(&Connection),
) {
    let mut held = BytesMut::new();
    poll_fn(|cx| {
        connection.attend(cx.waker());
        loop {
            let mut is_moved = false;
            if connection.may_read()
                && let Poll::Ready(read) = incoming.borrow_mut().poll_read(1 + chance.below(most), cx)
            {
                is_moved = true;
                held.extend_from_slice(&read);
                let all = std::mem::take(&mut held);
                let mut input = if chance.below(2) == 0 { Input::Borrowed(&all) } else { Input::Owned(all.clone()) };
                connection.receive(&mut input).expect("each keeps to the rules");
                held = input.into_rest();
            }
            each(&connection);
            let written = connection.write(|pieces| {
                let most = 1 + chance.below(most);
                let part: Vec<u8> = pieces.iter().flat_map(|piece| piece.iter().copied()).take(most).collect();
                let written = outgoing.borrow_mut().poll_write(&part, cx);
                is_moved |= written.is_ready();
                written.map(Ok)
            });
            assert!(!matches!(written, Poll::Ready(Err(_))));
            if !is_moved {
                break;
            }
        }
        connection.rest();
        Poll::<()>::Pending
    })
    .await;
}
