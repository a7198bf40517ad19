//! Snapshots of the keys: what the records and the status say now, and what the forecast says of each step to come.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::ResourceExt;

use super::Arguments;
use super::lives::{Seen, Snapshot, lives};
use super::model::Timeline;
use super::window::{Asked, horizon, window};
use crate::api::{KeyStatus, Lifecycle, PrivateKeyState};
use crate::forecast::{Forecast, Step, forecast};
use crate::lifecycle::{DeleteCause, Effect, Key, Observed};
use crate::plugin::error::Error;
use crate::plugin::observed::Objects;
use crate::plugin::session::Session;

/// Asks for the set and what belongs to it.
pub(super) async fn read(session: &Session, arguments: &Arguments) -> Result<Timeline, Error> {
    let key_set = session.key_set(&arguments.name).await?;
    let objects = Objects::read(session, &key_set, Some(&key_set)).await?;
    let made = |it: &crate::api::SigningKey| Some((it.name_any(), it.creation_timestamp()?.0));
    let made = objects.signing_keys.iter().filter_map(made).collect();
    let seen = objects.seen(session, &key_set).await?;
    let asked = Asked { since: arguments.since, until: arguments.until };
    Ok(Timeline { assumptions: seen.assumptions, ..timeline(&seen.observed, &made, asked, session.now) })
}

/// The window that was asked for. `made` tells when a record was made, by its name.
pub(super) fn timeline(
    observed: &Observed,
    made: &BTreeMap<String, Timestamp>,
    asked: Asked,
    now: Timestamp,
) -> Timeline {
    let key_set = &observed.key_set;
    let horizon = horizon(asked, &key_set.spec, now);
    let ahead = forecast(observed.clone(), now, horizon);
    let mut snapshots = vec![Snapshot { time: now, keys: seen(&observed.keys, &key_set.status.keys, &ahead, made) }];
    snapshots.extend(ahead.steps.iter().map(|step| Snapshot { time: step.time, keys: foretold(step, &ahead) }));
    let end = seen(&ahead.keys, &ahead.end.key_set.status.keys, &ahead, made);
    snapshots.push(Snapshot { time: ahead.until, keys: end });
    let keys = lives(&snapshots, &key_set.spec);
    let (from, until) = window(asked, &keys, now, horizon);
    let (namespace, name) = (key_set.namespace.clone(), key_set.name.clone());
    Timeline { namespace, name, now, from, until, keys, assumptions: Vec::new() }
}

/// Records, and what the status says about them.
fn seen(keys: &[Key], evidence: &[KeyStatus], ahead: &Forecast, made: &BTreeMap<String, Timestamp>) -> Vec<Seen> {
    let seen = |key: &Key| {
        let evidence = evidence.iter().find(|it| it.name == key.name);
        Seen {
            made: made.get(&key.name).copied(),
            lifecycle: key.lifecycle.clone(),
            publish_time: evidence.and_then(|it| it.publish_time),
            visible_time: evidence.and_then(|it| it.visible_time),
            earliest_activation_time: evidence.and_then(|it| it.earliest_activation_time),
            private_key: key.status.as_ref().and_then(|status| status.private_key),
            ..identity(key, ahead)
        }
    };
    keys.iter().map(seen).collect()
}

/// What one step shows: the status after it, and the private halves that it destroys.
fn foretold(step: &Step, ahead: &Forecast) -> Vec<Seen> {
    let listed = step.status.keys.iter().filter_map(|it| {
        let key = ahead.keys.iter().find(|key| key.name == it.name)?;
        let lifecycle = Lifecycle {
            activation_time: it.activation_time,
            retirement_time: it.retirement_time,
            earliest_removal_time: it.earliest_removal_time,
            ..Lifecycle::default()
        };
        Some(Seen {
            lifecycle,
            publish_time: it.publish_time,
            visible_time: it.visible_time,
            earliest_activation_time: it.earliest_activation_time,
            private_key: it.private_key,
            ..identity(key, ahead)
        })
    });
    let destroyed = step.effects.iter().filter_map(|effect| match effect {
        Effect::DeleteKeySecret { key: name, cause: DeleteCause::Destroy, .. } => {
            let key = ahead.keys.iter().find(|key| key.name == *name)?;
            Some(Seen { private_key: Some(PrivateKeyState::Destroyed), ..identity(key, ahead) })
        }
        _ => None,
    });
    listed.chain(destroyed).collect()
}

/// What never changes about a key; the kid of one that is yet to be made is nobody's.
fn identity(key: &Key, ahead: &Forecast) -> Seen {
    Seen {
        name: key.name.clone(),
        key_id: key.kid().filter(|kid| !ahead.is_made_up(kid)).cloned(),
        algorithm: key.algorithm,
        origin: key.origin,
        made: None,
        lifecycle: Lifecycle::default(),
        publish_time: None,
        visible_time: None,
        earliest_activation_time: None,
        private_key: None,
    }
}
