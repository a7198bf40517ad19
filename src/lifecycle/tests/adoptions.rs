//! What a record that is written again says: whose key it is, what is promised, and when nothing may be written.

use serde_json::json;

use super::world::World;
use super::worlds::steady;
use crate::api::{ImportedKey, KeySetStatus, Origin, SecretKeyRef, SigningKeyState};
use crate::jose::{Algorithm, KeyId, PublicJwk};
use crate::lifecycle::{Clock, Effect, PrivateHalf, Provenance, Signer, Stray, plan};

fn imported(name: &str, kid: Option<&str>) -> ImportedKey {
    let secret_ref = SecretKeyRef { name: format!("secret-of-{name}"), key: "tls.key".to_owned() };
    ImportedKey {
        name: name.to_owned(),
        secret_ref,
        algorithm: None,
        key_id: kid.map(|kid| KeyId::try_from(kid).unwrap()),
    }
}

fn adopted(world: &World) -> Vec<(i64, Provenance)> {
    let effects = plan(&world.observe(), world.now).effects;
    let adopted = effects.into_iter().filter_map(|effect| match effect {
        Effect::AdoptKey { sequence, provenance, .. } => Some((sequence, provenance)),
        _ => None,
    });
    adopted.collect()
}

#[test]
fn nothing_is_adopted_while_a_record_is_unreadable_or_nobody_can_tell_the_time() {
    let untrusted = || Clock::Untrusted("jumped".to_owned());
    for (undecodable, clock, signer, expected) in [
        (false, Clock::Trusted, true, 1),
        (false, Clock::Trusted, false, 1),
        (false, untrusted(), true, 1),
        (false, untrusted(), false, 0),
        (true, Clock::Trusted, true, 0),
    ] {
        let mut world = steady();
        world.keys.retain(|key| key.sequence != 2);
        world.undecodable.extend(undecodable.then(|| "pay-2".to_owned()));
        world.clock = clock.clone();
        if !signer {
            // It is repaired first where its key is known.
            world.signer = Signer::Absent;
            world.key_mut(1).private = PrivateHalf::Absent;
        }
        assert_eq!(adopted(&world).len(), expected, "{undecodable} {clock:?} {signer}");
    }
}

#[test]
fn a_key_that_only_a_witness_serves_is_external_for_one_retention() {
    let mut world = World::at_defaults();
    world.run_until("2026-01-30T00:00:00Z".parse().unwrap());
    let backup = world.back_up();
    world.run_until("2026-02-03T00:00:00Z".parse().unwrap());
    let lost = world.key(3).kid().unwrap().clone();
    world.roll_back(backup);
    let time = world.now;
    // L + T + S + M = 10m + 1h + 5m + 24h
    let promised = time + jiff::SignedDuration::from_mins(10 + 60 + 5 + 24 * 60);
    let effects = world.plan().effects;
    let adopts = |effect: &Effect| {
        let Effect::AdoptKey { jwk, lifecycle, status, .. } = effect else { return false };
        let retiring = status.state == Some(SigningKeyState::Retiring);
        *jwk.kid() == lost && lifecycle.earliest_removal_time == Some(promised) && retiring
    };
    assert!(effects.iter().any(adopts), "the promise is in the very write that makes the record: {effects:#?}");
    world.settle();
    let key = world.keys.iter().find(|key| key.kid() == Some(&lost)).unwrap();
    assert_eq!((key.origin, key.entry_name.as_deref()), (Origin::External, Some("witnessed-3")));
    assert_eq!(key.lifecycle.earliest_removal_time, Some(promised));
    assert_eq!(key.status.as_ref().unwrap().state, Some(SigningKeyState::Retiring));
}

/// The signing key of a set, with its record lost, and these entries of `importedKeys`.
fn signer_without_record(kid: Option<&str>, entries: Vec<ImportedKey>) -> World {
    let mut world = World::new(&json!({
        "algorithm": "ES256", "tokens": {"maxLifetime": "1h"}, "rotation": {"firstKey": "WaitForImport"},
    }));
    let entry = imported("old", kid);
    let jwk = World::jwk(Algorithm::ES256, 77);
    let jwk = kid.map_or(jwk.clone(), |kid| jwk.with_key_id(KeyId::try_from(kid).unwrap()));
    world.edit(|spec| spec.imported_keys.push(entry));
    world.imports.push(crate::lifecycle::Import { entry_name: "old".to_owned(), key: Ok(jwk) });
    world.run_for("30h");
    world.keys.retain(|key| key.sequence != 1);
    world.edit(|spec| spec.imported_keys = entries);
    world
}

#[test]
fn a_published_key_without_a_record_comes_from_where_its_kid_says() {
    let of = |entry: &ImportedKey| Provenance::Imported {
        entry_name: entry.name.clone(),
        secret_ref: entry.secret_ref.clone(),
    };
    let secret_ref = SecretKeyRef { name: "pay-1".to_owned(), key: "private.pem".to_owned() };
    let forgotten = Provenance::Imported { entry_name: "adopted-1".to_owned(), secret_ref };
    let (other, old) = (imported("other", Some("of-another")), imported("old", Some("old-kid")));
    for (kid, entries, expected) in [
        (None, vec![], Provenance::Generated),
        (None, vec![other.clone()], Provenance::Generated),
        (Some("old-kid"), vec![other.clone(), old.clone()], of(&old)),
        (Some("old-kid"), vec![other], forgotten.clone()),
        (Some("old-kid"), vec![], forgotten),
    ] {
        let world = signer_without_record(kid, entries);
        assert_eq!(adopted(&world), [(1, expected)], "{kid:?}");
    }
}

#[test]
fn a_key_secret_without_a_record_comes_from_the_entry_that_it_was_copied_for() {
    let secret_ref = || SecretKeyRef { name: "pay-5".to_owned(), key: "private.pem".to_owned() };
    let entries = || vec![imported("other", None), imported("old", None)];
    let of = |entry: &ImportedKey| Provenance::Imported {
        entry_name: entry.name.clone(),
        secret_ref: entry.secret_ref.clone(),
    };
    for (copied_for, expected) in [
        (None, Provenance::Generated),
        (Some("old"), of(&entries()[1])),
        (Some("gone"), Provenance::Imported { entry_name: "gone".to_owned(), secret_ref: secret_ref() }),
    ] {
        let mut world = World::at_defaults();
        world.key_set.status = KeySetStatus::default();
        world.edit(|spec| spec.imported_keys = entries());
        let jwk: PublicJwk = World::jwk(Algorithm::ES256, 5);
        world.strays = vec![Stray { sequence: 5, jwk, entry_name: copied_for.map(ToOwned::to_owned) }];
        assert_eq!(adopted(&world), [(5, expected)], "{copied_for:?}");
    }
}

#[test]
fn a_key_that_is_retired_by_adoption_has_the_term_before_the_signers() {
    let mut world = steady();
    for (rotation, term) in [("2026-01-02T07:00:00Z", 1), ("2026-01-03T12:00:00Z", 2)] {
        world.edit(|spec| spec.rotation.after = Some(rotation.parse().unwrap()));
        world.run_for("25h");
        let retired = world.keys.iter().find(|key| key.lifecycle.term == Some(term)).unwrap().sequence;
        world.keys.retain(|key| key.sequence != retired);
        world.settle();
        assert_eq!(world.key(retired).lifecycle.term, Some(term));
        assert!(world.key(retired).is_retired());
    }
}

#[test]
fn what_may_have_signed_is_retired_by_adoption_and_nothing_else_is() {
    for (told, shown, expected) in [(true, true, true), (true, false, true), (false, true, true), (false, false, false)]
    {
        let mut world = steady();
        world.keys.clear();
        if !told {
            world.key_set.status.last_rotation = None;
        }
        if !shown {
            world.signer = Signer::Absent;
        }
        let effects = plan(&world.observe(), world.now).effects;
        let standby = effects.iter().find_map(|effect| match effect {
            Effect::AdoptKey { sequence: 2, lifecycle, .. } => Some(lifecycle.retirement_time.is_some()),
            _ => None,
        });
        assert_eq!(standby, Some(expected), "told {told}, shown {shown}");
    }
}
