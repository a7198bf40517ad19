//! Objects of ours whose content is made to lie.
//!
//! What only a forger with the right `operate` can write, and write consistently, is not here: he is the operator then.

use serde_json::{Value, json};

use crate::{
    repairs::{nudge, until_nudged},
    rig::{Rig, SET, Signer},
    until,
    witness::Clock,
};

#[tokio::test]
async fn a_signer_secret_whose_record_lies_is_put_right() {
    let rig = Rig::start("lying-signer").await;
    rig.apply(json!({})).await;
    let whole = rig.until_settled().await;
    let other = rig.recorded().await["pay-2"].clone();
    for (accident, annotation, value) in [
        ("it names the standby", "key-id", json!(other)),
        ("it names a key of nobody", "key-id", json!("a".repeat(43))),
        ("it began in the future", "activated-time", json!("2999-01-01T00:00:00Z")),
    ] {
        let annotation = format!("keyset.dev/{annotation}");
        rig.patch("secrets", "pay-signing-key", json!({ "metadata": { "annotations": { &annotation: value } } })).await;
        nudge(&rig).await;
        until(&format!("the truth again: {accident}"), async || {
            let now = rig.get("secrets", "pay-signing-key").await?;
            (now["metadata"]["annotations"][&annotation] != value).then_some(())
        })
        .await;
        assert_eq!(rig.until_settled().await, whole, "{accident}");
    }
    rig.until_quiet(1.0).await;
    goes_on(&rig, &whole).await;
    rig.finish().await;
}

#[tokio::test]
async fn a_key_secret_with_another_content_is_rebuilt_or_its_key_replaced() {
    let rig = Rig::start("damaged-key-secret").await;
    rig.apply(json!({})).await;
    let signer = rig.until_settled().await;
    let standby = rig.get("secrets", "pay-2").await.unwrap();
    let active = rig.get("secrets", "pay-1").await.unwrap();
    let garbage = json!({ "private.pem": "bm90aGluZw==", "kid": "bm90aGluZw==" });
    for (accident, data) in
        [("the key of the standby", &standby["data"]), ("garbage", &garbage), ("nothing", &Value::Null)]
    {
        replace(&rig, &active, data).await;
        nudge(&rig).await;
        until(&format!("the right key instead of {accident}"), async || {
            let now = rig.get("secrets", "pay-1").await?;
            (now["data"] == active["data"] && now["immutable"] == true).then_some(())
        })
        .await;
    }
    assert_eq!(rig.until_settled().await, signer);

    replace(&rig, &standby, &garbage).await;
    nudge(&rig).await;
    until("the next standby", async || rig.recorded().await.get("pay-3").cloned()).await;
    assert_eq!(rig.until_settled().await, signer);
    assert!(rig.get("secrets", "pay-2").await.is_none(), "a name is for one key");
    goes_on(&rig, &signer).await;
    rig.finish().await;
}

#[tokio::test]
async fn our_labels_gone_is_a_foreign_object_until_they_are_back() {
    let rig = Rig::start("lost-labels").await;
    rig.apply(json!({})).await;
    let signer = rig.until_settled().await;
    for (resource, name) in [("secrets", "pay-signing-key"), ("secrets", "pay-1"), ("configmaps", "pay-jwks")] {
        let labels = rig.get(resource, name).await.unwrap()["metadata"]["labels"].clone();
        rig.patch(resource, name, json!({ "metadata": { "labels": null } })).await;
        nudge(&rig).await;
        rig.until_condition("Stalled=True/NameConflict").await;
        rig.patch(resource, name, json!({ "metadata": { "labels": labels } })).await;
        until_nudged(&rig, &format!("peace after {name}"), async || {
            (!Rig::has(&rig.status().await, "Stalled=True/NameConflict")).then_some(())
        })
        .await;
        assert_eq!(rig.until_settled().await, signer, "{name}");
    }
    // Membership of a SigningKey is no matter of labels.
    rig.patch("signingkeys", "pay-1", json!({ "metadata": { "labels": null } })).await;
    assert_eq!(rig.until_settled().await, signer);
    goes_on(&rig, &signer).await;
    rig.finish().await;
}

#[tokio::test]
async fn a_record_may_only_promise_more_and_its_report_is_written_again() {
    let rig = Rig::start("forged-record").await;
    rig.apply(json!({})).await;
    let first = rig.until_settled().await;
    rig.rotate().await;
    let second = until("the rotation", async || rig.signer().await.filter(|now| now.kid != first.kid)).await;
    rig.until_quiet(0.3).await;
    // Longer is a promise like any other.
    let late = in_seconds(12);
    rig.patch("signingkeys", "pay-1", json!({ "spec": { "lifecycle": { "earliestRemovalTime": late } } })).await;
    rig.patch("signingkeys", "pay-2", json!({ "status": { "state": "Removed", "privateKey": "Lost" } })).await;
    rig.patch("signingkeys", "pay-2", json!({ "metadata": { "annotations": { "a": "b" } } })).await;
    until("the report of pay-2", async || {
        let key = rig.get("signingkeys", "pay-2").await?;
        (key["status"]["state"] == "Active" && key["status"]["privateKey"] == "Stored").then_some(())
    })
    .await;
    until("the end of the first key", async || (!rig.published().await.contains(&first.kid)).then_some(())).await;
    let time = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
    assert!(time(&Rig::now()) >= time(&late), "a longer promise was not kept");
    assert_eq!(rig.until_settled().await, second);
    goes_on(&rig, &second).await;
    rig.finish().await;
}

/// Whoever may write SigningKeys must not own the issuer.
#[tokio::test]
async fn a_record_that_nobody_of_ours_made_is_not_published() {
    let rig = Rig::start("stranger").await;
    rig.apply(json!({})).await;
    let signer = rig.until_settled().await;
    let mut evil = rig.get("signingkeys", "pay-2").await.unwrap();
    evil["metadata"] = json!({ "name": "pay-3" });
    evil["spec"]["sequence"] = json!(3);
    let pair = key_pair().await;
    evil["spec"]["publicJWK"] = serde_json::to_value(pair.public_jwk()).unwrap();
    evil["status"] = Value::Null;
    rig.create("signingkeys", &evil).await;
    rig.until_quiet(2.0).await;
    for server in 0..2 {
        let looks = rig.witness().looks(server);
        assert!(
            looks.iter().all(|look| !look.has(pair.kid().as_str())),
            "server {server} serves the key of a stranger"
        );
    }
    goes_on(&rig, &signer).await;
    rig.finish().await;
}

/// A signing key is published whatever its record says.
#[tokio::test]
async fn the_signing_key_that_is_recorded_as_removed_is_published_until_another_signs() {
    let rig = Rig::start("removed-signer").await;
    rig.apply(json!({})).await;
    let signer = rig.until_settled().await;
    let promised = rig.get("signingkeys", "pay-1").await.unwrap()["spec"]["lifecycle"]["earliestRemovalTime"].clone();
    let promised: jiff::Timestamp = promised.as_str().unwrap().parse().unwrap();
    // As times: text with a fraction sorts before text without.
    until("the promise of the key", async || (Rig::now().parse::<jiff::Timestamp>().unwrap() > promised).then_some(()))
        .await;
    rig.patch("signingkeys", "pay-1", json!({ "spec": { "lifecycle": { "removalTime": Rig::now() } } })).await;
    let next = until("the next key", async || rig.signer().await.filter(|now| now.kid != signer.kid)).await;
    assert_eq!(next.term, signer.term + 1);
    rig.until_settled().await;
    rig.until_quiet(1.0).await;
    rig.finish().await;
}

#[tokio::test]
async fn a_status_that_lies_is_written_again_and_lets_nothing_happen_early() {
    let wrong = "0".repeat(64);
    let lies = [
        ("digest", json!({ "publication": { "digest": format!("sha256:{wrong}") } })),
        ("low-revision", json!({ "publication": { "revision": 1 } })),
        ("high-revision", json!({ "publication": { "revision": 1_000_000 } })),
        ("publication", json!({ "publication": null })),
        ("uid", json!({ "observedUID": "00000000-0000-0000-0000-000000000000" })),
        ("keys", json!({ "keys": [] })),
        ("conditions", json!({ "conditions": [], "activeKeyName": "pay-7", "lastRotation": null })),
        (
            "future",
            json!({ "lastRotation": {
            "time": "2999-01-01T00:00:00Z", "reason": "Requested", "keyName": "pay-7",
        }, "unknownKeyIDEndTime": "2999-01-01T00:00:00Z" }),
        ),
    ];
    let one = async |(name, lie): (&str, Value)| {
        let rig = Rig::start(&format!("lying-status-{name}")).await;
        rig.apply(json!({})).await;
        let first = rig.until_settled().await;
        // A second document, so that the first revision is history.
        rig.rotate().await;
        until("the rotation", async || rig.signer().await.filter(|now| now.kid != first.kid)).await;
        until("the end of the first key", async || (!rig.published().await.contains(&first.kid)).then_some(())).await;
        let signer = rig.until_settled().await;
        let (published, status) = (rig.published().await, rig.status().await);
        rig.patch_status(&lie).await;
        assert_eq!(rig.until_settled().await, signer, "{name}");
        until(&format!("the truth instead of {name}"), async || {
            let now = rig.status().await;
            let same = ["activeKeyName", "activeKeyID", "observedUID"].iter().all(|field| now[field] == status[field]);
            (same && now["keys"].as_array().map(Vec::len) == Some(2) && now["lastRotation"]["keyName"] == "pay-2")
                .then_some(())
        })
        .await;
        assert_eq!(rig.published().await, published, "{name}");
        // A server that starts now serves the same.
        let fresh = rig.new_server("127.0.0.1:0", "127.0.0.1:0").await;
        let url = format!("http://{}/{}/{SET}/jwks.json", fresh.public, rig.namespace);
        let document = until(&format!("a new server after {name}"), async || {
            crate::witness::fetch(&url).await.filter(|(status, _)| *status == 200)
        })
        .await;
        assert_eq!(crate::witness::kids(&document.1), published, "{name}");
        goes_on(&rig, &signer).await;
        rig.finish().await;
    };
    futures::future::join_all(lies.map(one)).await;
}

/// The replicas remember when they last answered without the key.
#[tokio::test]
async fn evidence_that_is_forged_lets_no_key_sign_early() {
    let rig = Rig::start("forged-evidence").await;
    rig.apply(json!({ "verifiers": { "maxCacheAge": "5s" }, "rotation": { "interval": "8s" } })).await;
    rig.until_settled().await;
    rig.rotate().await;
    let second = until("the rotation", async || rig.signer().await.filter(|now| now.key == "pay-2")).await;
    until("the next standby", async || {
        let standby = rig.recorded().await.get("pay-3").cloned()?;
        (0..2).all(|server| rig.witness().looks(server).last().is_some_and(|look| look.has(&standby))).then_some(())
    })
    .await;
    rig.until_quiet(0.5).await;
    let mut keys = rig.status().await["keys"].clone();
    for key in keys.as_array_mut().unwrap() {
        for time in ["publishTime", "visibleTime", "earliestActivationTime"] {
            key[time] = json!("2020-01-01T00:00:00Z");
        }
    }
    rig.patch_status(&json!({ "keys": keys })).await;
    goes_on(&rig, &second).await;
    rig.finish_by(Clock::of(6, 4)).await;
}

/// Another Secret under the name of `secret`, with its labels.
async fn replace(rig: &Rig, secret: &Value, data: &Value) {
    let name = secret["metadata"]["name"].as_str().unwrap();
    rig.delete("secrets", name).await;
    let metadata = json!({ "name": name, "labels": secret["metadata"]["labels"] });
    rig.create("secrets", &json!({ "metadata": metadata, "immutable": true, "data": data })).await;
}

/// The set rotates like any other.
async fn goes_on(rig: &Rig, signer: &Signer) {
    rig.rotate().await;
    let what = format!("a rotation of {}", rig.namespace);
    let next = until(&what, async || rig.signer().await.filter(|next| next.term > signer.term)).await;
    assert_eq!(next.term, signer.term + 1);
    rig.until_settled().await;
    rig.until_quiet(1.0).await;
}

async fn key_pair() -> keyset_operator::key_material::KeyPair {
    let generator = keyset_operator::key_material::Generator::new(std::num::NonZeroUsize::MIN);
    generator.generate(keyset_operator::jose::Algorithm::ES256, None).await.unwrap()
}

#[allow(clippy::disallowed_methods, reason = "a promise says until when")]
fn in_seconds(seconds: i64) -> String {
    let time = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
    jiff::Timestamp::from_second(time.as_second()).unwrap().to_string()
}
