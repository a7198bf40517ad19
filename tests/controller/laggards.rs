//! Who hears of things late: watches with gaps, caches that are stuck, writes that arrive when nobody expects them any
//! more, leaders that do not know yet that they lead no longer.

use std::process::Command;

use serde_json::json;

use crate::{
    proxy::{Accident, Call},
    rig::{Rig, Signer},
    until,
    witness::fetch,
};

#[tokio::test]
async fn a_controller_whose_watches_have_gaps_misses_no_request() {
    let rig = Rig::start("gaps").await;
    rig.apply(json!({})).await;
    let mut signer = rig.until_settled().await;
    for _ in 0..2 {
        rig.controller_api.mute();
        rig.rotate().await;
        rig.delete("configmaps", "pay-jwks").await;
        // What was missed is no longer to be had: only a list tells of it.
        rig.controller_api.expire();
        signer = rotated(&rig, &signer).await;
        until("the ConfigMap", async || rig.get("configmaps", "pay-jwks").await).await;
        assert_eq!(rig.until_settled().await, signer);
    }
    rig.until_quiet(1.0).await;
    rig.finish().await;
}

#[tokio::test]
async fn servers_whose_watches_have_gaps_catch_up_and_until_then_nothing_moves() {
    let rig = Rig::start("server-gaps").await;
    rig.apply(json!({})).await;
    let first = rig.until_settled().await;
    rig.servers[1].api.mute();
    rig.rotate().await;
    let second = rotated(&rig, &first).await;
    // The standby after it is served by one of two.
    rig.rotate().await;
    held_back(&rig, &second, &first).await;
    rig.servers[1].api.expire();
    let third = rotated(&rig, &second).await;
    assert_eq!(third.key, "pay-3");
    gone(&rig, &first).await;
    rig.until_settled().await;
    rig.until_quiet(1.0).await;
    rig.finish().await;
}

/// A server may start with the lists of an API server that is behind, and then serves what was: never a lower revision
/// than it has served, but a new process remembers none.
#[tokio::test]
async fn a_server_with_a_stale_cache_holds_back_the_next_key_until_it_has_caught_up() {
    let mut rig = Rig::start("stale").await;
    rig.apply(json!({ "retention": { "margin": "8s" } })).await;
    let first = rig.until_settled().await;
    rig.servers[1].api.freeze().await;
    rig.rotate().await;
    let second = rotated(&rig, &first).await;
    until("the next standby", async || rig.recorded().await.get("pay-3").cloned()).await;
    rig.restart_server(1).await;
    rig.rotate().await;
    held_back(&rig, &second, &first).await;
    let ready = format!("http://{}/readyz", rig.servers[1].admin);
    assert_eq!(fetch(&ready).await.unwrap().0, 200, "what it has is whole");
    rig.servers[1].api.open();
    let third = rotated(&rig, &second).await;
    assert_eq!(third.key, "pay-3");
    gone(&rig, &first).await;
    rig.until_settled().await;
    rig.until_quiet(1.0).await;
    rig.finish_by(crate::witness::Clock::of(2, 11)).await;
}

/// The write of a switch gets stuck; another leader makes that switch and the next one; then it arrives.
#[tokio::test]
async fn a_switch_that_arrives_after_the_leader_has_changed_is_void() {
    let one = async |(namespace, number): (&str, usize)| {
        let mut rig = Rig::start(namespace).await;
        rig.apply(json!({})).await;
        let first = rig.until_settled().await;
        let second = rig.new_controller("two", &rig.namespace);
        second.says("listening").await;
        let leader = rig.controller.take().unwrap();
        rig.controller_api.arm(number, Accident::Held, leader.victim());
        rig.rotate().await;
        until("the write that is stuck", async || rig.controller_api.is_holding().then_some(())).await;
        leader.victim().kill();
        second.says("leading").await;
        let signer = rotated(&rig, &first).await;
        rig.until_settled().await;
        rig.rotate().await;
        let signer = rotated(&rig, &signer).await;
        rig.until_settled().await;
        let before = rig.controller_api.calls().len();
        rig.controller_api.release();
        let late = until("its arrival", async || {
            let calls = rig.controller_api.calls();
            calls[before..].iter().find(|call| call.was_held).cloned()
        })
        .await;
        assert!(!late.is_done(), "{namespace}: {}", late.summary());
        rig.until_quiet(1.0).await;
        assert_eq!(rig.until_settled().await, signer, "{namespace}");
        rig.controller = Some(second);
        rig.finish().await;
    };
    futures::future::join_all([("late-switch", 1), ("late-record", 2), ("late-status", 3)].map(one)).await;
}

/// A leader that was stopped for longer than its Lease goes on where it was.
#[tokio::test]
async fn a_leader_that_wakes_up_after_its_lease_does_no_harm() {
    let mut rig = Rig::start("sleeper").await;
    rig.apply(json!({})).await;
    let first = rig.until_settled().await;
    let second = rig.new_controller("two", &rig.namespace);
    second.says("listening").await;
    rig.rotate().await;
    // In the middle of its work, wherever that is.
    rig.until_writes(3).await;
    let sleeper = rig.controller.take().unwrap();
    signal(sleeper.id(), "STOP");
    second.says("leading").await;
    let signer = rotated_within(&rig, &first).await;
    rig.until_settled().await;
    rig.rotate().await;
    let signer = rotated(&rig, &signer).await;
    signal(sleeper.id(), "CONT");
    until("the end of who leads no longer", async || sleeper.ended()).await;
    assert_eq!(rig.until_settled().await, signer);
    gone(&rig, &first).await;
    rig.until_quiet(1.0).await;
    let made = rig.controller_api.writes();
    let made = made.iter().filter(|call| call.resource == "signingkeys" && call.method == http::Method::POST);
    assert_eq!(made.filter(|call| Call::is_done(call)).count(), 4, "one for each term, and the standby");
    rig.controller = Some(second);
    rig.finish().await;
}

fn signal(process: u32, signal: &str) {
    assert!(Command::new("kill").args([&format!("-{signal}"), &process.to_string()]).status().unwrap().success());
}

async fn rotated(rig: &Rig, before: &Signer) -> Signer {
    let next = rotated_within(rig, before).await;
    assert_eq!(next.term, before.term + 1, "{}", rig.namespace);
    next
}

async fn rotated_within(rig: &Rig, before: &Signer) -> Signer {
    let what = format!("a rotation of {}", rig.namespace);
    until(&what, async || rig.signer().await.filter(|next| next.term > before.term)).await
}

/// Nobody signs with the next key, and the one before stays, for longer than either would take.
async fn held_back(rig: &Rig, signer: &Signer, before: &Signer) {
    let began = std::time::Instant::now();
    until("some time", async || (began.elapsed().as_secs() >= 6).then_some(())).await;
    assert_eq!(rig.signer().await.as_ref(), Some(signer), "{}", rig.namespace);
    let stays = rig.witness().looks(1).last().unwrap().has(&before.kid);
    assert!(stays, "{}: who lags behind serves what was", rig.namespace);
}

async fn gone(rig: &Rig, key: &Signer) {
    until("the end of a key", async || {
        let gone = (0..2).all(|server| !rig.witness().looks(server).last().unwrap().has(&key.kid));
        gone.then_some(())
    })
    .await;
}
