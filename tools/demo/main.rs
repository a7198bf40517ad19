//! `make demo`: real keys rotate on a real API server while real tokens are signed and verified throughout.
//!
//! Starts a control plane, the controller and two servers, applies `examples/demo.yaml`, and lets a signer that knows only
//! the Signer Secret and verifiers that know only a URL at it. Every token is checked by every verifier twice: at once
//! (no unknown kid) and just before it expires (no orphaned token). Deliberately absent: any look at the keys except
//! through the interfaces that users have.

#[path = "../binary.rs"]
mod binary;
#[path = "../../tests/cluster/mod.rs"]
mod cluster;
mod processes;
mod signer;
mod timeline;
mod verifier;

use std::{
    env,
    error::Error,
    io,
    path::Path,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use cluster::Cluster;
use jiff::Timestamp;
use keyset_operator::api::KeySet;
use kube::{Api, ResourceExt as _, api::PostParams};
use processes::Process;
use signer::{Signer, Token};
use timeline::{Score, Screen, Timeline};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};
use verifier::{Policy, Rejection, Verifier};

type Failure = Box<dyn Error + Send + Sync>;

/// How many rotations the demo shows.
const ROTATIONS: u64 = 2;
/// The longest that they may take; a healthy run takes two thirds of it.
const DEADLINE: Duration = Duration::from_secs(100);
/// Every token is checked again this long before it expires.
const LAST_CHECK: Duration = Duration::from_millis(300);
/// How often the picture is drawn.
const FRAME: Duration = Duration::from_millis(250);
/// How many servers run.
const SERVERS: usize = 2;
/// How many refused tokens are told one by one.
const TOLD_FAILURES: u64 = 5;
/// How much of a log is shown when the demo fails.
const LOG_LINES: usize = 20;

#[tokio::main]
async fn main() -> ExitCode {
    let keep = match env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => End::AfterRotations,
        [flag] if flag == "--keep" => End::OnCtrlC,
        _ => {
            eprintln!("usage: demo [--keep]");
            return ExitCode::from(2);
        }
    };
    match Demo::start(keep).await {
        Ok(demo) => demo.run().await,
        Err(failure) => {
            eprintln!("demo: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// The one clock of the demo.
#[expect(clippy::disallowed_methods, reason = "a demonstration takes place now")]
fn clock() -> Timestamp {
    Timestamp::now()
}

/// When the demo ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    AfterRotations,
    OnCtrlC,
}

/// Everything that runs. Fields are dropped in order: who uses goes before what is used.
struct Demo {
    end: End,
    screen: Screen,
    key_sets: Api<KeySet>,
    key_set: KeySet,
    began: Instant,
    verifiers: Arc<[Verifier]>,
    unknown: Arc<AtomicU64>,
    processes: Vec<Process>,
    cluster: Cluster,
}

impl Demo {
    async fn start(end: End) -> Result<Self, Failure> {
        let mut screen = Screen::new();
        screen.say("building keyset, starting a control plane")?;
        let keyset = binary::build("demo")?;
        let cluster = Cluster::start().await?;
        let client = cluster.client().await?;
        cluster::apply_crds(&client).await?;
        let key_set: KeySet = serde_yaml::from_str(include_str!("../../examples/demo.yaml"))?;
        let (processes, urls) = start_processes(&keyset, cluster.kubeconfig(), &key_set)?;
        let unknown = Arc::new(AtomicU64::new(0));
        let verifiers = verifiers(&urls, &key_set, &unknown)?;
        let key_sets = Api::namespaced(client, &namespace(&key_set));
        let began = Instant::now();
        key_sets.create(&PostParams::default(), &key_set).await?;
        screen.say("applied examples/demo.yaml; 1 controller, 2 servers, 1 signer, 2 verifiers of each server")?;
        if end == End::OnCtrlC {
            screen.say(&how_to_look_around(&cluster, &urls, &key_set))?;
        }
        Ok(Self { end, screen, key_sets, key_set, began, verifiers, unknown, processes, cluster })
    }

    /// Runs to the end and gives the exit code; the last line says how it went.
    async fn run(mut self) -> ExitCode {
        let mut score = Score::default();
        let outcome = self.watch(&mut score).await;
        let good = outcome.is_ok() && score.failed == 0 && (score.rotations >= ROTATIONS || self.end == End::OnCtrlC);
        if let Err(failure) = &outcome {
            eprintln!("demo: {failure}");
        }
        if !good {
            for process in &self.processes {
                eprintln!("--- the end of the log of {}:\n{}", process.name(), process.last_lines(LOG_LINES));
            }
        }
        // Everything has ended before the last line is said.
        let Self { mut screen, processes, cluster, .. } = self;
        drop((processes, cluster));
        let Score { tokens, verified, failed, rotations, .. } = score;
        let last = format!("demo: {tokens} tokens, {verified} verified, {failed} failed, {rotations} rotations");
        if screen.say(&last).is_err() || !good { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }

    /// Signs, checks and draws until the end: the signer has stopped and every token has had its last check.
    async fn watch(&mut self, score: &mut Score) -> Result<(), Failure> {
        let (send, mut tokens) = mpsc::channel(64);
        let (stop, stopped) = oneshot::channel();
        let (count, rotations) = watch::channel(0);
        let signing = tokio::spawn(self.signer(count).run(send, stopped));
        let (mut stop, mut last_signature) = (Some(stop), None);
        let mut checks = JoinSet::new();
        let mut timeline = Timeline::default();
        let mut frames = interval(FRAME);
        frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        while !(tokens.is_closed() && tokens.is_empty() && checks.is_empty()) {
            tokio::select! {
                _ = interrupt.recv() => return self.interrupted(),
                _ = terminate.recv() => return self.interrupted(),
                Some(token) = tokens.recv() => {
                    score.tokens += 1;
                    checks.spawn(check(token, self.verifiers.clone()));
                }
                Some(checked) = checks.join_next() => self.count(score, checked?)?,
                _ = frames.tick() => {
                    (score.rotations, score.unknown) = (*rotations.borrow(), self.unknown.load(Ordering::Relaxed));
                    self.draw(&mut timeline, score).await?;
                    self.processes.iter_mut().try_for_each(still_runs)?;
                    last_signature = last_signature.or_else(|| self.last_signature(score.rotations));
                    if last_signature.is_some_and(|time| time <= Instant::now()) {
                        stop = None;
                    }
                }
            }
        }
        self.draw(&mut timeline, score).await?;
        drop(stop);
        Ok(signing.await??)
    }

    /// A signer with the rights of one: its Secret and nothing else.
    fn signer(&self, count: watch::Sender<u64>) -> Signer {
        let secrets = Api::namespaced(self.key_sets.clone().into_client(), &namespace(&self.key_set));
        let lifetime = self.key_set.spec.tokens.max_lifetime.length().unsigned_abs();
        Signer::new(secrets, self.key_set.signer_secret_name(), lifetime, count)
    }

    /// When to stop signing: a little after the last rotation, so that its key is seen at work.
    fn last_signature(&self, rotations: u64) -> Option<Instant> {
        let shown = self.end == End::AfterRotations && rotations >= ROTATIONS;
        shown.then(|| Instant::now() + self.key_set.spec.signers.max_reload_lag.length().unsigned_abs())
    }

    async fn draw(&mut self, timeline: &mut Timeline, score: &Score) -> Result<(), Failure> {
        let elapsed = self.began.elapsed();
        let key_set = self.key_sets.get(&self.key_set.name_any()).await?;
        let news = timeline.observe(&key_set, elapsed, clock());
        self.screen.show(timeline, &news, score)?;
        if self.end == End::AfterRotations && elapsed > DEADLINE {
            return Err(
                format!("{} rotations after {} s, expected {ROTATIONS}", score.rotations, elapsed.as_secs()).into()
            );
        }
        Ok(())
    }

    fn count(&mut self, score: &mut Score, checked: Result<(), Refused>) -> Result<(), Failure> {
        match checked {
            Ok(()) => score.verified += 1,
            Err(refused) => {
                score.failed += 1;
                if score.failed <= TOLD_FAILURES {
                    self.screen.say(&format!("  a token was refused {refused}"))?;
                }
            }
        }
        Ok(())
    }

    fn interrupted(&self) -> Result<(), Failure> {
        if self.end == End::OnCtrlC { Ok(()) } else { Err("interrupted".into()) }
    }
}

/// A token that a verifier did not accept, and when.
#[derive(Debug, thiserror::Error)]
#[error("{moment}: {rejection}")]
struct Refused {
    moment: &'static str,
    rejection: Rejection,
}

/// Every verifier checks the token at once, and again just before it expires.
async fn check(token: Token, verifiers: Arc<[Verifier]>) -> Result<(), Refused> {
    for verifier in verifiers.iter() {
        verifier.verify(&token.text).await.map_err(|rejection| Refused { moment: "at once", rejection })?;
    }
    sleep_until(token.expires - LAST_CHECK).await;
    for verifier in verifiers.iter() {
        let refused = |rejection| Refused { moment: "just before it expired", rejection };
        verifier.verify(&token.text).await.map_err(refused)?;
    }
    Ok(())
}

/// Starts the controller and [`SERVERS`] servers; gives the URL of the set at each server.
///
/// Their logs are beside the kubeconfig, in the directory that ends with the cluster.
fn start_processes(keyset: &Path, kubeconfig: &Path, key_set: &KeySet) -> io::Result<(Vec<Process>, Vec<String>)> {
    let logs = kubeconfig.parent().unwrap_or(Path::new("."));
    let address = || binary::free_port().map(|port| format!("127.0.0.1:{port}"));
    let (mut processes, mut urls) = (Vec::new(), Vec::new());
    let controller = address()?;
    let mut flags = vec!["controller".to_owned(), "--admin-listen".to_owned(), controller];
    for number in 1..=SERVERS {
        let (public, admin) = (address()?, address()?);
        let arguments = ["server", "--listen", &public, "--admin-listen", &admin];
        processes.push(Process::start(&format!("server-{number}"), keyset, &arguments, kubeconfig, logs)?);
        urls.push(format!("http://{public}/{}/{}/jwks.json", namespace(key_set), key_set.name_any()));
        flags.extend(["--server-endpoint".to_owned(), format!("http://{admin}")]);
    }
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    processes.insert(0, Process::start("controller", keyset, &flags, kubeconfig, logs)?);
    Ok((processes, urls))
}

/// Two verifiers of each URL: one that fetches when it must, one that never does inside `maxCacheAge`.
fn verifiers(urls: &[String], key_set: &KeySet, unknown: &Arc<AtomicU64>) -> Result<Arc<[Verifier]>, Failure> {
    let stubborn = Policy::Stubborn(key_set.spec.verifiers.max_cache_age.length().unsigned_abs());
    let mut verifiers = Vec::new();
    for url in urls {
        for policy in [Policy::Refetching, stubborn] {
            verifiers.push(Verifier::new(url.parse()?, policy, unknown.clone()));
        }
    }
    Ok(verifiers.into())
}

fn still_runs(process: &mut Process) -> Result<(), Failure> {
    match process.ended()? {
        None => Ok(()),
        Some(status) => Err(format!("{} ended by itself: {status}", process.name()).into()),
    }
}

fn namespace(key_set: &KeySet) -> String {
    key_set.namespace().unwrap_or_else(|| "default".to_owned())
}

fn how_to_look_around(cluster: &Cluster, urls: &[String], key_set: &KeySet) -> String {
    let kubectl = cluster.kubectl().unwrap_or(Path::new("kubectl")).display();
    let (name, url) = (key_set.name_any(), urls.first().map_or("", String::as_str));
    let secret = key_set.signer_secret_name();
    format!(
        "\nThe demo stays up until Ctrl-C. In another terminal:\n\n  \
         export KUBECONFIG={}\n  \
         {kubectl} get keysets,signingkeys\n  \
         {kubectl} get keyset {name} -o yaml\n  \
         {kubectl} describe secret {secret}\n  \
         curl -i {url}\n  \
         {kubectl} patch keyset {name} --type merge -p \\\n    \
         '{{\"spec\":{{\"rotation\":{{\"after\":\"'$(date -u +%FT%TZ)'\"}}}}}}'     # rotate now\n",
        cluster.kubeconfig().display(),
    )
}
