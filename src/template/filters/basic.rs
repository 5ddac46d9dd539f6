//! default, mandatory, ternary, bool, and the filters that `rewrite.rs` puts in.

use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{Error, State, Value};

use super::super::error::TemplateError;
use super::super::library::Shelf;
use super::super::templar::{CAUSE, last_noted, note};
use super::super::values::{defined, is_omit, type_name, undefined};
use super::super::{TemplateErrorKind, library::as_text};
use super::failed;

pub(super) fn add(shelf: &mut Shelf) {
    shelf.filter("default", default);
    shelf.filter("d", default);
    shelf.filter("mandatory", mandatory);
    shelf.filter("ternary", ternary);
    shelf.filter("bool", |value: &Value| -> Result<Value, Error> {
        Ok(boolean(defined(value)?).unwrap_or_else(|| value.clone()))
    });
    shelf.filter(
        "type_debug",
        |value: &Value| {
            if is_omit(value) { "Omit" } else { type_name(value) }
        },
    );
    shelf.filter("string", |value: &Value| -> Result<String, Error> {
        if value.is_none() { Ok("None".to_owned()) } else { as_text(value) }
    });
    shelf.filter("__name", name);
    shelf.filter("__at", at);
    shelf.filter("__call", call);
    shelf.filter("__opt", optional);
    shelf.filter("__mod", modulo);
}

fn default(
    value: &Value,
    other: Option<&Value>,
    boolean: Option<bool>,
    kwargs: Kwargs,
) -> Result<Value, Error> {
    let other = match other {
        Some(other) => other.clone(),
        None => kwargs.get::<Option<Value>>("default_value")?.unwrap_or_else(|| Value::from("")),
    };
    let boolean = boolean.or(kwargs.get("boolean")?).unwrap_or(false);
    kwargs.assert_all_used()?;
    let takes = value.is_undefined() || (boolean && !value.is_true());
    Ok(if takes { other } else { value.clone() })
}

fn mandatory(value: &Value, message: Option<&str>, kwargs: Kwargs) -> Result<Value, Error> {
    if !value.is_undefined() {
        return Ok(value.clone());
    }
    if let Some(message) = message.map(str::to_owned).or(kwargs.get("msg")?) {
        return Err(failed("mandatory", message));
    }
    // The first run fails on undefined; the second one, which looks for the cause, knows the name.
    let Some(name) = last_noted() else { return Err(undefined()) };
    let text = format!("Mandatory variable '{name}' not defined.");
    let text = format!("The filter plugin 'ansible.builtin.mandatory' failed: {text}");
    Err(TemplateError::new(TemplateErrorKind::Undefined, text).into())
}

fn ternary(
    value: &Value,
    yes: &Value,
    no: &Value,
    none: Option<&Value>,
    kwargs: Kwargs,
) -> Result<Value, Error> {
    let none = none.cloned().or(kwargs.get::<Option<Value>>("none_val")?);
    let value = defined(value)?;
    Ok(match none {
        Some(none) if value.is_none() => none,
        _ if value.is_true() => yes.clone(),
        _ => no.clone(),
    })
}

/// Reads a boolean as Ansible's `bool` does; `None` for none, which stays none.
fn boolean(value: &Value) -> Option<Value> {
    Some(Value::from(match value.kind() {
        ValueKind::Bool => return None,
        ValueKind::String => {
            let text = value.as_str()?.trim().to_ascii_lowercase();
            ["yes", "on", "1", "true", "t", "y"].contains(&text.as_str())
        }
        ValueKind::Number => *value == Value::from(1),
        _ => false,
    }))
}

/// Notes the name of a look-up that found nothing.
fn name(state: &mut State<'_, '_>, value: &Value, name: &str) -> Value {
    if value.is_undefined() {
        note(name, || match state.lookup(&format!("{CAUSE}{name}")) {
            Some(cause) => TemplateError::new(TemplateErrorKind::Undefined, cause.to_string()),
            None => TemplateError::undefined(name),
        });
    }
    value.clone()
}

/// Looks up an attribute or item; undefined of undefined is undefined.
pub(super) fn at(value: &Value, key: &Value) -> Result<Value, Error> {
    if value.is_undefined() {
        return Ok(Value::UNDEFINED);
    }
    let found = value.get_item(defined(key)?)?;
    if found.is_undefined() {
        let word = key.to_string();
        note(&word, || {
            let cause = value
                .as_object()
                .and_then(|object| object.get_value(&Value::from(format!("{CAUSE}{word}"))))
                .filter(|cause| cause.as_str().is_some());
            let text = match (cause, key.as_str()) {
                (Some(cause), _) => cause.to_string(),
                (None, Some(_)) => {
                    format!("object of type '{}' has no attribute '{word}'", type_name(value))
                }
                (None, None) => {
                    format!("object of type '{}' has no attribute {word}", type_name(value))
                }
            };
            TemplateError::new(TemplateErrorKind::Undefined, text)
        });
    }
    checked(found)
}

/// Raises the error that a lazy value stands for.
fn checked(value: Value) -> Result<Value, Error> {
    if value.kind() == ValueKind::Invalid {
        for item in minijinja::value::Value::from(vec![value.clone()]).try_iter()?.checked() {
            item?;
        }
    }
    Ok(value)
}

/// Calls a method; on undefined the answer is undefined.
fn call(
    state: &mut State<'_, '_>,
    value: &Value,
    method: &str,
    args: Rest<Value>,
) -> Result<Value, Error> {
    if value.is_undefined() {
        return Ok(Value::UNDEFINED);
    }
    value.call_method(state, method, &args)
}

/// Applies a filter; on undefined the answer is undefined.
fn optional(
    state: &mut State<'_, '_>,
    value: &Value,
    filter: &str,
    args: Rest<Value>,
) -> Result<Value, Error> {
    if value.is_undefined() {
        return Ok(Value::UNDEFINED);
    }
    let mut all = vec![value.clone()];
    all.extend(args.iter().cloned());
    state.apply_filter(filter, &all)
}

/// `%`: formats text, or the rest of a division with the divisor's sign.
fn modulo(value: &Value, argument: &Value) -> Result<Value, Error> {
    use minijinja::formatting::{FormatStyle, format};
    defined(value)?;
    defined(argument)?;
    if let Some(text) = value.as_str() {
        let arguments = if argument.is_tuple() {
            argument.try_iter()?.collect()
        } else {
            vec![argument.clone()]
        };
        return format(FormatStyle::Printf, text, &arguments).map(Value::from);
    }
    if let (Some(a), Some(b)) = (value.as_i64(), argument.as_i64()) {
        let rest = a.checked_rem(b).ok_or_else(|| zero("integer modulo by zero"))?;
        return Ok(Value::from(if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest }));
    }
    match (f64::try_from(value.clone()), f64::try_from(argument.clone())) {
        (Ok(_), Ok(0.0)) => Err(zero("float modulo")),
        (Ok(a), Ok(b)) => Ok(Value::from(a - b * (a / b).floor())),
        _ => Err(zero(&format!(
            "unsupported operand type(s) for %: '{}' and '{}'",
            type_name(value),
            type_name(argument)
        ))),
    }
}

fn zero(message: &str) -> Error {
    Error::new(minijinja::ErrorKind::InvalidOperation, message.to_owned())
}
