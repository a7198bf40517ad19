//! Tokens as they should be, and as they come: what each is refused for, for one algorithm.

mod forms;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{EncodingKey, crypto};
use keyset_operator::{
    jose::{Algorithm, Family},
    key_material::KeyPair,
};
use serde_json::{Value, json};

use crate::{Issuer, signatures, signer_entries};

pub(crate) const NOW: i64 = 1_800_000_000;
pub(crate) const TOLERANCE: i64 = 30;
/// Without a dot, so that a payload may stand in a token as it is.
pub(crate) const ISSUER: &str = "https://localhost/issuer";
pub(crate) const AUDIENCE: &str = "orders";

/// A token, and what becomes of it.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) token: String,
    pub(crate) set: Value,
    /// The allow-list.
    pub(crate) algorithms: Vec<&'static str>,
    /// The first check that fails; `None` if it is valid.
    pub(crate) refused_for: Option<&'static str>,
    /// Why jose rightly takes it all the same.
    pub(crate) differs: Option<&'static str>,
}

/// The tokens of an issuer. `stranger` has a key of the algorithm that is not in the set.
pub(crate) fn table(issuer: &Issuer, stranger: &KeyPair) -> Vec<Case> {
    let set = serde_json::from_str(&issuer.document()).unwrap();
    let [key, other] = &issuer.keys;
    let mut table = Table { key, other, stranger, set, cases: Vec::new() };
    table.sound();
    table.algorithms();
    table.kids();
    table.keys();
    table.extensions();
    table.forms();
    table.documents();
    table.times();
    table.names();
    table.signatures();
    table.cases
}

struct Table<'a> {
    key: &'a KeyPair,
    other: &'a KeyPair,
    stranger: &'a KeyPair,
    set: Value,
    cases: Vec<Case>,
}

impl Table<'_> {
    fn sound(&mut self) {
        self.claims("as it should be", None, |_| ());
        let (header, payload) = (self.header().to_string(), sound_claims().to_string());
        let header_of_other = header.replace(self.key.kid().as_str(), self.other.kid().as_str());
        self.case("by the other key", None, compact(self.other, &header_of_other, &payload));
        self.headed("typ JWT", None, |header| header["typ"] = json!("JWT"));
        self.headed("typ at+jwt", None, |header| header["typ"] = json!("at+jwt"));
        self.headed("typ of another kind", None, |header| header["typ"] = json!("secevent+jwt"));
        self.headed("typ a number", None, |header| header["typ"] = json!(1));
        let jwk = json!(self.stranger.public_jwk());
        self.headed("a key in the header", None, |header| header["jwk"] = jwk.clone());
        self.headed("a URL in the header", None, |header| header["jku"] = json!("https://evil.example/jwks"));
        let spaced = serde_json::to_string_pretty(&sound_claims()).unwrap();
        self.case("white space in the JSON", None, self.signed(&format!(" {header}\n"), &spaced));
        let escaped = header.replace("\"alg\"", "\"\\u0061lg\"");
        self.case("an escape in the header", None, self.signed(&escaped, &payload));
        self.claims("claims of other scripts", None, |claims| claims["name"] = json!("Žofie 🔑"));
        self.claims("9 KiB", None, |claims| claims["groups"] = json!("g".repeat(9 << 10)));
        self.claims("70 KiB", Some("size"), |claims| claims["groups"] = json!("g".repeat(70 << 10)));
        self.differs("no server takes a header of that size; jose leaves the bound to the server");
    }

    fn algorithms(&mut self) {
        let payload = sound_claims().to_string();
        let genuine = self.genuine();
        let signature = genuine.rsplit_once('.').unwrap().1.to_owned();
        for (name, alg) in [("none", "none"), ("None", "None"), ("NONE", "NONE"), ("nOnE", "nOnE")] {
            let header = self.with_header(|header| header["alg"] = json!(alg));
            let message = format!("{}.{}", encoded(&header), encoded(&payload));
            self.case(name, Some("alg"), format!("{message}."));
            self.case("none with a signature", Some("alg"), format!("{message}.{signature}"));
        }
        let public = signer_entries(self.key);
        let secrets = [
            ("HMAC with the PEM", public["public.pem"].clone()),
            ("HMAC with the PEM, trimmed", public["public.pem"].trim_ascii().to_vec()),
            ("HMAC with the JWK", self.key.public_jwk().to_json().into_bytes()),
            ("HMAC with the set", self.set.to_string().into_bytes()),
            ("HMAC with nothing", Vec::new()),
        ];
        for (name, secret) in secrets {
            use jsonwebtoken::Algorithm::{HS256, HS384, HS512};
            for (alg, hs) in [("HS256", HS256), ("HS384", HS384), ("HS512", HS512)] {
                let header = self.with_header(|header| header["alg"] = json!(alg));
                let message = format!("{}.{}", encoded(&header), encoded(&payload));
                let mac = crypto::sign(message.as_bytes(), &EncodingKey::from_secret(&secret), hs).unwrap();
                self.case(name, Some("alg"), format!("{message}.{mac}"));
            }
        }
        self.headed("no alg", Some("alg"), |header| drop(header.as_object_mut().unwrap().remove("alg")));
        let wrong = [
            ("alg a number", json!(256)),
            ("alg null", Value::Null),
            ("alg empty", json!("")),
            ("alg in a list", json!([self.alg()])),
            ("alg in small letters", json!(self.alg().to_lowercase() + "x")),
            ("alg with a space", json!(format!("{} ", self.alg()))),
            ("alg of another curve", json!("ES256K")),
            ("alg of encryption", json!("RSA-OAEP")),
        ];
        for (name, alg) in wrong {
            self.headed(name, Some("alg"), |header| header["alg"] = alg);
        }
        for another in Algorithm::ALL.into_iter().filter(|it| *it != self.key.algorithm()) {
            self.headed("alg not allowed", Some("alg"), |header| header["alg"] = json!(another));
            // Allowed, but the key is for another one.
            self.headed("alg not of the key", Some("key"), |header| header["alg"] = json!(another));
            self.cases.last_mut().unwrap().algorithms.push(another.name());
        }
    }

    fn kids(&mut self) {
        self.headed("unknown kid", Some("kid"), |header| header["kid"] = json!("unknown"));
        let kid = self.key.kid().as_str().to_owned();
        for (name, kid) in [
            ("kid empty", json!("")),
            ("kid a number", json!(1)),
            ("kid null", Value::Null),
            ("kid in a list", json!([kid])),
            ("kid with a space", json!(format!("{kid} "))),
            ("kid cut off", json!(kid[..20])),
            ("kid with its letters exchanged", json!(exchanged(&kid))),
            ("kid that is a path", json!("../../../../dev/null")),
        ] {
            self.headed(name, Some("kid"), |header| header["kid"] = kid);
        }
        let other = self.other.kid().clone();
        self.headed("kid of the other key", Some("signature"), |header| header["kid"] = json!(other));
        self.headed("no kid, two keys", Some("kid"), |header| drop(header.as_object_mut().unwrap().remove("kid")));
        self.headed("no kid, one key", None, |header| drop(header.as_object_mut().unwrap().remove("kid")));
        self.set_of(&json!([self.key.public_jwk()]));
        self.headed("no kid, no key", Some("kid"), |header| drop(header.as_object_mut().unwrap().remove("kid")));
        self.set_of(&json!([]));
        let twin = json!(self.stranger.public_jwk().clone().with_key_id(self.key.kid().clone()));
        self.claims("kid of two keys", Some("kid"), |_| ());
        self.set_of(&json!([self.key.public_jwk(), twin]));
        self.claims("kid of a stranger's key", Some("signature"), |_| ());
        self.set_of(&json!([twin]));
    }

    fn keys(&mut self) {
        let own = json!(self.key.public_jwk());
        let with = |member: &str, value: Value| {
            let mut key = own.clone();
            key[member] = value;
            json!([key])
        };
        let without = |member: &str| {
            let mut key = own.clone();
            key.as_object_mut().unwrap().remove(member);
            json!([key])
        };
        let (unknown, elsewhere) = (json!({"kty": "PQ", "kid": "p"}), json!({"kty": "EC", "kid": "e", "crv": "P-999"}));
        let another = if own["alg"] == "RS256" { "ES256" } else { "RS256" };
        let kty = if own["kty"] == "RSA" { "EC" } else { "RSA" };
        let sets = [
            ("key without alg", None, without("alg")),
            ("key without use", None, without("use")),
            ("key that may verify", None, with("key_ops", json!(["verify"]))),
            ("key with more members", None, with("x5t", json!("abc"))),
            ("keys of unknown types beside it", None, json!([unknown, elsewhere, own])),
            ("key for another alg", Some("key"), with("alg", json!(another))),
            ("key for encryption", Some("key"), with("use", json!("enc"))),
            ("key for an odd use", Some("key"), with("use", Value::Null)),
            ("key that may sign", Some("key"), with("key_ops", json!(["sign"]))),
            ("key that may nothing", Some("key"), with("key_ops", json!([]))),
            ("key of another type", Some("key"), with("kty", json!(kty))),
            ("key of an unknown type", Some("kid"), with("kty", json!("PQ"))),
            ("key that is a shared secret", Some("kid"), with("kty", json!("oct"))),
            ("private key in the set", Some("kid"), with("d", json!("AAAA"))),
            ("key without its members", Some("key"), without(if kty == "EC" { "n" } else { "x" })),
            ("no keys at all", Some("set"), Value::Null),
            ("keys that are no objects", Some("set"), json!([own, "key"])),
        ];
        for (name, refused_for, keys) in sets {
            self.claims(name, refused_for, |_| ());
            self.set_of(&keys);
        }
        if self.key.algorithm().family() == Family::Ec {
            let (x, y) = (own["y"].clone(), own["x"].clone());
            let mut key = own;
            (key["x"], key["y"]) = (x, y);
            self.claims("key that is no point of its curve", Some("key"), |_| ());
            self.set_of(&json!([key]));
        }
    }

    fn times(&mut self) {
        for (name, refused_for, claim, value) in [
            ("expired", Some("exp"), "exp", json!(NOW - 3600)),
            ("expired long ago", Some("exp"), "exp", json!(-1)),
            ("expired within the tolerance", None, "exp", json!(NOW - TOLERANCE + 1)),
            ("expired at the tolerance", Some("exp"), "exp", json!(NOW - TOLERANCE)),
            ("exp of half a second", None, "exp", json!(1_800_000_000.5)),
            ("exp in a million years", None, "exp", json!(1e15)),
            ("exp zero", Some("exp"), "exp", json!(0)),
            ("exp a string", Some("exp"), "exp", json!((NOW + 300).to_string())),
            ("exp null", Some("exp"), "exp", Value::Null),
            ("exp true", Some("exp"), "exp", json!(true)),
            ("exp in a list", Some("exp"), "exp", json!([NOW + 300])),
            ("exp a date", Some("exp"), "exp", json!("2099-01-01T00:00:00Z")),
            ("not yet", Some("nbf"), "nbf", json!(NOW + 3600)),
            ("not yet, within the tolerance", None, "nbf", json!(NOW + TOLERANCE)),
            ("not yet, just beyond the tolerance", Some("nbf"), "nbf", json!(NOW + TOLERANCE + 1)),
            ("since before 1970", None, "nbf", json!(-1)),
            ("nbf a string", Some("nbf"), "nbf", json!("0")),
            ("nbf null", Some("nbf"), "nbf", Value::Null),
            ("issued in the future", None, "iat", json!(NOW + 3600)),
            ("iat a string", Some("iat"), "iat", json!("0")),
            ("iat null", Some("iat"), "iat", Value::Null),
        ] {
            self.claims(name, refused_for, |claims| claims[claim] = value);
        }
        self.claims("no iat", None, |claims| drop(claims.as_object_mut().unwrap().remove("iat")));
        self.claims("no exp", Some("exp"), |claims| drop(claims.as_object_mut().unwrap().remove("exp")));
        self.differs("RFC 7519 leaves exp to the profile, and jose to requiredClaims; keys here end, so tokens must");
    }

    fn names(&mut self) {
        for (name, refused_for, claim, value) in [
            ("iss of another", Some("iss"), "iss", json!("https://localhost/other")),
            ("iss with a slash", Some("iss"), "iss", json!(format!("{ISSUER}/"))),
            ("iss in capitals", Some("iss"), "iss", json!(ISSUER.to_uppercase())),
            ("iss in a list", Some("iss"), "iss", json!([ISSUER])),
            ("iss null", Some("iss"), "iss", Value::Null),
            ("aud in a list", None, "aud", json!([AUDIENCE])),
            ("aud among others", None, "aud", json!(["billing", AUDIENCE])),
            ("aud among odd things", None, "aud", json!([1, null, AUDIENCE])),
            ("aud of another", Some("aud"), "aud", json!("billing")),
            ("aud of others", Some("aud"), "aud", json!(["billing", "stock"])),
            ("aud of nobody", Some("aud"), "aud", json!([])),
            ("aud empty", Some("aud"), "aud", json!("")),
            ("aud with more", Some("aud"), "aud", json!(format!("{AUDIENCE}-admin"))),
            ("aud in capitals", Some("aud"), "aud", json!(AUDIENCE.to_uppercase())),
            ("aud in a text", Some("aud"), "aud", json!(format!("billing {AUDIENCE}"))),
            ("aud a number", Some("aud"), "aud", json!(1)),
            ("aud null", Some("aud"), "aud", Value::Null),
            ("aud an object", Some("aud"), "aud", json!({AUDIENCE: true})),
            ("aud in a list of lists", Some("aud"), "aud", json!([[AUDIENCE]])),
        ] {
            self.claims(name, refused_for, |claims| claims[claim] = value);
        }
        self.claims("no iss", Some("iss"), |claims| drop(claims.as_object_mut().unwrap().remove("iss")));
        self.claims("no aud", Some("aud"), |claims| drop(claims.as_object_mut().unwrap().remove("aud")));
        self.claims("all claims null", Some("exp"), |claims| {
            claims.as_object_mut().unwrap().values_mut().for_each(|value| *value = Value::Null);
        });
    }

    fn signatures(&mut self) {
        let (header, payload) = (self.header().to_string(), sound_claims().to_string());
        let message = format!("{}.{}", encoded(&header), encoded(&payload));
        for (name, signature) in signatures::wrong(self.key, &message) {
            self.case(name, Some("signature"), format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)));
        }
        for (name, signature) in signatures::odd_and_right(self.key, &message) {
            self.case(name, None, format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)));
        }
        self.case("by a stranger", Some("signature"), compact(self.stranger, &header, &payload));
        let jwk = json!(self.stranger.public_jwk());
        let header = self.with_header(|header| header["jwk"] = jwk);
        self.case("by a stranger who brings the key", Some("signature"), compact(self.stranger, &header, &payload));
        let token = self.genuine();
        let (message, signature) = token.rsplit_once('.').unwrap();
        let forged = payload.replace("alice", "admin");
        let message = format!("{}.{}", message.split_once('.').unwrap().0, encoded(&forged));
        self.case("claims changed", Some("signature"), format!("{message}.{signature}"));
    }

    fn case(&mut self, name: &'static str, refused_for: Option<&'static str>, token: String) {
        let (set, algorithms) = (self.set.clone(), vec![self.alg()]);
        self.cases.push(Case { name, token, set, algorithms, refused_for, differs: None });
    }

    fn headed(&mut self, name: &'static str, refused_for: Option<&'static str>, change: impl FnOnce(&mut Value)) {
        let header = self.with_header(change);
        self.case(name, refused_for, self.signed(&header, &sound_claims().to_string()));
    }

    fn claims(&mut self, name: &'static str, refused_for: Option<&'static str>, change: impl FnOnce(&mut Value)) {
        let mut claims = sound_claims();
        change(&mut claims);
        self.case(name, refused_for, self.signed(&self.header().to_string(), &claims.to_string()));
    }

    /// Of the last case.
    fn differs(&mut self, why: &'static str) {
        self.cases.last_mut().unwrap().differs = Some(why);
    }

    /// Of the last case.
    fn set_of(&mut self, keys: &Value) {
        self.cases.last_mut().unwrap().set = json!({ "keys": *keys });
    }

    fn alg(&self) -> &'static str {
        self.key.algorithm().name()
    }

    fn header(&self) -> Value {
        json!({"alg": self.alg(), "kid": self.key.kid()})
    }

    fn with_header(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut header = self.header();
        change(&mut header);
        header.to_string()
    }

    fn genuine(&self) -> String {
        self.signed(&self.header().to_string(), &sound_claims().to_string())
    }

    fn signed(&self, header: &str, payload: &str) -> String {
        compact(self.key, header, payload)
    }

    /// Signed until the signature has a character of its own alphabet, which then is one of the other.
    fn in_the_standard_alphabet(&self) -> String {
        let tokens = (0..).map(|number| {
            let mut claims = sound_claims();
            claims["jti"] = json!(number);
            self.signed(&self.header().to_string(), &claims.to_string())
        });
        let parts = tokens
            .map(|token| token.rsplit_once('.').map(|(message, it)| (message.to_owned(), it.to_owned())).unwrap());
        let (message, signature) = parts.into_iter().find(|(_, signature)| signature.contains(['-', '_'])).unwrap();
        format!("{message}.{}", signature.replace('-', "+").replace('_', "/"))
    }
}

fn sound_claims() -> Value {
    json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "iat": NOW - 10, "exp": NOW + 300})
}

fn compact(key: &KeyPair, header: &str, payload: &str) -> String {
    compact_octets(key, header.as_bytes(), payload.as_bytes())
}

fn compact_octets(key: &KeyPair, header: &[u8], payload: &[u8]) -> String {
    let message = format!("{}.{}", BASE64_URL_SAFE_NO_PAD.encode(header), BASE64_URL_SAFE_NO_PAD.encode(payload));
    let signature = key.sign(message.as_bytes()).unwrap();
    format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

fn encoded(text: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(text)
}

/// Small letters for capitals, and capitals for small letters.
fn exchanged(text: &str) -> String {
    let other = |c: char| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
    text.chars().map(other).collect()
}
