//! HTTP/2 as bytes that are made once: frames, and field blocks as a real peer sends them, spelled out the first time and as indexes
//! into the dynamic table from then on (RFC 7541).

/// Frame types and flags (RFC 9113 §6).
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The dynamic table begins here (RFC 7541 §2.3.3).
const DYNAMIC: usize = 62;

/// Appends a frame.
pub(crate) fn put(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).expect("a small frame").to_be_bytes();
    out.extend_from_slice(&length[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// What either side begins with: windows that never run out here.
pub(crate) fn put_settings(out: &mut Vec<u8>) {
    let initial_window = [&4_u16.to_be_bytes()[..], &(1_u32 << 30).to_be_bytes()].concat();
    put(out, SETTINGS, 0, 0, &initial_window);
    put(out, WINDOW_UPDATE, 0, 0, &(1_u32 << 30).to_be_bytes());
}

pub(crate) struct Frame<'b> {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: &'b [u8],
}

/// A whole frame at the start of `bytes`, and what follows.
pub(crate) fn frame(bytes: &[u8]) -> Option<(Frame<'_>, &[u8])> {
    let (head, rest) = bytes.split_at_checked(9)?;
    let number = |part: &[u8]| part.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    let (payload, rest) = rest.split_at_checked(number(&head[..3]) as usize)?;
    Some((Frame { kind: head[3], flags: head[4], stream: number(&head[5..9]) & (u32::MAX >> 1), payload }, rest))
}

/// Field blocks of one direction, in the order in which they are sent: each is spelled out the first time.
#[derive(Default)]
pub(crate) struct Fields {
    known: Vec<(String, String)>,
}

impl Fields {
    /// `indexed`: whole entries of the static table, by number.
    pub(crate) fn block(&mut self, indexed: &[u8], fields: &[(&str, &str)]) -> Vec<u8> {
        let mut block: Vec<u8> = indexed.iter().map(|index| 0x80 | index).collect();
        for (name, value) in fields {
            let place = self.known.iter().position(|known| known.0 == *name && known.1 == *value);
            if let Some(place) = place {
                // The newest has the lowest number.
                let index = DYNAMIC + self.known.len() - 1 - place;
                block.push(0x80 | u8::try_from(index).expect("few fields"));
                continue;
            }
            block.push(0x40);
            for text in [name, value] {
                block.push(u8::try_from(text.len()).ok().filter(|len| *len < 127).expect("a short text"));
                block.extend_from_slice(text.as_bytes());
            }
            self.known.push(((*name).to_owned(), (*value).to_owned()));
        }
        block
    }
}
