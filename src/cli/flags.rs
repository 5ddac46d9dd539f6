//! The flags that verbs share, named as `ansible-playbook` names them.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

use super::keyring::VaultFlags;

/// Which hosts.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Hosts")]
pub(super) struct HostFlags {
    /// Inventory file, folder, script or comma-separated hosts; may be given again
    #[arg(short, long, visible_alias = "inventory-file", value_name = "SOURCE", env = "ANSIBLE_INVENTORY", value_delimiter = None)]
    pub(super) inventory: Vec<String>,
    /// Limit to hosts of this pattern
    #[arg(short, long, value_name = "PATTERN")]
    pub(super) limit: Option<String>,
}

/// How to reach them.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Connection")]
pub(super) struct ConnectFlags {
    /// Connect as this user
    #[arg(short, long, value_name = "USER", env = "ANSIBLE_REMOTE_USER")]
    pub(super) user: Option<String>,
    /// Ask for the connection password
    #[arg(short = 'k', long)]
    pub(super) ask_pass: bool,
    /// Read the connection password from this file
    #[arg(long, value_name = "FILE", visible_alias = "conn-pass-file")]
    pub(super) connection_password_file: Option<PathBuf>,
    /// Log in with this private key
    #[arg(long, visible_alias = "key-file", value_name = "FILE", env = "ANSIBLE_PRIVATE_KEY_FILE")]
    pub(super) private_key: Option<PathBuf>,
    /// Connection type: ssh or local
    #[arg(short, long, value_name = "TYPE")]
    pub(super) connection: Option<String>,
    /// Connect within this many seconds
    #[arg(short = 'T', long, value_name = "SECONDS", env = "ANSIBLE_TIMEOUT")]
    pub(super) timeout: Option<u64>,
    /// Further ssh options, such as -J jump.example
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true, env = "ANSIBLE_SSH_COMMON_ARGS")]
    pub(super) ssh_common_args: Option<String>,
    /// Further ssh options
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true, env = "ANSIBLE_SSH_EXTRA_ARGS")]
    pub(super) ssh_extra_args: Option<String>,
    /// What to do about a host key that is not in known_hosts [default: strict]
    #[arg(long, value_enum, value_name = "POLICY")]
    pub(super) host_keys: Option<HostKeyPolicy>,
    /// Write unknown host keys to known_hosts; same as --host-keys accept-new
    #[arg(long)]
    pub(super) accept_new_host_keys: bool,
}

/// Policies for host keys that are not known; a changed key always stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum HostKeyPolicy {
    /// Refuse
    Strict,
    /// Write them to known_hosts
    AcceptNew,
    /// Do not check
    Off,
}

/// Who to become there.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Privilege escalation")]
pub(super) struct BecomeFlags {
    /// Run as another user
    #[arg(short, long = "become")]
    pub(super) r#become: bool,
    /// The user to become [default: root]
    #[arg(long, value_name = "USER")]
    pub(super) become_user: Option<String>,
    /// How: sudo or su [default: sudo]
    #[arg(long, value_name = "METHOD")]
    pub(super) become_method: Option<String>,
    /// Ask for the password of become
    #[arg(short = 'K', long)]
    pub(super) ask_become_pass: bool,
    /// Read the password of become from this file
    #[arg(long, value_name = "FILE", visible_alias = "become-pass-file")]
    pub(super) become_password_file: Option<PathBuf>,
}

/// How to run.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Run")]
pub(super) struct RunFlags {
    /// Set a variable: NAME=VALUE, JSON, YAML or @FILE; may be given again
    #[arg(short, long, value_name = "VARS", action = ArgAction::Append)]
    pub(super) extra_vars: Vec<String>,
    /// Work on this many hosts at once [default: 5]
    #[arg(short, long, value_name = "N", env = "ANSIBLE_FORKS")]
    pub(super) forks: Option<usize>,
    /// Say what would change, change nothing
    #[arg(short = 'C', long)]
    pub(super) check: bool,
    /// Show what changes in files
    #[arg(short = 'D', long)]
    pub(super) diff: bool,
    /// Say more; up to -vvvv
    #[arg(short, long, action = ArgAction::Count)]
    pub(super) verbose: u8,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(super) output: Output,
    /// Why this is done; kept in the record
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Option<String>,
    /// Ticket it is done for; kept in the record
    #[arg(long, value_name = "ID")]
    pub(super) ticket: Option<String>,
    /// Show each script before it is sent, secrets masked
    #[arg(long)]
    pub(super) show_scripts: bool,
    /// Rehearse; set by `matron pg plan`.
    #[arg(skip)]
    pub(super) plan: bool,
    /// Keep run records here [default: $XDG_STATE_HOME/matron or ~/.local/state/matron]
    #[arg(long, value_name = "FOLDER", env = "MATRON_STATE_DIR")]
    pub(super) state_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(super) vault: VaultFlags,
}

/// Forms of output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// Words for people, as ansible-playbook prints them
    #[default]
    Text,
    /// Events as JSON lines
    Json,
}

/// Which tasks.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Tasks")]
pub(super) struct TaskFlags {
    /// Only tasks with these tags
    #[arg(short, long, value_name = "TAGS", value_delimiter = ',', action = ArgAction::Append)]
    pub(super) tags: Vec<String>,
    /// Not tasks with these tags
    #[arg(long, value_name = "TAGS", value_delimiter = ',', action = ArgAction::Append)]
    pub(super) skip_tags: Vec<String>,
    /// Start at the task of this name
    #[arg(long, value_name = "NAME")]
    pub(super) start_at_task: Option<String>,
    /// Ask before each task
    #[arg(long)]
    pub(super) step: bool,
    /// Run handlers even when a task failed
    #[arg(long)]
    pub(super) force_handlers: bool,
}
