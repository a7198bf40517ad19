//! Issuers: whether a KeySet may have the one that it names, and whether an older KeySet is at that URL.
//!
//! Asked live, like everything else that a pass reads, and only for KeySets that name an issuer. Invariants: a KeySet
//! without the administrator's consent is in nobody's way; of two that have it, the one that was made first stays.

use futures::future::try_join_all;
use jiff::Timestamp;
use kube::api::ListParams;
use kube::core::PartialObjectMeta;
use kube::{Api, Client, ResourceExt};

use super::error::Error;
use super::objects::within;
use crate::api::KeySet;
use crate::issuer::{Consent, Issuer};
use crate::lifecycle::IssuerObstacle;
use crate::scope::Scope;

/// Who may have which issuer, and where others are looked for.
pub(super) struct Issuers {
    pub(super) consent: Consent,
    pub(super) scopes: Vec<Scope>,
}

impl Issuers {
    /// What keeps the issuer of a KeySet from being served.
    pub(super) async fn obstacle(&self, client: &Client, key_set: &KeySet) -> Result<Option<IssuerObstacle>, Error> {
        let Some(url) = &key_set.spec.publication.issuer else { return Ok(None) };
        let namespace = key_set.namespace().unwrap_or_default();
        // The schema takes no URL that cannot be read.
        let issuer = url.parse::<Issuer>().ok().filter(|issuer| self.consent.covers(issuer, &namespace));
        let Some(issuer) = issuer else { return Ok(Some(IssuerObstacle::NotAllowed)) };
        let others = self.others(client, &issuer).await?.into_iter().chain(self.namesake(client, &issuer).await?);
        let older = others.filter(|other| other.uid() != key_set.uid() && age(other) < age(key_set)).min_by_key(age);
        Ok(older.map(|other| IssuerObstacle::Taken { by: name(&other) }))
    }

    /// The KeySets that name it, however it is spelt, and may.
    async fn others(&self, client: &Client, issuer: &Issuer) -> Result<Vec<PartialObjectMeta<KeySet>>, Error> {
        let named =
            issuer.spellings().map(|url| ListParams::default().fields(&format!("spec.publication.issuer={url}")));
        let lists = self.scopes.iter().flat_map(|scope| named.iter().map(move |named| (scope, named)));
        let lists = try_join_all(lists.map(async |(scope, named)| {
            let key_sets: Api<KeySet> = scope.api(client.clone());
            within("list KeySets of an issuer", key_sets.list_metadata(named)).await
        }));
        let may = |other: &PartialObjectMeta<KeySet>| {
            self.consent.covers(issuer, &other.namespace().unwrap_or_default()) && is_there(other)
        };
        Ok(lists.await?.into_iter().flat_map(|list| list.items).filter(may).collect())
    }

    /// The KeySet whose set is at that path on every host.
    async fn namesake(&self, client: &Client, issuer: &Issuer) -> Result<Option<PartialObjectMeta<KeySet>>, Error> {
        let Some((namespace, name)) = issuer.key_set() else { return Ok(None) };
        if !self.scopes.iter().any(|scope| scope.contains(namespace)) {
            return Ok(None);
        }
        let key_sets: Api<KeySet> = Api::namespaced(client.clone(), namespace);
        let found = within("read the KeySet at a path", key_sets.get_metadata_opt(name)).await?;
        Ok(found.filter(is_there))
    }
}

fn is_there(key_set: &PartialObjectMeta<KeySet>) -> bool {
    key_set.metadata.deletion_timestamp.is_none()
}

/// By when it was made; of two of one second the name decides.
fn age(key_set: &impl ResourceExt) -> (Option<Timestamp>, String) {
    (key_set.creation_timestamp().map(|time| time.0), name(key_set))
}

fn name(key_set: &impl ResourceExt) -> String {
    format!("{}/{}", key_set.namespace().unwrap_or_default(), key_set.name_any())
}
