//! `pin`: `rotation.pinnedKeyID`, the wish for this active key and no other.

use jiff::Timestamp;
use serde_json::json;

use super::Outcome;
use super::change::{self, Change, Wish, Writing};
use super::error::Error;
use super::keys::{Key, Known, Meant};
use super::output::moment;
use super::session::Session;
use crate::api::{KeyState, RotationMode};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    meant: Meant,
    #[command(flatten)]
    writing: Writing,
}

pub(super) async fn run(session: &Session, arguments: &Arguments) -> Outcome {
    let Arguments { meant: Meant { name, key }, writing } = arguments;
    change::perform(session, name, writing, |known| pin(known, key, session.now)).await
}

fn pin(known: &Known, wanted: &str, now: Timestamp) -> Result<Change, Error> {
    let key = known.find(wanted)?;
    let kid = key.named()?;
    if let Some(why) = refusal(known, key, now) {
        return Err(Error::Refused(why));
    }
    let signs = known.active().is_some_and(|active| active.name == key.name);
    let name = &key.name;
    let (earliest_time, told) = match key.may_sign_from() {
        _ if signs => (None, "It signs already, and nothing but its revocation or its loss replaces it.".to_owned()),
        Some(time) if time <= now => (Some(now), format!("{name} takes over in seconds: every verifier knows it.")),
        Some(time) => (
            Some(time),
            format!(
                "{name} takes over {}: before, verifiers may have a copy of the set without it.",
                moment(time, now)
            ),
        ),
        None => {
            (None, format!("{name} takes over C + S after every replica was seen to serve it, which has not been yet."))
        }
    };
    Ok(Change {
        wish: Wish::rotation("pinnedKeyID", Some(json!(kid))),
        done: format!("{name} (kid {kid}) is pinned."),
        earliest_time,
        consequences: vec![
            told,
            format!("Nothing rotates by age or by request before `kubectl keyset unpin {}`.", known.name()),
        ],
        warnings: Vec::new(),
    })
}

/// Why the key cannot sign, or the pin would change nothing.
fn refusal(known: &Known, key: &Key, now: Timestamp) -> Option<String> {
    let (name, rotation) = (&key.name, &known.key_set.spec.rotation);
    let signs = known.active().is_some_and(|active| active.name == *name);
    let leaves = key.lifecycle().earliest_removal_time.filter(|_| key.state() == Some(KeyState::Retiring));
    let why = match key.state() {
        _ if rotation.pinned_key_id.as_ref() == key.kid() => "is pinned already".to_owned(),
        Some(KeyState::Revoked) => "is revoked, and never signs again".to_owned(),
        Some(KeyState::Removed) => "left the set, and never signs again".to_owned(),
        _ if key.is_external() => "is an external key, which signs elsewhere".to_owned(),
        _ if signs => return None,
        _ if !key.has_private() => {
            "has no private half any more: rotation.rollbackWindow is over, or it was lost".to_owned()
        }
        _ if leaves.is_some_and(|time| time <= now + known.contract().clock_skew) => {
            "is about to leave the set".to_owned()
        }
        _ if rotation.mode == RotationMode::Suspended => {
            "would not take over: rotation.mode is Suspended, set it to Interval or OnRequest first".to_owned()
        }
        _ => return None,
    };
    Some(format!("{name} {why}"))
}
