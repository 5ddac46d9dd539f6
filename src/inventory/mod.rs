//! The inventory: hosts, groups, and their variables as written.
//!
//! Lives here: INI (`ini.rs`, `literal.rs`), YAML (`tree.rs`), program (`program.rs`) and host-list sources,
//! `group_vars/` and `host_vars/` (`folder.rs`), ranges and ports (`address.rs`), host patterns (`pattern.rs`), and the
//! views of `matron inventory` (`view.rs`). Does not: resolving values (vars), connecting.
//! Only `load.rs` and `folder.rs` read files, through [`crate::source::Files`]; programs run through [`Programs`].

mod address;
mod folder;
mod ini;
mod literal;
mod load;
mod pattern;
mod program;
#[cfg(test)]
mod tests;
mod tree;
mod view;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};
use minijinja::Value;

pub use load::{NoPrograms, ProgramOutput, Programs};
pub use pattern::{Matched, PatternError};

use crate::names::HostName;
use crate::source::Span;
use crate::vars::{Layer, Layers, Origin, Rank, Variable};
use crate::yaml::Node;
use folder::VarsFolder;

/// Names that mean this machine when the inventory does not define them.
pub const LOCALHOST: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// One host.
#[derive(Clone, Debug)]
pub struct Host {
    /// Its name.
    pub name: HostName,
    /// Groups that name it directly, in order.
    pub groups: IndexSet<String>,
    vars: Arc<Layer>,
    source: Option<PathBuf>,
}

/// One group.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Hosts it names directly, in order.
    pub hosts: IndexSet<HostName>,
    /// Groups directly below it, in order.
    pub children: IndexSet<String>,
    /// Groups directly above it.
    pub parents: IndexSet<String>,
    /// `ansible_group_priority`: of two groups at one depth the higher wins.
    pub priority: i64,
    vars: Arc<Layer>,
}

/// Hosts and groups with their variables; `all` and `ungrouped` always exist.
#[derive(Clone, Debug)]
pub struct Inventory {
    hosts: IndexMap<HostName, Host>,
    groups: IndexMap<String, Group>,
    sources: Vec<PathBuf>,
    folders: Vec<Arc<VarsFolder>>,
    playbook_folders: HashMap<PathBuf, Arc<VarsFolder>>,
    implicit_localhost: Arc<Layer>,
}

/// Why a group could not become another's child.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// A group below itself.
    #[error("can't add group to itself")]
    Itself,
    /// A group below one of its own children.
    #[error("adding group '{child}' as child to '{parent}' creates a recursive dependency loop")]
    Loop {
        /// The group that was to be below.
        child: String,
        /// The group that was to be above.
        parent: String,
    },
}

impl Default for Inventory {
    fn default() -> Self {
        let local = [("ansible_connection".to_owned(), Value::from("local"))];
        let mut inventory = Self {
            hosts: IndexMap::new(),
            groups: IndexMap::new(),
            sources: Vec::new(),
            folders: Vec::new(),
            playbook_folders: HashMap::new(),
            implicit_localhost: Arc::new(Layer::data(local, "implicit localhost")),
        };
        inventory.ensure_group("all");
        inventory.ensure_group("ungrouped");
        inventory.settle();
        inventory
    }
}

impl Inventory {
    /// Returns all hosts in inventory order: as the groups under `all` name them, level by level.
    pub fn hosts(&self) -> impl Iterator<Item = &HostName> {
        self.hosts_of("all").into_iter()
    }

    /// Returns all groups, `all` and `ungrouped` included, in the order they were first named.
    pub fn groups(&self) -> &IndexMap<String, Group> {
        &self.groups
    }

    /// Returns a host that the inventory names.
    pub fn host(&self, name: &str) -> Option<&Host> {
        self.hosts.get(name)
    }

    /// Returns the hosts of a group and of all groups below it, level by level, each once.
    pub fn hosts_of(&self, group: &str) -> Vec<&HostName> {
        let mut found: IndexSet<&HostName> = IndexSet::new();
        let mut level: IndexSet<&str> = IndexSet::from([group]);
        let mut seen: IndexSet<&str> = level.clone();
        while !level.is_empty() {
            let mut next: IndexSet<&str> = IndexSet::new();
            for group in level.iter().filter_map(|name| self.groups.get(*name)) {
                found.extend(&group.hosts);
                next.extend(group.children.iter().map(String::as_str));
            }
            next.retain(|name| seen.insert(name));
            level = next;
        }
        found.into_iter().collect()
    }

    /// Returns the names of all groups a host is in, sorted, without `all` (`group_names`).
    pub fn group_names(&self, host: &HostName) -> Vec<String> {
        let mut names: Vec<String> = self
            .ancestors(host)
            .into_iter()
            .filter(|name| *name != "all")
            .map(str::to_owned)
            .collect();
        names.sort();
        names
    }

    /// Returns where hosts and groups were read from, as given.
    pub fn sources(&self) -> &[PathBuf] {
        &self.sources
    }

    /// Returns the source that first named a host (`inventory_file`).
    pub fn inventory_file(&self, host: &HostName) -> Option<&Path> {
        self.hosts.get(host)?.source.as_deref()
    }

    /// Returns the folder of the source that first named a host (`inventory_dir`); none for a host list.
    pub fn inventory_dir(&self, host: &HostName) -> Option<&Path> {
        let file = self.inventory_file(host)?;
        if file.to_string_lossy().contains(',') {
            return None;
        }
        file.parent().map(|dir| if dir.as_os_str().is_empty() { Path::new(".") } else { dir })
    }

    /// Adds a host's inventory variables at the ranks of groups and host; `localhost` need not be in the inventory.
    ///
    /// `playbook_dir` must have been given to [`Inventory::load_group_vars`] before.
    pub fn push_layers(&self, host: &HostName, playbook_dir: Option<&Path>, layers: &mut Layers) {
        let playbook = playbook_dir.and_then(|dir| self.playbook_folders.get(dir));
        let folders = || self.folders.iter().chain(playbook);
        if let Some(all) = self.groups.get("all") {
            layers.push(Rank::GroupAll, all.vars.clone());
        }
        for layer in folders().filter_map(|folder| folder.group("all")) {
            layers.push(Rank::GroupAll, layer.clone());
        }
        let groups = self.groups_by_strength(host);
        for group in &groups {
            layers.push(Rank::Groups, group.vars.clone());
        }
        for folder in folders() {
            for layer in groups.iter().filter_map(|group| folder.group(&group.name)) {
                layers.push(Rank::Groups, layer.clone());
            }
        }
        // Only this machine's own names mean this machine; any other name that stands in no inventory is a host to log in to.
        let local = matches!(host.as_str(), "localhost" | "127.0.0.1" | "::1");
        let own = self.hosts.get(host).map(|host| &host.vars);
        if let Some(own) = own.or_else(|| local.then_some(&self.implicit_localhost)) {
            layers.push(Rank::Host, own.clone());
        }
        for layer in folders().filter_map(|folder| folder.host(host.as_str())) {
            layers.push(Rank::Host, layer.clone());
        }
    }

    /// Adds a host at run time (`add_host`), or variables and groups to a host that exists; tells whether anything changed.
    pub fn add_host(
        &mut self,
        name: &HostName,
        groups: &[String],
        vars: impl IntoIterator<Item = (String, Value)>,
    ) -> bool {
        let mut changed = self.ensure_host(name, None);
        for group in groups {
            changed |= self.ensure_group(group);
            changed |= self.join(name, group);
        }
        let origin = Origin { what: Arc::from("add_host"), span: None };
        if let Some(host) = self.hosts.get_mut(name) {
            let layer = Arc::make_mut(&mut host.vars);
            for (key, value) in vars {
                let same = matches!(
                    layer.values.get(key.as_str()),
                    Some((Variable::Data(known), _)) if *known == value
                );
                changed |= !same;
                layer.values.insert(Arc::from(key), (Variable::Data(value), origin.clone()));
            }
        }
        self.settle();
        changed
    }

    /// Adds a group at run time (`group_by`) below its parents, or below `all`; tells whether anything changed.
    pub fn add_group(&mut self, name: &str, parents: &[String]) -> Result<bool, GroupError> {
        let mut changed = self.ensure_group(name);
        for parent in parents.iter().filter(|parent| parent.as_str() != "all") {
            changed |= self.ensure_group(parent);
            changed |= self.link(parent, name)?;
        }
        self.settle();
        Ok(changed)
    }

    /// Puts a known host into a group, which is made when it is new; tells whether anything changed.
    pub fn add_to_group(&mut self, host: &HostName, group: &str) -> bool {
        if !self.hosts.contains_key(host) {
            return false;
        }
        let mut changed = self.ensure_group(group);
        changed |= self.join(host, group);
        self.settle();
        changed
    }

    fn ensure_group(&mut self, name: &str) -> bool {
        if self.groups.contains_key(name) {
            return false;
        }
        let group = Group {
            name: name.to_owned(),
            hosts: IndexSet::new(),
            children: IndexSet::new(),
            parents: IndexSet::new(),
            priority: 1,
            vars: Arc::new(Layer::default()),
        };
        self.groups.insert(name.to_owned(), group);
        true
    }

    /// Adds a host that is not there yet.
    fn ensure_host(&mut self, name: &HostName, source: Option<&Path>) -> bool {
        if self.hosts.contains_key(name) {
            return false;
        }
        let host = Host {
            name: name.clone(),
            groups: IndexSet::new(),
            vars: Arc::new(Layer::default()),
            source: source.map(Path::to_path_buf),
        };
        self.hosts.insert(name.clone(), host);
        true
    }

    fn join(&mut self, host: &HostName, group: &str) -> bool {
        let (Some(known), Some(members)) = (self.hosts.get_mut(host), self.groups.get_mut(group))
        else {
            return false;
        };
        known.groups.insert(group.to_owned());
        members.hosts.insert(host.clone())
    }

    fn leave(&mut self, host: &HostName, group: &str) {
        if let Some(known) = self.hosts.get_mut(host) {
            known.groups.shift_remove(group);
        }
        if let Some(members) = self.groups.get_mut(group) {
            members.hosts.shift_remove(host);
        }
    }

    /// Puts one existing group below another; `Ok(false)` when it is there already.
    fn link(&mut self, parent: &str, child: &str) -> Result<bool, GroupError> {
        if parent == child {
            return Err(GroupError::Itself);
        }
        if self.is_above(child, parent) {
            return Err(GroupError::Loop { child: child.to_owned(), parent: parent.to_owned() });
        }
        if let Some(below) = self.groups.get_mut(child) {
            below.parents.insert(parent.to_owned());
        }
        Ok(self.groups.get_mut(parent).is_some_and(|above| above.children.insert(child.to_owned())))
    }

    fn is_above(&self, above: &str, below: &str) -> bool {
        let mut waiting = vec![below];
        let mut seen = IndexSet::new();
        while let Some(name) = waiting.pop() {
            if name == above {
                return true;
            }
            if seen.insert(name) {
                waiting.extend(
                    self.groups.get(name).into_iter().flat_map(|g| &g.parents).map(String::as_str),
                );
            }
        }
        false
    }

    /// Restores what always holds: every group is below `all`, `ungrouped` has exactly the hosts of no other group.
    fn settle(&mut self) {
        let orphans: Vec<String> = self
            .groups
            .values()
            .filter(|group| group.name != "all" && group.parents.is_empty())
            .map(|group| group.name.clone())
            .collect();
        for name in orphans {
            if let Some(group) = self.groups.get_mut(&name) {
                group.parents.insert("all".to_owned());
            }
            if let Some(all) = self.groups.get_mut("all") {
                all.children.insert(name);
            }
        }
        let names: Vec<HostName> = self.hosts.keys().cloned().collect();
        for name in names {
            let Some(host) = self.hosts.get(&name) else { continue };
            let grouped = host.groups.iter().any(|g| g != "all" && g != "ungrouped");
            if grouped {
                self.leave(&name, "ungrouped");
            } else {
                self.join(&name, "ungrouped");
            }
        }
    }

    /// Returns all groups above a host, `all` included.
    fn ancestors(&self, host: &HostName) -> IndexSet<&str> {
        let mut found = IndexSet::new();
        let Some(host) = self.hosts.get(host) else { return found };
        let mut waiting: Vec<&str> = host.groups.iter().map(String::as_str).collect();
        while let Some(name) = waiting.pop() {
            if let Some(group) = self.groups.get(name)
                && found.insert(name)
            {
                waiting.extend(group.parents.iter().map(String::as_str));
            }
        }
        found
    }

    /// Returns a host's groups without `all`, weakest first: by depth, then priority, then name.
    fn groups_by_strength(&self, host: &HostName) -> Vec<&Group> {
        let depths = self.depths(host);
        let mut groups: Vec<(usize, &Group)> = depths
            .iter()
            .filter(|(name, _)| **name != "all")
            .filter_map(|(name, depth)| self.groups.get(*name).map(|group| (*depth, group)))
            .collect();
        groups.sort_by(|(a_depth, a), (b_depth, b)| {
            (a_depth, a.priority, &a.name).cmp(&(b_depth, b.priority, &b.name))
        });
        groups.into_iter().map(|(_, group)| group).collect()
    }

    /// Returns all groups above a host with the length of their longest way from `all`.
    ///
    /// Links never make a circle, so each round finishes at least one group; no recursion, since a file may chain thousands.
    fn depths(&self, host: &HostName) -> HashMap<&str, usize> {
        let names = self.ancestors(host);
        let mut below: HashMap<&str, Vec<&str>> = HashMap::new();
        let mut waiting_for: HashMap<&str, usize> = HashMap::new();
        for group in names.iter().filter_map(|name| self.groups.get(*name)) {
            waiting_for.insert(&group.name, group.parents.len());
            for parent in &group.parents {
                below.entry(parent).or_default().push(&group.name);
            }
        }
        let mut depths: HashMap<&str, usize> = HashMap::new();
        let mut ready: Vec<&str> =
            waiting_for.iter().filter(|(_, count)| **count == 0).map(|(name, _)| *name).collect();
        while let Some(name) = ready.pop() {
            let depth = *depths.entry(name).or_default();
            for child in below.get(name).into_iter().flatten() {
                let deeper = depths.entry(child).or_default();
                *deeper = (*deeper).max(depth + 1);
                if let Some(count) = waiting_for.get_mut(child) {
                    *count = count.saturating_sub(1);
                    if *count == 0 {
                        ready.push(child);
                    }
                }
            }
        }
        depths
    }

    fn set_host_var(&mut self, host: &HostName, key: &str, value: Node, at: Span) {
        let Some(host) = self.hosts.get_mut(host) else { return };
        let what = format!("inventory vars of host {}", host.name);
        let origin = Origin { what: Arc::from(what), span: Some(at) };
        let layer = Arc::make_mut(&mut host.vars);
        layer.values.insert(Arc::from(key), (Variable::Written(value), origin));
    }

    /// Sets a group variable; `ansible_group_priority` is no variable but the group's priority. `Err` when that is no number.
    fn set_group_var(&mut self, group: &str, key: &str, value: Node, at: Span) -> Result<(), ()> {
        let Some(group) = self.groups.get_mut(group) else { return Ok(()) };
        if key == "ansible_group_priority" {
            let number = value.as_int().or_else(|| value.raw()?.parse().ok());
            group.priority = number.ok_or(())?;
            return Ok(());
        }
        let what = format!("inventory vars of group {}", group.name);
        let origin = Origin { what: Arc::from(what), span: Some(at) };
        let layer = Arc::make_mut(&mut group.vars);
        layer.values.insert(Arc::from(key), (Variable::Written(value), origin));
        Ok(())
    }
}
