//! The engine: who does what, when.
//!
//! Lives here: `check.rs` (holds a playbook against the modules before any socket opens), `compile.rs` (flattens a play),
//! `host_run.rs` (one host's walk through blocks, rescue, always, handlers), `strategy.rs` (linear, free, host_pinned),
//! `stepper.rs` (`--step`), `naming.rs` (what a task is called),
//! `task.rs` and `attempt.rs` (one task on one host: loop, when, until, register ...), `include.rs`, `handlers.rs`,
//! `settle.rs` (what a finished task does to the run), `connection.rs` (variables to an address), `drive.rs` (an action's
//! steps over a connection), `scene.rs` (what tasks share), `magic.rs`, `facts.rs`, `conductor.rs` (plays, batches, recap),
//! `locks.rs` (locks on hosts), `rehearse.rs` (`matron pg plan`), `list.rs` and `adhoc.rs`. Does not: words for people, reading argv or environment.

mod adhoc;
mod arguments;
mod attempt;
mod catalog;
mod check;
mod compile;
mod conductor;
mod connection;
mod drive;
mod facts;
mod files;
mod handlers;
mod host_run;
mod include;
mod list;
mod locks;
mod magic;
mod naming;
mod rehearse;
mod result;
mod scene;
mod settle;
mod stepper;
mod strategy;
mod task;
mod view;

use std::path::PathBuf;
use std::sync::Arc;

pub use adhoc::ad_hoc;
pub use catalog::{Early, catalog};
pub use check::check;
pub use list::{Listing, list};
pub use settle::hide_written_secrets;
use tokio_util::sync::CancellationToken;

use crate::event::{EventSink, Tally};
use crate::inventory::Inventory;
use crate::names::HostName;
use crate::playbook::Playbook;
use crate::secret::{Redactor, Secret};
use crate::source::{Diagnostic, Files, Sources};
use crate::template::Outside;
use crate::transport::HostKeys;
use crate::vars::Layer;

/// What the command line decided; the same flags as `ansible-playbook`.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `-f`
    pub forks: usize,
    /// `-C`
    pub check: bool,
    /// `-D`
    pub diff: bool,
    /// `-l`
    pub limit: Option<String>,
    /// `-t`
    pub tags: Vec<String>,
    /// `--skip-tags`
    pub skip_tags: Vec<String>,
    /// `--start-at-task`
    pub start_at_task: Option<String>,
    /// `--step`
    pub step: bool,
    /// `-v` count.
    pub verbosity: u8,
    /// `-b`
    pub r#become: bool,
    /// `--become-user`
    pub become_user: Option<String>,
    /// `--become-method`
    pub become_method: Option<String>,
    /// `-K`
    pub become_password: Option<Secret>,
    /// `-u`
    pub remote_user: Option<String>,
    /// `-k`
    pub connection_password: Option<Secret>,
    /// `--private-key`
    pub private_key: Option<PathBuf>,
    /// `-c`
    pub connection: Option<String>,
    /// `-T` seconds.
    pub timeout: Option<u64>,
    /// `--ssh-common-args` and `--ssh-extra-args` words.
    pub ssh_args: Vec<String>,
    /// Host key policy.
    pub host_keys: Option<HostKeys>,
    /// `--force-handlers`
    pub force_handlers: bool,
    /// `--flush-cache` and fact cache are the language issue's work.
    pub show_scripts: bool,
    /// What settings say where playbook and flags are silent.
    pub defaults: Defaults,
    /// Rehearse: look, decide, show every act and do none.
    pub plan: bool,
    /// What this run is, in words for others who want the same hosts: `pid 4711: matron pg setup`.
    pub purpose: String,
}

/// What holds where playbook and flags are silent; `ansible.cfg` and the environment may change it.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// The strategy of plays that name none.
    pub strategy: String,
    /// Whether plays gather facts that do not say.
    pub gathering: Gathering,
    /// Mappings of the same name are merged, the higher over the lower, instead of replaced.
    pub merge_hashes: bool,
    /// A failure ends the play for all hosts.
    pub any_errors_fatal: bool,
    /// Results are not shown.
    pub no_log: bool,
    /// A notified handler that nobody has ends the run.
    pub missing_handler_is_error: bool,
    /// What a pattern of a play is worth that matches nothing.
    pub pattern_mismatch: Mismatch,
    /// Seconds a task may take; none for ever.
    pub task_timeout: Option<u64>,
    /// Port of hosts that name none.
    pub remote_port: Option<u16>,
    /// The file settings were read from.
    pub config_file: Option<PathBuf>,
    /// Seconds between looks at a task in the background.
    pub poll_interval: u64,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            strategy: "linear".to_owned(),
            gathering: Gathering::Implicit,
            merge_hashes: false,
            any_errors_fatal: false,
            no_log: false,
            missing_handler_is_error: true,
            pattern_mismatch: Mismatch::Warn,
            task_timeout: None,
            remote_port: None,
            config_file: None,
            poll_interval: 15,
        }
    }
}

/// Whether plays gather facts that do not say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gathering {
    /// They do.
    Implicit,
    /// They do not.
    Explicit,
    /// They do for hosts without facts.
    Smart,
}

/// What a pattern is worth that matches nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mismatch {
    /// A warning.
    Warn,
    /// The end of the run.
    Error,
    /// Nothing.
    Ignore,
}

/// What the engine is given to work with; made by the door.
#[derive(Clone)]
pub struct World {
    /// Flags.
    pub options: Options,
    /// Loaded texts.
    pub sources: Sources,
    /// Project files, embedded ones behind the disk.
    pub files: Arc<dyn Files>,
    /// What lookups may reach.
    pub outside: Arc<dyn Outside>,
    /// `-e`, resolved to a layer.
    pub extra: Arc<Layer>,
    /// Folders in which roles are looked for beside the playbook's own.
    pub roles_path: Vec<PathBuf>,
    /// Where events go.
    pub events: Arc<dyn EventSink>,
    /// Secrets of the run.
    pub redactor: Redactor,
    /// Set on Ctrl-C.
    pub cancel: CancellationToken,
    /// Answers questions (`pause`, `--step`, `vars_prompt`); never asks when there is no terminal.
    pub asker: Arc<dyn Ask>,
    /// Login name, home and so on of who runs matron, for the transport.
    pub person: Person,
    /// Connections to use and to leave open (see [`connections`]); a run has its own, and closes them, when there are none.
    pub connections: Option<Arc<crate::remote::Fleet>>,
}

/// Who runs matron, on what machine.
#[derive(Clone, Debug, Default)]
pub struct Person {
    /// Login name.
    pub user: String,
    /// Home folder.
    pub home: PathBuf,
    /// `SSH_AUTH_SOCK`.
    pub agent: Option<PathBuf>,
    /// Working folder.
    pub folder: PathBuf,
    /// Name of this machine.
    pub hostname: String,
}

/// Asks the person at the terminal.
#[async_trait::async_trait]
pub trait Ask: Send + Sync {
    /// Asks; `None` when nobody can be asked, or time is up.
    async fn ask(&self, question: &crate::modules::Question) -> Option<String>;
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunResult {
    /// The exit code `ansible-playbook` would give: 0, 1 (the run could not go on), 2 (a host failed), 4 (a host could not
    /// be reached), 99 (cancelled).
    pub exit: u8,
    /// Counts per host, in inventory order.
    pub recap: Vec<(HostName, Tally)>,
    /// Why the run could not go on.
    pub failure: Option<Diagnostic>,
}

/// Makes connections for [`World::connections`], so that one run after another uses them; nothing is connected yet.
pub fn connections(world: &World) -> Arc<crate::remote::Fleet> {
    conductor::connections(world)
}

/// Runs playbooks, one after another, on an inventory. [`check()`] should have passed before.
///
/// Returns when every host is done, or soon after `world.cancel` is set: acts under way are ended first.
pub async fn run(world: &World, inventory: Inventory, playbooks: Vec<Playbook>) -> RunResult {
    Box::pin(conductor::run(world, inventory, playbooks)).await
}
