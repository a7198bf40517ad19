//! Effects of a forecast as people read them, and as the requests that the API server will see.

use jiff::Timestamp;
use serde::Serialize;

use crate::forecast::{Forecast, Step};
use crate::lifecycle::{DeleteCause, Effect, ObservedKeySet, Provenance, PublishCause, RecordCause, SignerChange};

/// One thing that the operator will do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Foretold {
    /// The earliest time.
    pub(super) time: Timestamp,
    pub(super) action: Action,
    /// SigningKey, or object, that it is about.
    pub(super) subject: String,
    pub(super) text: String,
    /// What the API server will be asked to write.
    pub(super) writes: Vec<Write>,
}

/// What kind of thing it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Action {
    Generate,
    Import,
    Adopt,
    Publish,
    Activate,
    Bar,
    Repair,
    Record,
    Retire,
    Revoke,
    Remove,
    DestroyPrivateKey,
    Prune,
    Own,
    RecordStatus,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Write {
    verb: &'static str,
    resource: &'static str,
    name: String,
}

impl Foretold {
    /// Whether people want to know: reports and bars are how it is done, not what.
    pub(super) fn is_news(&self) -> bool {
        !matches!(self.action, Action::RecordStatus | Action::Record | Action::Bar | Action::Own)
    }

    pub(super) fn is_switch(&self) -> bool {
        self.action == Action::Activate
    }
}

/// Everything that a forecast has the operator write, in its order.
pub(super) fn foretold(forecast: &Forecast) -> Vec<Foretold> {
    let key_set = &forecast.end.key_set;
    let known = |step: &Step, effect: &Effect| told(step.time, effect, key_set, forecast);
    forecast.steps.iter().flat_map(|step| step.effects.iter().map(move |effect| known(step, effect))).collect()
}

fn told(time: Timestamp, effect: &Effect, key_set: &ObservedKeySet, forecast: &Forecast) -> Foretold {
    let named = |sequence: &i64| format!("{}-{sequence}", key_set.name);
    let made = |sequence: &i64| {
        let name = named(sequence);
        vec![Write::new("create", "secrets", &name), Write::new("create", "signingkeys", &name)]
    };
    let (action, subject, text, writes) = match effect {
        Effect::RecordStatus => {
            (Action::RecordStatus, key_set.name.clone(), "record the status".to_owned(), Vec::new())
        }
        Effect::StageKey { sequence, algorithm, .. } => {
            (Action::Generate, named(sequence), format!("generate {} ({algorithm})", named(sequence)), made(sequence))
        }
        Effect::ImportKey { sequence, entry, .. } => {
            let text = format!("import {} from entry {}", named(sequence), entry.name);
            (Action::Import, named(sequence), text, made(sequence))
        }
        Effect::AdoptKey { sequence, provenance, .. } => {
            let text = match provenance {
                Provenance::External { entry_name } => format!("take in {} for entry {entry_name}", named(sequence)),
                _ => format!("write the lost record {} again", named(sequence)),
            };
            (Action::Adopt, named(sequence), text, vec![Write::new("create", "signingkeys", &named(sequence))])
        }
        Effect::WriteSigner { fence, record, change } => {
            let (action, text) = match change {
                SignerChange::Activate => {
                    (Action::Activate, format!("switch signers to {} (term {})", record.key_name, record.term))
                }
                SignerChange::Bar => (Action::Bar, "bar keys from signing again".to_owned()),
                SignerChange::Repair => (Action::Repair, "write the Signer Secret again".to_owned()),
            };
            let verb = if fence.is_some() { "apply" } else { "create" };
            let write = Write::new(verb, "secrets", &key_set.signer_secret_name());
            (action, record.key_name.clone(), text, vec![write])
        }
        Effect::RecordKey { key, cause, .. } => {
            let (action, text) = recorded(key, *cause);
            (action, key.clone(), text, vec![Write::new("apply", "signingkeys", key)])
        }
        Effect::ApplyConfigMap { fence, cause, set, .. } => {
            let (action, text) = published(forecast, cause, set.len());
            let verb = if fence.is_some() { "apply" } else { "create" };
            let name = key_set.config_map_name();
            (action, name.clone(), text, vec![Write::new(verb, "configmaps", &name)])
        }
        Effect::RebuildKeySecret { key, .. } => {
            let text = format!("write the lost Key Secret of {key} again");
            (Action::Repair, key.clone(), text, vec![Write::new("create", "secrets", key)])
        }
        Effect::DeleteKeySecret { key, cause, .. } => {
            let text = match cause {
                DeleteCause::Destroy => format!("destroy the private half of {key}"),
                DeleteCause::Mismatch => format!("delete the Key Secret {key}, which holds another key"),
            };
            (Action::DestroyPrivateKey, key.clone(), text, vec![Write::new("delete", "secrets", key)])
        }
        Effect::DeleteSigningKey { key, .. } => {
            let text = format!("delete the record {key}, beyond retention.historyLimit");
            (Action::Prune, key.clone(), text, vec![Write::new("delete", "signingkeys", key)])
        }
        Effect::RecordOwnership { key, .. } => {
            let text = format!("put the owner references of {key} as deletionPolicy wants them");
            (Action::Own, key.clone(), text, vec![Write::new("patch", "signingkeys", key)])
        }
    };
    Foretold { time, action, subject, text, writes }
}

fn recorded(key: &str, cause: RecordCause) -> (Action, String) {
    match cause {
        RecordCause::Report => (Action::Record, format!("report on {key}")),
        RecordCause::Promise => (Action::Record, format!("promise to publish {key} for longer")),
        RecordCause::Activation => (Action::Record, format!("record that {key} signs")),
        RecordCause::Retirement => (Action::Retire, format!("retire {key}: it verifies only")),
        RecordCause::Revocation => (Action::Revoke, format!("revoke {key}")),
        RecordCause::Removal => (Action::Remove, format!("take {key} out of the set")),
    }
}

fn published(forecast: &Forecast, cause: &PublishCause, count: usize) -> (Action, String) {
    match cause {
        PublishCause::Publish { added, .. } if !added.is_empty() => {
            (Action::Publish, format!("publish {} ({count} keys)", added.join(", ")))
        }
        PublishCause::Publish { removed, .. } => {
            let name = |kid| forecast.keys.iter().find(|key| key.kid() == Some(kid)).map(|key| key.name.clone());
            let names: Vec<String> = removed.iter().map(|kid| name(kid).unwrap_or_else(|| kid.to_string())).collect();
            (Action::Publish, format!("publish the set without {} ({count} keys)", names.join(", ")))
        }
        PublishCause::Repair => (Action::Repair, "write the JWKS ConfigMap again".to_owned()),
    }
}

impl Write {
    fn new(verb: &'static str, resource: &'static str, name: &str) -> Self {
        Self { verb, resource, name: name.to_owned() }
    }
}
