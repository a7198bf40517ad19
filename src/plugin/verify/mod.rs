//! `verify`: what a verifier makes of a token, check by check.
//!
//! The verdict (`judge`) is a pure function of the token, the set as it is served, what a verifier was configured with,
//! and the time. Invariants: `none` and shared-secret algorithms are never allowed; a token without the expected
//! audience is never valid; nothing of a token reaches a terminal unescaped, and nothing of it leaves the machine.

mod check;
mod claims;
mod compact;
mod header;
mod judge;
mod purpose;
mod served_set;
mod signature;
#[cfg(test)]
mod tests;

pub use check::{Check, Outcome, Verdict};
pub use judge::{Expectations, verify};
pub use purpose::Purpose;
pub use served_set::ServedSet;
