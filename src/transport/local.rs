//! This machine as a host: the same far shells over child processes.

use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::process::Command;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::pipe::{End, Event, Input, Pipe, PipeEnds};
use super::shells::{Launch, Shells};
use super::{Connection, Flight, Identity, LineSink, Stream, TransportError, TransportErrorKind};
use crate::names::HostName;
use crate::shell::{Reply, Script};
use std::sync::Arc;

/// Shells at once: tasks of many hosts may be delegated to this machine.
const SHELLS: usize = 32;

/// How long output may still come after a child has ended, when something it started holds its stdout open.
const LINGER: Duration = Duration::from_millis(100);

/// A connection to this machine.
#[derive(Debug)]
pub struct Local {
    starter: Starter,
    shells: Shells,
}

#[derive(Debug)]
struct Starter {
    host: HostName,
    shell: String,
    patience: Duration,
}

impl Local {
    /// Makes the connection; nothing is started before the first act. `host` is the name for messages, `patience` how long a
    /// shell may take to come up (sudo included).
    pub fn new(host: HostName, patience: Duration) -> Self {
        Self::with_shell(host, patience, "sh")
    }

    /// As [`Local::new`], with another program in the place of the login shell.
    pub fn with_shell(host: HostName, patience: Duration, shell: impl Into<String>) -> Self {
        Self {
            starter: Starter { host, shell: shell.into(), patience },
            shells: Shells::new(SHELLS, SHELLS),
        }
    }
}

impl Launch for Starter {
    fn host(&self) -> &HostName {
        &self.host
    }

    fn patience(&self) -> Duration {
        self.patience
    }

    async fn launch(&self, command: &str) -> Result<Pipe, TransportError> {
        let mut child = Command::new(&self.shell)
            .arg("-c")
            .arg(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Its own group: what it starts can be told from what we are, and Ctrl-C is for us to pass on.
            .process_group(0)
            .spawn()
            .map_err(|error| {
                TransportError::new(
                    &self.host,
                    TransportErrorKind::Connect,
                    format!("cannot start {} on this machine: {error}", self.shell),
                )
            })?;
        let (pipe, ends) = Pipe::new();
        let PipeEnds { mut input, inbox, dropped } = ends;
        if let Some(mut stdin) = child.stdin.take() {
            tokio::spawn(async move {
                let write = async {
                    while let Some(Input::Data(bytes)) = input.recv().await {
                        if stdin.write_all(&bytes).await.is_err() {
                            break;
                        }
                    }
                };
                tokio::select! {
                    () = write => {}
                    () = dropped.cancelled() => {}
                }
            });
        }
        let out = drain(child.stdout.take(), Arc::clone(&inbox), Event::Out);
        let errors = drain(child.stderr.take(), Arc::clone(&inbox), Event::Err);
        tokio::spawn(async move {
            use std::os::unix::process::ExitStatusExt as _;
            let status = child.wait().await;
            let last = async {
                drop(out.await);
                drop(errors.await);
            };
            drop(tokio::time::timeout(LINGER, last).await);
            inbox.end(match status {
                Ok(status) => End::Status(
                    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default()),
                ),
                Err(error) => End::Lost(error.to_string()),
            });
        });
        Ok(pipe)
    }
}

fn drain(
    from: Option<impl AsyncRead + Send + Unpin + 'static>,
    inbox: Arc<super::pipe::Inbox>,
    event: fn(Vec<u8>) -> Event,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let Some(mut from) = from else { return };
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(size @ 1..) = from.read(&mut buffer).await {
            inbox.push(event(buffer.get(..size).unwrap_or_default().to_vec()));
        }
    })
}

#[async_trait]
impl Connection for Local {
    async fn run(
        &self,
        identity: &Identity,
        flight: Flight,
        cancel: &CancellationToken,
    ) -> Result<Vec<Reply>, TransportError> {
        self.shells.run(&self.starter, identity, &flight, cancel).await
    }

    async fn run_long(
        &self,
        identity: &Identity,
        script: Script,
        lines: LineSink,
        cancel: &CancellationToken,
    ) -> Result<Reply, TransportError> {
        self.shells.run_long(&self.starter, identity, &script, None, lines, cancel).await
    }

    async fn feed(
        &self,
        identity: &Identity,
        script: Script,
        input: Box<dyn AsyncRead + Send + Unpin>,
        lines: LineSink,
        cancel: &CancellationToken,
    ) -> Result<Reply, TransportError> {
        self.shells.run_long(&self.starter, identity, &script, Some(input), lines, cancel).await
    }

    async fn tunnel(&self, host: &str, port: u16) -> Result<Box<dyn Stream>, TransportError> {
        let failed = |error: std::io::Error| {
            let place =
                if host.starts_with('/') { host.to_owned() } else { format!("{host}:{port}") };
            TransportError::new(
                &self.starter.host,
                TransportErrorKind::Connect,
                format!("cannot connect to {place} on this machine: {error}"),
            )
        };
        let stream: Box<dyn Stream> = if host.starts_with('/') {
            Box::new(UnixStream::connect(host).await.map_err(failed)?)
        } else {
            Box::new(TcpStream::connect((host, port)).await.map_err(failed)?)
        };
        Ok(stream)
    }

    async fn close(&self) {
        self.shells.close().await;
    }
}
