//! Regular expressions of Python's `re`.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use fancy_regex::{Regex, RegexBuilder};
use minijinja::value::{Kwargs, from_args};
use minijinja::{Error, Value};

use super::super::library::{Shelf, as_text};
use super::failed;

pub(super) fn add(shelf: &mut Shelf) {
    shelf.filter("regex_replace", regex_replace);
    shelf.filter("regex_search", regex_search);
    shelf.filter("regex_findall", regex_findall);
    shelf.filter("regex_escape", regex_escape);
}

type Patterns = Mutex<HashMap<(String, bool, bool), Regex>>;
static PATTERNS: LazyLock<Patterns> = LazyLock::new(Mutex::default);

/// Compiles a pattern of Python's `re`.
pub(crate) fn pattern(
    text: &str,
    ignore_case: bool,
    multiline: bool,
    subject: &str,
) -> Result<Regex, Error> {
    // Python's `$` also matches before a line end that ends the text.
    let lenient_end = !multiline && subject.ends_with('\n') && text.contains('$');
    let text = translated(text, lenient_end);
    let key = (text, ignore_case, multiline);
    let mut known = PATTERNS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(regex) = known.get(&key) {
        return Ok(regex.clone());
    }
    let regex = RegexBuilder::new(&key.0)
        .case_insensitive(ignore_case)
        .multi_line(multiline)
        .build()
        .map_err(|error| {
            Error::new(
                minijinja::ErrorKind::InvalidOperation,
                format!("Error rendering template: Invalid regular expression: {error}"),
            )
        })?;
    if known.len() > 1_000 {
        known.clear();
    }
    known.insert(key, regex.clone());
    Ok(regex)
}

/// Writes a pattern of Python's `re` as one our engine reads the same way.
fn translated(text: &str, lenient_end: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.char_indices().peekable();
    let mut class = None;
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some((_, 'Z')) if class.is_none() => out.push_str("\\z"),
                // Word boundaries there, plain characters in Python.
                Some((_, c @ ('<' | '>'))) => out.push(c),
                Some((_, c)) => {
                    out.push('\\');
                    out.push(c);
                }
                None => out.push('\\'),
            },
            '[' if class.is_none() => {
                class = Some(at);
                out.push('[');
                if chars.next_if(|(_, c)| *c == '^').is_some() {
                    out.push('^');
                }
                if chars.next_if(|(_, c)| *c == ']').is_some() {
                    out.push_str("\\]");
                }
            }
            ']' if class.is_some() => {
                class = None;
                out.push(']');
            }
            // No sets of sets in Python.
            '[' | '&' | '~' if class.is_some() => {
                out.push('\\');
                out.push(c);
            }
            '$' if class.is_none() && lenient_end => out.push_str("(?=\\n?\\z)"),
            '{' if class.is_none() && !is_count(&text[at..]) => out.push_str("\\{"),
            c => out.push(c),
        }
    }
    out
}

/// Tells whether `{…` is a repetition count.
fn is_count(text: &str) -> bool {
    let Some(end) = text.find('}') else { return false };
    let inside = &text[1..end];
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    match inside.split_once(',') {
        Some((from, to)) => digits(from) && digits(to) && inside != ",",
        None => !inside.is_empty() && digits(inside),
    }
}

/// One part of a replacement.
enum Part {
    Text(String),
    Group(String),
}

/// Reads a replacement of Python's `re.sub`: `\1`, `\g<name>`, `\n`.
fn replacement(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        plain.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let group = if let Some(named) = after.strip_prefix("g<") {
            named.find('>').map(|end| (named[..end].to_owned(), 2 + end + 1))
        } else {
            let length = after.bytes().take(2).take_while(u8::is_ascii_digit).count();
            (length > 0 && !after.starts_with('0')).then(|| (after[..length].to_owned(), length))
        };
        if let Some((group, length)) = group {
            parts.push(Part::Text(std::mem::take(&mut plain)));
            parts.push(Part::Group(group));
            rest = &after[length..];
            continue;
        }
        let c = after.chars().next();
        match c {
            Some('n') => plain.push('\n'),
            Some('t') => plain.push('\t'),
            Some('r') => plain.push('\r'),
            Some('\\') | None => plain.push('\\'),
            Some(c) => {
                plain.push('\\');
                plain.push(c);
            }
        }
        rest = &after[c.map_or(0, char::len_utf8)..];
    }
    plain.push_str(rest);
    parts.push(Part::Text(plain));
    parts
}

fn group<'t>(found: &fancy_regex::Captures<'t, String>, name: &str) -> Option<&'t str> {
    let group = match name.parse::<usize>() {
        Ok(number) => found.get(number),
        Err(_) => found.name(name),
    };
    group.map(|group| group.as_str())
}

fn too_hard(filter: &str) -> Error {
    failed(filter, "the pattern takes too long on this text")
}

fn regex_replace(
    value: &Value,
    regex: Option<&str>,
    new: Option<&Value>,
    flags: &[Value],
    kwargs: Kwargs,
) -> Result<String, Error> {
    let (ignore_case, multiline): (Option<bool>, Option<bool>) = from_args(flags)?;
    let text = as_text(value)?;
    let regex = regex.or(kwargs.get("pattern")?).unwrap_or_default();
    let new = new
        .cloned()
        .or(kwargs.get::<Option<Value>>("replacement")?)
        .unwrap_or_else(|| Value::from(""));
    let ignore_case = ignore_case.or(kwargs.get("ignorecase")?).unwrap_or(false);
    let multiline = multiline.or(kwargs.get("multiline")?).unwrap_or(false);
    let most = kwargs.get::<Option<usize>>("count")?.unwrap_or(0);
    let wanted = kwargs.get::<Option<usize>>("mandatory_count")?.unwrap_or(0);
    kwargs.assert_all_used()?;
    let regex = pattern(regex, ignore_case, multiline, &text)?;
    let parts = replacement(&as_text(&new)?);
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    let mut count = 0;
    for found in regex.captures_iter(&text) {
        let found = found.map_err(|_| too_hard("regex_replace"))?;
        let Some(whole) = found.get(0) else { continue };
        if most > 0 && count == most {
            break;
        }
        out.push_str(&text[at..whole.start()]);
        for part in &parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Group(name) => out.push_str(group(&found, name).unwrap_or_default()),
            }
        }
        at = whole.end();
        count += 1;
    }
    if wanted > 0 && count != wanted {
        let text = format!("'mandatory_count' is {wanted} but the pattern matches {count} times");
        return Err(failed("regex_replace", text));
    }
    out.push_str(&text[at..]);
    Ok(out)
}

fn regex_search(
    value: &Value,
    regex: &str,
    groups: &[Value],
    kwargs: Kwargs,
) -> Result<Value, Error> {
    let text = as_text(value)?;
    let ignore_case = kwargs.get::<Option<bool>>("ignorecase")?.unwrap_or(false);
    let multiline = kwargs.get::<Option<bool>>("multiline")?.unwrap_or(false);
    kwargs.assert_all_used()?;
    let found = pattern(regex, ignore_case, multiline, &text)?
        .captures(&text)
        .map_err(|_| too_hard("regex_search"))?;
    let Some(found) = found else {
        if groups.is_empty() {
            return Ok(Value::from(()));
        }
        // Observed: asking for groups of no match is an error there.
        return Err(failed("regex_search", "'NoneType' object has no attribute 'group'"));
    };
    if groups.is_empty() {
        return Ok(Value::from(group(&found, "0")));
    }
    let mut out = Vec::new();
    for wanted in groups {
        let wanted = wanted.to_string();
        let name = wanted.trim_start_matches('\\');
        let name = name.strip_prefix("g<").and_then(|name| name.strip_suffix('>')).unwrap_or(name);
        if !wanted.starts_with('\\') {
            return Err(failed("regex_search", "Unknown argument"));
        }
        out.push(Value::from(group(&found, name)));
    }
    Ok(Value::from(out))
}

fn regex_findall(
    value: &Value,
    regex: &str,
    multiline: Option<bool>,
    ignore_case: Option<bool>,
    kwargs: Kwargs,
) -> Result<Value, Error> {
    let text = as_text(value)?;
    let ignore_case = ignore_case.or(kwargs.get("ignorecase")?).unwrap_or(false);
    let multiline = multiline.or(kwargs.get("multiline")?).unwrap_or(false);
    kwargs.assert_all_used()?;
    let regex = pattern(regex, ignore_case, multiline, &text)?;
    let mut out = Vec::new();
    for found in regex.captures_iter(&text) {
        let found = found.map_err(|_| too_hard("regex_findall"))?;
        let part = |at: usize| Value::from(found.get(at).map_or("", |part| part.as_str()));
        out.push(match found.len() {
            1 => part(0),
            2 => part(1),
            many => Value::from((1..many).map(part).collect::<Vec<_>>()),
        });
    }
    Ok(Value::from(out))
}

fn regex_escape(value: &Value, kind: Option<&str>, kwargs: Kwargs) -> Result<String, Error> {
    let text = as_text(value)?;
    let special = match kind.or(kwargs.get("re_type")?).unwrap_or("python") {
        "python" => "()[]{}?*+-|^$\\.&~# \t\n\r\u{b}\u{c}",
        "posix_basic" => "[].^$*\\",
        _ => return Err(failed("regex_escape", "Invalid regex type")),
    };
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if special.contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    Ok(out)
}
