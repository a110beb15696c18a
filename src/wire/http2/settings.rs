//! SETTINGS (RFC 9113 §6.5): what a peer says of itself, and what we do.

use bytes::{BufMut, BytesMut};

use super::Reason;
use super::frame::{DEFAULT_SIZE, FrameHead, HIGHEST, kind};

/// The window of every stream, and of the connection, until something else is said (RFC 9113 §6.9.2).
pub(super) const DEFAULT_WINDOW: u32 = 65_535;

mod id {
    pub(super) const HEADER_TABLE_SIZE: u16 = 1;
    pub(super) const ENABLE_PUSH: u16 = 2;
    pub(super) const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub(super) const INITIAL_WINDOW_SIZE: u16 = 4;
    pub(super) const MAX_FRAME_SIZE: u16 = 5;
    pub(super) const MAX_HEADER_LIST_SIZE: u16 = 6;
}

/// What a peer has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    /// `None`: its last word says nothing of it, and nothing is to be changed.
    pub(super) header_table: Option<TableSizes>,
    pub(super) streams: u32,
    pub(super) window: u32,
    pub(super) frame: usize,
}

/// SETTINGS_HEADER_TABLE_SIZE, which one frame may say more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TableSizes {
    pub(super) smallest: u32,
    pub(super) last: u32,
}

impl Default for Peer {
    /// What holds before a word.
    fn default() -> Peer {
        Peer { header_table: None, streams: u32::MAX, window: DEFAULT_WINDOW, frame: DEFAULT_SIZE }
    }
}

impl Peer {
    /// Takes on what a SETTINGS frame says; what it does not mention stays. `from_server`: a server does not take pushes.
    ///
    /// # Errors
    /// That of the connection.
    pub(super) fn hear(&mut self, payload: &[u8], from_server: bool) -> Result<(), (Reason, &'static str)> {
        let (settings, rest) = payload.as_chunks::<6>();
        if !rest.is_empty() {
            return Err((Reason::FRAME_SIZE_ERROR, "a SETTINGS frame of a length that is no multiple of six"));
        }
        self.header_table = None;
        for &[i, j, a, b, c, d] in settings {
            let value = u32::from_be_bytes([a, b, c, d]);
            match u16::from_be_bytes([i, j]) {
                id::HEADER_TABLE_SIZE => {
                    let smallest = self.header_table.map_or(value, |sizes| sizes.smallest.min(value));
                    self.header_table = Some(TableSizes { smallest, last: value });
                }
                id::ENABLE_PUSH if value > u32::from(!from_server) => {
                    return Err((Reason::PROTOCOL_ERROR, "SETTINGS_ENABLE_PUSH with a value that it cannot have"));
                }
                id::MAX_CONCURRENT_STREAMS => self.streams = value,
                id::INITIAL_WINDOW_SIZE if value > HIGHEST => {
                    return Err((Reason::FLOW_CONTROL_ERROR, "SETTINGS_INITIAL_WINDOW_SIZE over its limit"));
                }
                id::INITIAL_WINDOW_SIZE => self.window = value,
                id::MAX_FRAME_SIZE => {
                    self.frame = value as usize;
                    if !(DEFAULT_SIZE..=0xff_ffff).contains(&self.frame) {
                        return Err((Reason::PROTOCOL_ERROR, "SETTINGS_MAX_FRAME_SIZE out of its range"));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Writes ours. `streams`: how many the peer may have open; a client says instead that it takes no pushes.
pub(super) fn put(streams: Option<u32>, window: u32, head_bytes: u32, out: &mut BytesMut) {
    let first = streams.map_or((id::ENABLE_PUSH, 0), |streams| (id::MAX_CONCURRENT_STREAMS, streams));
    let settings = [first, (id::INITIAL_WINDOW_SIZE, window), (id::MAX_HEADER_LIST_SIZE, head_bytes)];
    FrameHead { len: settings.len() * 6, kind: kind::SETTINGS, flags: 0, stream: 0 }.put(out);
    for (id, value) in settings {
        out.put_u16(id);
        out.put_u32(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(settings: &[(u16, u32)], from_server: bool) -> Result<Peer, Reason> {
        let mut payload = BytesMut::new();
        for (id, value) in settings {
            payload.put_u16(*id);
            payload.put_u32(*value);
        }
        let mut peer = Peer::default();
        peer.hear(&payload, from_server).map(|()| peer).map_err(|(reason, _)| reason)
    }

    #[test]
    fn what_is_said_is_heard_and_the_rest_stays() {
        assert_eq!(heard(&[], false), Ok(Peer::default()));
        let peer = heard(&[(1, 4096), (1, 0), (1, 100), (3, 7), (4, 9), (4, 10), (5, 20_000), (6, 5), (99, 1)], false)
            .unwrap();
        assert_eq!(
            peer,
            Peer { header_table: Some(TableSizes { smallest: 0, last: 100 }), streams: 7, window: 10, frame: 20_000 }
        );
    }

    #[test]
    fn what_cannot_be_is_the_connections_error() {
        for (id, value, from_server, expected) in [
            (2, 2, false, Some(Reason::PROTOCOL_ERROR)),
            (2, 1, false, None),
            (2, 1, true, Some(Reason::PROTOCOL_ERROR)),
            (2, 0, true, None),
            (4, HIGHEST, false, None),
            (4, HIGHEST + 1, false, Some(Reason::FLOW_CONTROL_ERROR)),
            (5, 16_383, false, Some(Reason::PROTOCOL_ERROR)),
            (5, 16_384, false, None),
            (5, 0xff_ffff, false, None),
            (5, 0x100_0000, false, Some(Reason::PROTOCOL_ERROR)),
        ] {
            assert_eq!(heard(&[(id, value)], from_server).err(), expected, "{id} {value}");
        }
        assert_eq!(Peer::default().hear(&[0; 5], false).map_err(|(reason, _)| reason), Err(Reason::FRAME_SIZE_ERROR));
    }

    #[test]
    fn ours_can_be_heard() {
        let mut out = BytesMut::new();
        put(Some(250), 1 << 20, 4096, &mut out);
        let mut peer = Peer::default();
        peer.hear(&out[9..], true).unwrap();
        assert_eq!(peer, Peer { streams: 250, window: 1 << 20, ..Peer::default() });
        out.clear();
        put(None, 1 << 20, 4096, &mut out);
        peer.hear(&out[9..], false).unwrap();
    }
}
