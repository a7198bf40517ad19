//! Scenarios: small worlds, each with what may go wrong in it.

use serde_json::json;

use crate::api::KeySetSpec;
use crate::cast::{BROUGHT, Cast, ENTRY, Kids, ticks, time};
use crate::state::{Budget, Seen};
use crate::world::Loss;

/// A small world and its bounds.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// The spec, and those that it may be edited to, in this order.
    pub(crate) specs: Vec<KeySetSpec>,
    pub(crate) start: Start,
    pub(crate) controllers: usize,
    pub(crate) replicas: usize,
    pub(crate) follow: Follow,
    /// What a controller may read first; the rest is read later.
    pub(crate) reads: &'static [u16],
    /// Whether a controller looks by name at what it knows, as between two rounds of one pass.
    pub(crate) goes_by_name: bool,
    /// Whether a plan may be made a while after the look.
    pub(crate) plans_late: bool,
    /// The clocks of the controllers, in ticks ahead.
    pub(crate) ahead: [u8; 2],
    pub(crate) budget: Budget,
    pub(crate) losses: &'static [Loss],
    /// The document that a tamperer brings back.
    pub(crate) old: Kids,
    /// The last tick, counted from the start.
    pub(crate) until: u8,
    /// Whether every state is left alone, to see that it comes to rest.
    pub(crate) comes_to_rest: bool,
    /// Most states; more are cut.
    pub(crate) most: usize,
}

/// Where a world begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// The KeySet was just applied.
    Applied,
    /// The same, and verifiers have copies of a set that was served elsewhere.
    Elsewhere,
    /// It came to rest: one key signs, its standby may.
    AtRest,
}

/// How replicas follow the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follow {
    /// At once.
    AtOnce,
    /// Whenever they do, the status and the ConfigMap in any order.
    Lagging,
}

/// All scenarios, by subject.
pub(crate) fn all() -> Vec<Scenario> {
    [bootstraps(), early(), rotations(), replicas(), losses(), verbs()].concat()
}

/// A KeySet is applied.
fn bootstraps() -> Vec<Scenario> {
    let one = Scenario {
        name: "bootstrap",
        specs: vec![spec(&json!({}), &json!({}))],
        start: Start::Applied,
        budget: Budget::default(),
        until: 4,
        ..rotate()
    };
    vec![
        one.clone(),
        Scenario { name: "bootstrap, two controllers", controllers: 2, until: 3, ..one.clone() },
        Scenario { name: "bootstrap, read late", controllers: 2, reads: READS, until: 1, ..one.clone() },
        Scenario {
            name: "bootstrap, one loss",
            controllers: 2,
            budget: Budget { losses: 1, ..Budget::default() },
            losses: LOSSES,
            until: 2,
            ..one
        },
    ]
}

/// A KeySet is applied that asks for its second key at once: every wait is one for this very key.
fn early() -> Vec<Scenario> {
    let asked = |skew| spec(&json!({"after": time(1).to_string()}), &skewed(skew));
    let early = Scenario {
        name: "rotate early",
        specs: vec![asked(0)],
        start: Start::Applied,
        budget: Budget::default(),
        until: 6,
        ..rotate()
    };
    let pinned = spec(&json!({"pinnedKeyID": Cast::new().jwk(2).kid().to_string()}), &json!({}));
    let external = json!({"externalKeys": [{"name": ENTRY, "publicJWK": Cast::new().jwk(BROUGHT)}]});
    vec![
        early.clone(),
        Scenario {
            name: "rotate early, clocks apart",
            specs: vec![asked(1)],
            controllers: 2,
            ahead: [0, 1],
            until: 4,
            // One of them leads; both for ever would each tell their own time.
            comes_to_rest: false,
            ..early.clone()
        },
        Scenario {
            name: "rotate early, two replicas",
            replicas: 2,
            follow: Follow::Lagging,
            comes_to_rest: false,
            budget: Budget { restarts: 1, silences: 1, ..Budget::default() },
            until: 3,
            ..early.clone()
        },
        Scenario {
            name: "rotate early, one loss",
            budget: Budget { losses: 1, ..Budget::default() },
            losses: &[Loss::Config, Loss::Status, Loss::Signer, Loss::Old(true)],
            until: 5,
            ..early.clone()
        },
        Scenario {
            name: "pin early, one loss",
            specs: vec![spec(&json!({}), &json!({})), pinned],
            budget: Budget { edits: 1, losses: 1, ..Budget::default() },
            losses: &[Loss::Key(0)],
            until: 5,
            ..early.clone()
        },
        Scenario {
            name: "served elsewhere before",
            specs: vec![spec(&json!({}), &external)],
            start: Start::Elsewhere,
            until: 4,
            ..early
        },
    ]
}

/// Somebody asks for a rotation.
fn rotations() -> Vec<Scenario> {
    let two = Scenario { name: "rotate, two controllers", controllers: 2, ..rotate() };
    let asked = |tick| spec(&json!({"after": time(i64::from(tick)).to_string()}), &json!({}));
    let after = json!({"after": time(i64::from(AT_REST) + 2).to_string()});
    let apart = vec![spec(&json!({}), &skewed(1)), spec(&after, &skewed(1))];
    // The second key in line was published while others were in use, so its wait counts.
    let twice = Scenario {
        name: "rotate twice",
        specs: vec![spec(&json!({}), &json!({})), asked(AT_REST + 1), asked(AT_REST + 2)],
        budget: Budget { edits: 2, ..Budget::default() },
        until: 8,
        ..rotate()
    };
    vec![
        rotate(),
        two.clone(),
        twice.clone(),
        Scenario { name: "rotate twice, a lagging replica", follow: Follow::Lagging, comes_to_rest: false, ..twice },
        Scenario {
            name: "rotate, clocks apart",
            specs: apart,
            ahead: [0, 1],
            until: 9,
            comes_to_rest: false,
            ..two.clone()
        },
        Scenario { name: "rotate, read late", reads: READS, until: 5, ..two.clone() },
        Scenario { name: "rotate, by name", goes_by_name: true, until: 6, ..two.clone() },
        Scenario { name: "rotate, plan late", plans_late: true, until: 8, ..rotate() },
    ]
}

/// Replicas lag, restart, and do not answer.
fn replicas() -> Vec<Scenario> {
    let budget = Budget { edits: 1, restarts: 1, silences: 1, ..Budget::default() };
    let lagging = Scenario { follow: Follow::Lagging, comes_to_rest: false, budget, until: 6, ..rotate() };
    let tampering = Scenario {
        name: "tampering",
        budget: Budget { losses: 1, ..budget },
        losses: &[Loss::Config, Loss::Junk, Loss::Old(false), Loss::Old(true), Loss::Status],
        until: 4,
        ..lagging.clone()
    };
    vec![
        Scenario { name: "rotate, two replicas", replicas: 2, ..lagging.clone() },
        Scenario { name: "rotate, two controllers, a replica", controllers: 2, until: 5, ..lagging },
        tampering.clone(),
        Scenario { name: "tampering, two replicas", replicas: 2, ..tampering },
    ]
}

/// Objects are lost or tampered with.
fn losses() -> Vec<Scenario> {
    let one = Scenario {
        name: "rotate, one loss",
        budget: Budget { losses: 1, edits: 1, ..Budget::default() },
        losses: LOSSES,
        ..rotate()
    };
    vec![
        one.clone(),
        Scenario { name: "rotate, two controllers, one loss", controllers: 2, until: 4, ..one.clone() },
        Scenario { name: "rotate, two losses", budget: Budget { losses: 2, ..one.budget }, until: 5, ..one },
    ]
}

/// What the user may ask for.
fn verbs() -> Vec<Scenario> {
    let cast = Cast::new();
    let kid = |kid| cast.jwk(kid).kid().to_string();
    let (first, second) = (kid(0), kid(2));
    let plain = || spec(&json!({}), &json!({}));
    let now = time(i64::from(AT_REST)).to_string();
    let revoked = |modes: &[(&String, &str)]| {
        let keys: Vec<_> = modes.iter().map(|(kid, mode)| json!({"keyID": kid, "mode": mode})).collect();
        spec(&json!({}), &json!({"revokedKeys": keys}))
    };
    let revoke = |name, specs: Vec<KeySetSpec>| Scenario { name, specs, until: 7, ..rotate() };
    let lasting = |lifetime, tick| {
        let after = json!({"after": time(i64::from(tick)).to_string()});
        spec(&after, &json!({"tokens": {"maxLifetime": ticks(lifetime).to_string()}}))
    };
    let both = Budget { edits: 2, ..Budget::default() };
    let pinned = |kid: &String| spec(&json!({"pinnedKeyID": kid}), &json!({}));
    let external = json!({"externalKeys": [{"name": ENTRY, "publicJWK": cast.jwk(BROUGHT)}]});
    let imported = json!({"importedKeys": [{"name": ENTRY, "secretRef": {"name": "s", "key": "k"}}]});
    vec![
        revoke("revoke AfterSwitch", vec![plain(), revoked(&[(&first, "AfterSwitch")])]),
        revoke("revoke ForceSwitch", vec![plain(), revoked(&[(&first, "ForceSwitch")])]),
        revoke("revoke Immediate", vec![plain(), revoked(&[(&first, "Immediate")])]),
        Scenario {
            controllers: 2,
            until: 4,
            ..revoke("revoke, two controllers", vec![plain(), revoked(&[(&second, "AfterSwitch")])])
        },
        Scenario {
            budget: both,
            ..revoke("raise and lower T", vec![plain(), lasting(5, AT_REST + 1), lasting(2, AT_REST + 1)])
        },
        revoke("revoke the standby", vec![plain(), revoked(&[(&second, "AfterSwitch")])]),
        Scenario {
            budget: both,
            ..revoke(
                "revoke both",
                vec![
                    plain(),
                    revoked(&[(&first, "AfterSwitch")]),
                    revoked(&[(&first, "AfterSwitch"), (&second, "ForceSwitch")]),
                ],
            )
        },
        Scenario {
            budget: both,
            ..revoke("roll back", vec![plain(), spec(&json!({"after": now}), &json!({})), pinned(&first)])
        },
        Scenario { budget: both, ..revoke("pin the standby", vec![plain(), pinned(&second), plain()]) },
        Scenario { budget: both, ..revoke("external", vec![plain(), spec(&json!({}), &external), plain()]) },
        Scenario { budget: both, ..revoke("import", vec![plain(), spec(&json!({}), &imported), plain()]) },
    ]
}

/// One controller, one replica that follows at once, one rotation.
fn rotate() -> Scenario {
    Scenario {
        name: "rotate",
        specs: vec![
            spec(&json!({}), &json!({})),
            spec(&json!({"after": time(i64::from(AT_REST) + 1).to_string()}), &json!({})),
        ],
        start: Start::AtRest,
        controllers: 1,
        replicas: 1,
        follow: Follow::AtOnce,
        reads: &[],
        goes_by_name: false,
        plans_late: false,
        ahead: [0, 0],
        budget: Budget { edits: 1, ..Budget::default() },
        losses: &[],
        old: Kids(1),
        until: 7,
        comes_to_rest: true,
        most: 2_000_000,
    }
}

/// A spec with a contract of few ticks: C 2, L 1, T 2, B 1.
fn spec(rotation: &serde_json::Value, more: &serde_json::Value) -> KeySetSpec {
    let mut spec = json!({
        "algorithm": "ES256",
        "tokens": {"maxLifetime": ticks(2).to_string()},
        "verifiers": {"maxCacheAge": ticks(2).to_string()},
        "signers": {"maxReloadLag": ticks(1).to_string()},
        "clockSkew": ticks(0).to_string(),
        "retention": {"margin": ticks(0).to_string(), "historyLimit": 0},
        "rotation": {"mode": "OnRequest", "rollbackWindow": ticks(1).to_string()},
    });
    for (name, value) in rotation.as_object().into_iter().flatten() {
        spec["rotation"][name] = value.clone();
    }
    for (name, value) in more.as_object().into_iter().flatten() {
        spec[name] = value.clone();
    }
    serde_json::from_value(spec).unwrap_or_else(|error| unreachable!("a spec of ours: {error}"))
}

/// S, and the margin that it asks for.
fn skewed(skew: i64) -> serde_json::Value {
    let skew = ticks(skew).to_string();
    json!({"clockSkew": skew, "retention": {"margin": skew, "historyLimit": 0}})
}

/// The tick at which a world has come to rest after its bootstrap.
pub(crate) const AT_REST: u8 = 2;
const READS: &[u16] =
    &[Seen::KEY_SET, Seen::KEY_SET | Seen::KEYS, Seen::KEY_SET | Seen::SIGNER, Seen::KEY_SET | Seen::PUBLISHED];
const LOSSES: &[Loss] = &[
    Loss::Key(0),
    Loss::Secret(0),
    Loss::Signer,
    Loss::Config,
    Loss::Status,
    Loss::Junk,
    Loss::Old(false),
    Loss::Old(true),
    Loss::Damage,
];
