//! Rights, as `resource[/subresource] verb`: what a role gives, held against what was done.

use std::collections::BTreeSet;

use serde_json::Value;

/// What a Role or a ClusterRole gives.
pub(crate) fn of_role(role: &Value) -> BTreeSet<String> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut rights = BTreeSet::new();
    for rule in list(&role["rules"]) {
        for resource in list(&rule["resources"]) {
            rights.extend(list(&rule["verbs"]).iter().map(|verb| format!("{} {}", text(&resource), text(verb))));
        }
    }
    rights
}

/// A right as it is asked for.
pub(crate) fn name(resource: &str, subresource: Option<&str>, verb: &str) -> String {
    format!("{resource}{} {verb}", subresource.map(|name| format!("/{name}")).unwrap_or_default())
}

/// What was refused and never granted, and what is granted, but for `rare`, and was never done. Each deed is a right with
/// the status of its answer.
pub(crate) fn faults(deeds: &[(String, u16)], granted: &BTreeSet<String>, rare: &[&str]) -> Vec<String> {
    let of = |ended: fn(u16) -> bool| -> BTreeSet<&String> {
        deeds.iter().filter(|(_, status)| ended(*status)).map(|(right, _)| right).collect()
    };
    let (used, refused) = (of(|status| (200..300).contains(&status)), of(|status| status == 403));
    // The first calls may come before the API server has heard of a right.
    let lacking = refused.difference(&used).map(|right| format!("lacks: {right}"));
    let unused = granted.iter().filter(|right| !used.contains(right) && !rare.contains(&right.as_str()));
    lacking.chain(unused.map(|right| format!("never uses: {right}"))).collect()
}
