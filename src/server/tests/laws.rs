//! What holds whatever the watches bring, and in whatever order.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*, sample::subsequence};
use serde_json::json;

use super::*;
use crate::server::index::{Answer, Change};

/// Something happens to the set `a` or to what belongs to it. A document is named by the seeds of its keys.
#[derive(Clone, Debug)]
enum Step {
    Status { revision: i64, current: Vec<u8>, previous: Vec<u8> },
    DeleteKeySet,
    ConfigMap { revision: i64, seeds: Vec<u8> },
    DeleteConfigMap,
    Key { seed: u8, is_live: bool },
    DeleteKey(u8),
}

/// The objects as they are now, judged in the simplest way.
#[derive(Default)]
struct Truth {
    status: Option<(i64, Vec<u8>, Vec<u8>)>,
    config_map: Option<Vec<u8>>,
    keys: BTreeMap<u8, bool>,
}

impl Truth {
    fn is_lawful(&self, revision: i64, digest: &Digest) -> bool {
        let is = |seeds: &[u8]| *digest == Digest::of(document(seeds));
        let Some(seeds) = self.config_map.as_ref().filter(|seeds| is(seeds)) else { return false };
        match &self.status {
            Some((accepted, current, previous)) => {
                is(current) && revision == *accepted || is(previous) && revision == accepted - 1
            }
            None => seeds.iter().all(|seed| self.keys.get(seed) == Some(&true)),
        }
    }

    fn is_nothing(&self) -> bool {
        self.status.is_none() && self.config_map.is_none() && self.keys.is_empty()
    }
}

fn step() -> impl Strategy<Value = Step> {
    let seeds = || subsequence(vec![1_u8, 2, 3], 1..=2);
    prop_oneof![
        4 => (2_i64..5, seeds(), seeds())
            .prop_map(|(revision, current, previous)| Step::Status { revision, current, previous }),
        1 => Just(Step::DeleteKeySet),
        4 => (1_i64..5, seeds()).prop_map(|(revision, seeds)| Step::ConfigMap { revision, seeds }),
        1 => Just(Step::DeleteConfigMap),
        3 => (1_u8..4, any::<bool>()).prop_map(|(seed, is_live)| Step::Key { seed, is_live }),
        1 => (1_u8..4).prop_map(Step::DeleteKey),
    ]
}

fn take(step: &Step, index: &mut Index, truth: &mut Truth) -> Vec<Change> {
    match step {
        Step::Status { revision, current, previous } => {
            truth.status = Some((*revision, current.clone(), previous.clone()));
            let status = status(*revision, &document(current), &[&document(previous)]);
            index.key_sets(written(key_set("a", &status)))
        }
        Step::DeleteKeySet => {
            truth.status = None;
            index.key_sets(Event::Deleted(Name::new("auth", "a")))
        }
        Step::ConfigMap { revision, seeds } => {
            truth.config_map = Some(seeds.clone());
            index.config_maps(written(config_map("a", &revision.to_string(), &document(seeds))))
        }
        Step::DeleteConfigMap => {
            truth.config_map = None;
            index.config_maps(Event::Deleted(Name::new("auth", "a-jwks")))
        }
        Step::Key { seed, is_live } => {
            truth.keys.insert(*seed, *is_live);
            let lifecycle = if *is_live { json!({}) } else { json!({ "removalTime": "2026-01-01T00:00:00Z" }) };
            index.signing_keys(written(signing_key("a", *seed, &lifecycle)))
        }
        Step::DeleteKey(seed) => {
            truth.keys.remove(seed);
            index.signing_keys(Event::Deleted(Name::new("auth", &format!("a-{seed}"))))
        }
    }
}

proptest! {
    #[test]
    fn only_lawful_documents_in_rising_order_and_none_is_taken_back(steps in vec(step(), 1..60)) {
        let (mut world, mut truth) = (World::empty(), Truth::default());
        let mut served: Option<(i64, Digest)> = None;
        for step in steps {
            for change in take(&step, &mut world.index, &mut truth) {
                match change.answer {
                    Answer::Document(new) => {
                        let new = (new.revision, new.digest);
                        if served.as_ref() != Some(&new) {
                            prop_assert!(truth.is_lawful(new.0, &new.1), "{step:?} unlawful");
                            prop_assert!(served.is_none_or(|old| old.0 <= new.0), "{step:?} falls");
                        }
                        served = Some(new);
                    }
                    Answer::Waiting => prop_assert!(served.is_none() && truth.status.is_some(), "{step:?} takes back"),
                    Answer::Unknown => {
                        prop_assert!(served.is_none() || truth.is_nothing(), "{step:?} takes back");
                        served = None;
                    }
                }
            }
            // What is lawful is served, unless a higher revision was.
            if let (Some((revision, current, _)), Some(config_map)) = (&truth.status, &truth.config_map)
                && current == config_map
            {
                prop_assert!(served.as_ref().is_some_and(|served| served.0 >= *revision), "{step:?} is not served");
            }
        }
    }
}
