//! What a revocation will come to, by the rules of the operator: who takes over, when the key leaves, and when the exposure
//! ends.
//!
//! An emergency does not wait for it: who may not see enough to foretell anything revokes all the same, and is told so.

use jiff::{SignedDuration, Timestamp};

use crate::api::{KeySetStatus, RevocationMode, RevocationStatus, RevokedKey};
use crate::forecast::{Forecast, forecast};
use crate::jose::KeyId;
use crate::plugin::error::Error;
use crate::plugin::keys::{Key, Known};
use crate::plugin::observed::{Objects, Seen};
use crate::plugin::output::{length, moment};
use crate::plugin::session::Session;

/// What is ahead, or why that is not known.
pub(super) struct Outlook {
    ahead: Result<(Forecast, Vec<String>), String>,
}

/// What to tell of it.
pub(super) struct Told {
    pub(super) exposure_end: Option<Timestamp>,
    pub(super) consequences: Vec<String>,
    pub(super) warnings: Vec<String>,
}

impl Outlook {
    /// Looks ahead from what is there, with the key revoked in that mode.
    pub(super) async fn of(session: &Session, known: &Known, kid: &KeyId, mode: RevocationMode) -> Self {
        Self { ahead: look(session, known, kid, mode).await.map_err(|error| error.to_string()) }
    }

    pub(super) fn told(&self, known: &Known, key: &Key, mode: RevocationMode, now: Timestamp) -> Told {
        let mut told = Told { exposure_end: None, consequences: Vec::new(), warnings: Vec::new() };
        if let Some(removed) = key.lifecycle().removal_time {
            told.consequences
                .push(format!("{} left the set at {removed}. From now on no list brings it back.", key.name));
            return told;
        }
        match &self.ahead {
            Ok((ahead, assumptions)) => {
                told.tell_switch(ahead, known, key, mode, now);
                told.tell_end(ahead, known, key, now);
                told.warnings.extend(assumptions.iter().map(|it| format!("This takes for granted that {it}.")));
            }
            Err(why) => told.warnings.push(format!("What follows cannot be foretold for you: {why}.")),
        }
        if key.is_external() {
            told.warnings.push(format!("{} signs elsewhere: stop its signer, too.", key.name));
        }
        told
    }
}

impl Told {
    fn tell_switch(&mut self, ahead: &Forecast, known: &Known, key: &Key, mode: RevocationMode, now: Timestamp) {
        let name = &key.name;
        if known.active().is_none_or(|active| active.name != *name) {
            self.consequences.push("It does not sign, and no other key is concerned.".to_owned());
            return;
        }
        let signs = |status: &KeySetStatus| status.active_key_name.as_ref().filter(|active| *active != name).cloned();
        let Some((step, next)) = ahead.steps.iter().find_map(|step| Some((step, signs(&step.status)?))) else {
            let until = ahead.until;
            self.warnings.push(format!(
                "No other key takes over before {until}: {name} goes on signing, since an empty set refuses everybody's tokens."
            ));
            return;
        };
        let note = if known.keys.iter().any(|key| key.name == next) { "" } else { ", which is made for it," };
        if step.time <= now + SOON {
            self.consequences.push(format!("{next}{note} takes over in seconds."));
        } else {
            self.consequences.push(format!("{next}{note} takes over {}.", moment(step.time, now)));
            let sooner = if mode == RevocationMode::AfterSwitch {
                " --mode ForceSwitch does not wait, and costs an unknown kid."
            } else {
                ""
            };
            self.warnings.push(format!("{name} signs and is trusted until then.{sooner}"));
        }
        let after = ahead.steps.iter().filter(|it| it.time >= step.time && it.time <= step.time + SOON);
        // Only what is told of this switch: a window that was open before, such as that of the first key, is another.
        let of_it = |status: &KeySetStatus| status.last_rotation.as_ref().is_some_and(|last| last.key_name == next);
        let after = after.filter(|it| of_it(&it.status));
        match after.filter_map(|it| it.status.unknown_key_id_end_time).max() {
            Some(end) => {
                self.warnings.push(format!(
                    "Verifiers may meet an unknown kid until {end}: until then copies of the set without it may be in use."
                ));
            }
            None => self.consequences.push("Every verifier knows it by then: none meets an unknown kid.".to_owned()),
        }
    }

    fn tell_end(&mut self, ahead: &Forecast, known: &Known, key: &Key, now: Timestamp) {
        let of = |status: &KeySetStatus| status.revocations.iter().find(|it| Some(&it.key_id) == key.kid()).cloned();
        let last = ahead.steps.iter().rev().find_map(|step| of(&step.status));
        let Some(RevocationStatus { removal_time: Some(leaves), exposure_end_time, .. }) = last else { return };
        let leaves = if leaves <= now + SOON { "in seconds".to_owned() } else { moment(leaves, now) };
        self.consequences.push(format!(
            "{} leaves the set {leaves}. Its tokens are refused by whoever fetches the set from then on.",
            key.name
        ));
        self.exposure_end = exposure_end_time;
        let lead = length(known.contract().lead());
        let end = exposure_end_time.map(|end| format!("{} at the earliest, ", moment(end, now))).unwrap_or_default();
        self.consequences.push(format!(
            "Exposure ends {end}{lead} (C + S) after every replica was seen without it: until then verifiers may trust a copy \
             that has it. Restart or flush those that you run."
        ));
    }
}

async fn look(
    session: &Session,
    known: &Known,
    kid: &KeyId,
    mode: RevocationMode,
) -> Result<(Forecast, Vec<String>), Error> {
    let mut edited = known.key_set.clone();
    edited.spec.revoked_keys.retain(|revoked| revoked.key_id != *kid);
    edited.spec.revoked_keys.push(RevokedKey { key_id: kid.clone(), mode });
    let objects = Objects::read(session, &edited, Some(&known.key_set)).await?;
    let Seen { observed, assumptions } = objects.seen(session, &edited).await?;
    let contract = known.contract();
    // The wait for a successor, that for signers, and that for copies; and a little.
    let lengths = [contract.lead(), contract.reload_lag, contract.lead(), contract.publication_delay, LITTLE];
    let until =
        lengths.into_iter().fold(session.now, |time, length| time.checked_add(length).unwrap_or(Timestamp::MAX));
    Ok((forecast(observed, session.now, until), assumptions))
}

/// What the operator does as soon as it sees the edit.
const SOON: SignedDuration = SignedDuration::from_millis(500);
const LITTLE: SignedDuration = SignedDuration::from_mins(1);
