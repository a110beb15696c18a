//! Dialects to and from gRPC, around a neutral middle.

pub mod json;
