//! `import_tasks` and `import_role`, expanded here, and the options of the `include_*` that come later.

use crate::playbook::keywords::{Holder, INCLUDE};
use crate::playbook::shared::{Fields, Kind, invalid_option, is_template};
use crate::playbook::{Action, Argument, Block, Item};
use crate::source::Diagnostic;
use crate::yaml::Node;

use super::find::listed;
use super::{Reading, RoleFrom, TaskPlace};

const IMPORT_TASKS: &[&str] = &["file"];
const INCLUDE_TASKS: &[&str] = &["apply", "file"];
const IMPORT_ROLE: &[&str] = &[
    "allow_duplicates",
    "defaults_from",
    "handlers_from",
    "name",
    "public",
    "role",
    "rolespec_validate",
    "tasks_from",
    "vars_from",
];
const INCLUDE_ROLE: &[&str] = &[
    "allow_duplicates",
    "apply",
    "defaults_from",
    "handlers_from",
    "name",
    "public",
    "role",
    "rolespec_validate",
    "tasks_from",
    "vars_from",
];

/// Task keywords that an import takes in Ansible's syntax but that change nothing.
const IDLE_ON_IMPORT: [&str; 9] = [
    "async",
    "changed_when",
    "delay",
    "failed_when",
    "loop_control",
    "poll",
    "register",
    "retries",
    "until",
];

impl Reading<'_> {
    /// Expands `import_tasks` to a block.
    pub(super) fn import_tasks(
        &mut self,
        action: &Action,
        fields: Fields<'_>,
        place: &TaskPlace,
    ) -> Option<Item> {
        self.check_options(action, IMPORT_TASKS);
        let mut block = self.import_block(action, fields, place)?;
        let file = self.file_of(action)?;
        let mut inner = place.clone();
        inner.vars.extend(block.common.vars.iter().cloned());
        let name = self.early_text(&file, &inner)?;
        match super::find::task_file(&*self.loader.files, name.trim(), place) {
            Ok(path) => {
                block.block = self.task_file(&path, Some(file.span), &inner);
                Some(Item::Block(Box::new(block)))
            }
            Err(tried) => {
                let first = tried.first().map(|path| path.display().to_string());
                let shown = first.unwrap_or(name);
                let missing = Diagnostic::missing(format!("could not find or access '{shown}'"));
                let missing = missing.at(file.span, "imported here");
                self.mistakes.add(missing.hint(format!("looked for: {}", listed(&tried))));
                None
            }
        }
    }

    /// Expands `import_role` to a block with its role set.
    pub(super) fn import_role(
        &mut self,
        action: &Action,
        fields: Fields<'_>,
        place: &TaskPlace,
    ) -> Option<Item> {
        self.check_options(action, IMPORT_ROLE);
        let mut block = self.import_block(action, fields, place)?;
        let name = self.role_name_of(action)?.clone();
        let mut inner = place.clone();
        inner.vars.extend(block.common.vars.iter().cloned());
        let role_name = self.early_text(&name, &inner)?;
        let from = RoleFrom {
            tasks: self.early_option(action, "tasks_from", &inner),
            vars: self.early_option(action, "vars_from", &inner),
            defaults: self.early_option(action, "defaults_from", &inner),
            handlers: self.early_option(action, "handlers_from", &inner),
        };
        let mut used = self.role_use(role_name.trim(), Some(name.span), &from, &inner)?;
        used.public = self.flag(action, "public");
        used.allow_duplicates = self.flag(action, "allow_duplicates");
        if !self.flag(action, "rolespec_validate") {
            without_argument_spec(&mut used);
        }
        block.block.clone_from(&used.role.tasks);
        block.role = Some(std::sync::Arc::new(used));
        Some(Item::Block(Box::new(block)))
    }

    /// Checks what `include_tasks` and `include_role` carry.
    pub(super) fn check_include(&mut self, action: &Action, fields: &Fields<'_>) {
        let (holder, options) = if action.name == "include_role" {
            (Holder::IncludeRole, INCLUDE_ROLE)
        } else {
            (Holder::TaskInclude, INCLUDE_TASKS)
        };
        for field in fields.untaken() {
            let known = INCLUDE.contains(&field.name) || field.name.starts_with("with_");
            let task_word = Holder::Handler.keywords().any(|keyword| keyword == field.name);
            let listens = field.name == "listen";
            if known || !task_word || listens {
                continue;
            }
            let message =
                format!("'{}' is not a valid attribute for a {}", field.name, holder.name());
            let wrong = Diagnostic::error(message).at(field.span, "");
            let import = action.name.replace("include", "import");
            self.mistakes.add(
                wrong.hint(format!("put it under 'apply:' of {}, or use {import}", action.name)),
            );
        }
        self.check_options(action, options);
        let apply = action.named.iter().find(|argument| argument.name == "apply");
        if let Some(apply) = apply
            && apply.value.as_map().is_none()
            && !apply.value.as_str().is_some_and(is_template)
        {
            let kind = apply.value.type_name();
            let message = format!("'apply' takes a mapping of keywords, not a {kind}");
            self.mistakes.error(apply.value.span, message);
        }
        if action.name == "include_role" {
            self.role_name_of(action);
        } else {
            self.file_of(action);
        }
    }

    /// Reads the keywords of an import into a block without tasks.
    fn import_block(
        &mut self,
        action: &Action,
        mut fields: Fields<'_>,
        place: &TaskPlace,
    ) -> Option<Block> {
        let statement = action.name.as_str();
        let mut loops = fields.take_prefixed("with_");
        loops.extend(fields.take("loop"));
        for field in &loops {
            let include = statement.replace("import", "include");
            let message = format!("you cannot use loops on '{statement}' statements");
            let wrong = Diagnostic::error(message).at(field.span, "");
            self.mistakes.add(wrong.hint(format!("use '{include}' instead")));
        }
        for keyword in IDLE_ON_IMPORT {
            let Some(field) = fields.take(keyword) else { continue };
            let message = format!("'{keyword}' does nothing on {statement}");
            let warning = Diagnostic::warning(message).at(field.span, "");
            self.mistakes.add(warning.hint("put it on the tasks inside"));
        }
        let m = &mut self.mistakes;
        let span = fields.span;
        let block = Block {
            span,
            name: fields.value("name", Kind::Text, m),
            common: fields.common("Task", m),
            when: fields.conditions("when", m).unwrap_or_default(),
            notify: fields.names("notify", false, m),
            delegate: fields.delegate(m),
            role: None,
            block: Vec::new(),
            rescue: Vec::new(),
            always: Vec::new(),
        };
        let holder = if place.handlers { Holder::Handler } else { Holder::Task };
        if place.handlers {
            fields.names("listen", false, m);
        }
        fields.finish(holder, m);
        loops.is_empty().then_some(block)
    }

    fn check_options(&mut self, action: &Action, options: &[&'static str]) {
        for Argument { name, span, .. } in &action.named {
            if !options.contains(&name.as_str()) {
                self.mistakes.add(invalid_option(&action.name, name, *span, options));
            }
        }
        if let Some(whole) = &action.whole {
            let message = format!("{} takes no templated mapping of options", action.name);
            self.mistakes.error(whole.span, message);
        }
    }

    /// Returns the file an `import_tasks` or `include_tasks` names.
    fn file_of(&mut self, action: &Action) -> Option<Node> {
        let file = option(action, "file").or(action.free_form.as_ref());
        let file = file.filter(|file| file.as_str().is_some()).cloned();
        if file.is_none() {
            self.mistakes.error(action.span, format!("no file specified for {}", action.name));
        }
        file
    }

    /// Returns the role an `import_role` or `include_role` names.
    fn role_name_of<'n>(&mut self, action: &'n Action) -> Option<&'n Node> {
        let name = option(action, "name").or_else(|| option(action, "role"));
        let name = name.filter(|name| name.raw().is_some() && !name.is_null());
        if name.is_none() {
            let wrong = format!("'name' is a required field for {}", action.name);
            let wrong = Diagnostic::error(wrong).at(action.span, "");
            self.mistakes.add(wrong.hint("add 'name: ROLE' below it"));
        }
        name
    }

    fn early_option(&mut self, action: &Action, name: &str, place: &TaskPlace) -> Option<String> {
        let value = option(action, name)?;
        if value.as_str().is_none() {
            let message = format!("expected a string for {name} but got a {}", value.type_name());
            self.mistakes.error(value.span, message);
            return None;
        }
        self.early_text(value, place)
    }

    /// Returns a boolean option that is true unless it says otherwise.
    fn flag(&mut self, action: &Action, name: &str) -> bool {
        let Some(value) = option(action, name) else { return true };
        match value.raw().map(str::to_ascii_lowercase).as_deref() {
            Some("true" | "yes" | "on" | "y" | "t" | "1") => true,
            Some("false" | "no" | "off" | "n" | "f" | "0") => false,
            Some(_) | None => {
                let message = format!("'{name}' takes a boolean, not a {}", value.type_name());
                self.mistakes.error(value.span, message);
                true
            }
        }
    }
}

fn option<'n>(action: &'n Action, name: &str) -> Option<&'n Node> {
    action.named.iter().find(|argument| argument.name == name).map(|argument| &argument.value)
}

fn without_argument_spec(used: &mut crate::playbook::RoleUse) {
    let role = std::sync::Arc::make_mut(&mut used.role);
    role.argument_spec = None;
}
