//! What the lifecycle speaks of, in a crate that no mutant changes.
#![allow(dead_code, unused_imports, reason = "the operator uses the rest")]

#[path = "../../../src/api/mod.rs"]
pub mod api;
#[path = "../../../src/jose/mod.rs"]
pub mod jose;
