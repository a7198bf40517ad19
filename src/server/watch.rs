//! From the watches to the store.
//!
//! Invariants: an object that cannot be decoded stops no stream; every list is a quorum read, and there is a new one
//! every ten minutes, because a watch is silent after a restore (PROTOCOL 9); losing the API server changes no answer.
//! Secrets are never asked for.

use std::{error::Error, fmt::Debug, future::ready, sync::Arc, time::Duration, time::Instant};

use futures::{Stream, StreamExt, stream};
use kube::{
    Api, Client, Resource,
    core::{DeserializeGuard, NamespaceResourceScope},
    runtime::{WatchStreamExt, watcher},
};
use serde::de::DeserializeOwned;

use super::{
    index::{Answer, Change, Event, Index, Name, Refusal},
    issuers::Standing,
    source::{Candidate, Claim, Record, name},
    store::Store,
};
use crate::{
    api::names,
    issuer::{Consent, Issuer},
    scope::Scope,
    telemetry::server::Metrics,
};

/// Keeps `store` up to date with what is in `scopes`, for ever.
pub(super) async fn run(client: Client, scopes: &[Scope], consent: Consent, store: Arc<Store>, metrics: Metrics) {
    let ours = format!("{}={}", names::LABEL_MANAGED_BY, names::MANAGED_BY);
    let config = watcher::Config::default().timeout(WATCH_SECONDS).page_size(PAGE_SIZE);
    let labelled = config.clone().labels(&ours);
    let mut seen = stream::select_all(scopes.iter().flat_map(|scope| {
        [
            events(&client, scope, &config, &metrics, Claim::of).map(Seen::KeySet).boxed(),
            events(&client, scope, &labelled, &metrics, Candidate::of).map(Seen::ConfigMap).boxed(),
            events(&client, scope, &config, &metrics, Record::of).map(Seen::SigningKey).boxed(),
        ]
    }));

    let mut index = Index::of(scopes, consent);
    while let Some(seen) = seen.next().await {
        let was_complete = index.is_complete();
        let changes = match seen {
            Seen::KeySet(event) => index.key_sets(event),
            Seen::ConfigMap(event) => index.config_maps(event),
            Seen::SigningKey(event) => index.signing_keys(event),
        };
        if changes.is_empty() && was_complete == index.is_complete() {
            continue;
        }
        changes.iter().for_each(log);
        store.apply(changes, Instant::now);
        for refusal in Refusal::ALL {
            metrics.refused(refusal.reason(), index.refused(refusal));
        }
        let (sets, pages) = (store.answers().sets().count(), store.answers().pages.len());
        metrics.sets(sets, pages - sets);
        metrics.fingerprint(store.answers().fingerprint());
    }
}

/// An event of one of the watches.
enum Seen {
    KeySet(Event<Claim>),
    ConfigMap(Event<Candidate>),
    SigningKey(Event<Record>),
}

/// What happens to the objects of a kind, reduced to what `keep` keeps of them.
fn events<K, T: Send + 'static>(
    client: &Client,
    scope: &Scope,
    config: &watcher::Config,
    metrics: &Metrics,
    keep: fn(&K) -> T,
) -> impl Stream<Item = Event<T>> + use<K, T>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let api: Api<DeserializeGuard<K>> = scope.api(client.clone());
    let (scope, config, metrics) = (scope.clone(), config.clone(), metrics.clone());
    metrics.listed(&K::kind(&()), &scope, Instant::now());
    let lists = stream::repeat_with(move || {
        let (scope, mut list, metrics) = (scope.clone(), Vec::new(), metrics.clone());
        watcher(api.clone(), config.clone()).default_backoff().take_until(tokio::time::sleep(RELIST)).filter_map(
            move |event| {
                ready(match event {
                    Ok(event) => {
                        if matches!(event, watcher::Event::InitDone) {
                            metrics.listed(&K::kind(&()), &scope, Instant::now());
                        }
                        reduce(event, &scope, &mut list, |object| read(object, keep, &metrics))
                    }
                    Err(error) => {
                        metrics.watch_error(&K::kind(&()));
                        let error = with_causes(&error);
                        tracing::warn!(kind = %K::kind(&()), error, "A watch failed, and is started again");
                        None
                    }
                })
            },
        )
    });
    lists.flatten()
}

/// The objects of a list come one by one, and count together.
fn reduce<O, T>(
    event: watcher::Event<O>,
    scope: &Scope,
    list: &mut Vec<(Name, Option<T>)>,
    read: impl Fn(&O) -> (Name, Option<T>),
) -> Option<Event<T>> {
    match event {
        watcher::Event::Init => list.clear(),
        watcher::Event::InitApply(object) => list.push(read(&object)),
        watcher::Event::InitDone => return Some(Event::Listed(scope.clone(), std::mem::take(list))),
        watcher::Event::Apply(object) => {
            let (name, object) = read(&object);
            return Some(Event::Written(name, object));
        }
        watcher::Event::Delete(object) => return Some(Event::Deleted(read(&object).0)),
    }
    None
}

fn read<K, T>(object: &DeserializeGuard<K>, keep: fn(&K) -> T, metrics: &Metrics) -> (Name, Option<T>)
where
    K: Resource<DynamicType = ()>,
{
    match &object.0 {
        Ok(object) => (name(object), Some(keep(object))),
        Err(invalid) => {
            let name = name(object);
            metrics.undecodable(&K::kind(&()));
            tracing::warn!(kind = %K::kind(&()), name = name.as_str(), error = %invalid.error, "Could not read an object");
            (name, None)
        }
    }
}

/// An error of the client says what failed only in its causes.
fn with_causes(error: &dyn Error) -> String {
    let mut texts = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        texts.push(error.to_string());
        cause = error.source();
    }
    // Some repeat their cause in their own text.
    texts.dedup_by(|cause, error| error.ends_with(cause.as_str()));
    texts.join(": ")
}

fn log(Change { name, answer, refusal, issuer }: &Change) {
    let set = name.as_str();
    if let Some(Standing::Refused(issuer)) = issuer {
        let issuer = issuer.url();
        tracing::warn!(
            set,
            issuer,
            "Refused the issuer of a set: --allow-issuer-host does not give it, or another has it"
        );
    }
    if let Some(refusal) = refusal {
        tracing::warn!(set, reason = refusal.reason(), "Refused the document of a set, the last good one stays");
        return;
    }
    match answer {
        Answer::Document(document) => {
            let issuer = issuer.as_ref().and_then(Standing::served).map(Issuer::url);
            tracing::info!(set, revision = document.revision, keys = document.kids.len(), issuer, "Served a set");
        }
        Answer::Waiting => tracing::info!(set, "Waited for the document of a set"),
        Answer::Unknown => tracing::info!(set, "Stopped serving a set, nothing of it is left"),
    }
}

/// Of one watch request. A dead connection is noticed this late, so it is shorter than the default.
const WATCH_SECONDS: u32 = 60;
/// Small pages keep the first list small in memory.
const PAGE_SIZE: u32 = 100;
const RELIST: Duration = Duration::from_mins(10);

#[cfg(test)]
mod tests {
    use prometheus_client::{encoding::text::encode, registry::Registry};
    use serde_json::json;

    use super::*;
    use crate::server::source::ServedKeySet;

    #[test]
    fn a_list_counts_when_it_is_whole_and_an_object_that_cannot_be_read_is_in_it() {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let object = |name: &str, max_age: &str| -> DeserializeGuard<ServedKeySet> {
            // What does not concern the server may be of a later version.
            let spec = json!({ "algorithm": "ES999", "publication": { "cacheMaxAge": max_age } });
            let object = json!({ "metadata": { "namespace": "auth", "name": name }, "spec": spec });
            serde_json::from_value(object).unwrap()
        };
        let mut list = Vec::new();
        let mut next = |event| reduce(event, &Scope::Cluster, &mut list, |object| read(object, Claim::of, &metrics));
        assert!(next(watcher::Event::InitApply(object("left", "5m"))).is_none());
        assert!(next(watcher::Event::Init).is_none());
        assert!(next(watcher::Event::InitApply(object("a", "5m"))).is_none());
        assert!(next(watcher::Event::InitApply(object("b", "5 min"))).is_none());
        let Some(Event::Listed(Scope::Cluster, listed)) = next(watcher::Event::InitDone) else { panic!() };
        let listed: Vec<_> = listed.iter().map(|(name, claim)| (name.as_str(), claim.is_some())).collect();
        assert_eq!(listed, [("auth/a", true), ("auth/b", false)]);
        let Some(Event::Written(name, Some(claim))) = next(watcher::Event::Apply(object("a", "5m"))) else { panic!() };
        assert_eq!((name.as_str(), claim.config_map.as_str()), ("auth/a", "auth/a-jwks"));
        let Some(Event::Deleted(name)) = next(watcher::Event::Delete(object("b", "5 min"))) else { panic!() };
        assert_eq!(name.as_str(), "auth/b");
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        assert!(text.contains("keyset_server_undecodable_objects_total{kind=\"KeySet\"} 2\n"), "{text}");
    }

    #[test]
    fn an_error_is_logged_with_its_causes_once_each() {
        let refused = std::io::Error::other(std::io::Error::other("refused"));
        let error = watcher::Error::WatchStartFailed(kube::Error::ReadEvents(refused));
        let text = with_causes(&error);
        assert_eq!(text.matches("refused").count(), 1, "{text}");
    }
}
