//! A control plane to work with by hand: `cluster up`, `cluster down`, `cluster run`.
//!
//! The library of the tests does the work. A cluster lives as long as a process of ours: `run` is that
//! process, `up` leaves one in the background. Each listens on a socket beside its kubeconfig, and
//! `down` ends exactly the one that it is told by ending the conversation with it: no process number
//! can be mistaken for another.

#[path = "../../tests/cluster/mod.rs"]
mod cluster;

use std::{
    env,
    error::Error,
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::{net::UnixStream, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    thread,
};

use clap::{Parser, Subcommand};
use tokio::{
    net::UnixListener,
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

use cluster::{Cluster, ClusterError};

#[derive(Debug, Parser)]
#[command(name = "cluster")]
struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Start a control plane in the background and print how to reach it.
    Up,
    /// End the control plane of a kubeconfig.
    Down {
        /// The path that `up` printed.
        #[arg(env = "KUBECONFIG")]
        kubeconfig: PathBuf,
    },
    /// Run a control plane until the end of standard input, SIGINT or SIGTERM.
    Run,
    /// What `up` leaves in the background.
    #[command(hide = true)]
    Serve,
}

/// A code of failure means that the reason has been told already.
type Outcome = Result<ExitCode, Box<dyn Error>>;

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Arguments::parse().action {
        Action::Up => up(),
        Action::Down { kubeconfig } => down(&kubeconfig),
        Action::Run => run(end_of_input()).await,
        Action::Serve => run(std::future::pending()).await,
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            // Nothing is left to do when stderr is closed.
            let _ = writeln!(io::stderr(), "cluster: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The background process has no part of our terminal, so that whoever reads our output sees its end.
fn up() -> Outcome {
    let mut command = Command::new(env::current_exe()?);
    command.arg("serve").process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let relayed = child.stderr.take().map(|errors| thread::spawn(|| relay(errors)));
    let mut line = String::new();
    if let Some(output) = child.stdout.take() {
        BufReader::new(output).read_line(&mut line)?;
    }
    if line.is_empty() {
        child.wait()?;
        relayed.map(thread::JoinHandle::join);
        return Ok(ExitCode::FAILURE);
    }
    io::stdout().write_all(line.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn relay(mut errors: impl Read) {
    let _ = io::copy(&mut errors, &mut io::stderr());
}

fn down(kubeconfig: &Path) -> Outcome {
    let mut conversation = UnixStream::connect(socket(kubeconfig)).map_err(|error| {
        format!(
            "{} is not of a control plane that `up` or `run` started and that still runs ({error})",
            kubeconfig.display()
        )
    })?;
    // Nothing is said; the other side hangs up when the cluster is gone.
    let _ = conversation.read_to_end(&mut Vec::new());
    Ok(ExitCode::SUCCESS)
}

async fn run(told: impl Future<Output = ()>) -> Outcome {
    let cluster = match Cluster::start().await {
        Err(ClusterError::NoBinaries) => return Ok(ExitCode::FAILURE),
        started => started?,
    };
    let listener = UnixListener::bind(socket(cluster.kubeconfig()))?;
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut output = io::stdout();
    writeln!(output, "export KUBECONFIG={}", cluster.kubeconfig().display())?;
    output.flush()?;
    let caller = tokio::select! {
        caller = listener.accept() => Some(caller?),
        _ = interrupt.recv() => None,
        _ = terminate.recv() => None,
        () = told => None,
    };
    drop(cluster);
    drop(caller);
    Ok(ExitCode::SUCCESS)
}

/// A read of standard input cannot be cancelled, so it has a thread, which nobody waits for.
async fn end_of_input() {
    let (ended, end) = oneshot::channel::<()>();
    thread::spawn(move || {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        drop(ended);
    });
    let _ = end.await;
}

fn socket(kubeconfig: &Path) -> PathBuf {
    kubeconfig.with_file_name("control.sock")
}
