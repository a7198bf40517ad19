//! The picture as one SVG: a row a key, its stages as bars, the waits of the contract as brackets below them.
//!
//! Past is solid, planned is hatched. A text that has no room is left out; what it says is in the tip of its bar, and the
//! table of the HTML page has all of it.

use jiff::Timestamp;

use super::axis::Axis;
use super::model::{Guard, Life, Stage, Timeline};
use super::picture::{Anchor, Area, Mark, Picture, Shape};
use super::text::{elide, range, width};
use crate::api::Origin;
use crate::plugin::output::length;

/// Draws the window.
pub(super) fn picture(timeline: &Timeline) -> Picture {
    let lives: Vec<&Life> = timeline.shown().collect();
    let left = PADDING + gutter(&lives) + 14.0;
    let axis = timeline.axis(WIDTH - PADDING - left);
    let mut canvas = Canvas { timeline, axis, left, marks: Vec::new(), labels: Vec::new() };
    canvas.head();
    let top = canvas.legend(74.0) + 30.0;
    let bottom = (0..lives.len()).fold(top, |bottom, _| bottom + ROW) + 4.0;
    canvas.scale(top, bottom);
    canvas.switches(&lives, top);
    let mut y = top;
    for life in &lives {
        canvas.row(life, y);
        y += ROW;
    }
    canvas.now(top, bottom);
    let place = format!("{}/{}", timeline.namespace, timeline.name);
    Picture {
        width: WIDTH,
        height: bottom + 36.0,
        title: format!("The keys of {place} over time"),
        description: description(timeline, &lives),
        marks: canvas.marks.into_iter().chain(canvas.labels).collect(),
    }
}

struct Canvas<'a> {
    timeline: &'a Timeline,
    axis: Axis,
    /// Where the axis begins.
    left: f64,
    marks: Vec<Mark>,
    /// What no line crosses.
    labels: Vec<Mark>,
}

impl Canvas<'_> {
    fn head(&mut self) {
        let Timeline { namespace, name, from, until, .. } = self.timeline;
        let title = fit(&format!("{namespace}/{name}"), 17.0 * BOLD, WIDTH - 2.0 * PADDING);
        self.text("name", PADDING, 32.0, 17.0, title);
        let range = format!("{}. Solid is past, hatched is planned.", range(*from, *until));
        self.text("soft", PADDING, 54.0, SMALL, range);
    }

    /// What the bars mean; gives where it ends.
    fn legend(&mut self, top: f64) -> f64 {
        let (mut x, mut y) = (PADDING, top);
        let spans = || self.timeline.shown().flat_map(|life| &life.spans);
        let stages: Vec<Stage> = STAGES.into_iter().filter(|stage| spans().any(|span| span.stage == *stage)).collect();
        for stage in stages {
            let word = legend(stage);
            let room = 26.0 + width(word, SMALL) + 18.0;
            if x + room > WIDTH - PADDING {
                (x, y) = (PADDING, y + 22.0);
            }
            self.add(class(stage), Shape::Bar(Area { x, y: y - 1.0, width: 20.0, height: 13.0 }), None);
            self.text("soft", x + 26.0, y + 10.0, SMALL, word.to_owned());
            x += room;
        }
        let word = "private half destroyed";
        if x + 18.0 + width(word, SMALL) > WIDTH - PADDING {
            (x, y) = (PADDING, y + 22.0);
        }
        self.add("dot", Shape::Dot { x: x + 5.0, y: y + 5.5 }, None);
        self.text("soft", x + 18.0, y + 10.0, SMALL, word.to_owned());
        y + 14.0
    }

    /// Ticks below, and a line for each.
    fn scale(&mut self, top: f64, bottom: f64) {
        let right = WIDTH - PADDING;
        for tick in self.axis.ticks(LETTER) {
            let x = self.x(tick.time);
            self.add("grid", Shape::Line { from: (x, top - 6.0), to: (x, bottom) }, None);
            let label = Shape::Text { x, y: bottom + 18.0, size: SMALL, anchor: Anchor::Middle, text: tick.label };
            let area = label.area();
            if area.x >= PADDING && area.x + area.width <= right {
                self.add("soft", label, None);
            }
        }
        self.add("axis", Shape::Line { from: (self.left, bottom), to: (right, bottom) }, None);
    }

    /// Where one key takes over from another: from the row of the one to that of the other.
    fn switches(&mut self, lives: &[&Life], top: f64) {
        let row = |index: usize| (0..index).fold(top, |y, _| y + ROW);
        for (index, life) in lives.iter().enumerate() {
            for time in life.activations().filter(|time| *time > self.timeline.from && *time < self.timeline.until) {
                let signed_until_then = |life: &&Life| {
                    life.spans.iter().any(|span| span.stage == Stage::Active && span.until == Some(time))
                };
                let other = lives.iter().position(signed_until_then).unwrap_or(index);
                let (first, last) = (row(index.min(other)), row(index.max(other)) + BAR);
                let tip = format!("{} takes over, {}", life.name, second(time));
                let x = self.x(time);
                self.add("switch", Shape::Line { from: (x, first - 6.0), to: (x, last) }, Some(tip));
            }
        }
    }

    fn row(&mut self, life: &Life, y: f64) {
        // A hair more than the widest of them takes.
        let room = self.left - PADDING - 13.9;
        self.text("name", PADDING, y + 12.0, NAME, fit(&life.name, NAME * BOLD, room));
        self.text("soft", PADDING, y + 28.0, SMALL, fit(&what(life), SMALL, room));
        let mut spans: Vec<_> =
            life.spans.iter().filter_map(|span| Some((span, self.timeline.clip(span.from, span.until)?))).collect();
        // The short ones last, so that none is hidden.
        spans.sort_by_key(|(_, (from, until))| std::cmp::Reverse(until.duration_since(*from)));
        for (span, (from, until)) in spans {
            let end = span.until.map_or_else(|| "no end in sight".to_owned(), second);
            let lasts = span.until.map(|until| format!(" ({})", length(until.duration_since(span.from))));
            let tip = format!(
                "{} {}: {} to {end}{}",
                life.name,
                span.stage.word(),
                second(span.from),
                lasts.unwrap_or_default()
            );
            self.bars(span.stage, from, until, y, &tip);
        }
        let marks = life.private_key_destruction_time.map(|time| (time, "the private half is destroyed", "dot"));
        if let Some((time, word, class)) = marks.filter(|(time, ..)| self.is_shown(*time)) {
            let x = self.x(time).clamp(self.left + 4.0, WIDTH - PADDING - 4.0);
            self.add(class, Shape::Dot { x, y }, Some(format!("{}: {word}, {}", life.name, second(time))));
        }
        let mut taken = Vec::new();
        for guard in &life.guards {
            self.guard(guard, y + BAR, &mut taken);
        }
    }

    /// A stage: solid until now, hatched from then on.
    fn bars(&mut self, stage: Stage, from: Timestamp, until: Timestamp, y: f64, tip: &str) {
        let now = self.timeline.now.clamp(from, until);
        let mut widest: Option<(Area, bool)> = None;
        for (from, until, is_planned) in [(from, now, false), (now, until, true)] {
            if from == until {
                continue;
            }
            let wide = (self.x(until) - self.x(from)).max(SHORTEST);
            let area = Area { x: self.x(from).min(WIDTH - PADDING - wide), y, width: wide, height: BAR };
            let class = if is_planned { planned_class(stage) } else { class(stage) };
            self.add(class, Shape::Bar(area), Some(tip.to_owned()));
            if widest.is_none_or(|(other, _)| area.width > other.width) {
                widest = Some((area, is_planned));
            }
        }
        let word = stage.word();
        let Some((area, is_planned)) = widest.filter(|(area, _)| width(word, NAME * BOLD) + 12.0 <= area.width) else {
            return;
        };
        let class = if stage == Stage::Active && !is_planned { "on" } else { "word" };
        let (x, y) = (area.x + area.width / 2.0, y + 18.0);
        let shape = Shape::Text { x, y, size: NAME, anchor: Anchor::Middle, text: word.to_owned() };
        self.labels.push(Mark { class, shape, tip: Some(tip.to_owned()) });
    }

    /// A wait as a bracket, with its letters and lengths as far as there is room.
    fn guard(&mut self, guard: &Guard, y: f64, taken: &mut Vec<Area>) {
        let Some((from, until)) = self.timeline.clip(guard.from, Some(guard.until)) else { return };
        let seams = guard.seams().into_iter().filter(|time| *time > from && *time < until);
        let legs: Vec<f64> = [from].into_iter().chain(seams).chain([until]).map(|time| self.x(time)).collect();
        if self.x(until) - self.x(from) < NARROWEST {
            return;
        }
        let letters = guard.letters();
        let full = guard.lengths().map(|lengths| format!("{letters} = {lengths}"));
        let tip = format!("{}: {} to {}", full.as_deref().unwrap_or(&letters), second(guard.from), second(guard.until));
        let middle = f64::midpoint(self.x(from), self.x(until));
        self.add("span", Shape::Bracket { legs, top: y + 4.0, bottom: y + 9.0 }, Some(tip.clone()));
        for text in full.into_iter().chain([letters]) {
            let half = width(&text, SMALL) / 2.0;
            let x = middle.clamp(self.left + half, (WIDTH - PADDING - half).max(self.left + half));
            let label = Shape::Text { x, y: y + 23.0, size: SMALL, anchor: Anchor::Middle, text };
            if !taken.iter().any(|other| other.overlaps(&label.area())) {
                taken.push(label.area());
                self.labels.push(Mark { class: "soft label", shape: label, tip: Some(tip) });
                return;
            }
        }
    }

    fn now(&mut self, top: f64, bottom: f64) {
        let now = self.timeline.now;
        if !self.is_shown(now) {
            return;
        }
        let x = self.x(now);
        self.add("now", Shape::Line { from: (x, top - 6.0), to: (x, bottom) }, Some(format!("now, {}", second(now))));
        let half = width("now", SMALL * BOLD) / 2.0;
        let x = x.clamp(self.left + half, WIDTH - PADDING - half);
        self.add(
            "nowword",
            Shape::Text { x, y: top - 11.0, size: SMALL, anchor: Anchor::Middle, text: "now".to_owned() },
            None,
        );
    }

    fn is_shown(&self, time: Timestamp) -> bool {
        time >= self.timeline.from && time <= self.timeline.until
    }

    fn x(&self, time: Timestamp) -> f64 {
        self.left + self.axis.at(time)
    }

    fn text(&mut self, class: &'static str, x: f64, y: f64, size: f64, text: String) {
        self.add(class, Shape::Text { x, y, size, anchor: Anchor::Start, text }, None);
    }

    fn add(&mut self, class: &'static str, shape: Shape, tip: Option<String>) {
        self.marks.push(Mark { class, shape, tip });
    }
}

/// The room that the names of keys take.
fn gutter(lives: &[&Life]) -> f64 {
    let wide = |life: &&Life| width(&life.name, NAME * BOLD).max(width(&what(life), SMALL));
    lives.iter().map(wide).fold(80.0, f64::max).min(WIDEST_GUTTER)
}

/// What a key is, below its name.
fn what(life: &Life) -> String {
    let kid = life
        .key_id
        .as_ref()
        .map_or_else(|| "not made yet".to_owned(), |kid| kid.as_str().chars().take(8).chain(['…']).collect());
    let origin = match life.origin {
        Origin::Generated => "",
        Origin::Imported => ", imported",
        Origin::External => ", external",
    };
    format!("{}{origin}, {kid}", life.algorithm)
}

/// As much of a text as has room.
fn fit(text: &str, size: f64, room: f64) -> String {
    let count = text.chars().count();
    let cut = (1..=count).rev().map(|most| elide(text, most)).find(|cut| width(cut, size) <= room);
    cut.unwrap_or_default()
}

fn description(timeline: &Timeline, lives: &[&Life]) -> String {
    let signing = lives.iter().find(|life| {
        let signs = |span: &&super::model::Span| {
            span.stage == Stage::Active
                && span.from <= timeline.now
                && span.until.is_none_or(|until| until > timeline.now)
        };
        life.spans.iter().find(signs).is_some()
    });
    let signing = signing.map(|life| format!(" {} signs now.", life.name)).unwrap_or_default();
    let steps: Vec<String> = timeline
        .planned()
        .iter()
        .map(|(time, step)| format!(" {}: {}.", second(*time), step.words(usize::MAX)))
        .collect();
    format!("{} keys.{signing}{}", lives.len(), steps.concat())
}

pub(super) fn second(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

fn legend(stage: Stage) -> &'static str {
    match stage {
        Stage::Staged => "waits",
        Stage::Published => "published, waits C + S",
        Stage::Standby => "may sign",
        Stage::Active => "signs",
        Stage::Retiring => "verifies only, L + T + S + M",
        Stage::Revoked => "revoked",
        Stage::External => "signs elsewhere",
    }
}

fn class(stage: Stage) -> &'static str {
    match stage {
        Stage::Staged | Stage::Published => "wait",
        Stage::Standby => "ready",
        Stage::Active => "sign",
        Stage::Retiring => "verify",
        Stage::Revoked => "revoked",
        Stage::External => "elsewhere",
    }
}

fn planned_class(stage: Stage) -> &'static str {
    match stage {
        Stage::Staged | Stage::Published => "wait planned",
        Stage::Standby => "ready planned",
        Stage::Active => "sign planned",
        Stage::Retiring => "verify planned",
        Stage::Revoked => "revoked planned",
        Stage::External => "elsewhere planned",
    }
}

const WIDTH: f64 = 960.0;
const PADDING: f64 = 20.0;
const WIDEST_GUTTER: f64 = 230.0;
const ROW: f64 = 62.0;
const BAR: f64 = 26.0;
/// No stage is too short to be seen.
const SHORTEST: f64 = 2.0;
/// No bracket is worth its words below that.
const NARROWEST: f64 = 5.0;
const NAME: f64 = 13.0;
const SMALL: f64 = 12.0;
/// How much wider bold letters are.
const BOLD: f64 = 1.12;
/// The widest letter of a tick.
const LETTER: f64 = 8.4;
const STAGES: [Stage; 7] =
    [Stage::Staged, Stage::Published, Stage::Standby, Stage::Active, Stage::Retiring, Stage::Revoked, Stage::External];
