//! From Ansible's templates to minijinja's: small edits of the source, so that the engine means what Ansible means.
//!
//! minijinja has no hook for these, so the source is edited before it is compiled:
//! * `nope.a.b | default(x)` and `nope.a is defined` must not fail: the steps before a guard become filters that let
//!   undefined pass;
//! * `'%03d' % n` is text formatting: `%` becomes a filter;
//! * `"10" > 5` is an error in Python and an order of kinds in minijinja: comparisons become calls;
//! * backslashes in strings of a playbook are text (`'\1'`), in template files they are Python's escapes;
//! * `ansible.builtin.` in front of filters and tests is taken off;
//! * lists and mappings that a template changes by `.append(…)` and its like become changeable;
//! * with [`Dialect::trail`], every look-up tells its name, so that an error can name what is undefined.

mod pieces;
mod reader;
mod soften;
mod strings;

use super::tokens::split;
use pieces::{Piece, joinable, pieces};
use reader::Reader;

/// How a source is to be read.
#[derive(Clone, Debug)]
pub(super) struct Dialect {
    /// Starts and ends of blocks, variables and comments.
    pub(super) delimiters: [(String, String); 3],
    /// Whether backslashes in strings are escapes (template files) or text (playbooks).
    pub(super) escapes: bool,
    /// Whether look-ups tell their names.
    pub(super) trail: bool,
}

impl Dialect {
    /// The dialect of strings in playbooks.
    pub(super) fn playbook() -> Self {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        Self {
            delimiters: [pair("{%", "%}"), pair("{{", "}}"), pair("{#", "#}")],
            escapes: false,
            trail: false,
        }
    }
}

/// A source ready for minijinja.
#[derive(Debug, Default)]
pub(super) struct Rewritten {
    /// The new text.
    pub(super) text: String,
    /// What to compile it as.
    pub(super) form: Form,
    /// Pairs of places (new, old) where a run of untouched text starts.
    places: Vec<(usize, usize)>,
    /// Names of filters used, with their places in the old text.
    pub(super) filters: Vec<(String, usize)>,
    /// Names of tests used.
    pub(super) tests: Vec<(String, usize)>,
}

/// What a text is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Form {
    /// One expression: the value keeps its type. `newline`: a string gets the line end back that stood behind it.
    Expression {
        /// A line end stood behind the expression.
        newline: bool,
    },
    /// Text and expressions, as one expression that joins them.
    Joined,
    /// Statements: rendered.
    #[default]
    Template,
}

impl Rewritten {
    /// Returns the place in the old text for a place in the new one.
    pub(super) fn place(&self, new: usize) -> usize {
        let at = self.places.partition_point(|(start, _)| *start <= new);
        match at.checked_sub(1).and_then(|at| self.places.get(at)) {
            Some((start, old)) => old + (new - start),
            None => new,
        }
    }
}

/// One change of the source.
struct Edit {
    at: usize,
    until: usize,
    text: String,
}

/// Reads a text with templates in it.
pub(super) fn template(source: &str, dialect: &Dialect) -> Rewritten {
    let pieces = pieces(source, dialect);
    let mut reader = Reader::new(source, dialect);
    let mut statements = false;
    for piece in &pieces {
        match piece {
            Piece::Expression { tokens, .. } => reader.read(tokens, Reader::expressions),
            Piece::Statement { tokens, .. } => {
                statements = true;
                reader.read(tokens, Reader::statement);
            }
            Piece::Text { .. } => {}
        }
    }
    if statements || !joinable(&pieces, source) {
        let range = 0..source.len();
        return reader.finish(&[Part::Source(range)], Form::Template);
    }
    let mut parts = Vec::new();
    let mut values = 0;
    let mut newline = false;
    let last = pieces.len().saturating_sub(1);
    let lone = matches!(
        pieces.as_slice(),
        [Piece::Expression { .. }] | [Piece::Expression { .. }, Piece::Text { .. }]
    ) && match pieces.get(1) {
        Some(Piece::Text { text }) => text == "\n",
        _ => true,
    };
    for (at, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Expression { start, end, .. } if lone => {
                parts.push(Part::Source(*start..*end));
                newline = last > 0;
            }
            Piece::Expression { start, end, .. } => {
                parts.push(Part::Own(format!("{}(", if at > 0 { "," } else { "" })));
                parts.push(Part::Source(*start..*end));
                parts.push(Part::Own(")".to_owned()));
                values += 1;
            }
            Piece::Text { .. } if lone => {}
            Piece::Text { text } => {
                let comma = if at > 0 { "," } else { "" };
                parts.push(Part::Own(format!("{comma}{}", literal(text))));
            }
            Piece::Statement { .. } => {}
        }
    }
    if lone {
        return reader.finish(&parts, Form::Expression { newline });
    }
    if values == 0 {
        // Only comments and text.
        parts.push(Part::Own(if parts.is_empty() { "''" } else { "" }.to_owned()));
    }
    parts.insert(0, Part::Own("__text(".to_owned()));
    parts.push(Part::Own(")".to_owned()));
    reader.finish(&parts, Form::Joined)
}

/// Reads a template file: it is rendered whatever it holds.
pub(super) fn statements(source: &str, dialect: &Dialect) -> Rewritten {
    let pieces = pieces(source, dialect);
    let mut reader = Reader::new(source, dialect);
    for piece in &pieces {
        match piece {
            Piece::Expression { tokens, .. } => reader.read(tokens, Reader::expressions),
            Piece::Statement { tokens, .. } => reader.read(tokens, Reader::statement),
            Piece::Text { .. } => {}
        }
    }
    let range = 0..source.len();
    reader.finish(&[Part::Source(range)], Form::Template)
}

/// Reads a bare expression (`when`, `loop: "{{ }}"`'s inside, `until` ...).
pub(super) fn expression(source: &str, dialect: &Dialect) -> Rewritten {
    let (tokens, _, _) = split(source, 0, None);
    let mut reader = Reader::new(source, dialect);
    reader.read(&tokens, Reader::expressions);
    let range = 0..source.len();
    reader.finish(&[Part::Source(range)], Form::Expression { newline: false })
}

/// Writes text as a string minijinja reads.
pub(super) fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

enum Part {
    Own(String),
    Source(std::ops::Range<usize>),
}

impl Reader<'_> {
    /// Applies the edits to the parts asked for.
    fn finish(mut self, parts: &[Part], form: Form) -> Rewritten {
        if self.changes {
            for (start, end, list) in std::mem::take(&mut self.containers) {
                self.insert(start, if list { "__list(" } else { "__dict(" });
                self.insert(end, ")");
            }
        }
        // Stable: edits at one place stay in the order in which they were found, insertions that close before others.
        self.edits.sort_by_key(|edit| (edit.at, edit.until));
        let mut out =
            Rewritten { form, filters: self.filters, tests: self.tests, ..Default::default() };
        for part in parts {
            match part {
                Part::Own(text) => out.text.push_str(text),
                Part::Source(range) => {
                    let mut at = range.start;
                    out.places.push((out.text.len(), at));
                    for edit in &self.edits {
                        if edit.at < at || edit.until > range.end {
                            continue;
                        }
                        out.text.push_str(&self.source[at..edit.at]);
                        out.places.push((out.text.len(), edit.at));
                        out.text.push_str(&edit.text);
                        at = edit.until;
                        out.places.push((out.text.len(), at));
                    }
                    out.text.push_str(&self.source[at..range.end]);
                }
            }
        }
        out
    }
}
