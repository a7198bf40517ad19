//! Metrics of the controller. Sums and extremes over all KeySets: no label is a name.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::api::names::condition;
use crate::api::{Condition, ConditionStatus, KeyState};
use crate::lifecycle::{Effect, Observed, PassState, Plan};

/// What the controller counts.
#[derive(Clone, Debug)]
pub struct Metrics {
    passes: Family<Outcome, Counter>,
    duration: Histogram,
    writes: Family<Write, Counter>,
    leading: Gauge,
    replicas: Gauge,
    complete: Gauge,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Write {
    effect: &'static str,
}

/// What is remembered of the latest passes.
#[derive(Debug, Default)]
struct Seen {
    /// When every server replica last answered.
    complete_time: Option<Timestamp>,
    /// By the UID of the KeySet.
    sets: HashMap<String, Set>,
}

#[derive(Debug, Default)]
struct Set {
    activation_time: Option<Timestamp>,
    next_transition_time: Option<Timestamp>,
    conditions: Vec<Verdict>,
    keys: Vec<State>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, EncodeLabelSet)]
struct Verdict {
    condition: String,
    status: &'static str,
    reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, EncodeLabelSet)]
struct State {
    state: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            passes: Family::default(),
            duration: Histogram::new(DURATIONS),
            writes: Family::default(),
            leading: Gauge::default(),
            replicas: Gauge::default(),
            complete: Gauge::default(),
            seen: Arc::default(),
        }
    }
}

impl Metrics {
    /// Registers everything; `clock` gives the time of a scrape.
    pub fn register(&self, registry: &mut Registry, clock: fn() -> Timestamp) {
        registry.register("keyset_reconcile_passes", "Passes by outcome", self.passes.clone());
        registry.register("keyset_reconcile_duration_seconds", "How long passes took", self.duration.clone());
        registry.register("keyset_reconcile_writes", "Writes by what they do", self.writes.clone());
        registry.register("keyset_leader", "Whether this replica leads", self.leading.clone());
        registry.register(
            "keyset_visible_replicas",
            "Server replicas that answered the latest pass",
            self.replicas.clone(),
        );
        registry.register(
            "keyset_visibility_complete",
            "Whether every server replica answered the latest pass",
            self.complete.clone(),
        );
        registry.register_collector(Box::new(Scrape { seen: Arc::clone(&self.seen), clock }));
    }

    /// This replica leads.
    pub fn leads(&self) {
        self.leading.set(1);
    }

    /// A plan was made for what was observed.
    pub fn planned(&self, observed: &Observed, plan: &Plan) {
        for effect in &plan.effects {
            self.writes.get_or_create(&Write { effect: name(effect) }).inc();
        }
        let mut seen = lock(&self.seen);
        if let Some(pass) = &observed.pass {
            let is_complete = pass.state == PassState::Complete;
            self.replicas.set(i64::try_from(pass.replicas.len()).unwrap_or(i64::MAX));
            self.complete.set(i64::from(is_complete));
            if is_complete {
                seen.complete_time = seen.complete_time.max(Some(pass.time));
            }
        }
        let active = plan.status.keys.iter().find(|key| Some(&key.name) == plan.status.active_key_name.as_ref());
        let set = Set {
            activation_time: active.and_then(|key| key.activation_time),
            next_transition_time: plan.status.next_transition.as_ref().and_then(|next| next.earliest_time),
            conditions: plan.status.conditions.iter().map(Verdict::of).collect(),
            keys: plan.status.keys.iter().map(|key| State { state: state(key.state) }).collect(),
        };
        seen.sets.insert(observed.key_set.uid.clone(), set);
    }

    /// A pass ended, well or not, after that long.
    pub fn took(&self, duration: Duration) {
        self.duration.observe(duration.as_secs_f64());
    }

    /// A pass ended with nothing left to write.
    pub fn settled(&self) {
        self.passes.get_or_create(&Outcome { outcome: "Settled" }).inc();
    }

    /// A pass failed, for one of the controller's reasons.
    pub fn failed(&self, reason: &'static str) {
        self.passes.get_or_create(&Outcome { outcome: reason }).inc();
    }

    /// A KeySet is gone.
    pub fn gone(&self, uid: &str) {
        lock(&self.seen).sets.remove(uid);
    }
}

impl Set {
    fn is_true(&self, r#type: &str) -> bool {
        self.conditions.iter().any(|it| it.condition == r#type && it.status == "True")
    }
}

impl Verdict {
    fn of(condition: &Condition) -> Self {
        let status = match condition.status {
            ConditionStatus::True => "True",
            ConditionStatus::False => "False",
            ConditionStatus::Unknown => "Unknown",
        };
        Self { condition: condition.r#type.clone(), status, reason: condition.reason.clone() }
    }
}

/// Ages, waits and counts, as they are at the time of the scrape.
#[derive(Debug)]
struct Scrape {
    seen: Arc<Mutex<Seen>>,
    clock: fn() -> Timestamp,
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let now = (self.clock)();
        let seen = lock(&self.seen);
        let sets = || seen.sets.values();
        let oldest = sets().filter_map(|set| set.activation_time).min();
        let next = sets().filter_map(|set| set.next_transition_time).min();
        let count_of = |r#type: &str| float(sets().filter(|set| set.is_true(r#type)).count());
        let age = |time: Timestamp| now.duration_since(time).as_secs_f64();
        let gauges = [
            ("keyset_key_sets", "KeySets that this replica looks after", Some(float(sets().count()))),
            ("keyset_key_sets_ready", "KeySets that are Ready", Some(count_of(condition::READY))),
            (
                "keyset_key_sets_overdue",
                "KeySets whose rotation is overdue",
                Some(count_of(condition::ROTATION_OVERDUE)),
            ),
            ("keyset_oldest_active_key_age_seconds", "Age of the oldest key that signs", oldest.map(age)),
            (
                "keyset_next_transition_seconds",
                "Seconds until the next transition of any KeySet; negative when it is held back",
                next.map(|time| -age(time)),
            ),
            (
                "keyset_visibility_age_seconds",
                "Seconds since every server replica answered a pass",
                seen.complete_time.map(age),
            ),
        ];
        for (name, help, value) in gauges {
            let Some(value) = value else { continue };
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        let conditions = sets().flat_map(|set| &set.conditions);
        family(&mut encoder, "keyset_key_set_conditions", "KeySets by what a condition of theirs says", conditions)?;
        family(&mut encoder, "keyset_keys", "Keys by state", sets().flat_map(|set| &set.keys))
    }
}

/// A gauge that says how often each of `labels` occurs.
fn family<'a, L: EncodeLabelSet + Ord + 'a>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    labels: impl Iterator<Item = &'a L>,
) -> Result<(), std::fmt::Error> {
    let mut counts = BTreeMap::<&L, usize>::new();
    for label in labels {
        *counts.entry(label).or_default() += 1;
    }
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (label, count) in counts {
        ConstGauge::new(float(count)).encode(metric.encode_family(label)?)?;
    }
    Ok(())
}

fn float(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn state(state: KeyState) -> &'static str {
    match state {
        KeyState::Pending => "Pending",
        KeyState::Published => "Published",
        KeyState::Standby => "Standby",
        KeyState::Active => "Active",
        KeyState::Retiring => "Retiring",
        KeyState::Removed => "Removed",
        KeyState::Revoked => "Revoked",
        KeyState::External => "External",
    }
}

fn name(effect: &Effect) -> &'static str {
    match effect {
        Effect::RecordStatus => "RecordStatus",
        Effect::StageKey { .. } => "StageKey",
        Effect::AdoptKey { .. } => "AdoptKey",
        Effect::ImportKey { .. } => "ImportKey",
        Effect::WriteSigner { .. } => "WriteSigner",
        Effect::RecordKey { .. } => "RecordKey",
        Effect::ApplyConfigMap { .. } => "ApplyConfigMap",
        Effect::RebuildKeySecret { .. } => "RebuildKeySecret",
        Effect::DeleteKeySecret { .. } => "DeleteKeySecret",
        Effect::DeleteSigningKey { .. } => "DeleteSigningKey",
        Effect::RecordOwnership { .. } => "RecordOwnership",
        Effect::MarkWorkload { .. } => "MarkWorkload",
    }
}

/// From a pass with nothing to do to one that makes a large RSA key.
const DURATIONS: [f64; 9] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;
    use crate::telemetry::documented;

    #[test]
    fn docs_metrics_md_lists_every_metric() {
        let metrics = Metrics::default();
        metrics.settled();
        metrics.took(Duration::from_millis(7));
        metrics.writes.get_or_create(&Write { effect: "StageKey" }).inc();
        let time = Some("2026-01-01T00:00:00Z".parse().unwrap());
        let set = Set {
            activation_time: time,
            next_transition_time: time,
            conditions: vec![verdict("Ready", "Serving")],
            keys: vec![State { state: "Active" }],
        };
        let mut seen = metrics.seen.lock().unwrap();
        seen.complete_time = time;
        seen.sets.insert("uid".to_owned(), set);
        drop(seen);
        assert_eq!(documented::in_docs("## Controller"), documented::in_registry(&registry(&metrics)));
    }

    #[test]
    fn what_conditions_say_is_counted_over_all_key_sets_until_they_are_gone() {
        let metrics = Metrics::default();
        for (uid, reason) in [("a", "Serving"), ("b", "Serving"), ("c", "NoActiveKey")] {
            let set = Set { conditions: vec![verdict("Ready", reason)], ..Set::default() };
            metrics.seen.lock().unwrap().sets.insert(uid.to_owned(), set);
        }
        let text = |metrics: &Metrics| {
            let mut text = String::new();
            encode(&mut text, &registry(metrics)).unwrap();
            text
        };
        let lost = "keyset_key_set_conditions{condition=\"Ready\",status=\"True\",reason=\"NoActiveKey\"} 1.0\n";
        let serving = "keyset_key_set_conditions{condition=\"Ready\",status=\"True\",reason=\"Serving\"} 2.0\n";
        let scraped = text(&metrics);
        assert!(scraped.contains(lost) && scraped.contains(serving), "{scraped}");
        metrics.gone("c");
        let scraped = text(&metrics);
        assert!(!scraped.contains("NoActiveKey") && scraped.contains(serving), "{scraped}");
    }

    fn registry(metrics: &Metrics) -> Registry {
        let mut registry = Registry::default();
        metrics.register(&mut registry, || "2026-01-01T00:01:00Z".parse().unwrap());
        registry
    }

    fn verdict(condition: &str, reason: &str) -> Verdict {
        Verdict { condition: condition.to_owned(), status: "True", reason: reason.to_owned() }
    }
}
