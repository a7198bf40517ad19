//! The wire contract: KeySet and SigningKey, group `keyset.dev`, version `v1alpha1`.
//!
//! The types of both kinds, their schema, CEL rules and printer columns, the names that are part of
//! the contract, and the printing of the CRDs. Invariants: pure (no client, no clock); no field is
//! nullable, an optional one that is empty is not written; every string and list is bounded.
//! Deliberately absent: what the fields make the operator do (`lifecycle`), and fields of features
//! that do not exist yet.

mod condition;
mod crd;
mod duration;
mod key_set;
mod key_set_keys;
mod key_set_status;
pub mod names;
mod rules;
mod schema;
mod served;
mod signers;
mod signing_key;

pub use condition::{Condition, ConditionStatus};
pub use crd::{CrdError, crd_yaml, crds, crds_yaml};
pub use duration::{Duration, DurationError};
pub use key_set::*;
pub use key_set_keys::*;
pub use key_set_status::*;
pub use served::{SERVED_PATH, Served, ServedSet};
pub use signers::*;
pub use signing_key::*;
