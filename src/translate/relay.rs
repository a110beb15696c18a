//! gRPC's length-prefixed messages on their way through, looked at and not taken apart: for dialects that frame messages as gRPC does.

use bytes::Bytes;

use super::frame::{FrameError, HEADER_LEN};

/// Walks over messages as they pass, so that it is known where one ends. Keeps nothing of them.
#[derive(Debug, Default)]
pub(super) struct Walker {
    prefix: [u8; HEADER_LEN],
    have: usize,
    /// Bytes of the message still to come.
    left: u32,
    messages: u64,
}

impl Walker {
    /// Takes note of the next bytes.
    ///
    /// # Errors
    /// A flag that gRPC does not know.
    pub(super) fn walk(&mut self, mut bytes: &[u8]) -> Result<(), FrameError> {
        while !bytes.is_empty() {
            let passed = self.walk_message(bytes)?;
            bytes = bytes.get(passed..).unwrap_or_default();
        }
        Ok(())
    }

    /// Takes note of the next bytes up to the end of a message; tells how many those are. Where a message begins with an unknown
    /// flag, nothing is passed.
    ///
    /// # Errors
    /// A flag that gRPC does not know.
    pub(super) fn walk_message(&mut self, bytes: &[u8]) -> Result<usize, FrameError> {
        let mut passed = 0;
        while self.left == 0 {
            let Some(byte) = bytes.get(passed) else { return Ok(passed) };
            if self.have == 0 && *byte > 1 {
                return Err(FrameError::Flag(*byte));
            }
            if let Some(place) = self.prefix.get_mut(self.have) {
                *place = *byte;
            }
            passed += 1;
            self.have += 1;
            if self.have == HEADER_LEN {
                let [_, a, b, c, d] = self.prefix;
                self.left = u32::from_be_bytes([a, b, c, d]);
                self.have = 0;
                self.messages += 1;
                if self.left == 0 {
                    return Ok(passed);
                }
            }
        }
        let of_message = (bytes.len() - passed).min(self.left as usize);
        // At most `left`, so it fits.
        self.left -= u32::try_from(of_message).unwrap_or(self.left);
        Ok(passed + of_message)
    }

    /// The front of `chunk` that is messages, whole or begun, and what stopped it there.
    pub(super) fn cut(&mut self, mut chunk: Bytes) -> (Bytes, Option<FrameError>) {
        let mut good = 0;
        while let Some(rest) = chunk.get(good..).filter(|rest| !rest.is_empty()) {
            match self.walk_message(rest) {
                Ok(passed) => good += passed,
                Err(error) => return (chunk.split_to(good), Some(error)),
            }
        }
        (chunk, None)
    }

    /// Whether the bytes so far are whole messages.
    pub(super) fn at_boundary(&self) -> bool {
        self.have == 0 && self.left == 0
    }

    /// Messages that have begun.
    pub(super) fn messages(&self) -> u64 {
        self.messages
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::translate::frame_header;

    proptest! {
        #[test]
        fn boundaries_are_found_whatever_the_pieces(
            lengths in proptest::collection::vec(0_u32..40, 0..6),
            cut in 0_usize..400,
            pieces in proptest::collection::vec(1_usize..9, 1..20),
        ) {
            let mut all = Vec::new();
            let mut ends = vec![0];
            for len in &lengths {
                all.extend_from_slice(&frame_header(*len));
                all.extend(std::iter::repeat_n(9, *len as usize));
                ends.push(all.len());
            }
            let sent = &all[..cut.min(all.len())];
            let mut walker = Walker::default();
            let (mut rest, mut sizes) = (sent, pieces.iter().cycle());
            while !rest.is_empty() {
                let (now, later) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
                walker.walk(now).unwrap();
                rest = later;
            }
            prop_assert_eq!(walker.at_boundary(), ends.contains(&sent.len()));
        }
    }

    #[test]
    fn an_unknown_flag_is_refused_where_a_message_begins() {
        let mut walker = Walker::default();
        walker.walk(&[1, 0, 0, 0, 1, 0xff]).unwrap();
        assert_eq!((walker.at_boundary(), walker.messages()), (true, 1));
        assert_eq!(walker.walk(&[2]), Err(FrameError::Flag(2)));
    }

    #[test]
    fn what_is_before_an_unknown_flag_is_messages() {
        let mut walker = Walker::default();
        let (good, stopped) = walker.cut(Bytes::from_static(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 7, 9, 9]));
        assert_eq!((&good[..], stopped), (&[0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 7][..], Some(FrameError::Flag(9))));
        assert!(walker.at_boundary());
        assert_eq!(walker.cut(Bytes::from_static(&[0, 0])), (Bytes::from_static(&[0, 0]), None));
        assert!(!walker.at_boundary());
    }
}
