//! Source text and places in it: files, spans, diagnostics, and how files are reached.
//!
//! Lives here: the table of loaded files, byte spans, the [`Diagnostic`] every loading room raises, and the [`Files`]
//! door through which pure rooms read project files. Does not: drawing a diagnostic (that is `report`).

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use crate::vault::Keyring;

/// Names one file in a [`Sources`] table.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct FileId(u32);

/// A range of bytes in one source file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// First byte.
    pub start: u32,
    /// One past the last byte; may equal `start`.
    pub end: u32,
}

impl Span {
    /// Makes a span; `end` below `start` is lifted to `start`.
    pub fn new(file: FileId, start: usize, end: usize) -> Self {
        let start = u32::try_from(start).unwrap_or(u32::MAX);
        let end = u32::try_from(end).unwrap_or(u32::MAX).max(start);
        Self { file, start, end }
    }

    /// Returns the smallest span that covers both; of two files the first wins.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        if self.file != other.file {
            return self;
        }
        Self { file: self.file, start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// One loaded text.
#[derive(Debug)]
pub struct SourceFile {
    /// The path as the user knows it.
    pub path: PathBuf,
    /// The whole text.
    pub text: Arc<str>,
    line_starts: Vec<u32>,
}

/// A place a person can find: line and column count from 1, columns in characters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Location {
    /// The file.
    pub path: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.path.display(), self.line, self.column)
    }
}

/// The table of all texts loaded in a run; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Arc<RwLock<Vec<Arc<SourceFile>>>>,
}

impl Sources {
    /// Adds a text and returns its id.
    pub fn add(&self, path: impl Into<PathBuf>, text: impl Into<Arc<str>>) -> FileId {
        let text: Arc<str> = text.into();
        let mut line_starts = vec![0];
        for (at, byte) in text.bytes().enumerate() {
            if byte == b'\n' {
                line_starts.push(u32::try_from(at + 1).unwrap_or(u32::MAX));
            }
        }
        let file = Arc::new(SourceFile { path: path.into(), text, line_starts });
        let mut files = self.files.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        files.push(file);
        FileId(u32::try_from(files.len() - 1).unwrap_or(u32::MAX))
    }

    /// Returns a file by id; `None` for an id of another table.
    pub fn get(&self, id: FileId) -> Option<Arc<SourceFile>> {
        let files = self.files.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        files.get(id.0 as usize).cloned()
    }

    /// Returns every text loaded so far, in order.
    pub fn all(&self) -> Vec<Arc<SourceFile>> {
        self.files.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Returns where a span starts.
    pub fn locate(&self, span: Span) -> Option<Location> {
        let file = self.get(span.file)?;
        let start = (span.start as usize).min(file.text.len());
        let line = file.line_starts.partition_point(|at| *at as usize <= start);
        let line_start = file.line_starts.get(line - 1).map_or(0, |at| *at as usize);
        let column = file.text.get(line_start..start).map_or(1, |t| t.chars().count() + 1);
        Some(Location { path: file.path.clone(), line, column })
    }
}

/// How bad a [`Diagnostic`] is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    /// Nothing may start.
    Error,
    /// Said, then the run goes on.
    Warning,
}

/// What kind of mistake a [`Diagnostic`] is; decides the exit code (dialect: 4 for a mistake, 1 for a missing file).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Fault {
    /// Something is written wrongly.
    #[default]
    Written,
    /// A file, playbook or role that is named cannot be found or read.
    Missing,
}

/// One thing wrong with what the user wrote, with the places that show it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// What kind of mistake.
    pub fault: Fault,
    /// What is wrong: lower-case fragment without a full stop.
    pub message: String,
    /// Places; the first is the primary one.
    pub labels: Vec<Label>,
    /// What to do: actions.
    pub hints: Vec<String>,
}

/// A place in a diagnostic with a word about it (may be empty).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What is there.
    pub text: String,
}

impl Diagnostic {
    /// Starts an error.
    pub fn error(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            fault: Fault::Written,
            message: message.into(),
            labels: Vec::new(),
            hints: Vec::new(),
        }
    }

    /// Starts a warning.
    pub fn warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(message) }
    }

    /// Starts an error about something that cannot be found.
    pub fn missing(message: impl Into<String>) -> Self {
        Self { fault: Fault::Missing, ..Self::error(message) }
    }

    /// Adds a place.
    #[must_use]
    pub fn at(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds a hint when there is one.
    #[must_use]
    pub fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hints.extend(hint);
        self
    }
}

/// All that is wrong with a project, collected before anything is touched; never empty as an error.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl From<Diagnostic> for Diagnostics {
    fn from(one: Diagnostic) -> Self {
        Self(vec![one])
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for one in &self.0 {
            if !first {
                f.write_str("; ")?;
            }
            first = false;
            f.write_str(&one.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

/// The folder under which [`Files`] shows the playbooks and templates that matron carries in itself
/// (`<matron>/playbooks/site.yml`, `<matron>/templates/pg_hba.conf.j2`).
pub const EMBEDDED: &str = "<matron>";

/// How rooms that must not touch the disk reach project files: the real disk, or the embedded playbooks.
pub trait Files: Send + Sync + fmt::Debug {
    /// Returns a file's bytes; a file sealed with Ansible Vault comes opened.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Tells whether `path` is a regular file (links followed).
    fn is_file(&self, path: &Path) -> bool;
    /// Tells whether `path` is a folder (links followed).
    fn is_dir(&self, path: &Path) -> bool;
    /// Returns the names in a folder, sorted.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;
    /// Tells whether a file may be executed (inventory scripts, vault programs).
    fn is_executable(&self, path: &Path) -> bool;

    /// Returns a file's bytes as they are, sealed or not.
    fn read_as_is(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.read(path)
    }

    /// Returns the passwords that open sealed values; none by default.
    fn keyring(&self) -> Keyring {
        Keyring::default()
    }

    /// Returns a file as text; not UTF-8 is `InvalidData`.
    fn read_text(&self, path: &Path) -> io::Result<String> {
        String::from_utf8(self.read(path)?)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()))
    }
}

/// Test files: a map of path to text.
#[derive(Debug, Default, Clone)]
pub struct MemoryFiles(pub std::collections::BTreeMap<PathBuf, Vec<u8>>);

impl MemoryFiles {
    /// Makes a set from pairs of path and text.
    pub fn of(files: &[(&str, &str)]) -> Self {
        Self(
            files
                .iter()
                .map(|(path, text)| (PathBuf::from(path), text.as_bytes().to_vec()))
                .collect(),
        )
    }
}

impl Files for MemoryFiles {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.0.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn is_file(&self, path: &Path) -> bool {
        self.0.contains_key(path)
    }

    fn is_dir(&self, path: &Path) -> bool {
        self.0.keys().any(|file| file != path && file.starts_with(path))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut names: Vec<String> = self
            .0
            .keys()
            .filter_map(|file| file.strip_prefix(path).ok())
            .filter_map(|rest| rest.components().next())
            .map(|part| part.as_os_str().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names.dedup();
        if names.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(names) }
    }

    fn is_executable(&self, _path: &Path) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn location_counts_lines_and_characters_from_one() {
        let sources = Sources::default();
        let id = sources.add("a.yml", "eins\nzwölf: x\n");
        let at = "eins\nzwölf: ".len();
        let place = sources.locate(Span::new(id, at, at + 1)).map(|l| (l.line, l.column));
        assert_eq!(place, Some((2, 8)));
    }
}
