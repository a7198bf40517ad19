//! Who else wants a field of a KeySet: what the server tracks in `metadata.managedFields`.
//!
//! Invariant: in doubt an owner is taken for one that comes back. Deliberately absent: what to do about it; each verb says.

use jiff::Timestamp;
use kube::ResourceExt;
use serde::Serialize;
use serde_json::Value;

use crate::api::KeySet;
use crate::api::names::CLI_FIELD_MANAGER;

/// A step of the way to a field.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A field of an object.
    Field(&'static str),
    /// The entry of a list that has this key.
    Entry(Value),
}

/// Who wrote a field, how and when last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Owner {
    pub(super) manager: String,
    operation: String,
    pub(super) time: Option<Timestamp>,
}

impl Owner {
    /// Whether it is this plugin.
    pub(super) fn is_us(&self) -> bool {
        self.manager == CLI_FIELD_MANAGER
    }

    /// Whether it writes what it has whenever it is run, and not only when a person edits.
    pub(super) fn comes_back(&self) -> bool {
        let edits = self.manager.starts_with("kubectl") && self.manager != CLIENT_SIDE_APPLY;
        !self.is_us() && (self.operation == APPLY || !edits)
    }

    /// Whether it is known to apply a manifest.
    pub(super) fn applies(&self) -> bool {
        let is_known = [CLIENT_SIDE_APPLY, "argocd", "helm"].iter().any(|tool| self.manager.starts_with(tool));
        !self.is_us() && (self.operation == APPLY || is_known)
    }

    /// Whether it knows no entries and writes a whole list: the client-side apply of kubectl, Argo CD or Helm.
    pub(super) fn writes_whole_lists(&self) -> bool {
        self.operation != APPLY && self.comes_back()
    }
}

/// The spec, and a field below it.
pub(super) fn spec(steps: impl IntoIterator<Item = Step>) -> Vec<Step> {
    std::iter::once(Step::Field("spec")).chain(steps).collect()
}

/// Who owns the field or anything below it.
pub(super) fn owners(key_set: &KeySet, path: &[Step]) -> Vec<Owner> {
    let entries = key_set.managed_fields().iter().filter(|entry| entry.subresource.is_none());
    let owning = entries.filter(|entry| entry.fields_v1.as_ref().is_some_and(|fields| holds(&fields.0, path)));
    let owner = owning.map(|entry| Owner {
        manager: entry.manager.clone().unwrap_or_default(),
        operation: entry.operation.clone().unwrap_or_default(),
        time: entry.time.as_ref().map(|time| time.0),
    });
    owner.collect()
}

fn holds(fields: &Value, path: &[Step]) -> bool {
    let Some((step, rest)) = path.split_first() else { return true };
    let Some(fields) = fields.as_object() else { return false };
    let leads = |name: &str| match step {
        Step::Field(field) => name.strip_prefix("f:") == Some(field),
        Step::Entry(key) => {
            name.strip_prefix("k:").is_some_and(|text| serde_json::from_str::<Value>(text).is_ok_and(|it| it == *key))
        }
    };
    fields.iter().any(|(name, below)| leads(name) && holds(below, rest))
}

const APPLY: &str = "Apply";
const CLIENT_SIDE_APPLY: &str = "kubectl-client-side-apply";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn owners_are_found_by_their_entries() {
        let mut key_set: KeySet = serde_json::from_value(json!({
            "apiVersion": "keyset.dev/v1alpha1", "kind": "KeySet", "metadata": {"name": "pay"},
            "spec": {"algorithm": "ES256", "tokens": {"maxLifetime": "1h"}},
        }))
        .unwrap();
        let fields = |manager: &str, operation: &str, spec: Value| json!({"manager": manager, "operation": operation, "fieldsV1": {"f:spec": spec}});
        let entry = json!({"f:heldKeys": {".": {}, "k:{\"keyID\":\"a\"}": {".": {}, "f:keyID": {}}}});
        key_set.metadata.managed_fields = serde_json::from_value(json!([
            fields("kustomize-controller", "Apply", entry),
            fields("argocd-controller", "Update", json!({"f:heldKeys": {}})),
            fields("keyset-cli", "Update", json!({"f:rotation": {"f:after": {}}})),
            {"manager": "keyset", "operation": "Update", "subresource": "status", "fieldsV1": {"f:spec": {"f:heldKeys": {}}}},
        ]))
        .unwrap();
        let of = |steps: &[Step]| {
            let owners = owners(&key_set, &spec(steps.iter().cloned()));
            owners.into_iter().map(|owner| owner.manager).collect::<Vec<_>>()
        };
        let held = Step::Field("heldKeys");
        assert_eq!(of(std::slice::from_ref(&held)), ["kustomize-controller", "argocd-controller"]);
        assert_eq!(of(&[held.clone(), Step::Entry(json!({"keyID": "a"}))]), ["kustomize-controller"]);
        assert!(of(&[held, Step::Entry(json!({"keyID": "b"}))]).is_empty());
        assert_eq!(of(&[Step::Field("rotation"), Step::Field("after")]), ["keyset-cli"]);
    }

    #[test]
    fn who_comes_back_is_told_from_who_edits() {
        let owner = |manager: &str, operation: &str| {
            let owner = Owner { manager: manager.to_owned(), operation: operation.to_owned(), time: None };
            (owner.comes_back(), owner.writes_whole_lists())
        };
        assert_eq!(owner("keyset-cli", "Update"), (false, false));
        assert_eq!(owner("kubectl-patch", "Update"), (false, false));
        assert_eq!(owner("kubectl-client-side-apply", "Update"), (true, true));
        assert_eq!(owner("kubectl", "Apply"), (true, false));
        assert_eq!(owner("kustomize-controller", "Apply"), (true, false));
        assert_eq!(owner("argocd-controller", "Update"), (true, true));
        assert_eq!(owner("unknown", "Update"), (true, true));
    }
}
