//! Effects of a forecast as people read them, and as the requests that the API server will see.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;

use crate::api::WorkloadKind;
use crate::forecast::Forecast;
use crate::lifecycle::{
    DeleteCause, Effect, Fence, Observed, ObservedKeySet, PrivateHalf, Provenance, PublishCause, RecordCause,
    SignerChange, SignerRecord,
};

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
    Restart,
    WriteFiles,
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

/// Everything that a forecast has the operator write, in its order. `begin` is what the forecast began with.
pub(super) fn foretold(begin: &Observed, forecast: &Forecast) -> Vec<Foretold> {
    let stored = begin.keys.iter().filter(|key| matches!(key.private, PrivateHalf::Stored(_)));
    let mut teller = Teller { forecast, stored: stored.map(|key| key.name.clone()).collect() };
    let mut told = Vec::new();
    for step in &forecast.steps {
        told.extend(step.effects.iter().map(|effect| teller.tell(step.time, effect)));
    }
    told
}

struct Teller<'a> {
    forecast: &'a Forecast,
    /// Keys that have a Key Secret by now.
    stored: BTreeSet<String>,
}

/// What is done to what, in words, and by which requests.
type Told = (Action, String, String, Vec<Write>);

impl Teller<'_> {
    fn tell(&mut self, time: Timestamp, effect: &Effect) -> Foretold {
        let (action, subject, text, writes) = match effect {
            Effect::RecordStatus => {
                (Action::RecordStatus, self.key_set().name.clone(), "record the status".to_owned(), Vec::new())
            }
            Effect::StageKey { sequence, algorithm, .. } => {
                let name = self.named(*sequence);
                let text = format!("generate {name} ({algorithm})");
                self.made(Action::Generate, name, text)
            }
            Effect::ImportKey { sequence, entry, .. } => {
                let name = self.named(*sequence);
                let text = format!("import {name} from entry {}", entry.name);
                self.made(Action::Import, name, text)
            }
            Effect::AdoptKey { sequence, provenance, .. } => {
                let name = self.named(*sequence);
                let text = match provenance {
                    Provenance::External { entry_name } => format!("take in {name} for entry {entry_name}"),
                    _ => format!("write the lost record {name} again"),
                };
                let write = Write::new("create", "signingkeys", &name);
                (Action::Adopt, name, text, vec![write])
            }
            Effect::WriteSigner { fence, record, change } => self.signer(fence.as_ref(), record, *change),
            Effect::RecordKey { key, cause, .. } => {
                let (action, text) = recorded(key, *cause);
                (action, key.clone(), text, vec![Write::new("apply", "signingkeys", key)])
            }
            Effect::ApplyConfigMap { fence, cause, set, .. } => {
                let (action, text) = published(self.forecast, cause, set.len());
                let name = self.key_set().config_map_name();
                let write = Write::new(applied(fence.as_ref()), "configmaps", &name);
                (action, name, text, vec![write])
            }
            Effect::RebuildKeySecret { key, .. } => {
                self.stored.insert(key.clone());
                let text = format!("write the lost Key Secret of {key} again");
                (Action::Repair, key.clone(), text, vec![Write::new("create", "secrets", key)])
            }
            Effect::DeleteKeySecret { key, cause, .. } => self.destroyed(key, *cause),
            Effect::DeleteSigningKey { key, .. } => {
                let text = format!("delete the record {key}, beyond retention.historyLimit");
                (Action::Prune, key.clone(), text, vec![Write::new("delete", "signingkeys", key)])
            }
            Effect::MarkWorkload { target, .. } => {
                let resource = match target.kind {
                    WorkloadKind::Deployment => "deployments",
                    WorkloadKind::StatefulSet => "statefulsets",
                };
                let text = format!("start the Pods of {target} anew");
                (Action::Restart, target.name.clone(), text, vec![Write::new("apply", resource, &target.name)])
            }
            Effect::RecordOwnership { key, .. } => self.owned(key),
        };
        Foretold { time, action, subject, text, writes }
    }

    fn key_set(&self) -> &ObservedKeySet {
        &self.forecast.end.key_set
    }

    fn named(&self, sequence: i64) -> String {
        format!("{}-{sequence}", self.key_set().name)
    }

    fn made(&mut self, action: Action, name: String, text: String) -> Told {
        self.stored.insert(name.clone());
        let writes = vec![Write::new("create", "secrets", &name), Write::new("create", "signingkeys", &name)];
        (action, name, text, writes)
    }

    fn signer(&self, fence: Option<&Fence>, record: &SignerRecord, change: SignerChange) -> Told {
        let (action, text) = match change {
            SignerChange::Activate => {
                (Action::Activate, format!("switch signers to {} (term {})", record.key_name, record.term))
            }
            SignerChange::Files => (Action::WriteFiles, "write the files that signers.files asks for".to_owned()),
            SignerChange::Bar => (Action::Bar, "bar keys from signing again".to_owned()),
            SignerChange::Repair => (Action::Repair, "write the Signer Secret again".to_owned()),
        };
        let write = Write::new(applied(fence), "secrets", &self.key_set().signer_secret_name());
        (action, record.key_name.clone(), text, vec![write])
    }

    fn destroyed(&mut self, key: &str, cause: DeleteCause) -> Told {
        self.stored.remove(key);
        let text = match cause {
            DeleteCause::Destroy => format!("destroy the private half of {key}"),
            DeleteCause::Mismatch => format!("delete the Key Secret {key}, which holds another key"),
        };
        (Action::DestroyPrivateKey, key.to_owned(), text, vec![Write::new("delete", "secrets", key)])
    }

    fn owned(&self, key: &str) -> Told {
        let text = format!("put the owner references of {key} as deletionPolicy wants them");
        let secret = self.stored.contains(key).then(|| Write::new("patch", "secrets", key));
        let writes = secret.into_iter().chain([Write::new("patch", "signingkeys", key)]).collect();
        (Action::Own, key.to_owned(), text, writes)
    }
}

fn applied(fence: Option<&Fence>) -> &'static str {
    if fence.is_some() { "apply" } else { "create" }
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
        PublishCause::Issuer => (Action::Publish, "publish the set under its issuer".to_owned()),
        PublishCause::Repair => (Action::Repair, "write the JWKS ConfigMap again".to_owned()),
    }
}

impl Write {
    fn new(verb: &'static str, resource: &'static str, name: &str) -> Self {
        Self { verb, resource, name: name.to_owned() }
    }
}
