//! TLS of the public listener, reloaded when its files change.
//!
//! Invariant: the served certificate and key belong together; files that do not, or that cannot be read, leave the old
//! ones in place.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio_rustls::TlsAcceptor;

use crate::{jose::Digest, telemetry::server::Metrics};

/// Where certificate and key are, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, the certificate of this server first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Certificate and key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {0}: {1}")]
    Read(PathBuf, io::Error),
    /// There is no certificate in the file.
    #[error("{0} holds no PEM certificate")]
    NoCertificate(PathBuf),
    /// There is no private key in the file.
    #[error("{0} holds no PEM private key")]
    NoKey(PathBuf),
    /// Certificate and key do not belong together, or are of a kind that is not supported.
    #[error("certificate and key cannot be used together: {0}")]
    Refused(rustls::Error),
}

/// The current certificate and key.
#[derive(Debug)]
pub(super) struct Tls {
    files: TlsFiles,
    current: ArcSwap<ServerConfig>,
}

impl Tls {
    pub(super) fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let config = Contents::read(&files)?.config(&files)?;
        Ok(Self { files, current: ArcSwap::from_pointee(config) })
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.current.load_full().into()
    }

    /// Looks at the files every `interval`, for ever.
    pub(super) async fn reload(&self, interval: Duration, metrics: &Metrics) {
        let mut seen = Contents::read(&self.files).ok().map(|contents| contents.digest());
        loop {
            tokio::time::sleep(interval).await;
            let contents = match Contents::read(&self.files) {
                Ok(contents) => contents,
                // Files are replaced by moving new ones into place: they will be back.
                Err(error) => {
                    if seen.take().is_some() {
                        refuse(&error, metrics);
                    }
                    continue;
                }
            };
            if seen.replace(contents.digest()) == seen {
                continue;
            }
            match contents.config(&self.files) {
                Ok(config) => {
                    self.current.store(Arc::new(config));
                    metrics.tls_reload("Loaded");
                    tracing::info!("Reloaded the TLS certificate");
                }
                Err(error) => refuse(&error, metrics),
            }
        }
    }
}

fn refuse(error: &TlsError, metrics: &Metrics) {
    metrics.tls_reload("Refused");
    tracing::error!(%error, "Kept the TLS certificate, because the new one cannot be used");
}

/// What is in the files.
struct Contents {
    certificate: Vec<u8>,
    key: zeroize::Zeroizing<Vec<u8>>,
}

impl Contents {
    fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let read = |path: &Path| fs::read(path).map_err(|error| TlsError::Read(path.to_owned(), error));
        Ok(Self { certificate: read(&files.certificate)?, key: read(&files.key)?.into() })
    }

    fn digest(&self) -> (Digest, Digest) {
        (Digest::of(&self.certificate), Digest::of(&*self.key))
    }

    fn config(&self, files: &TlsFiles) -> Result<ServerConfig, TlsError> {
        let chain = CertificateDer::pem_slice_iter(&self.certificate).collect::<Result<Vec<_>, _>>();
        let chain = chain.ok().filter(|chain| !chain.is_empty());
        let chain = chain.ok_or_else(|| TlsError::NoCertificate(files.certificate.clone()))?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|_| TlsError::NoKey(files.key.clone()))?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(TlsError::Refused)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
