//! The server in the small: `server::index` says what a replica serves, `server::store` since when.

use crate::cast::{KIDS, Kids};
use crate::mind::Look;
use crate::state::{Replica, State};
use crate::world::World;

/// The list of KeySets is there.
pub(crate) const HAS_STATUS: u8 = 1;
/// The list of ConfigMaps is there.
pub(crate) const HAS_CONFIG: u8 = 2;
const COMPLETE: u8 = HAS_STATUS | HAS_CONFIG;

impl Replica {
    /// All first lists are there.
    pub(crate) fn is_complete(&self) -> bool {
        self.listed == COMPLETE
    }
}

impl World {
    /// A replica learns of the status, the ConfigMap, or both.
    pub(crate) fn follow(&self, state: &mut State, index: usize, what: u8) {
        let (objects, tick) = (state.objects, state.tick);
        let replica = &mut state.replicas[index];
        replica.listed |= what;
        if what & HAS_STATUS != 0 {
            replica.status = objects.status;
        }
        if what & HAS_CONFIG != 0 {
            replica.published = objects.published;
        }
        if replica.is_complete() {
            self.judge(replica, tick);
        }
    }

    /// `Index::claimed`: a document is served if its digest is accepted and its revision is not lower.
    fn judge(&self, replica: &mut Replica, tick: u8) {
        let Some(document) = self.mind.documents.value(u32::from(replica.published)) else { return };
        let Some(kids) = document.kids.filter(|kids| !kids.is_empty()) else { return };
        let Some(stored) = self.mind.statuses.value(replica.status) else { return };
        let accepted = stored.accepted.iter().find(|(accepted, _)| *accepted == kids);
        let revision = match accepted {
            Some((_, revision)) => *revision,
            None if self.rules.serves_unaccepted => u8::try_from(document.revision).unwrap_or(u8::MAX),
            None => return,
        };
        let is_lower = !replica.served.is_empty() && replica.revision > revision;
        if is_lower && !self.rules.serves_lower {
            return;
        }
        let first = replica.served.is_empty();
        let mut since = [0; KIDS];
        for kid in kids.iter() {
            since[usize::from(kid)] = match () {
                () if first || self.rules.forgets_ages => 0,
                () if replica.served.has(kid) => replica.since[usize::from(kid)],
                () => tick + 1,
            };
        }
        replica.served = kids;
        replica.revision = revision;
        replica.since = since;
    }

    /// A look at every replica, as `controller::prober` takes it.
    pub(crate) fn look(&self, state: &State) -> u32 {
        let replicas = &state.replicas[..self.scenario.replicas];
        let answers = |replica: &&Replica| !replica.is_silent && replica.is_complete();
        let is_complete = replicas.iter().all(|replica| answers(&replica)) || self.rules.counts_incomplete;
        let served = |replica: &Replica| {
            let since = if self.rules.forgets_ages { [0; KIDS] } else { replica.since };
            Some((replica.served, replica.revision, since)).filter(|(served, ..)| *served != Kids::default())
        };
        self.mind.passes.number(Look { is_complete, answers: replicas.iter().filter(answers).map(served).collect() })
    }
}
