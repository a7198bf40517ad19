//! The laws of DESIGN section 3, asked of every state, and of writes that must never be asked for.
//!
//! Verifiers never refetch before their copy is as old as `C`, and signers never reload before `L`: whoever holds out for
//! these holds out for kinder ones.

use std::fmt;

use crate::cast::{Kid, Kids};
use crate::state::State;
use crate::world::World;

/// What must never be so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Law {
    /// Law 1.
    UnknownKey,
    /// Law 2.
    OrphanedToken,
    /// Law 5.
    ActiveKeyUnpublished,
    /// Law 5.
    NotAccepted,
    /// Law 6: CEL refuses the write, for ever.
    PromiseTakenBack,
    /// A removed, revoked or barred key takes over.
    SignsAgain,
    /// The Signer Secret goes back to an earlier activation.
    LowerTerm,
    /// We destroy the private half that signs.
    SigningKeyDestroyed,
    /// The window in which verifiers may lack the key is longer than the status says.
    UndeclaredWindow,
    /// Left alone, writes go on for ever.
    Livelock,
    /// Left alone, it comes to rest in a state that is not healthy.
    Unhealthy,
    /// Something was to be done before the time at which the plan wanted to be asked again.
    Overslept,
}

impl World {
    /// Lets the ghosts watch what is served.
    pub(crate) fn watch(&self, state: &mut State) {
        let lifetime = self.lifetimes[self.acknowledged(state)];
        let ghosts = &mut state.ghosts;
        for replica in state.replicas.iter().filter(|replica| !replica.served.is_empty()) {
            for (kid, without) in (0..).zip(&mut ghosts.without) {
                if !replica.served.has(kid) {
                    *without = state.tick + 1;
                }
            }
        }
        for kid in 0..crate::cast::KIDS as Kid {
            let index = usize::from(kid);
            if ghosts.without[index] != 0 && state.tick + 1 >= ghosts.without[index] + self.cache_age {
                ghosts.without[index] = 0;
                ghosts.declared = ghosts.declared.without(kid);
            }
            if ghosts.signing() == Some(kid) || state.tick < ghosts.lagging[index] {
                ghosts.lifetimes[index] = ghosts.lifetimes[index].max(lifetime);
            }
            if ghosts.lagging[index] != 0
                && state.tick + 1 >= ghosts.lagging[index] + ghosts.lifetimes[index] + self.skew
            {
                ghosts.lagging[index] = 0;
                ghosts.lifetimes[index] = 0;
            }
        }
    }

    /// The spec whose `T` is in force: an issuer that asks for longer tokens waits for its acknowledgement.
    fn acknowledged(&self, state: &State) -> usize {
        let edited = usize::from(state.spec);
        if self.lifetimes[..=edited].windows(2).all(|pair| pair[0] == pair[1]) {
            return edited;
        }
        let stored = self.mind.statuses.value(state.objects.status);
        let generation = stored.and_then(|stored| stored.status.observed_generation);
        generation.and_then(|generation| usize::try_from(generation - 1).ok()).unwrap_or(edited)
    }

    /// The law that a state breaks.
    pub(crate) fn broken(&self, state: &State) -> Option<Law> {
        let ghosts = &state.ghosts;
        let signing = ghosts.signing();
        let lags = |kid: Kid| ghosts.lagging[usize::from(kid)] > state.tick;
        for kid in tokens(state) {
            if self.lacks(state, kid) && !ghosts.declared.has(kid) && !ghosts.revoked.has(kid) {
                let is_new = signing == Some(kid) || lags(kid);
                return Some(if is_new { Law::UnknownKey } else { Law::OrphanedToken });
            }
        }
        let stored = self.mind.statuses.value(state.objects.status)?;
        let accepted = stored.accepted.first().map(|(kids, _)| *kids);
        let claimed = accepted.filter(|_| state.budget.losses == self.scenario.budget.losses);
        if let Some(accepted) = claimed {
            if state.objects.signer != 0 && signing.is_some_and(|kid| !accepted.has(kid) && !ghosts.revoked.has(kid)) {
                return Some(Law::ActiveKeyUnpublished);
            }
            let document = self.mind.documents.value(u32::from(state.objects.published))?;
            let is_accepted = |kids: Kids| stored.accepted.iter().any(|(accepted, _)| *accepted == kids);
            if !document.kids.is_some_and(is_accepted) {
                return Some(Law::NotAccepted);
            }
        }
        None
    }

    /// Whether a replica, or a copy that is in use, lacks the kid.
    pub(crate) fn lacks(&self, state: &State, kid: Kid) -> bool {
        let serves = |replica: &crate::state::Replica| replica.served.is_empty() || replica.served.has(kid);
        state.ghosts.without[usize::from(kid)] != 0 || !state.replicas.iter().all(serves)
    }
}

/// Kids of tokens that may be valid now.
pub(crate) fn tokens(state: &State) -> impl Iterator<Item = Kid> {
    let signing = state.ghosts.signing();
    let ghosts = state.ghosts;
    (0..crate::cast::KIDS as Kid).filter(move |kid| signing == Some(*kid) || ghosts.lagging[usize::from(*kid)] != 0)
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownKey => "law 1: a token meets a set or a copy without its kid",
            Self::OrphanedToken => "law 2: an unexpired token meets a set or a copy without its kid",
            Self::ActiveKeyUnpublished => "law 5: the accepted set lacks the signing key",
            Self::NotAccepted => "law 5: the ConfigMap is one that no server may serve",
            Self::PromiseTakenBack => "law 6: the API server refuses a record",
            Self::SignsAgain => "a removed, revoked or barred key takes over",
            Self::LowerTerm => "the Signer Secret goes back to a lower term",
            Self::SigningKeyDestroyed => "the private half that signs is destroyed by us",
            Self::UndeclaredWindow => "verifiers may lack the key for longer than the status says",
            Self::Livelock => "left alone it writes for ever",
            Self::Unhealthy => "left alone it comes to rest, and is not healthy",
            Self::Overslept => "something was to be done before the planned wake-up",
        })
    }
}
