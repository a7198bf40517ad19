//! Scenarios: small worlds, each with what may go wrong in it.

use serde_json::json;

use crate::api::KeySetSpec;
use crate::cast::{Kids, ticks, time};
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

impl Scenario {
    /// The scenario of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        all().into_iter().find(|scenario| scenario.name == name)
    }
}

/// All scenarios, the short ones first.
pub(crate) fn all() -> Vec<Scenario> {
    let base = Scenario {
        name: "rotate",
        specs: vec![spec(&json!({})), spec(&json!({"after": time(i64::from(AT_REST) + 1).to_string()}))],
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
        until: 9,
        comes_to_rest: true,
        most: 3_000_000,
    };
    let boot = Scenario {
        name: "bootstrap",
        specs: vec![spec(&json!({}))],
        start: Start::Applied,
        budget: Budget::default(),
        until: 4,
        ..base.clone()
    };
    vec![
        boot.clone(),
        base.clone(),
        Scenario { name: "bootstrap, two controllers", controllers: 2, reads: READS, ..boot.clone() },
        Scenario { name: "rotate, two controllers", controllers: 2, ..base.clone() },
        Scenario {
            name: "rotate, two controllers that read late",
            controllers: 2,
            reads: READS,
            until: 6,
            ..base.clone()
        },
        Scenario { name: "rotate, two controllers, by name", controllers: 2, goes_by_name: true, ..base.clone() },
        Scenario {
            name: "rotate, one loss",
            controllers: 2,
            budget: Budget { losses: 1, edits: 1, ..Budget::default() },
            losses: LOSSES,
            until: 5,
            ..base.clone()
        },
        Scenario {
            name: "one controller, two losses",
            budget: Budget { losses: 2, edits: 1, ..Budget::default() },
            losses: LOSSES,
            until: 6,
            ..base.clone()
        },
        Scenario {
            name: "bootstrap, one loss",
            controllers: 2,
            budget: Budget { losses: 1, ..Budget::default() },
            losses: LOSSES,
            until: 3,
            ..boot.clone()
        },
        Scenario {
            name: "rotate, two lagging replicas",
            replicas: 2,
            follow: Follow::Lagging,
            budget: Budget { edits: 1, restarts: 1, silences: 1, ..Budget::default() },
            until: 7,
            comes_to_rest: false,
            ..base.clone()
        },
        Scenario {
            name: "rotate, two controllers, a lagging replica",
            controllers: 2,
            follow: Follow::Lagging,
            budget: Budget { edits: 1, restarts: 1, ..Budget::default() },
            until: 6,
            comes_to_rest: false,
            ..base.clone()
        },
    ]
}

/// A spec with a contract of few ticks: C 2, L 1, T 2, B 1.
fn spec(rotation: &serde_json::Value) -> KeySetSpec {
    let mut rotation = rotation.clone();
    rotation["mode"] = json!("OnRequest");
    rotation["rollbackWindow"] = json!(ticks(1).to_string());
    let text = json!({
        "algorithm": "ES256",
        "tokens": {"maxLifetime": ticks(2).to_string()},
        "verifiers": {"maxCacheAge": ticks(2).to_string()},
        "signers": {"maxReloadLag": ticks(1).to_string()},
        "clockSkew": ticks(0).to_string(),
        "retention": {"margin": ticks(0).to_string(), "historyLimit": 0},
        "rotation": rotation,
    });
    serde_json::from_value(text).unwrap_or_else(|error| unreachable!("a spec of ours: {error}"))
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
