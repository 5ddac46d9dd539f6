//! Which module a task names, and its arguments in all the forms people write.

use std::ops::Range;

use crate::names::nearest;
use crate::playbook::key_value;
use crate::playbook::keywords::Holder;
use crate::playbook::shared::{Field, Fields, is_template, unknown};
use crate::playbook::{Action, Argument};
use crate::source::{Diagnostic, Span};
use crate::yaml::{Node, NodeKind, ScalarValue};

use super::Reading;

/// Statements that steer the run; they are known whatever modules there are.
const STEERING: [&str; 6] =
    ["import_role", "import_tasks", "include_role", "include_tasks", "include_vars", "meta"];

/// Collections whose module names are known without the collection's name.
const COLLECTIONS: [&str; 4] =
    ["community.general.", "ansible.posix.", "community.docker.", "community.postgresql."];

/// Second names of modules.
const ALIASES: [(&str, &str); 2] = [("systemd_service", "systemd"), ("yum", "dnf")];

/// Modules whose free-form text is a command line in which `a=b` is text.
const COMMANDS: [&str; 4] = ["command", "raw", "script", "shell"];

impl Reading<'_> {
    /// Takes the module of a task and its arguments; tells also whether it was a `local_action`. `None` after noting why
    /// there is no action.
    pub(super) fn action(
        &mut self,
        fields: &mut Fields<'_>,
        holder: Holder,
    ) -> Option<(Action, bool)> {
        let action = fields.take("action");
        let local = fields.take("local_action");
        let is_local = local.is_some();
        if let (Some(action), Some(local)) = (action, local) {
            let wrong = Diagnostic::error("action and local_action are mutually exclusive");
            self.mistakes.add(wrong.at(local.span, "").at(action.span, ""));
        }
        let modules = self.modules(fields, holder, action.is_none() && local.is_none());
        let mut found = match (action.or(local), modules) {
            (Some(field), modules) => {
                let found = self.action_field(field);
                if let Some(found) = &found
                    && let Some(other) = modules.first()
                {
                    self.conflict(&found.written, field.span, *other);
                }
                found?
            }
            (None, modules) => {
                let mut modules = modules.into_iter();
                let field = modules.next()?;
                for other in modules {
                    self.conflict(field.name, field.span, other);
                }
                let name = self.resolve(field.name)?;
                if name == "include" {
                    let message = "the 'include' action has been removed";
                    let wrong = Diagnostic::error(message).at(field.span, "");
                    self.mistakes.add(wrong.hint("use include_tasks or import_tasks instead"));
                    return None;
                }
                self.arguments(field.name, name, field.span, field.value)
            }
        };
        self.add_args(&mut found, fields.take("args"));
        Some((found, is_local))
    }

    /// Stands for an action that could not be read.
    pub(super) fn no_action(span: Span) -> Action {
        Action {
            written: String::new(),
            name: String::new(),
            span,
            free_form: None,
            named: Vec::new(),
            whole: None,
        }
    }

    fn conflict(&mut self, first: &str, first_at: Span, second: Field<'_>) {
        let message = format!("conflicting action statements: {first}, {}", second.name);
        let wrong =
            Diagnostic::error(message).at(second.span, "the second").at(first_at, "the first");
        self.mistakes.add(wrong.hint("make two tasks of it"));
    }

    /// Takes the keys that name modules. With none, says what is wrong with the keys that could have been meant.
    fn modules<'n>(
        &mut self,
        fields: &mut Fields<'n>,
        holder: Holder,
        needed: bool,
    ) -> Vec<Field<'n>> {
        let candidates: Vec<Field<'n>> = fields
            .untaken()
            .iter()
            .copied()
            .filter(|field| !holder.keywords().any(|keyword| keyword == field.name))
            .filter(|field| !field.name.starts_with("with_"))
            .collect();
        for field in &candidates {
            fields.take(field.name);
        }
        let (modules, strangers): (Vec<Field<'n>>, Vec<Field<'n>>) =
            candidates.into_iter().partition(|field| self.resolve(field.name).is_some());
        let mut sought = modules.is_empty() && needed;
        let only = strangers.len() == 1;
        for field in strangers {
            let near_module = self.near_module(field.name);
            let near_keyword = nearest(field.name, holder.keywords());
            // Of several unknown keys the first that is not a slip of a keyword is taken for the module.
            let is_module = sought && (only || near_module.is_some() || near_keyword.is_none());
            if is_module {
                sought = false;
                self.unresolved(field, near_module, near_keyword);
            } else {
                self.mistakes.add(unknown(field, holder));
            }
        }
        if sought {
            let wrong = Diagnostic::error("no module/action detected in task");
            self.mistakes.add(wrong.at(fields.span, "this task"));
        }
        modules
    }

    fn unresolved(&mut self, field: Field<'_>, module: Option<String>, keyword: Option<&str>) {
        let message = format!("couldn't resolve module/action '{}'", field.name);
        let hint = match (module, keyword) {
            (Some(near), _) => format!("did you mean '{near}'?"),
            (None, Some(near)) => format!("did you mean the keyword '{near}'?"),
            _ if field.name.ends_with("import_playbook") => {
                "it stands on its own at the top of a playbook, not among tasks".to_owned()
            }
            (None, None) => "'matron doc' lists the modules there are".to_owned(),
        };
        self.mistakes.add(Diagnostic::error(message).at(field.span, "").hint(hint));
    }

    fn near_module(&self, written: &str) -> Option<String> {
        let short = written.rsplit('.').next().unwrap_or(written);
        let names = self.loader.catalog.names();
        let all = names.into_iter().chain(STEERING);
        nearest(short, all).map(str::to_owned)
    }

    /// Returns the short name of a module that is known.
    fn resolve(&self, written: &str) -> Option<String> {
        let builtin = written
            .strip_prefix("ansible.builtin.")
            .or_else(|| written.strip_prefix("ansible.legacy."));
        let short = builtin
            .or_else(|| COLLECTIONS.iter().find_map(|prefix| written.strip_prefix(prefix)))
            .unwrap_or(written);
        let catalog = self.loader.catalog;
        if catalog.is_module(short) {
            return Some(short.to_owned());
        }
        let plain = builtin.is_some() || short == written;
        if plain && (STEERING.contains(&short) || short == "include") {
            return Some(short.to_owned());
        }
        let (_, real) = ALIASES.iter().find(|(alias, _)| *alias == short)?;
        catalog.is_module(real).then(|| (*real).to_owned())
    }

    /// Reads `action: copy src=a` and `action: {module: copy, src: a}`.
    fn action_field(&mut self, field: Field<'_>) -> Option<Action> {
        let value = field.value;
        if let Some(map) = value.as_map() {
            let Some((_, module)) = map.iter().find(|(key, _)| key.raw() == Some("module")) else {
                let wrong = Diagnostic::error("no module/action detected in task");
                self.mistakes.add(wrong.at(value.span, "").hint("add 'module: NAME'"));
                return None;
            };
            let written = module.raw().unwrap_or_default();
            let rest: Vec<(Node, Node)> =
                map.iter().filter(|(key, _)| key.raw() != Some("module")).cloned().collect();
            // `module: copy src=a` inside the mapping is allowed too.
            let (word, text) = first_word(written);
            let name = self.resolve_or_say(word, module.span)?;
            let mut action = match text {
                Some(_) => self.arguments(word, name, module.span, &without_first_word(module)),
                None => self.arguments(word, name, module.span, &null_at(module.span)),
            };
            let rest = Node { kind: NodeKind::Map(rest), span: value.span, tag: None };
            let more = self.arguments(word, action.name.clone(), module.span, &rest);
            action.named.extend(more.named);
            action.free_form = action.free_form.or(more.free_form);
            return Some(action);
        }
        let Some(text) = value.as_str() else {
            let kind = value.type_name();
            let message = format!("unexpected parameter type in action: {kind}");
            self.mistakes.error(value.span, message);
            return None;
        };
        let (word, rest) = first_word(text);
        let at = self.inside(value, 0..word.len());
        let name = self.resolve_or_say(word, at)?;
        let arguments = match rest {
            Some(_) => without_first_word(value),
            None => null_at(value.span),
        };
        Some(self.arguments(word, name, at, &arguments))
    }

    fn resolve_or_say(&mut self, word: &str, at: Span) -> Option<String> {
        let found = self.resolve(word);
        if found.is_none() {
            let null = null_at(at);
            let field = Field { name: word, span: at, value: &null };
            let near = self.near_module(word);
            self.unresolved(field, near, None);
        }
        found
    }

    /// Reads the value under a module's name.
    fn arguments(&mut self, written: &str, name: String, span: Span, value: &Node) -> Action {
        let mut action = Action { written: written.to_owned(), name, ..Self::no_action(span) };
        match &value.kind {
            NodeKind::Map(entries) => self.named(&mut action, entries),
            NodeKind::Scalar(scalar) if scalar.value == ScalarValue::Str => {
                self.text_arguments(&mut action, value);
            }
            NodeKind::Scalar(scalar) if scalar.value == ScalarValue::Null => {}
            NodeKind::Scalar(_) | NodeKind::Seq(_) => {
                let kind = value.type_name();
                let message = format!("unexpected parameter type in action: {kind}");
                let wrong = Diagnostic::error(message).at(value.span, "");
                let scalar = value.as_scalar().is_some();
                let hint = scalar.then(|| "quote it when it is a command or a name".to_owned());
                self.mistakes.add(wrong.maybe_hint(hint));
            }
        }
        action
    }

    fn named(&mut self, action: &mut Action, entries: &[(Node, Node)]) {
        for (key, value) in entries {
            match key.raw() {
                Some("_raw_params") => action.free_form = Some(value.clone()),
                Some(name) => {
                    action.named.retain(|argument| argument.name != name);
                    let name = name.to_owned();
                    action.named.push(Argument { name, span: key.span, value: value.clone() });
                }
                None => {
                    let message =
                        format!("an argument's name must be a string, not a {}", key.type_name());
                    self.mistakes.error(key.span, message);
                }
            }
        }
    }

    fn text_arguments(&mut self, action: &mut Action, value: &Node) {
        let text = value.raw().unwrap_or_default();
        let name = action.name.as_str();
        let command = COMMANDS.contains(&name);
        let steering = STEERING.contains(&name);
        let free = command || steering || self.loader.catalog.takes_free_form(name);
        if !free && is_one_template(text) {
            action.whole = Some(value.clone());
            return;
        }
        let split = if command { key_value::command_parts(text) } else { key_value::parts(text) };
        let parts = match split {
            Ok(parts) => parts,
            Err(error) => {
                let wrong = Diagnostic::error(error.to_string()).at(value.span, "");
                self.mistakes.add(wrong.hint("write the arguments as a mapping, one a line"));
                return;
            }
        };
        for pair in parts.pairs {
            let span = self.inside(value, pair.name_at);
            let argument = Argument {
                name: pair.name,
                span,
                value: Node { tag: value.tag.clone(), ..Node::string(&pair.value, span) },
            };
            action.named.push(argument);
        }
        let Some(rest) = parts.rest else { return };
        if free {
            action.free_form =
                Some(Node { tag: value.tag.clone(), ..Node::string(&rest, value.span) });
            return;
        }
        let message = format!("module '{name}' takes no free-form text: '{rest}'");
        let wrong = Diagnostic::error(message).at(value.span, "");
        self.mistakes.add(wrong.hint("write 'argument=value' or a mapping"));
    }

    /// Adds `args:`; what the module's own value says wins.
    fn add_args(&mut self, action: &mut Action, field: Option<Field<'_>>) {
        let Some(Field { value, .. }) = field else { return };
        match &value.kind {
            NodeKind::Map(entries) => {
                let own = std::mem::take(&mut action.named);
                let free_form = action.free_form.take();
                self.named(action, entries);
                action.named.retain(|argument| own.iter().all(|mine| mine.name != argument.name));
                action.named.splice(0..0, own);
                action.free_form = free_form.or(action.free_form.take());
            }
            NodeKind::Scalar(scalar) if scalar.value == ScalarValue::Null => {}
            NodeKind::Scalar(_) if value.as_str().is_some_and(is_template) => {
                action.whole = Some(value.clone());
            }
            NodeKind::Scalar(_) | NodeKind::Seq(_) => {
                let wrong = "the value of the task `args` keyword is invalid";
                let kind = value.type_name();
                let wrong = Diagnostic::error(format!("{wrong}: a {kind}")).at(value.span, "");
                self.mistakes.add(wrong.hint("'args' takes a mapping or a template of one"));
            }
        }
    }

    /// Returns the place of a part of a scalar's text; the whole scalar when its text is not written as it is read.
    fn inside(&self, node: &Node, part: Range<usize>) -> Span {
        let exact = || {
            let raw = node.raw()?;
            let file = self.loader.sources.get(node.span.file)?;
            let written = file.text.get(node.span.start as usize..node.span.end as usize)?;
            let start = node.span.start as usize + written.find(raw)?;
            Some(Span::new(node.span.file, start + part.start, start + part.end))
        };
        exact().unwrap_or(node.span)
    }
}

/// Tells whether a text is one template and nothing else.
fn is_one_template(text: &str) -> bool {
    let text = text.trim();
    text.starts_with("{{") && text.ends_with("}}")
}

/// Splits off the first word; the rest is `None` when there is none.
fn first_word(text: &str) -> (&str, Option<&str>) {
    let text = text.trim();
    match text.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, Some(rest.trim())),
        None => (text, None),
    }
}

/// Returns a text node without its first word, at the place of what is left when that can be told.
fn without_first_word(node: &Node) -> Node {
    let (_, rest) = first_word(node.raw().unwrap_or_default());
    Node { tag: node.tag.clone(), ..Node::string(rest.unwrap_or_default(), node.span) }
}

fn null_at(span: Span) -> Node {
    let mut node = Node::string("", span);
    if let NodeKind::Scalar(scalar) = &mut node.kind {
        scalar.value = ScalarValue::Null;
    }
    node
}
