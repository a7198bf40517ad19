//! Why a key that a user brought is refused.

use crate::jose::{Algorithm, JwkError};

/// Every text is static and says what to do next: no message can hold a part of the entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum Refusal {
    #[error(
        "it is neither PEM nor JSON: bring one private key as PEM or as a JWK (openssl pkey -inform DER -in FILE makes \
         PEM of DER)"
    )]
    UnknownFormat,
    #[error("it is encrypted, and nobody is here to type a passphrase: decrypt it first (openssl pkey -in FILE)")]
    Encrypted,
    #[error("it is in OpenSSH's own format: convert it first (ssh-keygen -p -m PKCS8 -f FILE)")]
    OpenSsh,
    #[error("it is a JWK Set: bring one private JWK by itself")]
    JwkSet,
    #[error("there are several private keys in it: give each an entry of its own")]
    SeveralKeys,
    #[error("there is more in it than a private key: leave certificates and public keys out")]
    NotAlone,
    #[error("this is the public half ({0}): bring the private key that belongs to it")]
    PublicHalf(&'static str),
    #[error(
        "it is a key of type {found}, and {algorithm} needs {}: name the algorithm that fits the key, or bring another",
        type_of(*.algorithm)
    )]
    WrongType { found: &'static str, algorithm: Algorithm },
    #[error("it is an RSA key of {0} bits: bring one of 2048 to 8192 bits")]
    RsaSize(usize),
    #[error(
        "it is an RSA key of more than two primes, which verifiers and signers rarely take: bring one of two primes"
    )]
    MultiPrime,
    #[error("its RSA primes are missing and cannot be found from n, e and d: bring the key with p and q")]
    NoPrimes,
    #[error("its numbers do not belong together: bring the key as the tool that made it wrote it")]
    Inconsistent,
    #[error("member {0:?} contradicts the other members: bring the key as the tool that made it wrote it")]
    Contradiction(&'static str),
    #[error("it is not {0}: it may be cut off or changed; export the key again")]
    Malformed(&'static str),
    #[error(transparent)]
    Member(#[from] JwkError),
}

/// The type of key that an algorithm needs: its curve, or RSA.
pub(super) fn type_of(algorithm: Algorithm) -> &'static str {
    algorithm.curve().map_or("RSA", |curve| curve.name)
}

/// Whether a key of that type is one of the algorithm. A key marked for RSASSA-PSS signs nothing else.
pub(super) fn check_type(found: &'static str, algorithm: Algorithm) -> Result<(), Refusal> {
    let fits = if found == RSA_PSS { algorithm.name().starts_with("PS") } else { found == type_of(algorithm) };
    if fits { Ok(()) } else { Err(Refusal::WrongType { found, algorithm }) }
}

pub(super) const RSA_PSS: &str = "RSA-PSS";
