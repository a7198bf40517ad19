//! A drawing as plain values, and how it is written as SVG.
//!
//! Every mark knows the room that it takes, so that a test can say whether texts overlap or leave the canvas. Absent on
//! purpose: scripts, fonts and anything else from elsewhere.

use std::fmt::{self, Display};

use super::text::{escape, width};

/// What is drawn, in its order: later marks cover earlier ones.
pub(super) struct Picture {
    pub(super) width: f64,
    pub(super) height: f64,
    /// For those who cannot see it.
    pub(super) title: String,
    pub(super) description: String,
    pub(super) marks: Vec<Mark>,
}

/// One thing that is drawn.
pub(super) struct Mark {
    pub(super) class: &'static str,
    pub(super) shape: Shape,
    /// What a pointer is told.
    pub(super) tip: Option<String>,
}

pub(super) enum Shape {
    Bar(Area),
    Dot {
        x: f64,
        y: f64,
    },
    Line {
        from: (f64, f64),
        to: (f64, f64),
    },
    /// A bracket with a leg at each of these places.
    Bracket {
        legs: Vec<f64>,
        top: f64,
        bottom: f64,
    },
    Text {
        x: f64,
        y: f64,
        size: f64,
        anchor: Anchor,
        text: String,
    },
}

/// Which part of a text its place names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
}

/// A rectangle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Area {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Area {
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.x < other.x + other.width
            && other.x < self.x + self.width
            && self.y < other.y + other.height
            && other.y < self.y + self.height
    }
}

impl Shape {
    /// No less than the room that it takes.
    pub(super) fn area(&self) -> Area {
        match self {
            Self::Bar(area) => *area,
            Self::Dot { x, y } => Area { x: x - DOT, y: y - DOT, width: 2.0 * DOT, height: 2.0 * DOT },
            Self::Line { from: (x, y), to } => Area { x: *x, y: *y, width: to.0 - x, height: to.1 - y },
            Self::Bracket { legs, top, bottom } => {
                let (first, last) = (legs.first().copied().unwrap_or(0.0), legs.last().copied().unwrap_or(0.0));
                Area { x: first, y: *top, width: last - first, height: bottom - top }
            }
            Self::Text { x, y, size, anchor, text } => {
                let width = width(text, *size);
                let x = if *anchor == Anchor::Middle { x - width / 2.0 } else { *x };
                Area { x, y: y - size, width, height: size * 1.25 }
            }
        }
    }
}

impl Display for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { width, height, title, description, marks } = self;
        writeln!(
            f,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" aria-labelledby=\"title desc\">"
        )?;
        writeln!(f, "<title id=\"title\">{}</title>", escape(title))?;
        writeln!(f, "<desc id=\"desc\">{}</desc>", escape(description))?;
        writeln!(f, "<style>{STYLE}</style>")?;
        writeln!(f, "<defs>{HATCH}</defs>")?;
        let (wide, high) = (width - 1.0, height - 1.0);
        writeln!(f, "<rect class=\"paper\" x=\"0.5\" y=\"0.5\" width=\"{wide}\" height=\"{high}\" rx=\"8\"/>")?;
        marks.iter().try_for_each(|mark| writeln!(f, "{mark}"))?;
        writeln!(f, "</svg>")
    }
}

impl Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let class = self.class;
        if let Some(tip) = &self.tip {
            write!(f, "<g><title>{}</title>", escape(tip))?;
        }
        match &self.shape {
            Shape::Bar(Area { x, y, width, height }) => {
                let bar = |class, fill| {
                    format!(
                        "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"2\"{fill}/>"
                    )
                };
                f.write_str(&bar(class, ""))?;
                if class.ends_with(PLANNED) {
                    f.write_str(&bar("hatched", " fill=\"url(#hatch)\""))?;
                }
            }
            Shape::Dot { x, y } => write!(f, "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{DOT}\"/>")?,
            Shape::Line { from, to } => {
                let ((x1, y1), (x2, y2)) = (from, to);
                write!(f, "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>")?;
            }
            Shape::Bracket { legs, top, bottom } => {
                let (first, last) = (legs.first().copied().unwrap_or(0.0), legs.last().copied().unwrap_or(0.0));
                write!(f, "<path class=\"{class}\" d=\"M{first:.1} {bottom:.1} H{last:.1}")?;
                legs.iter().try_for_each(|x| write!(f, " M{x:.1} {top:.1} V{bottom:.1}"))?;
                f.write_str("\"/>")?;
            }
            Shape::Text { x, y, size, anchor, text } => {
                let anchor = if *anchor == Anchor::Middle { " text-anchor=\"middle\"" } else { "" };
                let text = escape(text);
                write!(
                    f,
                    "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\"{anchor}>{text}</text>"
                )?;
            }
        }
        if self.tip.is_some() { f.write_str("</g>") } else { Ok(()) }
    }
}

/// The class of what has not happened yet.
pub(super) const PLANNED: &str = "planned";
/// Radius of a dot.
const DOT: f64 = 3.5;
const HATCH: &str = "<pattern id=\"hatch\" width=\"7\" height=\"7\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\"><rect class=\"stripe\" width=\"3\" height=\"7\"/></pattern>";
const STYLE: &str = "
:root { color-scheme: light dark; }
text { font-family: -apple-system, 'Segoe UI', 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif; fill: #1f2328; }
.label { paint-order: stroke; stroke: #ffffff; stroke-width: 5px; }
.paper { fill: #ffffff; stroke: #d5dce3; } .stripe { fill: #ffffff; opacity: .62; }
.soft { fill: #59636e; } .name { font-weight: 600; } .on { fill: #ffffff; font-weight: 600; }
.wait { fill: #d3dde7; stroke: #8c9aa8; } .ready { fill: #9fcbf3; stroke: #3b82c4; }
.sign { fill: #1a7f5a; stroke: #1a7f5a; } .verify { fill: #f0d68c; stroke: #b08a1e; }
.revoked { fill: #f4a3a0; stroke: #b3261e; } .elsewhere { fill: #cdb9f0; stroke: #7652c0; }
rect { stroke-width: 0; } rect.paper { stroke-width: 1; } rect.planned { fill-opacity: .55; stroke-width: 1.2; }
.dot { fill: #1f2328; stroke: #ffffff; stroke-width: 1; }
.grid { stroke: #e3e8ed; } .switch { stroke: #59636e; stroke-dasharray: 4 4; opacity: .7; }
.now { stroke: #c2410c; stroke-width: 1.6; } .nowword { fill: #c2410c; font-weight: 600; }
.span { stroke: #59636e; stroke-width: 1.2; fill: none; } .axis { stroke: #aab4be; stroke-width: 1.2; }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3; }
.label { stroke: #0d1117; }
.paper { fill: #0d1117; stroke: #303a45; } .stripe { fill: #0d1117; }
.soft { fill: #9aa5b1; } .on { fill: #06140e; }
.wait { fill: #3a4653; stroke: #7a8896; } .ready { fill: #24507c; stroke: #5aa2e6; }
.sign { fill: #2f9e74; stroke: #2f9e74; } .verify { fill: #6b571d; stroke: #c9a227; }
.revoked { fill: #7d2f2b; stroke: #f28b82; } .elsewhere { fill: #4b3a78; stroke: #a98de8; }
.dot { fill: #e6edf3; stroke: #0d1117; }
.grid { stroke: #222a33; } .switch { stroke: #9aa5b1; }
.now { stroke: #fb923c; } .nowword { fill: #fb923c; }
.span { stroke: #9aa5b1; } .axis { stroke: #46505b; }
}
";
