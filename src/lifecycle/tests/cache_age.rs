//! A shorter `C`: copies that were taken before the edit live for as long as they were allowed to.

use jiff::SignedDuration;

use super::worlds::fresh;
use crate::lifecycle::Clock;

#[test]
fn a_lowered_cache_age_counts_one_old_cache_age_longer() {
    let mut world = fresh();
    world.run_for("30h");
    let edited = world.now;
    world.edit(|spec| spec.verifiers.max_cache_age = "1h".parse().unwrap());
    // The standby has waited its old wait; the key staged when it takes over may meet copies from before the edit.
    world.edit(|spec| spec.rotation.after = Some(edited));
    world.run_for("10s");
    assert_eq!(world.signing_name().as_deref(), Some("pay-2"));
    let next = world.key_set.status.keys.iter().find(|key| key.name == "pay-3").unwrap();
    assert!(next.earliest_activation_time.unwrap() >= edited + SignedDuration::from_hours(24));
}

#[test]
fn a_lowered_cache_age_holds_new_keys_back_until_its_very_end() {
    let mut world = fresh();
    world.edit(|spec| spec.verifiers.max_cache_age = "1h".parse().unwrap());
    world.settle();
    // One old C + S.
    let end = world.after("24h5m");
    let told = [-1, 0].map(|offset| {
        world.advance_to(end + SignedDuration::from_secs(offset));
        world.settle();
        world.key_set.status.earliest_activation_time
    });
    assert_eq!(told, [Some(end), None]);
}

#[test]
fn a_window_that_was_told_is_not_told_anew_when_the_cache_age_is_lowered() {
    let mut world = fresh();
    assert_eq!(world.condition("UnknownKeyIDWindow").as_deref(), Some("True/FirstKey"));
    world.run_for("25h");
    assert_eq!(world.condition("UnknownKeyIDWindow"), None);
    world.edit(|spec| spec.verifiers.max_cache_age = "1h".parse().unwrap());
    world.run_for("1s");
    assert_eq!(world.condition("UnknownKeyIDWindow"), None);
}

#[test]
fn a_lowered_cache_age_is_not_acknowledged_by_a_clock_that_is_behind() {
    let mut world = fresh();
    world.run_for("30h");
    let truth = world.now;
    world.clock = Clock::Untrusted("3 days behind the API server".to_owned());
    world.now = truth - SignedDuration::from_hours(72);
    world.edit(|spec| spec.verifiers.max_cache_age = "1h".parse().unwrap());
    world.settle();
    assert_eq!(world.key_set.status.observed_generation, Some(1));
    world.now = truth;
    world.clock = Clock::Trusted;
    world.edit(|spec| spec.rotation.after = Some(truth));
    world.run_for("10s");
    let next = world.key_set.status.keys.iter().find(|key| key.name == "pay-3").unwrap();
    assert!(next.earliest_activation_time.unwrap() >= truth + SignedDuration::from_hours(24));
}
