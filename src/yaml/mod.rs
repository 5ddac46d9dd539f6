//! YAML as Ansible reads it, with nothing of what the user wrote lost.
//!
//! Lives here: [`Node`] (value, raw text, quoting, tag, place), the composer on saphyr-parser events (`compose.rs`), the
//! YAML 1.1 scalar rules of PyYAML (`scalar.rs`), plain data made of nodes (`convert.rs`) and an emitter that writes as
//! PyYAML does (`emit.rs`).
//! Does not: what keys mean.

mod compose;
mod convert;
mod emit;
mod hints;
mod scalar;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use compose::{
    MAX_COPIED, MAX_DEPTH, parse, parse_one, parse_one_with_warnings, parse_with_warnings,
};
pub use convert::{from_json, scalar_value, to_json, to_value};
pub use emit::{EmitOptions, Flow, emit};
pub use scalar::scalar_from_text;

use crate::source::Span;

/// One YAML value with its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// The value.
    pub kind: NodeKind,
    /// Where it stands: quotes and brackets included, tag and anchor not; of a block scalar (`|`, `>`) its text from the
    /// first character on. An alias stands where its anchor does.
    pub span: Span,
    /// `!vault`, `!unsafe`, or none.
    pub tag: Option<Tag>,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub enum NodeKind {
    /// A single value.
    Scalar(Scalar),
    /// A list.
    Seq(Vec<Node>),
    /// A mapping, in the order written; keys are unique.
    Map(Vec<(Node, Node)>),
}

/// A scalar as written and as read.
#[derive(Clone, Debug, PartialEq)]
pub struct Scalar {
    /// The text after YAML's own unquoting and folding, before type rules (`0644`, `1.20`, `yes`).
    pub raw: Arc<str>,
    /// How it was quoted.
    pub style: Style,
    /// The YAML 1.1 reading of it.
    pub value: ScalarValue,
}

/// How a scalar was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// No quotes.
    Plain,
    /// `'…'`
    SingleQuoted,
    /// `"…"`
    DoubleQuoted,
    /// `|`
    Literal,
    /// `>`
    Folded,
}

/// The YAML 1.1 reading of a scalar.
#[derive(Clone, Debug, PartialEq)]
pub enum ScalarValue {
    /// `null`, `~`, nothing.
    Null,
    /// yes/no/on/off/true/false.
    Bool(bool),
    /// Decimal, `0o`-less octal (`0644` is 420), hex, binary, sexagesimal.
    Int(i64),
    /// A float, `.inf`, `.nan`.
    Float(f64),
    /// Anything else, and everything quoted. Dates stay strings.
    Str,
}

/// Tags that matter to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tag {
    /// `!vault`: an encrypted value.
    Vault,
    /// `!unsafe`: never templated.
    Unsafe,
}

impl Node {
    /// Returns the entries when this is a mapping.
    pub fn as_map(&self) -> Option<&[(Node, Node)]> {
        match &self.kind {
            NodeKind::Map(entries) => Some(entries),
            NodeKind::Scalar(_) | NodeKind::Seq(_) => None,
        }
    }

    /// Returns the items when this is a list.
    pub fn as_seq(&self) -> Option<&[Node]> {
        match &self.kind {
            NodeKind::Seq(items) => Some(items),
            NodeKind::Scalar(_) | NodeKind::Map(_) => None,
        }
    }

    /// Returns the scalar when this is one.
    pub fn as_scalar(&self) -> Option<&Scalar> {
        match &self.kind {
            NodeKind::Scalar(scalar) => Some(scalar),
            NodeKind::Seq(_) | NodeKind::Map(_) => None,
        }
    }

    /// Returns the text when this is a string scalar (not a number, boolean or null).
    pub fn as_str(&self) -> Option<&str> {
        self.as_scalar().filter(|s| s.value == ScalarValue::Str).map(|s| &*s.raw)
    }

    /// Returns the raw text of any scalar, whatever its type.
    pub fn raw(&self) -> Option<&str> {
        self.as_scalar().map(|s| &*s.raw)
    }

    /// Tells whether this is null or empty.
    pub fn is_null(&self) -> bool {
        self.as_scalar().is_some_and(|s| s.value == ScalarValue::Null)
    }

    /// Returns a boolean scalar's value.
    pub fn as_bool(&self) -> Option<bool> {
        match self.as_scalar()?.value {
            ScalarValue::Bool(value) => Some(value),
            ScalarValue::Null | ScalarValue::Int(_) | ScalarValue::Float(_) | ScalarValue::Str => {
                None
            }
        }
    }

    /// Returns an integer scalar's value.
    pub fn as_int(&self) -> Option<i64> {
        match self.as_scalar()?.value {
            ScalarValue::Int(value) => Some(value),
            ScalarValue::Null | ScalarValue::Bool(_) | ScalarValue::Float(_) | ScalarValue::Str => {
                None
            }
        }
    }

    /// Returns the value under a string key of a mapping.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.as_map()?.iter().find(|(k, _)| k.raw() == Some(key)).map(|(_, value)| value)
    }

    /// Names the kind of value in a user's words: `string`, `integer`, `list`, `mapping` ...
    pub fn type_name(&self) -> &'static str {
        match &self.kind {
            NodeKind::Seq(_) => "list",
            NodeKind::Map(_) => "mapping",
            NodeKind::Scalar(scalar) => match scalar.value {
                ScalarValue::Null => "null",
                ScalarValue::Bool(_) => "boolean",
                ScalarValue::Int(_) => "integer",
                ScalarValue::Float(_) => "float",
                ScalarValue::Str => "string",
            },
        }
    }

    /// Makes a string node at a place (for values matron itself puts in).
    pub fn string(text: &str, span: Span) -> Self {
        let scalar =
            Scalar { raw: Arc::from(text), style: Style::DoubleQuoted, value: ScalarValue::Str };
        Self { kind: NodeKind::Scalar(scalar), span, tag: None }
    }
}
