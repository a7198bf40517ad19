//! The lifecycle against a world in memory: what a cluster, its servers and its adversaries would do.

mod guards;
mod laws;
mod repairs;
mod timeline;
mod world;
