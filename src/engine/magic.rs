//! Magic variables: what a playbook can ask about the run, the play, its host and its task.

#![expect(clippy::similar_names, reason = "a play and its plan are what they are called")]

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};

use minijinja::Value;
use minijinja::value::{Enumerator, Object, ObjectRepr};

use crate::engine::World;
use crate::engine::compile::{PlayPlan, RoleView, TaskPlan};
use crate::engine::scene::Scene;
use crate::inventory::Inventory;
use crate::names::HostName;
use crate::playbook::{Item, Play};
use crate::vars::{Layer, Layers};

/// The version of Ansible whose behaviour is kept.
const ANSIBLE: (u32, u32, u32) = (2, 19, 0);

fn layer(values: impl IntoIterator<Item = (&'static str, Value)>) -> Layer {
    Layer::data(values.into_iter().map(|(name, value)| (name.to_owned(), value)), "magic variable")
}

fn list<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> Value {
    items.into_iter().map(|item| Value::from(item.as_ref())).collect()
}

fn words(given: &[String], default: &[&str]) -> Value {
    let split = given.iter().flat_map(|text| text.split(',')).map(str::trim);
    let mut all: Vec<&str> = split.filter(|tag| !tag.is_empty()).collect();
    if all.is_empty() {
        all.extend(default);
    }
    list(all)
}

/// Returns what never changes in a run.
pub(crate) fn of_run(world: &World, inventory: &Inventory) -> Layer {
    let options = &world.options;
    let (major, minor, revision) = ANSIBLE;
    let full = format!("{major}.{minor}.{revision}");
    let version = Value::from_pairs(vec![
        ("full".to_owned(), Value::from(full.as_str())),
        ("major".to_owned(), Value::from(major)),
        ("minor".to_owned(), Value::from(minor)),
        ("revision".to_owned(), Value::from(revision)),
        ("string".to_owned(), Value::from(full.as_str())),
    ]);
    let sources = inventory.sources().iter().map(|path| path.display().to_string());
    let config_file = options.defaults.config_file.as_ref();
    let config_file =
        config_file.map_or(Value::from(()), |path| Value::from(path.display().to_string()));
    let mut all = vec![
        ("ansible_version", version),
        ("matron_version", Value::from(env!("CARGO_PKG_VERSION"))),
        ("ansible_check_mode", Value::from(options.check)),
        ("ansible_diff_mode", Value::from(options.diff)),
        ("ansible_verbosity", Value::from(options.verbosity)),
        ("ansible_run_tags", words(&options.tags, &["all"])),
        ("ansible_skip_tags", words(&options.skip_tags, &[])),
        ("ansible_forks", Value::from(options.forks)),
        ("ansible_config_file", config_file),
        ("ansible_inventory_sources", sources.map(Value::from).collect()),
        ("ansible_playbook_python", Value::from("/usr/bin/python3")),
        ("omit", crate::template::omit()),
    ];
    if let Some(limit) = &options.limit {
        all.push(("ansible_limit", Value::from(limit.as_str())));
    }
    layer(all)
}

/// Returns what a play tells.
pub(crate) fn of_play(plan: &PlayPlan, scene: Weak<Scene>) -> Layer {
    let play = &plan.play;
    let roles: Vec<String> = play.roles.iter().filter_map(role_name).collect();
    layer([
        ("ansible_play_name", Value::from(play_name(play))),
        ("ansible_play_role_names", list(&roles)),
        ("role_names", list(&roles)),
        ("ansible_role_names", list(&roles)),
        ("ansible_dependent_role_names", list(Vec::<String>::new())),
        ("playbook_dir", Value::from(play.playbook_dir.display().to_string())),
        ("hostvars", Value::from_object(HostVars { scene })),
    ])
}

/// Returns the lists of hosts of a batch.
pub(crate) fn of_batch(all: &[HostName], batch: &[HostName], alive: &[HostName]) -> Layer {
    layer([
        ("ansible_play_hosts_all", list(all)),
        ("ansible_play_batch", list(batch)),
        ("ansible_play_hosts", list(alive)),
        ("play_hosts", list(alive)),
    ])
}

/// Returns what may change between tasks: `groups`.
pub(crate) fn live(scene: &Scene) -> Arc<Layer> {
    Arc::new(layer([("groups", scene.run.groups())]))
}

/// Returns what a host is called and where it stands.
pub(crate) fn of_host(inventory: &Inventory, host: &HostName) -> Layer {
    let mut all = vec![
        ("inventory_hostname", Value::from(host.as_str())),
        ("inventory_hostname_short", Value::from(host.short())),
        ("group_names", list(inventory.group_names(host))),
    ];
    let text = |path: &Path| Value::from(path.display().to_string());
    all.extend(inventory.inventory_file(host).map(|file| ("inventory_file", text(file))));
    all.extend(inventory.inventory_dir(host).map(|folder| ("inventory_dir", text(folder))));
    layer(all)
}

/// Returns what a task's role tells, and where its files are looked for.
pub(crate) fn of_task(plan: &TaskPlan, play: &Play) -> Layer {
    let search = search_path(plan, play).into_iter().map(|path| path.display().to_string());
    let mut all = vec![("ansible_search_path", search.map(Value::from).collect())];
    if let Some(role) = &plan.lineage.role {
        let path = role.path.display().to_string();
        all.push(("role_path", Value::from(path)));
        all.push(("role_name", Value::from(role.name.as_str())));
        all.push(("ansible_role_name", Value::from(role.name.as_str())));
        if !role.parents.is_empty() {
            let names = role.parents.iter().map(|parent| parent.name.as_str());
            all.push(("ansible_parent_role_names", list(names)));
            let paths = role.parents.iter().map(|parent| parent.path.display().to_string());
            all.push(("ansible_parent_role_paths", list(paths)));
        }
    }
    layer(all)
}

/// Returns the folders in which a task's relative files are looked for, nearest first.
pub(crate) fn search_path(plan: &TaskPlan, play: &Play) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    let mut add = |folder: &Path| {
        if !folder.as_os_str().is_empty() && !folders.iter().any(|known| known == folder) {
            folders.push(folder.to_owned());
        }
    };
    let mut role: Vec<&Arc<RoleView>> = plan.lineage.role.iter().collect();
    role.extend(plan.lineage.role.iter().flat_map(|role| role.parents.iter()));
    for view in role {
        add(&view.path);
    }
    add(&plan.task.folder);
    add(&play.playbook_dir);
    folders
}

/// Returns `groups`: every group with its hosts.
pub(crate) fn groups(inventory: &Inventory) -> Value {
    let names = inventory.groups().keys();
    Value::from_pairs(
        names.map(|name| (name.clone(), list(inventory.hosts_of(name)))).collect::<Vec<_>>(),
    )
}

/// Returns the layer of a host without facts: `ansible_facts` is there and empty.
pub(crate) fn no_facts() -> Arc<Layer> {
    static EMPTY: OnceLock<Arc<Layer>> = OnceLock::new();
    EMPTY
        .get_or_init(|| {
            let none: Vec<(String, Value)> = Vec::new();
            Arc::new(layer([("ansible_facts", Value::from_pairs(none))]))
        })
        .clone()
}

/// Returns a play's name, or its pattern when it has none.
pub(crate) fn play_name(play: &Play) -> String {
    let name = play.name.as_ref().and_then(|node| node.raw()).unwrap_or_default();
    if name.is_empty() { pattern_text(play) } else { name.to_owned() }
}

/// Returns a play's pattern as one text.
pub(crate) fn pattern_text(play: &Play) -> String {
    match play.hosts.as_seq() {
        Some(items) => items.iter().filter_map(|item| item.raw()).collect::<Vec<_>>().join(","),
        None => play.hosts.raw().unwrap_or_default().to_owned(),
    }
}

fn role_name(item: &Item) -> Option<String> {
    match item {
        Item::Block(block) => block.role.as_ref().map(|usage| usage.role.name.clone()),
        Item::Task(_) => None,
    }
}

/// `hostvars`: the variables of every host, made when asked for.
#[derive(Debug)]
struct HostVars {
    scene: Weak<Scene>,
}

impl std::fmt::Debug for Scene {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scene")
    }
}

impl Object for HostVars {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let scene = self.scene.upgrade()?;
        let name = key.as_str()?;
        let host = HostName::new(name);
        let known = scene.run.inventory().hosts().any(|known| *known == host);
        let is_local = matches!(name, "localhost" | "127.0.0.1" | "::1");
        if !known && !is_local {
            return None;
        }
        let mut layers: Layers = scene.run.base(&host, &scene.plan.play.playbook_dir);
        scene.run.push_memory(&host, &mut layers);
        let playbook_dir = Value::from(scene.plan.play.playbook_dir.display().to_string());
        let rest = layer([("groups", scene.run.groups()), ("playbook_dir", playbook_dir)]);
        layers.push(crate::vars::Rank::Magic, Arc::new(rest));
        Some(crate::vars::scope(Arc::new(layers), &scene.run.templar))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let Some(scene) = self.scene.upgrade() else { return Enumerator::Empty };
        let names = scene.run.inventory().hosts().map(|host| Value::from(host.as_str())).collect();
        Enumerator::Values(names)
    }
}
