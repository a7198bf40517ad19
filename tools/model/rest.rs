//! Left alone: controllers take turns, replicas follow, time passes. Every state must come to rest, and be healthy then.

use crate::cast::MATERIALS;
use crate::laws::{Law, tokens};
use crate::state::{Budget, Controller, Replica, Stage, State};
use crate::world::World;
use crate::write::Outcome;

impl World {
    /// What a state comes to. `Err` has the law that it breaks, and what it came to instead.
    ///
    /// `seen` is asked for each state on the way whether it is known to come to rest.
    pub(crate) fn rest(
        &self,
        state: &State,
        mut seen: impl FnMut(&State) -> bool,
        mut tell: impl FnMut(&State, &str),
    ) -> Result<State, (Law, State)> {
        let mut state = *state;
        state.budget = Budget::default();
        // Whoever reads starts anew: that is a crash, and each is a state of its own.
        for controller in state.controllers.iter_mut().filter(|it| it.stage != Stage::Writing) {
            *controller = Controller::default();
        }
        let mut asleep_until = state.tick;
        for _ in 0..LONGEST_TICKS {
            if seen(&state) || is_at_the_end(&state) {
                return Ok(state);
            }
            let wakes = self.rest_now(&mut state, asleep_until, &mut tell)?;
            if self.is_undeclared(&state) {
                return Err((Law::UndeclaredWindow, state));
            }
            if wakes == HEALTHY {
                return Ok(state);
            }
            asleep_until = wakes;
            state.tick += 1;
            tell(&state, "time passes");
            self.watch(&mut state);
        }
        Err((Law::Unhealthy, state))
    }

    /// Takes turns until nobody has anything to do. Gives the tick at which the plan wants to be asked again.
    fn rest_now(
        &self,
        state: &mut State,
        asleep_until: u8,
        tell: &mut impl FnMut(&State, &str),
    ) -> Result<u8, (Law, State)> {
        let mut is_first = true;
        for _ in 0..MOST_TURNS {
            let mut is_idle = true;
            let mut wakes = HEALTHY;
            for who in 0..self.scenario.controllers {
                self.wake_replicas(state);
                if state.controllers[who].writes() {
                    is_idle = false;
                    is_first = false;
                    if let Outcome::Broken(law) = self.perform(state, who) {
                        return Err((law, *state));
                    }
                    tell(state, "write");
                    self.watch(state);
                    continue;
                }
                self.read_rest(state, who);
                let answer = self.answer(state, who);
                let queue = answer.queues[1];
                if queue != 0 && is_first && state.tick < asleep_until && answer.queues[0] != 0 && self.is_effect(queue)
                {
                    return Err((Law::Overslept, *state));
                }
                is_idle &= queue == 0;
                wakes = wakes.min(if answer.is_healthy { HEALTHY } else { answer.wake.min(HEALTHY - 1) });
                self.take(state, who, queue);
                if queue != 0 {
                    tell(state, "plan");
                }
            }
            self.wake_replicas(state);
            self.watch(state);
            if is_idle {
                return Ok(wakes);
            }
        }
        Err((Law::Livelock, *state))
    }

    /// Whether a queue is more than a report.
    fn is_effect(&self, queue: u32) -> bool {
        let queue = self.mind.queues.value(queue);
        queue.is_some_and(|queue| queue.iter().any(|write| !matches!(write.act, crate::mind::Act::Status(_))))
    }

    fn wake_replicas(&self, state: &mut State) {
        for index in 0..self.scenario.replicas {
            let replica = state.replicas[index];
            state.replicas[index] = Replica { is_silent: false, ..replica };
        }
        self.follow_all(state);
    }

    /// Whether copies without the signing key live longer than the status says.
    fn is_undeclared(&self, state: &State) -> bool {
        let end = self.mind.statuses.value(state.objects.status).and_then(|it| it.status.unknown_key_id_end_time);
        tokens(state).filter(|kid| state.ghosts.signing() == Some(*kid) && state.ghosts.declared.has(*kid)).any(|kid| {
            let copy = state.ghosts.without[usize::from(kid)];
            copy != 0 && end.is_none_or(|end| end < crate::cast::time(i64::from(copy) - 1 + i64::from(self.cache_age)))
        })
    }
}

/// Whether the world has no pair left for a key that is to be made.
fn is_at_the_end(state: &State) -> bool {
    let made = state.ghosts.made.iter().zip(state.objects.secrets);
    made.into_iter().any(|(made, stored)| usize::from(*made) == MATERIALS && stored == 0)
}

/// More than the whole life of a key.
const LONGEST_TICKS: usize = 40;
/// More writes than any repair takes.
const MOST_TURNS: usize = 120;
/// At rest for good.
const HEALTHY: u8 = u8::MAX;
