//! The edit: a KeySet out of a manifest, judged by the API server.

use std::fmt::{self, Display};
use std::io::Read as _;
use std::path::Path;

use kube::core::Status;
use serde::Serialize;
use serde_json::{Value, json};

use super::super::error::{Error, one_line};
use super::super::session::Session;
use crate::api::KeySet;

/// A KeySet as somebody wants it.
pub(super) struct Edit {
    pub(super) namespace: String,
    pub(super) name: String,
    manifest: Value,
}

/// What the API server says of it.
pub(super) enum Judged {
    /// The object as it would be stored: with defaults, and with the status of today.
    Taken(Box<KeySet>),
    /// What is wrong, one line for each rule.
    Refused(Vec<String>),
}

impl Edit {
    /// The only KeySet of the file, or the one of that name.
    pub(super) fn read(path: &Path, name: Option<&str>, namespace: &str) -> Result<Self, Error> {
        let shown = path.display();
        let text = if path.as_os_str() == "-" {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map(|_| text)
        } else {
            std::fs::read_to_string(path)
        };
        let text = text.map_err(|error| Error::Io(format!("{shown}: {error}")))?;
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text)
            .map_err(|error| Error::Refused(format!("{shown} is not YAML: {}", one_line(&error.to_string()))))?;
        let is_meant = |it: &&Value| it["kind"] == "KeySet" && name.is_none_or(|name| it["metadata"]["name"] == name);
        let mut meant = documents.iter().filter(is_meant);
        let (Some(manifest), None) = (meant.next(), meant.next()) else {
            let which = name.map_or_else(|| "one KeySet".to_owned(), |name| format!("one KeySet {name}"));
            return Err(Error::Refused(format!("{shown} must hold {which}: name the one that is meant")));
        };
        let text = |field: &str| manifest["metadata"][field].as_str().map(ToOwned::to_owned);
        let name = text("name").ok_or_else(|| Error::Refused(format!("{shown}: metadata.name is missing")))?;
        let namespace = text("namespace").unwrap_or_else(|| namespace.to_owned());
        Ok(Self { namespace, name, manifest: manifest.clone() })
    }

    /// The KeySet as it is, if there is one.
    pub(super) async fn live(&self, session: &Session) -> Result<Option<KeySet>, Error> {
        let api: kube::Api<KeySet> = kube::Api::namespaced(session.client.clone(), &self.namespace);
        api.get_opt(&self.name).await.map_err(Error::api)
    }

    /// Asks the API server by a dry run: as a replacement of the whole spec, or as an apply by that manager.
    pub(super) async fn judge(
        &self,
        session: &Session,
        live: Option<&KeySet>,
        field_manager: Option<&str>,
    ) -> Result<Judged, Error> {
        let all = format!("/apis/keyset.dev/v1alpha1/namespaces/{}/keysets", self.namespace);
        let one = format!("{all}/{}", self.name);
        let query = "dryRun=All&fieldValidation=Strict";
        let mut body = self.manifest.clone();
        body["metadata"] = json!({ "name": self.name, "namespace": self.namespace });
        if let Some(status) = body.as_object_mut() {
            status.remove("status");
        }
        let request = match (field_manager, live) {
            (Some(manager), _) => http::Request::patch(format!("{one}?{query}&fieldManager={manager}&force=true"))
                .header("content-type", "application/apply-patch+yaml"),
            (None, Some(live)) => {
                body["metadata"] = json!(live.metadata);
                http::Request::put(format!("{one}?{query}"))
            }
            (None, None) => http::Request::post(format!("{all}?{query}")),
        };
        let request = request.header("accept", "application/json").body(body.to_string().into_bytes());
        let request = request.map_err(|error| Error::Refused(error.to_string()))?;
        match session.client.request::<KeySet>(request).await {
            Ok(edited) => Ok(Judged::Taken(Box::new(edited))),
            Err(kube::Error::Api(status)) if matches!(status.code, 400 | 422) => Ok(Judged::Refused(reasons(&status))),
            Err(error) => Err(Error::api(error)),
        }
    }
}

/// One line for each rule that is broken.
fn reasons(status: &Status) -> Vec<String> {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let causes: Vec<String> = causes.map(|cause| format!("{}: {}", cause.field, one_line(&cause.message))).collect();
    if causes.is_empty() { vec![one_line(&status.message)] } else { causes }
}

/// A field of the spec that an edit changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Change {
    field: String,
    /// Absent where there was nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Value>,
}

impl Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &Option<Value>| match value {
            None => "(absent)".to_owned(),
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
        };
        write!(f, "{}: {} -> {}", self.field, text(&self.from), text(&self.to))
    }
}

/// What differs between two specs; everything, if there was none.
pub(super) fn changes(live: Option<&KeySet>, edited: &KeySet) -> Vec<Change> {
    let mut changes = Vec::new();
    let from = live.map_or(Value::Null, |live| json!(live.spec));
    compare("spec", &from, &json!(edited.spec), &mut changes);
    changes
}

fn compare(field: &str, from: &Value, to: &Value, changes: &mut Vec<Change>) {
    match (from, to) {
        (Value::Object(old), Value::Object(new)) => {
            let names: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for name in names {
                let of = |members: &serde_json::Map<String, Value>| members.get(name).cloned().unwrap_or_default();
                compare(&format!("{field}.{name}"), &of(old), &of(new), changes);
            }
        }
        (Value::Null, Value::Object(new)) => {
            new.iter().for_each(|(name, to)| compare(&format!("{field}.{name}"), &Value::Null, to, changes));
        }
        _ if from == to => {}
        _ => {
            let present = |value: &Value| Some(value.clone()).filter(|value| !value.is_null());
            changes.push(Change { field: field.to_owned(), from: present(from), to: present(to) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_name_their_fields() {
        let mut changes = Vec::new();
        let from = json!({ "a": { "b": 1, "c": [1] }, "d": true });
        let to = json!({ "a": { "b": 2, "c": [1] }, "e": { "f": "x" } });
        compare("spec", &from, &to, &mut changes);
        let lines: Vec<String> = changes.iter().map(ToString::to_string).collect();
        assert_eq!(lines, ["spec.a.b: 1 -> 2", "spec.d: true -> (absent)", "spec.e.f: (absent) -> x"]);
    }
}
