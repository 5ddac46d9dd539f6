//! What to say about text that is no YAML: the scanner's words, and the slip that most likely caused them.

use super::Node;
use crate::source::{Diagnostic, Span};

/// Turns a scanner error into a diagnostic with a hint.
pub(super) fn explain(text: &str, at: usize, info: &str, place: Span) -> Diagnostic {
    let mut message = info.trim_end_matches('.').to_owned();
    if let Some(first) = message.get(..1) {
        let lower = first.to_ascii_lowercase();
        message.replace_range(..1, &lower);
    }
    Diagnostic::error(message).at(place, "").maybe_hint(slip(text, at))
}

/// A mapping or list where a key should be: nearly always an unquoted `{{ … }}`.
pub(super) fn unhashable(text: &str, skipped: usize, key: &Node) -> Diagnostic {
    let at = (key.span.start as usize).saturating_sub(skipped);
    let hint = line_around(text, at)
        .and_then(template_slip)
        .unwrap_or_else(|| "a key must be a string, number, boolean or null".to_owned());
    Diagnostic::error(format!("found unacceptable key: a {} cannot be a key", key.type_name()))
        .at(key.span, "")
        .hint(hint)
}

fn line_around(text: &str, at: usize) -> Option<&str> {
    let start = text.get(..at)?.rfind('\n').map_or(0, |n| n + 1);
    let end = text.get(at..)?.find('\n').map_or(text.len(), |n| at + n);
    text.get(start..end)
}

fn slip(text: &str, at: usize) -> Option<String> {
    let line = line_around(text, at)?;
    // The scanner often only gives up on the line after the slip.
    let start = text.get(..at)?.rfind('\n');
    let before = start.and_then(|newline| line_around(text, newline.saturating_sub(1)));
    let lines = || std::iter::once(line).chain(before);
    if let Some(hint) = lines().find_map(template_slip) {
        return Some(hint);
    }
    // A tab at the start of the next line is met while the value of this one is still being read.
    let rest = text.get(at..).and_then(|rest| rest.split_once('\n')).map_or("", |(_, rest)| rest);
    let next = rest.lines().next();
    if lines()
        .chain(next)
        .any(|line| line.chars().take_while(|c| c.is_whitespace()).any(|c| c == '\t'))
    {
        return Some("indent with spaces: YAML does not allow tabs there".to_owned());
    }
    if let Some(hint) = lines().find_map(bracket_slip) {
        return Some(hint);
    }
    let valued = |line: &str| key_and_value(line).is_some_and(|(_, value)| !value.is_empty());
    if let Some(previous) = before.filter(|previous| valued(previous)) {
        let depth = |line: &str| line.len() - line.trim_start().len();
        if key_and_value(line).is_some() && depth(line) > depth(previous) {
            return Some("indent a key as its neighbours are".to_owned());
        }
    }
    lines()
        .find_map(|line| quote_slip(line).or_else(|| colon_slip(line)).or_else(|| sign_slip(line)))
}

/// Splits `  - key: value # …` into key and value.
fn key_and_value(line: &str) -> Option<(&str, &str)> {
    let line = line.trim().trim_start_matches("- ").trim_start();
    let (key, value) = line.split_once(": ")?;
    Some((key.trim(), value.trim()))
}

/// `key: {{ var }}` must be quoted.
fn template_slip(line: &str) -> Option<String> {
    let (key, value) = match key_and_value(line) {
        Some((key, value)) => (Some(key), value),
        None => (None, line.trim().strip_prefix("- ")?.trim()),
    };
    if !value.starts_with("{{") && !value.starts_with("{%") {
        return None;
    }
    let quoted = if value.contains('"') { format!("'{value}'") } else { format!("\"{value}\"") };
    Some(match key {
        Some(key) => format!("quote a value that starts with a template: {key}: {quoted}"),
        None => format!("quote a value that starts with a template: - {quoted}"),
    })
}

/// `"a" b`: a value that starts with quoted text goes on after it; or its quote is never closed.
fn quote_slip(line: &str) -> Option<String> {
    let (key, value) = key_and_value(line)?;
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    match value[1..].find(quote) {
        None => Some(format!("close the quote that opens the value of {key}")),
        Some(end) if end + 2 < value.len() => {
            let other = if quote == '"' { '\'' } else { '"' };
            Some(format!("quote the whole value: {key}: {other}{value}{other}"))
        }
        Some(_) => None,
    }
}

/// `a: [1, 2`: a bracket that is not closed in its line.
fn bracket_slip(line: &str) -> Option<String> {
    let (key, value) = key_and_value(line)?;
    let (open, close) = match value.chars().next()? {
        '[' => ('[', ']'),
        '{' => ('{', '}'),
        _ => return None,
    };
    let count = |wanted: char| value.chars().filter(|c| *c == wanted).count();
    (count(open) > count(close)).then(|| format!("close the {open} that opens the value of {key}"))
}

/// `a: b: c`: a second colon makes a second mapping.
fn colon_slip(line: &str) -> Option<String> {
    let (key, value) = key_and_value(line)?;
    if value.contains(": ") || value.ends_with(':') {
        return Some(format!("quote a value that holds a colon: {key}: \"{value}\""));
    }
    None
}

/// Values that start with a sign YAML keeps for itself.
fn sign_slip(line: &str) -> Option<String> {
    let (key, value) = key_and_value(line)?;
    let first = value.chars().next()?;
    matches!(first, '@' | '`' | '%' | '*' | '&' | '!')
        .then(|| format!("quote a value that starts with {first}: {key}: \"{value}\""))
}
