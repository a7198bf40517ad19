//! The issuer: what the status lets servers serve, what the ConfigMap keeps, and what an obstacle costs.

use super::world::World;
use super::worlds::{ask, on_request, steady};
use crate::lifecycle::{Effect, EventReason, IssuerObstacle, PublishCause, Published};

const ISSUER: &str = "https://login.example.com";

fn name(world: &mut World, issuer: Option<&str>) {
    world.edit(|spec| spec.publication.issuer = issuer.map(ToOwned::to_owned));
}

/// What the status says that may be served.
fn accepted(world: &World) -> Option<&str> {
    world.key_set.status.publication.as_ref()?.issuer.as_deref()
}

/// What the ConfigMap keeps for when the KeySet is gone.
fn kept(world: &World) -> Option<&str> {
    let Published::Ours(document) = &world.published else { return None };
    document.issuer.as_deref()
}

fn message(world: &World, r#type: &str) -> String {
    let conditions = &world.key_set.status.conditions;
    conditions.iter().find(|it| it.r#type == r#type).unwrap().message.clone()
}

#[test]
fn a_new_set_has_its_issuer_from_the_first_write_on() {
    let mut world = World::at_defaults();
    name(&mut world, Some(ISSUER));
    world.settle();
    assert_eq!((accepted(&world), kept(&world)), (Some(ISSUER), Some(ISSUER)));
    assert_eq!(world.condition("Accepted").as_deref(), Some("True/Accepted"));
    world.run_for("30h");
    assert_eq!((accepted(&world), kept(&world)), (Some(ISSUER), Some(ISSUER)));
    let written = world.log.len();
    world.settle();
    assert_eq!(world.log.len(), written, "a settled set gets no write");
}

#[test]
fn an_issuer_that_comes_later_is_one_write_of_the_config_map_and_no_event() {
    let mut world = steady();
    name(&mut world, Some(ISSUER));
    let plan = world.plan();
    let [Effect::ApplyConfigMap { issuer: Some(issuer), cause: PublishCause::Issuer, .. }] = plan.effects.as_slice()
    else {
        panic!("{:?}", plan.effects)
    };
    assert_eq!(issuer, ISSUER);
    let (written, told) = (world.log.len(), world.told.len());
    world.settle();
    assert_eq!((accepted(&world), kept(&world)), (Some(ISSUER), Some(ISSUER)));
    assert_eq!((world.log.len(), world.told.len()), (written + 1, told));
}

#[test]
fn a_lost_annotation_is_written_again() {
    let mut world = steady();
    name(&mut world, Some(ISSUER));
    world.settle();
    let Published::Ours(document) = &mut world.published else { panic!() };
    document.issuer = Some("https://other.example.com".to_owned());
    world.settle();
    assert_eq!(kept(&world), Some(ISSUER));
}

#[test]
fn an_issuer_that_is_not_to_be_had_stalls_and_costs_the_set_nothing_else() {
    let taken = IssuerObstacle::Taken { by: "shop/a".to_owned() };
    for (obstacle, reason, why) in [
        (
            IssuerObstacle::NotAllowed,
            "IssuerNotAllowed",
            "publication.issuer is not served: its host is not given to namespace auth. Ask the administrator of the operator for it (--allow-issuer-host, issuerHosts in the chart).",
        ),
        (
            taken,
            "IssuerConflict",
            "publication.issuer is not served: the older KeySet shop/a is at that URL. Take it out of one of them.",
        ),
    ] {
        let mut world = on_request();
        name(&mut world, Some(ISSUER));
        world.issuer = Some(obstacle);
        let plan = world.settle();
        assert!(plan.is_stalled());
        assert_eq!((accepted(&world), kept(&world)), (None, None));
        for r#type in ["Accepted", "Ready"] {
            assert_eq!(world.condition(r#type), Some(format!("False/{reason}")));
        }
        assert_eq!(world.condition("Stalled"), Some(format!("True/{reason}")));
        assert_eq!(message(&world, "Accepted"), why);
        assert_eq!(message(&world, "Ready"), format!("{why} The set is served as it was."));
        assert!(world.told.iter().any(|event| event.reason == EventReason::NotAccepted && event.note == why));
        ask(&mut world, "2026-01-02T00:30:00Z");
        world.settle();
        assert_eq!(world.signing_name().as_deref(), Some("pay-2"), "the rotation goes on");

        world.issuer = None;
        let plan = world.settle();
        assert!(!plan.is_stalled());
        assert_eq!((accepted(&world), kept(&world)), (Some(ISSUER), Some(ISSUER)));
        assert_eq!(world.condition("Ready").as_deref(), Some("True/Serving"));
    }
}

#[test]
fn a_consent_that_is_withdrawn_takes_the_issuer_out_of_status_and_config_map() {
    let mut world = steady();
    name(&mut world, Some(ISSUER));
    world.settle();
    world.issuer = Some(IssuerObstacle::NotAllowed);
    world.settle();
    assert_eq!((accepted(&world), kept(&world)), (None, None));
}
