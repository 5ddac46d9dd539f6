//! Reports: events turned into words for people and lines for machines.
//!
//! Lives here: `text.rs` (ansible-playbook's default words, pure), `plain.rs` (those words as plain lines), `tty.rs` (the
//! same above indicatif progress), `json.rs` (events as lines), `minimal.rs` (one module on hosts), `rehearsal.rs` (`matron pg plan`), `python_json.rs` (JSON as Python writes it) and
//! `diagnostic.rs` (annotate-snippets drawings). Names floor 0 only. Does not: deciding anything about the run.

mod diagnostic;
mod json;
mod minimal;
mod plain;
mod python_json;
mod rehearsal;
mod text;
mod tty;

pub use diagnostic::{draw, draw_all};
pub use json::JsonLines;
pub use minimal::Minimal;
pub use plain::Plain;
pub use rehearsal::Rehearsal;
pub use text::{Colour, Look, Show, TextLine};
pub use tty::{Screen, Tty};
