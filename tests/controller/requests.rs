//! What users ask for: rotations, pauses, deletion, adoption, and nothing at all.

use std::time::Instant;

use serde_json::{Value, json};

use crate::{
    proxy::Call,
    rig::{Rig, SET},
    until,
    witness::fetch,
};

#[tokio::test]
async fn a_settled_set_is_not_written_to() {
    let rig = Rig::start("settled").await;
    rig.apply(json!({})).await;
    let defaults = json!({
        "apiVersion": "keyset.dev/v1alpha1",
        "kind": "KeySet",
        "spec": { "algorithm": "ES256", "tokens": { "maxLifetime": "1h" } },
    });
    for (name, spec) in [
        ("defaults", json!({})),
        ("owned", json!({ "algorithm": "EdDSA", "deletionPolicy": "Delete" })),
        ("assumed", json!({ "publication": { "visibility": "Assumed", "maxDelay": "1s" } })),
        ("asked-long-ago", json!({ "rotation": { "mode": "OnRequest", "after": "2020-01-01T00:00:00Z" } })),
    ] {
        let mut object = defaults.clone();
        object["metadata"] = json!({ "name": name });
        crate::merge_patch::merge(&mut object["spec"], &spec);
        rig.create("keysets", &object).await;
    }
    rig.until_settled().await;
    until("all sets", async || {
        let sets = rig.list("keysets").await;
        sets.iter().all(|set| Rig::has(&set["status"], "Ready=True")).then_some(())
    })
    .await;
    rig.until_quiet(3.0).await;
    let settled = rig.controller_api.writes().len();
    let began = Instant::now();
    until("twenty seconds", async || (began.elapsed().as_secs() >= 20).then_some(())).await;
    let writes: Vec<String> = rig.controller_api.writes()[settled..].iter().map(Call::summary).collect();
    assert!(writes.is_empty(), "{writes:?}");
    rig.finish().await;
}

#[tokio::test]
async fn a_request_is_acknowledged_once_and_its_revert_does_nothing() {
    let rig = Rig::start("request").await;
    rig.apply(json!({})).await;
    let first = rig.until_settled().await;
    rig.rotate().await;
    let after = rig.get("keysets", SET).await.unwrap()["spec"]["rotation"]["after"].clone();
    let second = until("the rotation", async || rig.signer().await.filter(|now| now.term > first.term)).await;
    assert_eq!(second.term, first.term + 1);
    let status = until("the acknowledgement", async || {
        let status = rig.status().await;
        (status["lastRotation"]["keyName"] == "pay-2").then_some(status)
    })
    .await;
    assert_eq!(status["lastRotation"]["reason"], "Requested");
    assert!(time(&status["lastRotation"]["time"]) >= time(&after));
    until("the end of the first key", async || (!rig.published().await.contains(&first.kid)).then_some(())).await;
    rig.until_settled().await;
    rig.until_quiet(1.0).await;
    for value in [Value::Null, json!("2020-01-01T00:00:00Z"), after] {
        rig.patch("keysets", SET, json!({ "spec": { "rotation": { "after": value } } })).await;
        rig.until_quiet(3.0).await;
        assert_eq!(rig.signer().await.unwrap(), second, "after {value}");
    }
    assert_eq!(rig.recorded().await.len(), 3);
    rig.finish().await;
}

/// The witness holds the wait against law 1.
#[tokio::test]
async fn a_request_at_the_first_moment_waits_until_every_copy_has_the_standby() {
    let rig = Rig::start("hasty").await;
    rig.apply(json!({})).await;
    let first = until("the first key", async || rig.signer().await).await;
    // A moment later than the activation that answers it.
    until("its record", async || (rig.status().await["lastRotation"]["keyName"] == "pay-1").then_some(())).await;
    rig.rotate().await;
    let second = until("the rotation", async || rig.signer().await.filter(|now| now.term > first.term)).await;
    assert_eq!(second.key, "pay-2");
    rig.finish().await;
}

#[tokio::test]
async fn a_suspended_set_waits_and_says_so_and_an_interval_rotates_by_itself() {
    let rig = Rig::start("suspended").await;
    rig.apply(json!({ "rotation": { "mode": "Interval", "interval": "6s" } })).await;
    let first = rig.until_settled().await;
    rig.patch("keysets", SET, json!({ "spec": { "rotation": { "mode": "Suspended" } } })).await;
    rig.until_condition("RotationOverdue=True/Suspended").await;
    assert_eq!(rig.signer().await.unwrap(), first);
    rig.until_condition("Ready=True").await;
    rig.rotate().await;
    rig.until_quiet(3.0).await;
    assert_eq!(rig.signer().await.unwrap(), first, "nothing moves, not even on request");
    rig.patch("keysets", SET, json!({ "spec": { "rotation": { "mode": "Interval" } } })).await;
    let second = until("a rotation", async || rig.signer().await.filter(|now| now.term > first.term)).await;
    until("the next", async || rig.signer().await.filter(|now| now.term > second.term)).await;
    rig.until_condition("RotationOverdue=False").await;
    rig.finish().await;
}

#[tokio::test]
async fn a_deleted_set_is_served_on_and_adopted_without_a_rotation() {
    let rig = Rig::start("retained").await;
    rig.apply(json!({})).await;
    let signer = rig.until_settled().await;
    let published = rig.published().await;
    rig.delete("keysets", SET).await;
    rig.until_quiet(1.0).await;
    let fresh = rig.new_server("127.0.0.1:0", "127.0.0.1:0").await;
    let url = format!("http://{}/{}/{SET}/jwks.json", fresh.public, rig.namespace);
    let document =
        until("the set from a new server", async || fetch(&url).await.filter(|(status, _)| *status == 200)).await;
    assert_eq!(crate::witness::kids(&document.1), published);
    assert_eq!(rig.signer().await.unwrap(), signer, "the Signer Secret stays");
    let secret = rig.get("secrets", "pay-1").await.unwrap();

    // With nobody there who could put it right.
    let text = rig.get("configmaps", "pay-jwks").await.unwrap()["data"]["jwks.json"].as_str().unwrap().to_owned();
    let tampered = text.replacen(&signer.kid, &"e".repeat(43), 1);
    rig.patch("configmaps", "pay-jwks", json!({ "data": { "jwks.json": tampered } })).await;
    let late = rig.new_server("127.0.0.1:0", "127.0.0.1:0").await;
    let ready = format!("http://{}/readyz", late.admin);
    until("readiness", async || fetch(&ready).await.filter(|(status, _)| *status == 200)).await;
    let late = fetch(&format!("http://{}/{}/{SET}/jwks.json", late.public, rig.namespace)).await.unwrap();
    assert_ne!(late.0, 200, "no record vouches for it");
    assert_eq!(fetch(&url).await.unwrap(), document, "the last good one is served on");

    rig.apply(json!({})).await;
    assert_eq!(rig.until_settled().await, signer, "the key signs on");
    assert_eq!(rig.published().await, published);
    assert_eq!(rig.get("secrets", "pay-1").await.unwrap()["metadata"]["uid"], secret["metadata"]["uid"]);
    assert_eq!(rig.recorded().await.len(), 2, "no key was made");
    rig.until_quiet(1.0).await;
    rig.finish().await;
}

#[tokio::test]
async fn an_owned_set_goes_with_its_key_set_and_comes_back_anew() {
    let rig = Rig::start("owned").await;
    rig.apply(json!({ "deletionPolicy": "Delete" })).await;
    let signer = rig.until_settled().await;
    rig.delete("keysets", SET).await;
    let left = async || {
        let labelled = async |resource: &str| {
            let objects = rig.list(resource).await;
            objects.iter().filter(|it| it["metadata"]["labels"]["keyset.dev/keyset"] == SET).count()
        };
        labelled("secrets").await + labelled("configmaps").await + labelled("signingkeys").await
    };
    until("the garbage collector", async || (left().await == 0).then_some(())).await;
    // A new set of that name: nothing of the old may be used.
    rig.apply(json!({ "deletionPolicy": "Delete" })).await;
    let next = rig.until_settled().await;
    assert_ne!(next.kid, signer.kid);
    // And at once, while the garbage collector is at work.
    rig.delete("keysets", SET).await;
    rig.apply(json!({ "deletionPolicy": "Delete" })).await;
    let last = until("the third life", async || rig.signer().await.filter(|last| last.kid != next.kid)).await;
    assert_eq!(rig.until_settled().await.kid, last.kid);
    rig.until_quiet(2.0).await;
    assert_eq!(rig.published().await.len(), 2);
    let private = rig.list("secrets").await.len();
    assert_eq!(private, 3, "two Key Secrets and the Signer Secret");
    rig.finish_discreetly().await;
}

#[tokio::test]
async fn deletion_policy_can_be_edited_both_ways() {
    let rig = Rig::start("policy").await;
    rig.apply(json!({})).await;
    let signer = rig.until_settled().await;
    let uid = rig.get("keysets", SET).await.unwrap()["metadata"]["uid"].clone();
    let objects = [
        ("secrets", "pay-1"),
        ("secrets", "pay-2"),
        ("secrets", "pay-signing-key"),
        ("configmaps", "pay-jwks"),
        ("signingkeys", "pay-1"),
        ("signingkeys", "pay-2"),
    ];
    for policy in ["Delete", "Retain", "Delete"] {
        rig.patch("keysets", SET, json!({ "spec": { "deletionPolicy": policy } })).await;
        for (resource, name) in objects {
            until(&format!("the owner of {resource} {name} with {policy}"), async || {
                let owners = rig.get(resource, name).await?["metadata"]["ownerReferences"].clone();
                let owners = owners.as_array().cloned().unwrap_or_default();
                let right = match policy {
                    "Delete" => owners.len() == 1 && owners[0]["uid"] == uid,
                    _ => owners.is_empty(),
                };
                right.then_some(())
            })
            .await;
        }
        assert_eq!(rig.until_settled().await, signer);
        rig.until_quiet(1.0).await;
    }
    rig.finish().await;
}

fn time(value: &Value) -> jiff::Timestamp {
    value.as_str().unwrap().parse().unwrap()
}
