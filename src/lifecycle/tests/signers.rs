//! Who signs: what the Signer Secret records, who may take over, and how many keys a set may hold.

use jiff::SignedDuration;

use super::world::World;
use super::worlds::{kid, on_request, revoke};
use crate::api::{
    FileFormat, ImportedKey, Origin, RevocationMode, RotationMode, RotationReason, SecretKeyRef, SignerFile,
};
use crate::jose::Algorithm;
use crate::lifecycle::{Import, Ownership, PrivateHalf, Signer, SignerContent, SignerSecret};

fn rotate(world: &mut World) {
    let now = world.now;
    let switches = world.activations.len();
    world.edit(|spec| spec.rotation.after = Some(now));
    world.settle();
    assert_eq!(world.activations.len(), switches + 1);
}

fn signer(world: &mut World) -> &mut SignerSecret {
    let Signer::Ours(signer) = &mut world.signer else { panic!("no signer") };
    signer
}

#[test]
fn a_signer_secret_that_is_written_again_says_what_it_said() {
    for switches in [0, 1, 2] {
        let mut world = on_request();
        for _ in 0..switches {
            rotate(&mut world);
            world.run_for("25h");
        }
        let before = signer(&mut world).clone();
        world.signer = Signer::Absent;
        world.settle();
        let after = signer(&mut world);
        assert_eq!((after.term, &after.key_id, &after.replaced), (before.term, &before.key_id, &before.replaced));
        assert_eq!((after.activation_time, after.reason), (before.activation_time, before.reason));
        assert_eq!(after.barred, before.barred, "after {switches} switches");
    }
}

#[test]
fn a_switch_that_the_status_does_not_tell_of_was_found() {
    let mut world = on_request();
    rotate(&mut world);
    "pay-9".clone_into(&mut world.key_set.status.last_rotation.as_mut().unwrap().key_name);
    world.signer = Signer::Absent;
    world.settle();
    assert_eq!(signer(&mut world).reason, RotationReason::Adopted);
}

#[test]
fn other_files_are_one_write_and_no_activation() {
    for (acknowledged, cause) in [(false, "Files"), (true, "Repair")] {
        let mut world = on_request();
        let before = signer(&mut world).clone();
        if !acknowledged {
            world.edit(|spec| spec.signers.files = vec![SignerFile { format: FileFormat::Sec1Pem, name: None }]);
        }
        signer(&mut world).content = SignerContent::OtherFiles;
        let (written, told) = (world.log.len(), world.told.len());
        world.settle();
        assert_eq!(world.log.len(), written + 1, "{:?}", &world.log[written..]);
        assert!(world.log[written].contains(cause), "{}", world.log[written]);
        // What the user asked for is no repair that people must hear of.
        assert_eq!(world.told.len() - told, usize::from(acknowledged));
        let after = signer(&mut world).clone();
        assert_eq!(after, SignerSecret { fence: after.fence.clone(), ..before });
    }
}

#[test]
fn a_key_signs_and_is_rebuilt_from_a_signer_secret_with_other_files() {
    let mut world = on_request();
    let (before, switches) = (signer(&mut world).clone(), world.activations.len());
    signer(&mut world).content = SignerContent::OtherFiles;
    world.key_mut(1).private = PrivateHalf::Absent;
    world.settle();
    assert!(matches!(world.key(1).private, PrivateHalf::Stored(_)));
    assert_eq!((world.activations.len(), signer(&mut world).content), (switches, before.content));
}

#[test]
fn a_signer_secret_that_is_not_owned_as_wanted_is_written_again() {
    let mut world = on_request();
    signer(&mut world).ownership = Ownership::Differs;
    world.settle();
    assert_eq!(signer(&mut world).ownership, Ownership::AsWanted);
    // One whose key is over is not: another key takes its place.
    let mut world = World::at_defaults();
    world.settle();
    revoke(&mut world, 1, RevocationMode::AfterSwitch);
    world.settle();
    signer(&mut world).content = SignerContent::Damaged;
    let writes = world.log.len();
    world.settle_within(1);
    assert!(world.log[writes..].iter().all(|line| !line.contains("Repair")), "{:?}", &world.log[writes..]);
}

#[test]
fn the_lost_private_half_of_a_revoked_signing_key_is_not_made_again() {
    let mut world = World::at_defaults();
    world.settle();
    revoke(&mut world, 1, RevocationMode::AfterSwitch);
    world.settle();
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"), "the standby waits");
    world.key_mut(1).private = PrivateHalf::Absent;
    world.run_for("1h");
    assert_eq!(world.key(1).private, PrivateHalf::Absent);
}

#[test]
fn nobody_can_flip_to_what_is_barred_and_a_rollback_is_not() {
    let mut world = on_request();
    rotate(&mut world);
    // Inside the rollback window nothing is barred, also where the record is written anew.
    world.signer = Signer::Absent;
    world.settle();
    assert_eq!(signer(&mut world).barred.len(), 0);
    world.run_for("2h");
    let first = kid(&world, 1);
    assert_eq!(signer(&mut world).barred, [first.clone()].into());
    // A bar stands over the next switch, and as long as its key can come back.
    world.run_for("24h");
    rotate(&mut world);
    assert_eq!(signer(&mut world).barred, [first.clone()].into());
    let second = kid(&world, 2);
    signer(&mut world).barred.insert(second.clone());
    world.run_for("24h10m");
    let private = world.key(2).private.clone();
    assert_eq!(private, PrivateHalf::Absent);
    rotate(&mut world);
    assert!(signer(&mut world).barred.contains(&second));
}

#[test]
fn a_bar_stands_over_a_switch_although_its_key_is_not_destroyed_yet() {
    let mut world = on_request();
    rotate(&mut world);
    let first = kid(&world, 1);
    signer(&mut world).barred.insert(first.clone());
    world.edit(|spec| spec.rotation.rollback_window = "100h".parse().unwrap());
    world.run_for("24h10m");
    rotate(&mut world);
    assert!(matches!(world.key(1).private, PrivateHalf::Stored(_)));
    assert!(signer(&mut world).barred.contains(&first));
}

#[test]
fn a_request_for_the_time_of_the_switch_is_answered_by_it() {
    for (offset, expected) in [(0, "pay-2"), (1, "pay-3")] {
        let mut world = on_request();
        rotate(&mut world);
        let after = world.key(2).lifecycle.activation_time.unwrap() + SignedDuration::from_secs(offset);
        world.edit(|spec| spec.rotation.after = Some(after));
        world.run_for("30h");
        assert_eq!(world.signing_name().as_deref(), Some(expected), "{offset}");
    }
}

#[test]
fn it_is_the_switch_that_answers_a_request_and_not_its_record() {
    let mut world = on_request();
    let switched = world.now;
    world.edit(|spec| spec.rotation.after = Some(switched));
    world.settle_within(1);
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"));
    // Nobody is in control for an hour.
    world.advance_to(world.after("1h"));
    world.settle();
    assert!(world.key(2).lifecycle.activation_time.unwrap() > switched + SignedDuration::from_mins(30));
    world.edit(|spec| spec.rotation.after = Some(switched + SignedDuration::from_mins(30)));
    world.run_for("30h");
    assert_eq!(world.signing_name().as_deref(), Some("pay-3"));
}

#[test]
fn a_roll_back_needs_a_promise_that_outlives_the_skew() {
    // S = 5m before the promise of key 1 ends.
    for (offset, expected) in [(-1, "pay-1"), (0, "pay-2")] {
        let mut world = on_request();
        world.edit(|spec| spec.rotation.rollback_window = "100h".parse().unwrap());
        rotate(&mut world);
        let edge = world.key(1).lifecycle.earliest_removal_time.unwrap() - SignedDuration::from_mins(5);
        // A standby that may not sign yet.
        world.advance_to(edge - SignedDuration::from_hours(1));
        revoke(&mut world, 3, RevocationMode::AfterSwitch);
        world.settle();
        world.advance_to(edge + SignedDuration::from_secs(offset));
        revoke(&mut world, 2, RevocationMode::AfterSwitch);
        world.settle();
        assert_eq!(world.signing_name().as_deref(), Some(expected), "{offset}");
    }
}

#[test]
fn an_emergency_prefers_a_key_that_every_verifier_knows() {
    // The standby was published when key 2 took over.
    for lost in [false, true] {
        let mut world = on_request();
        rotate(&mut world);
        if lost {
            world.signer = Signer::Absent;
            world.key_mut(2).private = PrivateHalf::Absent;
        } else {
            revoke(&mut world, 2, RevocationMode::ForceSwitch);
        }
        world.settle();
        assert_eq!(world.signing_name().as_deref(), Some("pay-1"), "{lost}");
        assert_eq!(world.condition("UnknownKeyIDWindow"), None);
    }
}

#[test]
fn nothing_is_rolled_back_to_a_key_whose_private_half_is_destroyed() {
    let mut world = on_request();
    rotate(&mut world);
    world.run_for("2h");
    revoke(&mut world, 2, RevocationMode::AfterSwitch);
    world.settle();
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"));
    world.run_for("23h");
    assert_eq!(world.signing_name().as_deref(), Some("pay-3"));
}

#[test]
fn a_set_holds_sixteen_keys_of_its_own_and_says_when_it_is_full() {
    let mut world = on_request();
    for seed in 0..14 {
        let name = format!("legacy-{seed}");
        let secret_ref = SecretKeyRef { name: "old".to_owned(), key: "tls.key".to_owned() };
        let entry = ImportedKey { name: name.clone(), secret_ref, algorithm: None, key_id: None };
        world.edit(|spec| spec.imported_keys.push(entry));
        world.imports.push(Import { entry_name: name, key: Ok(World::jwk(Algorithm::ES256, 100 + seed)) });
    }
    world.settle();
    assert_eq!(world.set().unwrap().len(), 16);
    let standby = |world: &World| {
        let conditions = &world.key_set.status.conditions;
        conditions.iter().find(|it| it.r#type == "StandbyReady").unwrap().message.clone()
    };
    world.edit(|spec| spec.algorithm = Algorithm::EdDSA);
    world.settle();
    assert_eq!(world.set().unwrap().len(), 16);
    assert_eq!(standby(&world), "The set is full: no standby is made before a retired key leaves.");
    // One leaves, and one is made.
    revoke(&mut world, 2, RevocationMode::AfterSwitch);
    world.settle();
    assert_eq!(world.set().unwrap().len(), 16);
    assert!(standby(&world).contains("may sign from"), "{}", standby(&world));
    assert_eq!(world.keys.iter().filter(|key| key.origin == Origin::Imported).count(), 14);
}

#[test]
fn a_suspended_set_without_a_standby_says_that_one_is_being_made() {
    let mut world = on_request();
    world.edit(|spec| {
        spec.rotation.mode = RotationMode::Suspended;
        spec.algorithm = Algorithm::EdDSA;
    });
    world.settle();
    let conditions = &world.key_set.status.conditions;
    let told = conditions.iter().find(|it| it.r#type == "StandbyReady").unwrap();
    assert_eq!(told.message, "The standby is being made.");
}
