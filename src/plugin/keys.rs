//! The keys of a KeySet as its caller may see them: SigningKeys, and what the status tells of them.
//!
//! Invariant: an emergency needs no more than the KeySet itself. Who may not list SigningKeys still finds every key that
//! the status tells of.

use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{Api, DynamicObject, ListParams};
use kube::core::ApiResource;
use serde_json::Value;

use super::error::Error;
use super::session::Session;
use crate::api::{KeySet, KeyState, KeyStatus, Lifecycle, Origin, PrivateKeyState, SigningKey};
use crate::jose::KeyId;
use crate::lifecycle::Contract;

/// The key that a verb is about.
#[derive(Debug, clap::Args)]
pub(super) struct Meant {
    /// KeySet of the key
    #[arg(value_name = "NAME")]
    pub(super) name: String,
    /// Key that is meant: its kid, the beginning of it, or the name of its SigningKey
    // A kid in base64url may begin with a dash.
    #[arg(value_name = "KID", allow_hyphen_values = true)]
    pub(super) key: String,
}

/// A KeySet and its keys, read one after the other.
pub(super) struct Known {
    pub(super) key_set: KeySet,
    /// The spec as it is stored, with fields that this version may not know.
    pub(super) spec: Value,
    /// By sequence.
    pub(super) keys: Vec<Key>,
}

/// One key: its record, its line in the status, or both.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) record: Option<SigningKey>,
    pub(super) status: Option<KeyStatus>,
}

impl Known {
    pub(super) async fn read(session: &Session, name: &str) -> Result<Self, Error> {
        let resource = ApiResource::erase::<KeySet>(&());
        let api: Api<DynamicObject> = Api::namespaced_with(session.client.clone(), &session.namespace, &resource);
        let object = api.get(name).await.map_err(|error| session.absent(name, error))?;
        let spec = object.data["spec"].clone();
        let decoded = serde_json::to_value(object).and_then(serde_json::from_value);
        let key_set: KeySet = decoded.map_err(|error| Error::api(kube::Error::SerdeError(error)))?;
        let told = key_set.status.as_ref().map(|status| status.keys.as_slice());
        let keys = keys(told.unwrap_or_default(), records(session, name).await?);
        Ok(Self { key_set, spec, keys })
    }

    pub(super) fn contract(&self) -> Contract {
        Contract::new(&self.key_set.spec)
    }

    /// The key that signs.
    pub(super) fn active(&self) -> Option<&Key> {
        let name = self.key_set.status.as_ref()?.active_key_name.as_ref()?;
        self.keys.iter().find(|key| key.name == *name)
    }

    /// When the key that signs took over.
    pub(super) fn active_since(&self) -> Option<Timestamp> {
        self.key_set.status.as_ref()?.last_rotation.as_ref().map(|rotation| rotation.time)
    }

    /// The key that a person means: by its kid, its name, or the beginning of its kid.
    pub(super) fn find(&self, wanted: &str) -> Result<&Key, Error> {
        let is = |key: &&Key| key.kid().is_some_and(|kid| kid.as_str() == wanted);
        // A kid that was used again is the newest key's.
        if let Some(key) = self.keys.iter().rev().find(is).or_else(|| self.keys.iter().find(|key| key.name == wanted)) {
            return Ok(key);
        }
        let begins = |key: &&Key| key.kid().is_some_and(|kid| kid.as_str().starts_with(wanted));
        let found: Vec<&Key> = self.keys.iter().filter(begins).collect();
        match found[..] {
            [key] => Ok(key),
            [] => Err(Error::Refused(format!("no key of {} is {wanted}: it has {}", self.name(), self.list()))),
            _ => {
                let names: Vec<&str> = found.iter().map(|key| key.name.as_str()).collect();
                Err(Error::Refused(format!("{wanted} may be {}: give more of the kid", names.join(" or "))))
            }
        }
    }

    pub(super) fn name(&self) -> String {
        self.key_set.name_any()
    }

    fn list(&self) -> String {
        let told = self.keys.iter().map(|key| match key.kid() {
            Some(kid) => format!("{} (kid {kid})", key.name),
            None => key.name.clone(),
        });
        let told: Vec<String> = told.collect();
        if told.is_empty() { "none yet".to_owned() } else { told.join(", ") }
    }
}

impl Key {
    pub(super) fn kid(&self) -> Option<&KeyId> {
        let recorded = self.record.as_ref().and_then(|record| record.spec.public_jwk.as_ref());
        recorded.map(crate::jose::PublicJwk::kid).or_else(|| self.status.as_ref()?.key_id.as_ref())
    }

    /// The kid of a key that is known to have one.
    pub(super) fn named(&self) -> Result<&KeyId, Error> {
        self.kid().ok_or_else(|| Error::Refused(format!("{} is still being made and has no kid yet", self.name)))
    }

    /// The ledger; of a key that only the status tells of, what that has of it.
    pub(super) fn lifecycle(&self) -> Lifecycle {
        let told = || {
            let status = self.status.as_ref()?;
            Some(Lifecycle {
                activation_time: status.activation_time,
                retirement_time: status.retirement_time,
                earliest_removal_time: status.earliest_removal_time,
                ..Lifecycle::default()
            })
        };
        let record = self.record.as_ref().and_then(|record| record.spec.lifecycle.clone());
        record.or_else(told).unwrap_or_default()
    }

    pub(super) fn state(&self) -> Option<KeyState> {
        let lifecycle = self.lifecycle();
        match () {
            () if lifecycle.revocation_time.is_some() => Some(KeyState::Revoked),
            () if lifecycle.removal_time.is_some() => Some(KeyState::Removed),
            () => self.status.as_ref().map(|status| status.state),
        }
    }

    pub(super) fn is_external(&self) -> bool {
        self.record.as_ref().is_some_and(|record| record.spec.origin == Origin::External)
            || self.state() == Some(KeyState::External)
    }

    /// Whether the private half is there, as far as it was told.
    pub(super) fn has_private(&self) -> bool {
        let recorded = self.record.as_ref().and_then(|record| record.status.as_ref()?.private_key);
        self.status.as_ref().and_then(|status| status.private_key).or(recorded) == Some(PrivateKeyState::Stored)
    }

    /// From when every verifier knows it.
    pub(super) fn may_sign_from(&self) -> Option<Timestamp> {
        self.status.as_ref().and_then(|status| status.earliest_activation_time)
    }

    /// The number of the key.
    pub(super) fn sequence(&self) -> i64 {
        let told = || self.name.rsplit('-').next().and_then(|sequence| sequence.parse().ok());
        self.record.as_ref().map(|record| record.spec.sequence).or_else(told).unwrap_or_default()
    }
}

/// The SigningKeys of a KeySet, be it gone. None, if the caller may not see them or they are of a later version.
pub(super) async fn records(session: &Session, key_set: &str) -> Result<Vec<SigningKey>, Error> {
    match list(session, &session.namespace, key_set).await {
        Ok(records) => Ok(records),
        Err(kube::Error::Api(status)) if status.code == 403 => Ok(Vec::new()),
        Err(kube::Error::SerdeError(_)) => Ok(Vec::new()),
        Err(error) => Err(Error::api(error)),
    }
}

/// The SigningKeys of a KeySet.
pub(super) async fn list(session: &Session, namespace: &str, key_set: &str) -> Result<Vec<SigningKey>, kube::Error> {
    let api: Api<SigningKey> = Api::namespaced(session.client.clone(), namespace);
    Ok(api.list(&ListParams::default().fields(&format!("spec.keySetName={key_set}"))).await?.items)
}

/// The keys that have a record, a line in the status, or both; by sequence.
pub(super) fn keys(told: &[KeyStatus], records: Vec<SigningKey>) -> Vec<Key> {
    let status = |name: &str| told.iter().find(|key| key.name == name).cloned();
    let mut keys: Vec<Key> = records
        .into_iter()
        .map(|record| Key { name: record.name_any(), status: status(&record.name_any()), record: Some(record) })
        .collect();
    for status in told {
        if keys.iter().all(|key| key.name != status.name) {
            keys.push(Key { name: status.name.clone(), record: None, status: Some(status.clone()) });
        }
    }
    keys.sort_by_key(Key::sequence);
    keys
}
