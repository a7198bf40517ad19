//! Logs, metrics and the admin endpoints of both processes.
//!
//! Invariants: no key material, and no label whose values users make (names, kids). `docs/metrics.md` lists every
//! metric; a test compares it with the registries.

pub mod admin;
pub mod controller;
#[cfg(test)]
pub(crate) mod documented;
pub mod logging;
pub mod server;
