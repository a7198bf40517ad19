//! Snapshots of the keys: what the records and the status say now.

use jiff::Timestamp;
use kube::api::ListParams;
use kube::{Api, ResourceExt};

use super::Arguments;
use super::model::{Seen, Snapshot, Timeline, lives};
use super::window::{Asked, horizon, window};
use crate::api::{KeySet, KeyStatus, SigningKey};
use crate::plugin::error::Error;
use crate::plugin::session::Session;

/// Asks for the set and its records.
pub(super) async fn read(session: &Session, arguments: &Arguments) -> Result<Timeline, Error> {
    let key_set = session.key_set(&arguments.name).await?;
    let records: Api<SigningKey> = Api::namespaced(session.client.clone(), &session.namespace);
    let of_set = ListParams::default().fields(&format!("spec.keySetName={}", arguments.name));
    let records = records.list(&of_set).await.map_err(Error::api)?.items;
    let asked = Asked { since: arguments.since, until: arguments.until };
    Ok(timeline(&key_set, &records, asked, session.now))
}

/// The window that was asked for.
pub(super) fn timeline(key_set: &KeySet, records: &[SigningKey], asked: Asked, now: Timestamp) -> Timeline {
    let snapshots = vec![recorded(key_set, records, now)];
    let keys = lives(&snapshots, &key_set.spec);
    let (from, until) = window(asked, &keys, now, horizon(asked, &key_set.spec, now));
    let namespace = key_set.namespace().unwrap_or_default();
    Timeline { namespace, name: key_set.name_any(), now, from, until, keys }
}

/// What the records and the status of the set say, oldest key first.
fn recorded(key_set: &KeySet, records: &[SigningKey], now: Timestamp) -> Snapshot {
    let evidence: &[KeyStatus] = key_set.status.as_ref().map(|status| status.keys.as_slice()).unwrap_or_default();
    let mut records: Vec<&SigningKey> = records.iter().collect();
    records.sort_by_key(|record| record.spec.sequence);
    let seen = |record: &&SigningKey| {
        let name = record.name_any();
        let evidence = evidence.iter().find(|key| key.name == name);
        Seen {
            key_id: record.spec.public_jwk.as_ref().map(|jwk| jwk.kid().clone()),
            algorithm: record.spec.algorithm,
            origin: record.spec.origin,
            made: record.creation_timestamp().map(|time| time.0),
            lifecycle: record.spec.lifecycle.clone().unwrap_or_default(),
            publish_time: evidence.and_then(|key| key.publish_time),
            visible_time: evidence.and_then(|key| key.visible_time),
            earliest_activation_time: evidence.and_then(|key| key.earliest_activation_time),
            private_key: record.status.as_ref().and_then(|status| status.private_key),
            name,
        }
    };
    Snapshot { time: now, keys: records.iter().map(seen).collect() }
}
