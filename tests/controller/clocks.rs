//! Clocks that disagree: the API server's `Date` moves away from the controller's clock, as it does when either of them
//! jumps (PROTOCOL 5).

use serde_json::json;

use crate::{
    proxy::Call,
    repairs::{nudge, until_nudged},
    rig::{Rig, SET},
    until,
};

/// An hour, either way.
const LIES: [(&str, i64); 2] = [("ahead", 3600), ("behind", -3600)];

#[tokio::test]
async fn nothing_begins_by_a_clock_that_is_not_to_be_believed() {
    let one = async |(side, seconds): (&str, i64)| {
        let rig = Rig::without_controller(&format!("born-{side}")).await;
        rig.controller_api.lie(seconds);
        let controller = rig.new_controller("one", &rig.namespace);
        rig.apply(json!({})).await;
        rig.until_condition("ClockUntrusted=True").await;
        rig.until_quiet(2.0).await;
        assert!(rig.recorded().await.is_empty() && rig.published().await.is_empty() && rig.signer().await.is_none());
        rig.controller_api.lie(0);
        until_nudged(&rig, "a clock that is believed", async || rig.signer().await).await;
        rig.until_settled().await;
        assert!(!Rig::has(&rig.status().await, "ClockUntrusted=True"));
        drop(controller);
        rig.finish().await;
    };
    futures::future::join_all(LIES.map(one)).await;
}

#[tokio::test]
async fn a_clock_that_jumps_moves_nothing_forward_and_repairs_go_on() {
    let one = async |(side, seconds): (&str, i64)| {
        let rig = Rig::start(&format!("jump-{side}")).await;
        // Longer than it takes until a lie is found out.
        rig.apply(json!({ "retention": { "margin": "13s" } })).await;
        let first = rig.until_settled().await;
        rig.rotate().await;
        let second = until("the rotation", async || rig.signer().await.filter(|now| now.kid != first.kid)).await;
        rig.controller_api.lie(seconds);
        doubt(&rig).await;
        let keys = rig.recorded().await;

        // What was asked for waits.
        rig.rotate().await;
        for (resource, name) in [("configmaps", "pay-jwks"), ("secrets", "pay-signing-key"), ("secrets", "pay-2")] {
            rig.delete(resource, name).await;
            nudge(&rig).await;
            until(&format!("the repair of {resource} {name}"), async || rig.get(resource, name).await).await;
        }
        rig.until_condition("RotationOverdue=True/ClockUntrusted").await;
        // And so does what is due.
        let promised =
            rig.get("signingkeys", "pay-1").await.unwrap()["spec"]["lifecycle"]["earliestRemovalTime"].clone();
        let promised: jiff::Timestamp = promised.as_str().unwrap().parse().unwrap();
        until("the end of a promise", async || (Rig::now().parse::<jiff::Timestamp>().ok()? > promised).then_some(()))
            .await;
        rig.until_quiet(3.0).await;
        assert_eq!(rig.signer().await.unwrap(), second, "jump-{side}: a forward step");
        assert!(rig.published().await.contains(&first.kid), "jump-{side}: a key left");
        assert_eq!(rig.recorded().await, keys, "jump-{side}: a key was made");
        assert_eq!(rig.events("ClockUntrusted").await.len(), 1);

        // And back again.
        rig.controller_api.lie(0);
        until_nudged(&rig, "the next rotation", async || rig.signer().await.filter(|now| now.term == second.term + 1))
            .await;
        until("the end of the first key", async || (!rig.published().await.contains(&first.kid)).then_some(())).await;
        rig.until_settled().await;
        rig.until_quiet(1.0).await;
        rig.finish_by(crate::witness::Clock::of(2, 16)).await;
    };
    futures::future::join_all(LIES.map(one)).await;
}

/// A clock that goes back and forth many times is as harmless as one that jumps once.
#[tokio::test]
async fn a_clock_that_swings_costs_time_and_no_more() {
    let rig = Rig::start("swinging").await;
    rig.apply(json!({})).await;
    let first = rig.until_settled().await;
    rig.rotate().await;
    let mut swings = [3600, -3600, 0, 40, -40, 0].into_iter().cycle();
    let next = until("a rotation in between", async || {
        rig.controller_api.lie(swings.next()?);
        nudge(&rig).await;
        tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
        rig.signer().await.filter(|now| now.kid != first.kid)
    })
    .await;
    rig.controller_api.lie(0);
    assert_eq!((next.term, next.key.as_str()), (first.term + 1, "pay-2"));
    until_nudged(&rig, "a clock that is believed", async || {
        Rig::has(&rig.status().await, "StandbyReady=True").then_some(())
    })
    .await;
    rig.until_settled().await;
    rig.until_quiet(1.0).await;
    let made = rig.controller_api.writes();
    let made = made.iter().filter(|call| call.resource == "signingkeys" && call.method == http::Method::POST);
    assert_eq!(made.filter(|call| Call::is_done(call)).count(), 3, "one for each term, and the standby");
    rig.finish().await;
}

/// Waits until the controller has looked at the clocks again, which it does every ten seconds.
async fn doubt(rig: &Rig) {
    until_nudged(rig, "doubt", async || {
        Rig::has(&rig.get("keysets", SET).await?["status"], "ClockUntrusted=True").then_some(())
    })
    .await;
}
