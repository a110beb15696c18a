//! What holds for any bytes, a module for each parser and codec: it gives the same for any split of its input, or what it takes
//! comes back the same, or it agrees with another implementation. `check` panics where that does not hold. The fuzz targets call
//! it with what a fuzzer makes up, and `cargo test` with the seeds and with bytes at random.

pub mod config_yaml;
pub mod connect_request;
pub mod content_coding;
pub mod dialects;
pub mod envelope;
pub mod field_path;
pub mod form;
pub mod grpc_frames;
pub mod grpc_status;
pub mod grpc_timeout;
pub mod hpack;
pub mod http2;
pub mod json_in;
pub mod json_items;
pub mod json_out;
pub mod multipart;
pub mod ndjson;
pub mod path_template;
pub mod proto_schema;
pub mod reply_forms;
pub mod scalars;
pub mod web_request;
pub mod wire_body;
pub mod wire_reply;
pub mod wire_request;
pub mod wire_response;

mod calls;
mod draw;
mod fitting;
mod rich;

#[allow(unused_imports, reason = "for the sources that are included here and name it as of their own crate")]
use telamon::wire;

/// Panics where a property does not hold.
pub type Check = fn(&[u8]);

/// Every property by the name of its target.
pub const ALL: &[(&str, Check)] = &[
    ("config_yaml", config_yaml::check),
    ("connect_request", connect_request::check),
    ("content_coding", content_coding::check),
    ("dialects", dialects::check),
    ("envelope", envelope::check),
    ("field_path", field_path::check),
    ("form", form::check),
    ("grpc_frames", grpc_frames::check),
    ("grpc_status", grpc_status::check),
    ("grpc_timeout", grpc_timeout::check),
    ("hpack", hpack::check),
    ("http2", http2::check),
    ("json_in", json_in::check),
    ("json_items", json_items::check),
    ("json_out", json_out::check),
    ("multipart", multipart::check),
    ("ndjson", ndjson::check),
    ("path_template", path_template::check),
    ("proto_schema", proto_schema::check),
    ("reply_forms", reply_forms::check),
    ("scalars", scalars::check),
    ("web_request", web_request::check),
    ("wire_body", wire_body::check),
    ("wire_reply", wire_reply::check),
    ("wire_request", wire_request::check),
    ("wire_response", wire_response::check),
];
