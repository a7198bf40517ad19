//! `spec.signers.rolloutTargets`, with the real controllers of Deployments and StatefulSets. There is no kubelet: a Pod is
//! ready when the test says so.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::{
    proxy::Call,
    rig::{Rig, SET},
    until,
};

#[tokio::test]
async fn a_replaced_key_stays_until_every_pod_has_started_anew() {
    let rig = Rig::start("rollout").await;
    rig.create("deployments", &workload("Deployment", "issuer", 2)).await;
    rig.apply(json!({ "signers": { "rolloutTargets": [{ "kind": "Deployment", "name": "issuer" }] } })).await;
    let first = rig.until_settled().await;
    until("the first Pods", async || (ready_pods(&rig).await == 2).then_some(())).await;
    rig.until_quiet(1.0).await;
    assert_eq!(mark(&rig, "deployments", "issuer").await, None, "nothing was switched");

    rig.rotate().await;
    let marked = until("the mark", async || mark(&rig, "deployments", "issuer").await).await;
    let second = rig.signer().await.unwrap();
    assert_eq!(marked, format!("2 {}", second.kid));
    rig.until_condition("RolloutBlocked=True/RolloutOverdue").await;
    rig.until_settled().await;
    rig.until_quiet(2.0).await;
    let writes = rig.controller_api.writes().len();
    // Longer than L + T + S + M.
    tokio::time::sleep(std::time::Duration::from_secs(6)).await;
    let written: Vec<_> = rig.controller_api.writes()[writes..].iter().map(Call::summary).collect();
    assert!(written.is_empty(), "nothing is written while it waits: {written:?}");
    assert!(rig.published().await.contains(&first.kid));
    let next = rig.status().await["nextTransition"].clone();
    assert_eq!((&next["action"], &next["waitingFor"]), (&json!("Remove"), &json!("SignerRollout")));
    assert!(rig.get("secrets", "pay-1").await.is_some(), "it may be wanted back");

    let ended = until("the end of the rollout", async || {
        ready_pods(&rig).await;
        rig.status().await["keys"].as_array()?.iter().find_map(|key| key["rolloutTime"].as_str().map(time))
    })
    .await;
    let promised = until("the promise", async || {
        let key = rig.get("signingkeys", "pay-1").await?;
        Some(time(key["spec"]["lifecycle"]["earliestRemovalTime"].as_str()?)).filter(|promise| *promise > ended)
    })
    .await;
    assert!(promised >= ended + SignedDuration::from_secs(4), "L + T + S + M after {ended}, not {promised}");
    until("the end of the first key", async || (!rig.published().await.contains(&first.kid)).then_some(())).await;
    assert!(time(&Rig::now()) >= promised);
    rig.until_settled().await;
    let marks = rig.controller_api.writes().into_iter().filter(|call| call.resource == "deployments").count();
    assert_eq!((marks, rig.events("RolloutStarted").await.len()), (1, 1));
    assert_eq!(rig.events("RolloutBlocked").await.len(), 1);
    assert!(!Rig::has(&rig.status().await, "RolloutBlocked=True"));
    // Whoever applies the manifest of the workload anew finds nothing of his taken over.
    let object = rig.get("deployments", "issuer").await.unwrap();
    let managers = object["metadata"]["managedFields"].as_array().unwrap();
    let ours: Vec<_> = managers.iter().filter(|it| it["manager"] == "keyset-rollout-pay").collect();
    let owned =
        json!({ "f:spec": { "f:template": { "f:metadata": { "f:annotations": { "f:keyset.dev/term.pay": {} } } } } });
    assert_eq!((ours.len(), &ours[0]["fieldsV1"]), (1, &owned));
    rig.finish().await;
}

#[tokio::test]
async fn what_has_no_pods_is_waited_for_no_longer_than_it_takes_to_see_that() {
    let rig = Rig::start("rollout-nothing").await;
    rig.create("statefulsets", &workload("StatefulSet", "issuer", 0)).await;
    let targets = json!([{ "kind": "StatefulSet", "name": "issuer" }, { "kind": "Deployment", "name": "gone" }]);
    rig.apply(json!({ "signers": { "rolloutTargets": targets } })).await;
    let first = rig.until_settled().await;
    rig.until_condition("RolloutBlocked=True/TargetNotFound").await;
    rig.rotate().await;
    let marked = until("the mark", async || mark(&rig, "statefulsets", "issuer").await).await;
    assert!(marked.starts_with("2 "), "{marked}");
    until("the end of the first key", async || (!rig.published().await.contains(&first.kid)).then_some(())).await;
    let rollouts = rig.status().await["rollouts"].clone();
    assert_eq!(rollouts.as_array().unwrap().len(), 2, "{rollouts}");
    assert!(rollouts.as_array().unwrap().iter().all(|rollout| rollout["term"] == 2), "{rollouts}");
    assert!(rig.get("deployments", "gone").await.is_none(), "a mark creates nothing");
    // One that comes later starts with the key of today, and is left alone.
    rig.create("deployments", &workload("Deployment", "gone", 0)).await;
    rig.edit(json!({ "retention": { "margin": "2s" } })).await;
    until("the end of the complaint", async || (!Rig::has(&rig.status().await, "RolloutBlocked=True")).then_some(()))
        .await;
    rig.until_quiet(1.0).await;
    assert_eq!(mark(&rig, "deployments", "gone").await, None);
    rig.finish().await;
}

#[tokio::test]
async fn a_revoked_key_stays_for_signers_that_have_not_started_anew() {
    let rig = Rig::start("rollout-revoked").await;
    rig.create("deployments", &workload("Deployment", "issuer", 1)).await;
    rig.apply(json!({ "signers": { "rolloutTargets": [{ "kind": "Deployment", "name": "issuer" }] } })).await;
    let first = rig.until_settled().await;
    rig.edit(json!({ "revokedKeys": [{ "keyID": first.kid, "mode": "AfterSwitch" }] })).await;
    rig.until_condition("RolloutBlocked=True/RolloutOverdue").await;
    let revocation = rig.status().await["revocations"][0].clone();
    assert_eq!(revocation["state"], "WaitingForSigners");
    assert!(rig.published().await.contains(&first.kid));
    until("the end of the revoked key", async || {
        ready_pods(&rig).await;
        (!rig.published().await.contains(&first.kid)).then_some(())
    })
    .await;
    until("the acknowledgement", async || (rig.status().await["revocations"][0]["state"] == "Removed").then_some(()))
        .await;
    rig.finish().await;
}

pub(crate) fn workload(kind: &str, name: &str, replicas: u32) -> Value {
    let labels = json!({ "app": name });
    let mut object = json!({
        "apiVersion": "apps/v1", "kind": kind, "metadata": { "name": name },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels },
                "spec": { "containers": [{ "name": "signer", "image": "localhost/signer" }] },
            },
        },
    });
    if kind == "StatefulSet" {
        object["spec"]["serviceName"] = json!(name);
    }
    object
}

/// Says of every Pod that it is ready; gives how many were so before.
async fn ready_pods(rig: &Rig) -> usize {
    let mut ready = 0;
    for pod in rig.list("pods").await {
        let conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
        if conditions.iter().any(|it| it["type"] == "Ready" && it["status"] == "True") {
            ready += 1;
            continue;
        }
        let now = Timestamp::from_second(time(&Rig::now()).as_second()).unwrap().to_string();
        let condition = json!({ "type": "Ready", "status": "True", "lastTransitionTime": now });
        let status = json!({ "status": { "phase": "Running", "conditions": [condition] } });
        // It may be gone by now.
        let _ = rig.try_patch("pods", &format!("{}/status", pod["metadata"]["name"].as_str().unwrap()), &status).await;
    }
    ready
}

async fn mark(rig: &Rig, resource: &str, name: &str) -> Option<String> {
    let object = rig.get(resource, name).await?;
    let annotations = &object["spec"]["template"]["metadata"]["annotations"];
    annotations[format!("keyset.dev/term.{SET}")].as_str().map(ToOwned::to_owned)
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}
