//! What must hold whatever octets come: the bodies of the fuzz targets.
//!
//! `fuzz_targets` gives them to cargo-fuzz, and `tests/fuzz.rs` of the operator runs them on the stable toolchain with
//! the same seeds. Each returns if all is well and panics if not: nothing else may panic. A failure that was found is
//! kept as one more file in `seeds`.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use keyset_operator::api::Duration;
use keyset_operator::jose::{Algorithm, Digest, JwkSet, KeyId, PublicJwk};
use keyset_operator::key_material::{KeyPair, SecretData};
use keyset_operator::plugin::verify::{Expectations, ServedSet, verify};
use serde_json::Value;

/// The content of a Key Secret: private.pem, private.jwk, kid and alg, with a zero octet between them.
pub fn secret_content(data: &[u8]) {
    let entries: Vec<&[u8]> = data.split(|octet| *octet == 0).collect();
    let names = ["private.pem", "private.jwk", "kid", "alg"];
    let read = secret(names.into_iter().zip(entries.iter().copied()));
    assert!(!leaks(&format!("{read:?}"), data), "Debug of the entries");
    match KeyPair::from_secret_data(&read) {
        Ok(pair) => {
            let again = stored(&pair);
            assert_eq!(again.key_secret_data(), pair.key_secret_data());
        }
        Err(error) => {
            let private = entries[..entries.len().min(2)].join(&0);
            assert!(!leaks(&format!("{error} {error:?}"), &private), "{error:?}");
        }
    }
}

/// A private key that a user brings: as it is, and as the DER inside of PEM.
pub fn import(data: &[u8]) {
    import_all(data);
    if data.first() == Some(&DER_SEQUENCE) {
        for label in ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"] {
            let body = STANDARD.encode(data);
            import_all(format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n").as_bytes());
        }
    }
}

/// One public JWK.
pub fn public_jwk(data: &[u8]) {
    let members = serde_json::from_slice::<BTreeMap<String, String>>(data).unwrap_or_default();
    let _ = PublicJwk::from_members(&members);
    match serde_json::from_slice::<PublicJwk>(data) {
        Ok(key) => {
            print_and_read(&key);
            assert_eq!(PublicJwk::from_members(&members).as_ref(), Ok(&key));
            let _ = key.check_point();
        }
        Err(error) => quotes_nothing_private(&error.to_string(), data),
    }
}

/// A set that is put together: the keys are the lines that are public JWKs.
pub fn jwk_set(data: &[u8]) {
    let lines = data.split(|octet| *octet == b'\n');
    let mut keys: Vec<PublicJwk> = lines.filter_map(|line| serde_json::from_slice(line).ok()).collect();
    let set = JwkSet::new(keys.clone());
    keys.reverse();
    match (set, JwkSet::new(keys.clone())) {
        (Ok(set), Ok(reversed)) => {
            assert_eq!(set.to_json(), reversed.to_json());
            assert_eq!(set.len(), keys.len());
            assert!(keys.iter().all(|key| set.contains(key.kid())));
            read_document(set.to_json().as_bytes(), &set);
        }
        (set, reversed) => assert!(set.is_err() && reversed.is_err(), "the order of the keys decides"),
    }
}

/// The document of a JWKS ConfigMap.
pub fn config_map_document(data: &[u8]) {
    match JwkSet::parse(data) {
        Ok(set) => {
            set.keys().iter().for_each(print_and_read);
            read_document(set.to_json().as_bytes(), &set);
        }
        Err(error) => quotes_nothing_private(&error.to_string(), data),
    }
}

/// A token and the set that it is held against: a line each for header, payload and the text of the signature, and the
/// rest is the set.
pub fn token(data: &[u8]) {
    let parts: Vec<&[u8]> = data.splitn(4, |octet| *octet == b'\n').collect();
    let [header, payload, signature, set] = parts[..] else { return };
    let Ok(set) = ServedSet::parse(set) else { return };
    let encoded = [header, payload].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
    let expected = Expectations { audiences: vec!["orders".to_owned()], ..Expectations::default() };
    let judged = |token: &str| {
        let verdict = verify(token, &set, &expected, Timestamp::from_second(1_800_000_000).unwrap());
        let names: BTreeSet<&str> = verdict.checks.iter().map(|check| check.name).collect();
        assert_eq!(names.len(), verdict.checks.len(), "a check is told twice");
        let told: String = verdict.checks.iter().map(|check| check.explanation.as_str()).collect();
        let is_obeyed = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        assert!(!told.contains(is_obeyed), "{told:?}");
        verdict.is_valid()
    };
    let signature = String::from_utf8_lossy(signature);
    let _ = judged(&String::from_utf8_lossy(header));
    if judged(&format!("{encoded}.{signature}")) {
        let header: Value = serde_json::from_slice(header).unwrap();
        assert!(header["alg"].as_str().unwrap().parse::<Algorithm>().is_ok(), "{header}");
        let claims: Value = serde_json::from_slice(payload).unwrap();
        assert!(claims["aud"].to_string().contains("\"orders\""), "{claims}");
        let other = [payload, b" "].concat();
        let other = format!("{}.{}", encoded.split_once('.').unwrap().0, URL_SAFE_NO_PAD.encode(other));
        assert!(!judged(&format!("{other}.{signature}")), "the signature is not of this payload");
    }
}

/// A duration of a spec.
pub fn duration(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(duration) = text.parse::<Duration>() else { return };
    assert_eq!(duration.as_str(), text);
    assert!(!duration.length().is_negative());
    let json = serde_json::to_string(&duration).unwrap();
    assert_eq!(serde_json::from_str::<Duration>(&json).unwrap(), duration);
    assert!((2..=16).contains(&text.len()) && text.bytes().all(|octet| b"0123456789hms".contains(&octet)), "{text}");
}

fn import_all(content: &[u8]) {
    let data = secret([(ENTRY, content)]);
    let own = KeyId::try_from("a-kid-of-its-own").unwrap();
    let mut told = BTreeSet::new();
    for algorithm in Algorithm::ALL {
        match KeyPair::import(&data, ENTRY, algorithm, None) {
            Ok(pair) => {
                assert_eq!(pair.algorithm(), algorithm);
                assert_eq!(pair.public_jwk().check_point(), Ok(()));
                stored(&pair).self_test().unwrap();
                let kept = pair.key_secret_data().unwrap();
                for entry in ["private.pem", "private.jwk"] {
                    let again = KeyPair::import(&kept, entry, algorithm, Some(pair.kid())).unwrap();
                    assert_eq!(again.key_secret_data().unwrap(), kept, "{entry}");
                }
                let named = KeyPair::import(&data, ENTRY, algorithm, Some(&own)).unwrap();
                assert_eq!((named.kid(), named.public_jwk().key()), (&own, pair.public_jwk().key()));
            }
            Err(error) => drop(told.insert(format!("{error} {error:?}"))),
        }
    }
    for told in told {
        assert!(!leaks(&told, content), "{told}");
    }
}

/// The key as it is read back from its Secret, after a look at what is public of it.
fn stored(pair: &KeyPair) -> KeyPair {
    print_and_read(pair.public_jwk());
    let data = pair.signer_secret_data(&[]).unwrap();
    let json = serde_json::to_string(&data).unwrap();
    let data: SecretData = serde_json::from_str(&json).unwrap();
    let again = KeyPair::from_secret_data(&data).unwrap();
    assert_eq!(again.public_jwk(), pair.public_jwk());

    let entries: BTreeMap<String, String> = serde_json::from_str(&json).unwrap();
    let jwk = STANDARD.decode(&entries["private.jwk"]).unwrap();
    let jwk: BTreeMap<String, String> = serde_json::from_slice(&jwk).unwrap();
    let public = format!("{} {pair:?} {data:?}", pair.public_jwk().to_json());
    for (name, value) in jwk.iter().filter(|(name, _)| PRIVATE.contains(&name.as_str())) {
        // A number of few digits may be anywhere.
        assert!(value.len() < 8 || !public.contains(value), "{name}");
    }
    again
}

fn print_and_read(key: &PublicJwk) {
    let json = key.to_json();
    assert_eq!(&serde_json::from_str::<PublicJwk>(&json).unwrap(), key);
    assert_eq!(serde_json::to_string(key).unwrap(), json);
    let members: BTreeMap<String, String> = serde_json::from_str(&json).unwrap();
    assert!(members.keys().all(|name| PUBLIC.contains(&name.as_str())), "{json}");
}

fn read_document(document: &[u8], set: &JwkSet) {
    let again = JwkSet::parse(document).unwrap();
    assert_eq!(&again, set);
    assert_eq!(Digest::of(again.to_json()), Digest::of(document));
}

/// Values of private members stay out of a message, unless the document has them in public too.
fn quotes_nothing_private(message: &str, document: &[u8]) {
    let Ok(document) = serde_json::from_slice::<Value>(document) else { return };
    let (mut private, mut public) = (Vec::new(), Vec::new());
    collect(&document, false, &mut private, &mut public);
    for value in private {
        let in_public = public.iter().any(|text| text.contains(value));
        assert!(in_public || value.len() < 8 || !message.contains(value), "{message}");
    }
}

fn collect<'a>(value: &'a Value, is_private: bool, private: &mut Vec<&'a str>, public: &mut Vec<&'a str>) {
    match value {
        Value::String(text) if is_private => private.push(text),
        Value::String(text) => public.push(text),
        Value::Array(values) => values.iter().for_each(|value| collect(value, is_private, private, public)),
        Value::Object(members) => members.iter().for_each(|(name, value)| {
            public.push(name);
            collect(value, is_private || PRIVATE.contains(&name.as_str()), private, public);
        }),
        _ => {}
    }
}

/// Whether eight octets of base64 in a row are in both, and are no words of ours.
fn leaks(told: &str, private: &[u8]) -> bool {
    let is_base64 = |run: &&[u8]| run.iter().all(|octet| octet.is_ascii_alphanumeric() || b"+/-_".contains(octet));
    let runs: BTreeSet<&[u8]> = told.as_bytes().windows(8).filter(is_base64).collect();
    let is_ours = |run: &[u8]| WORDS.iter().any(|text| text.as_bytes().windows(8).any(|word| word == run));
    private.windows(8).any(|run| runs.contains(run) && !is_ours(run))
}

fn secret<'a>(entries: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> SecretData {
    let entries: BTreeMap<&str, String> =
        entries.into_iter().map(|(name, octets)| (name, STANDARD.encode(octets))).collect();
    serde_json::from_value(serde_json::to_value(entries).unwrap()).unwrap()
}

const ENTRY: &str = "tls.key";
const DER_SEQUENCE: u8 = 0x30;
const PUBLIC: [&str; 9] = ["alg", "crv", "e", "kid", "kty", "n", "use", "x", "y"];
/// RFC 7518 sections 6.2.2, 6.3.2 and 6.4.1, RFC 9964.
const PRIVATE: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];
/// Where the words of the messages come from.
const WORDS: [&str; 7] = [
    include_str!("../../src/api/names.rs"),
    include_str!("../../src/jose/jwk.rs"),
    include_str!("../../src/key_material/error.rs"),
    include_str!("../../src/key_material/import/der.rs"),
    include_str!("../../src/key_material/import/jwk.rs"),
    include_str!("../../src/key_material/import/pem.rs"),
    include_str!("../../src/key_material/import/refusal.rs"),
];
