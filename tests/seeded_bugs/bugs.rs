//! Rules of the protocol that are taken away, one at a time, and the scenario in which each is missed.
//!
//! Where two rules hold the same line, both are taken away: the model cannot miss one alone. Absent for that reason:
//! the age of a pass (documents of before are no longer accepted when a key takes over), that lost evidence is recorded
//! before a repair (replicas remember), bars at an ordinary end (the Key Secret is read live at a switch), and the order
//! of `lifecycle::plan`, in which each rule asks for itself whether its time has come. Unit tests hold these.

/// One expression of the model or of `lifecycle`, and another in its place.
pub(crate) struct Bug {
    /// What is wrong then.
    pub(crate) name: &'static str,
    /// Where: `lifecycle/` and a file, or a file of the model.
    pub(crate) file: &'static str,
    /// The expression, between « and » if it needs its surroundings to be found.
    pub(crate) at: &'static str,
    pub(crate) instead: &'static str,
    pub(crate) scenario: &'static str,
}

const fn bug(
    name: &'static str,
    file: &'static str,
    at: &'static str,
    instead: &'static str,
    scenario: &'static str,
) -> Bug {
    Bug { name, file, at, instead, scenario }
}

/// Rules of controller and server outside of `lifecycle`.
pub(crate) const RULES: &[(&str, &str)] = &[
    ("fence", "rotate, two controllers"),
    ("accepted digests", "tampering"),
    ("revisions", "newcomer, tampering"),
    ("complete passes", "newcomer, two replicas"),
    ("ages", "newcomer, tampering"),
    ("the second look", "rotate, read late"),
];

/// Scenarios that only `make model` looks at in whole: a bug in them is found soon, but millions of states hold every law.
/// What is found there says something only as long as `make model` finds nothing there.
pub(crate) const LARGE: &[&str] =
    &["bootstrap, one loss", "newcomer, two replicas", "newcomer, tampering, two replicas"];

#[rustfmt::skip]
pub(crate) const BUGS: &[Bug] = &[
    // Law 1 and its evidence.
    bug("the lead lacks C", "lifecycle/contract.rs",
        "sum([self.cache_age, self.clock_skew])", "sum([self.clock_skew])", "rotate early"),
    bug("the lead lacks S", "lifecycle/contract.rs",
        "sum([self.cache_age, self.clock_skew])", "sum([self.cache_age])", "newcomer, clocks apart"),
    bug("guard 1 does not wait", "lifecycle/rotate.rs",
        "rotation.earliest().is_some_and(|time| time <= view.now)", "rotation.due.is_none_or(|due| due <= view.now)", "rotate early"),
    bug("guard 1 takes what was seen once", "lifecycle/rotate.rs",
        "view.is_visible_now(successor.key)", "true", "newcomer, tampering"),
    bug("an incomplete pass is evidence", "lifecycle/evidence.rs",
        "pass.state == PassState::Complete && everywhere && is_published(observed, kid)",
        "everywhere && is_published(observed, kid)", "newcomer, two replicas"),
    bug("one replica is enough", "lifecycle/evidence.rs",
        "pass.replicas.iter().all(|replica| replica.serves(kid))", "pass.replicas.iter().any(|replica| replica.serves(kid))",
        "newcomer, two replicas"),
    bug("what replicas remember moves nothing", "lifecycle/evidence.rs",
        "last_without.map_or(stored, |time| stored.max(time))", "stored", "newcomer, tampering"),
    bug("evidence is never taken back", "lifecycle/evidence.rs",
        "last_without.map_or(stored, |time| stored.max(time))", "stored", "newcomer, tampering"),
    bug("evidence is never taken back", "lifecycle/evidence.rs",
        "answered().any(|served| !served.ages.contains_key(kid))", "false", "newcomer, tampering"),
    bug("v is dated back to what replicas remember", "lifecycle/evidence.rs",
        "begins.then_some(pass.time)", "begins.then_some(last_without.unwrap_or(pass.time))", "newcomer, two replicas"),
    bug("an incomplete pass may be acted upon", "lifecycle/view.rs",
        "pass.state == PassState::Complete && self.now <= after(pass.time, MAX_PASS_AGE)",
        "self.now <= after(pass.time, MAX_PASS_AGE)", "newcomer, tampering, two replicas"),
    bug("any document is the first", "lifecycle/schedule.rs",
        "first && !external && !view.ever_signed()", "true", "bootstrap, one loss"),
    bug("a pin does not wait", "lifecycle/schedule.rs",
        "successor: Some(«waiting(view, pinned)»)", "Successor { key: pinned, ready: Some(view.now), window: Window::None }",
        "pin early, one loss"),
    // Law 2 and the ledger.
    bug("the retention lacks L", "lifecycle/contract.rs",
        "sum([self.reload_lag, self.token_lifetime, self.clock_skew, self.margin])",
        "sum([self.token_lifetime, self.clock_skew, self.margin])", "rotate"),
    bug("the retention lacks T", "lifecycle/contract.rs",
        "sum([self.reload_lag, self.token_lifetime, self.clock_skew, self.margin])",
        "sum([self.reload_lag, self.clock_skew, self.margin])", "rotate"),
    bug("the retention lacks S", "lifecycle/contract.rs",
        "sum([self.reload_lag, self.token_lifetime, self.clock_skew, self.margin])",
        "sum([self.reload_lag, self.token_lifetime, self.margin])", "rotate, clocks apart"),
    bug("the retention lacks M", "lifecycle/contract.rs",
        "sum([self.reload_lag, self.token_lifetime, self.clock_skew, self.margin])",
        "sum([self.reload_lag, self.token_lifetime, self.clock_skew])", "rotate, clocks apart"),
    bug("guard 2 does not wait", "lifecycle/retire.rs",
        "removal_time(view, key).is_some_and(|time| time <= view.now)", "removal_time(view, key).is_some()", "rotate"),
    bug("a lost standby leaves at once", "lifecycle/retire.rs",
        "if is_ending { rollout::promise(view, key) } else { external::removal_time(view, key) }",
        "if key.is_retired() { rollout::promise(view, key) } else if key.is_lost() { Some(view.now) } else { external::removal_time(view, key) }",
        "rotate, a Key Secret and the Signer Secret lost"),
    bug("the retirement is when the switch was planned", "lifecycle/ledger.rs",
        "latest([Some(view.now), Some(successor), Some(activation), key.lifecycle.retirement_time])",
        "latest([Some(signer.activation_time), Some(activation), key.lifecycle.retirement_time])", "rotate"),
    bug("two switches in one second tie", "lifecycle/ledger.rs",
        "after(time, SignedDuration::from_secs(1))", "time", "roll back"),
    bug("whoever is behind retires whoever is ahead", "lifecycle/ledger.rs",
        "key.name != signing.name && key.lifecycle.term <= Some(signer.term)", "key.name != signing.name",
        "rotate, read late"),
    bug("whoever is behind retires whoever is ahead", "lifecycle/ledger.rs",
        "term > signer.term || (term == signer.term && is_active(&key.lifecycle))", "term >= signer.term",
        "rotate, read late"),
    bug("the record of the replaced key is not made good", "lifecycle/ledger.rs",
        "seems_active(key) || signed_until_then(key)", "seems_active(key)", "rotate, a record and the Signer Secret lost"),
    bug("an adopted key is not retired again", "lifecycle/ledger.rs",
        "(key.is_retired() && key.lifecycle.retirement_time < Some(successor))", "false", "rotate, a record and the Signer Secret lost"),
    bug("nobody knows who was replaced", "lifecycle/rotate.rs",
        "view.signing().or_else(|| last_retired(view))", "view.signing()", "rotate, a record and the Signer Secret lost"),
    bug("a longer promise is not recorded", "lifecycle/ledger.rs",
        "(key.lifecycle.earliest_removal_time < promised).then(|| record(view, key, lifecycle, RecordCause::Promise))",
        "None", "raise and lower T"),
    bug("a removed key is recorded as active", "lifecycle/ledger.rs",
        "view.key(&signer.key_id).filter(|key| !key.is_over())?", "view.key(&signer.key_id)?", "revoke the pinned, read late"),
    bug("what is adopted has promised nothing", "lifecycle/adopt.rs",
        "earliest_removal_time: «Some(after(view.now, view.contract.retention()))»,\n        revocation_time",
        "Some(view.now)", "rotate, one loss"),
    bug("nothing is adopted", "lifecycle/adopt.rs",
        "view.observed.undecodable.is_empty() && (view.observed.clock == Clock::Trusted || view.signer().is_some())",
        "false", "rotate, one loss"),
    bug("an external key leaves with its entry", "lifecycle/external.rs",
        "Some(after(view.now, view.contract.retention()))", "Some(view.now)", "external"),
    // Terms, bars and names.
    bug("the term is not raised", "lifecycle/rotate.rs",
        "highest_term(view) + 1", "highest_term(view).max(1)", "rotate"),
    bug("the only key that signs leaves for being revoked", "lifecycle/revoke.rs",
        "others_sign()?", "others_sign().or(Some(()))?", "revoke early"),
    bug("the only key that signs leaves for being revoked", "lifecycle/revoke.rs",
        "view.signer().map_or_else(active, |signer| Some(&signer.key_id) == key.kid())", "false", "revoke early"),
    bug("the only key that signs leaves for being revoked", "lifecycle/publication.rs",
        "key.is_removed() && !shown() && (key.is_revoked() || !promised())",
        "key.is_removed() && (key.is_revoked() || !promised())", "revoke early"),
    bug("destroyed without a bar", "lifecycle/retire.rs", "bar(view, &keys)", "None", "revoke, two controllers"),
    bug("revoked without a bar", "lifecycle/revoke.rs", "bar(view, &idle)", "None", "revoke, two controllers"),
    bug("a barred key may take over", "lifecycle/view.rs",
        "matches!(key.private, PrivateHalf::Stored(_)) && !barred && !key.is_over()",
        "matches!(key.private, PrivateHalf::Stored(_)) && !key.is_over()", "revoke, two controllers"),
    // Law 5 and the accept pair.
    bug("published before it is accepted", "lifecycle/publication.rs",
        "view.publication().filter(|publication| publication.digest.as_ref() == Some(digest))", "view.publication()", "rotate"),
    bug("published before it is accepted", "lifecycle/publication.rs",
        "new && view.prior().is_some() && restore::is_followed(view)",
        "new && view.prior().is_some() && view.config_map().is_some_and(|it| decided(view).is_some_and(|(_, digest)| it.digest.as_ref() == Some(digest)))",
        "rotate"),
    bug("published before it is accepted", "lifecycle/publication.rs",
        "view.observed.published == Published::Foreign || is_config_map_right(view)",
        "view.config_map().is_some_and(|it| it.digest.as_ref() == Some(digest))", "rotate"),
    bug("the digest before is forgotten at once", "lifecycle/publication.rs",
        "previous_digests.truncate(MAX_PREVIOUS_DIGESTS)", "previous_digests.clear()", "rotate, two controllers"),
    bug("documents of before are never forgotten", "lifecycle/publication.rs",
        "if settled { Vec::new() } else { stored.previous_digests.clone() }", "stored.previous_digests.clone()",
        "newcomer, tampering"),
    bug("the digests before are dropped unseen", "lifecycle/publication.rs",
        "if settled { Vec::new() } else { stored.previous_digests.clone() }", "Vec::new()", "rotate early, clocks apart"),
    bug("a lost record unpublishes its key", "lifecycle/publication.rs",
        "for jwk in «view.accepted_set().map(JwkSet::keys).unwrap_or_default()» {", "&[]", "rotate, one loss"),
    bug("a lost record unpublishes its key", "lifecycle/adopt.rs",
        "view.observed.undecodable.is_empty() && (view.observed.clock == Clock::Trusted || view.signer().is_some())",
        "false", "rotate, one loss"),
    bug("whatever the ConfigMap holds is ours", "lifecycle/view.rs",
        "it.digest.as_ref().is_some_and(is_known)", "true", "tampering"),
    bug("without the status nobody knows what is served", "lifecycle/view.rs",
        "accepts(digest) || (is_lost && restore::is_served(self.observed, digest))", "accepts(digest)",
        "rotate, a record and the status lost"),
    bug("without the ConfigMap nobody knows what was published", "lifecycle/view.rs",
        "held.map_or_else(|| served()?.set.as_ref(), |config_map| config_map.set.as_ref())",
        "held.and_then(|config_map| config_map.set.as_ref())", "rotate, a record and the ConfigMap lost"),
    // Effects in the wrong order.
    bug("a SigningKey without a Key Secret", "mind.rs",
        "«writes.push(self.write(Act::MakeSecret(slot), \"stage: Key Secret\".to_owned()))»;\n                writes.push(self.write(Act::MakeKey(slot, [key(1), key(2)]), \"stage: SigningKey\".to_owned()));",
        "()", "bootstrap"),
    // Liveness.
    bug("the end of a wait wakes nobody", "lifecycle/status.rs",
        "status.keys.iter().filter_map(|key| «key.earliest_activation_time»)", "None", "rotate early"),
    bug("the ends wake nobody", "lifecycle/status.rs",
        "[destruction_time(view, key), removal_time(view, key), revoke::removal_time(view, key)]", "[None, None, None]",
        "rotate"),
    bug("a window is not told", "lifecycle/status.rs", "end.filter(|end| *end > view.now)", "end.filter(|_| false)",
        "bootstrap, one loss"),
];
