//! The end of a key: what destroys a private half, what takes a public half out of the set, what keeps a record.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::world::World;
use super::worlds::{kid, revoke};
use crate::api::{ImportedKey, Origin, RevocationMode, RevocationState, RotationMode, SecretKeyRef};
use crate::jose::Algorithm;
use crate::lifecycle::{Clock, Effect, Import, PrivateHalf, Signer, SignerContent};

fn on_request(visibility: &str) -> World {
    let mut world = World::new(&json!({
        "algorithm": "ES256",
        "tokens": {"maxLifetime": "1h"},
        "rotation": {"mode": "OnRequest"},
        "publication": {"visibility": visibility},
    }));
    world.run_for("25h");
    world
}

/// Key 1 retired at 2026-01-02T01:00:00Z, key 2 signs, key 3 may sign.
fn rotated() -> World {
    let mut world = on_request("Replicas");
    world.edit(|spec| spec.rotation.after = Some("2026-01-02T00:30:00Z".parse().unwrap()));
    world.settle();
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"));
    world.run_for("30m");
    world
}

/// When the promise of key 1 ends: `L + T + S + M` after it retired.
fn promised() -> Timestamp {
    "2026-01-03T02:15:00Z".parse().unwrap()
}

fn is_published(world: &World, sequence: i64) -> bool {
    world.set().unwrap().contains(&kid(world, sequence))
}

fn is_stored(world: &World, sequence: i64) -> bool {
    matches!(world.key(sequence).private, PrivateHalf::Stored(_))
}

fn stop_following(world: &mut World) {
    for server in &mut world.servers {
        server.follows = false;
    }
}

/// Nothing can sign any more, and nobody serves what would be made.
fn lose_everything_that_signs(world: &mut World) {
    stop_following(world);
    for key in &mut world.keys {
        if key.sequence > 1 {
            key.private = PrivateHalf::Absent;
        }
    }
}

#[test]
fn a_suspended_set_ends_no_key() {
    let mut world = rotated();
    world.edit(|spec| spec.rotation.mode = RotationMode::Suspended);
    world.run_until(promised() + SignedDuration::from_hours(1));
    assert!(is_stored(&world, 1) && is_published(&world, 1));
    world.edit(|spec| spec.rotation.mode = RotationMode::OnRequest);
    world.settle();
    assert!(!is_stored(&world, 1) && !is_published(&world, 1));
}

#[test]
fn what_can_be_rolled_back_to_is_not_destroyed_while_nothing_signs() {
    let mut world = rotated();
    lose_everything_that_signs(&mut world);
    world.signer = Signer::Absent;
    for server in &mut world.servers {
        server.answers = false;
    }
    world.run_for("2h");
    assert!(is_stored(&world, 1));
}

#[test]
fn no_key_leaves_while_the_one_that_signs_is_broken() {
    let mut world = rotated();
    world.run_for("2h");
    world.advance_to(promised() + SignedDuration::from_hours(1));
    lose_everything_that_signs(&mut world);
    let Signer::Ours(signer) = &mut world.signer else { panic!("no signer") };
    signer.content = SignerContent::Damaged;
    world.settle();
    assert!(is_published(&world, 1));
}

#[test]
fn the_key_that_signers_have_is_not_destroyed_by_a_record_that_says_it_left() {
    let mut world = on_request("Replicas");
    // Later than what it promised when it began to sign.
    world.run_for("30h");
    stop_following(&mut world);
    world.key_mut(2).private = PrivateHalf::Absent;
    let now = world.now;
    world.key_mut(1).lifecycle.removal_time = Some(now);
    world.run_for("2h");
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"));
    assert!(is_stored(&world, 1) && is_published(&world, 1));
}

#[test]
fn a_standby_of_another_kind_leaves_when_a_later_key_signs() {
    let mut world = on_request("Replicas");
    world.edit(|spec| spec.algorithm = Algorithm::EdDSA);
    world.run_for("25h");
    assert!(is_published(&world, 2) && is_stored(&world, 2), "key 3 may sign, and does not yet");
    // There and back: a key that signs already is no later one.
    world.edit(|spec| spec.algorithm = Algorithm::ES256);
    world.run_for("1h");
    assert!(is_published(&world, 3));
    let now = world.now;
    world.edit(|spec| {
        spec.algorithm = Algorithm::EdDSA;
        spec.rotation.after = Some(now);
    });
    world.settle();
    assert_eq!(world.signing_name().as_deref(), Some("pay-3"));
    assert!(!is_published(&world, 2) && !is_stored(&world, 2));
    assert!(is_published(&world, 1), "it has signed");
}

#[test]
fn an_imported_key_of_another_kind_stays_as_long_as_it_brought_along() {
    let mut world = on_request("Replicas");
    let secret_ref = SecretKeyRef { name: "old".to_owned(), key: "tls.key".to_owned() };
    world.edit(|spec| {
        spec.imported_keys.push(ImportedKey { name: "legacy".to_owned(), secret_ref, algorithm: None, key_id: None });
        spec.algorithm = Algorithm::EdDSA;
        spec.tokens.max_lifetime = "48h".parse().unwrap();
    });
    world.imports.push(Import { entry_name: "legacy".to_owned(), key: Ok(World::jwk(Algorithm::ES256, 77)) });
    world.settle();
    let imported = world.keys.iter().find(|key| key.origin == Origin::Imported).unwrap();
    let (sequence, promised) = (imported.sequence, imported.lifecycle.earliest_removal_time.unwrap());
    world.edit(|spec| spec.rotation.after = Some("2026-01-02T02:00:00Z".parse().unwrap()));
    world.run_for("25h");
    assert_eq!(world.signing_name().as_deref(), Some("pay-4"));
    let published = [-1, 0].map(|offset| {
        world.advance_to(promised + SignedDuration::from_secs(offset));
        world.settle();
        is_published(&world, sequence)
    });
    assert_eq!(published, [true, false]);
}

#[test]
fn only_what_nobody_needs_any_more_is_pruned() {
    type Need = fn(&mut World);
    let needs: [(Need, bool); 4] = [
        (|_| {}, true),
        // It has not left.
        (
            |world| {
                let later = world.after("1000h");
                let lifecycle = &mut world.key_mut(1).lifecycle;
                lifecycle.removal_time = None;
                lifecycle.earliest_removal_time = Some(later);
            },
            false,
        ),
        // It refuses the same key.
        (|world| world.key_mut(1).lifecycle.revocation_time = world.key(1).lifecycle.removal_time, false),
        (|world| world.key_mut(1).origin = Origin::Imported, false),
    ];
    for (number, (need, expected)) in needs.into_iter().enumerate() {
        let mut world = rotated();
        world.run_until(promised() + SignedDuration::from_hours(1));
        assert!(world.plan().effects.is_empty());
        need(&mut world);
        world.edit(|spec| spec.retention.history_limit = 0);
        world.settle();
        assert_eq!(world.keys.iter().all(|key| key.sequence != 1), expected, "{number}");
    }
}

#[test]
fn the_oldest_records_are_pruned_first() {
    let mut world = World::at_defaults();
    world.edit(|spec| spec.retention.history_limit = 1);
    world.run_for("3000h");
    let removed: Vec<i64> = world.keys.iter().filter(|key| key.is_removed()).map(|key| key.sequence).collect();
    let oldest = world.keys.iter().filter(|key| !key.is_removed()).map(|key| key.sequence).min().unwrap();
    assert_eq!(removed, [oldest - 1]);
}

#[test]
fn a_revocation_neither_begins_nor_goes_on_by_a_clock_that_is_not_believed() {
    let mut world = on_request("Replicas");
    world.clock = Clock::Untrusted("jumped".to_owned());
    revoke(&mut world, 1, RevocationMode::AfterSwitch);
    world.settle();
    assert_eq!(world.key(1).lifecycle.revocation_time, None);
    world.clock = Clock::Trusted;
    world.settle();
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"));
    world.clock = Clock::Untrusted("jumped".to_owned());
    world.run_for("1h");
    assert!(is_published(&world, 1));
    world.clock = Clock::Trusted;
    world.settle();
    assert!(!is_published(&world, 1));
}

#[test]
fn a_revoked_standby_owes_signers_nothing_though_they_have_just_switched() {
    let mut world = on_request("Replicas");
    world.edit(|spec| spec.rotation.after = Some("2026-01-02T00:30:00Z".parse().unwrap()));
    world.settle();
    revoke(&mut world, 3, RevocationMode::AfterSwitch);
    world.settle();
    assert!(!is_published(&world, 3));
    assert_eq!(world.key_set.status.revocations[0].state, RevocationState::Removed);
}

#[test]
fn a_revoked_standby_is_destroyed_though_nothing_signs() {
    let mut world = on_request("Replicas");
    world.signer = Signer::Absent;
    world.key_mut(1).private = PrivateHalf::Absent;
    for server in &mut world.servers {
        server.answers = false;
    }
    revoke(&mut world, 2, RevocationMode::AfterSwitch);
    world.settle();
    assert!(!is_stored(&world, 2));
    assert_eq!(world.key_set.status.revocations[0].state, RevocationState::WaitingForSigners);
    assert!(is_published(&world, 2), "nothing else signs");
}

/// Until when verifiers may trust the key of an entry.
fn exposure(world: &World, index: usize) -> Option<Timestamp> {
    world.plan().status.revocations[index].exposure_end_time
}

#[test]
fn the_exposure_of_each_revoked_key_ends_once_after_it_was_seen_gone() {
    for (visibility, delay) in [("Replicas", 0), ("Assumed", 5)] {
        let mut world = on_request(visibility);
        let mut told = Vec::new();
        for sequence in [2, 3] {
            revoke(&mut world, sequence, RevocationMode::Immediate);
            world.settle();
            // D + C + S
            let end = world.now + SignedDuration::from_mins(delay + 24 * 60 + 5);
            told.push(Some(end));
            world.run_for("1h");
        }
        assert_eq!([exposure(&world, 0), exposure(&world, 1)], told[..], "{visibility}");
    }
}

#[test]
fn no_exposure_ends_before_the_document_is_written_without_the_key_or_by_a_clock_that_is_not_believed() {
    for visibility in ["Replicas", "Assumed"] {
        let mut world = on_request(visibility);
        // Key 3 is published, and nobody serves it yet.
        revoke(&mut world, 2, RevocationMode::Immediate);
        stop_following(&mut world);
        world.settle();
        revoke(&mut world, 3, RevocationMode::Immediate);
        for _ in 0..20 {
            assert!(exposure(&world, 1).is_none() || !is_published(&world, 3), "{visibility}");
            world.settle_within(1);
        }
        for server in &mut world.servers {
            server.follows = true;
        }
        world.serve();
        world.clock = Clock::Untrusted("jumped".to_owned());
        for key in &mut world.key_set.status.revocations {
            key.exposure_end_time = None;
        }
        assert_eq!(exposure(&world, 1), None, "{visibility}");
        world.clock = Clock::Trusted;
        assert!(exposure(&world, 1).is_some(), "{visibility}");
    }
}

#[test]
fn an_exposure_begins_anew_where_a_replica_serves_the_key_again() {
    let mut world = on_request("Replicas");
    let before = world.servers[1].served.clone();
    revoke(&mut world, 2, RevocationMode::Immediate);
    world.settle();
    assert!(exposure(&world, 0).is_some());
    let after = std::mem::replace(&mut world.servers[1].served, before);
    world.servers[1].follows = false;
    world.settle();
    assert_eq!(exposure(&world, 0), None);
    world.servers[1].served = after;
    world.advance_to(world.after("1h"));
    world.settle();
    assert_eq!(exposure(&world, 0), Some(world.now + SignedDuration::from_mins(24 * 60 + 5)));
    // Nor does a look without the replicas change what was told.
    let mut observed = world.observe();
    observed.pass = None;
    let told = crate::lifecycle::plan(&observed, world.after("1h")).status.revocations[0].exposure_end_time;
    assert_eq!(told, exposure(&world, 0));
}

#[test]
fn what_is_destroyed_is_barred_first() {
    let mut world = rotated();
    world.advance_to(world.after("2h"));
    let effects = world.plan().effects;
    assert!(matches!(effects.as_slice(), [Effect::WriteSigner { .. }]), "{effects:#?}");
    world.settle_within(1);
    let effects = world.plan().effects;
    assert!(matches!(effects.as_slice(), [Effect::DeleteKeySecret { .. }]), "{effects:#?}");
}

#[test]
fn a_revoked_key_whose_signer_secret_is_lost_ends_after_another_took_over() {
    let mut world = on_request("Replicas");
    revoke(&mut world, 1, RevocationMode::AfterSwitch);
    // With both Secrets lost, no key is left to take over: a third must be made and served first.
    world.signer = Signer::Absent;
    world.key_mut(2).private = PrivateHalf::Absent;
    world.settle();
    assert_eq!(world.signing_name().as_deref(), Some("pay-3"));
    let when = |what: &str| world.log.iter().rposition(|line| line.contains(what)).unwrap_or_else(|| panic!("{what}"));
    assert!(when("destroy pay-1") > when("signer Activate pay-3"), "{:#?}", world.log);
}
