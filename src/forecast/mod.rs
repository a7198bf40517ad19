//! What the operator will do, by its very rules, if everybody else does their part.
//!
//! [`forecast`] asks [`lifecycle::plan`](crate::lifecycle::plan) as the controller does, and performs its writes in a
//! world of plain values: writes succeed at once, every replica serves what is published, clocks agree, and nobody edits
//! anything. So it is the earliest that can happen; reality is as late as its replicas.
//!
//! Absent on purpose: clients, clocks, randomness. The kid of a key that is not made yet is made up, and
//! [`Forecast::is_made_up`] tells which.

mod world;

use jiff::{SignedDuration, Timestamp};

use crate::api::KeySetStatus;
use crate::jose::KeyId;
use crate::lifecycle::{Effect, Event, Key, Observed};
use world::World;

pub use world::made_up;

/// What will happen between two times.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// What is done, in its order; every status is that after the writes of its step.
    pub steps: Vec<Step>,
    /// The world at the end, as a look at it would show it.
    pub end: Observed,
    /// Until when it was looked ahead: the time that was asked for, or earlier in a set that never comes to rest.
    pub until: Timestamp,
    /// Every key as it was when it left the records, and as it is at the end; oldest first.
    pub keys: Vec<Key>,
    made_up: Vec<KeyId>,
}

/// One round of the operator that changes something.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// When.
    pub time: Timestamp,
    /// What it writes; none where only the status changes.
    pub effects: Vec<Effect>,
    /// The status that is stored by then.
    pub status: KeySetStatus,
    /// What people are told.
    pub events: Vec<Event>,
}

impl Forecast {
    /// Whether the kid belongs to a key that is yet to be made, so that the real one will be another.
    pub fn is_made_up(&self, kid: &KeyId) -> bool {
        self.made_up.contains(kid)
    }
}

/// Looks ahead from what was observed at `now` until `until`.
#[must_use]
pub fn forecast(observed: Observed, now: Timestamp, until: Timestamp) -> Forecast {
    let mut world = World::new(observed, now);
    let mut steps = Vec::new();
    let (mut time, mut idle) = (now, 0_u32);
    for _ in 0..MOST_LOOKS {
        let before = steps.len();
        let wake_at = world.settle(time, &mut steps);
        idle = if steps.len() == before { idle + 1 } else { 0 };
        // A set that waits for people is looked at again and again. After a while, once an hour will do.
        let lazy = if idle > PATIENCE { time + LAZY } else { time };
        match wake_at.map(|wake| wake.max(lazy)) {
            Some(wake) if wake <= until => time = wake.max(time + SHORTEST_WAIT),
            _ => {
                time = until;
                break;
            }
        }
    }
    world.into_forecast(steps, time)
}

/// More looks than a year of the busiest set takes.
const MOST_LOOKS: usize = 20_000;
/// Looks in a row that change nothing before they get rare.
const PATIENCE: u32 = 40;
const LAZY: SignedDuration = SignedDuration::from_hours(1);
/// As the controller: nothing finer is stored.
const SHORTEST_WAIT: SignedDuration = SignedDuration::from_millis(1);

#[cfg(test)]
mod tests;
