//! `timeline`: the life of each key of a set, past and planned, in the terminal or as one self-contained picture.
//!
//! [`source`] turns what was read and what is foretold into snapshots, [`lives`] makes a [`model`] of them, and three pure
//! renderers draw that: [`terminal`], [`svg`], [`html`]. A renderer knows no clock, no client and no rule.

mod axis;
mod html;
mod lives;
mod model;
mod picture;
mod source;
mod svg;
mod terminal;
#[cfg(test)]
mod tests;
mod text;
mod window;

use std::fmt::{self, Display};

use jiff::SignedDuration;
use serde::Serialize;

use super::output::{self, Format};
use super::session::Session;
use super::{Answer, Outcome};
use html::Html;
use model::Timeline;
use terminal::Terminal;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// KeySet whose keys to show
    #[arg(value_name = "NAME")]
    name: String,
    /// How far to look back, e.g. 36h or 60d [default: as far as ahead, if the keys of today are that old]
    #[arg(long, value_name = "DURATION", value_parser = output::parse_length, hide_default_value = true)]
    since: Option<SignedDuration>,
    /// How far to look ahead, e.g. 36h or 60d [default: until the key that signs now has left]
    #[arg(long, value_name = "DURATION", value_parser = output::parse_length, hide_default_value = true)]
    until: Option<SignedDuration>,
}

pub(super) async fn run(session: &Session, arguments: &Arguments) -> Outcome {
    let timeline = source::read(session, arguments).await?;
    match session.format {
        Format::Svg => output::print(&svg::picture(&timeline).to_string())?,
        Format::Html => output::print(&Html(&timeline).to_string())?,
        Format::Table | Format::Json | Format::Yaml => {
            session.print(&Report { timeline, columns: output::columns() })?;
        }
    }
    Ok(Answer::Yes)
}

#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    timeline: Timeline,
    #[serde(skip)]
    columns: usize,
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Terminal { timeline: &self.timeline, columns: self.columns }.fmt(f)
    }
}
