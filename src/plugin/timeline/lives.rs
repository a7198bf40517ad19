//! The lives of all keys of a set, out of what was seen of them at one time after the other.
//!
//! The past is one snapshot, taken now: the records carry their times with them. What is planned is one snapshot for
//! each step that is foretold. Both are read alike, so the picture of tomorrow is drawn by what draws today's.
//! What nobody recorded is not made up: where the records have lost the evidence of a key, it is `Staged` until it signs.

use jiff::Timestamp;

use super::model::{Guard, Life, Span, Stage};
use crate::api::{KeySetSpec, Lifecycle, Origin, PrivateKeyState};
use crate::jose::{Algorithm, KeyId};

/// All keys, as they were seen at one time.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    pub(super) time: Timestamp,
    pub(super) keys: Vec<Seen>,
}

/// One key, as it was seen.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) name: String,
    pub(super) key_id: Option<KeyId>,
    pub(super) algorithm: Algorithm,
    pub(super) origin: Origin,
    pub(super) made: Option<Timestamp>,
    pub(super) lifecycle: Lifecycle,
    pub(super) publish_time: Option<Timestamp>,
    pub(super) visible_time: Option<Timestamp>,
    pub(super) earliest_activation_time: Option<Timestamp>,
    pub(super) private_key: Option<PrivateKeyState>,
}

/// The life of each key that any snapshot shows, in the order of their appearance. The first snapshot is that of now.
pub(super) fn lives(snapshots: &[Snapshot], spec: &KeySetSpec) -> Vec<Life> {
    let mut facts: Vec<Facts> = Vec::new();
    for (index, snapshot) in snapshots.iter().enumerate() {
        for seen in &snapshot.keys {
            let known = facts.iter().position(|it| it.seen.name == seen.name);
            let at = known.unwrap_or_else(|| {
                facts.push(Facts::new(seen, snapshot.time));
                facts.len() - 1
            });
            facts[at].add(seen, Some(snapshot.time).filter(|_| index > 0));
        }
    }
    let now = snapshots.first().map_or(Timestamp::MIN, |snapshot| snapshot.time);
    let last = snapshots.last().map_or(Timestamp::MAX, |snapshot| snapshot.time);
    facts.iter().map(|it| it.life(&facts, spec, now, last)).collect()
}

/// What is known of one key.
struct Facts {
    /// As it was seen last.
    seen: Seen,
    begin: Timestamp,
    activations: Vec<Timestamp>,
    retirements: Vec<Timestamp>,
    destroyed: Option<Destroyed>,
}

/// When the private half went.
#[derive(Clone, Copy)]
enum Destroyed {
    At(Timestamp),
    /// Nobody recorded when.
    Before,
}

impl Facts {
    fn new(seen: &Seen, time: Timestamp) -> Self {
        let known = [seen.publish_time, seen.made, seen.lifecycle.activation_time, seen.lifecycle.retirement_time];
        let begin = known.into_iter().flatten().next().unwrap_or(time);
        Self { seen: seen.clone(), begin, activations: Vec::new(), retirements: Vec::new(), destroyed: None }
    }

    /// `time` is absent for what had happened before anyone looked.
    fn add(&mut self, seen: &Seen, time: Option<Timestamp>) {
        let lifecycle = &seen.lifecycle;
        self.activations.extend(lifecycle.activation_time.filter(|time| !self.activations.contains(time)));
        self.retirements.extend(lifecycle.retirement_time.filter(|time| !self.retirements.contains(time)));
        if self.destroyed.is_none() && seen.private_key == Some(PrivateKeyState::Destroyed) {
            self.destroyed = Some(time.map_or(Destroyed::Before, Destroyed::At));
        }
        // What is published no more has no evidence any more: that of before is kept.
        let before = std::mem::replace(&mut self.seen, seen.clone());
        if self.seen.publish_time.is_none() {
            self.seen.publish_time = before.publish_time;
            self.seen.visible_time = before.visible_time;
            self.seen.earliest_activation_time = before.earliest_activation_time;
        }
    }

    fn life(&self, all: &[Self], spec: &KeySetSpec, now: Timestamp, last: Timestamp) -> Life {
        Life {
            name: self.seen.name.clone(),
            key_id: self.seen.key_id.clone(),
            algorithm: self.seen.algorithm,
            origin: self.seen.origin,
            spans: self.spans(all, last),
            guards: self.guards(spec),
            private_key_destruction_time: self.destroyed.map(|destroyed| match destroyed {
                Destroyed::At(time) => time,
                Destroyed::Before => self.usual_destruction(spec).min(now),
            }),
            revocation_time: self.seen.lifecycle.revocation_time,
        }
    }

    fn spans(&self, all: &[Self], last: Timestamp) -> Vec<Span> {
        let lifecycle = &self.seen.lifecycle;
        // A promise that has passed without a removal is no end: somebody holds the key.
        let promised = lifecycle.earliest_removal_time.filter(|time| *time > last);
        let end = lifecycle.removal_time;
        if self.seen.origin == Origin::External {
            return parts(vec![(Stage::External, self.begin)], end.or(promised), lifecycle.revocation_time);
        }
        let mut spans = vec![(self.first_stage(), self.begin)];
        let ready = self.seen.earliest_activation_time.filter(|_| self.seen.publish_time.is_some());
        spans.extend(ready.map(|time| (Stage::Standby, time)));
        let signed = self.signed(all);
        for &(from, until) in &signed {
            spans.retain(|(_, begin)| *begin < from || from == self.begin && *begin == from);
            spans.push((Stage::Active, from));
            spans.extend(until.map(|time| (Stage::Retiring, time)));
        }
        let retired = signed.last().is_some_and(|(_, until)| until.is_some());
        parts(spans, end.or(promised.filter(|_| retired)), lifecycle.revocation_time)
    }

    fn first_stage(&self) -> Stage {
        if self.seen.publish_time.is_some() { Stage::Published } else { Stage::Staged }
    }

    /// Each time that it signed. An activation from before a rollback is no longer in its record: the key signed since
    /// the switch before, since one key signs at any time.
    fn signed(&self, all: &[Self]) -> Vec<(Timestamp, Option<Timestamp>)> {
        let mut activations = self.activations.clone();
        let first = self.retirements.iter().min().copied();
        if let Some(retired) = first.filter(|retired| activations.iter().all(|time| time > retired)) {
            let switches = all.iter().filter(|other| other.seen.name != self.seen.name).flat_map(|it| &it.retirements);
            let before = switches.filter(|time| **time < retired).max().copied();
            activations.push(before.map_or(self.begin, |time| time.max(self.begin)));
        }
        activations.sort();
        let end = |from: Timestamp| self.retirements.iter().filter(|time| **time >= from).min().copied();
        activations.into_iter().map(|from| (from, end(from))).collect()
    }

    fn guards(&self, spec: &KeySetSpec) -> Vec<Guard> {
        let seen = &self.seen;
        let first = self.activations.iter().min().copied();
        let wait = seen.visible_time.zip(seen.earliest_activation_time);
        // The very first key does not wait.
        let wait = wait.filter(|(_, ready)| first.is_none_or(|first| first >= *ready));
        let lead = [('C', &spec.verifiers.max_cache_age), ('S', &spec.clock_skew)];
        let kept = seen.lifecycle.retirement_time.zip(seen.lifecycle.earliest_removal_time);
        let kept = kept.filter(|(retired, until)| until > retired && seen.lifecycle.activation_time < Some(*retired));
        let retention = [
            ('L', &spec.signers.max_reload_lag),
            ('T', &spec.tokens.max_lifetime),
            ('S', &spec.clock_skew),
            ('M', &spec.retention.margin),
        ];
        let wait = wait.map(|(from, until)| Guard::new(from, until, &lead));
        let kept = kept.map(|(from, until)| Guard::new(from, until, &retention));
        wait.into_iter().chain(kept).collect()
    }

    /// When the private half goes if nothing is in the way.
    fn usual_destruction(&self, spec: &KeySetSpec) -> Timestamp {
        let lifecycle = &self.seen.lifecycle;
        let window = spec.rotation.rollback_window.length();
        let spent = lifecycle.retirement_time.and_then(|time| time.checked_add(window).ok());
        let gone = [spent, lifecycle.revocation_time, lifecycle.removal_time];
        gone.into_iter().flatten().min().unwrap_or(self.begin)
    }
}

/// Turns beginnings into parts: each lasts until the next begins, and the last one until `end`. What is revoked and does
/// not sign any more is nothing but revoked.
fn parts(beginnings: Vec<(Stage, Timestamp)>, end: Option<Timestamp>, revoked: Option<Timestamp>) -> Vec<Span> {
    let mut untils: Vec<Option<Timestamp>> = beginnings.iter().skip(1).map(|(_, from)| Some(*from)).collect();
    untils.push(end);
    let mut spans = Vec::new();
    for ((stage, from), until) in beginnings.into_iter().zip(untils) {
        let until = until.into_iter().chain(end).min();
        let cut = revoked.filter(|_| stage != Stage::Active).filter(|time| until.is_none_or(|until| *time < until));
        match cut {
            Some(cut) if cut > from => {
                spans.push(Span { stage, from, until: Some(cut) });
                spans.push(Span { stage: Stage::Revoked, from: cut, until });
            }
            Some(_) => spans.push(Span { stage: Stage::Revoked, from, until }),
            None => spans.push(Span { stage, from, until }),
        }
    }
    spans.retain(|span| span.until.is_none_or(|until| span.from < until));
    spans
}
