//! Rights: what the accounts of the chart may do, and what the audit log of the API server says that they did.

use std::{collections::BTreeSet, fs, path::PathBuf};

use serde_json::Value;

use super::{Failure, SYSTEM, commands::get};

/// An audit log, from where it was last read.
pub(crate) struct AuditLog {
    path: PathBuf,
    read: usize,
}

impl AuditLog {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, read: 0 }
    }

    /// Compares what both accounts did since the last time with what they may do now. A right that is used and not
    /// granted is an error, and so is one that is granted and not used.
    pub(crate) async fn compare(&mut self) -> Result<usize, Failure> {
        let text = fs::read_to_string(&self.path)?;
        let lines = text.get(self.read..).unwrap_or_default();
        let events = lines.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
        self.read = text.len();
        let (mut faults, mut number) = (Vec::new(), 0);
        for component in ["controller", "server"] {
            let account = format!("system:serviceaccount:{SYSTEM}:keyset-{component}");
            let done = events.iter().filter(|event| event["user"]["username"] == account.as_str());
            let granted = granted(component).await?;
            faults.extend(differences(done, &granted).iter().map(|fault| format!("{component} {fault}")));
            number += granted.iter().filter(|right| *right != OPERATE).count();
        }
        if faults.is_empty() { Ok(number) } else { Err(format!("{faults:#?}").into()) }
    }
}

/// What somebody did and may not do, or may do and did not.
fn differences<'a>(events: impl Iterator<Item = &'a Value>, granted: &BTreeSet<String>) -> Vec<String> {
    let (mut used, mut refused) = (BTreeSet::new(), BTreeSet::new());
    for event in events {
        let Some((right, code)) = right(event).zip(event["responseStatus"]["code"].as_i64()) else { continue };
        let ended = if code == 403 { &mut refused } else { &mut used };
        ended.insert(right);
    }
    // The first calls may come before the API server has heard of a right.
    let lacking = refused.difference(&used).map(|right| format!("lacks: {right}"));
    let unused = granted.difference(&used).filter(|right| *right != OPERATE);
    lacking.chain(unused.map(|right| format!("never uses: {right}"))).collect()
}

/// `resource[/subresource] verb`; nothing for what is no resource, such as discovery.
fn right(event: &Value) -> Option<String> {
    let object = &event["objectRef"];
    let subresource = object["subresource"].as_str().map(|name| format!("/{name}")).unwrap_or_default();
    Some(format!("{}{subresource} {}", object["resource"].as_str()?, event["verb"].as_str()?))
}

/// What the roles of the release give to a component.
async fn granted(component: &str) -> Result<BTreeSet<String>, Failure> {
    let mut rights = BTreeSet::new();
    for kind in ["clusterroles", "roles -A"] {
        let roles = get(&format!("{kind} -l app.kubernetes.io/instance=keyset")).await?;
        for role in roles["items"].as_array().ok_or("a list has items")? {
            if !role["metadata"]["name"].as_str().is_some_and(|name| name.ends_with(&format!("keyset-{component}"))) {
                continue;
            }
            for rule in role["rules"].as_array().ok_or("a role has rules")? {
                let texts = |name: &str| serde_json::from_value::<Vec<String>>(rule[name].clone());
                for resource in texts("resources")? {
                    rights.extend(texts("verbs")?.iter().map(|verb| format!("{resource} {verb}")));
                }
            }
        }
    }
    if rights.is_empty() { Err(format!("no role of {component} is there").into()) } else { Ok(rights) }
}

/// Asked for by the admission policies, in the name of who writes; no request shows it.
const OPERATE: &str = "keysets operate";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_right_that_is_lacking_and_one_that_is_not_used_are_told() {
        let event = |verb: &str, subresource: &str, code: u16| {
            json!({
                "verb": verb, "responseStatus": { "code": code },
                "objectRef": { "resource": "keysets", "subresource": (!subresource.is_empty()).then_some(subresource) },
            })
        };
        let events = [
            event("get", "", 403),
            event("get", "", 200),
            event("patch", "status", 409),
            event("delete", "", 403),
            json!({ "verb": "get", "responseStatus": { "code": 403 } }),
        ];
        let granted = ["keysets get", "keysets list", "keysets operate", "keysets/status patch"].map(str::to_owned);
        let faults = differences(events.iter(), &granted.into());
        assert_eq!(faults, ["lacks: keysets delete", "never uses: keysets list"]);
    }
}
