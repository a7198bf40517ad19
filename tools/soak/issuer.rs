//! The issuers: what is applied, and what their signers and verifiers hold themselves to.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use keyset_operator::api::KeySet;
use serde_json::json;

use super::chronicle::Chronicle;

/// One KeySet with its people.
pub(crate) struct Issuer {
    pub(crate) name: String,
    /// The algorithms that its user changes between; the first one is that of the beginning.
    pub(crate) algorithms: &'static [&'static str],
    /// `T`, as the signer keeps it.
    pub(crate) lifetime: Length,
    /// `C`, as the verifiers keep it.
    pub(crate) cache_age: Length,
    /// What happened to it.
    pub(crate) chronicle: Chronicle,
    /// Whether what a new server would load was just lost: it has nothing to serve until that is put right.
    pub(crate) is_damaged: AtomicBool,
    interval: Duration,
}

/// A length of time that its owner may change while others read it.
#[derive(Debug)]
pub(crate) struct Length(AtomicU64);

impl Length {
    const fn seconds(seconds: u64) -> Self {
        Self(AtomicU64::new(seconds))
    }

    pub(crate) fn length(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::SeqCst))
    }

    pub(crate) fn set(&self, seconds: u64) {
        self.0.store(seconds, Ordering::SeqCst);
    }
}

impl Issuer {
    /// All of them.
    pub(crate) fn all() -> Vec<Self> {
        FLEET
            .iter()
            .flat_map(|&(count, algorithms, interval)| {
                (1..=count).map(move |number| {
                    let name = format!("{}-{number}", algorithms[0].to_lowercase());
                    Self {
                        name,
                        algorithms,
                        lifetime: Length::seconds(LIFETIME),
                        cache_age: Length::seconds(CACHE_AGE),
                        chronicle: Chronicle::default(),
                        is_damaged: AtomicBool::new(false),
                        interval,
                    }
                })
            })
            .collect()
    }

    /// The shortest lawful contract, but for what is signed and cached: those edges are to be met often.
    pub(crate) fn manifest(&self) -> serde_json::Result<KeySet> {
        serde_json::from_value(json!({
            "apiVersion": "keyset.dev/v1alpha1",
            "kind": "KeySet",
            "metadata": { "name": self.name, "namespace": NAMESPACE },
            "spec": {
                "algorithm": self.algorithms[0],
                "tokens": { "maxLifetime": format!("{LIFETIME}s") },
                "verifiers": { "maxCacheAge": format!("{CACHE_AGE}s") },
                "signers": { "maxReloadLag": format!("{}s", RELOAD_LAG.as_secs()) },
                "clockSkew": "1s",
                "rotation": { "interval": format!("{}s", self.interval.as_secs()), "rollbackWindow": "3s" },
                "retention": { "margin": "1s", "historyLimit": 1 },
                "publication": { "cacheMaxAge": "1s", "maxDelay": "1s" },
            },
        }))
    }

    /// The name of the Signer Secret.
    pub(crate) fn signer_secret(&self) -> String {
        format!("{}-signing-key", self.name)
    }

    /// The name of the JWKS ConfigMap.
    pub(crate) fn config_map(&self) -> String {
        format!("{}-jwks", self.name)
    }

    /// Of the set, at every server.
    pub(crate) fn path(&self) -> String {
        format!("/{NAMESPACE}/{}/jwks.json", self.name)
    }
}

pub(crate) const NAMESPACE: &str = "soak";
/// `L`.
pub(crate) const RELOAD_LAG: Duration = Duration::from_secs(1);
/// What `T` may be, in seconds.
pub(crate) const LIFETIMES: std::ops::Range<u64> = 3..6;
/// What `C` may be, in seconds.
pub(crate) const CACHE_AGES: std::ops::Range<u64> = 1..4;

const LIFETIME: u64 = 4;
const CACHE_AGE: u64 = 2;

type Kind = (usize, &'static [&'static str], Duration);

const OFTEN: Duration = Duration::from_secs(7);
/// To make an RSA key costs a good part of a second.
const SELDOM: Duration = Duration::from_secs(30);

/// How many, of which algorithm and its changes, rotating at what age. Each stays within one family and its neighbours.
const FLEET: [Kind; 7] = [
    (9, &["ES256", "ES384"], OFTEN),
    (4, &["ES384", "EdDSA"], OFTEN),
    (3, &["ES512", "ES256"], OFTEN),
    (3, &["EdDSA", "ES256"], OFTEN),
    (3, &["Ed25519", "EdDSA"], OFTEN),
    (2, &["RS256", "PS256"], SELDOM),
    (1, &["PS256", "RS256"], SELDOM),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_25_of_every_algorithm_with_names_of_their_own() {
        let all = Issuer::all();
        let names: std::collections::BTreeSet<_> = all.iter().map(|issuer| issuer.name.as_str()).collect();
        assert_eq!((all.len(), names.len()), (25, 25));
        for issuer in &all {
            assert_eq!(issuer.manifest().unwrap().spec.algorithm.name(), issuer.algorithms[0]);
        }
    }
}
