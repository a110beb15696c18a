//! One HTTP/2 connection, of either side, as cheap as it can be: whatever has arrived is handled in one go, whatever came of it is
//! written in one go, and nothing is allocated a frame. It trusts its peer (a proxy under measurement) to keep to RFC 9113, and only
//! notices when it does not.

use std::collections::HashMap;
use std::io;
use std::rc::Rc;

use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::hpack::{Decoder, Encoder, Fields};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20; // what 16 streams may have on the way at once
const STREAMS: u32 = 256;
const READ: usize = 256 << 10;
const OUTPUT: usize = 256 << 10; // more than this waits for the socket
const QUANTUM: usize = 64 << 10; // what a stream may send before the next one's turn

/// What is sent as DATA, and in frames of at most how many bytes.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    pub(crate) frame: usize,
}

pub(crate) enum Event<'a> {
    Head {
        stream: u32,
        fields: Fields,
        end: bool,
    },
    Data {
        stream: u32,
        bytes: &'a [u8],
        end: bool,
    },
    /// RST_STREAM, or GOAWAY of the whole connection as stream 0.
    Reset {
        stream: u32,
        code: u32,
    },
}

/// What one stream has still to send.
struct Outgoing {
    body: Rc<Body>,
    sent: usize,
    /// Trailers follow it; else it ends the stream itself.
    trailers: bool,
}

#[derive(Default)]
struct Stream {
    window: i64,
    /// Received and not told in a WINDOW_UPDATE.
    unacknowledged: u32,
    outgoing: Option<Outgoing>,
}

/// The half of a connection that an event may act upon.
pub(crate) struct Sending {
    encoder: Encoder,
    output: Vec<u8>,
    streams: HashMap<u32, Stream>,
    /// Those with something left to send, in turn.
    waiting: Vec<u32>,
    window: i64,
    initial_window: i64,
    unacknowledged: u32,
    next: u32,
}

pub(crate) struct Link {
    socket: TcpStream,
    input: Vec<u8>,
    filled: usize,
    preface: usize,
    block: Vec<u8>,
    decoder: Decoder,
    pub(crate) sending: Sending,
    pub(crate) settled: bool,
}

impl Link {
    pub(crate) fn client(socket: TcpStream) -> Self {
        let mut link = Self::new(socket, 0);
        link.sending.output.extend_from_slice(PREFACE);
        link.sending.settings();
        link
    }

    pub(crate) fn server(socket: TcpStream) -> Self {
        let mut link = Self::new(socket, PREFACE.len());
        link.sending.settings();
        link
    }

    fn new(socket: TcpStream, preface: usize) -> Self {
        let sending = Sending {
            encoder: Encoder::default(),
            output: Vec::new(),
            streams: HashMap::new(),
            waiting: Vec::new(),
            window: 65_535,
            initial_window: 65_535,
            unacknowledged: 0,
            next: 1,
        };
        Self {
            socket,
            input: Vec::new(),
            filled: 0,
            preface,
            block: Vec::new(),
            decoder: Decoder::new(),
            sending,
            settled: false,
        }
    }

    /// Sends what can be sent, then waits until there is something to do and does it. Nothing is lost when it is dropped.
    pub(crate) async fn turn(&mut self, on: &mut impl FnMut(&mut Sending, Event)) -> io::Result<()> {
        self.flush()?;
        let interest =
            if self.sending.output.is_empty() { Interest::READABLE } else { Interest::READABLE | Interest::WRITABLE };
        if self.socket.ready(interest).await?.is_readable() {
            self.fill()?;
            self.parse(on)?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        loop {
            self.sending.pump();
            if self.sending.output.is_empty() {
                return Ok(());
            }
            match self.socket.try_write(&self.sending.output) {
                Ok(written) => drop(self.sending.output.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        if self.input.len() == self.filled {
            // It grows with what comes at once: an idle connection is to cost little here as well.
            self.input.resize((self.filled * 2).clamp(4096, READ), 0);
        }
        match self.socket.try_read(&mut self.input[self.filled..]) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                self.filled += count;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn parse(&mut self, on: &mut impl FnMut(&mut Sending, Event)) -> io::Result<()> {
        let mut at = 0;
        if self.preface > 0 {
            if self.filled < self.preface {
                return Ok(());
            }
            at = std::mem::take(&mut self.preface);
        }
        while let Some(&[a, b, c, kind, flags, d, e, f, g]) = self.input[at..self.filled].first_chunk::<9>() {
            let length = u32::from_be_bytes([0, a, b, c]) as usize;
            if self.filled - at < 9 + length {
                break;
            }
            let stream = u32::from_be_bytes([d & 0x7f, e, f, g]);
            let payload = &self.input[at + 9..at + 9 + length];
            at += 9 + length;
            let end = flags & 0x1 != 0;
            match kind {
                0x0 => {
                    self.sending.received(stream, length as u32, end);
                    on(&mut self.sending, Event::Data { stream, bytes: unpadded(payload, flags)?, end });
                }
                0x1 | 0x9 => {
                    let mut fragment = if kind == 0x1 { unpadded(payload, flags)? } else { payload };
                    if kind == 0x1 && flags & 0x20 != 0 {
                        fragment = fragment.get(5..).ok_or_else(broken)?;
                    }
                    if flags & 0x4 == 0 {
                        return Err(io::Error::other("CONTINUATION is not expected here"));
                    }
                    self.block.clear();
                    self.block.extend_from_slice(fragment);
                    let fields = self.decoder.decode(&self.block).map_err(|_| broken())?;
                    self.sending
                        .streams
                        .entry(stream)
                        .or_insert_with(|| Stream { window: self.sending.initial_window, ..Stream::default() });
                    on(&mut self.sending, Event::Head { stream, fields, end });
                }
                0x3 => {
                    self.sending.forget(stream);
                    on(&mut self.sending, Event::Reset { stream, code: number(payload)? });
                }
                0x4 if !end => {
                    self.sending.settled(payload)?;
                    self.settled = true;
                }
                0x6 if !end => {
                    self.sending.frame(0x6, 0x1, 0, length);
                    self.sending.output.extend_from_slice(payload);
                }
                0x7 => on(
                    &mut self.sending,
                    Event::Reset { stream: 0, code: number(payload.get(4..).unwrap_or_default())? },
                ),
                0x8 => self.sending.granted(stream, i64::from(number(payload)? & 0x7fff_ffff)),
                _ => {}
            }
        }
        self.input.copy_within(at..self.filled, 0);
        self.filled -= at;
        Ok(())
    }
}

fn broken() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

fn number(payload: &[u8]) -> io::Result<u32> {
    payload.first_chunk().map(|bytes| u32::from_be_bytes(*bytes)).ok_or_else(broken)
}

fn unpadded(payload: &[u8], flags: u8) -> io::Result<&[u8]> {
    if flags & 0x8 == 0 {
        return Ok(payload);
    }
    let (padding, rest) = payload.split_first().ok_or_else(broken)?;
    rest.get(..rest.len().saturating_sub(usize::from(*padding))).ok_or_else(broken)
}

impl Sending {
    /// Opens a stream with these fields, and its body behind them.
    pub(crate) fn request(&mut self, fields: &[(&'static str, &str)], body: &Rc<Body>) -> u32 {
        let stream = self.next;
        self.next += 2;
        self.streams.insert(stream, Stream { window: self.initial_window, ..Stream::default() });
        self.head(stream, fields, false);
        self.body(stream, body, false);
        stream
    }

    /// Answers a stream as gRPC does: a head, messages, trailers.
    pub(crate) fn reply(&mut self, stream: u32, body: &Rc<Body>) {
        self.head(stream, &[(":status", "200"), ("content-type", "application/grpc")], false);
        self.body(stream, body, true);
    }

    /// The stream is over for both sides.
    pub(crate) fn forget(&mut self, stream: u32) {
        self.streams.remove(&stream);
        self.waiting.retain(|waiting| *waiting != stream);
    }

    fn body(&mut self, stream: u32, body: &Rc<Body>, trailers: bool) {
        if let Some(state) = self.streams.get_mut(&stream) {
            state.outgoing = Some(Outgoing { body: body.clone(), sent: 0, trailers });
            self.waiting.push(stream);
        }
    }

    fn settings(&mut self) {
        let pairs = [(0x2_u16, 0), (0x3, STREAMS), (0x4, STREAM_WINDOW)];
        self.frame(0x4, 0, 0, pairs.len() * 6);
        for (name, value) in pairs {
            self.output.extend_from_slice(&name.to_be_bytes());
            self.output.extend_from_slice(&value.to_be_bytes());
        }
        self.update(0, CONNECTION_WINDOW - 65_535);
    }

    fn settled(&mut self, payload: &[u8]) -> io::Result<()> {
        for pair in payload.chunks_exact(6) {
            let value = number(pair.get(2..).unwrap_or_default())?;
            match pair {
                [0, 0x1, ..] => self.encoder.set_table(value),
                [0, 0x4, ..] => {
                    let change = i64::from(value) - self.initial_window;
                    self.initial_window = i64::from(value);
                    self.streams.values_mut().for_each(|stream| stream.window += change);
                }
                _ => {}
            }
        }
        self.frame(0x4, 0x1, 0, 0);
        Ok(())
    }

    fn granted(&mut self, stream: u32, more: i64) {
        if stream == 0 {
            self.window += more;
        } else if let Some(state) = self.streams.get_mut(&stream) {
            state.window += more;
        }
    }

    /// Opens the windows again, half of one at a time.
    fn received(&mut self, stream: u32, length: u32, end: bool) {
        self.unacknowledged += length;
        if self.unacknowledged > CONNECTION_WINDOW / 2 {
            let more = std::mem::take(&mut self.unacknowledged);
            self.update(0, more);
        }
        let Some(state) = self.streams.get_mut(&stream) else { return };
        state.unacknowledged += length;
        if state.unacknowledged > STREAM_WINDOW / 2 && !end {
            let more = std::mem::take(&mut state.unacknowledged);
            self.update(stream, more);
        }
    }

    fn update(&mut self, stream: u32, more: u32) {
        self.frame(0x8, 0, stream, 4);
        self.output.extend_from_slice(&more.to_be_bytes());
    }

    fn head(&mut self, stream: u32, fields: &[(&'static str, &str)], end: bool) {
        let start = self.output.len();
        self.frame(0x1, 0x4 | u8::from(end), stream, 0);
        self.encoder.begin(&mut self.output);
        for (name, value) in fields {
            self.encoder.field(name, value, &mut self.output);
        }
        let length = (self.output.len() - start - 9) as u32;
        self.output[start..start + 3].copy_from_slice(&length.to_be_bytes()[1..]);
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, length: usize) {
        let [_, a, b, c] = (length as u32).to_be_bytes();
        let [d, e, f, g] = stream.to_be_bytes();
        self.output.extend_from_slice(&[a, b, c, kind, flags, d, e, f, g]);
    }

    /// Writes bodies, stream by stream in turn, as far as the windows and the room for output go.
    fn pump(&mut self) {
        let (mut index, mut stuck) = (0, 0);
        while stuck < self.waiting.len() && self.output.len() < OUTPUT {
            index %= self.waiting.len();
            let stream = self.waiting[index];
            let (moved, done) = self.quantum(stream);
            stuck = if moved { 0 } else { stuck + 1 };
            if done {
                self.waiting.remove(index);
            } else {
                index += 1;
            }
        }
    }

    /// Whether something was sent, and whether that was all.
    fn quantum(&mut self, stream: u32) -> (bool, bool) {
        let Some(mut state) = self.streams.remove(&stream) else { return (false, true) };
        let Some(mut outgoing) = state.outgoing.take() else { return (false, true) };
        let (body, before) = (outgoing.body.clone(), outgoing.sent);
        while outgoing.sent < body.bytes.len() && outgoing.sent - before < QUANTUM {
            // Frames are the same whatever the windows are, but where one closes within.
            let whole = (body.frame - outgoing.sent % body.frame).min(body.bytes.len() - outgoing.sent);
            let length = (whole as i64).min(self.window).min(state.window);
            if length <= 0 {
                break;
            }
            let to = outgoing.sent + length as usize;
            let end = to == body.bytes.len() && !outgoing.trailers;
            self.frame(0x0, u8::from(end), stream, length as usize);
            self.output.extend_from_slice(&body.bytes[outgoing.sent..to]);
            (self.window, state.window, outgoing.sent) = (self.window - length, state.window - length, to);
        }
        let done = outgoing.sent == body.bytes.len();
        let moved = outgoing.sent > before || done;
        if done && outgoing.trailers {
            self.head(stream, &[("grpc-status", "0")], true);
            return (moved, true);
        }
        if !done {
            state.outgoing = Some(outgoing);
        }
        self.streams.insert(stream, state);
        (moved, done)
    }
}
