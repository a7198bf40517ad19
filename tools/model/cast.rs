//! The cast of a small world: few keys, few sets, and time in ticks.
//!
//! A key is a slot (its sequence) and the material that was made for it, as a name may be used again by a late create.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use crate::api::Duration;
use crate::jose::{Algorithm, Digest, JwkSet, KeyId, PublicJwk};

/// Most SigningKeys of the set.
pub(crate) const SLOTS: usize = 5;
/// Most key pairs of one slot.
pub(crate) const MATERIALS: usize = 2;
/// All key pairs.
pub(crate) const KIDS: usize = SLOTS * MATERIALS;
/// Name of the KeySet.
pub(crate) const SET: &str = "k";
/// Its UID.
pub(crate) const UID: &str = "uid";

/// The pair that comes from elsewhere: the public half of an external key, or the key that a user brings along.
pub(crate) const BROUGHT: Kid = KIDS as Kid - 1;
/// The name of its entry.
pub(crate) const ENTRY: &str = "brought";
/// The pair of somebody else, until the last slot has one of ours.
pub(crate) const STRANGER: Kid = BROUGHT - 1;

/// A set of key pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Kids(pub(crate) u16);

/// One key pair, counted from 0.
pub(crate) type Kid = u8;

impl Kids {
    pub(crate) fn has(self, kid: Kid) -> bool {
        self.0 & (1 << kid) != 0
    }

    pub(crate) fn with(self, kid: Kid) -> Self {
        Self(self.0 | 1 << kid)
    }

    pub(crate) fn without(self, kid: Kid) -> Self {
        Self(self.0 & !(1 << kid))
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Kid> {
        (0..KIDS as Kid).filter(move |kid| self.has(*kid))
    }
}

/// The pair of a slot, by its material (from 1).
pub(crate) fn kid(slot: usize, material: u8) -> Kid {
    (slot * MATERIALS) as Kid + material - 1
}

pub(crate) fn slot(kid: Kid) -> usize {
    usize::from(kid) / MATERIALS
}

pub(crate) fn material(kid: Kid) -> u8 {
    kid % MATERIALS as u8 + 1
}

/// The name of a SigningKey.
pub(crate) fn name(slot: usize) -> String {
    format!("{SET}-{}", slot + 1)
}

/// The slot of a SigningKey of that name.
pub(crate) fn slot_of(name: &str) -> Option<usize> {
    name.strip_prefix(SET)?.strip_prefix('-')?.parse::<usize>().ok()?.checked_sub(1).filter(|slot| *slot < SLOTS)
}

/// The real names of the cast.
pub(crate) struct Cast {
    jwks: Vec<PublicJwk>,
    kids: HashMap<KeyId, Kid>,
    digests: HashMap<Digest, Kids>,
    junk: Digest,
}

impl Cast {
    pub(crate) fn new() -> Self {
        // Made-up points: the lifecycle looks at none but those that users bring, and this is one of P-256.
        let point = |kid| if kid == BROUGHT { (X, Y) } else { ([kid + 1; 32], [kid + 1; 32]) };
        let jwk = |(x, y): ([u8; 32], [u8; 32])| PublicJwk::ec(Algorithm::ES256, &x, &y).ok();
        let jwks: Vec<PublicJwk> = (0..KIDS as Kid).filter_map(|kid| jwk(point(kid))).collect();
        let kids = jwks.iter().zip(0..).map(|(jwk, kid)| (jwk.kid().clone(), kid)).collect();
        let mut cast = Self { jwks, kids, digests: HashMap::new(), junk: Digest::of("junk") };
        cast.digests = (1..1 << KIDS).map(|bits| (cast.digest(Kids(bits)), Kids(bits))).collect();
        cast
    }

    pub(crate) fn jwk(&self, kid: Kid) -> &PublicJwk {
        &self.jwks[usize::from(kid)]
    }

    pub(crate) fn kid(&self, key_id: &KeyId) -> Option<Kid> {
        self.kids.get(key_id).copied()
    }

    pub(crate) fn set(&self, kids: Kids) -> JwkSet {
        JwkSet::new(kids.iter().map(|kid| self.jwk(kid).clone()).collect()).unwrap_or_default()
    }

    pub(crate) fn kids(&self, set: &JwkSet) -> Kids {
        set.keys().iter().filter_map(|jwk| self.kid(jwk.kid())).fold(Kids::default(), Kids::with)
    }

    pub(crate) fn digest(&self, kids: Kids) -> Digest {
        Digest::of(self.set(kids).to_json())
    }

    /// The set of a digest; `None` for a document that is none of ours.
    pub(crate) fn of_digest(&self, digest: &Digest) -> Option<Kids> {
        self.digests.get(digest).copied()
    }

    /// The digest of a document that is none of ours.
    pub(crate) fn junk(&self) -> &Digest {
        &self.junk
    }
}

/// The time of a tick.
pub(crate) fn time(tick: i64) -> Timestamp {
    Timestamp::from_second(START + tick * TICK).unwrap_or(Timestamp::MAX)
}

/// A number of ticks, for a spec.
pub(crate) fn ticks(count: i64) -> Duration {
    let length = format!("{}m", count * TICK / 60);
    length.parse().unwrap_or_else(|_| Duration::from_minutes(0))
}

/// A time in ticks, and seconds beyond, for people.
pub(crate) fn told(time: Timestamp) -> String {
    let seconds = time.as_second() - START;
    match seconds.rem_euclid(TICK) {
        0 => (seconds / TICK).to_string(),
        rest => format!("{}+{rest}s", seconds.div_euclid(TICK)),
    }
}

/// A number of ticks as a length of time.
pub(crate) fn length(count: i64) -> SignedDuration {
    SignedDuration::from_secs(count * TICK)
}

/// Seconds of a tick: far more than the age at which a pass is stale, so that a tick makes it so.
const TICK: i64 = 600;
/// 2026-01-01T00:00:00Z.
const START: i64 = 1_767_225_600;
/// The base point of P-256 (FIPS 186-4).
const X: [u8; 32] = [
    0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2, 0x77, 0x03, 0x7d,
    0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96,
];
const Y: [u8; 32] = [
    0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce, 0x33,
    0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5,
];
