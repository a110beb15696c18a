//! The parts of a call that think: pick, route match, JSON in and out.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, Method};
use telamon::balance::{Policy, SplitMix};
use telamon::config;
use telamon::model::{Address, Code, EndpointSpec, Outcome, Table as Endpoints};
use telamon::route::{Entry, HostPattern, Origin, Table, TableBuilder, Tier};
use telamon::schema::Template;
use telamon::servlet::{Lease, Picker, Servlet};
use telamon::translate::json::{ReadOptions, WriteOptions, from_wire, to_wire};

use crate::Work;
use crate::files::Files;
use crate::section::counted;

pub(crate) fn works() -> Vec<Work> {
    let work = |name, times, run| Work { name, times, run };
    vec![
        work("pick/3", 3_000, |times| pick(3, times)),
        work("pick/100", 3_000, |times| pick(100, times)),
        work("pick/10000", 10_000, |times| pick(10_000, times)),
        work("route/1", 1_000, |times| route(1, 1, times)),
        work("route/5000", 5_000, |times| route(1, 5_000, times)),
        work("route/200-servlets", 5_000, |times| route(200, 25, times)),
        work("service/1", 1_000, |times| service(1, times)),
        work("service/200-servlets", 1_000, |times| service(200, times)),
        work("json/in-448", 300, |times| json(true, &order(), times)),
        work("json/out-448", 300, |times| json(false, &order(), times)),
        work("json/in-small", 1_000, |times| json(true, SMALL, times)),
        work("json/out-small", 1_000, |times| json(false, SMALL, times)),
    ]
}

/// Calls in flight all the while, as in `benches/pick.rs`.
const IN_FLIGHT: usize = 64;

/// A pick and its finish.
fn pick(size: usize, times: u32) {
    let start = Instant::now();
    let mut chance = SplitMix::new(1);
    let specs = (0..size).map(|index| EndpointSpec {
        address: Address::Tcp(([127, 0, 0, 1], 1_000 + u16::try_from(index).unwrap_or(0)).into()),
        weight: 1 + (chance.unit() * 10.0) as u32,
    });
    let table = Endpoints::flat(specs.collect());
    let servlet = Servlet::new(Arc::from("counts"), Policy::FairLeastRequest, &table, start);
    let mut picker = servlet.picker(1);
    let mut held: Vec<Option<Lease>> = (0..IN_FLIGHT).map(|_| picker.pick(start, &[]).ok()).collect();
    // Until every endpoint has been met.
    picks(&mut picker, &mut held, start, 0..2 * size as u32);
    counted(|| picks(&mut picker, &mut held, start, 2 * size as u32..2 * size as u32 + times));
}

fn picks(picker: &mut Picker, held: &mut [Option<Lease>], start: Instant, rounds: std::ops::Range<u32>) {
    let outcome = Outcome::Grpc(Code::Ok);
    for round in rounds {
        let now = start + Duration::from_micros(u64::from(round));
        let Some(slot) = held.get_mut(round as usize % IN_FLIGHT) else { continue };
        if let Some(mut lease) = slot.take() {
            lease.head_arrived(now);
            lease.finish(&outcome, now);
        }
        *slot = black_box(picker.pick(now, &[]).ok());
    }
}

/// REST calls in turn for each of so many routes of each of so many servlets.
fn route(servlets: usize, routes: usize, times: u32) {
    let mut builder = TableBuilder::new();
    let mut asked = Vec::new();
    for servlet in 0..servlets {
        for route in 0..routes {
            let path = format!("/v1/s{servlet}/things{route}/{{id}}/parts/{{part=*}}");
            builder.push(Entry {
                tier: Tier::Services,
                host: HostPattern::Any,
                path: Arc::new(Template::parse(&path).expect("a template")),
                method: Some(Method::GET),
                headers: Vec::new(),
                origin: Origin::new("here"),
                target: servlet,
            });
            asked.push((servlet, format!("/v1/s{servlet}/things{route}/4711/parts/left")));
        }
    }
    let table = builder.build().expect("no conflicts");
    let headers = HeaderMap::new();
    let find = |round: usize| {
        let (servlet, path) = asked.get(round * 7 % asked.len()).expect("one of them");
        let found = table.find(Some("api.example.com"), &Method::GET, black_box(path), &headers).expect("a route");
        assert_eq!(found.target, servlet);
    };
    counted(|| (0..times as usize).for_each(find));
}

/// gRPC calls in turn for a service of each of so many servlets.
fn service(servlets: usize, times: u32) {
    let mut builder: TableBuilder<usize> = TableBuilder::new();
    let mut asked = Vec::new();
    for servlet in 0..servlets {
        builder.service(&format!("shop.s{servlet}.v1.Orders"), Origin::new("here"), servlet);
        asked.push(format!("/shop.s{servlet}.v1.Orders/Place"));
    }
    let table: Table<usize> = builder.build().expect("no conflicts");
    counted(|| {
        for round in 0..times as usize {
            let path = asked.get(round * 7 % asked.len()).expect("one of them");
            black_box(table.service(black_box(path))).expect("a service");
        }
    });
}

/// The order of `benches/json.rs`: 448 bytes.
fn order() -> String {
    let line = r#"{"sku":"A-1003","name":"Lamp \"Aurora\"","quantity":2,"priceCents":"4995","discount":0.15}"#;
    format!(
        r#"{{"id":"ord-000017","customerId":"90210","state":"PAID","createdAt":"2024-02-29T12:34:56.789Z","shipTo":{{"street":"12 Harbour Rd","city":"Cork","zipCode":"T12","country":"IE"}},"lines":[{line},{line}],"labels":{{"channel":"web"}},"tags":[1,2,300],"gift":true}}"#
    )
}

const SMALL: &str = r#"{"id":"ord-000017","customerId":"90210","gift":true}"#;

fn json(is_in: bool, json: &str, times: u32) {
    // Of its own on the heap: some loops depend on where a text begins, and the program's own lie elsewhere in each build.
    let json = json.to_owned();
    let files = Files::new(&[
        (
            "order.proto",
            concat!(include_str!("../../json.proto"), "service Orders { rpc Place(Order) returns (Order); }"),
        ),
        ("servlets/orders.yaml", "schema: ../order.proto\nservices: [bench.Orders]\n"),
        ("endpoints/orders.yaml", "endpoints:\n  - { address: 127.0.0.1:1 }\n"),
    ]);
    let loaded = config::load(&files.root()).expect("the files above");
    let schema = loaded.servlets.get("orders").and_then(|def| def.schema.clone()).expect("its schema");
    let messages = schema.messages();
    let id = messages.by_name("bench.Order").expect("in the schema");
    let mut wire = Vec::new();
    to_wire(messages, id, json.as_bytes(), &ReadOptions::default(), &mut wire).expect("it fits");
    let mut out = Vec::with_capacity(1024);
    let mut round = || {
        out.clear();
        if is_in {
            to_wire(messages, id, black_box(json.as_bytes()), &ReadOptions::default(), &mut out).expect("it fits");
        } else {
            from_wire(messages, id, black_box(&wire), &WriteOptions::default(), &mut out).expect("it fits");
        }
    };
    round();
    counted(|| (0..times).for_each(|_| round()));
}
