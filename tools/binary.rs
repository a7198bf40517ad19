//! The binary under demonstration: built, and where it may listen.

use std::{
    env, io,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
};

/// Builds `keyset` in the profile of this program, which is the example of that name, and gives its path.
pub(crate) fn build(example: &str) -> io::Result<PathBuf> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // What `cargo run` tells us of our package is not for the build scripts of others: some would run again for it.
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
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
