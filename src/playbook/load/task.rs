//! Task lists, blocks and tasks.

use std::path::Path;

use crate::playbook::keywords::{Holder, LOOP_LOOKUPS, is_variable_name};
use crate::playbook::shared::{Field, Fields, Kind, is_template, unknown};
use crate::playbook::{Action, Block, Item, Loop, LoopControl, Task};
use crate::source::{Diagnostic, Span};
use crate::yaml::Node;

use super::find::folder_of;
use super::{Reading, TaskPlace};

impl Reading<'_> {
    /// Reads a task file; the tasks in it stand in its folder.
    pub(super) fn task_file(
        &mut self,
        path: &Path,
        asked: Option<Span>,
        place: &TaskPlace,
    ) -> Vec<Item> {
        if !self.enter(path, asked) {
            return Vec::new();
        }
        let inner = TaskPlace { folder: folder_of(path), ..place.clone() };
        let what = if place.handlers { "handlers" } else { "tasks" };
        let items = self.document(path, asked).map(|node| self.list(&node, what, &inner));
        self.leave();
        items.unwrap_or_default()
    }

    /// Reads the list under a keyword.
    pub(super) fn items(
        &mut self,
        field: Option<Field<'_>>,
        what: &str,
        place: &TaskPlace,
    ) -> Vec<Item> {
        field.map(|field| self.list(field.value, what, place)).unwrap_or_default()
    }

    fn list(&mut self, node: &Node, what: &str, place: &TaskPlace) -> Vec<Item> {
        if node.is_null() {
            return Vec::new();
        }
        let Some(entries) = node.as_seq() else {
            let kind = node.type_name();
            let message = format!("{what} should be a list of tasks, but this is a {kind}");
            let wrong = Diagnostic::error(message).at(node.span, "");
            self.mistakes.add(wrong.hint("start each task with '- '"));
            return Vec::new();
        };
        entries.iter().filter_map(|entry| self.item(entry, place)).collect()
    }

    fn item(&mut self, entry: &Node, place: &TaskPlace) -> Option<Item> {
        let Some(map) = entry.as_map() else {
            let kind = entry.type_name();
            self.mistakes
                .error(entry.span, format!("a task should be a mapping, but this is a {kind}"));
            return None;
        };
        let fields = Fields::of(entry.span, map, &mut self.mistakes);
        if ["block", "rescue", "always"].iter().any(|name| fields.has(name)) {
            return Some(Item::Block(Box::new(self.block(fields, place))));
        }
        self.task_or_import(fields, place)
    }

    fn block(&mut self, mut fields: Fields<'_>, place: &TaskPlace) -> Block {
        let m = &mut self.mistakes;
        let name = fields.value("name", Kind::Text, m);
        let common = fields.common("Block", m);
        let when = fields.conditions("when", m).unwrap_or_default();
        let notify = fields.names("notify", false, m);
        let delegate = fields.delegate(m);
        let mut inner = place.clone();
        inner.vars.extend(common.vars.iter().cloned());
        let block = self.items(fields.take("block"), "block", &inner);
        let rescue = self.items(fields.take("rescue"), "rescue", &inner);
        let always = self.items(fields.take("always"), "always", &inner);
        let span = fields.span;
        fields.finish(Holder::Block, &mut self.mistakes);
        Block { span, name, common, when, notify, delegate, role: None, block, rescue, always }
    }

    fn task_or_import(&mut self, mut fields: Fields<'_>, place: &TaskPlace) -> Option<Item> {
        let holder = if place.handlers { Holder::Handler } else { Holder::Task };
        let Some((action, local)) = self.action(&mut fields, holder) else {
            // The other keywords are still looked at, so that one run shows all mistakes of the task.
            let span = fields.span;
            self.task(fields, Self::no_action(span), false, holder, place);
            return None;
        };
        match action.name.as_str() {
            "import_tasks" => self.import_tasks(&action, fields, place),
            "import_role" => self.import_role(&action, fields, place),
            "include_tasks" | "include_role" => {
                self.check_include(&action, &fields);
                Some(self.task(fields, action, local, holder, place))
            }
            _ => Some(self.task(fields, action, local, holder, place)),
        }
    }

    fn task(
        &mut self,
        mut fields: Fields<'_>,
        action: Action,
        local: bool,
        holder: Holder,
        place: &TaskPlace,
    ) -> Item {
        let repeat = self.repeat(&mut fields, holder);
        let loop_control = self.loop_control(&mut fields);
        let register = self.register(&mut fields);
        let span = fields.span;
        let m = &mut self.mistakes;
        let mut delegate = fields.delegate(m);
        if local && delegate.to.is_none() {
            delegate.to = Some(Node::string("localhost", action.span));
        }
        let task = Task {
            span,
            name: fields.value("name", Kind::Text, m),
            common: fields.common("Task", m),
            when: fields.conditions("when", m).unwrap_or_default(),
            changed_when: fields.conditions("changed_when", m),
            failed_when: fields.conditions("failed_when", m),
            repeat,
            loop_control,
            until: fields.conditions("until", m),
            retries: fields.value("retries", Kind::Int, m),
            delay: fields.value("delay", Kind::Float, m),
            register,
            notify: fields.names("notify", false, m),
            listen: match holder {
                Holder::Handler => fields.names("listen", false, m),
                _ => Vec::new(),
            },
            delegate,
            asynchronous: fields.value("async", Kind::Int, m),
            poll: fields.value("poll", Kind::Int, m),
            action,
            folder: place.folder.clone(),
        };
        fields.finish(holder, m);
        Item::Task(Box::new(task))
    }

    /// Takes `loop:` or one `with_*:`.
    fn repeat(&mut self, fields: &mut Fields<'_>, holder: Holder) -> Option<Loop> {
        let mut found = Vec::new();
        if let Some(field) = fields.take("loop") {
            found.push((None, field));
        }
        for field in fields.take_prefixed("with_") {
            let written = field.name.trim_start_matches("with_");
            let short = written.rsplit('.').next().unwrap_or(written);
            if LOOP_LOOKUPS.contains(&short) {
                found.push((Some(short.to_owned()), field));
            } else {
                let near = crate::names::nearest(short, LOOP_LOOKUPS.iter().copied());
                let mut wrong = unknown(field, holder);
                wrong.hints =
                    near.map(|near| format!("did you mean 'with_{near}'?")).into_iter().collect();
                self.mistakes.add(wrong);
            }
        }
        let mut found = found.into_iter();
        let (lookup, field) = found.next()?;
        for (_, second) in found {
            let message = format!("duplicate loop in task: {} and {}", field.name, second.name);
            let wrong = Diagnostic::error(message).at(second.span, "").at(field.span, "");
            self.mistakes.add(wrong.hint("keep one of them"));
        }
        if field.value.is_null() {
            self.mistakes.error(field.span, format!("'{}' has no list to go through", field.name));
        } else if lookup.is_none() && field.value.as_map().is_some() {
            let message =
                "invalid data passed to 'loop', it requires a list, got a mapping instead";
            let wrong = Diagnostic::error(message).at(field.value.span, "");
            self.mistakes.add(wrong.hint("loop over \"{{ the_mapping | dict2items }}\""));
        }
        Some(Loop { lookup, over: field.value.clone(), span: field.span })
    }

    fn loop_control(&mut self, fields: &mut Fields<'_>) -> LoopControl {
        let Some(field) = fields.take("loop_control") else { return LoopControl::default() };
        if field.value.is_null() {
            return LoopControl::default();
        }
        let Some(map) = field.value.as_map() else {
            let kind = field.value.type_name();
            let message =
                format!("the `loop_control` value must be specified as a dictionary, not a {kind}");
            self.mistakes.error(field.value.span, message);
            return LoopControl::default();
        };
        let m = &mut self.mistakes;
        let mut inner = Fields::of(field.value.span, map, m);
        let control = LoopControl {
            loop_var: inner.value("loop_var", Kind::Text, m),
            index_var: inner.value("index_var", Kind::Text, m),
            label: inner.value("label", Kind::Any, m),
            pause: inner.value("pause", Kind::Float, m),
            extended: inner.value("extended", Kind::Bool, m),
            extended_allitems: inner.value("extended_allitems", Kind::Bool, m),
            break_when: inner.conditions("break_when", m),
        };
        inner.finish(Holder::LoopControl, m);
        for name in [&control.loop_var, &control.index_var].into_iter().flatten() {
            if name.raw().is_some_and(|raw| !is_template(raw) && !is_variable_name(raw)) {
                let raw = name.raw().unwrap_or_default();
                m.error(name.span, format!("invalid variable name '{raw}'"));
            }
        }
        control
    }

    fn register(&mut self, fields: &mut Fields<'_>) -> Option<Node> {
        let field = fields.take("register")?;
        let value = field.value;
        if value.is_null() {
            return None;
        }
        let good = value.as_str().is_some_and(is_variable_name);
        if !good {
            let what = match value.raw() {
                Some(raw) => format!("'{raw}'"),
                None => format!("of type '{}'", value.type_name()),
            };
            let message = format!("invalid 'register' specified: invalid variable name {what}");
            let wrong = Diagnostic::error(message).at(value.span, "");
            self.mistakes
                .add(wrong.hint("use letters, digits and '_', and do not start with a digit"));
        }
        Some(value.clone())
    }
}
