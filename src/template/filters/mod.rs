//! Filters with Ansible's meaning, one file a kind.

mod basic;
mod data;
mod lists;
mod numbers;
mod paths;
mod patterns;
mod text;

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, Value};

use super::library::Shelf;
use super::values::{defined, type_name};
pub(super) use lists::{crossed, sub_pairs};
pub(super) use patterns::pattern;
pub(super) use text::split_text;

/// Adds all filters.
pub(super) fn add(shelf: &mut Shelf) {
    basic::add(shelf);
    data::add(shelf);
    lists::add(shelf);
    numbers::add(shelf);
    paths::add(shelf);
    patterns::add(shelf);
    text::add(shelf);
}

/// Makes a filter's error in Ansible's words.
pub(super) fn failed(filter: &str, message: impl std::fmt::Display) -> Error {
    let text = format!("The filter plugin 'ansible.builtin.{filter}' failed: {message}");
    Error::new(ErrorKind::InvalidOperation, text)
}

/// Returns the elements of a list; a mapping's keys, a text's characters.
pub(super) fn items(value: &Value) -> Result<Vec<Value>, Error> {
    if matches!(defined(value)?.kind(), ValueKind::None | ValueKind::Bool | ValueKind::Number) {
        let text = format!("'{}' object is not iterable", type_name(value));
        return Err(Error::new(ErrorKind::InvalidOperation, text));
    }
    value.try_iter()?.checked().collect()
}

/// Returns the keys and values of a mapping.
pub(super) fn pairs(value: &Value) -> Result<Vec<(Value, Value)>, Error> {
    if defined(value)?.kind() != ValueKind::Map {
        let text = format!("expected a dict, got '{}'", type_name(value));
        return Err(Error::new(ErrorKind::InvalidOperation, text));
    }
    if let Some(lazy) = crate::vars::lazy(value) {
        return pairs(&lazy.whole()?);
    }
    let mut out = Vec::new();
    for key in value.try_iter()?.checked() {
        let key = key?;
        let item = value.get_item(&key)?;
        out.push((key, item));
    }
    Ok(out)
}
