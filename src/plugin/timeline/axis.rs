//! Time as a line: where a time lies, and where to name one.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

/// A window of time, drawn `size` wide.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    from: Timestamp,
    until: Timestamp,
    size: f64,
}

/// A time with a name.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    pub(super) time: Timestamp,
    pub(super) label: String,
}

impl Axis {
    pub(super) fn new(from: Timestamp, until: Timestamp, size: f64) -> Self {
        Self { from, until, size }
    }

    /// Between 0 and the size.
    pub(super) fn at(&self, time: Timestamp) -> f64 {
        let whole = self.until.duration_since(self.from);
        if whole <= SignedDuration::ZERO {
            return 0.0;
        }
        (time.duration_since(self.from).div_duration_f64(whole) * self.size).clamp(0.0, self.size)
    }

    /// Round times, as many as have room when a letter is as wide as that. All in UTC.
    pub(super) fn ticks(&self, letter: f64) -> Vec<Tick> {
        let whole = self.until.duration_since(self.from);
        let fits = |step: &Step| {
            let count = whole.div_duration_f64(step.length());
            self.size / count.max(f64::MIN_POSITIVE) >= (step.label_length() + GAP) * letter
        };
        let Some(step) = STEPS.iter().find(|step| fits(step)) else { return Vec::new() };
        let tick = |time| Tick { time, label: step.label(time) };
        step.times(self.from, self.until).into_iter().map(tick).collect()
    }
}

/// The distance of ticks.
#[derive(Clone, Copy, Debug)]
enum Step {
    Seconds(i64),
    Months(i32),
}

impl Step {
    fn length(self) -> SignedDuration {
        match self {
            Self::Seconds(seconds) => SignedDuration::from_secs(seconds),
            // Months are no shorter.
            Self::Months(months) => SignedDuration::from_hours(i64::from(months) * 28 * 24),
        }
    }

    /// In letters.
    fn label_length(self) -> f64 {
        match self {
            Self::Seconds(..MINUTE) | Self::Months(..12) => 8.0,
            Self::Seconds(_) => 6.0,
            Self::Months(_) => 4.0,
        }
    }

    fn label(self, time: Timestamp) -> String {
        let midnight = time.as_second().rem_euclid(DAY) == 0;
        let format = match self {
            Self::Seconds(..MINUTE) => "%H:%M:%S",
            Self::Seconds(..DAY) if !midnight => "%H:%M",
            Self::Seconds(_) => "%b %-d",
            Self::Months(..12) => "%b %Y",
            Self::Months(_) => "%Y",
        };
        time.strftime(format).to_string()
    }

    fn times(self, from: Timestamp, until: Timestamp) -> Vec<Timestamp> {
        match self {
            Self::Seconds(step) => {
                // Weeks begin on Mondays; the epoch was a Thursday.
                let phase = if step % WEEK == 0 { 4 * DAY } else { 0 };
                let first = from.as_second() + (phase - from.as_second()).rem_euclid(step);
                let mut times = Vec::new();
                let mut second = first;
                while let Ok(time) = Timestamp::from_second(second)
                    && time <= until
                {
                    if time >= from {
                        times.push(time);
                    }
                    second += step;
                }
                times
            }
            Self::Months(step) => months(step, from, until),
        }
    }
}

fn months(step: i32, from: Timestamp, until: Timestamp) -> Vec<Timestamp> {
    let day = from.to_zoned(TimeZone::UTC).date();
    let Ok(year) = Date::new(day.year() / 10 * 10, 1, 1) else { return Vec::new() };
    let at = |index: i32| year.checked_add((index * step).months()).ok()?.to_zoned(TimeZone::UTC).ok();
    let times = (0..).map_while(|index| at(index).map(|zoned| zoned.timestamp()));
    times.skip_while(|time| *time < from).take_while(|time| *time <= until).collect()
}

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;
/// Letters between two labels.
const GAP: f64 = 3.0;
const STEPS: [Step; 31] = [
    Step::Seconds(1),
    Step::Seconds(2),
    Step::Seconds(5),
    Step::Seconds(10),
    Step::Seconds(15),
    Step::Seconds(30),
    Step::Seconds(MINUTE),
    Step::Seconds(2 * MINUTE),
    Step::Seconds(5 * MINUTE),
    Step::Seconds(10 * MINUTE),
    Step::Seconds(15 * MINUTE),
    Step::Seconds(30 * MINUTE),
    Step::Seconds(HOUR),
    Step::Seconds(2 * HOUR),
    Step::Seconds(3 * HOUR),
    Step::Seconds(6 * HOUR),
    Step::Seconds(12 * HOUR),
    Step::Seconds(DAY),
    Step::Seconds(2 * DAY),
    Step::Seconds(4 * DAY),
    Step::Seconds(WEEK),
    Step::Seconds(2 * WEEK),
    Step::Months(1),
    Step::Months(2),
    Step::Months(3),
    Step::Months(6),
    Step::Months(12),
    Step::Months(24),
    Step::Months(60),
    Step::Months(120),
    Step::Months(1200),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(from: &str, until: &str) -> Vec<String> {
        let axis = Axis::new(from.parse().unwrap(), until.parse().unwrap(), 60.0);
        axis.ticks(1.0).into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn ticks_are_round_from_seconds_to_centuries() {
        let seconds = labels("2026-01-31T23:59:50.5Z", "2026-02-01T00:00:12Z");
        assert_eq!(seconds, ["23:59:55", "00:00:00", "00:00:05", "00:00:10"]);
        assert_eq!(labels("2026-01-31T22:10:00Z", "2026-02-01T01:40:00Z"), ["23:00", "Feb 1", "01:00"]);
        let weeks = labels("2026-01-01T05:00:00Z", "2026-02-10T00:00:00Z");
        assert_eq!(weeks, ["Jan 5", "Jan 12", "Jan 19", "Jan 26", "Feb 2", "Feb 9"]);
        let quarters = labels("2026-01-02T00:00:00Z", "2026-12-24T00:00:00Z");
        assert_eq!(quarters, ["Apr 2026", "Jul 2026", "Oct 2026"]);
        assert_eq!(labels("2026-01-02T00:00:00Z", "2033-12-24T00:00:00Z"), ["2028", "2030", "2032"]);
    }

    #[test]
    fn a_time_outside_lies_at_an_end() {
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        let axis = Axis::new(at("2026-01-01T00:00:00Z"), at("2026-01-03T00:00:00Z"), 10.0);
        let places =
            ["2025-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2027-01-01T00:00:00Z"].map(|time| axis.at(at(time)));
        assert!(places.iter().zip([0.0, 5.0, 10.0]).all(|(place, wanted)| (place - wanted).abs() < 1e-9), "{places:?}");
    }
}
