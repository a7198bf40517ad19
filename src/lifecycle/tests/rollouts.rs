//! Signers that read their key only when they start: marked after a switch, waited for, told of.

use super::world::World;
use super::worlds::{ask, kid, on_request, revoke};
use crate::api::{Guard, KeyStatus, RevocationMode, RevocationState, TransitionAction};
use crate::lifecycle::{Effect, Event, PrivateHalf};

/// Key 1 signs, key 2 may sign at any time, and two Pods of a target have key 1. L = 10m, T = 1h, S = 5m, M = 24h, B = 1h.
fn targeted() -> World {
    let mut world = on_request();
    world.deploy("issuer");
    world.target("issuer");
    world.settle();
    world
}

/// Key 2 took over a moment ago.
fn switched() -> World {
    let mut world = targeted();
    let now = world.now.to_string();
    ask(&mut world, &now);
    world.settle();
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"));
    world
}

fn marks(world: &World) -> usize {
    world.log.iter().filter(|line| line.contains(" mark ")).count()
}

fn told(world: &World, sequence: i64) -> KeyStatus {
    let kid = kid(world, sequence);
    world.key_set.status.keys.iter().find(|key| key.key_id.as_ref() == Some(&kid)).unwrap().clone()
}

fn is_published(world: &World, sequence: i64) -> bool {
    world.set().unwrap().contains(&kid(world, sequence))
}

#[test]
fn a_set_that_never_switched_marks_nothing() {
    let mut world = targeted();
    world.run_for("48h");
    assert_eq!((marks(&world), world.key_set.status.rollouts.len()), (0, 0));
}

#[test]
fn a_switch_is_followed_by_one_mark_of_each_target() {
    let mut world = switched();
    assert_eq!(marks(&world), 1);
    let mark = world.workloads[0].mark.clone().unwrap();
    assert_eq!((mark.term, mark.key_id), (2, kid(&world, 2)));
    let told: Vec<&Event> = world.told.iter().filter(|event| event.reason.as_str() == "RolloutStarted").collect();
    assert_eq!(told.len(), 1, "{told:?}");
    world.run_for("1h");
    world.restart_pods(0, 2);
    world.run_for("200h");
    assert_eq!(marks(&world), 1);
}

#[test]
fn nothing_is_written_while_a_rollout_is_awaited_and_the_key_stays() {
    let mut world = switched();
    world.run_for("30m");
    let (written, status) = (world.log.len(), world.key_set.status.clone());
    let next = status.next_transition.clone().unwrap();
    assert_eq!((next.action, next.waiting_for), (TransitionAction::Remove, Guard::SignerRollout));
    assert_eq!(next.message.as_deref(), Some("Deployment issuer may have Pods that started with pay-1"));
    assert_eq!(next.earliest_time, world.key(1).lifecycle.earliest_removal_time, "no promise before it ends");
    world.restart_pods(0, 1);
    world.run_for("23h");
    assert_eq!((world.log.len(), &world.key_set.status), (written, &status), "{:#?}", &world.log[written..]);
    world.run_for("900h");
    assert!(is_published(&world, 1));
    assert!(matches!(world.key(1).private, PrivateHalf::Stored(_)), "it may be wanted back");
}

#[test]
fn every_wait_begins_with_the_end_of_the_rollout() {
    let mut world = switched();
    world.run_for("40h");
    world.restart_pods(0, 2);
    let ended = world.now;
    world.settle();
    let rollout = world.key_set.status.rollouts[0].clone();
    assert_eq!((rollout.term, rollout.completion_time, told(&world, 1).rollout_time), (2, ended, Some(ended)));
    // The evidence is stored; then the promise follows it, as long as ever.
    world.settle();
    let promised = world.after("25h15m");
    assert_eq!(world.key(1).lifecycle.earliest_removal_time, Some(promised));
    assert_eq!(told(&world, 1).earliest_removal_time, Some(promised));
    world.run_for("59m");
    assert!(matches!(world.key(1).private, PrivateHalf::Stored(_)));
    world.run_for("1m");
    assert_eq!(world.key(1).private, PrivateHalf::Absent);
    world.run_until(promised - jiff::SignedDuration::from_secs(1));
    assert!(is_published(&world, 1));
    world.run_for("1s");
    assert!(!is_published(&world, 1));
}

#[test]
fn the_end_is_two_writes_and_then_silence() {
    let mut world = switched();
    world.run_for("2h");
    let written = world.log.len();
    world.restart_pods(0, 2);
    world.settle();
    world.run_for("10m");
    let written = &world.log[written..];
    assert!(written.len() == 1 && written[0].contains("record pay-1"), "{written:#?}");
}

#[test]
fn a_longer_lifetime_counts_for_tokens_of_pods_that_have_not_started_anew() {
    let mut world = switched();
    world.run_for("5h");
    world.edit(|spec| spec.tokens.max_lifetime = "9h".parse().unwrap());
    world.settle();
    world.edit(|spec| spec.tokens.max_lifetime = "1h".parse().unwrap());
    world.run_for("5h");
    world.restart_pods(0, 2);
    world.settle();
    world.settle();
    assert!(world.key(1).lifecycle.earliest_removal_time >= Some(world.after("33h15m")));
}

#[test]
fn all_targets_are_waited_for_and_each_is_remembered() {
    let mut world = targeted();
    world.deploy("gateway");
    world.target("gateway");
    let now = world.now.to_string();
    ask(&mut world, &now);
    world.settle();
    assert_eq!(marks(&world), 2);
    world.run_for("1h");
    world.restart_pods(0, 2);
    world.run_for("1h");
    let message = world.key_set.status.next_transition.as_ref().and_then(|next| next.message.clone()).unwrap();
    assert_eq!(message, "Deployment gateway may have Pods that started with pay-1");
    assert_eq!(told(&world, 1).rollout_time, None);
    // What was seen of one holds, whatever becomes of it.
    world.workloads[0].mark = None;
    world.restart_pods(1, 2);
    world.settle();
    assert_eq!((told(&world, 1).rollout_time, marks(&world)), (Some(world.now), 2));
}

#[test]
fn a_target_that_is_added_has_shown_nothing_yet() {
    let mut world = switched();
    world.restart_pods(0, 2);
    world.run_for("1h");
    assert!(told(&world, 1).rollout_time.is_some());
    world.deploy_at("late", 1);
    world.target("late");
    world.run_for("30h");
    assert!(is_published(&world, 1));
    assert_eq!((told(&world, 1).rollout_time, marks(&world)), (None, 2));
    world.restart_pods(1, 2);
    world.run_for("25h");
    assert!(is_published(&world, 1), "every wait begins anew");
    world.run_for("16m");
    assert!(!is_published(&world, 1));
}

#[test]
fn a_target_that_is_taken_out_is_waited_for_no_more() {
    let mut world = switched();
    world.run_for("30h");
    assert!(is_published(&world, 1));
    world.edit(|spec| spec.signers.rollout_targets.clear());
    world.settle();
    assert!(!is_published(&world, 1));
    assert!(world.key_set.status.rollouts.is_empty());
}

#[test]
fn a_lost_status_costs_time_and_no_promise() {
    let mut world = switched();
    world.restart_pods(0, 2);
    world.run_for("20h");
    let promised = world.key(1).lifecycle.earliest_removal_time;
    world.key_set.status = crate::api::KeySetStatus::default();
    world.run_for("6h");
    assert!(is_published(&world, 1));
    assert!(world.key(1).lifecycle.earliest_removal_time > promised);
    world.run_for("26h");
    assert!(!is_published(&world, 1));
}

#[test]
fn what_does_not_exist_is_told_and_holds_nothing_up() {
    let mut world = on_request();
    world.target("issuer");
    world.settle();
    assert_eq!(world.condition("RolloutBlocked").as_deref(), Some("True/TargetNotFound"));
    assert_eq!(world.told.last().unwrap().reason.as_str(), "RolloutBlocked");
    let now = world.now.to_string();
    ask(&mut world, &now);
    world.run_for("25h16m");
    assert!(!is_published(&world, 1));
    // Whoever comes later starts with the key of today.
    world.deploy("issuer");
    world.run_for("10m");
    assert_eq!((world.condition("RolloutBlocked"), marks(&world)), (None, 0));
}

#[test]
fn what_is_refused_is_told_and_waited_for() {
    let mut world = targeted();
    world.workloads[0].refused = true;
    world.run_for("10m");
    assert_eq!(world.condition("RolloutBlocked").as_deref(), Some("True/TargetRefused"));
    let now = world.now.to_string();
    ask(&mut world, &now);
    world.run_for("100h");
    assert!(is_published(&world, 1));
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"), "the switch waits for no target");
    world.workloads[0].refused = false;
    world.run_for("1m");
    assert_eq!(marks(&world), 1);
}

#[test]
fn a_refusal_that_only_the_mark_meets_takes_the_place_of_what_was_read() {
    let mut world = targeted();
    let now = world.now.to_string();
    ask(&mut world, &now);
    while !world.plan().effects.iter().any(|effect| matches!(effect, Effect::MarkWorkload { .. })) {
        let _ = world.settle_within(1);
    }
    let mut observed = world.observe();
    let workload = crate::lifecycle::Workload::Refused("no".to_owned());
    let entry = world.key_set.spec.signers.rollout_targets[0].clone();
    observed.refuse(&[crate::lifecycle::Target { entry, workload }]);
    let plan = crate::lifecycle::plan(&observed, world.now);
    assert!(!plan.effects.iter().any(|effect| matches!(effect, Effect::MarkWorkload { .. })), "{:?}", plan.effects);
    let condition = plan.status.conditions.iter().find(|it| it.r#type == "RolloutBlocked").unwrap();
    assert_eq!((condition.reason.as_str(), condition.message.as_str()), ("TargetRefused", "Deployment issuer: no."));
}

#[test]
fn a_rollout_that_takes_longer_than_the_lag_is_told() {
    let mut world = switched();
    world.run_for("9m59s");
    assert_eq!(world.condition("RolloutBlocked"), None);
    world.run_for("1s");
    assert_eq!(world.condition("RolloutBlocked").as_deref(), Some("True/RolloutOverdue"));
    let told = world.told.last().unwrap();
    assert_eq!(
        (told.reason.as_str(), told.note.as_str()),
        (
            "RolloutBlocked",
            "Deployment issuer may have Pods that started with pay-1, which stays published: its rollout has not come to an end."
        )
    );
    world.restart_pods(0, 2);
    world.run_for("1m");
    assert_eq!(world.condition("RolloutBlocked"), None);
}

#[test]
fn a_switch_in_the_middle_of_a_rollout_begins_the_next() {
    let mut world = switched();
    world.restart_pods(0, 1);
    world.run_for("25h");
    let now = world.now.to_string();
    ask(&mut world, &now);
    world.settle();
    assert_eq!((world.signing_name().as_deref(), marks(&world)), (Some("pay-3"), 2));
    world.run_for("30h");
    assert!(is_published(&world, 1) && is_published(&world, 2));
    world.restart_pods(0, 2);
    world.run_for("26h");
    assert!(!is_published(&world, 1) || !is_published(&world, 2));
}

#[test]
fn a_roll_back_restarts_signers_too_and_may_be_asked_for_until_the_window_after_the_rollout_ends() {
    let mut world = switched();
    world.run_for("50h");
    super::worlds::pin(&mut world, 1);
    world.settle();
    assert_eq!((world.signing_name().as_deref(), marks(&world)), (Some("pay-1"), 2));
    assert_eq!(
        world.workloads[0].mark.as_ref().unwrap().term,
        3,
        "Pods of the first term may have read the second key"
    );
}

#[test]
fn a_revoked_key_stays_for_the_rollout_unless_it_must_go_at_once() {
    for mode in [RevocationMode::AfterSwitch, RevocationMode::ForceSwitch, RevocationMode::Immediate] {
        let mut world = targeted();
        revoke(&mut world, 1, mode);
        world.run_for("5h");
        let at_once = mode == RevocationMode::Immediate;
        assert_eq!((is_published(&world, 1), marks(&world)), (!at_once, 1), "{mode:?}");
        if at_once {
            continue;
        }
        assert_eq!(world.key_set.status.revocations[0].state, RevocationState::WaitingForSigners);
        let next = world.key_set.status.next_transition.clone().unwrap();
        assert_eq!((next.action, next.waiting_for), (TransitionAction::Revoke, Guard::SignerRollout));
        world.restart_pods(0, 2);
        world.settle();
        world.run_for("9m59s");
        assert!(is_published(&world, 1));
        world.run_for("1s");
        assert!(!is_published(&world, 1));
    }
}

#[test]
fn signers_of_a_key_that_left_at_once_are_started_anew_when_that_is_allowed() {
    let mut world = targeted();
    world.workloads[0].refused = true;
    revoke(&mut world, 1, RevocationMode::Immediate);
    world.run_for("1h");
    assert!(!is_published(&world, 1));
    world.workloads[0].refused = false;
    world.run_for("1h");
    assert_eq!(marks(&world), 1);
}

#[test]
fn nobody_starts_with_a_key_that_is_damaged_or_about_to_go() {
    let mut world = switched();
    world.workloads[0].mark = None;
    let crate::lifecycle::Signer::Ours(signer) = &mut world.signer else { panic!("no signer") };
    signer.content = crate::lifecycle::SignerContent::Damaged;
    world.key_mut(2).private = PrivateHalf::Absent;
    let plan = world.plan();
    assert!(!plan.effects.iter().any(|effect| matches!(effect, Effect::MarkWorkload { .. })), "{:?}", plan.effects);
}
