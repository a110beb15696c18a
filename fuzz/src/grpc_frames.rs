//! gRPC's messages in a stream of bytes: the same for any split, and those that were written are those that are read.

use bytes::Bytes;
use telamon::translate::{FrameDecoder, FrameError, Message, frame_header};

use super::draw::pieces;

/// Small enough that short inputs meet it.
const LIMIT: usize = 64;

fn read<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Message>, Result<(), FrameError>) {
    let (mut decoder, mut messages) = (FrameDecoder::new(LIMIT), Vec::new());
    for part in parts {
        decoder.push(Bytes::copy_from_slice(part));
        loop {
            match decoder.next() {
                Ok(Some(message)) => {
                    assert!(message.bytes.len() <= LIMIT);
                    messages.push(message);
                }
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(decoder.next(), Err(error), "an error stays");
                    return (messages, Err(error));
                }
            }
        }
    }
    (messages, decoder.at_end())
}

pub fn check(data: &[u8]) {
    let Some((bytes, parts)) = pieces(data) else { return };
    let (messages, end) = read([bytes]);
    assert_eq!(read(parts.clone()), (messages.clone(), end));
    if end.is_ok() {
        let written = messages.iter().flat_map(|message| {
            let mut prefix = frame_header(message.bytes.len() as u32);
            prefix[0] = u8::from(message.compressed);
            [&prefix[..], &message.bytes].concat()
        });
        assert_eq!(written.collect::<Vec<u8>>(), bytes);
    }
    let contents: Vec<&[u8]> = parts.filter(|part| part.len() <= LIMIT).collect();
    let framed: Vec<u8> =
        contents.iter().flat_map(|part| [&frame_header(part.len() as u32)[..], part].concat()).collect();
    let (messages, end) = read(framed.chunks(7));
    assert_eq!((messages.iter().map(|message| &message.bytes[..]).collect::<Vec<_>>(), end), (contents, Ok(())));
}
