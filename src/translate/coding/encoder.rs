//! A coding put around an answer as it goes. What was given is out after each piece: the first item of a stream must not wait in here
//! for the second.

use std::fmt;
use std::io::{self, Write};

use brotli::CompressorWriter;
use brotli::enc::BrotliEncoderParams;
use bytes::Bytes;
use flate2::Compression as Level;
use flate2::write::{GzEncoder, ZlibEncoder};
use zstd_safe::zstd_sys::ZSTD_EndDirective as Directive;
use zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer};

use super::{Coding, CodingError};

/// How hard to look for a shorter form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Effort {
    /// For answers that are made for one caller.
    #[default]
    Fast,
    /// For slow lines: three to four times the work, for a tenth less.
    Small,
}

/// What may be referred back to in an answer that is there, as a power of two: 256 KiB.
const WINDOW_LOG: u32 = 18;

/// And in a stream, which may be open for hours and one of thousands: 64 KiB.
const STREAM_WINDOW_LOG: u32 = 16;

/// The room that is made for zstd's output at a time.
const ROOM: usize = 16 << 10;

/// Puts one coding around an answer.
pub struct Encoder {
    coding: Coding,
    kind: Kind,
}

enum Kind {
    Gzip(GzEncoder<Vec<u8>>),
    Deflate(ZlibEncoder<Vec<u8>>),
    Brotli(Box<CompressorWriter<Vec<u8>>>),
    Zstd(CCtx<'static>),
    Finished,
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").field("coding", &self.coding).finish_non_exhaustive()
    }
}

impl Encoder {
    /// `len`: the bytes of the whole answer, when they are known; there must be as many.
    ///
    /// # Errors
    /// `Encoder`.
    pub fn new(coding: Coding, effort: Effort, len: Option<usize>) -> Result<Encoder, CodingError> {
        let kind = match coding {
            Coding::Gzip => Kind::Gzip(GzEncoder::new(Vec::new(), deflate_level(effort))),
            Coding::Deflate => Kind::Deflate(ZlibEncoder::new(Vec::new(), deflate_level(effort))),
            Coding::Brotli => {
                let quality = match effort {
                    Effort::Fast => 1,
                    Effort::Small => 5,
                };
                let size_hint = len.unwrap_or_default();
                let lgwin = window_log(len).cast_signed();
                let params = BrotliEncoderParams { quality, lgwin, size_hint, ..Default::default() };
                Kind::Brotli(Box::new(CompressorWriter::with_params(Vec::new(), ROOM, &params)))
            }
            Coding::Zstd => Kind::Zstd(zstd(effort, len).map_err(|_| CodingError::Encoder(coding))?),
        };
        Ok(Encoder { coding, kind })
    }

    /// More of the answer, all of which can be read from what has been given out after it.
    ///
    /// # Errors
    /// `Encoder`.
    pub fn encode(&mut self, data: &[u8]) -> Result<Bytes, CodingError> {
        self.write(data, false).map_err(|_| CodingError::Encoder(self.coding))
    }

    /// The rest of the answer, and its end.
    ///
    /// # Errors
    /// `Encoder`.
    pub fn finish(&mut self, data: &[u8]) -> Result<Bytes, CodingError> {
        let last = self.write(data, true).map_err(|_| CodingError::Encoder(self.coding));
        self.kind = Kind::Finished;
        last
    }

    fn write(&mut self, data: &[u8], last: bool) -> io::Result<Bytes> {
        let written = match &mut self.kind {
            Kind::Gzip(gzip) => {
                gzip.write_all(data)?;
                if last {
                    gzip.try_finish()?
                } else {
                    gzip.flush()?
                }
                std::mem::take(gzip.get_mut())
            }
            Kind::Deflate(zlib) => {
                zlib.write_all(data)?;
                if last {
                    zlib.try_finish()?
                } else {
                    zlib.flush()?
                }
                std::mem::take(zlib.get_mut())
            }
            Kind::Brotli(brotli) => {
                brotli.write_all(data)?;
                if last {
                    match std::mem::replace(&mut self.kind, Kind::Finished) {
                        Kind::Brotli(brotli) => brotli.into_inner(),
                        _ => Vec::new(),
                    }
                } else {
                    brotli.flush()?;
                    std::mem::take(brotli.get_mut())
                }
            }
            Kind::Zstd(context) => {
                let directive = if last { Directive::ZSTD_e_end } else { Directive::ZSTD_e_flush };
                let (mut input, mut written) = (InBuffer::around(data), Vec::new());
                loop {
                    let mut piece = Vec::with_capacity(zstd_safe::compress_bound(data.len()).clamp(64, ROOM));
                    let mut out = OutBuffer::around(&mut piece);
                    let left = context
                        .compress_stream2(&mut out, &mut input, directive)
                        .map_err(|code| io::Error::other(zstd_safe::get_error_name(code)))?;
                    if written.is_empty() {
                        written = piece;
                    } else {
                        written.extend_from_slice(&piece);
                    }
                    if left == 0 {
                        break written;
                    }
                }
            }
            Kind::Finished => Vec::new(),
        };
        Ok(Bytes::from(written))
    }
}

fn window_log(len: Option<usize>) -> u32 {
    if len.is_some() { WINDOW_LOG } else { STREAM_WINDOW_LOG }
}

fn deflate_level(effort: Effort) -> Level {
    match effort {
        // A third less time at 1, and a third more bytes.
        Effort::Fast => Level::new(2),
        Effort::Small => Level::new(6),
    }
}

fn zstd(effort: Effort, len: Option<usize>) -> Result<CCtx<'static>, usize> {
    let level = match effort {
        Effort::Fast => 1,
        // Above it JSON takes ten times as long, for little.
        Effort::Small => 3,
    };
    let mut context = CCtx::create();
    context.set_parameter(CParameter::CompressionLevel(level))?;
    context.set_parameter(CParameter::WindowLog(window_log(len)))?;
    if let Some(len) = len {
        context.set_pledged_src_size(Some(len as u64))?;
    }
    Ok(context)
}
