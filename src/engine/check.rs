//! Holds playbooks against the modules before any socket opens: every mistake that can be told without a host is told now,
//! all at once, with its place.

use std::collections::HashSet;
use std::sync::Arc;

use crate::engine::arguments;
use crate::engine::files::TaskFiles;
use crate::engine::strategy::Strategy;
use crate::engine::{World, arguments::find};
use crate::inventory::Inventory;
use crate::modules::{Arg, ArgDoc, ArgKind, Args, Doc, ProjectFiles as _, as_bool};
use crate::names::nearest;
use crate::playbook::{Block, Common, Item, Play, Playbook, Role, Task};
use crate::source::{Diagnostic, Diagnostics, EMBEDDED, Files, Severity, Span};
use crate::template::{Templar, TemplateError, has_template};
use crate::yaml::{Node, NodeKind, Tag};

/// Checks playbooks: modules, their arguments (names, required ones, choices, types of literal values), keywords, templates
/// (syntax, filters, tests), handlers that are notified by name. Returns warnings, or everything that is wrong.
pub fn check(
    world: &World,
    _inventory: &Inventory,
    playbooks: &[Playbook],
) -> Result<Vec<Diagnostic>, Diagnostics> {
    let templar = Templar::new(world.sources.clone(), world.files.clone(), world.outside.clone());
    let mut check = Check { templar, files: world.files.clone(), found: Vec::new() };
    for play in playbooks.iter().flat_map(|playbook| &playbook.plays) {
        check.play(play);
    }
    let wrong = check.found.iter().any(|one| one.severity == Severity::Error);
    if wrong { Err(Diagnostics(check.found)) } else { Ok(check.found) }
}

struct Check {
    templar: Templar,
    files: Arc<dyn Files>,
    found: Vec<Diagnostic>,
}

/// Orders of hosts.
const ORDERS: [&str; 5] = ["inventory", "reverse_inventory", "reverse_sorted", "shuffle", "sorted"];

/// What may be notified in a play.

#[derive(Default)]
struct Known {
    names: HashSet<String>,
    /// Some handlers are known only at run time.
    open: bool,
}

impl Known {
    /// Adds handlers.
    fn handlers(&mut self, items: &[Item], role: Option<&str>) {
        for item in items {
            match item {
                Item::Task(task) => {
                    let name = task.name.as_ref().and_then(Node::raw);
                    for text in name.into_iter().chain(task.listen.iter().filter_map(Node::raw)) {
                        self.open |= has_template(text);
                        self.names.insert(text.to_owned());
                        if let Some(role) = role {
                            self.names.insert(format!("{role} : {text}"));
                        }
                    }
                }
                Item::Block(block) => {
                    let name = block.name.as_ref().and_then(Node::raw);
                    self.names.extend(name.map(str::to_owned));
                    for list in [&block.block, &block.rescue, &block.always] {
                        self.handlers(list, role);
                    }
                }
            }
        }
    }

    /// Adds the handlers of roles in an item of a task list.
    fn of_roles(&mut self, item: &Item) {
        match item {
            Item::Task(task) => {
                self.open |= matches!(task.action.name.as_str(), "include_role" | "include_tasks");
            }
            Item::Block(block) => {
                if let Some(usage) = &block.role {
                    self.handlers(&usage.role.handlers, Some(&usage.role.name));
                    for dependency in &usage.dependencies {
                        self.of_roles(dependency);
                    }
                }
                for item in block.block.iter().chain(&block.rescue).chain(&block.always) {
                    self.of_roles(item);
                }
            }
        }
    }
}

impl Check {
    fn add(&mut self, one: Diagnostic) {
        // A role used twice has its mistakes once.
        if !self.found.contains(&one) {
            self.found.push(one);
        }
    }

    fn error(&mut self, span: Span, message: impl Into<String>, hint: Option<String>) {
        self.add(Diagnostic::error(message).at(span, "").maybe_hint(hint));
    }

    /// Looks for the files of `vars_files` whose names are written out.
    fn vars_files(&mut self, play: &Play) {
        let files = TaskFiles::new(self.files.clone(), Arc::from([play.playbook_dir.clone()]));
        for entry in &play.vars_files {
            let names: Vec<&Node> =
                entry.as_seq().map_or_else(|| vec![entry], |all| all.iter().collect());
            let literals: Option<Vec<&str>> =
                names.iter().map(|node| literal(Some(node)).map(|found| found.0)).collect();
            let Some(literals) = literals else { continue };
            let tried: Option<Vec<_>> =
                literals.iter().map(|name| files.find("vars", name).err()).collect();
            let Some(tried) = tried else { continue };
            let tried: Vec<String> = tried
                .into_iter()
                .flatten()
                .filter(|path| !path.starts_with(EMBEDDED))
                .map(|path| path.display().to_string())
                .collect();
            let message = format!("vars file {} was not found", literals.join(", "));
            let hint = format!("looked for: {}", tried.join(", "));
            self.add(Diagnostic::missing(message).at(entry.span, "").hint(hint));
        }
    }

    fn play(&mut self, play: &Play) {
        self.common(&play.common);
        self.vars_files(play);
        let literal = |node: &Option<Node>| {
            let node = node.as_ref()?;
            let raw = node.raw()?;
            (!has_template(raw)).then(|| (raw.to_owned(), node.span))
        };
        if let Some((name, span)) = literal(&play.strategy)
            && Strategy::named(&name).is_none()
        {
            let hint = "use linear, free or host_pinned".to_owned();
            self.error(span, format!("the strategy '{name}' is not there"), Some(hint));
        }
        if let Some((name, span)) = literal(&play.order)
            && !ORDERS.contains(&name.as_str())
        {
            let hint = format!("use one of: {}", ORDERS.join(", "));
            self.error(span, format!("'{name}' is not an order of hosts"), Some(hint));
        }
        if let Some(serial) = &play.serial {
            let items = serial.as_seq().map_or_else(|| vec![serial], |all| all.iter().collect());
            for node in items {
                let raw = node.raw().unwrap_or_default();
                let number = raw.trim().trim_end_matches('%').trim();
                if !has_template(raw) && number.parse::<f64>().is_err() {
                    let hint = "use a number of hosts, or a percentage".to_owned();
                    self.error(node.span, format!("serial cannot be '{raw}'"), Some(hint));
                }
            }
        }
        let mut known = Known::default();
        known.handlers(&play.handlers, None);
        for list in [&play.pre_tasks, &play.roles, &play.tasks, &play.post_tasks] {
            for item in list {
                known.of_roles(item);
            }
        }
        let lists = [&play.pre_tasks, &play.roles, &play.tasks, &play.post_tasks, &play.handlers];
        for item in lists.into_iter().flatten() {
            self.item(item, &known);
        }
    }

    fn item(&mut self, item: &Item, known: &Known) {
        match item {
            Item::Task(task) => self.task(task, known),
            Item::Block(block) => self.block(block, known),
        }
    }

    fn block(&mut self, block: &Block, known: &Known) {
        self.common(&block.common);
        self.conditions(&block.when);
        self.notified(&block.notify, known);
        self.optional(block.delegate.to.as_ref());
        if let Some(usage) = &block.role {
            if let Some(refusal) = unchecked_spec(&usage.role) {
                self.add(refusal);
            }
            for item in usage.dependencies.iter().chain(&usage.role.handlers) {
                self.item(item, known);
            }
        }
        for item in block.block.iter().chain(&block.rescue).chain(&block.always) {
            self.item(item, known);
        }
    }

    fn common(&mut self, common: &Common) {
        for node in common.environment.iter().chain(&common.module_defaults) {
            self.template(node);
        }
        let values = [
            &common.r#become,
            &common.become_user,
            &common.remote_user,
            &common.port,
            &common.check_mode,
            &common.no_log,
            &common.run_once,
            &common.throttle,
            &common.timeout,
        ];
        for node in values {
            self.optional(node.as_ref());
        }
        let last = |raw: &str| raw.rsplit('.').next().unwrap_or_default().to_owned();
        if let Some((raw, span)) = literal(common.become_method.as_ref())
            && !matches!(last(raw).as_str(), "sudo" | "su")
        {
            let hint = "use sudo or su".to_owned();
            self.error(span, format!("the become method '{raw}' is not there"), Some(hint));
        }
        if let Some((raw, span)) = literal(common.connection.as_ref())
            && !matches!(
                last(raw).as_str(),
                "ssh" | "local" | "smart" | "paramiko" | "paramiko_ssh"
            )
        {
            let hint = "use ssh or local".to_owned();
            self.error(span, format!("the connection '{raw}' is not there"), Some(hint));
        }
        if let Some((raw, span)) = literal(common.debugger.as_ref())
            && raw != "never"
        {
            let hint = "take the keyword out".to_owned();
            self.error(span, "the task debugger is not there", Some(hint));
        }
    }

    fn task(&mut self, task: &Task, known: &Known) {
        self.common(&task.common);
        for (_, node) in &task.common.vars {
            self.template(node);
        }
        self.conditions(&task.when);
        let control = &task.loop_control;
        for list in [&task.changed_when, &task.failed_when, &task.until, &control.break_when] {
            self.conditions(list.as_deref().unwrap_or_default());
        }
        let values = [
            task.repeat.as_ref().map(|repeat| &repeat.over),
            control.label.as_ref(),
            control.pause.as_ref(),
            task.retries.as_ref(),
            task.delay.as_ref(),
            task.delegate.to.as_ref(),
            task.delegate.facts.as_ref(),
        ];
        for node in values {
            self.optional(node);
        }
        self.notified(&task.notify, known);
        let word = task.action.free_form.as_ref().filter(|_| task.action.name == "meta");
        if let Some(node) = word.filter(|node| node.raw() == Some("refresh_inventory")) {
            let hint = "leave it out, or run a second playbook on the inventory as it is then";
            let message = "'meta: refresh_inventory' is not there yet";
            self.error(node.span, message, Some(hint.to_owned()));
        }
        let asynchronous = task.asynchronous.as_ref().is_some_and(|node| node.as_int() != Some(0));
        if asynchronous
            && let Some(poll) = &task.poll
            && poll.as_int() == Some(0)
        {
            let hint = "leave 'poll' out: the task is then waited for".to_owned();
            self.error(poll.span, "'poll: 0' is not supported yet", Some(hint));
        }
        self.action(task);
    }

    fn notified(&mut self, names: &[Node], known: &Known) {
        if known.open {
            return;
        }
        for node in names {
            let Some(name) = node.raw().filter(|name| !has_template(name)) else { continue };
            if !known.names.contains(name) {
                let near = nearest(name, known.names.iter().map(String::as_str));
                let hint = near.map(|near| format!("did you mean '{near}'?"));
                let message = format!(
                    "The requested handler '{name}' was not found in either the main handlers \
                     list nor in the listening handlers list"
                );
                self.error(node.span, message, hint);
            }
        }
    }

    fn action(&mut self, task: &Task) {
        let action = &task.action;
        let Some(module) = crate::modules::find(&action.name) else {
            let names = crate::modules::ALL.iter().map(|module| module.doc().name);
            let near = nearest(&action.name, names);
            let message = format!(
                "couldn't resolve module/action '{}': there is no such module",
                action.written
            );
            let hint = near.map(|near| format!("did you mean '{near}'?"));
            self.error(action.span, message, hint);
            return;
        };
        let doc = module.doc();
        let before = self.found.len();
        self.optional(action.whole.as_ref());
        let mut given: HashSet<&str> = HashSet::new();
        if let Some(free) = &action.free_form {
            if let Some(argument) = doc.free_form.and_then(|name| find(doc, name)) {
                given.insert(argument.name);
                self.value(argument, free);
            } else {
                let message = format!("module '{}' takes no free-form text", doc.name);
                let hint = format!("write its arguments by name: matron doc {}", doc.name);
                self.error(free.span, message, Some(hint));
            }
        }
        for argument in &action.named {
            let name = match (argument.name.as_str(), doc.free_form) {
                ("_raw_params", Some(meant)) => meant,
                (name, _) => name,
            };
            match find(doc, name) {
                Some(known) => {
                    given.insert(known.name);
                    self.value(known, &argument.value);
                }
                None if doc.open => self.template(&argument.value),
                None => {
                    let names = doc.args.iter().flat_map(|arg| {
                        std::iter::once(arg.name).chain(arg.aliases.iter().copied())
                    });
                    let near = nearest(name, names).map(|near| format!("did you mean '{near}'?"));
                    self.error(argument.span, arguments::unsupported(name, doc), near);
                }
            }
        }
        let defaults = !task.common.module_defaults.is_empty();
        // A required argument under a wrong name has been told already.
        if action.whole.is_none() && !defaults && self.found.len() == before {
            self.required(task, doc, &given);
        }
    }

    fn required(&mut self, task: &Task, doc: &Doc, given: &HashSet<&str>) {
        let missing: Vec<&str> = doc
            .args
            .iter()
            .filter(|arg| arg.required && !given.contains(arg.name))
            .map(|arg| arg.name)
            .collect();
        if !missing.is_empty() {
            let message = format!("missing required arguments: {}", missing.join(", "));
            let hint = format!("matron doc {}", doc.name);
            self.error(task.action.span, message, Some(hint));
        }
    }

    /// Checks one argument's value as far as it is written out.
    fn value(&mut self, doc: &ArgDoc, node: &Node) {
        if doc.kind == ArgKind::Expression {
            for node in node.as_seq().map_or_else(|| vec![node], |all| all.iter().collect()) {
                self.condition(node);
            }
            return;
        }
        self.template(node);
        let Some((raw, span)) = literal(Some(node)) else { return };
        let value = crate::yaml::to_value(node);
        if value.is_none() {
            return;
        }
        let name = doc.name;
        match doc.kind {
            ArgKind::Choice(choices) if !choices.contains(&raw) => {
                let word = as_bool(&value);
                // `yes` and `no` among the choices are written as booleans too.
                if choices.iter().any(|choice| word.is_some() && as_bool(&(*choice).into()) == word)
                {
                    return;
                }
                let near = nearest(raw, choices.iter().copied());
                let hint = near.map(|near| format!("did you mean '{near}'?"));
                let message =
                    format!("value of {name} must be one of: {}, got: {raw}", choices.join(", "));
                self.error(span, message, hint);
            }
            ArgKind::Bool if as_bool(&value).is_none() => {
                let message = format!("argument '{name}' is not a boolean: {raw}");
                self.error(span, message, Some("use true or false".to_owned()));
            }
            ArgKind::Int | ArgKind::Float | ArgKind::Mode => {
                let mut args = Args::default();
                let arg = Arg { value, raw: Some(raw.to_owned()), span: Some(span) };
                args.named.insert(name.to_owned(), arg);
                let wrong = match doc.kind {
                    ArgKind::Int => args.integer(name).err(),
                    ArgKind::Float => args.float(name).err(),
                    ArgKind::Mode => args.mode(name).err(),
                    _ => None,
                };
                if let Some(wrong) = wrong {
                    self.error(span, wrong.message, wrong.hint);
                }
            }
            ArgKind::Choice(_)
            | ArgKind::Bool
            | ArgKind::Str
            | ArgKind::Path
            | ArgKind::List
            | ArgKind::Dict
            | ArgKind::Raw
            | ArgKind::Expression
            | ArgKind::Ignored(_) => {}
        }
    }

    fn conditions(&mut self, nodes: &[Node]) {
        for node in nodes {
            self.condition(node);
        }
    }

    fn condition(&mut self, node: &Node) {
        let Some(text) = node.as_str() else { return };
        let checked = if has_template(text) {
            self.templar.check(text, Some(node.span))
        } else {
            self.templar.check_expression(text, Some(node.span))
        };
        self.checked(checked, node);
    }

    fn optional(&mut self, node: Option<&Node>) {
        if let Some(node) = node {
            self.template(node);
        }
    }

    /// Checks the templates inside a node.
    fn template(&mut self, node: &Node) {
        if node.tag == Some(Tag::Unsafe) {
            return;
        }
        match &node.kind {
            NodeKind::Seq(items) => items.iter().for_each(|item| self.template(item)),
            NodeKind::Map(entries) => entries.iter().for_each(|(_, item)| self.template(item)),
            NodeKind::Scalar(scalar) => {
                if node.as_str().is_some() && has_template(&scalar.raw) {
                    let checked = self.templar.check(&scalar.raw, Some(node.span));
                    self.checked(checked, node);
                }
            }
        }
    }

    fn checked(&mut self, checked: Result<(), TemplateError>, node: &Node) {
        if let Err(error) = checked {
            self.error(error.span.unwrap_or(node.span), error.message, None);
        }
    }
}

/// Refuses a role that asks for a check of its arguments which is not there: passing over it would let wrong ones in.
pub(super) fn unchecked_spec(role: &Role) -> Option<Diagnostic> {
    let spec = role.argument_spec.as_ref()?;
    let message = format!(
        "role '{}' has argument_specs, and the validation of role arguments is not there yet",
        role.name
    );
    let hint = "take the role in by import_role or include_role with 'rolespec_validate: false', and check its \
                arguments with assert";
    Some(Diagnostic::error(message).at(spec.span, "").hint(hint))
}

/// Returns the text of a scalar without templates.
fn literal(node: Option<&Node>) -> Option<(&str, Span)> {
    let node = node?;
    let raw = node.raw()?;
    (!has_template(raw) && node.tag != Some(Tag::Vault)).then_some((raw, node.span))
}
