//! The binary under demonstration: built, and where it may listen.

use std::{
    env, io,
    net::TcpListener,
    path::{Path, PathBuf},
};

#[path = "cargo.rs"]
mod cargo;

/// Builds `keyset` in the profile of this program, which is the example of that name, and gives its path.
pub(crate) fn build(example: &str) -> io::Result<PathBuf> {
    let mut command = cargo::command();
    // The example is named too, so that both have the same features and nothing is compiled twice.
    command.args(["build", "--quiet", "--example", example, "--bin", "keyset"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    if !command.status()?.success() {
        return Err(io::Error::other("cargo could not build keyset, see above"));
    }
    let here = env::current_exe()?;
    let directory = here.parent().and_then(Path::parent).ok_or_else(|| io::Error::other("no target directory"))?;
    Ok(directory.join("keyset"))
}

/// A port of the loopback interface that nobody uses just now.
pub(crate) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
