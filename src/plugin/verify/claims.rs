//! What the claims say (RFC 7519 section 4.1).

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::Expectations;
use super::check::{Finding, Verdict, advice, failed, kind, list, passed, quoted, shown, skipped};
use crate::plugin::output::{length, relative};

/// The claims, and what they are held against.
pub(super) struct Claims<'a> {
    pub(super) set: &'a Map<String, Value>,
    pub(super) expected: &'a Expectations,
    pub(super) now: Timestamp,
}

/// A claim that is a time.
enum Date {
    Absent,
    /// Seconds since 1970.
    At(f64),
    /// Why it is none.
    Invalid(String),
}

impl Claims<'_> {
    pub(super) fn check(&self, verdict: &mut Verdict) {
        verdict.note("exp", self.exp());
        verdict.note("nbf", self.nbf());
        verdict.note("iat", self.iat());
        verdict.note("iss", self.iss());
        verdict.note("aud", self.aud());
        verdict.note("lifetime", self.lifetime());
    }

    fn exp(&self) -> Finding {
        match self.date("exp") {
            Date::Absent => failed(
                "there is no exp, so the token would be good for ever; its key is not. Let it end at most \
                 spec.tokens.maxLifetime after it was issued",
            ),
            Date::Invalid(why) => failed(why),
            Date::At(exp) if exp <= self.seconds() - self.tolerance() => {
                failed(format!("it expired at {}{}", self.when(exp), self.tolerated()))
            }
            Date::At(exp) if exp <= self.seconds() => {
                passed(format!("it expired at {}, within the tolerance", self.when(exp)))
            }
            Date::At(exp) => passed(format!("it expires at {}", self.when(exp))),
        }
    }

    fn nbf(&self) -> Finding {
        match self.date("nbf") {
            Date::Absent => passed("there is none: it is good at once"),
            Date::Invalid(why) => failed(why),
            Date::At(nbf) if nbf > self.seconds() + self.tolerance() => {
                failed(format!("it is not good before {}{}; is a clock wrong?", self.when(nbf), self.tolerated()))
            }
            Date::At(nbf) => passed(format!("it is good since {}", self.when(nbf))),
        }
    }

    /// When it was issued does not make it good or bad, unless a verifier limits the age of tokens.
    fn iat(&self) -> Finding {
        match self.date("iat") {
            Date::Absent => {
                advice("there is none: ID tokens and access tokens of RFC 9068 must say when they were issued")
            }
            Date::Invalid(why) => failed(why),
            Date::At(iat) if iat > self.seconds() + self.tolerance() => advice(format!(
                "it was issued in the future, at {}: the clock of the signer or of this machine is wrong",
                self.when(iat)
            )),
            Date::At(iat) => passed(format!("it was issued at {}", self.when(iat))),
        }
    }

    fn iss(&self) -> Finding {
        let found = self.set.get("iss");
        let Some(wanted) = &self.expected.issuer else {
            let found = found.map_or_else(|| "has none".to_owned(), |iss| format!("says {}", shown(iss)));
            return skipped(format!("no issuer was asked for: give it with --issuer; the token {found}"));
        };
        let wanted_shown = quoted(wanted);
        match found {
            None => failed(format!("there is none, and it must be {wanted_shown}")),
            Some(Value::String(iss)) if iss == wanted => passed(format!("it is {wanted_shown}")),
            Some(Value::String(iss)) if alike(iss, wanted) => failed(format!(
                "it is {}, and it must be {wanted_shown}, character by character: a slash at the end and capitals count",
                quoted(iss)
            )),
            Some(iss) => failed(format!("it is {}, and it must be {wanted_shown}", shown(iss))),
        }
    }

    fn aud(&self) -> Finding {
        let wanted = &self.expected.audiences;
        let found = self.set.get("aud");
        let told = found.map_or_else(|| "there is none".to_owned(), |aud| format!("it is {}", shown(aud)));
        if wanted.is_empty() {
            return failed(format!(
                "no audience was asked for, and a verifier must ask: without it, it takes tokens that were meant for \
                 another service of the same issuer, which can then act here as the user. Give the name of your service \
                 with --audience; {told}"
            ));
        }
        let matches = |aud: &Value| aud.as_str().is_some_and(|aud| wanted.iter().any(|wanted| wanted == aud));
        let accepted = match found {
            Some(Value::Array(audiences)) => audiences.iter().any(matches),
            Some(aud) => matches(aud),
            None => false,
        };
        let wanted = list(wanted.iter().map(|wanted| quoted(wanted)));
        match found {
            Some(_) if accepted => passed(told),
            Some(Value::String(_) | Value::Array(_)) => {
                failed(format!("{told}, so it is meant for others than {wanted}"))
            }
            Some(aud) => failed(format!("{told}: it must be a string or an array of strings, not {}", kind(aud))),
            None => failed(format!("{told}: the token does not say whom it is for, and it must be for {wanted}")),
        }
    }

    /// Not a verifier's business, but that of who must keep the key published.
    fn lifetime(&self) -> Finding {
        let (Date::At(exp), Date::At(iat)) = (self.date("exp"), self.date("iat")) else {
            return skipped("it cannot be told without both exp and iat");
        };
        let Some(lifetime) = SignedDuration::try_from_secs_f64(exp - iat).ok() else {
            return advice("it is longer than any time that can be written");
        };
        let text = length(lifetime.abs());
        match &self.expected.max_lifetime {
            _ if lifetime.is_negative() => advice(format!("it ends {text} before it was issued")),
            None => passed(format!("it lives {text}")),
            Some(longest) if lifetime <= *longest => {
                passed(format!("it lives {text}, and the KeySet is made for {} at most", length(*longest)))
            }
            Some(longest) => advice(format!(
                "it lives {text}, and the KeySet is made for {} at most: its key may leave the set before the token ends. \
                 Let the signer issue shorter tokens, or raise spec.tokens.maxLifetime first",
                length(*longest)
            )),
        }
    }

    fn date(&self, name: &str) -> Date {
        match self.set.get(name) {
            None => Date::Absent,
            Some(Value::Number(number)) => {
                number.as_f64().map_or_else(|| Date::Invalid(format!("{name} is too large")), Date::At)
            }
            Some(other) => Date::Invalid(format!(
                "{name} must be a number of seconds since 1970, not {} ({})",
                kind(other),
                shown(other)
            )),
        }
    }

    /// Whole seconds, as verifiers count.
    fn seconds(&self) -> f64 {
        self.now.as_duration().as_secs_f64().floor()
    }

    fn tolerance(&self) -> f64 {
        self.expected.tolerance.as_secs_f64()
    }

    fn tolerated(&self) -> String {
        match self.expected.tolerance {
            SignedDuration::ZERO => String::new(),
            tolerance => format!(", more than the tolerance of {}", length(tolerance)),
        }
    }

    fn when(&self, seconds: f64) -> String {
        let time = SignedDuration::try_from_secs_f64(seconds.floor()).ok();
        let time = time.and_then(|time| Timestamp::from_duration(time).ok());
        time.map_or_else(|| format!("{seconds}"), |time| format!("{time} ({})", relative(time, self.now)))
    }
}

/// The same but for what people overlook.
fn alike(one: &str, other: &str) -> bool {
    let plain = |text: &str| text.trim().trim_end_matches('/').to_lowercase();
    plain(one) == plain(other)
}
