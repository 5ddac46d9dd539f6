//! The tests behind `is`, with Ansible's meaning.

use minijinja::value::ValueKind;
use minijinja::{Error, Value};

use super::library::Shelf;
use super::values::defined;

/// Adds all tests.
pub(super) fn add(shelf: &mut Shelf) {
    kinds(shelf);
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
    let many = |value: &Value| {
        matches!(
            value.kind(),
            ValueKind::Seq | ValueKind::Map | ValueKind::String | ValueKind::Iterable
        )
    };
    kind("iterable", many);
    kind("sequence", many);
}
