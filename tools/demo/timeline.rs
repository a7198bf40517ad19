//! What a person sees: the life of each key, what happens next and when, and how the tokens fare.
//!
//! Pure but for [`Screen`], the only one that prints. Everything about keys comes from the status of the KeySet, so the
//! picture is as true as the status is.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

use jiff::Timestamp;
use keyset_operator::api::{Guard, KeySet, KeyState, NextTransition, TransitionAction};

/// How the tokens fare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Score {
    pub(crate) tokens: u64,
    pub(crate) verified: u64,
    pub(crate) failed: u64,
    pub(crate) rotations: u64,
    pub(crate) unknown: u64,
}

/// The history of a KeySet, as far as it was looked at.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    elapsed: Duration,
    now: Timestamp,
    rows: Vec<Row>,
    next: Option<NextTransition>,
}

/// One key: a cell for each second since the first, and its state now.
#[derive(Debug)]
struct Row {
    name: String,
    state: KeyState,
    first: usize,
    cells: Vec<char>,
}

impl Timeline {
    /// Takes in a status; gives a line for each thing that is new.
    pub(crate) fn observe(&mut self, key_set: &KeySet, elapsed: Duration, now: Timestamp) -> Vec<String> {
        (self.elapsed, self.now) = (elapsed, now);
        let status = key_set.status.clone().unwrap_or_default();
        let mut news = Vec::new();
        let known: Vec<String> = self.rows.iter().map(|row| row.name.clone()).collect();
        for name in known.iter().filter(|name| !status.keys.iter().any(|key| key.name == **name)) {
            news.extend(self.turn(name, KeyState::Removed));
        }
        for key in &status.keys {
            news.extend(self.turn(&key.name, key.state));
        }
        self.fill();
        let step = |next: &NextTransition| (next.action, next.key_name.clone(), next.waiting_for);
        if status.next_transition.as_ref().map(step) != self.next.as_ref().map(step) {
            news.extend(status.next_transition.as_ref().map(|next| format!("next: {}", ahead(next, now))));
        }
        self.next = status.next_transition;
        news
    }

    /// The whole picture, in lines of at most 80 columns.
    pub(crate) fn frame(&self, score: &Score) -> Vec<String> {
        let visible = self.rows.iter().filter(|row| row.first + row.cells.len() > self.left());
        let mut lines = vec![format!("  {BOLD}KeySet demo{RESET}   {} s", self.elapsed.as_secs()), String::new()];
        lines.extend(visible.map(|row| self.bar(row)));
        lines.push(format!("          {DIM}░ published   ▒ may sign   █ signs   ─ verifies only{RESET}"));
        lines.push(String::new());
        let next = self.next.as_ref().map_or_else(|| "-".to_owned(), |next| ahead(next, self.now));
        lines.push(format!("  next    {next}"));
        let failed = if score.failed == 0 { GREEN } else { RED };
        lines.push(format!(
            "  tokens  {} minted   {} verified   {failed}{} failed{RESET}",
            score.tokens, score.verified, score.failed
        ));
        lines.push(format!("  keys    {} rotations   {} unknown kids", score.rotations, score.unknown));
        lines
    }

    fn second(&self) -> usize {
        usize::try_from(self.elapsed.as_secs()).unwrap_or(usize::MAX)
    }

    /// Puts a key into a state; gives a line if it was in another.
    fn turn(&mut self, name: &str, state: KeyState) -> Option<String> {
        let second = self.second();
        if let Some(row) = self.rows.iter_mut().find(|row| row.name == name) {
            if row.state == state {
                return None;
            }
            row.state = state;
        } else {
            self.rows.push(Row { name: name.to_owned(), state, first: second, cells: Vec::new() });
        }
        Some(format!("{name} {}", describe(state)))
    }

    /// Draws up to the present second; the cell of a second shows the state at its end.
    fn fill(&mut self) {
        let second = self.second();
        for row in &mut self.rows {
            row.cells.truncate(second - row.first);
            if row.state != KeyState::Removed {
                row.cells.resize(second - row.first + 1, cell(row.state));
            }
        }
    }

    /// The first second of the picture.
    fn left(&self) -> usize {
        (self.second() + 1).saturating_sub(WIDTH)
    }

    fn bar(&self, row: &Row) -> String {
        let (mut bar, mut colour) = (String::new(), RESET);
        for second in self.left()..self.left() + WIDTH {
            let drawn = second.checked_sub(row.first).and_then(|index| row.cells.get(index));
            let cell = drawn.copied().unwrap_or(' ');
            if colour_of(cell) != colour {
                colour = colour_of(cell);
                bar.push_str(colour);
            }
            bar.push(cell);
        }
        format!("  {:<7} {bar}{RESET} {}", row.name, describe(row.state))
    }
}

/// Where the picture goes: redrawn in place on a terminal, line by line elsewhere.
pub(crate) enum Screen {
    /// A terminal, and how many lines of the last picture stand on it.
    Terminal(usize),
    /// A file or a pipe.
    Lines,
}

impl Screen {
    /// What standard output is.
    pub(crate) fn new() -> Self {
        if io::stdout().is_terminal() { Self::Terminal(0) } else { Self::Lines }
    }

    /// Shows a line that stays.
    pub(crate) fn say(&mut self, line: &str) -> io::Result<()> {
        write(&format!("{line}\n"))?;
        if let Self::Terminal(lines) = self {
            *lines = 0;
        }
        Ok(())
    }

    /// Shows the state of things: all of it on a terminal, what is new elsewhere.
    pub(crate) fn show(&mut self, timeline: &Timeline, news: &[String], score: &Score) -> io::Result<()> {
        let mut text = String::new();
        match self {
            Self::Terminal(lines) => {
                let frame = timeline.frame(score);
                // No line wraps in a narrow window: the next picture could not find the top of this one.
                text.push_str("\x1b[?7l");
                if *lines > 0 {
                    let _ = write!(text, "\x1b[{lines}A\x1b[J");
                }
                *lines = frame.len();
                for line in frame {
                    let _ = writeln!(text, "{line}");
                }
                text.push_str("\x1b[?7h");
            }
            Self::Lines => {
                let Score { tokens, verified, failed, .. } = score;
                let tally = format!("{tokens} tokens, {verified} verified, {failed} failed");
                let seconds = timeline.elapsed.as_secs_f64();
                for line in news {
                    let _ = writeln!(text, "{seconds:>6.1} s   {line:<75} {tally}");
                }
            }
        }
        write(&text)
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // A reader that has seen enough (`make demo | head`) is no failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// What happens next, when, and why not yet.
fn ahead(next: &NextTransition, now: Timestamp) -> String {
    let key = next.key_name.as_deref().unwrap_or("a new key");
    let what = match next.action {
        TransitionAction::Generate => format!("{key} is made"),
        TransitionAction::Publish => format!("{key} is published"),
        TransitionAction::Activate => format!("{key} takes over"),
        TransitionAction::DestroyPrivateKey => format!("{key} loses its private half"),
        TransitionAction::Remove => format!("{key} leaves the set"),
        TransitionAction::Revoke => format!("{key} is revoked"),
    };
    let seconds = next.earliest_time.map(|time| (time.duration_since(now).as_millis() + 999) / 1000);
    match seconds {
        Some(seconds) if seconds > 0 => format!("{what} in {seconds} s ({})", because(next.waiting_for)),
        _ => format!("{what} ({})", because(next.waiting_for)),
    }
}

fn because(guard: Guard) -> &'static str {
    match guard {
        Guard::Schedule => "by schedule",
        Guard::KeyMaterial => "the key is being made",
        Guard::Visibility => "when every server serves it",
        Guard::VerifierCaches => "when old copies have expired",
        Guard::SignerRollout => "when its last signer has started anew",
        Guard::SignerReload => "when signers have its successor",
        Guard::TokenExpiry => "when its tokens have expired",
        Guard::RollbackWindow => "when the rollback window ends",
        Guard::Suspended => "rotation is suspended",
        Guard::Pinned => "the active key is pinned",
        Guard::Held => "the key is held",
        Guard::Clock => "the clock is not trusted",
    }
}

fn describe(state: KeyState) -> &'static str {
    match state {
        KeyState::Pending => "is being made",
        KeyState::Published => "published",
        KeyState::Standby => "may sign",
        KeyState::Active => "signs",
        KeyState::Retiring => "verifies only",
        KeyState::Removed => "removed",
        KeyState::Revoked => "revoked",
        KeyState::External => "external",
    }
}

fn cell(state: KeyState) -> char {
    match state {
        KeyState::Pending => '·',
        KeyState::Published => '░',
        KeyState::Standby => '▒',
        KeyState::Active => '█',
        KeyState::Retiring | KeyState::External => '─',
        KeyState::Removed | KeyState::Revoked => ' ',
    }
}

fn colour_of(cell: char) -> &'static str {
    match cell {
        '█' => GREEN,
        '─' => YELLOW,
        ' ' => RESET,
        _ => CYAN,
    }
}

/// Seconds in the picture.
const WIDTH: usize = 54;

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const CYAN: &str = "\x1b[36m";
const RESET: &str = "\x1b[0m";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key_set(keys: &[(&str, &str)], next: &serde_json::Value) -> KeySet {
        let keys: Vec<_> = keys.iter().map(|(name, state)| json!({"name": name, "state": state})).collect();
        serde_json::from_value(json!({
            "apiVersion": "keyset.dev/v1alpha1", "kind": "KeySet", "metadata": {"name": "demo"},
            "spec": {"algorithm": "ES256", "tokens": {"maxLifetime": "6s"}},
            "status": {"keys": keys, "nextTransition": next},
        }))
        .unwrap()
    }

    fn plain(line: &str) -> String {
        let mut text = String::new();
        let mut escaped = false;
        for character in line.chars() {
            match (escaped, character) {
                (false, '\x1b') => escaped = true,
                (false, _) => text.push(character),
                (true, 'm') => escaped = false,
                (true, _) => {}
            }
        }
        text
    }

    fn bars(timeline: &Timeline) -> Vec<String> {
        let frame = timeline.frame(&Score::default());
        assert!(frame.iter().all(|line| plain(line).chars().count() <= 80), "{frame:#?}");
        frame.iter().map(|line| plain(line)).filter(|line| line.starts_with("  demo-")).collect()
    }

    #[test]
    fn a_rotation_is_drawn_and_told() {
        let mut timeline = Timeline::default();
        let mut told = Vec::new();
        let next = json!({"action": "Activate", "keyName": "demo-2", "waitingFor": "Schedule",
            "earliestTime": "1970-01-01T00:00:20Z"});
        let mut see = |second: u32, keys: &[(&str, &str)]| {
            let now = Timestamp::from_second(second.into()).unwrap();
            told.extend(timeline.observe(&key_set(keys, &next), Duration::from_secs(second.into()), now));
        };
        (0..3).for_each(|second| see(second, &[("demo-1", "Active")]));
        (3..6).for_each(|second| see(second, &[("demo-1", "Active"), ("demo-2", "Published")]));
        (6..8).for_each(|second| see(second, &[("demo-1", "Retiring"), ("demo-2", "Active")]));
        (8..10).for_each(|second| see(second, &[("demo-2", "Active")]));
        assert_eq!(
            told,
            [
                "demo-1 signs",
                "next: demo-2 takes over in 20 s (by schedule)",
                "demo-2 published",
                "demo-1 verifies only",
                "demo-2 signs",
                "demo-1 removed",
            ]
        );
        let bars = bars(&timeline);
        assert_eq!(bars[0], format!("  demo-1  {:<54} removed", "██████──"));
        assert_eq!(bars[1], format!("  demo-2  {:<54} signs", "   ░░░████"));
    }

    #[test]
    fn a_long_history_moves_to_the_left() {
        let mut timeline = Timeline::default();
        for second in 0..200 {
            let keys = if second < 100 { vec![("demo-1", "Active")] } else { vec![("demo-2", "Active")] };
            timeline.observe(&key_set(&keys, &json!(null)), Duration::from_secs(second), Timestamp::UNIX_EPOCH);
        }
        assert_eq!(bars(&timeline), [format!("  demo-2  {} signs", "█".repeat(54))]);
    }
}
