//! `import`: a private key that verifiers know already becomes one of the set (docs/migration.md has the way by hand).
//!
//! Invariants: the key is checked as the operator will check it, before anything is written; its octets are read, checked
//! and encoded by `key_material` and are never printed; the Secret's owner consents by a label, which is all that is
//! written of a Secret that is there.

use std::path::{Path, PathBuf};

use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::core::ObjectMeta;
use serde_json::json;

use super::change::{self, Change, Wish, Writing};
use super::error::Error;
use super::keys::Known;
use super::output::{self, length};
use super::session::Session;
use super::{Answer, Outcome};
use crate::api::Origin;
use crate::api::names::{CLI_FIELD_MANAGER, LABEL_IMPORT};
use crate::controller::Secret;
use crate::jose::{Algorithm, KeyId, PublicJwk};
use crate::key_material::{KeyPair, SecretData};

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("source").required(true).args(["file", "secret"]))]
pub(super) struct Arguments {
    /// KeySet that takes the key over
    #[arg(value_name = "NAME")]
    name: String,
    /// File with the key: PEM (PKCS#8, PKCS#1, SEC 1) or a private JWK, not encrypted; a Secret is made of it
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Secret with the key, in this namespace, and its entry if it has several
    #[arg(long, value_name = "NAME[/ENTRY]")]
    secret: Option<String>,
    /// kid that verifiers know the key by [default: the kid of a JWK, else the RFC 7638 thumbprint]
    #[arg(long, value_name = "KID", allow_hyphen_values = true, value_parser = |kid: &str| KeyId::try_from(kid))]
    key_id: Option<KeyId>,
    /// Algorithm that the key signs with [default: that of the KeySet]
    #[arg(long, value_name = "NAME", value_parser = |name: &str| name.parse::<Algorithm>())]
    algorithm: Option<Algorithm>,
    /// Name of the entry in importedKeys [default: that of the file or the Secret]
    #[arg(long, value_name = "NAME")]
    entry: Option<String>,
    #[command(flatten)]
    writing: Writing,
}

/// Where the key is, or is to be.
struct Source {
    /// Name of the Secret.
    secret: String,
    /// Its entry.
    key: String,
    /// Name of the entry in `importedKeys`.
    entry: String,
    data: SecretData,
    /// The file that it was read from.
    file: Option<PathBuf>,
}

pub(super) async fn run(session: &Session, arguments: &Arguments) -> Outcome {
    let (name, writing) = (&arguments.name, &arguments.writing);
    let known = Known::read(session, name).await?;
    let mut source = Source::find(session, arguments).await?;
    let algorithm = arguments.algorithm.unwrap_or(known.key_set.spec.algorithm);
    let pair = KeyPair::import(&source.data, &source.key, algorithm, arguments.key_id.as_ref());
    let jwk = pair.map_err(|error| Error::Refused(error.to_string()))?.public_jwk().clone();
    let change = decide(&known, arguments, &source, &jwk)?;
    if writing.print {
        let secret = source.printed(session, name)?;
        output::print(&format!("{secret}{}", change::manifest(session, &known, &change)?))?;
        return Ok(Answer::Yes);
    }
    source.consent(session, name, writing.dry_run.is_some()).await?;
    change::perform(session, name, writing, |known| decide(known, arguments, &source, &jwk)).await
}

fn decide(known: &Known, arguments: &Arguments, source: &Source, jwk: &PublicJwk) -> Result<Change, Error> {
    let entry = &source.entry;
    if known.key_set.spec.imported_keys.iter().any(|it| it.name == *entry) {
        return Err(Error::Refused(format!(
            "{} has an importedKeys entry {entry} already: choose another --entry",
            known.name()
        )));
    }
    if let Some(why) = refusal(known, jwk) {
        return Err(Error::Refused(why));
    }
    let (kid, contract) = (jwk.kid(), known.contract());
    let mut value = json!({ "name": entry, "secretRef": { "name": source.secret, "key": source.key } });
    if let Some(algorithm) = arguments.algorithm {
        value["algorithm"] = json!(algorithm);
    }
    if let Some(key_id) = &arguments.key_id {
        value["keyID"] = json!(key_id);
    }
    let first = if known.active_since().is_some() {
        format!(
            "It is published in seconds and may sign {} (C + S) after every replica was seen to serve it: then it waits for its \
             turn, or is pinned.",
            length(contract.lead())
        )
    } else {
        "Nothing signs yet: with rotation.firstKey WaitForImport it signs first.".to_owned()
    };
    Ok(Change {
        wish: Wish::entry("importedKeys", json!({ "name": entry }), Some(value)),
        done: format!(
            "The key with kid {kid} is imported from {} of Secret {} (entry {entry}).",
            source.key, source.secret
        ),
        earliest_time: None,
        consequences: vec![
            first,
            format!(
                "It stays published for {} (L + T + S + M) at least, since others may have signed with it.",
                length(contract.retention())
            ),
            format!(
                "The operator copies it and never writes Secret {}: delete that yourself once nothing reads it any more.",
                source.secret
            ),
        ],
        warnings: Vec::new(),
    })
}

/// Why this set cannot take the key, as the operator would say it.
fn refusal(known: &Known, jwk: &PublicJwk) -> Option<String> {
    let revoked = |it: &crate::api::RevokedKey| it.key_id == *jwk.kid() || it.key_id == *jwk.thumbprint();
    if known.key_set.spec.revoked_keys.iter().any(revoked) {
        return Some(format!("revokedKeys lists kid {}: bring another key", jwk.kid()));
    }
    known.keys.iter().find_map(|key| {
        let record = key.record.as_ref()?;
        let (other, lifecycle, name) = (record.spec.public_jwk.as_ref()?, key.lifecycle(), &key.name);
        let (same_key, same_kid) = (other.thumbprint() == jwk.thumbprint(), other.kid() == jwk.kid());
        let external = record.spec.origin == Origin::External;
        match () {
            () if same_kid && !same_key => {
                Some(format!("kid {} is the kid of another key ({name}): a kid names one key for ever", jwk.kid()))
            }
            () if !same_key => None,
            () if lifecycle.revocation_time.is_some() => {
                Some(format!("the same key was revoked ({name}): bring another key"))
            }
            () if lifecycle.removal_time.is_some() => {
                Some(format!("the same key left the set ({name}) and must not sign again: bring another key"))
            }
            () if external => {
                Some(format!("the same key is in the set as an external one ({name}): it signs elsewhere"))
            }
            () => Some(format!("the same key is in the set already ({name})")),
        }
    })
}

impl Source {
    async fn find(session: &Session, arguments: &Arguments) -> Result<Self, Error> {
        let name = &arguments.name;
        if let Some(path) = &arguments.file {
            let entry = arguments.entry.clone().unwrap_or_else(|| entry_name(path));
            let data = SecretData::read(FILE_ENTRY, path)
                .map_err(|error| Error::Io(format!("{} cannot be read: {error}", path.display())))?;
            let (secret, file) = (format!("{name}-import-{entry}"), Some(path.clone()));
            return Ok(Self { secret, key: FILE_ENTRY.to_owned(), entry, data, file });
        }
        let given = arguments.secret.as_deref().unwrap_or_default();
        let (secret, key) = given.split_once('/').map_or((given, None), |(secret, key)| (secret, Some(key)));
        let missing = || Error::Refused(format!("Secret {secret} is not in namespace {}", session.namespace));
        let found = secrets(session).get_opt(secret).await.map_err(Error::api)?.ok_or_else(missing)?;
        let consented = found.metadata.labels.as_ref().and_then(|labels| labels.get(LABEL_IMPORT));
        if let Some(other) = consented.filter(|other| *other != name) {
            return Err(Error::Refused(format!(
                "Secret {secret} consents to KeySet {other}, and a Secret to one only: copy it under another name"
            )));
        }
        let key = chosen(&found.data, secret, key)?;
        let entry = arguments.entry.clone().unwrap_or_else(|| secret.to_owned());
        Ok(Self { secret: secret.to_owned(), key, entry, data: found.data, file: None })
    }

    /// Makes the Secret, or has its owner consent.
    async fn consent(&mut self, session: &Session, name: &str, dry_run: bool) -> Result<(), Error> {
        let (secrets, field_manager) = (secrets(session), Some(CLI_FIELD_MANAGER.to_owned()));
        let labels = Some([(LABEL_IMPORT.to_owned(), name.to_owned())].into());
        let done = if self.file.is_some() {
            let metadata = ObjectMeta { name: Some(self.secret.clone()), labels, ..ObjectMeta::default() };
            // Who wants another key makes another Secret.
            let secret = Secret::new(metadata, Some(true), std::mem::take(&mut self.data));
            secrets.create(&PostParams { dry_run, field_manager }, &secret).await
        } else {
            let patch = Patch::Merge(json!({ "metadata": { "labels": labels } }));
            let params = PatchParams { dry_run, field_manager, ..PatchParams::default() };
            secrets.patch(&self.secret, &params, &patch).await
        };
        match done {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 409 => Err(Error::Refused(format!(
                "Secret {0} exists already: choose another --entry, or import what it has with --secret {0}",
                self.secret
            ))),
            Err(error) => Err(Error::api(error)),
        }
    }

    /// What makes the Secret, or the consent of its owner.
    fn printed(&self, session: &Session, name: &str) -> Result<String, Error> {
        let (namespace, secret, key) = (&session.namespace, &self.secret, &self.key);
        if let Some(file) = &self.file {
            return Ok(format!(
                "# First, since private keys do not belong into Git:\n\
                 # kubectl create secret generic {secret} -n {namespace} --from-file={key}='{}'\n\
                 # kubectl label secret {secret} -n {namespace} {LABEL_IMPORT}={name}\n",
                file.display()
            ));
        }
        let consent = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": secret, "namespace": namespace, "labels": { LABEL_IMPORT: name } },
        });
        let yaml = serde_saphyr::to_string(&consent).map_err(|error| Error::Io(error.to_string()))?;
        Ok(format!("# The consent of the owner of the Secret; its data is not touched.\n{yaml}---\n"))
    }
}

/// The entry that has the key: the one that was named, or the only one that may.
fn chosen(data: &SecretData, secret: &str, named: Option<&str>) -> Result<String, Error> {
    let there: Vec<&str> = data.names().collect();
    let list = || if there.is_empty() { "nothing".to_owned() } else { there.join(", ") };
    match (named, &there[..]) {
        (Some(named), _) if there.contains(&named) => Ok(named.to_owned()),
        (None, [only]) => Ok((*only).to_owned()),
        // What cert-manager and others write beside a certificate.
        (None, _) if there.contains(&"tls.key") => Ok("tls.key".to_owned()),
        (Some(named), _) => Err(Error::Refused(format!("Secret {secret} has no {named}: it has {}", list()))),
        (None, _) => Err(Error::Refused(format!("Secret {secret} has {}: name one, --secret {secret}/ENTRY", list()))),
    }
}

/// The stem of a file as the name of an entry: lower case, digits and dashes.
fn entry_name(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
    let name: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    name.trim_matches('-').to_owned()
}

fn secrets(session: &Session) -> Api<Secret> {
    Api::namespaced(session.client.clone(), &session.namespace)
}

/// The entry of a Secret that is made of a file.
const FILE_ENTRY: &str = "key";

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn an_entry_has_the_name_of_its_file() {
        let name = |path: &str| entry_name(Path::new(path));
        assert_eq!(["/tmp/Issuer_2025.pem", "key.jwk", "_a.b.pem"].map(name), ["issuer-2025", "key", "a-b"]);
    }

    #[test]
    fn the_entry_of_a_secret_is_chosen_if_there_is_no_doubt() {
        let data = |names: &[&str]| -> SecretData {
            serde_json::from_value(names.iter().map(|name| ((*name).to_owned(), Value::from("aGk="))).collect())
                .unwrap()
        };
        assert_eq!(chosen(&data(&["a"]), "s", None).unwrap(), "a");
        assert_eq!(chosen(&data(&["ca.crt", "tls.crt", "tls.key"]), "s", None).unwrap(), "tls.key");
        assert_eq!(chosen(&data(&["a", "b"]), "s", Some("b")).unwrap(), "b");
        assert_eq!(
            chosen(&data(&["a", "b"]), "s", None).unwrap_err().to_string(),
            "Secret s has a, b: name one, --secret s/ENTRY"
        );
        assert_eq!(chosen(&data(&["a"]), "s", Some("b")).unwrap_err().to_string(), "Secret s has no b: it has a");
        assert!(chosen(&data(&[]), "s", None).is_err());
    }
}
