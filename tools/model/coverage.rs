//! What an exploration has really exercised: every write, done, refused, and cut off before and after; and among which
//! ghosts.

use std::collections::BTreeMap;

use crate::laws::tokens;
use crate::state::State;
use crate::world::{Step, World};

/// For each write by its label, how often what happened to it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Coverage(BTreeMap<String, [u64; COLUMNS.len()]>);

/// What can happen to a write.
pub(crate) const COLUMNS: [&str; 8] =
    ["done", "refused", "crash before", "crash after", "old copies", "lagging signer", "old tokens", "behind replica"];

impl Coverage {
    pub(crate) fn rows(&self) -> impl Iterator<Item = (&String, &[u64; COLUMNS.len()])> {
        self.0.iter()
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (label, counts) in &other.0 {
            let row = self.0.entry(label.clone()).or_default();
            row.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
    }

    /// Notes a step.
    pub(crate) fn note(&mut self, world: &World, before: &State, step: Step, after: &State) {
        match step {
            Step::Write(who) => {
                let Some((label, _)) = labels(world, before, who) else { return };
                let row = self.0.entry(label).or_default();
                if before.objects == after.objects {
                    row[1] += 1;
                    return;
                }
                row[0] += 1;
                // Who has nothing left to do forgets nothing by a crash.
                row[3] += u64::from(!after.controllers[usize::from(who)].writes());
                let kids = || tokens(after);
                row[4] += u64::from(kids().any(|kid| after.ghosts.without[usize::from(kid)] != 0));
                row[5] += u64::from(kids().any(|kid| after.ghosts.lagging[usize::from(kid)] > after.tick));
                row[6] +=
                    u64::from(kids().any(|kid| (1..=after.tick).contains(&after.ghosts.lagging[usize::from(kid)])));
                let replicas = &after.replicas[..world.scenario.replicas];
                row[7] += u64::from(
                    replicas
                        .iter()
                        .any(|it| it.published != after.objects.published || it.status != after.objects.status),
                );
            }
            Step::Crash(who) => {
                let Some((label, previous)) = labels(world, before, who) else { return };
                self.0.entry(label).or_default()[2] += 1;
                if let Some(previous) = previous {
                    self.0.entry(previous).or_default()[3] += 1;
                }
            }
            _ => {}
        }
    }
}

/// The label of the next write of a controller, and of the one that it has just done.
fn labels(world: &World, state: &State, who: u8) -> Option<(String, Option<String>)> {
    let controller = &state.controllers[usize::from(who)];
    let queue = world.mind.queues.value(controller.plan)?;
    let label =
        |index: usize| queue.get(index).and_then(|it| world.mind.labels.value(it.label)).map(|it| (*it).clone());
    let done = usize::from(controller.done);
    Some((label(done)?, done.checked_sub(1).and_then(label)))
}
