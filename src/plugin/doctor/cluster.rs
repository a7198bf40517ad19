//! The API server: whether its CRDs are those that this version knows, and whether clocks agree.

use std::collections::BTreeSet;

use http::Request;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::{Api, ResourceExt};

use super::{Check, Error, KeySet, Session};
use crate::api;

/// A check for each CRD.
pub(super) async fn checks(session: &Session) -> Vec<Check> {
    let mut checks = Vec::new();
    for wanted in api::crds() {
        checks.push(crd(session, &wanted).await);
    }
    checks
}

async fn crd(session: &Session, wanted: &CustomResourceDefinition) -> Check {
    let name = wanted.name_any();
    let subject = format!("CRD {name}");
    let api: Api<CustomResourceDefinition> = Api::all(session.client.clone());
    let found = match api.get_opt(&name).await {
        Ok(Some(found)) => found,
        Ok(None) => return Check::fail(subject, "it is missing: install Keyset's CRDs (kubectl apply -f crds/)"),
        Err(error) => return Check::skipped(subject, Error::api(error).to_string()),
    };
    judge(subject, &found, wanted)
}

fn judge(subject: String, found: &CustomResourceDefinition, wanted: &CustomResourceDefinition) -> Check {
    let ours = wanted.spec.versions.first();
    let version = ours.map(|version| version.name.as_str()).unwrap_or_default();
    let Some(theirs) = found.spec.versions.iter().find(|it| it.name == version && it.served) else {
        return Check::fail(subject, format!("it does not serve {version}: apply the CRDs of the operator's version"));
    };
    let (known, there) = (fields(ours), fields(Some(theirs)));
    let missing: Vec<&str> = known.difference(&there).map(String::as_str).collect();
    let foreign: Vec<&str> = there.difference(&known).map(String::as_str).collect();
    if !missing.is_empty() {
        return Check::warn(
            subject,
            format!(
                "it lacks {}, which this version knows: apply the CRDs of the newest of all versions",
                shown(&missing)
            ),
        );
    }
    if !foreign.is_empty() {
        return Check::warn(
            subject,
            format!("it has {}, which this plugin does not know: use a newer one", shown(&foreign)),
        );
    }
    let stored = found.spec.versions.iter().filter(|it| it.storage).map(|it| it.name.as_str()).collect::<Vec<_>>();
    Check::ok(subject, format!("serves {version} with every field of this version, and stores {}", stored.join(", ")))
}

/// The paths of all fields.
fn fields(
    version: Option<
        &k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinitionVersion,
    >,
) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    let schema = version.and_then(|version| version.schema.as_ref()?.open_api_v3_schema.as_ref());
    if let Some(schema) = schema {
        collect(schema, "", &mut paths);
    }
    paths
}

fn collect(schema: &JSONSchemaProps, path: &str, paths: &mut BTreeSet<String>) {
    for (name, below) in schema.properties.iter().flatten() {
        let path = format!("{path}.{name}");
        collect(below, &path, paths);
        paths.insert(path);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
        collect(items, &format!("{path}[]"), paths);
    }
}

fn shown(paths: &[&str]) -> String {
    let more = paths.len().saturating_sub(MOST_SHOWN);
    let shown = paths[..paths.len() - more].join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

/// The clock of this machine against that of the API server, for the strictest of the sets.
pub(super) async fn clock(session: &Session, key_sets: &[KeySet]) -> Check {
    let subject = "clock of this machine";
    let bound = key_sets.iter().map(|key_set| key_set.spec.clock_skew.length()).min();
    let bound = bound.unwrap_or(USUAL_SKEW);
    let Ok(request) = Request::get("/version").body(kube::client::Body::empty()) else {
        return Check::skipped(subject, "the API server cannot be asked");
    };
    let answer = match session.client.send(request).await {
        Ok(answer) => answer,
        Err(error) => return Check::skipped(subject, Error::api(error).to_string()),
    };
    let date = answer.headers().get(http::header::DATE).and_then(|date| date.to_str().ok());
    compared(subject, "it", "the API server's", date, crate::controller::now(), bound)
}

/// What a `Date` says of two clocks: ours and that of whoever sent it.
pub(super) fn compared(
    subject: &str,
    ours: &str,
    theirs: &str,
    date: Option<&str>,
    now: Timestamp,
    bound: SignedDuration,
) -> Check {
    let date = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok()).map(|date| date.timestamp());
    let Some(date) = date else { return Check::skipped(subject, "the answer has no Date") };
    // Whole seconds: on average half a second has passed.
    let ahead = now.duration_since(date) - SignedDuration::from_millis(500);
    let (by, side) = (ahead.abs().as_secs(), if ahead.is_negative() { "behind" } else { "ahead of" });
    // A Date has whole seconds, and the answer was under way.
    let told = format!("{ours} is {by} s {side} {theirs}, and clockSkew (S) is {} s", bound.as_secs());
    if ahead.abs() > bound + SignedDuration::from_secs(1) {
        return Check::fail(subject, format!("{told}: see to the time service of both"));
    }
    Check::ok(subject, told)
}

const MOST_SHOWN: usize = 4;
const USUAL_SKEW: SignedDuration = SignedDuration::from_mins(5);

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_crd_of_another_version_is_told() {
        let ours = || api::crds().remove(0);
        let verdict = |found: &CustomResourceDefinition| judge("crd".to_owned(), found, &ours());
        assert_eq!(verdict(&ours()).verdict, Verdict::Ok);
        let spec = |crd: &mut CustomResourceDefinition, edit: fn(&mut JSONSchemaProps)| {
            let schema = crd.spec.versions[0].schema.as_mut().unwrap().open_api_v3_schema.as_mut().unwrap();
            edit(schema.properties.as_mut().unwrap().get_mut("spec").unwrap());
        };
        let mut older = ours();
        spec(&mut older, |spec| drop(spec.properties.as_mut().unwrap().remove("heldKeys")));
        let told = verdict(&older);
        assert!(told.verdict == Verdict::Warn && told.found.contains(".spec.heldKeys"), "{told:?}");
        let mut newer = ours();
        spec(&mut newer, |spec| {
            drop(spec.properties.as_mut().unwrap().insert("later".to_owned(), JSONSchemaProps::default()));
        });
        assert!(verdict(&newer).found.contains(".spec.later, which this plugin does not know"));
        let mut other = ours();
        other.spec.versions[0].served = false;
        assert_eq!(verdict(&other).verdict, Verdict::Fail);
    }

    #[test]
    fn clocks_may_differ_by_the_skew() {
        let now: Timestamp = "2026-01-01T00:01:00Z".parse().unwrap();
        let of = |date: &str, bound| compared("c", "a", "b", Some(date), now, SignedDuration::from_secs(bound)).verdict;
        assert_eq!(of("Thu, 01 Jan 2026 00:00:59 GMT", 5), Verdict::Ok);
        assert_eq!(of("Thu, 01 Jan 2026 00:00:00 GMT", 5), Verdict::Fail);
        assert_eq!(of("Thu, 01 Jan 2026 00:02:00 GMT", 5), Verdict::Fail);
        assert_eq!(of("Thu, 01 Jan 2026 00:00:00 GMT", 300), Verdict::Ok);
        assert_eq!(of("yesterday", 300), Verdict::Skipped);
    }
}
