//! The lifecycle against a world in memory: what a cluster, its servers and its adversaries would do.

mod acts;
mod adoptions;
mod brought;
mod cache_age;
mod conditions;
mod ends;
mod events;
mod guards;
mod issuers;
mod laws;
mod losses;
mod pending;
mod pins;
mod publications;
mod records;
mod repairs;
mod restores;
mod rollouts;
mod signers;
mod statuses;
mod timeline;
mod verbs;
mod wakes;
mod witnesses;
mod world;
mod worlds;
