//! The order of precedence, by tables and against a matcher that looks at every rule.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use proptest::prelude::*;

use super::*;
use crate::schema::Template;

type Rule<'r> = (Tier, &'r str, &'r str, &'r str, &'r [(&'r str, &'r str)]);

fn entry((tier, host, method, path, headers): Rule<'_>, number: usize) -> Entry<usize> {
    let template = match tier {
        Tier::Routes => Template::parse_route(path),
        Tier::Services => Template::parse(path),
    };
    let header = |(name, value): &(&str, &str)| HeaderMatch {
        name: HeaderName::try_from(*name).unwrap(),
        value: (!value.is_empty()).then(|| HeaderValue::try_from(*value).unwrap()),
    };
    Entry {
        tier,
        host: host.parse().unwrap(),
        path: Arc::new(template.unwrap()),
        method: (!method.is_empty()).then(|| method.parse().unwrap()),
        headers: headers.iter().map(header).collect(),
        origin: Origin::new(format!("rule {number}")),
        target: number,
    }
}

fn table(rules: &[Rule<'_>]) -> Result<Table<usize>, Vec<Conflict>> {
    let mut builder = TableBuilder::new();
    for (number, rule) in rules.iter().enumerate() {
        builder.push(entry(*rule, number));
    }
    builder.build()
}

fn routes<'r>(paths: &[&'r str]) -> Vec<Rule<'r>> {
    paths.iter().map(|path| (Tier::Routes, "*", "", *path, [].as_slice())).collect()
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::try_from(*value).unwrap())).collect()
}

fn find(table: &Table<usize>, host: Option<&str>, method: &str, path: &str) -> Result<usize, Miss> {
    table.find(host, &method.parse().unwrap(), path, &HeaderMap::new()).map(|found| *found.target)
}

#[test]
fn segment_by_segment_a_literal_comes_before_one_before_the_rest() {
    let table =
        table(&routes(&["/**", "/a/**", "/a/*", "/a/b", "/*/b/c", "/a/*/d", "/*", "/a/b/**", "/x/*/**"])).unwrap();
    let cases = [
        ("/", 0),
        ("/a", 1),
        ("/b", 6),
        ("/a/b", 3),
        ("/a/b/", 3),
        ("/a/%62", 3),
        ("/a/x", 2),
        ("/a/b/c", 7),
        ("/a/x/c", 1),
        ("/a/x/d", 5),
        ("/z/b/c", 4),
        ("/z/b", 0),
        ("/x", 6),
        ("/x/1", 8),
        ("/x/1/2/3/4", 8),
        ("/A/b", 0),
        ("/a//d", 5),
    ];
    for (path, expected) in cases {
        assert_eq!(find(&table, None, "GET", path), Ok(expected), "{path}");
        assert_eq!(find(&table, Some("any.host"), "GET", path), Ok(expected), "{path}");
    }
    for path in ["*", "", "a"] {
        assert_eq!(find(&table, None, "OPTIONS", path), Err(Miss::NotFound), "{path}");
    }
}

#[test]
fn a_branch_that_fails_further_down_is_left_again() {
    let table = table(&routes(&["/a/b/c/d", "/a/*/c/e", "/*/b/*/f", "/*/*/**"])).unwrap();
    let cases = [("/a/b/c/d", 0), ("/a/b/c/e", 1), ("/a/b/c/f", 2), ("/a/b/c/g", 3), ("/a/b", 3)];
    for (path, expected) in cases {
        assert_eq!(find(&table, None, "GET", path), Ok(expected), "{path}");
    }
    assert_eq!(find(&table, None, "GET", "/a"), Err(Miss::NotFound));
}

#[test]
fn hosts_come_before_paths_and_tiers_before_hosts() {
    let none: &[(&str, &str)] = &[];
    let table = table(&[
        (Tier::Services, "*", "", "/v1/a", none),
        (Tier::Routes, "*", "", "/v1/a", none),
        (Tier::Routes, "*.example.com", "", "/v1/**", none),
        (Tier::Routes, "*.b.example.com", "", "/v1/**", none),
        (Tier::Routes, "a.b.example.com", "", "/**", none),
        (Tier::Services, "*", "", "/v2/a", none),
    ])
    .unwrap();
    let cases = [
        (Some("other.net"), "/v1/a", 1),
        (Some("www.example.com"), "/v1/a", 2),
        (Some("example.com"), "/v1/a", 1),
        (Some("c.b.example.com"), "/v1/a", 3),
        (Some("d.c.b.example.com:8080"), "/v1/a", 3),
        (Some("A.B.Example.Com.:8080"), "/v1/a", 4),
        (Some("a.b.example.com"), "/v2/a", 4),
        (Some("www.example.com"), "/v2/a", 5),
        (Some("not a host [::"), "/v1/a", 1),
    ];
    for (host, path, expected) in cases {
        assert_eq!(find(&table, host, "GET", path), Ok(expected), "{host:?} {path}");
    }
    let found = table.find_in(Tier::Services, None, &Method::GET, "/v1/a", &HeaderMap::new()).unwrap();
    assert_eq!((*found.target, found.tier, found.origin.to_string().as_str()), (0, Tier::Services, "rule 0"));
}

#[test]
fn without_a_host_the_path_alone_decides() {
    let none: &[(&str, &str)] = &[];
    let table = table(&[
        (Tier::Routes, "*", "", "/**", none),
        (Tier::Routes, "api.example.com", "", "/v1/**", none),
        (Tier::Routes, "*.example.com", "", "/v2", none),
        (Tier::Routes, "*", "", "/v2", none),
    ])
    .unwrap();
    for (path, expected) in [("/v1/x", 1), ("/v2", 3), ("/v3", 0)] {
        assert_eq!(find(&table, None, "GET", path), Ok(expected), "{path}");
    }
    assert_eq!(find(&table, Some("other.net"), "GET", "/v1/x"), Ok(0));
}

#[test]
fn a_method_comes_before_none_and_more_headers_before_fewer() {
    let table = table(&[
        (Tier::Routes, "*", "", "/a", &[]),
        (Tier::Routes, "*", "GET", "/a", &[]),
        (Tier::Routes, "*", "", "/a", &[("x-env", "canary")]),
        (Tier::Routes, "*", "", "/a", &[("x-env", "canary"), ("x-user", "")]),
        (Tier::Routes, "*", "GET", "/a", &[("x-env", "dev")]),
        (Tier::Routes, "*", "POST", "/a", &[("x-env", "")]),
    ])
    .unwrap();
    type Pairs = &'static [(&'static str, &'static str)];
    let cases: &[(&str, Pairs, usize)] = &[
        ("PUT", &[], 0),
        ("GET", &[], 1),
        ("GET", &[("x-env", "canary")], 1),
        ("PUT", &[("x-env", "canary")], 2),
        ("PUT", &[("x-env", "Canary")], 0),
        ("PUT", &[("x-env", "canary"), ("x-user", "")], 3),
        ("GET", &[("x-env", "dev")], 4),
        ("POST", &[("x-env", "dev")], 5),
        ("PUT", &[("x-env", "dev"), ("x-env", "canary")], 2),
    ];
    for (method, sent, expected) in cases {
        let found = table.find(None, &method.parse().unwrap(), "/a", &headers(sent));
        assert_eq!(found.map(|found| *found.target).unwrap(), *expected, "{method} {sent:?}");
    }
}

#[test]
fn a_method_that_no_rule_has_is_told_with_those_that_some_have() {
    let table = table(&[
        (Tier::Services, "*", "GET", "/v1/{name}", &[]),
        (Tier::Services, "*", "DELETE", "/v1/{name}", &[]),
        (Tier::Services, "*", "PATCH", "/v1/special", &[]),
        (Tier::Routes, "*", "POST", "/v1/special", &[("x-a", "1")]),
        (Tier::Services, "*", "GET", "/v2/**", &[]),
        (Tier::Services, "*", "POST", "/v1/{name}:cancel", &[]),
    ])
    .unwrap();
    let other = |methods: &[&str]| Err(Miss::MethodNotAllowed(methods.iter().map(|m| m.parse().unwrap()).collect()));
    let cases = [
        // A more specific path for another method does not hide a less specific one.
        ("GET", "/v1/special", Ok(0)),
        ("POST", "/v1/special", other(&["DELETE", "GET", "PATCH"])),
        ("POST", "/v1/x", other(&["DELETE", "GET"])),
        ("HEAD", "/v1/x", other(&["DELETE", "GET"])),
        ("POST", "/v2", other(&["GET"])),
        ("POST", "/v3", Err(Miss::NotFound)),
        ("POST", "/v1/x:cancel", Ok(5)),
        ("GET", "/v1/x:cancel", other(&["POST"])),
        ("GET", "/v1/x:other", Ok(0)),
        ("GET", "/v1/x%3Acancel", Ok(0)),
    ];
    for (method, path, expected) in cases {
        assert_eq!(find(&table, None, method, path), expected, "{method} {path}");
    }
    let with_header = table.find(None, &Method::GET, "/v1/special", &headers(&[("x-a", "1")])).unwrap();
    assert_eq!(*with_header.target, 0);
}

#[test]
fn captures_come_from_the_rule_that_won() {
    let table = table(&[(Tier::Services, "*", "GET", "/v1/{name=shelves/*}/{rest=**}:read", &[])]).unwrap();
    let path = "/v1/shelves/%41%2F/x/y%2Fz:read";
    let found = table.find(None, &Method::GET, path, &HeaderMap::new()).unwrap();
    assert_eq!(found.captures(path).unwrap().into_vec(), ["shelves/A%2F", "x/y%2Fz"]);
    let path = "/v1/shelves/%ff/x:read";
    let found = table.find(None, &Method::GET, path, &HeaderMap::new()).unwrap();
    assert!(found.captures(path).is_err());
}

#[test]
fn ties_name_both_rules() {
    type Ties<'t> = &'t [(Rule<'t>, Rule<'t>)];
    let ties: Ties<'_> = &[
        ((Tier::Routes, "*", "", "/a/*", &[]), (Tier::Routes, "*", "", "/a/*/", &[])),
        ((Tier::Services, "*", "GET", "/a/{b}", &[]), (Tier::Services, "*", "GET", "/a/{c=*}", &[])),
        ((Tier::Services, "*", "GET", "/{b=a/*}:v", &[]), (Tier::Services, "*", "GET", "/a/{c}:%76", &[])),
        ((Tier::Routes, "a.B", "GET", "/", &[]), (Tier::Routes, "A.b.", "GET", "/", &[])),
        ((Tier::Routes, "*", "", "/a", &[("x", "1")]), (Tier::Routes, "*", "", "/a", &[("y", "1")])),
        ((Tier::Routes, "*", "", "/a", &[("x", "1")]), (Tier::Routes, "*", "", "/a", &[("x", "")])),
    ];
    for (one, two) in ties {
        let conflicts = table(&[*one, *two]).unwrap_err();
        assert_eq!(conflicts.len(), 1, "{conflicts:?}");
        let text = conflicts[0].to_string();
        assert!(text.contains("rule 0") && text.contains("rule 1") && text.contains('`'), "{text}");
    }
    let apart: Ties<'_> = &[
        ((Tier::Routes, "*", "", "/a", &[]), (Tier::Services, "*", "", "/a", &[])),
        ((Tier::Routes, "*", "", "/a", &[]), (Tier::Routes, "a.b", "", "/a", &[])),
        ((Tier::Routes, "*", "", "/a", &[]), (Tier::Routes, "*", "GET", "/a", &[])),
        ((Tier::Routes, "*", "", "/a", &[("x", "1")]), (Tier::Routes, "*", "", "/a", &[("x", "2")])),
        ((Tier::Routes, "*", "", "/a/*", &[]), (Tier::Routes, "*", "", "/a/**", &[])),
        ((Tier::Services, "*", "GET", "/a", &[]), (Tier::Services, "*", "GET", "/a:v", &[])),
    ];
    for (one, two) in apart {
        assert!(table(&[*one, *two]).is_ok(), "{one:?} {two:?}");
    }
}

#[test]
fn services_are_found_by_name_then_package_then_all() {
    let mut builder = TableBuilder::new();
    for (number, pattern) in ["*", "pkg.*", "pkg.v1.*", "pkg.v1.Svc", "Bare"].iter().enumerate() {
        builder.service(pattern, Origin::new("here"), number);
    }
    let table = builder.build().unwrap();
    let cases = [
        ("/pkg.v1.Svc/Get", Some((3, "pkg.v1.Svc", "Get"))),
        ("/pkg.v1.Other/Get", Some((2, "pkg.v1.Other", "Get"))),
        ("/pkg.v1.sub.deeper.still.Svc/Get", Some((2, "pkg.v1.sub.deeper.still.Svc", "Get"))),
        ("/pkg.v2.Svc/Get", Some((1, "pkg.v2.Svc", "Get"))),
        ("/pkg.Svc/Get", Some((1, "pkg.Svc", "Get"))),
        ("/pkg/Get", Some((0, "pkg", "Get"))),
        ("/pkgs.v1.Svc/Get", Some((0, "pkgs.v1.Svc", "Get"))),
        ("/Bare/Get", Some((4, "Bare", "Get"))),
        ("/pkg.v1.Svc/", None),
        ("//Get", None),
        ("/pkg.v1.Svc", None),
        ("/pkg.v1.Svc/Get/More", None),
        ("pkg.v1.Svc/Get", None),
    ];
    for (path, expected) in cases {
        let found = table.service(path).map(|found| (*found.target, found.service, found.method));
        assert_eq!(found, expected, "{path}");
    }
    let hostile = format!("/{}x/Get", "a.".repeat(40_000));
    assert_eq!(table.service(&hostile).map(|found| *found.target), Some(0));
}

#[test]
fn a_service_in_two_servlets_names_both() {
    for pattern in ["pkg.Svc", "pkg.*", "*"] {
        let mut builder = TableBuilder::new();
        builder.service(pattern, Origin::new("one.yaml:2:3"), 1);
        builder.service(pattern, Origin::new("two.yaml:4:5"), 2);
        let conflicts = builder.build().unwrap_err();
        let expected = format!("service `{pattern}`: claimed by one.yaml:2:3 and by two.yaml:4:5");
        assert_eq!(conflicts.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected]);
    }
}

#[test]
fn hostile_paths_cost_no_more_than_the_table_holds() {
    struct Count(usize);
    impl path::Probe for Count {
        fn ask(&mut self, _: &[usize]) -> Option<usize> {
            self.0 += 1;
            None
        }
        fn was_asked(&self) -> bool {
            self.0 > 0
        }
        fn forget(&mut self) {}
    }
    let mut paths = path::Paths::default();
    // Every mixture of `a` and `*` of ten segments: the most branches that a path can be led into.
    for mask in 0..1024_u32 {
        let text: String = (0..10).map(|bit| if mask >> bit & 1 == 0 { "/a" } else { "/*" }).collect();
        paths.insert(&Template::parse(&(text + "/**")).unwrap(), mask as usize);
    }
    let long = "/a".repeat(30_000);
    let mut count = Count(0);
    assert_eq!(paths.find(crate::schema::RequestPath::of(&long).unwrap(), &mut count), None);
    assert_eq!(count.0, 1024);
}

#[test]
fn an_explanation_names_the_winner_and_why_the_others_lost() {
    let table = table(&[
        (Tier::Services, "*", "GET", "/v1/{name}", &[]),
        (Tier::Services, "*", "POST", "/v1/{name}", &[]),
        (Tier::Services, "*", "GET", "/v1/{name}:cancel", &[]),
        (Tier::Routes, "a.example.com", "", "/v1/**", &[]),
        (Tier::Routes, "*", "", "/v1/*", &[("x-env", "dev")]),
        (Tier::Services, "*", "", "/**", &[]),
        (Tier::Services, "*", "GET", "/v2/{name}", &[]),
    ])
    .unwrap();
    let told = |path: &str| -> Vec<(String, Verdict)> {
        let steps = table.explain(Some("b.example.com"), &Method::GET, path, &HeaderMap::new());
        steps.into_iter().map(|step| (step.rule, step.verdict)).collect()
    };
    let header = Verdict::NoHeader(HeaderName::from_static("x-env"));
    assert_eq!(
        told("/v1/x"),
        [
            ("a.example.com/v1/**".into(), Verdict::OtherHost),
            ("/v1/* [x-env: dev]".into(), header.clone()),
            ("GET /v1/{name}".into(), Verdict::Chosen),
            ("POST /v1/{name}".into(), Verdict::OtherMethod),
            ("/**".into(), Verdict::After),
        ]
    );
    assert_eq!(
        told("/v1/x:cancel"),
        [
            ("a.example.com/v1/**".into(), Verdict::OtherHost),
            ("/v1/* [x-env: dev]".into(), header),
            ("GET /v1/{name}:cancel".into(), Verdict::Chosen),
            ("GET /v1/{name}".into(), Verdict::NoVerb),
            ("POST /v1/{name}".into(), Verdict::NoVerb),
            ("/**".into(), Verdict::NoVerb),
        ]
    );
}

/// The design's order, said once more in the plainest way: sort all that fit, take the first.
fn naive(
    entries: &[Entry<usize>],
    host: Option<&str>,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
) -> Result<usize, Miss> {
    let host_rank = |entry: &Entry<usize>| {
        let text = entry.host.to_string();
        let (rank, fits) = match text.as_str() {
            "*" if host.is_none() => (0, true),
            "*" => (1000, true),
            pattern => match pattern.strip_prefix('*') {
                None => (1, host.is_none_or(|host| pattern == host)),
                Some(suffix) => {
                    (500 - suffix.len(), host.is_none_or(|host| host.len() > suffix.len() && host.ends_with(suffix)))
                }
            },
        };
        fits.then_some(rank)
    };
    let has_headers = |entry: &Entry<usize>| {
        entry.headers.iter().all(|header| match &header.value {
            None => headers.contains_key(&header.name),
            Some(value) => headers.get(&header.name) == Some(value),
        })
    };
    let shape = |entry: &Entry<usize>| -> Vec<u8> {
        let one = |segment: &str| if segment == "**" { 2 } else { u8::from(segment == "*") };
        let text = entry.path.text().split(':').next().unwrap().to_owned();
        text.split('/').skip(1).filter(|segment| !segment.is_empty()).map(one).collect()
    };
    let fitting: Vec<_> = entries.iter().filter(|e| host_rank(e).is_some() && e.path.matches(path)).collect();
    let unshadowed = fitting.iter().filter(|entry| {
        let same_host = |other: &Entry<usize>| host.is_none() || other.host == entry.host;
        let shadow =
            |other: &&&Entry<usize>| other.tier == entry.tier && same_host(other) && other.path.verb().is_some();
        entry.path.verb().is_some() || !fitting.iter().any(|other| shadow(&other))
    });
    let candidates: Vec<_> = unshadowed.filter(|entry| has_headers(entry)).collect();
    let key = |entry: &Entry<usize>| {
        let (by_name, by_path) = if host.is_some() { (host_rank(entry), None) } else { (None, host_rank(entry)) };
        let rest = (entry.method.is_none(), std::cmp::Reverse(entry.headers.len()), by_path, entry.target);
        (entry.tier, by_name, shape(entry), rest)
    };
    let best = candidates.iter().filter(|e| e.method.as_ref().is_none_or(|own| own == method)).min_by_key(|e| key(e));
    match best {
        Some(entry) => Ok(entry.target),
        None => {
            let mut allow: Vec<Method> = candidates.iter().filter_map(|entry| entry.method.clone()).collect();
            allow.sort_by_key(ToString::to_string);
            allow.dedup();
            if allow.is_empty() { Err(Miss::NotFound) } else { Err(Miss::MethodNotAllowed(allow)) }
        }
    }
}

fn any_rule() -> impl Strategy<Value = Entry<usize>> {
    let tier = prop_oneof![Just(Tier::Routes), Just(Tier::Services)];
    let host = prop::sample::select(vec!["*", "*", "*", "a.b.c", "b.c", "*.c", "*.b.c"]);
    let method = prop::sample::select(vec!["", "GET", "POST"]);
    let segments = prop::collection::vec(prop::sample::select(vec!["/a", "/b", "/*"]), 0..4);
    let end = prop::sample::select(vec!["", "", "/**", ":v"]);
    let headers = prop::sample::select(vec![&[][..], &[][..], &[("x", "1")], &[("x", "")], &[("x", "1"), ("y", "")]]);
    (tier, host, method, segments, end, headers).prop_map(|(tier, host, method, segments, end, headers)| {
        let mut path = segments.concat();
        // A verb needs a segment before it, and is none in a route.
        if end != ":v" || (tier == Tier::Services && !path.is_empty()) {
            path.push_str(end);
        }
        let path = if path.is_empty() { "/" } else { &path };
        entry((tier, host, method, path, headers), 0)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn the_tree_agrees_with_looking_at_every_rule(
        rules in prop::collection::vec(any_rule(), 0..24),
        segments in prop::collection::vec(prop::sample::select(vec!["/a", "/b", "/c", "/", "/%61", "/a:v", "/b:w"]), 0..5),
        host in prop::sample::select(vec![None, Some("a.b.c"), Some("x.b.c"), Some("x.c"), Some("b.c"), Some("c"), Some("d")]),
        method in prop::sample::select(vec![Method::GET, Method::POST, Method::PUT]),
        sent in prop::sample::select(vec![&[][..], &[("x", "1")], &[("x", "2")], &[("x", "1"), ("y", "3")]]),
    ) {
        let mut kept: Vec<Entry<usize>> = Vec::new();
        for mut rule in rules {
            let same_place = |other: &&Entry<usize>| {
                other.tier == rule.tier && other.host == rule.host && other.path.segments() == rule.path.segments()
                    && other.path.verb() == rule.path.verb()
            };
            if !kept.iter().filter(same_place).any(|other| other.ties(&rule)) {
                rule.target = kept.len();
                kept.push(rule);
            }
        }
        let path = if segments.is_empty() { "/".to_owned() } else { segments.concat() };
        let sent = headers(sent);
        let expected = naive(&kept, host, &method, &path, &sent);
        let mut builder = TableBuilder::new();
        kept.iter().cloned().for_each(|rule| builder.push(rule));
        let table = builder.build().unwrap();
        let found = table.find(host, &method, &path, &sent).map(|found| *found.target);
        prop_assert_eq!(&found, &expected, "{:?} {} {}", host, method, path);
        let steps = table.explain(host, &method, &path, &sent);
        let chosen: Vec<_> = steps.iter().filter(|step| step.verdict == Verdict::Chosen).collect();
        prop_assert_eq!(chosen.len(), usize::from(found.is_ok()));
        // All that comes before the chosen one has a reason to have been passed over.
        let first_fit = steps.iter().find(|step| matches!(step.verdict, Verdict::Chosen | Verdict::After));
        prop_assert!(first_fit.is_none_or(|step| step.verdict == Verdict::Chosen), "{:?}", steps);
    }
}
