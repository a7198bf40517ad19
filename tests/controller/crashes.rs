//! Accidents at every single write of a bootstrap, of a rotation and of an adoption.

use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use serde_json::json;

use crate::{
    proxy::{Accident, Call},
    rig::{Rig, SET},
    until,
};

/// How many sets are made to suffer at a time.
pub(crate) const SIDE_BY_SIDE: usize = 18;

/// What happens, and at which write from the beginning of each part; 0 is never.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) accident: Accident,
    pub(crate) write: usize,
}

/// How many writes each part took.
#[derive(Clone, Copy, Debug)]
struct Writes {
    bootstrap: usize,
    rotation: usize,
    adoption: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_accident_at_any_write_changes_no_outcome() {
    let whole = live_through(Case { accident: Accident::KilledAfter, write: 0 }).await;
    println!("without an accident: {whole:?}");
    let Writes { bootstrap, rotation, adoption } = whole;
    assert!(bootstrap >= 8 && rotation >= 8 && adoption >= 2, "{whole:?}: the proxy misses writes");
    let last = bootstrap.max(rotation).max(adoption);
    let cases = everywhere(last);
    stream::iter(cases).map(live_through).buffer_unordered(SIDE_BY_SIDE).collect::<Vec<_>>().await;
}

/// Each accident at each of so many writes.
pub(crate) fn everywhere(last: usize) -> impl Iterator<Item = Case> {
    let everywhere = [Accident::KilledAfter, Accident::Unanswered, Accident::Overtaken];
    let cases = everywhere.into_iter().flat_map(move |accident| (1..=last).map(move |write| Case { accident, write }));
    // Not to have written is to have written only what was before.
    cases.chain([1, 4, last].map(|write| Case { accident: Accident::KilledBefore, write }))
}

/// A bootstrap, a rotation up to the end of the old key, and an adoption, each with an accident.
async fn live_through(case: Case) -> Writes {
    let namespace = format!("{:?}-{}", case.accident, case.write).to_lowercase();
    let mut rig = Rig::start(&namespace).await;
    arm(&rig, case);
    rig.apply(json!({})).await;
    settle(&mut rig, &["pay-1", "pay-2"]).await;
    let first = rig.signer().await.unwrap();
    let bootstrap = rig.controller_api.writes().len();

    arm(&rig, case);
    rig.rotate().await;
    settle(&mut rig, &["pay-2", "pay-3"]).await;
    let second = rig.signer().await.unwrap();
    assert_eq!((second.key.as_str(), second.term), ("pay-2", first.term + 1), "{namespace}");
    assert_ne!(first.kid, second.kid);
    assert!(rig.get("secrets", "pay-1").await.is_none(), "{namespace}: the private half of an old key is kept");
    let status = rig.status().await;
    assert_eq!(status["activeKeyName"], "pay-2", "{namespace}");
    assert_eq!(status["lastRotation"]["previousKeyName"], "pay-1", "{namespace}");
    let rotation = rig.controller_api.writes().len() - bootstrap;

    rig.delete("keysets", SET).await;
    arm(&rig, case);
    rig.apply(json!({})).await;
    settle(&mut rig, &["pay-2", "pay-3"]).await;
    assert_eq!(rig.signer().await.unwrap(), second, "{namespace}: adoption is no rotation");
    let adoption = rig.controller_api.writes().len() - bootstrap - rotation;

    assert_eq!(rig.recorded().await.len(), 3, "{namespace}: a key was made in vain");
    for (resource, made) in [("secrets", 4), ("signingkeys", 3)] {
        let calls = rig.controller_api.writes();
        let is_new = |call: &&Call| call.resource == resource && call.method == http::Method::POST && call.is_done();
        assert_eq!(calls.iter().filter(is_new).count(), made, "{namespace}: {resource}, the Signer Secret is one");
    }
    let writes = Writes { bootstrap, rotation, adoption };
    let is_deadly = matches!(case.accident, Accident::KilledBefore | Accident::KilledAfter);
    let parts = [bootstrap, rotation, adoption];
    let deaths = parts.iter().filter(|&&writes| is_deadly && (1..writes).contains(&case.write)).count();
    assert!(rig.controllers() > deaths, "{namespace}: {} controllers for {writes:?}", rig.controllers());
    rig.finish().await;
    writes
}

pub(crate) fn arm(rig: &Rig, case: Case) {
    if case.write > 0 {
        let victim = rig.controller.as_ref().unwrap().victim();
        rig.controller_api.arm(case.write, case.accident, victim);
    }
}

/// Waits until exactly these keys are published and nothing more is written. The controller is started again whenever
/// it was killed; it may also get by without that many writes.
async fn settle(rig: &mut Rig, keys: &[&str]) {
    let mut last = (0, Instant::now());
    until(&format!("{keys:?} in {}", rig.namespace), async || {
        if rig.controller.as_ref().unwrap().ended().is_some() {
            rig.start_controller();
        }
        let writes = rig.controller_api.writes().len();
        if writes != last.0 {
            last = (writes, Instant::now());
        }
        let status = rig.status().await;
        let recorded = rig.recorded().await;
        let mut wanted: Vec<_> = keys.iter().filter_map(|key| recorded.get(*key).cloned()).collect();
        wanted.sort();
        let done =
            Rig::has(&status, "StandbyReady=True") && rig.published().await == wanted && wanted.len() == keys.len();
        (done && last.1.elapsed() > QUIET).then_some(())
    })
    .await;
    rig.controller_api.disarm();
}

/// Longer than the controller waits for anything when nothing is to come.
pub(crate) const QUIET: Duration = Duration::from_millis(1500);
