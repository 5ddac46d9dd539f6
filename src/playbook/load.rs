//! The loader: files in, plays out, with every mistake of every file collected.
//!
//! `import_*` and roles are expanded here, before anything runs; `include_*` stay tasks and come back through
//! [`Loader::task_file`] and [`Loader::role`] at run time.

mod action;
mod find;
mod play;
mod role;
mod statement;
mod task;

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

pub use find::find_playbook;
use find::tidy;

use crate::source::{Diagnostic, Diagnostics, Files, Sources, Span};
use crate::yaml::{self, Node, Tag};

use super::shared::{Mistakes, is_template};
use super::{Item, Playbook, RoleUse};

/// How deep imports and role dependencies may nest.
const MAX_DEPTH: usize = 64;

/// Tells which modules there are; implemented where the modules are known.
pub trait Catalog: Send + Sync + fmt::Debug {
    /// Tells whether `name` (short) is a module.
    fn is_module(&self, name: &str) -> bool;
    /// Tells whether it takes free-form text (`command: ls`).
    fn takes_free_form(&self, name: &str) -> bool;
    /// Returns every short name.
    fn names(&self) -> Vec<&'static str>;
}

/// Renders names of imported files, roles and playbooks while the playbook is read.
pub trait EarlyVars: Sync {
    /// Renders `text`. `vars` are those written around it, outer first, so a later one wins; extra variables, which the
    /// implementor has, win over all.
    fn render(&self, text: &str, vars: &[(Node, Node)]) -> Result<String, String>;
}

/// No templates in imported names.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoEarlyVars;

impl EarlyVars for NoEarlyVars {
    fn render(&self, text: &str, _vars: &[(Node, Node)]) -> Result<String, String> {
        Err(format!("no variables are known here for {text}"))
    }
}

/// Where a task list stands.
#[derive(Clone, Debug, Default)]
pub struct TaskPlace {
    /// Folder of the playbook file.
    pub playbook_dir: PathBuf,
    /// Folder of the file that holds the statement being expanded; files it names are looked for here too.
    pub folder: PathBuf,
    /// The role it belongs to.
    pub role: Option<PlaceInRole>,
    /// Whether the list holds handlers.
    pub handlers: bool,
    /// Variables written around it (play, block, role, statement), outer first.
    pub vars: Vec<(Node, Node)>,
}

/// The role a task list belongs to.
#[derive(Clone, Debug)]
pub struct PlaceInRole {
    /// Its name.
    pub name: String,
    /// Its folder.
    pub path: PathBuf,
    /// Roles it was reached through, nearest first.
    pub parents: Vec<String>,
}

/// Which files of a role stand for `main` (`tasks_from:` and so on).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RoleFrom {
    /// `tasks_from:`
    pub tasks: Option<String>,
    /// `vars_from:`
    pub vars: Option<String>,
    /// `defaults_from:`
    pub defaults: Option<String>,
    /// `handlers_from:`
    pub handlers: Option<String>,
}

/// Reads playbooks, task files and roles. Clones share what was read.
#[derive(Clone, Debug)]
pub struct Loader {
    sources: Sources,
    files: Arc<dyn Files>,
    catalog: &'static dyn Catalog,
    roles_path: Vec<PathBuf>,
    parsed: Arc<Mutex<HashMap<PathBuf, Parsed>>>,
}

/// A file read once: its document and the warnings about it, or why not.
type Parsed = Result<(Arc<Node>, Vec<Diagnostic>), Diagnostic>;

impl Loader {
    /// Makes a loader. `roles_path` are the folders in which roles are looked for after the playbook's own `roles/`.
    pub fn new(
        sources: Sources,
        files: Arc<dyn Files>,
        catalog: &'static dyn Catalog,
        roles_path: Vec<PathBuf>,
    ) -> Self {
        Self { sources, files, catalog, roles_path, parsed: Arc::default() }
    }

    /// Reads a playbook with all it imports. Returns it and the warnings, or every mistake of every file.
    pub fn playbook(
        &self,
        path: &Path,
        early: &dyn EarlyVars,
    ) -> Result<(Playbook, Vec<Diagnostic>), Diagnostics> {
        let mut reading = Reading::new(self, early);
        let path = tidy(path);
        let plays = reading.playbook_file(&path, None, &[]);
        let warnings = reading.mistakes.settle()?;
        Ok((Playbook { path, plays }, warnings))
    }

    /// Reads a task file for `include_tasks`. `path` is found already, see [`Self::find_tasks`].
    pub fn task_file(
        &self,
        path: &Path,
        place: &TaskPlace,
        early: &dyn EarlyVars,
    ) -> Result<Vec<Item>, Diagnostics> {
        let mut reading = Reading::new(self, early);
        let items = reading.task_file(&tidy(path), None, place);
        reading.mistakes.settle().map(|_warnings| items)
    }

    /// Returns the path of a task file as `import_tasks` and `include_tasks` look for it, or the paths tried.
    pub fn find_tasks(&self, name: &str, place: &TaskPlace) -> Result<PathBuf, Vec<PathBuf>> {
        find::task_file(&*self.files, name, place)
    }

    /// Reads a role with its dependencies, for `include_role`. The use has no parameters, is not public and does not
    /// repeat; the caller sets what its statement says.
    pub fn role(
        &self,
        name: &str,
        from: &RoleFrom,
        place: &TaskPlace,
        early: &dyn EarlyVars,
    ) -> Result<RoleUse, Diagnostics> {
        let mut reading = Reading::new(self, early);
        let role = reading.role_use(name, None, from, place);
        reading.mistakes.settle()?;
        role.ok_or_else(|| Diagnostic::missing(format!("the role '{name}' was not found")).into())
    }
}

/// One pass over a project.
struct Reading<'a> {
    loader: &'a Loader,
    early: &'a dyn EarlyVars,
    mistakes: Mistakes,
    /// Files (and roles' folders) being read, outermost first.
    chain: Vec<PathBuf>,
}

impl<'a> Reading<'a> {
    fn new(loader: &'a Loader, early: &'a dyn EarlyVars) -> Self {
        Self { loader, early, mistakes: Mistakes::default(), chain: Vec::new() }
    }

    /// Reads and parses a file; `None` after noting what is wrong with it.
    fn document(&mut self, path: &Path, asked: Option<Span>) -> Option<Arc<Node>> {
        let known = {
            let parsed = self.loader.parsed.lock().unwrap_or_else(PoisonError::into_inner);
            parsed.get(path).cloned()
        };
        let outcome = if let Some(outcome) = known {
            outcome
        } else {
            let text = match self.loader.files.read_text(path) {
                Ok(text) => text,
                Err(error) => {
                    let message = format!("cannot read {}: {error}", path.display());
                    self.mistakes.add(maybe_at(Diagnostic::missing(message), asked));
                    return None;
                }
            };
            let outcome = self.parse(path, text);
            let mut parsed = self.loader.parsed.lock().unwrap_or_else(PoisonError::into_inner);
            parsed.insert(path.to_owned(), outcome.clone());
            outcome
        };
        match outcome {
            Ok((node, warnings)) => {
                for warning in warnings {
                    self.mistakes.add(warning);
                }
                Some(node)
            }
            Err(error) => {
                self.mistakes.add(error);
                None
            }
        }
    }

    fn parse(&self, path: &Path, text: String) -> Parsed {
        let file = self.loader.sources.add(path, text);
        let (node, warnings) = yaml::parse_one_with_warnings(&self.loader.sources, file)?;
        Ok((Arc::new(node), warnings))
    }

    /// Goes into a file, unless it is being read already or the way is too long.
    fn enter(&mut self, path: &Path, asked: Option<Span>) -> bool {
        let again = self.chain.iter().any(|open| open == path);
        if !again && self.chain.len() < MAX_DEPTH {
            self.chain.push(path.to_owned());
            return true;
        }
        let from = self.chain.iter().position(|open| open == path).unwrap_or_default();
        let mut way: Vec<String> =
            self.chain.iter().skip(from).map(|open| open.display().to_string()).collect();
        way.push(path.display().to_string());
        let message = if again {
            format!("{} imports itself: {}", path.display(), way.join(" -> "))
        } else {
            format!("imports nest deeper than {MAX_DEPTH}: {}", way.join(" -> "))
        };
        let error = maybe_at(Diagnostic::error(message), asked);
        self.mistakes.add(error.hint("break the circle, or use include_tasks with a 'when'"));
        false
    }

    fn leave(&mut self) {
        self.chain.pop();
    }

    /// Renders a name that stands in an import; `None` after noting why it cannot be.
    fn early_text(&mut self, node: &Node, place: &TaskPlace) -> Option<String> {
        let text = node.raw()?;
        if !is_template(text) {
            return Some(text.to_owned());
        }
        let mut vars = Vec::new();
        if let Some(role) = &place.role {
            vars.push(fixed("role_name", &role.name, node.span));
            vars.push(fixed("ansible_role_name", &role.name, node.span));
            vars.push(fixed("role_path", &role.path.to_string_lossy(), node.span));
        }
        vars.extend(place.vars.iter().cloned());
        vars.push(fixed("playbook_dir", &place.playbook_dir.to_string_lossy(), node.span));
        match self.early.render(text, &vars) {
            Ok(rendered) => Some(rendered),
            Err(why) => {
                let wrong = Diagnostic::error(format!("cannot render the imported name: {why}"));
                self.mistakes.add(wrong.at(node.span, "").hint(
                    "an import is read before any host is known: use include_tasks or include_role for names that \
                     depend on hosts",
                ));
                None
            }
        }
    }
}

/// Makes a variable that no template language in its value can change.
fn fixed(name: &str, value: &str, span: Span) -> (Node, Node) {
    let value = Node { tag: Some(Tag::Unsafe), ..Node::string(value, span) };
    (Node::string(name, span), value)
}

fn maybe_at(diagnostic: Diagnostic, span: Option<Span>) -> Diagnostic {
    match span {
        Some(span) => diagnostic.at(span, "asked for here"),
        None => diagnostic,
    }
}
