//! Signers as users have them: each knows one Signer Secret and nothing else.
//!
//! A signer looks at its Secret several times within `L` and signs with what it read last, as it would with a mounted
//! file. Invariant: it keeps its own half of the contract. A signer that could not look for `L`, because this machine is
//! slow, signs nothing until it can.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use k8s_openapi::api::core::v1::Secret;
use keyset_operator::api::names::{secret::PRIVATE_JWK, signer::TERM};
use kube::Api;
use serde_json::json;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout},
};

use super::{
    chronicle::Failure,
    clock,
    issuer::{Issuer, RELOAD_LAG},
    jws::{JwsError, SigningKey},
    tally::{Group, Tally},
    verifier::{Rejection, Verifier},
};

/// A signed token.
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) kid: String,
    pub(crate) signed: Instant,
    pub(crate) expires: Instant,
}

/// One signer, and the verifiers that its tokens are sent to.
pub(crate) struct Signer {
    pub(crate) issuer: Arc<Issuer>,
    pub(crate) secrets: Api<Secret>,
    pub(crate) verifiers: Arc<[Verifier]>,
    pub(crate) tally: Arc<Tally>,
}

/// What was read last.
struct Held {
    key: SigningKey,
    asked: Instant,
}

impl Signer {
    /// Signs and has its tokens verified, until `signs` is false; then waits for the last verification.
    pub(crate) async fn run(self, mut signs: watch::Receiver<bool>) {
        let secret_name = self.issuer.signer_secret();
        let (mut look, mut mint) = (interval(LOOK), interval(MINT));
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        mint.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut held = None;
        let mut checks = JoinSet::new();
        loop {
            tokio::select! {
                _ = signs.changed() => break,
                _ = look.tick() => {
                    // The first moments of a key are when an unknown kid would show.
                    if self.look(&secret_name, &mut held).await {
                        mint.reset_immediately();
                    }
                }
                _ = mint.tick() => {
                    if let Some(token) = self.mint(held.as_ref()) {
                        checks.spawn(check(token, Arc::clone(&self.issuer), self.verifiers.clone(), Arc::clone(&self.tally)));
                    }
                }
                Some(_) = checks.join_next() => {}
            }
        }
        checks.join_all().await;
    }

    /// Reads the Secret; whether there is another key. One that is not there goes on with the key that it has: no successor
    /// was written.
    async fn look(&self, name: &str, held: &mut Option<Held>) -> bool {
        let asked = Instant::now();
        let Ok(Ok(secret)) = timeout(PATIENCE, self.secrets.get_opt(name)).await else { return false };
        let Some(secret) = secret else {
            if let Some(held) = held {
                held.asked = asked;
            }
            return false;
        };
        let Some(jwk) = secret.data.as_ref().and_then(|data| data.get(PRIVATE_JWK)) else { return false };
        let key = match SigningKey::from_jwk(&jwk.0) {
            Ok(key) => key,
            Err(error) => {
                self.issuer.chronicle.fails(Failure::of_signer(&error));
                return false;
            }
        };
        let is_new = held.as_ref().is_none_or(|held| held.key.kid() != key.kid());
        let term =
            secret.metadata.annotations.as_ref().and_then(|all| all.get(TERM)).and_then(|term| term.parse().ok());
        if is_new {
            self.issuer.chronicle.tell(format!("the signer has {} of term {}", key.kid(), term.unwrap_or(0)));
        }
        self.issuer.chronicle.reaches(term.unwrap_or(0));
        *held = Some(Held { key, asked });
        is_new
    }

    fn mint(&self, held: Option<&Held>) -> Option<Token> {
        let held = held?;
        if held.asked.elapsed() + SIGNATURE_TAKES > RELOAD_LAG {
            self.tally.count(Group::Unjudged, "signatures withheld by a slow signer");
            return None;
        }
        let signed = Instant::now();
        let token = self.issuer.lifetime.length();
        let iat = clock();
        let claims = json!({ "sub": self.issuer.name, "iat": iat.as_second(), "exp": (iat + token).as_second() });
        match held.key.sign(&claims) {
            Ok(text) => {
                self.tally.count(Group::Tokens, self.issuer.algorithms[0]);
                Some(Token { text, kid: held.key.kid().to_owned(), signed, expires: signed + token })
            }
            Err(error) => {
                self.issuer.chronicle.fails(Failure::of_signer(&error));
                None
            }
        }
    }
}

impl Failure {
    fn of_signer(error: &JwsError) -> Self {
        Self { at: clock(), kid: String::new(), what: format!("the signer cannot use its Secret: {error}") }
    }
}

/// Every verifier checks the token at once, at the middle of its life, and just before it expires.
async fn check(token: Token, issuer: Arc<Issuer>, verifiers: Arc<[Verifier]>, tally: Arc<Tally>) {
    let life = token.expires - token.signed;
    let moments = [
        (token.signed, "at once"),
        (token.signed + life / 2, "at mid-life"),
        (token.expires - LAST_CHECK, "at the end"),
    ];
    for (moment, name) in moments {
        sleep_until(moment).await;
        let verified = verifiers.iter().map(async |verifier| (verifier.policy.name(), verifier.verify(&token).await));
        for (policy, verified) in join_all(verified).await {
            match verified {
                Ok(()) => tally.count(Group::Verified, policy),
                Err(Rejection::Unreachable) => tally.count(Group::Unjudged, "verifications without any server"),
                Err(Rejection::Damaged) => {
                    tally.count(Group::Unjudged, "verifications by a new server of a damaged set");
                }
                Err(_) if token.expires <= Instant::now() => tally.count(Group::Unjudged, "verifications too late"),
                Err(rejection) => {
                    let age = token.signed.elapsed().as_secs_f64();
                    let what = format!("{policy}, {name}, a token of {age:.2} s: {rejection}");
                    issuer.chronicle.fails(Failure { at: clock(), kid: token.kid.clone(), what });
                }
            }
        }
    }
}

/// How often a signer looks: at least twice within `L`, whatever an answer takes.
const LOOK: Duration = Duration::from_millis(400);
const MINT: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_millis(900);
/// What is left of `L` for the signature itself.
const SIGNATURE_TAKES: Duration = Duration::from_millis(100);
const LAST_CHECK: Duration = Duration::from_millis(300);
