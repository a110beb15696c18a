//! Parts of a form, however the body is cut.

use proptest::prelude::*;

use super::*;

type Part = (PartHead, Vec<u8>);

/// The parts of a body in pieces of those sizes, in turn.
fn parts(boundary: &str, body: &[u8], sizes: &[usize]) -> Result<Vec<Part>, Wrong> {
    let mut form = Multipart::new(boundary);
    let mut parts: Vec<Part> = Vec::new();
    let mut open = false;
    let (mut rest, mut sizes) = (body, sizes.iter().cycle());
    loop {
        while let Some(event) = form.next_event()? {
            match event {
                Event::Part(head) => {
                    assert!(!std::mem::replace(&mut open, true));
                    parts.push((head, Vec::new()));
                }
                Event::Data(data) => {
                    assert!(open && !data.is_empty());
                    parts.last_mut().unwrap().1.extend_from_slice(&data);
                }
                Event::PartEnd => assert!(std::mem::replace(&mut open, false)),
                Event::End => {
                    assert!(!open && rest.is_empty() && form.ended);
                    return Ok(parts);
                }
            }
        }
        // What waits is less than a delimiter, or a part's headers.
        assert!(matches!(form.state, State::Head | State::Delimiter) || form.buffer.len() < form.delimiter.len());
        assert!(!form.ended, "no end after the body's");
        if rest.is_empty() {
            form.finish();
        }
        let (piece, after) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
        form.push(piece);
        rest = after;
    }
}

fn whole(body: &str) -> Result<Vec<Part>, Wrong> {
    parts("b", body.as_bytes(), &[usize::MAX])
}

fn text(name: &str, content: &str) -> Part {
    (PartHead { name: name.into(), ..PartHead::default() }, content.into())
}

fn field(name: &str, content: &str) -> String {
    format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{content}\r\n")
}

#[test]
fn parts_are_cut_exactly() {
    let head = "Content-Disposition: form-data; name=\"a\"";
    let one = |content: &str| vec![text("a", content)];
    let cases = [
        (String::new(), vec![]),
        ("--b--".into(), vec![]),
        ("--b--\r\n".into(), vec![]),
        (format!("--b\r\n{head}\r\n\r\nx\r\n--b--\r\n"), one("x")),
        (format!("--b\r\n{head}\r\n\r\n\r\n--b--"), one("")),
        // The blank line belongs to the delimiter as well.
        (format!("--b\r\n{head}\r\n\r\n--b--"), one("")),
        (format!("--b\r\n{head}\r\n\r\n\r\n\r\n--b--"), one("\r\n")),
        (format!("--b\r\n{head}\r\n\r\n--c\r\n-\r\n--\r\n--c\n--b\r\n--b--"), one("--c\r\n-\r\n--\r\n--c\n--b")),
        (format!("--b\r\n{head}\r\n\r\n\r\r\n\r\n--b--"), one("\r\r\n")),
        // White space behind a boundary, a preamble, an epilogue.
        (format!("--b \t\r\n{head}\r\n\r\nx\r\n--b--ignored\r\n--b\r\n"), one("x")),
        (format!("hello\r\n--x\r\n--b\r\n{head}\r\n\r\nx\r\n--b--"), one("x")),
        (format!("\r\n--b\r\n{head}\r\n\r\nx\r\n--b--"), one("x")),
        (format!("{}{}--b--", field("a", "1"), field("b", "2")), vec![text("a", "1"), text("b", "2")]),
    ];
    for (body, expected) in cases {
        assert_eq!(whole(&body), Ok(expected), "{body:?}");
    }
}

#[test]
fn a_parts_headers_say_what_it_is() {
    let cases = [
        ("content-disposition:form-data;name=a", "a", None, ""),
        ("Content-Disposition: form-data; name=\"a\"; filename=\"\"", "a", Some(""), ""),
        ("Content-Disposition: Form-Data; filename=\"x;y.txt\"; name=\"a\"", "a", Some("x;y.txt"), ""),
        ("Content-Disposition: form-data; name=\"a\"; filename=\"C:\\x.txt\"", "a", Some("C:\\x.txt"), ""),
        (
            "Content-Type:  image/png \r\nContent-Disposition: form-data;\r\n\tname=\"\u{e9}\"",
            "\u{e9}",
            None,
            "image/png",
        ),
        ("X: y\r\nContent-Transfer-Encoding: Binary\r\nContent-Disposition: form-data; name=a", "a", None, ""),
        ("Content-Disposition: form-data; name=a; filename*=utf-8''x", "a", Some("utf-8''x"), ""),
    ];
    for (head, name, file_name, content_type) in cases {
        let found = whole(&format!("--b\r\n{head}\r\n\r\nx\r\n--b--")).unwrap();
        let expected =
            PartHead { name: name.into(), file_name: file_name.map(str::to_owned), content_type: content_type.into() };
        assert_eq!(found, [(expected, b"x".to_vec())], "{head}");
    }
}

#[test]
fn what_is_no_form_is_refused() {
    let cases = [
        ("x".to_owned(), "nowhere"),
        ("--b".into(), "ends before"),
        ("--b-".into(), "ends before"),
        ("--b\r\n".into(), "ends before"),
        (field("a", "x"), "ends before"),
        ("--b\r\nContent-Disposition: form-data; name=a\r\n\r\nx".into(), "ends before"),
        ("--b\r\nContent-Disposition: form-data; name=a\r\n\r\n".into(), "ends before"),
        ("--bx\r\n".into(), "something else"),
        ("--b\n".into(), "something else"),
        (format!("{}--b x", field("a", "x")), "something else"),
        ("--b --".into(), "something else"),
        (format!("--b{}\r\n", " ".repeat(MOST_PADDING + 1)), "something else"),
        ("--b\r\n\r\nx\r\n--b--".into(), "no Content-Disposition"),
        ("--b\r\nno colon\r\n\r\n".into(), "no colon"),
        ("--b\r\nContent-Disposition: attachment; name=a\r\n\r\n".into(), "form-data"),
        ("--b\r\nContent-Disposition: form-data\r\n\r\n".into(), "form-data"),
        (
            "--b\r\nContent-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=b\r\n\r\n".into(),
            "two",
        ),
        (
            "--b\r\nContent-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: base64\r\n\r\n".into(),
            "Transfer",
        ),
        (format!("--b\r\nX: {}", "x".repeat(MOST_HEAD + 3)), "bytes of headers"),
        (format!("{}--b--", field("a", "").repeat(MOST_PARTS + 1)), "parts"),
    ];
    for (body, part) in cases {
        let wrong = whole(&body).expect_err(&body);
        assert!(wrong.contains(part), "{body:.80}: {wrong}");
        assert_eq!(parts("b", body.as_bytes(), &[1]), Err(wrong));
    }
    assert_eq!(whole(&format!("{}--b--", field("a", "").repeat(MOST_PARTS))).unwrap().len(), MOST_PARTS);
    assert!(parts("b", b"--b\r\n\xff\r\n\r\n", &[9]).is_err());
}

proptest! {
    #[test]
    fn any_cut_gives_the_same_parts(
        body in proptest::collection::vec(
            prop_oneof![
                Just("\r\n--b".to_owned()), Just("--b".into()), Just("--".into()), Just("\r\n".into()), Just("\r".into()),
                Just("-".into()), Just(" ".into()), Just("x".into()), Just(field("a", "x\r\n--")), Just(field("b", "")),
                Just("Content-Disposition: form-data; name=a\r\n".into()), Just("\r\n\r\n".into()), Just("\r\n--b--".into()),
            ],
            0..12,
        ),
        sizes in proptest::collection::vec(1_usize..9, 1..5),
    ) {
        let body = body.concat();
        prop_assert_eq!(parts("b", body.as_bytes(), &sizes), parts("b", body.as_bytes(), &[usize::MAX]));
    }

    #[test]
    fn what_is_written_is_read(
        contents in proptest::collection::vec("[-\r\nbx]{0,30}", 0..5),
        sizes in proptest::collection::vec(1_usize..40, 1..5),
    ) {
        let boundary = "--a-long-one";
        let part = |content: &String| {
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\n{content}\r\n")
        };
        let body: String = contents.iter().map(part).chain([format!("--{boundary}--\r\n")]).collect();
        let expected: Vec<_> = contents.iter().map(|content| text("n", content)).collect();
        prop_assert_eq!(parts(boundary, body.as_bytes(), &sizes), Ok(expected));
    }

    #[test]
    fn no_bytes_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        sizes in proptest::collection::vec(1_usize..40, 1..5),
    ) {
        let body = [b"--b\r\n", &*bytes].concat();
        prop_assert_eq!(parts("b", &body, &sizes), parts("b", &body, &[usize::MAX]));
    }
}
