//! Edits of the spec, in every state of a set. None of them is a request, and a promise that was made is kept.

use std::collections::BTreeMap;

use futures::{StreamExt, stream};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    rig::{Rig, SET, Signer},
    until,
    witness::Clock,
};

const SIDE_BY_SIDE: usize = 12;

/// How far a set has come when its spec is edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Two keys are published, and neither signs yet.
    Unsigned,
    /// The first key signs, and copies without the standby may be in use.
    Waiting,
    /// The standby may sign.
    Standby,
    /// The second key signs, the first is still published.
    Retiring,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edit {
    /// Tokens, copies and margins live longer.
    Longer,
    /// All of them are shorter.
    Shorter,
    Algorithm,
    /// By hand instead of by age, and other things that no key depends on.
    Manner,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_in_any_state_is_no_request_and_shortens_no_promise() {
    let states = [State::Unsigned, State::Waiting, State::Standby, State::Retiring];
    let edits = [Edit::Longer, Edit::Shorter, Edit::Algorithm, Edit::Manner];
    let cases = states.into_iter().flat_map(|state| edits.map(|edit| (state, edit)));
    stream::iter(cases).map(live_through).buffer_unordered(SIDE_BY_SIDE).collect::<Vec<()>>().await;
}

async fn live_through((state, edit): (State, Edit)) {
    let rig = Rig::start(&format!("{state:?}-{edit:?}").to_lowercase()).await;
    reach(&rig, state).await;
    let (signer, promised) = (rig.signer().await, promises(&rig).await);
    rig.patch("keysets", SET, json!({ "spec": patch(edit) })).await;
    acknowledged(&rig).await;
    if edit == Edit::Longer {
        // Before the edit was acknowledged.
        for (name, key) in records(&rig).await.iter().filter(|(_, key)| key["activationTime"].is_string()) {
            let kept = time(&key["earliestRemovalTime"]).duration_since(time(&key["activationTime"]));
            assert!(kept.as_secs() >= 12 || key["retirementTime"].is_string(), "{name} in {}: {kept}", rig.namespace);
        }
    }
    let settled = rig.until_settled().await;
    if let Some(signer) = signer {
        assert_eq!(settled, signer, "{}: nothing rotates by an edit", rig.namespace);
    }
    rotates(&rig, edit, &settled).await;
    // A record that was pruned kept its promise to the end.
    for (name, key) in records(&rig).await {
        let kept = promised.get(&name).is_none_or(|promise| time(&key["earliestRemovalTime"]) >= *promise);
        assert!(kept, "{}: the promise of {name}", rig.namespace);
    }
    // What was promised before the edit is held against all that happened. Copies with a longer life are waited for from
    // the edit on, and after a shorter one the wait of before goes on.
    let retention = if (state, edit) == (State::Unsigned, Edit::Shorter) { 4 } else { 7 };
    rig.finish_by(Clock::of(4, retention)).await;
}

/// L + T + S + M = 1 + 2 + 1 + 3, C + S = 3 + 1.
fn spec(state: State) -> Value {
    json!({
        "tokens": { "maxLifetime": "2s" },
        "verifiers": { "maxCacheAge": "3s" },
        "retention": { "margin": "3s" },
        "rotation": {
            "interval": "6s",
            "firstKey": if state == State::Unsigned { "AfterCacheAge" } else { "WhenServed" },
        },
    })
}

fn patch(edit: Edit) -> Value {
    match edit {
        Edit::Longer => json!({
            "tokens": { "maxLifetime": "5s" },
            "verifiers": { "maxCacheAge": "5s" },
            "retention": { "margin": "5s" },
            "rotation": { "interval": "9s" },
        }),
        Edit::Shorter => json!({
            "tokens": { "maxLifetime": "1s" },
            "verifiers": { "maxCacheAge": "1s" },
            "retention": { "margin": "1s" },
            "rotation": { "interval": "4s" },
        }),
        Edit::Algorithm => json!({ "algorithm": "EdDSA" }),
        Edit::Manner => json!({
            "rotation": { "mode": "Interval", "interval": "720h" },
            "publication": { "cacheMaxAge": "2s", "maxDelay": "2s" },
            "retention": { "historyLimit": 0 },
        }),
    }
}

async fn reach(rig: &Rig, state: State) {
    rig.apply(spec(state)).await;
    until("two published keys", async || (rig.published().await.len() == 2).then_some(())).await;
    if state != State::Unsigned {
        until("the first key", async || rig.signer().await).await;
    }
    rig.until_quiet(0.3).await;
    if matches!(state, State::Standby | State::Retiring) {
        let first = rig.until_settled().await;
        if state == State::Retiring {
            rig.rotate().await;
            until("the rotation", async || rig.signer().await.filter(|now| now.kid != first.kid)).await;
            rig.until_quiet(0.3).await;
            assert!(rig.published().await.contains(&first.kid));
        }
    }
}

async fn acknowledged(rig: &Rig) {
    until(&format!("the acknowledgement of {}", rig.namespace), async || {
        let set = rig.get("keysets", SET).await?;
        (set["status"]["observedGeneration"] == set["metadata"]["generation"]).then_some(())
    })
    .await;
}

/// A rotation on request, to a key of the algorithm that is wanted now.
async fn rotates(rig: &Rig, edit: Edit, signer: &Signer) {
    rig.rotate().await;
    let what = format!("a rotation of {}", rig.namespace);
    let next = until(&what, async || rig.signer().await.filter(|next| next.term > signer.term)).await;
    assert_eq!(next.term, signer.term + 1, "{what}");
    let key = rig.get("signingkeys", &next.key).await.unwrap();
    assert_eq!(key["spec"]["algorithm"], if edit == Edit::Algorithm { "EdDSA" } else { "ES256" }, "{what}");
    until(&format!("the end of the key before in {}", rig.namespace), async || {
        let status = rig.status().await;
        let over = Rig::has(&status, "StandbyReady=True") && !rig.published().await.contains(&signer.kid);
        over.then_some(())
    })
    .await;
    rig.until_quiet(1.0).await;
}

/// The ledger of each key that is still published.
async fn records(rig: &Rig) -> BTreeMap<String, Value> {
    let keys = rig.list("signingkeys").await.into_iter();
    keys.map(|key| (key["metadata"]["name"].as_str().unwrap().to_owned(), key["spec"]["lifecycle"].clone())).collect()
}

async fn promises(rig: &Rig) -> BTreeMap<String, Timestamp> {
    let promised = records(rig).await.into_iter().filter(|(_, key)| key["earliestRemovalTime"].is_string());
    promised.map(|(name, key)| (name, time(&key["earliestRemovalTime"]))).collect()
}

fn time(value: &Value) -> Timestamp {
    value.as_str().unwrap().parse().unwrap()
}
