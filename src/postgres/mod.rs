//! PostgreSQL knowledge, pure: versions, positions, what a cluster looks like and what may be done with it.
//!
//! Lives here: `version.rs` and `dialect.rs` (version by feature), `lsn.rs`, `timeline.rs`, `copy.rs` (rate of a base backup), `control.rs` (what a stopped
//! node says), `scram.rs` (verifiers), `conninfo.rs`, `hba.rs` and `config.rs` (files of the data directory),
//! `observation.rs` (one node), `view.rs` (a cluster from observations), `finding.rs` (what is wrong with it),
//! `synchronous.rs` (what a commit waits for, and what that means for loss), `status.rs` (a cluster for machines and people), `decide.rs` (view and goal to steps or a refusal).
//! Does not: talking to anything (the `pg_*` modules do).

pub mod config;
pub mod conninfo;
pub mod control;
pub mod copy;
pub mod decide;
pub mod dialect;
pub mod finding;
pub mod handbuilt;
pub mod hba;
pub mod lsn;
pub mod observation;
pub mod scram;
pub mod status;
pub mod synchronous;
pub mod timeline;
pub mod version;
pub mod view;

pub use dialect::Dialect;
pub use lsn::Lsn;
pub use observation::Observation;
pub use timeline::{History, TimelineId};
pub use version::{Major, ServerVersion};
