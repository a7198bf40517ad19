//! What each KeySet says of itself.

use kube::ResourceExt;

use super::{Check, KeySet};
use crate::api::ConditionStatus;
use crate::api::names::condition;
use crate::plugin::status::is_alarm;

pub(super) fn checks(key_sets: &[KeySet]) -> Vec<Check> {
    if key_sets.is_empty() {
        return vec![Check::skipped("KeySets", "there are none here: see -n and -A")];
    }
    key_sets.iter().flat_map(of).collect()
}

fn of(key_set: &KeySet) -> Vec<Check> {
    let subject = format!("KeySet {}", place(key_set));
    let Some(status) = &key_set.status else {
        return vec![Check::fail(subject, "no operator has looked at it: does one run, and watch this namespace?")];
    };
    let mut checks = Vec::new();
    match (status.observed_generation, key_set.metadata.generation) {
        (None | Some(-1), _) => {
            checks.push(Check::fail(&subject, "no operator has looked at it: does one run, and watch this namespace?"));
            return checks;
        }
        (seen, latest) if seen < latest => {
            checks.push(Check::warn(&subject, "the operator has not answered the latest edit yet: does it run?"));
        }
        _ => {}
    }
    for alarm in status.conditions.iter().filter(|it| is_alarm(it)) {
        let found = format!("{} is {:?} ({}): {}", alarm.r#type, alarm.status, alarm.reason, alarm.message);
        // What concerns verifiers or signers now, and what only wants a look.
        let grave = [condition::READY, condition::STALLED, condition::PUBLISHED, condition::ACCEPTED];
        checks.push(if grave.contains(&alarm.r#type.as_str()) {
            Check::fail(&subject, found)
        } else {
            Check::warn(&subject, found)
        });
    }
    let ready = status.conditions.iter().any(|it| it.r#type == condition::READY && it.status == ConditionStatus::True);
    if ready && checks.is_empty() {
        checks.push(Check::ok(subject, "it is served and signs, and no condition is amiss"));
    }
    checks
}

pub(super) fn place(key_set: &KeySet) -> String {
    format!("{}/{}", key_set.namespace().unwrap_or_default(), key_set.name_any())
}
