//! What people are told, and how loudly: the table of `docs/conditions.md`.

use super::world::World;
use super::worlds;
use crate::api::{HeldKey, ImportedKey, RevocationMode, RevokedKey, RotationMode, SecretKeyRef};
use crate::jose::{Algorithm, Digest, JwkSet, KeyId};
use crate::lifecycle::{Clock, EventReason, Import, PrivateHalf, Published, Signer, SignerContent};

/// A set of which nothing is to be told any more.
fn steady() -> World {
    let mut world = worlds::steady();
    world.told.clear();
    world
}

/// What was told since the last call, as `reason key: note`.
fn told(world: &mut World) -> Vec<String> {
    let told = std::mem::take(&mut world.told);
    let key = |key: Option<String>| key.map_or_else(String::new, |key| format!(" {key}"));
    told.into_iter().map(|it| format!("{}{}: {}", it.reason.as_str(), key(it.key), it.note)).collect()
}

/// The reasons alone.
fn reasons(world: &mut World) -> Vec<EventReason> {
    std::mem::take(&mut world.told).into_iter().map(|it| it.reason).collect()
}

#[test]
fn a_new_set_tells_of_its_first_keys() {
    let mut world = World::at_defaults();
    world.run_for("30h");
    let kid = world.key(1).kid().unwrap().clone();
    assert_eq!(
        told(&mut world),
        [
            "KeyGenerated pay-1: Generated pay-1 (ES256).".to_owned(),
            "KeyGenerated pay-2: Generated pay-2 (ES256).".to_owned(),
            "KeyPublished pay-2: Published pay-2, pay-1.".to_owned(),
            format!("KeyActivated pay-1: pay-1 signs from now on (term 1, kid {kid})."),
            "StandbyReady: pay-2 may sign.".to_owned(),
        ]
    );
}

#[test]
fn a_rotation_has_six_events() {
    let mut world = steady();
    let (old, new) = (world.key(1).kid().unwrap().clone(), world.key(2).kid().unwrap().clone());
    world.run_for("800h");
    assert_eq!(
        told(&mut world),
        [
            format!("KeyActivated pay-2: pay-2 signs from now on (term 2, kid {new})."),
            "KeyGenerated pay-3: Generated pay-3 (ES256).".to_owned(),
            "KeyPublished pay-3: Published pay-3.".to_owned(),
            "PrivateKeyDestroyed pay-1: Destroyed the private half of pay-1.".to_owned(),
            "StandbyReady: pay-3 may sign.".to_owned(),
            format!("KeyRemoved: Took kid {old} out of the set."),
        ]
    );
}

#[test]
fn what_was_put_right_is_told_once() {
    type Accident = fn(&mut World);
    let accidents: [(Accident, &[&str]); 6] = [
        (
            |world| world.signer = Signer::Absent,
            &["ObjectRepaired pay-1: Wrote the Signer Secret again from the Key Secret of pay-1."],
        ),
        (
            |world| {
                let Signer::Ours(signer) = &mut world.signer else { panic!("no signer") };
                signer.content = SignerContent::Damaged;
            },
            &["ObjectRepaired pay-1: Wrote the Signer Secret again from the Key Secret of pay-1."],
        ),
        (
            |world| world.published = Published::Absent,
            &["ObjectRepaired: Wrote the JWKS ConfigMap again: it was not as published."],
        ),
        (
            |world| {
                let Published::Ours(content) = &mut world.published else { panic!("no set") };
                let intruder = JwkSet::new(vec![World::jwk(Algorithm::ES256, 99)]).unwrap();
                content.digest = Some(Digest::of(intruder.to_json().as_bytes()));
                content.set = Some(intruder);
            },
            &["ObjectRepaired: Wrote the JWKS ConfigMap again: it was not as published."],
        ),
        (
            |world| world.key_mut(1).private = PrivateHalf::Absent,
            &["ObjectRepaired pay-1: Wrote the lost Key Secret pay-1 again from the Signer Secret."],
        ),
        (
            |world| world.keys.retain(|key| key.sequence != 1),
            &[
                "ObjectRepaired pay-1: Wrote the lost SigningKey pay-1 again.",
                // The world takes the Key Secret of a record away with it.
                "ObjectRepaired pay-1: Wrote the lost Key Secret pay-1 again from the Signer Secret.",
            ],
        ),
    ];
    for (accident, expected) in accidents {
        let mut world = steady();
        accident(&mut world);
        world.settle();
        assert_eq!(told(&mut world), expected);
        world.run_for("1h");
        assert_eq!(told(&mut world), Vec::<String>::new(), "{expected:?}");
    }
}

#[test]
fn a_private_half_that_is_gone_before_its_time_is_told_once() {
    let mut world = steady();
    world.key_mut(2).private = PrivateHalf::Absent;
    world.settle();
    let lost = "KeyLost pay-2: The private half of pay-2 is gone before its time.".to_owned();
    assert_eq!(told(&mut world).iter().filter(|it| **it == lost).count(), 1);
    // The loss of another key is another event.
    world.key_mut(3).private = PrivateHalf::Absent;
    world.settle();
    let lost: Vec<_> = told(&mut world).into_iter().filter(|it| it.starts_with("KeyLost")).collect();
    assert_eq!(lost, ["KeyLost pay-3: The private half of pay-3 is gone before its time."]);
}

#[test]
fn a_revocation_tells_what_becomes_of_the_key() {
    let mut world = steady();
    let key_id = world.key(2).kid().unwrap().clone();
    world.edit(|spec| spec.revoked_keys.push(RevokedKey { key_id: key_id.clone(), mode: RevocationMode::AfterSwitch }));
    world.settle();
    assert_eq!(
        told(&mut world),
        [
            "KeyRevoked pay-2: Revoked pay-2: it never signs again.".to_owned(),
            "PrivateKeyDestroyed pay-2: Destroyed the private half of pay-2.".to_owned(),
            format!("KeyRemoved: Took kid {key_id} out of the set."),
            "KeyGenerated pay-3: Generated pay-3 (ES256).".to_owned(),
            "KeyPublished pay-3: Published pay-3.".to_owned(),
        ]
    );
}

#[test]
fn keys_that_users_bring_are_told_by_where_they_come_from() {
    let mut world = steady();
    let secret_ref = SecretKeyRef { name: "old".to_owned(), key: "tls.key".to_owned() };
    let jwk = World::jwk(Algorithm::ES256, 77);
    world.edit(|spec| {
        spec.imported_keys.push(ImportedKey { name: "legacy".to_owned(), secret_ref, algorithm: None, key_id: None });
    });
    world.imports.push(Import { entry_name: "legacy".to_owned(), key: Ok(jwk) });
    world.settle();
    assert_eq!(
        told(&mut world),
        [
            "KeyImported pay-3: Took pay-3 over from tls.key of Secret old (entry legacy).",
            "KeyPublished pay-3: Published pay-3.",
        ]
    );
    worlds::announce(&mut world, "dex", None);
    world.settle();
    assert_eq!(told(&mut world), ["KeyPublished pay-4: Published pay-4."]);
}

#[test]
fn what_a_person_must_look_at_is_told_when_it_begins() {
    type Trouble = fn(&mut World);
    let troubles: [(Trouble, EventReason); 5] = [
        (|world| world.signer = Signer::Foreign, EventReason::NameConflict),
        (
            |world| {
                let pinned = KeyId::try_from("stranger").unwrap();
                world.edit(|spec| spec.rotation.pinned_key_id = Some(pinned));
            },
            EventReason::NotAccepted,
        ),
        (
            |world| {
                let held = HeldKey { key_id: KeyId::try_from("stranger").unwrap() };
                world.edit(|spec| spec.held_keys.push(held));
            },
            EventReason::UnknownKeyId,
        ),
        (
            |world| {
                let now = world.now;
                world.edit(|spec| {
                    spec.rotation.mode = RotationMode::Suspended;
                    spec.rotation.after = Some(now);
                });
            },
            EventReason::RotationOverdue,
        ),
        (|world| world.clock = Clock::Untrusted("jumped".to_owned()), EventReason::ClockUntrusted),
    ];
    for (trouble, expected) in troubles {
        let mut world = steady();
        trouble(&mut world);
        world.settle();
        world.run_for("10m");
        assert_eq!(reasons(&mut world), [expected]);
        world.run_for("1h");
        assert_eq!(reasons(&mut world), [], "{expected:?} is told once");
    }
}

#[test]
fn a_replica_that_loses_the_active_key_is_told_after_the_delay_and_a_new_set_is_no_loss() {
    let mut world = steady();
    world.servers[1].answers = false;
    world.run_for("4m");
    assert_eq!(reasons(&mut world), []);
    world.run_for("2m");
    assert_eq!(reasons(&mut world), [EventReason::VisibilityLost]);
    world.servers[1].answers = true;
    world.run_for("1m");
    assert_eq!(reasons(&mut world), []);
    let mut world = World::at_defaults();
    for server in &mut world.servers {
        server.follows = false;
    }
    world.run_for("1m");
    assert_eq!(reasons(&mut world), [EventReason::KeyGenerated, EventReason::KeyGenerated, EventReason::KeyPublished]);
}

#[test]
fn every_event_has_a_word_for_programs_and_is_a_warning_if_people_must_look() {
    use EventReason as It;
    for (reason, word, is_warning) in [
        (It::KeyGenerated, "KeyGenerated", false),
        (It::KeyImported, "KeyImported", false),
        (It::KeyPublished, "KeyPublished", false),
        (It::StandbyReady, "StandbyReady", false),
        (It::KeyActivated, "KeyActivated", false),
        (It::PrivateKeyDestroyed, "PrivateKeyDestroyed", false),
        (It::KeyRemoved, "KeyRemoved", false),
        (It::KeyRevoked, "KeyRevoked", false),
        (It::NameConflict, "NameConflict", true),
        (It::NotAccepted, "NotAccepted", true),
        (It::UnknownKeyId, "UnknownKeyID", true),
        (It::KeyLost, "KeyLost", true),
        (It::ObjectRepaired, "ObjectRepaired", true),
        (It::VisibilityLost, "VisibilityLost", true),
        (It::RotationOverdue, "RotationOverdue", true),
        (It::ClockUntrusted, "ClockUntrusted", true),
        (It::UnknownValue, "UnknownValue", true),
    ] {
        assert_eq!((reason.as_str(), reason.is_warning()), (word, is_warning));
    }
}
