//! `export`: the public set as servers serve it. Never a private key: it reads no Secret.
//!
//! Invariant: only a document is printed whose digest the operator accepts, to the byte unless another form is asked for.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, ResourceExt};

use super::output::{self, Format};
use super::session::Session;
use super::{Answer, Error, Outcome};
use crate::api::KeySet;
use crate::api::names::config_map;
use crate::issuer::Issuer;
use crate::jose::{Digest, JwkSet};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// KeySet whose public keys are printed
    #[arg(value_name = "NAME")]
    name: String,
    /// Each key as PEM, under its kid as a comment
    #[arg(long, conflicts_with = "discovery")]
    pem: bool,
    /// The discovery document of its issuer instead (OpenID Connect Discovery, RFC 8414)
    #[arg(long)]
    discovery: bool,
}

pub(super) async fn run(session: &Session, arguments: &Arguments) -> Outcome {
    let key_set = session.key_set(&arguments.name).await?;
    let document = document(session, &key_set).await?;
    let set = JwkSet::parse(document.as_bytes()).map_err(|error| Error::Refused(error.to_string()))?;
    let document = if arguments.discovery { discovery(&key_set, &set)? } else { document };
    let text = match session.format {
        _ if arguments.pem => pem(&set)?,
        Format::Yaml => {
            let json: serde_json::Value =
                serde_json::from_str(&document).map_err(|error| Error::Refused(error.to_string()))?;
            serde_saphyr::to_string(&json).map_err(|error| Error::Io(error.to_string()))?
        }
        _ => document,
    };
    output::print(&text)?;
    Ok(Answer::Yes)
}

/// What servers may serve.
async fn document(session: &Session, key_set: &KeySet) -> Result<String, Error> {
    let (name, object) = (key_set.name_any(), key_set.config_map_name());
    let accepted = key_set.status.as_ref().and_then(|status| status.publication.as_ref());
    let Some(accepted) = accepted.filter(|publication| publication.digest.is_some()) else {
        return Err(Error::Refused(format!(
            "{name} has published nothing yet: kubectl keyset status {name} tells why"
        )));
    };
    let api: Api<ConfigMap> = Api::namespaced(session.client.clone(), &session.namespace);
    let found = api.get_opt(&object).await.map_err(Error::api)?;
    let document = found.and_then(|found| found.data?.remove(config_map::JWKS));
    let Some(document) = document else {
        return Err(Error::Refused(format!(
            "ConfigMap {object} has no {}: the operator writes it again",
            config_map::JWKS
        )));
    };
    if !accepted.accepts(&Digest::of(&document)) {
        return Err(Error::Refused(format!(
            "ConfigMap {object} is not what the operator published, and no server serves it: see who writes it"
        )));
    }
    Ok(document)
}

/// What servers tell of the issuer, once the operator accepts it.
fn discovery(key_set: &KeySet, set: &JwkSet) -> Result<String, Error> {
    let accepted = key_set.status.as_ref().and_then(|status| status.publication.as_ref()?.issuer.as_deref());
    let issuer = accepted.and_then(|url| url.parse::<Issuer>().ok());
    let none = || {
        let name = key_set.name_any();
        Error::Refused(format!(
            "{name} has no issuer that is served: see publication.issuer, and kubectl keyset status {name}"
        ))
    };
    Ok(issuer.ok_or_else(none)?.metadata(&set.keys().iter().map(crate::jose::PublicJwk::algorithm).collect()))
}

fn pem(set: &JwkSet) -> Result<String, Error> {
    let key = |jwk: &crate::jose::PublicJwk| {
        let pem = jwk.to_pem().ok_or_else(|| Error::Refused(format!("kid {} cannot be written as PEM", jwk.kid())))?;
        Ok(format!("# kid: {}, alg: {}\n{pem}", jwk.kid(), jwk.algorithm()))
    };
    set.keys().iter().map(key).collect()
}
