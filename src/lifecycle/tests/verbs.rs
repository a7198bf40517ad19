//! What people ask of a set: revocations, pins, holds, requests, and that asking twice or taking it back does no harm.

use jiff::SignedDuration;

use super::world::World;
use super::worlds::{fresh, kid, pin, revoke};
use crate::api::{HeldKey, RevocationMode, RevocationState, RevokedKey, RotationMode, RotationReason};
use crate::jose::KeyId;
use crate::lifecycle::{PrivateHalf, Signer};

/// Key 1 signs, key 2 may sign at any time.
fn with_standby() -> World {
    let mut world = fresh();
    world.run_for("25h");
    assert_eq!(world.condition("StandbyReady").as_deref(), Some("True/VerifierCachesExpired"));
    world
}

fn unpin(world: &mut World) {
    world.edit(|spec| spec.rotation.pinned_key_id = None);
}

fn is_published(world: &World, sequence: i64) -> bool {
    world.set().unwrap().contains(&kid(world, sequence))
}

fn state(world: &World) -> RevocationState {
    world.key_set.status.revocations[0].state
}

#[test]
fn a_revoked_active_key_is_replaced_by_the_standby_and_leaves_when_signers_have_switched() {
    let mut world = with_standby();
    revoke(&mut world, 1, RevocationMode::AfterSwitch);
    world.settle();
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"));
    assert_eq!(world.key_set.status.unknown_key_id_end_time, None);
    assert_eq!(world.key_set.status.last_rotation.as_ref().unwrap().reason, RotationReason::Revoked);
    assert_eq!(world.key(1).private, PrivateHalf::Absent, "its private half is destroyed");
    assert!(is_published(&world, 1), "signers may use it for L");
    assert_eq!(state(&world), RevocationState::WaitingForSigners);
    assert_eq!(world.key(3).sequence, 3, "a new standby is staged");
    // L = 10m
    let edge = world.now + SignedDuration::from_mins(10);
    let published = [-1, 0].map(|offset| {
        world.advance_to(edge + SignedDuration::from_secs(offset));
        world.settle();
        is_published(&world, 1)
    });
    assert_eq!(published, [true, false]);
    assert_eq!(state(&world), RevocationState::Removed);
    // C + S after every replica was seen without it.
    let end = world.key_set.status.revocations[0].exposure_end_time.unwrap();
    assert_eq!(end, edge + SignedDuration::from_mins(24 * 60 + 5));
    let Signer::Ours(signer) = &world.signer else { panic!("no signer") };
    assert!(signer.barred.contains(&kid(&world, 1)));
}

#[test]
fn a_revocation_waits_for_a_standby_that_verifiers_may_not_know() {
    let mut world = fresh();
    revoke(&mut world, 1, RevocationMode::AfterSwitch);
    world.settle();
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"));
    assert_eq!(state(&world), RevocationState::WaitingForStandby);
    assert!(world.key(1).lifecycle.revocation_time.is_some(), "recorded at first sight");
    // Taking the entry back does not bring the key back.
    world.edit(|spec| spec.revoked_keys.clear());
    world.run_for("24h4m59s");
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"));
    world.run_for("1s");
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"));
    world.run_for("11m");
    assert!(!is_published(&world, 1));
}

#[test]
fn a_forced_switch_tells_what_it_costs() {
    let mut world = fresh();
    revoke(&mut world, 1, RevocationMode::ForceSwitch);
    world.settle();
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"));
    assert_eq!(world.condition("UnknownKeyIDWindow").as_deref(), Some("True/Revoked"));
    assert!(world.key_set.status.unknown_key_id_end_time.is_some());
    assert!(is_published(&world, 1));
    world.run_for("10m");
    assert!(!is_published(&world, 1));
}

#[test]
fn an_immediate_revocation_takes_the_key_out_now() {
    let mut world = fresh();
    revoke(&mut world, 1, RevocationMode::Immediate);
    world.settle();
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"));
    assert!(!is_published(&world, 1));
    assert_eq!(state(&world), RevocationState::Removed);
}

#[test]
fn an_emergency_does_not_wait_for_a_silent_replica() {
    for (mode, expected) in [(RevocationMode::AfterSwitch, "pay-1"), (RevocationMode::ForceSwitch, "pay-2")] {
        let mut world = with_standby();
        world.servers[1].answers = false;
        world.advance_to(world.after("1m"));
        revoke(&mut world, 1, mode);
        world.settle();
        assert_eq!(world.signing_name().as_deref(), Some(expected), "{mode:?}");
    }
}

#[test]
fn a_sole_key_stays_until_its_successor_is_served() {
    for mode in [RevocationMode::AfterSwitch, RevocationMode::ForceSwitch, RevocationMode::Immediate] {
        let mut world = with_standby();
        for server in &mut world.servers {
            server.follows = false;
        }
        revoke(&mut world, 2, mode);
        revoke(&mut world, 1, mode);
        world.settle();
        assert_eq!(world.signing_name().as_deref(), Some("pay-1"), "{mode:?}: key 3 is not served yet");
        assert!(is_published(&world, 1));
        for server in &mut world.servers {
            server.follows = true;
        }
        world.serve();
        world.settle();
        let expected = if mode == RevocationMode::AfterSwitch { "pay-1" } else { "pay-3" };
        assert_eq!(world.signing_name().as_deref(), Some(expected), "{mode:?}");
    }
}

#[test]
fn a_revoked_standby_leaves_at_once_and_another_is_staged() {
    let mut world = with_standby();
    revoke(&mut world, 2, RevocationMode::AfterSwitch);
    world.settle();
    assert!(!is_published(&world, 2));
    assert_eq!(world.key(2).private, PrivateHalf::Absent);
    assert!(is_published(&world, 3));
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"));
}

#[test]
fn a_revoked_retiring_key_leaves_when_signers_have_switched() {
    let mut world = with_standby();
    world.edit(|spec| spec.rotation.after = Some("2026-01-02T01:00:00Z".parse().unwrap()));
    world.settle();
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"));
    revoke(&mut world, 1, RevocationMode::AfterSwitch);
    world.settle();
    assert_eq!(world.key(1).private, PrivateHalf::Absent);
    assert!(is_published(&world, 1));
    world.run_for("10m");
    assert!(!is_published(&world, 1));
}

#[test]
fn revocation_beats_hold_pin_and_suspension() {
    let mut world = with_standby();
    pin(&mut world, 1);
    let key_id = kid(&world, 1);
    world.edit(|spec| {
        spec.held_keys.push(HeldKey { key_id });
        spec.rotation.mode = RotationMode::Suspended;
    });
    world.settle();
    revoke(&mut world, 1, RevocationMode::Immediate);
    world.settle();
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"));
    assert!(!is_published(&world, 1));
    assert_eq!(world.condition("Accepted").as_deref(), Some("False/PinUnavailable"));
}

#[test]
fn a_suspended_set_makes_a_successor_for_a_revoked_sole_key() {
    let mut world = with_standby();
    revoke(&mut world, 2, RevocationMode::Immediate);
    world.edit(|spec| spec.rotation.mode = RotationMode::Suspended);
    world.settle();
    assert_eq!(world.keys.len(), 2, "a standby is a forward step");
    revoke(&mut world, 1, RevocationMode::Immediate);
    world.settle();
    assert_eq!(world.signing_name().as_deref(), Some("pay-3"));
}

#[test]
fn a_revocation_rolls_back_to_a_key_that_every_verifier_knows() {
    let mut world = with_standby();
    world.edit(|spec| spec.rotation.after = Some("2026-01-02T01:00:00Z".parse().unwrap()));
    world.settle();
    revoke(&mut world, 2, RevocationMode::AfterSwitch);
    world.settle();
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"), "key 3 may not sign yet");
    assert_eq!(world.key_set.status.unknown_key_id_end_time, None);
}

#[test]
fn a_kid_that_no_key_has_is_told_and_harms_nothing() {
    let mut world = with_standby();
    let stranger = KeyId::try_from("stranger").unwrap();
    world.edit(|spec| spec.revoked_keys.push(RevokedKey { key_id: stranger, mode: RevocationMode::Immediate }));
    world.settle();
    assert_eq!(state(&world), RevocationState::NotFound);
    assert_eq!(world.condition("UnknownKeyID").as_deref(), Some("True/NotFound"));
    assert_eq!(world.condition("Ready").as_deref(), Some("True/Serving"));
    let told = world.key_set.status.conditions.iter().find(|it| it.r#type == "UnknownKeyID").unwrap();
    assert!(told.message.contains("stranger") && told.message.contains(kid(&world, 1).as_str()), "{}", told.message);
}

#[test]
fn a_revoked_key_is_never_pruned() {
    let mut world = with_standby();
    world.edit(|spec| spec.retention.history_limit = 0);
    revoke(&mut world, 2, RevocationMode::AfterSwitch);
    world.run_for("2000h");
    assert!(world.key(2).lifecycle.removal_time.is_some());
}

#[test]
fn a_pin_keeps_the_active_key_and_tells_what_it_holds_back() {
    let mut world = World::at_defaults();
    world.settle();
    pin(&mut world, 1);
    world.run_for("800h");
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"));
    assert_eq!(world.condition("RotationOverdue").as_deref(), Some("True/Pinned"));
    assert_eq!(world.condition("Ready").as_deref(), Some("True/Serving"));
    unpin(&mut world);
    world.settle();
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"));
}

#[test]
fn a_pin_makes_the_standby_sign_early_but_not_before_guard_1() {
    let mut world = fresh();
    pin(&mut world, 2);
    world.run_for("24h4m59s");
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"));
    world.run_for("1s");
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"));
    assert_eq!(world.key_set.status.last_rotation.as_ref().unwrap().reason, RotationReason::Pinned);
}

#[test]
fn a_pin_brings_a_retired_key_back_inside_the_rollback_window() {
    let mut world = with_standby();
    world.edit(|spec| spec.rotation.after = Some("2026-01-02T01:00:00Z".parse().unwrap()));
    world.settle();
    world.run_for("59m");
    let promised = world.key(1).lifecycle.earliest_removal_time;
    pin(&mut world, 1);
    world.settle();
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"));
    assert_eq!(world.key(1).lifecycle.term, Some(3), "a rollback is a new term");
    assert!(world.key(1).lifecycle.earliest_removal_time >= promised);
    assert!(world.key(2).is_retired());
    // The request of before asks for nothing more: the active key was activated after it.
    unpin(&mut world);
    world.run_for("48h");
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"));
}

#[test]
fn a_pin_that_came_in_time_keeps_the_private_half_until_it_can_be_honoured() {
    let mut world = with_standby();
    world.edit(|spec| spec.rotation.after = Some("2026-01-02T01:00:00Z".parse().unwrap()));
    world.settle();
    world.servers[0].answers = false;
    pin(&mut world, 1);
    world.run_for("5h");
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"));
    world.servers[0].answers = true;
    world.run_for("1m");
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"));
}

#[test]
fn a_pin_that_cannot_hold_is_refused_and_moves_nothing() {
    let mut world = with_standby();
    world.edit(|spec| spec.rotation.after = Some("2026-01-02T01:00:00Z".parse().unwrap()));
    world.run_for("61m");
    pin(&mut world, 1);
    world.run_for("100h");
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"));
    assert_eq!(world.condition("Accepted").as_deref(), Some("False/PinUnavailable"));
    assert_eq!(world.condition("Stalled").as_deref(), Some("True/PinUnavailable"));
    assert_eq!(world.condition("Ready").as_deref(), Some("False/PinUnavailable"));
    unpin(&mut world);
    world.settle();
    assert_eq!(world.condition("Ready").as_deref(), Some("True/Serving"));
}

#[test]
fn a_pin_on_a_record_that_was_written_again_waits_for_guard_1() {
    // It looks retired, and was published a moment ago (PROTOCOL 7).
    let mut world = fresh();
    let index = world.keys.iter().position(|key| key.sequence == 2).unwrap();
    let lost = world.keys.remove(index);
    world.settle();
    world.key_mut(2).private = lost.private;
    assert!(world.key(2).is_retired());
    pin(&mut world, 2);
    world.run_for("20m");
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"));
}

#[test]
fn a_suspended_set_does_not_follow_a_pin() {
    let mut world = with_standby();
    pin(&mut world, 2);
    world.edit(|spec| spec.rotation.mode = RotationMode::Suspended);
    world.run_for("48h");
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"));
}

#[test]
fn a_held_key_stays_for_as_long_as_it_is_listed() {
    let mut world = with_standby();
    let key_id = kid(&world, 1);
    world.edit(|spec| {
        spec.held_keys.push(HeldKey { key_id });
        spec.rotation.after = Some("2026-01-02T01:00:00Z".parse().unwrap());
    });
    world.run_for("500h");
    assert!(is_published(&world, 1));
    assert_eq!(world.key(1).private, PrivateHalf::Absent, "a hold is about the public half");
    world.edit(|spec| spec.held_keys.clear());
    world.settle();
    assert!(!is_published(&world, 1));
}

#[test]
fn requests_in_one_wait_are_one_rotation() {
    let mut world = fresh();
    for minute in [10, 20, 30] {
        world.run_for("1h");
        world.edit(|spec| spec.rotation.after = Some(format!("2026-01-01T00:{minute}:00Z").parse().unwrap()));
        world.settle();
    }
    world.run_for("200h");
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"));
    assert_eq!(world.activations.len(), 2, "the first key and one rotation");
}

#[test]
fn requests_back_to_back_wait_for_each_standby() {
    let mut world = fresh();
    world.edit(|spec| spec.rotation.after = Some("2026-01-01T00:00:10Z".parse().unwrap()));
    world.run_for("24h5m");
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"));
    let again = world.now + SignedDuration::from_secs(1);
    world.edit(|spec| spec.rotation.after = Some(again));
    world.run_for("24h4m");
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"));
    world.run_for("2m");
    assert_eq!(world.signing_name().as_deref(), Some("pay-3"));
}

#[test]
fn a_request_waits_for_the_end_of_a_suspension_and_of_a_pin() {
    let mut world = with_standby();
    world.edit(|spec| {
        spec.rotation.after = Some("2026-01-02T01:00:00Z".parse().unwrap());
        spec.rotation.mode = RotationMode::Suspended;
    });
    world.run_for("48h");
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"));
    assert_eq!(world.condition("RotationOverdue").as_deref(), Some("True/Suspended"));
    pin(&mut world, 1);
    world.edit(|spec| spec.rotation.mode = RotationMode::OnRequest);
    world.run_for("48h");
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"));
    unpin(&mut world);
    world.settle();
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"));
}

#[test]
fn a_request_that_is_taken_back_or_set_earlier_does_nothing() {
    let mut world = fresh();
    world.edit(|spec| spec.rotation.after = Some("2026-01-01T00:00:10Z".parse().unwrap()));
    world.run_for("1h");
    world.edit(|spec| spec.rotation.after = None);
    world.run_for("100h");
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"));
    world.edit(|spec| spec.rotation.after = Some("2025-01-01T00:00:00Z".parse().unwrap()));
    world.run_for("100h");
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"));
}
