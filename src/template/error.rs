//! What can be wrong with a template, in Ansible's words.

use std::fmt;

use crate::source::Span;

/// The kind of a [`TemplateError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemplateErrorKind {
    /// Something is used that is not defined.
    Undefined,
    /// The text is not a template, or names a filter, test or lookup that is not there.
    Syntax,
    /// A condition's value is not a boolean.
    NotBoolean,
    /// A filter, lookup or operation failed.
    Runtime,
    /// A variable needs itself.
    Recursion,
}

/// Why a template has no value. Never holds values of variables: they may be secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// What kind of mistake it is.
    pub kind: TemplateErrorKind,
    /// In ansible-core 2.19's words: `'nope' is undefined`.
    pub message: String,
    /// Where it stands, when the text came from a file: the part of the template when it can be told, else the whole value.
    pub span: Option<Span>,
}

impl TemplateError {
    /// Makes an error without a place.
    pub fn new(kind: TemplateErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), span: None }
    }

    /// Makes an [`TemplateErrorKind::Undefined`] for a name.
    pub fn undefined(name: &str) -> Self {
        Self::new(TemplateErrorKind::Undefined, format!("'{name}' is undefined"))
    }

    /// Makes a [`TemplateErrorKind::Runtime`].
    pub fn runtime(message: impl Into<String>) -> Self {
        Self::new(TemplateErrorKind::Runtime, message)
    }

    /// Adds a place unless there is one.
    #[must_use]
    pub fn or_at(mut self, span: Option<Span>) -> Self {
        self.span = self.span.or(span);
        self
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for TemplateError {}

impl From<TemplateError> for minijinja::Error {
    fn from(error: TemplateError) -> Self {
        let kind = match error.kind {
            TemplateErrorKind::Undefined => minijinja::ErrorKind::UndefinedError,
            TemplateErrorKind::Syntax
            | TemplateErrorKind::NotBoolean
            | TemplateErrorKind::Runtime
            | TemplateErrorKind::Recursion => minijinja::ErrorKind::InvalidOperation,
        };
        Self::new(kind, error.message.clone()).with_source(error)
    }
}

/// Returns our own error from within an engine's error: the innermost counts, it is the cause.
pub(super) fn inner(error: &minijinja::Error) -> Option<TemplateError> {
    let mut found = None;
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(ours) = error.downcast_ref::<TemplateError>() {
            found = Some(ours.clone());
        }
        source = error.source();
    }
    found
}

/// Turns an engine's error that is not about undefined things into Ansible's words.
pub(super) fn words(error: &minijinja::Error) -> TemplateError {
    use minijinja::ErrorKind as Kind;
    if let Some(ours) = inner(error) {
        return ours;
    }
    let detail = error.detail().unwrap_or_default();
    let quoted = |text: &str| text.split_whitespace().nth(1).unwrap_or_default().to_owned();
    match error.kind() {
        Kind::SyntaxError => TemplateError::new(
            TemplateErrorKind::Syntax,
            format!("Syntax error in template: {detail}"),
        ),
        Kind::UnknownFilter => TemplateError::new(
            TemplateErrorKind::Syntax,
            format!("Syntax error in template: No filter named '{}'.", quoted(detail)),
        ),
        Kind::UnknownTest => TemplateError::new(
            TemplateErrorKind::Syntax,
            format!("Syntax error in template: No test named '{}'.", quoted(detail)),
        ),
        Kind::UndefinedError => TemplateError::new(
            TemplateErrorKind::Undefined,
            if detail.is_empty() { "an undefined value is used" } else { detail },
        ),
        Kind::UnknownFunction => TemplateError::new(
            TemplateErrorKind::Undefined,
            format!("'{}' is undefined", quoted(detail)),
        ),
        Kind::InvalidOperation
            if detail.starts_with("tried to use") && detail.contains("undefined") =>
        {
            TemplateError::new(TemplateErrorKind::Undefined, "an undefined value is used")
        }
        // The engine's text would show the numbers.
        Kind::InvalidOperation if detail.starts_with("unable to calculate") => {
            let zero = [" / 0", " // 0", " % 0"].iter().any(|end| detail.ends_with(end));
            let cause = if zero { "division by zero" } else { "the number is too large" };
            TemplateError::runtime(format!("Error rendering template: {cause}"))
        }
        kind => {
            // A failure inside of a lookup or an included file carries its own words.
            let mut text = if detail.is_empty() { kind.to_string() } else { detail.to_owned() };
            let mut source = std::error::Error::source(error);
            while let Some(next) = source {
                if let Some(detail) =
                    next.downcast_ref::<minijinja::Error>().and_then(minijinja::Error::detail)
                {
                    detail.clone_into(&mut text);
                }
                source = next.source();
            }
            let own = ["The ", "object of type", "No "].iter().any(|start| text.starts_with(start));
            TemplateError::runtime(if own {
                text
            } else {
                format!("Error rendering template: {text}")
            })
        }
    }
}
