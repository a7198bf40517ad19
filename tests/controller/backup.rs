//! All objects of a set as a backup tool keeps them, and what becomes of them when they are restored later or elsewhere.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::rig::{Rig, SET};

/// The objects of one KeySet, as plain as a backup tool keeps them.
#[derive(Clone)]
pub(crate) struct Backup {
    /// By resource, in the order in which they are restored.
    objects: Vec<(&'static str, Value)>,
}

impl Backup {
    /// Everything there is, status included.
    pub(crate) async fn take(rig: &Rig) -> Self {
        let mut objects = Vec::new();
        // The order of Velero: built-in kinds first, then the others by name.
        for resource in ["secrets", "configmaps", "keysets", "signingkeys"] {
            for mut object in rig.list(resource).await {
                let labelled = object["metadata"]["labels"]["keyset.dev/keyset"] == SET;
                if !labelled && resource != "keysets" {
                    continue;
                }
                let metadata = object["metadata"].as_object_mut().unwrap();
                metadata
                    .retain(|field, _| ["name", "labels", "annotations", "ownerReferences"].contains(&field.as_str()));
                objects.push((resource, object));
            }
        }
        Self { objects }
    }

    /// As if it had been taken that long ago: every time in records, annotations and status is as much earlier.
    pub(crate) fn aged(mut self, age: SignedDuration) -> Self {
        for (_, object) in &mut self.objects {
            shift(object, age);
        }
        self
    }

    /// What most tools restore: a status is left out.
    pub(crate) fn without_status(mut self) -> Self {
        for (_, object) in self.objects.iter_mut().filter(|(resource, _)| *resource == "keysets") {
            object.as_object_mut().unwrap().remove("status");
        }
        self
    }

    /// With another spec, as if the set had always had it.
    pub(crate) fn with_spec(mut self, patch: &Value) -> Self {
        for (_, object) in self.objects.iter_mut().filter(|(resource, _)| *resource == "keysets") {
            crate::merge_patch::merge(&mut object["spec"], patch);
        }
        self
    }

    /// With the KeySet last, so that the rest looks like a set that was retained.
    pub(crate) fn key_set_last(mut self) -> Self {
        self.objects.sort_by_key(|(resource, _)| *resource == "keysets");
        self
    }

    /// Only these resources.
    pub(crate) fn only(mut self, resources: &[&str]) -> Self {
        self.objects.retain(|(resource, _)| resources.contains(resource));
        self
    }

    /// Creates what is not there, as a new object; what is there stays as it is. A status goes with its KeySet, as seen
    /// of the new object.
    pub(crate) async fn restore(&self, rig: &Rig) {
        for (resource, object) in &self.objects {
            if rig.get(resource, name(object)).await.is_some() {
                continue;
            }
            let created = rig.create(resource, object).await;
            let mut status = object["status"].clone();
            if *resource == "keysets" && status.is_object() {
                status["observedUID"] = created["metadata"]["uid"].clone();
                rig.patch_status(&status).await;
            }
        }
    }

    /// Creates what is not there, and overwrites what is there where the API server lets it happen.
    pub(crate) async fn restore_over(&self, rig: &Rig) {
        for (resource, object) in &self.objects {
            if rig.get(resource, name(object)).await.is_some() {
                rig.try_patch(resource, name(object), object).await.ok();
            } else {
                rig.create(resource, object).await;
            }
        }
    }
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap()
}

fn shift(value: &mut Value, age: SignedDuration) {
    match value {
        Value::Object(members) => members.values_mut().for_each(|value| shift(value, age)),
        Value::Array(values) => values.iter_mut().for_each(|value| shift(value, age)),
        Value::String(text) => {
            if let Ok(time) = text.parse::<Timestamp>() {
                *text = (time - age).to_string();
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
