//! A directory that looks like a Secret volume: entries are links into a directory that is swapped as a whole.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use keyset_operator::key_material::SecretData;

/// A mounted Secret.
pub(crate) struct Mounted {
    path: PathBuf,
}

impl Mounted {
    /// Mounts `secret` at `path`.
    pub(crate) fn new(path: PathBuf, secret: &SecretData) -> Self {
        fs::create_dir_all(&path).unwrap();
        let mounted = Self { path };
        mounted.update(secret);
        for name in entries(secret).keys() {
            symlink(Path::new("..data").join(name), mounted.path.join(name)).unwrap();
        }
        mounted
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Another version of the Secret, as a kubelet brings it: all entries at once, by one rename.
    pub(crate) fn update(&self, secret: &SecretData) {
        static VERSION: AtomicU32 = AtomicU32::new(0);
        let version = format!("..{}", VERSION.fetch_add(1, Ordering::Relaxed));
        fs::create_dir(self.path.join(&version)).unwrap();
        for (name, bytes) in entries(secret) {
            fs::write(self.path.join(&version).join(name), bytes).unwrap();
        }
        symlink(&version, self.path.join("..data_tmp")).unwrap();
        fs::rename(self.path.join("..data_tmp"), self.path.join("..data")).unwrap();
    }
}

/// The entries of a Secret, by way of its JSON: there is no other way to private bytes.
pub(crate) fn entries(secret: &SecretData) -> BTreeMap<String, Vec<u8>> {
    let data: BTreeMap<String, String> = serde_json::from_value(serde_json::to_value(secret).unwrap()).unwrap();
    data.into_iter().map(|(name, text)| (name, BASE64_STANDARD.decode(text).unwrap())).collect()
}
