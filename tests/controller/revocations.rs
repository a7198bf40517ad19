//! Keys that must not be trusted any more: in each mode, from each state, and that they never come back.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::{
    rig::{Rig, SET, Signer},
    until,
    witness::Clock,
};

/// A standby that may not sign for a while: C + S = 5 + 1.
const SLOW: (u64, u64) = (6, 4);

#[tokio::test]
async fn a_revoked_active_key_is_followed_by_the_standby_at_no_cost() {
    let rig = Rig::start("revoked-active").await;
    rig.apply(json!({})).await;
    let first = rig.until_settled().await;
    revoke(&rig, &[(&first.kid, "AfterSwitch")]).await;
    let second = switched(&rig, &first).await;
    assert_eq!(second.key, "pay-2");
    let gone = removed(&rig, &first.kid).await;
    let status = rig.status().await;
    assert_eq!(status["lastRotation"]["reason"], "Revoked");
    assert!(time(&gone["removalTime"]) >= time(&status["lastRotation"]["time"]) + SignedDuration::from_secs(1), "L");
    let exposed = time(&gone["exposureEndTime"]).duration_since(time(&gone["removalTime"]));
    assert!(exposed >= SignedDuration::from_secs(2), "C + S after it was seen gone, not {exposed}");
    assert!(!told_of_a_window(&rig));
    assert!(rig.get("secrets", "pay-1").await.is_none(), "its private half is destroyed");
    assert!(!rig.published().await.contains(&first.kid));
    let signer = rig.get("secrets", "pay-signing-key").await.unwrap();
    let barred = signer["metadata"]["annotations"]["keyset.dev/barred-key-ids"].as_str().unwrap().to_owned();
    assert!(barred.contains(&first.kid), "{barred:?}");
    let events = rig.events("KeyRevoked").await;
    assert_eq!(events.len(), 1, "{events:#?}");
    assert_eq!((&events[0]["type"], &events[0]["related"]["name"]), (&json!("Normal"), &json!("pay-1")));

    // A revert brings nothing back, and writes nothing but what the status has to say of it.
    rig.until_settled().await;
    rig.until_quiet(1.0).await;
    let before = objects_written(&rig);
    revoke(&rig, &[]).await;
    let second = rig.until_settled().await;
    rig.until_quiet(2.0).await;
    assert_eq!(objects_written(&rig), before);
    assert_eq!((second.key.as_str(), rig.published().await.contains(&first.kid)), ("pay-2", false));
    assert!(rig.status().await["revocations"].is_null());
    rig.finish().await;
}

#[tokio::test]
async fn a_revocation_waits_for_the_standby_unless_its_mode_says_otherwise() {
    let one = async |mode: &str| {
        let rig = Rig::start(&format!("revoked-{mode}").to_lowercase()).await;
        rig.apply(json!({ "verifiers": { "maxCacheAge": "5s" } })).await;
        let first = unready(&rig).await;
        revoke(&rig, &[(&first.kid, mode)]).await;
        if mode == "AfterSwitch" {
            state(&rig, &first.kid, "WaitingForStandby").await;
            assert_eq!(rig.signer().await.unwrap(), first);
            let key = rig.get("signingkeys", "pay-1").await.unwrap();
            assert!(key["spec"]["lifecycle"]["revocationTime"].is_string(), "recorded at first sight");
        }
        let second = switched(&rig, &first).await;
        assert_eq!(second.key, "pay-2", "{mode}");
        let gone = removed(&rig, &first.kid).await;
        let rotation = rig.status().await["lastRotation"].clone();
        assert_eq!(rotation["reason"], "Revoked", "{mode}");
        let forced = mode != "AfterSwitch";
        assert_eq!(told_of_a_window(&rig), forced, "{mode}");
        let ledger = rig.get("signingkeys", "pay-1").await.unwrap()["spec"]["lifecycle"].clone();
        let kept = time(&gone["removalTime"]).duration_since(time(&rotation["time"]));
        assert_eq!(gone["removalTime"], ledger["removalTime"]);
        // L after the switch, or without waiting for it: the machine may be slow, so nothing is said of the time.
        assert!(mode == "Immediate" || kept >= SignedDuration::from_secs(1), "{mode}: {kept}");
        rig.until_settled().await;
        rig.until_quiet(1.0).await;
        assert!(rig.status().await["unknownKeyIDEndTime"].is_null(), "{mode}: the window ends");
        rig.finish_by(Clock::of(SLOW.0, SLOW.1)).await;
    };
    futures::future::join_all(["AfterSwitch", "ForceSwitch", "Immediate"].map(one)).await;
}

/// L is long, so that who waits for it is seen.
#[tokio::test]
async fn only_an_immediate_revocation_does_not_wait_for_signers() {
    let rig = Rig::start("immediate").await;
    rig.apply(json!({ "signers": { "maxReloadLag": "300s" } })).await;
    let first = rig.until_settled().await;
    revoke(&rig, &[(&first.kid, "ForceSwitch")]).await;
    let second = switched(&rig, &first).await;
    let waiting = state(&rig, &first.kid, "WaitingForSigners").await;
    assert!(waiting["removalTime"].is_null() && waiting["exposureEndTime"].is_null(), "{waiting}");
    until("the end of the private half", async || rig.get("secrets", "pay-1").await.is_none().then_some(())).await;
    rig.until_settled().await;
    let next = rig.status().await["nextTransition"].clone();
    assert_eq!((&next["action"], &next["waitingFor"]), (&json!("Revoke"), &json!("SignerReload")));
    assert!(rig.published().await.contains(&first.kid));

    // The mode may be made sharper.
    revoke(&rig, &[(&first.kid, "Immediate")]).await;
    removed(&rig, &first.kid).await;
    until("the set without it", async || (!rig.published().await.contains(&first.kid)).then_some(())).await;
    assert_eq!(rig.until_settled().await, second);
    rig.finish_by(Clock::of(2, 303)).await;
}

#[tokio::test]
async fn a_revoked_standby_and_a_revoked_retiring_key_leave_and_another_is_staged() {
    let rig = Rig::start("revoked-idle").await;
    rig.apply(json!({ "retention": { "margin": "300s" } })).await;
    let first = rig.until_settled().await;
    rig.rotate().await;
    let second = switched(&rig, &first).await;
    rig.until_settled().await;
    let standby = rig.recorded().await["pay-3"].clone();
    revoke(&rig, &[(&first.kid, "AfterSwitch"), (&standby, "AfterSwitch")]).await;
    removed(&rig, &first.kid).await;
    removed(&rig, &standby).await;
    assert_eq!(rig.until_settled().await, second, "the signing key is not concerned");
    let recorded = rig.recorded().await;
    let mut expected = vec![second.kid.clone(), recorded["pay-4"].clone()];
    expected.sort();
    assert_eq!(rig.published().await, expected);
    for key in ["pay-1", "pay-3"] {
        assert!(rig.get("secrets", key).await.is_none(), "the private half of {key}");
    }
    rig.until_quiet(1.0).await;
    rig.finish_by(Clock::of(2, 303)).await;
}

#[tokio::test]
async fn a_revoked_key_is_refused_for_ever_however_it_comes() {
    let rig = Rig::start("tombstone").await;
    let members = json!({
        "kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "edge-1",
        // RFC 7515 appendix A.3: its private half is public, too.
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    });
    let entry = |name: &str, kid: &str| {
        let mut jwk = members.clone();
        jwk["kid"] = json!(kid);
        json!([{ "name": name, "publicJWK": jwk }])
    };
    rig.apply(json!({ "externalKeys": entry("edge", "edge-1") })).await;
    let signer = rig.until_settled().await;
    assert!(rig.published().await.contains(&"edge-1".to_owned()));
    revoke(&rig, &[("edge-1", "AfterSwitch")]).await;
    removed(&rig, "edge-1").await;
    until("the set without it", async || (!rig.published().await.contains(&"edge-1".to_owned())).then_some(())).await;

    // Both lists let go of it: the record remembers.
    rig.edit(json!({ "revokedKeys": [], "externalKeys": entry("again", "edge-2") })).await;
    let refusal = "the same key was revoked (pay-1): bring another key";
    refused(&rig, &format!("externalKeys entry again: {refusal}")).await;
    let jwk = include_str!("../../fuzz/seeds/import/rfc7515-ec.json");
    crate::brought::secret(&rig, "legacy", "key.json", jwk, Some(SET)).await;
    let imported = json!([{ "name": "legacy", "secretRef": { "name": "legacy", "key": "key.json" } }]);
    rig.edit(json!({ "externalKeys": [], "importedKeys": imported })).await;
    refused(&rig, &format!("importedKeys entry legacy: {refusal}")).await;
    assert_eq!(rig.signer().await.unwrap(), signer);
    assert_eq!(rig.recorded().await.len(), 3, "nothing was made of it");
    rig.edit(json!({ "importedKeys": [] })).await;
    assert_eq!(rig.until_settled().await, signer);
    rig.finish().await;
}

#[tokio::test]
async fn a_kid_that_nobody_has_is_told_and_harms_nothing() {
    let rig = Rig::start("unknown-kid").await;
    rig.apply(json!({})).await;
    let signer = rig.until_settled().await;
    rig.until_quiet(1.0).await;
    let before = objects_written(&rig);
    revoke(&rig, &[("nobody", "Immediate")]).await;
    state(&rig, "nobody", "NotFound").await;
    let status = rig.until_condition("UnknownKeyID=True/NotFound").await;
    assert!(Rig::has(&status, "Ready=True") && Rig::has(&status, "Accepted=True"), "{status:#}");
    let events = until("the event", async || Some(rig.events("UnknownKeyID").await).filter(|it| !it.is_empty())).await;
    assert_eq!((events.len(), &events[0]["type"]), (1, &json!("Warning")));
    let note = events[0]["note"].as_str().unwrap();
    assert!(note.contains("revokedKeys nobody") && note.contains(&signer.kid), "{note}");
    rig.until_quiet(2.0).await;
    assert_eq!(objects_written(&rig), before);
    revoke(&rig, &[]).await;
    assert_eq!(rig.until_settled().await, signer);
    assert!(!Rig::has(&rig.status().await, "UnknownKeyID=True"));
    rig.finish().await;
}

#[tokio::test]
async fn revocation_beats_hold_pin_and_suspension() {
    let rig = Rig::start("revocation-wins").await;
    rig.apply(json!({})).await;
    let first = rig.until_settled().await;
    rig.edit(json!({
        "heldKeys": [{ "keyID": first.kid }],
        "rotation": { "mode": "Suspended", "pinnedKeyID": first.kid },
    }))
    .await;
    assert_eq!(rig.until_settled().await, first);
    revoke(&rig, &[(&first.kid, "AfterSwitch")]).await;
    let second = switched(&rig, &first).await;
    removed(&rig, &first.kid).await;
    let status = rig.until_condition("Accepted=False/PinUnavailable").await;
    assert_eq!(status["lastRotation"]["reason"], "Revoked");
    assert!(!rig.published().await.contains(&first.kid));
    rig.until_quiet(2.0).await;
    assert_eq!(rig.recorded().await.len(), 2, "a standby is no emergency");
    rig.edit(json!({ "heldKeys": [], "rotation": { "mode": "OnRequest", "pinnedKeyID": null } })).await;
    assert_eq!(rig.until_settled().await, second);
    assert_eq!(rig.recorded().await.len(), 3);
    rig.finish().await;
}

/// Lists these kids with their modes, and no others.
pub(crate) async fn revoke(rig: &Rig, kids: &[(&str, &str)]) {
    let listed: Vec<Value> = kids.iter().map(|(kid, mode)| json!({ "keyID": kid, "mode": mode })).collect();
    rig.edit(json!({ "revokedKeys": listed })).await;
}

/// Waits until the revocation of a kid has come so far; gives what the status says of it.
pub(crate) async fn state(rig: &Rig, kid: &str, wanted: &str) -> Value {
    until(&format!("{wanted} in {}", rig.namespace), async || {
        let revocations = rig.status().await["revocations"].as_array().cloned().unwrap_or_default();
        revocations.into_iter().find(|it| it["keyID"] == kid && it["state"] == wanted)
    })
    .await
}

/// Waits until the kid left the set and all replicas were seen without it.
pub(crate) async fn removed(rig: &Rig, kid: &str) -> Value {
    until(&format!("the end of {kid} in {}", rig.namespace), async || {
        Some(state(rig, kid, "Removed").await).filter(|it| it["exposureEndTime"].is_string())
    })
    .await
}

/// Waits until another key signs.
pub(crate) async fn switched(rig: &Rig, from: &Signer) -> Signer {
    until(&format!("a switch in {}", rig.namespace), async || {
        rig.signer().await.filter(|signer| signer.term > from.term)
    })
    .await
}

/// Every write of an object but the status of the KeySet.
pub(crate) fn objects_written(rig: &Rig) -> usize {
    rig.controller_api.writes().iter().filter(|call| call.resource != "keysets").count()
}

/// Waits until the spec is refused for this reason.
pub(crate) async fn refused(rig: &Rig, why: &str) {
    until(&format!("{why:?} in {}", rig.namespace), async || {
        let conditions = rig.status().await["conditions"].as_array().cloned().unwrap_or_default();
        let refused = |it: &Value| it["type"] == "Accepted" && it["message"].as_str().unwrap().contains(why);
        conditions.iter().any(refused).then_some(())
    })
    .await;
}

/// Waits until the first key signs, and the standby is published; it may not sign yet.
async fn unready(rig: &Rig) -> Signer {
    until("the first key and its standby", async || {
        (Rig::has(&rig.status().await, "StandbyReady=False/WaitingForVerifierCaches")
            && rig.published().await.len() == 2)
            .then_some(())?;
        rig.signer().await
    })
    .await
}

/// Whether the status ever told of a switch that verifiers may not know.
fn told_of_a_window(rig: &Rig) -> bool {
    rig.controller_api.writes().iter().any(|call| {
        let status = &call.body["status"];
        status["lastRotation"]["reason"] == "Revoked" && status["unknownKeyIDEndTime"].is_string()
    })
}

pub(crate) fn time(value: &Value) -> Timestamp {
    value.as_str().unwrap().parse().unwrap()
}
