//! Every block of `docs/migration.md`, applied to a real API server: what the text promises of it comes true.
//!
//! As it is written a block is only validated; it then lives on a clock of seconds, under the name of the rig's KeySet.

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::{
    brought::secret,
    revocations::switched,
    rig::{Rig, SET},
    until,
};

#[tokio::test]
async fn a_key_of_cert_manager_signs_first_under_its_old_kid() {
    let rig = Rig::start("guide-cert-manager").await;
    let pem = include_str!("../../fuzz/seeds/import/rsa-pkcs1.pem");
    secret(&rig, "issuer-tls", "tls.key", pem, Some(SET)).await;
    apply(&rig, &blocks("cert-manager")).await;
    signs_with(&rig, "issuer-2025").await;
    rig.finish().await;
}

#[tokio::test]
async fn a_key_of_a_secret_made_by_hand_signs_first_under_its_own_kid() {
    let rig = Rig::start("guide-by-hand").await;
    apply(&rig, &blocks("made by hand")).await;
    signs_with(&rig, "old-1").await;
    rig.finish().await;
}

#[tokio::test]
async fn the_keys_of_another_issuer_are_published_beside_a_newcomer_that_waits() {
    let rig = Rig::start("guide-external").await;
    apply(&rig, &blocks("dex, Keycloak")).await;
    retires(&rig, &["2011-04-29"]).await;
    rig.finish().await;
}

#[tokio::test]
async fn the_keys_of_vault_are_published_beside_a_newcomer_that_waits() {
    let rig = Rig::start("guide-vault").await;
    let objects = blocks("Vault");
    let entries = objects[0]["spec"]["externalKeys"].as_array().unwrap();
    let kids: Vec<String> =
        entries.iter().map(|entry| entry["publicJWK"]["kid"].as_str().unwrap().to_owned()).collect();
    apply(&rig, &objects).await;
    retires(&rig, &kids.iter().map(String::as_str).collect::<Vec<_>>()).await;
    rig.finish().await;
}

#[tokio::test]
async fn a_fetched_set_becomes_entries_and_nothing_is_made_before_them() {
    // As Keycloak answers, and as EC and bare keys look.
    let n = blocks("dex, Keycloak")[0]["spec"]["externalKeys"][0]["publicJWK"]["n"].clone();
    let rsa = json!({ "kty": "RSA", "n": n, "e": "AQAB" });
    let with = |base: &Value, more: Value| {
        let mut key = base.clone();
        crate::merge_patch::merge(&mut key, &more);
        key
    };
    let fetched = json!({ "keys": [
        with(&rsa, json!({ "kid": "Enc_1", "alg": "RSA-OAEP", "use": "enc", "x5c": ["MIIC"], "x5t": "a" })),
        with(&rsa, json!({ "kid": "Sig_1", "use": "sig", "x5c": ["MIIC"], "x5t": "a", "x5t#S256": "b", "key_ops": ["verify"] })),
        with(&crate::brought::external("ec"), json!({ "alg": null, "use": "sig", "ext": true })),
    ] });
    let Some(patch) = jq(&block("jq", "dex, Keycloak"), &fetched) else { return };
    let rig = Rig::start("guide-jq").await;
    let mut object = blocks("dex, Keycloak").remove(0);
    object["spec"].as_object_mut().unwrap().remove("externalKeys");
    object["spec"]["rotation"] = json!({ "mode": "Suspended" });
    apply(&rig, &[object]).await;
    rig.until_quiet(2.0).await;
    assert!(rig.recorded().await.is_empty());
    rig.patch("keysets", SET, patch).await;
    rig.edit(json!({ "rotation": { "mode": "OnRequest" } })).await;
    retires(&rig, &["Sig_1", "ec"]).await;
    rig.finish().await;
}

/// The old key signs, the entry and its Secret may go, and a rotation replaces it.
async fn signs_with(rig: &Rig, kid: &str) {
    let signer = rig.until_settled().await;
    assert_eq!((signer.kid.as_str(), signer.term), (kid, 1));
    assert_eq!((rig.published().await.len(), rig.recorded().await.len()), (2, 2), "a standby is there");
    let source = rig.get("keysets", SET).await.unwrap()["spec"]["importedKeys"][0]["secretRef"]["name"].clone();
    rig.edit(json!({ "importedKeys": null })).await;
    rig.delete("secrets", source.as_str().unwrap()).await;
    rig.until_settled().await;
    rig.rotate().await;
    let next = switched(rig, &signer).await;
    assert_eq!(next.key, "pay-2");
    until("the end of the old key", async || (!rig.published().await.contains(&signer.kid)).then_some(())).await;
    assert_eq!(rig.until_settled().await, next);
    rig.until_quiet(1.0).await;
}

/// The external keys are served before anything signs, the first key waits, and an entry that is taken out retires.
async fn retires(rig: &Rig, kids: &[&str]) {
    let served = async || {
        let has_all = |server: usize| {
            let looks = rig.witness().looks(server);
            looks.last().is_some_and(|look| look.kids.len() == kids.len() + 2 && kids.iter().all(|kid| look.has(kid)))
        };
        (has_all(0) && has_all(1)).then_some(())
    };
    until("the old keys and two new ones", served).await;
    let signer = rig.until_settled().await;
    assert!(!kids.contains(&signer.kid.as_str()));
    let status = rig.status().await;
    let first = status["keys"].as_array().unwrap().iter().find(|key| key["name"] == signer.key.as_str()).unwrap();
    let time = |name: &str| crate::revocations::time(&first[name]);
    assert!(time("activationTime") >= time("visibleTime") + jiff::SignedDuration::from_secs(2), "C + S: {first}");
    rig.edit(json!({ "externalKeys": null })).await;
    until("the end of the old keys", async || (rig.published().await.len() == 2).then_some(())).await;
    assert_eq!(rig.until_settled().await, signer);
    rig.until_quiet(1.0).await;
}

/// Validates the objects as they are written, then creates them on a clock of seconds.
async fn apply(rig: &Rig, objects: &[Value]) {
    for object in objects {
        let mut object = object.clone();
        object["metadata"]["namespace"] = json!(rig.namespace);
        let resource = if object["kind"] == "KeySet" { "keysets" } else { "secrets" };
        rig.validate(resource, &object).await;
        if resource == "keysets" {
            let mut clock = crate::rig::key_set(SET)["spec"].clone();
            clock.as_object_mut().unwrap().remove("algorithm");
            let mode = object["spec"]["rotation"]["mode"].clone();
            crate::merge_patch::merge(&mut object["spec"], &clock);
            if mode.is_string() {
                object["spec"]["rotation"]["mode"] = mode;
            }
        }
        let object = object.to_string().replace("\"login\"", &format!("\"{SET}\""));
        rig.create(resource, &serde_json::from_str(&object).unwrap()).await;
    }
}

/// The objects in the blocks of YAML of a section.
fn blocks(heading: &str) -> Vec<Value> {
    let text = block("yaml", heading);
    let documents = serde_yaml::Deserializer::from_str(&text);
    documents.map(|document| serde::Deserialize::deserialize(document).unwrap()).collect()
}

/// The one block of that language under the heading that contains these words.
fn block(language: &str, heading: &str) -> String {
    let guide = fs::read_to_string("docs/migration.md").unwrap();
    let mut sections = guide.split("\n## ").filter(|section| section.lines().next().unwrap().contains(heading));
    let section = sections.next().unwrap();
    let fence = format!("```{language}\n");
    let mut blocks = section.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap());
    let block = blocks.next().unwrap().to_owned();
    assert_eq!(blocks.next(), None, "a test has to be written for a second block under {heading}");
    block
}

/// What a program makes of it; `None` on a machine without jq.
pub(crate) fn jq(program: &str, input: &Value) -> Option<Value> {
    let command = Command::new("jq").arg("-c").arg(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut child) = command else {
        println!("skipped: there is no jq");
        return None;
    };
    child.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    Some(serde_json::from_slice(&output.stdout).unwrap())
}
