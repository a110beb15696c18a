//! The load: a fixed number of calls, each answer checked whole, as fast as the answers come or at a fixed rate. At a fixed rate a call
//! is due when its time has come, not when a connection happens to be free, so that a slow answer is felt by all who wait behind it.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use tokio::io::unix::AsyncFd;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::answer::{Call, Expected};
use crate::http1::{self, Caller};
use crate::http2::{Event, Link, Sending};

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Protocol {
    Http2,
    Http11,
    /// A connection a call.
    Http10,
}

pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) protocol: Protocol,
    pub(crate) connections: usize,
    pub(crate) streams: usize,
    pub(crate) calls: usize,
    /// Calls a second, of all connections together.
    pub(crate) rate: Option<f64>,
    pub(crate) call: Call,
}

/// What all connections share.
struct Shared {
    load: Load,
    left: Cell<usize>,
    good: Cell<usize>,
    wrong: RefCell<Vec<String>>,
    nanos: RefCell<Vec<u64>>,
}

/// Runs the load and prints what came of it, as one line of JSON.
pub(crate) async fn run(load: Load) -> io::Result<()> {
    let shared = Rc::new(Shared {
        left: Cell::new(load.calls),
        good: Cell::new(0),
        wrong: RefCell::default(),
        nanos: RefCell::new(Vec::with_capacity(load.calls)),
        load,
    });
    let mut tasks = JoinSet::new();
    let mut opened = Vec::new();
    for _ in 0..shared.load.connections {
        opened.push(match shared.load.protocol {
            Protocol::Http2 => Opened::Http2(connected(shared.load.address).await?),
            Protocol::Http11 => Opened::Http11(Caller::connect(shared.load.address).await?),
            Protocol::Http10 => Opened::Http10,
        });
    }
    let began = Instant::now();
    for (index, opened) in opened.into_iter().enumerate() {
        let shared = shared.clone();
        tasks.spawn_local(async move {
            let pace = Pace::new(&shared, index)?;
            match opened {
                Opened::Http2(link) => http2(link, &shared, pace).await,
                Opened::Http11(caller) => http11(Some(caller), &shared, pace).await,
                Opened::Http10 => http11(None, &shared, pace).await,
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended.map_err(io::Error::other).flatten() {
            shared.wrong(format!("a connection broke: {error}"));
        }
    }
    shared.report(began.elapsed());
    Ok(())
}

enum Opened {
    Http2(Box<Link>),
    Http11(Caller),
    Http10,
}

/// With its SETTINGS exchanged, so that no call pays for that.
pub(crate) async fn connected(address: SocketAddr) -> io::Result<Box<Link>> {
    let socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    let mut link = Box::new(Link::client(socket));
    while !link.settled {
        link.turn(&mut |_, _| ()).await?;
    }
    Ok(link)
}

impl Shared {
    fn wrong(&self, why: String) {
        self.wrong.borrow_mut().push(why);
    }

    fn done(&self, due: Instant) {
        self.good.set(self.good.get() + 1);
        self.nanos.borrow_mut().push(due.elapsed().as_nanos() as u64);
    }

    fn report(&self, took: Duration) {
        let mut nanos = self.nanos.borrow_mut();
        nanos.sort_unstable();
        let micros = |share: f64| {
            let at = ((nanos.len() as f64 * share).ceil() as usize).clamp(1, nanos.len().max(1)) - 1;
            nanos.get(at).map_or(0.0, |nanos| *nanos as f64 / 1e3)
        };
        let wrong = self.wrong.borrow();
        let missing = self.load.calls - self.good.get();
        let why = wrong.first().map_or_else(String::new, |why| why.replace(['"', '\\', '\n', '\r'], " "));
        println!(
            "{{\"calls\":{},\"wrong\":{missing},\"why\":\"{why}\",\"seconds\":{:.6},\"p50\":{:.1},\"p99\":{:.1},\"p999\":{:.1},\"max\":{:.1}}}",
            self.load.calls,
            took.as_secs_f64(),
            micros(0.5),
            micros(0.99),
            micros(0.999),
            micros(1.0),
        );
    }
}

/// When a connection's next calls are due.
struct Pace {
    timer: Option<AsyncFd<std::os::fd::OwnedFd>>,
    due: VecDeque<Instant>,
}

impl Pace {
    fn new(shared: &Shared, index: usize) -> io::Result<Self> {
        let Some(rate) = shared.load.rate else { return Ok(Self { timer: None, due: VecDeque::new() }) };
        let gap = shared.load.connections as f64 / rate;
        let spec = |seconds: f64| {
            let whole = Duration::from_secs_f64(seconds.max(1e-6));
            Timespec { tv_sec: whole.as_secs() as i64, tv_nsec: whole.subsec_nanos().into() }
        };
        let timer = rustix::time::timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK)?;
        let times = Itimerspec {
            it_interval: spec(gap),
            it_value: spec(gap * (index + 1) as f64 / shared.load.connections as f64),
        };
        rustix::time::timerfd_settime(&timer, TimerfdTimerFlags::empty(), &times)?;
        #[allow(
            deprecated,
            reason = "its successor is `unsafe` for owners that give their descriptor away; this one does not"
        )]
        let timer = AsyncFd::new(timer)?;
        Ok(Self { timer: Some(timer), due: VecDeque::new() })
    }

    /// The next call, if one is due.
    fn next(&mut self, shared: &Shared) -> Option<Instant> {
        if self.timer.is_some() {
            return self.due.pop_front();
        }
        take(shared).then(Instant::now)
    }

    /// Whether none will come any more.
    fn is_over(&self, shared: &Shared) -> bool {
        self.due.is_empty() && shared.left.get() == 0
    }

    /// Waits until more are due; for ever when calls are made as fast as can be, since there `next` says all.
    async fn tick(&mut self, shared: &Shared) -> io::Result<()> {
        let Some(timer) = &self.timer else { return std::future::pending().await };
        let mut ready = timer.readable().await?;
        let mut count = [0; 8];
        match rustix::io::read(timer.get_ref(), &mut count) {
            Ok(_) => {
                let now = Instant::now();
                let count = u64::from_ne_bytes(count).min(shared.load.calls as u64);
                self.due.extend((0..count).take_while(|_| take(shared)).map(|_| now));
            }
            Err(_) => ready.clear_ready(),
        }
        Ok(())
    }
}

/// One of the calls that are left.
fn take(shared: &Shared) -> bool {
    let left = shared.left.get();
    shared.left.set(left.saturating_sub(1));
    left > 0
}

/// A call on its way.
struct Pending {
    due: Instant,
    read: usize,
    fault: Option<String>,
    status: Option<u16>,
}

async fn http2(mut link: Box<Link>, shared: &Shared, mut pace: Pace) -> io::Result<()> {
    let call = &shared.load.call;
    let mut pending: HashMap<u32, Pending> = HashMap::new();
    loop {
        while pending.len() < shared.load.streams
            && let Some(due) = pace.next(shared)
        {
            let stream = start(&mut link.sending, call);
            pending.insert(stream, Pending { due, read: 0, fault: None, status: None });
        }
        if pending.is_empty() && pace.is_over(shared) {
            return Ok(());
        }
        let mut handle = |sending: &mut Sending, event: Event<'_>| settle(sending, event, shared, &mut pending);
        tokio::select! {
            turned = link.turn(&mut handle) => turned?,
            ticked = pace.tick(shared) => ticked?,
        }
    }
}

/// Begins a call over gRPC.
pub(crate) fn start(sending: &mut Sending, call: &Call) -> u32 {
    let head = [
        (":method", call.method),
        (":scheme", "http"),
        (":path", call.path.as_str()),
        (":authority", "bench"),
        ("content-type", call.content_type),
        ("te", "trailers"),
        ("user-agent", "bench"),
    ];
    sending.request(&head, &call.body)
}

fn settle(sending: &mut Sending, event: Event<'_>, shared: &Shared, pending: &mut HashMap<u32, Pending>) {
    let Expected::Exactly(expected) = &shared.load.call.expected else { return };
    let (stream, end) = match event {
        Event::Head { stream, fields, end } => {
            let Some(call) = pending.get_mut(&stream) else { return };
            call.status = call.status.or(fields.status);
            if end && (call.status != Some(200) || fields.grpc_status != Some(0)) {
                call.fault = Some(format!("status {:?}, grpc-status {:?}", call.status, fields.grpc_status));
            }
            (stream, end)
        }
        Event::Data { stream, bytes, end } => {
            let Some(call) = pending.get_mut(&stream) else { return };
            if expected.get(call.read..call.read + bytes.len()) != Some(bytes) {
                call.fault = Some("a wrong message".into());
            }
            call.read += bytes.len();
            if end {
                call.fault = Some("an end without trailers".into());
            }
            (stream, end)
        }
        Event::Reset { stream, code } => {
            match pending.get_mut(&stream) {
                Some(call) => call.fault = Some(format!("reset with code {code}")),
                None => shared.wrong(format!("GOAWAY with code {code}")),
            }
            (stream, true)
        }
    };
    if !end {
        return;
    }
    sending.forget(stream);
    if let Some(call) = pending.remove(&stream) {
        match call.fault {
            Some(fault) => shared.wrong(fault),
            None if call.read != expected.len() => shared.wrong(format!("{} bytes", call.read)),
            None => shared.done(call.due),
        }
    }
}

/// Over one connection, or over one a call.
async fn http11(mut kept: Option<Caller>, shared: &Shared, mut pace: Pace) -> io::Result<()> {
    let fresh = kept.is_none();
    let request = http1::request(&shared.load.call, if fresh { "1.0" } else { "1.1" });
    loop {
        let Some(due) = pace.next(shared) else {
            if pace.is_over(shared) {
                return Ok(());
            }
            pace.tick(shared).await?;
            continue;
        };
        let mut once = None;
        let caller = match &mut kept {
            Some(caller) => caller,
            None => once.insert(Caller::connect(shared.load.address).await?),
        };
        let answer = caller.call(&request).await?;
        let right = match &shared.load.call.expected {
            Expected::Exactly(expected) => answer.body == expected,
            Expected::Within(part) => answer.body.windows(part.len()).any(|window| window == part),
        };
        match (answer.status, right) {
            (200, true) => shared.done(due),
            (200, false) => shared.wrong(format!("a wrong body of {} bytes", answer.body.len())),
            (status, _) => shared.wrong(format!("status {status}")),
        }
    }
}
