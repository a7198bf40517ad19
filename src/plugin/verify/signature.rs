//! The algorithm, the key and the signature: whether a key of the set signed the token.

use serde_json::{Map, Value};

use super::check::{Finding, Verdict, advice, failed, list, passed, quoted, shown, skipped};
use super::compact::Compact;
use super::header;
use super::served_set::{ServedKey, ServedSet};
use crate::jose::{Algorithm, PublicJwk};

/// A token, and the keys that may have signed it.
pub(super) struct Signed<'a> {
    pub(super) header: &'a Map<String, Value>,
    pub(super) compact: &'a Compact<'a>,
    pub(super) set: &'a ServedSet,
}

impl Signed<'_> {
    /// `allowed` is the allow-list; if it is empty, what the keys of the set can verify.
    pub(super) fn check(&self, allowed: &[Algorithm], verdict: &mut Verdict) {
        let of_set = self.set.algorithms();
        let allowed = if allowed.is_empty() { &of_set } else { allowed };
        let Some(algorithm) = header::algorithm(self.header, allowed, verdict) else {
            for name in ["kid", "key", "signature"] {
                verdict.note(name, skipped("no key is looked for, because of the alg"));
            }
            return;
        };
        let key = self.key(algorithm, verdict);
        verdict.note("signature", self.signature(algorithm, key.as_ref()));
    }

    /// The one key that is meant.
    fn key(&self, algorithm: Algorithm, verdict: &mut Verdict) -> Option<PublicJwk> {
        let keys = self.set.keys().iter();
        let named: Vec<&ServedKey> = match self.header.get("kid") {
            None => keys.collect(),
            Some(Value::String(kid)) => keys.filter(|key| key.kid() == Some(kid)).collect(),
            Some(_) => Vec::new(),
        };
        let fitting: Vec<&ServedKey> = named.iter().copied().filter(|key| key.fits(algorithm).is_ok()).collect();
        verdict.note("kid", self.kid(algorithm, named.len(), fitting.len()));
        let [key] = fitting[..] else {
            let unfit = named.first().filter(|_| fitting.is_empty()).and_then(|key| key.fits(algorithm).err());
            let unfit = unfit.filter(|_| self.header.contains_key("kid"));
            verdict.note("key", unfit.map_or_else(|| skipped("there is not one key to use"), failed));
            return None;
        };
        let usable = key.public_jwk(algorithm).map_err(|why| format!("it cannot be used: {why}"));
        verdict.keep("key", usable, |_| passed(format!("the key with {} is for {algorithm}", key.name())))
    }

    fn kid(&self, algorithm: Algorithm, named: usize, fitting: usize) -> Finding {
        match (self.header.get("kid"), named, fitting) {
            (Some(Value::String(kid)), 0, _) => failed(format!(
                "no key of the set has the kid {}; it has {}. Either the key has left the set, because its last token had \
                 to be over or because it was revoked, or this is another issuer's set, or the signer uses a key that is \
                 not published",
                quoted(kid),
                self.kids()
            )),
            (Some(Value::String(kid)), _, 2..) => {
                failed(format!("the set has more than one key with the kid {}: a kid names one key", quoted(kid)))
            }
            (Some(Value::String(kid)), ..) => passed(format!("the set has a key with the kid {}", quoted(kid))),
            (Some(other), ..) => failed(format!("the kid must be a string, and it is {}", shown(other))),
            (None, _, 0) => failed(format!("there is none, and no key of the set is for {algorithm}")),
            (None, _, 1) => advice(
                "there is none. The set has one key for it today, and two once the next is published: put the kid of the \
                 key into the header",
            ),
            (None, _, count) => failed(format!(
                "there is none, and {count} keys of the set are for {algorithm}: put the kid of the key into the header"
            )),
        }
    }

    fn kids(&self) -> String {
        let kids: Vec<&str> = self.set.keys().iter().filter_map(ServedKey::kid).collect();
        if kids.is_empty() { "none".to_owned() } else { list(kids.into_iter().map(quoted)) }
    }

    fn signature(&self, algorithm: Algorithm, key: Option<&PublicJwk>) -> Finding {
        let Some(signature) = &self.compact.signature else { return skipped("it cannot be read") };
        match (key, self.signer(algorithm, signature)) {
            (Some(key), _) if self.is_of(key, signature) => passed(format!("it verifies as {algorithm}")),
            (Some(_), Some(signer)) => failed(format!(
                "it is that of {signer}, and the header says something else: kid and alg must be those of the key that signed"
            )),
            (Some(_), None) => failed(flaw(algorithm, signature)),
            (None, Some(signer)) => skipped(format!("there is no key to verify it with; it is that of {signer}")),
            (None, None) => skipped("there is no key to verify it with"),
        }
    }

    /// Who signed it after all, if not the key that the header names.
    fn signer(&self, algorithm: Algorithm, signature: &[u8]) -> Option<String> {
        let family = algorithm.family();
        let related: Vec<Algorithm> = Algorithm::ALL.into_iter().filter(|other| other.family() == family).collect();
        self.set.keys().iter().find_map(|key| {
            let mut related = related.iter();
            let signed = related.find(|it| key.public_jwk(**it).is_ok_and(|key| self.is_of(&key, signature)))?;
            Some(format!("the key with {} as {signed}", key.name()))
        })
    }

    fn is_of(&self, key: &PublicJwk, signature: &[u8]) -> bool {
        key.verifies(self.compact.message.as_bytes(), signature)
    }
}

/// What is wrong with a signature that no key of the set made.
fn flaw(algorithm: Algorithm, signature: &[u8]) -> String {
    let (length, needed) = (signature.len(), algorithm.curve().map(|curve| 2 * curve.octets));
    let is_ecdsa = matches!(algorithm, Algorithm::ES256 | Algorithm::ES384 | Algorithm::ES512);
    match needed {
        _ if length == 0 => "there is none: the token is not signed".to_owned(),
        Some(needed) if is_ecdsa && length != needed && signature[0] == DER_SEQUENCE => format!(
            "it has the DER form; JWS wants r and s of {} octets each, one after the other (RFC 7518 section 3.4)",
            needed / 2
        ),
        Some(needed) if length != needed => {
            format!("it has {length} octets, and {algorithm} needs {needed}: was it cut off?")
        }
        _ => "it does not verify: the token was changed after it was signed, or was signed by another key".to_owned(),
    }
}

/// The first octet of an ECDSA signature as OpenSSL and Java write it.
const DER_SEQUENCE: u8 = 0x30;
