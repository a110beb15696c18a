//! From fields to blocks (RFC 7541 §6). We write for a peer that is near: references wherever there is one, no Huffman code, and into
//! the table goes only what comes again (`sent_table`).
//!
//! Credentials that are short enough to be guessed byte by byte stand in no table (RFC 7541 §7.1.3), and neither does what its owner
//! calls sensitive.

use bytes::{BufMut, BytesMut};
use http::uri::Scheme;
use http::{HeaderName, HeaderValue, Method, StatusCode};

use super::sent_table::{Pair, SentTable};
use super::{DEFAULT_TABLE, Literal, integer, static_table};

/// Credentials shorter than this, in bytes, are few enough to be tried (RFC 7541 §7.1.3 leaves the number open).
const SHORT_CREDENTIALS: usize = 20;

/// Room for what a field costs beside its text: three integers.
const FRAMING: usize = 16;

/// The encoder of one connection.
#[derive(Debug)]
pub struct Encoder {
    table: SentTable,
    /// What the peer's decoder was told of the table last.
    told: usize,
    /// The smallest limit since then, where the peer must hear of one.
    smallest: Option<usize>,
}

impl Default for Encoder {
    fn default() -> Encoder {
        Encoder::new()
    }
}

impl Encoder {
    /// With the table that HTTP/2 begins with, 4096 bytes. Nothing is allocated before the first field that is written out.
    pub fn new() -> Encoder {
        Encoder { table: SentTable::new(DEFAULT_TABLE), told: DEFAULT_TABLE, smallest: None }
    }

    /// Takes the peer's SETTINGS_HEADER_TABLE_SIZE, in bytes; more than 4096 are not used. The next block tells the peer, first the
    /// smallest limit since the last block, if it was smaller than what holds now (RFC 7541 §4.2).
    pub fn set_max_table(&mut self, peer: u32) {
        let limit = usize::try_from(peer).map_or(DEFAULT_TABLE, |peer| peer.min(DEFAULT_TABLE));
        if limit != self.table.limit() {
            self.smallest = Some(self.smallest.unwrap_or(self.told).min(limit));
            self.table.resize(limit);
        }
    }

    /// Begins a block. Whatever is written belongs to it until the next call.
    pub fn begin(&mut self, out: &mut BytesMut) {
        let Some(smallest) = self.smallest.take() else { return };
        let limit = self.table.limit();
        if smallest < self.told {
            integer::write(smallest, 5, 0x20, out);
            self.told = smallest;
        }
        if limit != self.told {
            integer::write(limit, 5, 0x20, out);
            self.told = limit;
        }
    }

    pub fn method(&mut self, method: &Method, out: &mut BytesMut) {
        match *method {
            Method::GET => indexed(static_table::METHOD, out),
            Method::POST => indexed(static_table::METHOD + 1, out),
            _ => self.field(b":method", method.as_str().as_bytes(), static_table::METHOD, out),
        }
    }

    pub fn scheme(&mut self, scheme: &Scheme, out: &mut BytesMut) {
        match scheme.as_str() {
            "http" => indexed(static_table::SCHEME, out),
            "https" => indexed(static_table::SCHEME + 1, out),
            other => self.field(b":scheme", other.as_bytes(), static_table::SCHEME, out),
        }
    }

    pub fn authority(&mut self, authority: &[u8], out: &mut BytesMut) {
        match authority {
            b"" => indexed(static_table::AUTHORITY, out),
            _ => self.field(b":authority", authority, static_table::AUTHORITY, out),
        }
    }

    pub fn path(&mut self, path: &[u8], out: &mut BytesMut) {
        match path {
            b"/" => indexed(static_table::PATH, out),
            b"/index.html" => indexed(static_table::PATH + 1, out),
            _ => self.field(b":path", path, static_table::PATH, out),
        }
    }

    pub fn status(&mut self, status: StatusCode, out: &mut BytesMut) {
        // RFC 7541 Appendix A, from `:status` on.
        const KNOWN: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
        match KNOWN.iter().position(|known| *known == status.as_u16()) {
            Some(nth) => indexed(static_table::STATUS + nth, out),
            None => self.field(b":status", status.as_str().as_bytes(), static_table::STATUS, out),
        }
    }

    pub fn header(&mut self, name: &HeaderName, value: &HeaderValue, out: &mut BytesMut) {
        let (name, text) = (name.as_str().as_bytes(), value.as_bytes());
        if value.is_sensitive() {
            let place = static_table::place_of(name).unwrap_or(0);
            self.literal(name, text, Literal::NeverIndexed, place, out);
            return;
        }
        match self.table.find(name, text) {
            Ok(newer) => indexed(static_table::LEN + 1 + newer, out),
            Err(pair) => self.new_header(&pair, out),
        }
    }

    /// Writes a header field that is not in the dynamic table.
    #[inline(never)]
    fn new_header(&mut self, pair: &Pair<'_>, out: &mut BytesMut) {
        let place = static_table::place_of(pair.name).unwrap_or(0);
        if is_guessable(place, pair.value) {
            self.literal(pair.name, pair.value, Literal::NeverIndexed, place, out);
        } else if is_static(place, pair.value) {
            indexed(place, out);
        } else {
            self.new_field(pair, place, out);
        }
    }

    /// Writes a field whose name stands at `place` in the static table.
    fn field(&mut self, name: &[u8], value: &[u8], place: usize, out: &mut BytesMut) {
        match self.table.find(name, value) {
            Ok(newer) => indexed(static_table::LEN + 1 + newer, out),
            Err(pair) => self.new_field(&pair, place, out),
        }
    }

    /// Writes a field that is in no table.
    #[inline(never)]
    fn new_field(&mut self, pair: &Pair<'_>, place: usize, out: &mut BytesMut) {
        let known = self.place_of_name(pair, place);
        if self.table.is_worth_inserting(pair, known != 0) {
            self.literal(pair.name, pair.value, Literal::Indexed, known, out);
            self.table.insert(pair);
        } else {
            self.literal(pair.name, pair.value, Literal::NotIndexed, known, out);
        }
    }

    /// Where the name stands in either table, given where it stands in the static one; 0 for nowhere.
    fn place_of_name(&self, pair: &Pair<'_>, place: usize) -> usize {
        match place {
            0 => self.table.find_name(pair.name).map_or(0, |newer| static_table::LEN + 1 + newer),
            _ => place,
        }
    }

    /// Writes a literal whose name stands at `place`, or is written out where that is 0.
    fn literal(&self, name: &[u8], value: &[u8], literal: Literal, place: usize, out: &mut BytesMut) {
        out.reserve(name.len() + value.len() + FRAMING);
        integer::write(place, literal.prefix(), literal.pattern(), out);
        if place == 0 {
            text(name, out);
        }
        text(value, out);
    }

    #[cfg(test)]
    pub(super) fn table(&self) -> &SentTable {
        &self.table
    }
}

#[inline]
fn indexed(place: usize, out: &mut BytesMut) {
    integer::write(place, 7, 0x80, out);
}

fn text(text: &[u8], out: &mut BytesMut) {
    integer::write(text.len(), 7, 0x00, out);
    out.put_slice(text);
}

/// Whether the header field at `place` in the static table has this value there.
fn is_static(place: usize, value: &[u8]) -> bool {
    match place {
        0 => false,
        static_table::ACCEPT_ENCODING => value == static_table::ACCEPTED_ENCODINGS.as_bytes(),
        _ => value.is_empty(),
    }
}

/// Whether the header field at `place` in the static table carries credentials that could be guessed from the sizes of blocks.
fn is_guessable(place: usize, value: &[u8]) -> bool {
    value.len() < SHORT_CREDENTIALS
        && matches!(
            place,
            static_table::AUTHORIZATION
                | static_table::COOKIE
                | static_table::PROXY_AUTHORIZATION
                | static_table::SET_COOKIE
        )
}
