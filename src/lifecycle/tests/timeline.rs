//! The canonical timeline: day 0 to day 62 at defaults, every write in order.

use super::world::World;

#[test]
fn day_0_to_day_62_at_defaults() {
    let mut world = World::at_defaults();
    world.run_for("1488h");
    insta::assert_snapshot!(world.log.join("\n"));
}

#[test]
fn status_through_a_rotation() {
    let mut world = World::at_defaults();
    let mut pages = Vec::new();
    for (label, wait) in [
        ("bootstrap", "0s"),
        ("the standby may sign", "25h"),
        ("the first rotation", "696h"),
        ("the private half is destroyed", "2h"),
        ("the retired key is removed", "26h"),
    ] {
        world.run_for(wait);
        let status = serde_json::to_value(&world.key_set.status).unwrap();
        pages.push(format!("# {label}, {}\n{}", world.now, serde_json::to_string_pretty(&status).unwrap()));
    }
    insta::assert_snapshot!(pages.join("\n\n"));
}

#[test]
fn a_settled_world_plans_no_write() {
    let mut world = World::at_defaults();
    for wait in ["0s", "25h", "696h", "2h", "26h", "700h"] {
        world.run_for(wait);
        let plan = world.plan();
        assert_eq!(plan.effects, []);
        assert_eq!(plan.status, world.key_set.status);
    }
}
