//! Where histories begin, for tests of any rule.

use serde_json::json;

use super::world::World;
use crate::api::{ExternalKey, RevocationMode, RevokedKey, RotationMode};
use crate::jose::KeyId;

/// Key 1 signs, key 2 was published a moment ago. Nothing but a request asks for a rotation.
pub(super) fn fresh() -> World {
    let mut world = World::new(&json!({
        "algorithm": "ES256", "tokens": {"maxLifetime": "1h"}, "rotation": {"mode": "OnRequest"},
    }));
    world.settle();
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"));
    world
}

/// The same a day later: key 2 may sign at any time.
pub(super) fn on_request() -> World {
    let mut world = fresh();
    world.run_for("25h");
    world
}

/// Key 1 signs, key 2 may sign at any time. Age asks for the next rotation on day 30.
pub(super) fn steady() -> World {
    let mut world = World::at_defaults();
    world.run_for("30h");
    world
}

/// Day 29: key 1 signs. Day 33: key 2 signs, key 3 stands by, key 1 has left. Then etcd is rolled back to day 29.
pub(super) fn rolled_back() -> World {
    let mut world = World::at_defaults();
    world.run_until("2026-01-30T00:00:00Z".parse().unwrap());
    let backup = world.back_up();
    world.run_until("2026-02-03T00:00:00Z".parse().unwrap());
    assert_eq!((world.signing_name().as_deref(), world.set().unwrap().len()), (Some("pay-2"), 2));
    world.roll_back(backup);
    assert_eq!(world.signing_name().as_deref(), Some("pay-1"));
    world
}

/// Adds an entry of `externalKeys` and gives its kid: a real point (RFC 7517 appendix A.1), as the entry is checked.
pub(super) fn announce(world: &mut World, name: &str, until: Option<&str>) -> KeyId {
    let members = json!({
        "kty": "EC", "crv": "P-256", "alg": "ES256", "kid": name,
        "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
    });
    let entry = ExternalKey {
        name: name.to_owned(),
        public_jwk: serde_json::from_value(members).unwrap(),
        publish_until_time: until.map(|time| time.parse().unwrap()),
    };
    world.edit(|spec| spec.external_keys.push(entry));
    KeyId::try_from(name).unwrap()
}

pub(super) fn kid(world: &World, sequence: i64) -> KeyId {
    world.key(sequence).kid().unwrap().clone()
}

/// Asks for it; nobody has looked yet.
pub(super) fn revoke(world: &mut World, sequence: i64, mode: RevocationMode) {
    let key_id = kid(world, sequence);
    world.edit(|spec| spec.revoked_keys.push(RevokedKey { key_id, mode }));
}

/// Asks for it; nobody has looked yet.
pub(super) fn pin(world: &mut World, sequence: i64) {
    let key_id = kid(world, sequence);
    world.edit(|spec| spec.rotation.pinned_key_id = Some(key_id));
}

/// Asks for it; nobody has looked yet.
pub(super) fn ask(world: &mut World, time: &str) {
    world.edit(|spec| spec.rotation.after = Some(time.parse().unwrap()));
}

/// Asks for it; nobody has looked yet.
pub(super) fn suspend(world: &mut World) {
    world.edit(|spec| spec.rotation.mode = RotationMode::Suspended);
}
