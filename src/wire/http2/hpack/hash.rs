//! A hash of short texts, eight bytes at a time and in line: it is worked out for every field that is sent, and most have fewer bytes
//! than a general hash has set-up. It finds places to look at, never an answer: whatever it finds is compared.
//!
//! It bears no secret. Who makes texts collide gets a table that is used less, and longer blocks: their own.

/// Odd, and with its bits well spread: the golden ratio's.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// `text` added to `seed`, which is the hash of what comes before it, or 0.
#[inline]
pub(super) fn hash(seed: u64, text: &[u8]) -> u64 {
    // The length too, so that what lies on two texts' edge belongs to one of them.
    let mut state = seed ^ text.len() as u64;
    let mut rest = text;
    while rest.len() > 16
        && let Some((words, after)) = rest.split_first_chunk::<16>()
    {
        let words = u128::from_le_bytes(*words);
        state = folded(state ^ words as u64, (words >> 64) as u64);
        rest = after;
    }
    let (first, last) = ends(rest);
    folded(state ^ first, last)
}

/// All bytes of up to 16, some of them twice.
#[inline]
fn ends(text: &[u8]) -> (u64, u64) {
    if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        return (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
    }
    if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        return (u64::from(u32::from_le_bytes(*first)), u64::from(u32::from_le_bytes(*last)));
    }
    let word = match *text {
        [a, b, c] => u32::from_le_bytes([a, b, c, 0]),
        [a, b] => u32::from_le_bytes([a, b, 0, 0]),
        [a] => u32::from(a),
        _ => 0,
    };
    (u64::from(word), 0)
}

#[inline]
fn folded(one: u64, other: u64) -> u64 {
    let product = u128::from(one ^ FACTOR) * u128::from(other ^ FACTOR.rotate_left(32));
    product as u64 ^ (product >> 64) as u64
}

/// Whether two texts are the same; in line where they are short.
#[inline]
pub(super) fn is_same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() || one.len() > 16 {
        return one == other;
    }
    if let (Some(first), Some(last)) = (one.first_chunk::<8>(), one.last_chunk::<8>()) {
        return other.first_chunk() == Some(first) && other.last_chunk() == Some(last);
    }
    if let (Some(first), Some(last)) = (one.first_chunk::<4>(), one.last_chunk::<4>()) {
        return other.first_chunk() == Some(first) && other.last_chunk() == Some(last);
    }
    match (one, other) {
        ([a, rest @ ..], [b, other_rest @ ..]) => {
            a == b && rest.first() == other_rest.first() && rest.last() == other_rest.last()
        }
        _ => true,
    }
}
