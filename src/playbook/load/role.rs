//! Roles: finding them, their files, their entries in plays and in `dependencies`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::playbook::keywords::Holder;
use crate::playbook::shared::{Field, Fields, Kind};
use crate::playbook::{Block, Common, Delegate, Item, Role, RoleUse};
use crate::source::{Diagnostic, Span};
use crate::yaml::Node;

use super::find::{listed, role_files};
use super::play::override_vars;
use super::{PlaceInRole, Reading, RoleFrom, TaskPlace, find};

/// What `meta/main.yml` says.
#[derive(Default)]
struct Meta {
    dependencies: Vec<Item>,
    allow_duplicates: bool,
    argument_specs: Option<Node>,
}

impl Reading<'_> {
    /// Reads `roles:` of a play.
    pub(super) fn roles(&mut self, field: Option<Field<'_>>, place: &TaskPlace) -> Vec<Item> {
        let Some(Field { value, .. }) = field else { return Vec::new() };
        if value.is_null() {
            return Vec::new();
        }
        let Some(entries) = value.as_seq() else {
            let kind = value.type_name();
            let message = format!("roles should be a list, but this is a {kind}");
            self.mistakes.error(value.span, message);
            return Vec::new();
        };
        entries.iter().filter_map(|entry| self.role_entry(entry, place)).collect()
    }

    /// Reads one entry of `roles:` or `dependencies:`.
    fn role_entry(&mut self, entry: &Node, place: &TaskPlace) -> Option<Item> {
        if entry.as_str().is_some() {
            let common = (Common::default(), Vec::new(), Delegate::default());
            return self.role_block(entry, entry.span, common, Vec::new(), place);
        }
        let Some(map) = entry.as_map() else {
            let kind = entry.type_name();
            let message = format!("invalid role definition: a {kind}");
            let wrong = Diagnostic::error(message).at(entry.span, "");
            self.mistakes.add(wrong.hint("write '- NAME' or '- role: NAME'"));
            return None;
        };
        let mut fields = Fields::of(entry.span, map, &mut self.mistakes);
        let m = &mut self.mistakes;
        let common = fields.common("RoleDefinition", m);
        let when = fields.conditions("when", m).unwrap_or_default();
        let delegate = fields.delegate(m);
        let named = ["role", "name", "src"].map(|key| fields.take(key));
        let name = named.iter().flatten().map(|field| field.value).find(|name| !name.is_null());
        let Some(name) = name.filter(|name| name.raw().is_some()) else {
            let wrong = Diagnostic::error("role definitions must contain a role name");
            m.add(wrong.at(entry.span, "").hint("add 'role: NAME'"));
            return None;
        };
        if named.iter().flatten().any(|field| field.name == "src") {
            // Where a dependency is fetched from is for installers.
            for unused in ["scm", "version"] {
                fields.take(unused);
            }
        }
        let params: Vec<(Node, Node)> = fields
            .rest()
            .into_iter()
            .map(|field| (Node::string(field.name, field.span), field.value.clone()))
            .collect();
        self.role_block(name, entry.span, (common, when, delegate), params, place)
    }

    fn role_block(
        &mut self,
        name: &Node,
        span: Span,
        (common, when, delegate): (Common, Vec<Node>, Delegate),
        params: Vec<(Node, Node)>,
        place: &TaskPlace,
    ) -> Option<Item> {
        let mut inner = place.clone();
        inner.vars.extend(common.vars.iter().cloned());
        inner.vars.extend(params.iter().cloned());
        let text = self.early_text(name, &inner)?;
        let mut used = self.role_use(text.trim(), Some(name.span), &RoleFrom::default(), &inner)?;
        used.params = params;
        used.public = true;
        let block = used.role.tasks.clone();
        Some(Item::Block(Box::new(Block {
            span,
            name: None,
            common,
            when,
            notify: Vec::new(),
            delegate,
            role: Some(Arc::new(used)),
            block,
            rescue: Vec::new(),
            always: Vec::new(),
        })))
    }

    /// Reads a role with its dependencies; `None` after noting why not.
    pub(super) fn role_use(
        &mut self,
        name: &str,
        asked: Option<Span>,
        from: &RoleFrom,
        place: &TaskPlace,
    ) -> Option<RoleUse> {
        let loader = self.loader;
        let path = match find::role(&*loader.files, name, &loader.roles_path, place) {
            Ok(path) => path,
            Err(tried) => {
                let folders: Vec<PathBuf> =
                    tried.iter().filter_map(|path| path.parent()).map(Path::to_owned).collect();
                let message = format!("the role '{name}' was not found in {}", joined(&folders));
                let wrong = super::maybe_at(Diagnostic::missing(message), asked);
                self.mistakes.add(wrong.hint(format!("looked for: {}", listed(&tried))));
                return None;
            }
        };
        let name = role_name(name, &path);
        let parents: Vec<String> = place
            .role
            .iter()
            .flat_map(|role| std::iter::once(&role.name).chain(&role.parents))
            .cloned()
            .collect();
        let here = PlaceInRole { name: name.clone(), path: path.clone(), parents: parents.clone() };
        let mut inner = place.clone();
        inner.role = Some(here);
        inner.handlers = false;
        let defaults = self.role_vars("defaults", from.defaults.as_deref(), &inner);
        let vars = self.role_vars("vars", from.vars.as_deref(), &inner);
        inner.vars.splice(0..0, defaults.iter().cloned());
        override_vars(&mut inner.vars, &vars);
        let meta = self.role_meta(&path, asked, &inner);
        let handlers_place =
            TaskPlace { handlers: true, folder: path.join("handlers"), ..inner.clone() };
        let tasks_place = TaskPlace { folder: path.join("tasks"), ..inner };
        let tasks = self.role_tasks("tasks", from.tasks.as_deref(), &tasks_place, asked);
        let handlers =
            self.role_tasks("handlers", from.handlers.as_deref(), &handlers_place, asked);
        let entry = from.tasks.as_deref().map_or("main", stem);
        let argument_spec =
            meta.argument_specs.as_ref().and_then(|specs| specs.get(entry)).cloned();
        let role = Role { name, path, defaults, vars, tasks, handlers, argument_spec };
        Some(RoleUse {
            role: Arc::new(role),
            params: Vec::new(),
            dependencies: meta.dependencies,
            allow_duplicates: meta.allow_duplicates,
            public: false,
            parents,
        })
    }

    /// Reads a role's `tasks/` or `handlers/` file.
    fn role_tasks(
        &mut self,
        sort: &str,
        from: Option<&str>,
        place: &TaskPlace,
        asked: Option<Span>,
    ) -> Vec<Item> {
        let name = from.unwrap_or("main");
        let files = role_files(&*self.loader.files, &place.folder, name, false);
        if let Some(path) = files.first() {
            return self.task_file(path, asked, place);
        }
        if from.is_some() {
            self.not_in_role(sort, name, place, asked);
        }
        Vec::new()
    }

    /// Reads a role's `vars/` or `defaults/`.
    fn role_vars(
        &mut self,
        sort: &str,
        from: Option<&str>,
        place: &TaskPlace,
    ) -> Vec<(Node, Node)> {
        let Some(role) = place.role.clone() else { return Vec::new() };
        let name = from.unwrap_or("main");
        let files = role_files(&*self.loader.files, &role.path.join(sort), name, true);
        if files.is_empty() && from.is_some() {
            self.not_in_role(sort, name, place, None);
        }
        let mut vars = Vec::new();
        for file in files {
            let Some(node) = self.document(&file, None) else { continue };
            if node.is_null() {
                continue;
            }
            let Some(map) = node.as_map() else {
                let (file, role) = (file.display(), &role.name);
                let kind = node.type_name();
                let message = format!(
                    "the file {file} of role '{role}' must contain a dictionary of variables, not a {kind}"
                );
                self.mistakes.error(node.span, message);
                continue;
            };
            // Names are not checked: Ansible takes any here, and `vars['a-b']` reaches them.
            override_vars(&mut vars, map);
        }
        vars
    }

    fn not_in_role(&mut self, sort: &str, name: &str, place: &TaskPlace, asked: Option<Span>) {
        let message = format!("could not find specified file in role: {sort}/{name}");
        let role = place.role.as_ref().map(|role| role.path.join(sort)).unwrap_or_default();
        let wrong = super::maybe_at(Diagnostic::error(message), asked);
        self.mistakes.add(wrong.hint(format!("looked in {}", role.display())));
    }

    fn role_meta(&mut self, path: &Path, asked: Option<Span>, place: &TaskPlace) -> Meta {
        let folder = path.join("meta");
        let mut meta = Meta::default();
        let main = role_files(&*self.loader.files, &folder, "main", false).into_iter().next();
        if let Some(main) = main
            && self.enter(&main, asked)
        {
            if let Some(node) = self.document(&main, asked) {
                self.read_meta(&node, place, &mut meta);
            }
            self.leave();
        }
        let specs = role_files(&*self.loader.files, &folder, "argument_specs", false);
        if let Some(node) = specs.first().and_then(|file| self.document(file, asked)) {
            match node.get("argument_specs") {
                Some(specs) => meta.argument_specs = Some(specs.clone()),
                None => self.mistakes.error(node.span, "there is no 'argument_specs' in this file"),
            }
        }
        meta
    }

    fn read_meta(&mut self, node: &Node, place: &TaskPlace, meta: &mut Meta) {
        if node.is_null() {
            return;
        }
        let Some(map) = node.as_map() else {
            let kind = node.type_name();
            let message =
                format!("the 'meta/main.yml' of a role must contain a dictionary, not a {kind}");
            self.mistakes.error(node.span, message);
            return;
        };
        let mut fields = Fields::of(node.span, map, &mut self.mistakes);
        // For galaxy.ansible.com and for name lookup only; nothing of it bears on a run.
        for unused in ["galaxy_info", "collections"] {
            fields.take(unused);
        }
        meta.argument_specs = fields.value("argument_specs", Kind::Any, &mut self.mistakes);
        let repeat = fields.value("allow_duplicates", Kind::Bool, &mut self.mistakes);
        meta.allow_duplicates = repeat.is_some_and(|value| {
            let word = value.raw().unwrap_or_default().to_ascii_lowercase();
            matches!(word.as_str(), "true" | "yes" | "on" | "y" | "t" | "1")
        });
        let dependencies = fields.take("dependencies");
        fields.finish(Holder::RoleMetadata, &mut self.mistakes);
        let Some(Field { value, .. }) = dependencies else { return };
        if value.is_null() {
            return;
        }
        let Some(entries) = value.as_seq() else {
            self.mistakes.error(value.span, "expected role dependencies to be a list");
            return;
        };
        meta.dependencies =
            entries.iter().filter_map(|entry| self.role_entry(entry, place)).collect();
    }
}

/// Returns the name of a role that may have been asked for by its path.
fn role_name(asked: &str, path: &Path) -> String {
    if asked.contains('/') {
        path.file_name()
            .map_or_else(|| asked.to_owned(), |name| name.to_string_lossy().into_owned())
    } else {
        asked.to_owned()
    }
}

/// Returns an entry point's name: the file without its ending.
fn stem(file: &str) -> &str {
    file.strip_suffix(".yml").or_else(|| file.strip_suffix(".yaml")).unwrap_or(file)
}

fn joined(folders: &[PathBuf]) -> String {
    let mut texts: Vec<String> = Vec::new();
    for folder in folders {
        let text = folder.display().to_string();
        let text = if text.is_empty() { ".".to_owned() } else { text };
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    texts.join(":")
}
