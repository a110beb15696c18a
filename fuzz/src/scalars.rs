//! Values of one line: durations, sizes, addresses and authorities.

use telamon::discovery::{format_duration, parse_duration, parse_size};
use telamon::model::Address;
use telamon::wire::is_authority;

pub fn check(data: &[u8]) {
    if is_authority(data) {
        http::uri::Authority::try_from(data).expect("an authority is one for every other parser");
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(duration) = parse_duration(text) {
        assert_eq!(parse_duration(&format_duration(duration)), Some(duration));
    }
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        assert_eq!(parse_size(&format!("0{text}")), parse_size(text));
    }
    if let Ok(address) = text.parse::<Address>() {
        assert_eq!(address.to_string().parse::<Address>().as_ref(), Ok(&address));
    }
}
