//! The `data` of a Secret that holds a key.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use super::KeyError;
use crate::api::names::secret;
use crate::jose::KeyId;

/// Entry name to octets, zeroized when dropped; in JSON the octets are standard base64, as the API server has them.
///
/// `Clone` is there because typed clients ask for it of every object; nothing here clones.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretData(BTreeMap<String, Entry>);

#[derive(Clone, PartialEq, Eq)]
struct Entry(Zeroizing<Vec<u8>>);

impl SecretData {
    /// The content of a file as the only entry. The buffer is as large as the file, so that no part is left behind.
    pub fn read(name: &str, path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        if length > LARGEST_FILE {
            return Err(io::Error::other("it is too large to be one private key"));
        }
        let mut content = Zeroizing::new(Vec::with_capacity(usize::try_from(length).unwrap_or_default() + 1));
        file.read_to_end(&mut content)?;
        let mut data = Self::default();
        data.insert(name, content);
        Ok(data)
    }

    /// The names of the entries, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The entry `kid`, if it is there and is a kid.
    pub fn key_id(&self) -> Option<KeyId> {
        KeyId::try_from(self.text(secret::KID).ok()?).ok()
    }

    /// Whether every entry of `other` is here.
    pub fn contains(&self, other: &Self) -> bool {
        other.0.iter().all(|(name, entry)| self.0.get(name) == Some(entry))
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn insert(&mut self, name: &str, value: Zeroizing<Vec<u8>>) {
        self.0.insert(name.to_owned(), Entry(value));
    }

    #[cfg(test)]
    pub(super) fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    pub(super) fn entry(&self, name: &str) -> Result<&Zeroizing<Vec<u8>>, KeyError> {
        self.0.get(name).map(|entry| &entry.0).ok_or_else(|| KeyError::MissingEntry(name.to_owned()))
    }

    pub(super) fn text(&self, name: &str) -> Result<&str, KeyError> {
        std::str::from_utf8(self.entry(name)?).map_err(|_| KeyError::invalid(name, "UTF-8 text"))
    }
}

impl fmt::Debug for SecretData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(STANDARD.encode(&*self.0)))
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Base64)
    }
}

/// Decodes from the text of the document itself: no string in between.
struct Base64;

impl Visitor<'_> for Base64 {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("standard base64")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Entry, E> {
        // The decoder's own message would quote the text.
        STANDARD.decode(text).map(|octets| Entry(Zeroizing::new(octets))).map_err(|_| E::custom("not standard base64"))
    }
}

/// In octets: an RSA key of 8192 bits as PEM has 6500.
const LARGEST_FILE: u64 = 64 << 10;
