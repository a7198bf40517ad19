//! Witnesses: what a replica that runs on still tells of a set whose records are lost or came back from a backup.

use serde_json::json;

use super::world::World;
use super::worlds::{announce, rolled_back, steady};
use crate::api::{HeldKey, KeySetStatus, Origin, RotationMode};
use crate::jose::{Algorithm, Digest, JwkSet};
use crate::lifecycle::{Clock, Contract, Effect, Key, PrivateHalf, Published, SignerChange, plan, sought};

fn stranger() -> JwkSet {
    JwkSet::new(vec![World::jwk(Algorithm::ES256, 99)]).unwrap()
}

#[test]
fn a_witness_serves_a_later_set_that_is_news_and_ours() {
    let replica = |change: fn(&mut World)| {
        let mut world = steady();
        world.servers[1].follows = false;
        change(&mut world);
        sought(&world.observe()).map(|replica| replica.endpoint.clone())
    };
    assert_eq!(replica(|_| {}), None);
    assert_eq!(replica(|world| world.servers[1].served = Some((9, stranger()))).as_deref(), Some("10.0.0.1"));
    // Another set of the same revision, an earlier one, and the same set of a later one.
    assert_eq!(replica(|world| world.servers[1].served.as_mut().unwrap().1 = stranger()), None);
    assert_eq!(replica(|world| world.servers[1].served = Some((0, stranger()))), None);
    assert_eq!(replica(|world| world.servers[1].served.as_mut().unwrap().0 = 9), None);
    // A set that is gone for good is served without a key.
    let mut world = steady();
    world.servers[1].follows = false;
    world.servers[1].served = Some((9, stranger()));
    let mut observed = world.observe();
    for replica in &mut observed.pass.as_mut().unwrap().replicas {
        replica.served.as_mut().unwrap().ages.clear();
    }
    assert_eq!(sought(&observed), None);
}

#[test]
fn a_key_set_that_was_deleted_and_made_anew_owes_the_keys_of_before_nothing() {
    let mut world = World::at_defaults();
    world.servers[0].served = Some((7, stranger()));
    world.run_for("30h");
    assert!(!world.set().unwrap().contains(stranger().keys()[0].kid()));
    assert_eq!(world.keys.len(), 2);
}

#[test]
fn a_record_that_is_lost_stays_published_by_whoever_still_knows_its_key() {
    type Loss = fn(&mut World);
    let losses: [Loss; 5] = [
        // The document: a replica has it.
        |world| world.published = Published::Absent,
        |world| {
            let Published::Ours(document) = &mut world.published else { panic!("no set") };
            document.digest = Some(Digest::of(stranger().to_json().as_bytes()));
            document.set = Some(stranger());
        },
        // The status.
        |world| world.key_set.status = KeySetStatus::default(),
        // The status, with the KeySet.
        |world| {
            world.key_set.status = KeySetStatus::default();
            "uid-2".clone_into(&mut world.key_set.uid);
        },
        // The same, and a status of another KeySet came back.
        |world| "uid-2".clone_into(&mut world.key_set.uid),
    ];
    for (number, lose) in losses.into_iter().enumerate() {
        let mut world = steady();
        let kid = world.key(2).kid().unwrap().clone();
        world.keys.retain(|key| key.sequence != 2);
        lose(&mut world);
        world.settle();
        assert!(world.set().unwrap().contains(&kid), "{number}");
        let key = world.keys.iter().find(|key| key.kid() == Some(&kid)).unwrap();
        assert_eq!(key.private, PrivateHalf::Absent, "{number}: it is not made anew");
    }
    // Before anything signed.
    let mut world = World::new(&json!({
        "algorithm": "ES256", "tokens": {"maxLifetime": "1h"}, "rotation": {"firstKey": "AfterCacheAge"},
    }));
    world.run_for("1h");
    let kid = world.key(2).kid().unwrap().clone();
    world.keys.retain(|key| key.sequence != 2);
    world.key_set.status = KeySetStatus::default();
    world.settle();
    assert!(world.set().unwrap().contains(&kid));
    assert_eq!(world.keys.iter().find(|key| key.kid() == Some(&kid)).unwrap().private, PrivateHalf::Absent);
}

#[test]
fn nothing_is_accepted_before_signers_have_a_key_of_the_witness() {
    for writes in 0..9 {
        let mut world = rolled_back();
        world.settle_within(writes);
        if world.signing_name().as_deref() == Some("pay-1") {
            let before = world.key_set.status.publication.clone();
            world.clock = Clock::Untrusted("jumped".to_owned());
            world.settle();
            assert_eq!(world.key_set.status.publication, before, "after {writes} writes");
        }
    }
}

#[test]
fn what_the_witness_does_not_serve_leaves_unless_there_is_a_reason_to_keep_it() {
    // Held.
    let mut world = rolled_back();
    let held = HeldKey { key_id: world.key(1).kid().unwrap().clone() };
    world.edit(|spec| spec.held_keys.push(held));
    world.settle();
    assert_eq!(world.key(1).lifecycle.removal_time, None);
    assert!(world.set().unwrap().contains(world.key(1).kid().unwrap()));
    // Made, and not published yet.
    let mut world = rolled_back();
    let new = Key {
        name: "pay-9".to_owned(),
        sequence: 9,
        jwk: Some(World::jwk(Algorithm::ES256, 99)),
        status: None,
        ..world.key(2).clone()
    };
    world.keys.push(new);
    world.settle();
    assert_eq!(world.key(9).lifecycle.removal_time, None);
    assert!(world.key(1).lifecycle.removal_time.is_some());
    // Known from the status or from the document alone, it leaves.
    let mut world = rolled_back();
    world.published = Published::Absent;
    world.settle();
    assert!(world.key(1).lifecycle.removal_time.is_some());
    let mut world = rolled_back();
    world.key_set.status.keys.clear();
    world.settle();
    assert!(world.key(1).lifecycle.removal_time.is_some());
}

#[test]
fn an_external_key_that_the_witness_does_not_serve_is_retired_by_its_own_rule() {
    let mut world = steady();
    let dex = announce(&mut world, "dex", None);
    world.run_for("1h");
    let backup = world.back_up();
    world.edit(|spec| spec.external_keys.clear());
    world.run_for("50h");
    assert!(!world.set().unwrap().contains(&dex));
    world.roll_back(backup);
    world.settle();
    assert!(world.set().unwrap().contains(&dex));
    world.run_for("26h");
    assert!(!world.set().unwrap().contains(&dex));
    assert!(world.keys.iter().any(|key| key.origin == Origin::External && key.lifecycle.removal_time.is_some()));
}

#[test]
fn a_standby_that_had_left_unused_leaves_again() {
    let mut world = steady();
    let backup = world.back_up();
    world.edit(|spec| spec.algorithm = Algorithm::EdDSA);
    world.run_for("25h");
    let now = world.now;
    world.edit(|spec| spec.rotation.after = Some(now));
    world.run_for("1h");
    assert_eq!(world.signing_name().as_deref(), Some("pay-3"));
    assert!(world.key(2).lifecycle.removal_time.is_some());
    world.roll_back(backup);
    world.settle();
    assert!(world.key(2).lifecycle.removal_time.is_some());
    assert!(!world.set().unwrap().contains(world.key(2).kid().unwrap()));
}

#[test]
fn signers_get_no_key_of_the_witness_that_cannot_sign_or_that_a_replica_lacks() {
    let mut world = rolled_back();
    world.key_mut(2).private = PrivateHalf::Absent;
    world.settle();
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"));
    let mut world = rolled_back();
    let (revision, set) = world.servers[1].served.clone().unwrap();
    let without = set.keys().iter().filter(|jwk| Some(jwk.kid()) != world.key(2).kid()).cloned().collect();
    world.servers[1].served = Some((revision - 1, JwkSet::new(without).unwrap()));
    let switches = world.activations.len();
    for _ in 0..20 {
        if world.activations.len() > switches {
            break;
        }
        world.settle_within(1);
    }
    assert_eq!(world.activations.len(), switches + 1);
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"), "it goes on, and the status tells what it costs");
}

#[test]
fn what_goes_on_signing_after_a_restore_is_told_once_a_minute_at_most() {
    let mut world = steady();
    let backup = world.back_up();
    world.run_until("2026-03-10T00:00:00Z".parse().unwrap());
    world.roll_back(backup);
    let switches = |world: &World| {
        let activates = |it: &Effect| matches!(it, Effect::WriteSigner { change: SignerChange::Activate, .. });
        world.plan().effects.iter().any(activates)
    };
    let written = world.activations.len() + 1;
    for _ in 0..20 {
        // Everything but the acceptance of the next set, which ends what the witness says.
        if world.activations.len() == written && world.plan().effects == [Effect::RecordStatus] {
            break;
        }
        world.settle_within(1);
    }
    assert_eq!(world.activations.len(), written);
    let written = world.now;
    let again = [0, 59, 60].map(|seconds| {
        world.now = written + jiff::SignedDuration::from_secs(seconds);
        switches(&world)
    });
    assert_eq!(again, [false, false, true]);
}

/// A backup of day 1 in a new cluster at that time, with servers that know nothing.
fn restored_at(time: jiff::Timestamp) -> World {
    let mut world = World::at_defaults();
    world.run_for("25h");
    let backup = world.back_up();
    world.advance_to(time);
    world.restore(backup);
    world
}

#[test]
fn the_key_of_today_is_the_one_whose_planned_date_has_come() {
    let world = restored_at("2026-01-20T00:00:00Z".parse().unwrap());
    let contract = Contract::new(&world.key_set.spec);
    let activation = world.key(1).lifecycle.activation_time.unwrap();
    let due = contract.due(RotationMode::Interval, "uid-2", activation).unwrap();
    let signing = [-1, 0].map(|offset| {
        let mut world = restored_at(due + jiff::SignedDuration::from_secs(offset));
        world.settle();
        world.signing_name().unwrap()
    });
    assert_eq!(signing, ["pay-1", "pay-2"]);
}

#[test]
fn the_key_of_today_can_sign_was_published_and_is_given_by_a_clock_that_is_believed() {
    let day_40 = || restored_at("2026-02-10T00:00:00Z".parse().unwrap());
    let signs = |world: &mut World| {
        world.settle();
        world.signing_name().unwrap()
    };
    assert_eq!(signs(&mut day_40()), "pay-2");
    let mut world = day_40();
    world.key_mut(2).private = PrivateHalf::Absent;
    assert_eq!(signs(&mut world), "pay-1");
    let mut world = day_40();
    let Published::Ours(document) = &mut world.published else { panic!("no set") };
    let set = JwkSet::new(vec![world.keys[0].jwk.clone().unwrap()]).unwrap();
    document.digest = Some(Digest::of(set.to_json().as_bytes()));
    document.set = Some(set);
    assert_eq!(signs(&mut world), "pay-1");
    let mut world = day_40();
    world.clock = Clock::Untrusted("jumped".to_owned());
    assert_eq!(signs(&mut world), "pay-1");
    // A replica that tells that the set is gone for good is no witness against it.
    let mut world = day_40();
    world.servers[1].follows = false;
    world.servers[1].served = Some((9, stranger()));
    let mut observed = world.observe();
    observed.witness = None;
    for replica in &mut observed.pass.as_mut().unwrap().replicas {
        if let Some(served) = &mut replica.served {
            served.ages.clear();
        }
    }
    let effects = plan(&observed, world.now).effects;
    assert!(matches!(effects.as_slice(), [Effect::WriteSigner { .. }]), "{effects:#?}");
}
