//! `rotate`: `rotation.after`, the wish for an active key from then on.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::Outcome;
use super::change::{self, Change, Taking, Wish};
use super::error::Error;
use super::keys::{Key, Known};
use super::output::{length, moment, relative};
use super::session::Session;
use crate::api::{Duration, KeyState, RotationMode};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// KeySet whose active key is to be replaced
    #[arg(value_name = "NAME")]
    name: String,
    /// Not before this time, such as 2026-03-01T02:00:00Z
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// Not before so much time has passed, such as 90m
    #[arg(long, value_name = "DURATION", conflicts_with = "at")]
    r#in: Option<Duration>,
    /// Take back a rotation that was asked for and has not happened
    #[arg(long, conflicts_with_all = ["at", "in"])]
    cancel: bool,
    #[command(flatten)]
    taking: Taking,
}

pub(super) async fn run(session: &Session, arguments: &Arguments) -> Outcome {
    let Arguments { name, taking, .. } = arguments;
    let later = arguments.r#in.as_ref().map(|length| session.now + length.length());
    let asked = arguments.at.or(later).unwrap_or(session.now);
    change::perform(session, name, &taking.writing, |known| {
        if arguments.cancel { cancel(known, taking) } else { rotate(known, asked, session.now) }
    })
    .await
}

fn rotate(known: &Known, asked: Timestamp, now: Timestamp) -> Result<Change, Error> {
    refuse_idle(known, asked)?;
    let next = known.keys.iter().find(|key| is_next(known, key));
    let ready = next.and_then(Key::may_sign_from);
    let earliest = ready.map(|ready| ready.max(asked));
    if let Some(pending) = pending(known) {
        let same = ready.is_some_and(|ready| ready.max(pending) == ready.max(asked)) || pending == asked;
        if same {
            let when = ready.map(|ready| format!(", and happens {}", moment(ready.max(pending), now)));
            return Err(Error::Refused(format!(
                "a rotation of {} is asked for already{}",
                known.name(),
                when.unwrap_or_default()
            )));
        }
    }
    let mut consequences = vec![foretold(known, next, asked, now)];
    if let Some(active) = known.active() {
        let stays = length(known.contract().retention());
        consequences.push(format!(
            "{} stays published for {stays} after that (L + T + S + M), so that its tokens stay valid.",
            active.name
        ));
    }
    let by_age = known.key_set.status.as_ref().and_then(|status| status.next_transition.as_ref());
    let by_age =
        by_age.filter(|next| next.action == crate::api::TransitionAction::Activate && pending(known).is_none());
    let before = by_age.and_then(|next| next.earliest_time).filter(|due| *due < asked);
    let warnings = before
        .map(|due| format!("The key that takes over by age, {}, is replaced by this request, too.", moment(due, now)));
    Ok(Change {
        wish: Wish::rotation("after", Some(json!(asked))),
        done: format!("{} rotates, not before {asked}.", known.name()),
        earliest_time: earliest,
        consequences,
        warnings: warnings.into_iter().collect(),
    })
}

fn cancel(known: &Known, taking: &Taking) -> Result<Change, Error> {
    let Some(pending) = pending(known) else {
        return Err(Error::Refused(format!("no rotation of {} is asked for that has not happened", known.name())));
    };
    let wish = Wish::rotation("after", None);
    change::check_taking(known, &wish, taking)?;
    Ok(Change {
        wish,
        done: format!("The rotation of {} that was asked for, not before {pending}, is taken back.", known.name()),
        earliest_time: None,
        consequences: Vec::new(),
        warnings: Vec::new(),
    })
}

/// What would come to nothing.
fn refuse_idle(known: &Known, asked: Timestamp) -> Result<(), Error> {
    let (name, rotation) = (known.name(), &known.key_set.spec.rotation);
    let why = match known.active_since() {
        _ if rotation.mode == RotationMode::Suspended => {
            format!("{name} is suspended, and nothing rotates: set rotation.mode to Interval or OnRequest first")
        }
        _ if rotation.pinned_key_id.is_some() => {
            format!("{name} is pinned, and nothing rotates: kubectl keyset unpin {name} first")
        }
        None => {
            format!("nothing signs yet with {name}: kubectl keyset status {name} tells what its first key waits for")
        }
        Some(since) if asked <= since => {
            let signs = known.active().map_or("a key", |key| &key.name);
            format!("{signs} signs since {since}, and the rotation that you ask for, {asked}, is not after that")
        }
        Some(_) => return Ok(()),
    };
    Err(Error::Refused(why))
}

/// The rotation that is asked for and has not happened.
fn pending(known: &Known) -> Option<Timestamp> {
    let since = known.active_since();
    known.key_set.spec.rotation.after.filter(|after| since.is_none_or(|since| since < *after))
}

/// A key of the algorithm that the spec asks for that has never signed.
fn is_next(known: &Known, key: &Key) -> bool {
    let staged = matches!(key.state(), Some(KeyState::Pending | KeyState::Published | KeyState::Standby));
    let algorithm = key.status.as_ref().and_then(|status| status.algorithm);
    staged && algorithm.is_none_or(|algorithm| algorithm == known.key_set.spec.algorithm)
}

fn foretold(known: &Known, next: Option<&Key>, asked: Timestamp, now: Timestamp) -> String {
    let spec = &known.key_set.spec;
    let lead = format!("C + S ({} + {})", spec.verifiers.max_cache_age, spec.clock_skew);
    let Some(next) = next else {
        return format!(
            "The next key is still to be made. It takes over {lead} after every replica was seen to serve it."
        );
    };
    let name = &next.name;
    match next.may_sign_from() {
        None => format!("{name} takes over {lead} after every replica was seen to serve it, which has not been yet."),
        Some(ready) if ready > asked => format!(
            "{name} takes over {}: {lead} after every replica was seen to serve it. Before, verifiers may have a copy \
             without it.",
            moment(ready, now)
        ),
        Some(_) if asked.duration_since(now) <= SignedDuration::ZERO => {
            format!("{name} takes over in seconds: every verifier knows it.")
        }
        Some(_) => format!("{name} takes over at {asked} ({}): every verifier knows it by then.", relative(asked, now)),
    }
}
