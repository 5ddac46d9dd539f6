//! From text to [`Node`]s: anchors, merge keys, tags, limits, and places in bytes.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;
use saphyr_parser::{Event, Parser, ScalarStyle, StrInput};

use super::hints;
use super::scalar::{float_from_text, int_from_text, scalar_from_text};
use super::{Node, NodeKind, Scalar, ScalarValue, Style, Tag};
use crate::source::{Diagnostic, FileId, Sources, Span};

/// How deep lists and mappings may be nested.
pub const MAX_DEPTH: usize = 128;
/// How many nodes all aliases and merges of one file may copy.
pub const MAX_COPIED: usize = 200_000;

/// Returns the documents of a file; warnings are dropped.
pub fn parse(sources: &Sources, file: FileId) -> Result<Vec<Node>, Diagnostic> {
    parse_with_warnings(sources, file).map(|(documents, _)| documents)
}

/// Returns the one document of a file; an empty file is a null node, a second document an error.
pub fn parse_one(sources: &Sources, file: FileId) -> Result<Node, Diagnostic> {
    parse_one_with_warnings(sources, file).map(|(node, _)| node)
}

/// Returns the one document of a file, and warnings about it.
pub fn parse_one_with_warnings(
    sources: &Sources,
    file: FileId,
) -> Result<(Node, Vec<Diagnostic>), Diagnostic> {
    let (documents, warnings) = parse_with_warnings(sources, file)?;
    let mut documents = documents.into_iter();
    let Some(first) = documents.next() else {
        return Ok((null(Span::new(file, 0, 0)), warnings));
    };
    if let Some(second) = documents.next() {
        return Err(Diagnostic::error("expected a single document in the file, but found another")
            .at(second.span, "the second document")
            .at(first.span, "the first")
            .hint("keep one document a file"));
    }
    Ok((first, warnings))
}

/// Returns the documents of a file, and warnings (a key given twice: the last one wins).
pub fn parse_with_warnings(
    sources: &Sources,
    file: FileId,
) -> Result<(Vec<Node>, Vec<Diagnostic>), Diagnostic> {
    let Some(source) = sources.get(file) else {
        return Err(Diagnostic::error("unknown file"));
    };
    let mut composer = Composer::new(&source.text, file);
    let documents = composer.documents()?;
    Ok((documents, composer.warnings))
}

fn null(span: Span) -> Node {
    let scalar = Scalar { raw: Arc::from(""), style: Style::Plain, value: ScalarValue::Null };
    Node { kind: NodeKind::Scalar(scalar), span, tag: None }
}

/// Turns the scanner's character counts into byte offsets.
struct Offsets {
    /// Byte offset of each character; `None` when all characters are single bytes.
    table: Option<Vec<u32>>,
    /// Length of a byte order mark that was taken off.
    skipped: usize,
    length: usize,
}

impl Offsets {
    fn new(text: &str, skipped: usize) -> Self {
        let table = (!text.is_ascii()).then(|| {
            text.char_indices().map(|(at, _)| u32::try_from(at).unwrap_or(u32::MAX)).collect()
        });
        Self { table, skipped, length: text.len() }
    }

    /// Returns a byte offset in the text without its byte order mark.
    fn byte(&self, character: usize) -> usize {
        match &self.table {
            None => character.min(self.length),
            Some(table) => table.get(character).map_or(self.length, |at| *at as usize),
        }
    }
}

/// What makes two mapping keys the same: Python's equality, where `1` and `0x1` are one key.
#[derive(PartialEq, Eq, Hash, Debug)]
enum KeyIdentity {
    Null,
    Number(i64),
    Float(u64),
    Text(Arc<str>),
}

impl KeyIdentity {
    fn of(scalar: &Scalar) -> Self {
        match scalar.value {
            ScalarValue::Null => Self::Null,
            ScalarValue::Bool(value) => Self::Number(i64::from(value)),
            ScalarValue::Int(value) => Self::Number(value),
            ScalarValue::Float(value) => Self::Float(value.to_bits()),
            ScalarValue::Str => Self::Text(scalar.raw.clone()),
        }
    }
}

/// The meaning of a tag on one node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Resolve,
    Vault,
    Unsafe,
    Str,
    Int,
    Float,
    Bool,
    Null,
    Seq,
    Map,
}

struct Composer<'t> {
    text: &'t str,
    file: FileId,
    offsets: Offsets,
    parser: Parser<'t, StrInput<'t>>,
    anchors: HashMap<usize, (Node, usize)>,
    copied: usize,
    /// End (in bytes of `text`) of the last event that stood for written text.
    last_end: usize,
    warnings: Vec<Diagnostic>,
}

type Tagged<'t> = Option<std::borrow::Cow<'t, saphyr_parser::Tag>>;

impl<'t> Composer<'t> {
    fn new(whole: &'t str, file: FileId) -> Self {
        let text = whole.strip_prefix('\u{feff}').unwrap_or(whole);
        Self {
            text,
            file,
            offsets: Offsets::new(text, whole.len() - text.len()),
            parser: Parser::new_from_str(text),
            anchors: HashMap::new(),
            copied: 0,
            last_end: 0,
            warnings: Vec::new(),
        }
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.file, start + self.offsets.skipped, end + self.offsets.skipped)
    }

    fn next(&mut self) -> Result<(Event<'t>, usize, usize), Diagnostic> {
        match self.parser.next_event() {
            None => Ok((Event::StreamEnd, self.text.len(), self.text.len())),
            Some(Ok((event, span))) => {
                let start = self.offsets.byte(span.start.index());
                let end = self.offsets.byte(span.end.index()).max(start);
                Ok((event, start, end))
            }
            Some(Err(error)) => {
                let at = self.offsets.byte(error.marker().index());
                let length =
                    self.text.get(at..).and_then(|t| t.chars().next()).map_or(0, char::len_utf8);
                Err(hints::explain(self.text, at, error.info(), self.span(at, at + length)))
            }
        }
    }

    fn documents(&mut self) -> Result<Vec<Node>, Diagnostic> {
        let mut documents = Vec::new();
        loop {
            let (event, start, end) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(documents),
                Event::Nothing
                | Event::StreamStart
                | Event::DocumentStart(_)
                | Event::DocumentEnd
                | Event::SequenceEnd
                | Event::MappingEnd => {}
                Event::Alias(_)
                | Event::Scalar(..)
                | Event::SequenceStart(..)
                | Event::MappingStart(..) => {
                    // Anchors do not reach across documents, and ids are never given out twice.
                    self.anchors.clear();
                    documents.push(self.node(event, start, end, 0)?);
                }
            }
        }
    }

    fn node(
        &mut self,
        event: Event<'t>,
        start: usize,
        end: usize,
        depth: usize,
    ) -> Result<Node, Diagnostic> {
        if depth > MAX_DEPTH {
            return Err(Diagnostic::error(format!(
                "lists and mappings are nested more than {MAX_DEPTH} deep"
            ))
            .at(self.span(start, end), "")
            .hint("split the value into variables of their own"));
        }
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let start = if anchor > 0 || tag.is_some() {
                    self.after_properties(start, end)
                } else {
                    start
                };
                let node = self.scalar(&text, style, tag, (start, end))?;
                self.remember(anchor, &node);
                Ok(node)
            }
            Event::SequenceStart(anchor, tag) => {
                let meaning = self.meaning(tag.as_deref(), start, end)?;
                let (items, end) = self.items(start, end, depth)?;
                let span = self.span(start, end);
                let node = Node { kind: NodeKind::Seq(items), span, tag: None };
                self.container(node, anchor, meaning, Meaning::Seq)
            }
            Event::MappingStart(anchor, tag) => {
                let meaning = self.meaning(tag.as_deref(), start, end)?;
                let (entries, end) = self.entries(start, end, depth)?;
                let span = self.span(start, end);
                let node = Node { kind: NodeKind::Map(entries), span, tag: None };
                self.container(node, anchor, meaning, Meaning::Map)
            }
            Event::Alias(id) => {
                self.last_end = end;
                self.alias(id, start, end)
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => Ok(null(self.span(start, end))),
        }
    }

    /// Returns where the value starts behind its tag and anchor, which the scanner counts in.
    fn after_properties(&self, start: usize, end: usize) -> usize {
        let mut at = start;
        while let Some(rest) = self.text.get(at..end) {
            if !rest.starts_with(['!', '&']) {
                break;
            }
            let word = rest.find(char::is_whitespace).unwrap_or(rest.len());
            let gap = rest[word..].len() - rest[word..].trim_start().len();
            at += word + gap;
        }
        at
    }

    fn container(
        &mut self,
        mut node: Node,
        anchor: usize,
        meaning: Meaning,
        own: Meaning,
    ) -> Result<Node, Diagnostic> {
        match meaning {
            Meaning::Resolve => {}
            Meaning::Unsafe => mark_unsafe(&mut node),
            meaning if meaning == own => {}
            Meaning::Vault
            | Meaning::Str
            | Meaning::Int
            | Meaning::Float
            | Meaning::Bool
            | Meaning::Null
            | Meaning::Seq
            | Meaning::Map => {
                return Err(Diagnostic::error(format!(
                    "the tag asks for another kind of value than this value: {}",
                    node.type_name()
                ))
                .at(node.span, ""));
            }
        }
        self.remember(anchor, &node);
        Ok(node)
    }

    fn remember(&mut self, anchor: usize, node: &Node) {
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), size(node)));
        }
    }

    fn alias(&mut self, id: usize, start: usize, end: usize) -> Result<Node, Diagnostic> {
        let place = self.span(start, end);
        let Some((node, size)) = self.anchors.get(&id) else {
            return Err(Diagnostic::error("the alias stands inside the value it refers to")
                .at(place, "an endless value"));
        };
        let (node, size) = (node.clone(), *size);
        self.spend(size, place)?;
        Ok(node)
    }

    /// Counts copied nodes, so that a small file cannot ask for endless memory.
    fn spend(&mut self, nodes: usize, place: Span) -> Result<(), Diagnostic> {
        self.copied += nodes;
        if self.copied > MAX_COPIED {
            return Err(Diagnostic::error(format!(
                "aliases of this file expand to more than {MAX_COPIED} values"
            ))
            .at(place, "refused here")
            .hint("write the value once and refer to it with a template"));
        }
        Ok(())
    }

    fn items(
        &mut self,
        start: usize,
        end: usize,
        depth: usize,
    ) -> Result<(Vec<Node>, usize), Diagnostic> {
        let flow = self.text.get(start..end).is_some_and(|t| t.starts_with('['));
        self.last_end = end;
        let mut items = Vec::new();
        loop {
            let (event, start, end) = self.next()?;
            if matches!(event, Event::SequenceEnd | Event::StreamEnd) {
                return Ok((items, self.close(flow, end)));
            }
            items.push(self.node(event, start, end, depth + 1)?);
        }
    }

    /// Returns where a collection ends: a flow one at its bracket, a block one with its last value (the scanner only knows
    /// that it is over when the next thing starts, lines later).
    fn close(&mut self, flow: bool, end: usize) -> usize {
        if flow {
            self.last_end = end;
        }
        self.last_end
    }

    fn entries(
        &mut self,
        start: usize,
        end: usize,
        depth: usize,
    ) -> Result<(Vec<(Node, Node)>, usize), Diagnostic> {
        let flow = self.text.get(start..end).is_some_and(|t| t.starts_with('{'));
        self.last_end = end;
        let mut entries: IndexMap<KeyIdentity, (Node, Node)> = IndexMap::new();
        let mut merged: Vec<Node> = Vec::new();
        let end = loop {
            let (event, start, end) = self.next()?;
            if matches!(event, Event::MappingEnd | Event::StreamEnd) {
                break end;
            }
            let is_merge =
                matches!(&event, Event::Scalar(text, ScalarStyle::Plain, _, None) if text == "<<");
            let key = self.node(event, start, end, depth + 1)?;
            let (event, start, end) = self.next()?;
            let value = self.node(event, start, end, depth + 1)?;
            if is_merge {
                merged.push(value);
                continue;
            }
            let Some(scalar) = key.as_scalar() else {
                return Err(hints::unhashable(self.text, self.offsets.skipped, &key));
            };
            let identity = KeyIdentity::of(scalar);
            if let Some((first, _)) = entries.get(&identity) {
                self.warnings.push(
                    Diagnostic::warning(format!("found duplicate mapping key '{}'", scalar.raw))
                        .at(key.span, "this value is used")
                        .at(first.span, "this one is not")
                        .hint("keep one of them"),
                );
            }
            // Insertion keeps the first place of a key and gives it the last value.
            entries.insert(identity, (key, value));
        };
        let end = self.close(flow, end);
        if merged.is_empty() {
            return Ok((entries.into_values().collect(), end));
        }
        Ok((self.merge(&merged, entries)?, end))
    }

    /// Puts merged entries before the explicit ones, which win; of two merged mappings in one list the first wins.
    fn merge(
        &mut self,
        merged: &[Node],
        explicit: IndexMap<KeyIdentity, (Node, Node)>,
    ) -> Result<Vec<(Node, Node)>, Diagnostic> {
        let mut all: IndexMap<KeyIdentity, (Node, Node)> = IndexMap::new();
        for value in merged {
            let maps: Vec<&Node> = match &value.kind {
                NodeKind::Seq(items) => items.iter().rev().collect(),
                NodeKind::Map(_) | NodeKind::Scalar(_) => vec![value],
            };
            for map in maps {
                let Some(entries) = map.as_map() else {
                    return Err(Diagnostic::error(format!(
                        "expected a mapping or list of mappings for merging, but found: {}",
                        map.type_name()
                    ))
                    .at(map.span, ""));
                };
                self.spend(entries.len(), map.span)?;
                for (key, value) in entries {
                    if let Some(scalar) = key.as_scalar() {
                        all.insert(KeyIdentity::of(scalar), (key.clone(), value.clone()));
                    }
                }
            }
        }
        all.extend(explicit);
        Ok(all.into_values().collect())
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        tag: Tagged<'t>,
        (start, end): (usize, usize),
    ) -> Result<Node, Diagnostic> {
        let meaning = self.meaning(tag.as_deref(), start, end)?;
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted => Style::SingleQuoted,
            ScalarStyle::DoubleQuoted => Style::DoubleQuoted,
            ScalarStyle::Literal => Style::Literal,
            ScalarStyle::Folded => Style::Folded,
        };
        let end = start + self.text.get(start..end).map_or(0, |t| t.trim_end().len());
        self.last_end = end.max(start);
        let span = self.span(start, end);
        let wrong = |kind: &str| {
            Err(Diagnostic::error(format!("'{text}' is not {kind}, as its tag says")).at(span, ""))
        };
        let value = match meaning {
            Meaning::Resolve if style == Style::Plain => scalar_from_text(text),
            Meaning::Resolve | Meaning::Vault | Meaning::Unsafe | Meaning::Str => ScalarValue::Str,
            Meaning::Int => match int_from_text(text) {
                Some(value) => ScalarValue::Int(value),
                None => return wrong("an integer"),
            },
            Meaning::Float => match float_from_text(text) {
                Some(value) => ScalarValue::Float(value),
                None => return wrong("a number"),
            },
            Meaning::Bool => match scalar_from_text(&text.to_ascii_lowercase()) {
                value @ ScalarValue::Bool(_) => value,
                ScalarValue::Null
                | ScalarValue::Int(_)
                | ScalarValue::Float(_)
                | ScalarValue::Str => return wrong("a boolean"),
            },
            Meaning::Null => ScalarValue::Null,
            Meaning::Seq => return wrong("a list"),
            Meaning::Map => return wrong("a mapping"),
        };
        let tag = match meaning {
            Meaning::Vault => Some(Tag::Vault),
            Meaning::Unsafe => Some(Tag::Unsafe),
            Meaning::Resolve
            | Meaning::Str
            | Meaning::Int
            | Meaning::Float
            | Meaning::Bool
            | Meaning::Null
            | Meaning::Seq
            | Meaning::Map => None,
        };
        let scalar = Scalar { raw: Arc::from(text), style, value };
        Ok(Node { kind: NodeKind::Scalar(scalar), span, tag })
    }

    fn meaning(
        &self,
        tag: Option<&saphyr_parser::Tag>,
        start: usize,
        end: usize,
    ) -> Result<Meaning, Diagnostic> {
        let Some(tag) = tag else { return Ok(Meaning::Resolve) };
        let whole = format!("{}{}", tag.handle, tag.suffix);
        if let Some(core) = whole.strip_prefix("tag:yaml.org,2002:") {
            match core {
                "str" => return Ok(Meaning::Str),
                "int" => return Ok(Meaning::Int),
                "float" => return Ok(Meaning::Float),
                "bool" => return Ok(Meaning::Bool),
                "null" => return Ok(Meaning::Null),
                "seq" => return Ok(Meaning::Seq),
                "map" => return Ok(Meaning::Map),
                _ => {}
            }
        }
        match whole.as_str() {
            "!vault" | "!vault-encrypted" => Ok(Meaning::Vault),
            "!unsafe" => Ok(Meaning::Unsafe),
            "!" => Ok(Meaning::Str),
            _ => {
                let name = whole.replace("tag:yaml.org,2002:", "!!");
                Err(Diagnostic::error(format!("could not determine a constructor for the tag '{name}'"))
                    .at(self.span(start, end), "the tagged value")
                    .hint("known tags: !vault, !unsafe, !!str, !!int, !!float, !!bool, !!null, !!seq, !!map"))
            }
        }
    }
}

fn size(node: &Node) -> usize {
    match &node.kind {
        NodeKind::Scalar(_) => 1,
        NodeKind::Seq(items) => 1 + items.iter().map(size).sum::<usize>(),
        NodeKind::Map(entries) => 1 + entries.iter().map(|(k, v)| size(k) + size(v)).sum::<usize>(),
    }
}

/// Everything inside `!unsafe` is unsafe, so that no reader needs to remember what stood around a value.
fn mark_unsafe(node: &mut Node) {
    node.tag = Some(Tag::Unsafe);
    match &mut node.kind {
        NodeKind::Scalar(_) => {}
        NodeKind::Seq(items) => items.iter_mut().for_each(mark_unsafe),
        NodeKind::Map(entries) => entries.iter_mut().for_each(|(_, value)| mark_unsafe(value)),
    }
}
