//! Connections to hosts: SSH by russh, and this machine itself.
//!
//! Lives here: the [`Connection`] trait, SSH (`ssh/`: known_hosts, ssh_config, authentication, jumps, the conduit) and the
//! local connection. Does not: what scripts mean, or which host to use when.

mod conduit;
mod elevate;
mod local;
mod pipe;
mod shells;
pub mod ssh;

pub use self::local::Local;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::names::HostName;
use crate::secret::Secret;
use crate::shell::{Reply, Script};

/// Everything needed to reach one host, gathered from variables and the command line. `~/.ssh/config` is applied by the
/// ssh room for whatever is `None` here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Inventory name, for messages.
    pub name: HostName,
    /// How to connect.
    pub kind: ConnectionKind,
    /// Host name or IP (`ansible_host`); the inventory name when not set.
    pub host: String,
    /// `ansible_port`.
    pub port: Option<u16>,
    /// `ansible_user`, `-u`.
    pub user: Option<String>,
    /// `ansible_password`, `-k`.
    pub password: Option<Secret>,
    /// `ansible_ssh_private_key_file`, `--private-key`.
    pub private_key: Option<String>,
    /// Words of `ansible_ssh_common_args` and `ansible_ssh_extra_args` together (`-o …`, `-J …`, `-F …`).
    pub ssh_args: Vec<String>,
    /// Connect and handshake deadline.
    pub timeout: Duration,
    /// What to do about a host key that is not known.
    pub host_keys: HostKeys,
}

/// How to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectionKind {
    /// SSH.
    Ssh,
    /// A shell on this machine.
    Local,
}

/// What to do about a host key that is not known. A changed or revoked key always stops the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HostKeys {
    /// Refuse.
    Strict,
    /// Write it to the user's known_hosts and go on (`--accept-new-host-keys`, `StrictHostKeyChecking=accept-new`).
    AcceptNew,
    /// Do not check unknown keys (`host_key_checking = False`, `StrictHostKeyChecking=no`).
    Off,
}

/// The user scripts run as.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub enum Identity {
    /// The login user.
    #[default]
    Login,
    /// Another user, by sudo or su.
    Become(Become),
}

/// How to become another user.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Become {
    /// `become_method`.
    pub method: BecomeMethod,
    /// `become_user`.
    pub user: String,
    /// `become_exe`, when not the method's own name.
    pub exe: Option<String>,
    /// `become_flags` words.
    pub flags: Option<Vec<String>>,
    /// `ansible_become_password`, `-K`.
    pub password: Option<HiddenWord>,
}

/// A password that can be part of a key without showing.
#[derive(Clone, PartialEq, Eq)]
pub struct HiddenWord(pub Secret);

impl std::hash::Hash for HiddenWord {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.reveal().hash(state);
    }
}

impl std::fmt::Debug for HiddenWord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// Ways to become another user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BecomeMethod {
    /// `sudo`
    Sudo,
    /// `su`
    Su,
}

/// Why a host could not be reached, or stopped answering. The engine reports it as unreachable (or failed, for become).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TransportError {
    /// Host's inventory name.
    pub host: HostName,
    /// What kind.
    pub kind: TransportErrorKind,
    /// What happened, with address, user and value: a full clause a person understands.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl TransportError {
    /// Makes an error without a hint.
    pub fn new(host: &HostName, kind: TransportErrorKind, message: impl Into<String>) -> Self {
        Self { host: host.clone(), kind, message: message.into(), hint: None }
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Kinds of transport errors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TransportErrorKind {
    /// No route, refused, timed out, name not found.
    Connect,
    /// The host key is unknown, changed or revoked.
    HostKey,
    /// No way to authenticate was accepted.
    Authentication,
    /// sudo or su refused.
    Become,
    /// The connection was lost in the middle.
    Lost,
    /// The far shell did not answer in the agreed form.
    Protocol,
    /// A transfer went wrong (digest, disk).
    Transfer,
    /// The run was cancelled.
    Cancelled,
}

/// Several scripts sent as one frame; stops after the first one whose exit status is not zero.
#[derive(Clone, Debug)]
pub struct Flight {
    /// In order.
    pub scripts: Vec<Script>,
}

/// Where live output of a long script goes; called for each line as it comes.
pub type LineSink = Arc<dyn Fn(OutputLine) + Send + Sync>;

/// A line of live output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputLine {
    /// On stdout.
    Out(String),
    /// On stderr.
    Err(String),
    /// `progress DONE TOTAL` on stderr: bytes done and bytes in all (0 = not known).
    Progress(u64, u64),
}

/// One host's connection: opened lazily, kept for the run, shared by clones of the `Arc`.
#[async_trait]
pub trait Connection: Send + Sync {
    /// Runs a flight in the conduit of `identity`; returns one reply a script that ran (the last may have failed).
    async fn run(
        &self,
        identity: &Identity,
        flight: Flight,
        cancel: &CancellationToken,
    ) -> Result<Vec<Reply>, TransportError>;

    /// Runs one script on a channel of its own, each output line going to `lines` as it comes.
    async fn run_long(
        &self,
        identity: &Identity,
        script: Script,
        lines: LineSink,
        cancel: &CancellationToken,
    ) -> Result<Reply, TransportError>;

    /// Runs a script on a channel of its own with bytes on its stdin (uploads, `docker load`).
    async fn feed(
        &self,
        identity: &Identity,
        script: Script,
        input: Box<dyn tokio::io::AsyncRead + Send + Unpin>,
        lines: LineSink,
        cancel: &CancellationToken,
    ) -> Result<Reply, TransportError>;

    /// Opens a byte stream to `host:port` as seen from the far side, or to a Unix socket when `host` starts with `/`.
    async fn tunnel(&self, host: &str, port: u16) -> Result<Box<dyn Stream>, TransportError>;

    /// Ends conduits and channels, then the connection.
    async fn close(&self);
}

/// A byte stream.
pub trait Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin {}

impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin> Stream for T {}
