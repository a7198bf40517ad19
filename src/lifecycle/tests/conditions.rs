//! The table of `docs/conditions.md`: what each condition says, from when, and until when.

use jiff::SignedDuration;
use serde_json::json;

use super::world::World;
use super::worlds::{fresh, on_request, pin, revoke, steady};
use crate::api::{RevocationMode, RotationMode};
use crate::jose::{Algorithm, JwkSet, KeyId};
use crate::lifecycle::{Clock, PrivateHalf, Signer, plan};

fn message(world: &World, r#type: &str) -> String {
    world.key_set.status.conditions.iter().find(|it| it.r#type == r#type).unwrap().message.clone()
}

/// What a condition says at one second before `edge`, then, and one second later.
fn around(world: &mut World, edge: jiff::Timestamp, r#type: &str) -> [Option<String>; 3] {
    [-1, 0, 1].map(|offset| {
        world.advance_to(edge + SignedDuration::from_secs(offset));
        world.settle();
        world.condition(r#type)
    })
}

fn silence(world: &mut World) {
    for server in &mut world.servers {
        server.answers = false;
    }
}

/// Servers that answer, and have lost what they served.
fn empty(world: &mut World) {
    for index in 0..world.servers.len() {
        world.servers[index].follows = false;
        world.restart_server(index);
    }
}

#[test]
fn a_set_is_reconciling_until_its_first_key_signs() {
    let mut world = World::new(&json!({
        "algorithm": "ES256", "tokens": {"maxLifetime": "1h"}, "rotation": {"firstKey": "AfterCacheAge"},
    }));
    world.run_for("24h4m");
    assert_eq!(world.condition("Reconciling").as_deref(), Some("True/Bootstrapping"));
    assert_eq!(world.condition("Ready").as_deref(), Some("False/Bootstrapping"));
    world.run_for("1m");
    assert_eq!(world.condition("Reconciling"), None);
    assert_eq!(world.condition("Ready").as_deref(), Some("True/Serving"));
}

#[test]
fn a_set_is_stalled_while_only_a_person_can_move_it_on() {
    let mut world = steady();
    assert!(!world.plan().is_stalled());
    let stranger = KeyId::try_from("stranger").unwrap();
    world.edit(|spec| spec.rotation.pinned_key_id = Some(stranger));
    assert!(world.plan().is_stalled());
    world.edit(|spec| spec.rotation.pinned_key_id = None);
    assert!(!world.plan().is_stalled());
}

#[test]
fn a_set_that_has_signed_and_cannot_sign_has_no_active_key() {
    let mut world = World::at_defaults();
    world.settle();
    silence(&mut world);
    world.key_mut(1).private = PrivateHalf::Absent;
    world.signer = Signer::Absent;
    world.settle();
    assert_eq!(world.condition("Ready").as_deref(), Some("False/NoActiveKey"));
    assert_eq!(world.condition("Reconciling"), None);
    assert_eq!(world.plan().wake_at, Some(world.after("1s")), "the first server that answers ends it");
    world.servers[0].answers = true;
    world.settle();
    assert_eq!(world.condition("Ready").as_deref(), Some("True/Serving"));
}

#[test]
fn a_set_is_not_served_when_nobody_has_served_its_active_key_for_the_delay() {
    let mut world = steady();
    empty(&mut world);
    world.settle();
    assert_eq!(world.condition("Published").as_deref(), Some("Unknown/WaitingForVisibility"));
    let edge = world.after("5m");
    assert_eq!(
        around(&mut world, edge, "Ready").map(Option::unwrap),
        ["True/Serving", "False/NotServed", "False/NotServed"]
    );
    world.servers[0].follows = true;
    world.run_for("1m");
    assert_eq!(world.condition("Published").as_deref(), Some("False/VisibilityLost"), "one replica lacks it still");
    assert_eq!(world.condition("Ready").as_deref(), Some("True/Serving"), "and one serves it");
}

#[test]
fn a_set_that_is_not_seen_served_is_doubted_then_lost_then_seen_again() {
    let mut world = steady();
    world.servers[1].answers = false;
    let plan = world.settle();
    assert_eq!(world.condition("Published").as_deref(), Some("Unknown/WaitingForVisibility"));
    assert!(message(&world, "Published").contains("10.0.0.1 does not answer"));
    let edge = world.after("5m");
    assert_eq!(plan.wake_at, Some(edge), "time alone will change what is told");
    assert_eq!(
        around(&mut world, edge, "Published").map(Option::unwrap),
        ["Unknown/WaitingForVisibility", "False/VisibilityLost", "False/VisibilityLost"]
    );
    assert_eq!(world.condition("Ready").as_deref(), Some("True/Serving"), "one replica serves it");
    let later = world.after("1h");
    assert!(world.plan().wake_at > Some(later), "nothing is ahead but the rotation");
    world.servers[1].answers = true;
    world.settle();
    assert_eq!(world.condition("Published").as_deref(), Some("True/Visible"));
}

#[test]
fn a_set_that_was_never_seen_served_waits_and_is_not_lost() {
    let mut world = World::at_defaults();
    for server in &mut world.servers {
        server.follows = false;
    }
    for wait in ["0s", "1m", "1h"] {
        world.run_for(wait);
        assert_eq!(world.condition("Published").as_deref(), Some("False/WaitingForVisibility"), "{wait}");
    }
    assert_eq!(message(&world, "Published"), "A server replica does not serve the set yet.");
}

#[test]
fn a_look_without_the_replicas_keeps_what_was_seen() {
    let mut world = steady();
    let published = |world: &World| {
        let mut observed = world.observe();
        observed.pass = None;
        let conditions = plan(&observed, world.now).status.conditions;
        let it = conditions.into_iter().find(|it| it.r#type == "Published").unwrap();
        format!("{:?}/{}", it.status, it.reason)
    };
    assert_eq!(published(&world), "True/Visible");
    world.servers[1].answers = false;
    world.settle();
    assert_eq!(published(&world), "Unknown/WaitingForVisibility");
    world.run_for("6m");
    assert_eq!(published(&world), "False/VisibilityLost");
}

#[test]
fn a_standby_of_another_kind_is_no_standby() {
    let mut world = steady();
    assert_eq!(world.condition("StandbyReady").as_deref(), Some("True/VerifierCachesExpired"));
    world.edit(|spec| spec.algorithm = Algorithm::EdDSA);
    world.settle();
    assert_eq!(world.condition("StandbyReady").as_deref(), Some("False/WaitingForVerifierCaches"));
    assert!(message(&world, "StandbyReady").starts_with("pay-3 may sign from "));
    // Nothing is made while the set is suspended.
    let mut world = steady();
    world.edit(|spec| {
        spec.rotation.mode = RotationMode::Suspended;
        spec.algorithm = Algorithm::EdDSA;
    });
    world.settle();
    assert_eq!(world.condition("StandbyReady").as_deref(), Some("False/Generating"));
}

#[test]
fn a_standby_without_its_private_half_is_no_standby() {
    let mut world = steady();
    world.edit(|spec| spec.rotation.mode = RotationMode::Suspended);
    world.settle();
    world.key_mut(2).private = PrivateHalf::Absent;
    world.settle();
    assert_eq!(world.condition("StandbyReady").as_deref(), Some("False/Generating"));
}

#[test]
fn a_request_is_overdue_only_when_verifiers_could_have_the_next_key() {
    let mut world = World::new(&json!({
        "algorithm": "ES256", "tokens": {"maxLifetime": "1h"}, "rotation": {"mode": "OnRequest"},
    }));
    world.settle();
    let now = world.now;
    world.edit(|spec| spec.rotation.after = Some(now + SignedDuration::from_secs(1)));
    world.run_for("12h");
    assert_eq!(world.condition("RotationOverdue").as_deref(), Some("False/OnSchedule"));
    world.servers[1].answers = false;
    // C + S + D after the first key signed.
    let edge = now + SignedDuration::from_mins(24 * 60 + 5 + 5);
    assert_eq!(
        around(&mut world, edge, "RotationOverdue").map(Option::unwrap),
        ["False/OnSchedule", "True/VisibilityLost", "True/VisibilityLost"]
    );
    assert!(message(&world, "RotationOverdue").starts_with("Due since 2026-01-01T00:00:01Z. "));
}

#[test]
fn an_overdue_rotation_tells_what_holds_it_back() {
    // A replica that is silent.
    let mut world = steady();
    world.servers[1].answers = false;
    world.run_for("800h");
    assert_eq!(world.condition("RotationOverdue").as_deref(), Some("True/VisibilityLost"));
    assert!(message(&world, "RotationOverdue").ends_with("10.0.0.1 does not answer."));
    // A standby that a replica lacked a moment ago: all answer, and the wait has begun anew.
    let mut world = steady();
    world.advance_to("2026-01-30T23:00:00Z".parse().unwrap());
    let (revision, set) = world.servers[1].served.clone().unwrap();
    let without = set.keys().iter().filter(|jwk| Some(jwk.kid()) != world.key(2).kid()).cloned().collect();
    world.servers[1].served = Some((revision, JwkSet::new(without).unwrap()));
    world.servers[1].follows = false;
    world.serve();
    world.settle();
    world.servers[1].follows = true;
    world.run_for("3h");
    assert_eq!(world.condition("RotationOverdue").as_deref(), Some("True/VisibilityLost"));
    assert!(message(&world, "RotationOverdue").ends_with(". The next key may not sign yet."));
    assert_eq!(world.condition("Published").as_deref(), Some("True/Visible"));
}

#[test]
fn a_frozen_rotation_tells_what_froze_it() {
    type Freeze = fn(&mut World);
    let freezes: [(Freeze, &str, &str); 4] = [
        (|world| world.clock = Clock::Untrusted("It jumped.".to_owned()), "True/ClockUntrusted", "It jumped."),
        (|world| world.published = crate::lifecycle::Published::Foreign, "True/NameConflict", "ConfigMap pay-jwks"),
        (|world| world.undecodable.push("pay-9".to_owned()), "True/UnknownValue", "SigningKey pay-9"),
        (|world| world.edit(|spec| spec.rotation.mode = RotationMode::Suspended), "True/Suspended", "Suspended"),
    ];
    for (freeze, expected, why) in freezes {
        let mut world = steady();
        freeze(&mut world);
        world.run_for("800h");
        assert_eq!(world.condition("RotationOverdue").as_deref(), Some(expected));
        assert!(message(&world, "RotationOverdue").contains(why), "{}", message(&world, "RotationOverdue"));
    }
}

#[test]
fn a_pin_that_waits_for_its_key_is_not_the_pin_that_holds_a_rotation_back() {
    // Key 3 is pinned right after it was published, and the set is due meanwhile: the pin is why it waits, and it ends.
    let mut world = steady();
    revoke(&mut world, 2, RevocationMode::AfterSwitch);
    world.advance_to("2026-01-31T12:00:00Z".parse().unwrap());
    world.settle();
    let key_id = world.key(3).kid().unwrap().clone();
    world.edit(|spec| spec.rotation.pinned_key_id = Some(key_id));
    world.settle();
    assert_eq!(world.condition("RotationOverdue").as_deref(), Some("False/OnSchedule"));
    world.run_for("25h");
    assert_eq!(world.signing_name().as_deref(), Some("pay-3"));
}

#[test]
fn a_revocation_that_a_silent_replica_holds_back_is_overdue() {
    let mut world = fresh();
    world.servers[1].answers = false;
    revoke(&mut world, 1, RevocationMode::AfterSwitch);
    world.run_for("25h");
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"), "the standby was never seen everywhere since");
    assert_eq!(world.condition("RotationOverdue").as_deref(), Some("True/VisibilityLost"));
    assert!(message(&world, "RotationOverdue").starts_with("Due since "));
}

#[test]
fn a_pin_that_a_silent_replica_holds_back_is_overdue() {
    let mut world = on_request();
    world.servers[1].answers = false;
    pin(&mut world, 2);
    world.run_for("1h");
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"));
    assert_eq!(world.condition("RotationOverdue").as_deref(), Some("True/VisibilityLost"));
    assert!(message(&world, "RotationOverdue").starts_with("Due at once. "));
}
