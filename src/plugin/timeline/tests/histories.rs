//! Any history of the lifecycle's own world: its timeline agrees with it, and can be drawn.
#![allow(dead_code, reason = "the world serves other tests")]
#![allow(clippy::duplicate_mod, reason = "the same world, in a place where it knows nothing of timelines")]

#[path = "../../../lifecycle/tests/acts.rs"]
mod acts;
#[path = "../../../lifecycle/tests/world.rs"]
mod world;

use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::prelude::*;

use super::super::model::{Life, Stage, Timeline};
use super::super::source::timeline;
use super::super::window::Asked;
use super::laws::faults;
use crate::api::RotationMode;
use world::World;

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn any_history_can_be_drawn_and_its_signer_signs(acts in prop::collection::vec(acts::act(), 0..24)) {
        let mut world = World::at_defaults();
        for act in &acts {
            world.befall(act);
        }
        let timeline = of(&world);
        for life in &timeline.keys {
            prop_assert!(is_whole(life), "{life:#?}");
        }
        let active = world.key_set.status.active_key_name.as_deref();
        // A status that has seen what the records say by now.
        let settled = world.plan().effects.is_empty() && world.signing_name().as_deref() == active;
        if let Some(name) = active.filter(|_| settled) {
            let signing = timeline.keys.iter().find(|life| life.name == name && signs(life, world.now));
            prop_assert!(signing.is_some(), "{name} signs, not by {:#?}", timeline.keys);
        }
        prop_assert_eq!(faults(&timeline), None::<String>);
    }
}

#[test]
fn where_nothing_is_planned_the_window_ends_all_the_same() {
    let mut world = World::at_defaults();
    world.run_for("48h");
    world.edit(|spec| spec.rotation.mode = RotationMode::Suspended);
    world.settle();
    let timeline = of(&world);
    assert!(timeline.planned().is_empty(), "{:#?}", timeline.planned());
    assert_eq!(timeline.keys.iter().map(Life::end).collect::<Vec<_>>(), [None, None]);
    assert!(timeline.from < timeline.now && timeline.now < timeline.until);
    assert_eq!(faults(&timeline), None);
}

fn of(world: &World) -> Timeline {
    timeline(&world.observe(), &BTreeMap::new(), Asked::default(), world.now)
}

/// Without gaps, and each part takes time.
fn is_whole(life: &Life) -> bool {
    let joined = life.spans.windows(2).all(|pair| pair[0].until == Some(pair[1].from));
    joined && life.spans.iter().all(|span| span.until.is_none_or(|until| span.from < until))
}

fn signs(life: &Life, now: Timestamp) -> bool {
    let at = |from: Timestamp, until: Option<Timestamp>| from <= now && until.is_none_or(|until| until >= now);
    life.spans.iter().any(|span| span.stage == Stage::Active && at(span.from, span.until))
}
