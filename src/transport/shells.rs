//! The far shells of one connection: which are open, which are free, and how a script that must stop is stopped.
//!
//! One shell a user carries flights one at a time. When several tasks want the same host at once (`delegate_to`), more are
//! opened, up to a limit: OpenSSH allows ten sessions a connection (`MaxSessions`), and frees them late.

use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::conduit::{FarShell, Live, Role, reaper};
use super::pipe::{Input, Pipe};
use super::{Flight, Identity, LineSink, TransportError, TransportErrorKind};
use crate::names::HostName;
use crate::shell::{Reply, Script};

/// How long a killed script may take to be gone before its shell is given up.
const GRACE: Duration = Duration::from_secs(5);

/// How a connection starts a command.
pub(super) trait Launch: Send + Sync {
    /// The host, for messages.
    fn host(&self) -> &HostName;
    /// How long a shell may take to come up.
    fn patience(&self) -> Duration;
    /// Starts a command line in the login shell of the far side.
    fn launch(&self, command: &str) -> impl Future<Output = Result<Pipe, TransportError>> + Send;
}

/// The shells of one connection.
#[derive(Debug)]
pub(super) struct Shells {
    idle: Mutex<Vec<(Identity, FarShell)>>,
    flights: Semaphore,
    channels: Semaphore,
    limit: usize,
}

enum Stop {
    TimedOut,
    Cancelled,
}

impl Shells {
    /// Makes an empty set: at most `flights` shells for flights and `channels` for long work.
    pub(super) fn new(flights: usize, channels: usize) -> Self {
        Self {
            idle: Mutex::new(Vec::new()),
            flights: Semaphore::new(flights),
            channels: Semaphore::new(channels),
            limit: flights,
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Identity, FarShell)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a flight in a shell of `identity`.
    pub(super) async fn run(
        &self,
        launch: &impl Launch,
        identity: &Identity,
        flight: &Flight,
        cancel: &CancellationToken,
    ) -> Result<Vec<Reply>, TransportError> {
        if flight.scripts.is_empty() {
            return Ok(Vec::new());
        }
        let permit = tokio::select! {
            permit = self.flights.acquire() => permit,
            () = cancel.cancelled() => return Err(cancelled(launch.host())),
        };
        let mut shell = tokio::select! {
            shell = self.shell(launch, identity) => shell?,
            () = cancel.cancelled() => return Err(cancelled(launch.host())),
        };
        let mut sent = SystemTime::now();
        let id = shell.send_flight(flight).await?;
        if let Some(stopped) = started(launch, &mut shell, cancel).await? {
            if stopped.is_up {
                self.stop(launch, identity, &mut shell, id, 1).await;
            }
            return Err(cancelled(launch.host()));
        }
        let mut replies = Vec::with_capacity(flight.scripts.len());
        for (at, script) in flight.scripts.iter().enumerate() {
            let began = Instant::now();
            let stop = tokio::select! {
                biased;
                reply = shell.reply(id, at + 1) => {
                    let mut reply = reply?;
                    reply.took = began.elapsed();
                    let answered = SystemTime::now();
                    reply.between = Some((sent, answered));
                    sent = answered;
                    let failed = reply.status != 0;
                    replies.push(reply);
                    if failed {
                        break;
                    }
                    continue;
                }
                () = cancel.cancelled() => Stop::Cancelled,
                () = tokio::time::sleep_until(began + script.deadline) => Stop::TimedOut,
            };
            let reply = self.stop(launch, identity, &mut shell, id, at + 1).await;
            match stop {
                Stop::Cancelled => return Err(cancelled(launch.host())),
                Stop::TimedOut => {
                    let gone = reply.is_none();
                    let mut reply = reply.unwrap_or(Reply { status: 137, ..Reply::default() });
                    // It may have come to its end at the last moment, and well.
                    reply.timed_out = gone || reply.status >= 128;
                    reply.took = began.elapsed();
                    replies.push(reply);
                    if !gone {
                        self.settle(&mut shell, flight, id, &mut replies).await;
                        self.put_back(identity, shell);
                    }
                    drop(permit);
                    return Ok(replies);
                }
            }
        }
        self.put_back(identity, shell);
        drop(permit);
        Ok(replies)
    }

    /// A script ended by itself just before it was to be killed, so the blow may have hit the next ones.
    async fn settle(
        &self,
        shell: &mut FarShell,
        flight: &Flight,
        id: u64,
        replies: &mut Vec<Reply>,
    ) {
        while replies.len() < flight.scripts.len() && replies.iter().all(|r| r.status == 0) {
            let Some(script) = flight.scripts.get(replies.len()) else { return };
            let reply =
                tokio::time::timeout(script.deadline, shell.reply(id, replies.len() + 1)).await;
            let Ok(Ok(mut reply)) = reply else { return };
            reply.timed_out = reply.status >= 128;
            replies.push(reply);
        }
    }

    /// Kills what runs in the shell and waits for the answer; `None` when the shell is not to be used again.
    async fn stop(
        &self,
        launch: &impl Launch,
        identity: &Identity,
        shell: &mut FarShell,
        id: u64,
        index: usize,
    ) -> Option<Reply> {
        self.reap(launch, identity, shell.pid()?).await;
        tokio::time::timeout(GRACE, shell.reply(id, index)).await.ok()?.ok()
    }

    /// Ends what far shell `pid` runs, by another shell of the same user. Boxed, because reaping runs a script too.
    async fn reap(&self, launch: &impl Launch, identity: &Identity, pid: u32) {
        let work = async {
            let script = reaper(pid);
            let mut shell = open(launch, identity, Role::Solo).await?;
            shell.send_solo(&script).await?;
            shell.started(launch.patience()).await?;
            let mut live = Live::new(std::sync::Arc::new(|_| {}));
            while shell.follow(&mut live).await?.is_none() {}
            Ok::<(), TransportError>(())
        };
        match tokio::time::timeout(launch.patience() + GRACE, work).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(host = %launch.host(), %error, "what a script left running was not ended");
            }
            Err(_) => {
                tracing::warn!(host = %launch.host(), "what a script left running was not ended in time");
            }
        }
    }

    async fn shell(
        &self,
        launch: &impl Launch,
        identity: &Identity,
    ) -> Result<FarShell, TransportError> {
        loop {
            let found = {
                let mut idle = self.idle();
                idle.retain(|(_, shell)| !shell.has_ended());
                let at = idle.iter().position(|(whose, _)| whose == identity);
                at.map(|at| idle.swap_remove(at).1)
            };
            match found {
                Some(shell) if !shell.has_ended() => return Ok(shell),
                Some(_) => {}
                None => break,
            }
        }
        let over = {
            let mut idle = self.idle();
            let busy = self.limit.saturating_sub(self.flights.available_permits());
            (idle.len() + busy > self.limit && !idle.is_empty()).then(|| idle.remove(0).1)
        };
        if let Some(shell) = over {
            shell.end().await;
        }
        open(launch, identity, Role::Loop).await
    }

    fn put_back(&self, identity: &Identity, shell: FarShell) {
        if !shell.has_ended() {
            self.idle().push((identity.clone(), shell));
        }
    }

    /// Runs one script in a shell of its own, with `input` on its stdin when there is one.
    pub(super) async fn run_long(
        &self,
        launch: &impl Launch,
        identity: &Identity,
        script: &Script,
        input: Option<Box<dyn AsyncRead + Send + Unpin>>,
        lines: LineSink,
        cancel: &CancellationToken,
    ) -> Result<Reply, TransportError> {
        let began = Instant::now();
        let permit = tokio::select! {
            permit = self.channels.acquire() => permit,
            () = cancel.cancelled() => return Err(cancelled(launch.host())),
        };
        let role = if input.is_some() { Role::SoloFed } else { Role::Solo };
        let mut shell = tokio::select! {
            shell = open(launch, identity, role) => shell?,
            () = cancel.cancelled() => return Err(cancelled(launch.host())),
        };
        shell.send_solo(script).await?;
        if let Some(stopped) = started(launch, &mut shell, cancel).await? {
            if let Some(pid) = shell.pid().filter(|_| stopped.is_up) {
                self.reap(launch, identity, pid).await;
            }
            return Err(cancelled(launch.host()));
        }
        let mut live = Live::new(lines);
        let mut feeder = Feeder { input, to: shell.input(), buffer: vec![0; 64 * 1024] };
        let stop = loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => break Stop::Cancelled,
                () = tokio::time::sleep_until(began + script.deadline) => break Stop::TimedOut,
                step = shell.follow(&mut live) => if let Some(mut reply) = step? {
                    reply.took = began.elapsed();
                    drop(permit);
                    return Ok(reply);
                },
                fed = feeder.step() => fed.map_err(|error| TransportError {
                    host: launch.host().clone(),
                    kind: TransportErrorKind::Transfer,
                    message: format!("cannot read what is to be sent: {error}"),
                    hint: None,
                })?,
            }
        };
        if let Some(pid) = shell.pid() {
            self.reap(launch, identity, pid).await;
        }
        let end = async {
            loop {
                match shell.follow(&mut live).await {
                    Ok(None) => {}
                    Ok(Some(reply)) => return Some(reply),
                    Err(_) => return None,
                }
            }
        };
        let reply = tokio::time::timeout(GRACE, end).await.ok().flatten();
        match stop {
            Stop::Cancelled => Err(cancelled(launch.host())),
            Stop::TimedOut => {
                let mut reply = reply.unwrap_or(Reply { status: 137, ..Reply::default() });
                reply.timed_out = true;
                reply.took = began.elapsed();
                Ok(reply)
            }
        }
    }

    /// Ends all free shells.
    pub(super) async fn close(&self) {
        let idle = std::mem::take(&mut *self.idle());
        let mut ends = tokio::task::JoinSet::new();
        for (_, shell) in idle {
            ends.spawn(shell.end());
        }
        while ends.join_next().await.is_some() {}
    }
}

/// Starts a shell.
async fn open(
    launch: &impl Launch,
    identity: &Identity,
    role: Role,
) -> Result<FarShell, TransportError> {
    let prepared = FarShell::prepare(identity);
    let pipe = launch.launch(&prepared.1.command).await?;
    FarShell::open(launch.host().clone(), pipe, prepared, identity, role, launch.patience()).await
}

/// A start that was interrupted.
struct Stopped {
    /// The shell had come up, so what was sent to it runs.
    is_up: bool,
}

/// Waits for a shell to be up. A request is already under way to it, so a cancelled start is followed to its end: else
/// the far side would run it with nobody watching.
async fn started(
    launch: &impl Launch,
    shell: &mut FarShell,
    cancel: &CancellationToken,
) -> Result<Option<Stopped>, TransportError> {
    tokio::select! {
        up = shell.started(launch.patience()) => return up.map(|()| None),
        () = cancel.cancelled() => {}
    }
    let up = shell.started(GRACE).await;
    Ok(Some(Stopped { is_up: up.is_ok() }))
}

/// Moves the input to the far side block by block.
struct Feeder {
    input: Option<Box<dyn AsyncRead + Send + Unpin>>,
    to: mpsc::Sender<Input>,
    buffer: Vec<u8>,
}

impl Feeder {
    /// Moves one block; after the end of the input it never answers again. Cancel safe.
    async fn step(&mut self) -> std::io::Result<()> {
        let Some(input) = &mut self.input else { return std::future::pending().await };
        // First the place, then the bytes: a block that was read is never lost.
        let Ok(place) = self.to.reserve().await else {
            // The script ended without reading all; its status says how.
            self.input = None;
            return Ok(());
        };
        let size = input.read(&mut self.buffer).await?;
        if size == 0 {
            place.send(Input::Eof);
            self.input = None;
        } else {
            place.send(Input::Data(self.buffer.get(..size).unwrap_or_default().to_vec()));
        }
        Ok(())
    }
}

pub(super) fn cancelled(host: &HostName) -> TransportError {
    TransportError {
        host: host.clone(),
        kind: TransportErrorKind::Cancelled,
        message: format!("cancelled while work on {host} was under way"),
        hint: None,
    }
}
