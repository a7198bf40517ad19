//! One state of the world, small enough to keep millions of.
//!
//! Objects are numbers of interned values. A resourceVersion would count up for ever; instead each controller knows which
//! of the objects that it saw nobody has written since, which is all that a fence asks.

use crate::cast::{KIDS, Kid, Kids, SLOTS};

/// The whole world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) tick: u8,
    /// Index of the spec in force.
    pub(crate) spec: u8,
    pub(crate) objects: Objects,
    pub(crate) replicas: [Replica; 2],
    pub(crate) controllers: [Controller; 2],
    pub(crate) ghosts: Ghosts,
    pub(crate) budget: Budget,
}

/// What the API server stores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Objects {
    /// SigningKeys.
    pub(crate) keys: [u16; SLOTS],
    /// Key Secrets: 1 + the kid of the pair in each.
    pub(crate) secrets: [u8; SLOTS],
    pub(crate) signer: u16,
    pub(crate) published: u16,
    /// The status of the KeySet.
    pub(crate) status: u32,
}

/// A replica of the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Replica {
    /// Which lists are there: bit 0 the KeySets, bit 1 the ConfigMaps. Without both it is starting.
    pub(crate) listed: u8,
    /// Does not answer the prober, but verifiers.
    pub(crate) is_silent: bool,
    pub(crate) status: u32,
    pub(crate) published: u16,
    /// What it serves; empty: 503.
    pub(crate) served: Kids,
    pub(crate) revision: u8,
    /// For each kid that it serves: 1 + the tick at which it last answered without it, 0 for never.
    pub(crate) since: [u8; KIDS],
}

/// What a controller has in hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Controller {
    pub(crate) stage: Stage,
    /// While it looks.
    pub(crate) sight: Sight,
    /// Bits of [`Seen`]: read, and not written since.
    pub(crate) fresh: u16,
    /// The queue of writes, and how many of them are done.
    pub(crate) plan: u32,
    pub(crate) done: u8,
    /// 1 + the kid of the pair that a half-done write holds.
    pub(crate) held: u8,
    /// 1 + the bits of the slots that it looks at by name; 0: it lists.
    pub(crate) known: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
    #[default]
    Idle,
    /// Has read some objects.
    Reading,
    /// Has read all, the replicas last.
    Looked,
    Writing,
}

/// What one look showed: all that a plan depends on but the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Sight {
    pub(crate) objects: Objects,
    pub(crate) spec: u8,
    /// Bits of [`Seen`]: what was read, and when not all is read in one step.
    pub(crate) read: u16,
    /// The look at the replicas.
    pub(crate) pass: u32,
    /// The tick of that look.
    pub(crate) seen: u8,
}

/// Objects as bits.
pub(crate) struct Seen;

impl Seen {
    pub(crate) const SIGNER: u16 = 1 << (2 * SLOTS);
    pub(crate) const PUBLISHED: u16 = 1 << (2 * SLOTS + 1);
    pub(crate) const KEY_SET: u16 = 1 << (2 * SLOTS + 2);
    /// All SigningKeys.
    pub(crate) const KEYS: u16 = (1 << SLOTS) - 1;
    pub(crate) const ALL: u16 = (1 << (2 * SLOTS + 3)) - 1;

    pub(crate) fn key(slot: usize) -> u16 {
        1 << slot
    }

    pub(crate) fn secret(slot: usize) -> u16 {
        1 << (SLOTS + slot)
    }
}

/// What really happens, whoever sees it: signers and verifiers at their worst.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Ghosts {
    /// 1 + the kid that signers use.
    pub(crate) signing: u8,
    /// 1 + the tick until which signers that lag may still use a kid; 0 for never.
    pub(crate) lagging: [u8; KIDS],
    /// The longest lifetime in ticks of a token of a kid.
    pub(crate) lifetimes: [u8; KIDS],
    /// 1 + the tick at which any replica last answered without a kid; 0: no copy without it is in use.
    pub(crate) without: [u8; KIDS],
    /// Kids that verifiers may lack for a while, as the status declares.
    pub(crate) declared: Kids,
    /// Kids that the spec has ever revoked: no promise holds for them any more.
    pub(crate) revoked: Kids,
    /// How many pairs were made for each slot.
    pub(crate) made: [u8; SLOTS],
}

impl Ghosts {
    pub(crate) fn signing(&self) -> Option<Kid> {
        self.signing.checked_sub(1)
    }
}

/// How much may still go wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Budget {
    /// Objects lost or tampered with.
    pub(crate) losses: u8,
    /// Replicas restarted.
    pub(crate) restarts: u8,
    /// Replicas silent.
    pub(crate) silences: u8,
    /// Edits of the spec.
    pub(crate) edits: u8,
}

impl State {
    /// Somebody wrote an object.
    pub(crate) fn touch(&mut self, bits: u16) {
        for controller in &mut self.controllers {
            controller.fresh &= !bits;
        }
    }
}
