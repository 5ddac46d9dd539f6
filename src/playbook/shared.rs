//! Reading a mapping's keywords: each is taken once and its type checked; what is left over is unknown.

use crate::names::nearest;
use crate::source::{Diagnostic, Diagnostics, Severity, Span};
use crate::yaml::{Node, NodeKind, ScalarValue, Tag};

use super::keywords::{Holder, is_variable_name};
use super::{Common, Delegate};

/// The mistakes and warnings found so far.
#[derive(Debug, Default)]
pub(super) struct Mistakes(Vec<Diagnostic>);

impl Mistakes {
    /// Adds one; the same one twice (a role used twice) counts once.
    pub(super) fn add(&mut self, one: Diagnostic) {
        if !self.0.contains(&one) {
            self.0.push(one);
        }
    }

    /// Adds an error at a place.
    pub(super) fn error(&mut self, span: Span, message: impl Into<String>) {
        self.add(Diagnostic::error(message).at(span, ""));
    }

    /// Splits into the warnings, or all when one of them is an error.
    pub(super) fn settle(self) -> Result<Vec<Diagnostic>, Diagnostics> {
        let mut all = self.0;
        // In the order of the text; files in the order they were read.
        all.sort_by_key(|one| one.labels.first().map(|label| (label.span.file, label.span.start)));
        let wrong = all.iter().any(|one| one.severity == Severity::Error);
        if wrong { Err(Diagnostics(all)) } else { Ok(all) }
    }
}

/// What type a keyword's value has when it is not a template.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Anything.
    Any,
    /// One scalar.
    Text,
    /// A boolean.
    Bool,
    /// A whole number.
    Int,
    /// A number.
    Float,
    /// A number, perhaps with `%`.
    Percent,
    /// A list or a template of one.
    List,
}

/// The keywords of one mapping that nobody has taken yet.
pub(super) struct Fields<'n> {
    /// Where the mapping stands.
    pub(super) span: Span,
    left: Vec<Field<'n>>,
}

/// One keyword and its value.
#[derive(Clone, Copy)]
pub(super) struct Field<'n> {
    /// The keyword.
    pub(super) name: &'n str,
    /// Where the keyword stands.
    pub(super) span: Span,
    /// Its value.
    pub(super) value: &'n Node,
}

impl<'n> Fields<'n> {
    /// Opens a mapping; keys that are not words are mistakes.
    pub(super) fn of(span: Span, map: &'n [(Node, Node)], mistakes: &mut Mistakes) -> Self {
        let mut left = Vec::with_capacity(map.len());
        for (key, value) in map {
            match key.raw() {
                Some(name) => left.push(Field { name, span: key.span, value }),
                None => mistakes.error(
                    key.span,
                    format!("a keyword must be a string, not a {}", key.type_name()),
                ),
            }
        }
        Self { span, left }
    }

    /// Takes a keyword.
    pub(super) fn take(&mut self, name: &str) -> Option<Field<'n>> {
        let at = self.left.iter().position(|field| field.name == name)?;
        Some(self.left.remove(at))
    }

    /// Tells whether a keyword is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.left.iter().any(|field| field.name == name)
    }

    /// Takes every keyword that starts with `prefix`.
    pub(super) fn take_prefixed(&mut self, prefix: &str) -> Vec<Field<'n>> {
        let (taken, left) = self.left.iter().partition(|field| field.name.starts_with(prefix));
        self.left = left;
        taken
    }

    /// Returns what nobody took.
    pub(super) fn rest(self) -> Vec<Field<'n>> {
        self.left
    }

    /// Returns what nobody took so far.
    pub(super) fn untaken(&self) -> &[Field<'n>] {
        &self.left
    }

    /// Ends the mapping: what nobody took is unknown.
    pub(super) fn finish(self, holder: Holder, mistakes: &mut Mistakes) {
        for field in self.left {
            mistakes.add(unknown(field, holder));
        }
    }

    /// Takes a keyword with its type checked; null counts as not written.
    pub(super) fn value(
        &mut self,
        name: &str,
        kind: Kind,
        mistakes: &mut Mistakes,
    ) -> Option<Node> {
        let field = self.take(name)?;
        if field.value.is_null() {
            return None;
        }
        if let Err(wrong) = check(field, kind) {
            mistakes.add(wrong);
        }
        Some(field.value.clone())
    }

    /// Takes conditions: one, or a list of them.
    pub(super) fn conditions(&mut self, name: &str, mistakes: &mut Mistakes) -> Option<Vec<Node>> {
        let field = self.take(name)?;
        let nodes = one_or_many(field.value);
        for node in &nodes {
            if node.as_scalar().is_none() {
                let kind = node.type_name();
                let wrong = format!("'{name}' takes a condition or a list of them, not a {kind}");
                let wrong = Diagnostic::error(wrong).at(node.span, "");
                mistakes
                    .add(wrong.hint("quote the condition when it holds ': ' or starts with '{'"));
            }
        }
        Some(nodes)
    }

    /// Takes names: one, or a list of them; with `commas`, a name may hold several.
    pub(super) fn names(&mut self, name: &str, commas: bool, mistakes: &mut Mistakes) -> Vec<Node> {
        let Some(field) = self.take(name) else { return Vec::new() };
        let strict = commas && field.value.as_scalar().is_some() && field.value.as_str().is_none();
        if strict && !field.value.is_null() {
            mistakes.error(field.value.span, format!("{name} must be specified as a list"));
            return Vec::new();
        }
        let mut names = Vec::new();
        for node in one_or_many(field.value) {
            let Some(text) = node.raw() else {
                let kind = node.type_name();
                let wrong = if commas {
                    format!("{name} must be specified as a list")
                } else {
                    format!("'{name}' takes a name or a list of names, not a {kind}")
                };
                mistakes.error(node.span, wrong);
                continue;
            };
            if commas && text.contains(',') && !is_template(text) {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                names.extend(parts.map(|part| Node::string(part, node.span)));
            } else {
                names.push(node);
            }
        }
        names
    }

    /// Takes `vars:`; `holder` is for the message.
    pub(super) fn vars(&mut self, holder: &str, mistakes: &mut Mistakes) -> Vec<(Node, Node)> {
        let Some(field) = self.take("vars") else { return Vec::new() };
        if field.value.is_null() {
            return Vec::new();
        }
        let Some(map) = field.value.as_map() else {
            let wrong = format!("vars in a {holder} must be specified as a dictionary");
            mistakes.error(field.value.span, wrong);
            return Vec::new();
        };
        check_variable_names(map, mistakes);
        map.to_vec()
    }

    /// Takes what play, block, role entry and task share.
    pub(super) fn common(&mut self, holder: &str, mistakes: &mut Mistakes) -> Common {
        let m = mistakes;
        self.value("collections", Kind::List, m);
        Common {
            vars: self.vars(holder, m),
            tags: self.names("tags", true, m),
            environment: self.mappings("environment", m),
            module_defaults: self.mappings("module_defaults", m),
            r#become: self.value("become", Kind::Bool, m),
            become_user: self.value("become_user", Kind::Text, m),
            become_method: self.value("become_method", Kind::Text, m),
            become_flags: self.value("become_flags", Kind::Text, m),
            become_exe: self.value("become_exe", Kind::Text, m),
            connection: self.value("connection", Kind::Text, m),
            remote_user: self.value("remote_user", Kind::Text, m),
            port: self.value("port", Kind::Int, m),
            check_mode: self.value("check_mode", Kind::Bool, m),
            diff: self.value("diff", Kind::Bool, m),
            no_log: self.value("no_log", Kind::Bool, m),
            ignore_errors: self.value("ignore_errors", Kind::Bool, m),
            ignore_unreachable: self.value("ignore_unreachable", Kind::Bool, m),
            any_errors_fatal: self.value("any_errors_fatal", Kind::Bool, m),
            run_once: self.value("run_once", Kind::Bool, m),
            throttle: self.value("throttle", Kind::Int, m),
            timeout: self.value("timeout", Kind::Int, m),
            debugger: self.value("debugger", Kind::Text, m),
        }
    }

    /// Takes `delegate_to` and `delegate_facts`.
    pub(super) fn delegate(&mut self, mistakes: &mut Mistakes) -> Delegate {
        Delegate {
            to: self.value("delegate_to", Kind::Text, mistakes),
            facts: self.value("delegate_facts", Kind::Bool, mistakes),
        }
    }

    /// Takes a mapping, a template of one, or a list of these.
    fn mappings(&mut self, name: &str, mistakes: &mut Mistakes) -> Vec<Node> {
        let Some(field) = self.take(name) else { return Vec::new() };
        let nodes = one_or_many(field.value);
        for node in &nodes {
            if node.as_map().is_none() && !node.as_str().is_some_and(is_template) {
                let kind = node.type_name();
                mistakes.error(node.span, format!("'{name}' takes a mapping, not a {kind}"));
            }
        }
        nodes
    }
}

/// Says that a keyword is not known where it stands.
pub(super) fn unknown(field: Field<'_>, holder: Holder) -> Diagnostic {
    let message = format!("'{}' is not a valid attribute for a {}", field.name, holder.name());
    Diagnostic::error(message).at(field.span, "").maybe_hint(holder.advice(field.name))
}

/// Says that an option is not one of those a statement takes.
pub(super) fn invalid_option(
    statement: &str,
    name: &str,
    span: Span,
    options: &[&'static str],
) -> Diagnostic {
    let hint = match nearest(name, options.iter().copied()) {
        Some(near) => format!("did you mean '{near}'?"),
        None => format!("it takes: {}", options.join(", ")),
    };
    Diagnostic::error(format!("invalid options for {statement}: {name}")).at(span, "").hint(hint)
}

/// Checks that every key may name a variable.
pub(super) fn check_variable_names(map: &[(Node, Node)], mistakes: &mut Mistakes) {
    for (key, _) in map {
        let good = key.as_str().is_some_and(is_variable_name);
        if !good {
            let name = key.raw().unwrap_or(key.type_name());
            let wrong =
                Diagnostic::error(format!("invalid variable name '{name}'")).at(key.span, "");
            mistakes.add(wrong.hint("use letters, digits and '_', and do not start with a digit"));
        }
    }
}

/// Tells whether a text holds template language.
pub(super) fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}

/// Returns a list's items, or the one value; nulls are left out.
fn one_or_many(node: &Node) -> Vec<Node> {
    match &node.kind {
        NodeKind::Seq(items) => items.iter().filter(|item| !item.is_null()).cloned().collect(),
        NodeKind::Scalar(_) if node.is_null() => Vec::new(),
        NodeKind::Map(_) | NodeKind::Scalar(_) => vec![node.clone()],
    }
}

fn check(field: Field<'_>, kind: Kind) -> Result<(), Diagnostic> {
    let Field { name, value, .. } = field;
    if value.tag == Some(Tag::Vault) || value.as_str().is_some_and(is_template) {
        return Ok(());
    }
    let wrong_shape = |wanted: &str| {
        let found = value.type_name();
        Err(Diagnostic::error(format!("'{name}' takes a {wanted}, not a {found}"))
            .at(value.span, ""))
    };
    let (good, wanted) = match kind {
        Kind::List if value.as_map().is_some() => return wrong_shape("list"),
        Kind::Any | Kind::List => return Ok(()),
        Kind::Text => (value.as_scalar().is_some(), "string"),
        Kind::Bool => (is_boolean(value), "bool"),
        Kind::Int => (number(value).is_some_and(|n| n.fract() == 0.0), "int"),
        Kind::Float => (number(value).is_some(), "float"),
        Kind::Percent => (
            number(value).is_some()
                || value.raw().is_some_and(|raw| {
                    raw.strip_suffix('%').is_some_and(|n| n.trim().parse::<f64>().is_ok())
                }),
            "percent",
        ),
    };
    if good {
        return Ok(());
    }
    match value.raw() {
        None => wrong_shape(wanted),
        Some(raw) => {
            let message = format!(
                "the value '{raw}' of keyword '{name}' could not be converted to '{wanted}'"
            );
            Err(Diagnostic::error(message).at(value.span, ""))
        }
    }
}

fn number(value: &Node) -> Option<f64> {
    let scalar = value.as_scalar()?;
    match scalar.value {
        ScalarValue::Int(_) | ScalarValue::Float(_) if scalar.raw.contains(':') => Some(1.0),
        ScalarValue::Int(number) => i32::try_from(number).ok().map(f64::from),
        ScalarValue::Float(number) => Some(number),
        ScalarValue::Str => scalar.raw.trim().parse().ok(),
        ScalarValue::Null | ScalarValue::Bool(_) => None,
    }
}

/// Tells whether Ansible would take a value for a boolean.
fn is_boolean(value: &Node) -> bool {
    const WORDS: [&str; 14] =
        ["y", "yes", "on", "1", "true", "t", "1.0", "n", "no", "off", "0", "false", "f", "0.0"];
    value.as_bool().is_some()
        || value.raw().is_some_and(|raw| WORDS.contains(&raw.trim().to_ascii_lowercase().as_str()))
}
