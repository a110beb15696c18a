//! Timestamps and durations as text: RFC 3339 in the years 0001 to 9999, and seconds with an `s` (google/protobuf/timestamp.proto
//! and duration.proto, whose limits these are).

/// 0001-01-01T00:00:00Z.
const FIRST_SECOND: i64 = -62_135_596_800;
/// 9999-12-31T23:59:59Z.
const LAST_SECOND: i64 = 253_402_300_799;
/// About 10,000 years.
const LONGEST: i64 = 315_576_000_000;
const NANOS: i32 = 1_000_000_000;
const DAY: i64 = 86_400;

/// Seconds and nanoseconds, as both messages hold them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Instant {
    pub(super) seconds: i64,
    pub(super) nanos: i32,
}

/// Reads `2024-02-29T23:59:59.5+01:00`; upper-case `T` and `Z` only, one to nine digits of a second.
pub(super) fn parse_timestamp(text: &str) -> Option<Instant> {
    let mut cursor = Cursor(text.as_bytes());
    let year = cursor.number(4)?;
    let month = cursor.byte(b'-')?.number(2)?;
    let day = cursor.byte(b'-')?.number(2)?;
    let hour = cursor.byte(b'T')?.number(2)?;
    let minute = cursor.byte(b':')?.number(2)?;
    let second = cursor.byte(b':')?.number(2)?;
    let nanos = cursor.fraction()?;
    let offset = cursor.offset()?;
    let in_range = (1..=12).contains(&month) && day >= 1 && day <= days_in_month(year, month);
    if !cursor.0.is_empty() || !in_range || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = days_from_civil(year, month, day) * DAY + hour * 3600 + minute * 60 + second - offset;
    (FIRST_SECOND..=LAST_SECOND).contains(&seconds).then_some(Instant { seconds, nanos })
}

/// Writes a timestamp in UTC with 0, 3, 6 or 9 digits of a second; `None` if it is out of range.
pub(super) fn write_timestamp(time: Instant, out: &mut Vec<u8>) -> Option<()> {
    if !(FIRST_SECOND..=LAST_SECOND).contains(&time.seconds) || !(0..NANOS).contains(&time.nanos) {
        return None;
    }
    let (year, month, day) = civil_from_days(time.seconds.div_euclid(DAY));
    let second = time.seconds.rem_euclid(DAY);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    write_digits(year, 4, out);
    for (separator, number) in [(b'-', month), (b'-', day), (b'T', hour), (b':', minute), (b':', second)] {
        out.push(separator);
        write_digits(number, 2, out);
    }
    write_fraction(time.nanos, out);
    out.push(b'Z');
    Some(())
}

/// Reads `-1.5s`: digits, at most nine behind the point, and an `s`.
pub(super) fn parse_duration(text: &str) -> Option<Instant> {
    let digits = text.strip_suffix('s')?;
    let (negative, digits) = digits.strip_prefix('-').map_or((false, digits), |rest| (true, rest));
    let whole = digits.split_once('.').map_or(digits, |(whole, _)| whole);
    if whole.is_empty() || !whole.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut cursor = Cursor(digits.as_bytes().get(whole.len()..)?);
    let nanos = cursor.fraction()?;
    let seconds: i64 = whole.parse().ok()?;
    // The limit is one of the seconds alone: the last of them may have a fraction, as protobuf's own codecs have it.
    if !cursor.0.is_empty() || seconds > LONGEST {
        return None;
    }
    Some(if negative { Instant { seconds: -seconds, nanos: -nanos } } else { Instant { seconds, nanos } })
}

/// Writes a duration; `None` if it is out of range, or its two halves disagree about the sign.
pub(super) fn write_duration(time: Instant, out: &mut Vec<u8>) -> Option<()> {
    let seconds_fit = (-LONGEST..=LONGEST).contains(&time.seconds);
    let nanos_fit = (1 - NANOS..NANOS).contains(&time.nanos);
    let signs_agree = time.seconds == 0 || time.nanos == 0 || (time.seconds < 0) == (time.nanos < 0);
    if !seconds_fit || !nanos_fit || !signs_agree {
        return None;
    }
    if time.seconds < 0 || time.nanos < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(itoa::Buffer::new().format(time.seconds.unsigned_abs()).as_bytes());
    write_fraction(time.nanos.abs(), out);
    out.push(b's');
    Some(())
}

/// Nothing, or as many digits as are needed, in threes.
fn write_fraction(nanos: i32, out: &mut Vec<u8>) {
    let (number, digits) = match nanos {
        0 => return,
        _ if nanos % 1_000_000 == 0 => (nanos / 1_000_000, 3),
        _ if nanos % 1_000 == 0 => (nanos / 1_000, 6),
        _ => (nanos, 9),
    };
    out.push(b'.');
    write_digits(i64::from(number), digits, out);
}

/// A number that is not negative, with zeros in front; of a longer one, the last digits.
fn write_digits(number: i64, digits: u32, out: &mut Vec<u8>) {
    for place in (0..digits).rev() {
        out.push(b'0' + (number / 10_i64.pow(place) % 10) as u8);
    }
}

struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn byte(&mut self, expected: u8) -> Option<&mut Self> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        (*first == expected).then_some(self)
    }

    fn number(&mut self, digits: usize) -> Option<i64> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        let fold = |value: i64, digit: &u8| digit.is_ascii_digit().then(|| value * 10 + i64::from(digit & 15));
        number.iter().try_fold(0, fold)
    }

    /// Nothing, or a point and one to nine digits, as nanoseconds.
    fn fraction(&mut self) -> Option<i32> {
        let Some((b'.', rest)) = self.0.split_first() else { return Some(0) };
        let length = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
        if !(1..=9).contains(&length) {
            return None;
        }
        let (digits, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        let padded = digits.iter().chain(std::iter::repeat(&b'0')).take(9);
        Some(padded.fold(0, |value, digit| value * 10 + i32::from(digit & 15)))
    }

    /// `Z`, or hours and minutes ahead of UTC, in seconds.
    fn offset(&mut self) -> Option<i64> {
        let (sign, rest) = self.0.split_first()?;
        self.0 = rest;
        let sign = match sign {
            b'Z' => return Some(0),
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let hours = self.number(2)?;
        let minutes = self.byte(b':')?.number(2)?;
        (hours <= 23 && minutes <= 59).then_some(sign * (hours * 3600 + minutes * 60))
    }
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

// Days of the proleptic Gregorian calendar, counted in years that begin in March, so that the leap day is a year's last, and in
// eras of 400 years, which all have the same length.
const ERA: i64 = 146_097;
/// From 0000-03-01 to 1970-01-01.
const EPOCH: i64 = 719_468;

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * ERA + year * 365 + year / 4 - year / 100 + day_of_year - EPOCH
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH;
    let (era, day) = (days.div_euclid(ERA), days.rem_euclid(ERA));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, day)
}
