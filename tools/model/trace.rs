//! A trace in words.

use crate::cast::{SLOTS, name};
use crate::laws::Law;
use crate::state::State;
use crate::world::{Step, World};

impl World {
    /// The steps from the start, a line each, and for a law of rest what follows when it is left alone.
    pub(crate) fn told(&self, path: &[Step], law: Law) -> Vec<String> {
        let (mut state, _) = self.start();
        let mut lines = self.told_state(&state);
        for step in path {
            let mut steps = Vec::new();
            self.steps(&state, &mut steps);
            // A step may have two outcomes; the path keeps only its kind, so the first that breaks or moves is taken.
            let Some((_, next, _)) = steps.iter().find(|(kind, ..)| kind == step) else { break };
            lines.push(format!("t={} {}", state.tick, self.told_step(&state, *step, next)));
            state = *next;
        }
        lines.extend(self.told_state(&state));
        if matches!(law, Law::Livelock | Law::Unhealthy | Law::Overslept | Law::UndeclaredWindow) {
            let mut alone = Vec::new();
            let _ = self.rest(
                &state,
                |_| false,
                |state, what| alone.push(format!("   t={} {}", state.tick, self.told_turn(state, what))),
            );
            alone.truncate(60);
            lines.push("left alone:".to_owned());
            lines.extend(alone);
        }
        lines
    }

    fn told_turn(&self, state: &State, what: &str) -> String {
        let queues: Vec<String> = state.controllers.iter().map(|it| self.told_queue(it.plan, it.done)).collect();
        format!("{what} -> {}", queues.join(" | "))
    }

    fn told_queue(&self, plan: u32, done: u8) -> String {
        let queue = self.mind.queues.value(plan);
        let writes = queue.iter().flat_map(|queue| queue.iter().skip(usize::from(done)));
        writes.map(|write| self.mind.told(write)).collect::<Vec<_>>().join("; ")
    }

    fn told_step(&self, state: &State, step: Step, next: &State) -> String {
        let who = |who: u8| if who == 0 { "X" } else { "Y" };
        match step {
            Step::Tick => "time passes".to_owned(),
            Step::Read(name, bits) => format!("{} reads {}", who(name), told_bits(bits)),
            Step::Look(name) => format!("{} has looked", who(name)),
            Step::Plan(name) => {
                let controller = &next.controllers[usize::from(name)];
                format!("{} looks and plans: {}", who(name), self.told_queue(controller.plan, 0))
            }
            Step::Write(name) => {
                let controller = &state.controllers[usize::from(name)];
                let queue = self.mind.queues.value(controller.plan);
                let write = queue.as_ref().and_then(|queue| queue.get(usize::from(controller.done)));
                let told = write.map(|write| self.mind.told(write)).unwrap_or_default();
                let refused = if state.objects == next.objects { " - refused or nothing new" } else { "" };
                format!("{} writes {told}{refused}", who(name))
            }
            Step::Crash(name) => format!("{} crashes", who(name)),
            Step::Follow(index, what) => {
                let replica = &next.replicas[usize::from(index)];
                let what = if what == crate::server::HAS_STATUS { "the status" } else { "the ConfigMap" };
                format!(
                    "replica {index} sees {what}, serves {{{}}}@{}",
                    self.mind.told_kids(replica.served),
                    replica.revision
                )
            }
            Step::Restart(index) => format!("replica {index} restarts"),
            Step::Silence(index) => format!("replica {index} is silent, or no more"),
            Step::Lose(loss) => format!("LOSS {loss:?}"),
            Step::Edit(spec) => format!("EDIT to spec {spec}"),
        }
    }

    fn told_state(&self, state: &State) -> Vec<String> {
        let objects = &state.objects;
        let keys = (0..SLOTS).filter(|slot| objects.keys[*slot] != 0 || objects.secrets[*slot] != 0);
        let keys: Vec<String> = keys
            .map(|slot| {
                format!("{} [{}] secret {}", name(slot), self.mind.told_key(objects.keys[slot]), objects.secrets[slot])
            })
            .collect();
        let replicas = state.replicas[..self.scenario.replicas].iter();
        let replicas: Vec<String> =
            replicas.map(|it| format!("{{{}}}@{}", self.mind.told_kids(it.served), it.revision)).collect();
        vec![
            format!(
                "= t={} {}; signer {}; ConfigMap {}",
                state.tick,
                keys.join(", "),
                self.mind.told_signer(objects.signer),
                self.mind.told_document(objects.published)
            ),
            format!(
                "= status {}; replicas {}; ghosts {:?}",
                self.mind.told_status(objects.status),
                replicas.join(" "),
                state.ghosts
            ),
        ]
    }
}

fn told_bits(bits: u16) -> String {
    use crate::state::Seen;
    let names = [
        (Seen::KEY_SET, "the KeySet"),
        (Seen::KEYS, "the SigningKeys"),
        (Seen::SIGNER, "the Signer Secret"),
        (Seen::PUBLISHED, "the ConfigMap"),
    ];
    let told: Vec<&str> = names.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| *name).collect();
    told.join(", ")
}
