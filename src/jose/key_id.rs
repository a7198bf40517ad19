//! The name of a key (RFC 7517 section 4.5).

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{JwkError, base64url};

/// A kid: 1 to 256 visible ASCII characters, so that it fits a header, an annotation and a list separated by spaces.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct KeyId(String);

impl KeyId {
    /// The kid as it stands in a JWK.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The thumbprint of the key whose required members are this JSON (RFC 7638 section 3).
    pub(super) fn thumbprint(required_members: &str) -> Self {
        Self(base64url(&Sha256::digest(required_members)))
    }
}

impl TryFrom<String> for KeyId {
    type Error = JwkError;

    fn try_from(text: String) -> Result<Self, JwkError> {
        let valid = (1..=MAX_LENGTH).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        valid
            .then_some(Self(text))
            .ok_or_else(|| JwkError::invalid("kid", format!("1 to {MAX_LENGTH} visible ASCII characters, no spaces")))
    }
}

impl TryFrom<&str> for KeyId {
    type Error = JwkError;

    fn try_from(text: &str) -> Result<Self, JwkError> {
        Self::try_from(text.to_owned())
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

const MAX_LENGTH: usize = 256;
