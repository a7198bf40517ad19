//! What snapshots come to.

use jiff::{SignedDuration, Timestamp};

use super::super::lives::{Seen, Snapshot, lives};
use super::super::model::{Life, Stage};
use super::super::window::Asked;
use super::fixtures::{Set, hours, seen};
use crate::api::{KeySetSpec, Lifecycle, Origin, PrivateKeyState};

/// The stages with the hours in which they begin and end.
fn told(life: &Life) -> Vec<(Stage, i64, Option<i64>)> {
    let hour = |time: Timestamp| time.duration_since(start()).as_hours();
    life.spans.iter().map(|span| (span.stage, hour(span.from), span.until.map(hour))).collect()
}

fn start() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

fn at(hour: i64) -> Timestamp {
    start() + SignedDuration::from_hours(hour)
}

fn spec() -> KeySetSpec {
    Set::at_defaults("pay", 0).spec
}

/// The lives after one look.
fn now(hour: i64, keys: Vec<Seen>) -> Vec<Life> {
    lives(&[Snapshot { time: at(hour), keys }], &spec())
}

#[test]
fn the_records_of_today_tell_the_past_and_the_forecast_the_rest() {
    let timeline = Set::at_defaults("pay", 3).timeline(hours(721), Asked::default());
    let told: Vec<_> = timeline.keys.iter().map(told).collect();
    assert_eq!(told[0], [(Stage::Active, 0, Some(720)), (Stage::Retiring, 720, Some(745))]);
    assert_eq!(told[1][..2], [(Stage::Published, 0, Some(24)), (Stage::Standby, 24, Some(720))]);
    assert_eq!(told[1][2..], [(Stage::Active, 720, Some(1440)), (Stage::Retiring, 1440, Some(1465))]);
    assert_eq!(timeline.keys[0].private_key_destruction_time, Some(at(721)));
    assert_eq!(timeline.keys[1].private_key_destruction_time, Some(at(1441)));
    let sums: Vec<_> =
        timeline.keys[1].guards.iter().map(|guard| (guard.letters(), guard.lengths().unwrap())).collect();
    let told = |letters: &str, lengths: &str| (letters.to_owned(), lengths.to_owned());
    assert_eq!(sums, [told("C + S", "24h + 5m"), told("L + T + S + M", "10m + 1h + 5m + 24h")]);
    assert_eq!(timeline.keys[0].guards.len(), 1, "the first key did not wait");
}

#[test]
fn a_key_that_signs_again_after_a_rollback_has_both_times() {
    // pay-2 took over at hour 50 and pay-3 at hour 100; at hour 101 pay-2 was brought back.
    let lifecycle = |activation, retirement| Lifecycle {
        activation_time: Some(at(activation)),
        retirement_time: Some(at(retirement)),
        earliest_removal_time: Some(at(retirement + 26)),
        ..Lifecycle::default()
    };
    let key = |name, activation, retirement| Seen {
        made: Some(at(0)),
        lifecycle: lifecycle(activation, retirement),
        ..seen(name)
    };
    let lives = now(110, vec![key("pay-1", 0, 50), key("pay-2", 101, 100), key("pay-3", 100, 101)]);
    let again = [
        (Stage::Staged, 0, Some(50)),
        (Stage::Active, 50, Some(100)),
        (Stage::Retiring, 100, Some(101)),
        (Stage::Active, 101, None),
    ];
    assert_eq!(told(&lives[1]), again, "its record has forgotten hour 50, which that of pay-1 tells");
    assert!(lives[1].guards.is_empty(), "it signs: nothing ends its time in the set");
    assert_eq!(
        told(&lives[2]),
        [(Stage::Staged, 0, Some(100)), (Stage::Active, 100, Some(101)), (Stage::Retiring, 101, Some(127))]
    );
}

#[test]
fn a_revoked_key_is_nothing_else_once_it_signs_no_more() {
    let lifecycle = Lifecycle {
        activation_time: Some(at(0)),
        retirement_time: Some(at(51)),
        earliest_removal_time: Some(at(77)),
        revocation_time: Some(at(50)),
        removal_time: Some(at(52)),
        ..Lifecycle::default()
    };
    let revoked = Seen { lifecycle, private_key: Some(PrivateKeyState::Destroyed), ..seen("pay-1") };
    let lives = now(60, vec![revoked]);
    assert_eq!(told(&lives[0]), [(Stage::Active, 0, Some(51)), (Stage::Revoked, 51, Some(52))]);
    let staged = Lifecycle { revocation_time: Some(at(5)), removal_time: Some(at(6)), ..Lifecycle::default() };
    let standby = Seen { made: Some(at(1)), lifecycle: staged, ..seen("pay-2") };
    assert_eq!(told(&now(60, vec![standby])[0]), [(Stage::Staged, 1, Some(5)), (Stage::Revoked, 5, Some(6))]);
}

#[test]
fn what_nobody_recorded_is_not_made_up() {
    // Removed long ago: the status has forgotten what was seen of it.
    let lifecycle = Lifecycle {
        activation_time: Some(at(100)),
        retirement_time: Some(at(200)),
        earliest_removal_time: Some(at(225)),
        removal_time: Some(at(226)),
        ..Lifecycle::default()
    };
    let lives = now(300, vec![Seen { made: Some(at(0)), lifecycle, ..seen("pay-1") }]);
    assert_eq!(
        told(&lives[0]),
        [(Stage::Staged, 0, Some(100)), (Stage::Active, 100, Some(200)), (Stage::Retiring, 200, Some(226))]
    );
    assert_eq!(lives[0].guards[0].lengths(), None, "25 h is not the sum of today");
    // Somebody holds it: its promise has passed.
    let held = Lifecycle { removal_time: None, ..now_held() };
    let lives = now(300, vec![Seen { lifecycle: held, ..seen("pay-1") }]);
    assert_eq!(told(&lives[0]), [(Stage::Active, 100, Some(200)), (Stage::Retiring, 200, None)]);
}

fn now_held() -> Lifecycle {
    Lifecycle {
        activation_time: Some(at(100)),
        retirement_time: Some(at(200)),
        earliest_removal_time: Some(at(225)),
        ..Lifecycle::default()
    }
}

#[test]
fn an_external_key_only_verifies() {
    let external = Seen { origin: Origin::External, publish_time: Some(at(3)), ..seen("pay-1") };
    assert_eq!(told(&now(9, vec![external])[0]), [(Stage::External, 3, None)]);
}

#[test]
fn a_wait_that_begins_anew_is_told_as_the_last_one() {
    let published = |visible: Option<i64>| Seen {
        publish_time: Some(at(0)),
        visible_time: visible.map(at),
        earliest_activation_time: visible.map(|hour| at(hour + 24) + SignedDuration::from_mins(5)),
        ..seen("pay-2")
    };
    let snapshot = |hour, visible| Snapshot { time: at(hour), keys: vec![published(visible)] };
    let lives = lives(&[snapshot(1, Some(0)), snapshot(2, None), snapshot(3, Some(3))], &spec());
    assert_eq!(told(&lives[0]), [(Stage::Published, 0, Some(27)), (Stage::Standby, 27, None)]);
    assert_eq!(lives[0].guards[0].from, at(3));
    let unseen = now(2, vec![published(None)]);
    assert_eq!(told(&unseen[0]), [(Stage::Published, 0, None)], "nobody knows when it may sign");
}
