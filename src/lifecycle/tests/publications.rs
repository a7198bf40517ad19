//! The accept pair and the document: what may be served, and when it is written again.

use jiff::SignedDuration;
use serde_json::json;

use super::world::World;
use super::worlds::{announce, steady};
use crate::api::{ImportedKey, PublicationStatus, RevocationMode, RevokedKey, SecretKeyRef};
use crate::jose::{Algorithm, Digest, JwkSet, PublicJwk};
use crate::lifecycle::{ConfigMapContent, Effect, Key, Ownership, PrivateHalf, Published, Signer};

fn publication(world: &World) -> PublicationStatus {
    world.plan().status.publication.unwrap()
}

fn document(world: &mut World) -> &mut ConfigMapContent {
    let Published::Ours(document) = &mut world.published else { panic!("no set") };
    document
}

fn digest(world: &World) -> Digest {
    Digest::of(world.set().unwrap().to_json().as_bytes())
}

/// Steps until the next set is accepted, and not written yet.
fn accept(world: &mut World) {
    for _ in 0..20 {
        if matches!(world.plan().effects.as_slice(), [Effect::ApplyConfigMap { .. }]) {
            return;
        }
        world.settle_within(1);
    }
    panic!("nothing is published");
}

#[test]
fn the_status_names_the_config_map_and_counts_its_keys() {
    let mut world = World::at_defaults();
    let told = publication(&world);
    assert_eq!((told.config_map_name.as_deref(), told.key_count), (Some("pay-jwks"), Some(0)));
    world.run_for("30h");
    // Whatever was stored.
    let stored = world.key_set.status.publication.as_mut().unwrap();
    (stored.config_map_name, stored.key_count) = (None, None);
    let told = publication(&world);
    assert_eq!((told.config_map_name.as_deref(), told.key_count), (Some("pay-jwks"), Some(2)));
    announce(&mut world, "dex", None);
    world.settle();
    let told = publication(&world);
    assert_eq!((told.config_map_name.as_deref(), told.key_count), (Some("pay-jwks"), Some(3)));
    // A set that is claimed and has nothing to publish.
    let mut world = World::new(&json!({
        "algorithm": "ES256", "tokens": {"maxLifetime": "1h"}, "rotation": {"firstKey": "WaitForImport"},
    }));
    world.settle();
    world.key_set.status.publication.as_mut().unwrap().config_map_name = None;
    assert_eq!(publication(&world).config_map_name.as_deref(), Some("pay-jwks"));
}

#[test]
fn what_was_accepted_before_stays_accepted_until_the_document_is_written() {
    let mut world = steady();
    let before = digest(&world);
    announce(&mut world, "dex", None);
    accept(&mut world);
    let stored = world.key_set.status.publication.clone().unwrap();
    assert_eq!(stored.previous_digests, std::slice::from_ref(&before));
    assert_ne!(stored.digest.as_ref(), Some(&before));
    // A controller that dies here finds it so.
    assert_eq!(publication(&world), stored);
    // It is forgotten with the next write that is due anyway.
    world.settle();
    world.edit(|spec| spec.retention.history_limit += 1);
    world.settle();
    assert_eq!(world.key_set.status.publication.as_ref().unwrap().previous_digests, []);
}

#[test]
fn a_document_that_is_published_again_is_not_one_of_before() {
    let mut world = steady();
    let first = digest(&world);
    announce(&mut world, "dex", None);
    world.settle();
    let second = digest(&world);
    let key_id = world.key(3).kid().unwrap().clone();
    world.edit(|spec| spec.revoked_keys.push(RevokedKey { key_id, mode: RevocationMode::Immediate }));
    accept(&mut world);
    let stored = world.key_set.status.publication.as_ref().unwrap();
    assert_eq!(stored.digest.as_ref(), Some(&first));
    assert_eq!(stored.previous_digests, [second]);
}

#[test]
fn a_document_that_is_not_as_it_should_be_is_written_again_as_it_was() {
    type Change = fn(&mut World);
    let changes: [(Change, bool); 5] = [
        (|_| {}, false),
        (|world| document(world).revision = Some(99), true),
        (|world| document(world).revision = None, true),
        (|world| document(world).ownership = Ownership::Differs, true),
        (|world| document(world).digest = None, true),
    ];
    for (number, (change, expected)) in changes.into_iter().enumerate() {
        let mut world = steady();
        let (before, stored) = (digest(&world), world.key_set.status.publication.clone());
        change(&mut world);
        assert_eq!(!world.plan().effects.is_empty(), expected, "{number}");
        world.settle();
        assert_eq!(world.plan().effects, []);
        assert_eq!((digest(&world), world.key_set.status.publication.clone()), (before, stored), "{number}");
    }
}

#[test]
fn a_revision_is_above_every_one_that_anybody_remembers() {
    // Of the status, of the document, of a replica.
    for (status, annotated, served, expected) in
        [(50, 1, 1, 51), (1, 60, 1, 61), (1, 1, 70, 71), (50, 60, 70, 71), (3, 2, 1, 4)]
    {
        let mut world = steady();
        world.key_set.status.publication.as_mut().unwrap().revision = Some(status);
        document(&mut world).revision = Some(annotated);
        for server in &mut world.servers {
            server.served.as_mut().unwrap().0 = served;
        }
        announce(&mut world, "dex", None);
        world.settle();
        let stored = world.key_set.status.publication.as_ref().unwrap();
        assert_eq!(stored.revision, Some(expected), "{status} {annotated} {served}");
    }
}

#[test]
fn the_first_document_has_revision_1_unless_a_replica_has_served_one() {
    let mut world = World::at_defaults();
    // The claim.
    world.settle_within(1);
    assert_eq!(world.key_set.status.publication.as_ref().unwrap().revision, Some(1));
    let served = JwkSet::new(vec![World::jwk(Algorithm::ES256, 99)]).unwrap();
    for (remembered, expected) in [(false, Some(1)), (true, Some(5))] {
        let mut world = World::at_defaults();
        world.settle_within(1);
        if remembered {
            world.servers[0].served = Some((4, served.clone()));
        }
        world.settle();
        assert_eq!(world.key_set.status.publication.as_ref().unwrap().revision, expected);
    }
    // Revision 1 is not given to a second document.
    let mut world = steady();
    assert_eq!(world.key_set.status.publication.as_ref().unwrap().revision, Some(1));
    for server in &mut world.servers {
        server.follows = false;
        server.served = None;
    }
    announce(&mut world, "dex", None);
    world.settle();
    assert_eq!(world.key_set.status.publication.as_ref().unwrap().revision, Some(2));
}

/// Another record, of a key that is not in the set.
fn record(world: &World, jwk: &PublicJwk) -> Key {
    Key {
        name: "pay-9".to_owned(),
        sequence: 9,
        jwk: Some(jwk.clone()),
        private: PrivateHalf::Absent,
        status: None,
        ..world.key(2).clone()
    }
}

#[test]
fn a_record_adds_its_key_only_if_we_can_have_made_it() {
    let stranger = World::jwk(Algorithm::ES256, 99);
    let publishes = |change: &dyn Fn(&mut World, &mut Key)| {
        let mut world = steady();
        let mut key = record(&world, &stranger);
        change(&mut world, &mut key);
        world.keys.push(key);
        let kid = world.keys.last().unwrap().kid().unwrap().clone();
        world.settle();
        world.set().unwrap().contains(&kid)
    };
    assert!(!publishes(&|_, _| {}));
    // It has a Key Secret.
    assert!(publishes(&|world, key| key.private = PrivateHalf::Stored(world.fence())));
    // The status tells of it, or of another one.
    let told = |world: &mut World, seed| {
        let other = World::jwk(Algorithm::ES256, seed);
        let told = crate::api::KeyStatus {
            name: "pay-9".to_owned(),
            key_id: Some(other.kid().clone()),
            ..world.key_set.status.keys[1].clone()
        };
        world.key_set.status.keys.push(told);
    };
    assert!(publishes(&|world, _| told(world, 99)));
    assert!(!publishes(&|world, _| told(world, 98)));
    // An entry of the spec names it, and the record names the entry.
    let entry = |world: &mut World, key: &mut Key, name: &str| {
        announce(world, "dex", None);
        key.jwk = Some(world.key_set.spec.external_keys[0].jwk().unwrap());
        key.origin = crate::api::Origin::External;
        key.entry_name = Some(name.to_owned());
    };
    assert!(publishes(&|world, key| entry(world, key, "dex")));
    // Not by the record of an entry that nobody has.
    assert!(!publishes(&|_, key| {
        key.origin = crate::api::Origin::External;
        key.entry_name = Some("dex".to_owned());
    }));
}

#[test]
fn a_key_that_signed_on_after_it_was_recorded_as_removed_leaves_with_its_last_token() {
    let mut world = steady();
    world.run_for("30h");
    let now = world.now;
    world.key_mut(1).lifecycle.removal_time = Some(now);
    world.settle();
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"));
    // L + T + S + M
    let edge = world.key(1).lifecycle.retirement_time.unwrap() + SignedDuration::from_mins(10 + 60 + 5 + 24 * 60);
    let published = [-1, 0].map(|offset| {
        world.advance_to(edge + SignedDuration::from_secs(offset));
        world.settle();
        world.set().unwrap().contains(world.key(1).kid().unwrap())
    });
    assert_eq!(published, [true, false]);
    // A revoked one leaves although it signed on.
    let mut world = steady();
    world.run_for("30h");
    let now = world.now;
    world.key_mut(1).lifecycle.removal_time = Some(now);
    world.settle();
    world.key_mut(1).lifecycle.revocation_time = Some(now);
    world.settle();
    assert!(!world.set().unwrap().contains(world.key(1).kid().unwrap()));
}

#[test]
fn the_key_that_signers_have_is_published_whatever_its_record_says() {
    let mut world = steady();
    world.run_for("30h");
    for server in &mut world.servers {
        server.answers = false;
    }
    let now = world.now;
    let lifecycle = &mut world.key_mut(1).lifecycle;
    (lifecycle.removal_time, lifecycle.revocation_time) = (Some(now), Some(now));
    world.key_mut(2).private = PrivateHalf::Absent;
    world.settle();
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"));
    assert!(world.set().unwrap().contains(world.key(1).kid().unwrap()));
    let Signer::Ours(signer) = &world.signer else { panic!("no signer") };
    assert_eq!(world.key(1).kid(), Some(&signer.key_id));
}

#[test]
fn an_import_of_a_key_that_is_published_adds_nothing() {
    let mut world = steady();
    let jwk = world.key(2).jwk.clone().unwrap();
    let secret_ref = SecretKeyRef { name: "old".to_owned(), key: "tls.key".to_owned() };
    let entry = ImportedKey { name: "again".to_owned(), secret_ref, algorithm: None, key_id: None };
    world.edit(|spec| spec.imported_keys.push(entry));
    world.imports.push(crate::lifecycle::Import { entry_name: "again".to_owned(), key: Ok(jwk) });
    world.settle();
    assert_eq!((world.keys.len(), world.set().unwrap().len()), (2, 2));
}
