//! The single values of our files: counts, durations, sizes, addresses. Units are always written, so that no reader has to know a
//! default unit; only a count is a bare number.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Content, Decode, Node, Reader};
use crate::model::Address;

/// An integer of YAML's core schema; `None` for anything else, quoted numbers among it.
fn integer(node: &Node) -> Option<u64> {
    let Content::Scalar { text, plain: true } = &*node.content else { return None };
    let (digits, radix) = match text.split_at_checked(2) {
        Some(("0x", rest)) => (rest, 16),
        Some(("0o", rest)) => (rest, 8),
        _ => (text.strip_prefix('+').unwrap_or(text), 10),
    };
    // `from_str_radix` would take a second sign.
    if digits.starts_with(['+', '-']) {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}

/// An integer from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count<const MIN: u32, const MAX: u32>(u32);

impl<const MIN: u32, const MAX: u32> Count<MIN, MAX> {
    /// The nearest allowed count.
    pub const fn new(count: u32) -> Self {
        if count < MIN {
            Count(MIN)
        } else if count > MAX {
            Count(MAX)
        } else {
            Count(count)
        }
    }

    pub const fn get(self) -> u32 {
        self.0
    }
}

impl<const MIN: u32, const MAX: u32> Decode for Count<MIN, MAX> {
    fn decode(node: &Node, reader: &mut Reader) -> Option<Self> {
        let number = integer(node).and_then(|number| u32::try_from(number).ok());
        match number.filter(|number| (MIN..=MAX).contains(number)) {
            Some(number) => Some(Count(number)),
            None => reader.reject(node, format!("an integer from {MIN} to {MAX}")),
        }
    }

    fn schema() -> Value {
        json!({ "type": "integer", "minimum": MIN, "maximum": MAX })
    }

    fn written(&self) -> Value {
        self.0.into()
    }
}

/// A number of bytes from `MIN` to `MAX`, written `512B`, `64KiB`, `1MiB` or `2GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size<const MIN: u64 = 1, const MAX: u64 = { 1 << 40 }>(u64);

const SIZE_UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
const SIZE_PATTERN: &str = "^[0-9]+(B|KiB|MiB|GiB)$";

impl<const MIN: u64, const MAX: u64> Size<MIN, MAX> {
    /// The nearest allowed size.
    pub const fn new(bytes: u64) -> Self {
        if bytes < MIN {
            Size(MIN)
        } else if bytes > MAX {
            Size(MAX)
        } else {
            Size(bytes)
        }
    }

    pub const fn kib(number: u64) -> Self {
        Self::new(number.saturating_mul(1 << 10))
    }

    pub const fn mib(number: u64) -> Self {
        Self::new(number.saturating_mul(1 << 20))
    }

    pub const fn bytes(self) -> u64 {
        self.0
    }
}

/// Reads a whole number and a unit, without a space.
pub fn parse_size(text: &str) -> Option<u64> {
    let (digits, unit) = text.split_at_checked(text.find(|c: char| !c.is_ascii_digit())?)?;
    let (_, scale) = SIZE_UNITS.iter().find(|(name, _)| *name == unit)?;
    digits.parse::<u64>().ok()?.checked_mul(*scale)
}

fn format_size(bytes: u64) -> String {
    let (unit, scale) =
        SIZE_UNITS.into_iter().find(|(_, scale)| bytes != 0 && bytes.is_multiple_of(*scale)).unwrap_or(("B", 1));
    format!("{}{unit}", bytes / scale)
}

impl<const MIN: u64, const MAX: u64> fmt::Display for Size<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_size(self.0))
    }
}

impl<const MIN: u64, const MAX: u64> Decode for Size<MIN, MAX> {
    fn decode(node: &Node, reader: &mut Reader) -> Option<Self> {
        let size = match &*node.content {
            Content::Scalar { text, .. } => parse_size(text),
            Content::List(_) | Content::Map(_) => None,
        };
        match size.filter(|bytes| (MIN..=MAX).contains(bytes)) {
            Some(bytes) => Some(Size(bytes)),
            None => {
                let (min, max) = (format_size(MIN), format_size(MAX));
                reader.reject(node, format!("a size from {min} to {max}, like `64KiB` or `1MiB`"))
            }
        }
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": SIZE_PATTERN })
    }

    fn written(&self) -> Value {
        self.to_string().into()
    }
}

const DURATION_UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];
const DURATION_PATTERN: &str = "^[0-9]+(ms|s|m|h)$";
/// Longer than any call, shorter than what any timer takes.
const MAX_DURATION: Duration = Duration::from_secs(24 * 3600);

/// Reads a whole number and a unit, without a space: `250ms`, `5s`, `1m`, `2h`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.find(|c: char| !c.is_ascii_digit())?)?;
    let (_, scale) = DURATION_UNITS.iter().find(|(name, _)| *name == unit)?;
    digits.parse::<u64>().ok()?.checked_mul(*scale).map(Duration::from_millis)
}

/// Writes a duration as our files do, in the largest unit that divides it.
pub fn format_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let (unit, scale) = DURATION_UNITS
        .into_iter()
        .rev()
        .find(|(_, scale)| millis != 0 && millis.is_multiple_of(*scale))
        .unwrap_or(("ms", 1));
    format!("{}{unit}", millis / scale)
}

impl Decode for Duration {
    fn decode(node: &Node, reader: &mut Reader) -> Option<Self> {
        let duration = match &*node.content {
            Content::Scalar { text, .. } => parse_duration(text),
            Content::List(_) | Content::Map(_) => None,
        };
        match duration.filter(|duration| !duration.is_zero() && *duration <= MAX_DURATION) {
            Some(duration) => Some(duration),
            None => reader.reject(node, "a duration from 1ms to 24h, like `250ms`, `5s` or `1m`"),
        }
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": DURATION_PATTERN })
    }

    fn written(&self) -> Value {
        format_duration(*self).into()
    }
}

impl Decode for bool {
    fn decode(node: &Node, reader: &mut Reader) -> Option<Self> {
        match &*node.content {
            Content::Scalar { text, plain: true } if matches!(text.as_str(), "true" | "True" | "TRUE") => Some(true),
            Content::Scalar { text, plain: true } if matches!(text.as_str(), "false" | "False" | "FALSE") => {
                Some(false)
            }
            _ => reader.reject(node, "`true` or `false`"),
        }
    }

    fn schema() -> Value {
        json!({ "type": "boolean" })
    }

    fn written(&self) -> Value {
        (*self).into()
    }
}

/// Any text that is not empty.
impl Decode for String {
    fn decode(node: &Node, reader: &mut Reader) -> Option<Self> {
        match reader.text(node, "a text")? {
            "" => reader.reject(node, "a text that is not empty"),
            text => Some(text.to_owned()),
        }
    }

    fn schema() -> Value {
        json!({ "type": "string", "minLength": 1 })
    }

    fn written(&self) -> Value {
        self.as_str().into()
    }
}

/// What the kernel takes: `sun_path` of unix(7), without the NUL at its end.
const MAX_SOCKET_PATH: usize = 107;

/// An address; a relative socket path is meant from the file that names it.
impl Decode for Address {
    fn decode(node: &Node, reader: &mut Reader) -> Option<Self> {
        let text = reader.text(node, "an address: `IPv4:port`, `[IPv6]:port` or `unix:path`")?;
        match text.parse() {
            Ok(Address::Unix(path)) => {
                let path = super::resolve(reader.directory(), &path);
                if path.as_os_str().len() > MAX_SOCKET_PATH {
                    let allowed =
                        format!("a path of at most {MAX_SOCKET_PATH} bytes, with the directory of this file before it");
                    return reader.reject(node, allowed);
                }
                Some(Address::Unix(path))
            }
            Ok(address) => Some(address),
            Err(error) => reader.reject(node, error.to_string()),
        }
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": r"^(\d{1,3}(\.\d{1,3}){3}:\d{1,5}|\[[0-9A-Fa-f:.]+(%\d+)?\]:\d{1,5}|unix:.+)$" })
    }
}

/// One value, or a list of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneOrMany<T>(pub Vec<T>);

impl<T: Decode> Decode for OneOrMany<T> {
    fn decode(node: &Node, reader: &mut Reader) -> Option<Self> {
        match &*node.content {
            Content::List(_) => Vec::decode(node, reader).map(OneOrMany),
            Content::Scalar { .. } | Content::Map(_) => T::decode(node, reader).map(|one| OneOrMany(vec![one])),
        }
    }

    fn schema() -> Value {
        json!({ "oneOf": [T::schema(), { "type": "array", "items": T::schema() }] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let good = [("250ms", 250), ("5s", 5_000), ("1m", 60_000), ("24h", 86_400_000), ("0s", 0)];
        for (text, millis) in good {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in [
            "",
            "5",
            "s",
            "5 s",
            "1.5s",
            "-1s",
            "+1s",
            "5S",
            "5sec",
            "99999999999999999999s",
            "18446744073709551615h",
            "٣s",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
        for text in ["250ms", "5s", "1m", "2h", "90s", "0ms"] {
            assert_eq!(format_duration(parse_duration(text).unwrap()), text);
        }
    }

    #[test]
    fn a_socket_path_is_no_longer_than_the_kernel_takes() {
        let address = |path: &str| Reader::new("f", "/d").document::<Address>(&format!("\"unix:{path}\""));
        let (most, more) = ("x".repeat(MAX_SOCKET_PATH - "/d/".len()), "x".repeat(MAX_SOCKET_PATH - "/d/".len() + 1));
        assert!(address(&most).is_some() && address(&more).is_none());
        assert!(address(&format!("/{}", "x".repeat(MAX_SOCKET_PATH))).is_none());
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [("1B", 1), ("64KiB", 65_536), ("1MiB", 1 << 20), ("2GiB", 2 << 30)] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
            assert_eq!(format_size(bytes), text);
        }
        for text in ["", "64", "KiB", "64KB", "64kib", "64 KiB", "1.5MiB", "-1B", "18446744073709551615GiB"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    fn count(text: &str) -> Result<u32, String> {
        let mut reader = Reader::new("f", "");
        let decoded = reader.document::<Count<0, 100>>(text);
        decoded.map(Count::get).ok_or_else(|| reader.into_problems()[0].to_string())
    }

    #[test]
    fn counts_are_integers_of_the_core_schema() {
        for (text, number) in [("0", 0), ("100", 100), ("+7", 7), ("007", 7), ("0x1F", 31), ("0o17", 15)] {
            assert_eq!(count(text), Ok(number), "{text}");
        }
        for text in
            ["101", "-1", "1.0", "1e1", "\"5\"", "5s", "++1", "0x-1", "[1]", "{a: 1}", "1_0", "99999999999999999999"]
        {
            let told = count(text).unwrap_err();
            assert!(told.ends_with("is not allowed: an integer from 0 to 100"), "{text}: {told}");
        }
        assert_eq!(count("-1").unwrap_err(), "f:1:1: -1 is not allowed: an integer from 0 to 100");
        assert_eq!(count("\"5\"").unwrap_err(), "f:1:1: \"5\" is not allowed: an integer from 0 to 100");
    }
}
