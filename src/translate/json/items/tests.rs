use proptest::prelude::*;

use super::*;

/// The elements, and how it ended.
fn split(text: &[u8], limit: usize, cuts: &[usize]) -> (Vec<Bytes>, Option<JsonError>) {
    let mut items = ArrayItems::new(limit);
    let mut out = Vec::new();
    let mut rest = text;
    for cut in cuts {
        let (piece, after) = rest.split_at((*cut).min(rest.len()));
        rest = after;
        items.push(piece);
        if let Err(error) = drain(&mut items, &mut out) {
            return (out, Some(error));
        }
    }
    items.push(rest);
    items.finish();
    let error = drain(&mut items, &mut out).err();
    assert!(error.is_some() || items.is_done());
    (out, error)
}

fn drain(items: &mut ArrayItems, out: &mut Vec<Bytes>) -> Result<(), JsonError> {
    while let Some(item) = items.next_item()? {
        out.push(item);
    }
    Ok(())
}

#[test]
fn arrays_are_cut_into_their_elements() {
    for (text, expected) in [
        ("[]", &[][..]),
        (" \t\r\n[ ] ", &[]),
        ("[1]", &["1"]),
        (
            "[ 1 , \"a,]\\\"\" ,{\"a\":[1,\"}\"]}, [ ],null,true ,-1.5e3]\n",
            &["1", "\"a,]\\\"\"", "{\"a\":[1,\"}\"]}", "[ ]", "null", "true", "-1.5e3"],
        ),
        ("[\"\\\\\",\"\\\\\\\"\"]", &["\"\\\\\"", "\"\\\\\\\"\""]),
        ("[[[]],{\"\":{}}]", &["[[]]", "{\"\":{}}"]),
    ] {
        let (items, error) = split(text.as_bytes(), 100, &[]);
        assert_eq!(error, None, "{text}");
        assert_eq!(items, expected, "{text}");
    }
}

#[test]
fn what_is_no_array_is_refused_where_it_goes_wrong() {
    for (text, offset, words) in [
        ("", 0, "ends inside"),
        ("  ", 2, "ends inside"),
        ("{}", 0, "expected an array"),
        ("1", 0, "expected an array"),
        ("[", 1, "ends inside"),
        ("[1", 2, "ends inside"),
        ("[1,", 3, "ends inside"),
        ("[1,]", 3, "expected a value"),
        ("[,1]", 1, "expected a value"),
        ("[1 2]", 3, "',' or ']'"),
        ("[{}{}]", 3, "',' or ']'"),
        ("[\"a\"\"b\"]", 4, "',' or ']'"),
        ("[1\"a\"]", 2, "',' or ']'"),
        ("[1{}]", 2, "',' or ']'"),
        ("[{]", 2, "bracket"),
        ("[[}]", 2, "bracket"),
        ("[{\"a\":[}]}", 7, "bracket"),
        ("[\"abc", 5, "ends inside"),
        ("[x]", 1, "expected a value"),
        ("[]]", 2, "more text"),
        ("[],", 2, "more text"),
        ("[1] x", 4, "more text"),
        ("\u{feff}[]", 0, "expected an array"),
    ] {
        let (_, error) = split(text.as_bytes(), 100, &[]);
        let error = error.unwrap_or_else(|| panic!("{text} was taken"));
        assert!(error.message().contains(words) && error.offset() == offset, "{text}: {error}");
    }
}

#[test]
fn an_element_is_bounded_and_the_array_is_not() {
    let (items, error) = split(b"[12345,\"345\",12345]", 5, &[]);
    assert_eq!((items.len(), error), (3, None));
    for text in ["[123456]", "[\"3456\"]", "[{\"a\":1}]", "[123456"] {
        let (_, error) = split(text.as_bytes(), 5, &[]);
        assert!(error.unwrap().message().contains("more than 5 bytes"), "{text}");
    }
    let mut items = ArrayItems::new(10);
    items.push(b"[");
    for _ in 0..10_000 {
        items.push(b"{\"a\":1},   ");
        assert!(items.next_item().unwrap().is_some());
        assert_eq!(items.next_item().unwrap(), None);
        assert!(items.buffer.len() <= 10);
    }
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| format!("[{}{}]", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(split(nested(100).as_bytes(), 1000, &[]).1, None);
    assert!(split(nested(101).as_bytes(), 1000, &[]).1.unwrap().message().contains("inside each other"));
}

#[test]
fn an_error_stays() {
    let mut items = ArrayItems::new(10);
    items.push(b"x");
    let error = items.next_item().unwrap_err();
    items.push(b"[]");
    assert_eq!(items.next_item().unwrap_err(), error);
}

proptest! {
    #[test]
    fn the_same_however_the_bytes_are_cut(
        text in r#"\[?([ \n,:]|\[|\]|\{|\}|[0-9]{1,4}|null|true|"([a-z,\[\]{}]|\\"|\\\\)*"|"|\\|x){0,24}\]?"#,
        limit in 1_usize..20,
        cuts in proptest::collection::vec(0_usize..5, 0..40),
    ) {
        prop_assert_eq!(split(text.as_bytes(), limit, &[]), split(text.as_bytes(), limit, &cuts));
    }

    #[test]
    fn the_elements_of_any_array_come_back(texts in proptest::collection::vec(any::<String>(), 0..8), cuts in proptest::collection::vec(0_usize..9, 0..40)) {
        let values: Vec<serde_json::Value> = texts
            .iter()
            .map(|text| serde_json::json!([text, { text.as_str(): text.len() }, null]))
            .collect();
        let text = serde_json::to_string_pretty(&values).unwrap();
        let (items, error) = split(text.as_bytes(), 1 << 20, &cuts);
        prop_assert_eq!(error, None);
        let back: Vec<serde_json::Value> = items.iter().map(|item| serde_json::from_slice(item).unwrap()).collect();
        prop_assert_eq!(back, values);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let _ = split(&bytes, 8, &[1, 2, 3]);
    }
}
