//! Where the binaries of the control plane are: `tools/cluster/build.sh` knows, and makes them.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::ClusterError;

/// A directory with etcd, kube-apiserver, kube-controller-manager and perhaps kubectl.
#[derive(Clone, Debug)]
pub(super) struct Binaries(PathBuf);

impl Binaries {
    /// Builds them if they are not there; what it does, and why it cannot, is told on stderr.
    pub(super) fn find() -> Result<Self, ClusterError> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/cluster/build.sh");
        let output = Command::new("sh")
            .arg(script)
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| ClusterError::Io("run tools/cluster/build.sh", error))?;
        let directory = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if !output.status.success() || directory.is_empty() {
            return Err(ClusterError::NoBinaries);
        }
        Ok(Self(directory.into()))
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(super) fn kubectl(&self) -> Option<PathBuf> {
        Some(self.path("kubectl")).filter(|path| path.is_file())
    }
}
