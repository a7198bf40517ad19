//! Where the binaries of the control plane are, and those of the tools around it: a `build.sh` knows, and makes them.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::ClusterError;

/// The directory of what `tools/TOOL/build.sh` builds if it is not there; what it does, and why it cannot, is told on stderr.
pub(crate) fn built(tool: &str, arguments: &[&str]) -> Result<PathBuf, ClusterError> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools").join(tool).join("build.sh");
    let mut command = Command::new("sh");
    command.arg(script).args(arguments).stderr(Stdio::inherit());
    let output = command.output().map_err(|error| ClusterError::Io("run a build.sh", error))?;
    let directory = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if !output.status.success() || directory.is_empty() {
        return Err(ClusterError::NoBinaries);
    }
    Ok(directory.into())
}

/// A directory with etcd, kube-apiserver, kube-controller-manager and perhaps kubectl.
#[derive(Clone, Debug)]
pub(super) struct Binaries(PathBuf);

impl Binaries {
    /// Builds them if they are not there.
    pub(super) fn find() -> Result<Self, ClusterError> {
        built("cluster", &[]).map(Self)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(super) fn kubectl(&self) -> Option<PathBuf> {
        Some(self.path("kubectl")).filter(|path| path.is_file())
    }
}
