//! HPACK (RFC 7541), as much as the ends of a measured call need: it writes a few fields that are the same on each call, and picks three
//! fields out of what it reads. It is written out here because a header library costs more than all the rest of an end, and an end that
//! is dearer than the proxy between them would hide what the proxy costs.

use std::collections::VecDeque;

/// RFC 7541 Appendix A: names, and the values of those that have one.
const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

/// RFC 7541 Appendix B: bits of each symbol's code. The code is canonical, so the lengths are all there is to it.
const BITS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28,
    28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12,
    10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6,
    5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22,
    22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20,
    22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28,
    27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28,
    27, 27, 27, 27, 27, 26, 30,
];

const TABLE: usize = 4096; // what either side has until SETTINGS say otherwise; ours never do

/// Writes fields, each in full once and by its index after that.
#[derive(Default)]
pub(crate) struct Encoder {
    known: Vec<(&'static str, String)>,
    /// The peer keeps no table: fields are written in full each time.
    stateless: bool,
    /// It has still to be told that we heard.
    announce: bool,
}

impl Encoder {
    /// The peer's SETTINGS_HEADER_TABLE_SIZE. All that we ever write fits into what is usual, so it is either that or nothing.
    pub(crate) fn set_table(&mut self, size: u32) {
        if (size as usize) < TABLE && !self.stateless {
            *self = Self { known: Vec::new(), stateless: true, announce: true };
        }
    }

    pub(crate) fn begin(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.announce) {
            out.push(0x20);
        }
    }

    pub(crate) fn field(&mut self, name: &'static str, value: &str, out: &mut Vec<u8>) {
        if let Some(at) = STATIC.iter().position(|field| !value.is_empty() && *field == (name, value)) {
            return integer(at + 1, 7, 0x80, out);
        }
        // The newest entry has the lowest index.
        if let Some(at) = self.known.iter().rev().position(|known| known.0 == name && known.1 == value) {
            return integer(STATIC.len() + 1 + at, 7, 0x80, out);
        }
        let named = STATIC.iter().position(|field| field.0 == name).map_or(0, |at| at + 1);
        if self.stateless || self.known.len() == 32 {
            integer(named, 4, 0, out);
        } else {
            integer(named, 6, 0x40, out);
            self.known.push((name, value.to_owned()));
        }
        for text in if named == 0 { [Some(name), Some(value)] } else { [None, Some(value)] }.into_iter().flatten() {
            integer(text.len(), 7, 0, out);
            out.extend_from_slice(text.as_bytes());
        }
    }
}

fn integer(value: usize, prefix: u32, flags: u8, out: &mut Vec<u8>) {
    let most = (1 << prefix) - 1;
    if value < most {
        return out.push(flags | value as u8);
    }
    out.push(flags | most as u8);
    let mut rest = value - most;
    while rest >= 128 {
        out.push(rest as u8 | 128);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// What is read of a head or of trailers.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Fields {
    pub(crate) path: String,
    pub(crate) status: Option<u16>,
    pub(crate) grpc_status: Option<u32>,
}

impl Fields {
    fn take(&mut self, name: &[u8], value: &[u8]) {
        let text = || String::from_utf8_lossy(value).into_owned();
        match name {
            b":path" => self.path = text(),
            b":status" => self.status = text().parse().ok(),
            b"grpc-status" => self.grpc_status = text().parse().ok(),
            _ => {}
        }
    }
}

type Entry = (Vec<u8>, Vec<u8>);

pub(crate) struct Decoder {
    entries: VecDeque<Entry>,
    size: usize,
    most: usize,
    huffman: Huffman,
}

/// A block that makes no sense.
#[derive(Debug)]
pub(crate) struct Garbled;

impl Decoder {
    pub(crate) fn new() -> Self {
        Self { entries: VecDeque::new(), size: 0, most: TABLE, huffman: Huffman::new() }
    }

    pub(crate) fn decode(&mut self, mut block: &[u8]) -> Result<Fields, Garbled> {
        let mut fields = Fields::default();
        while let Some(&first) = block.first() {
            if first & 0x80 != 0 {
                let index = read_integer(&mut block, 7)?;
                let (name, value) = self.entry(index)?;
                fields.take(name, value);
                continue;
            }
            if first & 0xe0 == 0x20 {
                self.most = read_integer(&mut block, 5)?.min(TABLE);
                self.evict(0);
                continue;
            }
            let keep = first & 0x40 != 0;
            let index = read_integer(&mut block, if keep { 6 } else { 4 })?;
            let name = if index == 0 { self.string(&mut block)? } else { self.entry(index)?.0.to_vec() };
            let value = self.string(&mut block)?;
            fields.take(&name, &value);
            if keep {
                self.insert((name, value));
            }
        }
        Ok(fields)
    }

    fn entry(&self, index: usize) -> Result<(&[u8], &[u8]), Garbled> {
        let at = index.checked_sub(1).ok_or(Garbled)?;
        match STATIC.get(at) {
            Some((name, value)) => Ok((name.as_bytes(), value.as_bytes())),
            None => self.entries.get(at - STATIC.len()).map(|(name, value)| (&**name, &**value)).ok_or(Garbled),
        }
    }

    fn insert(&mut self, entry: Entry) {
        let size = entry.0.len() + entry.1.len() + 32;
        self.evict(size);
        if size <= self.most {
            self.size += size;
            self.entries.push_front(entry);
        }
    }

    fn evict(&mut self, room: usize) {
        while self.size + room > self.most
            && let Some((name, value)) = self.entries.pop_back()
        {
            self.size -= name.len() + value.len() + 32;
        }
    }

    fn string(&self, block: &mut &[u8]) -> Result<Vec<u8>, Garbled> {
        let coded = block.first().is_some_and(|first| first & 0x80 != 0);
        let length = read_integer(block, 7)?;
        let (text, rest) = block.split_at_checked(length).ok_or(Garbled)?;
        *block = rest;
        if coded { self.huffman.decode(text) } else { Ok(text.to_vec()) }
    }
}

fn read_integer(block: &mut &[u8], prefix: u32) -> Result<usize, Garbled> {
    let mut next = || {
        let (first, rest) = block.split_first().ok_or(Garbled)?;
        *block = rest;
        Ok(usize::from(*first))
    };
    let most = (1 << prefix) - 1;
    let mut value = next()? & most;
    if value == most {
        for shift in (0..28).step_by(7) {
            let byte = next()?;
            value += (byte & 127) << shift;
            if byte < 128 {
                return Ok(value);
            }
        }
        return Err(Garbled);
    }
    Ok(value)
}

/// Symbols in the order of their codes, and for each length the first code and where its symbols begin.
struct Huffman {
    symbols: Vec<u16>,
    lengths: [(u32, u32, usize); 31],
}

impl Huffman {
    fn new() -> Self {
        let mut symbols: Vec<u16> = (0..257).collect();
        symbols.sort_by_key(|symbol| (BITS[usize::from(*symbol)], *symbol));
        let (mut lengths, mut code, mut at) = ([(0, 0, 0); 31], 0_u32, 0);
        for (length, row) in lengths.iter_mut().enumerate().skip(1) {
            code <<= 1;
            let count = BITS.iter().filter(|bits| usize::from(**bits) == length).count();
            *row = (code, count as u32, at);
            code += count as u32;
            at += count;
        }
        Self { symbols, lengths }
    }

    fn decode(&self, text: &[u8]) -> Result<Vec<u8>, Garbled> {
        let mut out = Vec::with_capacity(text.len() * 8 / 5);
        let (mut code, mut length) = (0_u32, 0);
        for bit in text.iter().flat_map(|byte| (0..8).rev().map(move |shift| u32::from(byte >> shift & 1))) {
            code = code << 1 | bit;
            length += 1;
            let (first, count, at) = *self.lengths.get(length).ok_or(Garbled)?;
            if code >= first && code - first < count {
                out.push(u8::try_from(self.symbols[at + (code - first) as usize]).map_err(|_| Garbled)?);
                (code, length) = (0, 0);
            }
        }
        // The rest is padding: the beginning of a code of ones.
        if length < 8 && code == (1 << length) - 1 { Ok(out) } else { Err(Garbled) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rfc() {
        // RFC 7541 C.6.1: a response, Huffman coded.
        let block = [
            0x48, 0x82, 0x64, 0x02, 0x58, 0x85, 0xae, 0xc3, 0x77, 0x1a, 0x4b, 0x61, 0x96, 0xd0, 0x7a, 0xbe, 0x94, 0x10,
            0x54, 0xd4, 0x44, 0xa8, 0x20, 0x05, 0x95, 0x04, 0x0b, 0x81, 0x66, 0xe0, 0x82, 0xa6, 0x2d, 0x1b, 0xff, 0x6e,
            0x91, 0x9d, 0x29, 0xad, 0x17, 0x18, 0x63, 0xc7, 0x8f, 0x0b, 0x97, 0xc8, 0xe9, 0xae, 0x82, 0xae, 0x43, 0xd3,
        ];
        let mut decoder = Decoder::new();
        assert_eq!(decoder.decode(&block).unwrap().status, Some(302));
        assert_eq!(decoder.size, 222);
        assert_eq!(decoder.entries[1].1, b"Mon, 21 Oct 2013 20:13:21 GMT");
    }

    #[test]
    fn what_is_written_is_read_each_time() {
        for table in [TABLE as u32, 0] {
            let (mut encoder, mut decoder) = (Encoder::default(), Decoder::new());
            encoder.set_table(table);
            let mut sizes = Vec::new();
            for _ in 0..3 {
                let mut block = Vec::new();
                encoder.begin(&mut block);
                for (name, value) in [(":status", "200"), (":path", "/a.B/C"), ("grpc-status", "13"), ("x", "y")] {
                    encoder.field(name, value, &mut block);
                }
                let fields = Fields { path: "/a.B/C".into(), status: Some(200), grpc_status: Some(13) };
                assert_eq!(decoder.decode(&block).unwrap(), fields);
                sizes.push(block.len());
            }
            assert!(sizes[1] == sizes[2] && (table == 0 || sizes[1] == 4), "{sizes:?}");
        }
    }
}
