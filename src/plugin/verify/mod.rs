//! `verify`: what a verifier makes of a token, check by check.
//!
//! The verdict (`judge`) is a pure function of the token, the set as it is served, what a verifier was configured with,
//! and the time. Invariants: `none` and shared-secret algorithms are never allowed; a token without the expected
//! audience is never valid; nothing of a token reaches a terminal unescaped, and nothing of it leaves the machine.

mod check;
mod claims;
mod compact;
mod header;
mod judge;
mod purpose;
mod report;
mod served_set;
mod signature;
mod source;
#[cfg(test)]
mod tests;

pub use check::{Check, Outcome, Verdict};
pub use judge::{Expectations, verify};
pub use purpose::Purpose;
pub use served_set::ServedSet;

use std::io::Read as _;

use super::session::{Global, Session};
use super::{Answer, Error, Outcome as Answered};
use crate::api::{Duration, KeySet};
use crate::controller::now;
use crate::jose::Algorithm;
use report::Report;
use source::{Fetched, SourceArguments};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Token, or - to read it from standard input, which keeps it out of the shell's history and of the process list
    #[arg(value_name = "TOKEN")]
    token: String,
    /// Name of the verifier, one of which must be in aud; repeat it for more
    #[arg(long, value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    audience: Vec<String>,
    /// Issuer that iss must name [default: that of the KeySet, if it has one]
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// Algorithm to allow; repeat it for more [default: those of the keys in the set]
    #[arg(long, value_name = "ALG", value_parser = |name: &str| name.parse::<Algorithm>())]
    algorithm: Vec<Algorithm>,
    /// Value of typ to demand, such as at+jwt
    #[arg(long, value_name = "TYPE")]
    typ: Option<String>,
    /// How far clocks may differ
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = |text: &str| text.parse::<Duration>())]
    clock_tolerance: Duration,
    /// What the token is about to be used for
    #[arg(long, value_enum, default_value_t)]
    purpose: Purpose,
    /// KeySet that the token is said to be of: it tells the issuer, and how long a token may live
    #[arg(long, value_name = "NAME")]
    keyset: Option<String>,
    #[command(flatten)]
    source: SourceArguments,
}

/// Asks no cluster unless a KeySet is named.
pub(super) async fn run(global: &Global, arguments: &Arguments) -> Answered {
    let token = token(&arguments.token)?;
    let key_set = match &arguments.keyset {
        None => None,
        Some(name) => {
            let session = Session::start(global).await?;
            let key_set = session.key_set(name).await?;
            Some((session, key_set))
        }
    };
    let expected = expectations(arguments, key_set.as_ref().map(|(_, key_set)| key_set));
    let named = key_set.as_ref().map(|(session, _)| session).zip(arguments.keyset.as_deref());
    let fetched = arguments.source.fetch(named, expected.issuer.as_deref()).await?;
    let mut verdict = verify(token.trim(), &fetched.set, &expected, now());
    verdict.checks.insert(0, provenance(&fetched));
    let answer = if verdict.is_valid() { Answer::Yes } else { Answer::No };
    global.print(&Report::new(verdict))?;
    Ok(answer)
}

fn expectations(arguments: &Arguments, key_set: Option<&KeySet>) -> Expectations {
    Expectations {
        algorithms: arguments.algorithm.clone(),
        issuer: arguments.issuer.clone().or_else(|| key_set?.spec.publication.issuer.clone()),
        audiences: arguments.audience.clone(),
        typ: arguments.typ.clone(),
        tolerance: arguments.clock_tolerance.length(),
        max_lifetime: key_set.map(|key_set| key_set.spec.tokens.max_lifetime.length()),
        purpose: arguments.purpose,
    }
}

fn token(argument: &str) -> Result<String, Error> {
    if argument != "-" {
        return Ok(argument.to_owned());
    }
    let mut token = String::new();
    // A little more than the judge looks at, so that it can say that it is too much.
    std::io::stdin().take(1 << 17).read_to_string(&mut token).map_err(Error::output)?;
    Ok(token)
}

fn provenance(Fetched { source, is_exposed, .. }: &Fetched) -> Check {
    let (outcome, more) = if *is_exposed {
        (Outcome::Advice, ", over plain HTTP: whoever is on the way can put keys of their own into it. Use HTTPS")
    } else {
        (Outcome::Passed, "")
    };
    Check { name: "source", outcome, explanation: format!("the set is that of {source}{more}") }
}
