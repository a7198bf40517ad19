//! Accidents at every single write of what users ask for: imports, external keys, a rollback, revocations.

use std::{collections::BTreeMap, time::Instant};

use futures::{StreamExt, stream};
use serde_json::{Value, json};

use crate::{
    brought::{external, secret},
    crashes::{Case, QUIET, SIDE_BY_SIDE, arm, everywhere},
    proxy::{Accident, Call},
    revocations::{revoke, switched, time},
    rig::{Rig, SET},
    until,
    witness::Clock,
};

/// What is asked for, in this order.
const PARTS: [Part; 6] =
    [Part::Import, Part::Announce, Part::RollBack, Part::RevokeAfterSwitch, Part::RevokeImmediately, Part::Retire];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Import,
    Announce,
    RollBack,
    RevokeAfterSwitch,
    RevokeImmediately,
    /// Of the external key: its entry goes away.
    Retire,
}

/// What there is in the end, by names, as kids differ.
#[derive(Debug, PartialEq, Eq)]
struct End {
    signer: (String, i64),
    published: Vec<String>,
    /// Origin, state and where the private half is.
    keys: BTreeMap<String, [String; 3]>,
    secrets: Vec<String>,
    /// How many Secrets and SigningKeys were ever made.
    made: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_accident_at_any_write_of_a_verb_changes_no_outcome() {
    let (whole, writes) = live_through(Case { accident: Accident::KilledAfter, write: 0 }).await;
    println!("without an accident: {writes:?} writes, {whole:#?}");
    assert!(writes.iter().all(|&writes| writes >= 4), "{writes:?}: the proxy misses writes");
    let last = writes.into_iter().max().unwrap();
    let lives = stream::iter(everywhere(last)).map(async |case| (case, live_through(case).await.0));
    for (case, end) in lives.buffer_unordered(SIDE_BY_SIDE * 3 / 2).collect::<Vec<_>>().await {
        assert_eq!(end, whole, "{case:?}");
    }
}

/// Every part with the accident at its write of that number; gives the end and how many writes each part took.
async fn live_through(case: Case) -> (End, Vec<usize>) {
    let namespace = format!("verb-{:?}-{}", case.accident, case.write).to_lowercase();
    let mut rig = Rig::start(&namespace).await;
    // Whoever retires meanwhile is there to the end.
    rig.apply(json!({ "rotation": { "rollbackWindow": "300s" }, "retention": { "margin": "300s" } })).await;
    secret(&rig, "legacy", "tls.key", include_str!("../../fuzz/seeds/import/p256-pkcs8.pem"), Some(SET)).await;
    rig.until_settled().await;
    let mut writes = Vec::new();
    for part in PARTS {
        if prepare(&rig, part).await {
            settle(&mut rig, &format!("what is before {part:?}"), async |_| true).await;
        }
        let before = rig.controller_api.writes().len();
        arm(&rig, case);
        let revoked = rig.signer().await.unwrap().kid;
        ask(&rig, part).await;
        settle(&mut rig, &format!("{part:?}"), async |rig| is_done(rig, part, &revoked).await).await;
        rig.controller_api.disarm();
        writes.push(rig.controller_api.writes().len() - before);
    }
    let is_deadly = matches!(case.accident, Accident::KilledBefore | Accident::KilledAfter);
    let deaths = writes.iter().filter(|&&writes| is_deadly && (1..writes).contains(&case.write)).count();
    assert!(rig.controllers() > deaths, "{namespace}: {} controllers for {writes:?}", rig.controllers());
    let end = end(&rig).await;
    rig.finish_by(Clock::of(2, 303)).await;
    (end, writes)
}

/// What is done undisturbed before a part, if anything.
async fn prepare(rig: &Rig, part: Part) -> bool {
    match part {
        Part::RollBack => {
            let signer = rig.signer().await.unwrap();
            rig.rotate().await;
            switched(rig, &signer).await;
        }
        Part::RevokeAfterSwitch => rig.edit(json!({ "rotation": { "pinnedKeyID": null } })).await,
        Part::Retire => {
            rig.edit(json!({ "rotation": { "rollbackWindow": "1s" }, "retention": { "margin": "1s" } })).await;
        }
        Part::Import | Part::Announce | Part::RevokeImmediately => return false,
    }
    true
}

async fn ask(rig: &Rig, part: Part) {
    let signer = rig.signer().await.unwrap().kid;
    match part {
        Part::Import => {
            let secret_ref = json!({ "name": "legacy", "key": "tls.key" });
            rig.edit(json!({ "importedKeys": [{ "name": "legacy", "secretRef": secret_ref, "keyID": "old" }] })).await;
        }
        Part::Announce => {
            rig.edit(json!({ "externalKeys": [{ "name": "dex", "publicJWK": external("dex-1") }] })).await;
        }
        Part::RollBack => {
            let first = rig.recorded().await["pay-1"].clone();
            rig.edit(json!({ "rotation": { "pinnedKeyID": first } })).await;
        }
        Part::RevokeAfterSwitch => revoke(rig, &[(&signer, "AfterSwitch")]).await,
        Part::RevokeImmediately => {
            let first = rig.recorded().await["pay-1"].clone();
            revoke(rig, &[(&first, "AfterSwitch"), (&signer, "Immediate")]).await;
        }
        Part::Retire => rig.edit(json!({ "externalKeys": [] })).await,
    }
}

async fn is_done(rig: &Rig, part: Part, revoked: &str) -> bool {
    let published = rig.published().await;
    let has = |kid: &str| published.iter().any(|it| it == kid);
    match part {
        Part::Import => has("old"),
        Part::Announce => has("dex-1"),
        Part::RollBack => rig.signer().await.is_some_and(|signer| (signer.key.as_str(), signer.term) == ("pay-1", 3)),
        Part::RevokeAfterSwitch | Part::RevokeImmediately => {
            let told = rig.status().await["revocations"].as_array().cloned().unwrap_or_default();
            let over = |it: &Value| it["keyID"] == revoked && it["exposureEndTime"].is_string();
            !has(revoked) && told.iter().any(over)
        }
        Part::Retire => !has("dex-1"),
    }
}

/// Waits until it is done, every key may sign that ever will, and nothing more is written. The controller is started
/// again whenever it was killed.
async fn settle(rig: &mut Rig, what: &str, is_done: impl AsyncFn(&Rig) -> bool) {
    let mut last = (0, Instant::now());
    until(&format!("{what} in {}", rig.namespace), async || {
        if rig.controller.as_ref().unwrap().ended().is_some() {
            rig.start_controller();
        }
        let writes = rig.controller_api.writes().len();
        if writes != last.0 {
            last = (writes, Instant::now());
        }
        let key_set = rig.get("keysets", SET).await?;
        let status = &key_set["status"];
        let keys = status["keys"].as_array()?;
        let now: jiff::Timestamp = Rig::now().parse().unwrap();
        let ready =
            |key: &Value| key["earliestActivationTime"].is_string() && time(&key["earliestActivationTime"]) < now;
        let healthy = Rig::has(status, "StandbyReady=True")
            && status["observedGeneration"] == key_set["metadata"]["generation"]
            && keys.iter().all(ready);
        (healthy && last.1.elapsed() > QUIET && is_done(rig).await).then_some(())
    })
    .await;
}

async fn end(rig: &Rig) -> End {
    let signer = rig.signer().await.unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let of = |key: &Value| {
        let parts = [&key["spec"]["origin"], &key["status"]["state"], &key["status"]["privateKey"]].map(text);
        (text(&key["metadata"]["name"]), parts)
    };
    let recorded = rig.recorded().await;
    let name = |kid: String| recorded.iter().find(|(_, it)| **it == kid).map(|(name, _)| name.clone()).unwrap();
    let mut published: Vec<String> = rig.published().await.into_iter().map(name).collect();
    published.sort();
    let is_new = |call: &&Call| call.method == http::Method::POST && call.is_done();
    End {
        signer: (signer.key, signer.term),
        published,
        keys: rig.list("signingkeys").await.iter().map(of).collect(),
        secrets: rig.list("secrets").await.iter().map(|secret| text(&secret["metadata"]["name"])).collect(),
        made: rig.controller_api.writes().iter().filter(is_new).count(),
    }
}
