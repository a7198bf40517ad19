//! `unpin`: `rotation.pinnedKeyID` goes, and rotation goes on.

use super::Outcome;
use super::change::{self, Change, Taking, Wish};
use super::error::Error;
use super::keys::Known;
use super::session::Session;
use crate::api::RotationMode;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// KeySet that is pinned
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    taking: Taking,
}

pub(super) async fn run(session: &Session, arguments: &Arguments) -> Outcome {
    let Arguments { name, taking } = arguments;
    change::perform(session, name, &taking.writing, |known| unpin(known, taking)).await
}

fn unpin(known: &Known, taking: &Taking) -> Result<Change, Error> {
    let (name, rotation) = (known.name(), &known.key_set.spec.rotation);
    let Some(kid) = &rotation.pinned_key_id else {
        return Err(Error::Refused(format!("{name} is not pinned")));
    };
    let wish = Wish::rotation("pinnedKeyID", None);
    change::check_taking(known, &wish, taking)?;
    let since = known.active_since();
    let asked = rotation.after.filter(|after| since.is_some_and(|since| since < *after));
    let goes_on = match (rotation.mode, asked) {
        (RotationMode::Suspended, _) => "Nothing rotates before rotation.mode is Interval or OnRequest.".to_owned(),
        (_, Some(after)) => format!("The rotation that was asked for, not before {after}, goes on."),
        (RotationMode::Interval, None) => {
            "The active key goes on signing until it is due by age: at once, if it is overdue.".to_owned()
        }
        (RotationMode::OnRequest, None) => "The active key goes on signing until a rotation is asked for.".to_owned(),
    };
    Ok(Change {
        wish,
        done: format!("{name} is not pinned to kid {kid} any more."),
        earliest_time: None,
        consequences: vec![goes_on],
        warnings: Vec::new(),
    })
}
