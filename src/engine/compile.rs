//! Flattens a play into a tree that a host walks: keywords inherited, conditions of blocks copied down, tags decided,
//! roles with their variables. Done once a play (and once for each file included), never once a host.

#![expect(clippy::similar_names, reason = "a play and its plan are what they are called")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::playbook::tags::Selection;
use crate::playbook::{Action, Block, Common, Delegate, Item, LoopControl, Play, RoleUse, Task};
use crate::source::Span;
use crate::vars::Layer;
use crate::yaml::Node;

/// Where a task stands in the order of its play. Tasks of an included file stand right behind the include; compared as
/// words in a dictionary.
pub(crate) type Order = Vec<u32>;

/// A task with everything its blocks, role and play give it.
#[derive(Debug)]
pub(crate) struct TaskPlan {
    /// Number in the run, for events.
    pub(crate) id: u64,
    /// Place in the play.
    pub(crate) order: Order,
    /// As written.
    pub(crate) task: Arc<Task>,
    /// Its keywords with inherited ones; `vars` and `tags` are taken out.
    pub(crate) keywords: Common,
    /// Conditions of blocks and its own, outer first.
    pub(crate) when: Vec<Node>,
    /// `notify` of blocks and its own.
    pub(crate) notify: Vec<Node>,
    /// `delegate_to` of the task, or of the nearest block that has one.
    pub(crate) delegate: Delegate,
    /// Own `vars`.
    pub(crate) vars: Arc<Layer>,
    /// What it shares with its neighbours.
    pub(crate) lineage: Arc<Lineage>,
    /// All its tags.
    pub(crate) tags: BTreeSet<String>,
    /// What it is to the engine.
    pub(crate) kind: TaskKind,
    /// Put in by the engine: shows nothing of itself.
    pub(crate) implicit: bool,
    /// A handler.
    pub(crate) handler: bool,
}

/// What a task is to the engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TaskKind {
    /// A module.
    Module,
    /// The implicit fact gathering of a play, or `gather_facts`.
    GatherFacts,
    /// `include_tasks`.
    IncludeTasks,
    /// `include_role`.
    IncludeRole,
    /// `include_vars`.
    IncludeVars,
    /// `meta`.
    Meta,
}

impl TaskKind {
    fn of(name: &str) -> Self {
        match name {
            "include_tasks" => Self::IncludeTasks,
            "include_role" => Self::IncludeRole,
            "include_vars" => Self::IncludeVars,
            "gather_facts" => Self::GatherFacts,
            "meta" => Self::Meta,
            _ => Self::Module,
        }
    }
}

/// What the tasks of one block have in common.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lineage {
    /// Keywords so far, `vars` and `tags` taken out.
    pub(crate) common: Common,
    /// Tags so far.
    pub(crate) tags: BTreeSet<String>,
    /// `vars` of blocks, outer first.
    pub(crate) block_vars: Vec<Arc<Layer>>,
    /// `vars` of include statements: above registered results.
    pub(crate) params: Vec<Arc<Layer>>,
    /// Conditions.
    pub(crate) when: Vec<Node>,
    /// Notifications.
    pub(crate) notify: Vec<Node>,
    /// Delegation.
    pub(crate) delegate: Delegate,
    /// The role the tasks belong to.
    pub(crate) role: Option<Arc<RoleView>>,
}

/// One use of a role as its tasks see it.
#[derive(Debug)]
pub(crate) struct RoleView {
    /// Name as written.
    pub(crate) name: String,
    /// Its folder.
    pub(crate) path: std::path::PathBuf,
    /// Roles it was reached through, nearest first.
    pub(crate) parents: Vec<Arc<RoleView>>,
    /// Defaults: dependencies first, its own last.
    pub(crate) defaults: Vec<Arc<Layer>>,
    /// Vars: dependencies first, its own last.
    pub(crate) vars: Vec<Arc<Layer>>,
    /// Parameters, outer roles first.
    pub(crate) params: Vec<Arc<Layer>>,
    /// Says whether two uses are the same.
    pub(crate) key: String,
    /// Runs again when it has run already.
    pub(crate) allow_duplicates: bool,
}

/// A part of the tree.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    /// A task.
    Task(Arc<TaskPlan>),
    /// A block.
    Block(Arc<BlockPlan>),
    /// A role has run to its end on this host.
    RoleEnd(Arc<RoleView>),
}

/// A block of the tree.
#[derive(Debug, Default)]
pub(crate) struct BlockPlan {
    /// The main list.
    pub(crate) main: Vec<Part>,
    /// `rescue`.
    pub(crate) rescue: Vec<Part>,
    /// `always`.
    pub(crate) always: Vec<Part>,
    /// Set on the block that is a role.
    pub(crate) role: Option<Arc<RoleView>>,
}

/// A play ready to run.
#[derive(Debug)]
pub(crate) struct PlayPlan {
    /// As written.
    pub(crate) play: Arc<Play>,
    /// The tree.
    pub(crate) root: Arc<BlockPlan>,
    /// Handlers in order of definition, those of roles first.
    pub(crate) handlers: Vec<Arc<TaskPlan>>,
    /// Roles whose variables the whole play sees.
    pub(crate) public_roles: Vec<Arc<RoleView>>,
    /// `vars` of the play.
    pub(crate) vars: Arc<Layer>,
}

/// Compiles; holds what is the same for all of a run.
pub(crate) struct Compiler<'a> {
    /// Which tags run.
    pub(crate) tags: &'a Selection,
    /// Numbers tasks.
    pub(crate) ids: &'a AtomicU64,
    /// Turns a tag (which may hold templates) into words.
    pub(crate) render: &'a (dyn Fn(&Node) -> Vec<String> + Sync),
    /// What is compiled belongs to a handler.
    pub(crate) handler: bool,
}

/// Counts places while a list is flattened.
pub(crate) struct Place {
    prefix: Order,
    next: u32,
}

impl Place {
    /// Starts counting behind a prefix.
    pub(crate) fn under(prefix: Order) -> Self {
        Self { prefix, next: 0 }
    }

    fn take(&mut self) -> Order {
        let mut order = self.prefix.clone();
        order.push(self.next);
        self.next += 1;
        order
    }
}

impl Compiler<'_> {
    /// Compiles a play. `gather` says whether facts are gathered first.
    pub(crate) fn play(&self, play: &Arc<Play>, gather: bool, force_handlers: bool) -> PlayPlan {
        let mut lineage = Lineage::default();
        self.inherit(&mut lineage, &play.common);
        lineage.block_vars.clear();
        let top = Arc::new(lineage);
        let mut place = Place::under(Vec::new());
        let mut root = BlockPlan::default();
        if gather && let Some(task) = self.gather_facts(play, &top, &mut place) {
            root.main.push(Part::Task(task));
        }
        let sections: [Vec<&Item>; 3] = [
            play.pre_tasks.iter().collect(),
            play.roles.iter().chain(&play.tasks).collect(),
            play.post_tasks.iter().collect(),
        ];
        let mut handlers = Vec::new();
        let mut public_roles = Vec::new();
        for section in sections {
            let mut parts = Vec::new();
            for item in &section {
                self.item(item, &top, &mut place, &mut parts);
            }
            let flush = self.implicit_meta("flush_handlers", play.span, &top, &mut place);
            if force_handlers {
                let block = BlockPlan {
                    main: parts,
                    always: vec![Part::Task(flush)],
                    ..BlockPlan::default()
                };
                root.main.push(Part::Block(Arc::new(block)));
            } else {
                root.main.extend(parts);
                root.main.push(Part::Task(flush));
            }
            for item in section {
                self.role_handlers(item, &top, &mut handlers, &mut public_roles);
            }
        }
        self.handlers(&play.handlers, &top, &mut handlers);
        PlayPlan {
            play: play.clone(),
            root: Arc::new(root),
            handlers,
            public_roles,
            vars: Arc::new(Layer::written(&play.common.vars, "play vars")),
        }
    }

    fn takes(&self, tags: &BTreeSet<String>) -> bool {
        let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
        self.tags.takes(&tags)
    }

    /// Compiles a list of tasks under a lineage (an included file).
    pub(crate) fn list(
        &self,
        items: &[Item],
        lineage: &Arc<Lineage>,
        place: &mut Place,
    ) -> Vec<Part> {
        let mut parts = Vec::new();
        for item in items {
            self.item(item, lineage, place, &mut parts);
        }
        parts
    }

    /// Compiles handlers: every task of every block is one handler.
    pub(crate) fn handlers(
        &self,
        items: &[Item],
        lineage: &Arc<Lineage>,
        into: &mut Vec<Arc<TaskPlan>>,
    ) {
        for item in items {
            match item {
                Item::Task(task) => {
                    let order = vec![u32::try_from(into.len()).unwrap_or(u32::MAX)];
                    into.push(Arc::new(self.plan(task, lineage, order, true)));
                }
                Item::Block(block) => {
                    let inner = Arc::new(self.lineage_of(block, lineage));
                    self.handlers(&block.block, &inner, into);
                    self.handlers(&block.rescue, &inner, into);
                    self.handlers(&block.always, &inner, into);
                }
            }
        }
    }

    /// Collects handlers and public variables of the roles in an item.
    fn role_handlers(
        &self,
        item: &Item,
        lineage: &Arc<Lineage>,
        into: &mut Vec<Arc<TaskPlan>>,
        public: &mut Vec<Arc<RoleView>>,
    ) {
        let Item::Block(block) = item else { return };
        let inner = Arc::new(self.lineage_of(block, lineage));
        if let Some(usage) = &block.role {
            for dependency in &usage.dependencies {
                self.role_handlers(dependency, &inner, into, public);
            }
            if let Some(view) = &inner.role {
                if usage.public {
                    public.push(view.clone());
                }
                let known = into.iter().any(|plan| {
                    plan.lineage.role.as_ref().is_some_and(|other| other.key == view.key)
                });
                if !known {
                    self.handlers(&usage.role.handlers, &inner, into);
                }
            }
        }
        for item in main_items(block).iter().chain(&block.rescue).chain(&block.always) {
            self.role_handlers(item, &inner, into, public);
        }
    }

    fn item(&self, item: &Item, lineage: &Arc<Lineage>, place: &mut Place, into: &mut Vec<Part>) {
        match item {
            Item::Task(task) => {
                let plan = self.plan(task, lineage, place.take(), self.handler);
                if self.handler || self.takes(&plan.tags) {
                    into.push(Part::Task(Arc::new(plan)));
                }
            }
            Item::Block(block) => {
                let inner = Arc::new(self.lineage_of(block, lineage));
                if let Some(usage) = &block.role {
                    for dependency in &usage.dependencies {
                        self.item(dependency, &inner, place, into);
                    }
                }
                let mut main = self.list(main_items(block), &inner, place);
                let role = block.role.as_ref().and_then(|_| inner.role.clone());
                if let Some(view) = &role
                    && !main.is_empty()
                {
                    main.push(Part::RoleEnd(view.clone()));
                }
                let rescue = self.list(&block.rescue, &inner, place);
                let always = self.list(&block.always, &inner, place);
                if !(main.is_empty() && rescue.is_empty() && always.is_empty()) {
                    into.push(Part::Block(Arc::new(BlockPlan { main, rescue, always, role })));
                }
            }
        }
    }

    /// Returns what the tasks inside a block share.
    pub(crate) fn lineage_of(&self, block: &Block, outer: &Lineage) -> Lineage {
        let mut lineage = outer.clone();
        self.inherit(&mut lineage, &block.common);
        lineage.when.extend(block.when.iter().cloned());
        lineage.notify.extend(block.notify.iter().cloned());
        if block.delegate.to.is_some() {
            lineage.delegate.to.clone_from(&block.delegate.to);
        }
        if block.delegate.facts.is_some() {
            lineage.delegate.facts.clone_from(&block.delegate.facts);
        }
        if let Some(usage) = &block.role {
            lineage.role = Some(Arc::new(role_view(usage, block, outer.role.as_ref())));
        }
        lineage
    }

    /// Adds the keywords of a play or block to a lineage.
    pub(crate) fn inherit(&self, lineage: &mut Lineage, common: &Common) {
        for tag in &common.tags {
            lineage.tags.extend((self.render)(tag));
        }
        if !common.vars.is_empty() {
            lineage.block_vars.push(Arc::new(Layer::written(&common.vars, "block vars")));
        }
        let mut own = common.clone();
        own.vars = Vec::new();
        own.tags = Vec::new();
        lineage.common = Common::inherit(&lineage.common, &own);
    }

    fn plan(&self, task: &Task, lineage: &Arc<Lineage>, order: Order, handler: bool) -> TaskPlan {
        let mut tags = lineage.tags.clone();
        for tag in &task.common.tags {
            tags.extend((self.render)(tag));
        }
        let mut own = task.common.clone();
        own.vars = Vec::new();
        own.tags = Vec::new();
        let both = |outer: &[Node], inner: &[Node]| outer.iter().chain(inner).cloned().collect();
        TaskPlan {
            id: self.ids.fetch_add(1, Ordering::Relaxed),
            order,
            keywords: Common::inherit(&lineage.common, &own),
            when: both(&lineage.when, &task.when),
            notify: both(&lineage.notify, &task.notify),
            delegate: Delegate {
                to: task.delegate.to.clone().or_else(|| lineage.delegate.to.clone()),
                facts: task.delegate.facts.clone().or_else(|| lineage.delegate.facts.clone()),
            },
            vars: Arc::new(Layer::written(&task.common.vars, "task vars")),
            lineage: lineage.clone(),
            tags,
            kind: TaskKind::of(&task.action.name),
            implicit: false,
            handler,
            task: Arc::new(task.clone()),
        }
    }

    /// Makes a meta task that nobody wrote.
    fn implicit_meta(
        &self,
        word: &str,
        span: Span,
        lineage: &Arc<Lineage>,
        place: &mut Place,
    ) -> Arc<TaskPlan> {
        let mut task = blank_task("meta", span);
        task.action.free_form = Some(Node::string(word, span));
        let bare = Arc::new(Lineage { role: None, when: Vec::new(), ..(**lineage).clone() });
        let mut plan = self.plan(&task, &bare, place.take(), false);
        plan.implicit = true;
        Arc::new(plan)
    }

    /// Makes the fact gathering of a play; `None` when tags leave it out.
    fn gather_facts(
        &self,
        play: &Play,
        lineage: &Arc<Lineage>,
        place: &mut Place,
    ) -> Option<Arc<TaskPlan>> {
        let mut task = blank_task("gather_facts", play.span);
        task.name = Some(Node::string("Gathering Facts", play.span));
        let argument = |name: &str, value: &Option<Node>| {
            value.as_ref().map(|value| crate::playbook::Argument {
                name: name.to_owned(),
                span: value.span,
                value: value.clone(),
            })
        };
        task.action.named.extend(argument("gather_subset", &play.gather_subset));
        task.action.named.extend(argument("gather_timeout", &play.gather_timeout));
        let mut plan = self.plan(&task, lineage, place.take(), false);
        if plan.tags.is_empty() {
            plan.tags.insert("always".to_owned());
        }
        plan.implicit = true;
        self.takes(&plan.tags).then(|| Arc::new(plan))
    }
}

/// Returns the tasks of a block: of its role, when it is one.
pub(crate) fn main_items(block: &Block) -> &[Item] {
    match &block.role {
        Some(usage) if block.block.is_empty() => &usage.role.tasks,
        Some(_) | None => &block.block,
    }
}

/// Makes the view of a role that its tasks have.
pub(crate) fn role_view(usage: &RoleUse, block: &Block, outer: Option<&Arc<RoleView>>) -> RoleView {
    let role = &usage.role;
    let mut defaults = Vec::new();
    let mut vars = Vec::new();
    for dependency in &usage.dependencies {
        collect_dependency(dependency, &mut defaults, &mut vars);
    }
    let name = &role.name;
    defaults.push(Arc::new(Layer::written(&role.defaults, &format!("defaults of role {name}"))));
    vars.push(Arc::new(Layer::written(&role.vars, &format!("vars of role {name}"))));
    let mut params: Vec<Arc<Layer>> = outer.map(|outer| outer.params.clone()).unwrap_or_default();
    params.push(Arc::new(Layer::written(&usage.params, &format!("parameters of role {name}"))));
    let parents = outer
        .map(|outer| {
            let mut parents = vec![outer.clone()];
            parents.extend(outer.parents.iter().cloned());
            parents
        })
        .unwrap_or_default();
    let words = |nodes: &[Node]| nodes.iter().map(plain).collect::<Vec<_>>().join(",");
    let pairs = |entries: &[(Node, Node)]| {
        let mut all: Vec<String> =
            entries.iter().map(|(key, value)| format!("{}={}", plain(key), plain(value))).collect();
        all.sort();
        all.join(",")
    };
    let key = format!(
        "{}|{}|{}|{}|{}",
        role.path.display(),
        pairs(&usage.params),
        pairs(&block.common.vars),
        words(&block.when),
        words(&block.common.tags)
    );
    RoleView {
        name: role.name.clone(),
        path: role.path.clone(),
        parents,
        defaults,
        vars,
        params,
        key,
        allow_duplicates: usage.allow_duplicates,
    }
}

fn collect_dependency(item: &Item, defaults: &mut Vec<Arc<Layer>>, vars: &mut Vec<Arc<Layer>>) {
    let Item::Block(block) = item else { return };
    let Some(usage) = &block.role else { return };
    for dependency in &usage.dependencies {
        collect_dependency(dependency, defaults, vars);
    }
    let role = &usage.role;
    defaults
        .push(Arc::new(Layer::written(&role.defaults, &format!("defaults of role {}", role.name))));
    vars.push(Arc::new(Layer::written(&role.vars, &format!("vars of role {}", role.name))));
}

/// Returns a node as text, to compare and to show.
pub(crate) fn plain(node: &Node) -> String {
    match (node.raw(), node.as_seq(), node.as_map()) {
        (Some(raw), _, _) => raw.to_owned(),
        (None, Some(items), _) => {
            format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(","))
        }
        (None, None, Some(entries)) => {
            let parts: Vec<String> =
                entries.iter().map(|(k, v)| format!("{}:{}", plain(k), plain(v))).collect();
            format!("{{{}}}", parts.join(","))
        }
        (None, None, None) => String::new(),
    }
}

/// Makes a task with nothing but a module name.
pub(crate) fn blank_task(module: &str, span: Span) -> Task {
    Task {
        span,
        name: None,
        common: Common::default(),
        action: Action {
            written: module.to_owned(),
            name: module.to_owned(),
            span,
            free_form: None,
            named: Vec::new(),
            whole: None,
        },
        when: Vec::new(),
        changed_when: None,
        failed_when: None,
        repeat: None,
        loop_control: LoopControl::default(),
        until: None,
        retries: None,
        delay: None,
        register: None,
        notify: Vec::new(),
        listen: Vec::new(),
        delegate: Delegate::default(),
        asynchronous: None,
        poll: None,
        folder: std::path::PathBuf::new(),
    }
}
