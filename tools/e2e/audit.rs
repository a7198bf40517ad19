//! Rights: what the accounts of the chart may do, and what the audit log of the API server says that they did.

use std::{collections::BTreeSet, fs, path::PathBuf};

use serde_json::Value;

use super::{Failure, SYSTEM, commands::get, rights};

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
            let done: Vec<_> = done.filter_map(deed).collect();
            let granted = granted(component).await?;
            faults.extend(rights::faults(&done, &granted, RARE).iter().map(|fault| format!("{component} {fault}")));
            number += granted.iter().filter(|right| !RARE.contains(&right.as_str())).count();
        }
        if faults.is_empty() { Ok(number) } else { Err(format!("{faults:#?}").into()) }
    }
}

/// A right and the status of the answer; nothing for what is no resource, such as discovery.
fn deed(event: &Value) -> Option<(String, u16)> {
    let object = &event["objectRef"];
    let right = rights::name(object["resource"].as_str()?, object["subresource"].as_str(), event["verb"].as_str()?);
    Some((right, event["responseStatus"]["code"].as_u64()?.try_into().ok()?))
}

/// What the roles of the release give to a component.
async fn granted(component: &str) -> Result<BTreeSet<String>, Failure> {
    let mut granted = BTreeSet::new();
    for kind in ["clusterroles", "roles -A"] {
        let roles = get(&format!("{kind} -l app.kubernetes.io/instance=keyset")).await?;
        let roles = roles["items"].as_array().cloned().ok_or("a list has items")?;
        let end = format!("keyset-{component}");
        let of = |role: &&Value| role["metadata"]["name"].as_str().is_some_and(|name| name.ends_with(&end));
        granted.extend(roles.iter().filter(of).flat_map(rights::of_role));
    }
    if granted.is_empty() { Err(format!("no role of {component} is there").into()) } else { Ok(granted) }
}

/// Asked for by the admission policies, in the name of who writes; no request shows it.
const RARE: &[&str] = &["keysets operate"];

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
            event("patch", "status", 200),
            event("list", "", 404),
            event("delete", "", 403),
            json!({ "verb": "get", "responseStatus": { "code": 403 } }),
        ];
        let rule = json!({ "resources": ["keysets"], "verbs": ["get", "list", "operate"] });
        let of_status = json!({ "resources": ["keysets/status"], "verbs": ["patch"] });
        let granted = rights::of_role(&json!({ "rules": [rule, of_status] }));
        let done: Vec<_> = events.iter().filter_map(deed).collect();
        assert_eq!(rights::faults(&done, &granted, RARE), ["lacks: keysets delete", "never uses: keysets list"]);
    }
}
