//! Backups that are restored long after they were taken, beside what is there, and into a cluster that knows nothing.
//!
//! Time passes in the data: every time in a backup is as much earlier as the backup is old.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::json;

use crate::{
    backup::Backup,
    repairs::{nudge, until_nudged},
    rig::{Rig, SET, Signer},
    until,
    witness::fetch,
};

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// `pay-2` signs, `pay-1` retires, `pay-3` is the standby.
async fn taken_in_a_rotation(namespace: &str) -> (Backup, Signer) {
    let rig = Rig::start(namespace).await;
    rig.apply(json!({ "retention": { "margin": "12s" } })).await;
    let first = rig.until_settled().await;
    rig.rotate().await;
    until("the rotation", async || rig.signer().await.filter(|now| now.kid != first.kid)).await;
    let signer = rig.until_settled().await;
    assert_eq!(rig.published().await.len(), 3);
    let backup = Backup::take(&rig).await;
    rig.finish_by(crate::witness::Clock::of(2, 15)).await;
    (backup, signer)
}

#[tokio::test]
async fn a_backup_of_forty_days_ago_without_status_goes_on_with_its_keys() {
    let (backup, signer) = taken_in_a_rotation("backup-source").await;
    let rig = Rig::start("backup-restored").await;
    backup.aged(40 * DAY).without_status().restore(&rig).await;
    let old = rig.recorded().await;
    assert_eq!(rig.until_settled().await, signer, "the same key signs, of the same term");
    let promised_long_ago = &old["pay-1"];
    until("the end of the old key", async || (!rig.published().await.contains(promised_long_ago)).then_some(())).await;
    rig.until_quiet(1.0).await;
    assert_eq!(rig.recorded().await, old, "no key was made");
    let published = rig.published().await;
    assert!(published.contains(&old["pay-2"]) && published.contains(&old["pay-3"]) && published.len() == 2);
    rig.rotate().await;
    let next = until("a rotation", async || rig.signer().await.filter(|now| now.term > signer.term)).await;
    assert_eq!((next.term, next.key.as_str()), (signer.term + 1, "pay-3"));
    rig.until_settled().await;
    rig.until_quiet(1.0).await;
    rig.finish().await;
}

/// On day 30 the standby of the backup took over: verifiers know it, and tokens of the first key have ended.
#[tokio::test]
async fn a_backup_of_day_0_on_day_40_signs_with_the_key_that_signs_by_then() {
    let backup = of_day_0("day-0").await;
    signs_with_the_second_key("day-40", backup).await;
}

/// While its KeySet is not restored yet, a set looks like one that was retained, and is served.
#[tokio::test]
async fn a_backup_of_day_0_whose_key_set_comes_last_signs_with_the_key_that_signs_by_then() {
    let backup = of_day_0("day-0-retained").await;
    signs_with_the_second_key("day-40-retained", backup.key_set_last()).await;
}

async fn of_day_0(namespace: &str) -> Backup {
    let rig = Rig::start(namespace).await;
    rig.apply(json!({})).await;
    rig.until_settled().await;
    let interval = json!({ "rotation": { "mode": "Interval", "interval": "720h" } });
    let backup = Backup::take(&rig).await.with_spec(&interval).aged(40 * DAY).without_status();
    rig.finish().await;
    backup
}

async fn signs_with_the_second_key(namespace: &str, backup: Backup) {
    let rig = Rig::start(namespace).await;
    backup.restore(&rig).await;
    let signer = until("the second key", async || rig.signer().await.filter(|now| now.key == "pay-2")).await;
    rig.until_condition("UnknownKeyIDWindow=True/Restored").await;
    assert_eq!((signer.term, &signer.kid), (2, &rig.recorded().await["pay-2"]));
    rig.until_settled().await;
    rig.until_quiet(1.0).await;
    for server in 0..2 {
        let looks = rig.witness().looks(server);
        let mut served = looks.iter().filter(|look| look.status == Some(200));
        assert!(served.all(|look| look.has(&signer.kid)), "server {server} of {namespace}");
    }
    rig.finish_discreetly().await;
}

/// Nobody has looked after the set for sixty days: the rotation is overdue, and so is the end of the old key.
#[tokio::test]
async fn a_controller_that_was_down_for_sixty_days_makes_up_for_one_rotation() {
    let (backup, signer) = taken_in_a_rotation("down-source").await;
    let mut rig = Rig::without_controller("down").await;
    let interval = json!({ "rotation": { "mode": "Interval", "interval": "720h" } });
    backup.with_spec(&interval).aged(60 * DAY).restore(&rig).await;
    let old = rig.recorded().await;
    until("both servers", async || {
        let served = |server: usize| rig.witness().looks(server).last().is_some_and(|look| look.has(&signer.kid));
        (served(0) && served(1)).then_some(())
    })
    .await;
    // The servers of the past would have served it all the time; these have served it for longer than copies live.
    tokio::time::sleep(Duration::from_secs(3)).await;
    rig.start_controller();
    let next = until("the rotation", async || rig.signer().await.filter(|now| now.term > signer.term)).await;
    assert_eq!((next.term, next.key.as_str()), (signer.term + 1, "pay-3"));
    until("the end of the first key", async || (!rig.published().await.contains(&old["pay-1"])).then_some(())).await;
    assert_eq!(rig.until_settled().await, next, "one rotation, not two");
    rig.until_quiet(2.0).await;
    assert_eq!(rig.signer().await.unwrap(), next);
    assert!(rig.get("secrets", "pay-1").await.is_none(), "its private half has ended, too");
    rig.finish().await;
}

/// The clock of the controller, and with it that of the API server, was an hour ahead for a while.
#[tokio::test]
async fn what_was_recorded_by_a_clock_an_hour_ahead_is_kept_and_nothing_is_early() {
    let (backup, signer) = taken_in_a_rotation("ahead-source").await;
    let rig = Rig::start("ahead").await;
    backup.aged(SignedDuration::from_hours(-1)).restore(&rig).await;
    let old = rig.recorded().await;
    rig.until_condition("Ready=True").await;
    rig.rotate().await;
    rig.delete("configmaps", "pay-jwks").await;
    until("the repair", async || rig.get("configmaps", "pay-jwks").await).await;
    rig.until_quiet(6.0).await;
    assert_eq!(rig.signer().await.unwrap(), signer, "an activation in the future is later than any request of today");
    let published = rig.published().await;
    assert!(old.values().all(|kid| published.contains(kid)), "a promise of the future holds");
    rig.until_condition("Ready=True").await;
    rig.finish().await;
}

/// Backup tools skip what is there: then only what had lawfully ended comes back.
#[tokio::test]
async fn a_restore_beside_live_objects_brings_no_key_back_to_life() {
    let one = async |(namespace, history_limit): (&str, i32)| {
        let rig = Rig::start(namespace).await;
        rig.apply(json!({ "retention": { "historyLimit": history_limit } })).await;
        rig.until_settled().await;
        let backup = Backup::take(&rig).await;
        let old = rig.recorded().await;
        let signer = two_rotations_later(&rig).await;
        backup.without_status().restore(&rig).await;
        nudge(&rig).await;
        comes_to_rest(&rig, &signer, &old.into_values().collect::<Vec<_>>()).await;
        rig.finish().await;
    };
    futures::future::join_all([("beside", 3), ("beside-pruned", 0)].map(one)).await;
}

/// Others overwrite it: the Signer Secret of old, the ConfigMap of old, and what the API server lets through of the rest.
#[tokio::test]
async fn a_restore_over_live_objects_is_undone() {
    let rig = Rig::start("over").await;
    rig.apply(json!({})).await;
    rig.until_settled().await;
    let backup = Backup::take(&rig).await;
    let old = rig.recorded().await;
    let signer = two_rotations_later(&rig).await;
    backup.restore_over(&rig).await;
    nudge(&rig).await;
    until_nudged(&rig, "the signer of today", async || rig.signer().await.filter(|now| now.term >= signer.term)).await;
    comes_to_rest(&rig, &signer, &old.into_values().collect::<Vec<_>>()).await;
    rig.finish().await;
}

async fn two_rotations_later(rig: &Rig) -> Signer {
    let mut signer = rig.until_settled().await;
    for _ in 0..2 {
        rig.rotate().await;
        until("a rotation", async || rig.signer().await.filter(|now| now.term > signer.term)).await;
        signer = rig.until_settled().await;
    }
    until("the end of the old keys", async || (rig.published().await.len() == 2).then_some(())).await;
    rig.until_quiet(1.0).await;
    signer
}

/// The same key signs, and of the `old` ones nothing is left in the end.
async fn comes_to_rest(rig: &Rig, signer: &Signer, old: &[String]) {
    until_nudged(rig, "the end of what came back", async || {
        let published = rig.published().await;
        let private = [rig.get("secrets", "pay-1").await, rig.get("secrets", "pay-2").await];
        (old.iter().all(|kid| !published.contains(kid)) && private.iter().all(Option::is_none)).then_some(())
    })
    .await;
    assert_eq!(&rig.until_settled().await, signer, "{}", rig.namespace);
    rig.until_quiet(1.0).await;
    rig.rotate().await;
    until("the next rotation", async || rig.signer().await.filter(|now| now.term == signer.term + 1)).await;
    rig.until_settled().await;
    rig.until_quiet(1.0).await;
}

/// Its objects belong to a KeySet that is no more, so the garbage collector takes them, and nothing may be built on them.
#[tokio::test]
async fn a_backup_of_an_owned_set_is_collected_and_the_set_begins_anew() {
    let source = Rig::start("owned-source").await;
    source.apply(json!({ "deletionPolicy": "Delete" })).await;
    source.until_settled().await;
    let backup = Backup::take(&source).await.aged(40 * DAY).without_status();
    let old: Vec<String> = source.recorded().await.into_values().collect();
    source.finish().await;

    let rig = Rig::start("owned-restored").await;
    backup.restore(&rig).await;
    let signer = until("another life", async || rig.signer().await.filter(|now| !old.contains(&now.kid))).await;
    assert_eq!(rig.until_settled().await, signer);
    rig.until_quiet(2.0).await;
    let published = rig.published().await;
    assert!(published.len() == 2 && old.iter().all(|kid| !published.contains(kid)));
    rig.finish_discreetly().await;
}

/// Only the ConfigMap and the records are in the backup, because Secrets were left out of it.
#[tokio::test]
async fn a_backup_without_secrets_serves_its_keys_and_signs_with_a_new_one() {
    let (backup, _) = taken_in_a_rotation("public-source").await;
    let rig = Rig::start("public-restored").await;
    let records = ["configmaps", "signingkeys", "keysets"];
    backup.aged(SignedDuration::from_hours(1)).without_status().only(&records).restore(&rig).await;
    let old = rig.recorded().await;
    let signer = until("a key that can sign", async || rig.signer().await).await;
    assert!(!old.values().any(|kid| *kid == signer.kid) && signer.term == 3, "{signer:?}");
    let url = format!("http://{}/{}/{SET}/jwks.json", rig.servers[0].public, rig.namespace);
    let (status, document) = fetch(&url).await.unwrap();
    assert!(status == 200 && crate::witness::kids(&document).contains(&old["pay-2"]), "tokens of the old key live");
    rig.until_condition("UnknownKeyIDWindow=True").await;
    rig.until_settled().await;
    rig.until_quiet(1.0).await;
    rig.finish_discreetly().await;
}

/// The spec comes from Git, and names the keys that must not be trusted again; the backup is from before.
#[tokio::test]
async fn a_backup_from_before_a_revocation_brings_no_revoked_key_back() {
    let (backup, signer) = taken_in_a_rotation("unrevoked").await;
    let rig = Rig::start("revoked").await;
    let modes = json!({ "revokedKeys": [{ "keyID": &signer.kid, "mode": "Immediate" }] });
    backup.with_spec(&modes).aged(2 * DAY).without_status().restore(&rig).await;
    let next = until_nudged(&rig, "another key", async || rig.signer().await.filter(|now| now.kid != signer.kid)).await;
    assert_eq!(next.term, signer.term + 1);
    rig.until_settled().await;
    rig.until_quiet(1.0).await;
    assert!(rig.get("secrets", &signer.key).await.is_none(), "its private half is destroyed");
    let revoked = rig.get("signingkeys", &signer.key).await.unwrap();
    assert!(revoked["spec"]["lifecycle"]["revocationTime"].is_string());
    assert_eq!(rig.status().await["revocations"][0]["keyID"], signer.kid);
    for server in 0..2 {
        assert!(!rig.witness().looks(server).last().unwrap().has(&signer.kid), "server {server} serves it");
    }

    // Nor does it come back with a second restore, over what is there.
    backup_again(&rig, &signer).await;
    rig.finish_discreetly().await;
}

/// The Key Secret and the Signer Secret of old come back.
async fn backup_again(rig: &Rig, revoked: &Signer) {
    let mut backup = rig.get("secrets", "pay-signing-key").await.unwrap();
    let (now, labels) = (rig.signer().await.unwrap(), backup["metadata"]["labels"].take());
    let metadata = json!({ "name": revoked.key, "labels": labels });
    rig.create("secrets", &json!({ "metadata": metadata, "immutable": true, "data": revoked.data })).await;
    let annotations = json!({ "keyset.dev/key-id": revoked.kid, "keyset.dev/signing-key": revoked.key });
    let patch = json!({ "metadata": { "annotations": annotations }, "data": revoked.data });
    rig.patch("secrets", "pay-signing-key", patch).await;
    until_nudged(rig, "the end of what came back", async || {
        let signer = rig.signer().await.filter(|signer| signer.kid == now.kid)?;
        rig.get("secrets", &revoked.key).await.is_none().then_some(signer)
    })
    .await;
    rig.until_settled().await;
    rig.until_quiet(1.0).await;
}
