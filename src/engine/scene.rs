//! What tasks share: the run as a whole, and one play on one batch of hosts.

#![expect(clippy::similar_names, reason = "a play and its plan are what they are called")]

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use indexmap::IndexMap;
use minijinja::Value;
use serde_json::{Map, Value as Json};

use crate::engine::World;
use crate::engine::compile::{PlayPlan, RoleView, TaskPlan};
use crate::engine::locks::Locks;
use crate::engine::magic;
use crate::engine::strategy::started;
use crate::engine::view::value_of;
use crate::event::{Event, NoteLevel, Tally};
use crate::inventory::Inventory;
use crate::names::HostName;
use crate::playbook::Loader;
use crate::playbook::tags::Selection;
use crate::remote::Fleet;
use crate::template::Templar;
use crate::vars::{Layer, Layers, Origin, Rank, Variable};

/// Everything that lives as long as a run.
pub(crate) struct Run {
    pub(crate) world: World,
    pub(crate) templar: Templar,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) loader: Loader,
    /// Locks on hosts, given back when the run ends.
    pub(crate) locks: Locks,
    pub(crate) tags: Selection,
    pub(crate) ids: AtomicU64,
    /// Whether anything can read facts.
    pub(crate) facts_wanted: bool,
    /// Magic variables that never change.
    pub(crate) magic: Arc<Layer>,
    inventory: RwLock<Inventory>,
    memory: RwLock<HashMap<HostName, Memory>>,
    bases: RwLock<HashMap<(HostName, PathBuf), Layers>>,
    groups: RwLock<Option<Value>>,
    tallies: Mutex<IndexMap<HostName, Tally>>,
    stats: Mutex<Map<String, Json>>,
    gone: Mutex<HashSet<HostName>>,
    unreachable: Mutex<HashSet<HostName>>,
    stop: Mutex<Option<String>>,
    vars_files: Mutex<HashMap<PathBuf, Arc<Layer>>>,
}

/// What a run remembers of a host.
#[derive(Clone, Default)]
struct Memory {
    facts: Map<String, Json>,
    facts_layer: Arc<Layer>,
    set: Arc<Layer>,
    included: Arc<Layer>,
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Run {
    /// Makes the shared state of a run.
    pub(crate) fn new(
        world: World,
        templar: Templar,
        fleet: Arc<Fleet>,
        loader: Loader,
        inventory: Inventory,
        facts_wanted: bool,
    ) -> Self {
        let tags = Selection::new(&world.options.tags, &world.options.skip_tags);
        let magic = Arc::new(magic::of_run(&world, &inventory));
        let (person, purpose) = (&world.person, &world.options.purpose);
        let holder = format!("{}@{} ({purpose})", person.user, person.hostname);
        Self {
            world,
            templar,
            fleet,
            loader,
            locks: Locks::new(holder),
            tags,
            ids: AtomicU64::new(1),
            facts_wanted,
            magic,
            inventory: RwLock::new(inventory),
            memory: RwLock::default(),
            bases: RwLock::default(),
            groups: RwLock::default(),
            tallies: Mutex::default(),
            stats: Mutex::default(),
            gone: Mutex::default(),
            unreachable: Mutex::default(),
            stop: Mutex::default(),
            vars_files: Mutex::default(),
        }
    }

    /// Sends an event.
    pub(crate) fn emit(&self, event: Event) {
        self.world.events.take(&event);
    }

    /// Sends a warning.
    pub(crate) fn warn(&self, text: impl Into<String>) {
        let text = self.world.redactor.redact(&text.into());
        self.emit(Event::Note { level: NoteLevel::Warning, text });
    }

    /// Reads the inventory.
    pub(crate) fn inventory(&self) -> RwLockReadGuard<'_, Inventory> {
        read(&self.inventory)
    }

    /// Changes the inventory; all that was derived from it is forgotten.
    pub(crate) fn change_inventory(&self, change: impl FnOnce(&mut Inventory)) {
        change(&mut write(&self.inventory));
        write(&self.bases).clear();
        *write(&self.groups) = None;
    }

    /// Returns a file of `vars_files`, read once a run.
    pub(crate) fn vars_file<E>(
        &self,
        path: &std::path::Path,
        read: impl FnOnce() -> Result<Layer, E>,
    ) -> Result<Arc<Layer>, E> {
        if let Some(layer) = lock(&self.vars_files).get(path) {
            return Ok(layer.clone());
        }
        let layer = Arc::new(read()?);
        lock(&self.vars_files).insert(path.to_owned(), layer.clone());
        Ok(layer)
    }

    /// Returns `groups`.
    pub(crate) fn groups(&self) -> Value {
        if let Some(value) = &*read(&self.groups) {
            return value.clone();
        }
        let value = magic::groups(&self.inventory());
        *write(&self.groups) = Some(value.clone());
        value
    }

    /// Returns the inventory's layers of a host, shared between tasks.
    pub(crate) fn base(&self, host: &HostName, playbook_dir: &std::path::Path) -> Layers {
        let key = (host.clone(), playbook_dir.to_owned());
        if let Some(layers) = read(&self.bases).get(&key) {
            return layers.clone();
        }
        let mut layers = Layers::default();
        layers.merge_hashes(self.world.options.defaults.merge_hashes);
        let inventory = self.inventory();
        inventory.push_layers(host, Some(playbook_dir), &mut layers);
        layers.push(Rank::Magic, Arc::new(magic::of_host(&inventory, host)));
        drop(inventory);
        layers.push(Rank::Magic, self.magic.clone());
        layers.push(Rank::Extra, self.world.extra.clone());
        write(&self.bases).insert(key, layers.clone());
        layers
    }

    /// Tells whether facts of a host were gathered.
    pub(crate) fn has_facts(&self, host: &HostName) -> bool {
        read(&self.memory).get(host).is_some_and(|known| !known.facts_layer.values.is_empty())
    }

    /// Pushes what the run knows of a host: facts, set facts and results, included variables.
    pub(crate) fn push_memory(&self, host: &HostName, layers: &mut Layers) {
        let memory = read(&self.memory);
        match memory.get(host) {
            Some(known) => {
                if known.facts_layer.values.is_empty() {
                    layers.push(Rank::Facts, magic::no_facts());
                } else {
                    layers.push(Rank::Facts, known.facts_layer.clone());
                }
                layers.push(Rank::IncludeVars, known.included.clone());
                layers.push(Rank::SetFacts, known.set.clone());
            }
            None => layers.push(Rank::Facts, magic::no_facts()),
        }
    }

    /// Adds facts to a host; `prefixed` says that they are also seen as `ansible_NAME` rather than as `NAME`.
    pub(crate) fn add_facts(&self, host: &HostName, facts: &Map<String, Json>, prefixed: bool) {
        let mut memory = write(&self.memory);
        let known = memory.entry(host.clone()).or_default();
        let mut layer = Layer::clone(&known.facts_layer);
        for (name, value) in facts {
            let bare = name.strip_prefix("ansible_").unwrap_or(name);
            known.facts.insert(bare.to_owned(), value.clone());
            let seen = if prefixed { format!("ansible_{bare}") } else { name.clone() };
            put(&mut layer, &seen, value_of(value), "facts");
        }
        put(&mut layer, "ansible_facts", value_of(&known.facts), "facts");
        known.facts_layer = Arc::new(layer);
    }

    /// Forgets the facts of a host (`meta: clear_facts`).
    pub(crate) fn clear_facts(&self, host: &HostName) {
        if let Some(known) = write(&self.memory).get_mut(host) {
            known.facts.clear();
            known.facts_layer = Arc::default();
        }
    }

    /// Sets variables at the rank of `set_fact` and `register`.
    pub(crate) fn set(&self, host: &HostName, values: Vec<(String, Value)>, what: &str) {
        let mut memory = write(&self.memory);
        let known = memory.entry(host.clone()).or_default();
        let layer = Arc::make_mut(&mut known.set);
        for (name, value) in values {
            put(layer, &name, value, what);
        }
    }

    /// Sets variables at the rank of `include_vars`.
    pub(crate) fn include(&self, host: &HostName, values: &[(Arc<str>, (Variable, Origin))]) {
        let mut memory = write(&self.memory);
        let known = memory.entry(host.clone()).or_default();
        let layer = Arc::make_mut(&mut known.included);
        for (name, value) in values {
            layer.values.insert(name.clone(), value.clone());
        }
    }

    /// Counts something for a host.
    pub(crate) fn count(&self, host: &HostName, add: impl FnOnce(&mut Tally)) {
        add(lock(&self.tallies).entry(host.clone()).or_default());
    }

    /// Returns the recap, in inventory order, then others as they came.
    pub(crate) fn recap(&self) -> Vec<(HostName, Tally)> {
        let mut all = lock(&self.tallies).clone();
        let mut recap = Vec::new();
        for host in self.inventory().hosts() {
            if let Some(tally) = all.shift_remove(host) {
                recap.push((host.clone(), tally));
            }
        }
        recap.extend(all);
        recap
    }

    /// Keeps figures of `set_stats`.
    pub(crate) fn add_stats(&self, host: &HostName, data: &Map<String, Json>, per_host: bool) {
        let key = if per_host { host.as_str() } else { "_run" };
        let mut stats = lock(&self.stats);
        let entry = stats.entry(key).or_insert_with(|| Json::Object(Map::new()));
        if let Json::Object(map) = entry {
            map.extend(data.clone());
        }
    }

    /// Returns the figures of `set_stats`.
    pub(crate) fn stats(&self) -> Map<String, Json> {
        lock(&self.stats).clone()
    }

    /// Takes a host out of the rest of the run.
    pub(crate) fn drop_host(&self, host: &HostName, unreachable: bool) {
        if unreachable {
            lock(&self.unreachable).insert(host.clone());
        } else {
            lock(&self.gone).insert(host.clone());
        }
    }

    /// Tells whether a host is out.
    pub(crate) fn is_out(&self, host: &HostName) -> bool {
        lock(&self.gone).contains(host) || lock(&self.unreachable).contains(host)
    }

    /// Counts hosts that are out: failed, unreachable.
    pub(crate) fn out(&self) -> (usize, usize) {
        (lock(&self.gone).len(), lock(&self.unreachable).len())
    }

    /// `meta: clear_host_errors`.
    pub(crate) fn forgive(&self) {
        lock(&self.gone).clear();
        lock(&self.unreachable).clear();
    }

    /// Ends the run with an error of the project (a handler nobody defined).
    pub(crate) fn stop_with(&self, message: String) {
        lock(&self.stop).get_or_insert(message);
    }

    /// Returns the error that ends the run.
    pub(crate) fn stopped(&self) -> Option<String> {
        lock(&self.stop).clone()
    }
}

fn put(layer: &mut Layer, name: &str, value: Value, what: &str) {
    let origin = Origin { what: Arc::from(what), span: None };
    layer.values.insert(Arc::from(name), (Variable::Data(value), origin));
}

/// Hosts of a play, as magic variables tell them.
#[derive(Default)]
struct Lists {
    all: Vec<HostName>,
    batch: Vec<HostName>,
    layer: Arc<Layer>,
}

/// One play on one batch of hosts.
pub(crate) struct Scene {
    pub(crate) run: Arc<Run>,
    pub(crate) plan: Arc<PlayPlan>,
    /// `vars_prompt`.
    pub(crate) prompt: Arc<Layer>,
    /// Magic variables of the play.
    pub(crate) magic: Arc<Layer>,
    /// `vars_files`, per host (their names may hold templates).
    files: RwLock<HashMap<HostName, Vec<Arc<Layer>>>>,
    lists: RwLock<Lists>,
    /// Without lockstep: the task whose results are being shown, and warnings given.
    shown_task: Option<Mutex<u64>>,
    warned: Mutex<HashSet<&'static str>>,
    public_roles: RwLock<Vec<Arc<RoleView>>>,
    handlers: RwLock<Arc<Vec<Arc<TaskPlan>>>>,
    throttles: Mutex<HashMap<u64, Arc<tokio::sync::Semaphore>>>,
    /// Hosts at work at once.
    pub(crate) forks: Arc<tokio::sync::Semaphore>,
    /// Set by `any_errors_fatal`, `end_play` and the like under strategies without lockstep.
    pub(crate) ended: tokio_util::sync::CancellationToken,
}

impl Scene {
    /// Makes the scene of a play.
    pub(crate) fn new(
        run: &Arc<Run>,
        plan: Arc<PlayPlan>,
        prompt: Arc<Layer>,
        lockstep: bool,
    ) -> Arc<Self> {
        Arc::new_cyclic(|weak| Self {
            run: run.clone(),
            prompt,
            magic: Arc::new(magic::of_play(&plan, weak.clone())),
            files: RwLock::default(),
            lists: RwLock::default(),
            shown_task: (!lockstep).then(Mutex::default),
            warned: Mutex::default(),
            public_roles: RwLock::new(plan.public_roles.clone()),
            handlers: RwLock::new(Arc::new(plan.handlers.clone())),
            throttles: Mutex::default(),
            forks: Arc::new(tokio::sync::Semaphore::new(run.world.options.forks.max(1))),
            ended: tokio_util::sync::CancellationToken::new(),
            plan,
        })
    }

    /// Sets the hosts of the play and of this batch.
    pub(crate) fn set_lists(&self, all: &[HostName], batch: &[HostName]) {
        let mut lists = write(&self.lists);
        lists.all = all.to_vec();
        lists.batch = batch.to_vec();
        lists.layer = Arc::new(magic::of_batch(all, batch, batch));
    }

    /// Sets the hosts of this batch that are left.
    pub(crate) fn set_alive(&self, alive: &[HostName]) {
        let mut lists = write(&self.lists);
        lists.layer = Arc::new(magic::of_batch(&lists.all, &lists.batch, alive));
    }

    /// Sends an event of a task on a host. Without lockstep hosts are at different tasks: a task is named before its
    /// result whenever another was before it, so that no result stands under the name of another task.
    pub(crate) fn emit_of(&self, host: &HostName, plan: &TaskPlan, event: Event) {
        match &self.shown_task {
            None => self.run.emit(event),
            Some(shown) => {
                let mut shown = lock(shown);
                if std::mem::replace(&mut *shown, plan.id) != plan.id {
                    self.run.emit(started(self, host, plan));
                }
                self.run.emit(event);
            }
        }
    }

    /// Warns, once a play.
    pub(crate) fn warn_once(&self, text: &'static str) {
        if lock(&self.warned).insert(text) {
            self.run.warn(text);
        }
    }

    /// Sets the files of `vars_files` for a host.
    pub(crate) fn set_files(&self, host: &HostName, layers: Vec<Arc<Layer>>) {
        write(&self.files).insert(host.clone(), layers);
    }

    /// Returns the handlers known now.
    pub(crate) fn handlers(&self) -> Arc<Vec<Arc<TaskPlan>>> {
        read(&self.handlers).clone()
    }

    /// Adds the handlers of a role included at run time, once.
    pub(crate) fn add_handlers(&self, view: &RoleView, make: impl FnOnce(&mut Vec<Arc<TaskPlan>>)) {
        let mut handlers = write(&self.handlers);
        let known = handlers
            .iter()
            .any(|plan| plan.lineage.role.as_ref().is_some_and(|other| other.path == view.path));
        if !known {
            make(Arc::make_mut(&mut handlers));
        }
    }

    /// Makes a role's variables visible to the rest of the play.
    pub(crate) fn publish(&self, view: &Arc<RoleView>) {
        write(&self.public_roles).push(view.clone());
    }

    /// Returns the gate of a task with `throttle`.
    pub(crate) fn throttle(&self, task: u64, width: usize) -> Arc<tokio::sync::Semaphore> {
        lock(&self.throttles)
            .entry(task)
            .or_insert_with(|| Arc::new(tokio::sync::Semaphore::new(width.max(1))))
            .clone()
    }

    /// Returns the variables of a host: as the play sees it, and as a task of it does.
    pub(crate) fn layers(&self, host: &HostName, plan: Option<&TaskPlan>) -> Layers {
        let play = &self.plan.play;
        let mut layers = self.run.base(host, &play.playbook_dir);
        self.run.push_memory(host, &mut layers);
        layers.push(Rank::PlayVars, self.plan.vars.clone());
        layers.push(Rank::PlayPrompt, self.prompt.clone());
        if let Some(files) = read(&self.files).get(host) {
            for file in files {
                layers.push(Rank::PlayFiles, file.clone());
            }
        }
        for role in read(&self.public_roles).iter() {
            for layer in &role.defaults {
                layers.push(Rank::RoleDefaults, layer.clone());
            }
            for layer in &role.vars {
                layers.push(Rank::RoleVars, layer.clone());
            }
        }
        layers.push(Rank::Magic, self.magic.clone());
        layers.push(Rank::Magic, read(&self.lists).layer.clone());
        layers.push(Rank::Magic, magic::live(self));
        if let Some(plan) = plan {
            push_task(plan, play, &mut layers);
        }
        layers
    }
}

fn push_task(plan: &TaskPlan, play: &crate::playbook::Play, layers: &mut Layers) {
    let lineage = &plan.lineage;
    if let Some(role) = &lineage.role {
        for parent in role.parents.iter().rev() {
            for layer in &parent.defaults {
                layers.push(Rank::RoleDefaults, layer.clone());
            }
            for layer in &parent.vars {
                layers.push(Rank::RoleVars, layer.clone());
            }
        }
        for layer in &role.defaults {
            layers.push(Rank::RoleDefaults, layer.clone());
        }
        for layer in &role.vars {
            layers.push(Rank::RoleVars, layer.clone());
        }
        for layer in &role.params {
            layers.push(Rank::RoleParams, layer.clone());
        }
    }
    for layer in &lineage.block_vars {
        layers.push(Rank::BlockVars, layer.clone());
    }
    for layer in &lineage.params {
        layers.push(Rank::RoleParams, layer.clone());
    }
    layers.push(Rank::TaskVars, plan.vars.clone());
    layers.push(Rank::Magic, Arc::new(magic::of_task(plan, play)));
}
