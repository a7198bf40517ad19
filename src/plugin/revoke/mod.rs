//! `revoke`: an entry of `revokedKeys`, so that a key is trusted no more. It is for ever, so it foretells and asks before.

mod outlook;

use std::io::{self, BufRead, IsTerminal, Write};
use std::time::Duration;

use clap::ValueEnum;
use jiff::SignedDuration;
use serde_json::json;

use self::outlook::{Outlook, Told};
use super::change::{self, Change, Wish, Writing};
use super::error::Error;
use super::keys::{Key, Known, Meant};
use super::session::Session;
use super::{Answer, Outcome};
use crate::api::{KeySet, RevocationMode, RevocationStatus};
use crate::jose::KeyId;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    meant: Meant,
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
    let Arguments { meant: Meant { name, key }, writing, .. } = arguments;
    let (known, mode) = (Known::read(session, name).await?, RevocationMode::from(arguments.mode));
    let kid = judge(&known, key, mode)?.clone();
    let outlook = Outlook::of(session, &known, &kid, mode).await;
    let decide = |known: &Known| {
        judge(known, kid.as_str(), mode)?;
        let key = known.find(kid.as_str())?;
        Ok(change(key, mode, outlook.told(known, key, mode, session.now)))
    };
    let mut agreed = arguments.yes;
    let agree = |change: &Change| {
        if !agreed {
            ask(change)?;
            agreed = true;
        }
        Ok(())
    };
    let Some(mut written) = change::write(session, name, writing, decide, agree).await? else { return Ok(Answer::Yes) };
    if let Some(patience) = &arguments.wait {
        written.report.revocation = acknowledged(session, &written.key_set, &kid, patience.length()).await?;
    }
    session.print(&written.report)?;
    Ok(Answer::Yes)
}

/// The kid of the key that is meant, unless it is revoked as sharply already.
fn judge<'a>(known: &'a Known, wanted: &str, mode: RevocationMode) -> Result<&'a KeyId, Error> {
    let key = known.find(wanted)?;
    let kid = key.named()?;
    let standing = known.key_set.spec.revoked_keys.iter().find(|revoked| revoked.key_id == *kid);
    match standing.filter(|standing| standing.mode >= mode) {
        None => Ok(kid),
        Some(standing) => {
            Err(Error::Refused(format!("{} is revoked already ({:?}){}", key.name, standing.mode, state(known, kid))))
        }
    }
}

fn change(key: &Key, mode: RevocationMode, told: Told) -> Change {
    let kid = key.kid();
    Change {
        wish: Wish::entry("revokedKeys", json!({ "keyID": kid }), Some(json!({ "keyID": kid, "mode": mode }))),
        done: format!("{} (kid {}) is revoked for ever ({mode:?}).", key.name, kid.map_or("unknown", KeyId::as_str)),
        earliest_time: told.exposure_end,
        consequences: told.consequences,
        warnings: told.warnings,
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
