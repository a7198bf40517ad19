//! A private JWK (RFC 7517, RFC 7518 sections 6.2.2 and 6.3.2, RFC 8037 section 2).

use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::refusal::check_type;
use super::{Imported, Refusal, check_members, decode, der};
use crate::jose::{Algorithm, Family, Json, JwkError};
use crate::key_material::private_key::{PrivateKey, PrivateMembers, boxed};
use crate::key_material::{ec, ed25519};

/// The private key that the JSON is.
pub(super) fn read(text: &str, algorithm: Algorithm) -> Result<Imported, Refusal> {
    // The message of the parser might quote.
    let json = serde_json::from_str(text).map_err(|_| Refusal::Malformed("JSON"))?;
    let jwk = Jwk::new(json)?;
    jwk.check_use(algorithm)?;
    let kid = jwk.text("kid")?.map(ToOwned::to_owned);
    let private = match algorithm.family() {
        Family::Rsa => jwk.rsa(algorithm),
        Family::Ec => jwk.on_curve(&["x", "y"], algorithm, |d| ec::from_scalar(algorithm, d)),
        Family::Okp => jwk.on_curve(&["x"], algorithm, |d| boxed(ed25519::from_seed(d).ok_or(()))),
    }?;
    Ok(Imported { private, kid })
}

/// The members as they were written.
struct Jwk(Vec<(String, Json)>);

impl Jwk {
    fn new(json: Json) -> Result<Self, Refusal> {
        let Json::Object(members) = json else { return Err(JwkError::NotAnObject.into()) };
        let is_doubled = |name: &&str| members.iter().filter(|(member, _)| member == name).count() > 1;
        match MEMBERS.into_iter().find(is_doubled) {
            Some(name) => Err(JwkError::DuplicateMember(name.to_owned()).into()),
            None => Ok(Self(members)),
        }
    }

    /// Whether it is a private key for signing with the algorithm.
    fn check_use(&self, algorithm: Algorithm) -> Result<(), Refusal> {
        if self.has("keys") {
            return Err(Refusal::JwkSet);
        }
        let kty = self.required_text("kty")?;
        if kty == "oct" {
            return Err(JwkError::SharedSecret.into());
        }
        check_type(type_of(kty, self.text("crv")?), algorithm)?;
        if self.has("oth") {
            return Err(Refusal::MultiPrime);
        }
        if !self.has("d") {
            return Err(Refusal::PublicHalf("a public JWK"));
        }
        let is_sign = |operation: &Json| matches!(operation, Json::String(text) if **text == "sign");
        let expect = |member, wanted: &str| match self.text(member)? {
            Some(text) if text != wanted => Err(invalid(member, format!("{wanted:?}, or absent"))),
            _ => Ok(()),
        };
        expect("alg", algorithm.name())?;
        expect("use", "sig")?;
        match self.member("key_ops") {
            None => Ok(()),
            Some(Json::Array(operations)) if operations.iter().any(is_sign) => Ok(()),
            Some(_) => Err(invalid("key_ops", "an array with \"sign\" in it, or absent")),
        }
    }

    fn rsa(&self, algorithm: Algorithm) -> Result<Box<dyn PrivateKey>, Refusal> {
        let mut members = self.octets(&["n", "e", "d"])?;
        // RFC 7518 section 6.3.2: a key has all of them or none.
        if ["p", "q", "dp", "dq", "qi"].iter().any(|name| self.has(name)) {
            members.extend(self.octets(&["p", "q", "dp", "dq", "qi"])?);
        }
        der::from_rsa_members(&members, algorithm)
    }

    fn on_curve(
        &self,
        public: &[&'static str],
        algorithm: Algorithm,
        from_private: impl FnOnce(&[u8]) -> Option<Box<dyn PrivateKey>>,
    ) -> Result<Box<dyn PrivateKey>, Refusal> {
        let members = self.octets(&[&["d"], public].concat())?;
        let length = algorithm.curve().map_or(0, |curve| curve.octets);
        let d = members.iter().find(|(name, octets)| *name == "d" && octets.len() == length);
        let key = d.and_then(|(_, octets)| from_private(octets));
        let key = key.ok_or_else(|| invalid("d", format!("{length} octets of a private key for {algorithm}")))?;
        check_members(&*key, algorithm, &members)?;
        Ok(key)
    }

    fn octets(&self, names: &[&'static str]) -> Result<PrivateMembers, Refusal> {
        let octets = |name| {
            let octets = decode(&URL_SAFE_NO_PAD, self.required_text(name)?);
            Ok((name, octets.ok_or_else(|| invalid(name, "base64url without padding"))?))
        };
        names.iter().copied().map(octets).collect()
    }

    fn required_text(&self, name: &'static str) -> Result<&str, Refusal> {
        Ok(self.text(name)?.ok_or(JwkError::MissingMember(name))?)
    }

    fn text(&self, name: &'static str) -> Result<Option<&str>, Refusal> {
        match self.member(name) {
            None => Ok(None),
            Some(Json::String(text)) => Ok(Some(text)),
            Some(_) => Err(invalid(name, "a string")),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.member(name).is_some()
    }

    fn member(&self, name: &str) -> Option<&Json> {
        self.0.iter().find(|(member, _)| member == name).map(|(_, value)| value)
    }
}

fn type_of(kty: &str, crv: Option<&str>) -> &'static str {
    match (kty, crv) {
        ("RSA", _) => "RSA",
        ("EC", Some("P-256")) => "P-256",
        ("EC", Some("P-384")) => "P-384",
        ("EC", Some("P-521")) => "P-521",
        ("EC", Some("secp256k1")) => "secp256k1",
        ("OKP", Some("Ed25519")) => "Ed25519",
        ("OKP", Some("Ed448")) => "Ed448",
        ("OKP", Some("X25519")) => "X25519",
        ("OKP", Some("X448")) => "X448",
        _ => "unknown",
    }
}

fn invalid(member: &'static str, expected: impl Into<String>) -> Refusal {
    JwkError::InvalidMember { member, expected: expected.into() }.into()
}

/// Those that say something here; the others are none of our business.
const MEMBERS: [&str; 18] =
    ["kty", "crv", "alg", "use", "key_ops", "kid", "n", "e", "d", "p", "q", "dp", "dq", "qi", "oth", "x", "y", "keys"];
