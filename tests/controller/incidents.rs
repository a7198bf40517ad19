//! What `docs/incidents.md` advises where every key is gone, or one left too early, done with the programs of its commands.

use std::fs;

use serde_json::{Value, json};

use crate::{
    brought::external,
    guides::jq,
    revocations::switched,
    rig::{Rig, SET},
    until,
};

#[tokio::test]
async fn every_key_that_leaked_with_its_namespace_is_replaced() {
    let rig = Rig::start("incident-leak").await;
    rig.apply(json!({})).await;
    let signer = rig.until_settled().await;
    let leaked = rig.published().await;
    assert_eq!(leaked.len(), 2, "the standby leaked, too");
    let Some(patch) = jq(&program("A key leaked"), &rig.get("keysets", SET).await.unwrap()) else { return };
    assert_eq!(patch["spec"]["revokedKeys"].as_array().unwrap().len(), 2);
    rig.patch("keysets", SET, patch).await;
    let next = switched(&rig, &signer).await;
    assert!(!leaked.contains(&next.kid));
    until("a set without a key that leaked", async || {
        let published = rig.published().await;
        (published.len() == 2 && leaked.iter().all(|kid| !published.contains(kid))).then_some(())
    })
    .await;
    rig.until_settled().await;
    rig.finish().await;
}

#[tokio::test]
async fn after_the_loss_of_a_cluster_a_new_key_signs_at_once_beside_the_old_public_ones() {
    let rig = Rig::start("incident-cluster").await;
    rig.apply(json!({})).await;
    let signer = until("the first signature", async || rig.signer().await).await;
    rig.edit(json!({ "externalKeys": [{ "name": "old-1", "publicJWK": external("old-1") }] })).await;
    until("the old key in the set", async || rig.published().await.contains(&"old-1".to_owned()).then_some(())).await;
    assert_eq!(rig.until_settled().await, signer);
    rig.finish().await;
}

#[tokio::test]
async fn a_key_that_left_too_early_is_published_again() {
    let rig = Rig::start("incident-t").await;
    rig.apply(json!({})).await;
    let first = rig.until_settled().await;
    rig.rotate().await;
    let second = switched(&rig, &first).await;
    until("the end of the first key", async || (!rig.published().await.contains(&first.kid)).then_some(())).await;
    let records = json!({ "items": rig.list("signingkeys").await });
    let Some(patch) = jq(&program("Tokens live longer than T"), &records) else { return };
    assert_eq!(patch["spec"]["externalKeys"].as_array().unwrap().len(), 1, "{patch}");
    rig.patch("keysets", SET, patch).await;
    until("the first key in the set", async || rig.published().await.contains(&first.kid).then_some(())).await;
    rig.until_quiet(2.0).await;
    assert_eq!(rig.signer().await.unwrap(), second);
    assert!(rig.published().await.contains(&first.kid));
    // To the witness a key has one record; this one has a second, as an external one.
    rig.finish_discreetly().await;
}

/// The program that a command of the section gives to jq to make a patch.
fn program(heading: &str) -> String {
    let page = fs::read_to_string("docs/incidents.md").unwrap();
    let section = page.split("\n## ").find(|section| section.starts_with(heading)).unwrap();
    let mut programs = section.split("jq -c '").skip(1).map(|rest| rest.split('\'').next().unwrap().to_owned());
    let program = programs.next().unwrap();
    assert_eq!(programs.next(), None, "a test has to be written for a second program under {heading}");
    program
}

#[test]
fn programs_are_found() {
    let patch = jq(
        &program("A key leaked"),
        &json!({ "status": { "keys": [
        { "keyID": "a", "privateKey": "Stored" },
        { "keyID": "b", "privateKey": "Destroyed" },
    ] } }),
    );
    let Some(patch) = patch else { return };
    let only: Value = json!([{ "keyID": "a", "mode": "ForceSwitch" }]);
    assert_eq!(patch["spec"]["revokedKeys"], only);
}
