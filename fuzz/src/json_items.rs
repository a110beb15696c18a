//! The elements of a JSON array as it arrives: the same for any split, and those that a parser of the whole array finds.

use bytes::Bytes;
use serde_json::Value;
use telamon::translate::json::{ArrayItems, JsonError};

use super::draw::pieces;

const LIMIT: usize = 64;

fn cut<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Bytes>, Option<JsonError>) {
    let (mut items, mut found) = (ArrayItems::new(LIMIT), Vec::new());
    let mut drain = |items: &mut ArrayItems| {
        while let Some(item) = items.next_item()? {
            assert!(item.len() <= LIMIT);
            found.push(item);
        }
        Ok(())
    };
    let mut result = Ok(());
    for part in parts {
        items.push(part);
        result = result.and_then(|()| drain(&mut items));
    }
    items.finish();
    result = result.and_then(|()| drain(&mut items));
    assert!(result.is_err() || items.is_done());
    (found, result.err())
}

pub fn check(data: &[u8]) {
    let Some((bytes, parts)) = pieces(data) else { return };
    let (items, error) = cut([bytes]);
    assert_eq!(cut(parts), (items.clone(), error.clone()));
    let each: Result<Vec<Value>, _> = items.iter().map(|item| serde_json::from_slice(item)).collect();
    let whole: Result<Vec<Value>, _> = serde_json::from_slice(bytes);
    match (error, each, whole) {
        (None, Ok(each), whole) => assert_eq!(each, whole.expect("an array of good elements is one")),
        (None, Err(_), whole) => assert!(whole.is_err()),
        // What is too long or too deep is refused here alone.
        (Some(error), _, Ok(_)) => assert!(bytes.len() > LIMIT, "{error}"),
        (Some(_), _, Err(_)) => {}
    }
}
