//! The template language: minijinja with Ansible's meaning.
//!
//! Lives here: the `Templar` (native types, strict undefined, conditions; `templar.rs`), `filters/`, `tests.rs`,
//! `lookups.rs` and Python methods. Does not: which variables there are (vars), or reading anything itself: lookups go
//! through [`Outside`].

use std::fmt;
use std::path::{Path, PathBuf};

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
