//! What the header says (RFC 7515 section 4.1, RFC 8725).

use serde_json::{Map, Value};

use super::check::{Finding, Verdict, advice, failed, kind, list, passed, quoted, shown};
use crate::jose::Algorithm;

/// Extensions must be understood, or the token refused.
pub(super) fn crit(header: &Map<String, Value>) -> Finding {
    let b64 = header.get("b64");
    let names = match header.get("crit") {
        None if b64.is_some_and(|b64| b64 != true) => {
            return advice("b64 is there and not in crit, so verifiers do not look at it: leave it out");
        }
        None => return passed("there is no extension that must be understood"),
        Some(Value::Array(names)) if !names.is_empty() && names.iter().all(Value::is_string) => names,
        Some(_) => return failed("crit must be an array of names that is not empty"),
    };
    if let Some(name) = names.iter().find(|name| **name != "b64") {
        return failed(format!(
            "it demands that the extension {} be understood, and no verifier of plain JWTs does: leave crit out",
            shown(name)
        ));
    }
    match b64 {
        Some(Value::Bool(true)) => passed("it demands b64, which has its ordinary value"),
        Some(Value::Bool(false)) => {
            failed("b64 is false: the payload is not encoded, which a JWT must not be (RFC 7797 section 7)")
        }
        _ => failed("it demands b64, which must be there, and true"),
    }
}

/// What kind of token it says it is.
pub(super) fn typ(header: &Map<String, Value>, wanted: Option<&str>) -> Finding {
    let found = header.get("typ");
    let told = found.map_or_else(|| "there is none".to_owned(), |typ| format!("it is {}", shown(typ)));
    match wanted {
        Some(wanted) if is_typ(header, wanted) => passed(told),
        Some(wanted) => failed(format!("{told}, and it must be {}", quoted(wanted))),
        None if found.is_none() || is_typ(header, "JWT") || is_typ(header, "at+jwt") => passed(told),
        None => advice(format!(
            "{told}: another kind of token, which was not made to be taken for an access token or an ID token \
             (RFC 8725 section 3.11). Ask for the typ that you expect with --typ"
        )),
    }
}

/// Whether the token is of that media type, which may lack its `application/` (RFC 7515 section 4.1.9).
pub(super) fn is_typ(header: &Map<String, Value>, wanted: &str) -> bool {
    let whole = |typ: &str| {
        let typ = typ.to_ascii_lowercase();
        if typ.contains('/') { typ } else { format!("application/{typ}") }
    };
    header.get("typ").and_then(Value::as_str).is_some_and(|typ| whole(typ) == whole(wanted))
}

/// The algorithm if it is one that a public key can verify, allowed or not.
pub(super) fn algorithm(
    header: &Map<String, Value>,
    allowed: &[Algorithm],
    verdict: &mut Verdict,
) -> Option<Algorithm> {
    let alg = header.get("alg");
    let found = alg.and_then(Value::as_str).and_then(|alg| alg.parse::<Algorithm>().ok());
    let finding = match (alg, found) {
        (_, Some(algorithm)) if allowed.contains(&algorithm) => passed(format!("{algorithm} is allowed")),
        (_, Some(algorithm)) if allowed.is_empty() => {
            failed(format!("it is {algorithm}, and the set has no key to use"))
        }
        (_, Some(algorithm)) => failed(format!("it is {algorithm}, and allowed is only {}", list(allowed))),
        (None, None) => failed("there is no alg, so nobody knows how to verify the signature"),
        (Some(Value::String(alg)), None) => failed(refusal(alg, allowed)),
        (Some(alg), None) => failed(format!("alg must be a string, not {}", kind(alg))),
    };
    verdict.note("alg", finding);
    found
}

fn refusal(alg: &str, allowed: &[Algorithm]) -> String {
    let shown = quoted(alg);
    if alg.eq_ignore_ascii_case("none") {
        return format!("{shown} means that the token is not signed: anybody can write it. It is never allowed");
    }
    if alg.to_ascii_uppercase().starts_with("HS") {
        return format!(
            "{shown} verifies with the secret that signs. A verifier that lets the token choose it takes the public key for \
             that secret, and everybody has the public key: everybody could sign (the key confusion attack). It is never \
             allowed with a JWK Set"
        );
    }
    format!("{shown} is no algorithm of a key here; allowed is only {}", list(allowed))
}
