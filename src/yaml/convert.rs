//! From nodes to plain data, with nothing templated.

use std::sync::Arc;

use minijinja::Value;

use super::{Node, NodeKind, Scalar, ScalarValue, Style};
use crate::source::Span;

/// Returns a node as a template value; nothing in it is templated. Mapping keys keep their YAML type.
pub fn to_value(node: &Node) -> Value {
    match &node.kind {
        NodeKind::Scalar(scalar) => scalar_value(scalar),
        NodeKind::Seq(items) => Value::from(items.iter().map(to_value).collect::<Vec<_>>()),
        NodeKind::Map(entries) => {
            Value::from_pairs(entries.iter().map(|(key, value)| (to_value(key), to_value(value))))
        }
    }
}

/// Returns a scalar as a template value.
pub fn scalar_value(scalar: &Scalar) -> Value {
    match scalar.value {
        ScalarValue::Null => Value::from(()),
        ScalarValue::Bool(value) => Value::from(value),
        ScalarValue::Int(value) => Value::from(value),
        ScalarValue::Float(value) => Value::from(value),
        ScalarValue::Str => Value::from(&*scalar.raw),
    }
}

/// Returns a node as JSON; nothing in it is templated. Keys become text as Python's `json` writes them, `.nan` and `.inf` become null.
pub fn to_json(node: &Node) -> serde_json::Value {
    match &node.kind {
        NodeKind::Scalar(scalar) => match scalar.value {
            ScalarValue::Null => serde_json::Value::Null,
            ScalarValue::Bool(value) => value.into(),
            ScalarValue::Int(value) => value.into(),
            ScalarValue::Float(value) => value.into(),
            ScalarValue::Str => (*scalar.raw).into(),
        },
        NodeKind::Seq(items) => items.iter().map(to_json).collect(),
        NodeKind::Map(entries) => serde_json::Value::Object(
            entries.iter().map(|(key, value)| (json_key(key), to_json(value))).collect(),
        ),
    }
}

fn json_key(key: &Node) -> String {
    let Some(scalar) = key.as_scalar() else { return String::new() };
    match scalar.value {
        ScalarValue::Null => "null".to_owned(),
        ScalarValue::Bool(value) => value.to_string(),
        ScalarValue::Int(value) => value.to_string(),
        ScalarValue::Float(_) | ScalarValue::Str => scalar.raw.to_string(),
    }
}

/// Makes a node of JSON data; every part of it stands at `span`. Numbers beyond 64 bits become strings.
pub fn from_json(value: &serde_json::Value, span: Span) -> Node {
    let scalar = |raw: String, value: ScalarValue| {
        let style = if value == ScalarValue::Str { Style::DoubleQuoted } else { Style::Plain };
        NodeKind::Scalar(Scalar { raw: Arc::from(raw), style, value })
    };
    let kind = match value {
        serde_json::Value::Null => scalar("null".to_owned(), ScalarValue::Null),
        serde_json::Value::Bool(value) => scalar(value.to_string(), ScalarValue::Bool(*value)),
        serde_json::Value::Number(number) => {
            let value = match (number.as_i64(), number.as_f64()) {
                (Some(value), _) => ScalarValue::Int(value),
                (None, Some(value)) if number.is_f64() => ScalarValue::Float(value),
                (None, _) => ScalarValue::Str,
            };
            scalar(number.to_string(), value)
        }
        serde_json::Value::String(text) => scalar(text.clone(), ScalarValue::Str),
        serde_json::Value::Array(items) => {
            NodeKind::Seq(items.iter().map(|item| from_json(item, span)).collect())
        }
        serde_json::Value::Object(entries) => NodeKind::Map(
            entries
                .iter()
                .map(|(key, value)| (Node::string(key, span), from_json(value, span)))
                .collect(),
        ),
    };
    Node { kind, span, tag: None }
}
