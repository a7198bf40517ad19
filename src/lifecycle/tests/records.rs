//! What SigningKeys say: the ledger after the act, and the report that follows from it.

use jiff::SignedDuration;

use super::world::World;
use super::worlds::on_request;
use crate::api::{ConditionStatus, PrivateKeyState, RevocationMode, RevokedKey, SigningKeyState, SigningKeyStatus};
use crate::lifecycle::{Clock, Contract, Effect, Key, Ownership, PrivateHalf, RecordCause, Signer};

/// Key 1 retired at 2026-01-02T01:00:00Z, key 2 signs, key 3 was published then.
fn rotated() -> World {
    let mut world = on_request();
    world.edit(|spec| spec.rotation.after = Some("2026-01-02T00:30:00Z".parse().unwrap()));
    world.settle();
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"));
    world
}

fn told(world: &World, sequence: i64) -> (SigningKeyState, PrivateKeyState, String) {
    let status = world.key(sequence).status.clone().unwrap();
    let [condition] = &status.conditions[..] else { panic!("one condition") };
    let ready = format!("{:?}/{}", condition.status, condition.reason);
    (status.state.unwrap(), status.private_key.unwrap(), ready)
}

#[test]
fn a_record_tells_where_the_key_and_its_private_half_are() {
    use PrivateKeyState::{Destroyed, Lost, Stored};
    let mut world = rotated();
    let is = |state, private, ready: &str| (state, private, ready.to_owned());
    assert_eq!(told(&world, 1), is(SigningKeyState::Retiring, Stored, "True/Stored"));
    assert_eq!(told(&world, 2), is(SigningKeyState::Active, Stored, "True/Stored"));
    assert_eq!(told(&world, 3), is(SigningKeyState::Staged, Stored, "True/Stored"));
    world.run_for("2h");
    assert_eq!(told(&world, 1), is(SigningKeyState::Retiring, Destroyed, "True/Destroyed"));
    world.run_for("30h");
    assert_eq!(told(&world, 1), is(SigningKeyState::Removed, Destroyed, "True/Destroyed"));
    world.key_mut(3).private = PrivateHalf::Absent;
    world.settle();
    assert_eq!(told(&world, 3), is(SigningKeyState::Staged, Lost, "False/Lost"));
    let key_id = world.key(2).kid().unwrap().clone();
    world.edit(|spec| spec.revoked_keys.push(RevokedKey { key_id, mode: RevocationMode::ForceSwitch }));
    world.settle();
    assert_eq!(told(&world, 2), is(SigningKeyState::Revoked, Destroyed, "True/Destroyed"));
    // A record whose public half is still to come.
    let made = Key { name: "pay-9".to_owned(), sequence: 9, jwk: None, status: None, ..world.key(3).clone() };
    world.keys.push(made);
    world.settle();
    assert_eq!(told(&world, 9).0, SigningKeyState::Pending);
}

#[test]
fn a_record_is_owned_as_deletion_policy_wants() {
    let mut world = rotated();
    world.key_mut(2).ownership = Ownership::Differs;
    world.settle();
    assert_eq!(world.key(2).ownership, Ownership::AsWanted);
}

#[test]
fn a_report_that_was_changed_by_others_is_put_right() {
    type Change = fn(&mut SigningKeyStatus);
    let changes: [Change; 11] = [
        |status| status.state = Some(SigningKeyState::Retiring),
        |status| status.state = None,
        |status| status.private_key = Some(PrivateKeyState::None),
        |status| status.observed_generation = None,
        |status| status.conditions.clear(),
        |status| status.conditions.push(status.conditions[0].clone()),
        |status| status.conditions[0].observed_generation = Some(1),
        |status| "Other".clone_into(&mut status.conditions[0].r#type),
        |status| "Other".clone_into(&mut status.conditions[0].reason),
        |status| "Other.".clone_into(&mut status.conditions[0].message),
        |status| status.conditions[0].status = ConditionStatus::Unknown,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut world = rotated();
        let key = world.key_mut(2);
        let before = key.status.clone().unwrap();
        change(key.status.as_mut().unwrap());
        let effects = world.plan().effects;
        let reports =
            |it: &Effect| matches!(it, Effect::RecordKey { key, cause: RecordCause::Report, .. } if key == "pay-2");
        assert!(matches!(effects.as_slice(), [it] if reports(it)), "{number}: {effects:#?}");
        world.settle();
        let after = world.key(2).status.clone().unwrap();
        assert_eq!((after.state, after.private_key), (before.state, before.private_key), "{number}");
        assert_eq!(after.observed_generation, Some(world.key(2).generation), "{number}");
        assert_eq!(after.conditions.len(), 1, "{number}");
        assert_eq!(after.conditions[0].reason, before.conditions[0].reason, "{number}");
    }
}

#[test]
fn a_record_that_is_made_says_at_once_what_is_so() {
    let states = |world: &World| -> Vec<(i64, SigningKeyState, PrivateKeyState)> {
        let effects = world.plan().effects.into_iter();
        effects
            .filter_map(|effect| match effect {
                Effect::StageKey { sequence, status, .. }
                | Effect::AdoptKey { sequence, status, .. }
                | Effect::ImportKey { sequence, status, .. } => {
                    Some((sequence, status.state.unwrap(), status.private_key.unwrap()))
                }
                _ => None,
            })
            .collect()
    };
    let mut world = World::at_defaults();
    world.settle_within(1);
    let staged = |sequence| (sequence, SigningKeyState::Staged, PrivateKeyState::Stored);
    assert_eq!(states(&world), [staged(1), staged(2)]);
    let mut world = rotated();
    world.keys.retain(|key| key.sequence == 3);
    let lost = |sequence, state| (sequence, state, PrivateKeyState::Lost);
    let mut told = states(&world);
    told.sort_by_key(|it| it.0);
    assert_eq!(told, [lost(1, SigningKeyState::Retiring), lost(2, SigningKeyState::Active)]);
}

#[test]
fn a_condition_keeps_its_time_for_as_long_as_its_status_stands() {
    let mut world = on_request();
    let since = |world: &World, r#type: &str| {
        world.key_set.status.conditions.iter().find(|it| it.r#type == r#type).unwrap().last_transition_time
    };
    let (ready, standby) = (since(&world, "Ready"), since(&world, "StandbyReady"));
    assert_eq!(ready, "2026-01-01T00:00:00Z".parse().unwrap());
    assert_eq!(standby, "2026-01-02T00:05:00Z".parse().unwrap());
    world.run_for("1h");
    let silent = world.now;
    world.servers[1].answers = false;
    world.settle();
    assert_eq!(since(&world, "Published"), silent);
    world.run_for("6m");
    assert_eq!(since(&world, "Published"), silent + SignedDuration::from_mins(5));
    assert_eq!((since(&world, "Ready"), since(&world, "StandbyReady")), (ready, standby));
}

#[test]
fn a_longer_lifetime_moves_the_promise_of_a_retired_key_while_signers_may_still_use_it() {
    // L = 10m
    for (wait, expected) in [("9m59s", true), ("10m", true), ("10m1s", false)] {
        let mut world = rotated();
        let before = world.key(1).lifecycle.earliest_removal_time;
        world.advance_to(world.after(wait));
        world.edit(|spec| spec.tokens.max_lifetime = "100h".parse().unwrap());
        world.settle();
        assert_eq!(world.key(1).lifecycle.earliest_removal_time > before, expected, "{wait}");
    }
}

#[test]
fn a_key_that_signed_without_a_record_has_the_term_before_the_signers() {
    let mut world = rotated();
    let kid = world.key(3).kid().unwrap().clone();
    let Signer::Ours(signer) = &mut world.signer else { panic!("no signer") };
    signer.replaced = Some(kid);
    world.settle();
    assert!(world.key(3).is_retired());
    assert_eq!(world.key(3).lifecycle.term, Some(1));
    assert_eq!(world.key(3).lifecycle.activation_time, world.key(2).lifecycle.activation_time);
}

#[test]
fn nothing_is_recorded_by_a_clock_that_is_not_believed() {
    let mut world = on_request();
    let now = world.now;
    world.edit(|spec| spec.rotation.after = Some(now));
    // The switch, and not its record.
    world.settle_within(1);
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"));
    world.clock = Clock::Untrusted("jumped".to_owned());
    world.settle();
    assert!(world.key(2).is_staged() && world.key(1).is_active());
    world.key_mut(2).private = PrivateHalf::Absent;
    world.key_mut(1).private = PrivateHalf::Absent;
    world.clock = Clock::Trusted;
    world.settle();
    assert!(world.key(2).is_active() && world.key(1).is_retired());
}

#[test]
fn a_loss_is_recorded_once_for_each_loss() {
    let mut world = on_request();
    let promise = |world: &World| world.key(2).lifecycle.earliest_removal_time;
    let retention = Contract::new(&world.key_set.spec).retention();
    let stored = world.key(2).private.clone();
    world.key_mut(2).private = PrivateHalf::Absent;
    world.settle();
    let first = world.now + retention;
    assert_eq!(promise(&world), Some(first));
    world.run_for("1h");
    assert_eq!(promise(&world), Some(first));
    // It is found again, and lost again.
    world.key_mut(2).private = stored;
    world.run_for("1h");
    world.key_mut(2).private = PrivateHalf::Absent;
    world.settle();
    assert_eq!(promise(&world), Some(world.now + retention));
    assert_eq!(world.key(1).lifecycle.earliest_removal_time, Some("2026-01-02T01:15:00Z".parse().unwrap()));
}
