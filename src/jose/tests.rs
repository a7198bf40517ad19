use proptest::prelude::*;
use serde_json::{Value, json};

use super::vectors::*;
use super::*;

fn octets(text: &str) -> Vec<u8> {
    from_base64url(text).unwrap()
}

fn kid(text: &str) -> KeyId {
    KeyId::try_from(text).unwrap()
}

/// A published P-256 key with one member set, or taken away.
fn with(member: &str, value: Value) -> String {
    let mut key = json!({"kty": "EC", "kid": "k1", "use": "sig", "alg": "ES256", "crv": "P-256", "x": RFC_9449_X, "y": RFC_9449_Y});
    key.as_object_mut().unwrap().insert(member.to_owned(), value);
    key.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    key.to_string()
}

fn refusal(key: &str) -> String {
    JwkSet::parse(format!(r#"{{"keys":[{RFC_7517_RSA},{key}]}}"#).as_bytes()).unwrap_err().to_string()
}

#[test]
fn thumbprints_are_those_of_the_rfcs() {
    let rsa: PublicJwk = serde_json::from_str(RFC_7517_RSA).unwrap();
    assert_eq!(rsa.thumbprint().as_str(), RFC_7638_THUMBPRINT);
    let ec = PublicJwk::ec(Algorithm::ES256, &octets(RFC_9449_X), &octets(RFC_9449_Y)).unwrap();
    assert_eq!(ec.thumbprint().as_str(), RFC_9449_THUMBPRINT);
    for algorithm in [Algorithm::EdDSA, Algorithm::Ed25519] {
        let okp = PublicJwk::okp(algorithm, &octets(RFC_8037_X)).unwrap();
        assert_eq!(okp.thumbprint().as_str(), RFC_8037_THUMBPRINT);
    }
}

#[test]
fn the_kid_is_the_thumbprint_unless_it_is_given() {
    let key = PublicJwk::okp(Algorithm::EdDSA, &octets(RFC_8037_X)).unwrap();
    assert_eq!(key.kid().as_str(), RFC_8037_THUMBPRINT);
    let imported = key.with_key_id(kid("mine"));
    assert_eq!(imported.kid().as_str(), "mine");
    assert_eq!(imported.thumbprint().as_str(), RFC_8037_THUMBPRINT);
}

#[test]
fn keys_of_the_rfcs_are_read() {
    let rsa: PublicJwk = serde_json::from_str(RFC_7520_RSA).unwrap();
    assert_eq!((rsa.kid().as_str(), rsa.algorithm()), ("bilbo.baggins@hobbiton.example", Algorithm::RS256));
    let ec: PublicJwk = serde_json::from_str(RFC_7520_EC).unwrap();
    assert!(matches!(ec.key(), PublicKey::Ec { x, y } if x.len() == 66 && y.len() == 66));
    assert_eq!(refusal(RFC_7517_EC), r#"keys[1] (kid "1"): member "alg" is missing"#);
}

#[test]
fn the_document_is_canonical() {
    let ec = PublicJwk::ec(Algorithm::ES256, &octets(RFC_9449_X), &octets(RFC_9449_Y)).unwrap();
    let okp = PublicJwk::okp(Algorithm::EdDSA, &octets(RFC_8037_X)).unwrap().with_key_id(kid(r#"a"b\c"#));
    let set = JwkSet::new(vec![okp.clone(), ec.clone()]).unwrap();
    let expected = format!(
        r#"{{"keys":[{{"alg":"ES256","crv":"P-256","kid":"{RFC_9449_THUMBPRINT}","kty":"EC","use":"sig","x":"{RFC_9449_X}","y":"{RFC_9449_Y}"}},{{"alg":"EdDSA","crv":"Ed25519","kid":"a\"b\\c","kty":"OKP","use":"sig","x":"{RFC_8037_X}"}}]}}"#
    );
    assert_eq!(set.to_json(), expected);
    assert_eq!(set, JwkSet::new(vec![ec, okp.clone()]).unwrap());
    assert_eq!(serde_json::to_string(&okp).unwrap(), okp.to_json());
    assert_eq!(JwkSet::new(Vec::new()).unwrap().to_json(), r#"{"keys":[]}"#);
}

#[test]
fn a_key_that_we_would_not_publish_is_refused_by_name() {
    let (eleven, long) = (octets(RFC_8037_X)[..11].to_vec(), "k".repeat(257));
    let cases = [
        (with("d", json!("secret")), r#"member "d" is private"#),
        (with("x5c", json!([{"nested": {"priv": "secret"}}])), r#"member "priv" is private"#),
        (with("x5c", json!([])), r#"member "x5c" does not belong"#),
        (with("n", json!("AQAB")), r#"member "n" does not belong"#),
        (with("use", json!("enc")), r#"member "use" must be "sig""#),
        (with("use", json!(1)), r#"member "use" must be a string"#),
        (with("kty", json!("oct")), r#"kty "oct" is a shared secret"#),
        (with("kty", json!("RSA")), r#"member "kty" must be "EC" for a key with alg ES256"#),
        (with("kty", Value::Null), r#"member "kty" is missing"#),
        (with("crv", json!("P-384")), r#"member "crv" must be "P-256" for a key with alg ES256"#),
        (with("alg", json!("HS256")), r#"member "alg" must be one of RS256, "#),
        (with("x", json!(base64url(&eleven))), r#"member "x" must be 32 octets for a key with alg ES256"#),
        (with("y", json!(format!("{RFC_9449_Y}="))), r#"member "y" must be base64url without padding"#),
        (with("y", json!(RFC_9449_Y.replace('A', "+"))), r#"member "y" must be base64url without padding"#),
        // The last character of 32 octets has two bits to spare; they must be zero.
        (with("y", json!(format!("{}B", &RFC_9449_Y[..42]))), r#"member "y" must be base64url without padding"#),
        (with("kid", json!("")), r#"member "kid" must be 1 to 256 visible ASCII"#),
        (with("kid", json!("a b")), r#"member "kid" must be 1 to 256 visible ASCII"#),
        (with("kid", json!(long)), r#"member "kid" must be 1 to 256 visible ASCII"#),
        (RFC_7520_RSA.replace("n4EP", "AAAA"), r#"member "n" must be an odd number"#),
        (RFC_7520_RSA.replace("P5zw", "P5zg"), r#"member "n" must be an odd number"#),
        (RFC_7520_RSA.replace("AQAB", "AQ"), r#"member "e" must be an odd number"#),
        (RFC_7520_RSA.replace("AQAB", "AAEAAQ"), r#"member "e" must be an odd number"#),
        (RFC_7520_RSA.replace("RS256", "ES256"), r#"member "kty" must be "EC" for a key with alg ES256"#),
        (with("k2", json!(0)).replace("k2", "kid"), r#"member "kid" appears twice"#),
        ("[]".to_owned(), "keys[1]: a key must be a JSON object"),
    ];
    for (key, expected) in cases {
        let message = refusal(&key);
        assert!(message.starts_with("keys[1]"), "{message}");
        assert!(message.contains(expected), "{message:?} lacks {expected:?}");
        assert!(!message.contains("secret\""), "{message}");
    }
    assert!(refusal(&with("d", json!(""))).starts_with(r#"keys[1] (kid "k1"): "#));
    assert!(serde_json::from_str::<PublicJwk>(&with("d", json!(""))).is_err());
}

#[test]
fn a_document_that_is_not_a_set_is_refused() {
    let key = with("kid", json!("k1"));
    let cases = [
        (String::new(), "not JSON"),
        (r#"{"keys":[]} {}"#.to_owned(), "not JSON: trailing characters"),
        (r#"{"keys":[]"#.to_owned(), "not JSON"),
        ("[]".to_owned(), "an object with one member"),
        ("{}".to_owned(), "an object with one member"),
        (r#"{"keys":{}}"#.to_owned(), "an object with one member"),
        (r#"{"keys":[],"keys":[]}"#.to_owned(), r#"member "keys" does not belong"#),
        (r#"{"keys":[],"d":""}"#.to_owned(), r#"member "d" does not belong"#),
        (format!(r#"{{"keys":[{key},{key}]}}"#), r#"two keys have the kid "k1""#),
        (format!(r#"{{"keys":[{key},{}]}}"#, with("kid", json!("k2"))), r#""k1" and "k2" are the same key"#),
    ];
    for (document, expected) in cases {
        let message = JwkSet::parse(document.as_bytes()).unwrap_err().to_string();
        assert!(message.contains(expected), "{message:?} lacks {expected:?}");
    }
}

#[test]
fn one_key_under_two_algorithms_is_one_key() {
    let one: PublicJwk = serde_json::from_str(RFC_7520_RSA).unwrap();
    let other: PublicJwk = serde_json::from_str(&RFC_7520_RSA.replace("RS256", "PS256")).unwrap();
    let error = JwkSet::new(vec![one, other.with_key_id(kid("other"))]).unwrap_err();
    assert!(matches!(error, JwkSetError::DuplicateKey(..)), "{error}");
}

#[test]
fn a_set_has_at_most_64_keys() {
    let key = |byte| PublicJwk::okp(Algorithm::EdDSA, &[byte; 32]).unwrap();
    assert_eq!(JwkSet::new((0..64).map(key).collect()).unwrap().len(), 64);
    assert_eq!(JwkSet::new((0..65).map(key).collect()), Err(JwkSetError::TooManyKeys(65)));
}

#[test]
fn constructors_check_lengths_and_types() {
    assert!(PublicJwk::rsa(Algorithm::RS256, &[0x81; 256], &[1, 0, 1]).is_ok());
    assert!(PublicJwk::rsa(Algorithm::RS256, &[0x81; 1024], &[1, 0, 1]).is_ok());
    assert!(PublicJwk::rsa(Algorithm::RS256, &[0x81; 1025], &[1, 0, 1]).is_err());
    assert!(PublicJwk::rsa(Algorithm::RS256, &[0x7f; 256], &[1, 0, 1]).is_err(), "2047 bits");
    assert!(PublicJwk::rsa(Algorithm::RS256, &[0x81; 255], &[1, 0, 1]).is_err());
    assert!(PublicJwk::rsa(Algorithm::RS256, &[], &[]).is_err());
    assert!(PublicJwk::rsa(Algorithm::RS256, &[0x81; 256], &[1]).is_err());
    assert!(PublicJwk::rsa(Algorithm::ES256, &[0x81; 256], &[1, 0, 1]).is_err());
    assert!(PublicJwk::ec(Algorithm::ES384, &[1; 48], &[1; 47]).is_err());
    assert!(PublicJwk::ec(Algorithm::EdDSA, &[1; 32], &[1; 32]).is_err());
    assert!(PublicJwk::okp(Algorithm::ES256, &[1; 32]).is_err());
    assert!(PublicJwk::okp(Algorithm::Ed25519, &[1; 33]).is_err());
}

#[test]
fn a_point_must_be_one_of_its_curve() {
    let ec = PublicJwk::ec(Algorithm::ES256, &octets(RFC_9449_X), &octets(RFC_9449_Y)).unwrap();
    let okp = PublicJwk::okp(Algorithm::EdDSA, &octets(RFC_8037_X)).unwrap();
    let (p521, rsa) = (serde_json::from_str(RFC_7520_EC).unwrap(), serde_json::from_str(RFC_7520_RSA).unwrap());
    for key in [ec, okp, p521, rsa] {
        assert_eq!(key.check_point(), Ok(()), "{key:?}");
    }
    for (algorithm, curve) in [(Algorithm::ES256, "P-256"), (Algorithm::ES384, "P-384"), (Algorithm::ES512, "P-521")] {
        for octet in [0, 1, 0xff] {
            let coordinate = vec![octet; algorithm.curve().unwrap().octets];
            let error = PublicJwk::ec(algorithm, &coordinate, &coordinate).unwrap().check_point().unwrap_err();
            let expected = format!(r#"member "x" must be that of a point on {curve}, with its "y""#);
            assert_eq!(error.to_string(), expected);
        }
    }
    // No point has y = 2; y = 1 is the neutral element, under which anybody can sign.
    for y in [2, 1] {
        let mut x = [0; 32];
        x[0] = y;
        let error = PublicJwk::okp(Algorithm::Ed25519, &x).unwrap().check_point().unwrap_err();
        assert_eq!(error.to_string(), r#"member "x" must be a point on Ed25519, and not one of small order"#);
    }
}

#[test]
fn signatures_of_the_rfcs_verify() {
    let read = |key: &str| serde_json::from_str::<PublicJwk>(key).unwrap();
    let okp = |algorithm| PublicJwk::okp(algorithm, &octets(RFC_8037_X)).unwrap();
    let ps384 = read(&RFC_7520_RSA.replace("RS256", "PS384"));
    let signed = [
        (read(RFC_7515_RSA), RFC_7515_RS256_JWS),
        (read(RFC_7515_P256), RFC_7515_ES256_JWS),
        (read(RFC_7515_P521), RFC_7515_ES512_JWS),
        (read(RFC_7520_RSA), RFC_7520_RS256_JWS),
        (ps384.clone(), RFC_7520_PS384_JWS),
        (read(RFC_7520_EC), RFC_7520_ES512_JWS),
        (okp(Algorithm::EdDSA), RFC_8037_JWS),
        (okp(Algorithm::Ed25519), RFC_8037_JWS),
    ];
    for (key, jws) in &signed {
        let (message, signature) = jws.rsplit_once('.').unwrap();
        let signature = octets(signature);
        assert!(key.verifies(message.as_bytes(), &signature), "{key:?}");
        assert!(!key.verifies(message.to_lowercase().as_bytes(), &signature), "another message");
        for at in [0, signature.len() / 2, signature.len() - 1] {
            let mut damaged = signature.clone();
            damaged[at] ^= 1;
            assert!(!key.verifies(message.as_bytes(), &damaged), "{key:?}, octet {at}");
        }
        for wrong in [&[][..], &signature[1..], &[&signature[..], &[0]].concat(), &vec![0; signature.len()]] {
            assert!(!key.verifies(message.as_bytes(), wrong), "{key:?}");
        }
    }
    let (message, signature) = RFC_7520_RS256_JWS.rsplit_once('.').unwrap();
    assert!(!ps384.verifies(message.as_bytes(), &octets(signature)), "another algorithm");
}

#[test]
fn names_of_algorithms_are_those_of_the_registry() {
    for algorithm in Algorithm::ALL {
        assert_eq!(algorithm.name().parse(), Ok(algorithm));
        assert_eq!(serde_json::to_value(algorithm).unwrap(), algorithm.to_string());
        assert_eq!(algorithm.is_rsa(), algorithm.curve().is_none());
    }
    assert!("none".parse::<Algorithm>().is_err());
    assert!("rs256".parse::<Algorithm>().is_err());
}

#[test]
fn a_digest_is_sha256_in_lowercase_hexadecimal() {
    let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(Digest::of("").as_str(), empty);
    assert_eq!(empty.parse(), Ok(Digest::of([])));
    for text in ["", "sha256:", &empty[..70], &format!("{empty}0"), &empty.to_uppercase(), &empty.replace("e3", "E3")] {
        assert_eq!(text.parse::<Digest>(), Err(DigestError), "{text}");
        assert!(serde_json::from_value::<Digest>(json!(text)).is_err());
    }
}

fn any_key() -> impl Strategy<Value = PublicJwk> {
    let algorithm = prop::sample::select(Algorithm::ALL.to_vec());
    let kid = prop::option::of("[!-~]{1,256}");
    (algorithm, kid, prop::collection::vec(any::<u8>(), 512)).prop_map(|(algorithm, own, mut octets)| {
        octets[0] |= 0x80;
        octets[255] |= 1;
        let length = algorithm.curve().map_or(256, |curve| curve.octets);
        let key = match algorithm.family() {
            Family::Rsa => PublicJwk::rsa(algorithm, &octets[..length], &[1, 0, 1]),
            Family::Ec => PublicJwk::ec(algorithm, &octets[..length], &octets[256..256 + length]),
            Family::Okp => PublicJwk::okp(algorithm, &octets[..length]),
        };
        let key = key.unwrap();
        own.map_or(key.clone(), |own| key.with_key_id(own.try_into().unwrap()))
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(keys in prop::collection::vec(any_key(), 0..8)) {
        let set = JwkSet::new(keys.clone()).unwrap();
        let document = set.to_json();
        prop_assert_eq!(&JwkSet::parse(document.as_bytes()).unwrap(), &set);
        prop_assert_eq!(JwkSet::new(keys.iter().rev().cloned().collect()).unwrap().to_json(), document);
        for key in &keys {
            prop_assert!(set.contains(key.kid()));
            // By way of a value, as an object of the API server comes.
            let value = serde_json::to_value(key).unwrap();
            prop_assert_eq!(&serde_json::from_value::<PublicJwk>(value).unwrap(), key);
        }
    }

    #[test]
    fn a_private_member_is_found_wherever_it_is(
        key in any_key(),
        name in prop::sample::select(vec!["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"]),
        depth in 0..4_usize,
    ) {
        let mut value = json!({name: "secret"});
        for _ in 0..depth {
            value = json!([{"deeper": value}]);
        }
        let mut document = serde_json::to_value(&key).unwrap();
        document.as_object_mut().unwrap().insert("other".to_owned(), value);
        let error = JwkSet::parse(json!({"keys": [document]}).to_string().as_bytes()).unwrap_err();
        let expected = JwkError::PrivateMember(name.to_owned());
        let found = matches!(&error, JwkSetError::Key { index: 0, reason, .. } if *reason == expected);
        prop_assert!(found, "{}", error);
    }

    #[test]
    fn no_document_breaks_the_reader(key in any_key(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let set = JwkSet::new(vec![key]).unwrap();
        let mut document = set.to_json().into_bytes();
        let at = at.index(document.len());
        document[at] = byte;
        if let Ok(read) = JwkSet::parse(&document) {
            prop_assert_eq!(JwkSet::parse(read.to_json().as_bytes()), Ok(read));
        }
    }
}
