//! `why`.

use serde_json::{Value, json};

use super::tidy;
use crate::{
    rig::{Rig, SET},
    until,
};

#[tokio::test]
async fn why_names_every_guard_with_its_terms() {
    let rig = Rig::start("plugin-why").await;
    let long = json!({ "rotation": { "rollbackWindow": "1h" }, "retention": { "margin": "1h" } });
    rig.apply(long).await;
    let first = rig.until_settled().await;
    let why = || tidy(&rig.kubectl_keyset(&["why", SET]).ok());
    insta::assert_snapshot!("why_nobody_asks", why());
    rig.rotate().await;
    until("the rotation", async || rig.signer().await.filter(|now| now.term > first.term)).await;
    rig.until_settled().await;
    rig.edit(json!({ "heldKeys": [{ "keyID": first.kid }], "verifiers": { "maxCacheAge": "1h" }, "rotation": { "mode": "Interval", "interval": "20h" } })).await;
    rig.until_quiet(1.5).await;
    insta::assert_snapshot!("why_a_retired_key_stays", why());
    rig.edit(json!({ "rotation": { "mode": "Suspended", "pinnedKeyID": first.kid } })).await;
    rig.until_quiet(1.0).await;
    insta::assert_snapshot!("why_a_suspended_set_waits", why());
    let json: Value = serde_json::from_str(&rig.kubectl_keyset(&["why", SET, "-o", "json"]).ok()).unwrap();
    assert_eq!(json["steps"][0]["action"], "Activate");
    // Whoever may read KeySets, SigningKeys and ConfigMaps may ask: no Secret is needed.
    let none = rig.kubectl_keyset(&["why", "none"]);
    assert_eq!((none.code, none.err.lines().count()), (1, 1), "{none:?}");
    rig.finish_discreetly().await;
}
