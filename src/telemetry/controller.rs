//! Metrics of the controller. Sums and extremes over all KeySets: no label is a name.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;

use crate::api::ConditionStatus;
use crate::lifecycle::{Effect, Observed, PassState, Plan};

/// What the controller counts.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    passes: Family<Outcome, Counter>,
    writes: Family<Write, Counter>,
    leading: Gauge,
    replicas: Gauge,
    complete: Gauge,
    sets: Arc<Mutex<HashMap<String, Set>>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Write {
    effect: &'static str,
}

/// What is remembered of one KeySet, by its UID.
#[derive(Clone, Debug, Default)]
struct Set {
    activation_time: Option<Timestamp>,
    next_transition_time: Option<Timestamp>,
    overdue: bool,
    ready: bool,
}

impl Metrics {
    /// Registers everything; `clock` gives the time of a scrape.
    pub fn register(&self, registry: &mut Registry, clock: fn() -> Timestamp) {
        registry.register("keyset_reconcile_passes", "Passes by outcome", self.passes.clone());
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
        registry.register_collector(Box::new(Sets { sets: Arc::clone(&self.sets), clock }));
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
        if let Some(pass) = &observed.pass {
            self.replicas.set(i64::try_from(pass.replicas.len()).unwrap_or(i64::MAX));
            self.complete.set(i64::from(pass.state == PassState::Complete));
        }
        let is_true = |r#type: &str| {
            plan.status.conditions.iter().any(|it| it.r#type == r#type && it.status == ConditionStatus::True)
        };
        let active = plan.status.keys.iter().find(|key| Some(&key.name) == plan.status.active_key_name.as_ref());
        let set = Set {
            activation_time: active.and_then(|key| key.activation_time),
            next_transition_time: plan.status.next_transition.as_ref().and_then(|next| next.earliest_time),
            overdue: is_true("RotationOverdue"),
            ready: is_true("Ready"),
        };
        self.sets.lock().unwrap_or_else(PoisonError::into_inner).insert(observed.key_set.uid.clone(), set);
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
        self.sets.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

/// Ages and waits, as they are at the time of the scrape.
#[derive(Debug)]
struct Sets {
    sets: Arc<Mutex<HashMap<String, Set>>>,
    clock: fn() -> Timestamp,
}

impl Collector for Sets {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let now = (self.clock)();
        let sets: Vec<Set> = self.sets.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        let count = |wanted: fn(&Set) -> bool| {
            f64::from(u32::try_from(sets.iter().filter(|set| wanted(set)).count()).unwrap_or(u32::MAX))
        };
        let oldest = sets.iter().filter_map(|set| set.activation_time).min();
        let next = sets.iter().filter_map(|set| set.next_transition_time).min();
        let gauges = [
            ("keyset_key_sets", "KeySets that this replica looks after", Some(count(|_| true))),
            ("keyset_key_sets_ready", "KeySets that are Ready", Some(count(|set| set.ready))),
            ("keyset_key_sets_overdue", "KeySets whose rotation is overdue", Some(count(|set| set.overdue))),
            (
                "keyset_oldest_active_key_age_seconds",
                "Age of the oldest key that signs",
                oldest.map(|time| now.duration_since(time).as_secs_f64()),
            ),
            (
                "keyset_next_transition_seconds",
                "Seconds until the next transition of any KeySet; negative when it is held back",
                next.map(|time| time.duration_since(now).as_secs_f64()),
            ),
        ];
        for (name, help, value) in gauges {
            let Some(value) = value else { continue };
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::documented;

    #[test]
    fn docs_metrics_md_lists_every_metric() {
        let metrics = Metrics::default();
        let mut registry = Registry::default();
        let scraped_at: fn() -> Timestamp = || "2026-01-01T00:01:00Z".parse().unwrap();
        metrics.register(&mut registry, scraped_at);
        metrics.settled();
        metrics.writes.get_or_create(&Write { effect: "StageKey" }).inc();
        let time = Some("2026-01-01T00:00:00Z".parse().unwrap());
        let set = Set { activation_time: time, next_transition_time: time, ..Set::default() };
        metrics.sets.lock().unwrap().insert("uid".to_owned(), set);
        assert_eq!(documented::in_docs("## Controller"), documented::in_registry(&registry));
    }
}
