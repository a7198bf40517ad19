//! Signatures of a message that are almost right, and one that only looks wrong.

use getrandom::SysRng;
use keyset_operator::{
    jose::{Algorithm, Family},
    key_material::KeyPair,
};
use rsa::{
    pkcs8::DecodePrivateKey as _,
    signature::{RandomizedSigner as _, SignatureEncoding as _},
};
use sha2::{Sha256, Sha384, Sha512};

use crate::signer_entries;

type Named = (&'static str, Vec<u8>);

/// None of them verifies.
pub(crate) fn wrong(key: &KeyPair, message: &str) -> Vec<Named> {
    let genuine = key.sign(message.as_bytes()).unwrap();
    let length = genuine.len();
    let changed = |at: usize, bit: u8| {
        let mut signature = genuine.clone();
        signature[at] ^= bit;
        signature
    };
    let mut wrong = vec![
        ("no signature", Vec::new()),
        ("signature of zeros", vec![0; length]),
        ("signature of ones", vec![0xff; length]),
        ("signature with an octet more", [&genuine[..], &[0]].concat()),
        ("signature after a zero", [&[0], &genuine[..]].concat()),
        ("signature with an octet less", genuine[..length - 1].to_vec()),
        ("half a signature", genuine[..length / 2].to_vec()),
        ("signature twice", genuine.repeat(2)),
        ("signature with its first bit changed", changed(0, 0x80)),
        ("signature with its last bit changed", changed(length - 1, 1)),
        ("signature of another message", key.sign(b"another").unwrap()),
        ("signature of the claims alone", key.sign(message.split_once('.').unwrap().1.as_bytes()).unwrap()),
    ];
    wrong.extend(match key.algorithm().family() {
        Family::Rsa => rsa(key, message),
        Family::Ec => ecdsa(key.algorithm(), &genuine),
        Family::Okp => vec![("s and the order of the group", with_order_added(&genuine))],
    });
    wrong
}

/// Both verify, and few expect it: with (r, s), (r, -s) is a signature too.
pub(crate) fn odd_and_right(key: &KeyPair, message: &str) -> Vec<Named> {
    macro_rules! negated {
        ($curve:ident) => {{
            let genuine = $curve::ecdsa::Signature::from_slice(&key.sign(message.as_bytes()).unwrap()).unwrap();
            $curve::ecdsa::Signature::from_scalars(genuine.r(), -genuine.s()).unwrap().to_vec()
        }};
    }
    let negated = match key.algorithm() {
        Algorithm::ES256 => negated!(p256),
        Algorithm::ES384 => negated!(p384),
        Algorithm::ES512 => negated!(p521),
        _ => return Vec::new(),
    };
    vec![("s negated", negated)]
}

/// The other padding, the other hashes, and salts that are not as long as the hash (RFC 7518 section 3.5).
fn rsa(key: &KeyPair, message: &str) -> Vec<Named> {
    let pem = String::from_utf8(signer_entries(key)["private.pem"].clone()).unwrap();
    let private = rsa::PrivateKey::from_pkcs8_pem(&pem).unwrap();
    let mut wrong = Vec::new();
    macro_rules! signatures {
        ($hash:ty, $pkcs1:pat, $pss:pat, $salts:expr) => {{
            if !matches!(key.algorithm(), $pkcs1) {
                let signer = rsa::pkcs1v15::SigningKey::<$hash>::new(private.clone());
                let signature = signer.try_sign_with_rng(&mut SysRng, message.as_bytes()).unwrap();
                wrong.push(("PKCS#1 signature of another algorithm", signature.to_vec()));
            }
            let (length, others) = $salts;
            let salts = if matches!(key.algorithm(), $pss) { others } else { vec![length] };
            for salt in salts {
                let signer = rsa::pss::SigningKey::<$hash>::new_with_salt_len(private.clone(), salt);
                let signature = signer.try_sign_with_rng(&mut SysRng, message.as_bytes()).unwrap();
                wrong.push(("PSS signature of another algorithm, or with another salt", signature.to_vec()));
            }
        }};
    }
    signatures!(Sha256, Algorithm::RS256, Algorithm::PS256, (32, vec![0, 20, 31, 33, 222]));
    signatures!(Sha384, Algorithm::RS384, Algorithm::PS384, (48, vec![0, 20, 32, 49, 206]));
    signatures!(Sha512, Algorithm::RS512, Algorithm::PS512, (64, vec![0, 20, 32, 65, 190]));
    wrong
}

/// r and s in another order, in another encoding, and out of their range.
fn ecdsa(algorithm: Algorithm, genuine: &[u8]) -> Vec<Named> {
    macro_rules! order {
        ($curve:ident) => {{
            let mut order = (-$curve::Scalar::ONE).to_bytes().to_vec();
            // No order ends in 0xff.
            *order.last_mut().unwrap() += 1;
            order
        }};
    }
    let order = match algorithm {
        Algorithm::ES256 => order!(p256),
        Algorithm::ES384 => order!(p384),
        _ => order!(p521),
    };
    let (r, s) = genuine.split_at(genuine.len() / 2);
    let zero = vec![0; r.len()];
    let of = |r: &[u8], s: &[u8]| [r, s].concat();
    vec![
        ("DER", der(r, s)),
        ("s before r", of(s, r)),
        ("r of zero", of(&zero, s)),
        ("s of zero", of(r, &zero)),
        ("r of the order", of(&order, s)),
        ("s of the order", of(r, &order)),
        ("r and s of the order", of(&order, &order)),
        ("r and s the same", of(r, r)),
    ]
}

/// `SEQUENCE { INTEGER r, INTEGER s }`, as OpenSSL writes it.
fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let integer = |number: &[u8]| {
        let number = &number[number.iter().take_while(|octet| **octet == 0).count()..];
        let sign: &[u8] = if number[0] & 0x80 == 0 { &[] } else { &[0] };
        let length = u8::try_from(sign.len() + number.len()).unwrap();
        [&[2, length], sign, number].concat()
    };
    let body = [integer(r), integer(s)].concat();
    let length = u8::try_from(body.len()).unwrap();
    let length = if length < 0x80 { vec![length] } else { vec![0x81, length] };
    [&[0x30][..], &length, &body].concat()
}

/// RFC 8032 section 5.1.7 refuses an s that is not below the order of the group.
fn with_order_added(genuine: &[u8]) -> Vec<u8> {
    let (r, s) = genuine.split_at(32);
    let mut carry = 0;
    let sum = s.iter().zip(ORDER).map(|(s, order)| {
        let sum = u16::from(*s) + u16::from(order) + carry;
        carry = sum >> 8;
        sum.to_le_bytes()[0]
    });
    [r, &sum.collect::<Vec<u8>>()].concat()
}

/// Of edwards25519 (RFC 8032 section 5.1), little-endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];
