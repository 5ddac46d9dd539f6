//! PostgreSQL knowledge, pure: versions, positions, what a cluster looks like and what may be done with it.
//!
//! Lives here: `dialect.rs` (version by feature), `lsn.rs`, `view.rs` (a cluster from observations), `decide.rs` (view and
//! goal to steps or a refusal), `scram.rs` (verifiers). Does not: talking to anything (the `pg_*` modules do).
