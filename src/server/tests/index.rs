//! What is served, as tables of events.

use serde_json::{Value, json};

use super::*;
use crate::server::{
    cache::CacheControl,
    index::{Answer, Change, Refusal},
};

/// What the last event left for the set `a`.
#[derive(Debug, PartialEq, Eq)]
enum Expect {
    Serve(i64, String),
    Waiting,
    Unknown,
}

struct Seen {
    index: Index,
    last: Option<Change>,
}

impl Seen {
    fn started() -> Self {
        let mut seen = Self { index: Index::of(&[Scope::Cluster], consent()), last: None };
        seen.note(|index| index.key_sets(everything(Vec::new())));
        seen.note(|index| index.config_maps(everything(Vec::new())));
        seen.note(|index| index.signing_keys(everything(Vec::new())));
        seen
    }

    fn note(&mut self, event: impl FnOnce(&mut Index) -> Vec<Change>) {
        if let Some(change) = event(&mut self.index).into_iter().find(|change| change.name.as_str() == "auth/a") {
            self.last = Some(change);
        }
    }

    fn status(&mut self, status: &Value) {
        self.note(|index| index.key_sets(written(key_set("a", status))));
    }

    fn config_map(&mut self, revision: &str, document: &str) {
        self.note(|index| index.config_maps(written(config_map("a", revision, document))));
    }

    fn key(&mut self, seed: u8, lifecycle: &Value) {
        self.note(|index| index.signing_keys(written(signing_key("a", seed, lifecycle))));
    }

    fn delete_key_set(&mut self) {
        self.note(|index| index.key_sets(Event::Deleted(Name::new("auth", "a"))));
    }

    fn delete_config_map(&mut self) {
        self.note(|index| index.config_maps(Event::Deleted(Name::new("auth", "a-jwks"))));
    }

    fn delete_key(&mut self, seed: u8) {
        self.note(|index| index.signing_keys(Event::Deleted(Name::new("auth", &format!("a-{seed}")))));
    }

    #[track_caller]
    fn is(&self, expected: &Expect, refusal: Option<Refusal>) {
        let answer = match self.last.as_ref().map(|change| &change.answer) {
            Some(Answer::Document(it)) => {
                assert_eq!(it.digest, Digest::of(&it.bytes));
                let kids: Vec<_> = JwkSet::parse(&it.bytes).unwrap().keys().iter().map(|k| k.kid().clone()).collect();
                assert_eq!(*it.kids, *kids);
                Expect::Serve(it.revision, String::from_utf8(it.bytes.to_vec()).unwrap())
            }
            Some(Answer::Waiting) => Expect::Waiting,
            Some(Answer::Unknown) | None => Expect::Unknown,
        };
        assert_eq!(answer, *expected);
        assert_eq!(self.last.as_ref().and_then(|change| change.refusal), refusal);
        for reason in Refusal::ALL {
            assert_eq!(self.index.refused(reason), usize::from(refusal == Some(reason)), "{reason:?}");
        }
    }
}

fn serve(revision: i64, document: &str) -> Expect {
    Expect::Serve(revision, document.to_owned())
}

#[test]
fn the_accept_pair_lets_the_set_change_in_two_writes_in_either_order_of_watches() {
    let (old, new) = (document(&[1]), document(&[1, 2]));
    for status_first in [true, false] {
        let mut seen = Seen::started();
        seen.status(&json!({}));
        seen.is(&Expect::Waiting, None);
        seen.status(&status(1, &old, &[]));
        seen.is(&Expect::Waiting, Some(Refusal::Missing));
        seen.config_map("1", &old);
        seen.is(&serve(1, &old), None);
        if status_first {
            seen.status(&status(2, &new, &[&old]));
            seen.is(&serve(1, &old), None);
            seen.config_map("2", &new);
        } else {
            seen.config_map("2", &new);
            seen.is(&serve(1, &old), Some(Refusal::NotAccepted));
            seen.status(&status(2, &new, &[&old]));
        }
        seen.is(&serve(2, &new), None);
        seen.status(&status(2, &new, &[]));
        seen.is(&serve(2, &new), None);
    }
}

#[test]
fn a_server_that_starts_between_the_two_writes_serves_the_previous_one() {
    let (old, new) = (document(&[1]), document(&[1, 2]));
    let mut seen = Seen::started();
    seen.config_map("1", &old);
    seen.is(&Expect::Unknown, Some(Refusal::Unrecorded));
    seen.status(&status(7, &new, &[&document(&[9]), &old]));
    seen.is(&serve(5, &old), None);
}

#[test]
fn what_is_not_lawful_is_refused_and_the_last_good_one_stays() {
    let good = document(&[1, 2]);
    let tampered = document(&[1, 2, 3]);
    let private = good.replacen("\"kty\"", "\"d\":\"AAAA\",\"kty\"", 1);
    let empty = json!({ "keys": [] }).to_string();
    let large = format!("{good}{}", " ".repeat(200 * 1024));
    let cases: [(&str, Value, &str, Refusal); 6] = [
        ("tampered", status(3, &good, &[]), &tampered, Refusal::NotAccepted),
        ("private", status(3, &private, &[]), &private, Refusal::Malformed),
        ("empty", status(3, &empty, &[]), &empty, Refusal::Malformed),
        ("too large", status(3, &large, &[]), &large, Refusal::Malformed),
        ("lower", status(2, &tampered, &[]), &tampered, Refusal::LowerRevision),
        ("status lost", json!({}), &tampered, Refusal::NotAccepted),
    ];
    for (case, status_of_case, document_of_case, refusal) in cases {
        println!("{case}");
        let mut fresh = Seen::started();
        fresh.status(&status_of_case);
        fresh.config_map("3", document_of_case);
        if refusal != Refusal::LowerRevision {
            fresh.is(&Expect::Waiting, Some(refusal));
        }

        let mut seen = Seen::started();
        seen.status(&status(3, &good, &[]));
        seen.config_map("3", &good);
        seen.note(|index| index.config_maps(written(config_map("a", "3", document_of_case))));
        seen.status(&status_of_case);
        seen.is(&serve(3, &good), Some(refusal));
        // The repair.
        seen.status(&status(4, &good, &[]));
        seen.config_map("4", &good);
        seen.is(&serve(4, &good), None);
    }
}

#[test]
fn a_previous_digest_is_refused_once_its_successor_was_served() {
    let (old, new) = (document(&[1]), document(&[1, 2]));
    let mut seen = Seen::started();
    seen.status(&status(2, &new, &[&old]));
    seen.config_map("2", &new);
    seen.config_map("1", &old);
    seen.is(&serve(2, &new), Some(Refusal::LowerRevision));
}

#[test]
fn of_two_previous_digests_the_earlier_one_is_refused_once_the_later_one_was_served() {
    let (first, second, third) = (document(&[1]), document(&[1, 2]), document(&[1, 2, 3]));
    let mut seen = Seen::started();
    seen.status(&status(2, &second, &[&first]));
    seen.config_map("2", &second);
    seen.status(&status(3, &third, &[&second, &first]));
    seen.is(&serve(2, &second), None);
    // A writer that was paused for long.
    seen.config_map("1", &first);
    seen.is(&serve(2, &second), Some(Refusal::LowerRevision));
}

#[test]
fn nothing_is_judged_before_all_first_lists_are_complete() {
    let good = document(&[1]);
    let mut index = Index::of(&[Scope::Cluster], consent());
    assert_eq!(index.signing_keys(everything(vec![signing_key("a", 1, &json!({}))])), []);
    // Without its KeySet this looks like a retained document, whose revision is what an annotation says.
    assert_eq!(index.config_maps(everything(vec![config_map("a", "99", &good)])), []);
    assert!(!index.is_complete());
    let changes = index.key_sets(everything(vec![key_set("a", &status(1, &good, &[]))]));
    assert!(index.is_complete());
    let [Change { answer: Answer::Document(document), .. }] = &changes[..] else { panic!("{changes:?}") };
    assert_eq!(document.revision, 1);
}

#[test]
fn a_retained_document_is_served_if_live_signing_keys_vouch_for_every_key() {
    let good = document(&[1, 2]);
    let now = "2026-01-01T00:00:00Z";
    let cases = [
        ("all live", json!({}), true),
        ("retired", json!({ "activationTime": now, "retirementTime": now }), true),
        ("removed", json!({ "removalTime": now }), false),
        ("revoked", json!({ "revocationTime": now }), false),
    ];
    for (case, lifecycle, is_served) in cases {
        println!("{case}");
        let mut seen = Seen::started();
        seen.config_map("5", &good);
        seen.key(1, &json!({}));
        seen.is(&Expect::Unknown, Some(Refusal::Unrecorded));
        seen.key(2, &lifecycle);
        if is_served {
            seen.is(&serve(5, &good), None);
        } else {
            seen.is(&Expect::Unknown, Some(Refusal::Unrecorded));
        }
    }
    // Keys of another KeySet vouch for nothing.
    let mut seen = Seen::started();
    seen.config_map("5", &document(&[1]));
    seen.note(|index| index.signing_keys(written(signing_key("b", 1, &json!({})))));
    seen.is(&Expect::Unknown, Some(Refusal::Unrecorded));
}

#[test]
fn a_set_that_was_served_stays_until_nothing_of_it_is_left() {
    let good = document(&[1]);
    let mut seen = Seen::started();
    seen.key(1, &json!({}));
    seen.status(&status(4, &good, &[]));
    seen.config_map("4", &good);
    seen.delete_config_map();
    seen.is(&serve(4, &good), Some(Refusal::Missing));
    seen.delete_key_set();
    seen.is(&serve(4, &good), None);
    seen.config_map("4", &document(&[6]));
    seen.is(&serve(4, &good), Some(Refusal::Unrecorded));
    seen.config_map("3", &good);
    seen.is(&serve(4, &good), None);
    seen.delete_key(1);
    seen.is(&serve(4, &good), None);
    seen.delete_config_map();
    seen.is(&Expect::Unknown, None);
    // A KeySet of that name begins anew: nothing remembers the revisions of the one that is gone.
    seen.status(&status(1, &good, &[]));
    seen.config_map("1", &good);
    seen.is(&serve(1, &good), None);
}

#[test]
fn a_new_list_means_that_everything_else_is_gone() {
    let good = document(&[1]);
    let mut seen = Seen::started();
    seen.status(&status(1, &good, &[]));
    seen.config_map("1", &good);
    seen.note(|index| index.config_maps(everything(Vec::new())));
    seen.is(&serve(1, &good), Some(Refusal::Missing));
    seen.note(|index| index.key_sets(everything(Vec::new())));
    seen.is(&Expect::Unknown, None);
}

#[test]
fn a_list_of_one_namespace_says_nothing_of_another() {
    let good = document(&[1]);
    let (auth, other) = (Scope::Namespace("auth".into()), Scope::Namespace("other".into()));
    let mut seen = Seen { index: Index::of(&[auth.clone(), other.clone()], consent()), last: None };
    for scope in [&auth, &other] {
        assert!(!seen.index.is_complete());
        seen.note(|index| index.key_sets(Event::Listed(scope.clone(), Vec::new())));
        seen.note(|index| index.config_maps(Event::Listed(scope.clone(), Vec::new())));
        seen.note(|index| index.signing_keys(Event::Listed(scope.clone(), Vec::new())));
    }
    seen.status(&status(1, &good, &[]));
    seen.config_map("1", &good);
    seen.note(|index| index.config_maps(Event::Listed(other.clone(), Vec::new())));
    seen.note(|index| index.key_sets(Event::Listed(other, Vec::new())));
    seen.is(&serve(1, &good), None);
    seen.note(|index| index.config_maps(Event::Listed(auth, Vec::new())));
    seen.is(&serve(1, &good), Some(Refusal::Missing));
}

#[test]
fn an_object_that_cannot_be_read_counts_as_it_was_last_read() {
    let (good, next) = (document(&[1]), document(&[1, 2]));
    let unreadable = || (Name::new("auth", "a"), None);
    let mut seen = Seen::started();
    seen.note(|index| index.key_sets(written(unreadable())));
    seen.is(&Expect::Waiting, Some(Refusal::Unreadable));
    seen.status(&status(1, &good, &[&next]));
    seen.config_map("1", &good);
    for event in [written(unreadable()), everything(vec![unreadable()])] {
        seen.note(|index| index.key_sets(event.clone()));
        seen.is(&serve(1, &good), None);
        assert_eq!(seen.index.key_sets(event), []);
    }
}

#[test]
fn a_new_spec_changes_the_headers_of_the_last_good_document_too() {
    let good = document(&[1]);
    let mut seen = Seen::started();
    seen.status(&status(1, &good, &[]));
    seen.config_map("1", &good);
    seen.delete_config_map();
    let object: ServedKeySet = serde_json::from_value(json!({
        "metadata": { "namespace": "auth", "name": "a" },
        "spec": {
            "algorithm": "EdDSA", "tokens": { "maxLifetime": "1h" },
            "verifiers": { "maxCacheAge": "10s" }, "publication": { "cacheMaxAge": "4s" },
        },
        "status": status(1, &good, &[]),
    }))
    .unwrap();
    seen.note(|index| index.key_sets(Event::Written(Name::new("auth", "a"), Some(Claim::of(&object)))));
    let Some(Change { answer: Answer::Document(document), .. }) = &seen.last else { panic!() };
    assert_eq!(document.cache, CacheControl { max_age: 4, stale_while_revalidate: 1, stale_if_error: 3 });
}

#[test]
fn only_sets_that_change_come_out() {
    let good = document(&[1]);
    let mut world = World::empty();
    world.publish("a", 1, &good);
    assert_eq!(world.index.config_maps(written(config_map("a", "1", &good))), []);
    let changes = world.index.key_sets(written(key_set("b", &json!({}))));
    let names: Vec<_> = changes.iter().map(|change| change.name.as_str()).collect();
    assert_eq!(names, ["auth/b"]);
}
