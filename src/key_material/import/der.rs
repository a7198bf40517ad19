//! The documents inside of PEM: PKCS#8 (RFC 5208, RFC 5958), PKCS#1 (RFC 8017 appendix A.1.2), SEC 1 (RFC 5915).

use rsa::pkcs1::RsaPrivateKeyRef;
use rsa::pkcs8::der::asn1::{BitStringRef, ContextSpecific, ObjectIdentifier, OctetStringRef};
use rsa::pkcs8::der::{Decode as _, Error, Reader as _, SliceReader, TagNumber};
use rsa::pkcs8::{AlgorithmIdentifierRef, PrivateKeyInfoRef};
use zeroize::Zeroizing;

use super::refusal::{RSA_PSS, check_type};
use super::{Refusal, check_members};
use crate::jose::{Algorithm, Family, PublicJwk};
use crate::key_material::private_key::{PrivateKey, PrivateMembers, boxed};
use crate::key_material::{ec, ed25519, rsa as rsa_key};

/// Version 1 or version 2.
pub(super) fn from_pkcs8(der: &[u8], algorithm: Algorithm) -> Result<Box<dyn PrivateKey>, Refusal> {
    let malformed = Refusal::Malformed("a PKCS#8 private key");
    let info = PrivateKeyInfoRef::try_from(der).map_err(|_| malformed.clone())?;
    check_type(type_of(&info.algorithm), algorithm)?;
    match algorithm.family() {
        Family::Rsa => from_pkcs1(info.private_key.as_bytes(), algorithm),
        Family::Ec => ec::from_pkcs8(algorithm, der).ok_or(malformed),
        Family::Okp => boxed(ed25519::from_pkcs8(der).ok_or(())).ok_or(malformed),
    }
}

pub(super) fn from_pkcs1(der: &[u8], algorithm: Algorithm) -> Result<Box<dyn PrivateKey>, Refusal> {
    check_type("RSA", algorithm)?;
    let key = RsaPrivateKeyRef::try_from(der).map_err(|_| Refusal::Malformed("a PKCS#1 private key"))?;
    if key.other_prime_infos.is_some() {
        return Err(Refusal::MultiPrime);
    }
    let members = [
        ("n", key.modulus),
        ("e", key.public_exponent),
        ("d", key.private_exponent),
        ("p", key.prime1),
        ("q", key.prime2),
        ("dp", key.exponent1),
        ("dq", key.exponent2),
        ("qi", key.coefficient),
    ];
    let members = members.map(|(name, integer)| (name, Zeroizing::new(integer.as_bytes().to_vec())));
    from_rsa_members(&members.into(), algorithm)
}

pub(super) fn from_sec1(der: &[u8], algorithm: Algorithm) -> Result<Box<dyn PrivateKey>, Refusal> {
    // The crates of the curves would take a key that names no curve for one of theirs.
    let curve = sec1_curve(der).ok().flatten().ok_or(Refusal::Malformed("a SEC 1 private key on a named curve"))?;
    check_type(name_of_curve(curve), algorithm)?;
    ec::from_sec1(algorithm, der).ok_or(Refusal::Malformed("a SEC 1 private key"))
}

/// An RSA key from its members, all of which must fit.
pub(super) fn from_rsa_members(members: &PrivateMembers, algorithm: Algorithm) -> Result<Box<dyn PrivateKey>, Refusal> {
    let octets = |name| members.iter().find(|(member, _)| *member == name).map_or(&[][..], |(_, octets)| octets);
    let (n, e) = (super::without_zeros(octets("n")), super::without_zeros(octets("e")));
    let bits = n.first().map_or(0, |first| 8 * n.len() - first.leading_zeros() as usize);
    if !(2048..=8192).contains(&bits) {
        return Err(Refusal::RsaSize(bits));
    }
    PublicJwk::rsa(algorithm, n, e)?;
    let has_primes = members.iter().any(|(name, _)| *name == "p");
    let key = rsa_key::from_members(members);
    let key = key.ok_or(if has_primes { Refusal::Inconsistent } else { Refusal::NoPrimes })?;
    check_members(&key, algorithm, members)?;
    Ok(Box::new(key))
}

fn type_of(algorithm: &AlgorithmIdentifierRef<'_>) -> &'static str {
    match algorithm.oid.to_string().as_str() {
        "1.2.840.113549.1.1.1" => "RSA",
        "1.2.840.113549.1.1.10" => RSA_PSS,
        "1.2.840.10045.2.1" => algorithm.parameters_oid().map_or("EC without a named curve", name_of_curve),
        "1.2.840.10040.4.1" => "DSA",
        "1.3.101.110" => "X25519",
        "1.3.101.111" => "X448",
        "1.3.101.112" => "Ed25519",
        "1.3.101.113" => "Ed448",
        _ => "unknown",
    }
}

fn name_of_curve(curve: ObjectIdentifier) -> &'static str {
    match curve.to_string().as_str() {
        "1.2.840.10045.3.1.7" => "P-256",
        "1.3.132.0.34" => "P-384",
        "1.3.132.0.35" => "P-521",
        "1.3.132.0.10" => "secp256k1",
        _ => "EC on another curve",
    }
}

fn sec1_curve(der: &[u8]) -> Result<Option<ObjectIdentifier>, Error> {
    SliceReader::new(der)?.sequence(|reader| {
        u8::decode(reader)?;
        <&OctetStringRef>::decode(reader)?;
        let curve = ContextSpecific::<ObjectIdentifier>::decode_explicit(reader, TagNumber(0))?;
        ContextSpecific::<BitStringRef<'_>>::decode_explicit(reader, TagNumber(1))?;
        Ok(curve.map(|curve| curve.value))
    })
}
