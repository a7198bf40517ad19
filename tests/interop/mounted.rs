//! A directory that looks like a Secret volume: entries are links into a directory that is swapped as a whole.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::Instant,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use keyset_operator::key_material::SecretData;

/// What a Secret holds.
pub(crate) type Entries = BTreeMap<String, Vec<u8>>;

/// A mounted Secret.
pub(crate) struct Mounted {
    path: PathBuf,
}

impl Mounted {
    /// Mounts a Secret at `path`.
    pub(crate) fn new(path: PathBuf, secret: &Entries) -> Self {
        fs::create_dir_all(&path).unwrap();
        let mounted = Self { path };
        mounted.update(secret);
        for name in secret.keys() {
            symlink(Path::new("..data").join(name), mounted.path.join(name)).unwrap();
        }
        mounted
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Another version of the Secret, as a kubelet brings it: all entries at once, by one rename; then the version before
    /// goes. Tells when the rename was done.
    pub(crate) fn update(&self, secret: &Entries) -> Instant {
        static VERSION: AtomicU32 = AtomicU32::new(0);
        let version = format!("..{}", VERSION.fetch_add(1, Ordering::Relaxed));
        fs::create_dir(self.path.join(&version)).unwrap();
        for (name, bytes) in secret {
            fs::write(self.path.join(&version).join(name), bytes).unwrap();
        }
        let before = fs::read_link(self.path.join("..data"));
        symlink(&version, self.path.join("..data_tmp")).unwrap();
        fs::rename(self.path.join("..data_tmp"), self.path.join("..data")).unwrap();
        let renamed = Instant::now();
        if let Ok(before) = before {
            fs::remove_dir_all(self.path.join(before)).unwrap();
        }
        renamed
    }
}

/// The entries of a Secret, by way of its JSON: there is no other way to private bytes.
pub(crate) fn entries(secret: &SecretData) -> Entries {
    let data: BTreeMap<String, String> = serde_json::from_value(serde_json::to_value(secret).unwrap()).unwrap();
    data.into_iter().map(|(name, text)| (name, BASE64_STANDARD.decode(text).unwrap())).collect()
}
