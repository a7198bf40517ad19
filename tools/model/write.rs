//! What the API server does with one write of a queue: a create that finds something, or a write of what somebody else has
//! written since it was read, fails, and the controller looks again. CEL refuses what takes a promise back.

use crate::api::Lifecycle;
use crate::cast::{Kid, kid};
use crate::laws::Law;
use crate::lifecycle::SignerContent;
use crate::mind::Act;
use crate::state::{Controller, Seen, Stage, State};
use crate::world::World;

/// How a write went.
pub(crate) enum Outcome {
    Done,
    /// 409, or what it was made of is not there: the controller looks again.
    Refused,
    /// It should never have been asked for.
    Broken(Law),
}

impl World {
    /// The next write of a controller.
    pub(crate) fn perform(&self, state: &mut State, who: usize) -> Outcome {
        let mut controller = state.controllers[who];
        let Some(queue) = self.mind.queues.value(controller.plan) else { return Outcome::Refused };
        let Some(write) = queue.get(usize::from(controller.done)) else { return Outcome::Refused };
        let outcome = self.act(state, &mut controller, &write.act);
        match outcome {
            Outcome::Done => {
                let made = match write.act {
                    Act::MakeKey(slot, _) | Act::Adopt(slot, _) => 1 << slot,
                    _ => 0,
                };
                controller.fresh &= state.controllers[who].fresh;
                controller.done += 1;
                if controller.known != 0 {
                    controller.known = ((controller.known - 1) | made) + 1;
                }
                if usize::from(controller.done) == queue.len() {
                    controller = Controller { known: controller.known, ..Controller::default() };
                }
            }
            Outcome::Refused | Outcome::Broken(_) => controller = Controller::default(),
        }
        state.controllers[who] = controller;
        outcome
    }

    fn act(&self, state: &mut State, controller: &mut Controller, act: &Act) -> Outcome {
        let fenced = |bits: u16| self.rules.has_no_fence || controller.fresh & bits != 0;
        match *act {
            Act::Status(status) => {
                if !fenced(Seen::KEY_SET) {
                    return Outcome::Refused;
                }
                state.touch(Seen::KEY_SET);
                state.objects.status = status;
                Outcome::Done
            }
            Act::MakeSecret(slot) => make_secret(state, controller, slot),
            Act::CopySecret(slot, kid) => copy_secret(state, controller, slot, kid),
            Act::MakeKey(slot, keys) => {
                let material = controller.held.checked_sub(1).map(crate::cast::material);
                let key = material.and_then(|material| keys.get(usize::from(material) - 1));
                create_key(state, slot, key.copied().unwrap_or_default())
            }
            Act::Adopt(slot, key) => create_key(state, slot, key),
            Act::Signer { create, signer, activates, declared } => {
                let found = state.objects.signer != 0;
                if if create { found } else { !found || !fenced(Seen::SIGNER) } {
                    return Outcome::Refused;
                }
                self.write_signer(state, signer, activates, declared)
            }
            Act::Ledger(slot, key) => {
                if state.objects.keys[slot] == 0 || !fenced(Seen::key(slot)) {
                    return Outcome::Refused;
                }
                if !self.is_lawful(state.objects.keys[slot], key) {
                    return Outcome::Broken(Law::PromiseTakenBack);
                }
                state.touch(Seen::key(slot));
                state.objects.keys[slot] = key;
                Outcome::Done
            }
            Act::Check => {
                let is_same = fenced(Seen::KEY_SET) || self.rules.publishes_unchecked;
                if is_same { Outcome::Done } else { Outcome::Refused }
            }
            Act::Publish { create, document } => {
                let found = state.objects.published != 0;
                if if create { found } else { !found || !fenced(Seen::PUBLISHED) } {
                    return Outcome::Refused;
                }
                state.touch(Seen::PUBLISHED);
                state.objects.published = document;
                Outcome::Done
            }
            Act::Rebuild(slot, kid) => self.rebuild(state, slot, kid),
            Act::DeleteSecret(slot) => delete_secret(state, slot, fenced(Seen::secret(slot))),
            Act::DeleteKey(slot) => {
                if state.objects.keys[slot] == 0 || !fenced(Seen::key(slot)) {
                    return Outcome::Refused;
                }
                state.touch(Seen::key(slot));
                state.objects.keys[slot] = 0;
                Outcome::Done
            }
        }
    }

    /// The flip, or a repair. The private half is read live: from the Key Secret, else from the Signer Secret itself.
    fn write_signer(&self, state: &mut State, number: u16, activates: bool, declared: bool) -> Outcome {
        let Some(signer) = self.mind.signers.value(u32::from(number)) else { return Outcome::Refused };
        let Some(new) = self.mind.cast.kid(&signer.key_id) else { return Outcome::Refused };
        let before = self.mind.signers.value(u32::from(state.objects.signer));
        let holds = |secret: &crate::lifecycle::SignerSecret| {
            secret.key_id == signer.key_id && secret.content == SignerContent::Intact
        };
        let key_secret = crate::cast::slot_of(&signer.key_name).map(|slot| state.objects.secrets[slot]);
        if key_secret != Some(new + 1) && !before.as_deref().is_some_and(holds) {
            return Outcome::Refused;
        }
        let records = state.objects.keys.iter().filter_map(|key| self.mind.arc_key(*key));
        let mut records = records.filter(|key| self.mind.kid_of(key) == Some(new));
        let is_over = records.any(|key| key.is_over());
        let is_barred = before.as_ref().is_some_and(|before| before.barred.contains(&signer.key_id));
        let switches = before.as_ref().is_none_or(|before| before.key_id != signer.key_id);
        if switches && (is_over || is_barred) {
            return Outcome::Broken(Law::SignsAgain);
        }
        if before.is_some_and(|before| before.term > signer.term) {
            return Outcome::Broken(Law::LowerTerm);
        }
        state.touch(Seen::SIGNER);
        state.objects.signer = number;
        let ghosts = &mut state.ghosts;
        if let Some(old) = ghosts.signing().filter(|old| *old != new) {
            ghosts.lagging[usize::from(old)] = state.tick + self.lag + 1;
        }
        ghosts.signing = new + 1;
        ghosts.lagging[usize::from(new)] = 0;
        if activates && declared {
            ghosts.declared = ghosts.declared.with(new);
        }
        Outcome::Done
    }

    fn rebuild(&self, state: &mut State, slot: usize, kid: Kid) -> Outcome {
        let holds = |signer: &crate::lifecycle::SignerSecret| {
            self.mind.cast.kid(&signer.key_id) == Some(kid) && signer.content == SignerContent::Intact
        };
        let signer = self.mind.signers.value(u32::from(state.objects.signer));
        if state.objects.secrets[slot] != 0 || !signer.as_deref().is_some_and(holds) {
            return Outcome::Refused;
        }
        state.touch(Seen::secret(slot));
        state.objects.secrets[slot] = kid + 1;
        Outcome::Done
    }

    /// The CEL rules of `SigningKey.spec.lifecycle`.
    fn is_lawful(&self, old: u16, new: u16) -> bool {
        let (Some(old), Some(new)) = (self.mind.arc_key(old), self.mind.arc_key(new)) else { return false };
        // A write without a fence may meet the record of another pair.
        old.kid() != new.kid() || is_lawful(&old.lifecycle, &new.lifecycle)
    }
}

fn is_lawful(old: &Lifecycle, new: &Lifecycle) -> bool {
    let later = new.term >= old.term
        && new.activation_time >= old.activation_time
        && new.retirement_time >= old.retirement_time
        && new.earliest_removal_time >= old.earliest_removal_time;
    let once = (old.removal_time.is_none() || new.removal_time == old.removal_time)
        && (old.revocation_time.is_none() || new.revocation_time == old.revocation_time);
    let whole = new.term.is_some() == new.activation_time.is_some()
        && (new.retirement_time.is_none() || (new.activation_time.is_some() && new.earliest_removal_time.is_some()))
        && (new.removal_time.is_none()
            || new.revocation_time.is_some()
            || (new.earliest_removal_time.is_some() && new.removal_time >= new.earliest_removal_time));
    let is_over = old.removal_time.is_some() || old.revocation_time.is_some();
    later && once && whole && (!is_over || new.activation_time == old.activation_time)
}

/// Takes the pair that is there, or makes one.
fn make_secret(state: &mut State, controller: &mut Controller, slot: usize) -> Outcome {
    if state.objects.secrets[slot] == 0 {
        let made = &mut state.ghosts.made[slot];
        // The world knows no more names for pairs of this slot.
        if usize::from(*made) == crate::cast::MATERIALS {
            return Outcome::Refused;
        }
        *made += 1;
        state.objects.secrets[slot] = kid(slot, *made) + 1;
        state.touch(Seen::secret(slot));
    }
    controller.held = state.objects.secrets[slot];
    Outcome::Done
}

/// Copies a pair that a user brings along; another pair of that name, which nobody names, is in the way.
fn copy_secret(state: &mut State, controller: &mut Controller, slot: usize, kid: Kid) -> Outcome {
    let stored = state.objects.secrets[slot];
    if stored != kid + 1 {
        state.touch(Seen::secret(slot));
        state.objects.secrets[slot] = if stored == 0 { kid + 1 } else { 0 };
        if stored != 0 {
            return Outcome::Refused;
        }
    }
    controller.held = kid + 1;
    Outcome::Done
}

fn create_key(state: &mut State, slot: usize, key: u16) -> Outcome {
    if state.objects.keys[slot] != 0 || key == 0 {
        return Outcome::Refused;
    }
    state.touch(Seen::key(slot));
    state.objects.keys[slot] = key;
    Outcome::Done
}

fn delete_secret(state: &mut State, slot: usize, is_fenced: bool) -> Outcome {
    let stored = state.objects.secrets[slot];
    if stored == 0 || !is_fenced {
        return Outcome::Refused;
    }
    if state.ghosts.signing == stored && !state.ghosts.revoked.has(stored - 1) {
        return Outcome::Broken(Law::SigningKeyDestroyed);
    }
    state.touch(Seen::secret(slot));
    state.objects.secrets[slot] = 0;
    Outcome::Done
}

impl Controller {
    /// With a queue in hand.
    pub(crate) fn writes(&self) -> bool {
        self.stage == Stage::Writing
    }
}
