//! Writing values as PyYAML's safe dumper does, which is what `to_yaml` and `to_nice_yaml` put into people's files.
//!
//! PyYAML decides line breaks by the column it has reached and by whether only indentation stands on the line so far; a file
//! that matron writes must not differ from one Ansible wrote, so the same state is kept here.

mod scalar;

use std::cmp::Ordering;

use minijinja::Value;
use minijinja::value::ValueKind;

use scalar::Text;

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
    /// Spaces a level; outside 2 to 9 it is 2.
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

/// Writes a value as a YAML document, ending in a newline. Undefined values are written as `null`.
pub fn emit(value: &Value, options: &EmitOptions) -> String {
    let indent = if (2..10).contains(&options.indent) { options.indent } else { 2 };
    let width = if options.width > indent * 2 { options.width } else { 80 };
    let mut writer = Writer {
        out: String::new(),
        column: 0,
        whitespace: true,
        indention: true,
        open_ended: false,
        indent: None,
        flow_level: 0,
        best_indent: indent,
        best_width: width,
        allow_unicode: options.allow_unicode,
    };
    if options.explicit_start {
        writer.write_indent();
        writer.indicator("---", true, false, false);
    }
    writer.node(&Item::of(value, options), Context::Root);
    writer.write_indent();
    if options.explicit_end {
        writer.indicator("...", true, false, false);
        writer.write_indent();
    }
    if writer.open_ended {
        writer.indicator("...", true, false, false);
        writer.write_indent();
    }
    writer.out
}

/// A value prepared for writing.
enum Item {
    Scalar(Text),
    Seq { items: Vec<Item>, flow: bool },
    Map { entries: Vec<(Item, Item)>, flow: bool },
}

impl Item {
    fn of(value: &Value, options: &EmitOptions) -> Self {
        match value.kind() {
            ValueKind::Seq | ValueKind::Iterable => {
                let items: Vec<Self> = match value.try_iter() {
                    Ok(items) => items.map(|item| Self::of(&item, options)).collect(),
                    Err(_) => Vec::new(),
                };
                let leaves = items.iter().all(|item| matches!(item, Self::Scalar(_)));
                Self::Seq { items, flow: is_flow(options, leaves) }
            }
            ValueKind::Map => {
                let mut keys: Vec<Value> =
                    value.try_iter().map(Iterator::collect).unwrap_or_default();
                if options.sort_keys && sortable(&keys) {
                    keys.sort_by(|a, b| compare(a, b).unwrap_or(Ordering::Equal));
                }
                let entries: Vec<(Self, Self)> = keys
                    .iter()
                    .map(|key| {
                        let inner = value.get_item(key).unwrap_or_default();
                        (Self::of(key, options), Self::of(&inner, options))
                    })
                    .collect();
                let leaves = entries
                    .iter()
                    .all(|(key, value)| matches!((key, value), (Self::Scalar(_), Self::Scalar(_))));
                Self::Map { entries, flow: is_flow(options, leaves) }
            }
            // ValueKind is minijinja's and may grow; all others are single values.
            _ => Self::Scalar(Text::of(value, options.allow_unicode)),
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Scalar(_) => false,
            Self::Seq { items, .. } => items.is_empty(),
            Self::Map { entries, .. } => entries.is_empty(),
        }
    }

    /// Tells whether the item may be a key without `? `.
    fn is_simple_key(&self) -> bool {
        match self {
            Self::Scalar(text) => text.is_simple_key(),
            Self::Seq { .. } | Self::Map { .. } => self.is_empty(),
        }
    }
}

fn is_flow(options: &EmitOptions, leaves: bool) -> bool {
    match options.flow {
        Flow::Leaves => leaves,
        Flow::Never => false,
        Flow::Always => true,
    }
}

/// Python sorts keys of one kind; of mixed kinds it raises, and PyYAML then leaves the order alone.
fn sortable(keys: &[Value]) -> bool {
    keys.windows(2).all(|pair| compare(&pair[0], &pair[1]).is_some())
}

fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    if let (Some(a), Some(b)) = (a.as_str(), b.as_str()) {
        return Some(a.cmp(b));
    }
    let number = |v: &Value| match v.kind() {
        ValueKind::Bool => Some(if v.is_true() { 1.0 } else { 0.0 }),
        ValueKind::Number => f64::try_from(v.clone()).ok(),
        _ => None,
    };
    number(a)?.partial_cmp(&number(b)?)
}

/// What a node stands in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Context {
    Root,
    Item,
    SimpleKey,
    Key,
    Value,
}

struct Writer {
    out: String,
    /// Characters on the current line.
    column: usize,
    /// Whether the last thing written was white space.
    whitespace: bool,
    /// Whether the line holds only indentation and indicators so far.
    indention: bool,
    /// Whether the document needs `...` to end.
    open_ended: bool,
    indent: Option<usize>,
    flow_level: usize,
    best_indent: usize,
    best_width: usize,
    allow_unicode: bool,
}

impl Writer {
    fn put(&mut self, text: &str) {
        self.column += text.chars().count();
        self.out.push_str(text);
    }

    fn line_break(&mut self, with: char) {
        self.whitespace = true;
        self.indention = true;
        self.column = 0;
        self.out.push(with);
    }

    fn indicator(&mut self, text: &str, needs_space: bool, whitespace: bool, indention: bool) {
        if needs_space && !self.whitespace {
            self.put(" ");
        }
        self.whitespace = whitespace;
        self.indention = self.indention && indention;
        self.open_ended = false;
        self.put(text);
    }

    fn write_indent(&mut self) {
        let indent = self.indent.unwrap_or(0);
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            self.line_break('\n');
        }
        if self.column < indent {
            self.whitespace = true;
            self.put(&" ".repeat(indent - self.column));
        }
    }

    /// Goes one level deeper and returns the level to come back to.
    fn deeper(&mut self, flow: bool, indentless: bool) -> Option<usize> {
        let before = self.indent;
        self.indent = match before {
            None if flow => Some(self.best_indent),
            None => Some(0),
            Some(indent) if indentless => Some(indent),
            Some(indent) => Some(indent + self.best_indent),
        };
        before
    }

    fn node(&mut self, item: &Item, context: Context) {
        match item {
            Item::Scalar(text) => {
                let before = self.deeper(true, false);
                self.scalar(text, context);
                self.indent = before;
            }
            Item::Seq { items, flow } if self.flow_level > 0 || *flow || items.is_empty() => {
                self.flow_seq(items);
            }
            Item::Seq { items, .. } => self.block_seq(items, context),
            Item::Map { entries, flow } if self.flow_level > 0 || *flow || entries.is_empty() => {
                self.flow_map(entries);
            }
            Item::Map { entries, .. } => self.block_map(entries),
        }
    }

    fn block_seq(&mut self, items: &[Item], context: Context) {
        let in_mapping = matches!(context, Context::Key | Context::SimpleKey | Context::Value);
        let before = self.deeper(false, in_mapping && !self.indention);
        for item in items {
            self.write_indent();
            self.indicator("-", true, false, true);
            self.node(item, Context::Item);
        }
        self.indent = before;
    }

    fn block_map(&mut self, entries: &[(Item, Item)]) {
        let before = self.deeper(false, false);
        for (key, value) in entries {
            self.write_indent();
            if key.is_simple_key() {
                self.node(key, Context::SimpleKey);
                self.indicator(":", false, false, false);
            } else {
                self.indicator("?", true, false, true);
                self.node(key, Context::Key);
                self.write_indent();
                self.indicator(":", true, false, true);
            }
            self.node(value, Context::Value);
        }
        self.indent = before;
    }

    fn flow_seq(&mut self, items: &[Item]) {
        self.indicator("[", true, true, false);
        self.flow_level += 1;
        let before = self.deeper(true, false);
        for (at, item) in items.iter().enumerate() {
            self.next_in_flow(at);
            self.node(item, Context::Item);
        }
        self.indent = before;
        self.flow_level -= 1;
        self.indicator("]", false, false, false);
    }

    fn flow_map(&mut self, entries: &[(Item, Item)]) {
        self.indicator("{", true, true, false);
        self.flow_level += 1;
        let before = self.deeper(true, false);
        for (at, (key, value)) in entries.iter().enumerate() {
            self.next_in_flow(at);
            if key.is_simple_key() {
                self.node(key, Context::SimpleKey);
                self.indicator(":", false, false, false);
            } else {
                self.indicator("?", true, false, false);
                self.node(key, Context::Key);
                if self.column > self.best_width {
                    self.write_indent();
                }
                self.indicator(":", true, false, false);
            }
            self.node(value, Context::Value);
        }
        self.indent = before;
        self.flow_level -= 1;
        self.indicator("}", false, false, false);
    }

    fn next_in_flow(&mut self, at: usize) {
        if at > 0 {
            self.indicator(",", false, false, false);
        }
        if self.column > self.best_width {
            self.write_indent();
        }
    }
}

#[cfg(test)]
mod tests;
