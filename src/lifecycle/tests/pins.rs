//! Why a pin cannot hold, in words; and what it holds all the same.

use serde_json::json;

use super::world::World;
use super::worlds::{announce, kid};
use crate::api::{RevocationMode, RevokedKey};
use crate::jose::KeyId;
use crate::lifecycle::{PrivateHalf, Signer};

/// Key 1 retired at 2026-01-02T01:00:00Z, key 2 signs. A rollback is possible for as long as key 1 is published.
fn rotated() -> World {
    let mut world = World::new(&json!({
        "algorithm": "ES256",
        "tokens": {"maxLifetime": "1h"},
        "rotation": {"mode": "OnRequest", "rollbackWindow": "100h"},
    }));
    world.run_for("25h");
    world.edit(|spec| spec.rotation.after = Some("2026-01-02T00:30:00Z".parse().unwrap()));
    world.settle();
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"));
    world
}

/// What the set says to a pin of this kid.
fn answer(world: &mut World, kid: &KeyId) -> String {
    world.edit(|spec| spec.rotation.pinned_key_id = Some(kid.clone()));
    let status = world.plan().status;
    status.conditions.into_iter().find(|it| it.r#type == "Accepted").unwrap().message
}

fn refused(why: &str) -> String {
    format!("rotation.pinnedKeyID cannot hold: {why}: remove rotation.pinnedKeyID to go on.")
}

const ACCEPTED: &str = "The spec is understood and can be honoured.";

#[test]
fn a_pin_that_cannot_hold_says_why() {
    let mut world = rotated();
    let stranger = KeyId::try_from("stranger").unwrap();
    let kids: Vec<String> = world.keys.iter().map(|key| key.kid().unwrap().to_string()).collect();
    let why = format!("no key of this set has kid stranger (it has {})", kids.join(", "));
    assert_eq!(answer(&mut world, &stranger), refused(&why));
    let mut world = World::at_defaults();
    assert_eq!(answer(&mut world, &stranger), refused("no key of this set has kid stranger (it has no keys yet)"));

    let mut world = rotated();
    let key_id = kid(&world, 1);
    world.edit(|spec| spec.revoked_keys.push(RevokedKey { key_id: key_id.clone(), mode: RevocationMode::AfterSwitch }));
    world.settle();
    assert_eq!(answer(&mut world, &key_id), refused("pay-1 was revoked"));

    let mut world = rotated();
    world.run_for("26h");
    assert_eq!(answer(&mut world, &key_id), refused("pay-1 left the set"));

    let mut world = rotated();
    world.key_mut(1).private = PrivateHalf::Absent;
    let gone = "the private half of pay-1 is gone (rotation.rollbackWindow is over, or it was lost)";
    assert_eq!(answer(&mut world, &key_id), refused(gone));

    let mut world = rotated();
    let Signer::Ours(signer) = &mut world.signer else { panic!("no signer") };
    signer.barred.insert(key_id.clone());
    assert_eq!(answer(&mut world, &key_id), refused("pay-1 is on its way out"));
}

#[test]
fn a_pin_on_an_external_key_is_refused() {
    let mut world = rotated();
    let dex = announce(&mut world, "dex", None);
    world.settle();
    let why = refused("pay-4 is an external key, which signs elsewhere");
    assert_eq!(answer(&mut world, &dex), why);
}

#[test]
fn a_retired_key_can_be_pinned_until_it_is_about_to_leave() {
    let mut world = rotated();
    let key_id = kid(&world, 1);
    // L + T + S + M after it retired, less S.
    let edge: jiff::Timestamp = "2026-01-03T02:10:00Z".parse().unwrap();
    let answers = [-1, 0].map(|offset| {
        world.advance_to(edge + jiff::SignedDuration::from_secs(offset));
        answer(&mut world, &key_id)
    });
    assert_eq!(answers, [ACCEPTED.to_owned(), refused("pay-1 is about to leave the set")]);
}

#[test]
fn the_signing_key_can_be_pinned_while_only_the_signer_secret_has_it() {
    let mut world = rotated();
    let key_id = kid(&world, 2);
    world.key_mut(2).private = PrivateHalf::Absent;
    assert_eq!(answer(&mut world, &key_id), ACCEPTED);
}
