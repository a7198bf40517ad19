//! Keys that users bring along: external ones that are only published, and imported ones that sign here.

use serde_json::json;

use super::world::World;
use super::worlds::announce;
use crate::api::{
    ImportedKey, KeyState, Origin, PrivateKeyState, RevocationMode, RevokedKey, SecretKeyRef, SigningKeyState,
};
use crate::jose::{Algorithm, KeyId, PublicJwk};
use crate::lifecycle::{Effect, Import, PrivateHalf};

fn set(first_key: &str) -> World {
    World::new(&json!({
        "algorithm": "ES256",
        "tokens": {"maxLifetime": "1h"},
        "rotation": {"mode": "OnRequest", "firstKey": first_key},
    }))
}

/// An entry of `importedKeys` whose Secret holds key number `seed`.
fn import(world: &mut World, name: &str, seed: i64, kid: Option<&str>) -> PublicJwk {
    let key_id = kid.map(|kid| KeyId::try_from(kid).unwrap());
    let jwk = World::jwk(Algorithm::ES256, seed);
    let jwk = match &key_id {
        Some(kid) => jwk.with_key_id(kid.clone()),
        None => jwk,
    };
    let secret_ref = SecretKeyRef { name: "old".to_owned(), key: "tls.key".to_owned() };
    let entry = ImportedKey { name: name.to_owned(), secret_ref, algorithm: None, key_id };
    world.edit(|spec| spec.imported_keys.push(entry));
    world.imports.push(Import { entry_name: name.to_owned(), key: Ok(jwk.clone()) });
    jwk
}

fn message(world: &World, r#type: &str) -> String {
    world.key_set.status.conditions.iter().find(|it| it.r#type == r#type).unwrap().message.clone()
}

#[test]
fn an_external_key_is_published_and_never_signs() {
    let mut world = set("WhenServed");
    let kid = announce(&mut world, "dex", None);
    world.settle();
    assert!(world.set().unwrap().contains(&kid));
    // Verifiers exist already: the first key of ours waits the full lead.
    assert_eq!(world.signing_name(), None);
    world.run_for("24h4m");
    assert_eq!(world.signing_name(), None);
    world.run_for("2m");
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"));
    world.run_for("3000h");
    assert!(world.set().unwrap().contains(&kid));
    assert_eq!(world.key(1).origin, Origin::External);
    assert_eq!(world.condition("Ready").as_deref(), Some("True/Serving"));
}

#[test]
fn an_external_entry_that_goes_away_retires_and_a_revert_in_time_changes_nothing() {
    let mut world = set("WhenServed");
    let kid = announce(&mut world, "dex", None);
    world.run_for("30h");
    let entries = world.key_set.spec.external_keys.clone();
    world.edit(|spec| spec.external_keys.clear());
    world.run_for("25h");
    assert!(world.set().unwrap().contains(&kid));
    world.edit(|spec| spec.external_keys.clone_from(&entries));
    world.run_for("500h");
    assert!(world.set().unwrap().contains(&kid));
    // A second absence counts anew: L + T + S + M = 25h15m
    world.edit(|spec| spec.external_keys.clear());
    world.run_for("25h14m");
    assert!(world.set().unwrap().contains(&kid));
    world.run_for("1m");
    assert!(!world.set().unwrap().contains(&kid));
    // And after it left, the entry publishes it again.
    world.edit(|spec| spec.external_keys.clone_from(&entries));
    world.settle();
    assert!(world.set().unwrap().contains(&kid));
}

#[test]
fn an_external_key_is_told_as_retiring_once_its_entry_is_gone() {
    let mut world = set("WhenServed");
    announce(&mut world, "dex", None);
    world.run_for("30h");
    let states = |world: &World| (world.key_set.status.keys[0].state, world.key(1).status.clone().unwrap().state);
    assert_eq!(states(&world), (KeyState::External, Some(SigningKeyState::External)));
    let private = |world: &World| world.key(1).status.clone().unwrap().private_key;
    assert_eq!(private(&world), Some(PrivateKeyState::None));
    world.edit(|spec| spec.external_keys.clear());
    world.settle();
    assert_eq!(states(&world), (KeyState::Retiring, Some(SigningKeyState::Retiring)));
    assert_eq!(private(&world), Some(PrivateKeyState::None));
}

#[test]
fn an_external_key_leaves_at_its_time() {
    let mut world = set("WhenServed");
    let kid = announce(&mut world, "dex", Some("2026-02-01T00:00:00Z"));
    world.run_until("2026-01-31T23:59:59Z".parse().unwrap());
    assert!(world.set().unwrap().contains(&kid));
    world.run_until("2026-02-01T00:00:00Z".parse().unwrap());
    assert!(!world.set().unwrap().contains(&kid));
    world.run_for("500h");
    assert!(!world.set().unwrap().contains(&kid), "the entry stands and its time is over");
}

#[test]
fn an_external_key_whose_record_is_lost_stays_external() {
    let mut world = set("WhenServed");
    let kid = announce(&mut world, "dex", None);
    world.run_for("30h");
    world.keys.retain(|key| key.origin != Origin::External);
    world.run_for("500h");
    assert!(world.set().unwrap().contains(&kid));
    let key = world.keys.iter().find(|key| key.kid() == Some(&kid)).unwrap();
    assert_eq!((key.origin, key.entry_name.as_deref()), (Origin::External, Some("dex")));
}

#[test]
fn a_revoked_external_key_leaves_and_never_comes_back() {
    let mut world = set("WhenServed");
    let kid = announce(&mut world, "dex", None);
    world.run_for("30h");
    world.edit(|spec| {
        spec.revoked_keys.push(RevokedKey { key_id: kid.clone(), mode: RevocationMode::AfterSwitch });
    });
    world.settle();
    assert!(!world.set().unwrap().contains(&kid));
    world.edit(|spec| {
        spec.revoked_keys.clear();
        // The same key under another name and kid is the same key.
        spec.external_keys[0].name = "dex-again".to_owned();
        spec.external_keys[0].public_jwk.insert("kid".to_owned(), "dex-again".to_owned());
    });
    world.settle();
    assert_eq!(world.condition("Accepted").as_deref(), Some("False/InvalidImport"));
    assert!(
        message(&world, "Accepted").contains("the same key was revoked (pay-1)"),
        "{}",
        message(&world, "Accepted")
    );
    assert!(!world.set().unwrap().contains(&KeyId::try_from("dex-again").unwrap()));
}

#[test]
fn a_revoked_external_key_stays_until_another_signs_and_its_time_counts_no_more() {
    let mut world = set("WhenServed");
    let key_id = announce(&mut world, "dex", Some("2026-01-01T06:00:00Z"));
    world.settle();
    assert_eq!(world.key_set.status.keys[0].earliest_removal_time, Some("2026-01-01T06:00:00Z".parse().unwrap()));
    world.edit(|spec| {
        spec.revoked_keys.push(RevokedKey { key_id: key_id.clone(), mode: RevocationMode::AfterSwitch });
    });
    world.settle();
    let told = world.key_set.status.keys[0].clone();
    assert_eq!((told.state, told.earliest_removal_time), (KeyState::Revoked, None));
    world.run_for("12h");
    assert!(world.set().unwrap().contains(&key_id), "nothing else may sign yet");
    world.run_for("24h");
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"));
    assert!(!world.set().unwrap().contains(&key_id));
}

#[test]
fn another_key_under_the_name_of_an_entry_retires_the_first() {
    let mut world = set("WhenServed");
    let first = announce(&mut world, "dex", None);
    world.run_for("30h");
    // The example of RFC 7515, appendix A.3.1.
    let members = json!({
        "kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "dex-2",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    });
    world.edit(|spec| spec.external_keys[0].public_jwk = serde_json::from_value(members).unwrap());
    world.settle();
    let second = KeyId::try_from("dex-2").unwrap();
    let states = |world: &World, kid: &KeyId| {
        world.key_set.status.keys.iter().find(|key| key.key_id.as_ref() == Some(kid)).map(|key| key.state)
    };
    assert_eq!(states(&world, &first), Some(KeyState::Retiring));
    assert_eq!(states(&world, &second), Some(KeyState::External));
    world.run_for("26h");
    assert_eq!((states(&world, &first), states(&world, &second)), (None, Some(KeyState::External)));
}

#[test]
fn an_external_key_is_recorded_as_such_from_the_first_write() {
    let mut world = set("WhenServed");
    world.settle();
    announce(&mut world, "dex", None);
    let effects = world.plan().effects;
    let [Effect::AdoptKey { status: told, .. }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((told.state, told.private_key), (Some(SigningKeyState::External), Some(PrivateKeyState::None)));
}

#[test]
fn a_revoked_kid_refuses_no_other_key() {
    let mut world = set("WhenServed");
    world.run_for("48h");
    let key_id = world.key(2).kid().unwrap().clone();
    world.edit(|spec| spec.revoked_keys.push(RevokedKey { key_id, mode: RevocationMode::AfterSwitch }));
    let jwk = import(&mut world, "legacy", 77, None);
    world.settle();
    assert_eq!(world.condition("Accepted").as_deref(), Some("True/Accepted"));
    assert!(world.set().unwrap().contains(jwk.kid()));
}

#[test]
fn two_entries_of_one_key_are_one_key() {
    let mut world = set("WhenServed");
    let (kid, again) = (announce(&mut world, "dex", None), announce(&mut world, "dex-again", None));
    world.settle();
    assert!(world.set().unwrap().contains(&kid) && !world.set().unwrap().contains(&again));
    assert!(message(&world, "Accepted").contains("entry dex-again: the same key is in the set already (pay-1)"));
}

#[test]
fn an_entry_that_is_no_key_is_refused_and_the_rest_goes_on() {
    let mut world = set("WhenServed");
    announce(&mut world, "dex", None);
    world.key_set.spec.external_keys[0].public_jwk.insert("x".to_owned(), "A".repeat(42));
    world.settle();
    assert_eq!(world.condition("Accepted").as_deref(), Some("False/InvalidImport"));
    assert_eq!(world.condition("Ready").as_deref(), Some("False/InvalidImport"));
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"), "no key is served elsewhere");
}

#[test]
fn an_imported_key_is_the_first_to_sign_where_the_set_waits_for_it() {
    let mut world = set("WaitForImport");
    world.run_for("100h");
    assert!(world.keys.is_empty());
    let jwk = import(&mut world, "legacy", 77, Some("old-issuer-2025"));
    world.settle();
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"));
    let key = world.key(1);
    assert_eq!((key.origin, key.kid()), (Origin::Imported, Some(jwk.kid())));
    assert_eq!(jwk.kid().as_str(), "old-issuer-2025");
    // A standby of ours stands beside it, and the entry may go: the key is ours by then.
    world.edit(|spec| spec.imported_keys.clear());
    world.run_for("48h");
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"));
    assert_eq!(world.condition("StandbyReady").as_deref(), Some("True/VerifierCachesExpired"));
}

#[test]
fn an_external_key_is_not_the_import_that_a_set_waits_for() {
    let mut world = set("WaitForImport");
    let kid = announce(&mut world, "dex", None);
    world.run_for("100h");
    assert!(world.set().unwrap().contains(&kid));
    assert_eq!((world.keys.len(), world.signing_name()), (1, None));
}

#[test]
fn an_imported_key_waits_its_lead_in_a_set_that_signs() {
    let mut world = set("WhenServed");
    world.run_for("48h");
    let jwk = import(&mut world, "legacy", 77, None);
    world.settle();
    assert!(world.set().unwrap().contains(jwk.kid()));
    world.edit(|spec| spec.rotation.pinned_key_id = Some(jwk.kid().clone()));
    world.run_for("24h4m");
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"));
    world.run_for("2m");
    assert_eq!(world.signing_name().as_deref(), Some("pay-3"));
}

#[test]
fn an_import_that_cannot_be_read_is_told_and_nothing_is_lost() {
    let mut world = set("WhenServed");
    world.run_for("48h");
    import(&mut world, "legacy", 77, None);
    world.imports[0].key = Err("Secret old does not exist".to_owned());
    world.run_for("1h");
    assert_eq!(world.condition("Accepted").as_deref(), Some("False/InvalidImport"));
    assert!(message(&world, "Accepted").contains("importedKeys entry legacy: Secret old does not exist"));
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"));
    assert_eq!(world.set().unwrap().len(), 2);
}

#[test]
fn no_kid_gets_a_second_key_and_no_key_a_second_kid() {
    let mut world = set("WhenServed");
    world.run_for("48h");
    let first = world.key(1).jwk.clone().unwrap();
    for (seed, kid, expected) in [
        (77, first.kid().as_str(), "a kid names one key for ever"),
        (1, "another-name", "the same key is in the set already (pay-1)"),
    ] {
        let mut world = set("WhenServed");
        world.run_for("48h");
        import(&mut world, "legacy", seed, Some(kid));
        world.settle();
        assert!(message(&world, "Accepted").contains(expected), "{}", message(&world, "Accepted"));
        assert_eq!(world.keys.len(), 2);
    }
}

#[test]
fn a_listed_kid_is_refused_before_it_comes() {
    let mut world = set("WhenServed");
    world.run_for("48h");
    let jwk = World::jwk(Algorithm::ES256, 77);
    world.edit(|spec| {
        spec.revoked_keys.push(RevokedKey { key_id: jwk.kid().clone(), mode: RevocationMode::AfterSwitch });
    });
    import(&mut world, "legacy", 77, Some("another-name"));
    world.settle();
    assert!(message(&world, "Accepted").contains("revokedKeys lists"), "{}", message(&world, "Accepted"));
    assert_eq!(world.keys.len(), 2);
}

#[test]
fn an_imported_key_that_left_is_not_imported_again() {
    let mut world = set("WaitForImport");
    import(&mut world, "legacy", 77, None);
    world.run_for("48h");
    world.edit(|spec| {
        spec.retention.history_limit = 0;
        spec.rotation.after = Some("2026-01-02T12:00:00Z".parse().unwrap());
    });
    world.run_for("500h");
    assert!(world.key(1).lifecycle.removal_time.is_some(), "its record stays for ever");
    assert_eq!(world.key(1).private, PrivateHalf::Absent);
    import(&mut world, "second-try", 77, None);
    world.settle();
    assert!(message(&world, "Accepted").contains("left the set (pay-1) and must not sign again"));
}
