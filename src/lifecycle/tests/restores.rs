//! Backups: objects of an earlier day come back, beside verifiers, servers and keys of today.

use serde_json::json;

use super::world::World;
use crate::api::{
    ExternalKey, HeldKey, KeySetStatus, Origin, RevocationMode, RevokedKey, RotationMode, RotationReason,
};
use crate::jose::{Algorithm, Digest, JwkSet, KeyId};
use crate::lifecycle::{Clock, Contract, Effect, Key, PrivateHalf, Published, SignerChange, plan, sought};

fn kids(world: &World) -> Vec<String> {
    world.set().unwrap().keys().iter().map(|jwk| jwk.kid().to_string()).collect()
}

#[test]
fn a_backup_of_day_0_on_day_40_signs_with_the_key_that_was_planned_for_day_30() {
    let mut world = World::at_defaults();
    world.run_for("25h");
    let backup = world.back_up();
    world.run_until("2026-02-10T00:00:00Z".parse().unwrap());
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"));
    world.restore(backup);
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"));
    world.settle();
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"));
    assert_eq!(world.key_set.status.last_rotation.as_ref().unwrap().reason, RotationReason::Restored);
    assert_eq!(world.condition("UnknownKeyIDWindow").as_deref(), Some("True/Restored"));
    assert_eq!(world.set().unwrap().len(), 3, "the first key retires, and a standby is staged");
    world.run_for("100h");
    assert_eq!(world.condition("UnknownKeyIDWindow"), None);
    assert_eq!(world.condition("Ready").as_deref(), Some("True/Serving"));
}

#[test]
fn a_backup_that_is_not_out_of_date_rotates_nothing() {
    for (mode, day) in
        [(RotationMode::Interval, "2026-01-20T00:00:00Z"), (RotationMode::OnRequest, "2026-02-10T00:00:00Z")]
    {
        let mut world = World::at_defaults();
        world.edit(|spec| spec.rotation.mode = mode);
        world.run_for("25h");
        let backup = world.back_up();
        world.advance_to(day.parse().unwrap());
        world.restore(backup);
        world.settle();
        assert_eq!(world.signing_name().as_deref(), Some("pay-1"), "{mode:?}");
        assert_eq!(world.condition("UnknownKeyIDWindow"), None);
    }
}

#[test]
fn a_restored_set_waits_for_a_silent_server_before_it_decides() {
    let mut world = World::at_defaults();
    world.run_for("25h");
    let backup = world.back_up();
    world.advance_to("2026-02-10T00:00:00Z".parse().unwrap());
    world.restore(backup);
    world.servers[1].answers = false;
    world.settle();
    assert_eq!(world.condition("Ready").as_deref(), Some("False/Bootstrapping"));
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"));
    world.servers[1].answers = true;
    world.settle();
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"));
}

#[test]
fn servers_that_took_up_the_restored_document_are_no_witness() {
    let mut world = World::at_defaults();
    world.run_for("25h");
    let backup = world.back_up();
    world.run_until("2026-02-10T00:00:00Z".parse().unwrap());
    world.restore(backup);
    // The KeySet came last: until then the document was that of a set whose KeySet is gone.
    let set = world.set().unwrap().clone();
    for server in &mut world.servers {
        server.served = Some((1, set.clone()));
    }
    world.settle();
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"));
    assert_eq!(world.condition("UnknownKeyIDWindow").as_deref(), Some("True/Restored"));
}

#[test]
fn a_lost_status_alone_rotates_nothing() {
    let mut world = World::at_defaults();
    world.run_for("719h");
    // The rotation is overdue by then.
    world.advance_to(world.after("10h"));
    world.key_set.status = KeySetStatus::default();
    world.settle();
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"));
    world.run_for("20h");
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"), "the standby waits its lead anew");
}

/// Day 29: key 1 signs. Day 33: key 2 signs, key 3 stands by, key 1 has left. Then etcd is rolled back to day 29.
fn rolled_back() -> World {
    let mut world = World::at_defaults();
    world.run_until("2026-01-30T00:00:00Z".parse().unwrap());
    let backup = world.back_up();
    world.run_until("2026-02-03T00:00:00Z".parse().unwrap());
    assert_eq!((world.signing_name().as_deref(), world.set().unwrap().len()), (Some("pay-2"), 2));
    world.roll_back(backup);
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"));
    world
}

#[test]
fn servers_that_run_on_are_the_witness_of_a_snapshot_that_was_rolled_back() {
    let mut world = rolled_back();
    let (_, served) = world.servers[0].served.clone().unwrap();
    world.settle();
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"), "the newest key that both know");
    assert_eq!(world.key_set.status.unknown_key_id_end_time, None, "every copy in use has it");
    for jwk in served.keys() {
        assert!(world.set().unwrap().contains(jwk.kid()), "what was served stays");
    }
    assert!(world.key(1).lifecycle.removal_time.is_some(), "what had left does not come back");
    assert_eq!(world.key(1).private, PrivateHalf::Absent);
    assert!(!kids(&world).contains(&world.key(1).kid().unwrap().to_string()));
    let (revision, _) = world.servers[0].served.clone().unwrap();
    assert_eq!(Some(revision), world.key_set.status.publication.as_ref().unwrap().revision, "servers follow again");
    // The lost standby leaves as if it had signed: its private half is gone, and tokens of it may be in use.
    world.run_for("26h");
    assert_eq!(world.set().unwrap().len(), 2);
    assert_eq!(world.condition("Ready").as_deref(), Some("True/Serving"));
    assert_eq!(world.plan().effects, []);
}

#[test]
fn a_controller_that_dies_while_it_follows_a_witness_goes_on() {
    for writes in 0..12 {
        let mut world = rolled_back();
        let (_, served) = world.servers[0].served.clone().unwrap();
        let _ = world.settle_within(writes);
        world.settle();
        assert_eq!(world.signing_name().as_deref(), Some("pay-2"), "after {writes} writes");
        assert!(served.keys().iter().all(|jwk| world.set().unwrap().contains(jwk.kid())), "after {writes} writes");
    }
}

#[test]
fn nothing_is_accepted_over_a_witness_that_cannot_be_followed() {
    let mut world = rolled_back();
    world.clock = Clock::Untrusted("jumped".to_owned());
    let before = world.key_set.status.publication.clone();
    world.settle();
    assert_eq!(world.key_set.status.publication, before);
    // It serves, and its document does not come.
    let world = rolled_back();
    let mut observed = world.observe();
    observed.witness.as_mut().unwrap().set = None;
    let told = plan(&observed, world.now);
    assert_eq!(told.effects, []);
    assert_eq!(told.status.publication.unwrap().digest, before.unwrap().digest);
}

#[test]
fn revocations_of_the_spec_hold_for_keys_that_come_back() {
    let mut world = World::new(&json!({"algorithm": "ES256", "tokens": {"maxLifetime": "1h"}}));
    world.run_for("25h");
    let backup = world.back_up();
    world.run_for("100h");
    world.restore(backup);
    let key_id = world.key(1).kid().unwrap().clone();
    world.edit(|spec| spec.revoked_keys.push(RevokedKey { key_id, mode: RevocationMode::Immediate }));
    world.settle();
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"));
    assert!(world.key(1).lifecycle.removal_time.is_some());
}

#[test]
fn a_snapshot_that_knows_no_key_that_is_served_tells_what_it_costs() {
    let mut world = World::at_defaults();
    world.run_for("25h");
    let backup = world.back_up();
    // Two rotations later.
    world.run_until("2026-03-10T00:00:00Z".parse().unwrap());
    let (_, served) = world.servers[0].served.clone().unwrap();
    world.roll_back(backup);
    world.settle();
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"), "there is no better one");
    assert_eq!(world.condition("UnknownKeyIDWindow").as_deref(), Some("True/Restored"));
    assert!(served.keys().iter().all(|jwk| world.set().unwrap().contains(jwk.kid())));
    assert!(world.set().unwrap().contains(world.key(1).kid().unwrap()));
    world.run_for("30h");
    assert_eq!(world.condition("UnknownKeyIDWindow"), None);
    assert_eq!(world.condition("Ready").as_deref(), Some("True/Serving"));
}

/// Day 1, and nothing is to happen.
fn steady() -> World {
    let mut world = World::at_defaults();
    world.run_for("30h");
    world
}

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
    // RFC 7517 appendix A.1.
    let members = json!({
        "kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "dex",
        "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
    });
    let public_jwk = serde_json::from_value(members).unwrap();
    let dex = KeyId::try_from("dex").unwrap();
    let mut world = steady();
    world.edit(|spec| {
        spec.external_keys.push(ExternalKey { name: "dex".to_owned(), public_jwk, publish_until_time: None });
    });
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
