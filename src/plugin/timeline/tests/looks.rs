//! What the renderers show, word for word. The pictures among the snapshots are also opened in a browser (`tests/browser.rs`).

use jiff::SignedDuration;

use super::super::html::Html;
use super::super::model::Timeline;
use super::super::svg::picture;
use super::super::terminal::Terminal;
use super::super::window::Asked;
use super::fixtures::{Set, hours};

/// An hour after a rotation, everything that today's keys have ahead.
fn months() -> Timeline {
    Set::at_defaults("payments", 5).timeline(hours(30 * 24 + 1), Asked::default())
}

/// The same time from near.
fn days() -> Timeline {
    let asked = Asked { since: Some(hours(24)), until: Some(hours(48)) };
    Set::at_defaults("payments", 5).timeline(hours(30 * 24 + 8), asked)
}

fn seconds() -> Timeline {
    Set::in_seconds("pay", 6).timeline(SignedDuration::from_secs(23), Asked::default())
}

fn crowd() -> Timeline {
    let asked = Asked { since: Some(hours(20 * 720)), until: Some(hours(90 * 24)) };
    Set::at_defaults("a-name-that-is-as-long-as-the-schema-lets-one-be-at-all", 24).timeline(hours(21 * 720 + 1), asked)
}

fn plain(timeline: &Timeline) -> String {
    let text = Terminal { timeline, columns: 80 }.to_string();
    anstream::adapter::strip_str(&text).to_string()
}

#[test]
fn a_terminal_of_80_columns() {
    insta::assert_snapshot!("terminal_months", plain(&months()));
    insta::assert_snapshot!("terminal_days", plain(&days()));
    insta::assert_snapshot!("terminal_seconds", plain(&seconds()));
    insta::assert_snapshot!("terminal_crowd", plain(&crowd()));
}

#[test]
fn pictures() {
    insta::assert_binary_snapshot!("months.svg", picture(&months()).to_string().into_bytes());
    insta::assert_binary_snapshot!("days.svg", picture(&days()).to_string().into_bytes());
    insta::assert_binary_snapshot!("crowd.svg", picture(&crowd()).to_string().into_bytes());
    insta::assert_binary_snapshot!("seconds.html", Html(&seconds()).to_string().into_bytes());
}

#[test]
fn programs_read_the_same_facts() {
    insta::assert_snapshot!("seconds_yaml", serde_saphyr::to_string(&seconds()).unwrap());
}
