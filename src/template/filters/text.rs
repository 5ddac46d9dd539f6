//! Filters for text.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use base64::Engine as _;
use fancy_regex::{Regex, RegexBuilder};
use minijinja::value::{Kwargs, ValueKind, from_args};
use minijinja::{Error, Value};
use sha2::Digest as _;

use super::super::library::{Shelf, as_text};
use super::super::values::{defined, type_name};
use super::{failed, items, pairs};

pub(super) fn add(shelf: &mut Shelf) {
    shelf.filter("regex_replace", regex_replace);
    shelf.filter("regex_search", regex_search);
    shelf.filter("regex_findall", regex_findall);
    shelf.filter("regex_escape", regex_escape);
    shelf
        .filter("quote", |value: &Value| -> Result<String, Error> { Ok(quoted(&as_text(value)?)) });
    shelf.filter("comment", comment);
    shelf.filter("split", |text: &str, separator: Option<&str>, most: Option<i64>| {
        split_text(text, separator, most.and_then(|most| usize::try_from(most).ok()))
    });
    shelf.filter(
        "b64encode",
        |value: &Value, _encoding: Option<&str>, kwargs: Kwargs| -> Result<String, Error> {
            kwargs.get::<Option<&str>>("encoding")?;
            Ok(base64::engine::general_purpose::STANDARD.encode(as_text(value)?))
        },
    );
    shelf.filter("b64decode", b64decode);
    shelf.filter("hash", |value: &Value, kind: Option<&str>| {
        hash(value, kind.unwrap_or("sha1"), "hash")
    });
    shelf.filter("checksum", |value: &Value| hash(value, "sha1", "checksum"));
    shelf.filter("sha1", |value: &Value| hash(value, "sha1", "sha1"));
    shelf.filter("md5", |value: &Value| hash(value, "md5", "md5"));
    shelf.filter("to_uuid", to_uuid);
    shelf.filter("urlsplit", urlsplit);
    shelf.filter("format", |text: &str, args: &[Value]| {
        minijinja::formatting::format(minijinja::formatting::FormatStyle::Printf, text, args)
    });
    shelf.filter("center", |text: &Value, width: Option<usize>| -> Result<String, Error> {
        Ok(super::super::methods::centred(&as_text(text)?, width.unwrap_or(80), ' '))
    });
    shelf.filter("wordwrap", wordwrap);
    shelf.filter("wordcount", |text: &str| text.split_whitespace().count());
    shelf.filter("truncate", truncate);
    shelf.filter(
        "filesizeformat",
        |value: &Value, binary: Option<bool>| -> Result<String, Error> {
            let value = f64::try_from(defined(value)?.clone())?;
            Ok(minijinja_contrib::filters::filesizeformat(value, binary))
        },
    );
    shelf.filter("striptags", |text: String| minijinja_contrib::filters::striptags(text));
    shelf.filter("xmlattr", xmlattr);
    shelf.filter("urlize", urlize);
    shelf.filter("forceescape", |value: &Value| -> Result<String, Error> {
        Ok(escaped(&as_text(value)?))
    });
    shelf.filter(
        "password_hash",
        |_value: &Value, _rest: &[Value], _kwargs: Kwargs| -> Result<Value, Error> {
            Err(failed(
                "password_hash",
                "matron does not make crypt(3) hashes yet; put the hash itself into the variable",
            ))
        },
    );
    for name in ["vault", "unvault"] {
        shelf.filter(
            name,
            move |_value: &Value, _rest: &[Value], _kwargs: Kwargs| -> Result<Value, Error> {
                Err(failed(name, "matron has no vault yet"))
            },
        );
    }
}

/// Splits text as Python does.
pub(crate) fn split_text(text: &str, separator: Option<&str>, most: Option<usize>) -> Vec<String> {
    match (separator, most) {
        (Some(separator), Some(most)) => {
            text.splitn(most + 1, separator).map(str::to_owned).collect()
        }
        (Some(separator), None) => text.split(separator).map(str::to_owned).collect(),
        (None, None) => text.split_whitespace().map(str::to_owned).collect(),
        (None, Some(most)) => {
            let mut parts = Vec::new();
            let mut rest = text.trim_start();
            while parts.len() < most && !rest.is_empty() {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                parts.push(rest[..end].to_owned());
                rest = rest[end..].trim_start();
            }
            if !rest.is_empty() {
                parts.push(rest.to_owned());
            }
            parts
        }
    }
}

/// Quotes a word as Python's `shlex.quote` does.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./-_".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\"'\"'"))
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
            Some('\\') => plain.push('\\'),
            Some(c) => {
                plain.push('\\');
                plain.push(c);
            }
            None => plain.push('\\'),
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

fn comment(value: &Value, style: Option<&str>, kwargs: Kwargs) -> Result<String, Error> {
    let text = as_text(value)?;
    let (beginning, decoration, end) = match style.or(kwargs.get("style")?).unwrap_or("plain") {
        "plain" => ("", "# ", ""),
        "erlang" => ("", "% ", ""),
        "c" => ("", "// ", ""),
        "cblock" => ("/*", " * ", " */"),
        "xml" => ("<!--", " - ", "-->"),
        _ => {
            return Err(failed(
                "comment",
                "Invalid style; known are plain, erlang, c, cblock, xml",
            ));
        }
    };
    let beginning = kwargs.get::<Option<&str>>("beginning")?.unwrap_or(beginning);
    let decoration = kwargs.get::<Option<&str>>("decoration")?.unwrap_or(decoration);
    let end = kwargs.get::<Option<&str>>("end")?.unwrap_or(end);
    let line = kwargs.get::<Option<&str>>("newline")?.unwrap_or("\n");
    let bare = decoration.trim_end();
    let prefix = kwargs.get::<Option<&str>>("prefix")?.unwrap_or(bare);
    let postfix = kwargs.get::<Option<&str>>("postfix")?.unwrap_or(bare);
    let before = kwargs.get::<Option<usize>>("prefix_count")?.unwrap_or(1);
    let after = kwargs.get::<Option<usize>>("postfix_count")?.unwrap_or(1);
    kwargs.assert_all_used()?;
    let mut out = Vec::new();
    if !beginning.is_empty() {
        out.push(beginning.to_owned());
    }
    out.extend(std::iter::repeat_n(prefix.to_owned(), if prefix.is_empty() { 0 } else { before }));
    for text in text.split('\n') {
        out.push(if text.is_empty() { bare.to_owned() } else { format!("{decoration}{text}") });
    }
    out.extend(std::iter::repeat_n(postfix.to_owned(), if postfix.is_empty() { 0 } else { after }));
    if !end.is_empty() {
        out.push(end.to_owned());
    }
    Ok(out.join(line))
}

fn b64decode(value: &Value, _encoding: Option<&str>, kwargs: Kwargs) -> Result<String, Error> {
    use base64::alphabet::STANDARD;
    use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
    kwargs.get::<Option<&str>>("encoding")?;
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical);
    // Python skips what is not of the alphabet.
    let text: String = as_text(value)?
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "+/=".contains(*c))
        .collect();
    let bytes = GeneralPurpose::new(&STANDARD, config)
        .decode(text)
        .map_err(|_| failed("b64decode", "Incorrect padding"))?;
    String::from_utf8(bytes).map_err(|_| failed("b64decode", "the decoded bytes are not UTF-8"))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn hash(value: &Value, kind: &str, filter: &str) -> Result<String, Error> {
    let text = as_text(value)?;
    Ok(match kind {
        "md5" => hex(&md5::Md5::digest(&text)),
        "sha1" => hex(&sha1::Sha1::digest(&text)),
        "sha224" => hex(&sha2::Sha224::digest(&text)),
        "sha256" => hex(&sha2::Sha256::digest(&text)),
        "sha384" => hex(&sha2::Sha384::digest(&text)),
        "sha512" => hex(&sha2::Sha512::digest(&text)),
        _ => return Err(failed(filter, format_args!("unsupported hash type {kind}"))),
    })
}

fn to_uuid(value: &Value, namespace: Option<&str>, kwargs: Kwargs) -> Result<String, Error> {
    // Ansible's own namespace, from its documentation of the filter.
    let namespace =
        namespace.or(kwargs.get("namespace")?).unwrap_or("361E6D51-FAEC-444A-9079-341386DA8E2E");
    let namespace = uuid::Uuid::parse_str(namespace)
        .map_err(|_| failed("to_uuid", "Invalid value for 'namespace': not a UUID"))?;
    Ok(uuid::Uuid::new_v5(&namespace, as_text(value)?.as_bytes()).to_string())
}

fn urlsplit(value: &Value, part: Option<&str>, kwargs: Kwargs) -> Result<Value, Error> {
    let text = as_text(value)?;
    let part = part.or(kwargs.get("query")?).unwrap_or_default();
    let (text, fragment) = text.split_once('#').unwrap_or((&text, ""));
    let (text, query) = text.split_once('?').unwrap_or((text, ""));
    let scheme_end = text.find(':').filter(|end| {
        let scheme = &text[..*end];
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    });
    let (scheme, rest) = scheme_end.map_or(("", text), |end| (&text[..end], &text[end + 1..]));
    let (netloc, path) = match rest.strip_prefix("//") {
        Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
        None => ("", rest),
    };
    let (login, place) =
        netloc.rsplit_once('@').map_or((None, netloc), |(login, place)| (Some(login), place));
    let (user, password) = login.map_or((None, None), |login| match login.split_once(':') {
        Some((user, password)) => (Some(user), Some(password)),
        None => (Some(login), None),
    });
    let (host, port) = match place.strip_prefix('[').and_then(|place| place.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
    };
    let port = match port.filter(|port| !port.is_empty()) {
        Some(port) => Value::from(
            port.parse::<u16>()
                .map_err(|_| failed("urlsplit", "Port is not a number below 65536"))?,
        ),
        None => Value::from(()),
    };
    let host = (!host.is_empty()).then(|| host.to_lowercase());
    let all = [
        ("fragment", Value::from(fragment)),
        ("hostname", Value::from(host)),
        ("netloc", Value::from(netloc)),
        ("password", Value::from(password)),
        ("path", Value::from(path)),
        ("port", port),
        ("query", Value::from(query)),
        ("scheme", Value::from(scheme.to_lowercase())),
        ("username", Value::from(user)),
    ];
    if part.is_empty() {
        return Ok(Value::from_pairs(all));
    }
    all.into_iter()
        .find(|(name, _)| *name == part)
        .map(|(_, value)| value)
        .ok_or_else(|| failed("urlsplit", format_args!("unknown URL component: {part}")))
}

fn wordwrap(value: &Value, width: Option<usize>, kwargs: Kwargs) -> Result<String, Error> {
    let text = as_text(value)?;
    let width = width.or(kwargs.get("width")?).unwrap_or(79).max(1);
    let line = kwargs.get::<Option<&str>>("wrapstring")?.unwrap_or("\n");
    let long = kwargs.get::<Option<bool>>("break_long_words")?.unwrap_or(true);
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut current = String::new();
        let mut push = |current: &mut String, word: &str| {
            let used = current.chars().count();
            let need = word.chars().count() + usize::from(used > 0);
            if used > 0 && used + need > width {
                lines.push(std::mem::take(current));
            } else if used > 0 {
                current.push(' ');
            }
            let mut word = word;
            while long && word.chars().count() > width {
                let at = word.char_indices().nth(width).map_or(word.len(), |(at, _)| at);
                lines.push(word[..at].to_owned());
                word = &word[at..];
            }
            current.push_str(word);
        };
        for word in paragraph.split_whitespace() {
            push(&mut current, word);
        }
        lines.push(current);
    }
    Ok(lines.join(line))
}

fn truncate(
    value: &Value,
    length: Option<usize>,
    rest: &[Value],
    kwargs: Kwargs,
) -> Result<String, Error> {
    let (kill_words, end, leeway): (Option<bool>, Option<&str>, Option<usize>) = from_args(rest)?;
    let text = as_text(value)?;
    let length = length.or(kwargs.get("length")?).unwrap_or(255);
    let kill = kill_words.or(kwargs.get("killwords")?).unwrap_or(false);
    let end = end.or(kwargs.get("end")?).unwrap_or("...");
    let leeway = leeway.or(kwargs.get("leeway")?).unwrap_or(5);
    if text.chars().count() <= length + leeway {
        return Ok(text);
    }
    let kept: String = text.chars().take(length.saturating_sub(end.chars().count())).collect();
    let kept = if kill {
        kept.as_str()
    } else {
        kept.rsplit_once(' ').map_or(kept.as_str(), |(kept, _)| kept)
    };
    Ok(format!("{kept}{end}"))
}

/// Escapes as Jinja2's `escape`.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&#34;")
        .replace('\'', "&#39;")
}

fn xmlattr(value: &Value, space: Option<bool>) -> Result<String, Error> {
    let mut out = Vec::new();
    for (key, item) in pairs(value)? {
        let key = as_text(&key)?;
        if key.contains(|c: char| c.is_whitespace() || "/>=".contains(c)) {
            return Err(failed("xmlattr", "an attribute's name holds a space, /, > or ="));
        }
        if !item.is_none() && !item.is_undefined() {
            out.push(format!("{key}=\"{}\"", escaped(&as_text(&item)?)));
        }
    }
    let text = out.join(" ");
    Ok(if space.unwrap_or(true) && !text.is_empty() { format!(" {text}") } else { text })
}

fn urlize(value: &Value) -> Result<String, Error> {
    let text = as_text(value)?;
    let link = |word: &str| {
        let target = if word.starts_with("http://") || word.starts_with("https://") {
            word.to_owned()
        } else if word.starts_with("www.") {
            format!("https://{word}")
        } else {
            return escaped(word);
        };
        format!("<a href=\"{}\" rel=\"noopener\">{}</a>", escaped(&target), escaped(word))
    };
    Ok(text.split(' ').map(link).collect::<Vec<_>>().join(" "))
}

/// Refuses anything but text; used where Python would raise a type error.
pub(super) fn text_only<'v>(value: &'v Value, filter: &str) -> Result<&'v str, Error> {
    match value.kind() {
        ValueKind::Undefined => Err(super::super::values::undefined()),
        _ => value
            .as_str()
            .ok_or_else(|| failed(filter, format_args!("expected str, got {}", type_name(value)))),
    }
}

/// Returns all elements as text.
pub(super) fn texts(value: &Value) -> Result<Vec<String>, Error> {
    items(value)?.iter().map(as_text).collect()
}
