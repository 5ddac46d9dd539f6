//! INI sources: `[group]`, `[group:vars]`, `[group:children]`, and lines of hosts.

use std::path::Path;

use indexmap::IndexMap;

use super::load::{Findings, is_name};
use super::{Inventory, address, literal};
use crate::names::{HostName, nearest};
use crate::source::{Diagnostic, FileId, Span};
use crate::yaml::Node;

/// What the lines below a section header are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Hosts,
    Vars,
    Children,
}

/// A group that a section named before it was defined.
#[derive(Default)]
struct Pending {
    parents: Vec<(String, Span)>,
    vars: Option<Span>,
}

struct Reader<'r> {
    inventory: &'r mut Inventory,
    findings: &'r mut Findings,
    path: &'r Path,
    file: FileId,
    group: String,
    section: Section,
    pending: IndexMap<String, Pending>,
    /// Variables wait until their group is known to exist.
    vars: Vec<(String, String, Node, Span)>,
}

/// Reads an INI text into the inventory; every wrong line is reported.
pub(super) fn read(
    inventory: &mut Inventory,
    path: &Path,
    file: FileId,
    text: &str,
    findings: &mut Findings,
) {
    let mut reader = Reader {
        inventory,
        findings,
        path,
        file,
        group: "ungrouped".to_owned(),
        section: Section::Hosts,
        pending: IndexMap::new(),
        vars: Vec::new(),
    };
    let mut at = 0;
    for whole in text.split_inclusive('\n') {
        let line = whole.trim_start_matches('\u{feff}').trim();
        let start = at + (whole.len() - whole.trim_start_matches('\u{feff}').trim_start().len());
        at += whole.len();
        if !line.is_empty() && !line.starts_with(['#', ';']) {
            reader.line(line, start);
        }
    }
    reader.finish();
}

impl Reader<'_> {
    fn span(&self, start: usize, length: usize) -> Span {
        Span::new(self.file, start, start + length)
    }

    fn line(&mut self, line: &str, start: usize) {
        if let Some((group, kind)) = header(line) {
            return self.section(group, kind, start, line);
        }
        if line.starts_with('[') && line.ends_with(']') {
            let span = self.span(start, line.len());
            return self.findings.push(
                Diagnostic::error(format!("invalid section entry: '{line}'"))
                    .at(span, "")
                    .hint("write [group], [group:vars] or [group:children], without spaces"),
            );
        }
        if line.starts_with('[') && !line.contains(']') {
            return self.findings.push(
                Diagnostic::error(format!("the section heading '{line}' is not closed"))
                    .at(self.span(start, line.len()), "")
                    .hint(format!("write {line}]")),
            );
        }
        match self.section {
            Section::Hosts => self.host(line, start),
            Section::Vars => self.variable(line, start),
            Section::Children => self.child(line, start),
        }
    }

    fn section(&mut self, group: &str, kind: Option<&str>, start: usize, line: &str) {
        let span = self.span(start, line.len());
        group.clone_into(&mut self.group);
        self.section = match kind {
            None => Section::Hosts,
            Some("vars") => Section::Vars,
            Some("children") => Section::Children,
            Some(other) => {
                let near = nearest(other, ["vars", "children"]);
                self.findings.push(
                    Diagnostic::error(format!(
                        "section [{group}:{other}] has unknown type: {other}"
                    ))
                    .at(span, "")
                    .hint(match near {
                        Some(near) => format!("did you mean [{group}:{near}]?"),
                        None => "known types: vars, children".to_owned(),
                    }),
                );
                Section::Vars
            }
        };
        if self.section == Section::Vars {
            if !self.inventory.groups.contains_key(group) {
                self.pending.entry(group.to_owned()).or_default().vars.get_or_insert(span);
            }
            return;
        }
        self.inventory.ensure_group(group);
        if let Some(waiting) = self.pending.shift_remove(group) {
            for (parent, span) in waiting.parents {
                self.link(&parent, group, span);
            }
        }
    }

    fn link(&mut self, parent: &str, child: &str, span: Span) {
        if let Err(error) = self.inventory.link(parent, child) {
            self.findings.error(span, error.to_string());
        }
    }

    fn child(&mut self, line: &str, start: usize) {
        let name = line.split('#').next().unwrap_or_default().trim_end();
        let span = self.span(start, name.len());
        if name.is_empty() || name.contains([' ', '\t', ':', ']']) {
            return self.findings.error(span, format!("expected group name, got: {name}"));
        }
        if self.inventory.groups.contains_key(name) {
            let parent = self.group.clone();
            return self.link(&parent, name, span);
        }
        let waiting = self.pending.entry(name.to_owned()).or_default();
        waiting.parents.push((self.group.clone(), span));
    }

    fn variable(&mut self, line: &str, start: usize) {
        let Some((key, text)) = line.split_once('=') else {
            let span = self.span(start, line.len());
            return self.findings.push(
                Diagnostic::error(format!("expected key=value, got: {line}"))
                    .at(span, "")
                    .hint("below [group:vars] each line is name=value; hosts go below [group]"),
            );
        };
        let value = text.trim();
        let value_start = start + key.len() + 1 + (text.len() - text.trim_start().len());
        let node = literal::value(value, self.span(value_start, value.len()));
        let key = key.trim_end();
        let span = self.span(start, key.len());
        self.warn_about(key, span);
        self.vars.push((self.group.clone(), key.to_owned(), node, span));
    }

    fn warn_about(&mut self, key: &str, span: Span) {
        if !is_name(key) {
            self.findings.push(
                Diagnostic::warning(format!("inventory variable with invalid name '{key}'"))
                    .at(span, "")
                    .hint("use letters, digits and underscores, so that templates can name it"),
            );
        }
    }

    fn host(&mut self, line: &str, start: usize) {
        let words = match words(line) {
            Ok(words) => words,
            Err((at, why)) => {
                let span = self.span(start + at, line.len() - at);
                let message = format!("error parsing host definition '{line}': {why}");
                return self.findings.error(span, message);
            }
        };
        let Some((pattern, rest)) = words.split_first() else { return };
        let span = self.span(start + pattern.start, pattern.end - pattern.start);
        if pattern.text.ends_with(':') {
            return self.findings.push(
                Diagnostic::error(format!("invalid host pattern '{}' supplied", pattern.text))
                    .at(span, "ending in ':' is not allowed, it is reserved to provide a port")
                    .hint(
                        "a YAML inventory needs a name that ends in .yml, or --- as its first line",
                    ),
            );
        }
        let (name, port) = address::split_port(&pattern.text);
        let names = match address::expand(name) {
            Ok(names) => names,
            Err(why) => return self.findings.error(span, why),
        };
        let mut vars: Vec<(&str, Node, Span)> = Vec::new();
        for word in rest {
            let place = self.span(start + word.start, word.end - word.start);
            let Some((key, value)) = word.text.split_once('=') else {
                self.findings.push(
                    Diagnostic::error(format!(
                        "expected key=value host variable assignment, got: {}",
                        word.text
                    ))
                    .at(place, "")
                    .hint("quote a value that holds spaces: key=\"a b\""),
                );
                continue;
            };
            // Without quotes the written text is the value, and the place can be exact.
            let exact = word.end - word.start == word.text.len();
            let skip = if exact { key.len() + 1 } else { 0 };
            let value_place = Span::new(self.file, start + word.start + skip, start + word.end);
            self.warn_about(key, place);
            vars.push((key, literal::value(value, value_place), place));
        }
        for name in names {
            let host = HostName::from(name);
            if self.inventory.ensure_host(&host, Some(self.path))
                && let Some(port) = port
            {
                let node = literal::value(&port.to_string(), span);
                self.inventory.set_host_var(&host, "ansible_port", node, span);
            }
            self.inventory.join(&host, &self.group);
            for (key, node, place) in &vars {
                self.inventory.set_host_var(&host, key, node.clone(), *place);
            }
        }
    }

    fn finish(self) {
        for (group, waiting) in &self.pending {
            for (parent, span) in &waiting.parents {
                let known = self.inventory.groups.keys().map(String::as_str);
                let hint = match nearest(group, known) {
                    Some(near) => format!("did you mean {near}?"),
                    None => format!("add a section [{group}], empty or not"),
                };
                self.findings.push(
                    Diagnostic::error(format!(
                        "section [{parent}:children] includes undefined group '{group}'"
                    ))
                    .at(*span, "")
                    .hint(hint),
                );
            }
            if let Some(span) = waiting.vars {
                self.findings.push(
                    Diagnostic::error(format!(
                        "section [{group}:vars] not valid for undefined group '{group}'"
                    ))
                    .at(span, "")
                    .hint(format!("add a section [{group}]")),
                );
            }
        }
        for (group, key, node, span) in self.vars {
            let place = node.span;
            if self.inventory.set_group_var(&group, &key, node, span).is_err() {
                self.findings.error(place, "ansible_group_priority must be a whole number");
            }
        }
    }
}

/// Takes `[group:kind] # comment` apart.
fn header(line: &str) -> Option<(&str, Option<&str>)> {
    let (inner, after) = line.strip_prefix('[')?.split_once(']')?;
    let after = after.trim_start();
    if !after.is_empty() && !after.starts_with('#') {
        return None;
    }
    let (group, kind) = match inner.split_once(':') {
        Some((group, kind)) => (group, Some(kind)),
        None => (inner, None),
    };
    let word =
        |text: &str| !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_');
    let group_is_one = !group.is_empty() && !group.contains(char::is_whitespace);
    (group_is_one && kind.is_none_or(word)).then_some((group, kind))
}

/// A word of a host line and where it stood.
struct Word {
    text: String,
    start: usize,
    end: usize,
}

/// Splits a line as a shell does, without expanding anything; `#` outside quotes starts a comment, even inside a word.
fn words(line: &str) -> Result<Vec<Word>, (usize, &'static str)> {
    let mut words = Vec::new();
    let mut current: Option<Word> = None;
    let mut chars = line.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c == '#' {
            break;
        }
        if c.is_whitespace() {
            words.extend(current.take());
            continue;
        }
        let word = current.get_or_insert_with(|| Word { text: String::new(), start: at, end: at });
        match c {
            '\'' | '"' => loop {
                match chars.next() {
                    None => return Err((at, "no closing quotation")),
                    Some((_, end)) if end == c => break,
                    Some((_, '\\')) if c == '"' => match chars.next() {
                        None => return Err((at, "no closing quotation")),
                        Some((_, next @ ('"' | '\\'))) => word.text.push(next),
                        Some((_, next)) => word.text.extend(['\\', next]),
                    },
                    Some((_, inner)) => word.text.push(inner),
                }
            },
            '\\' => match chars.next() {
                None => return Err((at, "no escaped character")),
                Some((_, next)) => word.text.push(next),
            },
            _ => word.text.push(c),
        }
        word.end = chars.peek().map_or(line.len(), |(next, _)| *next);
    }
    words.extend(current);
    Ok(words)
}
