//! One coding taken off, by the crate that knows it: bytes in, bytes out, as many as there is room for.

use std::fmt;

use brotli::enc::StandardAlloc;
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};
use flate2::{Decompress, FlushDecompress, Status};
use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

use super::{Coding, CodingError};

/// What a zstd frame may ask to be kept of what went before, as a power of two: 8 MiB, what RFC 9659 has for HTTP.
const ZSTD_WINDOW_LOG: u32 = 23;

/// The window of zlib and gzip, as a power of two: the largest there is.
const WINDOW_BITS: u8 = 15;

/// What a run came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    pub(super) consumed: usize,
    pub(super) produced: usize,
}

/// A decoder of one coding.
pub(super) struct Machine {
    coding: Coding,
    kind: Kind,
    /// Where what was read so far may end: nothing was read, or a whole stream, member or frame.
    at_boundary: bool,
}

enum Kind {
    Gzip(Decompress),
    /// Before it is known which it is: nothing or one byte is read.
    Deflate(Option<u8>),
    Inflate(Decompress),
    Brotli(Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>),
    Zstd(DCtx<'static>),
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine").field("coding", &self.coding).finish_non_exhaustive()
    }
}

impl Machine {
    pub(super) fn new(coding: Coding) -> Machine {
        let kind = match coding {
            Coding::Gzip => Kind::Gzip(Decompress::new_gzip(WINDOW_BITS)),
            Coding::Deflate => Kind::Deflate(None),
            Coding::Brotli => {
                let alloc = StandardAlloc::default;
                // Strict: without the large windows that RFC 7932 does not have.
                Kind::Brotli(Box::new(BrotliState::new_strict(alloc(), alloc(), alloc())))
            }
            Coding::Zstd => {
                let mut context = DCtx::create();
                // Fails for a value out of range alone, which this is not.
                let _ = context.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG));
                Kind::Zstd(context)
            }
        };
        Machine { coding, kind, at_boundary: true }
    }

    /// Whether the input may end here.
    ///
    /// # Errors
    /// `Truncated`.
    pub(super) fn at_end(&self) -> Result<(), CodingError> {
        if self.at_boundary { Ok(()) } else { Err(CodingError::Truncated(self.coding)) }
    }

    /// Reads from `input` and writes to `out`, as far as either reaches. What does not fill `out` has nothing left to give.
    ///
    /// # Errors
    /// `Malformed`, also for bytes behind the end.
    pub(super) fn run(&mut self, input: &[u8], out: &mut [u8]) -> Result<Progress, CodingError> {
        if input.is_empty() && self.at_boundary {
            return Ok(Progress { consumed: 0, produced: 0 });
        }
        let malformed = CodingError::Malformed(self.coding);
        match &mut self.kind {
            Kind::Gzip(gzip) => {
                if self.at_boundary && gzip.total_in() > 0 {
                    // The next member.
                    gzip.reset(true);
                }
                inflate(gzip, input, out, &mut self.at_boundary).ok_or(malformed)
            }
            Kind::Deflate(held) => {
                let Some((byte, _)) = input.split_first() else { return Ok(Progress { consumed: 0, produced: 0 }) };
                let Some(first) = *held else {
                    *held = Some(*byte);
                    self.at_boundary = false;
                    return Ok(Progress { consumed: 1, produced: 0 });
                };
                let mut inflater = Decompress::new_with_window_bits(is_zlib(first, *byte), WINDOW_BITS);
                // Too little for it to give anything.
                inflate(&mut inflater, &[first], &mut [], &mut self.at_boundary).ok_or(malformed)?;
                self.kind = Kind::Inflate(inflater);
                self.run(input, out)
            }
            Kind::Inflate(_) if self.at_boundary => Err(malformed),
            Kind::Inflate(inflater) => inflate(inflater, input, out, &mut self.at_boundary).ok_or(malformed),
            Kind::Brotli(state) => {
                let (mut left, mut read) = (input.len(), 0);
                let (mut room, mut written, mut total) = (out.len(), 0, 0);
                let result = BrotliDecompressStream(
                    &mut left,
                    &mut read,
                    input,
                    &mut room,
                    &mut written,
                    out,
                    &mut total,
                    state,
                );
                self.at_boundary = match result {
                    BrotliResult::ResultSuccess if left > 0 => return Err(malformed),
                    BrotliResult::ResultSuccess => true,
                    BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => false,
                    BrotliResult::ResultFailure => return Err(malformed),
                };
                Ok(Progress { consumed: read, produced: written })
            }
            Kind::Zstd(context) => {
                let (mut input, mut out) = (InBuffer::around(input), OutBuffer::around(out));
                let wanted = context.decompress_stream(&mut out, &mut input).map_err(|_| malformed)?;
                self.at_boundary = wanted == 0;
                Ok(Progress { consumed: input.pos(), produced: out.pos() })
            }
        }
    }
}

/// None: malformed.
fn inflate(inflater: &mut Decompress, input: &[u8], out: &mut [u8], at_boundary: &mut bool) -> Option<Progress> {
    let before = (inflater.total_in(), inflater.total_out());
    let status = inflater.decompress(input, out, FlushDecompress::None).ok()?;
    *at_boundary = status == Status::StreamEnd;
    let consumed = usize::try_from(inflater.total_in() - before.0).ok()?;
    let produced = usize::try_from(inflater.total_out() - before.1).ok()?;
    Some(Progress { consumed, produced })
}

/// The two bytes that zlib begins with (RFC 1950 §2.2); what is deflate alone begins so by chance, and then by the rarest.
fn is_zlib(first: u8, second: u8) -> bool {
    first & 0x0f == 8 && first >> 4 <= 7 && u16::from_be_bytes([first, second]).is_multiple_of(31)
}
