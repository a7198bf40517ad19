//! The three renderers: what they show, word for word, and laws that hold for any set.

mod fixtures;
mod laws;
mod lives;
mod looks;
