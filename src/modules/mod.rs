//! Modules: what right looks like on a host, and the script that gets there.
//!
//! Lives here: the [`Module`] and [`Action`] traits, arguments (`args.rs`), and one file a module, listed in [`ALL`].
//! Does not: any I/O. A module is a pure state machine: arguments in, script out, reply in, outcome out. The engine sends.
//!
//! Adding a module: one file with a unit struct that implements [`Module`], one line in [`ALL`], one test against real
//! shells; `docs/architecture.md` shows a whole one.

mod action;
mod add_host;
mod apt;
mod apt_repository;
mod args;
mod assert;
mod attributes;
mod authorized_key;
mod blockinfile;
mod command;
mod container;
mod copy;
mod cron;
mod debug;
mod edit;
mod environment;
mod fail;
mod fetch;
mod file;
mod find;
mod getent;
mod group;
mod group_by;
mod host_paths;
mod hostname;
mod include_role;
mod include_tasks;
mod include_vars;
mod lineinfile;
mod meta;
mod package_facts;
mod pause;
mod pg_adopt;
mod pg_aside;
mod pg_clone;
mod pg_debt;
mod pg_decide;
mod pg_fence;
mod pg_handover;
mod pg_hba;
mod pg_image;
mod pg_lock;
mod pg_loss;
mod pg_lost;
mod pg_lost_report;
mod pg_mark;
mod pg_node;
mod pg_observe;
mod pg_password;
mod pg_places;
mod pg_promote;
mod pg_reconnect;
mod pg_relations;
mod pg_require;
mod pg_rewind;
mod pg_role;
mod pg_server;
mod pg_settings;
mod pg_silence;
mod pg_slot;
mod pg_standby;
mod pg_start;
mod pg_verify_write;
mod pg_wait;
mod ping;
mod place;
mod python_regex;
mod raw;
mod reboot;
mod replace;
mod script;
mod service;
mod service_facts;
mod set_fact;
mod set_stats;
mod setup;
mod shell;
mod slurp;
mod stat;
mod sysctl;
mod tempfile;
mod template;
#[cfg(test)]
mod test_context;
mod tree;
mod user;
mod verdict;
mod wait_for;
mod wait_for_connection;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use args::{Arg, ArgError, Args, Mode as FileMode, as_bool, to_json};
use minijinja::Value;

use crate::outcome::Outcome;
use crate::shell::{Reply, Script};
use crate::source::Span;
use crate::template::TemplateOptions;

/// Every module, by name order.
///
/// What steers the run itself (`include_tasks`, `include_role`, `include_vars`, `meta`) has its table here too, and the
/// engine acts on it.
pub static ALL: &[&dyn Module] = &[
    &add_host::AddHost,
    &apt::Apt,
    &apt_repository::AptRepository,
    &assert::Assert,
    &authorized_key::AuthorizedKey,
    &blockinfile::BlockInFile,
    &command::Command,
    &container::Container,
    &copy::Copy,
    &cron::Cron,
    &debug::Debug,
    &fail::Fail,
    &fetch::Fetch,
    &file::File,
    &find::Find,
    &setup::GatherFacts,
    &getent::Getent,
    &group::Group,
    &group_by::GroupBy,
    &hostname::Hostname,
    &include_role::IncludeRole,
    &include_tasks::IncludeTasks,
    &include_vars::IncludeVars,
    &lineinfile::LineInFile,
    &meta::Meta,
    &apt::Package,
    &package_facts::PackageFacts,
    &pause::Pause,
    &pg_adopt::PgAdopt,
    &pg_aside::PgAside,
    &pg_clone::PgClone,
    &pg_debt::PgDebt,
    &pg_decide::PgDecide,
    &pg_fence::PgFence,
    &pg_handover::PgHandover,
    &pg_hba::PgHba,
    &pg_image::PgImage,
    &pg_lock::PgLock,
    &pg_loss::PgLoss,
    &pg_lost::PgLost,
    &pg_lost_report::PgLostReport,
    &pg_mark::PgMark,
    &pg_observe::PgObserve,
    &pg_password::PgPassword,
    &pg_places::PgPlaces,
    &pg_promote::PgPromote,
    &pg_reconnect::PgReconnect,
    &pg_relations::PgRelations,
    &pg_require::PgRequire,
    &pg_rewind::PgRewind,
    &pg_role::PgRole,
    &pg_server::PgServer,
    &pg_settings::PgSettings,
    &pg_silence::PgSilence,
    &pg_slot::PgSlot,
    &pg_standby::PgStandby,
    &pg_start::PgStart,
    &pg_verify_write::PgVerifyWrite,
    &pg_wait::PgWait,
    &ping::Ping,
    &raw::Raw,
    &reboot::Reboot,
    &replace::Replace,
    &script::Script,
    &service::Service,
    &service_facts::ServiceFacts,
    &set_fact::SetFact,
    &set_stats::SetStats,
    &setup::Setup,
    &shell::Shell,
    &slurp::Slurp,
    &stat::Stat,
    &sysctl::Sysctl,
    &service::Systemd,
    &tempfile::TempFile,
    &template::Template,
    &user::User,
    &wait_for::WaitFor,
    &wait_for_connection::WaitForConnection,
];

/// Modules that run once for all hosts of a batch, whatever the strategy.
pub const ONCE_FOR_ALL: &[&str] = &["add_host", "pause"];

/// Returns a module by its short name.
pub fn find(name: &str) -> Option<&'static dyn Module> {
    ALL.iter().copied().find(|module| module.doc().name == name)
}

/// Refuses to make an action of what only the engine can do.
fn meant_for_the_engine(doc: &Doc) -> ArgError {
    ArgError::new(format!(
        "{} steers the run and cannot be used as an action (a bug in matron)",
        doc.name
    ))
}

/// One module.
pub trait Module: Send + Sync {
    /// Returns its documentation, which is also what arguments are checked against before any socket opens.
    fn doc(&self) -> &'static Doc;

    /// Turns templated arguments into an action. Fails on values that are wrong in themselves.
    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError>;

    /// Tells whether it only ever looks at a host with these arguments, so that a rehearsal may run it (in check mode).
    fn observes(&self, _args: &Args) -> bool {
        false
    }
}

/// One task on one host, as a state machine without I/O.
pub trait Action: Send {
    /// Starts.
    fn begin(&mut self, mode: Mode) -> Step;

    /// Goes on after the step it asked for was done.
    fn resume(&mut self, done: Done) -> Step;

    /// Tells who can notice it.
    fn reach(&self) -> Reach;

    /// Tells whether a lost or refused connection is an answer to it ([`Done::Lost`]) rather than the end of the host.
    fn bears_loss(&self) -> bool {
        false
    }
}

/// How to act.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Mode {
    /// `--check`: say what would change, change nothing.
    pub check: bool,
    /// `--diff`: say what changed in it.
    pub diff: bool,
}

/// What an action wants next.
#[derive(Debug)]
pub enum Step {
    /// Run a script in the conduit; the answer is [`Done::Reply`].
    Send(Script),
    /// Run a script on a channel of its own with live output (long or chatty work: a clone, an image load). The answer is
    /// [`Done::Reply`]. Lines on stderr of the form `progress DONE TOTAL` (bytes) become progress events.
    SendLong(Script),
    /// Bring bytes to a path on the host: temporary file in the same folder, fsync, digest check. The answer is
    /// [`Done::Uploaded`]. The action then moves it in place with owner and mode by a script.
    Upload(Upload),
    /// Fetch a file. The answer is [`Done::Downloaded`].
    Download(Download),
    /// Wait, then [`Done::Waited`].
    Wait(Duration),
    /// Ask the person at the terminal (`pause`), then [`Done::Answered`].
    Ask(Question),
    /// Take a lock on the host, held by a channel of its own until the run ends or its connection does. The answer is
    /// [`Done::Locked`].
    Lock {
        /// Its name: `[a-z0-9_.-]+`.
        name: String,
    },
    /// Finished.
    Done(Outcome),
}

/// The answer to a [`Step`].
#[derive(Debug)]
pub enum Done {
    /// A script has ended.
    Reply(Reply),
    /// The bytes are on the host at this path.
    Uploaded(String),
    /// A file's content.
    Downloaded(Vec<u8>),
    /// Time has passed.
    Waited,
    /// What the person typed; `None` when nobody can be asked or the time was up.
    Answered(Option<String>),
    /// The lock is ours, or who holds it and since when.
    Locked(Result<(), String>),
    /// The connection was lost or could not be made, and why; only for actions that bear it ([`Action::bears_loss`]). The
    /// next step that needs the host connects anew.
    Lost(String),
}

/// Bytes for a host.
#[derive(Debug)]
pub struct Upload {
    /// From where.
    pub source: UploadSource,
    /// The final path; the temporary file is made beside it.
    pub beside: String,
}

/// Where uploaded bytes come from.
#[derive(Debug)]
pub enum UploadSource {
    /// A file on this machine.
    File(PathBuf),
    /// Bytes at hand.
    Bytes(Vec<u8>),
}

/// A file to fetch.
#[derive(Debug)]
pub struct Download {
    /// Path on the host.
    pub path: String,
    /// More than this is an error.
    pub limit: u64,
}

/// A question for the person at the terminal.
#[derive(Debug)]
pub struct Question {
    /// The prompt.
    pub prompt: String,
    /// Whether typing shows.
    pub echo: bool,
    /// How long to wait for an answer; `None` is for ever.
    pub seconds: Option<u64>,
}

/// Who can notice an action.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// Runs on the controller only, sends nothing.
    Controller,
    /// Only this host can tell (files, packages, users).
    Local,
    /// Another host could notice (commands, services, containers, databases).
    Visible,
}

/// What a module is told about its task beside the arguments.
pub struct TaskContext<'a> {
    /// `inventory_hostname`.
    pub host: &'a str,
    /// Check and diff.
    pub mode: Mode,
    /// Expressions and variables of this host and task.
    pub vars: &'a dyn Evaluate,
    /// Files of the project, found as Ansible finds them.
    pub files: &'a dyn ProjectFiles,
    /// Environment to set (`environment:`), merged, in order.
    pub environment: &'a [(String, String)],
    /// The user commands run as, when known (`become_user` or the login user).
    pub user: &'a str,
    /// The task's `timeout:` in seconds, if any.
    pub timeout: Option<u64>,
    /// Verbosity (`-v` count).
    pub verbosity: u8,
}

/// Evaluates template language for a module (`assert: that`, `debug: var`, `template`).
pub trait Evaluate {
    /// Returns an expression's value; undefined is an error with its name.
    fn expression(&self, text: &str, at: Option<Span>) -> Result<Value, String>;
    /// Returns a condition's verdict under Ansible's rule that it must be boolean.
    fn condition(&self, text: &str, at: Option<Span>) -> Result<bool, String>;
    /// Returns a variable, resolved.
    fn variable(&self, name: &str) -> Result<Option<Value>, String>;
    /// Renders a template file's text. `overrides` come from the `template` module's arguments and `#jinja2:` header.
    fn template(
        &self,
        text: &str,
        name: &Path,
        overrides: &TemplateOptions,
        extra: &[(&str, Value)],
    ) -> Result<String, String>;
}

/// Finds and reads files of the project for a module.
pub trait ProjectFiles {
    /// Returns the path of `name` looked for as Ansible does: role `SUBFOLDER/`, role, task file's folder, playbook's
    /// `SUBFOLDER/` and playbook folder, then embedded ones. `Err` lists the paths tried.
    fn find(&self, subfolder: &str, name: &str) -> Result<PathBuf, Vec<PathBuf>>;
    /// Reads a file found; vault-encrypted files come decrypted.
    fn read(&self, path: &Path) -> std::io::Result<Vec<u8>>;
    /// Reads a file found as it is, encrypted or not.
    fn read_as_is(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        self.read(path)
    }
    /// Tells whether it is a folder.
    fn is_dir(&self, path: &Path) -> bool;
    /// Lists a folder's entries, sorted.
    fn list(&self, path: &Path) -> std::io::Result<Vec<String>>;
    /// Tells the permission bits of a file on this machine (`mode: preserve`).
    fn mode(&self, path: &Path) -> Option<u32>;
}

/// A module's documentation: the page `matron doc NAME` prints, and the table arguments are checked against.
#[derive(Debug)]
pub struct Doc {
    /// Short name.
    pub name: &'static str,
    /// One line.
    pub summary: &'static str,
    /// Paragraphs; may be empty.
    pub description: &'static str,
    /// Arguments.
    pub args: &'static [ArgDoc],
    /// Whether free-form text is taken (`command: ls`), and which argument it stands for.
    pub free_form: Option<&'static str>,
    /// Whether unknown argument names are data (`set_fact`, `add_host`) rather than errors.
    pub open: bool,
    /// What a check-mode run does.
    pub check_mode: CheckMode,
    /// Who can notice it; decides where a flight is cut.
    pub reach: Reach,
    /// Keys of the result: name and meaning.
    pub returns: &'static [(&'static str, &'static str)],
    /// A playbook snippet.
    pub examples: &'static str,
}

/// Support for check mode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CheckMode {
    /// Says what would change.
    Full,
    /// Is skipped in check mode.
    Skipped,
}

/// One argument of a module.
#[derive(Debug)]
pub struct ArgDoc {
    /// Name.
    pub name: &'static str,
    /// Type.
    pub kind: ArgKind,
    /// Whether it must be given.
    pub required: bool,
    /// Default as shown, empty for none.
    pub default: &'static str,
    /// Other names for it.
    pub aliases: &'static [&'static str],
    /// Meaning in one or two sentences.
    pub help: &'static str,
}

/// Types of arguments, as Ansible converts them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ArgKind {
    /// Text; numbers and booleans are turned into text as written.
    Str,
    /// Path text: `~` and variables are left to the host.
    Path,
    /// yes/no/on/off/1/0/true/false.
    Bool,
    /// Whole number.
    Int,
    /// Number.
    Float,
    /// List; a comma-separated string is split.
    List,
    /// Mapping.
    Dict,
    /// File mode: octal number, quoted octal, or symbolic; see [`FileMode`].
    Mode,
    /// Anything, as it is.
    Raw,
    /// One of a fixed set of words.
    Choice(&'static [&'static str]),
    /// Conditions or an expression, not templated before the module sees it.
    Expression,
    /// Accepted for compatibility and without effect here; the text says why.
    Ignored(&'static str),
}

/// A [`Doc`] argument with the usual blanks, for `const` tables: `ArgDoc { required: true, ..arg("path", ArgKind::Path, "…") }`.
pub const fn arg(name: &'static str, kind: ArgKind, help: &'static str) -> ArgDoc {
    ArgDoc { name, kind, required: false, default: "", aliases: &[], help }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_module_is_listed_once_in_name_order() {
        let names: Vec<&str> = ALL.iter().map(|module| module.doc().name).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(names, sorted);
    }

    #[test]
    fn argument_names_and_aliases_of_a_module_differ() {
        for module in ALL {
            let doc = module.doc();
            let mut names: Vec<&str> = doc
                .args
                .iter()
                .flat_map(|arg| std::iter::once(arg.name).chain(arg.aliases.iter().copied()))
                .collect();
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count, "{}", doc.name);
        }
    }
}
