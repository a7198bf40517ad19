//! `history`: every key that a set ever had, what moved it, and who asked.
//!
//! Invariant: what is not known any more is said, never guessed: records beyond `historyLimit`, Events that have expired, and
//! the reasons of earlier switches. Signer Secrets are not read for it.

use std::fmt::{self, Display};

use jiff::Timestamp;
use k8s_openapi::api::events::v1::Event as KubeEvent;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde::Serialize;
use serde_json::json;

use super::keys::{self, Key};
use super::output::{Cell, QUIET, STRONG, Table, relative};
use super::ownership::{self, Owner, Step};
use super::session::Session;
use super::{Answer, Error, Outcome};
use crate::api::{KeySet, KeyState, Origin, RotationReason};
use crate::jose::{Algorithm, KeyId};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// KeySet whose keys are told of, be it gone
    #[arg(value_name = "NAME")]
    name: String,
}

pub(super) async fn run(session: &Session, arguments: &Arguments) -> Outcome {
    let name = &arguments.name;
    let records = keys::records(session, name).await?;
    let key_set = match session.key_set(name).await {
        // What it leaves behind tells of it.
        Err(Error::NotFound { .. }) if !records.is_empty() => None,
        found => Some(found?),
    };
    let (events, events_unknown) = match events(session, name).await {
        Ok(events) => (events, None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    let told = key_set.as_ref().and_then(|key_set| key_set.status.as_ref()).map(|status| status.keys.as_slice());
    let known = keys::keys(told.unwrap_or_default(), records);
    let report = History {
        namespace: session.namespace.clone(),
        name: name.clone(),
        exists: key_set.is_some(),
        unrecorded: unrecorded(&known),
        keys: known.iter().map(|key| Life::of(key, key_set.as_ref())).collect(),
        asked: key_set.as_ref().map(asked).unwrap_or_default(),
        events,
        events_unknown,
        now: session.now,
    };
    session.print(&report)?;
    Ok(Answer::Yes)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct History {
    namespace: String,
    name: String,
    exists: bool,
    keys: Vec<Life>,
    /// Sequences of keys that have no record any more.
    unrecorded: Vec<i64>,
    asked: Vec<Asked>,
    events: Vec<Told>,
    #[serde(skip_serializing_if = "Option::is_none")]
    events_unknown: Option<String>,
    #[serde(skip)]
    now: Timestamp,
}

/// One key.
#[derive(Serialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Life {
    name: String,
    #[serde(rename = "keyID")]
    key_id: Option<KeyId>,
    algorithm: Option<Algorithm>,
    origin: Option<Origin>,
    entry_name: Option<String>,
    state: Option<KeyState>,
    record_time: Option<Timestamp>,
    activation_time: Option<Timestamp>,
    /// Why it became active, if that is still known.
    activation_reason: Option<RotationReason>,
    retirement_time: Option<Timestamp>,
    removal_time: Option<Timestamp>,
    revocation_time: Option<Timestamp>,
}

/// A wish in the spec, and who wrote it last.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    field: String,
    value: String,
    by: Vec<Owner>,
}

/// An Event that is still there.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    time: Option<Timestamp>,
    reason: String,
    key_name: Option<String>,
    note: String,
}

impl Life {
    fn of(key: &Key, key_set: Option<&KeySet>) -> Self {
        let lifecycle = key.lifecycle();
        let last = key_set.and_then(|key_set| key_set.status.as_ref()?.last_rotation.as_ref());
        let last = last.filter(|last| last.key_name == key.name).map(|last| last.reason);
        let record = key.record.as_ref();
        Self {
            name: key.name.clone(),
            key_id: key.kid().cloned(),
            algorithm: record.map(|it| it.spec.algorithm).or_else(|| key.status.as_ref()?.algorithm),
            origin: record.map(|it| it.spec.origin),
            entry_name: record.and_then(|it| it.spec.entry_name.clone()),
            state: key.state(),
            record_time: record.and_then(ResourceExt::creation_timestamp).map(|time| time.0),
            activation_time: lifecycle.activation_time,
            // The first term of all is the first key's.
            activation_reason: last.or_else(|| (lifecycle.term == Some(1)).then_some(RotationReason::Bootstrap)),
            // A rollback makes a retired key active again.
            retirement_time: lifecycle.retirement_time.filter(|time| lifecycle.activation_time <= Some(*time)),
            removal_time: lifecycle.removal_time,
            revocation_time: lifecycle.revocation_time,
        }
    }
}

impl Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.map_or("of an earlier time".to_owned(), |state| format!("{state:?}"));
        let algorithm = self.algorithm.map(|it| it.to_string()).unwrap_or_default();
        write!(f, "{STRONG}{}{STRONG:#}  {state}  {algorithm}", self.name)?;
        match (self.origin, &self.entry_name) {
            (Some(origin), Some(entry)) => writeln!(f, "  {origin:?} ({entry})")?,
            (Some(origin), None) => writeln!(f, "  {origin:?}")?,
            (None, _) => writeln!(f)?,
        }
        let mut line = |what: &str, value: String| writeln!(f, "  {QUIET}{what:<9}{QUIET:#}{value}");
        if let Some(kid) = &self.key_id {
            line("kid", kid.to_string())?;
        }
        if let Some(time) = self.record_time {
            line("recorded", time.to_string())?;
        }
        if let Some(time) = self.activation_time {
            let until = self.retirement_time.map(|time| format!(" until {time}")).unwrap_or_default();
            let why =
                self.activation_reason.map_or("reason not known any more".to_owned(), |reason| format!("{reason:?}"));
            line("signed", format!("{time}{until} ({why})"))?;
        }
        if let Some(time) = self.revocation_time {
            line("revoked", time.to_string())?;
        }
        if let Some(time) = self.removal_time {
            line("left", time.to_string())?;
        }
        Ok(())
    }
}

impl Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{STRONG}{}/{}{STRONG:#}", self.namespace, self.name)?;
        if !self.exists {
            writeln!(f, "The KeySet is gone; these are the records that it left.")?;
        }
        for key in &self.keys {
            write!(f, "\n{key}")?;
        }
        if !self.unrecorded.is_empty() {
            let numbers: Vec<String> =
                self.unrecorded.iter().map(|sequence| format!("{}-{sequence}", self.name)).collect();
            writeln!(f, "\nNo record is left of {} (retention.historyLimit, or deleted).", numbers.join(", "))?;
        }
        if !self.asked.is_empty() {
            let mut table = Table::new(&["ASKED FOR", "VALUE", "BY", "LAST WRITTEN"]);
            for Asked { field, value, by } in &self.asked {
                let managers: Vec<&str> = by.iter().map(|owner| owner.manager.as_str()).collect();
                let time = by.iter().filter_map(|owner| owner.time).max();
                let managers = if managers.is_empty() { "-".to_owned() } else { managers.join(", ") };
                table.row([field.as_str().into(), value.as_str().into(), Cell::from(managers), Cell::of(time)]);
            }
            write!(f, "\n{table}")?;
        }
        let mut table = Table::new(&["EVENT", "KEY", "WHEN", "WHAT"]);
        for event in &self.events {
            let when = event.time.map(|time| relative(time, self.now));
            let key = Cell::of(event.key_name.as_deref());
            table.row([event.reason.as_str().into(), key, Cell::of(when), event.note.as_str().into()]);
        }
        if !self.events.is_empty() {
            write!(f, "\n{table}")?;
        }
        match &self.events_unknown {
            Some(why) => writeln!(f, "\nEvents are not known: {why}"),
            None => writeln!(f, "\nThe API server forgets Events, by default after an hour: older ones are gone."),
        }
    }
}

/// What the spec asks for, and who wrote it last.
fn asked(key_set: &KeySet) -> Vec<Asked> {
    let (spec, rotation) = (&key_set.spec, &key_set.spec.rotation);
    let entry = |list: &'static str, kid: &KeyId, value: String| Asked {
        field: list.to_owned(),
        value,
        by: ownership::owners(key_set, &ownership::spec([Step::Field(list), Step::Entry(json!({ "keyID": kid }))])),
    };
    let scalar = |field: &'static str, value: String| Asked {
        field: format!("rotation.{field}"),
        value,
        by: ownership::owners(key_set, &ownership::spec([Step::Field("rotation"), Step::Field(field)])),
    };
    let after = rotation.after.map(|after| scalar("after", after.to_string()));
    let pinned = rotation.pinned_key_id.as_ref().map(|kid| scalar("pinnedKeyID", kid.to_string()));
    let revoked =
        spec.revoked_keys.iter().map(|it| entry("revokedKeys", &it.key_id, format!("{} ({:?})", it.key_id, it.mode)));
    let held = spec.held_keys.iter().map(|it| entry("heldKeys", &it.key_id, it.key_id.to_string()));
    after.into_iter().chain(pinned).chain(revoked).chain(held).collect()
}

/// The numbers below the highest that no key has.
fn unrecorded(known: &[Key]) -> Vec<i64> {
    let sequences: Vec<i64> = known.iter().map(Key::sequence).collect();
    let highest = sequences.iter().copied().max().unwrap_or_default();
    (1..highest).filter(|sequence| !sequences.contains(sequence)).take(MOST_UNRECORDED).collect()
}

/// What was told of the KeySet and is still there, oldest first.
async fn events(session: &Session, name: &str) -> Result<Vec<Told>, Error> {
    let api: Api<KubeEvent> = Api::namespaced(session.client.clone(), &session.namespace);
    let about = ListParams::default().fields(&format!("regarding.kind=KeySet,regarding.name={name}"));
    let found = api.list(&about).await.map_err(Error::api)?;
    let told = |event: KubeEvent| Told {
        time: event.event_time.map(|time| time.0).or_else(|| event.deprecated_first_timestamp.map(|time| time.0)),
        reason: event.reason.unwrap_or_default(),
        key_name: event.related.and_then(|related| related.name),
        note: event.note.unwrap_or_default(),
    };
    let mut events: Vec<Told> = found.into_iter().map(told).collect();
    events.sort_by_key(|event| event.time);
    Ok(events)
}

/// A set may be years old.
const MOST_UNRECORDED: usize = 1000;
