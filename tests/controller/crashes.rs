//! The controller is killed at every write of a bootstrap and of a rotation.

use futures::{StreamExt, stream};
use serde_json::json;

use crate::{
    proxy::Moment,
    rig::{Rig, SET},
    until,
};

/// How many sets are made to suffer at a time.
const SIDE_BY_SIDE: usize = 5;

/// Where a controller is killed, counted in writes from the beginning of each part; 0 is nowhere.
#[derive(Clone, Copy, Debug)]
struct Crash {
    write: usize,
    moment: Moment,
}

/// How many writes each part took.
#[derive(Clone, Copy, Debug)]
struct Writes {
    bootstrap: usize,
    rotation: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_controller_that_is_killed_at_any_write_goes_on_where_it_was() {
    let whole = live_through(Crash { write: 0, moment: Moment::After }).await;
    println!("without a crash: {whole:?}");
    assert!(whole.bootstrap >= 8 && whole.rotation >= 8, "{whole:?}: the proxy misses writes");
    let last = whole.bootstrap.max(whole.rotation);
    let after = (1..=last).map(|write| Crash { write, moment: Moment::After });
    let before = [1, 4, last].map(|write| Crash { write, moment: Moment::Before });
    stream::iter(after.chain(before)).map(live_through).buffer_unordered(SIDE_BY_SIDE).collect::<Vec<_>>().await;
}

/// A bootstrap and a rotation, up to the end of the old key, each with a crash.
async fn live_through(crash: Crash) -> Writes {
    let namespace = format!("crash-{}-{}", format!("{:?}", crash.moment).to_lowercase(), crash.write);
    let mut rig = Rig::start(&namespace).await;
    arm(&rig, crash);
    rig.apply(json!({})).await;
    revive(&mut rig).await;
    let first = rig.until_settled().await;
    rig.until_quiet(0.5).await;
    let bootstrap = rig.controller_api.writes().len();
    rig.controller_api.disarm();

    arm(&rig, crash);
    rig.rotate().await;
    revive(&mut rig).await;
    until(&format!("the end of {} in {namespace}", first.kid), async || {
        (!rig.published().await.contains(&first.kid)).then_some(())
    })
    .await;
    let second = rig.until_settled().await;
    // The standby is new too: whatever was lost on the way was not a key.
    rig.until_quiet(2.0).await;
    rig.controller_api.disarm();
    assert_eq!((second.key.as_str(), second.term), ("pay-2", first.term + 1), "{namespace}");
    assert_ne!(first.kid, second.kid);
    let recorded = rig.recorded().await;
    assert_eq!(recorded.keys().collect::<Vec<_>>(), ["pay-1", "pay-2", "pay-3"], "{namespace}");
    let mut published = [recorded["pay-2"].clone(), recorded["pay-3"].clone()];
    published.sort();
    assert_eq!(rig.published().await, published, "{namespace}");
    assert!(rig.get("secrets", "pay-1").await.is_none(), "{namespace}: the private half of an old key is kept");
    let status = rig.status().await;
    assert_eq!(status["activeKeyName"], "pay-2", "{namespace}");
    assert_eq!(status["lastRotation"]["previousKeyName"], "pay-1", "{namespace}");
    let rotation = rig.controller_api.writes().len() - bootstrap;
    rig.finish().await;
    Writes { bootstrap, rotation }
}

fn arm(rig: &Rig, crash: Crash) {
    if crash.write > 0 {
        let victim = rig.controller.as_ref().unwrap().victim();
        rig.controller_api.kill_at_write(crash.write, crash.moment, victim);
    }
}

/// Starts the controller again as soon as it was killed; it may also get by without that many writes.
async fn revive(rig: &mut Rig) {
    let what = format!("a crash or the end in {}", rig.namespace);
    let asked = rig.get("keysets", SET).await.unwrap()["metadata"]["generation"].clone();
    let killed = until(&what, async || {
        if rig.controller.as_ref().unwrap().ended().is_some() {
            return Some(true);
        }
        let status = rig.status().await;
        let done = status["observedGeneration"] == asked
            && rig.has(&status, "StandbyReady=True")
            && status["keys"].as_array().is_some_and(|keys| keys.len() == 2)
            && status["nextTransition"].is_null();
        (done || !rig.controller_api.is_armed() && rig.controller.as_ref().unwrap().ended().is_none() && done)
            .then_some(false)
    })
    .await;
    if killed {
        rig.start_controller();
    }
}
