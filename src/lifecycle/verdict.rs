//! Verdicts: conditions before they have a time.

use std::borrow::Cow;

use jiff::Timestamp;

use crate::api::{Condition, ConditionStatus};

#[derive(Clone)]
pub(super) struct Verdict {
    pub(super) r#type: &'static str,
    pub(super) status: ConditionStatus,
    pub(super) reason: &'static str,
    pub(super) message: Cow<'static, str>,
}

impl Verdict {
    pub(super) fn condition(self, stored: &[Condition], generation: i64, now: Timestamp) -> Condition {
        let before = stored.iter().find(|it| it.r#type == self.r#type && it.status == self.status);
        Condition {
            r#type: self.r#type.to_owned(),
            status: self.status,
            observed_generation: Some(generation),
            last_transition_time: before.map_or(now, |before| before.last_transition_time),
            reason: self.reason.to_owned(),
            message: self.message.into_owned(),
        }
    }
}

impl PartialEq<Verdict> for Condition {
    /// Whether the condition says so, whenever it began.
    fn eq(&self, verdict: &Verdict) -> bool {
        let words = self.r#type == verdict.r#type && self.reason == verdict.reason;
        words && self.status == verdict.status && self.message == verdict.message
    }
}

pub(super) fn verdict(
    r#type: &'static str,
    status: ConditionStatus,
    reason: &'static str,
    message: impl Into<Cow<'static, str>>,
) -> Verdict {
    Verdict { r#type, status, reason, message: message.into() }
}
