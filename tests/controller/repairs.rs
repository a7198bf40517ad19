//! Objects of ours that are damaged or deleted.

use std::time::Instant;

use serde_json::{Value, json};

use crate::{
    rig::{Rig, SET},
    until,
};

#[tokio::test]
async fn a_config_map_that_is_tampered_with_is_put_right_and_never_served() {
    let rig = Rig::start("tampered-config-map").await;
    rig.apply(json!({})).await;
    rig.until_settled().await;
    let whole = rig.get("configmaps", "pay-jwks").await.unwrap();
    let revision = rig.status().await["publication"]["revision"].as_i64().unwrap();
    let evil = json!({ "keys": [{
        "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "evil",
        "x": "a".repeat(43), "y": "b".repeat(43),
    }] })
    .to_string();
    for (accident, patch) in [
        ("data replaced", Some(json!({ "data": { "jwks.json": evil } }))),
        ("not JSON", Some(json!({ "data": { "jwks.json": "{" } }))),
        ("an entry added", Some(json!({ "data": { "jwks": evil } }))),
        ("binary data added", Some(json!({ "binaryData": { "jwks": "e30=" } }))),
        ("all data gone", Some(json!({ "data": null }))),
        ("made immutable", Some(json!({ "immutable": true }))),
        ("tampered with and made immutable", Some(json!({ "data": { "jwks.json": evil }, "immutable": true }))),
        ("deleted", None),
    ] {
        match patch {
            Some(patch) => drop(rig.patch("configmaps", "pay-jwks", patch).await),
            None => rig.delete("configmaps", "pay-jwks").await,
        }
        until(&format!("the repair: {accident}"), async || {
            let now = rig.get("configmaps", "pay-jwks").await?;
            let closed = now.get("binaryData").is_some() || now.get("immutable").is_some();
            (now["data"] == whole["data"] && !closed).then_some(())
        })
        .await;
    }
    assert_eq!(rig.status().await["publication"]["revision"], revision, "the set is the same");
    for server in 0..2 {
        assert!(rig.witness().looks(server).iter().all(|look| !look.has("evil")), "server {server} serves it");
    }
    rig.until_settled().await;
    rig.until_quiet(1.0).await;
    assert!(!rig.events("ObjectRepaired").await.is_empty());
    rig.finish().await;
}

#[tokio::test]
async fn a_signer_secret_that_is_damaged_is_put_right_with_the_same_term_and_key() {
    let rig = Rig::start("damaged-signer").await;
    rig.apply(json!({})).await;
    let whole = rig.until_settled().await;
    let name = "pay-signing-key";
    let standby = rig.get("secrets", "pay-2").await.unwrap();
    let annotate = |name: &str, value: Value| json!({ "metadata": { "annotations": { name: value } } });
    for (accident, patch) in [
        ("deleted", None),
        ("the key of another", Some(json!({ "data": { "private.jwk": standby["data"]["private.jwk"] } }))),
        ("all data gone", Some(json!({ "data": null }))),
        ("an entry gone", Some(json!({ "data": { "public.pem": null } }))),
        ("an entry added", Some(json!({ "data": { "extra": "e30=" } }))),
        ("term in words", Some(annotate("keyset.dev/term", json!("one")))),
        ("term gone", Some(annotate("keyset.dev/term", Value::Null))),
        ("term lowered", Some(annotate("keyset.dev/term", json!("0")))),
        ("kid gone", Some(annotate("keyset.dev/key-id", Value::Null))),
        ("time in words", Some(annotate("keyset.dev/activated-time", json!("then")))),
        ("made immutable", Some(json!({ "immutable": true }))),
        ("emptied and made immutable", Some(json!({ "data": null, "immutable": true }))),
    ] {
        match patch {
            Some(patch) => drop(rig.patch("secrets", name, patch).await),
            None => rig.delete("secrets", name).await,
        }
        nudge(&rig).await;
        until(&format!("the repair: {accident}"), async || {
            let closed = rig.get("secrets", name).await?.get("immutable").is_some();
            (rig.signer().await.as_ref() == Some(&whole) && !closed).then_some(())
        })
        .await;
    }
    rig.until_quiet(1.0).await;
    assert_eq!(rig.recorded().await.len(), 2, "no key was made for it");
    rig.finish().await;
}

#[tokio::test]
async fn a_lost_key_secret_is_rebuilt_or_its_key_replaced() {
    let rig = Rig::start("lost-key-secret").await;
    rig.apply(json!({})).await;
    let signer = rig.until_settled().await;
    let before = rig.recorded().await;
    let active = rig.get("secrets", "pay-1").await.unwrap();
    rig.delete("secrets", "pay-1").await;
    nudge(&rig).await;
    until("the Key Secret of the active key", async || {
        let now = rig.get("secrets", "pay-1").await?;
        (now["data"] == active["data"] && now["immutable"] == true).then_some(())
    })
    .await;

    rig.delete("secrets", "pay-2").await;
    nudge(&rig).await;
    until("the end of the lost standby", async || {
        let published = rig.published().await;
        (!published.contains(&before["pay-2"]) && published.len() == 2).then_some(())
    })
    .await;
    assert_eq!(rig.until_settled().await, signer, "the signing key is not concerned");
    assert!(rig.published().await.contains(&signer.kid));
    rig.until_quiet(1.0).await;
    let recorded = rig.recorded().await;
    assert_eq!(recorded.keys().collect::<Vec<_>>(), ["pay-1", "pay-2", "pay-3"]);
    assert!(rig.get("secrets", "pay-2").await.is_none(), "a name is for one key");
    rig.finish().await;
}

#[tokio::test]
async fn a_key_that_is_lost_altogether_is_followed_by_the_standby() {
    let mut rig = Rig::start("lost-key").await;
    rig.apply(json!({})).await;
    let signer = rig.until_settled().await;
    rig.stop_controller().await;
    rig.delete("secrets", "pay-1").await;
    rig.delete("secrets", "pay-signing-key").await;
    rig.start_controller();
    let next = until("the successor", async || rig.signer().await.filter(|next| next.kid != signer.kid)).await;
    assert_eq!((next.term, next.key.as_str()), (signer.term + 1, "pay-2"));
    assert!(rig.published().await.contains(&signer.kid), "its tokens live");
    assert_eq!(rig.until_settled().await, next);
    until("the end of the lost key", async || (!rig.published().await.contains(&signer.kid)).then_some(())).await;
    rig.until_quiet(1.0).await;
    rig.finish().await;
}

#[tokio::test]
async fn a_signing_key_that_is_deleted_stays_published_and_is_recorded_again() {
    let cases = [("record-active", "pay-2"), ("record-standby", "pay-3"), ("record-retiring", "pay-1")];
    let one = async |(namespace, key): (&str, &str)| {
        // Long enough for the retiring key to be found.
        let rig = Rig::start(namespace).await;
        rig.apply(json!({ "retention": { "margin": "6s" }, "rotation": { "interval": "9s" } })).await;
        let first = rig.until_settled().await;
        rig.rotate().await;
        let signer = until("the rotation", async || rig.signer().await.filter(|now| now.kid != first.kid)).await;
        until("the next standby", async || {
            let standby = rig.recorded().await.get("pay-3").cloned()?;
            rig.published().await.contains(&standby).then_some(())
        })
        .await;
        rig.until_quiet(0.5).await;
        let kid = rig.recorded().await[key].clone();
        rig.delete("signingkeys", key).await;
        until(&format!("the record of {key}"), async || (rig.recorded().await.get(key) == Some(&kid)).then_some(()))
            .await;
        assert!(rig.published().await.contains(&kid), "{key}");
        assert!(rig.published().await.contains(&signer.kid), "{key}");
        rig.until_settled().await;
        let now = rig.signer().await.unwrap();
        assert_eq!((&now.kid, now.term), (&signer.kid, signer.term), "{key}: nothing else signs");
        rig.until_quiet(1.0).await;
        rig.finish().await;
    };
    futures::future::join_all(cases.map(one)).await;
}

/// Secrets are not watched: an edit of the KeySet that means nothing has them looked at before ten minutes are over.
pub(crate) async fn nudge(rig: &Rig) {
    let annotation = json!({ "metadata": { "annotations": { "nudge": Rig::now() } } });
    rig.patch("keysets", SET, annotation).await;
}

/// Looks until there is something to see, and has the operator look again every other second: no sooner, because an
/// edit of the KeySet stands in the way of a write of its status.
pub(crate) async fn until_nudged<T>(rig: &Rig, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let mut nudged = None;
    let what = format!("{what} in {}", rig.namespace);
    until(&what, async || {
        if nudged.is_none_or(|time: Instant| time.elapsed().as_secs() >= 2) {
            nudge(rig).await;
            nudged = Some(Instant::now());
        }
        look().await
    })
    .await
}
