//! How fast JSON becomes wire format and the other way, beside an implementation over a tree of values (prost-reflect), in one
//! run, so that the ratio means something on any machine: `cargo bench --bench json`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use prost_reflect::prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};
use telamon::schema::{MessageId, Messages};
use telamon::translate::json::{ReadOptions, WriteOptions, from_wire, to_wire};

struct Source;

impl FileResolver for Source {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match name {
            "json.proto" => File::from_source(name, include_str!("json.proto")),
            _ => Err(protox::Error::file_not_found(name)),
        }
    }
}

fn pool() -> DescriptorPool {
    let mut resolver = ChainFileResolver::new();
    resolver.add(GoogleFileResolver::new());
    resolver.add(Source);
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).open_file("json.proto").expect("the schema beside this file");
    compiler.descriptor_pool()
}

/// An order of so many lines; two make a JSON text of about 448 bytes.
fn order(lines: usize) -> String {
    let line = r#"{"sku":"A-1003","name":"Lamp \"Aurora\"","quantity":2,"priceCents":"4995","discount":0.15}"#;
    format!(
        r#"{{"id":"ord-000017","customerId":"90210","state":"PAID","createdAt":"2024-02-29T12:34:56.789Z","shipTo":{{"street":"12 Harbour Rd","city":"Cork","zipCode":"T12","country":"IE"}},"lines":[{}],"labels":{{"channel":"web"}},"tags":[1,2,300],"gift":true}}"#,
        vec![line; lines].join(",")
    )
}

/// The best of some rounds: the one that was disturbed least.
fn nanoseconds(mut work: impl FnMut()) -> f64 {
    let mut rounds = 1_u32;
    let mut best = f64::MAX;
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(1500) {
        let round = Instant::now();
        for _ in 0..rounds {
            work();
        }
        let took = round.elapsed();
        best = best.min(took.as_nanos() as f64 / f64::from(rounds));
        if took < Duration::from_millis(5) {
            rounds *= 2;
        }
    }
    best
}

fn compare(messages: &Messages, id: MessageId, pool: &DescriptorPool, json: &str) {
    let descriptor = pool.get_message_by_name("bench.Order").expect("in the schema");
    let mut wire = Vec::new();
    to_wire(messages, id, json.as_bytes(), &ReadOptions::default(), &mut wire).expect("it fits");
    let mut out = Vec::new();
    let ours_in = nanoseconds(|| {
        out.clear();
        to_wire(messages, id, black_box(json.as_bytes()), &ReadOptions::default(), &mut out).expect("it fits");
    });
    let ours_out = nanoseconds(|| {
        out.clear();
        from_wire(messages, id, black_box(&wire), &WriteOptions::default(), &mut out).expect("it fits");
    });
    let tree_in = nanoseconds(|| {
        let mut deserializer = serde_json::Deserializer::from_str(black_box(json));
        let message = DynamicMessage::deserialize(descriptor.clone(), &mut deserializer).expect("it fits");
        black_box(message.encode_to_vec());
    });
    let tree_out = nanoseconds(|| {
        let message = DynamicMessage::decode(descriptor.clone(), black_box(&wire[..])).expect("it fits");
        black_box(serde_json::to_vec(&message).expect("it fits"));
    });
    println!("{:>6} bytes of JSON, {:>6} on the wire", json.len(), wire.len());
    println!("   in: {ours_in:>10.0} ns, by a tree {tree_in:>10.0} ns, ratio {:.1}", tree_in / ours_in);
    println!("  out: {ours_out:>10.0} ns, by a tree {tree_out:>10.0} ns, ratio {:.1}", tree_out / ours_out);
}

fn main() {
    let pool = pool();
    let messages = Messages::build(&pool);
    let id = messages.by_name("bench.Order").expect("in the schema");
    for lines in [2, 720] {
        compare(&messages, id, &pool, &order(lines));
    }
}
