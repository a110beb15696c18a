use proptest::prelude::*;

use super::*;

fn captures(template: &str, path: &str) -> Option<Vec<String>> {
    let template = Template::parse(template).unwrap();
    template.matches(path).then(|| template.captures(path).unwrap().into_iter().map(Cow::into_owned).collect())
}

#[test]
fn what_fits_and_what_it_captures() {
    let cases: &[(&str, &str, Option<&[&str]>)] = &[
        ("/", "/", Some(&[])),
        ("/", "/a", None),
        ("/v1/shelves", "/v1/shelves", Some(&[])),
        ("/v1/shelves", "/v1/shelves/", Some(&[])),
        ("/v1/shelves", "/v1/Shelves", None),
        ("/v1/shelves", "/v1/%73helves", Some(&[])),
        ("/v1/%73helves", "/v1/shelves", Some(&[])),
        ("/v1/a%2fb", "/v1/a%2Fb", Some(&[])),
        ("/v1/a%2Fb", "/v1/a/b", None),
        ("/café", "/caf%C3%A9", Some(&[])),
        ("/v1/*", "/v1/a", Some(&[])),
        ("/v1/*", "/v1", None),
        ("/v1/*", "/v1/a/b", None),
        ("/v1/**", "/v1", Some(&[])),
        ("/v1/**", "/v1/a/b", Some(&[])),
        ("/**", "/", Some(&[])),
        ("/v1/{name}", "/v1/a", Some(&["a"])),
        ("/v1/{name}", "/v1/a%2Fb%20c", Some(&["a/b c"])),
        ("/v1/{name}", "/v1/a/b", None),
        ("/v1/{name=*}", "/v1/%2f", Some(&["/"])),
        ("/v1/{name=shelf}", "/v1/shelf", Some(&["shelf"])),
        ("/v1/{name=shelf}", "/v1/other", None),
        ("/v1/{a.b=x/*/**}", "/v1/x/1", Some(&["x/1"])),
        ("/v1/{a.b=x/*/**}", "/v1/x/1/2%2F3/4%204", Some(&["x/1/2%2F3/4 4"])),
        ("/v1/{a.b=x/*/**}", "/v1/x", None),
        ("/v1/{a.b=x/*}/y/{c}", "/v1/x/1/y/2", Some(&["x/1", "2"])),
        ("/v1/{name=**}", "/v1", Some(&[""])),
        ("/v1/{name=**}", "/v1/a/b/", Some(&["a/b"])),
        ("/v1/{name=a/**}", "/v1/a", Some(&["a"])),
        ("/{a}/{b}/{c}", "/1/2/3", Some(&["1", "2", "3"])),
        ("/{a}/{b}", "//2", Some(&["", "2"])),
        ("/v1/{name}:cancel", "/v1/a:cancel", Some(&["a"])),
        ("/v1/{name}:cancel", "/v1/a:b:cancel", Some(&["a:b"])),
        ("/v1/{name}:cancel", "/v1/a:%63ancel", Some(&["a"])),
        ("/v1/{name}:cancel", "/v1/a", None),
        ("/v1/{name}:cancel", "/v1/a:other", None),
        ("/v1/{name}:cancel", "/v1/a%3Acancel", None),
        ("/v1/{name=**}:cancel", "/v1/a/b:cancel", Some(&["a/b"])),
        ("/v1/{name}", "/v1/a:b", Some(&["a:b"])),
        ("/v1/things:batchGet", "/v1/things:batchGet", Some(&[])),
        ("/v1/{a}/{b=**}", "/v1/x/..", Some(&["x", ".."])),
    ];
    for (template, path, expected) in cases {
        let expected = expected.map(|values| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>());
        assert_eq!(captures(template, path), expected, "{template} on {path}");
    }
}

#[test]
fn a_value_that_is_not_utf8_is_an_error_of_the_request() {
    let template = Template::parse("/v1/{a}/{b.c=**}").unwrap();
    assert_eq!(template.captures("/v1/%FF/x").unwrap_err().field.as_ref(), "a");
    let error = template.captures("/v1/x/y/%c3/z").unwrap_err();
    assert!(error.to_string().contains("`b.c` is not UTF-8"), "{error}");
}

#[test]
fn what_is_refused_and_where() {
    let cases = [
        ("", 0, "empty"),
        ("v1", 0, "must begin with `/`"),
        ("//a", 1, "segment is empty"),
        ("/a/", 3, "segment is empty"),
        ("/a//b", 3, "segment is empty"),
        ("/a/**/b", 5, "must be the last"),
        ("/a/{b=**}/c", 9, "must be the last"),
        ("/{a=**/b}", 6, "must be the last"),
        ("/a*", 2, "stand alone"),
        ("/*a", 1, "stand alone"),
        ("/***", 1, "stand alone"),
        ("/{a", 1, "never closed"),
        ("/{a=b", 1, "never closed"),
        ("/{}", 2, "field's name"),
        ("/{.a}", 2, "field's name"),
        ("/{a.}", 4, "field's name"),
        ("/{1a}", 2, "field's name"),
        ("/{a-b}", 3, "cannot stand here"),
        ("/{a=}", 4, "segment is empty"),
        ("/{a={b}}", 4, "cannot contain another variable"),
        ("/{a=x/{b}}", 6, "cannot contain another variable"),
        ("/{a=b:c}", 5, "cannot stand within a variable"),
        ("/x{a}", 2, "whole segment"),
        ("/{a}x", 4, "whole segment"),
        ("/{a}{b}", 4, "whole segment"),
        ("/{a}/{a}", 6, "captured twice"),
        ("/a}", 2, "closes nothing"),
        ("/a:", 3, "verb after `:` is empty"),
        ("/a:b/c", 4, "must end the template"),
        ("/a:b:c", 4, "one verb only"),
        ("/a:b*", 4, "stand alone"),
        ("/a?b=c", 2, "no query"),
        ("/a b", 2, "percent-encoded"),
        ("/a\nb", 2, "percent-encoded"),
        ("/a%2", 2, "two hexadecimal"),
        ("/a%zz", 2, "two hexadecimal"),
        ("/a%é", 2, "two hexadecimal"),
    ];
    for (text, at, part) in cases {
        let error = Template::parse(text).unwrap_err();
        assert!(error.message.contains(part) && error.at == at, "{text}: {error:?}");
    }
    let long = "/a".repeat(MAX_SEGMENTS + 1);
    assert!(Template::parse(&long).unwrap_err().message.contains("more than"));
}

#[test]
fn a_routes_path_is_plainer() {
    for (text, path, fits) in [
        ("/old/**", "/old", true),
        ("/old/", "/old", true),
        ("/old", "/old/", true),
        ("/a:b/c:d", "/a:b/c:d", true),
        ("/c:d", "/c", false),
        ("/", "/", true),
        ("/v1/{name=shelves/*}/books/{id}:read", "/v1/shelves/a/books/b:read", true),
        ("/v1/{name=shelves/*}/books/{id}:read", "/v1/shelves/a/books/b", false),
    ] {
        assert_eq!(Template::parse_route(text).unwrap().matches(path), fits, "{text} on {path}");
    }
    for (text, part) in [
        ("/{a", "never closed"),
        ("/x{a}", "whole segment"),
        ("/*:v", "stand alone"),
        ("old", "begin with `/`"),
        ("/a}", "closes"),
    ] {
        let error = Template::parse_route(text).unwrap_err();
        assert!(error.message.contains(part), "{text}: {error}");
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in r"(/|\*|\{|\}|=|:|\.|%|a|é|4|1| ){0,12}", path in r"(/|:|%|a|é|4|1|f){0,12}") {
        for template in [Template::parse(&text), Template::parse_route(&text)] {
            match template {
                Ok(template) => {
                    let _ = template.captures(&path);
                    if template.matches(&path)
                        && let Ok(captures) = template.captures(&path)
                    {
                        prop_assert_eq!(captures.len(), template.variables().len());
                    }
                }
                Err(error) => prop_assert!(text.is_char_boundary(error.at)),
            }
        }
    }

    #[test]
    fn what_a_client_encodes_is_what_is_captured(one in ".{0,8}", many in prop::collection::vec("[^/]{1,5}", 1..4)) {
        let encode = |text: &str| -> String {
            text.bytes().map(|b| if is_plain(b) { (b as char).to_string() } else { format!("%{b:02x}") }).collect()
        };
        let joined = many.join("/");
        let encoded = many.iter().map(|part| encode(part)).collect::<Vec<_>>().join("/");
        let template = Template::parse("/v1/{one}/{many=**}").unwrap();
        let path = format!("/v1/{}/{encoded}", encode(&one));
        prop_assert!(template.matches(&path));
        prop_assert_eq!(template.captures(&path).unwrap().into_vec(), [one, joined]);
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte)
}
