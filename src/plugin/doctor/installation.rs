//! The operator and its servers, where the chart put them: versions, and what their accounts may do.

use std::collections::BTreeSet;

use futures::future::join_all;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::{ListParams, PostParams};
use kube::{Api, ResourceExt};

use super::{Check, Error, Session};

/// What the chart installed, as far as the caller may see.
pub(super) struct Installation {
    found: Result<Vec<Deployment>, String>,
}

/// Looks for Deployments of the chart in all namespaces.
pub(super) async fn find(session: &Session) -> Installation {
    let api: Api<Deployment> = Api::all(session.client.clone());
    let found = api.list(&ListParams::default().labels("app.kubernetes.io/name=keyset")).await;
    Installation { found: found.map(|list| list.items).map_err(|error| Error::api(error).to_string()) }
}

impl Installation {
    /// The namespaces in which servers are.
    pub(super) fn server_namespaces(&self) -> BTreeSet<String> {
        let deployments = self.found.iter().flatten().filter(|it| component(it) == "server");
        deployments.filter_map(ResourceExt::namespace).collect()
    }

    pub(super) async fn checks(&self, session: &Session) -> Vec<Check> {
        let subject = "installation";
        let deployments = match &self.found {
            Err(why) => return vec![Check::skipped(subject, why)],
            Ok(none) if none.is_empty() => {
                return vec![Check::skipped(
                    subject,
                    "no Deployment of the chart is in this cluster: what runs elsewhere is not seen",
                )];
            }
            Ok(deployments) => deployments,
        };
        let mut checks: Vec<Check> = deployments.iter().flat_map(deployment).collect();
        let rights = deployments.iter().flat_map(|it| {
            RIGHTS.iter().filter(|right| right.component == component(it)).map(move |right| (it, right))
        });
        checks.extend(join_all(rights.map(|(deployment, right)| review(session, deployment, right))).await);
        checks
    }
}

/// Its version, and whether its replicas are available.
fn deployment(deployment: &Deployment) -> Vec<Check> {
    let subject = format!("{} {}", component(deployment), place(deployment));
    let version = deployment.labels().get("app.kubernetes.io/version").map_or("of no version", String::as_str);
    let version = if version == OURS {
        Check::ok(&subject, format!("version {version}, as this plugin"))
    } else {
        Check::warn(&subject, format!("version {version}, and this plugin is {OURS}: what it foretells may differ"))
    };
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let there = deployment.status.as_ref().and_then(|status| status.available_replicas).unwrap_or(0);
    let told = format!("{there} of {wanted} replicas are available");
    let replicas = match there {
        0 => Check::fail(subject, format!("{told}: kubectl describe deployment {}", deployment.name_any())),
        _ if there < wanted => Check::warn(subject, told),
        _ => Check::ok(subject, told),
    };
    vec![version, replicas]
}

/// What an account must be allowed, or must not.
struct Right {
    component: &'static str,
    verb: &'static str,
    group: &'static str,
    resource: &'static str,
    subresource: Option<&'static str>,
    wanted: bool,
}

async fn review(session: &Session, deployment: &Deployment, right: &Right) -> Check {
    let pods = deployment.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let account = pods.and_then(|pods| pods.service_account_name.clone()).unwrap_or_else(|| "default".to_owned());
    let user = format!("system:serviceaccount:{}:{account}", deployment.namespace().unwrap_or_default());
    let resource = right.subresource.map_or(right.resource.to_owned(), |below| format!("{}/{below}", right.resource));
    let subject = format!("right of {} {} to {} {resource}", right.component, place(deployment), right.verb);
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(user),
            groups: Some(vec!["system:serviceaccounts".to_owned(), "system:authenticated".to_owned()]),
            resource_attributes: Some(ResourceAttributes {
                namespace: Some(session.namespace.clone()),
                verb: Some(right.verb.to_owned()),
                group: Some(right.group.to_owned()),
                resource: Some(right.resource.to_owned()),
                subresource: right.subresource.map(ToOwned::to_owned),
                ..ResourceAttributes::default()
            }),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let api: Api<SubjectAccessReview> = Api::all(session.client.clone());
    let allowed = match api.create(&PostParams::default(), &review).await {
        Ok(answer) => answer.status.is_some_and(|status| status.allowed),
        Err(error) => return Check::skipped(subject, Error::api(error).to_string()),
    };
    let namespace = &session.namespace;
    match (allowed, right.wanted) {
        (true, true) => Check::ok(subject, format!("it has it in namespace {namespace}")),
        (false, false) => Check::ok(subject, format!("it has it not in namespace {namespace}, as it should be")),
        // There may be one for each namespace; that nobody looks at a KeySet is told of the KeySet.
        (false, true) => Check::warn(
            subject,
            format!("it lacks it in namespace {namespace}: does it watch that one (watchNamespaces)?"),
        ),
        (true, false) => {
            Check::fail(subject, format!("it has it in namespace {namespace} and needs it not: take it away"))
        }
    }
}

fn component(deployment: &Deployment) -> &str {
    deployment.labels().get("app.kubernetes.io/component").map_or("deployment", String::as_str)
}

fn place(deployment: &Deployment) -> String {
    format!("{}/{}", deployment.namespace().unwrap_or_default(), deployment.name_any())
}

const OURS: &str = env!("CARGO_PKG_VERSION");

const fn right(component: &'static str, verb: &'static str, group: &'static str, resource: &'static str) -> Right {
    Right { component, verb, group, resource, subresource: None, wanted: true }
}

const RIGHTS: &[Right] = &[
    right("controller", "operate", "keyset.dev", "keysets"),
    Right { subresource: Some("status"), ..right("controller", "patch", "keyset.dev", "keysets") },
    right("controller", "create", "keyset.dev", "signingkeys"),
    right("controller", "create", "", "secrets"),
    right("controller", "patch", "", "configmaps"),
    Right { wanted: false, ..right("controller", "list", "", "secrets") },
    right("server", "watch", "keyset.dev", "keysets"),
    right("server", "watch", "", "configmaps"),
    Right { wanted: false, ..right("server", "get", "", "secrets") },
];
