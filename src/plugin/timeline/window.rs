//! Which part of time is drawn.

use jiff::{SignedDuration, Timestamp};

use super::model::{Life, Stage};
use crate::api::KeySetSpec;
use crate::lifecycle::Contract;

/// What was asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Asked {
    pub(super) since: Option<SignedDuration>,
    pub(super) until: Option<SignedDuration>,
}

/// How far to look ahead before it is known what there is: one rotation and what follows from it, and no less than was
/// asked for.
pub(super) fn horizon(asked: Asked, spec: &KeySetSpec, now: Timestamp) -> Timestamp {
    let contract = Contract::new(spec);
    after(now, asked.until.unwrap_or_else(|| contract.cycle() + contract.retention()))
}

/// From when until when.
///
/// By default until the key that signs now has left the set, and as far back as ahead, or as the oldest of the keys that
/// are in the set now goes back.
pub(super) fn window(asked: Asked, lives: &[Life], now: Timestamp, horizon: Timestamp) -> (Timestamp, Timestamp) {
    let until = asked.until.map_or_else(|| default_until(lives, now, horizon), |length| after(now, length));
    let ahead = until.duration_since(now);
    let from = asked.since.map_or_else(|| default_from(lives, now, ahead), |length| before(now, length));
    // Nothing can be seen in less than a moment.
    (from, until.max(after(from, SHORTEST)))
}

fn default_until(lives: &[Life], now: Timestamp, horizon: Timestamp) -> Timestamp {
    let here = lives.iter().filter(|life| is_here(life, now));
    let signs = |life: &&Life| life.spans.iter().any(|span| span.stage == Stage::Active && span.from <= now);
    let left = here.filter(signs).filter_map(Life::end).filter(|end| *end <= horizon).max();
    // Where nobody leaves, the last step that is known, or all of the horizon.
    let steps = || lives.iter().flat_map(|life| &life.spans).flat_map(|span| [Some(span.from), span.until]);
    let last = || steps().flatten().filter(|time| *time > now && *time <= horizon).max();
    let until = left.or_else(last).unwrap_or(horizon);
    // A little more, so that one sees that it has left.
    after(until, until.duration_since(now) / 12)
}

fn default_from(lives: &[Life], now: Timestamp, ahead: SignedDuration) -> Timestamp {
    let begun = lives.iter().filter(|life| is_here(life, now)).filter_map(|life| life.spans.first());
    let oldest = begun.map(|span| span.from).min().unwrap_or(now);
    oldest.min(now).max(before(now, ahead))
}

/// Whether the key is in the set, or about to be.
fn is_here(life: &Life, now: Timestamp) -> bool {
    life.spans.first().is_some_and(|span| span.from <= now) && life.end().is_none_or(|end| end > now)
}

fn after(time: Timestamp, length: SignedDuration) -> Timestamp {
    time.checked_add(length).unwrap_or(Timestamp::MAX)
}

fn before(time: Timestamp, length: SignedDuration) -> Timestamp {
    time.checked_sub(length).unwrap_or(Timestamp::MIN)
}

const SHORTEST: SignedDuration = SignedDuration::from_secs(5);
