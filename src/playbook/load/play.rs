//! Playbook files, plays and `import_playbook`.

use std::path::Path;

use crate::playbook::keywords::{Holder, SHARED};
use crate::playbook::shared::{Field, Fields, Kind, is_template};
use crate::playbook::{Block, Common, Delegate, Item, Play};
use crate::source::{Diagnostic, Span};
use crate::yaml::{Node, NodeKind};

use super::find::{folder_of, tidy};
use super::{Reading, TaskPlace};

const IMPORT: [&str; 3] =
    ["import_playbook", "ansible.builtin.import_playbook", "ansible.legacy.import_playbook"];

const PROMPT_KEYS: [&str; 9] =
    ["name", "prompt", "default", "private", "confirm", "encrypt", "salt_size", "salt", "unsafe"];

impl Reading<'_> {
    /// Reads a playbook file; `vars` are those of the imports around it.
    pub(super) fn playbook_file(
        &mut self,
        path: &Path,
        asked: Option<Span>,
        vars: &[(Node, Node)],
    ) -> Vec<Play> {
        if !self.enter(path, asked) {
            return Vec::new();
        }
        let plays = self.document(path, asked).map(|node| self.plays(path, &node, vars));
        self.leave();
        plays.unwrap_or_default()
    }

    fn plays(&mut self, path: &Path, node: &Node, vars: &[(Node, Node)]) -> Vec<Play> {
        let shown = path.display();
        if node.is_null() {
            let message = format!("empty playbook, nothing to do: {shown}");
            self.mistakes.error(node.span, message);
            return Vec::new();
        }
        let Some(entries) = node.as_seq() else {
            let kind = node.type_name();
            let message =
                format!("a playbook must be a list of plays, got a {kind} instead: {shown}");
            self.mistakes.error(node.span, message);
            return Vec::new();
        };
        if entries.is_empty() {
            let message = format!("a playbook must contain at least one play: {shown}");
            self.mistakes.error(node.span, message);
        }
        let place = TaskPlace {
            playbook_dir: folder_of(path),
            folder: folder_of(path),
            vars: vars.to_vec(),
            ..TaskPlace::default()
        };
        let mut plays = Vec::new();
        for entry in entries {
            let Some(map) = entry.as_map() else {
                let message =
                    "playbook entries must be either valid plays or 'import_playbook' statements";
                self.mistakes.error(entry.span, message);
                continue;
            };
            let mut fields = Fields::of(entry.span, map, &mut self.mistakes);
            match IMPORT.iter().find_map(|name| fields.take(name)) {
                Some(import) => plays.extend(self.import_playbook(import, fields, &place)),
                None => plays.extend(self.play(fields, &place)),
            }
        }
        plays
    }

    fn import_playbook(
        &mut self,
        import: Field<'_>,
        mut fields: Fields<'_>,
        place: &TaskPlace,
    ) -> Vec<Play> {
        fields.value("name", Kind::Text, &mut self.mistakes);
        let vars = fields.vars("PlaybookInclude", &mut self.mistakes);
        let tags = fields.names("tags", true, &mut self.mistakes);
        let when = fields.conditions("when", &mut self.mistakes).unwrap_or_default();
        for keyword in SHARED.iter().copied() {
            let Some(field) = fields.take(keyword) else { continue };
            let warning =
                Diagnostic::warning(format!("'{keyword}' does nothing on import_playbook"));
            self.mistakes.add(warning.at(field.span, "").hint("put it on the plays inside"));
        }
        fields.finish(Holder::PlaybookInclude, &mut self.mistakes);
        if import.value.as_str().is_none() {
            let message = "import_playbook takes the path of a playbook as a string";
            self.mistakes.error(import.value.span, message);
            return Vec::new();
        }
        let mut inner = place.clone();
        override_vars(&mut inner.vars, &vars);
        let Some(name) = self.early_text(import.value, &inner) else { return Vec::new() };
        let path = tidy(&place.folder.join(name.trim()));
        if !self.loader.files.is_file(&path) {
            let message = format!("could not find or access '{}'", path.display());
            self.mistakes.add(Diagnostic::missing(message).at(import.value.span, "imported here"));
            return Vec::new();
        }
        let mut plays = self.playbook_file(&path, Some(import.value.span), &inner.vars);
        for play in &mut plays {
            // Variables of the import win over those of the play; tags add up; conditions go in front.
            override_vars(&mut play.common.vars, &vars);
            play.common.tags.extend(tags.iter().cloned());
            put_when(play, &when);
        }
        plays
    }

    fn play(&mut self, mut fields: Fields<'_>, place: &TaskPlace) -> Option<Play> {
        let span = fields.span;
        let hosts = self.hosts(&mut fields);
        let m = &mut self.mistakes;
        let name = fields.value("name", Kind::Text, m);
        let old_user = fields.take("user");
        if let Some(user) = old_user {
            if fields.has("remote_user") {
                m.error(user.span, "both 'user' and 'remote_user' are set for this play");
            } else {
                let warning = Diagnostic::warning("'user' is an old name of 'remote_user'");
                m.add(warning.at(user.span, "").hint("write remote_user"));
            }
        }
        let mut common = fields.common("Play", m);
        if common.remote_user.is_none() {
            common.remote_user = old_user.map(|user| user.value.clone());
        }
        let gather_facts = fields.value("gather_facts", Kind::Bool, m);
        let gather_subset = fields.value("gather_subset", Kind::List, m);
        let gather_timeout = fields.value("gather_timeout", Kind::Int, m);
        let fact_path = fields.value("fact_path", Kind::Text, m);
        let serial = fields.value("serial", Kind::List, m);
        let strategy = fields.value("strategy", Kind::Text, m);
        let order = fields.value("order", Kind::Text, m);
        let max_fail_percentage = fields.value("max_fail_percentage", Kind::Percent, m);
        let force_handlers = fields.value("force_handlers", Kind::Bool, m);
        let vars_files = self.vars_files(&mut fields);
        let vars_prompt = self.vars_prompt(&mut fields);
        let mut inner = place.clone();
        let written = self.written_vars_files(&vars_files, place);
        inner.vars.splice(0..0, common.vars.iter().cloned().chain(written));
        let mut lists = ["pre_tasks", "tasks", "post_tasks"]
            .map(|name| self.items(fields.take(name), "tasks", &inner));
        let roles = self.roles(fields.take("roles"), &inner);
        let handlers_place = TaskPlace { handlers: true, ..inner };
        let handlers = self.items(fields.take("handlers"), "handlers", &handlers_place);
        fields.finish(Holder::Play, &mut self.mistakes);
        let [pre_tasks, tasks, post_tasks] = &mut lists;
        Some(Play {
            span,
            name,
            hosts: hosts?,
            common,
            gather_facts,
            gather_subset,
            gather_timeout,
            fact_path,
            vars_files,
            vars_prompt,
            serial,
            strategy,
            order,
            max_fail_percentage,
            force_handlers,
            pre_tasks: std::mem::take(pre_tasks),
            roles,
            tasks: std::mem::take(tasks),
            post_tasks: std::mem::take(post_tasks),
            handlers,
            playbook_dir: place.playbook_dir.clone(),
        })
    }

    fn hosts(&mut self, fields: &mut Fields<'_>) -> Option<Node> {
        let Some(field) = fields.take("hosts") else {
            let wrong = Diagnostic::error("the field 'hosts' is required but was not set");
            let wrong = wrong.at(fields.span, "this play");
            self.mistakes.add(wrong.hint("add 'hosts: all', a group, a host or a pattern"));
            return None;
        };
        let value = field.value;
        let wrong = match &value.kind {
            NodeKind::Map(_) => {
                Some((value.span, "hosts list must be a sequence or string".into()))
            }
            NodeKind::Seq(items) if items.is_empty() => {
                Some((value.span, "hosts list cannot be empty".to_owned()))
            }
            NodeKind::Seq(items) => items
                .iter()
                .find(|item| item.as_str().is_none())
                .map(|item| (item.span, invalid_host(item))),
            NodeKind::Scalar(scalar) if value.is_null() || scalar.raw.trim().is_empty() => {
                Some((field.span, "hosts list cannot be empty".to_owned()))
            }
            NodeKind::Scalar(_) if value.as_str().is_none() => {
                Some((value.span, invalid_host(value)))
            }
            NodeKind::Scalar(_) => None,
        };
        match wrong {
            Some((span, message)) => {
                self.mistakes.error(span, message);
                None
            }
            None => Some(value.clone()),
        }
    }

    fn vars_files(&mut self, fields: &mut Fields<'_>) -> Vec<Node> {
        let Some(field) = fields.take("vars_files") else { return Vec::new() };
        let entries = match &field.value.kind {
            NodeKind::Seq(items) => items.clone(),
            NodeKind::Scalar(_) if field.value.is_null() => Vec::new(),
            NodeKind::Scalar(_) | NodeKind::Map(_) => vec![field.value.clone()],
        };
        for entry in &entries {
            let good = entry.as_str().is_some()
                || entry.as_seq().is_some_and(|names| names.iter().all(|n| n.as_str().is_some()));
            if !good {
                let kind = entry.type_name();
                let message =
                    format!("'vars_files' takes file names or lists of them, not a {kind}");
                self.mistakes.error(entry.span, message);
            }
        }
        entries
    }

    /// Reads the `vars_files` whose names are plain and that are there, for names of imports.
    fn written_vars_files(&mut self, entries: &[Node], place: &TaskPlace) -> Vec<(Node, Node)> {
        let mut vars = Vec::new();
        for entry in entries {
            let names = entry.as_seq().unwrap_or(std::slice::from_ref(entry));
            let found = names
                .iter()
                .filter_map(|name| Some((name.span, name.as_str()?)))
                .filter(|(_, name)| !is_template(name))
                .flat_map(|(span, name)| {
                    let name = Path::new(name);
                    let folders = [place.folder.join("vars"), place.folder.clone()];
                    folders.map(|folder| (span, tidy(&folder.join(name))))
                })
                .find(|(_, path)| self.loader.files.is_file(path));
            let Some((span, path)) = found else { continue };
            let Some(node) = self.document(&path, Some(span)) else { continue };
            match node.as_map() {
                Some(map) => override_vars(&mut vars, map),
                None if node.is_null() => {}
                None => {
                    let (path, kind) = (path.display(), node.type_name());
                    let message =
                        format!("{path} must contain a dictionary of variables, not a {kind}");
                    self.mistakes.error(node.span, message);
                }
            }
        }
        vars
    }

    fn vars_prompt(&mut self, fields: &mut Fields<'_>) -> Vec<Node> {
        let Some(field) = fields.take("vars_prompt") else { return Vec::new() };
        let entries = match &field.value.kind {
            NodeKind::Seq(items) => items.clone(),
            NodeKind::Map(_) => vec![field.value.clone()],
            NodeKind::Scalar(_) if field.value.is_null() => Vec::new(),
            NodeKind::Scalar(_) => {
                self.mistakes.error(field.value.span, "'vars_prompt' takes a list of mappings");
                Vec::new()
            }
        };
        for entry in &entries {
            if entry.get("name").is_none() {
                let message = "invalid vars_prompt data structure, missing 'name' key";
                self.mistakes.error(entry.span, message);
            }
            for (key, _) in entry.as_map().unwrap_or_default() {
                let name = key.raw().unwrap_or_default();
                if !PROMPT_KEYS.contains(&name) {
                    let message = format!(
                        "invalid vars_prompt data structure, found unsupported key '{name}'"
                    );
                    self.mistakes.error(key.span, message);
                }
            }
        }
        entries
    }
}

fn invalid_host(item: &Node) -> String {
    let value = item.raw().unwrap_or(item.type_name());
    format!("hosts list contains an invalid host value: '{value}'")
}

/// Adds variables, those of the same name replaced.
pub(super) fn override_vars(into: &mut Vec<(Node, Node)>, vars: &[(Node, Node)]) {
    into.retain(|(key, _)| !vars.iter().any(|(new, _)| new.raw() == key.raw()));
    into.extend(vars.iter().cloned());
}

/// Puts conditions of an import before all tasks of a play; handlers and fact gathering are not under them.
fn put_when(play: &mut Play, when: &[Node]) {
    if when.is_empty() {
        return;
    }
    for item in &mut play.roles {
        match item {
            Item::Block(block) => drop(block.when.splice(0..0, when.iter().cloned())),
            Item::Task(task) => drop(task.when.splice(0..0, when.iter().cloned())),
        }
    }
    for list in [&mut play.pre_tasks, &mut play.tasks, &mut play.post_tasks] {
        if list.is_empty() {
            continue;
        }
        let block = Block {
            span: play.span,
            name: None,
            common: Common::default(),
            when: when.to_vec(),
            notify: Vec::new(),
            delegate: Delegate::default(),
            role: None,
            block: std::mem::take(list),
            rescue: Vec::new(),
            always: Vec::new(),
        };
        list.push(Item::Block(Box::new(block)));
    }
}
