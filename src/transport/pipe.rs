//! One command that runs on the far side: bytes go in, what it says comes out.
//!
//! A channel of an SSH connection must always be drained: one that nobody reads stalls every other channel of the
//! connection. So each pipe has a task that reads into an [`Inbox`], whether or not anybody waits for it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

/// What a pipe says next.
#[derive(Debug)]
pub(crate) enum Event {
    /// Bytes on stdout.
    Out(Vec<u8>),
    /// Bytes on stderr.
    Err(Vec<u8>),
    /// Nothing more will come. Said again each time it is asked for.
    End(End),
}

/// How a pipe ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The command ended with this status (128 + N for a signal).
    Status(i32),
    /// The connection went away, or the far side would not run the command: why.
    Lost(String),
}

/// What goes into a pipe.
#[derive(Debug)]
pub(crate) enum Input {
    /// Bytes for stdin.
    Data(Vec<u8>),
    /// End of stdin.
    Eof,
}

/// Bytes a slow reader may leave waiting before the pipe is given up: far more than any answer may be long.
const INBOX_LIMIT: usize = 256 * 1024 * 1024;

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<Event>,
    bytes: usize,
    end: Option<End>,
}

/// What has come and was not taken yet.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds output; after the end, or past the limit, it is thrown away.
    pub(crate) fn push(&self, event: Event) {
        let size = match &event {
            Event::Out(bytes) | Event::Err(bytes) => bytes.len(),
            Event::End(end) => return self.end(end.clone()),
        };
        let mut waiting = self.lock();
        if waiting.end.is_some() {
            return;
        }
        if waiting.bytes + size > INBOX_LIMIT {
            waiting.end = Some(End::Lost(format!(
                "more than {} MiB came faster than they could be taken",
                INBOX_LIMIT / (1024 * 1024)
            )));
        } else {
            waiting.bytes += size;
            waiting.events.push_back(event);
        }
        drop(waiting);
        self.arrived.notify_one();
    }

    /// Sets the end; the first one stays.
    pub(crate) fn end(&self, end: End) {
        self.lock().end.get_or_insert(end);
        self.arrived.notify_one();
    }

    /// Takes the next event. Cancel safe.
    pub(crate) async fn next(&self) -> Event {
        loop {
            let arrived = self.arrived.notified();
            {
                let mut waiting = self.lock();
                if let Some(event) = waiting.events.pop_front() {
                    if let Event::Out(bytes) | Event::Err(bytes) = &event {
                        waiting.bytes = waiting.bytes.saturating_sub(bytes.len());
                    }
                    return event;
                }
                if let Some(end) = &waiting.end {
                    return Event::End(end.clone());
                }
            }
            arrived.await;
        }
    }

    /// Tells whether the pipe has ended, even if output still waits.
    pub(crate) fn has_ended(&self) -> bool {
        self.lock().end.is_some()
    }
}

/// A running command. Dropping it closes the channel, or the stdin of a local process; whatever runs at the far end is
/// not killed by that.
#[derive(Debug)]
pub(crate) struct Pipe {
    input: mpsc::Sender<Input>,
    /// What the command says.
    pub(crate) inbox: Arc<Inbox>,
    dropped: CancellationToken,
}

/// What the task that writes into a pipe holds.
#[derive(Debug)]
pub(crate) struct PipeEnds {
    /// What to write.
    pub(crate) input: mpsc::Receiver<Input>,
    /// Where output goes.
    pub(crate) inbox: Arc<Inbox>,
    /// Fires when nobody wants the pipe any more.
    pub(crate) dropped: CancellationToken,
}

impl Pipe {
    /// Makes a pipe and its far ends.
    pub(crate) fn new() -> (Self, PipeEnds) {
        let (sender, receiver) = mpsc::channel(16);
        let inbox = Arc::new(Inbox::default());
        let dropped = CancellationToken::new();
        let ends =
            PipeEnds { input: receiver, inbox: Arc::clone(&inbox), dropped: dropped.clone() };
        (Self { input: sender, inbox, dropped }, ends)
    }

    /// Sends bytes; an ended pipe swallows them, and its end is seen by reading.
    pub(crate) async fn send(&self, bytes: Vec<u8>) {
        drop(self.input.send(Input::Data(bytes)).await);
    }

    /// Returns a second hand on the command's stdin.
    pub(crate) fn input(&self) -> mpsc::Sender<Input> {
        self.input.clone()
    }

    /// Ends the command's stdin.
    pub(crate) async fn send_eof(&self) {
        drop(self.input.send(Input::Eof).await);
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.dropped.cancel();
    }
}
