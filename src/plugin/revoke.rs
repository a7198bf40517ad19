//! `revoke`: an entry of `revokedKeys`, so that a key is trusted no more. It is for ever, so it asks before.
//!
//! What is foretold follows docs/revocation.md, from what the status tells: the operator decides, and may find more.

use std::io::{self, BufRead, IsTerminal, Write};
use std::time::Duration;

use clap::ValueEnum;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::change::{self, Change, Wish, Writing};
use super::error::Error;
use super::keys::{Key, Known};
use super::output::{length, moment};
use super::session::Session;
use super::{Answer, Outcome};
use crate::api::{KeySet, KeyState, RevocationMode, RevocationStatus};
use crate::jose::KeyId;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// KeySet of the key
    #[arg(value_name = "NAME")]
    name: String,
    /// Key that must not be trusted: its kid, the beginning of it, or the name of its SigningKey
    #[arg(value_name = "KID")]
    key: String,
    /// What may be given up for speed
    #[arg(long, value_name = "MODE", value_enum, default_value_t)]
    mode: Mode,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Wait until the operator tells when the exposure ends, for so long at most
    #[arg(long, value_name = "DURATION", num_args = 0..=1, default_missing_value = "2m")]
    #[arg(conflicts_with_all = ["print", "dry_run"])]
    wait: Option<crate::api::Duration>,
    #[command(flatten)]
    writing: Writing,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
#[value(rename_all = "PascalCase")]
enum Mode {
    /// No verifier meets an unknown kid: the next key takes over once it may
    #[default]
    AfterSwitch,
    /// The next key takes over at once, even if some verifiers do not know it
    ForceSwitch,
    /// The same, and the key leaves at once, while signers may still use it
    Immediate,
}

pub(super) async fn run(session: &Session, arguments: &Arguments) -> Outcome {
    let Arguments { name, writing, .. } = arguments;
    let (mut agreed, mut revoked) = (arguments.yes, None);
    let decide = |known: &Known| {
        revoked = known.find(&arguments.key)?.kid().cloned();
        revoke(known, arguments, session.now)
    };
    let agree = |change: &Change| {
        if !agreed {
            ask(change)?;
            agreed = true;
        }
        Ok(())
    };
    let Some(mut written) = change::write(session, name, writing, decide, agree).await? else { return Ok(Answer::Yes) };
    if let (Some(patience), Some(kid)) = (&arguments.wait, &revoked) {
        written.report.revocation = acknowledged(session, &written.key_set, kid, patience.length()).await?;
    }
    session.print(&written.report)?;
    Ok(Answer::Yes)
}

fn revoke(known: &Known, arguments: &Arguments, now: Timestamp) -> Result<Change, Error> {
    let key = known.find(&arguments.key)?;
    let (kid, mode) = (key.named()?, RevocationMode::from(arguments.mode));
    let standing = known.key_set.spec.revoked_keys.iter().find(|revoked| revoked.key_id == *kid);
    if let Some(standing) = standing.filter(|standing| standing.mode >= mode) {
        return Err(Error::Refused(format!(
            "{} is revoked already ({:?}){}",
            key.name,
            standing.mode,
            state(known, kid)
        )));
    }
    let outlook = Outlook::of(known, key, mode, now);
    Ok(Change {
        wish: Wish::entry("revokedKeys", json!({ "keyID": kid }), Some(json!({ "keyID": kid, "mode": mode }))),
        done: format!("{} (kid {kid}) is revoked for ever ({mode:?}).", key.name),
        earliest_time: outlook.exposure_end,
        consequences: outlook.told,
        warnings: outlook.warned,
    })
}

/// What the operator will do, and when.
struct Outlook {
    exposure_end: Option<Timestamp>,
    told: Vec<String>,
    warned: Vec<String>,
}

/// Who signs after the key.
enum Successor<'a> {
    /// It does not sign.
    NotNeeded,
    /// Every verifier knows this one by then.
    Known(&'a Key, Timestamp),
    /// This one, at once: verifiers may not know it.
    Forced(&'a Key),
    /// This one, but nobody has seen it served yet.
    Unseen(&'a Key),
    /// A key that is still to be made.
    ToBeMade,
}

impl Outlook {
    fn of(known: &Known, key: &Key, mode: RevocationMode, now: Timestamp) -> Self {
        let (contract, lifecycle, name) = (known.contract(), key.lifecycle(), &key.name);
        let (lead, lag) = (length(contract.lead()), length(contract.reload_lag));
        let mut outlook = Self { exposure_end: None, told: Vec::new(), warned: Vec::new() };
        if let Some(removed) = lifecycle.removal_time {
            outlook.told.push(format!("{name} left the set at {removed}. From now on no list brings it back."));
            return outlook;
        }
        let successor = successor(known, key, mode, now);
        outlook.tell(&successor, name, mode, now, contract.lead());
        let switched = match successor {
            Successor::NotNeeded => Some(lifecycle.retirement_time.unwrap_or(now - contract.reload_lag)),
            Successor::Known(_, time) => Some(time),
            Successor::Forced(_) => Some(now),
            Successor::Unseen(_) | Successor::ToBeMade => None,
        };
        let leaves = switched.map(|time| match mode {
            RevocationMode::Immediate => time.max(now),
            _ => (time + contract.reload_lag).max(now),
        });
        let lags = mode != RevocationMode::Immediate && !matches!(successor, Successor::NotNeeded);
        let after = if lags { format!(", {lag} (L) after the switch") } else { String::new() };
        let when = leaves.map_or_else(|| "then".to_owned(), |time| moment(time, now));
        outlook.told.push(format!(
            "{name} leaves the set {when}{after}. Its tokens are refused by whoever fetches the set from then on."
        ));
        outlook.exposure_end = leaves.map(|time| time + contract.lead());
        let end = outlook.exposure_end.map(|end| format!("{} at the earliest, ", moment(end, now))).unwrap_or_default();
        outlook.told.push(format!(
            "Exposure ends {end}{lead} (C + S) after every replica was seen without it: until then verifiers may trust a copy \
             that has it. Restart or flush those that you run."
        ));
        if key.is_external() {
            outlook.warned.push(format!("{name} signs elsewhere: stop its signer, too."));
        }
        outlook
    }

    fn tell(
        &mut self,
        successor: &Successor<'_>,
        name: &str,
        mode: RevocationMode,
        now: Timestamp,
        lead: SignedDuration,
    ) {
        let unknown = || format!("Verifiers may meet an unknown kid until {}, C + S after the switch.", now + lead);
        let forced = mode != RevocationMode::AfterSwitch;
        match successor {
            Successor::NotNeeded => self.told.push("It does not sign, and no other key is concerned.".to_owned()),
            Successor::Known(next, time) if *time <= now => {
                self.told.push(format!("{} takes over in seconds: every verifier knows it.", next.name));
            }
            Successor::Known(next, time) => {
                self.told.push(format!("{} takes over {}: every verifier knows it by then.", next.name, moment(*time, now)));
                self.warned.push(format!(
                    "{name} signs and is trusted until then. --mode ForceSwitch does not wait, and costs an unknown kid."
                ));
            }
            Successor::Forced(next) => {
                self.told.push(format!("{} takes over in seconds.", next.name));
                self.warned.push(unknown());
            }
            Successor::Unseen(next) if forced => {
                self.told.push(format!("{} takes over as soon as it is served.", next.name));
                self.warned.push(unknown());
            }
            Successor::Unseen(next) => self.told.push(format!(
                "{} takes over {} (C + S) after every replica was seen to serve it. Until then {name} signs and is trusted.",
                next.name,
                length(lead)
            )),
            Successor::ToBeMade => {
                let then = if forced { "as soon as that is served" } else { "C + S after that is seen served" };
                self.told.push(format!(
                    "No other key can sign: one is made, and takes over {then}. Until then {name} signs, since an empty set \
                     refuses everybody's tokens."
                ));
                if forced {
                    self.warned.push(format!("Verifiers may meet an unknown kid for {} (C + S) after the switch.", length(lead)));
                }
            }
        }
    }
}

/// Who takes over: whom every verifier knows; else, if it may cost an unknown kid, the newest; else whoever is known first.
fn successor<'a>(known: &'a Known, key: &Key, mode: RevocationMode, now: Timestamp) -> Successor<'a> {
    if known.active().is_none_or(|active| active.name != key.name) {
        return Successor::NotNeeded;
    }
    let revoked = |other: &Key| known.key_set.spec.revoked_keys.iter().any(|it| Some(&it.key_id) == other.kid());
    let others = || known.keys.iter().filter(|other| other.name != key.name && other.has_private() && !revoked(other));
    let staged = || others().filter(|key| matches!(key.state(), Some(KeyState::Published | KeyState::Standby)));
    let retired = || others().filter(|key| key.state() == Some(KeyState::Retiring));
    let is_known = |key: &&Key| key.may_sign_from().is_some_and(|time| time <= now);
    if let Some(next) = staged().find(is_known).or_else(|| retired().rfind(is_known)) {
        return Successor::Known(next, now);
    }
    let waiting = || staged().filter_map(|key| Some((key.may_sign_from()?, key))).min_by_key(|(time, _)| *time);
    match (mode, waiting(), staged().next_back()) {
        (RevocationMode::AfterSwitch, Some((time, next)), _) => Successor::Known(next, time),
        (RevocationMode::ForceSwitch | RevocationMode::Immediate, Some(_), Some(next)) => Successor::Forced(next),
        (_, None, Some(next)) => Successor::Unseen(next),
        (_, _, None) => Successor::ToBeMade,
    }
}

/// Asks the person at the terminal.
fn ask(change: &Change) -> Result<(), Error> {
    if !io::stdin().is_terminal() {
        return Err(Error::Refused("to revoke is for ever, and nobody is here to ask: give --yes".to_owned()));
    }
    let lines = [&change.done].into_iter().chain(&change.consequences).chain(&change.warnings);
    let lines: Vec<&str> = lines.map(String::as_str).collect();
    agrees(io::stdin().lock(), io::stderr(), &format!("{}\nShall it be so? [y/N] ", lines.join("\n")))
}

fn agrees(mut answers: impl BufRead, mut questions: impl Write, prompt: &str) -> Result<(), Error> {
    questions.write_all(prompt.as_bytes()).and_then(|()| questions.flush()).map_err(Error::output)?;
    let mut answer = String::new();
    answers.read_line(&mut answer).map_err(Error::output)?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Error::Refused("nothing was revoked".to_owned())),
    }
}

/// What the operator says of the revocation: when the exposure ends, or as far as it came in that time.
async fn acknowledged(
    session: &Session,
    written: &KeySet,
    kid: &KeyId,
    patience: SignedDuration,
) -> Result<Option<RevocationStatus>, Error> {
    let name = written.metadata.name.as_deref().unwrap_or_default();
    let mut left = patience;
    loop {
        let key_set = session.key_set(name).await?;
        let answered = key_set.status.filter(|status| status.observed_generation >= written.metadata.generation);
        let said = answered.and_then(|status| status.revocations.into_iter().find(|it| it.key_id == *kid));
        if said.as_ref().is_some_and(|said| said.exposure_end_time.is_some()) {
            return Ok(said);
        }
        if left <= SignedDuration::ZERO {
            let silent =
                || format!("the revocation of {kid} is written, but the operator has not answered it: does it run?");
            return said.map(Some).ok_or_else(|| Error::Refused(silent()));
        }
        tokio::time::sleep(LOOK).await;
        left -= SignedDuration::try_from(LOOK).unwrap_or(patience);
    }
}

/// How far a standing revocation came.
fn state(known: &Known, kid: &KeyId) -> String {
    let status = known.key_set.status.as_ref();
    let said = status.and_then(|status| status.revocations.iter().find(|it| it.key_id == *kid));
    let end = said.and_then(|said| said.exposure_end_time).map(|end| format!(", exposure ends {end}"));
    said.map_or_else(
        || ", and the operator has not answered it".to_owned(),
        |said| format!(": {:?}{}", said.state, end.unwrap_or_default()),
    )
}

impl From<Mode> for RevocationMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::AfterSwitch => Self::AfterSwitch,
            Mode::ForceSwitch => Self::ForceSwitch,
            Mode::Immediate => Self::Immediate,
        }
    }
}

const LOOK: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_one() {
        for (answer, agreed) in
            [("y\n", true), ("Yes\n", true), ("\n", false), ("", false), ("n\n", false), ("yy\n", false)]
        {
            let mut asked = Vec::new();
            assert_eq!(agrees(answer.as_bytes(), &mut asked, "Shall it?").is_ok(), agreed, "{answer:?}");
            assert_eq!(asked, b"Shall it?");
        }
    }
}
