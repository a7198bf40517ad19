//! The binary under demonstration: started, watched, ended.
//!
//! Invariant: no process outlives this one, however it ends. Each has a watcher that ends it when the pipe from here
//! closes, and the kernel closes that pipe even when this process is killed.

use std::{
    fs, io,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Waits for the end of its input, then ends the process that takes its place.
const WATCHED: &str = r#"exec 3<&0; { read -r _ <&3; kill -TERM "$$" 2>/dev/null; } & exec "$0" "$@" 3<&- </dev/null"#;
/// How long a process may take to end by itself.
const GRACE: Duration = Duration::from_secs(5);

/// A running `keyset`, ended when dropped.
pub(crate) struct Process {
    name: String,
    log: PathBuf,
    child: Child,
}

impl Process {
    /// Starts `keyset` with these arguments; what it says goes to a file in `directory`.
    pub(crate) fn start(
        name: &str,
        keyset: &Path,
        arguments: &[&str],
        kubeconfig: &Path,
        directory: &Path,
    ) -> io::Result<Self> {
        let log = directory.join(format!("{name}.log"));
        let file = fs::File::create(&log)?;
        let child = Command::new("sh")
            .arg("-c")
            .arg(WATCHED)
            .arg(keyset)
            .args(arguments)
            .env("KUBECONFIG", kubeconfig)
            .stdin(Stdio::piped())
            .stdout(file.try_clone()?)
            .stderr(file)
            // Ctrl-C is for the demo, which then ends its processes in order.
            .process_group(0)
            .spawn()?;
        Ok(Self { name: name.to_owned(), log, child })
    }

    /// What the process is called.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// The end of what it said.
    pub(crate) fn last_lines(&self, count: usize) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let deadline = Instant::now() + GRACE;
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        // It had its time; what is left is to leave nothing behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::env;

    use super::*;

    fn start(script: &str) -> Process {
        let directory = env::temp_dir();
        let name = format!("keyset-demo-test-{}", std::process::id());
        Process::start(&name, Path::new("sh"), &["-c", script], Path::new("/nowhere"), &directory).unwrap()
    }

    fn wait_for(process: &mut Process) -> ExitStatus {
        for _ in 0..250 {
            if let Some(status) = process.ended().unwrap() {
                return status;
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("{} goes on", process.name())
    }

    #[test]
    fn a_process_ends_in_order_when_the_pipe_closes() {
        let script = "trap 'echo bye; exit 3' TERM; echo hello; while :; do sleep 0.05; done";
        let mut process = start(script);
        while process.last_lines(1) != "hello" {
            thread::sleep(Duration::from_millis(10));
        }
        drop(process.child.stdin.take());
        assert_eq!(wait_for(&mut process).code(), Some(3));
        assert_eq!(process.last_lines(1), "bye");
        let mut failing = start("exit 7");
        assert_eq!(wait_for(&mut failing).code(), Some(7));
        fs::remove_file(&failing.log).unwrap();
    }
}
