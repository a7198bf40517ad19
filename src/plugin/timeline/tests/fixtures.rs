//! Sets made up: what snapshots of them show, at any time of their lives.

use jiff::{SignedDuration, Timestamp};

use super::super::lives::{Seen, Snapshot, lives};
use super::super::model::Timeline;
use super::super::window::{Asked, horizon, window};
use crate::api::{KeySetSpec, Lifecycle, Origin, PrivateKeyState};
use crate::jose::{Algorithm, KeyId};

/// A set whose keys take over one from the other.
#[derive(Clone, Debug)]
pub(super) struct Set {
    pub(super) name: String,
    /// Key number `index` takes over at `start + index * interval`.
    pub(super) start: Timestamp,
    pub(super) spec: KeySetSpec,
    pub(super) keys: usize,
}

impl Set {
    pub(super) fn new(name: &str, keys: usize, spec: &serde_json::Value) -> Self {
        let spec = serde_json::from_value(spec.clone()).unwrap();
        Self { name: name.to_owned(), start: "2026-01-01T00:00:00Z".parse().unwrap(), spec, keys }
    }

    pub(super) fn at_defaults(name: &str, keys: usize) -> Self {
        Self::new(name, keys, &serde_json::json!({ "algorithm": "RS256", "tokens": { "maxLifetime": "1h" } }))
    }

    pub(super) fn in_seconds(name: &str, keys: usize) -> Self {
        let spec = serde_json::json!({
            "algorithm": "ES256", "tokens": { "maxLifetime": "2s" }, "verifiers": { "maxCacheAge": "3s" },
            "clockSkew": "1s", "signers": { "maxReloadLag": "1s" }, "retention": { "margin": "2s" },
            "rotation": { "interval": "10s", "rollbackWindow": "1s" },
        });
        Self::new(name, keys, &spec)
    }

    /// As it is seen at `start + age`, and what is foretold from then on.
    pub(super) fn timeline(&self, age: SignedDuration, asked: Asked) -> Timeline {
        let now = self.start + age;
        let mut times: Vec<Timestamp> =
            (0..self.keys).flat_map(|index| self.times(index)).filter(|time| *time > now).collect();
        times.sort();
        let snapshots: Vec<Snapshot> = [now].into_iter().chain(times).map(|time| self.snapshot(now, time)).collect();
        let keys = lives(&snapshots, &self.spec);
        let (from, until) = window(asked, &keys, now, horizon(asked, &self.spec, now));
        Timeline {
            namespace: "auth".to_owned(),
            name: self.name.clone(),
            now,
            from,
            until,
            keys,
            assumptions: Vec::new(),
        }
    }

    /// Published, ready, active, retired, destroyed, removed.
    fn times(&self, index: usize) -> [Timestamp; 6] {
        let interval = self.spec.rotation.interval.length();
        let turn = |index: usize| self.start + interval * i32::try_from(index).unwrap();
        let published = turn(index.saturating_sub(1));
        let skew = self.spec.clock_skew.length();
        let ready = published + self.spec.verifiers.max_cache_age.length() + skew;
        let retired = turn(index + 1);
        let kept = self.spec.signers.max_reload_lag.length() + self.spec.tokens.max_lifetime.length();
        let removed = retired + kept + skew + self.spec.retention.margin.length();
        [published, ready, turn(index), retired, retired + self.spec.rotation.rollback_window.length(), removed]
    }

    fn snapshot(&self, now: Timestamp, time: Timestamp) -> Snapshot {
        let keys = (0..self.keys).filter(|index| self.times(*index)[0] <= time);
        Snapshot { time, keys: keys.map(|index| self.seen(index, now, time)).collect() }
    }

    fn seen(&self, index: usize, now: Timestamp, time: Timestamp) -> Seen {
        let [published, ready, active, retired, destroyed, removed] = self.times(index);
        let by = |then: Timestamp| Some(then).filter(|then| *then <= time);
        // The status forgets what has left the set.
        let listed = |then: Timestamp| Some(then).filter(|_| removed > time);
        Seen {
            name: format!("{}-{}", self.name, index + 1),
            key_id: Some(KeyId::try_from(format!("{index:04}{}", "k".repeat(39))).unwrap())
                .filter(|_| published <= now),
            algorithm: self.spec.algorithm,
            origin: Origin::Generated,
            made: Some(published),
            lifecycle: Lifecycle {
                activation_time: by(active),
                retirement_time: by(retired),
                earliest_removal_time: by(retired).map(|_| removed),
                removal_time: by(removed),
                ..Lifecycle::default()
            },
            publish_time: listed(published),
            visible_time: listed(published),
            earliest_activation_time: listed(ready),
            private_key: Some(if destroyed <= time { PrivateKeyState::Destroyed } else { PrivateKeyState::Stored }),
        }
    }
}

/// A key about which nothing is known but its name.
pub(super) fn seen(name: &str) -> Seen {
    Seen {
        name: name.to_owned(),
        key_id: None,
        algorithm: Algorithm::ES256,
        origin: Origin::Generated,
        made: None,
        lifecycle: Lifecycle::default(),
        publish_time: None,
        visible_time: None,
        earliest_activation_time: None,
        private_key: Some(PrivateKeyState::Stored),
    }
}

pub(super) fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}
