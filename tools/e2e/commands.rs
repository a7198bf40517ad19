//! What people type: `kubectl` and `helm`, as the KUBECONFIG of this process says.

use std::{
    io::Write as _,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    task::spawn_blocking,
    time::{Instant, sleep},
};

use super::Failure;

/// Runs a program and gives what it printed; an error is what it complained of.
pub(crate) async fn run(program: &str, arguments: &[&str]) -> Result<String, Failure> {
    feed(program, arguments, "").await
}

/// The same, with something to read.
pub(crate) async fn feed(program: &str, arguments: &[&str], input: &str) -> Result<String, Failure> {
    let line = format!("{program} {}", arguments.join(" "));
    let mut command = Command::new("timeout");
    command.arg(PATIENCE).arg(program).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let input = input.to_owned();
    let output = spawn_blocking(move || {
        let mut child = command.spawn()?;
        // A program that ends early has its own words for why.
        let _ = child.stdin.take().map(|mut stdin| stdin.write_all(input.as_bytes()));
        child.wait_with_output()
    });
    let output = output.await??;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{line} ended with {}: {}", output.status, said.trim()).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// `kubectl` with words that blanks separate.
pub(crate) async fn kubectl(words: &str) -> Result<String, Failure> {
    run("kubectl", &words.split_whitespace().collect::<Vec<_>>()).await
}

/// An object, or a list.
pub(crate) async fn get(words: &str) -> Result<Value, Failure> {
    Ok(serde_json::from_str(&kubectl(&format!("get -o json {words}")).await?)?)
}

/// Creates or changes what a YAML text describes.
pub(crate) async fn apply(yaml: &str) -> Result<(), Failure> {
    feed("kubectl", &["apply", "--server-side", "-f", "-"], yaml).await.map(drop)
}

pub(crate) async fn merge(object: &str, patch: &Value) -> Result<(), Failure> {
    let mut arguments: Vec<&str> = object.split_whitespace().collect();
    let patch = patch.to_string();
    arguments.splice(0..0, ["patch"]);
    arguments.extend(["--type=merge", "-p", &patch]);
    run("kubectl", &arguments).await.map(drop)
}

/// Looks until there is something, for so many seconds.
pub(crate) async fn until<T>(
    what: &str,
    seconds: u64,
    mut look: impl AsyncFnMut() -> Result<Option<T>, Failure>,
) -> Result<T, Failure> {
    let end = Instant::now() + Duration::from_secs(seconds);
    loop {
        match look().await {
            Ok(Some(found)) => return Ok(found),
            Err(error) if Instant::now() > end => return Err(format!("{what}, after {seconds} s: {error}").into()),
            Ok(None) if Instant::now() > end => return Err(format!("waited {seconds} s for {what}").into()),
            Ok(None) | Err(_) => sleep(PAUSE).await,
        }
    }
}

/// How long anything may take, in seconds.
const PATIENCE: &str = "180";
const PAUSE: Duration = Duration::from_millis(250);
