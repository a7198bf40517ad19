//! The picture and all of its facts as one page: nothing is loaded, and nothing runs.

use std::fmt::{self, Display};

use super::model::{Life, Timeline};
use super::svg::{picture, second};
use super::text::escape;
use crate::plugin::output::length;

/// A timeline as a page.
pub(super) struct Html<'a>(pub(super) &'a Timeline);

impl Display for Html<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timeline = self.0;
        let place = escape(&format!("{}/{}", timeline.namespace, timeline.name));
        writeln!(f, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">")?;
        writeln!(f, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">")?;
        writeln!(f, "<meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">")?;
        writeln!(f, "<title>{place}</title>\n<style>{STYLE}</style>\n</head>\n<body>")?;
        writeln!(f, "<div class=\"wide\">\n{}</div>", picture(timeline))?;
        writeln!(
            f,
            "<p>As of {}. What is later is planned: the earliest that it can happen.</p>",
            second(timeline.now)
        )?;
        writeln!(
            f,
            "<div class=\"wide\">\n<table>\n<thead><tr><th>Key</th><th>Part of its life</th><th>From</th><th>Until</th><th>Length</th></tr></thead>"
        )?;
        timeline.shown().try_for_each(|life| key(f, timeline, life))?;
        writeln!(f, "</table>\n</div>")?;
        let granted = timeline.assumptions.iter();
        granted.map(|it| escape(it)).try_for_each(|it| writeln!(f, "<p>Taken for granted: {it}.</p>"))?;
        writeln!(f, "</body>\n</html>")
    }
}

/// The rows of one key.
fn key(f: &mut fmt::Formatter<'_>, timeline: &Timeline, life: &Life) -> fmt::Result {
    let mut rows = Vec::new();
    for span in &life.spans {
        let until = span.until.map_or_else(|| "no end in sight".to_owned(), second);
        let lasts = span.until.map(|until| length(until.duration_since(span.from))).unwrap_or_default();
        rows.push((span.from, span.stage.word().to_owned(), until, lasts));
    }
    for guard in &life.guards {
        let sum = guard.lengths().map(|lengths| format!(" = {lengths}")).unwrap_or_default();
        let lasts = length(guard.until.duration_since(guard.from));
        rows.push((guard.from, format!("waits {}{sum}", guard.letters()), second(guard.until), lasts));
    }
    let moments = [(life.private_key_destruction_time, "private half destroyed"), (life.revocation_time, "revoked")];
    for (time, word) in moments {
        rows.extend(time.map(|time| (time, word.to_owned(), String::new(), String::new())));
    }
    rows.sort_by_key(|(from, ..)| *from);
    let kid = life.key_id.as_ref().map_or("not made yet", |kid| kid.as_str());
    writeln!(f, "<tbody>")?;
    for (index, (from, part, until, lasts)) in rows.iter().enumerate() {
        let planned = if *from > timeline.now { " class=\"planned\"" } else { "" };
        write!(f, "<tr{planned}>")?;
        if index == 0 {
            let (name, count) = (escape(&life.name), rows.len());
            let origin = format!("{:?}", life.origin).to_lowercase();
            write!(
                f,
                "<th rowspan=\"{count}\">{name}<br><small>{}, {origin}<br><code>{}</code></small></th>",
                life.algorithm,
                escape(kid)
            )?;
        }
        writeln!(f, "<td>{}</td><td>{}</td><td>{until}</td><td>{lasts}</td></tr>", escape(part), second(*from))?;
    }
    writeln!(f, "</tbody>")
}

/// Nothing from anywhere.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";
const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1f2328; --paper: #ffffff; --soft: #59636e; --line: #d5dce3; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117; --soft: #9aa5b1; --line: #303a45; } }
body { margin: 1rem auto; max-width: 960px; padding: 0 .5rem; background: var(--paper); color: var(--ink); font: 14px/1.45 -apple-system, 'Segoe UI', 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; white-space: nowrap; }
th small { font-weight: normal; color: var(--soft); }
p, .planned { color: var(--soft); } .planned { font-style: italic; } th { font-style: normal; color: var(--ink); }
";
