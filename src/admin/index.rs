//! The page that a person opens first: is it ready, what does it serve, where to look next. Plain HTML, no script.

use std::fmt::Write;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::page::PAGES;
use super::view::ServletSummary;

const HEAD: &str = "<!doctype html>
<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>Telamon</title>
<style>
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; } th, td { text-align: left; padding: .2rem 1.2rem .2rem 0; vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; } code { font-size: .95em; }
</style></head><body>
";

/// The page. Whatever was named by a file is escaped.
pub(super) fn html(ready: &Result<(), String>, servlets: &[ServletSummary]) -> String {
    let mut page = String::from(HEAD);
    let version = env!("CARGO_PKG_VERSION");
    let state = match ready {
        Ok(()) => "It takes calls.".to_owned(),
        Err(why) => format!("It takes no new calls: {}.", escaped(why)),
    };
    // Writing to a String cannot fail.
    let _ = write!(page, "<h1>Telamon {version}</h1>\n<p>{state}</p>\n");
    list_servlets(&mut page, servlets);
    page.push_str("<h2>Pages</h2>\n<table>\n");
    for (path, what) in PAGES {
        let cell = match path.contains("NAME") {
            true => format!("<code>{path}</code>"),
            false => format!("<a href=\"{path}\"><code>{path}</code></a>"),
        };
        let _ = writeln!(page, "<tr><td>{cell}<td>{what}");
    }
    page.push_str("</table>\n</body></html>\n");
    page
}

fn list_servlets(page: &mut String, servlets: &[ServletSummary]) {
    page.push_str("<h2>Servlets</h2>\n");
    if servlets.is_empty() {
        page.push_str("<p>None.</p>\n");
        return;
    }
    page.push_str("<table>\n<tr><th>name<th>upstream<th>policy<th class=n>serving<th class=n>in flight<th class=n>requests<th class=n>failures\n");
    for servlet in servlets {
        let link = utf8_percent_encode(&servlet.name, NON_ALPHANUMERIC);
        let (name, upstream, policy) = (escaped(&servlet.name), escaped(&servlet.upstream), escaped(&servlet.policy));
        let _ =
            write!(page, "<tr><td><a href=\"/api/v1/servlets/{link}/endpoints\">{name}</a><td>{upstream}<td>{policy}");
        let _ =
            write!(page, "<td class=n>{} of {}<td class=n>{}", servlet.serving, servlet.endpoints, servlet.in_flight);
        let _ = writeln!(page, "<td class=n>{}<td class=n>{}", servlet.requests, servlet.failures);
    }
    page.push_str("</table>\n");
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            char => safe.push(char),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::super::view::SchemaState;
    use super::*;

    #[test]
    fn names_cannot_become_markup() {
        let name = "<script>\"'&/";
        let summary = ServletSummary::new(name, name, name, Vec::new(), 0, SchemaState::None, &[]);
        let page = html(&Err(name.to_owned()), &[summary]);
        assert!(!page.contains("<script>"), "{page}");
        assert_eq!(page.matches("&lt;script&gt;&quot;&#39;&amp;/").count(), 4);
        assert!(page.contains("href=\"/api/v1/servlets/%3Cscript%3E%22%27%26%2F/endpoints\""));
    }

    #[test]
    fn every_page_is_named_and_what_can_be_opened_is_a_link() {
        let page = html(&Ok(()), &[]);
        for (path, what) in PAGES {
            assert!(page.contains(path) && page.contains(what), "{path}");
            assert_eq!(page.contains(&format!("href=\"{path}\"")), !path.contains("NAME"), "{path}");
        }
        assert!(page.contains("It takes calls."));
    }
}
