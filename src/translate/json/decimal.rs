//! Integers from decimal text, exactly: `1`, `-0`, `1.0`, `1e3` and `12.50e2` are integers, `1.5` is none, and an exponent of a
//! million digits is answered without being computed.

use super::lexer::number_length;

/// Why a text is not an integer in range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotInteger {
    Malformed,
    Fraction,
    TooLarge,
}

/// Its sign and magnitude, from text that may be anything.
pub(super) fn parse(text: &str) -> Result<(bool, u64), NotInteger> {
    if number_length(text.as_bytes()) != Some(text.len()) {
        return Err(NotInteger::Malformed);
    }
    parse_number(text)
}

/// As [`parse`], for text that is a number by JSON's grammar.
pub(super) fn parse_number(text: &str) -> Result<(bool, u64), NotInteger> {
    let (negative, magnitude) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    // Nineteen digits fit whatever they are.
    if magnitude.len() <= 19 && magnitude.bytes().all(|byte| byte.is_ascii_digit()) {
        let value = magnitude.bytes().fold(0_u64, |value, digit| value * 10 + u64::from(digit & 15));
        return Ok((negative, value));
    }
    Ok((negative, scientific(magnitude)?))
}

fn scientific(magnitude: &str) -> Result<u64, NotInteger> {
    let (mantissa, exponent) = magnitude.split_once(['e', 'E']).unwrap_or((magnitude, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    let digits = || whole.bytes().chain(fraction.bytes()).skip_while(|digit| *digit == b'0');
    let signed = |length: usize| i64::try_from(length).unwrap_or(i64::MAX);
    let count = signed(digits().count());
    if count == 0 {
        return Ok(0);
    }
    let zeros = if fraction.is_empty() { whole.len() - whole.trim_end_matches('0').len() } else { 0 };
    let shift = saturating_exponent(exponent).saturating_sub(signed(fraction.len()));
    if shift.saturating_add(signed(zeros)) < 0 {
        return Err(NotInteger::Fraction);
    }
    let kept = count.saturating_add(shift);
    if kept > 20 {
        return Err(NotInteger::TooLarge);
    }
    let kept = usize::try_from(kept).map_err(|_| NotInteger::Fraction)?;
    let padded = digits().chain(std::iter::repeat(b'0')).take(kept);
    let value = padded.fold(0_u128, |value, digit| value * 10 + u128::from(digit & 15));
    u64::try_from(value).map_err(|_| NotInteger::TooLarge)
}

fn saturating_exponent(text: &str) -> i64 {
    let digits = text.trim_start_matches(['+', '-']);
    let value =
        digits.bytes().fold(0_i64, |value, digit| value.saturating_mul(10).saturating_add(i64::from(digit & 15)));
    // Half of the range, so that sums with lengths stay in it.
    let value = value.min(i64::MAX / 4);
    if text.starts_with('-') { -value } else { value }
}
