//! Accidents: somebody deletes or damages an object that the operator owns.
//!
//! One at a time for each set: two losses at once are beyond the guarantee (PROTOCOL 12), so the next one waits until the
//! operator has put right what it can.

use std::{sync::atomic::Ordering, time::Duration};

use kube::Error;
use tokio::time::{Instant, sleep};

use super::{
    issuer::Issuer,
    objects::{Objects, delete},
    random::Random,
    report::NOT_PUT_RIGHT,
    tally::{Group, Tally},
};

/// What befalls a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accident {
    SigningKeyDeleted,
    KeySecretDeleted,
    SignerSecretDeleted,
    ConfigMapDeleted,
    ConfigMapDamaged,
    StatusLost,
}

impl Accident {
    /// By weight.
    pub(crate) const ALL: [(u64, Self); 6] = [
        (4, Self::SigningKeyDeleted),
        (4, Self::KeySecretDeleted),
        (4, Self::SignerSecretDeleted),
        (3, Self::ConfigMapDeleted),
        (2, Self::ConfigMapDamaged),
        (3, Self::StatusLost),
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SigningKeyDeleted => "SigningKey deleted",
            Self::KeySecretDeleted => "Key Secret deleted",
            Self::SignerSecretDeleted => "Signer Secret deleted",
            Self::ConfigMapDeleted => "ConfigMap deleted",
            Self::ConfigMapDamaged => "ConfigMap damaged",
            Self::StatusLost => "status lost",
        }
    }

    /// Lets it happen, and waits until it is put right; whether there was anything to lose.
    pub(crate) async fn befall(
        self,
        issuer: &Issuer,
        objects: &Objects,
        random: &mut Random,
        tally: &Tally,
    ) -> Result<bool, Error> {
        let keys = issuer.chronicle.keys();
        let Some(key) = random.pick(&keys) else { return Ok(false) };
        let set = &issuer.name;
        let victim = match self {
            Self::SigningKeyDeleted | Self::KeySecretDeleted => key.name.clone(),
            Self::SignerSecretDeleted => issuer.signer_secret(),
            Self::ConfigMapDeleted | Self::ConfigMapDamaged => issuer.config_map(),
            Self::StatusLost => set.clone(),
        };
        issuer.chronicle.tell(format!("accident: {}, {victim}", self.name()));
        issuer.is_damaged.store(self.is_of_the_published(), Ordering::SeqCst);
        let befallen = self.happen(&victim, issuer, objects, random, tally).await;
        issuer.is_damaged.store(false, Ordering::SeqCst);
        befallen
    }

    async fn happen(
        self,
        victim: &str,
        issuer: &Issuer,
        objects: &Objects,
        random: &mut Random,
        tally: &Tally,
    ) -> Result<bool, Error> {
        if !self.strike(victim, objects).await? {
            return Ok(false);
        }
        tally.count(Group::Accidents, self.name());
        if random.within(0..2) == 0 {
            sleep(UNNOTICED).await;
        }
        objects.nudge(&issuer.name, &random.draw().to_string()).await?;
        self.until_put_right(victim, issuer, objects, tally).await?;
        // Servers hear of it a moment later.
        sleep(HEARD_OF).await;
        Ok(true)
    }

    /// Whether a server that starts now would find less than it could serve.
    fn is_of_the_published(self) -> bool {
        matches!(self, Self::ConfigMapDeleted | Self::ConfigMapDamaged | Self::StatusLost)
    }

    async fn strike(self, victim: &str, objects: &Objects) -> Result<bool, Error> {
        match self {
            Self::SigningKeyDeleted => Ok(delete(&objects.signing_keys, victim).await?.is_some()),
            Self::KeySecretDeleted | Self::SignerSecretDeleted => Ok(delete(&objects.secrets, victim).await?.is_some()),
            Self::ConfigMapDeleted => Ok(delete(&objects.config_maps, victim).await?.is_some()),
            Self::ConfigMapDamaged => objects.tamper(victim, DAMAGED).await.map(|()| true),
            Self::StatusLost => objects.reset_status(victim).await.map(|()| true),
        }
    }

    async fn until_put_right(
        self,
        victim: &str,
        issuer: &Issuer,
        objects: &Objects,
        tally: &Tally,
    ) -> Result<(), Error> {
        let began = Instant::now();
        while !self.is_put_right(victim, issuer, objects).await? {
            if began.elapsed() > PATIENCE {
                tally.count(Group::Accidents, NOT_PUT_RIGHT);
                issuer.chronicle.tell(format!("{}: not put right after {PATIENCE:?}", self.name()));
                return Ok(());
            }
            sleep(BETWEEN_LOOKS).await;
        }
        let took = began.elapsed().as_secs_f64();
        issuer.chronicle.tell(format!("{}: put right after {took:.1} s", self.name()));
        Ok(())
    }

    async fn is_put_right(self, victim: &str, issuer: &Issuer, objects: &Objects) -> Result<bool, Error> {
        let key = |status: &keyset_operator::api::KeySetStatus| {
            status.keys.iter().find(|key| key.name == victim).and_then(|key| key.key_id.clone())
        };
        let status = issuer.chronicle.status();
        Ok(match self {
            // A key that left the set needs no record.
            Self::SigningKeyDeleted => {
                let published = match key(&status) {
                    Some(kid) => objects.document(issuer).await?.contains(kid.as_str()),
                    None => false,
                };
                !published || objects.signing_keys.get_metadata_opt(victim).await?.is_some()
            }
            // Only the private half of the active key can be had from elsewhere.
            Self::KeySecretDeleted => {
                let is_active = status.active_key_name.as_deref() == Some(victim);
                !is_active || objects.secrets.get_metadata_opt(victim).await?.is_some()
            }
            Self::SignerSecretDeleted => objects.secrets.get_metadata_opt(victim).await?.is_some(),
            Self::ConfigMapDeleted | Self::ConfigMapDamaged | Self::StatusLost => objects.is_published(issuer).await?,
        })
    }
}

/// JSON, and no set of ours.
const DAMAGED: &str = r#"{"keys":[]}"#;
/// How long nobody looks at times.
const UNNOTICED: Duration = Duration::from_secs(2);
const BETWEEN_LOOKS: Duration = Duration::from_millis(400);
/// Controllers are killed meanwhile, and late is safe.
const PATIENCE: Duration = Duration::from_mins(2);
const HEARD_OF: Duration = Duration::from_secs(2);
