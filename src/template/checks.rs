//! The tests behind `is`, with Ansible's meaning.

use std::cmp::Ordering;
use std::path::Path;

use minijinja::value::{Kwargs, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State, Value};

use super::filters::{items, pattern};
use super::library::{Shelf, as_text};
use super::lookups::root;
use super::values::defined;

/// Adds all tests.
pub(super) fn add(shelf: &mut Shelf) {
    kinds(shelf);
    results(shelf);
    for_text(shelf);
    lists(shelf);
    files(shelf);
    for name in ["version", "version_compare"] {
        shelf.test(name, version);
    }
    shelf.test("truthy", |value: &Value, kwargs: Kwargs| truthy(value, &kwargs));
    shelf.test("falsy", |value: &Value, kwargs: Kwargs| truthy(value, &kwargs).map(|truth| !truth));
    shelf.test("sameas", |a: &Value, b: &Value| -> Result<bool, Error> {
        Ok(defined(a)?.kind() == defined(b)?.kind() && a == b)
    });
    shelf.test("timedelta", |_: &Value| false);
}

/// Makes a test's error in Ansible's words.
fn failed(test: &str, message: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::InvalidOperation,
        format!("The test plugin 'ansible.builtin.{test}' failed: {message}"),
    )
}

/// Tests for types. Python's `bool` is a number too.
fn kinds(shelf: &mut Shelf) {
    let mut kind = |name: &'static str, test: fn(&Value) -> bool| {
        shelf.test(name, move |value: &Value| -> Result<bool, Error> { defined(value).map(test) });
    };
    kind("none", Value::is_none);
    kind("string", |value| value.kind() == ValueKind::String);
    kind("mapping", |value| value.kind() == ValueKind::Map);
    kind("boolean", |value| value.kind() == ValueKind::Bool);
    kind("number", |value| matches!(value.kind(), ValueKind::Number | ValueKind::Bool));
    kind("integer", |value| value.kind() == ValueKind::Number && value.is_integer());
    kind("float", |value| value.kind() == ValueKind::Number && !value.is_integer());
    kind("callable", |value| value.kind() == ValueKind::Plain);
    let nan = |value: &Value| f64::try_from(value.clone()).is_ok_and(f64::is_nan);
    kind("nan", nan);
    kind("isnan", nan);
    let many = |value: &Value| {
        matches!(
            value.kind(),
            ValueKind::Seq | ValueKind::Map | ValueKind::String | ValueKind::Iterable
        )
    };
    kind("iterable", many);
    kind("sequence", many);
}

/// Tests for what a task returned.
fn results(shelf: &mut Shelf) {
    let mut result = |name: &'static str, test: fn(&Value) -> Result<bool, Error>| {
        shelf.test(name, move |value: &Value| -> Result<bool, Error> {
            if defined(value)?.kind() != ValueKind::Map {
                return Err(failed(name, format_args!("The '{name}' test expects a dictionary")));
            }
            test(value)
        });
    };
    let not_failed: fn(&Value) -> Result<bool, Error> = |value| flag(value, "failed").map(|it| !it);
    for name in ["succeeded", "success", "successful"] {
        result(name, not_failed);
    }
    for name in ["failed", "failure"] {
        result(name, |value| flag(value, "failed"));
    }
    for name in ["changed", "change"] {
        result(name, changed);
    }
    for name in ["skipped", "skip"] {
        result(name, |value| flag(value, "skipped"));
    }
    result("unreachable", |value| flag(value, "unreachable"));
    result("reachable", |value| flag(value, "unreachable").map(|it| !it));
    result("started", |value| flag(value, "started"));
    result("finished", |value| flag(value, "finished"));
    result("timedout", |value| {
        let timed_out = value.get_attr("timedout")?;
        Ok(timed_out.is_true() && timed_out.get_attr("period").is_ok_and(|period| period.is_true()))
    });
}

fn flag(value: &Value, name: &str) -> Result<bool, Error> {
    Ok(value.get_attr(name)?.is_true())
}

fn changed(value: &Value) -> Result<bool, Error> {
    let own = value.get_attr("changed")?;
    if !own.is_undefined() {
        return Ok(own.is_true());
    }
    let results = value.get_attr("results")?;
    if results.kind() != ValueKind::Seq {
        return Ok(false);
    }
    for result in items(&results)? {
        if result.kind() == ValueKind::Map && flag(&result, "changed")? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Tests for text.
fn for_text(shelf: &mut Shelf) {
    let matches = |how: &'static str| {
        move |value: &Value,
              regex: Option<&str>,
              ignore_case: Option<bool>,
              multiline: Option<bool>,
              kwargs: Kwargs|
              -> Result<bool, Error> {
            let text = as_text(value)?;
            let regex = regex.or(kwargs.get("pattern")?).unwrap_or_default();
            let ignore_case = ignore_case.or(kwargs.get("ignorecase")?).unwrap_or(false);
            let multiline = multiline.or(kwargs.get("multiline")?).unwrap_or(false);
            let how = kwargs.get::<Option<&str>>("match_type")?.unwrap_or(how);
            kwargs.assert_all_used()?;
            let regex = match how {
                // `^` would mean each line's start with multiline; Python's match means the text's.
                "match" => format!("\\A(?:{regex})"),
                "fullmatch" => format!("\\A(?:{regex})\\Z"),
                _ => regex.to_owned(),
            };
            pattern(&regex, ignore_case, multiline, &text)?
                .is_match(&text)
                .map_err(|_| failed("regex", "the pattern takes too long on this text"))
        }
    };
    shelf.test("match", matches("match"));
    shelf.test("search", matches("search"));
    shelf.test("regex", matches("search"));
    let scheme_end = |text: &str| -> Option<usize> {
        let end = text.find(':')?;
        let scheme = &text[..end];
        let right = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
        right.then_some(end)
    };
    let allowed = |text: &str, end: usize, schemes: Option<&Value>| -> Result<bool, Error> {
        let Some(schemes) = schemes.filter(|schemes| !schemes.is_none()) else { return Ok(true) };
        Ok(items(schemes)?.iter().any(|scheme| scheme.as_str() == text.get(..end)))
    };
    shelf.test("uri", move |value: &Value, schemes: Option<&Value>| -> Result<bool, Error> {
        let text = as_text(value)?;
        let Some(end) = scheme_end(&text) else { return Ok(false) };
        Ok(text.len() > end + 1 && allowed(&text, end, schemes)?)
    });
    shelf.test("url", move |value: &Value, schemes: Option<&Value>| -> Result<bool, Error> {
        let text = as_text(value)?;
        let Some(end) = scheme_end(&text) else { return Ok(false) };
        let host = text[end + 1..].strip_prefix("//").unwrap_or_default();
        Ok(!host.is_empty() && !host.starts_with('/') && allowed(&text, end, schemes)?)
    });
    shelf.test("urn", |value: &Value| -> Result<bool, Error> {
        Ok(as_text(value)?.to_ascii_lowercase().starts_with("urn:"))
    });
    shelf.test("vault_encrypted", |value: &Value| -> Result<bool, Error> {
        Ok(as_text(value)?.starts_with("$ANSIBLE_VAULT"))
    });
}

/// Tests for lists.
fn lists(shelf: &mut Shelf) {
    shelf.test("contains", |list: &Value, item: &Value| -> Result<bool, Error> {
        defined(item)?;
        if let (Some(text), Some(part)) = (defined(list)?.as_str(), item.as_str()) {
            return Ok(text.contains(part));
        }
        Ok(items(list)?.contains(item))
    });
    shelf.test("any", |list: &Value| -> Result<bool, Error> {
        Ok(items(list)?.iter().any(Value::is_true))
    });
    shelf.test("all", |list: &Value| -> Result<bool, Error> {
        Ok(items(list)?.iter().all(Value::is_true))
    });
    let within = |part: &Value, whole: &Value| -> Result<bool, Error> {
        let whole = items(whole)?;
        Ok(items(part)?.iter().all(|item| whole.contains(item)))
    };
    for name in ["subset", "issubset"] {
        shelf.test(name, move |a: &Value, b: &Value| within(a, b));
    }
    for name in ["superset", "issuperset"] {
        shelf.test(name, move |a: &Value, b: &Value| within(b, a));
    }
}

/// Tests for files on the controller.
fn files(shelf: &mut Shelf) {
    for name in ["abs", "is_abs"] {
        shelf.test(name, |path: &Value| -> Result<bool, Error> {
            Ok(as_text(path)?.starts_with('/'))
        });
    }
    let mut file = |name: &'static str, is_file: bool, is_dir: bool| {
        shelf.test(name, move |state: &mut State<'_, '_>, path: &Value| -> Result<bool, Error> {
            let path = as_text(path)?;
            let root = root(state)?;
            let files = root.templar.files();
            let path = Path::new(&path);
            Ok((is_file && files.is_file(path)) || (is_dir && files.is_dir(path)))
        });
    };
    file("file", true, false);
    file("is_file", true, false);
    file("directory", false, true);
    file("is_dir", false, true);
    file("exists", true, true);
    file("link_exists", true, true);
    for name in ["link", "is_link", "mount", "is_mount", "same_file", "is_same_file"] {
        shelf.test(name, move |_: &Value, _: &[Value]| -> Result<bool, Error> {
            Err(failed(name, "matron does not look at links and mounts of the controller"))
        });
    }
    shelf.test("vaulted_file", |state: &mut State<'_, '_>, path: &Value| -> Result<bool, Error> {
        let path = as_text(path)?;
        let text = root(state)?.templar.files().read_as_is(Path::new(&path)).map_err(|error| {
            failed(
                "vaulted_file",
                format_args!("Cannot test if the file '{path}' is a vault: {error}"),
            )
        })?;
        Ok(text.starts_with(b"$ANSIBLE_VAULT"))
    });
}

fn truthy(value: &Value, kwargs: &Kwargs) -> Result<bool, Error> {
    let convert = kwargs.get::<Option<bool>>("convert_bool")?.unwrap_or(false);
    kwargs.assert_all_used()?;
    defined(value)?;
    if convert && let Some(text) = value.as_str() {
        match text.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" | "on" | "1" | "true" | "t" | "1.0" => return Ok(true),
            "n" | "no" | "off" | "0" | "false" | "f" | "0.0" => return Ok(false),
            _ => {}
        }
    }
    Ok(value.is_true())
}

/// One part of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Number(u64),
    Word(String),
}

fn version(
    value: &Value,
    other: &Value,
    operator: Option<&str>,
    rest: &[Value],
    kwargs: Kwargs,
) -> Result<bool, Error> {
    let (strict, kind): (Option<bool>, Option<&str>) = from_args(rest)?;
    let (a, b) = (as_text(value)?, as_text(other)?);
    let operator = operator.or(kwargs.get("operator")?).unwrap_or("eq");
    let strict = strict.or(kwargs.get("strict")?).unwrap_or(false);
    let kind =
        kind.or(kwargs.get("version_type")?).unwrap_or(if strict { "strict" } else { "loose" });
    kwargs.assert_all_used()?;
    for (text, which) in [(&a, "Input"), (&b, "Version parameter")] {
        if text.is_empty() {
            return Err(failed("version", format_args!("{which} version value cannot be empty")));
        }
    }
    let order = match kind {
        "loose" => loose(&a, &b)?,
        "strict" => strict_version(&a)?.cmp(&strict_version(&b)?),
        "semver" | "semantic" => semantic(&semver(&a)?, &semver(&b)?),
        "pep440" => pep440(&a).cmp(&pep440(&b)),
        _ => {
            let text = format!(
                "Invalid version type ({kind}). Must be one of loose, strict, semver, semantic, pep440"
            );
            return Err(failed("version", text));
        }
    };
    Ok(match operator {
        "==" | "=" | "eq" => order == Ordering::Equal,
        "!=" | "<>" | "ne" => order != Ordering::Equal,
        "<" | "lt" => order == Ordering::Less,
        "<=" | "le" => order != Ordering::Greater,
        ">" | "gt" => order == Ordering::Greater,
        ">=" | "ge" => order != Ordering::Less,
        _ => {
            let text = "Invalid operator type. Must be one of ==, =, eq, !=, <>, ne, <, lt, <=, le, >, gt, >=, ge";
            return Err(failed("version", text));
        }
    })
}

/// Cuts a version into numbers, words of letters, and what else stands between; dots are dropped.
fn parts(text: &str) -> Vec<Part> {
    let class = |c: char| match c {
        '.' => 0,
        c if c.is_ascii_digit() => 1,
        c if c.is_ascii_lowercase() => 2,
        _ => 3,
    };
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let kind = class(first);
        let end = rest.find(|c| class(c) != kind).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        match kind {
            0 => {}
            1 => {
                parts.push(word.parse().map_or_else(|_| Part::Word(word.to_owned()), Part::Number));
            }
            _ => parts.push(Part::Word(word.to_owned())),
        }
        rest = after;
    }
    parts
}

fn loose(a: &str, b: &str) -> Result<Ordering, Error> {
    let (a, b) = (parts(a), parts(b));
    for (a, b) in a.iter().zip(&b) {
        let order = match (a, b) {
            (Part::Number(a), Part::Number(b)) => a.cmp(b),
            (Part::Word(a), Part::Word(b)) => a.cmp(b),
            (Part::Number(_), Part::Word(_)) => {
                return Err(failed(
                    "version",
                    "Version comparison failed: '<' not supported between instances of 'int' and 'str'",
                ));
            }
            (Part::Word(_), Part::Number(_)) => {
                return Err(failed(
                    "version",
                    "Version comparison failed: '<' not supported between instances of 'str' and 'int'",
                ));
            }
        };
        if order != Ordering::Equal {
            return Ok(order);
        }
    }
    Ok(a.len().cmp(&b.len()))
}

/// Major, minor, patch, then releases above pre-releases (`a`, `b`), then the pre-release's number.
fn strict_version(text: &str) -> Result<([u64; 3], (char, u64)), Error> {
    let wrong = || {
        failed(
            "version",
            format_args!("Version comparison failed: invalid version number '{text}'"),
        )
    };
    let (numbers, pre) = match text.find(['a', 'b']) {
        Some(at) => (&text[..at], text[at..].chars().next().zip(text[at + 1..].parse().ok())),
        None => (text, Some(('z', 0))),
    };
    let numbers: Vec<u64> =
        numbers.split('.').map(str::parse).collect::<Result<_, _>>().map_err(|_| wrong())?;
    if !(2..=3).contains(&numbers.len()) {
        return Err(wrong());
    }
    let number = |at: usize| numbers.get(at).copied().unwrap_or(0);
    Ok(([number(0), number(1), number(2)], pre.ok_or_else(wrong)?))
}

type Semantic = ([u64; 3], Option<Vec<Part>>);

fn semver(text: &str) -> Result<Semantic, Error> {
    let wrong = || {
        failed(
            "version",
            format_args!("Version comparison failed: invalid semantic version '{text}'"),
        )
    };
    let text = text.split_once('+').map_or(text, |(text, _)| text);
    let (core, pre) = text.split_once('-').map_or((text, None), |(core, pre)| (core, Some(pre)));
    let numbers: Vec<u64> =
        core.split('.').map(str::parse).collect::<Result<_, _>>().map_err(|_| wrong())?;
    let [major, minor, patch] = numbers.as_slice() else { return Err(wrong()) };
    let pre = pre.map(|pre| {
        let part =
            |part: &str| part.parse().map_or_else(|_| Part::Word(part.to_owned()), Part::Number);
        pre.split('.').map(part).collect()
    });
    Ok(([*major, *minor, *patch], pre))
}

fn semantic(a: &Semantic, b: &Semantic) -> Ordering {
    let pre = |a: &Part, b: &Part| match (a, b) {
        (Part::Number(a), Part::Number(b)) => a.cmp(b),
        (Part::Word(a), Part::Word(b)) => a.cmp(b),
        (Part::Number(_), Part::Word(_)) => Ordering::Less,
        (Part::Word(_), Part::Number(_)) => Ordering::Greater,
    };
    a.0.cmp(&b.0).then_with(|| match (&a.1, &b.1) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(a), Some(b)) => a
            .iter()
            .zip(b)
            .map(|(a, b)| pre(a, b))
            .find(|order| *order != Ordering::Equal)
            .unwrap_or_else(|| a.len().cmp(&b.len())),
    })
}

/// Release without trailing zeros, then the stage (dev, a, b, rc, final, post) and its number.
fn pep440(text: &str) -> (Vec<u64>, u8, u64) {
    let text = text.trim().trim_start_matches('v').to_ascii_lowercase();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (release, rest) = text.split_at(end);
    let mut release: Vec<u64> = release.split('.').filter_map(|part| part.parse().ok()).collect();
    while release.last() == Some(&0) {
        release.pop();
    }
    let rest = rest.trim_start_matches(['.', '-', '_']);
    let word: String = rest.chars().take_while(char::is_ascii_alphabetic).collect();
    let number = rest[word.len()..].trim_start_matches(['.', '-', '_']);
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    let stage = match word.as_str() {
        "dev" => 0,
        "a" | "alpha" => 1,
        "b" | "beta" => 2,
        "rc" | "c" | "pre" | "preview" => 3,
        "post" | "rev" | "r" => 5,
        _ => 4,
    };
    (release, stage, digits.parse().unwrap_or(0))
}
