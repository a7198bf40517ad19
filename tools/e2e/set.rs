//! A KeySet and its objects, as `kubectl get` shows them.

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use keyset_operator::api::KeySet;
use serde_json::{Value, json};

use super::{
    Failure, clock,
    commands::{get, merge, until},
};

/// The lengths of a KeySet that others go by, as its manifest has them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contract {
    /// T.
    pub(crate) lifetime: Duration,
    /// C.
    pub(crate) cache_age: Duration,
    /// L.
    pub(crate) reload_lag: Duration,
}

impl Contract {
    pub(crate) fn read(manifests: &str, set: Set) -> Result<Self, Failure> {
        let key_sets: Vec<KeySet> = serde_saphyr::from_multiple(manifests)?;
        let named = |key_set: &KeySet| key_set.metadata.name.as_deref() == Some(set.name);
        let spec = key_sets.into_iter().find(named).ok_or("the set has no manifest")?.spec;
        Ok(Self {
            lifetime: spec.tokens.max_lifetime.length().try_into()?,
            cache_age: spec.verifiers.max_cache_age.length().try_into()?,
            reload_lag: spec.signers.max_reload_lag.length().try_into()?,
        })
    }
}

/// A KeySet of this name, in this namespace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Set {
    pub(crate) namespace: &'static str,
    pub(crate) name: &'static str,
}

impl Set {
    pub(crate) async fn status(&self) -> Result<Value, Failure> {
        Ok(self.read("keyset", "").await?["status"].clone())
    }

    /// An object that belongs to the set: `{name}{suffix}`.
    pub(crate) async fn read(&self, kind: &str, suffix: &str) -> Result<Value, Failure> {
        get(&format!("{kind} -n {} {}{suffix}", self.namespace, self.name)).await
    }

    /// Kid and term of the Signer Secret.
    pub(crate) async fn signer(&self) -> Result<(String, u64), Failure> {
        let secret = self.read("secret", "-signing-key").await?;
        let annotation = |name: &str| secret["metadata"]["annotations"][format!("keyset.dev/{name}")].as_str();
        let kid = annotation("key-id").ok_or("a Signer Secret names its kid")?;
        Ok((kid.to_owned(), annotation("term").ok_or("a Signer Secret names its term")?.parse()?))
    }

    /// The kids that the ConfigMap has.
    pub(crate) async fn published(&self) -> Result<BTreeSet<String>, Failure> {
        let config_map = self.read("configmap", "-jwks").await?;
        let document: Value = serde_json::from_str(config_map["data"]["jwks.json"].as_str().ok_or("no document")?)?;
        let keys = document["keys"].as_array().ok_or("a set has keys")?;
        Ok(keys.iter().filter_map(|key| key["kid"].as_str().map(str::to_owned)).collect())
    }

    pub(crate) async fn edit(&self, spec: Value) -> Result<(), Failure> {
        merge(&format!("keyset -n {} {}", self.namespace, self.name), &json!({ "spec": spec })).await
    }

    pub(crate) async fn rotate(&self) -> Result<(), Failure> {
        let now = Timestamp::from_millisecond(clock().as_millisecond())?;
        self.edit(json!({ "rotation": { "after": now.to_string() } })).await
    }

    /// Waits until it is Ready, its standby may sign, and what was asked for is done.
    pub(crate) async fn until_settled(&self) -> Result<(String, u64), Failure> {
        until(&format!("{} to settle", self.name), 120, async || {
            let object = self.read("keyset", "").await?;
            let is_seen = object["status"]["observedGeneration"] == object["metadata"]["generation"];
            let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let holds = |kind: &str| {
                conditions.iter().any(|condition| condition["type"] == kind && condition["status"] == "True")
            };
            Ok((is_seen && holds("Ready") && holds("StandbyReady")).then_some(()))
        })
        .await?;
        self.signer().await
    }

    /// Waits until a key signs that is not this one; gives its kid and when it took over.
    pub(crate) async fn until_switched(&self, from: &str) -> Result<(String, Timestamp), Failure> {
        until(&format!("{} to rotate", self.name), 90, async || {
            let status = self.status().await?;
            let Some(kid) = status["activeKeyID"].as_str().filter(|kid| *kid != from) else { return Ok(None) };
            let keys = status["keys"].as_array().ok_or("a status has keys")?;
            let active = keys.iter().find(|key| key["keyID"] == kid).ok_or("an active key is among them")?;
            let time = active["activationTime"].as_str().ok_or("an active key says since when")?;
            Ok(Some((kid.to_owned(), time.parse()?)))
        })
        .await
    }

    /// Waits until a kid is not published any more.
    pub(crate) async fn until_removed(&self, kid: &str) -> Result<(), Failure> {
        until(&format!("{kid} to leave"), 120, async || Ok((!self.published().await?.contains(kid)).then_some(())))
            .await
    }
}
