//! The snippets of `docs/signers.md`, while a kubelet swaps their Secret.
//!
//! A signer is asked for tokens one after the other, and a second thread swaps the Secret meanwhile. Every token must be
//! signed by the key that its kid names, and a call that begins after a swap must have the new key.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use keyset_operator::key_material::KeyPair;
use serde_json::{Value, json};

use crate::{
    jws,
    mounted::{Entries, Mounted},
    signer_entries,
};

/// Gives a token for claims and a lifetime, `[claims, seconds]`.
pub(crate) type Sign<'a> = &'a mut dyn FnMut(&Value) -> String;

/// Swaps for each algorithm.
const SWAPS: usize = 20;
/// Tokens between two swaps, at least.
const TOKENS: usize = 3;
/// Microseconds, by which each swap is later in a call than the one before.
const PAUSE: u64 = 97;
/// What the snippets have for `T`.
const MAX_LIFETIME: u64 = 3600;

/// A version of the Secret: it may be seen from `begins` on, and once it is `there`, no other until the next one begins.
struct Version {
    key: usize,
    begins: Instant,
    there: Instant,
}

/// How long after each swap the first token of the new key was there.
pub(crate) fn sign_across_swaps(keys: &[KeyPair; 2], mounted: &Mounted, sign: Sign<'_>) -> Vec<Duration> {
    let secrets = keys.each_ref().map(signer_entries);
    let ask = json!([{ "sub": "alice" }, 600]);
    let signed = AtomicUsize::new(0);
    let mut tokens = Vec::new();
    let start = Instant::now();
    let versions = thread::scope(|scope| {
        let swapper = scope.spawn(|| swap(&secrets, mounted, start, &signed));
        while !swapper.is_finished() {
            let begun = Instant::now();
            let token = sign(&ask);
            tokens.push((begun, token, Instant::now()));
            signed.fetch_add(1, Ordering::Relaxed);
        }
        swapper.join().unwrap()
    });
    let public = keys.each_ref().map(|key| serde_json::to_value(key.public_jwk()).unwrap());
    for (begun, token, ended) in &tokens {
        let kid = jws::key_id(token).unwrap();
        let key = public.iter().position(|key| key["kid"] == kid.as_str()).unwrap();
        assert_eq!(jws::verify(token, &public[key]), Ok(()), "{token}");
        let gone = |version: usize| versions.get(version + 1).is_some_and(|next| next.there < *begun);
        let mut visible = (0..versions.len()).filter(|&version| versions[version].begins <= *ended && !gone(version));
        assert!(visible.any(|version| versions[version].key == key), "a token with the key before");
    }
    let lag = |version: &Version| {
        let kid = public[version.key]["kid"].as_str().unwrap();
        let first =
            tokens.iter().find(|(begun, token, _)| *begun >= version.begins && jws::key_id(token).unwrap() == kid);
        first.unwrap().2.saturating_duration_since(version.there)
    };
    versions[1..].iter().map(lag).collect()
}

/// A Secret that cannot be read leaves the key before in use, until there is one that can be; no wish is longer than `T`.
pub(crate) fn sign_through_a_bad_secret(keys: &[KeyPair; 2], mounted: &Mounted, sign: Sign<'_>) {
    let secrets = keys.each_ref().map(signer_entries);
    let mut kid = || jws::key_id(&sign(&json!([{ "sub": "alice" }, 600]))).unwrap();
    let kids = keys.each_ref().map(|key| key.public_jwk().kid().to_string());
    mounted.update(&secrets[0]);
    assert_eq!(kid(), kids[0]);
    let half = secrets[1].iter().map(|(name, bytes)| (name.clone(), bytes[..bytes.len() / 2].to_vec()));
    for bad in [half.collect(), Entries::new()] {
        mounted.update(&bad);
        assert_eq!(kid(), kids[0], "the key before signs on");
    }
    mounted.update(&secrets[1]);
    assert_eq!(kid(), kids[1]);

    let token = sign(&json!([{ "sub": "alice", "exp": 9_999_999_999_u64 }, 10 * MAX_LIFETIME]));
    let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["sub"], "alice");
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), MAX_LIFETIME);
}

/// Swaps the Secret once a few tokens have been signed with the version that is there.
fn swap(secrets: &[Entries; 2], mounted: &Mounted, start: Instant, signed: &AtomicUsize) -> Vec<Version> {
    let mut versions = vec![Version { key: 0, begins: start, there: start }];
    for number in 1..=SWAPS + 1 {
        let seen = signed.load(Ordering::Relaxed);
        while signed.load(Ordering::Relaxed) < seen + TOKENS {
            thread::sleep(Duration::from_micros(100));
        }
        if number <= SWAPS {
            // At another point of a call each time.
            thread::sleep(Duration::from_micros(PAUSE * number as u64 % 1000));
            let (key, begins) = (number % 2, Instant::now());
            versions.push(Version { key, begins, there: mounted.update(&secrets[key]) });
        }
    }
    versions
}
