//! Header blocks of HTTP/2. What is read of any bytes, and is sound, is written and read again the same, while both tables fill.

use bytes::BytesMut;
use telamon::wire::http2::hpack::{Decoder, Encoder, Field};

fn decoded(decoder: &mut Decoder, block: &[u8]) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    decoder.decode(block, &mut |field| fields.push(field)).ok().map(|()| fields)
}

fn encoded(encoder: &mut Encoder, fields: &[Field]) -> BytesMut {
    let mut out = BytesMut::new();
    encoder.begin(&mut out);
    for field in fields {
        match field {
            Field::Method(method) => encoder.method(method, &mut out),
            Field::Scheme(scheme) => encoder.scheme(scheme, &mut out),
            Field::Authority(authority) => encoder.authority(authority.as_bytes(), &mut out),
            Field::Path(path) => encoder.path(path.as_str().as_bytes(), &mut out),
            Field::Status(status) => encoder.status(*status, &mut out),
            Field::Header(name, value) => encoder.header(name, value, &mut out),
            Field::Malformed(_) => {}
        }
    }
    out
}

pub fn check(data: &[u8]) {
    // Blocks of one connection, as long as the byte in front of each says.
    let (mut theirs, mut encoder, mut ours) = (Decoder::new(4096), Encoder::new(), Decoder::new(4096));
    let mut rest = data;
    while let [len, after @ ..] = rest {
        let (block, after) = after.split_at(usize::from(*len).min(after.len()));
        rest = after;
        if *len == 0 {
            encoder.set_max_table(u32::from(after.first().copied().unwrap_or(0)) * 32);
            continue;
        }
        let Some(mut fields) = decoded(&mut theirs, block) else { return };
        fields.retain(|field| !matches!(field, Field::Malformed(_)));
        for _ in 0..3 {
            let written = encoded(&mut encoder, &fields);
            assert_eq!(decoded(&mut ours, &written).as_ref(), Some(&fields));
        }
    }
}
