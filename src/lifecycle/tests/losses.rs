//! What is lost together is told apart from what never was: promises outlive the objects that made them.

use jiff::SignedDuration;

use super::world::World;
use super::worlds::steady;
use crate::api::{RevocationMode, RevokedKey};
use crate::lifecycle::{Contract, Effect, PrivateHalf, Published, Signer, SignerContent};

#[test]
fn a_lost_standby_is_replaced_and_leaves_as_late_as_if_it_had_signed_until_now() {
    let mut world = steady();
    world.key_mut(2).private = PrivateHalf::Absent;
    world.run_for("1m");
    let promised = world.now - SignedDuration::from_mins(1) + Contract::new(&world.key_set.spec).retention();
    assert_eq!(world.key(2).lifecycle.earliest_removal_time, Some(promised));
    assert!(matches!(world.key(3).private, PrivateHalf::Stored(_)));
    world.run_until(promised - SignedDuration::from_secs(1));
    assert!(!world.key(2).is_over());
    world.run_until(promised);
    assert!(world.key(2).is_over());
    world.run_for("800h");
    assert_eq!(world.signing_name().as_deref(), Some("pay-3"));
}

#[test]
fn a_standby_that_is_revoked_while_the_active_key_is_lost_everywhere_makes_room_for_a_third() {
    let mut world = steady();
    world.key_mut(1).private = PrivateHalf::Absent;
    let Signer::Ours(signer) = &mut world.signer else { panic!("no signer") };
    signer.content = SignerContent::Damaged;
    let standby = world.key(2).kid().unwrap().clone();
    world
        .edit(|spec| spec.revoked_keys.push(RevokedKey { key_id: standby.clone(), mode: RevocationMode::AfterSwitch }));
    world.run_for("1m");
    assert_eq!(world.signing_name().as_deref(), Some("pay-3"));
    assert!(world.key(2).is_revoked() && world.key(2).private == PrivateHalf::Absent);
    let Signer::Ours(signer) = &world.signer else { panic!("no signer") };
    assert!(signer.barred.contains(&standby), "the switch bars it");
}

#[test]
fn a_switch_that_is_lost_with_its_key_before_it_is_recorded_keeps_its_tokens_verifiable() {
    let mut world = steady();
    let now = world.now;
    world.edit(|spec| spec.rotation.after = Some(now));
    let flips = |effect: &Effect| matches!(effect, Effect::WriteSigner { .. });
    for _ in 0..9 {
        if world.plan().effects.iter().any(flips) {
            break;
        }
        world.settle_within(1);
    }
    world.settle_within(1);
    assert_eq!(world.activations.len(), 2);
    assert!(world.key(2).is_staged(), "the record is still to come");
    world.key_mut(2).private = PrivateHalf::Absent;
    world.signer = Signer::Absent;
    let promised = world.now + Contract::new(&world.key_set.spec).retention();
    world.run_until(promised - SignedDuration::from_secs(1));
    assert!(world.set().unwrap().contains(world.key(2).kid().unwrap()), "its tokens may be in use");
    world.run_until(promised);
    assert!(!world.set().unwrap().contains(world.key(2).kid().unwrap()));
}

#[test]
fn a_record_that_is_lost_with_the_signer_secret_retires_when_signers_get_another_key() {
    let mut world = steady();
    world.keys.retain(|key| key.sequence != 1);
    world.signer = Signer::Absent;
    world.settle_within(1);
    assert!(world.key(1).is_retired(), "adopted");
    let switched = world.after("1h");
    world.advance_to(switched);
    world.settle();
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"));
    assert_eq!(world.key(1).lifecycle.retirement_time, Some(switched));
    assert!(
        world.key(1).lifecycle.earliest_removal_time >= Some(switched + Contract::new(&world.key_set.spec).retention())
    );
}

#[test]
fn a_record_that_is_lost_with_the_status_stays_published_because_servers_know_it() {
    let mut world = steady();
    let now = world.now;
    world.edit(|spec| spec.rotation.after = Some(now));
    world.run_for("25h");
    assert_eq!((world.signing_name().as_deref(), &world.key(1).private), (Some("pay-2"), &PrivateHalf::Absent));
    let kid = world.key(1).kid().unwrap().clone();
    world.keys.retain(|key| key.sequence != 1);
    world.key_set.status = crate::api::KeySetStatus::default();
    world.run_for("1m");
    assert!(world.set().unwrap().contains(&kid));
    assert!(world.keys.iter().any(|key| key.kid() == Some(&kid) && key.is_retired()));
}

#[test]
fn a_document_that_nobody_serves_is_not_believed_when_the_status_is_lost() {
    let mut world = steady();
    let intruder = World::jwk(crate::jose::Algorithm::ES256, 99);
    let Published::Ours(content) = &mut world.published else { panic!() };
    let forged = crate::jose::JwkSet::new(vec![intruder.clone()]).unwrap();
    content.digest = Some(crate::jose::Digest::of(forged.to_json().as_bytes()));
    content.set = Some(forged);
    world.key_set.status = crate::api::KeySetStatus::default();
    world.settle();
    assert!(!world.set().unwrap().contains(intruder.kid()));
    assert_eq!(world.set().unwrap().len(), 2);
}

#[test]
fn with_both_halves_of_the_signing_key_lost_the_standby_takes_over() {
    let mut world = steady();
    world.key_mut(1).private = PrivateHalf::Absent;
    world.signer = Signer::Absent;
    world.settle();
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"));
    assert_eq!(world.condition("UnknownKeyIDWindow"), None);
    assert!(world.key(1).is_retired());
}

#[test]
fn with_no_key_that_may_sign_the_newest_takes_over_and_the_window_is_told() {
    let mut world = World::at_defaults();
    world.settle();
    world.key_mut(1).private = PrivateHalf::Absent;
    world.signer = Signer::Absent;
    world.settle();
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"));
    assert_eq!(world.condition("UnknownKeyIDWindow").as_deref(), Some("True/KeyLost"));
    world.run_for("25h");
    assert_eq!(world.condition("UnknownKeyIDWindow"), None);
}
