//! The lifecycle, for `make mutants`: it copies `src/lifecycle` next to this file, mutates the copy and runs its tests.

pub use keyset_wire::{api, jose};

pub mod lifecycle;
