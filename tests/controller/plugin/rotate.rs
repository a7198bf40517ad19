//! `rotate`.

use serde_json::{Value, json};

use super::tidy;
use crate::rig::{Rig, SET};
use crate::until;

#[tokio::test]
async fn rotate_asks_for_another_key_once() {
    let rig = Rig::start("plugin-rotate").await;
    rig.apply(json!({})).await;
    let first = rig.until_settled().await;
    let printed = rig.kubectl_keyset(&["rotate", SET, "--print"]).ok();
    insta::assert_snapshot!("rotate_printed", tidy(&printed));
    let dry = rig.kubectl_keyset(&["rotate", SET, "--dry-run", "server"]).ok();
    insta::assert_snapshot!("rotate_tried", tidy(&dry));
    assert!(rig.spec().await["rotation"]["after"].is_null(), "nothing was written");

    let said = rig.kubectl_keyset(&["rotate", SET, "-o", "json"]).ok();
    let json: Value = serde_json::from_str(&said).unwrap();
    assert!(json["earliestTime"].is_string() && json["dryRun"] == false, "{json}");
    let second = until("the switch", async || rig.signer().await.filter(|it| it.key != first.key)).await;
    assert_eq!(second.key, "pay-2");
    until("its record", async || (rig.status().await["lastRotation"]["keyName"] == "pay-2").then_some(())).await;
    assert_eq!(rig.status().await["lastRotation"]["reason"], "Requested");
    let past = rig.refused(&["rotate", SET, "--at", "2026-01-01T00:00:00Z"]);
    assert!(past.starts_with("pay-2 signs since "), "{past}");

    // A window that is waited for; another wish for the same is none, and it can be taken back.
    rig.until_settled().await;
    insta::assert_snapshot!("rotate_later", tidy(&rig.kubectl_keyset(&["rotate", SET, "--in", "1h"]).ok()));
    let after = rig.spec().await["rotation"]["after"].as_str().unwrap().to_owned();
    let again = rig.refused(&["rotate", SET, "--at", &after]);
    assert!(again.starts_with("a rotation of pay is asked for already, and happens at "), "{again}");
    let sooner = rig.kubectl_keyset(&["rotate", SET, "--in", "30m", "--dry-run", "server"]).ok();
    assert!(sooner.contains("pay-3 takes over at "), "{sooner}");
    insta::assert_snapshot!("rotate_cancel", tidy(&rig.kubectl_keyset(&["rotate", SET, "--cancel"]).ok()));
    assert!(rig.spec().await["rotation"]["after"].is_null());
    assert_eq!(rig.refused(&["rotate", SET, "--cancel"]), "no rotation of pay is asked for that has not happened");
    assert_eq!(rig.kubectl_keyset(&["rotate", SET, "--at", "tomorrow"]).code, 2);

    rig.edit(json!({ "rotation": { "pinnedKeyID": second.kid } })).await;
    assert!(rig.refused(&["rotate", SET]).contains("kubectl keyset unpin pay first"));
    rig.edit(json!({ "rotation": { "mode": "Suspended", "pinnedKeyID": null } })).await;
    assert!(rig.refused(&["rotate", SET]).contains("pay is suspended"));
    rig.until_settled().await;
    rig.finish().await;
}

#[tokio::test]
async fn a_rotation_says_what_the_standby_waits_for() {
    let rig = Rig::start("plugin-rotate-wait").await;
    rig.apply(json!({ "verifiers": { "maxCacheAge": "24h" } })).await;
    until("the standby", async || {
        let status = rig.status().await;
        status["keys"][1]["earliestActivationTime"].is_string().then_some(())
    })
    .await;
    insta::assert_snapshot!("rotate_waits", tidy(&rig.kubectl_keyset(&["rotate", SET]).ok()));
    rig.until_quiet(1.0).await;
    rig.finish_discreetly().await;
}
