//! Workloads of a world: Pods that read their key only when they start.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::World;
use crate::api::{RolloutTarget, WorkloadKind};
use crate::jose::KeyId;
use crate::lifecycle::{Mark, Pods, Signer, Target, Workload};

/// A Deployment.
pub(crate) struct Running {
    pub(crate) name: String,
    pub(crate) exists: bool,
    /// What the API server says to whoever looks at it.
    pub(crate) refused: bool,
    /// Its Pods start anew as soon as time passes.
    pub(crate) follows: bool,
    uid: String,
    pub(crate) mark: Option<Mark>,
    pub(crate) pods: Vec<Pod>,
    /// When the last Pod with a key ended.
    ended: BTreeMap<KeyId, Timestamp>,
}

/// A Pod, which has the key of the time when it started.
#[derive(Clone)]
pub(crate) struct Pod {
    pub(crate) key_id: KeyId,
    is_current: bool,
}

impl Running {
    /// Until when any Pod of it had the key: none ever, some time, or even now.
    pub(crate) fn held_until(&self, kid: &KeyId, now: Timestamp) -> Option<Timestamp> {
        let held = self.pods.iter().any(|pod| pod.key_id == *kid);
        if held { Some(now) } else { self.ended.get(kid).copied() }
    }

    /// The keys that a Pod of it had at some time since then.
    pub(crate) fn kids_since(&self, time: Timestamp) -> Vec<KeyId> {
        let ended = self.ended.iter().filter(|(_, end)| **end >= time).map(|(kid, _)| kid);
        self.pods.iter().map(|pod| &pod.key_id).chain(ended).cloned().collect()
    }
}

impl World {
    /// A workload with two Pods that have the key of now, if there is one. Nobody has told the KeySet of it.
    pub(crate) fn deploy(&mut self, name: &str) {
        let uid = self.fence().uid;
        let mut running = Running {
            name: name.to_owned(),
            exists: self.signing_kid().is_some(),
            refused: false,
            follows: false,
            uid,
            mark: None,
            pods: Vec::new(),
            ended: BTreeMap::new(),
        };
        if let Some(key_id) = self.signing_kid() {
            running.pods = vec![Pod { key_id, is_current: true }; 2];
        }
        self.workloads.push(running);
    }

    /// A workload whose Pods still have the key with that sequence.
    pub(crate) fn deploy_at(&mut self, name: &str, sequence: i64) {
        self.deploy(name);
        let key_id = self.key(sequence).kid().unwrap().clone();
        self.workloads.last_mut().unwrap().pods = vec![Pod { key_id, is_current: true }];
    }

    /// Lists the workload in the spec.
    pub(crate) fn target(&mut self, name: &str) {
        let entry = entry(name);
        self.edit(|spec| {
            spec.signers.rollout_targets.retain(|it| *it != entry);
            spec.signers.rollout_targets.push(entry);
        });
    }

    /// What the controller finds of the entries of the spec.
    pub(crate) fn targets(&self) -> Vec<Target> {
        let entries = self.key_set.spec.signers.rollout_targets.iter();
        let found = |entry: &RolloutTarget| match self.workloads.iter().find(|it| it.name == entry.name && it.exists) {
            None => Workload::Absent,
            Some(running) if running.refused => Workload::Refused("nobody may read it".to_owned()),
            Some(Running { uid, mark, pods, .. }) => {
                let pods = if pods.iter().all(|pod| pod.is_current) {
                    Pods::Current
                } else {
                    Pods::Outdated("its rollout has not come to an end".to_owned())
                };
                Workload::Found { uid: uid.clone(), mark: mark.clone(), pods }
            }
        };
        entries.map(|entry| Target { entry: entry.clone(), workload: found(entry) }).collect()
    }

    /// The workloads that the spec lists.
    pub(crate) fn listed(&self) -> impl Iterator<Item = &Running> {
        let entries = &self.key_set.spec.signers.rollout_targets;
        self.workloads.iter().filter(|running| entries.iter().any(|entry| entry.name == running.name))
    }

    pub(crate) fn mark(&mut self, target: &RolloutTarget, uid: &str, mark: Mark) {
        let running = self.workloads.iter_mut().find(|it| it.name == target.name && it.exists).unwrap();
        assert_eq!(running.uid, uid, "another workload of that name");
        assert!(!running.refused, "it may not be read");
        assert_ne!(running.mark.as_ref(), Some(&mark), "a write that changes nothing");
        running.mark = Some(mark);
        running.pods.iter_mut().for_each(|pod| pod.is_current = false);
    }

    /// So many Pods of the workload that are not of its template start anew.
    pub(crate) fn restart_pods(&mut self, index: usize, count: usize) {
        let (now, signing) = (self.now, self.signing_kid());
        let Some((running, key_id)) = self.workloads.get_mut(index).zip(signing) else { return };
        for pod in running.pods.iter_mut().filter(|pod| !pod.is_current).take(count) {
            if pod.key_id != key_id {
                running.ended.insert(pod.key_id.clone(), now);
            }
            *pod = Pod { key_id: key_id.clone(), is_current: true };
        }
        self.note_lifetime();
    }

    /// A Pod dies and starts anew from the template that it had.
    pub(crate) fn crash_pod(&mut self, index: usize) {
        let (now, signing) = (self.now, self.signing_kid());
        let Some((running, key_id)) = self.workloads.get_mut(index).zip(signing) else { return };
        let Some(pod) = running.pods.first_mut().filter(|pod| pod.key_id != key_id) else { return };
        running.ended.insert(std::mem::replace(&mut pod.key_id, key_id), now);
    }

    /// The workload goes with all its Pods.
    pub(crate) fn undeploy(&mut self, index: usize) {
        let now = self.now;
        let Some(running) = self.workloads.get_mut(index) else { return };
        running.exists = false;
        for pod in std::mem::take(&mut running.pods) {
            running.ended.insert(pod.key_id, now);
        }
    }

    /// It comes back under another UID, without a mark.
    pub(crate) fn deploy_again(&mut self, index: usize) {
        let (uid, signing) = (self.fence().uid, self.signing_kid());
        let Some((running, key_id)) = self.workloads.get_mut(index).zip(signing) else { return };
        if !running.exists {
            let pods = vec![Pod { key_id, is_current: true }; 2];
            *running = Running {
                exists: true,
                mark: None,
                uid,
                pods,
                name: running.name.clone(),
                ended: running.ended.clone(),
                ..*running
            };
        }
    }

    /// What the controllers of workloads do as time passes.
    pub(crate) fn roll_out(&mut self) {
        for index in 0..self.workloads.len() {
            if self.workloads[index].follows {
                self.restart_pods(index, usize::MAX);
            }
        }
    }

    fn signing_kid(&self) -> Option<KeyId> {
        match &self.signer {
            Signer::Ours(signer) => Some(signer.key_id.clone()),
            Signer::Absent | Signer::Foreign | Signer::Illegible(_) => None,
        }
    }
}

fn entry(name: &str) -> RolloutTarget {
    RolloutTarget { kind: WorkloadKind::Deployment, name: name.to_owned() }
}
