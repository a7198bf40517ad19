//! The set that is published (RFC 7517 section 5).

use std::collections::BTreeMap;

use super::json::Json;
use super::{JwkError, KeyId, PublicJwk};

/// Public keys, sorted by kid; kids and key material are each unique.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct JwkSet {
    keys: Vec<PublicJwk>,
}

/// Why a set is refused. `index` counts the keys of the document from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum JwkSetError {
    #[error("the document is not JSON: {0}")]
    NotJson(String),
    #[error("the document must be an object with one member, \"keys\", an array")]
    NotASet,
    #[error("member {0:?} does not belong in a published set: only \"keys\" does, once")]
    UnknownMember(String),
    #[error("keys[{index}]{}: {reason}", named(.kid.as_ref()))]
    Key { index: usize, kid: Option<KeyId>, reason: JwkError },
    #[error("two keys have the kid \"{0}\": a kid names one key for ever")]
    DuplicateKeyId(KeyId),
    #[error("the keys with the kids \"{0}\" and \"{1}\" are the same key: keep one")]
    DuplicateKey(KeyId, KeyId),
    #[error("{0} keys are too many: a set has at most 64, and verifiers prefer fewer than 10")]
    TooManyKeys(usize),
}

impl JwkSet {
    /// The set of these keys, in whatever order they come.
    pub fn new(mut keys: Vec<PublicJwk>) -> Result<Self, JwkSetError> {
        if keys.len() > MAX_KEYS {
            return Err(JwkSetError::TooManyKeys(keys.len()));
        }
        keys.sort_by(|one, other| one.kid().cmp(other.kid()));
        if let Some(pair) = keys.windows(2).find(|pair| pair[0].kid() == pair[1].kid()) {
            return Err(JwkSetError::DuplicateKeyId(pair[0].kid().clone()));
        }
        let mut material = BTreeMap::new();
        for key in &keys {
            if let Some(other) = material.insert(key.thumbprint(), key.kid()) {
                return Err(JwkSetError::DuplicateKey(other.clone(), key.kid().clone()));
            }
        }
        Ok(Self { keys })
    }

    /// Reads a published document, as strictly as [`Self::to_json`] writes it but for white space and order.
    pub fn parse(document: &[u8]) -> Result<Self, JwkSetError> {
        let json = serde_json::from_slice(document).map_err(|error| JwkSetError::NotJson(error.to_string()))?;
        let Json::Object(members) = json else { return Err(JwkSetError::NotASet) };
        let mut keys = None;
        for (name, value) in members {
            match (name.as_str(), value, &keys) {
                ("keys", Json::Array(values), None) => keys = Some(values),
                ("keys", _, None) => return Err(JwkSetError::NotASet),
                _ => return Err(JwkSetError::UnknownMember(name)),
            }
        }
        let keys = keys.ok_or(JwkSetError::NotASet)?.into_iter().enumerate();
        Self::new(keys.map(|(index, json)| parse_key(index, json)).collect::<Result<_, _>>()?)
    }

    /// The keys, sorted by kid.
    pub fn keys(&self) -> &[PublicJwk] {
        &self.keys
    }

    /// Whether a key has that kid.
    pub fn contains(&self, kid: &KeyId) -> bool {
        self.keys.binary_search_by(|key| key.kid().cmp(kid)).is_ok()
    }

    /// The number of keys.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The canonical document: equal sets have equal bytes.
    pub fn to_json(&self) -> String {
        let keys: Vec<String> = self.keys.iter().map(PublicJwk::to_json).collect();
        format!("{{\"keys\":[{}]}}", keys.join(","))
    }
}

fn parse_key(index: usize, json: Json) -> Result<PublicJwk, JwkSetError> {
    let kid = json.text("kid").and_then(|kid| KeyId::try_from(kid).ok());
    PublicJwk::try_from(json).map_err(|reason| JwkSetError::Key { index, kid, reason })
}

fn named(kid: Option<&KeyId>) -> String {
    kid.map(|kid| format!(" (kid \"{kid}\")")).unwrap_or_default()
}

/// Bounds the document, and the time that a verifier spends on it.
const MAX_KEYS: usize = 64;
