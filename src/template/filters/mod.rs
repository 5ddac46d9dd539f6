//! Filters with Ansible's meaning, one file a kind.

mod basic;
mod data;
mod lists;
mod numbers;
mod paths;
mod text;

use minijinja::{Error, ErrorKind};

use super::library::Shelf;
pub(super) use text::{pattern, split_text};

/// Adds all filters.
pub(super) fn add(shelf: &mut Shelf) {
    basic::add(shelf);
    data::add(shelf);
    lists::add(shelf);
    numbers::add(shelf);
    paths::add(shelf);
    text::add(shelf);
}

/// Makes a filter's error in Ansible's words.
pub(super) fn failed(filter: &str, message: impl std::fmt::Display) -> Error {
    let text = format!("The filter plugin 'ansible.builtin.{filter}' failed: {message}");
    Error::new(ErrorKind::InvalidOperation, text)
}
