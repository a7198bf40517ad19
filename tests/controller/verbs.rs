//! Holds, pins, suspensions and requests: wanted states, that nothing is left of when they are taken back.

use serde_json::{Value, json};

use crate::{
    revocations::{objects_written, refused, switched, time},
    rig::{Rig, SET},
    until,
    witness::Clock,
};

#[tokio::test]
async fn a_held_key_stays_for_as_long_as_it_is_listed() {
    let rig = Rig::start("held").await;
    rig.apply(json!({})).await;
    let first = rig.until_settled().await;
    rig.edit(json!({ "heldKeys": [{ "keyID": first.kid }] })).await;
    rig.rotate().await;
    switched(&rig, &first).await;
    rig.until_settled().await;
    until("the promised time", async || {
        let key = rig.get("signingkeys", "pay-1").await?;
        (Rig::now().parse::<jiff::Timestamp>().unwrap() > time(&key["spec"]["lifecycle"]["earliestRemovalTime"]))
            .then_some(())
    })
    .await;
    rig.until_quiet(3.0).await;
    assert!(rig.published().await.contains(&first.kid));
    let next = rig.status().await["nextTransition"].clone();
    assert_eq!(
        (&next["action"], &next["waitingFor"], &next["keyName"]),
        (&json!("Remove"), &json!("Held"), &json!("pay-1"))
    );
    assert!(rig.get("secrets", "pay-1").await.is_none(), "a hold is about the public half");
    rig.edit(json!({ "heldKeys": [] })).await;
    until("its end", async || (!rig.published().await.contains(&first.kid)).then_some(())).await;
    rig.finish().await;
}

#[tokio::test]
async fn a_pin_makes_the_standby_sign_and_keeps_it_and_a_revert_moves_nothing() {
    let rig = Rig::start("pinned-standby").await;
    rig.apply(json!({ "rotation": { "mode": "Interval", "interval": "300s" } })).await;
    let first = rig.until_settled().await;
    let standby = rig.recorded().await["pay-2"].clone();
    pin(&rig, json!(standby)).await;
    let second = switched(&rig, &first).await;
    assert_eq!((second.key.as_str(), second.term), ("pay-2", first.term + 1));
    rig.until_settled().await;
    assert_eq!(rig.status().await["lastRotation"]["reason"], "Pinned");
    // A request waits for the end of the pin.
    rig.rotate().await;
    rig.until_condition("RotationOverdue=True/Pinned").await;
    until("the end of the first key", async || (rig.published().await.len() == 2).then_some(())).await;
    rig.until_quiet(2.0).await;
    assert_eq!(rig.signer().await.unwrap(), second);
    rig.edit(json!({ "rotation": { "after": null } })).await;
    rig.until_condition("RotationOverdue=False").await;
    rig.until_quiet(1.0).await;
    let before = objects_written(&rig);
    for value in [Value::Null, json!(standby), Value::Null] {
        pin(&rig, value).await;
        assert_eq!(rig.until_settled().await, second);
        rig.until_quiet(1.0).await;
    }
    assert_eq!(objects_written(&rig), before);
    rig.finish().await;
}

#[tokio::test]
async fn a_pin_does_not_make_a_key_sign_that_verifiers_may_not_know() {
    let rig = Rig::start("pinned-early").await;
    rig.apply(json!({})).await;
    let first = until("the first key", async || rig.signer().await).await;
    let standby = until("the standby", async || rig.recorded().await.get("pay-2").cloned()).await;
    pin(&rig, json!(standby)).await;
    assert_eq!(switched(&rig, &first).await.kid, standby);
    // The witness holds the wait against law 1.
    rig.finish().await;
}

#[tokio::test]
async fn a_pin_rolls_back_inside_the_window_and_no_later() {
    let rig = Rig::start("rollback").await;
    rig.apply(json!({ "rotation": { "rollbackWindow": "10s" }, "retention": { "margin": "20s" } })).await;
    let first = rig.until_settled().await;
    rig.rotate().await;
    let second = switched(&rig, &first).await;
    rig.until_settled().await;
    let promised = rig.get("signingkeys", "pay-1").await.unwrap()["spec"]["lifecycle"].clone();
    pin(&rig, json!(first.kid)).await;
    let third = switched(&rig, &second).await;
    assert_eq!((&third.kid, third.term, &third.data), (&first.kid, second.term + 1, &first.data), "a new term");
    rig.until_settled().await;
    let kept = rig.get("signingkeys", "pay-1").await.unwrap()["spec"]["lifecycle"].clone();
    assert!(time(&kept["earliestRemovalTime"]) >= time(&promised["earliestRemovalTime"]));
    assert_eq!(rig.get("signingkeys", "pay-2").await.unwrap()["status"]["state"], "Retiring");

    // The private half of the second is destroyed at last, and then it is too late.
    until("the end of a private half", async || rig.get("secrets", "pay-2").await.is_none().then_some(())).await;
    pin(&rig, json!(second.kid)).await;
    let status = rig.until_condition("Accepted=False/PinUnavailable").await;
    for wanted in ["Stalled=True/PinUnavailable", "Ready=False/PinUnavailable", "Published=True"] {
        assert!(Rig::has(&status, wanted), "{wanted}: {status:#}");
    }
    let events = until("the event", async || Some(rig.events("NotAccepted").await).filter(|it| !it.is_empty())).await;
    assert_eq!((events.len(), &events[0]["type"]), (1, &json!("Warning")));
    assert!(events[0]["note"].as_str().unwrap().contains("the private half of pay-2 is gone"), "{events:#?}");
    // Though stalled, what is owed to the other keys is done at its time.
    until("the end of the second key", async || (!rig.published().await.contains(&second.kid)).then_some(())).await;
    assert_eq!(rig.signer().await.unwrap(), third, "nothing moves");
    pin(&rig, Value::Null).await;
    assert_eq!(rig.until_settled().await, third, "nor by the end of the pin");
    rig.until_quiet(1.0).await;
    rig.finish_by(Clock::of(2, 23)).await;
}

#[tokio::test]
async fn a_pin_on_a_kid_that_nobody_has_is_refused() {
    let rig = Rig::start("pinned-nobody").await;
    rig.apply(json!({})).await;
    let signer = rig.until_settled().await;
    rig.until_quiet(1.0).await;
    let before = objects_written(&rig);
    pin(&rig, json!("nobody")).await;
    refused(&rig, "no key of this set has kid nobody (it has ").await;
    rig.until_quiet(2.0).await;
    pin(&rig, Value::Null).await;
    assert_eq!(rig.until_settled().await, signer);
    assert_eq!(objects_written(&rig), before);
    rig.finish().await;
}

#[tokio::test]
async fn several_requests_in_one_wait_are_one_rotation() {
    let rig = Rig::start("requests").await;
    rig.apply(json!({ "verifiers": { "maxCacheAge": "5s" } })).await;
    let first = until("the first key", async || rig.signer().await).await;
    until("its record", async || (rig.status().await["lastRotation"]["keyName"] == "pay-1").then_some(())).await;
    for _ in 0..4 {
        rig.rotate().await;
        tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    }
    let last = time(&rig.get("keysets", SET).await.unwrap()["spec"]["rotation"]["after"]);
    let second = switched(&rig, &first).await;
    rig.until_settled().await;
    assert!(time(&rig.status().await["lastRotation"]["time"]) >= last, "it answers all of them");
    until("the end of the first key", async || (!rig.published().await.contains(&first.kid)).then_some(())).await;
    rig.until_quiet(2.0).await;
    assert_eq!(rig.signer().await.unwrap(), second);
    assert_eq!(second.term, first.term + 1);
    rig.finish_by(Clock::of(6, 4)).await;
}

async fn pin(rig: &Rig, kid: Value) {
    rig.edit(json!({ "rotation": { "pinnedKeyID": kid } })).await;
}
