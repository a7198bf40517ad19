//! Kubernetes Events: best effort, told after the fact, never waited for.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Resource;
use kube::runtime::events::{Event as KubeEvent, EventType, Recorder, Reporter};

use crate::api::{KeySet, SigningKey};
use crate::lifecycle::Event;

/// Tells people what happened to KeySets.
#[derive(Clone)]
pub(super) struct Events {
    recorder: Recorder,
}

impl Events {
    /// Events are reported in the name of `instance`, the identity of this replica.
    pub(super) fn new(client: kube::Client, instance: &str) -> Self {
        let reporter = Reporter { controller: CONTROLLER.to_owned(), instance: Some(instance.to_owned()) };
        Self { recorder: Recorder::new(client, reporter) }
    }

    /// Tells one event about a KeySet, in the background: a namespace in deletion refuses events, and nothing may
    /// depend on them.
    pub(super) fn tell(&self, namespace: &str, name: &str, uid: &str, event: &Event) {
        let about = ObjectReference { uid: Some(uid.to_owned()), ..reference::<KeySet>(namespace, name) };
        let event = KubeEvent {
            type_: if event.reason.is_warning() { EventType::Warning } else { EventType::Normal },
            reason: event.reason.as_str().to_owned(),
            note: Some(event.note.chars().take(LONGEST_NOTE).collect()),
            action: event.reason.as_str().to_owned(),
            // Also keeps events about two keys from being counted as one that repeats.
            secondary: event.key.as_ref().map(|key| reference::<SigningKey>(namespace, key)),
        };
        let recorder = self.recorder.clone();
        tokio::spawn(async move {
            if let Err(error) = recorder.publish(&event, &about).await {
                tracing::debug!(%error, reason = event.reason, "an event was not taken");
            }
        });
    }
}

fn reference<K: Resource<DynamicType = ()>>(namespace: &str, name: &str) -> ObjectReference {
    ObjectReference {
        api_version: Some(K::api_version(&()).into_owned()),
        kind: Some(K::kind(&()).into_owned()),
        namespace: Some(namespace.to_owned()),
        name: Some(name.to_owned()),
        ..ObjectReference::default()
    }
}

const CONTROLLER: &str = "keyset.dev/controller";
/// The API's bound is 1 kB.
const LONGEST_NOTE: usize = 250;
