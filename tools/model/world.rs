//! Who can do what in a state: the steps of the world, one at a time, in any order.

use std::sync::Arc;

use crate::cast::{BROUGHT, Kids, SLOTS};
use crate::laws::Law;
use crate::mind::{Answer, Document, Mind, Question};
use crate::scenario::{Follow, Scenario};
use crate::server::{HAS_CONFIG, HAS_STATUS};
use crate::state::{Controller, Objects, Replica, Seen, Stage, State};
use crate::write::Outcome;

/// A scenario with all that was thought in it.
pub(crate) struct World {
    pub(crate) mind: Arc<Mind>,
    pub(crate) scenario: Scenario,
    pub(crate) rules: Rules,
    /// `C`, `L`, `S` and, for each spec, `T`, in ticks.
    pub(crate) cache_age: u8,
    pub(crate) lag: u8,
    pub(crate) skew: u8,
    pub(crate) lifetimes: Vec<u8>,
}

/// Rules of controller and server that can be taken away, to see that they are needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a rule of its own")]
pub(crate) struct Rules {
    pub(crate) has_no_fence: bool,
    pub(crate) serves_unaccepted: bool,
    pub(crate) serves_lower: bool,
    pub(crate) counts_incomplete: bool,
    pub(crate) forgets_ages: bool,
    pub(crate) publishes_unchecked: bool,
}

impl Rules {
    /// All rules but the one of that name; `None` if there is none.
    pub(crate) fn without(name: &str) -> Option<Self> {
        let all = Self::default();
        Some(match name {
            "fence" => Self { has_no_fence: true, ..all },
            "accepted digests" => Self { serves_unaccepted: true, ..all },
            "revisions" => Self { serves_lower: true, ..all },
            "complete passes" => Self { counts_incomplete: true, ..all },
            "ages" => Self { forgets_ages: true, ..all },
            "the second look" => Self { publishes_unchecked: true, ..all },
            _ => return None,
        })
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    Tick,
    /// Reads these objects.
    Read(u8, u16),
    /// Reads the rest and the replicas, and plans.
    Plan(u8),
    /// Reads the rest and the replicas.
    Look(u8),
    Write(u8),
    Crash(u8),
    Follow(u8, u8),
    Restart(u8),
    Silence(u8),
    Lose(Loss),
    Edit(u8),
}

/// An accident, or somebody who may write our objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Loss {
    Key(u8),
    Secret(u8),
    Signer,
    Config,
    Status,
    Junk,
    /// A document from before, under its revision or a far higher one.
    Old(bool),
    Damage,
}

/// A step, where it leads, and the law that it breaks.
pub(crate) type Next = (Step, State, Option<Law>);

impl World {
    pub(crate) fn new(scenario: Scenario, rules: Rules) -> Self {
        let specs = scenario.specs.clone();
        let count = |length: jiff::SignedDuration| {
            u8::try_from(length.as_secs() / crate::cast::length(1).as_secs()).unwrap_or(u8::MAX)
        };
        let first = &specs[0];
        Self {
            cache_age: count(first.verifiers.max_cache_age.length()),
            lag: count(first.signers.max_reload_lag.length()),
            skew: count(first.clock_skew.length()),
            lifetimes: specs.iter().map(|spec| count(spec.tokens.max_lifetime.length())).collect(),
            mind: Arc::new(Mind::new(specs)),
            scenario,
            rules,
        }
    }

    /// Every step that can be taken.
    pub(crate) fn steps(&self, state: &State, out: &mut Vec<Next>) {
        let from = out.len();
        if state.tick < self.scenario.until {
            self.push(out, state, Step::Tick, |next| next.tick += 1);
        }
        for who in 0..self.scenario.controllers {
            self.controller_steps(state, who, out);
        }
        if self.scenario.follow == Follow::Lagging {
            for index in 0..self.scenario.replicas {
                self.replica_steps(state, index, out);
            }
        }
        self.accidents(state, out);
        out[from..].iter_mut().for_each(|(_, next, _)| self.settle_ghosts(next));
    }

    /// What follows at once from any step.
    pub(crate) fn settle_ghosts(&self, state: &mut State) {
        if self.scenario.follow == Follow::AtOnce {
            self.follow_all(state);
        }
        self.watch(state);
    }

    pub(crate) fn follow_all(&self, state: &mut State) {
        for index in 0..self.scenario.replicas {
            let replica = state.replicas[index];
            let knows = replica.status == state.objects.status && replica.published == state.objects.published;
            if !(knows && replica.is_complete()) {
                self.follow(state, index, HAS_STATUS | HAS_CONFIG);
            }
        }
    }

    fn push(&self, out: &mut Vec<Next>, state: &State, step: Step, change: impl FnOnce(&mut State)) {
        let mut next = *state;
        change(&mut next);
        if next != *state {
            out.push((step, next, None));
        }
    }

    fn controller_steps(&self, state: &State, who: usize, out: &mut Vec<Next>) {
        let name = who as u8;
        let controller = &state.controllers[who];
        match controller.stage {
            Stage::Idle => {
                for read in self.scenario.reads {
                    self.push(out, state, Step::Read(name, *read), |next| self.read(next, who, *read));
                }
                self.plan_steps(state, who, out);
            }
            Stage::Reading => self.plan_steps(state, who, out),
            Stage::Looked => {
                for queue in self.queues(state, who) {
                    self.push(out, state, Step::Plan(name), |next| self.take(next, who, queue));
                }
            }
            Stage::Writing => {
                let mut next = *state;
                let law = match self.perform(&mut next, who) {
                    Outcome::Broken(law) => Some(law),
                    Outcome::Done | Outcome::Refused => None,
                };
                out.push((Step::Write(name), next, law));
                self.push(out, state, Step::Crash(name), |next| next.controllers[who] = Controller::default());
            }
        }
    }

    fn plan_steps(&self, state: &State, who: usize, out: &mut Vec<Next>) {
        let mut looked = *state;
        self.read_rest(&mut looked, who);
        for queue in self.queues(&looked, who) {
            self.push(out, state, Step::Plan(who as u8), |next| {
                *next = looked;
                self.take(next, who, queue);
            });
        }
        if self.scenario.plans_late {
            out.push((Step::Look(who as u8), looked, None));
        }
    }

    /// The one or two queues that follow from what a controller has seen.
    fn queues(&self, state: &State, who: usize) -> impl Iterator<Item = u32> + use<> {
        let [settled, fresh] = self.answer(state, who).queues;
        let other = (fresh != settled).then_some(fresh);
        std::iter::once(settled).chain(other)
    }

    pub(crate) fn answer(&self, state: &State, who: usize) -> Answer {
        let sight = state.controllers[who].sight;
        let ahead = self.scenario.ahead[who];
        self.mind.answer(&Question { sight, tick: state.tick, ahead })
    }

    /// A controller takes a queue in hand, or has nothing to do.
    pub(crate) fn take(&self, state: &mut State, who: usize, queue: u32) {
        let controller = &mut state.controllers[who];
        let known = (0..SLOTS).filter(|slot| controller.sight.objects.keys[*slot] != 0);
        let known = if self.scenario.goes_by_name { known.fold(0, |bits, slot| bits | 1 << slot) + 1 } else { 0 };
        let fresh = controller.fresh;
        *controller = match queue {
            0 => Controller::default(),
            plan => Controller { stage: Stage::Writing, fresh, plan, known, ..Controller::default() },
        };
    }

    /// Reads some of the objects.
    fn read(&self, state: &mut State, who: usize, bits: u16) {
        let (objects, spec) = (state.objects, state.spec);
        let controller = &mut state.controllers[who];
        controller.stage = Stage::Reading;
        controller.sight.read |= bits;
        controller.fresh |= bits;
        let seen = &mut controller.sight.objects;
        if bits & Seen::KEY_SET != 0 {
            seen.status = objects.status;
            controller.sight.spec = spec;
        }
        if bits & Seen::SIGNER != 0 {
            seen.signer = objects.signer;
        }
        if bits & Seen::PUBLISHED != 0 {
            seen.published = objects.published;
        }
        for slot in 0..SLOTS {
            if bits & Seen::key(slot) != 0 {
                seen.keys[slot] = objects.keys[slot];
            }
            if bits & Seen::secret(slot) != 0 {
                seen.secrets[slot] = objects.secrets[slot];
            }
        }
    }

    /// Reads what is not read yet, the replicas last.
    pub(crate) fn read_rest(&self, state: &mut State, who: usize) {
        let rest = Seen::ALL & !state.controllers[who].sight.read;
        self.read(state, who, rest);
        let pass = self.look(state);
        let tick = state.tick;
        let controller = &mut state.controllers[who];
        controller.stage = Stage::Looked;
        controller.sight.read = 0;
        controller.sight.pass = pass;
        controller.sight.seen = tick;
        if controller.known != 0 {
            let known = (controller.known - 1) | self.named(controller.sight.objects.status);
            for slot in 0..SLOTS {
                if known & (1 << slot) == 0 {
                    controller.sight.objects.keys[slot] = 0;
                }
            }
        }
        // Without a record a Key Secret is looked at only as a stray: under the names in the status, once there is one.
        let objects = controller.sight.objects;
        let unclaimed = self.mind.statuses.value(objects.status).is_none_or(|it| it.status.observed_uid.is_none());
        let named = self.named(objects.status);
        let is_unseen = |slot: &usize| objects.keys[*slot] == 0 && !unclaimed && named & (1 << slot) == 0;
        for slot in (0..SLOTS).filter(is_unseen) {
            controller.sight.objects.secrets[slot] = 0;
        }
    }

    /// Slots of the SigningKeys that a status names.
    fn named(&self, status: u32) -> u8 {
        let stored = self.mind.statuses.value(status);
        let keys = stored.iter().flat_map(|stored| &stored.status.keys);
        keys.filter_map(|key| crate::cast::slot_of(&key.name)).fold(0, |bits, slot| bits | 1 << slot)
    }

    fn replica_steps(&self, state: &State, index: usize, out: &mut Vec<Next>) {
        let name = index as u8;
        let replica = &state.replicas[index];
        if replica.status != state.objects.status || replica.listed & HAS_STATUS == 0 {
            self.push(out, state, Step::Follow(name, HAS_STATUS), |next| self.follow(next, index, HAS_STATUS));
        }
        if replica.published != state.objects.published || replica.listed & HAS_CONFIG == 0 {
            self.push(out, state, Step::Follow(name, HAS_CONFIG), |next| self.follow(next, index, HAS_CONFIG));
        }
        if state.budget.restarts > 0 && replica.listed != 0 {
            self.push(out, state, Step::Restart(name), |next| {
                next.budget.restarts -= 1;
                next.replicas[index] = Replica { is_silent: replica.is_silent, ..Replica::default() };
            });
        }
        if replica.is_silent || state.budget.silences > 0 {
            self.push(out, state, Step::Silence(name), |next| {
                next.budget.silences -= u8::from(!replica.is_silent);
                next.replicas[index].is_silent = !replica.is_silent;
            });
        }
    }

    fn accidents(&self, state: &State, out: &mut Vec<Next>) {
        if state.budget.losses > 0 {
            for loss in self.scenario.losses {
                let expanded: Vec<Loss> = match loss {
                    Loss::Key(_) => (0..SLOTS as u8).map(Loss::Key).collect(),
                    Loss::Secret(_) => (0..SLOTS as u8).map(Loss::Secret).collect(),
                    one => vec![*one],
                };
                for loss in expanded {
                    self.push(out, state, Step::Lose(loss), |next| {
                        let before = next.objects;
                        self.lose(next, loss);
                        next.budget.losses -= u8::from(next.objects != before);
                    });
                }
            }
        }
        if state.budget.edits > 0 {
            for spec in state.spec + 1..self.scenario.specs.len() as u8 {
                self.push(out, state, Step::Edit(spec), |next| {
                    next.budget.edits -= 1;
                    self.edit(next, spec);
                });
            }
        }
    }

    fn edit(&self, state: &mut State, spec: u8) {
        let specs = &self.mind.specs;
        let (old, new) = (&specs[usize::from(state.spec)], &specs[usize::from(spec)]);
        state.spec = spec;
        state.touch(Seen::KEY_SET);
        let revoked = new.revoked_keys.iter().filter_map(|revoked| self.mind.cast.kid(&revoked.key_id));
        state.ghosts.revoked = revoked.fold(state.ghosts.revoked, Kids::with);
        // Whoever signs elsewhere stops when its key is to go, as late as any signer.
        if new.external_keys.len() < old.external_keys.len() && !self.lacks(state, BROUGHT) {
            state.ghosts.lagging[usize::from(BROUGHT)] = state.tick + self.lag + 1;
        }
    }

    fn lose(&self, state: &mut State, loss: Loss) {
        let before = state.objects;
        let objects = &mut state.objects;
        let document = |kids, revision| crate::mind::small(self.mind.documents.number(Document { kids, revision }));
        match loss {
            Loss::Key(slot) => objects.keys[usize::from(slot)] = 0,
            Loss::Secret(slot) => objects.secrets[usize::from(slot)] = 0,
            Loss::Signer => objects.signer = 0,
            Loss::Config => objects.published = 0,
            Loss::Status => objects.status = 0,
            Loss::Junk => objects.published = document(None, 1),
            Loss::Old(high) => objects.published = document(Some(self.scenario.old), if high { 99 } else { 1 }),
            Loss::Damage => {
                if let Some(signer) = self.mind.signers.value(u32::from(objects.signer)) {
                    let content = crate::lifecycle::SignerContent::Damaged;
                    let damaged = crate::lifecycle::SignerSecret { content, ..(*signer).clone() };
                    objects.signer = crate::mind::small(self.mind.signers.number(damaged));
                }
            }
        }
        let after = state.objects;
        state.touch(changed(&before, &after));
    }
}

fn changed(before: &Objects, after: &Objects) -> u16 {
    let mut bits = 0;
    for slot in 0..SLOTS {
        bits |= if before.keys[slot] == after.keys[slot] { 0 } else { Seen::key(slot) };
        bits |= if before.secrets[slot] == after.secrets[slot] { 0 } else { Seen::secret(slot) };
    }
    bits |= if before.signer == after.signer { 0 } else { Seen::SIGNER };
    bits |= if before.published == after.published { 0 } else { Seen::PUBLISHED };
    bits | if before.status == after.status { 0 } else { Seen::KEY_SET }
}
