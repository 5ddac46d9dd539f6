//! The template language: minijinja with Ansible's meaning.
//!
//! Lives here: the [`Templar`] (native types, strict undefined, conditions; `templar.rs`), template files (`files.rs`), the
//! edits that make minijinja mean what Ansible means (`rewrite.rs`), `filters/`, `checks.rs` (the tests behind `is`),
//! `lookups.rs` and Python methods. Does not: which variables there are (vars), or reading anything itself: lookups go
//! through [`Outside`] and [`crate::source::Files`].
//!
//! Adding a filter: one function in the file of its kind under `filters/`, one line in that file's `NAMES`.

#[cfg(test)]
mod cases;
mod checks;
mod dates;
mod error;
mod files;
mod filters;
mod library;
mod lookups;
mod methods;
mod rewrite;
mod templar;
mod tokens;
mod twister;
mod values;

use std::fmt;
use std::path::{Path, PathBuf};

pub use error::{TemplateError, TemplateErrorKind};
pub(crate) use templar::CAUSE;
pub use templar::{Templar, has_template};
pub(crate) use values::{Lazy, finished};
pub use values::{is_omit, omit};

/// The magic variable with the folders lookups and includes look for files in, nearest first (`role_path/files`, … are
/// tried by the lookup itself).
pub const SEARCH_PATH: &str = "ansible_search_path";

/// What lookups may reach outside of the run; made by the door.
pub trait Outside: Send + Sync + fmt::Debug {
    /// Returns an environment variable of this process (`lookup('env', …)`).
    fn env(&self, name: &str) -> Option<String>;
    /// Runs a command line on this machine and returns its stdout (`lookup('pipe', …)`).
    fn pipe(&self, command: &str, folder: &Path) -> Result<String, String>;
    /// Writes a file on this machine with mode 0600, making its folder (`lookup('password', …)`).
    fn keep(&self, path: &Path, text: &str) -> Result<(), String>;
    /// Expands a glob on this machine, sorted (`fileglob`).
    fn glob(&self, pattern: &str) -> Vec<PathBuf>;
    /// Returns the time now as seconds and nanoseconds of the epoch, and the zone's offset in seconds.
    fn now(&self) -> (i64, u32, i32);
    /// Returns random bytes (`random`, `password`, `shuffle`).
    fn random(&self, bytes: &mut [u8]);
}

/// How a template file is rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateOptions {
    /// `trim_blocks` (the module's default is true).
    pub trim_blocks: bool,
    /// `lstrip_blocks`.
    pub lstrip_blocks: bool,
    /// `newline_sequence`.
    pub newline: &'static str,
    /// Own delimiters: block, variable, comment, as start and end.
    pub delimiters: Option<[(String, String); 3]>,
}

impl Default for TemplateOptions {
    fn default() -> Self {
        Self { trim_blocks: true, lstrip_blocks: false, newline: "\n", delimiters: None }
    }
}
