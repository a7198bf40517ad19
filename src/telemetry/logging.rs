//! Logs go to standard error, as text or JSON.

use std::{io, io::IsTerminal, str::FromStr};

use tracing_subscriber::{
    EnvFilter, Layer, Registry, filter::LevelFilter, layer::SubscriberExt, util::SubscriberInitExt,
};

/// How a line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people; in colour on a terminal.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged: a level, or directives such as `debug,kube=trace`.
#[derive(Clone, Debug)]
pub struct Filter(String);

/// A text is neither a level nor a list of directives.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0:?} is not a level (error, warn, info, debug, trace) nor directives like debug,kube=trace")]
pub struct FilterError(String);

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        let directives = match LevelFilter::from_str(text) {
            // Clients and servers inside log each request: what they warn of is enough, and errors that the client
            // hands to us are ours to log.
            Ok(level) => {
                format!("{},kube_client::client::builder=off,keyset_operator={level}", level.min(LevelFilter::WARN))
            }
            Err(_) => text.to_owned(),
        };
        match EnvFilter::try_new(&directives) {
            Ok(_) if !text.is_empty() => Ok(Self(directives)),
            _ => Err(FilterError(text.to_owned())),
        }
    }
}

/// Starts logging, once for the process; a second call changes nothing.
pub fn init(filter: &Filter, format: Format) {
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    let layer: Box<dyn Layer<Registry> + Send + Sync> = match format {
        Format::Text => layer.boxed(),
        Format::Json => layer.json().flatten_event(true).boxed(),
    };
    let _ = tracing_subscriber::registry().with(layer.with_filter(EnvFilter::new(&filter.0))).try_init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_counts_for_us_and_leaves_clients_at_warn() {
        for (text, directives) in [
            ("info", "warn,kube_client::client::builder=off,keyset_operator=info"),
            ("TRACE", "warn,kube_client::client::builder=off,keyset_operator=trace"),
            ("error", "error,kube_client::client::builder=off,keyset_operator=error"),
            ("off", "off,kube_client::client::builder=off,keyset_operator=off"),
            ("info,kube=debug", "info,kube=debug"),
        ] {
            assert_eq!(text.parse::<Filter>().unwrap().0, directives);
        }
        for text in ["", "kube=loud", "a=b=c"] {
            assert!(text.parse::<Filter>().is_err(), "{text}");
        }
    }
}
