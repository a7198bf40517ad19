//! `history`.

use serde_json::{Value, json};

use super::tidy;
use crate::rig::{Rig, SET};
use crate::until;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_tells_of_every_key_and_who_asked() {
    let rig = Rig::start("plugin-history").await;
    rig.apply_as("kustomize-controller", json!({ "retention": { "margin": "60s", "historyLimit": 0 } })).await;
    let first = rig.until_settled().await;
    rig.kubectl_keyset(&["rotate", SET]).ok();
    until("the switch", async || rig.signer().await.filter(|it| it.key != first.key)).await;
    rig.until_settled().await;
    rig.kubectl_keyset(&["revoke", SET, "pay-1", "--yes", "--wait"]).ok();
    rig.until_settled().await;
    rig.until_quiet(1.0).await;
    let told: Value = serde_json::from_str(&rig.kubectl_keyset(&["history", SET, "-o", "json"]).ok()).unwrap();
    let keys: Vec<&str> = told["keys"].as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap()).collect();
    assert_eq!(keys, ["pay-1", "pay-2", "pay-3"]);
    let (old, new) = (&told["keys"][0], &told["keys"][1]);
    assert_eq!((&old["state"], &old["activationReason"]), (&json!("Revoked"), &json!("Bootstrap")));
    assert!(old["retirementTime"].is_string() && new["retirementTime"].is_null(), "{told}");
    assert!(old["removalTime"].is_string() && old["revocationTime"].is_string(), "{old}");
    assert_eq!((&new["state"], &new["activationReason"]), (&json!("Active"), &json!("Requested")));
    let asked = told["asked"].as_array().unwrap();
    assert_eq!((&asked[0]["field"], &asked[1]["field"]), (&json!("rotation.after"), &json!("revokedKeys")));
    for asked in asked {
        assert_eq!(asked["by"][0]["manager"], "keyset-cli", "{asked}");
    }
    let reasons: Vec<&str> =
        told["events"].as_array().unwrap().iter().map(|it| it["reason"].as_str().unwrap()).collect();
    for reason in ["KeyGenerated", "KeyActivated", "KeyRevoked", "PrivateKeyDestroyed", "KeyRemoved"] {
        assert!(reasons.contains(&reason), "{reasons:?}");
    }
    // Events come in any order within a second; they are not a part of what is held word for word.
    let text = tidy(&rig.kubectl_keyset(&["history", SET]).ok());
    let (before, after) = text.split_once("EVENT   KEY").unwrap();
    assert!(
        after.ends_with("The API server forgets Events, by default after an hour: older ones are gone.\n"),
        "{after}"
    );
    insta::assert_snapshot!("history", before);

    // Who comes after the KeySet sees what it left.
    rig.delete("keysets", SET).await;
    until("the end", async || rig.get("keysets", SET).await.is_none().then_some(())).await;
    let gone = rig.kubectl_keyset(&["history", SET]).ok();
    assert!(
        gone.contains("The KeySet is gone; these are the records that it left.") && gone.contains("pay-2"),
        "{gone}"
    );
    assert!(rig.refused(&["history", "other"]).starts_with("KeySet other is not in namespace"));
    rig.finish_discreetly().await;
}
