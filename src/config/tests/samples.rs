//! The samples that operators start from are whole, and mean what their comments say.

use std::path::Path;
use std::time::Duration;

use crate::config::{Upstream, Way, load, routing};
use crate::route::HostPattern;

#[test]
fn the_samples_load() {
    let loaded = load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("config/telamon.yaml")).unwrap();
    let names: Vec<&str> = loaded.servlets.keys().map(String::as_str).collect();
    assert_eq!(names, ["echo", "greeter", "ledger", "library", "monolith", "wiki"]);

    let listener = &loaded.settings.listeners.0[0];
    assert_eq!(listener.default_host.as_ref().unwrap().0, "legacy.internal");
    assert_eq!(loaded.settings.limits, crate::config::Limits::default());

    let echo = &loaded.servlets["echo"];
    assert_eq!(echo.timeout, Some(Duration::from_secs(5)));
    assert_eq!(echo.table.endpoints().map(|one| one.weight).collect::<Vec<_>>(), [3, 2, 1, 0]);

    let greeter = &loaded.servlets["greeter"];
    assert_eq!((greeter.timeout, greeter.unary_timeout), (None, Duration::from_secs(15)));
    let groups: Vec<_> = greeter.table.groups.iter().map(|group| (&*group.name, group.weight)).collect();
    assert_eq!(groups, [("stable", 95), ("canary", 5)]);

    assert!(loaded.servlets["ledger"].schema.is_none());
    let monolith = &loaded.servlets["monolith"];
    assert_eq!((monolith.upstream, monolith.timeout), (Upstream::Http1, None));
    assert_eq!(monolith.routes[1].matches.host, HostPattern::Any);
}

#[test]
fn requests_find_their_way_through_the_samples() {
    let loaded = load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("config/telamon.yaml")).unwrap();
    let table = routing(loaded.servlets.values(), |servlet, way| {
        let how = match way {
            Way::Service => "service".to_owned(),
            Way::Binding { method, .. } => format!("rule of {}", method.name),
            Way::Route { index, method } => {
                format!("route {index} to {:?}", method.map(|method| method.name.to_string()))
            }
        };
        Some(format!("{}: {how}", servlet.name))
    })
    .build()
    .unwrap();
    let find = |host, method, path, headers: &http::HeaderMap| {
        table.find(Some(host), method, path, headers).map(|found| found.target.clone()).ok()
    };
    let (get, post, none) = (&http::Method::GET, &http::Method::POST, &http::HeaderMap::new());
    assert_eq!(find("x", get, "/v1/echo/hello", none).as_deref(), Some("echo: rule of Echo"));
    assert_eq!(find("x", post, "/v1/echo", none).as_deref(), Some("echo: rule of Echo"));
    assert_eq!(find("x", post, "/greeter.v1.Greeter/Greet", none).as_deref(), Some("greeter: rule of Greet"));
    let old = find("legacy.internal", get, "/cgi-bin/echo.pl", none);
    assert_eq!(old.as_deref(), Some("echo: route 0 to Some(\"Echo\")"));
    assert_eq!(find("x", get, "/v1/shelves/a/books", none).as_deref(), Some("library: route 2 to Some(\"ListBooks\")"));
    assert_eq!(find("x", post, "/library.v1.Library/AddBook", none).as_deref(), Some("library: rule of AddBook"));
    assert_eq!(find("shop.internal", get, "/any/thing", none).as_deref(), Some("monolith: route 0 to None"));
    let acme = [("x-tenant", "acme")].map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    let acme: http::HeaderMap = acme.into_iter().collect();
    assert_eq!(find("x", post, "/upload/file", &acme).as_deref(), Some("monolith: route 1 to None"));
    assert_eq!(find("x", post, "/upload/file", none), None);
    assert_eq!(find("wiki.internal", post, "/edit", none).as_deref(), Some("wiki: route 0 to Some(\"Serve\")"));
    assert_eq!(table.service("/ledger.v1.Book/Post").unwrap().target, "ledger: service");
}
