//! The metrics of the server.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use http::StatusCode;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::{ConstGauge, Gauge},
    },
    registry::Registry,
};

use crate::scope::Scope;

/// What the server counts. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    requests: Family<Request, Counter>,
    connections: Gauge,
    sets: Family<State, Gauge>,
    fingerprint: Gauge,
    lists: Arc<Mutex<HashMap<List, Instant>>>,
    refused: Family<Reason, Gauge>,
    watch_errors: Family<Kind, Counter>,
    undecodable: Family<Kind, Counter>,
    tls_reloads: Family<Outcome, Counter>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    route: &'static str,
    code: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

/// Kind and scope.
type List = (String, Scope);

impl Metrics {
    /// Metrics that `registry` reports.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let registry = registry.sub_registry_with_prefix("keyset_server");
        registry.register("requests", "Requests answered on the public port", metrics.requests.clone());
        registry.register("connections", "Open connections on the public port", metrics.connections.clone());
        registry.register("sets", "Sets known to this process", metrics.sets.clone());
        registry.register("sets_fingerprint", "Differs if sets differ", metrics.fingerprint.clone());
        registry.register_collector(Box::new(Lists(Arc::clone(&metrics.lists))));
        registry.register("refused_documents", "Sets whose current document is refused", metrics.refused.clone());
        registry.register("watch_errors", "Failed lists and watches", metrics.watch_errors.clone());
        registry.register("undecodable_objects", "Objects seen that could not be read", metrics.undecodable.clone());
        registry.register("tls_reloads", "Changes of the TLS files", metrics.tls_reloads.clone());
        metrics
    }

    /// A request was answered.
    pub fn request(&self, route: &'static str, code: StatusCode) {
        self.requests.get_or_create(&Request { route, code: code.as_u16() }).inc();
    }

    /// So many connections are open.
    pub fn connections(&self, count: usize) {
        self.connections.set(gauge(count));
    }

    /// So many sets are served, and so many have no document yet.
    pub fn sets(&self, served: usize, waiting: usize) {
        self.sets.get_or_create(&State { state: "Served" }).set(gauge(served));
        self.sets.get_or_create(&State { state: "Waiting" }).set(gauge(waiting));
    }

    /// What two processes have in common as long as they serve the same.
    pub fn fingerprint(&self, fingerprint: u32) {
        self.fingerprint.set(fingerprint.into());
    }

    /// All objects of a kind were read, or are asked for from now on.
    pub fn listed(&self, kind: &str, scope: &Scope, now: Instant) {
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        lists.insert((kind.to_owned(), scope.clone()), now);
    }

    /// So many documents are refused for that reason.
    pub fn refused(&self, reason: &'static str, count: usize) {
        self.refused.get_or_create(&Reason { reason }).set(gauge(count));
    }

    /// A list or a watch failed.
    pub fn watch_error(&self, kind: &str) {
        self.watch_errors.get_or_create(&Kind { kind: kind.to_owned() }).inc();
    }

    /// An object could not be read.
    pub fn undecodable(&self, kind: &str) {
        self.undecodable.get_or_create(&Kind { kind: kind.to_owned() }).inc();
    }

    /// The TLS files changed.
    pub fn tls_reload(&self, outcome: &'static str) {
        self.tls_reloads.get_or_create(&Outcome { outcome }).inc();
    }
}

/// The age of the oldest list, as it is at the time of the scrape.
#[derive(Debug)]
struct Lists(Arc<Mutex<HashMap<List, Instant>>>);

impl Collector for Lists {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let oldest = self.0.lock().unwrap_or_else(PoisonError::into_inner).values().min().copied();
        let Some(oldest) = oldest else { return Ok(()) };
        let gauge = ConstGauge::new(oldest.elapsed().as_secs_f64());
        let help = "Age of the oldest of the lists that the sets come from";
        gauge.encode(encoder.encode_descriptor("list_age_seconds", help, None, gauge.metric_type())?)
    }
}

fn gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prometheus_client::encoding::text::encode;

    use super::*;
    use crate::telemetry::documented;

    #[test]
    fn docs_metrics_md_lists_every_metric() {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        metrics.request("jwks", StatusCode::OK);
        metrics.sets(1, 1);
        metrics.listed("KeySet", &Scope::Cluster, Instant::now());
        metrics.refused("Missing", 0);
        metrics.watch_error("KeySet");
        metrics.undecodable("KeySet");
        metrics.tls_reload("Loaded");
        assert_eq!(documented::in_docs("## Server"), documented::in_registry(&registry));
    }
    #[test]
    fn the_oldest_list_counts() {
        let metrics = Metrics::default();
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Lists(Arc::clone(&metrics.lists))));
        let age = || {
            let mut text = String::new();
            encode(&mut text, &registry).unwrap();
            let line = text.lines().find_map(|line| line.strip_prefix("list_age_seconds "));
            line.map(|age| age.parse::<f64>().unwrap())
        };
        assert_eq!(age(), None);
        let (now, a, b) = (Instant::now(), Scope::Namespace("a".into()), Scope::Namespace("b".into()));
        let earlier = now.checked_sub(Duration::from_mins(10)).unwrap();
        metrics.listed("KeySet", &a, earlier);
        metrics.listed("KeySet", &b, now);
        assert!(age().unwrap() >= 600.0);
        metrics.listed("KeySet", &a, now);
        assert!(age().unwrap() < 60.0);
    }
}
