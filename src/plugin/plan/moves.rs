//! What an edit moves: the same act at another time, a new one, or one that does not happen any more.

use std::fmt::{self, Display};

use jiff::Timestamp;
use serde::Serialize;

use super::super::output::length;
use super::foretold::{Action, Foretold};

/// An act that an edit moves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Move {
    action: Action,
    subject: String,
    text: String,
    /// When it would have been; absent for what is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Timestamp>,
    /// When it will be; absent for what does not happen within the time that was looked ahead.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Timestamp>,
}

impl Display for Move {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = &self.text;
        match (self.from, self.to) {
            (Some(from), Some(to)) if to > from => {
                write!(f, "{text}: {} later, at {to} instead of {from}", length(to.duration_since(from)))
            }
            (Some(from), Some(to)) => {
                write!(f, "{text}: {} earlier, at {to} instead of {from}", length(from.duration_since(to)))
            }
            (None, Some(to)) => write!(f, "{text}: new, at {to}"),
            (Some(from), None) => write!(f, "{text}: no longer at {from}, nor later in the time that was looked ahead"),
            (None, None) => write!(f, "{text}"),
        }
    }
}

/// What of `before` happens at another time or not at all in `after`, and what is new there.
pub(super) fn moves(before: &[Foretold], after: &[Foretold]) -> Vec<Move> {
    let milestones = |all: &[Foretold]| -> Vec<Foretold> {
        let milestone = |it: &&Foretold| {
            matches!(
                it.action,
                Action::Generate
                    | Action::Import
                    | Action::Activate
                    | Action::DestroyPrivateKey
                    | Action::Remove
                    | Action::Revoke
            )
        };
        all.iter().filter(milestone).cloned().collect()
    };
    let (mut before, after) = (milestones(before), milestones(after));
    let mut moves = Vec::new();
    for new in after {
        let same = |old: &Foretold| old.action == new.action && old.subject == new.subject;
        let old = before.iter().position(same).map(|index| before.remove(index));
        if old.as_ref().is_none_or(|old| old.time != new.time) {
            let (from, to) = (old.map(|old| old.time), Some(new.time));
            moves.push(Move { action: new.action, subject: new.subject, text: new.text, from, to });
        }
    }
    let gone = before.into_iter().map(|old| {
        let (from, to) = (Some(old.time), None);
        Move { action: old.action, subject: old.subject, text: old.text, from, to }
    });
    moves.extend(gone);
    moves
}
