//! The user of one KeySet: edits it in every lawful way, at random, and has accidents.
//!
//! Invariant: a user keeps the contract. A longer `T` or `C` is used only once the status has acknowledged it, a shorter
//! one before it is written; one accident is put right before the next. At the end all that was held back is let go.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use keyset_operator::api::{KeyState, KeyStatus};
use kube::Error;
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use super::{
    accidents::Accident,
    clock,
    issuer::{CACHE_AGES, Issuer, LIFETIMES, Length},
    objects::Objects,
    random::Random,
    tally::{Group, Tally},
};

/// One user.
pub(crate) struct User {
    issuer: Arc<Issuer>,
    objects: Objects,
    random: Random,
    tally: Arc<Tally>,
    /// The lists of the spec, which are the user's.
    revoked: Vec<Value>,
    external: Vec<Value>,
    externals: u32,
}

/// What a user does.
#[derive(Clone, Copy, Debug)]
enum Act {
    Rotate,
    Revoke(&'static str),
    Pin,
    Hold,
    Suspend,
    External,
    Algorithm,
    Lifetime,
    CacheAge,
    Accident,
}

impl User {
    pub(crate) fn new(issuer: Arc<Issuer>, objects: Objects, random: Random, tally: Arc<Tally>) -> Self {
        Self { issuer, objects, random, tally, revoked: Vec::new(), external: Vec::new(), externals: 0 }
    }

    /// Does one thing after the other until `rages` is false, then lets go of everything.
    pub(crate) async fn run(mut self, mut rages: watch::Receiver<bool>) {
        // The soak begins when every set stands.
        let _ = rages.wait_for(|rages| *rages).await;
        while *rages.borrow() {
            let pause = self.random.millis(BETWEEN_ACTS);
            let _ = timeout(pause, rages.wait_for(|rages| !*rages)).await;
            if !*rages.borrow() || self.issuer.chronicle.status().active_key_id.is_none() {
                continue;
            }
            let Some(act) = self.random.weigh(&ACTS) else { return };
            match self.perform(act).await {
                Ok(Some(name)) => self.tally.count(Group::Verbs, name),
                Ok(None) => {}
                Err(error) => {
                    self.tally.count(Group::Verbs, "not accepted");
                    self.issuer.chronicle.tell(format!("{act:?} is not accepted: {error}"));
                }
            }
        }
        while let Err(error) = self.let_go().await {
            self.issuer.chronicle.tell(format!("the last edit is not accepted: {error}"));
            sleep(Duration::from_secs(1)).await;
        }
    }

    /// Gives the name of the verb, if it was one and there was something to do.
    async fn perform(&mut self, act: Act) -> Result<Option<&'static str>, Error> {
        match act {
            Act::Rotate => self.edit("rotate", json!({ "rotation": { "after": clock() } })).await.map(Some),
            Act::Revoke(mode) => self.revoke(mode).await,
            Act::Pin => self.pin().await,
            Act::Hold => self.hold().await,
            Act::Suspend => {
                self.edit("suspend", json!({ "rotation": { "mode": "Suspended" } })).await?;
                self.linger().await;
                self.edit("resume", json!({ "rotation": { "mode": "Interval" } })).await?;
                Ok(Some("suspend"))
            }
            Act::External => self.external().await.map(Some),
            Act::Algorithm => {
                let Some(&algorithm) = self.random.pick(self.issuer.algorithms) else { return Ok(None) };
                self.edit("algorithm", json!({ "algorithm": algorithm })).await.map(Some)
            }
            Act::Lifetime => {
                let seconds = self.random.within(LIFETIMES);
                let spec = json!({ "tokens": { "maxLifetime": format!("{seconds}s") } });
                self.promise("lifetime", |issuer| &issuer.lifetime, seconds, spec).await.map(Some)
            }
            Act::CacheAge => {
                let seconds = self.random.within(CACHE_AGES);
                let spec = json!({ "verifiers": { "maxCacheAge": format!("{seconds}s") } });
                self.promise("cache age", |issuer| &issuer.cache_age, seconds, spec).await.map(Some)
            }
            Act::Accident => {
                let Some(accident) = self.random.weigh(&Accident::ALL) else { return Ok(None) };
                accident.befall(&self.issuer, &self.objects, &mut self.random, &self.tally).await?;
                Ok(None)
            }
        }
    }

    async fn edit(&self, name: &'static str, spec: Value) -> Result<&'static str, Error> {
        self.issuer.chronicle.tell(format!("{name}: {spec}"));
        self.objects.edit(&self.issuer.name, spec).await?;
        Ok(name)
    }

    async fn revoke(&mut self, mode: &'static str) -> Result<Option<&'static str>, Error> {
        let Some(kid) = self.some_kid(|_| true).filter(|_| self.revoked.len() < MOST_REVOKED) else { return Ok(None) };
        self.issuer.chronicle.revokes(&kid);
        self.revoked.push(json!({ "keyID": kid, "mode": mode }));
        let spec = json!({ "revokedKeys": self.revoked });
        let edited = self.edit("revoke", spec).await;
        if edited.is_err() {
            // It may have arrived, and is then told again by the next one.
            self.revoked.pop();
        }
        edited.map(|_| Some(mode))
    }

    async fn pin(&mut self) -> Result<Option<&'static str>, Error> {
        let can_sign = |key: &KeyStatus| {
            matches!(key.state, KeyState::Active | KeyState::Standby | KeyState::Published | KeyState::Retiring)
        };
        let Some(kid) = self.some_kid(can_sign) else { return Ok(None) };
        self.edit("pin", json!({ "rotation": { "pinnedKeyID": kid } })).await?;
        self.linger().await;
        self.edit("unpin", json!({ "rotation": { "pinnedKeyID": null } })).await?;
        Ok(Some("pin"))
    }

    async fn hold(&mut self) -> Result<Option<&'static str>, Error> {
        let Some(kid) = self.some_kid(|_| true) else { return Ok(None) };
        self.edit("hold", json!({ "heldKeys": [{ "keyID": kid }] })).await?;
        self.linger().await;
        self.edit("release", json!({ "heldKeys": [] })).await?;
        Ok(Some("hold"))
    }

    /// Adds a key of a signer elsewhere, or drops the oldest.
    async fn external(&mut self) -> Result<&'static str, Error> {
        let name = if self.external.len() < MOST_EXTERNAL && self.random.within(0..2) == 0 {
            self.externals += 1;
            let Some(jwk) = self.public_jwk() else { return Ok("external key added") };
            self.external.push(json!({ "name": format!("elsewhere-{}", self.externals), "publicJWK": jwk }));
            "external key added"
        } else {
            if !self.external.is_empty() {
                self.external.remove(0);
            }
            "external key dropped"
        };
        self.edit(name, json!({ "externalKeys": self.external })).await
    }

    /// Moves a promise: a shorter one is kept from now on, a longer one when it is acknowledged.
    async fn promise(
        &self,
        name: &'static str,
        promise: fn(&Issuer) -> &Length,
        seconds: u64,
        spec: Value,
    ) -> Result<&'static str, Error> {
        let promise = promise(&self.issuer);
        let is_longer = Duration::from_secs(seconds) > promise.length();
        if !is_longer {
            promise.set(seconds);
        }
        self.issuer.chronicle.tell(format!("{name}: {spec}"));
        let generation = self.objects.edit(&self.issuer.name, spec).await?;
        let began = Instant::now();
        while is_longer && began.elapsed() < PATIENCE {
            if self.issuer.chronicle.status().observed_generation >= Some(generation) {
                promise.set(seconds);
                break;
            }
            sleep(BETWEEN_LOOKS).await;
        }
        Ok(name)
    }

    async fn let_go(&self) -> Result<(), Error> {
        let rotation = json!({ "mode": "OnRequest", "pinnedKeyID": null });
        let spec = json!({ "rotation": rotation, "heldKeys": [], "externalKeys": [] });
        self.edit("let go", spec).await.map(drop)
    }

    fn some_kid(&mut self, fits: fn(&KeyStatus) -> bool) -> Option<String> {
        let keys = self.issuer.chronicle.keys();
        let fitting: Vec<&KeyStatus> = keys.iter().filter(|key| fits(key)).collect();
        Some(self.random.pick(&fitting)?.key_id.as_ref()?.as_str().to_owned())
    }

    /// `None` once in 2^32: no number of that size is a key.
    fn public_jwk(&mut self) -> Option<Value> {
        let secret: Vec<u8> = (0..4).flat_map(|_| self.random.draw().to_be_bytes()).collect();
        let point = p256::SecretKey::from_slice(&secret).ok()?.public_key().to_sec1_bytes();
        let (x, y) = point.get(1..)?.split_at_checked(32)?;
        let [x, y] = [x, y].map(|coordinate| BASE64_URL_SAFE_NO_PAD.encode(coordinate));
        let kid = format!("elsewhere-{}-{}", self.issuer.name, self.externals);
        Some(json!({ "kty": "EC", "alg": "ES256", "crv": "P-256", "kid": kid, "x": x, "y": y }))
    }

    async fn linger(&mut self) {
        let pause = self.random.millis(LINGERS);
        sleep(pause).await;
    }
}

const ACTS: [(u64, Act); 12] = [
    (5, Act::Rotate),
    (1, Act::Revoke("AfterSwitch")),
    (1, Act::Revoke("ForceSwitch")),
    (1, Act::Revoke("Immediate")),
    (3, Act::Pin),
    (2, Act::Hold),
    (2, Act::Suspend),
    (3, Act::External),
    (2, Act::Algorithm),
    (2, Act::Lifetime),
    (2, Act::CacheAge),
    (12, Act::Accident),
];
const BETWEEN_ACTS: std::ops::Range<u64> = 1000..7000;
const LINGERS: std::ops::Range<u64> = 2000..6000;
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(15);
/// Records of revoked keys stay for ever, and each is looked at by every pass.
const MOST_REVOKED: usize = 6;
const MOST_EXTERNAL: usize = 2;
