//! Private keys: generated, imported, encoded, tested.
//!
//! The only owner of private bytes. Invariants: they are zeroized when they are dropped, no `Debug` and no error shows
//! them, a key leaves here only as the entries of a Secret ([`SecretData`]), and only after its self-test. What a
//! serializer or a client copies is beyond this promise. Deliberately absent: clients, logging, names of objects, and
//! the decision when a key is made or used (`lifecycle`).

mod ec;
mod ed25519;
mod error;
mod generator;
mod import;
mod key_pair;
mod private_key;
mod rsa;
mod secret_data;
#[cfg(test)]
mod tests;

pub use error::KeyError;
pub use generator::Generator;
pub use import::Refusal;
pub use key_pair::KeyPair;
pub use secret_data::SecretData;
