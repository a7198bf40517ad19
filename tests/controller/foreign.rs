//! Objects of names that are needed, and that are not ours.

use std::time::Instant;

use serde_json::{Value, json};

use crate::{
    health::kstatus,
    proxy::Call,
    repairs::nudge,
    rig::{Rig, SET},
    until,
    witness::fetch,
};

#[tokio::test]
async fn a_foreign_object_is_never_touched_and_its_end_heals() {
    let cases = [
        ("foreign-signer", "secrets", "pay-signing-key"),
        ("foreign-key", "secrets", "pay-2"),
        ("foreign-config-map", "configmaps", "pay-jwks"),
    ];
    let one = async |(namespace, resource, name): (&str, &str, &str)| {
        let rig = Rig::start(namespace).await;
        let foreign = rig.create(resource, &stranger(resource, name)).await;
        rig.apply(json!({})).await;
        rig.until_condition("Ready=False/NameConflict").await;
        rig.until_condition("Stalled=True/NameConflict").await;
        // A key whose own name is free may still be on its way into the set.
        rig.until_quiet(1.0).await;
        let is_look = |call: &&Call| call.resource == "signingkeys" && call.method == http::Method::GET;
        let looks = || rig.controller_api.calls().iter().filter(is_look).count();
        let (began, before) = (Instant::now(), looks());
        until("some time of backoff", async || (began.elapsed().as_secs_f64() > 4.0).then_some(())).await;
        let passes = looks() - before;
        assert!((1..=12).contains(&passes), "{namespace}: {passes} looks in 4 s");
        let events = rig.events("NameConflict").await;
        assert_eq!(events.len(), 1, "{namespace}: {events:#?}");
        assert_eq!(events[0]["type"], "Warning");
        let now = rig.get(resource, name).await.unwrap();
        assert_eq!(now["metadata"]["resourceVersion"], foreign["metadata"]["resourceVersion"], "{namespace}");
        rig.delete(resource, name).await;
        rig.until_settled().await;
        rig.until_quiet(0.5).await;
        let status = rig.status().await;
        assert!(!status["conditions"].to_string().contains("Stalled"), "{namespace}: {status:#}");
        rig.finish().await;
    };
    futures::future::join_all(cases.map(one)).await;
}

#[tokio::test]
async fn a_foreign_object_that_appears_later_changes_nothing_that_is_served() {
    let cases = [
        ("late-signer", "secrets", "pay-signing-key"),
        ("late-key", "secrets", "pay-3"),
        ("late-config-map", "configmaps", "pay-jwks"),
    ];
    let one = async |(namespace, resource, name): (&str, &str, &str)| {
        let mut rig = Rig::start(namespace).await;
        rig.apply(json!({})).await;
        let signer = rig.until_settled().await;
        rig.stop_controller().await;
        if rig.get(resource, name).await.is_some() {
            rig.delete(resource, name).await;
        }
        let foreign = rig.create(resource, &stranger(resource, name)).await;
        rig.start_controller();
        if name == "pay-3" {
            rig.rotate().await;
        }
        rig.until_condition("Ready=False/NameConflict").await;
        rig.until_condition("Stalled=True/NameConflict").await;
        let began = Instant::now();
        // Longer than any key of this clock would stay.
        until("some time", async || (began.elapsed().as_secs_f64() > 5.0).then_some(())).await;
        for server in 0..2 {
            let looks = rig.witness().looks(server);
            assert!(looks.last().unwrap().has(&signer.kid), "{namespace}: server {server} dropped the key");
        }
        let now = rig.get(resource, name).await.unwrap();
        assert_eq!(now["metadata"]["resourceVersion"], foreign["metadata"]["resourceVersion"], "{namespace}");
        rig.delete(resource, name).await;
        nudge(&rig).await;
        let healed = rig.until_settled().await;
        if name != "pay-3" {
            assert_eq!(healed, signer, "{namespace}");
        }
        rig.until_quiet(1.0).await;
        rig.finish().await;
    };
    futures::future::join_all(cases.map(one)).await;
}

#[tokio::test]
async fn two_sets_that_want_one_name_do_not_share_it() {
    let rig = Rig::start("one-name").await;
    rig.apply(json!({})).await;
    let signer = rig.until_settled().await;
    let taken = json!({
        "signers": { "secretName": "pay-signing-key" },
        "publication": { "configMapName": "pay-jwks" },
    });
    let mut other = crate::rig::key_set("other");
    crate::merge_patch::merge(&mut other["spec"], &taken);
    rig.create("keysets", &other).await;
    until("the conflict", async || {
        let status = rig.get("keysets", "other").await?["status"].clone();
        Rig::has(&status, "Ready=False/NameConflict").then_some(())
    })
    .await;
    rig.until_quiet(2.0).await;
    assert_eq!(rig.until_settled().await, signer);
    rig.finish().await;
}

#[tokio::test]
async fn a_spec_of_a_later_version_is_told_and_the_set_served_as_it_was() {
    let rig = Rig::start("later-version").await;
    rig.apply(json!({})).await;
    let signer = rig.until_settled().await;
    allow_another_algorithm(&rig).await;
    rig.patch("keysets", SET, json!({ "spec": { "algorithm": "ML-DSA-44" } })).await;
    rig.until_condition("Ready=False/UnknownValue").await;
    rig.until_condition("Stalled=True/UnknownValue").await;
    assert_eq!(kstatus(&rig.get("keysets", SET).await.unwrap()), "Failed");
    rig.until_quiet(3.0).await;
    assert_eq!(rig.events("UnknownValue").await.len(), 1);
    for server in 0..2 {
        assert!(rig.witness().looks(server).last().unwrap().has(&signer.kid));
    }
    let fresh = rig.new_server("127.0.0.1:0", "127.0.0.1:0").await;
    let ready = format!("http://{}/readyz", fresh.admin);
    until("readiness", async || fetch(&ready).await.filter(|(status, _)| *status == 200)).await;
    let url = format!("http://{}/{}/{SET}/jwks.json", fresh.public, rig.namespace);
    let (status, document) = fetch(&url).await.unwrap();
    assert_eq!(status, 200);
    assert!(crate::witness::kids(&document).contains(&signer.kid), "a server that has just started");
    rig.patch("keysets", SET, json!({ "spec": { "algorithm": "ES256" } })).await;
    rig.until_condition("Accepted=True").await;
    assert_eq!(rig.until_settled().await, signer);
    let conditions = rig.status().await["conditions"].to_string();
    assert!(!conditions.contains("UnknownValue"), "{conditions}");
    rig.until_quiet(1.0).await;
    rig.finish().await;
}

/// The CRD of a release to come.
async fn allow_another_algorithm(rig: &Rig) {
    let url = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/keysets.keyset.dev";
    let field = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/algorithm/enum/-";
    let patch = json!([{ "op": "add", "path": field, "value": "ML-DSA-44" }]);
    let request = http::Request::patch(url).header("content-type", "application/json-patch+json");
    let _: Value = rig.client.request(request.body(serde_json::to_vec(&patch).unwrap()).unwrap()).await.unwrap();
    let probe = json!([{ "op": "replace", "path": "/spec/algorithm", "value": "ML-DSA-44" }]);
    until("the CRD of a release to come", async || {
        let url = format!("/apis/keyset.dev/v1alpha1/namespaces/{}/keysets/{SET}?dryRun=All", rig.namespace);
        let request = http::Request::patch(url).header("content-type", "application/json-patch+json");
        let body = serde_json::to_vec(&probe).unwrap();
        rig.client.request::<Value>(request.body(body).unwrap()).await.ok()
    })
    .await;
}

fn stranger(resource: &str, name: &str) -> Value {
    let (kind, value) = if resource == "secrets" { ("Secret", "bWluZQ==") } else { ("ConfigMap", "mine") };
    json!({ "apiVersion": "v1", "kind": kind, "metadata": { "name": name }, "data": { "mine": value } })
}
