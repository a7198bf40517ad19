//! What the benchmarks have in common: numbers and how they are printed.

use std::{fmt, time::Duration};

/// Durations of the same thing, sorted.
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    pub(crate) fn new(mut durations: Vec<Duration>) -> Self {
        assert!(!durations.is_empty(), "nothing was measured");
        durations.sort_unstable();
        Self(durations)
    }

    /// The duration that this share of the samples does not exceed.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100);
        self.0[rank.saturating_sub(1)]
    }
}

impl fmt::Display for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p95, max] = [50, 95, 100].map(|percent| self.percentile(percent));
        write!(f, "p50 {p50:.1?}, p95 {p95:.1?}, max {max:.1?} of {}", self.0.len())
    }
}

/// One line: what was measured, what came out, and the bar if there is one.
pub(crate) fn line(what: &str, result: &dyn fmt::Display, bar: &str) {
    let bar = if bar.is_empty() { String::new() } else { format!("  (bar: {bar})") };
    println!("{what:<44} {result}{bar}");
}
