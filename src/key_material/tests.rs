use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use base64::Engine as _;
use getrandom::SysRng;
use getrandom::rand_core::{TryCryptoRng, TryRng};
use p521::pkcs8::{EncodePrivateKey as _, LineEnding};
use serde_json::Value;
use zeroize::Zeroizing;

use super::*;
use crate::api::names::secret;
use crate::api::{FileFormat, SignerFile};
use crate::jose::vectors::*;
use crate::jose::{Algorithm, Family, KeyId, PublicJwk, base64url, from_base64url};

fn pair(algorithm: Algorithm) -> KeyPair {
    KeyPair::generate(algorithm, None, &mut SysRng).unwrap()
}

fn text(data: &SecretData, name: &'static str) -> String {
    data.text(name).unwrap().to_owned()
}

fn private_jwk(pair: &KeyPair) -> Value {
    serde_json::from_slice(pair.key_secret_data().unwrap().entry(secret::PRIVATE_JWK).unwrap()).unwrap()
}

/// The entries of a key that somebody else made, under its thumbprint.
fn data_of(algorithm: Algorithm, pem: &str) -> SecretData {
    let private = private_key::from_pem(algorithm, pem).unwrap();
    let public = private.public_jwk(algorithm).unwrap();
    KeyPair { private, public }.key_secret_data().unwrap()
}

#[test]
fn every_algorithm_survives_the_way_through_a_secret() {
    for algorithm in Algorithm::ALL {
        let pair = pair(algorithm);
        assert_eq!((pair.algorithm(), pair.kid()), (algorithm, pair.public_jwk().thumbprint()));
        for data in [pair.key_secret_data().unwrap(), pair.signer_secret_data(&[]).unwrap()] {
            let json = serde_json::to_string(&data).unwrap();
            let read: SecretData = serde_json::from_str(&json).unwrap();
            assert_eq!(read, data);
            assert_eq!(read.key_id().as_ref(), Some(pair.kid()));
            let again = KeyPair::from_secret_data(&read).unwrap();
            assert_eq!(again.public_jwk(), pair.public_jwk());
            again.self_test().unwrap();
        }
    }
}

#[test]
fn the_public_half_is_the_same_pem_from_either_side() {
    for algorithm in Algorithm::ALL {
        let pair = pair(algorithm);
        let data = pair.signer_secret_data(&[]).unwrap();
        assert_eq!(pair.public_jwk().to_pem().unwrap(), text(&data, secret::PUBLIC_PEM), "{algorithm}");
    }
}

#[test]
fn a_file_is_read_as_one_entry_and_only_if_it_can_be_a_key() {
    let path = std::env::temp_dir().join(format!("keyset-read-{}", std::process::id()));
    std::fs::write(&path, "a key").unwrap();
    let data = SecretData::read("key", &path).unwrap();
    assert_eq!((data.names().collect::<Vec<_>>(), text(&data, "key").as_str()), (vec!["key"], "a key"));
    std::fs::write(&path, vec![b'a'; 70_000]).unwrap();
    let large = SecretData::read("key", &path).unwrap_err().to_string();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(large, "it is too large to be one private key");
}

#[test]
fn the_entries_are_those_of_the_contract() {
    let pair = pair(Algorithm::ES256);
    let key = pair.key_secret_data().unwrap();
    assert_eq!(key.names().collect::<Vec<_>>(), ["alg", "kid", "private.jwk", "private.pem"]);
    let signer = pair.signer_secret_data(&[]).unwrap();
    assert_eq!(signer.names().collect::<Vec<_>>(), ["alg", "kid", "private.jwk", "private.pem", "public.pem"]);
    assert_eq!((text(&key, "alg").as_str(), text(&key, "kid").as_str()), ("ES256", pair.kid().as_str()));
    assert!(text(&key, "private.pem").starts_with("-----BEGIN PRIVATE KEY-----\n"));
    assert!(text(&signer, "public.pem").starts_with("-----BEGIN PUBLIC KEY-----\n"));
    assert!(SecretData::default().is_empty() && !key.is_empty());

    let json: Value = serde_json::to_value(&key).unwrap();
    let kid = base64::engine::general_purpose::STANDARD.encode(pair.kid().as_str());
    assert_eq!(json["kid"], kid);
}

#[test]
fn a_signer_secret_has_the_files_asked_for_that_the_key_has_a_form_for() {
    let files = FileFormat::ALL.map(|format| SignerFile { format, name: Some(format!("my-{}", format.name())) });
    let usual = FileFormat::ALL.map(|format| SignerFile { format, name: None });
    for algorithm in Algorithm::ALL {
        let pair = pair(algorithm);
        let least = pair.signer_secret_data(&[]).unwrap();
        let (traditional, label) = match algorithm.family() {
            Family::Rsa => (Some(FileFormat::Pkcs1Pem), "RSA PRIVATE KEY"),
            Family::Ec => (Some(FileFormat::Sec1Pem), "EC PRIVATE KEY"),
            Family::Okp => (None, ""),
        };
        let data = pair.signer_secret_data(&files).unwrap();
        assert!(data.contains(&least) && !least.contains(&data));
        for file in &files {
            let name = file.name();
            if !file.format.is_of(algorithm) {
                assert!(data.entry(name).is_err(), "{algorithm} {name}");
            } else if file.format == FileFormat::PublicPem {
                assert_eq!(data.entry(name).unwrap(), least.entry(secret::PUBLIC_PEM).unwrap());
            } else {
                let read = KeyPair::import(&data, name, algorithm, None).unwrap();
                assert_eq!(read.public_jwk(), pair.public_jwk(), "{name}");
            }
        }
        let data = pair.signer_secret_data(&usual).unwrap();
        let further: Vec<&str> = data.names().filter(|name| least.entry(name).is_err()).collect();
        assert_eq!(further, Vec::from_iter(traditional.map(FileFormat::usual_name)));
        for name in further {
            assert!(data.text(name).unwrap().starts_with(&format!("-----BEGIN {label}-----\n")), "{name}");
        }
    }
}

#[test]
fn a_private_jwk_is_the_public_one_and_its_private_members() {
    for (algorithm, expected) in [
        (Algorithm::PS256, &["d", "dp", "dq", "p", "q", "qi"][..]),
        (Algorithm::ES256, &["d"]),
        (Algorithm::ES384, &["d"]),
        (Algorithm::ES512, &["d"]),
        (Algorithm::Ed25519, &["d"]),
    ] {
        let pair = pair(algorithm);
        let mut jwk = private_jwk(&pair);
        let mut private = Vec::new();
        jwk.as_object_mut().unwrap().retain(|name, value| {
            let public = pair.public_jwk().members().contains_key(name.as_str());
            if !public {
                let octets = from_base64url(value.as_str().unwrap()).unwrap();
                match algorithm.curve() {
                    Some(curve) => assert_eq!(octets.len(), curve.octets),
                    None => assert_ne!(octets[0], 0, "{name} has a leading zero octet"),
                }
                private.push(name.clone());
            }
            public
        });
        assert_eq!(private, expected);
        assert_eq!(serde_json::from_value::<PublicJwk>(jwk).unwrap(), *pair.public_jwk());
    }
}

#[test]
fn short_numbers_keep_their_full_length() {
    // One key in 256 has a coordinate that starts with a zero octet.
    let found = (0..10_000).map(|_| pair(Algorithm::ES256)).find(|pair| {
        let x = &pair.public_jwk().members()["x"];
        from_base64url(x).unwrap()[0] == 0
    });
    let members = found.unwrap().public_jwk().members();
    assert_eq!((members["x"].len(), members["y"].len()), (43, 43));

    let mut d = [0; 66];
    d[65] = 7;
    let seven = p521::SecretKey::from_slice(&d).unwrap().to_pkcs8_pem(LineEnding::LF).unwrap();
    let pair = KeyPair::from_secret_data(&data_of(Algorithm::ES512, &seven)).unwrap();
    assert_eq!(private_jwk(&pair)["d"], base64url(&d));
    pair.self_test().unwrap();
}

#[test]
fn keys_of_the_rfcs_are_encoded_as_there() {
    let d = from_base64url(RFC_7520_EC_D).unwrap();
    let pem = p521::SecretKey::from_slice(&d).unwrap().to_pkcs8_pem(LineEnding::LF).unwrap();
    let pair = KeyPair::from_secret_data(&data_of(Algorithm::ES512, &pem)).unwrap();
    let expected: PublicJwk = serde_json::from_str(RFC_7520_EC).unwrap();
    assert_eq!((pair.public_jwk().key(), &private_jwk(&pair)["d"]), (expected.key(), &RFC_7520_EC_D.into()));

    let seed: [u8; 32] = from_base64url(RFC_8037_D).unwrap().try_into().unwrap();
    // Version 2, with the public half: another tool's.
    let pem = ed25519_dalek::SigningKey::from_bytes(&seed).to_pkcs8_pem(LineEnding::LF).unwrap();
    let pair = KeyPair::from_secret_data(&data_of(Algorithm::EdDSA, &pem)).unwrap();
    assert_eq!(pair.kid().as_str(), RFC_8037_THUMBPRINT);
    assert_eq!(private_jwk(&pair)["d"], RFC_8037_D);
    let (message, signature) = RFC_8037_JWS.rsplit_once('.').unwrap();
    assert_eq!(base64url(&pair.private.sign(Algorithm::EdDSA, message.as_bytes()).unwrap()), signature);
    // Ours is version 1, which is 48 octets: 64 characters.
    let pem = text(&pair.key_secret_data().unwrap(), secret::PRIVATE_PEM);
    assert_eq!(pem.lines().nth(1).unwrap().len(), 64);
    assert_eq!(pem.lines().count(), 3);
}

#[test]
fn another_library_signs_with_the_pem_and_verifies_with_the_jwk() {
    use jsonwebtoken::{Algorithm as Theirs, DecodingKey, EncodingKey, crypto};
    for (algorithm, theirs) in [
        (Algorithm::RS256, Theirs::RS256),
        (Algorithm::RS512, Theirs::RS512),
        (Algorithm::PS256, Theirs::PS256),
        (Algorithm::PS384, Theirs::PS384),
        (Algorithm::ES256, Theirs::ES256),
        (Algorithm::ES384, Theirs::ES384),
        (Algorithm::EdDSA, Theirs::EdDSA),
    ] {
        let pair = pair(algorithm);
        let pem = text(&pair.signer_secret_data(&[]).unwrap(), secret::PRIVATE_PEM);
        let encoding = match pair.algorithm().curve() {
            None => EncodingKey::from_rsa_pem(pem.as_bytes()),
            Some(curve) if curve.name == "Ed25519" => EncodingKey::from_ed_pem(pem.as_bytes()),
            Some(_) => EncodingKey::from_ec_pem(pem.as_bytes()),
        };
        let jwk = serde_json::from_str(&pair.public_jwk().to_json()).unwrap();
        let decoding = DecodingKey::from_jwk(&jwk).unwrap();

        let signed = crypto::sign(b"message", &encoding.unwrap(), theirs).unwrap();
        assert!(pair.public_jwk().verifies(b"message", &from_base64url(&signed).unwrap()), "{algorithm}");
        let signed = base64url(&pair.sign(b"message").unwrap());
        assert!(crypto::verify(&signed, b"message", &decoding, theirs).unwrap(), "{algorithm}");
        assert!(!crypto::verify(&signed, b"another", &decoding, theirs).unwrap(), "{algorithm}");
    }
}

#[test]
fn an_entry_that_disagrees_is_named() {
    let (mine, other) = (pair(Algorithm::ES256), pair(Algorithm::ES256));
    let other_data = other.key_secret_data().unwrap();
    let cases: [(&str, Option<Vec<u8>>, &str); 12] = [
        ("alg", None, r#"entry "alg" of the Secret is missing"#),
        ("kid", None, r#"entry "kid" of the Secret is missing"#),
        ("private.pem", None, r#"entry "private.pem" of the Secret is missing"#),
        ("private.jwk", None, r#"entry "private.jwk" of the Secret is missing"#),
        ("alg", Some(b"HS256".into()), r#"entry "alg" of the Secret is not an algorithm"#),
        ("alg", Some(b"ES384".into()), r#"entry "private.pem" of the Secret is not a PKCS#8 PEM of a key for ES384"#),
        ("kid", Some(b"".into()), r#"entry "kid" of the Secret is not a kid"#),
        ("kid", Some(other.kid().as_str().into()), r#"entry "kid" of the Secret is not the kid of the key"#),
        ("private.pem", Some(vec![0xff]), r#"entry "private.pem" of the Secret is not UTF-8 text"#),
        ("private.pem", Some(b"-----BEGIN".into()), r#"entry "private.pem" of the Secret is not a PKCS#8 PEM"#),
        ("private.jwk", Some(b"{}".into()), r#"entry "private.jwk" of the Secret is not the key of private.pem"#),
        (
            "private.jwk",
            Some(other_data.entry(secret::PRIVATE_JWK).unwrap().to_vec()),
            r#"entry "private.jwk" of the Secret is not the key of private.pem"#,
        ),
    ];
    for (name, value, expected) in cases {
        let mut data = mine.key_secret_data().unwrap();
        match value {
            Some(value) => data.insert(name, Zeroizing::new(value)),
            None => data.remove(name),
        }
        let error = KeyPair::from_secret_data(&data).unwrap_err();
        assert!(error.to_string().starts_with(expected), "{error}");
        assert!(error.reason().starts_with("SecretEntry"), "{}", error.reason());
    }
}

#[test]
fn a_key_may_keep_a_kid_of_its_own() {
    let pair = pair(Algorithm::EdDSA);
    let own = KeyId::try_from(r#"my "old" key"#.replace(' ', "-")).unwrap();
    let imported = KeyPair { public: pair.public.with_key_id(own.clone()), private: pair.private };
    let again = KeyPair::from_secret_data(&imported.key_secret_data().unwrap()).unwrap();
    assert_eq!(again.kid(), &own);
    assert_eq!(private_jwk(&again)["kid"], own.as_str());
}

#[test]
fn a_public_half_of_another_key_fails_the_self_test() {
    for algorithm in Algorithm::ALL {
        let mixed = KeyPair { private: pair(algorithm).private, public: pair(algorithm).public };
        let error = mixed.self_test().unwrap_err();
        assert_eq!(error, KeyError::SelfTestFailed { algorithm, step: "verifying" });
    }
}

#[test]
fn debug_and_errors_show_nothing_private() {
    let pair = pair(Algorithm::RS256);
    let data = pair.signer_secret_data(&[]).unwrap();
    assert_eq!(format!("{pair:?}"), format!("KeyPair {{ kid: \"{}\", alg: RS256, .. }}", pair.kid()));
    assert_eq!(format!("{data:?}"), r#"{"alg", "kid", "private.jwk", "private.pem", "public.pem"}"#);
    let wrong = serde_json::from_str::<SecretData>(r#"{"private.pem": "LS0tLS1-secret"}"#).unwrap_err();
    assert!(!wrong.to_string().contains("secret"), "{wrong}");
}

#[test]
fn rsa_keys_have_the_size_asked_for() {
    let pair = KeyPair::generate(Algorithm::RS256, Some(3072), &mut SysRng).unwrap();
    assert_eq!(from_base64url(&pair.public_jwk().members()["n"]).unwrap().len(), 384);
    for bits in [0, -1, 1024, 2047, 8192] {
        let error = KeyPair::generate(Algorithm::RS256, Some(bits), &mut SysRng).unwrap_err();
        assert_eq!(error, KeyError::RsaKeyBits(bits));
    }
}

/// Fails after some answers; each of two primes needs one at least.
struct Exhausted(usize);

impl TryRng for Exhausted {
    type Error = getrandom::Error;

    fn try_next_u32(&mut self) -> Result<u32, getrandom::Error> {
        self.0 = self.0.checked_sub(1).ok_or(getrandom::Error::UNSUPPORTED)?;
        SysRng.try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, getrandom::Error> {
        self.0 = self.0.checked_sub(1).ok_or(getrandom::Error::UNSUPPORTED)?;
        SysRng.try_next_u64()
    }

    fn try_fill_bytes(&mut self, octets: &mut [u8]) -> Result<(), getrandom::Error> {
        self.0 = self.0.checked_sub(1).ok_or(getrandom::Error::UNSUPPORTED)?;
        SysRng.try_fill_bytes(octets)
    }
}

impl TryCryptoRng for Exhausted {}

#[test]
fn no_randomness_is_an_error_and_no_key() {
    for algorithm in Algorithm::ALL {
        let error = KeyPair::generate(algorithm, None, &mut Exhausted(0)).unwrap_err();
        assert_eq!(error, KeyError::RandomnessUnavailable, "{algorithm}");
    }
    let error = KeyPair::generate(Algorithm::RS256, None, &mut Exhausted(1)).unwrap_err();
    assert_eq!(error, KeyError::RandomnessUnavailable);
}

#[tokio::test]
async fn the_generator_makes_a_bounded_number_of_keys_at_once() {
    let generator = Generator::new(NonZeroUsize::MIN);
    let busy = generator.clone().permits.acquire_owned().await.unwrap();
    let mut waiting = tokio::spawn({
        let generator = generator.clone();
        async move { generator.generate(Algorithm::ES256, None).await }
    });
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut waiting).await.is_err(), "more than one at once");
    drop(busy);
    assert_eq!(waiting.await.unwrap().unwrap().algorithm(), Algorithm::ES256);
    assert_eq!(generator.permits.available_permits(), 1);
}

#[tokio::test]
async fn a_key_that_nobody_waits_for_still_counts() {
    let generator = Generator::new(NonZeroUsize::MIN);
    let mut abandoned = Box::pin(generator.generate(Algorithm::RS256, None));
    // The first poll starts the thread.
    assert!(futures::poll!(abandoned.as_mut()).is_pending());
    drop(abandoned);
    assert_eq!(generator.permits.available_permits(), 0, "the thread is still at work");
    generator.generate(Algorithm::ES256, None).await.unwrap();
}

/// `cargo test --lib -- --ignored --nocapture key_material::tests::speed`
#[test]
#[ignore = "prints a measurement"]
fn speed() {
    let p50 = |name: &str, runs: usize, work: &mut dyn FnMut()| {
        let mut times: Vec<Duration> = (0..runs)
            .map(|_| {
                let start = Instant::now();
                work();
                start.elapsed()
            })
            .collect();
        times.sort();
        println!("{name}: p50 {:?}, worst of {runs} {:?}", times[runs / 2], times[runs - 1]);
    };
    p50("rsa crate alone, 2048", 40, &mut || drop(rsa_crate_alone(2048)));
    for (algorithm, bits, runs) in [
        (Algorithm::RS256, Some(2048), 40),
        (Algorithm::RS256, Some(3072), 10),
        (Algorithm::RS256, Some(4096), 5),
        (Algorithm::ES256, None, 200),
        (Algorithm::ES384, None, 50),
        (Algorithm::ES512, None, 50),
        (Algorithm::EdDSA, None, 200),
    ] {
        let name = format!("{algorithm} {bits:?}, generated and self-tested");
        p50(&name, runs, &mut || drop(KeyPair::generate(algorithm, bits, &mut SysRng).unwrap()));
    }
    for algorithm in [Algorithm::RS256, Algorithm::ES256] {
        let data = pair(algorithm).key_secret_data().unwrap();
        p50(&format!("{algorithm} read from a Secret"), 50, &mut || drop(KeyPair::from_secret_data(&data).unwrap()));
    }
}

fn rsa_crate_alone(bits: usize) -> ::rsa::PrivateKey {
    ::rsa::PrivateKey::new(&mut SysRng, bits).unwrap()
}
