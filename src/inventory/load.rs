//! Which reader takes which source, and in what order.

use std::io;
use std::path::{Path, PathBuf};

use super::folder::VarsFolder;
use super::{Inventory, LOCALHOST, address, ini, program, tree};
use crate::names::HostName;
use crate::source::{Diagnostic, Diagnostics, FileId, Files, Severity, Sources, Span};
use crate::yaml::{Node, parse_with_warnings};

/// Runs executable sources; implemented where programs may be started.
pub trait Programs {
    /// Runs a program with arguments to its end and returns what it wrote.
    fn run(&self, program: &Path, arguments: &[&str]) -> io::Result<ProgramOutput>;
}

/// What an inventory program left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramOutput {
    /// Exit status; `None` when a signal ended it.
    pub status: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Refuses to run anything.
#[derive(Clone, Copy, Debug)]
pub struct NoPrograms;

impl Programs for NoPrograms {
    fn run(&self, _program: &Path, _arguments: &[&str]) -> io::Result<ProgramOutput> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "programs may not be run here"))
    }
}

/// Name endings that are no sources in a folder.
const IGNORED: [&str; 12] =
    [".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst", ".orig", ".cfg", ".retry"];

/// What loading has found to say.
#[derive(Default)]
pub(super) struct Findings(pub(super) Vec<Diagnostic>);

impl Findings {
    pub(super) fn push(&mut self, one: Diagnostic) {
        self.0.push(one);
    }

    /// Adds an error about a place.
    pub(super) fn error(&mut self, span: Span, message: impl Into<String>) {
        self.0.push(Diagnostic::error(message).at(span, ""));
    }

    pub(super) fn finish(self) -> Result<Vec<Diagnostic>, Diagnostics> {
        if self.0.iter().any(|one| one.severity == Severity::Error) {
            return Err(Diagnostics(self.0));
        }
        Ok(self.0)
    }
}

/// What every reader is handed.
pub(super) struct Loading<'l> {
    pub(super) files: &'l dyn Files,
    pub(super) sources: &'l Sources,
    pub(super) programs: &'l dyn Programs,
    pub(super) findings: Findings,
}

impl Inventory {
    /// Reads sources (files, folders, host lists with a comma) in order, later ones adding to and winning over earlier ones;
    /// a source that is a program is refused. Returns warnings beside the inventory, or everything that is wrong.
    ///
    /// A source that does not exist is a warning, as in Ansible.
    pub fn load(
        given: &[String],
        files: &dyn Files,
        sources: &Sources,
    ) -> Result<(Self, Vec<Diagnostic>), Diagnostics> {
        Self::load_with_programs(given, files, sources, &NoPrograms)
    }

    /// Reads sources as [`Inventory::load`] does and runs those that are programs.
    pub fn load_with_programs(
        given: &[String],
        files: &dyn Files,
        sources: &Sources,
        programs: &dyn Programs,
    ) -> Result<(Self, Vec<Diagnostic>), Diagnostics> {
        let mut inventory = Self::default();
        let mut loading = Loading { files, sources, programs, findings: Findings::default() };
        let mut folders: Vec<PathBuf> = Vec::new();
        for source in given {
            inventory.sources.push(PathBuf::from(source));
            if source.contains(',') {
                inventory.read_host_list(source);
                continue;
            }
            let path = Path::new(source);
            let folder = if files.is_dir(path) {
                inventory.read_folder(path, &mut loading);
                path
            } else if files.is_file(path) {
                inventory.read_file(path, &mut loading);
                match path.parent() {
                    Some(parent) if parent != Path::new("") => parent,
                    Some(_) | None => Path::new("."),
                }
            } else {
                loading.findings.push(
                    Diagnostic::warning(format!("unable to parse {source} as an inventory source"))
                        .hint("no such file or folder; a list of hosts needs a comma: 'host,'"),
                );
                continue;
            };
            // The later of two sources in one folder decides how strong the folder's files are.
            folders.retain(|known| known != folder);
            folders.push(folder.to_path_buf());
        }
        inventory.settle();
        inventory.warn_about_names(&mut loading.findings);
        for folder in folders {
            let read = VarsFolder::read(&folder, "inventory", &inventory, &mut loading);
            inventory.folders.push(std::sync::Arc::new(read));
        }
        let warnings = loading.findings.finish()?;
        Ok((inventory, warnings))
    }

    /// Reads `group_vars/` and `host_vars/` beside a playbook, once a folder; returns warnings.
    pub fn load_group_vars(
        &mut self,
        playbook_dir: &Path,
        files: &dyn Files,
        sources: &Sources,
    ) -> Result<Vec<Diagnostic>, Diagnostics> {
        if self.playbook_folders.contains_key(playbook_dir) {
            return Ok(Vec::new());
        }
        let mut loading =
            Loading { files, sources, programs: &NoPrograms, findings: Findings::default() };
        let read = VarsFolder::read(playbook_dir, "playbook", self, &mut loading);
        self.playbook_folders.insert(playbook_dir.to_path_buf(), std::sync::Arc::new(read));
        loading.findings.finish()
    }

    /// `h1,h2:22,`: names and ports, nothing else.
    fn read_host_list(&mut self, list: &str) {
        let source = PathBuf::from(list);
        for word in list.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let (name, port) = address::split_port(word);
            let name = HostName::new(name);
            if self.ensure_host(&name, Some(&source))
                && let Some(port) = port
            {
                let layer = [("ansible_port".to_owned(), minijinja::Value::from(port))];
                if let Some(host) = self.hosts.get_mut(&name) {
                    host.vars =
                        std::sync::Arc::new(crate::vars::Layer::data(layer, "inventory host list"));
                }
            }
            self.join(&name, "ungrouped");
        }
    }

    fn read_folder(&mut self, path: &Path, loading: &mut Loading<'_>) {
        let names = match loading.files.list(path) {
            Ok(names) => names,
            Err(error) => {
                let message = format!("cannot read folder {}: {error}", path.display());
                return loading.findings.push(Diagnostic::error(message));
            }
        };
        for name in names {
            let ignored = name.starts_with('.')
                || IGNORED.iter().any(|end| name.ends_with(end))
                || name == "group_vars"
                || name == "host_vars";
            if ignored {
                continue;
            }
            let inner = path.join(&name);
            if loading.files.is_dir(&inner) {
                self.read_folder(&inner, loading);
            } else {
                self.read_file(&inner, loading);
            }
        }
    }

    fn read_file(&mut self, path: &Path, loading: &mut Loading<'_>) {
        let bytes = match loading.files.read(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                let message = format!("cannot read {}: {error}", path.display());
                return loading.findings.push(Diagnostic::error(message));
            }
        };
        let text = String::from_utf8(bytes);
        // Shares from other systems mark every file executable: only a program's first bytes make one.
        let is_program = text.as_ref().map_or(true, |text| text.starts_with("#!"));
        if is_program && loading.files.is_executable(path) {
            return program::read(self, path, loading);
        }
        let Ok(text) = text else {
            let message = format!("cannot read {}: not UTF-8 text", path.display());
            return loading.findings.push(Diagnostic::error(message));
        };
        let file = loading.sources.add(path, text.as_str());
        match kind_of(path, &text) {
            Kind::Ini => ini::read(self, path, file, &text, &mut loading.findings),
            Kind::Yaml => match parse_with_warnings(loading.sources, file) {
                Ok((documents, warnings)) => {
                    loading.findings.0.extend(warnings);
                    self.read_tree(path, file, documents, loading);
                }
                Err(error) => loading.findings.push(error),
            },
        }
    }

    fn read_tree(
        &mut self,
        path: &Path,
        file: FileId,
        documents: Vec<Node>,
        loading: &mut Loading<'_>,
    ) {
        let mut documents = documents.into_iter();
        match (documents.next(), documents.next()) {
            (None, _) => {
                let span = Span::new(file, 0, 0);
                loading.findings.push(
                    Diagnostic::warning(format!("{} holds no hosts", path.display())).at(span, ""),
                );
            }
            (Some(tree), None) => tree::read(self, path, &tree, &mut loading.findings),
            (Some(_), Some(second)) => {
                loading.findings.error(second.span, "an inventory is one YAML document");
            }
        }
    }

    fn warn_about_names(&self, findings: &mut Findings) {
        for name in self.groups.keys().filter(|name| self.hosts.contains_key(name.as_str())) {
            findings.push(Diagnostic::warning(format!(
                "found both group and host with same name: {name}"
            )));
        }
        let odd: Vec<&str> =
            self.groups.keys().map(String::as_str).filter(|name| !is_name(name)).collect();
        if !odd.is_empty() {
            findings.push(
                Diagnostic::warning(format!(
                    "invalid characters were found in group names but not replaced: {}",
                    odd.join(", ")
                ))
                .hint("use letters, digits and underscores, so that templates can name the group"),
            );
        }
        let local: Vec<&str> =
            LOCALHOST.into_iter().filter(|name| self.hosts.contains_key(*name)).collect();
        if let [first, second, ..] = local.as_slice() {
            findings.push(Diagnostic::warning(format!(
                "a duplicate localhost-like entry was found: {first} and {second}"
            )));
        }
    }
}

/// Tells whether a text is a plain variable name.
pub(super) fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

enum Kind {
    Ini,
    Yaml,
}

/// Ansible tries YAML, then INI, and reports both failures; we decide first, so that there is one.
fn kind_of(path: &Path, text: &str) -> Kind {
    match path.extension().and_then(|end| end.to_str()) {
        Some("yml" | "yaml" | "json") => Kind::Yaml,
        Some(_) => Kind::Ini,
        None => {
            let first = text
                .lines()
                .map(str::trim)
                .find(|line| !line.is_empty() && !line.starts_with(['#', ';']))
                .unwrap_or_default();
            let key = first.split(" #").next().unwrap_or_default().trim_end();
            let is_tree = first == "---" || first.starts_with('{') || key.ends_with(':');
            if is_tree { Kind::Yaml } else { Kind::Ini }
        }
    }
}
