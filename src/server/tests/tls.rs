//! TLS, and its reload.

use std::{fs, path::Path};

use prometheus_client::encoding::text::encode;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer, pki_types::ServerName};
use tokio_rustls::TlsConnector;

use super::*;
use crate::server::{
    report::Reporter,
    tls::{TlsError, TlsFiles, provider},
};

/// Files that go away with the test.
struct Directory(std::path::PathBuf);

impl Directory {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("keyset-{test}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn files(&self) -> TlsFiles {
        TlsFiles { certificate: self.0.join("tls.crt"), key: self.0.join("tls.key") }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn generate() -> CertifiedKey<rcgen::KeyPair> {
    generate_simple_self_signed(["jwks.test".to_owned()]).unwrap()
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
}

/// Whether a client that trusts only `certificate` gets through.
async fn is_trusted(address: SocketAddr, certificate: &CertificateDer<'static>) -> bool {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("jwks.test").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.is_ok()
}

async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !is_so().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn new_files_are_served_and_bad_ones_keep_the_old() {
    let directory = Directory::new("reload");
    let files = directory.files();
    let (old, new) = (generate(), generate());
    write(&files.certificate, &old.cert.pem());
    write(&files.key, &old.signing_key.serialize_pem());
    let tls = Arc::new(Tls::load(files.clone()).unwrap());
    let mut world = World::empty();
    world.publish("a", 1, &document(&[1]));
    let server = listen(world.store.clone(), Some(tls.clone()), Limits::default()).await;
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let reloading = tls.clone();
    tokio::spawn(async move { reloading.reload(Duration::from_millis(20), &metrics).await });
    let counted = |outcome: &str| {
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        text.contains(&format!("tls_reloads_total{{outcome=\"{outcome}\"}} 1\n"))
    };
    let (old_certificate, new_certificate) = (old.cert.der(), new.cert.der());
    assert!(is_trusted(server.address, old_certificate).await);
    assert!(!is_trusted(server.address, new_certificate).await);

    // The certificate came, its key did not yet.
    write(&files.certificate, &new.cert.pem());
    eventually("refused", async || counted("Refused")).await;
    assert!(is_trusted(server.address, old_certificate).await);
    assert!(!counted("Loaded"));
    write(&files.key, &new.signing_key.serialize_pem());
    eventually("loaded", async || counted("Loaded")).await;
    assert!(is_trusted(server.address, new_certificate).await);
    assert!(!is_trusted(server.address, old_certificate).await);

    // Its own report needs no name that the certificate has.
    let reporter = Reporter { instance: "x".to_owned(), store: world.store, public: server.address, tls: Some(tls) };
    assert_eq!(reporter.report().await.unwrap().sets.len(), 1);
}

#[test]
fn files_that_cannot_be_used_say_what_is_wrong() {
    let directory = Directory::new("unusable");
    let files = directory.files();
    let (one, other) = (generate(), generate());
    let load = || Tls::load(files.clone()).unwrap_err();
    assert!(matches!(load(), TlsError::Read(..)));
    write(&files.certificate, "nonsense");
    write(&files.key, "nonsense");
    assert!(matches!(load(), TlsError::NoCertificate(_)));
    write(&files.certificate, &one.cert.pem());
    assert!(matches!(load(), TlsError::NoKey(_)));
    write(&files.key, &other.signing_key.serialize_pem());
    assert!(matches!(load(), TlsError::Refused(_)));
    write(&files.key, &one.signing_key.serialize_pem());
    assert!(Tls::load(files.clone()).is_ok());
}
