//! One public key (RFC 7517 section 4, RFC 7518 section 6, RFC 8037 section 2).

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use zeroize::Zeroizing;

use super::json::Json;
use super::{Algorithm, Family, KeyId, base64url, from_base64url};

/// A public JWK: `kty`, `kid`, `use` (always `sig`), `alg` and the members of its key, nothing else.
///
/// Its JSON has the members in lexicographic order (RFC 8785), so it is the same whoever prints it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PublicJwk {
    kid: KeyId,
    algorithm: Algorithm,
    key: PublicKey,
    /// Computed once: sets are built from the same keys over and over.
    thumbprint: KeyId,
}

/// The members of a public key as octets: integers big-endian and minimal, coordinates of the full length of the curve.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum PublicKey {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    Ec { x: Vec<u8>, y: Vec<u8> },
    Okp { x: Vec<u8> },
}

/// Why a key is refused. No message holds the value of a member.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum JwkError {
    #[error("a key must be a JSON object")]
    NotAnObject,
    #[error("member {0:?} appears twice: keep one")]
    DuplicateMember(String),
    #[error("member {0:?} is private: publish the public half only, and replace a key whose private half got around")]
    PrivateMember(String),
    #[error("kty \"oct\" is a shared secret and must never be published: use an RSA, EC or OKP key")]
    SharedSecret,
    #[error("member {0:?} is missing")]
    MissingMember(&'static str),
    #[error("member {0:?} does not belong in a published key of this type: remove it")]
    UnknownMember(String),
    #[error("member {member:?} must be {expected}")]
    InvalidMember { member: &'static str, expected: String },
}

impl PublicJwk {
    /// An RSA key of 2048 to 8192 bits from its modulus and exponent, big-endian; the kid is the thumbprint.
    pub fn rsa(algorithm: Algorithm, n: &[u8], e: &[u8]) -> Result<Self, JwkError> {
        let key = PublicKey::Rsa { n: n.to_vec(), e: e.to_vec() };
        Self::with_thumbprint(algorithm, key)
    }

    /// An EC key from its coordinates; the kid is the thumbprint.
    pub fn ec(algorithm: Algorithm, x: &[u8], y: &[u8]) -> Result<Self, JwkError> {
        let key = PublicKey::Ec { x: x.to_vec(), y: y.to_vec() };
        Self::with_thumbprint(algorithm, key)
    }

    /// An Ed25519 key from its 32 octets; the kid is the thumbprint.
    pub fn okp(algorithm: Algorithm, x: &[u8]) -> Result<Self, JwkError> {
        Self::with_thumbprint(algorithm, PublicKey::Okp { x: x.to_vec() })
    }

    /// A key from its members as a map has them. A map hides doubled members, so this is for readers that refused them.
    pub fn from_members(members: &BTreeMap<String, String>) -> Result<Self, JwkError> {
        let members = members.iter().map(|(name, value)| (name.clone(), Json::String(Zeroizing::new(value.clone()))));
        Self::try_from(Json::Object(members.collect()))
    }

    /// The same key under a kid of its own, as an imported key has one.
    #[must_use]
    pub fn with_key_id(self, kid: KeyId) -> Self {
        Self { kid, ..self }
    }

    /// The kid.
    pub fn kid(&self) -> &KeyId {
        &self.kid
    }

    /// The only algorithm that the key is used with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key itself.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The RFC 7638 thumbprint with SHA-256: equal for equal key material, whatever the kid and the algorithm.
    pub fn thumbprint(&self) -> &KeyId {
        &self.thumbprint
    }

    /// The canonical JSON form.
    pub fn to_json(&self) -> String {
        object(self.members())
    }

    /// All members, sorted by name.
    pub(crate) fn members(&self) -> BTreeMap<&'static str, String> {
        let mut members = key_members(self.algorithm, &self.key);
        members.insert("alg", self.algorithm.to_string());
        members.insert("kid", self.kid.to_string());
        members.insert("use", USE.to_owned());
        members
    }

    fn with_thumbprint(algorithm: Algorithm, key: PublicKey) -> Result<Self, JwkError> {
        check(algorithm, &key)?;
        let thumbprint = thumbprint(algorithm, &key);
        Ok(Self { kid: thumbprint.clone(), algorithm, key, thumbprint })
    }
}

impl JwkError {
    pub(super) fn invalid(member: &'static str, expected: impl Into<String>) -> Self {
        Self::InvalidMember { member, expected: expected.into() }
    }
}

impl Serialize for PublicJwk {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.members())
    }
}

impl<'de> Deserialize<'de> for PublicJwk {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(Json::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl TryFrom<Json> for PublicJwk {
    type Error = JwkError;

    fn try_from(json: Json) -> Result<Self, JwkError> {
        if json.text("kty") == Some("oct") {
            return Err(JwkError::SharedSecret);
        }
        if let Some(name) = json.find_member(PRIVATE_MEMBERS) {
            return Err(JwkError::PrivateMember(name.to_owned()));
        }
        let mut members = Members::new(json)?;
        let algorithm: Algorithm = members.text("alg")?.parse()?;
        members.expect("kty", &algorithm.family().to_string(), algorithm)?;
        if let Some(curve) = algorithm.curve() {
            members.expect("crv", curve.name, algorithm)?;
        }
        // The schema lets `use` be absent; what we write always has it.
        if members.0.contains_key("use") {
            members.expect("use", USE, algorithm)?;
        }
        let kid = members.text("kid")?.as_str().try_into()?;
        let key = match algorithm.family() {
            Family::Rsa => PublicKey::Rsa { n: members.octets("n")?, e: members.octets("e")? },
            Family::Ec => PublicKey::Ec { x: members.octets("x")?, y: members.octets("y")? },
            Family::Okp => PublicKey::Okp { x: members.octets("x")? },
        };
        members.finish()?;
        check(algorithm, &key)?;
        let thumbprint = thumbprint(algorithm, &key);
        Ok(Self { kid, algorithm, key, thumbprint })
    }
}

/// The members of a key that were not read yet.
struct Members(BTreeMap<String, Json>);

impl Members {
    fn new(json: Json) -> Result<Self, JwkError> {
        let Json::Object(written) = json else { return Err(JwkError::NotAnObject) };
        let mut members = BTreeMap::new();
        for (name, value) in written {
            if members.contains_key(&name) {
                return Err(JwkError::DuplicateMember(name));
            }
            members.insert(name, value);
        }
        Ok(Self(members))
    }

    fn text(&mut self, name: &'static str) -> Result<Zeroizing<String>, JwkError> {
        match self.0.remove(name) {
            Some(Json::String(text)) => Ok(text),
            Some(_) => Err(JwkError::invalid(name, "a string")),
            None => Err(JwkError::MissingMember(name)),
        }
    }

    fn octets(&mut self, name: &'static str) -> Result<Vec<u8>, JwkError> {
        from_base64url(&self.text(name)?).ok_or_else(|| JwkError::invalid(name, "base64url without padding"))
    }

    fn expect(&mut self, name: &'static str, wanted: &str, algorithm: Algorithm) -> Result<(), JwkError> {
        if *self.text(name)? == wanted {
            return Ok(());
        }
        Err(JwkError::invalid(name, format!("{wanted:?} for a key with alg {algorithm}")))
    }

    fn finish(self) -> Result<(), JwkError> {
        self.0.into_keys().next().map_or(Ok(()), |name| Err(JwkError::UnknownMember(name)))
    }
}

/// Whether the key is one of its algorithm, with members of the lengths that RFC 7518 and RFC 8037 give them.
fn check(algorithm: Algorithm, key: &PublicKey) -> Result<(), JwkError> {
    let coordinate = |member, octets: &[u8]| match algorithm.curve() {
        Some(curve) if octets.len() == curve.octets => Ok(()),
        curve => Err(JwkError::invalid(
            member,
            format!("{} octets for a key with alg {algorithm}", curve.map_or(0, |curve| curve.octets)),
        )),
    };
    match (algorithm.family(), key) {
        (Family::Rsa, PublicKey::Rsa { n, e }) => check_modulus(n).and_then(|()| check_exponent(e)),
        (Family::Ec, PublicKey::Ec { x, y }) => coordinate("x", x).and_then(|()| coordinate("y", y)),
        (Family::Okp, PublicKey::Okp { x }) => coordinate("x", x),
        _ => Err(JwkError::invalid("alg", "an algorithm of the type of the key")),
    }
}

/// RFC 7518 section 3.3 asks for 2048 bits at least; above 8192 verifiers get slow.
fn check_modulus(n: &[u8]) -> Result<(), JwkError> {
    let starts_right = if n.len() == MIN_MODULUS { n[0] >= 0x80 } else { n.first().is_some_and(|first| *first != 0) };
    let valid = (MIN_MODULUS..=MAX_MODULUS).contains(&n.len()) && starts_right && is_odd(n);
    let expected = "an odd number of 2048 to 8192 bits without leading zero octets";
    if valid { Ok(()) } else { Err(JwkError::invalid("n", expected)) }
}

/// 65537 in practice. Six octets are more than any verifier takes.
fn check_exponent(e: &[u8]) -> Result<(), JwkError> {
    let valid = (1..=MAX_EXPONENT).contains(&e.len()) && e[0] != 0 && e != [1] && is_odd(e);
    let expected = "an odd number from 3 to 2^48 without leading zero octets";
    if valid { Ok(()) } else { Err(JwkError::invalid("e", expected)) }
}

fn is_odd(number: &[u8]) -> bool {
    number.last().is_some_and(|last| last & 1 == 1)
}

/// `kty` and the members of the key: the input of the thumbprint.
fn key_members(algorithm: Algorithm, key: &PublicKey) -> BTreeMap<&'static str, String> {
    let mut members = BTreeMap::from([("kty", algorithm.family().to_string())]);
    if let Some(curve) = algorithm.curve() {
        members.insert("crv", curve.name.to_owned());
    }
    let octets: &[(&'static str, &Vec<u8>)] = match key {
        PublicKey::Rsa { n, e } => &[("n", n), ("e", e)],
        PublicKey::Ec { x, y } => &[("x", x), ("y", y)],
        PublicKey::Okp { x } => &[("x", x)],
    };
    members.extend(octets.iter().map(|(name, value)| (*name, base64url(value))));
    members
}

fn thumbprint(algorithm: Algorithm, key: &PublicKey) -> KeyId {
    KeyId::thumbprint(&object(key_members(algorithm, key)))
}

/// A JSON object without white space, sorted because the map is.
fn object(members: BTreeMap<&'static str, String>) -> String {
    let members = members.into_iter().map(|(name, value)| format!("\"{name}\":{}", Value::String(value)));
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

/// The value of `use`.
const USE: &str = "sig";
/// RFC 7518 sections 6.2.2, 6.3.2 and 6.4.1, RFC 9964.
const PRIVATE_MEMBERS: &[&str] = &["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];
/// In octets.
const MIN_MODULUS: usize = 256;
const MAX_MODULUS: usize = 1024;
const MAX_EXPONENT: usize = 6;
