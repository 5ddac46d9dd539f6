//! From nodes to plain data, with nothing templated.

use minijinja::Value;

use super::{Node, NodeKind, Scalar, ScalarValue};

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
