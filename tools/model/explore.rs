//! The explorer: every state that can be reached, breadth first, so that the first trace to a state is a shortest one.
//!
//! A state is kept only while it waits to be looked at; of the others a fingerprint of 64 bits and the step that led
//! there remain. Two threads share the work of a level.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::cast::{BROUGHT, KIDS};
use crate::coverage::Coverage;
use crate::laws::Law;
use crate::scenario::{Scenario, Start};
use crate::state::State;
use crate::world::{Next, Step, World};

/// What was found in a scenario.
pub(crate) struct Found {
    pub(crate) states: usize,
    pub(crate) depth: usize,
    /// Whether every reachable state was looked at.
    pub(crate) is_complete: bool,
    /// How many states were left alone, on their own.
    pub(crate) rested: usize,
    /// Of each broken law: how many states break it, and the first of them with the way there.
    pub(crate) violations: BTreeMap<Law, (usize, Vec<Step>)>,
    pub(crate) coverage: Coverage,
}

/// Whether to go on after a violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// Until all is seen.
    Complete,
    /// Until the first violation.
    Violated,
}

type Fingerprints = HashSet<u64, BuildHasherDefault<Identity>>;

struct Shards(Vec<Mutex<Fingerprints>>);

/// A state, and where it was reached from: the index of the state and of the step.
type Reached = (u32, u16, State);

#[derive(Default)]
struct Level {
    reached: Vec<Reached>,
    violations: Vec<(Law, u32, Option<u16>)>,
    coverage: Coverage,
    rested: usize,
}

impl World {
    /// The state in which the scenario begins; and the law that is broken if it does not come to the rest it begins with.
    pub(crate) fn start(&self) -> (State, Option<Law>) {
        let mut state = State { budget: self.scenario.budget, ..State::default() };
        state.objects.status = 0;
        self.follow_all(&mut state);
        if self.scenario.start == Start::Elsewhere {
            for kid in (0..KIDS).filter(|kid| *kid != usize::from(BROUGHT)) {
                state.ghosts.without[kid] = state.tick + 1;
            }
        }
        if self.scenario.start == Start::AtRest {
            match self.alone().rest(&state, |_| false, |_, _| ()) {
                Ok(rested) => state = State { budget: self.scenario.budget, ..rested },
                Err((law, _)) => return (state, Some(law)),
            }
        }
        (state, None)
    }

    /// The same world with one controller: clocks that are apart would never rest.
    fn alone(&self) -> Self {
        let scenario = Scenario { controllers: 1, ..self.scenario.clone() };
        Self { mind: Arc::clone(&self.mind), scenario, lifetimes: self.lifetimes.clone(), ..*self }
    }

    /// Explores the scenario.
    pub(crate) fn explore(&self, until: Until) -> Found {
        let (start, restless) = self.start();
        let (visited, rested) = (Shards::new(), Shards::new());
        visited.insert(&start);
        let mut parents: Vec<(u32, u16)> = vec![(0, 0)];
        let mut frontier: Vec<(u32, State)> = vec![(0, start)];
        let mut found = Found {
            states: 0,
            depth: 0,
            is_complete: true,
            rested: 0,
            violations: restless.map(|law| (law, (1, Vec::new()))).into_iter().collect(),
            coverage: Coverage::default(),
        };
        while !frontier.is_empty() {
            let mut next = Vec::new();
            for level in self.level(&frontier, &visited, &rested) {
                for (law, from, step) in level.violations {
                    let entry = found.violations.entry(law).or_insert_with(|| (0, self.path(&parents, from, step)));
                    entry.0 += 1;
                }
                found.coverage.add(&level.coverage);
                found.rested += level.rested;
                for (from, step, state) in level.reached {
                    parents.push((from, step));
                    next.push((u32::try_from(parents.len() - 1).unwrap_or(u32::MAX), state));
                }
            }
            frontier = next;
            found.depth += usize::from(!frontier.is_empty());
            let is_over = until == Until::Violated && !found.violations.is_empty();
            if is_over || parents.len() > self.scenario.most {
                found.is_complete = frontier.is_empty();
                break;
            }
        }
        found.states = parents.len();
        found
    }

    fn level(&self, frontier: &[(u32, State)], visited: &Shards, rested: &Shards) -> Vec<Level> {
        let next = AtomicUsize::new(0);
        let work = || {
            let mut level = Level::default();
            let mut steps = Vec::new();
            loop {
                let from = next.fetch_add(CHUNK, Ordering::Relaxed);
                if from >= frontier.len() {
                    return level;
                }
                for (index, state) in &frontier[from..frontier.len().min(from + CHUNK)] {
                    self.expand(*index, state, &mut steps, visited, rested, &mut level);
                }
            }
        };
        if frontier.len() <= CHUNK {
            return vec![work()];
        }
        thread::scope(|scope| {
            let other = scope.spawn(work);
            let mine = work();
            other.join().into_iter().chain([mine]).collect()
        })
    }

    fn expand(
        &self,
        index: u32,
        state: &State,
        steps: &mut Vec<Next>,
        visited: &Shards,
        rested: &Shards,
        level: &mut Level,
    ) {
        if self.scenario.comes_to_rest {
            let mut path = Vec::new();
            let is_known = |state: &State| {
                let known = rested.contains(state);
                path.push(fingerprint(state));
                known
            };
            match self.rest(state, is_known, |_, _| ()) {
                Ok(_) => level.rested += usize::from(rested.insert_all(&path)),
                Err((law, _)) => level.violations.push((law, index, None)),
            }
        }
        steps.clear();
        self.steps(state, steps);
        for (number, (step, next, law)) in (0..).zip(steps.iter()) {
            level.coverage.note(self, state, *step, next);
            let law = law.or_else(|| self.broken(next));
            if !visited.insert(next) {
                continue;
            }
            match law {
                Some(law) => level.violations.push((law, index, Some(number))),
                None => level.reached.push((index, number, *next)),
            }
        }
    }

    /// The steps that lead to a state, and one beyond.
    fn path(&self, parents: &[(u32, u16)], index: u32, last: Option<u16>) -> Vec<Step> {
        let mut numbers: Vec<u16> = last.into_iter().collect();
        let mut at = index;
        while at != 0 {
            let (from, step) = parents[at as usize];
            numbers.push(step);
            at = from;
        }
        let (mut state, _) = self.start();
        let mut path = Vec::new();
        let mut steps = Vec::new();
        for number in numbers.into_iter().rev() {
            steps.clear();
            self.steps(&state, &mut steps);
            let Some((step, next, _)) = steps.get(usize::from(number)) else { break };
            path.push(*step);
            state = *next;
        }
        path
    }
}

impl Shards {
    fn new() -> Self {
        Self((0..SHARDS).map(|_| Mutex::default()).collect())
    }

    /// Whether the state is new.
    fn insert(&self, state: &State) -> bool {
        self.insert_print(fingerprint(state))
    }

    fn insert_print(&self, print: u64) -> bool {
        self.shard(print).lock().unwrap_or_else(PoisonError::into_inner).insert(print)
    }

    /// Whether any of them is new.
    fn insert_all(&self, prints: &[u64]) -> bool {
        // Each is put in, so the first that is new must not end it.
        prints.iter().filter(|print| self.insert_print(**print)).count() > 0
    }

    fn contains(&self, state: &State) -> bool {
        let print = fingerprint(state);
        self.shard(print).lock().unwrap_or_else(PoisonError::into_inner).contains(&print)
    }

    fn shard(&self, print: u64) -> &Mutex<Fingerprints> {
        &self.0[(print % SHARDS as u64) as usize]
    }
}

fn fingerprint(state: &State) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}

/// A fingerprint is its own hash.
#[derive(Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash << 8 | u64::from(*byte));
    }

    fn write_u64(&mut self, print: u64) {
        // The low bits chose the shard.
        self.0 = print.rotate_left(32);
    }
}

const SHARDS: usize = 64;
/// States that a thread takes at once.
const CHUNK: usize = 64;
