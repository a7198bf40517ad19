//! Rollout targets: Deployments and StatefulSets that sign, read by name and marked in their Pod template.
//!
//! Invariants: nothing is asked for unless a KeySet names it; a mark is an apply of one annotation by a field manager of
//! its own, under the UID that was read, so that it neither takes over a field nor creates a workload that is gone. The
//! resourceVersion is left out on purpose: the status of a workload changes all the time while its Pods do.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use kube::{Client, ResourceExt};
use serde_json::json;

use super::error::Error;
use super::objects::{Object, Objects};
use crate::api::names::rollout;
use crate::api::{RolloutTarget, WorkloadKind};
use crate::jose::KeyId;
use crate::lifecycle::{Mark, Pods, Target, Workload};

/// Looks at a workload that the KeySet names.
pub(super) async fn target(objects: &Objects, entry: &RolloutTarget, key_set: &str) -> Result<Target, Error> {
    let read = match entry.kind {
        WorkloadKind::Deployment => found::<Deployment>(objects, entry, key_set, deployment_pods).await,
        WorkloadKind::StatefulSet => found::<StatefulSet>(objects, entry, key_set, stateful_set_pods).await,
    };
    let workload = match read {
        Ok(workload) => workload,
        Err(error) => Workload::Refused(refusal(&error).ok_or(error)?),
    };
    Ok(Target { entry: entry.clone(), workload })
}

/// The same for whoever has a client.
pub(crate) async fn look(
    client: &Client,
    namespace: &str,
    entry: &RolloutTarget,
    key_set: &str,
) -> Result<Target, Error> {
    target(&Objects::new(client.clone(), namespace), entry, key_set).await
}

/// Marks the Pod template of a workload. A refusal is an error of its own, as it must hold up nothing else.
pub(super) async fn mark(
    objects: &Objects,
    entry: &RolloutTarget,
    uid: &str,
    mark: &Mark,
    key_set: &str,
) -> Result<(), Error> {
    let value = format!("{} {}", mark.term, mark.key_id);
    let body = json!({
        "apiVersion": "apps/v1", "kind": entry.kind,
        "metadata": {"name": entry.name, "uid": uid},
        "spec": {"template": {"metadata": {"annotations": {annotation(key_set): value}}}},
    });
    let manager = format!("{}{key_set}", rollout::FIELD_MANAGER_PREFIX);
    let marked = match entry.kind {
        WorkloadKind::Deployment => objects.apply_as::<Deployment>(&entry.name, &body, &manager).await,
        WorkloadKind::StatefulSet => objects.apply_as::<StatefulSet>(&entry.name, &body, &manager).await,
    };
    marked.map_err(|error| match refusal(&error) {
        Some(why) => Error::NotMarked { target: entry.clone(), why },
        None => error,
    })
}

async fn found<K: Object>(
    objects: &Objects,
    entry: &RolloutTarget,
    key_set: &str,
    seen: impl Fn(&K) -> (Option<BTreeMap<String, String>>, Pods),
) -> Result<Workload, Error> {
    let Some(object) = objects.workload::<K>(&entry.name).await? else { return Ok(Workload::Absent) };
    let (annotations, pods) = seen(&object);
    let mark = annotations.as_ref().and_then(|annotations| annotations.get(&annotation(key_set)));
    Ok(Workload::Found { uid: object.uid().unwrap_or_default(), mark: mark.and_then(|text| read(text)), pods })
}

fn annotation(key_set: &str) -> String {
    format!("{}{key_set}", rollout::MARK_PREFIX)
}

fn read(mark: &str) -> Option<Mark> {
    let (term, key_id) = mark.split_once(' ')?;
    Some(Mark { term: term.parse().ok()?, key_id: KeyId::try_from(key_id).ok()? })
}

fn deployment_pods(deployment: &Deployment) -> (Option<BTreeMap<String, String>>, Pods) {
    let (spec, status) = (deployment.spec.as_ref(), deployment.status.as_ref());
    let annotations = spec.and_then(|spec| spec.template.metadata.as_ref()?.annotations.clone());
    let why = spec.filter(|spec| spec.paused == Some(true)).map(|_| "it is paused");
    let count = |of: fn(&k8s_openapi::api::apps::v1::DeploymentStatus) -> Option<i32>| status.and_then(of);
    let counts = Counts {
        wanted: spec.and_then(|spec| spec.replicas),
        observed: status.and_then(|status| status.observed_generation) >= deployment.metadata.generation,
        all: count(|it| it.replicas),
        updated: count(|it| it.updated_replicas),
        available: count(|it| it.available_replicas),
        terminating: count(|it| it.terminating_replicas),
    };
    (annotations, counts.pods(why))
}

fn stateful_set_pods(set: &StatefulSet) -> (Option<BTreeMap<String, String>>, Pods) {
    let (spec, status) = (set.spec.as_ref(), set.status.as_ref());
    let annotations = spec.and_then(|spec| spec.template.metadata.as_ref()?.annotations.clone());
    let strategy = spec.and_then(|spec| spec.update_strategy.as_ref());
    let by_hand = strategy.filter(|strategy| strategy.type_.as_deref() == Some("OnDelete"));
    let in_part = strategy.and_then(|strategy| strategy.rolling_update.as_ref()?.partition).filter(|it| *it > 0);
    let why = by_hand.map(|_| "its updateStrategy is OnDelete, so somebody must delete its Pods");
    let why = why.or(in_part.map(|_| "its updateStrategy has a partition"));
    let counts = Counts {
        wanted: spec.and_then(|spec| spec.replicas),
        observed: status.and_then(|status| status.observed_generation) >= set.metadata.generation,
        all: status.map(|status| status.replicas),
        updated: status.and_then(|status| status.updated_replicas),
        available: status.and_then(|status| status.available_replicas),
        terminating: None,
    };
    (annotations, counts.pods(why))
}

/// What the status of a workload counts; nothing is none.
struct Counts {
    wanted: Option<i32>,
    observed: bool,
    all: Option<i32>,
    updated: Option<i32>,
    available: Option<i32>,
    terminating: Option<i32>,
}

impl Counts {
    /// Whether every Pod is of the template: none of another, none on its way out, and all that shall be there. `why`
    /// tells what keeps Pods from it.
    fn pods(&self, why: Option<&str>) -> Pods {
        // The default of the API.
        let wanted = self.wanted.unwrap_or(1);
        let none = |count: Option<i32>| count.unwrap_or(0);
        let (all, updated, available) = (none(self.all), none(self.updated), none(self.available));
        let is_done = updated >= wanted && all == updated && available >= updated && none(self.terminating) == 0;
        if self.observed && is_done {
            return Pods::Current;
        }
        Pods::Outdated(why.unwrap_or("its rollout has not come to an end").to_owned())
    }
}

/// What a person can do about an answer that says no; `None` if another try may go well.
fn refusal(error: &Error) -> Option<String> {
    let Error::Api { source, .. } = error else { return None };
    let kube::Error::Api(status) = &**source else { return None };
    let said: String = status.message.chars().take(LONGEST_REASON).collect();
    match status.code {
        // An admission webhook answers so, too.
        403 if status.message.contains(" cannot ") => {
            Some(format!("the controller lacks the right: set rbac.rolloutTargets in the chart ({said})"))
        }
        400 | 403 | 422 => Some(format!("the API server refuses it: {said}")),
        _ => None,
    }
}

const LONGEST_REASON: usize = 200;
