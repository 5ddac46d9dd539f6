//! `group_vars/` and `host_vars/` in one folder: files named for a group or host, or folders of such files.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Inventory;
use super::load::{Findings, Loading};
use crate::source::{Diagnostic, Severity};
use crate::vars::Layer;
use crate::yaml::parse_one_with_warnings;

/// Endings a variables file may have; the first that is there is the one that is read.
const ENDINGS: [&str; 4] = ["", ".yml", ".yaml", ".json"];

/// What one folder says about groups and hosts, those not in the inventory included: they may be added later.
#[derive(Clone, Debug, Default)]
pub(super) struct VarsFolder {
    groups: HashMap<String, Arc<Layer>>,
    hosts: HashMap<String, Arc<Layer>>,
}

impl VarsFolder {
    pub(super) fn group(&self, name: &str) -> Option<&Arc<Layer>> {
        self.groups.get(name)
    }

    pub(super) fn host(&self, name: &str) -> Option<&Arc<Layer>> {
        self.hosts.get(name)
    }

    /// Reads both folders below `folder`; `whose` is `inventory` or `playbook`.
    pub(super) fn read(
        folder: &Path,
        whose: &str,
        inventory: &Inventory,
        loading: &mut Loading<'_>,
    ) -> Self {
        let groups = folder.join("group_vars");
        let hosts = folder.join("host_vars");
        Self {
            groups: read_named(&groups, &format!("{whose} group_vars"), loading, &|name| {
                inventory.groups.contains_key(name)
            }),
            hosts: read_named(&hosts, &format!("{whose} host_vars"), loading, &|name| {
                inventory.hosts.contains_key(name) || super::LOCALHOST.contains(&name)
            }),
        }
    }
}

fn read_named(
    folder: &Path,
    what: &str,
    loading: &mut Loading<'_>,
    is_known: &dyn Fn(&str) -> bool,
) -> HashMap<String, Arc<Layer>> {
    let mut layers = HashMap::new();
    if !loading.files.is_dir(folder) {
        return layers;
    }
    let Some(entries) = list(folder, loading) else { return layers };
    for ending in ENDINGS {
        for entry in &entries {
            let path = folder.join(entry);
            let is_dir = loading.files.is_dir(&path);
            let has_ending = ENDINGS.iter().skip(1).any(|end| entry.ends_with(end));
            let name = match entry.strip_suffix(ending) {
                Some(name) if ending.is_empty() && (is_dir || !has_ending) => name,
                Some(name) if !ending.is_empty() && !is_dir => name,
                Some(_) | None => continue,
            };
            if name.is_empty() || entry.starts_with('.') || layers.contains_key(name) {
                continue;
            }
            let mut paths = Vec::new();
            if is_dir {
                collect(&path, &mut paths, loading);
            } else {
                paths.push(path);
            }
            let mut findings = Findings::default();
            let layer = read_files(&paths, &format!("{what} of {name}"), loading, &mut findings);
            for mut one in findings.0 {
                if !is_known(name) {
                    // Ansible never looks at these; a host or group added later would, so it is said and not refused.
                    one.severity = Severity::Warning;
                }
                loading.findings.push(one);
            }
            layers.insert(name.to_owned(), Arc::new(layer));
        }
    }
    layers
}

fn list(folder: &Path, loading: &mut Loading<'_>) -> Option<Vec<String>> {
    match loading.files.list(folder) {
        Ok(names) => Some(names),
        Err(error) => {
            let message = format!("cannot read folder {}: {error}", folder.display());
            loading.findings.push(Diagnostic::error(message));
            None
        }
    }
}

/// Finds the files of a folder and of folders in it, in name order; hidden files, backups and other endings are left out.
fn collect(folder: &Path, into: &mut Vec<PathBuf>, loading: &mut Loading<'_>) {
    for name in list(folder, loading).unwrap_or_default() {
        if name.starts_with('.') || name.ends_with('~') {
            continue;
        }
        let path = folder.join(&name);
        let ending = path.extension().map(|end| format!(".{}", end.to_string_lossy()));
        let ending = ending.unwrap_or_default();
        if loading.files.is_dir(&path) {
            if ending.is_empty() {
                collect(&path, into, loading);
            }
        } else if ENDINGS.contains(&ending.as_str()) {
            into.push(path);
        }
    }
}

/// Reads variables files, later ones winning.
fn read_files(
    paths: &[PathBuf],
    what: &str,
    loading: &Loading<'_>,
    findings: &mut Findings,
) -> Layer {
    let mut layer = Layer::default();
    for path in paths {
        let text = match loading.files.read_text(path) {
            Ok(text) => text,
            Err(error) => {
                let message = format!("cannot read {}: {error}", path.display());
                findings.push(Diagnostic::error(message));
                continue;
            }
        };
        let file = loading.sources.add(path, text.as_str());
        let (node, warnings) = match parse_one_with_warnings(loading.sources, file) {
            Ok(read) => read,
            Err(error) => {
                findings.push(error);
                continue;
            }
        };
        findings.0.extend(warnings);
        match node.as_map() {
            Some(entries) => layer.values.extend(Layer::written(entries, what).values),
            None if node.is_null() => {}
            None => findings.push(
                Diagnostic::error(format!(
                    "a variables file must hold a dictionary, found: {}",
                    node.type_name()
                ))
                .at(node.span, "")
                .hint("write 'name: value' lines"),
            ),
        }
    }
    layer
}
