# What is done with this repository, a word each. `just` lists them.

# This list
_default:
    @just --list --unsorted

# Formatting, lints with warnings denied, and the house: what a change must pass first
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings
    cargo test --locked --test house

# Every test that needs nothing but the Rust toolchain
test *args:
    cargo test --locked {{ args }}

# The balance contract against the field's rules, in seeded simulation; prints the comparison
sim:
    cargo test --release --locked --test sim -- --include-ignored --nocapture --test-threads 1 table

# docs/dialects.md from what the matrix of dialects finds
dialects:
    TELAMON_WRITE_DIALECTS=1 cargo test --locked --test it dialects::

# Micro-benchmarks: `just bench` runs all, `just bench pick` one
bench name="":
    cargo bench --locked {{ if name == "" { "--bench pick --bench json" } else { "--bench " + name } }}

# Instructions of a call and its parts under valgrind, beside those that are stored; `just counts --update` stores them
counts *args:
    cargo run --profile dist --locked --quiet --package telamon-counts -- {{ args }}

# The program as packages hold it, laid out by what calls do; prints where it is
package:
    packaging/build

# What a call costs beside Envoy, HAProxy, nginx and Pingora, which it installs or builds: `just peers --only unary --rounds 3`
peers *args:
    python3 -B benches/peers {{ args }}

# Fuzz targets, all or one, for so many seconds each (needs a C++ compiler; no nightly): `just fuzz 600 json_in`
fuzz seconds="60" *targets:
    FUZZ_SECONDS={{ seconds }} fuzz/run {{ targets }}

# Licences, advisories, sources and duplicates of the dependencies (needs cargo-deny)
deny:
    cargo deny --locked check

# Three replicas of a demo servlet, a proxy before them, and what to try
demo *args:
    cargo run --release --locked -- demo {{ args }}
