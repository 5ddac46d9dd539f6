//! SSH by russh, in OpenSSH's world: its configuration files, its known_hosts, its agent.
//!
//! Lives here: `settings.rs` (what variables, words and ssh_config say about a host; `options.rs`, `args.rs` and `config.rs`
//! read them), `known_hosts.rs`, `dial.rs` (TCP, jumps, handshake), `auth.rs`, `channel.rs` (a command on a channel) and
//! [`Ssh`], the connection. Does not: what runs in a shell (`conduit`).

mod args;
mod auth;
mod channel;
mod config;
mod dial;
pub mod known_hosts;
mod options;
mod pattern;
mod settings;
mod socket;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use russh::ChannelOpenFailure;
use tokio::io::AsyncRead;
use tokio::sync::{Mutex, Semaphore};
use tokio_util::sync::CancellationToken;

use self::dial::Link;
use self::settings::{Settings, settings};
use super::pipe::Pipe;
use super::shells::{Launch, Shells};
use super::{
    Address, Connection, Flight, Identity, LineSink, Stream, TransportError, TransportErrorKind,
};
use crate::names::HostName;
use crate::shell::{Reply, Script};

/// Shells for flights and channels for long work: with one more to end what must stop, nine of OpenSSH's ten sessions.
const FLIGHT_SHELLS: usize = 4;
const LONG_CHANNELS: usize = 4;

/// How long to go on asking for a session while all are taken.
const SESSION_PATIENCE: Duration = Duration::from_secs(5);

/// The person on whose behalf we connect: what ssh would take from the environment.
#[derive(Clone, Debug)]
pub struct Person {
    /// Login name on this machine.
    pub user: String,
    /// Home folder: `~/.ssh` is looked for here.
    pub home: PathBuf,
    /// The agent's socket (`SSH_AUTH_SOCK`).
    pub agent: Option<PathBuf>,
    /// Runs the command of a `Match exec` line; true when it ends with status 0.
    pub match_exec: fn(&str) -> bool,
}

impl Person {
    /// Names a person; `Match exec` commands are run by `sh`, as ssh does.
    pub fn new(user: impl Into<String>, home: impl Into<PathBuf>, agent: Option<PathBuf>) -> Self {
        Self { user: user.into(), home: home.into(), agent, match_exec: run_match_exec }
    }
}

fn run_match_exec(command: &str) -> bool {
    std::process::Command::new("sh")
        .args(["-c", command])
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// A place for the link to a jump host: whoever comes first fills it while the others wait.
type SharedLink = Arc<Mutex<Option<Arc<Link>>>>;

/// Makes connections: how many at once, and the jump hosts they share.
#[derive(Debug)]
pub struct Dialer {
    person: Person,
    connecting: Semaphore,
    jumps: Mutex<HashMap<String, SharedLink>>,
}

impl Dialer {
    /// Makes a dialer for a person; at most `connecting` connections are being made at any time.
    pub fn new(person: Person, connecting: usize) -> Self {
        Self {
            person,
            connecting: Semaphore::new(connecting.max(1)),
            jumps: Mutex::new(HashMap::new()),
        }
    }
}

/// One SSH connection. When it was lost, the next act makes a new one; nothing is ever sent twice.
#[derive(Debug)]
pub struct Ssh {
    line: Line,
    shells: Shells,
}

#[derive(Debug)]
struct Line {
    settings: Settings,
    dialer: Arc<Dialer>,
    link: Mutex<Option<Arc<Link>>>,
}

impl Ssh {
    /// Connects and authenticates.
    pub async fn connect(address: &Address, dialer: &Arc<Dialer>) -> Result<Self, TransportError> {
        let settings = settings(address, &dialer.person)?;
        let line = Line { settings, dialer: Arc::clone(dialer), link: Mutex::new(None) };
        line.link().await?;
        Ok(Self { line, shells: Shells::new(FLIGHT_SHELLS, LONG_CHANNELS) })
    }
}

impl Line {
    /// Returns the live link, a new one when the last was lost.
    async fn link(&self) -> Result<Arc<Link>, TransportError> {
        let mut link = self.link.lock().await;
        if let Some(live) = link.as_ref().filter(|link| !link.is_closed()) {
            return Ok(Arc::clone(live));
        }
        let fresh = Arc::new(self.dialer.dial(&self.settings).await?);
        *link = Some(Arc::clone(&fresh));
        Ok(fresh)
    }
}

impl Launch for Line {
    fn host(&self) -> &HostName {
        &self.settings.name
    }

    fn patience(&self) -> Duration {
        self.settings.timeout
    }

    async fn launch(&self, command: &str) -> Result<Pipe, TransportError> {
        let link = self.link().await?;
        let deadline = tokio::time::Instant::now() + SESSION_PATIENCE;
        let mut pause = Duration::from_millis(20);
        loop {
            match link.handle.channel_open_session().await {
                Ok(channel) => return Ok(channel::run(channel, command, link)),
                // All sessions are taken: sshd frees one only after it has seen our close and its child's end.
                Err(russh::Error::ChannelOpenFailure(ChannelOpenFailure::ConnectFailed))
                    if tokio::time::Instant::now() < deadline =>
                {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_millis(500));
                }
                Err(error) => {
                    let kind = if link.is_closed() {
                        TransportErrorKind::Lost
                    } else {
                        TransportErrorKind::Connect
                    };
                    let mut failed = TransportError::new(
                        &self.settings.name,
                        kind,
                        format!("cannot open a session on {}: {error}", self.settings.name),
                    );
                    if matches!(
                        error,
                        russh::Error::ChannelOpenFailure(ChannelOpenFailure::ConnectFailed)
                    ) {
                        failed.hint = Some(
                            "sshd has no session left for this connection: look at MaxSessions in its sshd_config"
                                .to_owned(),
                        );
                    }
                    return Err(failed);
                }
            }
        }
    }
}

#[async_trait]
impl Connection for Ssh {
    async fn run(
        &self,
        identity: &Identity,
        flight: Flight,
        cancel: &CancellationToken,
    ) -> Result<Vec<Reply>, TransportError> {
        self.shells.run(&self.line, identity, &flight, cancel).await
    }

    async fn run_long(
        &self,
        identity: &Identity,
        script: Script,
        lines: LineSink,
        cancel: &CancellationToken,
    ) -> Result<Reply, TransportError> {
        self.shells.run_long(&self.line, identity, &script, None, lines, cancel).await
    }

    async fn feed(
        &self,
        identity: &Identity,
        script: Script,
        input: Box<dyn AsyncRead + Send + Unpin>,
        lines: LineSink,
        cancel: &CancellationToken,
    ) -> Result<Reply, TransportError> {
        self.shells.run_long(&self.line, identity, &script, Some(input), lines, cancel).await
    }

    async fn tunnel(&self, host: &str, port: u16) -> Result<Box<dyn Stream>, TransportError> {
        let link = self.line.link().await?;
        let opened = if host.starts_with('/') {
            link.handle.channel_open_direct_streamlocal(host).await
        } else {
            link.handle.channel_open_direct_tcpip(host, u32::from(port), "127.0.0.1", 0).await
        };
        match opened {
            Ok(opened) => Ok(Box::new(channel::stream(opened, link))),
            Err(error) => {
                let place =
                    if host.starts_with('/') { host.to_owned() } else { format!("{host}:{port}") };
                Err(TransportError::new(
                    &self.line.settings.name,
                    TransportErrorKind::Connect,
                    format!("cannot reach {place} through {}: {error}", self.line.settings.name),
                ))
            }
        }
    }

    async fn close(&self) {
        self.shells.close().await;
        if let Some(link) = self.line.link.lock().await.take() {
            link.close().await;
        }
    }
}
