//! The properties that the fuzz targets check, each on its seeds, on its seeds with something changed, and on bytes at random: a
//! property that no longer holds, or no longer compiles, is found without a fuzzer.
#![allow(unreachable_pub, reason = "the fuzz targets use these modules as a library")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that meets the unexpected should stop there")]

#[path = "../fuzz/src/lib.rs"]
mod properties;

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
#[allow(
    unused_imports,
    reason = "for the sources that the properties include and that name it as of their own crate"
)]
use telamon::wire;

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// A seed with bytes changed, put in and taken out, or bytes at random.
fn inputs(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), 0..3_u8, any::<u8>());
    let changed =
        (prop::sample::select(seeds), prop::collection::vec(change, 0..6)).prop_map(|(mut bytes, changes)| {
            for (place, how, byte) in changes {
                let at = place.index(bytes.len() + 1);
                match how {
                    0 => bytes.insert(at, byte),
                    1 if at < bytes.len() => bytes[at] = byte,
                    2 if at < bytes.len() => drop(bytes.remove(at)),
                    _ => {}
                }
            }
            bytes
        });
    prop_oneof![4 => changed, 1 => prop::collection::vec(any::<u8>(), 0..80)]
}

fn holds(target: &str, cases: u32) {
    let (_, check) = properties::ALL.iter().find(|(name, _)| *name == target).expect("a property of that name");
    let seeds = seeds(target);
    assert!(!seeds.is_empty(), "{target} has no seeds");
    seeds.iter().for_each(|seed| check(seed));
    let config = Config { failure_persistence: None, ..Config::with_cases(cases) };
    TestRunner::new(config)
        .run(&inputs(seeds), |bytes| {
            check(&bytes);
            Ok(())
        })
        .unwrap();
}

macro_rules! properties {
    ($($name:ident: $cases:literal)*) => {
        $(#[test]
        fn $name() {
            holds(stringify!($name), $cases);
        })*

        #[test]
        fn every_property_has_a_test_a_target_and_seeds() {
            let tests = [$(stringify!($name)),*];
            let targets = |folder: &str| {
                let files = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap();
                let mut names: Vec<String> =
                    files.map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect();
                names.sort();
                names
            };
            let all: Vec<&str> = properties::ALL.iter().map(|(name, _)| *name).collect();
            assert_eq!(all, tests);
            assert_eq!(targets("fuzz/fuzz_targets"), all);
            assert_eq!(targets("fuzz/seeds"), all);
        }
    };
}

properties! {
    config_yaml: 300
    connect_request: 300
    content_coding: 300
    dialects: 500
    envelope: 500
    field_path: 500
    form: 300
    grpc_frames: 500
    grpc_status: 500
    grpc_timeout: 1000
    hpack: 500
    http2: 500
    json_in: 500
    json_items: 500
    json_out: 500
    multipart: 300
    ndjson: 300
    path_template: 500
    proto_schema: 100
    reply_forms: 300
    scalars: 1000
    web_request: 300
    wire_body: 500
    wire_reply: 500
    wire_request: 1000
    wire_response: 1000
}
