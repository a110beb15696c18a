//! Which page a path is: the whole list of them, in one place.

use percent_encoding::percent_decode_str;

/// What can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Page {
    Index,
    Livez,
    Readyz,
    Metrics,
    Servlets,
    /// The endpoints of the servlet of this name.
    Endpoints(String),
    /// The OpenAPI document of the servlet of this name.
    OpenApi(String),
    Reloads,
    Legacy,
}

/// Every page: its path and what it is for, in the order that the index shows them.
pub(super) const PAGES: [(&str, &str); 9] = [
    ("/", "this list"),
    ("/livez", "200 while the process is alive"),
    ("/readyz", "200 while it takes calls; 503 with the reason before that, and while it drains"),
    ("/metrics", "everything that is counted, for Prometheus"),
    ("/api/v1/servlets", "the servlets: routes, policy, and what is in flight"),
    ("/api/v1/servlets/NAME/endpoints", "weights, shares, latencies and state of a servlet's endpoints, and why"),
    ("/api/v1/servlets/NAME/openapi", "the OpenAPI 3.1 document of a servlet's REST surface"),
    ("/api/v1/reloads", "the last reloads, accepted and rejected, with their reports"),
    ("/api/v1/legacy", "who speaks HTTP/1.0, to which servlet, how often"),
];

impl Page {
    /// The page at `path`, exactly: no slash too many, no query.
    pub(super) fn at(path: &str) -> Option<Page> {
        Some(match path {
            "/" => Page::Index,
            "/livez" => Page::Livez,
            "/readyz" => Page::Readyz,
            "/metrics" => Page::Metrics,
            "/api/v1/servlets" => Page::Servlets,
            "/api/v1/reloads" => Page::Reloads,
            "/api/v1/legacy" => Page::Legacy,
            other => {
                let (name, what) = other.strip_prefix("/api/v1/servlets/")?.split_once('/')?;
                let name = percent_decode_str(name).decode_utf8().ok().filter(|name| !name.is_empty())?.into_owned();
                match what {
                    "endpoints" => Page::Endpoints(name),
                    "openapi" => Page::OpenApi(name),
                    _ => return None,
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_page_is_there() {
        let mut seen = Vec::new();
        for (path, _) in PAGES {
            let page = Page::at(path).unwrap_or_else(|| panic!("{path} is listed and missing"));
            assert!(!seen.contains(&page), "{path} is another page");
            seen.push(page);
        }
    }

    #[test]
    fn a_servlets_name_is_one_segment_decoded() {
        let name = |name: &str| Some(Page::Endpoints(name.to_owned()));
        let cases = [
            ("/api/v1/servlets/echo/endpoints", name("echo")),
            ("/api/v1/servlets/a%2Fb%20c/endpoints", name("a/b c")),
            ("/api/v1/servlets/endpoints/endpoints", name("endpoints")),
            ("/api/v1/servlets//endpoints", None),
            ("/api/v1/servlets/endpoints", None),
            ("/api/v1/servlets/a%20b/openapi", Some(Page::OpenApi("a b".to_owned()))),
            ("/api/v1/servlets/openapi/endpoints", name("openapi")),
            ("/api/v1/servlets//openapi", None),
            ("/api/v1/servlets/a/openapi/", None),
            ("/api/v1/servlets/a/b/endpoints", None),
            ("/api/v1/servlets/%ff/endpoints", None),
            ("/api/v1/servlets/echo", None),
            ("/api/v1/servlets/", None),
            ("/livez/", None),
            ("", None),
            ("*", None),
        ];
        for (path, page) in cases {
            assert_eq!(Page::at(path), page, "{path}");
        }
    }
}
