//! What happens in a run, as a stream of facts for reports and the record.
//!
//! Lives here: [`Event`] and [`EventSink`]. Events carry facts, never how to show them. Secrets are masked and `no_log`
//! results censored before an event is made.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::names::HostName;
use crate::outcome::{Diff, Status};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The run starts.
    RunStarted {
        /// Run id.
        run: String,
        /// The command line, secrets masked.
        command: Vec<String>,
        /// matron's version.
        version: String,
        /// OS user who runs it.
        user: String,
        /// `--reason`, `--ticket`.
        reason: Option<String>,
        /// See above.
        ticket: Option<String>,
        /// Check mode.
        check: bool,
    },
    /// A play starts.
    PlayStarted {
        /// Its name, or its host pattern when it has none.
        name: String,
        /// Hosts of the play, all batches.
        hosts: Vec<HostName>,
    },
    /// A play matched no host.
    NoHostsMatched {},
    /// A play had hosts, and none is left.
    NoHostsRemaining {},
    /// A task starts on a batch (or, under `free`, on its first host).
    TaskStarted {
        /// Distinguishes tasks in a run.
        task: u64,
        /// `role : name` or name or module name, templated.
        name: String,
        /// The module as written.
        module: String,
        /// `file:line` of the task.
        place: String,
        /// A handler.
        handler: bool,
        /// `-v` prefix `[CHECK MODE]` and the like are made by reports from this.
        check: bool,
    },
    /// A loop item is done on a host.
    ItemDone {
        /// See [`Event::TaskStarted`].
        task: u64,
        /// Host.
        host: HostName,
        /// Host it was delegated to.
        delegated: Option<HostName>,
        /// Label to show.
        label: String,
        /// How it ended.
        status: Status,
        /// Failed, but `ignore_errors`.
        ignored: bool,
        /// Where to look when it failed: `file:line:column`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        place: Option<String>,
        /// The result.
        result: Map<String, Value>,
        /// Changes.
        diff: Vec<Diff>,
    },
    /// `until` was not met yet.
    Retrying {
        /// See above.
        task: u64,
        /// Host.
        host: HostName,
        /// Task name.
        name: String,
        /// Tries left.
        left: u64,
        /// The result of this try.
        result: Map<String, Value>,
    },
    /// A long step goes on: bytes done of bytes in all (0 = not known).
    Progress {
        /// See above.
        task: u64,
        /// Host.
        host: HostName,
        /// Bytes done.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// A line of live output of a long step.
    Line {
        /// See above.
        task: u64,
        /// Host.
        host: HostName,
        /// The text.
        text: String,
    },
    /// A task begins to run on a host (for progress; not shown in plain output).
    HostStarted {
        /// See above.
        task: u64,
        /// Host.
        host: HostName,
    },
    /// A task is done on a host.
    HostDone {
        /// See above.
        task: u64,
        /// Host.
        host: HostName,
        /// Host it was delegated to.
        delegated: Option<HostName>,
        /// How it ended.
        status: Status,
        /// Failed (or unreachable), but it does not count.
        ignored: bool,
        /// Failed inside a block with rescue.
        rescued: bool,
        /// It was a loop whose items were shown one by one.
        looped: bool,
        /// Where to look when it failed: `file:line:column`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        place: Option<String>,
        /// The result.
        result: Map<String, Value>,
        /// Changes.
        diff: Vec<Diff>,
        /// How long it took, in milliseconds.
        took_ms: u64,
    },
    /// A task file or role was included for these hosts.
    Included {
        /// The file, or the role.
        what: String,
        /// Hosts.
        hosts: Vec<HostName>,
        /// Loop item label, when the include was in a loop.
        label: Option<String>,
    },
    /// A meta task did something worth a line, in Ansible's words.
    Meta {
        /// Host.
        host: HostName,
        /// Text.
        text: String,
    },
    /// A warning or a note.
    Note {
        /// Warning, deprecation or plain note.
        level: NoteLevel,
        /// Text; may have lines.
        text: String,
    },
    /// Figures made by `set_stats`, at the end.
    CustomStats {
        /// Host or `_run`, then names and values.
        stats: Map<String, Value>,
    },
    /// The play recap: the last words of a run.
    RunEnded {
        /// Per host, in inventory order.
        recap: Vec<(HostName, Tally)>,
        /// The exit code to come.
        exit: u8,
    },
}

/// How loud a note is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoteLevel {
    /// `[WARNING]`
    Warning,
    /// `[DEPRECATION WARNING]`
    Deprecation,
    /// Plain.
    Note,
}

/// One host's counts in the recap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Ok, changed ones included.
    pub ok: u32,
    /// Changed.
    pub changed: u32,
    /// Unreachable.
    pub unreachable: u32,
    /// Failed.
    pub failed: u32,
    /// Skipped.
    pub skipped: u32,
    /// Rescued.
    pub rescued: u32,
    /// Ignored.
    pub ignored: u32,
}

/// Takes events in order. Must not block for long: reports may lag, a failover may not wait for them.
pub trait EventSink: Send + Sync {
    /// Takes one event.
    fn take(&self, event: &Event);
}

/// Hands each event to several sinks in order.
#[derive(Clone)]
pub struct Fan(pub Vec<Arc<dyn EventSink>>);

impl EventSink for Fan {
    fn take(&self, event: &Event) {
        for sink in &self.0 {
            sink.take(event);
        }
    }
}
