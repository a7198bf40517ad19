//! What is lost or tampered with is put right, and nothing that is served is lost by it.

use jiff::SignedDuration;
use serde_json::json;

use super::world::World;
use super::worlds::steady;
use crate::lifecycle::{Effect, Fence, PrivateHalf, Published, Signer, SignerContent};

#[test]
fn a_lost_signer_secret_is_written_again_with_its_record() {
    let mut world = steady();
    let before = world.signer.clone();
    world.signer = Signer::Absent;
    world.settle();
    let (Signer::Ours(before), Signer::Ours(after)) = (before, &world.signer) else { panic!() };
    assert_eq!((after.term, &after.key_id), (before.term, &before.key_id));
    assert_eq!(world.activations.len(), 1);
}

#[test]
fn a_damaged_signer_secret_is_written_again() {
    let mut world = steady();
    let Signer::Ours(signer) = &mut world.signer else { panic!() };
    signer.content = SignerContent::Damaged;
    world.settle();
    let Signer::Ours(signer) = &world.signer else { panic!() };
    assert_eq!(signer.content, SignerContent::Intact);
}

#[test]
fn a_lost_key_secret_of_the_signing_key_is_rebuilt_from_the_signer_secret() {
    let mut world = steady();
    world.key_mut(1).private = PrivateHalf::Absent;
    world.settle();
    assert!(matches!(world.key(1).private, PrivateHalf::Stored(_)));
    assert_eq!(world.keys.len(), 2);
}

#[test]
fn a_tampered_config_map_is_written_again_without_a_new_revision() {
    let mut world = steady();
    let revision = world.key_set.status.publication.clone().unwrap().revision;
    let Published::Ours(content) = &mut world.published else { panic!() };
    let intruder = crate::jose::JwkSet::new(vec![World::jwk(crate::jose::Algorithm::ES256, 99)]).unwrap();
    content.digest = Some(crate::jose::Digest::of(intruder.to_json().as_bytes()));
    content.set = Some(intruder);
    world.serve();
    world.settle();
    assert_eq!(world.set().unwrap().len(), 2);
    assert_eq!(world.key_set.status.publication.clone().unwrap().revision, revision);
    assert!(world.servers.iter().all(|server| server.served.as_ref().unwrap().1.len() == 2));
}

#[test]
fn a_deleted_signing_key_stays_published_and_gets_a_record_again() {
    let mut world = steady();
    let lost = world.key(1).clone();
    world.keys.retain(|key| key.name != lost.name);
    world.settle();
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"));
    assert_eq!(world.key(1).kid(), lost.kid());
    assert!(world.key(1).is_active());
    let standby = world.key(2).clone();
    world.keys.retain(|key| key.name != standby.name);
    world.settle();
    assert!(world.set().unwrap().contains(standby.kid().unwrap()));
    assert!(world.key(2).is_retired());
    assert_eq!(world.keys.len(), 3);
}

#[test]
fn a_foreign_object_is_never_written_and_nothing_moves() {
    for foreign in ["signer", "config map"] {
        let mut world = World::at_defaults();
        match foreign {
            "signer" => world.signer = Signer::Foreign,
            _ => world.published = Published::Foreign,
        }
        world.run_for("100h");
        assert_eq!(world.condition("Ready").as_deref(), Some("False/NameConflict"));
        assert_eq!(world.condition("Stalled").as_deref(), Some("True/NameConflict"));
        assert!(world.keys.is_empty(), "{foreign}: {:?}", world.log);
    }
}

#[test]
fn an_undecodable_key_freezes_but_unpublishes_nothing() {
    let mut world = steady();
    let key = world.keys.remove(1);
    world.undecodable.push(key.name.clone());
    world.run_for("900h");
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"));
    assert!(world.set().unwrap().contains(key.kid().unwrap()));
}

#[test]
fn a_mismatched_key_secret_is_deleted_and_never_used() {
    let mut world = steady();
    world.key_mut(2).private = PrivateHalf::Mismatched(Fence { uid: "x".to_owned(), resource_version: "1".to_owned() });
    world.run_for("800h");
    assert!(world.key(2).is_over());
    assert_eq!(world.signing_name().as_deref(), Some("pay-3"));
}

#[test]
fn a_key_set_applied_again_adopts_without_rotating() {
    let mut world = steady();
    world.key_set.uid = "uid-2".to_owned();
    world.key_set.status = crate::api::KeySetStatus::default();
    let published = world.set().unwrap().clone();
    world.settle();
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"));
    assert_eq!(world.set(), Some(&published));
    assert_eq!((world.activations.len(), world.keys.len()), (1, 2));
    assert!(world.key_set.status.publication.as_ref().unwrap().revision > Some(1));
    world.run_for("24h");
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"));
}

#[test]
fn records_beyond_the_history_limit_are_pruned() {
    let mut world = World::at_defaults();
    world.run_for("8000h");
    let removed = world.keys.iter().filter(|key| key.is_over()).count();
    assert_eq!(removed, 3);
}

#[test]
fn a_changed_algorithm_waits_its_lead_and_is_announced() {
    let mut world = steady();
    world.edit(|spec| spec.algorithm = crate::jose::Algorithm::EdDSA);
    world.run_for("1m");
    assert_eq!(world.condition("MixedAlgorithms").as_deref(), Some("True/Migrating"));
    let told = |world: &World| {
        world.key_set.status.conditions.iter().find(|it| it.r#type == "MixedAlgorithms").unwrap().message.clone()
    };
    assert!(told(&world).contains("until the keys of the old algorithm have retired and left"), "{}", told(&world));
    assert!(told(&world).contains("go-oidc"), "it names verifiers that drop a whole mixed set");
    world.run_for("700h");
    assert_eq!(world.signing_name().as_deref(), Some("pay-3"));
    let end = world.key(1).lifecycle.earliest_removal_time.unwrap();
    assert!(told(&world).contains(&format!("until {end}")), "{}", told(&world));
    world.run_until(end);
    assert_eq!(world.condition("MixedAlgorithms"), None);
}

#[test]
fn a_changed_key_size_waits_its_lead_and_mixes_nothing() {
    let mut world = World::new(&json!({"algorithm": "RS256", "tokens": {"maxLifetime": "1h"}}));
    world.run_for("30h");
    world.edit(|spec| spec.rsa_key_bits = Some(4096));
    world.edit(|spec| spec.rotation.after = Some("2026-01-02T08:00:00Z".parse().unwrap()));
    world.run_for("24h4m");
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"), "the standby of the old size is passed over");
    world.run_for("2m");
    assert_eq!(world.signing_name().as_deref(), Some("pay-3"));
    assert_eq!(world.key(3).rsa_key_bits, Some(4096));
    assert_eq!(world.condition("MixedAlgorithms"), None, "one family");
    assert!(world.key(2).lifecycle.removal_time.is_some(), "the standby of the old size has left");
}

#[test]
fn key_secrets_without_status_and_records_are_adopted_before_the_set_is_claimed() {
    let mut world = steady();
    let published = world.set().unwrap().clone();
    world.strays = world
        .keys
        .drain(..)
        .map(|key| crate::lifecycle::Stray {
            sequence: key.sequence,
            jwk: key.jwk.unwrap(),
            entry_name: key.entry_name,
        })
        .collect();
    world.key_set.status = crate::api::KeySetStatus::default();
    world.settle();
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"));
    assert!(world.key(1).is_active() && world.key(2).is_retired());
    assert!(published.keys().iter().all(|jwk| world.set().unwrap().contains(jwk.kid())));
    assert_eq!(world.activations.len(), 1);
    world.run_for("800h");
    assert_eq!(world.signing_name().as_deref(), Some("pay-3"));
}

#[test]
fn a_key_that_signed_without_a_record_is_retired_with_its_full_retention() {
    let mut world = steady();
    let kid = world.key(2).kid().unwrap().clone();
    let Signer::Ours(signer) = &mut world.signer else { panic!() };
    signer.replaced = Some(kid);
    world.settle();
    let ledger = &world.key(2).lifecycle;
    let kept = ledger.earliest_removal_time.unwrap().duration_since(ledger.retirement_time.unwrap());
    // L + T + S + M = 10m + 1h + 5m + 24h
    assert_eq!(kept, SignedDuration::from_mins(10 + 60 + 5 + 24 * 60));
}

#[test]
fn a_record_that_is_lost_before_anything_signs_lets_nothing_sign_early() {
    for lost in [1, 2] {
        let mut world = World::new(&json!({
            "algorithm": "ES256",
            "tokens": {"maxLifetime": "1h"},
            "rotation": {"firstKey": "AfterCacheAge"},
        }));
        world.settle();
        world.keys.retain(|key| key.sequence != lost);
        world.run_for("24h4m59s");
        assert_eq!(world.signing_name(), None);
        world.run_for("1h");
        assert!(world.signing_name().is_some());
        assert_eq!(world.key_set.status.unknown_key_id_end_time, None);
    }
}

#[test]
fn a_revoked_key_whose_record_is_lost_is_not_trusted_again() {
    let mut world = World::at_defaults();
    world.run_for("25h");
    let key_id = world.key(1).kid().unwrap().clone();
    let mode = crate::api::RevocationMode::AfterSwitch;
    world.edit(|spec| spec.revoked_keys.push(crate::api::RevokedKey { key_id, mode }));
    world.settle();
    world.edit(|spec| spec.revoked_keys.clear());
    world.settle();
    world.keys.retain(|key| key.sequence != 1);
    world.settle();
    assert!(world.key(1).lifecycle.revocation_time.is_some());
    world.run_for("11m");
    assert!(world.key(1).lifecycle.removal_time.is_some());
}

#[test]
fn a_record_that_nobody_of_ours_made_is_not_published() {
    let mut world = steady();
    let stranger = World::jwk(crate::jose::Algorithm::ES256, 99);
    let key = world.key(2).clone();
    let forged = crate::lifecycle::Key {
        name: "pay-3".to_owned(),
        sequence: 3,
        jwk: Some(stranger.clone()),
        private: PrivateHalf::Absent,
        ..key
    };
    world.keys.push(forged);
    world.run_for("30h");
    assert!(!world.set().unwrap().contains(stranger.kid()));
    assert_eq!(world.condition("Ready").as_deref(), Some("True/Serving"));
}

#[test]
fn a_signer_secret_whose_record_lies_is_put_right() {
    let mut world = steady();
    let honest = world.signer.clone();
    let standby = world.key(2).kid().unwrap().clone();
    for lie in 0..2 {
        let Signer::Ours(signer) = &mut world.signer else { panic!("no signer") };
        match lie {
            0 => signer.key_id = standby.clone(),
            _ => signer.activation_time = "2999-01-01T00:00:00Z".parse().unwrap(),
        }
        signer.content = SignerContent::Damaged;
        world.settle();
        let (Signer::Ours(now), Signer::Ours(then)) = (&world.signer, &honest) else { panic!("no signer") };
        assert_eq!((&now.key_id, now.term, now.activation_time), (&then.key_id, then.term, then.activation_time));
    }
    assert!(world.key(2).lifecycle.activation_time.is_none());
}

#[test]
fn a_restored_status_of_any_generation_is_written_again_and_then_left_alone() {
    for restored in [None, Some(-1), Some(1), Some(2), Some(3), Some(9)] {
        let mut world = steady();
        let key = world.key_mut(2);
        key.generation = 1;
        key.status.as_mut().unwrap().observed_generation = restored;
        world.settle();
        let key = world.key(2);
        assert_eq!(key.status.as_ref().unwrap().observed_generation, Some(key.generation), "{restored:?}");
    }
}

#[test]
fn a_signer_secret_that_was_read_before_a_switch_retires_nobody() {
    let mut world = steady();
    world.run_for("30h");
    let before = world.signer.clone();
    world.edit(|spec| spec.rotation.after = Some("2026-01-02T00:00:00Z".parse().unwrap()));
    // The flip and its record.
    world.settle_within(2);
    assert!(world.key(2).is_active());
    world.signer = before;
    for effect in world.plan().effects {
        let Effect::RecordKey { key, .. } = effect else { continue };
        assert_ne!(key, "pay-2", "the key that has just taken over is retired");
    }
    world.settle();
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"));
}

#[test]
fn the_signing_key_that_is_recorded_as_retired_is_recorded_as_active_again() {
    let mut world = steady();
    world.run_for("30h");
    let now = world.now;
    world.key_mut(1).lifecycle.retirement_time = Some(now);
    world.settle();
    assert!(world.key(1).is_active());
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"));
}
