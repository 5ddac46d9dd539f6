//! Reports: events turned into words for people and lines for machines.
//!
//! Lives here: `plain.rs` (ansible-playbook's default text), `tty.rs` (the same text above indicatif progress),
//! `json.rs` (events as lines), `diagnostic.rs` (annotate-snippets drawings). Names floor 0 only.
