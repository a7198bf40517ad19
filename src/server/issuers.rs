//! Which set is at which issuer's URL: the consent of the administrator, and who came first, judged here once more.
//!
//! Invariants: without consent for its namespace nobody has an issuer, whatever a status says; of two that want one, the
//! KeySet that was made first has it, and one whose KeySet is gone comes after every living one that has something to serve;
//! a path that is another set's on every host stays that set's, unless the issuer came first.

use std::collections::HashMap;

use jiff::Timestamp;

use super::index::Name;
use crate::issuer::{Address, Consent, Issuer};

/// A set and the issuer that it names.
pub(super) struct Wish<'a> {
    pub(super) name: &'a Name,
    pub(super) issuer: &'a Issuer,
    pub(super) rank: Rank,
}

/// Who comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// A KeySet that was made then; one that cannot be read keeps what it had.
    Living(Option<Timestamp>),
    /// A set whose KeySet is gone.
    Retained,
    /// A KeySet that was made then, and has accepted nothing yet.
    Fresh(Option<Timestamp>),
}

/// What comes of a wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Served(Issuer),
    /// It is not given to its namespace, or is another's.
    Refused(Issuer),
}

impl Standing {
    pub(super) fn served(&self) -> Option<&Issuer> {
        match self {
            Self::Served(issuer) => Some(issuer),
            Self::Refused(_) => None,
        }
    }
}

/// What comes of every wish. `rank` is that of any set, `None` for one that there is not.
pub(super) fn standings(
    wishes: &[Wish<'_>],
    consent: &Consent,
    rank: impl Fn(&Name) -> Option<Rank>,
) -> HashMap<Name, Standing> {
    let may = |wish: &&Wish<'_>| consent.covers(wish.issuer, wish.name.namespace()) && !yields(wish, &rank);
    let mut first: HashMap<&Address, &Wish<'_>> = HashMap::new();
    for wish in wishes.iter().filter(may) {
        let best = first.entry(wish.issuer.address()).or_insert(wish);
        if (wish.rank, wish.name) < (best.rank, best.name) {
            *best = wish;
        }
    }
    let standing = |wish: &Wish<'_>| {
        let is_first = first.get(wish.issuer.address()).is_some_and(|best| best.name == wish.name);
        let issuer = wish.issuer.clone();
        (wish.name.clone(), if is_first { Standing::Served(issuer) } else { Standing::Refused(issuer) })
    };
    wishes.iter().map(standing).collect()
}

/// Whether its path is that of another set, which was there before.
fn yields(wish: &Wish<'_>, rank: impl Fn(&Name) -> Option<Rank>) -> bool {
    let Some((namespace, name)) = wish.issuer.key_set() else { return false };
    let other = Name::new(namespace, name);
    match rank(&other).filter(|_| other != *wish.name) {
        Some(Rank::Retained) => true,
        Some(rank) => (rank, &other) < (wish.rank, wish.name),
        None => false,
    }
}
