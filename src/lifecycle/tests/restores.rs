//! Backups: objects of an earlier day come back, beside verifiers, servers and keys of today.

use serde_json::json;

use super::world::World;
use super::worlds::rolled_back;
use crate::api::{KeySetStatus, RevocationMode, RevokedKey, RotationMode, RotationReason};
use crate::lifecycle::{Clock, PrivateHalf, plan};

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
