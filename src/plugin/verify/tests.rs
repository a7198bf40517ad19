use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::jose::vectors::{RFC_7515_ES256_JWS, RFC_7515_P256};
use crate::jose::{base64url, from_base64url};

/// Before the token of RFC 7515 ends.
const NOW: i64 = 1_300_819_000;

fn set(keys: &Value) -> ServedSet {
    ServedSet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

fn rfc_key() -> Value {
    serde_json::from_str(RFC_7515_P256).unwrap()
}

fn expected() -> Expectations {
    Expectations { issuer: Some("joe".to_owned()), audiences: vec!["orders".to_owned()], ..Expectations::default() }
}

fn judged(token: &str, set: &ServedSet, expected: &Expectations) -> Verdict {
    verify(token, set, expected, jiff::Timestamp::from_second(NOW).unwrap())
}

/// A token with a signature of zeros.
fn unsigned(header: &Value, claims: &Value) -> String {
    let parts = [header, claims].map(|json| base64url(json.to_string().as_bytes()));
    format!("{}.{}.{}", parts[0], parts[1], base64url(&[0; 64]))
}

/// What a check says of the token.
fn told(token: &str, name: &str) -> (Outcome, String) {
    told_by(&judged(token, &set(&json!([rfc_key()])), &expected()), name)
}

fn told_by(verdict: &Verdict, name: &str) -> (Outcome, String) {
    let check = verdict.checks.iter().find(|check| check.name == name);
    let check = check.unwrap_or_else(|| panic!("no check {name}: {verdict:?}"));
    (check.outcome, check.explanation.clone())
}

fn table(verdict: &Verdict) -> String {
    verdict.checks.iter().fold(String::new(), |mut text, check| {
        writeln!(text, "{} {:?}: {}", check.name, check.outcome, check.explanation).unwrap();
        text
    })
}

#[test]
fn the_token_of_the_rfc_is_judged_check_by_check() {
    let set = set(&json!([rfc_key(), {"kty": "PQ", "kid": "later"}]));
    insta::assert_snapshot!("rfc_7515_a3", table(&judged(RFC_7515_ES256_JWS, &set, &expected())));
}

#[test]
fn all_that_can_be_told_is_told() {
    let header = json!({"alg": "HS256", "kid": "none", "typ": "JWT"});
    let claims = json!({"iss": "joe/", "aud": ["billing"], "exp": NOW - 90, "nbf": NOW + 90, "iat": NOW - 7290});
    let expected = Expectations { max_lifetime: Some(jiff::SignedDuration::from_hours(1)), ..expected() };
    let verdict = judged(&unsigned(&header, &claims), &set(&json!([rfc_key()])), &expected);
    assert_eq!(verdict.refusal().map(|check| check.name), Some("alg"));
    insta::assert_snapshot!("all_at_once", table(&verdict));
}

#[test]
fn without_an_expected_audience_nothing_is_valid_and_it_says_why() {
    let key = set(&json!([rfc_key()]));
    let verdict = judged(RFC_7515_ES256_JWS, &key, &Expectations { audiences: Vec::new(), ..expected() });
    assert_eq!(verdict.refusal().map(|check| check.name), Some("aud"));
    let (outcome, why) = told_by(&verdict, "aud");
    assert_eq!(outcome, Outcome::Failed);
    assert!(why.contains("another service of the same issuer") && why.contains("--audience"), "{why}");
}

#[test]
fn what_is_no_signed_token_is_told_by_what_it_is() {
    for (token, words) in [
        ("", "it is empty"),
        ("2YotnFZFEjr1zCsicMWpAA", "opaque token"),
        ("a.b.c.d.e", "encrypted token (JWE)"),
        ("a.b", "2 parts between dots"),
        ("{\"payload\":\"\"}", "this is JSON"),
        ("e30=.e30.AA", "the header is not base64url (RFC 7515 section 2): it is padded"),
        ("e30.e3/0.AA", "the payload is not base64url (RFC 7515 section 2): / is of the standard alphabet"),
        ("e30.e30.A\nA", "the signature is not base64url (RFC 7515 section 2): it has white space"),
        ("e30.e30.A", "its length is impossible"),
        ("e30.e30.AB", "bits that say nothing"),
        ("e30.e30.\u{202e}", "\"\\u{202e}\" does not belong there"),
    ] {
        let (outcome, why) = told(token, "form");
        assert_eq!(outcome, Outcome::Failed, "{token}");
        assert!(why.contains(words), "{token}: {why}");
    }
}

#[test]
fn who_signed_after_all_is_named() {
    let mut other = rfc_key();
    other["kid"] = json!("other");
    let verdict = judged(RFC_7515_ES256_JWS, &set(&json!([other, rfc_key()])), &expected());
    assert!(told_by(&verdict, "kid").1.starts_with("there is none, and 2 keys of the set are for ES256"));
    assert_eq!(told_by(&verdict, "signature").0, Outcome::Skipped);
    assert!(told_by(&verdict, "signature").1.contains("it is that of the key with kid \"other\" as ES256"));

    let (message, signature) = RFC_7515_ES256_JWS.rsplit_once('.').unwrap();
    let signature = from_base64url(signature).unwrap();
    let (r, s) = signature.split_at(32);
    let der = [&[0x30, 68, 2, 32], r, &[2, 32], s].concat();
    let (outcome, why) = told(&format!("{message}.{}", base64url(&der)), "signature");
    assert_eq!(outcome, Outcome::Failed);
    assert!(why.contains("DER form") && why.contains("32 octets each"), "{why}");
    assert!(
        told(&format!("{message}.{}", base64url(r)), "signature").1.contains("it has 32 octets, and ES256 needs 64")
    );
    assert!(told(&format!("{message}."), "signature").1.contains("not signed"));
}

#[test]
fn keys_that_no_verifier_uses_are_skipped_with_a_word() {
    let mut private = rfc_key();
    private["d"] = json!("AAAA");
    let set = set(&json!([{"kty": "oct", "k": "AAAA"}, {"kid": "x"}, {"kty": "AKP", "kid": "pq"}, private, rfc_key()]));
    let (outcome, why) = told_by(&judged(RFC_7515_ES256_JWS, &set, &expected()), "set");
    assert_eq!(outcome, Outcome::Advice);
    assert!(why.starts_with("it has 1 key to use; skipped: keys[0] (no kid) is a shared secret"), "{why}");
    for words in ["keys[1] (kid \"x\") has no kty", "of kty \"AKP\"", "has the private member \"d\""] {
        assert!(why.contains(words), "{why}");
    }
    for (document, words) in [
        ("", "the set is not JSON"),
        ("<html>", "the set is not JSON"),
        ("[]", "the set must be a JSON object"),
        ("{\"keys\":{}}", "no array \"keys\""),
        ("{\"keys\":[1]}", "keys[0] of the set is a number"),
        ("{\"keys\":[],\"keys\":[]}", "\"keys\" twice"),
    ] {
        let why = ServedSet::parse(document.as_bytes()).unwrap_err();
        assert!(why.contains(words), "{document}: {why}");
    }
}

#[test]
fn an_id_token_and_an_access_token_are_told_apart() {
    let look = |header: Value, claims: Value, purpose| {
        let mut whole = json!({"alg": "ES256"});
        whole.as_object_mut().unwrap().extend(header.as_object().unwrap().clone());
        let expected = Expectations { purpose, ..expected() };
        told_by(&judged(&unsigned(&whole, &claims), &set(&json!([rfc_key()])), &expected), "purpose")
    };
    let (api, login) = (Purpose::Api, Purpose::Login);
    for (header, claims, purpose, outcome, words) in [
        (json!({}), json!({"nonce": "n"}), api, Outcome::Advice, "an ID token (nonce)"),
        (json!({}), json!({"at_hash": "h", "auth_time": 1}), api, Outcome::Advice, "an ID token (at_hash, auth_time)"),
        (json!({}), json!({"aud": "web", "azp": "web"}), api, Outcome::Advice, "an ID token (aud is the client)"),
        (json!({}), json!({"aud": ["web"], "client_id": "web"}), api, Outcome::Advice, "aud is the client"),
        (json!({}), json!({"nonce": "n"}), login, Outcome::Passed, "an ID token (nonce)"),
        (json!({"typ": "at+jwt"}), json!({}), login, Outcome::Advice, "an access token (typ at+jwt)"),
        (json!({"typ": "Application/AT+JWT"}), json!({"nonce": "n"}), login, Outcome::Advice, "typ at+jwt"),
        (json!({}), json!({"scope": "read", "client_id": "web"}), login, Outcome::Advice, "(scope, client_id)"),
        (
            json!({"typ": "at+jwt"}),
            json!({"scope": "read"}),
            api,
            Outcome::Passed,
            "an access token (typ at+jwt, scope)",
        ),
        (json!({}), json!({"sub": "alice"}), api, Outcome::Passed, "nothing tells"),
        (json!({}), json!({"sub": "alice"}), login, Outcome::Passed, "nothing tells"),
    ] {
        let (found, why) = look(header.clone(), claims.clone(), purpose);
        assert!(found == outcome && why.contains(words), "{header} {claims} {purpose:?}: {found:?} {why}");
    }
}

#[test]
fn nothing_of_a_token_moves_the_cursor() {
    let evil = "\u{1b}[2J\u{9b}31m\r\n\u{202e}\u{0}";
    let header = json!({"alg": evil, "kid": evil, "typ": evil, "crit": [evil]});
    let claims = json!({"iss": [evil], "aud": {evil: evil}, "exp": evil, "nbf": evil, "iat": evil});
    let set = set(&json!([{"kty": evil, "kid": evil}, {"kty": "EC", "crv": evil, "kid": evil}]));
    for header in [header, json!({"alg": "ES256", "kid": evil}), json!({"alg": "ES256"})] {
        let verdict = judged(&unsigned(&header, &claims), &set, &expected());
        let text = table(&verdict);
        let moves = |c: &char| c.is_control() && *c != '\n' || matches!(c, '\u{202a}'..='\u{202e}');
        assert_eq!(text.chars().find(moves), None, "{text:?}");
        assert_eq!(text.lines().count(), verdict.checks.len(), "{text:?}");
    }
    let long = "x".repeat(5000);
    assert!(told(&unsigned(&json!({"alg": "ES256", "kid": long}), &json!({})), "kid").1.len() < 600);
}

#[test]
fn times_of_any_size_are_told() {
    for exp in ["1e300", "-1e300", "253402207200", "1e18", "9007199254740993", "18446744073709551615", "-0.0", "1.5"] {
        let claims: Value = serde_json::from_str(&format!("{{\"exp\":{exp},\"nbf\":{exp},\"iat\":{exp}}}")).unwrap();
        let verdict = judged(&unsigned(&json!({"alg": "ES256"}), &claims), &set(&json!([rfc_key()])), &expected());
        let fails = exp.starts_with('-') || exp == "1.5";
        assert_eq!(told_by(&verdict, "exp").0 == Outcome::Failed, fails, "{exp}");
        assert_eq!(told_by(&verdict, "nbf").0 == Outcome::Failed, !fails, "{exp}");
    }
}

fn is_valid_but_for_its_claims(token: &str) -> bool {
    let verdict = judged(token, &set(&json!([rfc_key()])), &expected());
    ["size", "form", "header", "crit", "alg", "kid", "signature", "payload"].iter().all(|name| {
        verdict
            .checks
            .iter()
            .any(|check| check.name == *name && !matches!(check.outcome, Outcome::Failed | Outcome::Skipped))
    })
}

proptest! {
    #[test]
    fn a_token_with_one_character_changed_is_never_valid(at in any::<prop::sample::Index>(), to in "[ -~]") {
        let at = at.index(RFC_7515_ES256_JWS.len());
        let mut token = RFC_7515_ES256_JWS.to_owned();
        token.replace_range(at..=at, &to);
        prop_assert_eq!(is_valid_but_for_its_claims(&token), token == RFC_7515_ES256_JWS);
    }

    #[test]
    fn no_token_and_no_set_breaks_the_judge(
        token in "(\\PC{0,40}|[A-Za-z0-9_-]{0,30}\\.[A-Za-z0-9_-]{0,30}\\.[A-Za-z0-9_-]{0,30})",
        header in "\\{(\"(alg|kid|typ|crit|b64)\":(\"(ES256|a3)\"|1|null|\\[\"b64\"\\]|\\{\\}),?){0,4}\\}",
        document in "(\\PC{0,40}|\\{\"keys\":\\[(\\{\"kty\":\"(EC|RSA|OKP|x)\",\"(n|x|alg|use)\":(\"\\PC{0,6}\"|1)\\},?){0,3}\\]\\})",
    ) {
        let key = set(&json!([rfc_key()]));
        let _ = judged(&token, &key, &expected());
        let header = base64url(header.as_bytes());
        let made = format!("{header}.{}", token.split_once('.').map_or("e30.AA", |(_, rest)| rest));
        prop_assert!(!judged(&made, &key, &expected()).is_valid());
        if let Ok(set) = ServedSet::parse(document.as_bytes()) {
            prop_assert!(!judged(RFC_7515_ES256_JWS, &set, &expected()).is_valid());
        }
    }
}
