//! The picture of the documents: what the command draws of a KeySet with defaults, eight hours after its first rotation.

use std::collections::BTreeMap;
use std::{env, fs};

use jiff::Timestamp;

use super::super::model::{Stage, Timeline};
use super::super::source::timeline;
use super::super::svg::picture;
use super::super::window::Asked;
use super::fixtures::{Set, hours};
use crate::api::KeySetStatus;
use crate::forecast::forecast;
use crate::lifecycle::{Clock, Observed, ObservedKeySet, Published, Signer};

const FILE: &str = "docs/timeline.svg";

#[test]
fn the_picture_of_the_documents_is_what_the_command_draws() {
    let timeline = at_defaults(Asked { since: Some(hours(24)), until: Some(hours(48)) });
    let drawn = picture(&timeline).to_string();
    if env::var_os("UPDATE_PICTURES").is_some() {
        fs::write(FILE, &drawn).unwrap();
    }
    assert!(fs::read_to_string(FILE).unwrap_or_default() == drawn, "{FILE} is out of date: run `make pictures`");
}

#[test]
fn a_set_at_its_defaults_has_three_keys_then_and_looks_a_rotation_ahead() {
    let timeline = at_defaults(Asked::default());
    let names: Vec<&str> = timeline.keys.iter().map(|life| life.name.as_str()).collect();
    assert_eq!(names[..4], ["payments-1", "payments-2", "payments-3", "payments-4"]);
    assert!(timeline.keys[..3].iter().all(|life| life.key_id.is_some()));
    assert!(timeline.keys[3..].iter().all(|life| life.key_id.is_none()), "nobody knows the kid of what is not made");
    let stages = |index: usize| timeline.keys[index].spans.iter().map(|span| span.stage).collect::<Vec<_>>();
    assert_eq!(stages(0), [Stage::Active, Stage::Retiring]);
    assert_eq!(stages(1), [Stage::Published, Stage::Standby, Stage::Active, Stage::Retiring]);
    let retired = timeline.keys[0].spans[1].from;
    assert_eq!(timeline.keys[0].private_key_destruction_time, Some(retired + hours(1)));
    // Until the key that signs now has left, and as far back.
    let left = timeline.keys[1].end().unwrap();
    assert!(timeline.until > left && timeline.until < left + hours(72), "{}", timeline.until);
    assert!(timeline.from <= start() + hours(1), "{}", timeline.from);
    let waits: Vec<String> =
        timeline.keys[1].guards.iter().filter_map(|guard| Some(guard.letters() + " = " + &guard.lengths()?)).collect();
    assert_eq!(waits, ["C + S = 24h + 5m", "L + T + S + M = 10m + 1h + 5m + 24h"]);
}

/// The KeySet is applied, lives by the forecast until eight hours after its first rotation, and is looked at then.
fn at_defaults(asked: Asked) -> Timeline {
    let key_set = ObservedKeySet {
        name: "payments".to_owned(),
        namespace: "auth".to_owned(),
        uid: "uid-1".to_owned(),
        resource_version: "1".to_owned(),
        generation: 1,
        spec: Set::at_defaults("payments", 0).spec,
        status: KeySetStatus::default(),
    };
    let applied = Observed {
        key_set,
        keys: Vec::new(),
        undecodable: Vec::new(),
        strays: Vec::new(),
        imports: Vec::new(),
        obstacle: None,
        issuer: None,
        signer: Signer::Absent,
        published: Published::Absent,
        pass: None,
        witness: None,
        targets: Vec::new(),
        clock: Clock::Trusted,
    };
    let now = start() + hours(30 * 24 + 8);
    timeline(&forecast(applied, start(), now).end, &BTreeMap::new(), asked, now)
}

fn start() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}
