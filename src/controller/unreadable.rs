//! A KeySet that this version cannot decode: told in its status and by one event; what it serves goes on being served.
//!
//! It happens when a later version's field values are stored and an earlier operator comes back. Nothing else is
//! written for such a KeySet.

use kube::core::{DynamicObject, PartialObjectMeta};
use kube::{Resource, ResourceExt};
use serde_json::{Value, json};

use super::clock::now;
use super::context::Context;
use super::error::Error;
use super::objects::Objects;
use crate::api::{KeySet, names};
use crate::lifecycle::{Event, EventReason};

/// Sets Ready and Accepted to False and Stalled to True, if they are not yet so for this generation.
pub(super) async fn report(
    context: &Context,
    objects: &Objects,
    trigger: &PartialObjectMeta<KeySet>,
    why: &str,
) -> Result<(), Error> {
    let name = trigger.name_any();
    let Some(key_set) = objects.undecoded_key_set(&name).await? else { return Ok(()) };
    let message = format!(
        "This version of the operator does not understand the spec: {}. Install the version that wrote it, or change the \
         spec; the set is served as it was.",
        why.chars().take(LONGEST_REASON).collect::<String>()
    );
    let Some(conditions) = conditions(&key_set, &message) else { return Ok(()) };
    // The whole status as it is stored, by the same apply that writes it otherwise: a patch would own its conditions for
    // ever, and an apply without the rest would drop the rest.
    let mut status = key_set.data["status"].clone();
    status["conditions"] = conditions.into();
    status["observedGeneration"] = json!(key_set.meta().generation);
    let body = json!({
        "apiVersion": KeySet::api_version(&()), "kind": KeySet::kind(&()),
        "metadata": {"name": name, "uid": key_set.uid(), "resourceVersion": key_set.resource_version()},
        "status": status,
    });
    objects.apply_undecoded_status(&name, &body).await?;
    let event = Event { reason: EventReason::UnknownValue, key: None, note: message };
    let (namespace, uid) = (trigger.namespace().unwrap_or_default(), trigger.uid().unwrap_or_default());
    context.events.tell(&namespace, &name, &uid, &event);
    Ok(())
}

/// The conditions as they should be; `None` if they are.
fn conditions(key_set: &DynamicObject, message: &str) -> Option<Vec<Value>> {
    let generation = key_set.meta().generation;
    let stored: Vec<Value> = key_set.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let wanted = [
        (names::condition::READY, "False"),
        (names::condition::ACCEPTED, "False"),
        (names::condition::STALLED, "True"),
    ];
    let is_told = |condition: &&Value| {
        condition["reason"] == names::reason::UNKNOWN_VALUE
            && condition["message"] == message
            && condition["observedGeneration"].as_i64() == generation
    };
    if stored.iter().filter(is_told).count() == wanted.len() {
        return None;
    }
    // Nothing goes on that would be Reconciling, and tools that find that first wait for ever.
    let replaced = |condition: &Value| {
        let mut types = wanted.iter().map(|(r#type, _)| *r#type).chain([names::condition::RECONCILING]);
        types.any(|r#type| condition["type"] == r#type)
    };
    let mut conditions: Vec<Value> = stored.iter().filter(|condition| !replaced(condition)).cloned().collect();
    conditions.extend(wanted.map(|(r#type, status)| {
        let before = stored.iter().find(|it| it["type"] == r#type && it["status"] == status);
        json!({
            "type": r#type, "status": status, "reason": names::reason::UNKNOWN_VALUE, "message": message,
            "observedGeneration": generation,
            "lastTransitionTime": before.map_or_else(|| json!(now()), |it| it["lastTransitionTime"].clone()),
        })
    }));
    Some(conditions)
}

const LONGEST_REASON: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_was_being_made_is_stalled_and_no_longer_reconciling() {
        let condition = |r#type: &str| json!({"type": r#type, "status": "True", "reason": "Bootstrapping"});
        let key_set: DynamicObject = serde_json::from_value(json!({
            "metadata": {"name": "pay", "generation": 2},
            "status": {"conditions": [condition("Reconciling"), condition("UnknownKeyID"), condition("Stalled")]},
        }))
        .unwrap();
        let told = conditions(&key_set, "no such mode").unwrap();
        let types: Vec<_> = told.iter().map(|condition| condition["type"].as_str().unwrap()).collect();
        assert_eq!(types, ["UnknownKeyID", "Ready", "Accepted", "Stalled"]);
    }
}
