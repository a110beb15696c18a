//! HTTP/1.0, HTTP/1.1 and HTTP/2 as sans-IO codecs, for the side that serves and for the side that asks, and the rules of heads that all
//! share.
//!
//! Bytes in, heads and pieces out; heads and lengths in, bytes out. It leans to refusing: whatever two readers of the same bytes
//! could understand differently is an error, and after an error nothing more is read. What passes has one shape, whichever
//! protocol carried it: the path and query alone in the URI, the authority in `Host`, no hop-by-hop fields.

mod authority;
mod body;
mod delimiter;
mod detect;
mod forwarded;
mod framing;
mod h2_head;
mod head;
mod hop_by_hop;
pub mod http2;
mod lines;
mod refusal;
mod reply;
mod request;
mod request_encoder;
mod response;
mod spelling;
mod target;
mod trailers;

#[cfg(test)]
mod tests;

pub use authority::{is_authority, is_encoded_name};
pub use body::{BodyDecoder, Piece};
pub use delimiter::{BodyBroken, BodyLength};
pub use detect::{Protocol, detect};
pub use forwarded::Forwarding;
pub use framing::Framing;
pub use h2_head::{H2Terms, check_h2_request};
pub use hop_by_hop::{HopByHop, drop_underscored, strip_reply, strip_request};
pub use reply::{CONTINUE, ReplyEncoder, ReplyTerms};
pub use request::{HeadLimits, RequestHead, RequestParser};
pub use request_encoder::RequestEncoder;
pub use response::{ResponseBody, ResponseHead, ResponseParser};
pub use spelling::Spelling;
pub use trailers::filter_trailers;
