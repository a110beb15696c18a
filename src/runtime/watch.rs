//! File watching.
