//! The set as a verifier gets it: whatever is in it, not only what we would publish.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::check::{kind, quoted};
use super::compact::object;
use crate::jose::{Algorithm, Family, PublicJwk};

/// The keys that a verifier can use, and why it skips the others.
#[derive(Clone, Debug)]
pub struct ServedSet {
    keys: Vec<ServedKey>,
    skipped: Vec<String>,
}

/// A public key of a type that is known here.
#[derive(Clone, Debug)]
pub(super) struct ServedKey {
    members: Map<String, Value>,
}

impl ServedSet {
    /// Reads a document. Keys of unknown types are skipped (RFC 7517 section 5), and so is what must not be there.
    pub fn parse(document: &[u8]) -> Result<Self, String> {
        let mut members = object("set", document)?;
        let Some(Value::Array(values)) = members.remove("keys") else {
            return Err("the document is no JWK Set: it has no array \"keys\"".to_owned());
        };
        let mut set = Self { keys: Vec::new(), skipped: Vec::new() };
        for (index, value) in values.into_iter().enumerate() {
            let Value::Object(members) = value else {
                return Err(format!("keys[{index}] of the set is {}, not a key", kind(&value)));
            };
            let key = ServedKey { members };
            match key.unusable() {
                None => set.keys.push(key),
                Some(why) => set.skipped.push(format!("keys[{index}] ({}) {why}", key.name())),
            }
        }
        Ok(set)
    }

    /// The keys that can be used.
    pub(super) fn keys(&self) -> &[ServedKey] {
        &self.keys
    }

    /// Why others cannot.
    pub(super) fn skipped(&self) -> &[String] {
        &self.skipped
    }

    /// What its keys can verify: the allow-list of a verifier that was given no other.
    pub(super) fn algorithms(&self) -> Vec<Algorithm> {
        let usable = |algorithm: &Algorithm| self.keys.iter().any(|key| key.fits(*algorithm).is_ok());
        Algorithm::ALL.into_iter().filter(usable).collect()
    }
}

impl ServedKey {
    pub(super) fn kid(&self) -> Option<&str> {
        self.text("kid")
    }

    /// How messages call it.
    pub(super) fn name(&self) -> String {
        self.kid().map_or_else(|| "no kid".to_owned(), |kid| format!("kid {}", quoted(kid)))
    }

    /// Whether a verifier may use it with the algorithm, by what the key says of itself.
    pub(super) fn fits(&self, algorithm: Algorithm) -> Result<(), String> {
        let absent_or = |name, wanted: &str| match self.members.get(name) {
            None => Ok(()),
            Some(Value::String(text)) if text == wanted => Ok(()),
            Some(value) => Err(super::check::shown(value)),
        };
        let family = algorithm.family().to_string();
        if self.text("kty") != Some(&family) {
            let own = self.text("kty").unwrap_or_default();
            return Err(format!("it is an {own} key, and {algorithm} needs one of kty {family}"));
        }
        if let Some(curve) = algorithm.curve()
            && self.text("crv") != Some(curve.name)
        {
            return Err(format!("it is not on {}, which {algorithm} needs", curve.name));
        }
        absent_or("alg", algorithm.name()).map_err(|own| format!("its alg is {own}, so it is for nothing else"))?;
        absent_or("use", "sig").map_err(|own| format!("its use is {own}, not \"sig\""))?;
        let verifies = |operations: &Value| {
            let operations = operations.as_array().map(Vec::as_slice).unwrap_or_default();
            operations.iter().any(|operation| operation == "verify")
        };
        match self.members.get("key_ops") {
            Some(operations) if !verifies(operations) => Err("its key_ops do not have \"verify\"".to_owned()),
            _ => Ok(()),
        }
    }

    /// The key itself for that algorithm.
    pub(super) fn public_jwk(&self, algorithm: Algorithm) -> Result<PublicJwk, String> {
        let names: &[&str] = match algorithm.family() {
            Family::Rsa => &["kty", "n", "e"],
            Family::Ec => &["kty", "crv", "x", "y"],
            Family::Okp => &["kty", "crv", "x"],
        };
        let text = |name: &&str| Some(((*name).to_owned(), self.text(name)?.to_owned()));
        let mut members: BTreeMap<String, String> = names.iter().filter_map(text).collect();
        members.insert("alg".to_owned(), algorithm.to_string());
        // A kid of a stranger need not be one of ours; what verifies does not depend on it.
        members.insert("kid".to_owned(), "served".to_owned());
        let key = PublicJwk::from_members(&members).map_err(|error| error.to_string())?;
        key.check_point().map_err(|error| error.to_string())?;
        Ok(key)
    }

    fn unusable(&self) -> Option<String> {
        match self.text("kty") {
            None => return Some("has no kty".to_owned()),
            Some("oct") => return Some("is a shared secret: whoever fetches the set can sign with it".to_owned()),
            Some("RSA" | "EC" | "OKP") => {}
            Some(other) => return Some(format!("is of kty {}, which is not known here", quoted(other))),
        }
        let private = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];
        let found = private.into_iter().find(|name| self.members.contains_key(*name))?;
        Some(format!("has the private member \"{found}\": whoever fetches the set can sign with it. Revoke it"))
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.members.get(name)?.as_str()
    }
}
