//! An etcd snapshot is restored under running servers and a running controller: all that the API server knows is older
//! than what verifiers know (PROTOCOL 9).

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use crate::{
    own_cluster,
    rig::{Rig, SET},
    until,
    witness::{fetch, kids},
};

/// What the servers serve is the witness: it is served on, the key that both know signs, and what had left does not come
/// back.
#[tokio::test]
async fn an_etcd_that_is_rolled_back_is_overruled_by_what_the_servers_serve() {
    let mut rig = Rig::without_controller_on(own_cluster().await, "rolled-back").await;
    rig.start_controller();
    rig.apply(json!({})).await;
    let first = rig.until_settled().await;
    let snapshot = save(&rig).await;
    let still_first = until_running(&mut rig, "the controller", async |rig| rig.signer().await).await;
    assert_eq!(still_first, first);
    rig.rotate().await;
    let second =
        until_running(&mut rig, "the rotation", async |rig| rig.signer().await.filter(|now| now.term > first.term))
            .await;
    until("the end of the first key", async || (!rig.published().await.contains(&first.kid)).then_some(())).await;
    rig.until_settled().await;
    let (served, revision) = (rig.published().await, revision(&rig).await);
    let forgotten = rig.recorded().await["pay-3"].clone();
    assert_eq!(served.len(), 2);
    let version = version(&rig).await;

    restore(&rig, &snapshot).await;
    assert_eq!(rig.signer().await.as_ref(), Some(&first), "etcd knows the first key only");
    // The forgotten key is to be looked at, however long a busy machine takes to come so far.
    rig.edit(json!({ "heldKeys": [{ "keyID": forgotten }] })).await;
    let signer = until_running(&mut rig, "the key that both know", async |rig| {
        rig.signer().await.filter(|now| now.kid == second.kid)
    })
    .await;
    assert!(signer.term > first.term);
    until_running(&mut rig, "a set that servers take", async |rig| {
        let published = rig.published().await;
        let all = served.iter().all(|kid| published.contains(kid)) && !published.contains(&first.kid);
        (all && self::revision(rig).await > revision).then_some(())
    })
    .await;

    // A watch is silent until the API server counts as far as it did before.
    overtake(&rig, version).await;
    rig.until_settled().await;
    until("a later revision from both servers", async || {
        let (one, other) = (served_by(&rig, 0).await?, served_by(&rig, 1).await?);
        (one == other && one.contains(&second.kid) && one.contains(&forgotten) && one.len() > 2).then_some(())
    })
    .await;
    rig.rotate().await;
    let next = until("a rotation", async || rig.signer().await.filter(|now| now.term > signer.term)).await;
    assert_ne!(next.kid, forgotten, "its private half is lost");
    rig.edit(json!({ "heldKeys": [] })).await;
    until("the end of the key that etcd forgot", async || (!rig.published().await.contains(&forgotten)).then_some(()))
        .await;
    rig.until_settled().await;
    rig.until_quiet(1.0).await;
    rig.finish().await;
}

/// Stops what stores for a moment, and keeps a copy of it.
async fn save(rig: &Rig) -> PathBuf {
    let snapshot = rig.cluster.directory().join("snapshot");
    rig.cluster.interrupt(|etcd| copy(etcd, &snapshot)).await.unwrap();
    snapshot
}

async fn restore(rig: &Rig, snapshot: &Path) {
    let change = |etcd: &Path| fs::remove_dir_all(etcd).and_then(|()| copy(snapshot, etcd));
    rig.cluster.interrupt(change).await.unwrap();
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let status = Command::new("cp").arg("-a").args([from, to]).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other("cp failed")) }
}

/// As `until`, with a kubelet that starts the controller again when it has ended.
async fn until_running<T>(rig: &mut Rig, what: &str, mut look: impl AsyncFnMut(&Rig) -> Option<T>) -> T {
    until(what, async || {
        if rig.controller.as_ref().unwrap().ended().is_some() {
            rig.start_controller();
        }
        look(rig).await
    })
    .await
}

async fn revision(rig: &Rig) -> i64 {
    rig.status().await["publication"]["revision"].as_i64().unwrap()
}

/// How far the API server has counted.
async fn version(rig: &Rig) -> u64 {
    let object = rig.patch("configmaps", "kube-root-ca.crt", annotated(&Rig::now())).await;
    object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

/// Lets the API server count on, beyond `version`.
async fn overtake(rig: &Rig, version: u64) {
    let mut number = 0;
    while self::version(rig).await <= version {
        number += 1;
        assert!(number < 5000, "{version} is far away");
    }
}

fn annotated(value: &str) -> Value {
    json!({ "metadata": { "annotations": { "counted": value } } })
}

async fn served_by(rig: &Rig, server: usize) -> Option<Vec<String>> {
    let url = format!("http://{}/{}/{SET}/jwks.json", rig.servers[server].public, rig.namespace);
    fetch(&url).await.map(|(_, document)| kids(&document))
}
