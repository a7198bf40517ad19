//! The clock of the controller, and whether it may be believed (PROTOCOL 5).
//!
//! The only place that reads the wall clock. It is compared with the API server's `Date`, so that two controllers
//! agree, and with the monotonic clock, so that a jump is noticed between two comparisons.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;

use super::error::Error;
use super::objects::within;
use crate::lifecycle::Clock;

/// The wall clock, to the millisecond: nothing finer is stored.
#[allow(clippy::disallowed_methods, reason = "the one place that reads the time")]
pub(crate) fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

/// What is remembered of earlier looks at the clocks.
#[derive(Default)]
pub(super) struct Watch {
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    compared: Option<Comparison>,
    jump: Option<Jump>,
}

#[derive(Clone, Copy)]
struct Comparison {
    wall: Timestamp,
    steady: Instant,
    /// How far the wall clock is ahead of the API server's.
    ahead: SignedDuration,
}

/// The wall clock moved otherwise than the monotonic one.
#[derive(Clone, Copy)]
struct Jump {
    seen: Instant,
    by: SignedDuration,
}

impl Watch {
    /// Whether `now()` may be believed, for a KeySet whose clocks differ by at most `skew`.
    pub(super) async fn judge(&self, client: &kube::Client, skew: SignedDuration) -> Result<Clock, Error> {
        let mut memory = self.memory.lock().await;
        let (wall, steady) = (now(), Instant::now());
        let jumped = memory.compared.map_or(SignedDuration::ZERO, |before| jump(&before, wall, steady));
        if jumped.abs() >= SMALLEST_JUMP {
            memory.jump = Some(Jump { seen: steady, by: jumped });
        }
        // Every KeySet is to see it, whoever looked first.
        memory.jump = memory.jump.filter(|jump| steady.duration_since(jump.seen) < DOUBTED_FOR);
        let fresh = memory.compared.filter(|before| steady.duration_since(before.steady) < COMPARED_EVERY);
        let compared = match fresh.filter(|_| jumped.abs() < SMALLEST_JUMP) {
            Some(before) => before,
            None => compare(client).await?,
        };
        memory.compared = Some(compared);
        Ok(verdict(compared.ahead, memory.jump.map_or(SignedDuration::ZERO, |jump| jump.by), skew))
    }
}

/// How much more the wall clock moved than the monotonic one.
fn jump(before: &Comparison, wall: Timestamp, steady: Instant) -> SignedDuration {
    let passed = SignedDuration::try_from(steady.duration_since(before.steady)).unwrap_or(SignedDuration::MAX);
    wall.duration_since(before.wall) - passed
}

fn verdict(ahead: SignedDuration, jump: SignedDuration, skew: SignedDuration) -> Clock {
    let bound = (skew / 2).max(SMALLEST_BOUND);
    if ahead.abs() > bound {
        let (by, side) = (ahead.abs().as_secs(), if ahead.is_negative() { "behind" } else { "ahead of" });
        return Clock::Untrusted(format!(
            "The controller's clock is {by} s {side} the API server's: see to the time service of both nodes."
        ));
    }
    if jump.abs() > skew.max(SMALLEST_BOUND) {
        return Clock::Untrusted("The controller's clock has just jumped.".to_owned());
    }
    Clock::Trusted
}

/// Asks the API server for the time: the `Date` of any answer, in whole seconds, so half a second is added.
async fn compare(client: &kube::Client) -> Result<Comparison, Error> {
    let request = http::Request::get("/version").body(kube::client::Body::empty());
    let request = request.map_err(|error| Error::Api {
        call: "ask for the API server's time".to_owned(),
        source: Box::new(kube::Error::HttpError(error)),
    })?;
    let response = within("ask for the API server's time", client.send(request)).await?;
    let wall = now();
    let date = response.headers().get(http::header::DATE).and_then(|date| date.to_str().ok());
    let date = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok()).map(|date| date.timestamp());
    // Without a date there is nothing to compare with; every Kubernetes API server sends one.
    let ahead = date.map_or(SignedDuration::ZERO, |date| wall.duration_since(date) - SignedDuration::from_millis(500));
    Ok(Comparison { wall, steady: Instant::now(), ahead })
}

/// Smaller ones are what a time service does all day.
const SMALLEST_JUMP: SignedDuration = SignedDuration::from_secs(1);
const DOUBTED_FOR: Duration = Duration::from_mins(1);
const COMPARED_EVERY: Duration = Duration::from_secs(10);
/// PROTOCOL 5: an `S` under 4 s is for demonstrations on one clock.
const SMALLEST_BOUND: SignedDuration = SignedDuration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_believed_up_to_half_the_skew() {
        let seconds = SignedDuration::from_secs;
        for (ahead, jump, skew, trusted) in [
            (0, 0, 300, true),
            (150, 0, 300, true),
            (151, 0, 300, false),
            (-151, 0, 300, false),
            (0, 300, 300, true),
            (0, -301, 300, false),
            (2, 0, 1, true),
            (3, 0, 1, false),
        ] {
            let verdict = verdict(seconds(ahead), seconds(jump), seconds(skew));
            assert_eq!(verdict == Clock::Trusted, trusted, "{ahead} {jump} {skew}: {verdict:?}");
        }
    }
}
