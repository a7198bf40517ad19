//! Much is lost at once: a backup without status, records that are gone, a namespace in deletion.

use serde_json::{Value, json};

use crate::{
    rig::{Rig, SET, Signer},
    until,
};

/// What is lost while no controller runs.
#[derive(Clone, Copy, Debug)]
enum Loss {
    Status,
    Records,
    StatusAndConfigMap,
    /// As after `kubectl delete jwks --all` and another apply.
    StatusAndRecords,
    SignerSecretAndConfigMap,
    /// The KeySet is deleted and applied again; so is what it published.
    KeySetAndConfigMap,
}

#[tokio::test]
async fn what_is_lost_while_nobody_looks_costs_no_key() {
    let losses = [
        Loss::Status,
        Loss::Records,
        Loss::StatusAndConfigMap,
        Loss::StatusAndRecords,
        Loss::SignerSecretAndConfigMap,
        Loss::KeySetAndConfigMap,
    ];
    futures::future::join_all(losses.map(lives_through)).await;
}

async fn lives_through(loss: Loss) {
    let mut rig = Rig::start(&format!("loss-{loss:?}").to_lowercase()).await;
    rig.apply(json!({})).await;
    let first = rig.until_settled().await;
    rig.rotate().await;
    until("the end of the first key", async || (!rig.published().await.contains(&first.kid)).then_some(())).await;
    let signer = rig.until_settled().await;
    rig.until_quiet(0.5).await;
    let before = (rig.published().await, rig.status().await["publication"]["revision"].as_i64().unwrap());
    rig.stop_controller().await;
    lose(&rig, loss).await;
    rig.start_controller();
    recovers(&rig, loss, &signer, &before).await;
    // And the set goes on.
    rig.rotate().await;
    until(&format!("a rotation after {loss:?}"), async || rig.signer().await.filter(|now| now.term > signer.term))
        .await;
    rig.until_settled().await;
    rig.until_quiet(1.0).await;
    rig.finish().await;
}

async fn lose(rig: &Rig, loss: Loss) {
    if matches!(loss, Loss::Status | Loss::StatusAndConfigMap | Loss::StatusAndRecords) {
        rig.patch_status(&Value::Null).await;
    }
    if matches!(loss, Loss::Records | Loss::StatusAndRecords) {
        for name in rig.recorded().await.keys() {
            rig.delete("signingkeys", name).await;
        }
    }
    if matches!(loss, Loss::StatusAndConfigMap | Loss::SignerSecretAndConfigMap | Loss::KeySetAndConfigMap) {
        rig.delete("configmaps", "pay-jwks").await;
    }
    if matches!(loss, Loss::SignerSecretAndConfigMap) {
        rig.delete("secrets", "pay-signing-key").await;
    }
    if matches!(loss, Loss::KeySetAndConfigMap) {
        rig.delete("keysets", SET).await;
        rig.apply(json!({})).await;
    }
}

/// The same key signs, and everything that was published still is.
async fn recovers(rig: &Rig, loss: Loss, signer: &Signer, before: &(Vec<String>, i64)) {
    until(&format!("recovery from {loss:?}"), async || {
        let published = rig.published().await;
        let all = before.0.iter().all(|kid| published.contains(kid));
        let status = rig.status().await;
        (all && Rig::has(&status, "Ready=True")).then_some(())
    })
    .await;
    // A standby whose record was lost retires, and may have left before the next one is ready.
    until(&format!("a standby after {loss:?}"), async || {
        Rig::has(&rig.status().await, "StandbyReady=True").then_some(())
    })
    .await;
    rig.until_quiet(1.0).await;
    assert_eq!(rig.signer().await.as_ref(), Some(signer), "{loss:?}");
    let revision = rig.status().await["publication"]["revision"].as_i64().unwrap();
    assert!(revision >= before.1, "{loss:?}: revision {revision} after {}", before.1);
}

#[tokio::test]
async fn a_namespace_goes_with_all_that_is_in_it() {
    let rig = Rig::start("doomed").await;
    rig.apply(json!({})).await;
    rig.until_settled().await;
    let url = "/api/v1/namespaces/doomed";
    let _: Value = rig.client.request(http::Request::delete(url).body(Vec::new()).unwrap()).await.unwrap();
    until("the end of the namespace", async || {
        let answer = rig.client.request::<Value>(http::Request::get(url).body(Vec::new()).unwrap()).await;
        answer.is_err().then_some(())
    })
    .await;
    rig.until_quiet(3.0).await;
    assert!(rig.controller.as_ref().unwrap().ended().is_none());
    rig.finish_discreetly().await;
}
