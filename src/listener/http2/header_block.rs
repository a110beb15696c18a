//! Header blocks (RFC 7541) looked over without their table: is there a field that HTTP/2 forbids and that the library takes for a
//! broken connection, or one that is fine and that it cannot hold? Only fields written out are looked at; what refers to the table was
//! looked at when it was put there.

use super::huffman;
use crate::wire;

/// `te: x`, in no table: a field that the library refuses as the fault of its stream alone (RFC 9113 §8.2.2).
const REFUSABLE: &[u8] = &[0x00, 0x02, b't', b'e', 0x01, b'x'];

/// Whether every field may go on. A block that is no HPACK is for the library to refuse, so it may.
pub(super) fn is_sound(block: &[u8]) -> bool {
    let mut rest = block;
    loop {
        // Nearly all fields are references of one byte.
        while let [0x80..=0xfe, after @ ..] = rest {
            rest = after;
        }
        let Some((field, after)) = Field::of(rest) else { return true };
        rest = after;
        if !field.is_sound() {
            return false;
        }
    }
}

/// `block` with an authority that names no host as the library can hold it, and with its malformed fields made harmless and a field
/// that gets its stream refused. What goes into the table keeps its size, so that the table goes on as its writer believes. `None`
/// when that cannot be done.
pub(super) fn mended(block: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(block.len() + REFUSABLE.len());
    let mut rest = block;
    let mut is_malformed = false;
    while !rest.is_empty() {
        let (field, after) = Field::of(rest)?;
        match &field {
            Field::Literal { name, value, indexed } if !field.is_sound() => {
                if let Some(stand_in) = field.nameless() {
                    name.put(*indexed, &name.bytes()?, &mut out);
                    put_text(&stand_in, &mut out);
                } else {
                    is_malformed = true;
                    // What is in no table is left out.
                    if *indexed {
                        let (own, text) = harmless_entry(name, &value.bytes()?)?;
                        name.put(true, &own, &mut out);
                        put_text(&text, &mut out);
                    }
                }
            }
            _ => out.extend_from_slice(rest.get(..rest.len() - after.len())?),
        }
        rest = after;
    }
    if is_malformed {
        out.extend_from_slice(REFUSABLE);
    }
    Some(out)
}

/// One representation (RFC 7541 §6).
enum Field<'block> {
    /// A reference to the table, or its size.
    Reference,
    Literal {
        name: Name<'block>,
        value: Text<'block>,
        /// Goes into the table.
        indexed: bool,
    },
}

enum Name<'block> {
    Index(usize),
    Text(Text<'block>),
}

/// A string literal (RFC 7541 §5.2).
struct Text<'block> {
    raw: &'block [u8],
    huffman: bool,
}

/// By which rule bytes are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Name,
    Value,
    Method,
    /// Text that fits a URI.
    Authority,
    /// What must be text: path, scheme.
    Utf8,
    /// A response's.
    Status,
}

impl<'block> Field<'block> {
    fn of(bytes: &'block [u8]) -> Option<(Field<'block>, &'block [u8])> {
        let first = *bytes.first()?;
        let (prefix, indexed) = match first {
            0x80.. => return int(bytes, 7).map(|(_, rest)| (Field::Reference, rest)),
            0x40.. => (6, true),
            0x20.. => return int(bytes, 5).map(|(_, rest)| (Field::Reference, rest)),
            _ => (4, false),
        };
        let (index, rest) = int(bytes, prefix)?;
        let (name, rest) = match index {
            0 => Text::of(rest).map(|(text, rest)| (Name::Text(text), rest))?,
            index => (Name::Index(index), rest),
        };
        let (value, rest) = Text::of(rest)?;
        Some((Field::Literal { name, value, indexed }, rest))
    }

    fn is_sound(&self) -> bool {
        let Field::Literal { name, value, .. } = self else { return true };
        if let Name::Text(text) = name
            && !text.is_sound(Kind::Name)
        {
            return false;
        }
        value.is_sound(name.kind_of_value())
    }

    /// In place of an authority that names no host: what the library holds, and `wire` takes for none.
    fn nameless(&self) -> Option<Vec<u8>> {
        let Field::Literal { name, value, .. } = self else { return None };
        let named = (name.kind_of_value() == Kind::Authority).then(|| value.bytes()).flatten()?;
        wire::is_encoded_name(&named).then(|| wire::nameless(named.len()))
    }
}

impl Name<'_> {
    /// The bytes of a name that is written out.
    fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Name::Index(_) => Some(Vec::new()),
            Name::Text(text) => text.bytes(),
        }
    }

    /// Writes the beginning of a literal: the index that there was, or else `text`.
    fn put(&self, indexed: bool, text: &[u8], out: &mut Vec<u8>) {
        let (bits, pattern) = if indexed { (6, 0x40) } else { (4, 0x00) };
        match self {
            Name::Index(index) => put_int(*index, bits, pattern, out),
            Name::Text(_) => {
                out.push(pattern);
                put_text(text, out);
            }
        }
    }

    fn kind_of_value(&self) -> Kind {
        match self {
            // RFC 7541 Appendix A.
            Name::Index(1) => Kind::Authority,
            Name::Index(4..=7) => Kind::Utf8,
            Name::Index(2 | 3) => Kind::Method,
            Name::Index(8..=14) => Kind::Status,
            Name::Index(_) => Kind::Value,
            Name::Text(text) if !text.starts_pseudo() => Kind::Value,
            Name::Text(text) => match text.bytes().as_deref() {
                Some(b":authority") => Kind::Authority,
                Some(b":method") => Kind::Method,
                Some(b":status") => Kind::Status,
                _ => Kind::Utf8,
            },
        }
    }
}

impl<'block> Text<'block> {
    fn of(bytes: &'block [u8]) -> Option<(Text<'block>, &'block [u8])> {
        let huffman = bytes.first()? & 0x80 != 0;
        let (len, rest) = int(bytes, 7)?;
        let (raw, rest) = rest.split_at_checked(len)?;
        Some((Text { raw, huffman }, rest))
    }

    fn bytes(&self) -> Option<Vec<u8>> {
        if !self.huffman {
            return Some(self.raw.to_vec());
        }
        let mut bytes = Vec::with_capacity(self.raw.len() * 2);
        huffman::decode(self.raw, |byte| {
            bytes.push(byte);
            true
        })
        .then_some(bytes)
    }

    fn starts_pseudo(&self) -> bool {
        let mut first = None;
        if self.huffman {
            huffman::decode(self.raw, |byte| {
                first = Some(byte);
                false
            });
        } else {
            first = self.raw.first().copied();
        }
        first == Some(b':')
    }

    fn is_sound(&self, kind: Kind) -> bool {
        match kind {
            Kind::Name if self.starts_pseudo() => {
                matches!(
                    self.bytes().as_deref(),
                    None | Some(b":authority" | b":method" | b":path" | b":protocol" | b":scheme" | b":status")
                )
            }
            Kind::Authority => {
                self.all(|byte| is_value_byte(byte) && byte.is_ascii() && byte != b'%')
                    || (self.is_sound(Kind::Utf8) && self.bytes().is_none_or(|text| !wire::is_encoded_name(&text)))
            }
            Kind::Utf8 | Kind::Value if self.huffman && huffman::is_plain(self.raw) => true,
            Kind::Utf8 => {
                self.all(|byte| is_value_byte(byte) && byte.is_ascii())
                    || (self.all(is_value_byte) && self.bytes().is_none_or(|bytes| String::from_utf8(bytes).is_ok()))
            }
            // In a request it is a fault, but its stream's alone, as long as it is a status at all.
            Kind::Status => self.bytes().is_none_or(|text| {
                matches!(&text[..], [b'1'..=b'9', rest @ ..] if rest.len() == 2 && rest.iter().all(u8::is_ascii_digit))
            }),
            Kind::Method => !self.raw.is_empty() && self.all(is_token_byte),
            Kind::Name => !self.raw.is_empty() && self.all(is_name_byte),
            Kind::Value => self.all(is_value_byte),
        }
    }

    /// Whether all bytes are `good`. What is no Huffman code is for the library to refuse.
    fn all(&self, good: impl Fn(u8) -> bool) -> bool {
        if !self.huffman {
            return self.raw.iter().all(|byte| good(*byte));
        }
        let mut all = true;
        huffman::decode(self.raw, |byte| {
            all = good(byte);
            all
        });
        all
    }
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_name_byte(byte: u8) -> bool {
    !byte.is_ascii_uppercase() && is_token_byte(byte)
}

fn is_value_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// The name, where it is written out, and the value of an entry that the library takes and that is as large.
fn harmless_entry(name: &Name<'_>, value: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    if let Name::Text(text) = name
        && text.bytes()?.is_empty()
    {
        // A name must be something: a byte of the value's.
        let (_, shorter) = value.split_last()?;
        return Some((b"x".to_vec(), harmless(shorter, Kind::Value)?));
    }
    let own = match name {
        Name::Index(_) => Vec::new(),
        Name::Text(text) => harmless(&text.bytes()?, Kind::Name)?,
    };
    Some((own, harmless(value, name.kind_of_value())?))
}

/// As many bytes, which the library takes.
fn harmless(text: &[u8], kind: Kind) -> Option<Vec<u8>> {
    let good = match kind {
        Kind::Name => is_name_byte,
        Kind::Method => is_token_byte,
        Kind::Authority | Kind::Utf8 => |byte: u8| is_value_byte(byte) && byte.is_ascii(),
        Kind::Value => is_value_byte,
        Kind::Status => return (text.len() == 3).then(|| b"200".to_vec()),
    };
    if text.is_empty() && matches!(kind, Kind::Name | Kind::Method) {
        return None;
    }
    if kind == Kind::Name && (Text { raw: text, huffman: false }).is_sound(Kind::Name) {
        return Some(text.to_vec());
    }
    Some(text.iter().map(|byte| if good(*byte) { *byte } else { b'x' }).collect())
}

/// An integer with a prefix of `bits` (RFC 7541 §5.1).
fn int(bytes: &[u8], bits: u8) -> Option<(usize, &[u8])> {
    let (first, mut rest) = bytes.split_first()?;
    let mask = (1_u8 << bits) - 1;
    let mut value = usize::from(first & mask);
    if value < usize::from(mask) {
        return Some((value, rest));
    }
    for shift in [0, 7, 14, 21] {
        let (byte, after) = rest.split_first()?;
        rest = after;
        value = value.checked_add(usize::from(byte & 0x7f) << shift)?;
        if byte & 0x80 == 0 {
            return Some((value, rest));
        }
    }
    None
}

fn put_int(value: usize, bits: u8, pattern: u8, out: &mut Vec<u8>) {
    let mask = (1_u8 << bits) - 1;
    match u8::try_from(value).ok().filter(|value| *value < mask) {
        Some(small) => out.push(pattern | small),
        None => {
            out.push(pattern | mask);
            let mut left = value - usize::from(mask);
            while left >= 0x80 {
                out.push((left & 0x7f) as u8 | 0x80);
                left >>= 7;
            }
            out.push(left as u8);
        }
    }
}

fn put_text(text: &[u8], out: &mut Vec<u8>) {
    put_int(text.len(), 7, 0, out);
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put_text(bytes, &mut out);
        out
    }

    fn literal(first: u8, name: &[u8], value: &[u8]) -> Vec<u8> {
        [&[first][..], &text(name), &text(value)].concat()
    }

    #[test]
    fn a_field_is_judged_by_its_own_rule() {
        let cases: &[(&[u8], &[u8], bool)] = &[
            (b"x-name", b"a value", true),
            (b"x_name", b"", true),
            (b"x-name", b"tab\tand \xc3\xa4 \xff", true),
            (b"X-name", b"", false),
            (b"x name", b"", false),
            (b"x\0", b"", false),
            (b"", b"", false),
            (b"x-name", b"a\r\nb", false),
            (b"x-name", b"\0", false),
            (b"x-name", b"\x7f", false),
            (b":path", b"/a", true),
            (b":path", b"/\xff", false),
            (b":path", "/ä".as_bytes(), true),
            (b":method", b"GET", true),
            (b":method", b"G T", false),
            (b":method", b"", false),
            (b":status", b"200", true),
            (b":status", b"2000", false),
            (b":status", b"099", false),
            (b":unknown", b"", false),
            (b":", b"", false),
        ];
        for (name, value, sound) in cases {
            for first in [0x00, 0x10, 0x40] {
                let block = literal(first, name, value);
                assert_eq!(is_sound(&block), *sound, "{:?}: {:?}", name.escape_ascii(), value.escape_ascii());
                let among = [&[0x82, 0x3f, 0xe1, 0x1f][..], &block, &[0x84]].concat();
                assert_eq!(is_sound(&among), *sound, "{:?}: {:?}", name.escape_ascii(), value.escape_ascii());
            }
        }
    }

    #[test]
    fn values_of_known_names_follow_their_names() {
        for (index, value, sound) in [
            (0x44, &b"/path"[..], true),
            (0x44, b"/\xff", false),
            (0x42, b"P@T", false),
            (0x48, b"200", true),
            (0x48, b"2x0", false),
            (0x50, b"\xff", true),
        ] {
            assert_eq!(is_sound(&[&[index][..], &text(value)].concat()), sound, "{index:x}");
        }
    }

    #[test]
    fn what_is_coded_is_judged_by_what_it_means() {
        // RFC 7541 §C.4.1 and, made of the same codes, a name that begins with a capital.
        let host = [0x41, 0x8c, 0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff];
        assert!(is_sound(&host));
        // `A` is 100001: then padding.
        assert!(!is_sound(&[0x40, 0x81, 0b1000_0111, 0x00]));
        assert!(is_sound(&[0x40, 0x81, 0b0001_1111, 0x00]));
    }

    #[test]
    fn what_is_mended_is_sound_and_as_large_in_the_table() {
        for (name, value) in [(&b"X-Name"[..], &b"v"[..]), (b"x", b"a\nb"), (b":nope", b"\0"), (b":path", b"/\xff")] {
            let block = [&[0x82][..], &literal(0x40, name, value), &[0x84]].concat();
            let mended = mended(&block).unwrap();
            assert!(is_sound(&mended));
            assert_eq!(mended.len(), block.len() + REFUSABLE.len());
            assert!(mended.ends_with(REFUSABLE) && mended.starts_with(&[0x82, 0x40]));
        }
        let untabled = [&literal(0x00, b"X", b"")[..], &[0x84]].concat();
        assert_eq!(mended(&untabled).unwrap(), [&[0x84][..], REFUSABLE].concat());
        // No entry with a name is as small as one with nothing at all.
        assert_eq!(mended(&literal(0x40, b"", b"")), None);
        assert_eq!(mended(&literal(0x40, b"", b"a\n")).unwrap(), [&literal(0x40, b"x", b"a")[..], REFUSABLE].concat());
    }

    #[test]
    fn an_authority_that_names_no_host_stays_and_gets_nobody_refused() {
        let path = b"%2Frun%2Fa.sock";
        let stand_in = wire::nameless(path.len());
        for (start, kept) in [
            (&[0x41][..], &[0x41][..]),
            (&[0x01], &[0x01]),
            (&[0x11], &[0x01]),
            (b"\x40\x0a:authority", b"\x40\x0a:authority"),
            (b"\x00\x0a:authority", b"\x00\x0a:authority"),
        ] {
            let block = [&[0x82][..], start, &text(path), &[0x84]].concat();
            assert!(!is_sound(&block));
            let expected = [&[0x82][..], kept, &text(&stand_in), &[0x84]].concat();
            assert_eq!(mended(&block).unwrap(), expected, "{:?}", start.escape_ascii());
            assert!(is_sound(&expected));
        }
        // A host as such, and what is neither, go on as they are.
        for other in [&b"a.example"[..], b"%zz", b"u%2Fb@c", b"[fe80::1%25eth0]"] {
            assert!(is_sound(&[&[0x41][..], &text(other)].concat()));
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_judged_and_what_is_mended_is_sound(block in proptest::collection::vec(proptest::num::u8::ANY, 0..64)) {
            if !is_sound(&block) && let Some(mended) = mended(&block) {
                proptest::prop_assert!(is_sound(&mended));
            }
        }
    }
}
