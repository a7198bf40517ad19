//! Lifecycle: every rule of a key's life, as pure functions of what was observed and the time.
//!
//! [`plan`] is the heart: `plan(&observed, now)` gives the next writes, the status and the next wake-up.
//! The caller performs the writes, observes again and plans again, until nothing is left to write. So the path
//! after a crash is the path of every day: each write is safe given only what a fresh look at the objects shows.
//!
//! Invariants (DESIGN section 3, the laws; PROTOCOL, the rules):
//! - a key signs only after every replica was seen to serve it for `C + S` ([`evidence`]);
//! - a key that signed stays published until `d + L + T + S + M` ([`ledger`], [`retire`]);
//! - the next set is what was last published, plus what is wanted, minus what is recorded as removed ([`publication`]);
//! - promises only move later ([`ledger`]).
//!
//! Absent on purpose: clients, clocks, randomness, async, logging. Time is an argument of every rule that needs it.

mod acceptance;
mod adopt;
mod conditions;
mod contract;
mod effect;
mod event;
mod evidence;
mod external;
mod import;
mod ledger;
mod observed;
mod pending;
mod pin;
mod plan;
mod publication;
mod record;
mod restore;
mod retire;
mod revoke;
mod rollout;
mod rotate;
mod schedule;
mod signer;
mod stage;
mod status;
mod verdict;
mod view;

pub use contract::Contract;
pub use effect::{DeleteCause, Effect, Plan, Provenance, PublishCause, RecordCause, SignerChange, SignerRecord};
pub use event::{Event, EventReason};
pub use observed::{
    Clock, ConfigMapContent, Fence, Import, IssuerObstacle, Key, Mark, Observed, ObservedKeySet, Ownership, Pass,
    PassState, Pods, PrivateHalf, Published, Replica, ServedKeys, Signer, SignerContent, SignerSecret, Stray, Target,
    Witness, Workload,
};
pub use pending::{Check, Pending, Term, pending};
pub use plan::plan;
pub use restore::sought;

#[cfg(test)]
mod tests;
