//! The plan: named rules in order; the first that asks for writes is the plan of this round.
//!
//! One rule a round keeps each write safe on its own: the next round sees what it did. The order is that of PROTOCOL 8:
//! first what must be recorded, then repairs, then publication, then forward steps, then the ends, then reports.

use jiff::Timestamp;

use super::effect::{Effect, Plan, RecordCause};
use super::observed::{Observed, Ownership};
use super::view::View;
use super::{
    adopt, conditions, external, import, ledger, publication, record, restore, retire, revoke, rollout, rotate, signer,
    stage, status,
};

/// The next writes for what was observed at `now`, the status that tells of it, and when to look again.
///
/// Pure: equal arguments give equal plans. `now` is the wall clock to the millisecond.
#[must_use]
pub fn plan(observed: &Observed, now: Timestamp) -> Plan {
    let view = View::new(observed, now);
    let effects = RULES.iter().map(|(_, rule)| rule(&view)).find(|effects| !effects.is_empty()).unwrap_or_default();
    let status = status::status(&view);
    let events = conditions::events(&observed.key_set.status, &status);
    let wake_at = status::wake_at(&view, &status);
    Plan { effects, status, events, wake_at }
}

/// Puts the owner references of SigningKeys as `deletionPolicy` wants them.
fn own(view: &View<'_>) -> Vec<Effect> {
    let differs = view.observed.keys.iter().filter(|key| key.ownership == Ownership::Differs);
    differs.map(|key| Effect::RecordOwnership { key: key.name.clone(), fence: key.fence.clone() }).collect()
}

/// Reports on SigningKeys whose status is not what was seen.
fn report(view: &View<'_>) -> Vec<Effect> {
    let stale = view.observed.keys.iter().filter(|key| !record::is_reported(view, key));
    stale.map(|key| record::record(view, key, key.lifecycle.clone(), RecordCause::Report)).collect()
}

type Rule = fn(&View<'_>) -> Vec<Effect>;

const RULES: &[(&str, Rule)] = &[
    // Before any status, because a status acknowledges the generation that asks for them.
    ("record longer promises", ledger::record_promise),
    ("adopt Key Secrets whose record is lost", adopt::adopt_strays),
    ("give signers the key of today", restore::catch_up),
    ("claim the KeySet", publication::claim),
    ("record lost evidence", publication::record_lost_evidence),
    ("record an activation", ledger::record_activation),
    ("record retirements", ledger::record_retirement),
    ("record revocations", revoke::record_revocation),
    ("repair the Signer Secret", signer::repair_signer),
    ("repair Key Secrets", signer::repair_key_secrets),
    // After the Signer Secret was put right: from now on nobody is given the lost key.
    ("record the loss of staged keys", ledger::record_loss),
    ("adopt published keys without a record", adopt::adopt),
    ("own objects as deletionPolicy wants", own),
    ("publish external keys", external::announce),
    ("retire external keys without an entry", external::retire),
    ("import keys", import::import),
    // Before a higher revision is accepted, which ends what the witness says.
    ("follow the witness of a restore", restore::follow),
    ("accept the set to publish", publication::accept),
    ("publish it", publication::publish),
    ("switch to the next key", rotate::switch),
    ("start signers anew", rollout::mark),
    // Before anything is made: the key may be in the wrong hands.
    ("end revoked keys", revoke::end),
    ("stage missing keys", stage::stage),
    ("destroy private halves", retire::destroy),
    ("remove keys", retire::remove),
    ("prune records", retire::prune),
    ("report on SigningKeys", report),
];
