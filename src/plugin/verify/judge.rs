//! The verdict on a token, as a careful verifier would give it (RFC 7519 section 7.2, RFC 8725).

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::check::{Finding, Verdict, advice, counted, failed, list, passed, shown};
use super::claims::Claims;
use super::compact::{Compact, object};
use super::served_set::ServedSet;
use super::signature::Signed;
use super::{Purpose, header, purpose};
use crate::jose::Algorithm;

/// What a verifier was configured with.
#[derive(Clone, Debug, Default)]
pub struct Expectations {
    /// The allow-list; if empty, what the keys of the set can verify.
    pub algorithms: Vec<Algorithm>,
    /// The value of `iss`.
    pub issuer: Option<String>,
    /// Who the verifier is: one of them must be in `aud`.
    pub audiences: Vec<String>,
    /// The value of `typ`.
    pub typ: Option<String>,
    /// How far clocks may differ.
    pub tolerance: SignedDuration,
    /// The longest lifetime of a token that the KeySet is made for: `T`.
    pub max_lifetime: Option<SignedDuration>,
    /// What the token is about to be used for.
    pub purpose: Purpose,
}

/// Looks at everything that can be looked at. The first check that failed decides.
pub fn verify(token: &str, set: &ServedSet, expected: &Expectations, now: Timestamp) -> Verdict {
    let mut verdict = Verdict::default();
    verdict.note("set", served(set));
    verdict.note("size", size(token.len()));
    if !verdict.is_valid() {
        return verdict;
    }
    let told = |compact: &Compact<'_>| match &compact.flaw {
        None => passed("it has three parts of base64url: header, payload, signature"),
        Some(flaw) => failed(flaw),
    };
    let Some(compact) = verdict.keep("form", Compact::split(token), told) else { return verdict };
    let header = compact.header.as_ref().map(|octets| object("header", octets));
    let header = header.and_then(|header| verdict.keep("header", header, |header| passed(quoted_members(header))));
    if let Some(header) = &header {
        verdict.note("crit", header::crit(header));
        verdict.note("typ", header::typ(header, expected.typ.as_deref()));
        Signed { header, compact: &compact, set }.check(&expected.algorithms, &mut verdict);
    }
    let claims = compact.payload.as_ref().map(|octets| object("payload", octets));
    let claims = claims.and_then(|claims| verdict.keep("payload", claims, |_| passed("it is a JSON object of claims")));
    if let Some(claims) = &claims {
        Claims { set: claims, expected, now }.check(&mut verdict);
        let header = header.unwrap_or_default();
        verdict.note("purpose", purpose::check(&header, claims, expected.purpose));
    }
    verdict
}

fn served(set: &ServedSet) -> Finding {
    let keys = format!("it has {} to use", counted(set.keys().len(), "key"));
    match set.skipped() {
        [] => passed(keys),
        skipped => advice(format!("{keys}; skipped: {}", skipped.join("; "))),
    }
}

fn size(octets: usize) -> Finding {
    match octets {
        TOO_LARGE.. => failed(format!(
            "it has {octets} octets; what has {TOO_LARGE} or more is not looked at, since no server takes such a header"
        )),
        LARGE.. => advice(format!(
            "it has {octets} octets: many servers refuse a request with more than {LARGE} octets of headers"
        )),
        _ => passed(format!("it has {octets} octets")),
    }
}

/// The members of the header that decide, for people.
fn quoted_members(header: &Map<String, Value>) -> String {
    let members = ["alg", "kid", "typ"].iter().filter_map(|name| Some(format!("{name} {}", shown(header.get(*name)?))));
    format!("it is a JSON object with {}", list(members))
}

/// In octets. A request line and headers together may have 8 KiB in nginx and others, 60 KiB in Envoy.
const LARGE: usize = 8 << 10;
const TOO_LARGE: usize = 64 << 10;
