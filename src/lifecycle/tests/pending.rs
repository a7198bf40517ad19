//! What is said to hold a step back is what holds it back: no step whose guards are all met is left undone, and at the time
//! that is told it is done.

use proptest::prelude::*;

use super::acts::{Act, act};
use super::world::World;
use super::worlds::{ask, on_request, steady};
use crate::api::{Guard, HeldKey, TransitionAction};
use crate::lifecycle::{Clock, Pending, pending};

fn ahead(world: &World) -> Vec<Pending> {
    pending(&world.observe(), world.now)
}

fn of(world: &World, action: TransitionAction) -> Option<Pending> {
    ahead(world).into_iter().find(|it| it.action == action)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_step_is_taken_as_soon_as_its_guards_are_met(acts in prop::collection::vec(act(), 1..30)) {
        let mut world = World::at_defaults();
        for act in acts.iter().filter(|act| !matches!(act, Act::Crash(_) | Act::Snapshot | Act::RollBack | Act::LoseSigningKey(_))) {
            world.befall(act);
            world.settle();
            let due: Vec<Pending> = ahead(&world).into_iter().filter(Pending::is_due).collect();
            prop_assert!(due.is_empty(), "left undone: {due:#?}");
        }
        world.clock = Clock::Trusted;
        for server in &mut world.servers {
            server.follows = true;
            server.answers = true;
        }
        world.serve();
        world.run_for("1h");
        let next = ahead(&world).into_iter().filter_map(|it| Some((it.earliest_time()?, it))).min_by_key(|(time, _)| *time);
        if let Some((time, step)) = next {
            world.run_until(time);
            let still = ahead(&world).into_iter().any(|it| it.action == step.action && it.key == step.key && it.earliest_time() == Some(time));
            prop_assert!(!still, "it was to happen at {time}: {step:#?}");
        }
    }
}

#[test]
fn a_rotation_waits_for_its_age_and_each_guard_is_told() {
    let world = steady();
    let rotation = of(&world, TransitionAction::Activate).unwrap();
    let unmet: Vec<Guard> = rotation.guards.iter().filter(|it| !it.met).map(|it| it.guard).collect();
    assert_eq!((unmet.as_slice(), rotation.key.as_deref()), ([Guard::Schedule].as_slice(), Some("pay-2")));
    let caches = rotation.guards.iter().find(|it| it.guard == Guard::VerifierCaches).unwrap();
    let terms: Vec<&str> = caches.terms.iter().map(|term| term.symbol).collect();
    assert_eq!((terms, caches.met), (vec!["C", "S"], true));
    assert_eq!(rotation.earliest_time(), rotation.guards[0].time);
}

#[test]
fn a_removal_names_its_terms_and_a_hold_has_no_end() {
    let mut world = steady();
    let now = world.now;
    world.edit(|spec| spec.rotation.after = Some(now));
    world.run_for("10m");
    let removal = of(&world, TransitionAction::Remove).unwrap();
    let terms: Vec<&str> = removal.guards[0].terms.iter().map(|term| term.symbol).collect();
    assert_eq!(terms, ["L", "T", "S", "M"]);
    assert_eq!(removal.earliest_time(), world.key(1).lifecycle.earliest_removal_time);
    let key_id = world.key(1).kid().unwrap().clone();
    world.edit(|spec| spec.held_keys.push(HeldKey { key_id }));
    world.settle();
    let held = of(&world, TransitionAction::Remove).unwrap();
    assert!(held.guards.iter().any(|it| it.guard == Guard::Held && !it.met));
    assert_eq!(held.earliest_time(), None);
}

#[test]
fn a_key_whose_signers_start_anew_waits_for_them_first() {
    let mut world = on_request();
    world.deploy("issuer");
    world.target("issuer");
    ask(&mut world, "2026-01-02T00:30:00Z");
    world.settle();
    let removal = of(&world, TransitionAction::Remove).unwrap();
    let unmet: Vec<Guard> = removal.guards.iter().filter(|it| !it.met).map(|it| it.guard).collect();
    assert_eq!((removal.key.as_deref(), unmet.as_slice()), (Some("pay-1"), [Guard::SignerRollout].as_slice()));
    assert_eq!(removal.earliest_time(), None);
    world.restart_pods(0, 2);
    world.run_for("1m");
    let removal = of(&world, TransitionAction::Remove).unwrap();
    assert!(removal.earliest_time().is_some(), "{removal:#?}");
}

#[test]
fn a_set_that_nobody_asks_says_so() {
    let world = on_request();
    let rotation = of(&world, TransitionAction::Activate).unwrap();
    assert_eq!((rotation.key.as_deref(), rotation.earliest_time()), (None, None));
    assert!(rotation.guards[0].note.contains("rotation.after"), "{rotation:#?}");
}
