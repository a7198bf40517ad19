//! When a set is looked at again because something of it is held back.

use jiff::SignedDuration;
use serde_json::json;

use super::world::World;
use super::worlds::{ask, fresh, kid, on_request, pin, revoke, suspend};
use crate::api::{HeldKey, RevocationMode};
use crate::lifecycle::{Clock, Signer};

fn silence(world: &mut World) {
    world.servers[1].answers = false;
    world.settle();
}

/// How long until the next look, in milliseconds.
fn rest(world: &World) -> Option<i128> {
    world.plan().wake_at.map(|time| time.duration_since(world.now).as_millis())
}

#[test]
fn a_document_that_is_not_seen_yet_is_looked_for_often_and_then_less() {
    let mut world = World::at_defaults();
    for server in &mut world.servers {
        server.follows = false;
    }
    world.settle();
    let published = world.now;
    for (age, expected) in [(0, 100), (200, 100), (4_000, 1_000), (100_000, 25_000), (240_000, 30_000)] {
        world.now = published + SignedDuration::from_millis(age);
        assert_eq!(rest(&world), Some(expected), "after {age} ms");
    }
}

#[test]
fn what_is_due_and_held_back_by_a_replica_is_looked_for() {
    // A switch.
    let mut world = on_request();
    silence(&mut world);
    ask(&mut world, "2026-01-02T00:59:40Z");
    world.settle();
    assert_eq!(rest(&world), Some(5_000));
    // Not while it is suspended.
    suspend(&mut world);
    world.settle();
    world.run_for("10m");
    assert_eq!(rest(&world), None);
    // A removal; but not of a key that is held.
    let mut world = on_request();
    ask(&mut world, "2026-01-02T00:30:00Z");
    world.settle();
    world.run_for("24h");
    silence(&mut world);
    world.run_until("2026-01-03T02:15:20Z".parse().unwrap());
    assert_eq!(rest(&world), Some(5_000));
    let held = HeldKey { key_id: kid(&world, 1) };
    world.edit(|spec| spec.held_keys.push(held));
    world.run_for("10m");
    assert_eq!(rest(&world), None);
}

#[test]
fn an_emergency_that_nobody_answers_is_looked_for_before_the_next_key_is_ready() {
    for (mode, expected) in [(RevocationMode::AfterSwitch, 86_100_000), (RevocationMode::ForceSwitch, 30_000)] {
        let mut world = fresh();
        for server in &mut world.servers {
            server.answers = false;
        }
        revoke(&mut world, 1, mode);
        world.settle();
        world.run_for("10m");
        assert_eq!(rest(&world), Some(expected), "{mode:?}");
    }
}

#[test]
fn the_exposure_of_a_revoked_key_is_looked_for_even_while_the_set_is_suspended() {
    for suspended in [false, true] {
        let mut world = on_request();
        if suspended {
            suspend(&mut world);
            world.settle();
        }
        for server in &mut world.servers {
            server.follows = false;
        }
        revoke(&mut world, 2, RevocationMode::AfterSwitch);
        world.settle();
        assert!(world.key(2).lifecycle.removal_time.is_some());
        world.run_for("1h");
        assert_eq!(rest(&world), Some(30_000), "{suspended}");
        for server in &mut world.servers {
            server.follows = true;
        }
        world.run_for("48h");
        assert!(world.key_set.status.revocations[0].exposure_end_time.is_some());
        assert!(rest(&world).is_none_or(|rest| rest > 3_600_000), "{suspended}: nothing is left to see");
    }
}

#[test]
fn a_set_that_something_froze_is_looked_at_as_often_as_that_may_end() {
    let mut world = World::at_defaults();
    silence(&mut world);
    assert_eq!(rest(&world), Some(1_000), "it waits for a silent server");
    let mut world = on_request();
    world.clock = Clock::Untrusted("jumped".to_owned());
    assert_eq!(rest(&world), Some(30_000));
    let mut world = on_request();
    world.signer = Signer::Foreign;
    world.settle();
    world.run_for("10m");
    assert_eq!(rest(&world), None, "a deletion wakes us by itself");
}

#[test]
fn a_set_whose_switch_is_held_back_is_looked_at_and_not_written_to() {
    for asks in [|world: &mut World| revoke(world, 1, RevocationMode::AfterSwitch), |world: &mut World| pin(world, 2)] {
        let mut world = on_request();
        silence(&mut world);
        asks(&mut world);
        world.run_for("1h");
        assert_eq!(world.signing_name().as_deref(), Some("pay-1"));
        let written = world.log.len();
        assert!(rest(&world).is_some_and(|rest| rest <= 30_000));
        world.run_for("10m");
        assert_eq!(world.log[written..], [] as [String; 0]);
    }
}

#[test]
fn where_visibility_is_assumed_a_key_counts_as_seen_without_being_waited_for() {
    let mut world = World::new(&json!({
        "algorithm": "ES256", "tokens": {"maxLifetime": "1h"}, "publication": {"visibility": "Assumed"},
    }));
    world.settle();
    // D
    assert_eq!(rest(&world), Some(5 * 60_000));
}
