//! Each guard at its edge: one second before, exactly, after.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::world::World;
use super::worlds::fresh;
use crate::api::RotationMode;
use crate::jose::Digest;
use crate::lifecycle::{Clock, Contract, Effect, Published, Signer, Stray};

/// Whether key 2 signs after the controller looked at each of these seconds around `edge`.
fn signs_around(world: &mut World, edge: Timestamp) -> [bool; 3] {
    [-1, 0, 1].map(|offset| {
        world.advance_to(edge + SignedDuration::from_secs(offset));
        world.settle();
        world.signing_name().as_deref() == Some("pay-2")
    })
}

#[test]
fn guard_1_lets_a_key_sign_when_every_cache_has_turned_over() {
    let mut world = fresh();
    world.edit(|spec| spec.rotation.after = Some("2026-01-01T00:00:10Z".parse().unwrap()));
    let edge = world.after("24h") + SignedDuration::from_secs(300);
    assert_eq!(signs_around(&mut world, edge), [false, true, true]);
}

#[test]
fn the_interval_is_an_edge_too() {
    let mut world = World::at_defaults();
    world.settle();
    world.advance_to(world.after("48h"));
    world.settle();
    let edge = world.plan().status.next_transition.unwrap().earliest_time.unwrap();
    assert!(edge >= "2026-01-31T00:00:00Z".parse().unwrap());
    assert_eq!(signs_around(&mut world, edge), [false, true, true]);
}

#[test]
fn sets_of_one_age_rotate_within_a_twentieth_of_the_interval_and_within_an_hour() {
    for (interval, most) in [("1h", 180), ("10h", 1800), ("20h", 3600), ("720h", 3600)] {
        let spec = json!({"algorithm": "ES256", "tokens": {"maxLifetime": "1h"}, "rotation": {"interval": interval}});
        let contract = Contract::new(&serde_json::from_value(spec).unwrap());
        let late: Vec<i64> = (0..200)
            .map(|number| {
                let due = contract.due(RotationMode::Interval, &format!("uid-{number}"), Timestamp::UNIX_EPOCH);
                (due.unwrap() - contract.interval).duration_since(Timestamp::UNIX_EPOCH).as_secs()
            })
            .collect();
        assert!(late.iter().all(|late| (0..most).contains(late)), "{interval}: {late:?}");
        assert!(late.iter().max() > Some(&(most * 9 / 10)), "{interval}: they spread over all of it");
    }
}

#[test]
fn a_future_request_waits_for_its_time() {
    let mut world = fresh();
    let edge = world.after("72h");
    world.edit(|spec| spec.rotation.after = Some(edge));
    assert_eq!(signs_around(&mut world, edge), [false, true, true]);
    // It is acknowledged, and never acts again.
    assert!(world.key_set.status.last_rotation.as_ref().unwrap().time >= edge);
    world.run_for("200h");
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"));
}

#[test]
fn guard_2_lets_a_key_leave_when_its_last_token_has_expired() {
    let mut world = fresh();
    world.edit(|spec| spec.rotation.after = Some("2026-01-01T00:00:10Z".parse().unwrap()));
    world.run_for("25h");
    let retired = world.key(1).lifecycle.retirement_time.unwrap();
    // L + T + S + M = 10m + 1h + 5m + 24h
    let edge = retired + SignedDuration::from_mins(10 + 60 + 5 + 24 * 60);
    let published = [-1, 0, 1].map(|offset| {
        world.advance_to(edge + SignedDuration::from_secs(offset));
        world.settle();
        world.set().unwrap().len()
    });
    assert_eq!(published, [3, 2, 2]);
}

#[test]
fn the_private_half_outlives_the_rollback_window_by_nothing() {
    let mut world = fresh();
    world.edit(|spec| spec.rotation.after = Some("2026-01-01T00:00:10Z".parse().unwrap()));
    world.run_for("24h5m");
    let edge = world.key(1).lifecycle.retirement_time.unwrap() + SignedDuration::from_hours(1);
    let stored = [-1, 0, 1].map(|offset| {
        world.advance_to(edge + SignedDuration::from_secs(offset));
        world.settle();
        matches!(world.key(1).private, crate::lifecycle::PrivateHalf::Stored(_))
    });
    assert_eq!(stored, [true, false, false]);
}

#[test]
fn a_pass_older_than_thirty_seconds_moves_nothing() {
    let mut world = fresh();
    world.edit(|spec| spec.rotation.after = Some("2026-01-01T00:00:10Z".parse().unwrap()));
    world.advance_to(world.after("25h"));
    let mut observed = world.observe();
    let switches = |observed: &_, age| {
        crate::lifecycle::plan(observed, world.now + SignedDuration::from_secs(age))
            .effects
            .iter()
            .any(|effect| matches!(effect, Effect::WriteSigner { .. }))
    };
    assert_eq!([29, 30, 31].map(|age| switches(&observed, age)), [true, true, false]);
    observed.pass = None;
    assert!(!switches(&observed, 0));
}

#[test]
fn one_silent_replica_blocks_the_switch_and_the_removal() {
    let mut world = fresh();
    world.edit(|spec| spec.rotation.after = Some("2026-01-01T00:00:10Z".parse().unwrap()));
    world.servers[1].answers = false;
    world.run_for("48h");
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"));
    assert_eq!(world.condition("RotationOverdue").as_deref(), Some("True/VisibilityLost"));
    world.servers[1].answers = true;
    world.run_for("10s");
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"));
    world.servers[1].answers = false;
    world.run_for("48h");
    assert_eq!(world.set().unwrap().len(), 3);
    world.servers[1].answers = true;
    world.run_for("10s");
    assert_eq!(world.set().unwrap().len(), 2);
}

#[test]
fn a_replica_without_the_standby_starts_its_wait_anew() {
    let mut world = fresh();
    world.run_for("20h");
    let (revision, set) = world.servers[1].served.clone().unwrap();
    let without = set.keys().iter().filter(|jwk| Some(jwk.kid()) != world.key(2).kid()).cloned().collect();
    world.servers[1].follows = false;
    world.servers[1].served = Some((revision, crate::jose::JwkSet::new(without).unwrap()));
    world.serve();
    world.settle();
    assert_eq!(world.key_set.status.keys[1].visible_time, None);
    world.servers[1].follows = true;
    world.run_for("10s");
    assert!(world.key_set.status.keys[1].visible_time.unwrap() > world.now - SignedDuration::from_secs(10));
}

#[test]
fn a_loss_of_evidence_is_stored_before_a_repair_hides_it() {
    for restarted in [false, true] {
        let mut world = fresh();
        world.run_for("20h");
        let visible = |world: &World| world.key_set.status.keys[1].visible_time;
        let before = visible(&world).unwrap();
        let standby = world.key(2).kid().unwrap().clone();
        let (revision, set) = world.servers[1].served.clone().unwrap();
        let without = set.keys().iter().filter(|jwk| *jwk.kid() != standby).cloned().collect();
        world.servers[1].follows = false;
        world.servers[1].served = Some((revision, crate::jose::JwkSet::new(without).unwrap()));
        world.serve();
        // It answered without the key, and has it again or has not.
        if restarted {
            world.servers[1].served = Some((revision, set));
        }
        let lacked = world.now;
        world.advance_to(world.after("10s"));
        world.published = Published::Absent;
        assert_eq!(world.plan().effects, [Effect::RecordStatus]);
        world.settle_within(1);
        assert_eq!(visible(&world), restarted.then_some(lacked));
        assert!(lacked > before);
    }
}

#[test]
fn a_suspended_set_only_repairs() {
    let mut world = fresh();
    world.edit(|spec| {
        spec.rotation.mode = RotationMode::Suspended;
        spec.rotation.after = Some("2026-01-01T00:00:10Z".parse().unwrap());
    });
    world.run_for("900h");
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"));
    assert_eq!(world.condition("RotationOverdue").as_deref(), Some("True/Suspended"));
    world.signer = Signer::Absent;
    world.settle();
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"));
    world.edit(|spec| spec.rotation.mode = RotationMode::Interval);
    world.run_for("10s");
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"));
}

#[test]
fn an_untrusted_clock_moves_nothing_forward() {
    let mut world = fresh();
    world.edit(|spec| spec.rotation.after = Some("2026-01-01T00:00:10Z".parse().unwrap()));
    world.clock = Clock::Untrusted("3 days ahead of the API server".to_owned());
    world.run_for("48h");
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"));
    assert_eq!(world.condition("ClockUntrusted").as_deref(), Some("True/ClockUntrusted"));
    world.clock = Clock::Trusted;
    world.run_for("10s");
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"));
}

#[test]
fn the_first_key_waits_where_verifiers_exist_already() {
    let spec = json!({
        "algorithm": "ES256", "tokens": {"maxLifetime": "1h"}, "rotation": {"firstKey": "AfterCacheAge"},
    });
    let mut world = World::new(&spec);
    world.run_for("24h4m");
    assert_eq!(world.signing_name(), None);
    assert_eq!(world.condition("Ready").as_deref(), Some("False/Bootstrapping"));
    world.run_for("1m");
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"));
}

#[test]
fn nothing_is_made_while_the_first_key_is_to_be_imported() {
    let spec = json!({
        "algorithm": "ES256", "tokens": {"maxLifetime": "1h"}, "rotation": {"firstKey": "WaitForImport"},
    });
    let mut world = World::new(&spec);
    world.run_for("100h");
    assert!(world.keys.is_empty());
}

#[test]
fn assumed_visibility_waits_for_the_publication_delay() {
    let spec = json!({
        "algorithm": "ES256", "tokens": {"maxLifetime": "1h"}, "publication": {"visibility": "Assumed"},
    });
    let mut world = World::new(&spec);
    world.servers.clear();
    world.run_for("4m59s");
    assert_eq!(world.signing_name(), None);
    world.run_for("1s");
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"));
    let standby = world.key_set.status.keys[1].clone();
    assert_eq!(
        standby.earliest_activation_time.unwrap(),
        standby.publish_time.unwrap() + SignedDuration::from_mins(5 + 24 * 60 + 5)
    );
}

#[test]
fn a_raised_lifetime_moves_the_promise_later_and_a_lowered_one_never_earlier() {
    let mut world = fresh();
    world.edit(|spec| spec.tokens.max_lifetime = "100h".parse().unwrap());
    world.run_for("26h");
    world.edit(|spec| {
        spec.tokens.max_lifetime = "1h".parse().unwrap();
        spec.rotation.after = Some("2026-01-01T01:00:00Z".parse().unwrap());
    });
    world.run_for("10s");
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"));
    let ledger = &world.key(1).lifecycle;
    let kept = ledger.earliest_removal_time.unwrap().duration_since(ledger.retirement_time.unwrap());
    assert_eq!(kept, SignedDuration::from_mins(10 + 100 * 60 + 5 + 24 * 60));
}

#[test]
fn nothing_begins_before_every_replica_said_that_it_never_served_the_set() {
    let mut world = World::at_defaults();
    world.servers[1].answers = false;
    world.run_for("1h");
    assert!(world.keys.is_empty());
    assert_eq!(world.condition("Ready").as_deref(), Some("False/Bootstrapping"));
    assert_eq!(world.key_set.status.observed_uid, None);
    world.servers[1].answers = true;
    world.run_for("2s");
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"));
}

#[test]
fn revision_1_is_claimed_where_nothing_of_that_name_is_found() {
    type Trace = fn(&mut World, World);
    let traces: [(Trace, Option<i64>); 7] = [
        (|_, _| {}, Some(1)),
        (|world, old| world.servers = old.servers, None),
        (|world, old| world.keys = old.keys, None),
        (|world, old| world.undecodable.push(old.keys[0].name.clone()), None),
        (
            |world, old| {
                let jwk = old.keys[0].jwk.clone().unwrap();
                world.strays.push(Stray { sequence: 1, jwk, entry_name: None });
            },
            None,
        ),
        (|world, old| world.signer = old.signer, None),
        (|world, old| world.published = old.published, None),
    ];
    for (number, (leave, expected)) in traces.into_iter().enumerate() {
        let mut world = World::at_defaults();
        leave(&mut world, fresh());
        assert_eq!(world.plan().status.publication.unwrap().revision, expected, "{number}");
    }
}

#[test]
fn a_first_key_waits_where_a_replica_remembers_a_set_of_that_name() {
    let mut world = World::at_defaults();
    let gone = crate::jose::JwkSet::new(vec![World::jwk(crate::jose::Algorithm::ES256, 99)]).unwrap();
    world.servers[0].served = Some((7, gone));
    world.run_for("24h");
    assert_eq!(world.signing_name(), None);
    assert_eq!(world.key_set.status.publication.as_ref().unwrap().revision, Some(8));
    world.run_for("6m");
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"));
    assert_eq!(world.condition("UnknownKeyIDWindow"), None);
}

#[test]
fn a_wait_does_not_begin_by_a_clock_that_is_behind() {
    let mut world = World::at_defaults();
    for server in &mut world.servers {
        server.follows = false;
    }
    world.run_for("1m");
    let truth = world.now;
    world.clock = Clock::Untrusted("3 days behind the API server".to_owned());
    world.now = truth - SignedDuration::from_hours(72);
    for server in &mut world.servers {
        server.follows = true;
    }
    world.serve();
    world.settle();
    assert!(world.key_set.status.keys.iter().all(|key| key.visible_time.is_none()));
    world.now = truth;
    world.clock = Clock::Trusted;
    world.run_for("1s");
    let standby = world.key_set.status.keys[1].clone();
    assert!(standby.visible_time.unwrap() >= truth, "{standby:?}");
}

#[test]
fn a_wait_does_not_begin_while_another_document_is_published_than_was_decided() {
    let mut world = fresh();
    world
        .key_set
        .status
        .keys
        .iter_mut()
        .for_each(|key| (key.visible_time, key.earliest_activation_time) = (None, None));
    let Published::Ours(content) = &mut world.published else { panic!("nothing is published") };
    let decided = content.digest.clone();
    // Every replica serves the key; what was decided last is still to be written.
    content.digest = Some(Digest::of("before"));
    let seen = |world: &World| world.plan().status.keys.iter().map(|key| key.visible_time).collect::<Vec<_>>();
    assert_eq!(seen(&world), [None, None]);
    let Published::Ours(content) = &mut world.published else { panic!("nothing is published") };
    content.digest = decided;
    assert_eq!(seen(&world), [Some(world.now), Some(world.now)]);
}
