//! Runs the steps of an action over a connection.

use std::sync::Arc;

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::engine::Ask;
use crate::engine::connection::Way;
use crate::engine::locks::Locks;
use crate::event::Event;
use crate::modules::{Action, Done, Mode, Step, UploadSource};
use crate::names::HostName;
use crate::outcome::Outcome;
use crate::remote::{Fleet, transfer};
use crate::shell::Script;
use crate::transport::{Connection, Flight, LineSink, OutputLine, TransportError};

/// What an action is driven with.
pub(crate) struct Drive<'a> {
    pub(crate) fleet: &'a Arc<Fleet>,
    pub(crate) way: &'a Way,
    pub(crate) cancel: &'a CancellationToken,
    pub(crate) asker: &'a Arc<dyn Ask>,
    pub(crate) task: u64,
    pub(crate) host: &'a HostName,
    pub(crate) events: &'a Arc<dyn crate::event::EventSink>,
    pub(crate) redactor: &'a crate::secret::Redactor,
    /// Shows every script before it is sent (`--show-scripts`).
    pub(crate) show_scripts: bool,
    /// Locks that the run holds on hosts.
    pub(crate) locks: &'a Locks,
    pub(crate) connection: Mutex<Option<Arc<dyn Connection>>>,
}

impl Drive<'_> {
    /// Takes an action to its outcome.
    pub(crate) async fn run(
        &self,
        mut action: Box<dyn Action>,
        mode: Mode,
    ) -> Result<Outcome, TransportError> {
        let mut step = action.begin(mode);
        loop {
            let asked = match step {
                Step::Done(outcome) => return Ok(outcome),
                other => self.step(other).await,
            };
            let done = match asked {
                Ok(done) => done,
                Err(error) if action.bears_loss() && is_loss(error.kind) => {
                    self.fleet.forget(&self.way.address).await;
                    *self.connection.lock().await = None;
                    Done::Lost(error.message)
                }
                Err(error) => return Err(error),
            };
            step = action.resume(done);
        }
    }

    async fn step(&self, step: Step) -> Result<Done, TransportError> {
        Ok(match step {
            Step::Send(script) => Done::Reply(self.send(script).await?),
            Step::SendLong(script) => {
                self.show(&script);
                let connection = self.connection().await?;
                let identity = &self.way.identity;
                let lines = self.lines();
                Done::Reply(connection.run_long(identity, script, lines, self.cancel).await?)
            }
            Step::Upload(upload) => {
                let connection = self.connection().await?;
                let identity = &self.way.identity;
                let source = match upload.source {
                    UploadSource::File(path) => transfer::Source::File(path),
                    UploadSource::Bytes(bytes) => transfer::Source::Bytes(bytes),
                };
                let path =
                    transfer::upload(&*connection, identity, source, &upload.beside, self.cancel);
                Done::Uploaded(path.await?)
            }
            Step::Download(download) => {
                let connection = self.connection().await?;
                let bytes = transfer::download(
                    &*connection,
                    &self.way.identity,
                    &download.path,
                    download.limit,
                    self.cancel,
                );
                Done::Downloaded(bytes.await?)
            }
            Step::Wait(time) => {
                tokio::select! {
                    () = tokio::time::sleep(time) => Done::Waited,
                    () = self.cancel.cancelled() => return Err(self.cancelled()),
                }
            }
            Step::Ask(question) => {
                tokio::select! {
                    answer = self.asker.ask(&question) => Done::Answered(answer),
                    () = self.cancel.cancelled() => return Err(self.cancelled()),
                }
            }
            Step::Lock { name } => {
                let connection = self.connection().await?;
                Done::Locked(
                    self.locks.take(connection, self.host, &self.way.identity, &name).await?,
                )
            }
            Step::Done(_) => Done::Waited,
        })
    }

    async fn send(&self, script: Script) -> Result<crate::shell::Reply, TransportError> {
        self.show(&script);
        let connection = self.connection().await?;
        let flight = Flight { scripts: vec![script] };
        let replies = connection.run(&self.way.identity, flight, self.cancel).await?;
        replies.into_iter().next().ok_or_else(|| TransportError {
            host: self.host.clone(),
            kind: crate::transport::TransportErrorKind::Protocol,
            message: "the host answered a script with no reply".to_owned(),
            hint: None,
        })
    }

    /// Opens the connection when it is needed for the first time.
    pub(crate) async fn connection(&self) -> Result<Arc<dyn Connection>, TransportError> {
        let mut kept = self.connection.lock().await;
        if let Some(connection) = &*kept {
            return Ok(connection.clone());
        }
        let connection = self.fleet.connection(&self.way.address).await?;
        *kept = Some(connection.clone());
        Ok(connection)
    }

    fn show(&self, script: &Script) {
        if self.show_scripts {
            let shown = self.redactor.redact(&script.shown());
            let text = format!("script for {} as {}:\n{shown}", self.host, self.way.user);
            self.events.take(&Event::Note { level: crate::event::NoteLevel::Note, text });
        }
    }

    fn lines(&self) -> LineSink {
        let (task, host) = (self.task, self.host.clone());
        let (events, redactor) = (self.events.clone(), self.redactor.clone());
        Arc::new(move |line| {
            let host = host.clone();
            events.take(&match line {
                OutputLine::Progress(done, total) => Event::Progress { task, host, done, total },
                OutputLine::Out(text) | OutputLine::Err(text) => {
                    Event::Line { task, host, text: redactor.redact(&text) }
                }
            });
        })
    }

    fn cancelled(&self) -> TransportError {
        TransportError {
            host: self.host.clone(),
            kind: crate::transport::TransportErrorKind::Cancelled,
            message: "the run was cancelled".to_owned(),
            hint: None,
        }
    }
}

/// Tells whether an error means that the connection is gone.
fn is_loss(kind: crate::transport::TransportErrorKind) -> bool {
    use crate::transport::TransportErrorKind as Kind;
    match kind {
        Kind::Connect | Kind::Lost | Kind::Protocol | Kind::Authentication => true,
        Kind::HostKey | Kind::Become | Kind::Transfer | Kind::Cancelled => false,
    }
}
