//! What the status tells: what comes next and what it waits for, where each key is, and when to look again.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::world::World;
use super::worlds::{ask, kid, on_request, pin, revoke, suspend};
use crate::api::{HeldKey, KeyState, LastRotation, RevocationMode, RevokedKey, RotationMode, RotationReason};
use crate::jose::Algorithm;
use crate::lifecycle::{Clock, Plan, PrivateHalf, Signer, SignerContent};

fn unsettled(first_key: &str) -> World {
    World::new(&json!({
        "algorithm": "ES256",
        "tokens": {"maxLifetime": "1h"},
        "rotation": {"mode": "OnRequest", "firstKey": first_key},
    }))
}

fn silence(world: &mut World) {
    world.servers[1].answers = false;
    world.settle();
}

/// `status.nextTransition` as `action key guard day+time: message`.
fn next(plan: &Plan) -> String {
    let Some(next) = &plan.status.next_transition else { return "nothing".to_owned() };
    let key = next.key_name.as_deref().unwrap_or("-");
    let time = next.earliest_time.map_or_else(|| "-".to_owned(), |time| time.strftime("%d %H:%M:%S").to_string());
    let message = next.message.as_deref().unwrap();
    format!("{:?} {key} {:?} {time}: {message}", next.action, next.waiting_for)
}

#[test]
fn the_first_key_is_next_until_it_signs() {
    let mut world = unsettled("AfterCacheAge");
    for server in &mut world.servers {
        server.follows = false;
    }
    world.settle();
    assert_eq!(next(&world.plan()), "Activate pay-1 Visibility -: waiting until every server replica serves pay-1");
    for server in &mut world.servers {
        server.follows = true;
    }
    world.serve();
    world.settle();
    assert_eq!(
        next(&world.plan()),
        "Activate pay-1 VerifierCaches 02 00:05:00: the first key of the set; verifiers may cache the set without pay-1 until then"
    );
    world.run_for("24h5m");
    assert_eq!(next(&world.plan()), "nothing");
}

#[test]
fn a_rotation_by_age_is_next_at_its_time() {
    let mut world = World::at_defaults();
    world.run_for("25h");
    let told = next(&world.plan());
    assert!(told.starts_with("Activate pay-2 Schedule 31 00:"), "{told}");
    assert!(told.ends_with(": pay-1 is replaced at the age of 720h"), "{told}");
}

#[test]
fn a_request_is_next_and_tells_which_guard_holds_it() {
    let mut world = unsettled("WhenServed");
    world.settle();
    ask(&mut world, "2026-01-01T00:00:10Z");
    world.settle();
    assert_eq!(
        next(&world.plan()),
        "Activate pay-2 VerifierCaches 02 00:05:00: asked for by rotation.after; verifiers may cache the set without pay-2 until then"
    );
    ask(&mut world, "2026-01-04T00:00:00Z");
    world.settle();
    assert_eq!(next(&world.plan()), "Activate pay-2 Schedule 04 00:00:00: asked for by rotation.after");
    // The guard that ends last is told, and at the very time both end it is neither.
    ask(&mut world, "2026-01-02T00:05:00Z");
    world.settle();
    assert_eq!(next(&world.plan()), "Activate pay-2 Schedule 02 00:05:00: asked for by rotation.after");
    silence(&mut world);
    world.advance_to("2026-01-02T00:05:00Z".parse().unwrap());
    world.settle();
    let waiting = "Activate pay-2 Visibility 02 00:05:00: waiting for a complete look at the replicas that shows pay-2";
    assert_eq!(next(&world.plan()), waiting);
    world.run_for("1h");
    assert_eq!(next(&world.plan()), waiting);
}

#[test]
fn an_emergency_is_next_and_tells_what_happened() {
    let fresh = || {
        let mut world = unsettled("WhenServed");
        world.settle();
        world
    };
    let mut world = fresh();
    pin(&mut world, 2);
    world.settle();
    assert_eq!(
        next(&world.plan()),
        "Activate pay-2 VerifierCaches 02 00:05:00: asked for by rotation.pinnedKeyID; verifiers may cache the set without pay-2 until then"
    );
    let mut world = fresh();
    revoke(&mut world, 1, RevocationMode::AfterSwitch);
    world.settle();
    assert_eq!(
        next(&world.plan()),
        "Activate pay-2 VerifierCaches 02 00:05:00: pay-1 is revoked; verifiers may cache the set without pay-2 until then"
    );
    let mut world = fresh();
    for server in &mut world.servers {
        server.answers = false;
    }
    world.key_mut(1).private = PrivateHalf::Absent;
    world.signer = Signer::Absent;
    world.settle();
    assert_eq!(
        next(&world.plan()),
        "Activate pay-2 VerifierCaches 02 00:05:00: the private half of pay-1 is lost; verifiers may cache the set without pay-2 until then"
    );
}

#[test]
fn a_switch_that_verifiers_may_not_know_says_so() {
    let mut world = World::at_defaults();
    world.run_for("25h");
    let backup = world.back_up();
    world.run_until("2026-03-10T00:00:00Z".parse().unwrap());
    world.roll_back(backup);
    let told = next(&world.plan());
    assert!(told.starts_with("Activate pay-1 "), "{told}");
    assert!(told.ends_with("that shows pay-1; verifiers may not know it yet"), "{told}");
    let mut world = unsettled("WhenServed");
    world.settle();
    silence(&mut world);
    revoke(&mut world, 1, RevocationMode::ForceSwitch);
    world.settle();
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"));
}

#[test]
fn a_retired_key_loses_its_private_half_next_and_then_leaves() {
    let mut world = on_request();
    ask(&mut world, "2026-01-02T00:30:00Z");
    world.settle();
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"));
    assert_eq!(
        next(&world.plan()),
        "DestroyPrivateKey pay-1 RollbackWindow 02 02:00:00: the private half of pay-1 is kept for a rollback until then"
    );
    world.run_for("1h");
    let leaves = "Remove pay-1 TokenExpiry 03 02:15:00: tokens signed with pay-1 may be valid until then";
    assert_eq!(next(&world.plan()), leaves);
    let held = HeldKey { key_id: kid(&world, 1) };
    world.edit(|spec| spec.held_keys.push(held));
    world.settle();
    assert_eq!(next(&world.plan()), "Remove pay-1 Held -: pay-1 is listed in heldKeys");
    world.edit(|spec| spec.held_keys.clear());
    world.settle();
    assert_eq!(next(&world.plan()), leaves);
    revoke(&mut world, 1, RevocationMode::AfterSwitch);
    world.settle();
    assert_eq!(next(&world.plan()), "nothing", "its signers have reloaded, and it has left");
}

#[test]
fn a_revoked_key_leaves_when_its_signers_have_reloaded() {
    let mut world = on_request();
    revoke(&mut world, 1, RevocationMode::AfterSwitch);
    world.settle();
    let leaves = "Revoke pay-1 SignerReload 02 01:10:00: pay-1 is revoked; signers may still use it until then";
    assert_eq!(next(&world.plan()), leaves);
    suspend(&mut world);
    world.settle();
    assert_eq!(next(&world.plan()), leaves, "a suspension does not hold it");
}

#[test]
fn what_is_held_back_says_by_what() {
    let clock = |world: &mut World| {
        world.clock = Clock::Untrusted("jumped".to_owned());
        world.settle();
    };
    let mut world = on_request();
    ask(&mut world, "2026-01-04T00:00:00Z");
    world.settle();
    suspend(&mut world);
    world.settle();
    assert_eq!(next(&world.plan()), "Activate pay-2 Suspended 04 00:00:00: asked for by rotation.after");
    clock(&mut world);
    assert_eq!(next(&world.plan()), "Activate pay-2 Clock 04 00:00:00: asked for by rotation.after");
    // An end of a key is a step forward too.
    let mut world = on_request();
    ask(&mut world, "2026-01-02T00:30:00Z");
    world.settle();
    suspend(&mut world);
    world.settle();
    assert!(next(&world.plan()).starts_with("DestroyPrivateKey pay-1 Suspended "), "{}", next(&world.plan()));
    // A successor for a revoked key is none.
    let mut world = unsettled("WhenServed");
    world.settle();
    suspend(&mut world);
    world.settle();
    revoke(&mut world, 1, RevocationMode::AfterSwitch);
    world.settle();
    assert!(next(&world.plan()).starts_with("Activate pay-2 VerifierCaches "), "{}", next(&world.plan()));
    // The pin.
    let mut world = on_request();
    pin(&mut world, 1);
    world.settle();
    assert_eq!(next(&world.plan()), "nothing");
    ask(&mut world, "2026-01-04T00:00:00Z");
    world.settle();
    assert_eq!(
        next(&world.plan()),
        "Activate pay-2 Pinned -: rotation.pinnedKeyID keeps the active key; pay-2 would be next"
    );
}

#[test]
fn a_key_that_is_missing_is_made_next() {
    let mut world = on_request();
    world.edit(|spec| {
        spec.rotation.mode = RotationMode::Suspended;
        spec.algorithm = Algorithm::EdDSA;
    });
    ask(&mut world, "2026-01-04T00:00:00Z");
    world.settle();
    assert_eq!(next(&world.plan()), "Generate - Suspended -: the next key is being made");
    let key_id = kid(&world, 1);
    world.edit(|spec| spec.revoked_keys.push(RevokedKey { key_id, mode: RevocationMode::AfterSwitch }));
    // The old standby takes over.
    world.settle();
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"));
    let key_id = kid(&world, 2);
    world.edit(|spec| spec.revoked_keys.push(RevokedKey { key_id, mode: RevocationMode::AfterSwitch }));
    let mut told = Vec::new();
    for _ in 0..20 {
        told.push(next(&world.plan()));
        world.settle_within(1);
    }
    let making = "Generate - KeyMaterial -: the next key is being made".to_owned();
    assert!(told.contains(&making), "a suspension does not hold it: {told:#?}");
}

#[test]
fn a_key_goes_through_its_states() {
    let mut world = unsettled("AfterCacheAge");
    let states = |world: &World| -> Vec<KeyState> { world.plan().status.keys.iter().map(|key| key.state).collect() };
    // The claim and the two keys; the document comes with the next writes.
    world.settle_within(3);
    assert_eq!(states(&world), [KeyState::Pending, KeyState::Pending]);
    world.settle();
    assert_eq!(states(&world), [KeyState::Published, KeyState::Published]);
    world.run_for("24h4m59s");
    assert_eq!(states(&world), [KeyState::Published, KeyState::Published]);
    world.run_for("1s");
    assert_eq!(states(&world), [KeyState::Active, KeyState::Standby]);
    ask(&mut world, "2026-01-02T00:05:01Z");
    world.settle();
    world.run_for("1s");
    assert_eq!(states(&world), [KeyState::Retiring, KeyState::Active, KeyState::Published]);
    revoke(&mut world, 1, RevocationMode::AfterSwitch);
    world.settle();
    assert_eq!(states(&world), [KeyState::Revoked, KeyState::Active, KeyState::Published]);
    // Of a document that is lost nothing is published.
    world.published = crate::lifecycle::Published::Absent;
    assert_eq!(states(&world), [KeyState::Revoked, KeyState::Active, KeyState::Pending]);
}

#[test]
fn the_key_before_is_remembered_as_long_as_its_switch_is_the_last() {
    let mut world = on_request();
    world.edit(|spec| spec.retention.history_limit = 0);
    ask(&mut world, "2026-01-02T00:30:00Z");
    world.settle();
    let previous = |plan: &Plan| plan.status.last_rotation.clone().unwrap().previous_key_name;
    assert_eq!(previous(&world.plan()).as_deref(), Some("pay-1"));
    world.run_for("100h");
    assert!(world.keys.iter().all(|key| key.sequence != 1), "its record is pruned");
    assert_eq!(previous(&world.plan()).as_deref(), Some("pay-1"));
    // A status that tells of another switch knows nothing of this one.
    let last = world.key_set.status.last_rotation.clone().unwrap();
    for (key_name, time, expected) in [
        (last.key_name.as_str(), last.time, Some("pay-1")),
        ("pay-9", last.time, None),
        (last.key_name.as_str(), last.time - SignedDuration::from_secs(1), None),
    ] {
        let told = LastRotation { key_name: key_name.to_owned(), time, ..last.clone() };
        world.key_set.status.last_rotation = Some(told);
        assert_eq!(previous(&world.plan()).as_deref(), expected, "{key_name} {time}");
    }
}

#[test]
fn the_window_of_a_switch_is_told_until_its_very_end() {
    let mut world = unsettled("WhenServed");
    world.settle();
    revoke(&mut world, 1, RevocationMode::ForceSwitch);
    world.settle();
    assert_eq!(world.key_set.status.last_rotation.as_ref().unwrap().reason, RotationReason::Revoked);
    let end: Timestamp = "2026-01-02T00:05:00Z".parse().unwrap();
    assert_eq!(world.key_set.status.unknown_key_id_end_time, Some(end));
    world.advance_to(end - SignedDuration::from_secs(1));
    world.settle();
    assert_eq!(world.key_set.status.unknown_key_id_end_time, Some(end));
    assert_eq!(world.plan().wake_at, Some(end));
    world.advance_to(end);
    world.settle();
    assert_eq!(world.key_set.status.unknown_key_id_end_time, None);
}

#[test]
fn a_status_of_another_switch_does_not_tell_the_window_of_this_one() {
    let mut world = unsettled("WhenServed");
    world.settle();
    revoke(&mut world, 1, RevocationMode::ForceSwitch);
    world.settle();
    let end = world.key_set.status.unknown_key_id_end_time.unwrap();
    let last = world.key_set.status.last_rotation.clone().unwrap();
    world.key_set.status.unknown_key_id_end_time = None;
    for (key_name, time, expected) in [
        (last.key_name.as_str(), last.time, None),
        ("pay-1", last.time, Some(end)),
        (last.key_name.as_str(), last.time - SignedDuration::from_secs(1), Some(end)),
    ] {
        let told = LastRotation { key_name: key_name.to_owned(), time, ..last.clone() };
        world.key_set.status.last_rotation = Some(told);
        assert_eq!(world.plan().status.unknown_key_id_end_time, expected, "{key_name} {time}");
    }
}

#[test]
fn a_key_can_sign_from_the_signer_secret_alone() {
    for (content, expected) in [(SignerContent::Intact, Some("pay-1")), (SignerContent::Damaged, None)] {
        let mut world = on_request();
        let Signer::Ours(signer) = &mut world.signer else { panic!("no signer") };
        signer.content = content;
        world.key_mut(1).private = PrivateHalf::Absent;
        assert_eq!(world.plan().status.active_key_name.as_deref(), expected, "{content:?}");
    }
}

#[test]
fn an_edit_is_acknowledged_by_its_generation() {
    let mut world = on_request();
    for generation in [2, 3] {
        world.edit(|spec| spec.retention.history_limit += 1);
        world.settle();
        assert_eq!(world.key_set.status.observed_generation, Some(generation));
    }
}
