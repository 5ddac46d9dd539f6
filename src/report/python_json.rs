//! JSON as Python's `json.dumps` writes it with sorted keys, which is what readers of Ansible's output expect.

use std::fmt::Write as _;

use serde_json::Value;

/// Writes a value on one line: `{"a": 1, "b": [1, 2]}`.
pub(super) fn one_line(value: &Value) -> String {
    let mut out = String::new();
    write(value, None, 0, &mut out);
    out
}

/// Writes a value over lines, indented by four.
pub(super) fn indented(value: &Value) -> String {
    let mut out = String::new();
    write(value, Some(4), 0, &mut out);
    out
}

fn write(value: &Value, indent: Option<usize>, depth: usize, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) => {
            let _ = write!(out, "{number}");
        }
        Value::String(text) => out.push_str(&quoted(text)),
        Value::Array(items) => {
            let each = items.iter().map(|item| (None, item)).collect();
            container('[', ']', each, indent, depth, out);
        }
        Value::Object(map) => {
            let mut each: Vec<(Option<&str>, &Value)> =
                map.iter().map(|(key, item)| (Some(key.as_str()), item)).collect();
            each.sort_by_key(|(key, _)| *key);
            container('{', '}', each, indent, depth, out);
        }
    }
}

fn container(
    open: char,
    close: char,
    items: Vec<(Option<&str>, &Value)>,
    indent: Option<usize>,
    depth: usize,
    out: &mut String,
) {
    out.push(open);
    let count = items.len();
    for (at, (key, item)) in items.into_iter().enumerate() {
        if at > 0 {
            out.push_str(if indent.is_some() { "," } else { ", " });
        }
        new_line(indent, depth + 1, out);
        if let Some(key) = key {
            out.push_str(&quoted(key));
            out.push_str(": ");
        }
        write(item, indent, depth + 1, out);
    }
    if count > 0 {
        new_line(indent, depth, out);
    }
    out.push(close);
}

fn new_line(indent: Option<usize>, depth: usize, out: &mut String) {
    if let Some(width) = indent {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', width * depth));
    }
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_line_sorts_keys_and_spaces_as_python_does() {
        let value = json!({"b": [1, 2.5, "ü"], "a": {}, "c": null});
        assert_eq!(one_line(&value), r#"{"a": {}, "b": [1, 2.5, "ü"], "c": null}"#);
    }

    #[test]
    fn indented_uses_four_spaces_and_keeps_empty_lists_short() {
        let value = json!({"msg": "hi", "l": [], "m": [1]});
        let text = "{\n    \"l\": [],\n    \"m\": [\n        1\n    ],\n    \"msg\": \"hi\"\n}";
        assert_eq!(indented(&value), text);
    }
}
