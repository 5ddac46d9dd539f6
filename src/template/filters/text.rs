//! Filters for text.

use base64::Engine as _;
use minijinja::value::{Kwargs, ValueKind, from_args};
use minijinja::{Error, State, Value};
use sha2::Digest as _;

use super::super::library::{Shelf, as_text};
use super::super::lookups::root;
use super::super::values::{defined, type_name};
use super::{failed, items, pairs};
use crate::digest::hex;
use crate::secret::Secret;
use crate::vault::{self, Key, Keyring};

pub(super) fn add(shelf: &mut Shelf) {
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
    shelf.filter(
        "vault",
        |state: &mut State<'_, '_>,
         data: &Value,
         secret: &Value,
         rest: &[Value],
         kwargs: Kwargs|
         -> Result<String, Error> {
            let (salt, id) =
                (option(rest, 0, &kwargs, "salt")?, option(rest, 1, &kwargs, "vault_id")?);
            // Whether the result is an object of Python's makes no difference here.
            kwargs.get::<Option<bool>>("wrap_object")?;
            kwargs.assert_all_used()?;
            let (data, secret) = (sealable("vault", data)?, sealable("vault", secret)?);
            let mut fresh = [0; 32];
            let salt = match &salt {
                Some(salt) if !salt.is_empty() => salt.as_bytes(),
                Some(_) | None => {
                    root(state)?.templar.outside().random(&mut fresh);
                    &fresh
                }
            };
            let id = id.as_deref().unwrap_or("filter_default");
            Ok(vault::seal(data.as_bytes(), Some(id), &Secret::new(secret), salt))
        },
    );
    shelf.filter(
        "unvault",
        |sealed: &Value, secret: &Value, rest: &[Value], kwargs: Kwargs| -> Result<String, Error> {
            option(rest, 0, &kwargs, "vault_id")?;
            kwargs.assert_all_used()?;
            let (sealed, secret) = (sealable("unvault", sealed)?, sealable("unvault", secret)?);
            if !vault::is_sealed(sealed.as_bytes()) {
                return Ok(sealed);
            }
            let key = Key { id: "filter_default".to_owned(), secret: Secret::new(secret) };
            let plain = Keyring::new(vec![key], false)
                .open(sealed.as_bytes())
                .map_err(|error| failed("unvault", format_args!("Unable to decrypt: {error}")))?;
            Ok(String::from_utf8_lossy(&plain).into_owned())
        },
    );
}

/// Returns an option given by place or by name.
fn option(rest: &[Value], at: usize, kwargs: &Kwargs, name: &str) -> Result<Option<String>, Error> {
    let value = match rest.get(at) {
        Some(value) => Some(value.clone()),
        None => kwargs.get::<Option<Value>>(name)?,
    };
    value.filter(|value| !value.is_none()).map(|value| as_text(&value)).transpose()
}

/// Vaults hold text and are locked by text.
fn sealable(filter: &str, value: &Value) -> Result<String, Error> {
    match value.as_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(failed(
            filter,
            format_args!("Can only {filter} strings, instead we got {}", value.kind()),
        )),
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

fn urlsplit(value: &Value, component: Option<&str>, kwargs: Kwargs) -> Result<Value, Error> {
    let text = as_text(value)?;
    let wanted = component.or(kwargs.get("query")?).unwrap_or_default();
    let (text, fragment) = text.split_once('#').unwrap_or((&text, ""));
    let (text, query) = text.split_once('?').unwrap_or((text, ""));
    let scheme_end = text.find(':').filter(|end| {
        let scheme = &text[..*end];
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    });
    let (scheme, rest) = scheme_end.map_or(("", text), |end| (&text[..end], &text[end + 1..]));
    let (netloc, location) = match rest.strip_prefix("//") {
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
        Some((name, number)) => (name, number.strip_prefix(':')),
        None => place.split_once(':').map_or((place, None), |(name, number)| (name, Some(number))),
    };
    let number = match port.filter(|port| !port.is_empty()) {
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
        ("path", Value::from(location)),
        ("port", number),
        ("query", Value::from(query)),
        ("scheme", Value::from(scheme.to_lowercase())),
        ("username", Value::from(user)),
    ];
    if wanted.is_empty() {
        return Ok(Value::from_pairs(all));
    }
    all.into_iter()
        .find(|(name, _)| *name == wanted)
        .map(|(_, value)| value)
        .ok_or_else(|| failed("urlsplit", format_args!("unknown URL component: {wanted}")))
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
