//! The keys are throw-away ones, made with OpenSSL for these tests, and those of the RFCs.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::*;
use crate::api::names::secret;
use crate::jose::PublicJwk;
use crate::jose::vectors::*;

macro_rules! seed {
    ($name:literal) => {
        include_str!(concat!("../../../fuzz/seeds/import/", $name))
    };
}

const RSA: [Algorithm; 6] =
    [Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS256, Algorithm::PS384, Algorithm::PS512];
const PSS: [Algorithm; 3] = [Algorithm::PS256, Algorithm::PS384, Algorithm::PS512];
const OKP: [Algorithm; 2] = [Algorithm::EdDSA, Algorithm::Ed25519];
const P256: [Algorithm; 1] = [Algorithm::ES256];
const P384: [Algorithm; 1] = [Algorithm::ES384];
const P521: [Algorithm; 1] = [Algorithm::ES512];

/// Encodings of one key, and its algorithms.
const KEYS: &[(&[Algorithm], &[&str])] = &[
    (&RSA, &[seed!("rsa-pkcs8.pem"), seed!("rsa-pkcs1.pem")]),
    (&RSA, &[seed!("rfc7515-rsa.json"), seed!("rfc7515-rsa-short.json")]),
    (&PSS, &[seed!("rsa-pss.pem")]),
    (&P256, &[seed!("p256-pkcs8.pem"), seed!("p256-sec1.pem"), seed!("p256-sec1-params.pem")]),
    (&P256, &[seed!("rfc7515-ec.json")]),
    (&P384, &[seed!("p384-pkcs8.pem"), seed!("p384-sec1.pem"), seed!("p384-as-people-paste-it.pem")]),
    (&P521, &[seed!("p521-pkcs8.pem"), seed!("p521-sec1.pem"), seed!("p521-sec1-params.pem")]),
    (&P521, &[seed!("rfc7520-ec.json")]),
    (&OKP, &[seed!("ed25519-pkcs8.pem")]),
    (&OKP, &[seed!("rfc8410-v2.pem")]),
    (&OKP, &[seed!("rfc8037-ed25519.json")]),
];

fn secret(content: &[u8]) -> SecretData {
    serde_json::from_value(json!({ENTRY: STANDARD.encode(content)})).unwrap()
}

fn import(content: &str, algorithm: Algorithm) -> Result<KeyPair, KeyError> {
    KeyPair::import(&secret(content.as_bytes()), ENTRY, algorithm, None)
}

/// The message of the refusal, without what all of them have.
fn refusal(content: &str, algorithm: Algorithm) -> String {
    let error = import(content, algorithm).unwrap_err();
    assert_eq!(error.reason(), "KeyNotImportable", "{error}");
    let message = error.to_string();
    message.strip_prefix(r#"the key in entry "tls.key" of the Secret cannot be imported: "#).unwrap().to_owned()
}

/// A JWK of the seeds with some members set, or taken away.
fn with(jwk: &str, mut members: Value) -> String {
    let mut jwk: Value = serde_json::from_str(jwk).unwrap();
    jwk.as_object_mut().unwrap().append(members.as_object_mut().unwrap());
    jwk.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    jwk.to_string()
}

/// The content with the octet at `at` of its DER changed.
fn with_octet(pem: &str, at: usize) -> String {
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let mut der = STANDARD.decode(body).unwrap();
    der[at] ^= 1;
    format!("{}\n{}\n{}", pem.lines().next().unwrap(), STANDARD.encode(der), pem.lines().last().unwrap())
}

#[test]
fn every_encoding_of_every_algorithm_is_read() {
    let own = KeyId::try_from("the-old-key").unwrap();
    for (algorithms, encodings) in KEYS {
        for algorithm in *algorithms {
            let first = import(encodings[0], *algorithm).unwrap();
            for encoding in *encodings {
                let pair = import(encoding, *algorithm).unwrap();
                assert_eq!(pair.public_jwk().key(), first.public_jwk().key(), "{encoding}");
                let named = KeyPair::import(&secret(encoding.as_bytes()), ENTRY, *algorithm, Some(&own)).unwrap();
                assert_eq!(named.kid(), &own);
                for pair in [pair, named] {
                    let again = KeyPair::from_secret_data(&pair.key_secret_data().unwrap()).unwrap();
                    assert_eq!(again.public_jwk(), pair.public_jwk());
                    again.self_test().unwrap();
                }
            }
        }
        for algorithm in Algorithm::ALL.iter().filter(|algorithm| !algorithms.contains(algorithm)) {
            let message = refusal(encodings[0], *algorithm);
            assert!(message.starts_with("it is a key of type "), "{message}");
        }
    }
}

#[test]
fn what_we_store_can_be_imported() {
    for algorithm in Algorithm::ALL {
        let pair = KeyPair::generate(algorithm, None, &mut getrandom::SysRng).unwrap();
        let data = pair.signer_secret_data(&[]).unwrap();
        for entry in [secret::PRIVATE_PEM, secret::PRIVATE_JWK] {
            let imported = KeyPair::import(&data, entry, algorithm, None).unwrap();
            assert_eq!(imported.public_jwk(), pair.public_jwk());
            assert_eq!(imported.key_secret_data().unwrap(), pair.key_secret_data().unwrap());
        }
    }
}

#[test]
fn keys_of_the_rfcs_are_the_public_ones() {
    let rsa: PublicJwk = serde_json::from_str(RFC_7517_RSA).unwrap();
    assert_eq!(import(seed!("rfc7517-rsa.json"), Algorithm::RS256).unwrap().public_jwk(), &rsa);
    let ec: PublicJwk = serde_json::from_str(RFC_7520_EC).unwrap();
    assert_eq!(import(seed!("rfc7520-ec.json"), Algorithm::ES512).unwrap().public_jwk(), &ec);
    let okp = import(seed!("rfc8037-ed25519.json"), Algorithm::EdDSA).unwrap();
    assert_eq!(okp.kid().as_str(), RFC_8037_THUMBPRINT);
    let stored = okp.key_secret_data().unwrap();
    assert!(stored.text(secret::PRIVATE_JWK).unwrap().contains(RFC_8037_D));
}

#[test]
fn the_kid_is_the_given_one_else_that_of_the_jwk_else_the_thumbprint() {
    let jwk = with(seed!("rfc8037-ed25519.json"), json!({"kid": "of-the-jwk"}));
    let given = KeyId::try_from("given").unwrap();
    let kid = |key_id| {
        KeyPair::import(&secret(jwk.as_bytes()), ENTRY, Algorithm::EdDSA, key_id).unwrap().kid().as_str().to_owned()
    };
    assert_eq!(kid(Some(&given)), "given");
    assert_eq!(kid(None), "of-the-jwk");
    assert_eq!(import(seed!("rfc8037-ed25519.json"), Algorithm::EdDSA).unwrap().kid().as_str(), RFC_8037_THUMBPRINT);
    let bad = with(&jwk, json!({"kid": "with a space"}));
    let named = KeyPair::import(&secret(bad.as_bytes()), ENTRY, Algorithm::EdDSA, Some(&given));
    assert_eq!(named.unwrap().kid(), &given, "a kid that is not used need not be one of ours");
    assert_eq!(refusal(&bad, Algorithm::EdDSA), r#"member "kid" must be 1 to 256 visible ASCII characters, no spaces"#);
}

#[test]
fn members_that_allow_signing_are_fine() {
    let jwk = json!({"alg": "EdDSA", "use": "sig", "key_ops": ["verify", "sign"], "ext": true, "x5c": ["ignored"]});
    import(&with(seed!("rfc8037-ed25519.json"), jwk), Algorithm::EdDSA).unwrap();
}

#[test]
fn leading_zero_octets_do_not_count_in_rsa() {
    let jwk: Value = serde_json::from_str(seed!("rfc7515-rsa.json")).unwrap();
    let padded = |name: &str| {
        let octets = crate::jose::from_base64url(jwk[name].as_str().unwrap()).unwrap();
        crate::jose::base64url(&[&[0], &octets[..]].concat())
    };
    let zeros = json!({"n": padded("n"), "e": padded("e"), "d": padded("d"), "p": padded("p"), "qi": padded("qi")});
    let pair = import(&with(seed!("rfc7515-rsa.json"), zeros), Algorithm::RS256).unwrap();
    assert_eq!(pair.public_jwk(), import(seed!("rfc7515-rsa.json"), Algorithm::RS256).unwrap().public_jwk());
}

#[test]
fn what_is_no_private_key_is_refused_by_what_it_is() {
    let (key, other) = (seed!("p256-pkcs8.pem"), seed!("p256-sec1.pem"));
    let certificate = seed!("p256-certificate.pem");
    let unknown = "it is neither PEM nor JSON: bring one private key as PEM or as a JWK (openssl pkey -inform DER -in \
                   FILE makes PEM of DER)";
    let encrypted =
        "it is encrypted, and nobody is here to type a passphrase: decrypt it first (openssl pkey -in FILE)";
    let several = "there are several private keys in it: give each an entry of its own";
    let lines =
        "it is not PEM with BEGIN and END on lines of their own: it may be cut off or changed; export the key again";
    let cases: [(String, &str); 19] = [
        (String::new(), unknown),
        ("a passphrase".to_owned(), unknown),
        ("[]".to_owned(), unknown),
        (key.replace("PRIVATE KEY", "FANCY PRIVATE KEY"), unknown),
        (seed!("p256-sec1-params.pem").split_inclusive('\n').take(3).collect(), unknown),
        (seed!("p256-encrypted-pkcs8.pem").to_owned(), encrypted),
        (seed!("p256-encrypted-sec1.pem").to_owned(), encrypted),
        (
            seed!("ed25519-openssh.pem").to_owned(),
            "it is in OpenSSH's own format: convert it first (ssh-keygen -p -m PKCS8 -f FILE)",
        ),
        (format!("{key}{other}"), several),
        (format!("{key}{certificate}{key}"), several),
        (
            format!("{key}{certificate}"),
            "there is more in it than a private key: leave certificates and public keys out",
        ),
        (certificate.to_owned(), "this is the public half (a certificate): bring the private key that belongs to it"),
        (
            seed!("p256-public.pem").to_owned(),
            "this is the public half (a public key): bring the private key that belongs to it",
        ),
        (key.replace('\n', "\\n"), lines),
        (key.lines().take(3).collect::<Vec<_>>().join("\n"), lines),
        (key.replace("END PRIVATE", "END EC PRIVATE"), lines),
        (key.replacen('M', "!", 1), "it is not the base64 of PEM: it may be cut off or changed; export the key again"),
        (
            key.replace("PRIVATE KEY", "EC PRIVATE KEY"),
            "it is not a SEC 1 private key on a named curve: it may be cut off or changed; export the key again",
        ),
        (
            seed!("p256-explicit.pem").to_owned(),
            "it is not a SEC 1 private key on a named curve: it may be cut off or changed; export the key again",
        ),
    ];
    for (content, expected) in cases {
        assert_eq!(refusal(&content, Algorithm::ES256), expected, "{content}");
    }
    let der = KeyPair::import(&secret(&[0x30, 0x82, 0xff]), ENTRY, Algorithm::ES256, None).unwrap_err();
    assert!(der.to_string().ends_with(unknown), "{der}");
    let missing = KeyPair::import(&secret(b""), "tls.pem", Algorithm::ES256, None).unwrap_err();
    assert_eq!(missing.to_string(), r#"entry "tls.pem" of the Secret is missing"#);
}

#[test]
fn a_key_of_another_type_is_refused_by_both_types() {
    for (content, algorithm, found, needed) in [
        (seed!("secp256k1-pkcs8.pem"), Algorithm::ES256, "secp256k1", "P-256"),
        (seed!("secp256k1-sec1.pem"), Algorithm::ES256, "secp256k1", "P-256"),
        (seed!("p384-sec1.pem"), Algorithm::ES512, "P-384", "P-521"),
        (seed!("ed448-pkcs8.pem"), Algorithm::EdDSA, "Ed448", "Ed25519"),
        (seed!("x25519-pkcs8.pem"), Algorithm::Ed25519, "X25519", "Ed25519"),
        (seed!("rsa-pkcs1.pem"), Algorithm::ES256, "RSA", "P-256"),
        (seed!("rsa-pss.pem"), Algorithm::RS256, "RSA-PSS", "RSA"),
        (seed!("rfc8037-ed25519.json"), Algorithm::ES384, "Ed25519", "P-384"),
        (seed!("p256-pkcs8.pem"), Algorithm::RS512, "P-256", "RSA"),
    ] {
        let expected = format!(
            "it is a key of type {found}, and {algorithm} needs {needed}: name the algorithm that fits the key, or \
             bring another"
        );
        assert_eq!(refusal(content, algorithm), expected);
    }
    let ed448 = with(seed!("rfc8037-ed25519.json"), json!({"crv": "Ed448"}));
    assert!(refusal(&ed448, Algorithm::EdDSA).starts_with("it is a key of type Ed448, "));
}

#[test]
fn a_jwk_that_is_not_for_signing_with_the_algorithm_is_refused_by_its_member() {
    let okp = seed!("rfc8037-ed25519.json");
    let cases = [
        (seed!("jwk-set.json").to_owned(), "it is a JWK Set: bring one private JWK by itself"),
        (
            seed!("symmetric.json").to_owned(),
            r#"kty "oct" is a shared secret and must never be published: use an RSA, EC or OKP key"#,
        ),
        (
            with(okp, json!({"d": null})),
            "this is the public half (a public JWK): bring the private key that belongs to it",
        ),
        (with(okp, json!({"alg": "Ed25519"})), r#"member "alg" must be "EdDSA", or absent"#),
        (with(okp, json!({"alg": 1})), r#"member "alg" must be a string"#),
        (with(okp, json!({"use": "enc"})), r#"member "use" must be "sig", or absent"#),
        (
            with(okp, json!({"key_ops": ["verify"]})),
            r#"member "key_ops" must be an array with "sign" in it, or absent"#,
        ),
        (with(okp, json!({"key_ops": "sign"})), r#"member "key_ops" must be an array with "sign" in it, or absent"#),
        (with(okp, json!({"kty": null})), r#"member "kty" is missing"#),
        (with(okp, json!({"x": null})), r#"member "x" is missing"#),
        (with(okp, json!({"x": "AA=="})), r#"member "x" must be base64url without padding"#),
        (with(okp, json!({"d": "AAAA"})), r#"member "d" must be 32 octets of a private key for EdDSA"#),
        (
            with(okp, json!({"x": RFC_9449_X})),
            r#"member "x" contradicts the other members: bring the key as the tool that made it wrote it"#,
        ),
        (okp.replace(r#""crv""#, r#""x":"","crv""#), r#"member "x" appears twice: keep one"#),
        (okp.replace('}', ""), "it is not JSON: it may be cut off or changed; export the key again"),
    ];
    for (content, expected) in cases {
        assert_eq!(refusal(&content, Algorithm::EdDSA), expected);
    }
    assert_eq!(refusal(seed!("rfc7517-ec.json"), Algorithm::ES256), r#"member "use" must be "sig", or absent"#);
    let zero = with(seed!("rfc7515-ec.json"), json!({"d": "A".repeat(43)}));
    assert_eq!(refusal(&zero, Algorithm::ES256), r#"member "d" must be 32 octets of a private key for ES256"#);
}

#[test]
fn an_rsa_key_that_cannot_be_used_is_refused_by_its_numbers() {
    let rsa = seed!("rfc7515-rsa.json");
    let short = seed!("rfc7515-rsa-short.json");
    let inconsistent = "its numbers do not belong together: bring the key as the tool that made it wrote it";
    let contradicts = |name| {
        format!("member {name:?} contradicts the other members: bring the key as the tool that made it wrote it")
    };
    let no_primes = "its RSA primes are missing and cannot be found from n, e and d: bring the key with p and q";
    let three_primes =
        "it is an RSA key of more than two primes, which verifiers and signers rarely take: bring one of two primes";
    // In PKCS#1, the last octets are those of the coefficient; those in the middle are of d.
    let pkcs1 = seed!("rsa-pkcs1.pem");
    let long = format!("{}AQ", "_".repeat(1366));
    let cases = [
        (seed!("rsa-1024.pem").to_owned(), "it is an RSA key of 1024 bits: bring one of 2048 to 8192 bits".to_owned()),
        (with(rsa, json!({"n": long})), "it is an RSA key of 8208 bits: bring one of 2048 to 8192 bits".to_owned()),
        (with(rsa, json!({"n": ""})), "it is an RSA key of 0 bits: bring one of 2048 to 8192 bits".to_owned()),
        (seed!("rsa-three-primes.pem").to_owned(), three_primes.to_owned()),
        (with(rsa, json!({"oth": []})), three_primes.to_owned()),
        (with(rsa, json!({"q": null})), r#"member "q" is missing"#.to_owned()),
        (with(rsa, json!({"dp": null})), r#"member "dp" is missing"#.to_owned()),
        (with(rsa, json!({"dp": "AQAB"})), contradicts("dp")),
        (with(rsa, json!({"qi": "AQAB"})), contradicts("qi")),
        (with(rsa, json!({"d": "AQAB"})), inconsistent.to_owned()),
        (with(rsa, json!({"d": "AAAA"})), inconsistent.to_owned()),
        (with(rsa, json!({"p": ""})), inconsistent.to_owned()),
        (with(rsa, json!({"p": "AQ", "q": json_member(rsa, "n")})), inconsistent.to_owned()),
        (
            with(rsa, json!({"e": "AQ"})),
            r#"member "e" must be an odd number from 3 to 2^48 without leading zero octets"#.to_owned(),
        ),
        (with(short, json!({"e": "Aw"})), no_primes.to_owned()),
        (with(short, json!({"d": "AQAB"})), no_primes.to_owned()),
        (with(short, json!({"d": "AAAA"})), no_primes.to_owned()),
        (with_octet(pkcs1, 400), inconsistent.to_owned()),
        (with_octet(pkcs1, 1190), contradicts("qi")),
    ];
    for (content, expected) in cases {
        assert_eq!(refusal(&content, Algorithm::RS256), expected, "{content}");
    }
}

#[test]
fn a_private_half_that_is_not_of_the_public_half_is_refused() {
    for (pem, algorithm, at, what) in [
        (seed!("p256-pkcs8.pem"), Algorithm::ES256, 40, "a PKCS#8 private key"),
        (seed!("p256-sec1.pem"), Algorithm::ES256, 10, "a SEC 1 private key"),
        (seed!("rfc8410-v2.pem"), Algorithm::EdDSA, 20, "a PKCS#8 private key"),
    ] {
        let expected = format!("it is not {what}: it may be cut off or changed; export the key again");
        assert_eq!(refusal(&with_octet(pem, at), algorithm), expected);
    }
}

#[test]
fn no_message_holds_a_part_of_the_entry() {
    let contents: Vec<&str> = KEYS.iter().flat_map(|(_, encodings)| encodings.iter().copied()).collect();
    let mut refused = 0;
    for content in contents {
        // What is private is base64; the rest are words of the format.
        let is_base64 = |run: &&[u8]| run.iter().all(|octet| octet.is_ascii_alphanumeric() || b"+/-_".contains(octet));
        let body = content.lines().filter(|line| !line.contains("-----")).collect::<Vec<_>>().join("\n");
        let runs: BTreeSet<&[u8]> = body.as_bytes().windows(8).filter(is_base64).collect();
        for end in (0..content.len()).step_by(97) {
            let broken = [&content[..end], "!", &content[end..]].concat();
            for content in [&content[..end], &broken, &content.replace("kty", "k").replace("\"d\"", "\"alg\"")] {
                for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
                    let Err(error) = import(content, algorithm) else { continue };
                    refused += 1;
                    let told = format!("{error} {error:?}");
                    let leak = told.as_bytes().windows(8).find(|run| runs.contains(run));
                    assert_eq!(leak, None, "{told}");
                }
            }
        }
    }
    assert!(refused > 500, "{refused}");
}

fn json_member(jwk: &str, name: &str) -> Value {
    serde_json::from_str::<Value>(jwk).unwrap()[name].clone()
}

const ENTRY: &str = "tls.key";
