//! What a replica says of itself.

use super::*;
use crate::{
    jose::KeyId,
    server::{
        index::{Answer, Change},
        report::{ReportError, Reporter},
    },
};

fn reporter(store: Arc<Store>, public: SocketAddr) -> Reporter {
    Reporter { instance: "x".to_owned(), store, public, tls: None }
}

fn kid(seed: u8) -> KeyId {
    jwk(seed).kid().clone()
}

#[tokio::test]
async fn every_set_is_reported_with_revision_and_digest_after_its_route_was_asked() {
    let mut world = World::empty();
    for (name, revision, seeds) in [("a", 3, &[1, 2][..]), ("b", 1, &[3])] {
        world.publish(name, revision, &document(seeds));
    }
    let server = listen(world.store.clone(), None, Limits::default()).await;
    let report = reporter(world.store, server.address).report().await.unwrap();
    let sets: Vec<_> = report.sets.iter().map(|(name, set)| (name.as_str(), set.revision, &set.digest)).collect();
    let (a, b) = (Digest::of(document(&[1, 2])), Digest::of(document(&[3])));
    assert_eq!(sets, [("auth/a", 3, &a), ("auth/b", 1, &b)]);
    assert_eq!(report.instance, "x");
}

#[test]
fn ages_count_from_the_last_moment_without_the_kid() {
    let mut world = World::empty();
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    world.publish_at("a", 1, &document(&[1]), at(0));
    world.publish_at("a", 2, &document(&[1, 2]), at(10));
    world.publish_at("a", 3, &document(&[1, 2]), at(20));
    let ages = |world: &World, now| {
        let keys = world.store.ages(&world.store.answers(), at(now)).remove("auth/a").map(|set| set.keys);
        keys.unwrap_or_default().into_iter().collect::<Vec<_>>()
    };
    let sorted = |mut expected: Vec<(KeyId, Option<f64>)>| {
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        expected
    };
    assert_eq!(ages(&world, 30), sorted(vec![(kid(1), None), (kid(2), Some(20.0))]));
    world.publish_at("a", 4, &document(&[2, 3]), at(40));
    assert_eq!(ages(&world, 50), sorted(vec![(kid(2), Some(40.0)), (kid(3), Some(10.0))]));
    // A key that comes back was missing.
    world.publish_at("a", 5, &document(&[1, 2]), at(60));
    assert_eq!(ages(&world, 60), sorted(vec![(kid(1), Some(0.0)), (kid(2), Some(50.0))]));
}

#[tokio::test]
async fn there_is_no_report_without_evidence() {
    let mut world = World::empty();
    world.publish("a", 1, &document(&[1]));
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = reporter(world.store.clone(), closed).report().await.unwrap_err();
    assert!(matches!(error, ReportError::Connect(_)), "{error}");

    // The route of another store: it does not know the set, or answers another document.
    let empty = listen(World::empty().store, None, Limits::default()).await;
    let error = reporter(world.store.clone(), empty.address).report().await.unwrap_err();
    assert!(matches!(&error, ReportError::Status(status, _) if status.as_u16() == 404), "{error}");
    let mut stale = World::empty();
    stale.publish("a", 1, &document(&[9]));
    let stale = listen(stale.store, None, Limits::default()).await;
    let error = reporter(world.store.clone(), stale.address).report().await.unwrap_err();
    assert!(matches!(error, ReportError::Differs(_)), "{error}");
    assert!(!error.to_string().contains('\n'));

    let own = listen(Arc::default(), None, Limits::default()).await;
    let error = reporter(Arc::default(), own.address).report().await.unwrap_err();
    assert!(matches!(error, ReportError::Starting), "{error}");
}

#[tokio::test]
async fn a_store_that_moves_on_meanwhile_is_asked_again() {
    let mut world = World::empty();
    world.publish("a", 1, &document(&[1]));
    let server = listen(world.store.clone(), None, Limits::default()).await;
    let reporter = reporter(world.store.clone(), server.address);
    for revision in 2..60 {
        let seeds: Vec<u8> = (1..=revision).collect();
        let (report, ()) = tokio::join!(reporter.report(), async {
            tokio::task::yield_now().await;
            world.publish("a", revision.into(), &document(&seeds));
        });
        let set = report.unwrap().sets.remove("auth/a").unwrap();
        assert!([revision - 1, revision].map(i64::from).contains(&set.revision));
    }
}

#[test]
fn a_set_that_is_gone_is_remembered_without_a_key() {
    let mut world = World::empty();
    let now = Instant::now();
    world.publish_at("a", 7, &document(&[1]), now);
    let gone = Change { name: Name::new("auth", "a"), answer: Answer::Unknown, refusal: None, issuer: None };
    world.store.apply(vec![gone], || now);
    let set = world.store.ages(&world.store.answers(), now).remove("auth/a").unwrap();
    assert_eq!((set.revision, set.keys.len()), (7, 0));
    world.publish_at("a", 8, &document(&[2]), now);
    let set = world.store.ages(&world.store.answers(), now).remove("auth/a").unwrap();
    assert_eq!((set.revision, set.keys.len()), (8, 1));
}

#[test]
fn the_fingerprint_differs_as_soon_as_one_set_does() {
    let of = |sets: &[(&str, &[u8])]| {
        let mut world = World::empty();
        for (name, seeds) in sets {
            world.publish(name, 1, &document(seeds));
        }
        world.store.answers().fingerprint()
    };
    let both = of(&[("a", &[1]), ("b", &[2])]);
    assert_eq!(both, of(&[("b", &[2]), ("a", &[1])]));
    for other in [&[("a", &[1_u8][..])][..], &[("a", &[1]), ("b", &[1])], &[("a", &[2]), ("b", &[1])], &[]] {
        assert_ne!(both, of(other), "{other:?}");
    }
}
