//! Controllers and servers that come, go, and lose sight of each other.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{
    cluster::Cluster,
    process::Process,
    proxy::Proxy,
    rig::{Rig, SET},
    until,
    witness::fetch,
};

#[tokio::test]
async fn nothing_rotates_while_a_server_is_out_of_sight() {
    let mut rig = Rig::start("out-of-sight").await;
    rig.apply(json!({})).await;
    let first = rig.until_settled().await;
    rig.servers[1].process.victim().kill();
    rig.rotate().await;
    rig.until_condition("Published=False/VisibilityLost").await;
    rig.until_condition("RotationOverdue=True/VisibilityLost").await;
    for reason in ["VisibilityLost", "RotationOverdue"] {
        until(reason, async || (!rig.events(reason).await.is_empty()).then_some(())).await;
    }
    rig.until_condition("Ready=True").await;
    assert_eq!(rig.signer().await.unwrap(), first);
    rig.restart_server(1).await;
    until("the rotation", async || rig.signer().await.filter(|now| now.term > first.term)).await;
    rig.until_condition("Published=True").await;
    rig.until_condition("RotationOverdue=False").await;
    until("the end of the first key", async || (!rig.published().await.contains(&first.kid)).then_some(())).await;
    rig.until_settled().await;
    rig.until_quiet(1.0).await;
    rig.finish().await;
}

#[tokio::test]
async fn a_server_without_the_api_server_serves_on_and_catches_up() {
    let rig = Rig::start("cut-off-server").await;
    rig.apply(json!({})).await;
    let first = rig.until_settled().await;
    rig.servers.iter().for_each(|server| server.api.close());
    rig.rotate().await;
    let second = until("the rotation", async || rig.signer().await.filter(|now| now.term > first.term)).await;
    // The next standby cannot be served: it may not sign, and the old key may not be taken for gone.
    rig.rotate().await;
    let began = Instant::now();
    until("some time", async || (began.elapsed().as_secs() >= 6).then_some(())).await;
    for server in 0..2 {
        assert!(rig.witness().looks(server).last().unwrap().has(&first.kid));
    }
    assert_eq!(rig.signer().await.unwrap(), second);
    rig.servers.iter().for_each(|server| server.api.open());
    let third = until("the next rotation", async || rig.signer().await.filter(|now| now.term > second.term)).await;
    assert_eq!(third.key, "pay-3");
    until("the end of the first key", async || {
        let gone = (0..2).all(|server| !rig.witness().looks(server).last().unwrap().has(&first.kid));
        gone.then_some(())
    })
    .await;
    rig.until_settled().await;
    rig.until_quiet(1.0).await;
    rig.finish().await;
}

#[tokio::test]
async fn a_controller_without_the_api_server_gives_up_or_goes_on() {
    let mut rig = Rig::start("cut-off-controller").await;
    rig.apply(json!({})).await;
    let first = rig.until_settled().await;
    rig.controller_api.close();
    let began = Instant::now();
    until("some time", async || (began.elapsed().as_secs() >= 4).then_some(())).await;
    rig.controller_api.open();
    rig.rotate().await;
    until("the rotation", async || {
        // A kubelet would start it again.
        if rig.controller.as_ref().unwrap().ended().is_some() {
            rig.start_controller();
        }
        rig.signer().await.filter(|now| now.term > first.term)
    })
    .await;
    until("the end of the first key", async || (!rig.published().await.contains(&first.kid)).then_some(())).await;
    rig.finish().await;
}

#[tokio::test]
async fn both_end_quickly_when_they_are_told() {
    let mut rig = Rig::start("told").await;
    rig.apply(json!({})).await;
    rig.until_settled().await;
    let controller = rig.controller.take().unwrap();
    let (status, took) = controller.terminate().await;
    assert!(status.success() && took < QUICKLY, "controller: {status} after {took:?}");
    for server in &rig.servers {
        let (status, took) = server.process.terminate().await;
        assert!(status.success() && took < QUICKLY, "server: {status} after {took:?}");
    }
    rig.finish().await;
}

#[tokio::test]
async fn a_controller_without_the_crds_says_so_and_ends_when_it_is_told() {
    let cluster = Cluster::start().await.unwrap();
    let api = Proxy::start(cluster.client().await.unwrap(), "default").await;
    let arguments = ["controller", "--admin-listen", "127.0.0.1:0", "--lease-namespace", "default"];
    let controller = Process::start(&cluster, "bare", api.address, &arguments);
    let said = "the CRDs are missing, looking again soon: keyset crds | kubectl apply --server-side -f -";
    controller.says(said).await;
    let (status, took) = controller.terminate().await;
    assert!(status.success() && took < QUICKLY, "{status} after {took:?}");
}

#[tokio::test]
async fn another_controller_takes_over_when_the_first_is_killed() {
    let mut rig = Rig::start("takeover").await;
    rig.apply(json!({})).await;
    let first = rig.until_settled().await;
    let second = rig.new_controller("two", &rig.namespace);
    second.says("listening").await;
    rig.controller.take().unwrap().victim().kill();
    rig.rotate().await;
    second.says("leading").await;
    until("the rotation", async || rig.signer().await.filter(|now| now.term > first.term)).await;
    until("the end of the first key", async || (!rig.published().await.contains(&first.kid)).then_some(())).await;
    rig.until_settled().await;
    rig.controller = Some(second);
    rig.finish().await;
}

#[tokio::test]
async fn two_controllers_at_once_do_no_harm() {
    let rig = Rig::start("two-at-once").await;
    let second = rig.new_controller("two", "default");
    second.says("leading").await;
    rig.controller.as_ref().unwrap().says("leading").await;
    rig.apply(json!({})).await;
    let first = rig.until_settled().await;
    rig.rotate().await;
    until("the rotation", async || rig.signer().await.filter(|now| now.term > first.term)).await;
    until("the end of the first key", async || (!rig.published().await.contains(&first.kid)).then_some(())).await;
    let last = rig.until_settled().await;
    rig.until_quiet(3.0).await;
    assert_eq!((last.term, last.key.as_str()), (first.term + 1, "pay-2"));
    assert_eq!(rig.recorded().await.len(), 3);
    drop(second);
    rig.finish().await;
}

#[tokio::test]
async fn a_server_that_starts_late_serves_at_once_what_is_there() {
    let rig = Rig::start("late-server").await;
    rig.apply(json!({})).await;
    let signer = rig.until_settled().await;
    let late = rig.new_server("127.0.0.1:0", "127.0.0.1:0").await;
    let url = |admin: bool, path: &str| format!("http://{}{path}", if admin { late.admin } else { late.public });
    until("readiness", async || fetch(&url(true, "/readyz")).await.filter(|(status, _)| *status == 200)).await;
    let (status, document) = fetch(&url(false, &format!("/late-server/{SET}/jwks.json"))).await.unwrap();
    assert_eq!(status, 200);
    assert!(crate::witness::kids(&document).contains(&signer.kid));
    rig.finish().await;
}

const QUICKLY: Duration = Duration::from_secs(3);
