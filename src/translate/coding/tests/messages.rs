use http::HeaderName;

use super::*;
use crate::translate::Message;

const NAME: HeaderName = GRPC_ENCODING;

#[test]
fn a_message_is_opened_by_its_flag_and_the_streams_encoding() {
    let text = Bytes::from_static(b"a text that is a text that is a text");
    let gzip = Bytes::from(encoded(Coding::Gzip, &[&text]));
    let cut = gzip.slice(..gzip.len() - 1);
    let bomb = Bytes::from(encoded(Coding::Gzip, &[&[0; 5000]]));
    type Case<'c> = (&'c [&'static str], bool, &'c Bytes, Result<&'c Bytes, (Kind, Kind)>);
    let cases: &[Case<'_>] = &[
        (&[], false, &text, Ok(&text)),
        (&["identity"], false, &text, Ok(&text)),
        (&["gzip"], false, &text, Ok(&text)),
        (&["br"], false, &text, Ok(&text)),
        (&["gzip"], true, &gzip, Ok(&text)),
        (&[], true, &gzip, Err((Kind::MalformedReply, Kind::MalformedBody))),
        (&["identity"], true, &gzip, Err((Kind::MalformedReply, Kind::MalformedBody))),
        (&["snappy"], true, &gzip, Err((Kind::MalformedReply, Kind::UnsupportedCoding))),
        (&["gzip"], true, &text, Err((Kind::MalformedReply, Kind::MalformedBody))),
        (&["gzip"], true, &cut, Err((Kind::MalformedReply, Kind::MalformedBody))),
        (&["gzip"], true, &bomb, Err((Kind::UntranslatableReply, Kind::BodyTooLarge))),
    ];
    for (encoding, compressed, bytes, expected) in cases {
        let coding = MessageCoding::of(&fields(NAME, encoding), &NAME);
        let message = || Message { bytes: (*bytes).clone(), compressed: *compressed };
        let reply = coding.open_reply(message(), 1000).map_err(|fault| fault.kind);
        let request = coding.open_request(message(), 1000).map_err(|fault| fault.kind);
        match expected {
            Ok(text) => assert_eq!((reply.as_ref(), request.as_ref()), (Ok(*text), Ok(*text)), "{encoding:?}"),
            Err((in_reply, in_request)) => {
                assert_eq!((reply, request), (Err(*in_reply), Err(*in_request)), "{encoding:?} {bytes:?}");
            }
        }
        assert_eq!(coding.check_request().is_err(), matches!(encoding, ["br" | "snappy"]));
    }
}
