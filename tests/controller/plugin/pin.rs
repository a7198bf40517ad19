//! `pin` and `unpin`.

use serde_json::json;

use super::tidy;
use crate::rig::{Rig, SET};
use crate::until;

#[tokio::test]
async fn a_pin_moves_the_set_and_holds_it_there() {
    let rig = Rig::start("plugin-pin").await;
    rig.apply_as("kustomize-controller", json!({})).await;
    let first = rig.until_settled().await;
    insta::assert_snapshot!("pin", tidy(&rig.kubectl_keyset(&["pin", SET, "pay-2"]).ok()));
    until("the switch", async || rig.signer().await.filter(|it| it.key == "pay-2")).await;
    rig.until_settled().await;
    assert_eq!(rig.status().await["lastRotation"]["reason"], "Pinned");
    assert_eq!(rig.refused(&["pin", SET, "pay-2"]), "pay-2 is pinned already");
    until("the end of the rollback window", async || rig.get("secrets", "pay-1").await.is_none().then_some(())).await;
    until("its report", async || {
        let key = rig.get("signingkeys", "pay-1").await?;
        (key["status"]["privateKey"] == "Destroyed").then_some(())
    })
    .await;
    let gone = rig.refused(&["pin", SET, &first.kid]);
    assert!(gone.starts_with("pay-1 has no private half any more") || gone.starts_with("pay-1 left the set"), "{gone}");
    insta::assert_snapshot!("unpin", tidy(&rig.kubectl_keyset(&["unpin", SET]).ok()));
    assert!(rig.spec().await["rotation"]["pinnedKeyID"].is_null());
    assert_eq!(rig.refused(&["unpin", SET]), "pay is not pinned");

    // Git has a pin of its own: it is taken over with a warning, and taken away only on demand.
    let kids = rig.recorded().await;
    rig.apply_as("kustomize-controller", json!({ "rotation": { "pinnedKeyID": kids["pay-2"] } })).await;
    insta::assert_snapshot!("unpin_refused", rig.refused(&["unpin", SET]));
    let warned = rig.kubectl_keyset(&["pin", SET, "pay-3", "--dry-run", "server"]).ok();
    assert!(
        warned
            .contains("Warning: kustomize-controller has another value for spec.rotation.pinnedKeyID and puts it back"),
        "{warned}"
    );
    rig.kubectl_keyset(&["unpin", SET, "--force"]).ok();
    assert!(rig.spec().await["rotation"]["pinnedKeyID"].is_null());

    rig.edit(json!({ "rotation": { "mode": "Suspended" } })).await;
    assert!(rig.refused(&["pin", SET, "pay-3"]).starts_with("pay-3 would not take over: rotation.mode is Suspended"));
    rig.until_settled().await;
    rig.finish().await;
}
