//! Times as logs and the admin API write them: UTC, to the millisecond (RFC 3339 §5.6).

use std::time::{Duration, SystemTime};

const DAY: u64 = 86_400;
const DAYS_IN_ERA: u64 = 146_097; // 400 Gregorian years
const DAYS_TO_1970: u64 = 719_468; // from 0000-03-01, where a year that ends with its leap day begins
const LAST: u64 = 253_402_300_799; // 9999-12-31T23:59:59Z: the format has four digits for a year

/// `2026-11-22T22:32:05.042Z`. A time before 1970 is written as 1970, one past the year 9999 as its last second.
pub fn rfc3339_millis(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let seconds = since.as_secs().min(LAST);
    let (days, rest) = (seconds / DAY, seconds % DAY);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    let milli = since.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// Year, month and day of a count of days since 1970-01-01, reckoned in years that begin in March.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + DAYS_TO_1970;
    let (era, day_of_era) = (days / DAYS_IN_ERA, days % DAYS_IN_ERA);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times_are_written_as_the_calendar_has_them() {
        let cases = [
            (0, 0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, 0, "2000-02-29T00:00:00.000Z"),
            (951_868_799, 999, "2000-02-29T23:59:59.999Z"),
            (1_709_251_199, 0, "2024-02-29T23:59:59.000Z"),
            (1_709_251_200, 0, "2024-03-01T00:00:00.000Z"),
            (4_107_542_399, 0, "2100-02-28T23:59:59.000Z"),
            (4_107_542_400, 0, "2100-03-01T00:00:00.000Z"),
            (1_234_567_890, 42, "2009-02-13T23:31:30.042Z"),
            (LAST, 0, "9999-12-31T23:59:59.000Z"),
            (LAST + 5, 0, "9999-12-31T23:59:59.000Z"),
        ];
        for (seconds, millis, text) in cases {
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_millis(millis);
            assert_eq!(rfc3339_millis(time), text);
        }
        assert_eq!(rfc3339_millis(SystemTime::UNIX_EPOCH - Duration::from_secs(9)), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn each_day_follows_the_one_before() {
        let mut before = (1969, 12, 31);
        for days in 0..60_000 {
            let (year, month, day) = civil(days);
            let (last_year, last_month, last_day) = before;
            let next = (year, month, day) == (last_year, last_month, last_day + 1)
                || (day == 1 && last_day >= 28 && (year, month) == (last_year, last_month + 1))
                || (day == 1 && month == 1 && last_month == 12 && last_day == 31 && year == last_year + 1);
            assert!(next && day <= 31 && month <= 12, "{before:?} then {year}-{month}-{day}");
            before = (year, month, day);
        }
    }
}
