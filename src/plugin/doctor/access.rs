//! What the caller may do, and which verbs will not work for them.

use futures::future::join_all;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::Api;
use kube::api::PostParams;

use super::{Check, Error, Session};

/// One check for each right that verbs of the plugin need.
pub(super) async fn checks(session: &Session) -> Vec<Check> {
    join_all(NEEDED.iter().map(|needed| check(session, needed))).await
}

async fn check(session: &Session, (verb, group, resource, verbs): &(&str, &str, &str, &str)) -> Check {
    let subject = format!("your right to {verb} {resource}");
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(attributes(session, verb, group, resource)),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let api: Api<SelfSubjectAccessReview> = Api::all(session.client.clone());
    match api.create(&PostParams::default(), &review).await {
        Ok(answer) if answer.status.as_ref().is_some_and(|status| status.allowed) => {
            Check::ok(subject, format!("in namespace {}, for {verbs}", session.namespace))
        }
        Ok(_) => Check::warn(subject, format!("you lack it in namespace {}: {verbs} will not work", session.namespace)),
        Err(error) => Check::skipped(subject, Error::api(error).to_string()),
    }
}

fn attributes(session: &Session, verb: &str, group: &str, resource: &str) -> ResourceAttributes {
    ResourceAttributes {
        namespace: Some(session.namespace.clone()),
        verb: Some(verb.to_owned()),
        group: Some(group.to_owned()),
        resource: Some(resource.to_owned()),
        ..ResourceAttributes::default()
    }
}

/// Verb, group, resource, and what needs it.
const NEEDED: &[(&str, &str, &str, &str)] = &[
    ("get", "keyset.dev", "keysets", "every verb"),
    ("list", "keyset.dev", "keysets", "status without a name"),
    ("list", "keyset.dev", "signingkeys", "history, plan, timeline and why"),
    ("patch", "keyset.dev", "keysets", "rotate, hold, release, pin, unpin, revoke and import"),
    ("get", "", "configmaps", "export and plan"),
    ("list", "events.k8s.io", "events", "history's Events"),
    ("get", "", "secrets", "token and import --secret"),
    ("create", "", "secrets", "import --file"),
];
