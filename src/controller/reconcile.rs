//! One pass over one KeySet: observe, plan, apply, until nothing is left to write.

use std::collections::BTreeSet;
use std::mem::take;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::ResourceExt;
use kube::core::PartialObjectMeta;
use kube::runtime::controller::Action;

use super::apply::apply;
use super::backoff::spread;
use super::clock::now;
use super::context::Context;
use super::error::{Error, RetryClass};
use super::objects::Objects;
use super::observe::observe;
use super::unreadable;
use crate::api::KeySet;
use crate::lifecycle::{Effect, Observed, Plan, Target, Workload, plan};

/// Brings one KeySet to where it should be now; gives when to look again.
pub(super) async fn reconcile(trigger: Arc<PartialObjectMeta<KeySet>>, context: Arc<Context>) -> Result<Action, Error> {
    let _under_way = context.passes.read().await;
    let began = Instant::now();
    let outcome = look_and_write(&trigger, &context).await;
    context.metrics.took(began.elapsed());
    outcome
}

async fn look_and_write(trigger: &PartialObjectMeta<KeySet>, context: &Context) -> Result<Action, Error> {
    let (name, namespace) = (trigger.name_any(), trigger.namespace().unwrap_or_default());
    let uid = trigger.uid().unwrap_or_default();
    let objects = Objects::new(context.client.clone(), &namespace);
    let mut obstacle = None;
    let mut refused = Vec::new();
    let mut known = None;
    for _ in 0..MOST_ROUNDS {
        // A look holds a dozen answers at once: too much for the stack of a task.
        let observed = Box::pin(observe(context, &objects, &name, take(&mut known))).await;
        if let Err(Error::Unreadable { why }) = &observed {
            unreadable::report(context, &objects, trigger, why).await?;
        }
        let Some(mut observed) = observed? else { return Ok(gone(context, &uid)) };
        observed.obstacle = obstacle.take();
        observed.refuse(&refused);
        let plan = plan(&observed, now());
        context.metrics.planned(&observed, &plan);
        if plan.effects.is_empty() && plan.status == observed.key_set.status {
            return Ok(settled(context, &uid, &plan));
        }
        match apply(context, &objects, &observed, &plan).await {
            Ok(()) => known = Some(names_after(&observed, &plan)),
            Err(error) if error.retry_class() == RetryClass::AtOnce => tracing::debug!(%error, "looking again"),
            // A name that only the write finds taken is part of the next look.
            Err(Error::NameConflict { object }) => obstacle = Some(object),
            // Nothing else waits for it. The next pass tries again.
            Err(Error::NotMarked { target, why }) => {
                refused.push(Target { entry: target, workload: Workload::Refused(why) });
            }
            Err(error) => return Err(error),
        }
    }
    Err(Error::Unsettled { rounds: MOST_ROUNDS })
}

/// When to come back after a pass that failed.
#[allow(clippy::needless_pass_by_value, reason = "the signature is that of kube's error policy")]
pub(super) fn retry(trigger: Arc<PartialObjectMeta<KeySet>>, error: &Error, context: Arc<Context>) -> Action {
    let (name, namespace) = (trigger.name_any(), trigger.namespace().unwrap_or_default());
    let uid = trigger.uid().unwrap_or_default();
    let wait = match error.retry_class() {
        RetryClass::AtOnce => Duration::ZERO,
        RetryClass::Soon => spread(SOON, &uid),
        RetryClass::Backoff => context.backoff.failed(&uid),
    };
    context.metrics.failed(error.reason());
    tracing::warn!(%namespace, key_set = %name, %error, reason = error.reason(), wait_ms = wait.as_millis(), "pass failed");
    Action::requeue(wait)
}

/// The SigningKeys that there are after the plan. One that somebody else makes meanwhile is in the way of our next, and
/// wakes the next pass: a set never shrinks because a key is not looked at (PROTOCOL 3).
fn names_after(observed: &Observed, plan: &Plan) -> BTreeSet<String> {
    let seen = observed.keys.iter().map(|key| &key.name).chain(&observed.undecodable).cloned();
    let made = plan.effects.iter().filter_map(|effect| match effect {
        Effect::StageKey { sequence, .. } | Effect::AdoptKey { sequence, .. } | Effect::ImportKey { sequence, .. } => {
            Some(format!("{}-{sequence}", observed.key_set.name))
        }
        _ => None,
    });
    seen.chain(made).collect()
}

fn settled(context: &Context, uid: &str, plan: &Plan) -> Action {
    context.metrics.settled();
    // A stall ends when somebody puts an object right that may be of a kind that is not watched.
    let longest = if plan.is_stalled() {
        context.backoff.failed(uid)
    } else {
        context.backoff.forget(uid);
        // Secrets are not watched.
        spread(LONGEST_WAIT, uid)
    };
    Action::requeue(wait_until(plan.wake_at, now(), longest))
}

fn gone(context: &Context, uid: &str) -> Action {
    context.backoff.forget(uid);
    context.metrics.gone(uid);
    Action::await_change()
}

/// Until the time that the plan names: what a stalled set owes its other keys is due all the same.
fn wait_until(wake_at: Option<Timestamp>, now: Timestamp, longest: Duration) -> Duration {
    // A timer may fire a little early by the wall clock, and the plan would then see nothing to do.
    let wake_at = wake_at.map(|time| Duration::try_from(time.duration_since(now)).unwrap_or_default() + ROUNDED_UP);
    wake_at.map_or(longest, |wait| wait.min(longest))
}

/// More than any healthy pass needs: a bootstrap takes eight.
const MOST_ROUNDS: usize = 24;
const SOON: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_mins(10);
const ROUNDED_UP: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_for_the_plan_and_never_longer_than_the_resync_or_the_backoff() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let in_a_minute = now + jiff::SignedDuration::from_mins(1);
        assert_eq!(wait_until(Some(in_a_minute), now, LONGEST_WAIT), Duration::from_millis(60_001));
        assert_eq!(wait_until(Some(now), in_a_minute, LONGEST_WAIT), ROUNDED_UP);
        assert_eq!(wait_until(None, now, LONGEST_WAIT), LONGEST_WAIT);
        assert_eq!(wait_until(Some(now + jiff::SignedDuration::from_hours(9)), now, LONGEST_WAIT), LONGEST_WAIT);
        assert_eq!(wait_until(Some(in_a_minute), now, Duration::from_secs(1)), Duration::from_secs(1));
    }
}
