//! Cargo, for programs of ours that cargo itself may have started.

use std::env;
use std::process::Command;

/// The same cargo, not told of our package: what `cargo run` and `cargo test` tell us is not for the build scripts of
/// others, some of which would run again for it.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
    command
}
