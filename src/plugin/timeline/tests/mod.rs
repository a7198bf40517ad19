//! The three renderers: what they show, word for word, and laws that hold for any set.

mod docs;
mod fixtures;
mod histories;
mod laws;
mod lives;
mod looks;
