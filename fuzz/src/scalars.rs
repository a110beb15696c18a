//! Values of one line: durations, sizes, addresses and authorities, by what their grammars say.

use std::net::Ipv6Addr;
use std::time::Duration;

use telamon::discovery::{format_duration, parse_duration, parse_size};
use telamon::model::Address;
use telamon::wire::is_authority;

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Digits and one of the units, where a number holds it.
fn by_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let split = |(unit, scale): &(&str, u64)| Some((text.strip_suffix(unit)?, *scale));
    let (digits, scale) = units.iter().filter_map(split).find(|(digits, _)| all_digits(digits))?;
    u64::try_from(digits.parse::<u128>().ok()?.checked_mul(u128::from(scale))?).ok()
}

/// A name or an address, and perhaps a port (RFC 3986 §3.2.2), without what no honest caller sends.
fn is_host(text: &str) -> bool {
    let (host, port) = if text.ends_with(']') { (text, "") } else { text.rsplit_once(':').unwrap_or((text, "")) };
    let is_port = port.is_empty() || (all_digits(port) && port.len() <= 5 && port.parse::<u16>().is_ok());
    let literal = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=".contains(&byte))
    };
    is_port && literal.map_or_else(|| is_name(host), |address| address.parse::<Ipv6Addr>().is_ok())
}

pub fn check(data: &[u8]) {
    assert_eq!(is_authority(data), std::str::from_utf8(data).is_ok_and(is_host));
    if is_authority(data) {
        http::uri::Authority::try_from(data).expect("an authority is one for every other parser");
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let duration = parse_duration(text);
    let millis = by_unit(text, &[("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)]);
    assert_eq!(duration, millis.map(Duration::from_millis));
    if let Some(duration) = duration {
        assert_eq!(parse_duration(&format_duration(duration)), Some(duration));
    }
    assert_eq!(parse_size(text), by_unit(text, &[("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)]));
    let address = text.parse::<Address>();
    let is_unix = text.strip_prefix("unix:").map(|path| !path.is_empty() && !path.contains('\0'));
    let is_socket = text.parse::<std::net::SocketAddr>().is_ok();
    assert_eq!(address.is_ok(), is_unix.unwrap_or(is_socket), "{text}");
    if let Ok(address) = address {
        assert_eq!(address.to_string().parse::<Address>().as_ref(), Ok(&address));
    }
}
