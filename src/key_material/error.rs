//! What can go wrong with key material.

use super::Refusal;
use crate::jose::{Algorithm, JwkError};

/// Why a key cannot be made or read. No message holds key material.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum KeyError {
    #[error(
        "the operating system gave no random numbers, so no key was made: look at the node's kernel and seccomp rules"
    )]
    RandomnessUnavailable,
    #[error("an RSA key of {0} bits is not made here: ask for 2048, 3072 or 4096")]
    RsaKeyBits(i32),
    #[error("the key could not be made: {0}")]
    GenerationFailed(&'static str),
    #[error("the key for {algorithm} failed its self-test ({step}) and must not be used: make another")]
    SelfTestFailed { algorithm: Algorithm, step: &'static str },
    #[error("entry {0:?} of the Secret is missing")]
    MissingEntry(String),
    #[error("entry {entry:?} of the Secret is not {expected}")]
    InvalidEntry { entry: String, expected: String },
    #[error("the key in entry {entry:?} of the Secret cannot be imported: {refusal}")]
    NotImportable { entry: String, refusal: Refusal },
    #[error("the key cannot be published: {0}")]
    NotPublishable(#[from] JwkError),
    #[error("the key for {0} could not sign: the operating system gave no random numbers, or the key is damaged")]
    NotSigned(Algorithm),
    #[error("the key cannot be written as {0}")]
    NotEncodable(&'static str),
}

impl KeyError {
    /// The same in one word, for conditions, events and metrics.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::RandomnessUnavailable => "RandomnessUnavailable",
            Self::RsaKeyBits(_) => "InvalidRsaKeyBits",
            Self::GenerationFailed(_) => "GenerationFailed",
            Self::SelfTestFailed { .. } => "SelfTestFailed",
            Self::MissingEntry(_) => "SecretEntryMissing",
            Self::InvalidEntry { .. } => "SecretEntryInvalid",
            Self::NotImportable { .. } => "KeyNotImportable",
            Self::NotPublishable(_) => "KeyNotPublishable",
            Self::NotSigned(_) => "SigningFailed",
            Self::NotEncodable(_) => "KeyNotEncodable",
        }
    }

    pub(super) fn invalid(entry: &str, expected: impl Into<String>) -> Self {
        Self::InvalidEntry { entry: entry.to_owned(), expected: expected.into() }
    }
}
