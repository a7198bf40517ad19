//! The processes of one cluster, and that none of them stays behind.
//!
//! A shell, the watchdog, holds the read end of a pipe whose write end is ours. All components are in
//! its process group. When we die, by whatever signal, the kernel closes the pipe, and the watchdog
//! ends the group and removes the directory. When we end properly, we do both ourselves.

use std::{
    fs::{self, DirBuilder, File},
    io::ErrorKind,
    os::unix::{fs::DirBuilderExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use super::{ClusterError, binaries::Binaries};

/// What the watchdog does: wait for the end of its input, then end its group, itself last.
const WATCH: &str = r#"trap "" HUP INT TERM; read -r _; kill -TERM 0; sleep 0.2; rm -rf "$0"; kill -KILL 0"#;

/// Ends the processes of a cluster when the process that started it is gone.
#[derive(Debug)]
pub(super) struct Watchdog {
    shell: Child,
    directory: PathBuf,
}

impl Watchdog {
    /// Watches over `directory`, too.
    pub(super) fn start(directory: &Path) -> Result<Self, ClusterError> {
        let mut command = Command::new("sh");
        command.args(["-c", WATCH]).arg(directory).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let shell = command.spawn().map_err(|error| ClusterError::Io("run sh", error))?;
        Ok(Self { shell, directory: directory.to_owned() })
    }

    /// Starts a component in the group of the watchdog; its log is in the directory of the cluster.
    pub(super) fn spawn(
        &self,
        name: &'static str,
        binaries: &Binaries,
        flags: &[String],
    ) -> Result<Component, ClusterError> {
        let log = self.directory.join(name).with_extension("log");
        let mut command = Command::new(binaries.path(name));
        command.args(flags);
        Ok(Component { name, child: self.run(command, &log)?, log })
    }

    /// Starts any program in the group of the watchdog.
    pub(super) fn run(&self, mut command: Command, log: &Path) -> Result<Child, ClusterError> {
        let failed = |error| ClusterError::Io("start one of its programs", error);
        let group = i32::try_from(self.shell.id()).map_err(|_| failed(ErrorKind::InvalidData.into()))?;
        let output = File::create(log).map_err(failed)?;
        command.process_group(group).stdin(Stdio::null());
        command.stdout(output.try_clone().map_err(failed)?).stderr(output);
        command.spawn().map_err(failed)
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        end(&mut self.shell);
    }
}

/// One process of the control plane. Drop ends it.
#[derive(Debug)]
pub(super) struct Component {
    name: &'static str,
    log: PathBuf,
    child: Child,
}

impl Component {
    /// An error with the end of its log if it has ended by itself.
    pub(super) fn check(&mut self) -> Result<(), ClusterError> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(_)) => Err(ClusterError::Ended { component: self.name, log: self.last_lines() }),
            Err(error) => Err(ClusterError::Io("watch one of its programs", error)),
        }
    }

    fn last_lines(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }
}

impl Drop for Component {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// A directory that only this user reads. Drop removes it.
#[derive(Debug)]
pub(super) struct Directory(PathBuf);

impl Directory {
    pub(super) fn create() -> Result<Self, ClusterError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("keyset-cluster-{}-{number}", process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                // Of a process of the same number, long ago or in another container.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(ClusterError::Io("make its directory", error)),
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // The directory is temporary: what cannot be removed is the system's to remove.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Neither call fails for a child that was not waited for yet, and there is nothing left to do if one does.
fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}
