//! The certificates, the `ServiceAccount` key and the kubeconfig of one cluster.

use std::{
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use serde_json::json;

use super::ClusterError;

/// Writes them into `directory` for an API server on `port` and gives the path of the kubeconfig.
pub(super) fn write(directory: &Path, port: u16) -> Result<PathBuf, ClusterError> {
    let (ca, ca_certificate) = authority()?;
    let (server_key, server) = signed(&ca, &["127.0.0.1", "localhost"], ExtendedKeyUsagePurpose::ServerAuth)?;
    let (admin_key, admin) = signed(&ca, &[], ExtendedKeyUsagePurpose::ClientAuth)?;
    let service_account = KeyPair::generate()?;
    let kubeconfig = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "keyset",
        "contexts": [{ "name": "keyset", "context": { "cluster": "keyset", "user": "admin" } }],
        "clusters": [{ "name": "keyset", "cluster": {
            "server": format!("https://127.0.0.1:{port}"),
            "certificate-authority-data": STANDARD.encode(&ca_certificate),
        } }],
        "users": [{ "name": "admin", "user": {
            "client-certificate-data": STANDARD.encode(admin),
            "client-key-data": STANDARD.encode(admin_key),
        } }],
    });
    let files = [
        ("ca.crt", ca_certificate),
        ("server.crt", server),
        ("server.key", server_key),
        ("service-account.key", service_account.serialize_pem()),
        ("service-account.pub", service_account.public_key_pem()),
        // JSON is YAML.
        ("kubeconfig", format!("{kubeconfig:#}\n")),
    ];
    for (name, content) in files {
        fs::write(directory.join(name), content).map_err(|error| ClusterError::Io("write its credentials", error))?;
    }
    Ok(directory.join("kubeconfig"))
}

fn authority() -> Result<(Issuer<'static, KeyPair>, String), rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "keyset-cluster");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?.pem();
    Ok((Issuer::new(params, key), certificate))
}

/// Key and certificate in PEM. To the API server the common name is the user and the organization the
/// group; to a client neither means anything.
fn signed(
    ca: &Issuer<'_, KeyPair>,
    names: &[&str],
    usage: ExtendedKeyUsagePurpose,
) -> Result<(String, String), rcgen::Error> {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "admin");
    params.distinguished_name.push(DnType::OrganizationName, "system:masters");
    params.extended_key_usages = vec![usage];
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, ca)?.pem();
    Ok((key.serialize_pem(), certificate))
}
