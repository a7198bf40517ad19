//! `hold`: an entry of `heldKeys`, so that a key stays published.

use serde_json::json;

use super::Outcome;
use super::change::{self, Change, Wish, Writing};
use super::error::Error;
use super::keys::{Known, Meant};
use super::output::length;
use super::session::Session;
use crate::api::KeyState;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    meant: Meant,
    #[command(flatten)]
    writing: Writing,
}

pub(super) async fn run(session: &Session, arguments: &Arguments) -> Outcome {
    let Arguments { meant: Meant { name, key }, writing } = arguments;
    change::perform(session, name, writing, |known| hold(known, key)).await
}

fn hold(known: &Known, wanted: &str) -> Result<Change, Error> {
    let key = known.find(wanted)?;
    let (kid, name) = (key.named()?, &key.name);
    let why = match key.state() {
        Some(KeyState::Revoked) => Some(format!("{name} is revoked, and revocation wins over a hold")),
        Some(KeyState::Removed) => Some(format!("{name} left the set, and a hold brings no key back")),
        _ if known.key_set.spec.held_keys.iter().any(|held| held.key_id == *kid) => {
            Some(format!("{name} is held already"))
        }
        _ => None,
    };
    if let Some(why) = why {
        return Err(Error::Refused(why));
    }
    let key_id = json!({ "keyID": kid });
    let window = length(known.contract().rollback_window);
    Ok(Change {
        wish: Wish::entry("heldKeys", key_id.clone(), Some(key_id)),
        done: format!("{name} (kid {kid}) is held."),
        earliest_time: None,
        consequences: vec![format!(
            "It stays published until it is released or revoked. Once it is retired, its private half goes after {window} (B) \
             all the same."
        )],
        warnings: Vec::new(),
    })
}
