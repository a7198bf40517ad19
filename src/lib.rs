//! Keyset: JWT signing keys rotated, and their JWK Set published, so that no verifier meets an unknown
//! kid.

pub mod api;
pub mod cli;
pub mod controller;
pub mod forecast;
pub mod issuer;
pub mod jose;
pub mod key_material;
pub mod lifecycle;
pub mod plugin;
pub mod scope;
pub mod server;
pub mod telemetry;
