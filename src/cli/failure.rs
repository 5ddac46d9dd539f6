//! Every error of every room, mapped to its words, hint and exit code: the one place where a kind decides an exit.

use std::fmt::Write as _;
use std::process::ExitCode;

use crate::source::{Diagnostics, Sources};

/// Why a command could not do its work. A host's failure is not one: that is an outcome, and the engine's exit code.
#[derive(Debug)]
pub(super) struct Failure {
    kind: Kind,
    message: String,
    hint: Option<String>,
}

/// What went wrong; decides the exit code (`ansible-playbook`'s numbers).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A file is missing, a limit matches nothing ...
    General,
    /// What the user wrote cannot be parsed or is refused before anything is touched.
    Parse,
    /// Flags that do not go together.
    Usage,
    /// The user said no, or pressed Ctrl-C.
    Cancelled,
}

impl Kind {
    fn code(self) -> u8 {
        match self {
            Self::General => 1,
            Self::Parse => 4,
            Self::Usage => 5,
            Self::Cancelled => 99,
        }
    }
}

impl Failure {
    pub(super) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None }
    }

    pub(super) fn general(message: impl Into<String>) -> Self {
        Self::new(Kind::General, message)
    }

    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Draws all diagnostics of a project; they end the command before anything is touched.
    pub(super) fn of_diagnostics(
        kind: Kind,
        found: &Diagnostics,
        sources: &Sources,
        colour: bool,
    ) -> Self {
        // In the order of the lines, whichever check found them.
        let mut found = found.clone();
        found
            .0
            .sort_by_key(|one| one.labels.first().map(|label| (label.span.file, label.span.start)));
        let mut message = crate::report::draw_all(&found, sources, colour);
        let count = found.0.len();
        if count > 1 {
            let _ = write!(message, "\n\n{count} errors; nothing was touched.");
        }
        Self { kind, message, hint: None }
    }

    /// Returns what went wrong, without the hint.
    pub(super) fn text(&self) -> &str {
        &self.message
    }

    /// Says it on stderr and returns the exit code.
    pub(super) fn report(&self) -> ExitCode {
        let head = if self.message.starts_with("error") || self.message.starts_with('\u{1b}') {
            ""
        } else {
            "error: "
        };
        super::talk(&format!("{head}{}", self.message));
        if let Some(hint) = &self.hint {
            super::talk(&format!("hint: {hint}"));
        }
        ExitCode::from(self.kind.code())
    }
}

impl From<crate::record::RecordError> for Failure {
    fn from(error: crate::record::RecordError) -> Self {
        Self::general(with_causes(&error))
            .hint("name another folder with --state-dir or MATRON_STATE_DIR")
    }
}

/// Returns an error's text followed by its causes.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let _ = write!(text, ": {inner}");
        cause = inner.source();
    }
    without_number(&text)
}

/// Takes the system's number out of its words: `No such file or directory (os error 2)`.
pub(super) fn without_number(text: &str) -> String {
    match text.split_once(" (os error ") {
        Some((words, rest)) => {
            let rest = rest.split_once(')').map_or("", |(_, after)| after);
            format!("{words}{rest}")
        }
        None => text.to_owned(),
    }
}
