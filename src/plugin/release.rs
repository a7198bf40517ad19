//! `release`: an entry of `heldKeys` goes, and its key may leave.

use jiff::Timestamp;
use serde_json::json;

use super::Outcome;
use super::change::{self, Change, Taking, Wish};
use super::error::Error;
use super::keys::{Known, Meant};
use super::output::moment;
use super::session::Session;
use crate::api::KeyState;
use crate::jose::KeyId;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    meant: Meant,
    #[command(flatten)]
    taking: Taking,
}

pub(super) async fn run(session: &Session, arguments: &Arguments) -> Outcome {
    let Arguments { meant: Meant { name, key }, taking } = arguments;
    change::perform(session, name, &taking.writing, |known| release(known, key, taking, session.now)).await
}

fn release(known: &Known, wanted: &str, taking: &Taking, now: Timestamp) -> Result<Change, Error> {
    let held = || known.key_set.spec.held_keys.iter().map(|held| &held.key_id);
    // A hold may name a key that there is not.
    let named = held().find(|kid| kid.as_str() == wanted).cloned();
    let kid = named.map_or_else(|| known.find(wanted)?.named().cloned(), Ok)?;
    if !held().any(|held| *held == kid) {
        let list: Vec<&str> = held().map(KeyId::as_str).collect();
        let list = if list.is_empty() { "none".to_owned() } else { list.join(", ") };
        return Err(Error::Refused(format!("{kid} is not held: held are {list}")));
    }
    let wish = Wish::entry("heldKeys", json!({ "keyID": kid }), None);
    change::check_taking(known, &wish, taking)?;
    let key = known.keys.iter().find(|key| key.kid() == Some(&kid));
    let leaves = key.filter(|key| key.state() == Some(KeyState::Retiring)).and_then(|key| {
        let time = key.lifecycle().earliest_removal_time?;
        Some((time, format!("{} leaves the set {}.", key.name, moment(time, now))))
    });
    Ok(Change {
        wish,
        done: format!(
            "{} is released.",
            key.map_or_else(|| kid.to_string(), |key| format!("{} (kid {kid})", key.name))
        ),
        earliest_time: leaves.as_ref().map(|(time, _)| *time),
        consequences: leaves.into_iter().map(|(_, told)| told).collect(),
        warnings: Vec::new(),
    })
}
