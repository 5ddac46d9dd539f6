//! Playbooks as written: plays, blocks, tasks, roles, with a place for every word.
//!
//! Lives here: the tree ([`Play`], [`Block`], [`Task`]), its loader (`load.rs` and `load/`, which expands `import_*` and
//! roles), the `key=value` splitter (`key_value.rs`), the keyword tables (`keywords.rs`) and tag selection (`tags.rs`).
//! Does not: values of variables, running, reading the disk (files come through [`crate::source::Files`]). Every keyword
//! is either in a typed field or an error; `collections:` alone is checked and then dropped, because names are found
//! without it.

pub mod key_value;
mod keywords;
mod load;
mod shared;
pub mod tags;

use std::path::PathBuf;
use std::sync::Arc;

pub use load::{
    Catalog, EarlyVars, Loader, NoEarlyVars, PlaceInRole, RoleFrom, TaskPlace, find_playbook,
};

use crate::source::Span;
use crate::yaml::Node;

/// A list of plays, imports already expanded.
#[derive(Clone, Debug, Default)]
pub struct Playbook {
    /// The file given on the command line.
    pub path: PathBuf,
    /// Plays in order.
    pub plays: Vec<Play>,
}

/// One play.
#[derive(Clone, Debug)]
pub struct Play {
    /// Where it stands.
    pub span: Span,
    /// `name:`; may hold templates.
    pub name: Option<Node>,
    /// `hosts:`: a pattern or a list of patterns; may hold templates.
    pub hosts: Node,
    /// Keywords a play shares with blocks and tasks.
    pub common: Common,
    /// `gather_facts:`
    pub gather_facts: Option<Node>,
    /// `gather_subset:`
    pub gather_subset: Option<Node>,
    /// `gather_timeout:`
    pub gather_timeout: Option<Node>,
    /// `fact_path:`
    pub fact_path: Option<Node>,
    /// `vars_files:` entries: a name, or a list of which the first found counts.
    pub vars_files: Vec<Node>,
    /// `vars_prompt:` entries.
    pub vars_prompt: Vec<Node>,
    /// `serial:` as written: number, percent, or list of them.
    pub serial: Option<Node>,
    /// `strategy:`
    pub strategy: Option<Node>,
    /// `order:`
    pub order: Option<Node>,
    /// `max_fail_percentage:`
    pub max_fail_percentage: Option<Node>,
    /// `force_handlers:`
    pub force_handlers: Option<Node>,
    /// `pre_tasks:`
    pub pre_tasks: Vec<Item>,
    /// `roles:`, each a block with its role set.
    pub roles: Vec<Item>,
    /// `tasks:`
    pub tasks: Vec<Item>,
    /// `post_tasks:`
    pub post_tasks: Vec<Item>,
    /// `handlers:` of the play; handlers of roles are in [`Role::handlers`].
    pub handlers: Vec<Item>,
    /// Folder of the playbook file this play stands in (`playbook_dir`).
    pub playbook_dir: PathBuf,
}

/// Something in a task list.
#[derive(Clone, Debug)]
pub enum Item {
    /// A task.
    Task(Box<Task>),
    /// A block, an expanded import, or a role.
    Block(Box<Block>),
}

/// Tasks that share keywords: `block:`, an expanded `import_tasks`, or a role.
#[derive(Clone, Debug)]
pub struct Block {
    /// Where it stands.
    pub span: Span,
    /// `name:`
    pub name: Option<Node>,
    /// Shared keywords (of the block, of the import statement, or of the role entry).
    pub common: Common,
    /// `when:` conditions; each applies to every task inside.
    pub when: Vec<Node>,
    /// `notify:` of the block.
    pub notify: Vec<Node>,
    /// `delegate_to:`, `delegate_facts:` for every task inside.
    pub delegate: Delegate,
    /// The role this block is, when it is one. Tasks inside belong to it.
    pub role: Option<Arc<RoleUse>>,
    /// The main list. Of a role, its tasks (the same as [`Role::tasks`]); what it depends on is not among them but in
    /// [`RoleUse::dependencies`].
    pub block: Vec<Item>,
    /// `rescue:`
    pub rescue: Vec<Item>,
    /// `always:`
    pub always: Vec<Item>,
}

/// `delegate_to:` and `delegate_facts:`.
#[derive(Clone, Debug, Default)]
pub struct Delegate {
    /// `delegate_to:`
    pub to: Option<Node>,
    /// `delegate_facts:`
    pub facts: Option<Node>,
}

/// One use of a role: the role and what this use adds.
#[derive(Clone, Debug)]
pub struct RoleUse {
    /// The role.
    pub role: Arc<Role>,
    /// Role parameters: keys of the role entry that are not keywords. They outrank `set_fact`; `vars:` of the entry or of
    /// `import_role` do not, and stand in the block's [`Common::vars`].
    pub params: Vec<(Node, Node)>,
    /// Dependencies to run before (from `meta/main.yml`), each a block with its role set.
    pub dependencies: Vec<Item>,
    /// Whether the role may run again with the same parameters (`allow_duplicates`).
    pub allow_duplicates: bool,
    /// Whether its vars and defaults are visible to the rest of the play (`roles:` and `import_role`: yes unless
    /// `public: false`; `include_role`: only with `public: true`).
    pub public: bool,
    /// Names of the roles this one was reached through, nearest first (`ansible_parent_role_names`).
    pub parents: Vec<String>,
}

/// A role as found on disk.
#[derive(Clone, Debug)]
pub struct Role {
    /// Its name as written (`ansible_role_name`).
    pub name: String,
    /// Its folder (`role_path`).
    pub path: PathBuf,
    /// `defaults/main.yml` entries (or `defaults_from`).
    pub defaults: Vec<(Node, Node)>,
    /// `vars/main.yml` entries (or `vars_from`).
    pub vars: Vec<(Node, Node)>,
    /// `tasks/main.yml` (or `tasks_from`).
    pub tasks: Vec<Item>,
    /// `handlers/main.yml` (or `handlers_from`).
    pub handlers: Vec<Item>,
    /// `argument_specs` of the entry point, as written.
    pub argument_spec: Option<Node>,
}

/// Keywords that play, block, role entry and task share, with inheritance (inner wins; `vars`, `environment`,
/// `module_defaults` and `tags` add up).
#[derive(Clone, Debug, Default)]
pub struct Common {
    /// `vars:` entries.
    pub vars: Vec<(Node, Node)>,
    /// `tags:`
    pub tags: Vec<Node>,
    /// `environment:` entries, each a mapping or a template.
    pub environment: Vec<Node>,
    /// `module_defaults:` entries.
    pub module_defaults: Vec<Node>,
    /// `become:`
    pub r#become: Option<Node>,
    /// `become_user:`
    pub become_user: Option<Node>,
    /// `become_method:`
    pub become_method: Option<Node>,
    /// `become_flags:`
    pub become_flags: Option<Node>,
    /// `become_exe:`
    pub become_exe: Option<Node>,
    /// `connection:`
    pub connection: Option<Node>,
    /// `remote_user:`
    pub remote_user: Option<Node>,
    /// `port:`
    pub port: Option<Node>,
    /// `check_mode:`
    pub check_mode: Option<Node>,
    /// `diff:`
    pub diff: Option<Node>,
    /// `no_log:`
    pub no_log: Option<Node>,
    /// `ignore_errors:`
    pub ignore_errors: Option<Node>,
    /// `ignore_unreachable:`
    pub ignore_unreachable: Option<Node>,
    /// `any_errors_fatal:`
    pub any_errors_fatal: Option<Node>,
    /// `run_once:`
    pub run_once: Option<Node>,
    /// `throttle:`
    pub throttle: Option<Node>,
    /// `timeout:`
    pub timeout: Option<Node>,
    /// `debugger:`
    pub debugger: Option<Node>,
}

/// One task (or handler).
#[derive(Clone, Debug)]
pub struct Task {
    /// Where it stands (the whole mapping).
    pub span: Span,
    /// `name:`
    pub name: Option<Node>,
    /// Shared keywords.
    pub common: Common,
    /// What to do.
    pub action: Action,
    /// `when:` conditions, all must hold.
    pub when: Vec<Node>,
    /// `changed_when:`
    pub changed_when: Option<Vec<Node>>,
    /// `failed_when:`
    pub failed_when: Option<Vec<Node>>,
    /// `loop:` or `with_*:`
    pub repeat: Option<Loop>,
    /// `loop_control:`
    pub loop_control: LoopControl,
    /// `until:` conditions.
    pub until: Option<Vec<Node>>,
    /// `retries:`
    pub retries: Option<Node>,
    /// `delay:`
    pub delay: Option<Node>,
    /// `register:`
    pub register: Option<Node>,
    /// `notify:` names or topics.
    pub notify: Vec<Node>,
    /// `listen:` topics (handlers only).
    pub listen: Vec<Node>,
    /// `delegate_to:`, `delegate_facts:`.
    pub delegate: Delegate,
    /// `async:` seconds.
    pub asynchronous: Option<Node>,
    /// `poll:` seconds.
    pub poll: Option<Node>,
    /// Folder of the file it stands in; relative files are looked for from here and from the role.
    pub folder: PathBuf,
}

/// The module (or include statement) of a task and its arguments.
#[derive(Clone, Debug)]
pub struct Action {
    /// Name as written (`ansible.builtin.copy`).
    pub written: String,
    /// Short name after `ansible.builtin.`/`ansible.legacy.`/known collections are taken off (`copy`).
    pub name: String,
    /// Where the name stands.
    pub span: Span,
    /// Free-form text (`command: ls`), untemplated, with `key=value` options taken out.
    pub free_form: Option<Node>,
    /// Named arguments in the order written (mapping form, `key=value` form and `args:` together).
    pub named: Vec<Argument>,
    /// `args: "{{ dict }}"` or `module: "{{ dict }}"`: arguments known only when templated.
    pub whole: Option<Node>,
}

/// One named argument.
#[derive(Clone, Debug)]
pub struct Argument {
    /// Its name.
    pub name: String,
    /// Where the name stands.
    pub span: Span,
    /// Its value, untemplated.
    pub value: Node,
}

/// `loop:` and `with_*:`.
#[derive(Clone, Debug)]
pub struct Loop {
    /// `None` for `loop:`, else the lookup's name (`items` for `with_items`).
    pub lookup: Option<String>,
    /// The list or terms.
    pub over: Node,
    /// Where the keyword stands.
    pub span: Span,
}

/// `loop_control:`.
#[derive(Clone, Debug, Default)]
pub struct LoopControl {
    /// `loop_var:` (default `item`).
    pub loop_var: Option<Node>,
    /// `index_var:`
    pub index_var: Option<Node>,
    /// `label:`
    pub label: Option<Node>,
    /// `pause:` seconds.
    pub pause: Option<Node>,
    /// `extended:`
    pub extended: Option<Node>,
    /// `extended_allitems:`
    pub extended_allitems: Option<Node>,
    /// `break_when:`
    pub break_when: Option<Vec<Node>>,
}

impl Common {
    /// Returns what holds for something inside: the inner keyword wins; `vars` (inner last), `tags`, `environment` and
    /// `module_defaults` (inner last) add up.
    #[must_use]
    pub fn inherit(outer: &Self, inner: &Self) -> Self {
        fn first(inner: Option<&Node>, outer: Option<&Node>) -> Option<Node> {
            inner.or(outer).cloned()
        }
        let both = |outer: &[Node], inner: &[Node]| [outer, inner].concat();
        let pick =
            |read: fn(&Self) -> &Option<Node>| first(read(inner).as_ref(), read(outer).as_ref());
        Self {
            vars: [outer.vars.as_slice(), inner.vars.as_slice()].concat(),
            tags: both(&outer.tags, &inner.tags),
            environment: both(&outer.environment, &inner.environment),
            module_defaults: both(&outer.module_defaults, &inner.module_defaults),
            r#become: pick(|c| &c.r#become),
            become_user: pick(|c| &c.become_user),
            become_method: pick(|c| &c.become_method),
            become_flags: pick(|c| &c.become_flags),
            become_exe: pick(|c| &c.become_exe),
            connection: pick(|c| &c.connection),
            remote_user: pick(|c| &c.remote_user),
            port: pick(|c| &c.port),
            check_mode: pick(|c| &c.check_mode),
            diff: pick(|c| &c.diff),
            no_log: pick(|c| &c.no_log),
            ignore_errors: pick(|c| &c.ignore_errors),
            ignore_unreachable: pick(|c| &c.ignore_unreachable),
            any_errors_fatal: pick(|c| &c.any_errors_fatal),
            run_once: pick(|c| &c.run_once),
            throttle: pick(|c| &c.throttle),
            timeout: pick(|c| &c.timeout),
            debugger: pick(|c| &c.debugger),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Sources, Span};

    #[test]
    fn inner_keyword_wins_and_tags_add_up() {
        let span = Span::new(Sources::default().add("x", ""), 0, 0);
        let text = |text: &str| Node::string(text, span);
        let outer = Common {
            r#become: Some(text("yes")),
            port: Some(text("22")),
            tags: vec![text("a")],
            ..Common::default()
        };
        let inner =
            Common { r#become: Some(text("no")), tags: vec![text("b")], ..Common::default() };
        let both = Common::inherit(&outer, &inner);
        let raw = |node: &Option<Node>| node.as_ref().and_then(Node::raw).map(str::to_owned);
        assert_eq!(raw(&both.r#become).as_deref(), Some("no"));
        assert_eq!(raw(&both.port).as_deref(), Some("22"));
        let tags: Vec<_> = both.tags.iter().filter_map(Node::raw).collect();
        assert_eq!(tags, ["a", "b"]);
    }
}
