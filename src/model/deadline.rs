//! When a call must be over, and how gRPC writes what is left of it (grpc/doc/PROTOCOL-HTTP2.md, `grpc-timeout`).

use std::time::{Duration, Instant};

/// The moment a call must be over, if there is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    pub const NEVER: Deadline = Deadline(None);

    /// `timeout` after `start`; a time too far away to represent is never.
    pub fn after(start: Instant, timeout: Option<Duration>) -> Deadline {
        Deadline(timeout.and_then(|timeout| start.checked_add(timeout)))
    }

    pub fn at(self) -> Option<Instant> {
        self.0
    }

    /// What is left at `now`; zero when it has passed.
    pub fn left(self, now: Instant) -> Option<Duration> {
        self.0.map(|at| at.saturating_duration_since(now))
    }

    pub fn has_passed(self, now: Instant) -> bool {
        self.0.is_some_and(|at| at <= now)
    }
}

/// Reads `TimeoutValue TimeoutUnit`: one to eight digits and one of `HMSmun`. `None` when it is not that.
pub fn parse_grpc_timeout(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits.iter().fold(0_u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    // Eight digits of hours are 3.6e11 seconds: no step of this can overflow.
    Some(match unit {
        b'H' => Duration::from_secs(number * 3600),
        b'M' => Duration::from_secs(number * 60),
        b'S' => Duration::from_secs(number),
        b'm' => Duration::from_millis(number),
        b'u' => Duration::from_micros(number),
        b'n' => Duration::from_nanos(number),
        _ => return None,
    })
}

/// Writes `left` in the coarsest unit that keeps it to a thousandth, rounded down, as the protocol asks: calls that have as long say the
/// same then, which HPACK sends as one byte.
pub fn write_grpc_timeout(left: Duration) -> ([u8; 9], usize) {
    const MOST: u64 = 99_999_999;
    let (seconds, nanos) = (left.as_secs(), left.subsec_nanos());
    let (number, unit) = match seconds {
        0 if nanos < 1_000_000 => (nanos.into(), b'n'),
        0 => (u64::from(nanos) / 1_000, b'u'),
        1..1_000 => (seconds * 1_000 + u64::from(nanos) / 1_000_000, b'm'),
        1_000..60_000 => (seconds, b'S'),
        60_000..3_600_000 => (seconds / 60, b'M'),
        _ => ((seconds / 3_600).min(MOST), b'H'),
    };
    let mut text = [0_u8; 9];
    let mut rest = number;
    let mut digits = [0_u8; 8];
    let mut count = 0;
    for slot in digits.iter_mut().rev() {
        *slot = b'0' + (rest % 10) as u8;
        rest /= 10;
        count += 1;
        if rest == 0 {
            break;
        }
    }
    for (to, from) in text.iter_mut().zip(digits.iter().skip(8 - count).chain(&[unit])) {
        *to = *from;
    }
    (text, count + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read() {
        let cases: &[(&str, Option<Duration>)] = &[
            ("1H", Some(Duration::from_secs(3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("3S", Some(Duration::from_secs(3))),
            ("4m", Some(Duration::from_millis(4))),
            ("5u", Some(Duration::from_micros(5))),
            ("6n", Some(Duration::from_nanos(6))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
            ("0S", Some(Duration::ZERO)),
            ("999999999S", None),
            ("S", None),
            ("", None),
            ("-1S", None),
            ("1s", None),
            ("1.5S", None),
            ("+1S", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_grpc_timeout(text.as_bytes()), *expected, "{text}");
        }
    }

    #[test]
    fn what_is_written_reads_back_and_never_grows() {
        for nanos in [0_u64, 1, 99_999_999, 100_000_000, 5_000_000_000, 1 << 40, 1 << 50, u64::MAX] {
            let left = Duration::from_nanos(nanos);
            let (text, len) = write_grpc_timeout(left);
            let back = parse_grpc_timeout(&text[..len]).unwrap();
            assert!(back <= left && left.as_secs_f64() - back.as_secs_f64() <= left.as_secs_f64() / 1e3);
        }
        let (text, len) = write_grpc_timeout(Duration::MAX);
        assert_eq!(&text[..len], b"99999999H");
    }

    #[test]
    fn a_deadline_too_far_to_write_is_never() {
        let now = Instant::now();
        assert_eq!(Deadline::after(now, Some(Duration::MAX)), Deadline::NEVER);
        assert!(Deadline::after(now, Some(Duration::ZERO)).has_passed(now));
    }
}
