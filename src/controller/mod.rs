//! The controller: watch -> observe -> plan -> apply -> status, for one KeySet at a time.
//!
//! Every decision is `lifecycle`'s; here it is only looked, written and woken up. Invariants:
//! - every look is a live read, so no cache can be stale: watches only say when to look ([`observe`]);
//! - the first write of an object is a create, every later one carries the uid and resourceVersion that the plan
//!   saw ([`apply`]); a conflict means to look again;
//! - Secrets are read by name only: never listed, watched, cached or logged ([`secret`]);
//! - events are best effort, and nothing waits for them ([`events`]).
//!
//! Absent on purpose: rules about keys and times (`lifecycle`), private bytes (`key_material`), finalizers (nothing
//! needs one).

mod apply;
mod backoff;
mod clock;
mod context;
mod error;
mod events;
mod issuers;
mod leader;
mod objects;
mod observe;
mod prober;
mod reconcile;
mod run;
mod secret;
mod unreadable;
mod workloads;

// What the plugin looks at in the very same way.
pub(crate) use clock::now;
pub(crate) use objects::fence;
pub(crate) use observe::{imported, observed_key_set, ownership, published};
pub(crate) use secret::Secret;
pub(crate) use workloads::look;

pub use error::{Error, RetryClass};
pub use leader::{Lease, random_identity};
pub use prober::Endpoints;
pub use run::{Config, RunError, run};
