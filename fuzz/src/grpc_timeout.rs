//! `grpc-timeout`: what is taken is what the grammar allows, for the time that it says; what is written is never later than what was
//! meant, and not much earlier.

use std::time::Duration;

use telamon::model::{parse_grpc_timeout, write_grpc_timeout};

fn by_the_grammar(value: &[u8]) -> Option<u128> {
    let text = std::str::from_utf8(value).ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let nanos: u128 = match unit {
        "H" => 3_600_000_000_000,
        "M" => 60_000_000_000,
        "S" => 1_000_000_000,
        "m" => 1_000_000,
        "u" => 1_000,
        "n" => 1,
        _ => return None,
    };
    let well = (1..=8).contains(&digits.len()) && digits.chars().all(|digit| digit.is_ascii_digit());
    well.then(|| digits.parse::<u128>().unwrap() * nanos)
}

fn check_written(left: Duration) {
    let (text, len) = write_grpc_timeout(left);
    let back = parse_grpc_timeout(&text[..len]).expect("what is written can be read");
    assert!(back <= left);
    let most = Duration::from_secs(99_999_999 * 3600);
    assert!(left > most || left - back <= left / 1_000, "{left:?} {back:?}");
}

pub fn check(data: &[u8]) {
    let read = parse_grpc_timeout(data);
    assert_eq!(read.map(|read| read.as_nanos()), by_the_grammar(data));
    if let Some(read) = read {
        check_written(read);
    }
    if let Some(bytes) = data.first_chunk() {
        check_written(Duration::from_nanos(u64::from_le_bytes(*bytes)));
        check_written(Duration::from_secs(u64::from_le_bytes(*bytes)));
    }
}
