//! Any object of a set is deleted, at any step of its life: before anything signs, while the standby waits, when it may
//! sign, and while an old key retires.

use std::panic::AssertUnwindSafe;

use futures::{FutureExt, StreamExt, stream};
use serde_json::{Value, json};

use crate::{
    repairs::nudge,
    rig::{Rig, SET},
    until,
    witness::Clock,
};

/// How many sets are made to suffer at a time.
const SIDE_BY_SIDE: usize = 14;

/// How far a set has come when something is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Two keys are published, and neither signs yet.
    Unsigned,
    /// The first key signs, and copies without the standby may be in use.
    Waiting,
    /// The standby may sign.
    Standby,
    /// The second key signs; of the first the private half is still there.
    Retiring,
}

/// What is deleted, in the words of the API server. (SigningKeys while a key retires are in `repairs`.)
type Lost = (Step, &'static str, &'static str);

const LOST: [Lost; 21] = [
    (Step::Unsigned, "secrets", "pay-1"),
    (Step::Unsigned, "secrets", "pay-2"),
    (Step::Unsigned, "signingkeys", "pay-1"),
    (Step::Unsigned, "signingkeys", "pay-2"),
    (Step::Unsigned, "configmaps", "pay-jwks"),
    (Step::Unsigned, "keysets", "pay"),
    (Step::Waiting, "secrets", "pay-1"),
    (Step::Waiting, "secrets", "pay-2"),
    (Step::Waiting, "secrets", "pay-signing-key"),
    (Step::Waiting, "signingkeys", "pay-1"),
    (Step::Waiting, "signingkeys", "pay-2"),
    (Step::Waiting, "configmaps", "pay-jwks"),
    (Step::Waiting, "keysets", "pay"),
    (Step::Standby, "signingkeys", "pay-2"),
    (Step::Standby, "keysets", "pay"),
    (Step::Retiring, "secrets", "pay-1"),
    (Step::Retiring, "secrets", "pay-2"),
    (Step::Retiring, "secrets", "pay-3"),
    (Step::Retiring, "secrets", "pay-signing-key"),
    (Step::Retiring, "configmaps", "pay-jwks"),
    (Step::Retiring, "keysets", "pay"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_deleted_at_whatever_step_the_same_key_signs_and_the_set_goes_on() {
    let lives = stream::iter(LOST).map(|lost| AssertUnwindSafe(live_through(lost)).catch_unwind());
    let deaths = lives.buffer_unordered(SIDE_BY_SIDE).filter(|life| std::future::ready(life.is_err()));
    // Each has told its own story.
    assert_eq!(deaths.count().await, 0, "sets that did not live through it");
}

async fn live_through((step, resource, name): Lost) {
    let namespace = format!("{step:?}-{resource}-{name}").to_lowercase();
    let rig = Rig::start(&namespace).await;
    reach(&rig, step).await;
    let (signer, published) = (rig.signer().await, rig.published().await);
    rig.delete(resource, name).await;
    match resource {
        "keysets" => rig.apply(spec(step)).await,
        "secrets" => nudge(&rig).await,
        _ => {}
    }
    let settled = rig.until_settled().await;
    if let Some(signer) = signer {
        assert_eq!(settled, signer, "{namespace}: nothing else signs");
    }
    if step == Step::Unsigned && resource != "keysets" {
        let served = rig.witness().looks(0);
        let last = served.last().unwrap();
        assert!(published.iter().any(|kid| last.has(kid)), "{namespace}: what was published is forgotten");
    }
    rig.rotate().await;
    let next = until(&format!("a rotation of {namespace}"), async || {
        rig.signer().await.filter(|next| next.term > settled.term)
    })
    .await;
    assert_eq!(next.term, settled.term + 1, "{namespace}");
    rig.until_settled().await;
    rig.until_quiet(1.0).await;
    rig.finish_by(clock(step)).await;
}

fn clock(step: Step) -> Clock {
    match step {
        Step::Unsigned | Step::Waiting => Clock::of(6, 4),
        Step::Standby => Clock::short(),
        Step::Retiring => Clock::of(2, 9),
    }
}

fn spec(step: Step) -> Value {
    match step {
        Step::Unsigned => json!({
            "verifiers": { "maxCacheAge": "5s" },
            "rotation": { "firstKey": "AfterCacheAge", "interval": "8s" },
        }),
        Step::Waiting => json!({ "verifiers": { "maxCacheAge": "5s" }, "rotation": { "interval": "8s" } }),
        Step::Standby => json!({}),
        Step::Retiring => json!({ "retention": { "margin": "6s" }, "rotation": { "rollbackWindow": "6s" } }),
    }
}

async fn reach(rig: &Rig, step: Step) {
    rig.apply(spec(step)).await;
    match step {
        Step::Unsigned => {
            until("two published keys", async || (rig.published().await.len() == 2).then_some(())).await;
            rig.until_quiet(0.5).await;
            assert_eq!(rig.signer().await, None);
        }
        Step::Waiting => {
            until("the first key", async || rig.signer().await).await;
            rig.until_quiet(0.5).await;
            assert!(Rig::has(&rig.status().await, "StandbyReady=False"));
        }
        Step::Standby => drop(rig.until_settled().await),
        Step::Retiring => {
            let first = rig.until_settled().await;
            rig.rotate().await;
            until("the rotation", async || rig.signer().await.filter(|now| now.kid != first.kid)).await;
            until("the next standby", async || {
                let standby = rig.recorded().await.get("pay-3").cloned()?;
                rig.published().await.contains(&standby).then_some(())
            })
            .await;
            rig.until_quiet(0.5).await;
            assert!(rig.get("secrets", "pay-1").await.is_some());
        }
    }
}

#[tokio::test]
async fn an_owned_set_that_is_deleted_while_a_key_retires_leaves_nothing_and_begins_anew() {
    let rig = Rig::start("owned-retiring").await;
    let spec = json!({ "deletionPolicy": "Delete", "retention": { "margin": "6s" } });
    rig.apply(spec.clone()).await;
    let first = rig.until_settled().await;
    rig.rotate().await;
    until("the rotation", async || rig.signer().await.filter(|now| now.kid != first.kid)).await;
    let before: Vec<String> = rig.recorded().await.into_values().collect();
    assert!(rig.published().await.contains(&first.kid));
    rig.delete("keysets", SET).await;
    rig.apply(spec).await;
    let next = until("another life", async || rig.signer().await.filter(|next| !before.contains(&next.kid))).await;
    assert_eq!(rig.until_settled().await, next);
    // Not even for servers that never saw the set before gone: a KeySet of another UID owes its keys nothing.
    let now = rig.published().await;
    assert!(now.len() == 2 && before.iter().all(|kid| !now.contains(kid)), "a key of the set before is published");
    rig.until_quiet(1.0).await;
    assert_eq!(rig.signer().await.unwrap(), next);
    assert_eq!(rig.list("secrets").await.len(), 3, "two Key Secrets and the Signer Secret");
    rig.finish_discreetly().await;
}
