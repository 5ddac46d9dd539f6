//! Python's methods on strings, lists and mappings.

use minijinja::value::{Kwargs, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State, Value};

/// Calls a method that the value itself does not know.
pub(super) fn call(
    state: &mut State<'_, '_>,
    value: &Value,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    if value.is_undefined() {
        return Err(super::values::undefined());
    }
    let own = match value.kind() {
        ValueKind::String => match value.as_str() {
            Some(text) => of_text(text, method, args)?,
            None => None,
        },
        ValueKind::Seq => of_list(value, method, args)?,
        ValueKind::Map => of_mapping(value, method, args)?,
        _ => None,
    };
    if let Some(answer) = own {
        return Ok(answer);
    }
    minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args).map_err(
        |error| {
            if error.kind() == ErrorKind::UnknownMethod {
                let kind = super::values::type_name(value);
                // The attribute is undefined, so calling it fails as any use of undefined does.
                super::TemplateError::new(
                    super::TemplateErrorKind::Undefined,
                    format!("object of type '{kind}' has no attribute '{method}'"),
                )
                .into()
            } else {
                error
            }
        },
    )
}

fn padded(text: &str, width: usize, fill: char, left: bool, right: bool) -> String {
    let missing = width.saturating_sub(text.chars().count());
    let (before, after) = match (left, right) {
        (true, true) => {
            // Python puts the odd one left when the width is odd.
            let before = missing / 2 + (missing & width & 1);
            (before, missing - before)
        }
        (true, false) => (missing, 0),
        _ => (0, missing),
    };
    let fill = |count: usize| fill.to_string().repeat(count);
    format!("{}{text}{}", fill(before), fill(after))
}

/// Centres as Python's `str.center`.
pub(super) fn centred(text: &str, width: usize, fill: char) -> String {
    padded(text, width, fill, true, true)
}

fn of_text(text: &str, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    Ok(Some(match method {
        "ljust" | "rjust" | "center" => {
            let (width, fill): (usize, Option<&str>) = from_args(args)?;
            let fill = fill.and_then(|fill| fill.chars().next()).unwrap_or(' ');
            let (left, right) = (method != "ljust", method != "rjust");
            padded(text, width, fill, left, right).into()
        }
        "zfill" => {
            let (width,): (usize,) = from_args(args)?;
            let (sign, digits) = match text.chars().next() {
                Some('+' | '-') => text.split_at(1),
                _ => ("", text),
            };
            let width = width.saturating_sub(sign.len());
            format!("{sign}{}", padded(digits, width, '0', true, false)).into()
        }
        "rsplit" => {
            let (separator, most, kwargs): (Option<&str>, Option<i64>, Kwargs) = from_args(args)?;
            let most = most.or(kwargs.get("maxsplit")?);
            let most = most.and_then(|most| usize::try_from(most).ok());
            Value::from(rsplit(text, separator, most))
        }
        "split" => {
            let (separator, most, kwargs): (Option<&str>, Option<i64>, Kwargs) = from_args(args)?;
            let most = most.or(kwargs.get("maxsplit")?);
            Value::from(super::filters::split_text(
                text,
                separator,
                most.and_then(|m| usize::try_from(m).ok()),
            ))
        }
        "partition" => {
            let (separator,): (&str,) = from_args(args)?;
            let (a, b, c) = text
                .split_once(separator)
                .map_or((text, "", ""), |(before, after)| (before, separator, after));
            Value::from(vec![a.to_owned(), b.to_owned(), c.to_owned()])
        }
        "rpartition" => {
            let (separator,): (&str,) = from_args(args)?;
            let (a, b, c) = text
                .rsplit_once(separator)
                .map_or(("", "", text), |(before, after)| (before, separator, after));
            Value::from(vec![a.to_owned(), b.to_owned(), c.to_owned()])
        }
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(args)?;
            text.strip_prefix(prefix).unwrap_or(text).into()
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(args)?;
            text.strip_suffix(suffix).unwrap_or(text).into()
        }
        "swapcase" => {
            let swap = |c: char| -> String {
                if c.is_uppercase() {
                    c.to_lowercase().collect()
                } else {
                    c.to_uppercase().collect()
                }
            };
            text.chars().map(swap).collect::<String>().into()
        }
        "casefold" => text.to_lowercase().into(),
        "isdecimal" => (!text.is_empty() && text.chars().all(|c| c.is_ascii_digit())).into(),
        "expandtabs" => text.replace('\t', "        ").into(),
        "encode" | "decode" => text.into(),
        "index" => {
            let (part,): (&str,) = from_args(args)?;
            let at = text
                .find(part)
                .ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "substring not found"))?;
            text[..at].chars().count().into()
        }
        _ => return Ok(None),
    }))
}

/// Splits from the right as Python does.
fn rsplit(text: &str, separator: Option<&str>, most: Option<usize>) -> Vec<String> {
    let mut parts: Vec<String> = match (separator, most) {
        (Some(separator), Some(most)) => {
            text.rsplitn(most + 1, separator).map(str::to_owned).collect()
        }
        (Some(separator), None) => text.rsplit(separator).map(str::to_owned).collect(),
        (None, None) => text.split_whitespace().rev().map(str::to_owned).collect(),
        (None, Some(most)) => {
            let mut parts = Vec::new();
            let mut rest = text.trim_end();
            while parts.len() < most {
                let Some(at) = rest.rfind(char::is_whitespace) else { break };
                let word = rest[at..].trim_start();
                parts.push(word.to_owned());
                rest = rest[..at].trim_end();
            }
            if !rest.is_empty() {
                parts.push(rest.to_owned());
            }
            parts
        }
    };
    parts.reverse();
    parts
}

fn of_list(value: &Value, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    Ok(Some(match method {
        "index" => {
            let (item,): (Value,) = from_args(args)?;
            let at = value.try_iter()?.position(|known| known == item).ok_or_else(|| {
                Error::new(ErrorKind::InvalidOperation, "the value is not in the list")
            })?;
            at.into()
        }
        "copy" => value.clone(),
        "append" | "extend" | "insert" | "pop" | "remove" | "clear" | "sort" | "reverse" => {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                format!(
                    ".{method}() cannot change a list that was not made in this template; start from a list written here, as in (mine + [])"
                ),
            ));
        }
        _ => return Ok(None),
    }))
}

fn of_mapping(value: &Value, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    if let Some(lazy) = crate::vars::lazy(value)
        && matches!(method, "values" | "items")
    {
        // So that an undefined one among them is named.
        return of_mapping(&lazy.whole()?, method, args);
    }
    Ok(Some(match method {
        "values" => Value::from(
            value.try_iter()?.map(|key| value.get_item(&key)).collect::<Result<Vec<_>, _>>()?,
        ),
        "items" => {
            let pair = |key: Value| -> Result<Value, Error> {
                let item = value.get_item(&key)?;
                Ok(Value::from(minijinja::value::Tuple::from([key, item])))
            };
            Value::from(value.try_iter()?.map(pair).collect::<Result<Vec<_>, _>>()?)
        }
        "copy" => value.clone(),
        // pycompat's `get` answers undefined for a key that is not there; Python answers None.
        "get" => {
            let (key, other): (Value, Option<Value>) = from_args(args)?;
            let found = value.get_item(&key)?;
            if found.is_undefined() { other.unwrap_or_else(|| Value::from(())) } else { found }
        }
        "update" | "pop" | "setdefault" | "clear" | "popitem" => {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                format!(
                    ".{method}() cannot change a mapping that was not made in this template; use combine"
                ),
            ));
        }
        _ => return Ok(None),
    }))
}
