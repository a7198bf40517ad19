//! `make soak`: 25 KeySets on clocks of seconds, at the mercy of users, accidents and SIGKILL, while real tokens are
//! signed and verified throughout.
//!
//! Signers know a Secret, verifiers a URL. What is done, to whom and after which pause follows from a printed seed; what
//! it meets depends on the machine too. It proves something only if enough keys rotated, and it fails if one token was
//! not verified outside what was revoked or declared, one private member was served, or a settled fleet is written to.
//! Deliberately absent: any look at the keys except through the interfaces that users have.

mod accidents;
#[path = "../binary.rs"]
mod binary;
mod chronicle;
#[path = "../../tests/cluster/mod.rs"]
mod cluster;
mod issuer;
mod jws;
mod objects;
mod processes;
mod random;
mod report;
mod servers;
mod signer;
mod tally;
mod user;
mod verifier;

use std::{env, error::Error, process::ExitCode, sync::Arc, time::Duration};

use cluster::Cluster;
use futures::TryStreamExt as _;
use issuer::{Issuer, NAMESPACE};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use keyset_operator::api::{ConditionStatus, Guard, KeySet, NextTransition};
use kube::{Api, Client, api::PostParams, core::ObjectMeta, runtime::watcher};
use objects::Objects;
use processes::Processes;
use random::Random;
use report::Report;
use servers::{Endpoint, Servers};
use signer::Signer;
use tally::{Group, Tally};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep},
};
use user::User;
use verifier::{Policy, Verifier};

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    let Some(arguments) = Arguments::read(env::args().skip(1)) else {
        eprintln!("usage: soak --minutes MINUTES --seed SEED");
        return ExitCode::from(2);
    };
    let Arguments { minutes, seed } = arguments;
    println!("soak: {minutes} minutes, seed {seed}");
    let report = match Soak::start(seed).await {
        Ok(soak) => soak.run(minutes).await,
        Err(failure) => Err(failure),
    };
    match report {
        Ok(report) => {
            print!("{report}");
            if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(failure) => {
            println!("soak: FAILED, seed {seed}: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// The one clock of the soak.
#[expect(clippy::disallowed_methods, reason = "a soak takes place now")]
fn clock() -> Timestamp {
    Timestamp::now()
}

struct Arguments {
    minutes: u64,
    seed: u64,
}

impl Arguments {
    fn read(mut words: impl Iterator<Item = String>) -> Option<Self> {
        let (mut minutes, mut seed) = (None, None);
        while let Some(word) = words.next() {
            let value = words.next()?.parse().ok()?;
            match word.as_str() {
                "--minutes" => minutes = Some(value),
                "--seed" => seed = Some(value),
                _ => return None,
            }
        }
        Some(Self { minutes: minutes?, seed: seed? })
    }
}

/// Everything that runs. Fields are dropped in order: who uses goes before what is used.
struct Soak {
    seed: u64,
    random: Random,
    issuers: Vec<Arc<Issuer>>,
    tally: Arc<Tally>,
    objects: Objects,
    /// Whether users edit and have accidents.
    rages: watch::Sender<bool>,
    users: JoinSet<()>,
    /// Whether signers sign.
    signs: watch::Sender<bool>,
    signers: JoinSet<()>,
    watching: JoinSet<Result<(), watcher::Error>>,
    processes: Processes,
    cluster: Arc<Cluster>,
}

impl Soak {
    async fn start(seed: u64) -> Result<Self, Failure> {
        let keyset = binary::build("soak")?;
        let cluster = Arc::new(Cluster::start().await?);
        let client = cluster.client().await?;
        cluster::apply_crds(&client).await?;
        let namespace = Namespace {
            metadata: ObjectMeta { name: Some(NAMESPACE.to_owned()), ..ObjectMeta::default() },
            ..Namespace::default()
        };
        Api::all(client.clone()).create(&PostParams::default(), &namespace).await?;
        let tally = Arc::new(Tally::default());
        let endpoints = (0..SERVERS).map(|_| endpoint()).collect::<Result<Vec<_>, _>>()?;
        let processes = Processes::start(&cluster, &keyset, &endpoints, CONTROLLERS, &tally);
        processes::until_ready(&endpoints).await?;
        let issuers: Vec<_> = Issuer::all().into_iter().map(Arc::new).collect();
        let soak = Self {
            seed,
            random: Random::new(seed),
            objects: Objects::new(&client),
            rages: watch::Sender::new(false),
            users: JoinSet::new(),
            signs: watch::Sender::new(true),
            signers: JoinSet::new(),
            watching: JoinSet::new(),
            issuers,
            tally,
            processes,
            cluster,
        };
        soak.populate(&client, endpoints).await
    }

    /// Applies the KeySets, and starts those who live with them.
    async fn populate(mut self, client: &Client, endpoints: Vec<Arc<Endpoint>>) -> Result<Self, Failure> {
        self.watching.spawn(watch_key_sets(
            self.objects.key_sets.clone(),
            self.issuers.clone(),
            Arc::clone(&self.tally),
        ));
        let servers = Arc::new(Servers::new(endpoints, Arc::clone(&self.tally)));
        for issuer in &self.issuers {
            self.objects.key_sets.create(&PostParams::default(), &issuer.manifest()?).await?;
            let (issuer, tally) = (Arc::clone(issuer), Arc::clone(&self.tally));
            let verifier = |policy| Verifier::new(policy, Arc::clone(&issuer), Arc::clone(&servers));
            let verifiers = Policy::ALL.into_iter().map(verifier).collect();
            let secrets = Api::namespaced(client.clone(), NAMESPACE);
            let signer = Signer { issuer: Arc::clone(&issuer), secrets, verifiers, tally: Arc::clone(&tally) };
            self.signers.spawn(signer.run(self.signs.subscribe()));
            let user = User::new(issuer, self.objects.clone(), self.random.fork(), tally);
            self.users.spawn(user.run(self.rages.subscribe()));
        }
        Ok(self)
    }

    async fn run(mut self, minutes: u64) -> Result<Report, Failure> {
        if !self.until_ready().await {
            return Err("the KeySets do not become ready".into());
        }
        self.rages.send_replace(true);
        let began = Instant::now();
        let end = began + Duration::from_secs(60 * minutes);
        let mut told = began;
        while Instant::now() < end {
            let pause = self.random.millis(BETWEEN_KILLS).min(end.saturating_duration_since(Instant::now()));
            sleep(pause).await;
            if Instant::now() < end {
                self.processes.kill(&mut self.random).await;
            }
            if told.elapsed() > BETWEEN_LINES {
                told = Instant::now();
                self.tell(began);
            }
            if let Some(ended) = self.watching.try_join_next() {
                return Err(format!("the watch of the KeySets has ended: {ended:?}").into());
            }
        }
        self.rages.send_replace(false);
        while let Some(ended) = self.users.join_next().await {
            ended?;
        }
        println!("soak: users, accidents and kills have ended; waiting until the fleet has settled");
        let settled = self.settle().await?;
        println!("soak: a quiet minute");
        let before = self.writes().await?;
        sleep(QUIET).await;
        let quiet_writes = self.writes().await? - before;
        self.signs.send_replace(false);
        while let Some(ended) = self.signers.join_next().await {
            ended?;
        }
        let issuers = std::mem::take(&mut self.issuers);
        let report = Report::new(self.seed, minutes, issuers, Arc::clone(&self.tally), settled, quiet_writes);
        if !report.is_good() {
            report::keep_logs(self.cluster.directory());
        }
        Ok(report)
    }

    async fn until_ready(&self) -> bool {
        let began = Instant::now();
        while began.elapsed() < SETTLES_WITHIN {
            sleep(Duration::from_millis(200)).await;
            if self.issuers.iter().all(|issuer| is_true(issuer, "Ready")) {
                println!("soak: all KeySets are ready after {} s", began.elapsed().as_secs());
                return true;
            }
        }
        self.tell_of_the_broken();
        false
    }

    fn tell(&self, began: Instant) {
        let sum = |of: fn(&Issuer) -> u64| self.issuers.iter().map(|issuer| of(issuer)).sum::<u64>();
        println!(
            "soak: {} s, {} rotations, {} tokens, {} verified, {} not (to be judged)",
            began.elapsed().as_secs(),
            sum(|issuer| issuer.chronicle.rotations()),
            self.tally.total(Group::Tokens),
            self.tally.total(Group::Verified),
            self.issuers.iter().map(|issuer| issuer.chronicle.failures()).sum::<usize>(),
        );
    }

    /// Waits until every set is whole and nobody has written for a while; whether that came to pass.
    async fn settle(&self) -> Result<bool, Failure> {
        let began = Instant::now();
        let mut last = (self.writes().await?, Instant::now());
        while began.elapsed() < SETTLES_WITHIN {
            sleep(Duration::from_secs(1)).await;
            let writes = self.writes().await?;
            if writes != last.0 {
                last = (writes, Instant::now());
            }
            if self.issuers.iter().all(|issuer| is_whole(issuer)) && last.1.elapsed() > SETTLED_FOR {
                return Ok(true);
            }
        }
        self.tell_of_the_broken();
        Ok(false)
    }

    /// The sets that are not whole, and why.
    fn tell_of_the_broken(&self) {
        for issuer in self.issuers.iter().filter(|issuer| !is_whole(issuer)) {
            println!("soak: {} is not whole: {:?}", issuer.name, issuer.chronicle.status().conditions);
        }
    }

    /// Requests for a change of what a KeySet consists of, whoever made them; the soak itself makes none when it asks.
    async fn writes(&self) -> Result<u64, Failure> {
        let requests = self.cluster.requests().await?;
        let of_sets =
            |resource: &str| ["keysets", "signingkeys", "secrets", "configmaps", "events"].contains(&resource);
        Ok(requests.iter().filter(|(it, _)| it.is_write() && of_sets(&it.resource)).map(|(_, count)| count).sum())
    }
}

/// Serves, signs, the next key may sign, and no key is on its way out.
fn is_whole(issuer: &Issuer) -> bool {
    let ends = |next: &NextTransition| {
        matches!(next.waiting_for, Guard::TokenExpiry | Guard::RollbackWindow | Guard::SignerReload)
    };
    let is_ending = issuer.chronicle.status().next_transition.as_ref().is_some_and(ends);
    is_true(issuer, "Ready") && is_true(issuer, "StandbyReady") && !is_ending
}

fn is_true(issuer: &Issuer, r#type: &str) -> bool {
    let conditions = issuer.chronicle.status().conditions;
    conditions.iter().any(|condition| condition.r#type == r#type && condition.status == ConditionStatus::True)
}

/// Tells the chronicles what the API server shows of the KeySets.
async fn watch_key_sets(
    key_sets: Api<KeySet>,
    issuers: Vec<Arc<Issuer>>,
    tally: Arc<Tally>,
) -> Result<(), watcher::Error> {
    let mut events = Box::pin(watcher(key_sets, watcher::Config::default()));
    loop {
        let event = match events.try_next().await {
            Ok(Some(event)) => event,
            Ok(None) => return Ok(()),
            // The watch begins anew by itself.
            Err(_) => continue,
        };
        let (watcher::Event::Apply(key_set) | watcher::Event::InitApply(key_set)) = event else { continue };
        let Some(issuer) = issuers.iter().find(|issuer| Some(&issuer.name) == key_set.metadata.name.as_ref()) else {
            continue;
        };
        if let Some(rotation) = issuer.chronicle.see(&key_set) {
            tally.count(Group::Rotations, &format!("{:?}", rotation.reason));
        }
    }
}

fn endpoint() -> Result<Arc<Endpoint>, Failure> {
    let address = || binary::free_port().map(|port| ([127, 0, 0, 1], port).into());
    Ok(Arc::new(Endpoint::new(address()?, address()?)))
}

const SERVERS: usize = 3;
const CONTROLLERS: usize = 2;
const BETWEEN_KILLS: std::ops::Range<u64> = 5_000..15_000;
const BETWEEN_LINES: Duration = Duration::from_secs(30);
/// The longest promise, the caches, and a controller that was just killed.
const SETTLES_WITHIN: Duration = Duration::from_mins(3);
const SETTLED_FOR: Duration = Duration::from_secs(5);
const QUIET: Duration = Duration::from_mins(1);
