//! Signs tokens with the active key of a mounted Signer Secret:
//! `cargo add jsonwebtoken --features aws_lc_rs && cargo add serde_json`

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use jsonwebtoken::{EncodingKey, Header, get_current_timestamp};
use serde_json::{Map, Value};

/// T, `spec.tokens.maxLifetime`: no token lives longer.
const MAX_LIFETIME: u64 = 3600;

/// Signs with the key that is mounted at that moment.
pub struct Signer {
    directory: PathBuf,
    active: Mutex<Arc<Active>>,
}

struct Active {
    /// Where the link `..data` led to when the key was read.
    version: PathBuf,
    header: Header,
    key: EncodingKey,
}

impl Signer {
    /// Reads the key in the directory that the Secret is mounted at.
    pub fn new(directory: PathBuf) -> Result<Self, Box<dyn Error>> {
        let active = Active::read(&directory, fs::read_link(directory.join("..data"))?)?;
        Ok(Self { directory, active: Mutex::new(Arc::new(active)) })
    }

    /// A token with these claims.
    pub fn sign(&self, mut claims: Map<String, Value>, lifetime: u64) -> Result<String, Box<dyn Error>> {
        let (active, now) = (self.current(), get_current_timestamp());
        claims.insert("iat".into(), now.into());
        claims.insert("exp".into(), (now + lifetime.min(MAX_LIFETIME)).into());
        Ok(jsonwebtoken::encode(&active.header, &claims, &active.key)?)
    }

    /// A kubelet swaps all files of a Secret at once, by leading the link `..data` elsewhere. To look at it costs
    /// microseconds.
    fn current(&self) -> Arc<Active> {
        let mut active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        let read = match fs::read_link(self.directory.join("..data")) {
            Ok(version) if version == active.version => return Arc::clone(&active),
            Ok(version) => Active::read(&self.directory, version),
            Err(error) => Err(error.into()),
        };
        match read {
            Ok(new) => *active = Arc::new(new),
            Err(error) => eprintln!("the Signer Secret cannot be read, the key before signs on: {error}"),
        }
        Arc::clone(&active)
    }
}

impl Active {
    /// This library reads no private JWK, so it takes three files. They belong together, as they are of one version.
    fn read(directory: &Path, version: PathBuf) -> Result<Self, Box<dyn Error>> {
        let file = |name| fs::read_to_string(directory.join(&version).join(name));
        let (alg, pem) = (file("alg")?, file("private.pem")?.into_bytes());
        let key = match alg.get(..2) {
            Some("ES") => EncodingKey::from_ec_pem(&pem)?,
            Some("Ed") => EncodingKey::from_ed_pem(&pem)?,
            _ => EncodingKey::from_rsa_pem(&pem)?,
        };
        let header = Header { kid: Some(file("kid")?), ..Header::new(alg.parse()?) };
        Ok(Self { version, header, key })
    }
}
