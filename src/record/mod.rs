//! The run record: every event of a run, kept as hash-chained JSON lines under the state directory.
//!
//! Lives here: [`Recorder`] (one more event sink), run ids, reading runs back and [`verify`]. Does not: what is shown of
//! a run (report), which folder it is (cli).
//!
//! Each line is `{"sha256": HASH, "event": {…}}` on its own; HASH covers the hash of the line before and this event's
//! bytes, so a line changed, taken out or put in breaks every line after it.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::digest::hex;
use crate::event::{Event, EventSink};

/// The hash before the first line.
const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Name of the event file in a run's folder.
const EVENTS: &str = "events.jsonl";

/// Why a run could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The disk said no.
    #[error("cannot {what} {path}")]
    Disk {
        /// What was tried.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The chain is broken.
    #[error("{path} line {line}: {why}")]
    Broken {
        /// The record.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// Keeps the events of one run.
pub struct Recorder {
    folder: PathBuf,
    state: Mutex<State>,
}

struct State {
    file: File,
    last: String,
    broken: bool,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Recorder({})", self.folder.display())
    }
}

impl Recorder {
    /// Makes `STATE/runs/ID/` (mode 0700) and opens its event file. Fails when the folder cannot be made or ID is taken.
    pub fn start(state: &Path, id: &str) -> Result<Self, RecordError> {
        let runs = state.join("runs");
        let folder = runs.join(id);
        let disk = |what, path: &Path| {
            let path = path.to_owned();
            move |source| RecordError::Disk { what, path, source }
        };
        private_folders(&runs).map_err(disk("make folder", &runs))?;
        fs::create_dir(&folder).map_err(disk("make folder", &folder))?;
        let path = folder.join(EVENTS);
        let file = File::options().create_new(true).append(true).open(&path);
        let file = file.map_err(disk("open", &path))?;
        let state = State { file, last: GENESIS.to_owned(), broken: false };
        Ok(Self { folder, state: Mutex::new(state) })
    }

    /// Returns the run's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Makes folders that only their owner can enter.
fn private_folders(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

impl EventSink for Recorder {
    fn take(&self, event: &Event) {
        // Progress of long steps is for eyes; it would drown the record.
        if matches!(event, Event::Progress { .. }) {
            return;
        }
        let Ok(event_text) = serde_json::to_string(event) else { return };
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let hash = chain(&state.last, &event_text);
        let line = format!("{{\"sha256\":\"{hash}\",\"event\":{event_text}}}\n");
        let durable = matches!(
            event,
            Event::RunStarted { .. } | Event::PlayStarted { .. } | Event::RunEnded { .. }
        );
        let written = state.file.write_all(line.as_bytes());
        let kept = if durable { written.and_then(|()| state.file.sync_data()) } else { written };
        match kept {
            Ok(()) => state.last = hash,
            // A full disk here must not stop a failover under way; it is said once.
            Err(error) if !state.broken => {
                state.broken = true;
                tracing::error!(folder = %self.folder.display(), %error, "the run record is incomplete");
            }
            Err(_) => {}
        }
    }
}

fn chain(last: &str, event: &str) -> String {
    hex(&Sha256::new().chain_update(last).chain_update("\n").chain_update(event).finalize())
}

/// Checks a run's chain and returns how many events it holds.
pub fn verify(folder: &Path) -> Result<usize, RecordError> {
    let path = folder.join(EVENTS);
    let disk = |source| RecordError::Disk { what: "read", path: path.clone(), source };
    let file = File::open(&path).map_err(disk)?;
    let mut last = GENESIS.to_owned();
    let mut count = 0;
    for (at, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(disk)?;
        let broken = |why| RecordError::Broken { path: path.clone(), line: at + 1, why };
        let rest =
            line.strip_prefix("{\"sha256\":\"").ok_or_else(|| broken("not a record line"))?;
        let (hash, rest) =
            rest.split_once("\",\"event\":").ok_or_else(|| broken("not a record line"))?;
        let event = rest.strip_suffix('}').ok_or_else(|| broken("the line is cut off"))?;
        if chain(&last, event) != hash {
            return Err(broken("the hash does not follow from the lines before"));
        }
        hash.clone_into(&mut last);
        count += 1;
    }
    Ok(count)
}

/// One run as listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunSummary {
    /// Its id.
    pub id: String,
    /// Its folder.
    pub folder: PathBuf,
    /// The command line.
    pub command: String,
    /// The exit code, when the run ended.
    pub exit: Option<u64>,
}

/// Lists the runs kept, newest last (ids begin with their time).
pub fn list(state: &Path) -> Result<Vec<RunSummary>, RecordError> {
    let runs = state.join("runs");
    if !runs.is_dir() {
        return Ok(Vec::new());
    }
    let disk = |source| RecordError::Disk { what: "list", path: runs.clone(), source };
    let mut ids = Vec::new();
    for entry in fs::read_dir(&runs).map_err(disk)? {
        ids.push(entry.map_err(disk)?.file_name().to_string_lossy().into_owned());
    }
    ids.sort();
    Ok(ids.into_iter().map(|id| summary(&runs.join(&id), id)).collect())
}

fn summary(folder: &Path, id: String) -> RunSummary {
    let text = fs::read_to_string(folder.join(EVENTS)).unwrap_or_default();
    let event = |line: Option<&str>| -> Option<Value> {
        serde_json::from_str::<Value>(line?).ok()?.get("event").cloned()
    };
    let command = event(text.lines().next())
        .and_then(|first| {
            let words = first.get("command")?.as_array()?.clone();
            Some(words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "))
        })
        .unwrap_or_default();
    let exit = event(text.lines().last()).and_then(|last| last.get("exit")?.as_u64());
    RunSummary { id, folder: folder.to_owned(), command, exit }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::NoteLevel;

    fn recorded(name: &str) -> (PathBuf, PathBuf) {
        let state =
            std::env::temp_dir().join(format!("matron-record-{name}-{}", std::process::id()));
        let _old = fs::remove_dir_all(&state);
        let recorder = Recorder::start(&state, "r1").unwrap();
        for text in ["one", "two", "three"] {
            recorder.take(&Event::Note { level: NoteLevel::Note, text: text.into() });
        }
        let folder = recorder.folder().to_owned();
        (state, folder)
    }

    #[test]
    fn a_whole_chain_verifies() {
        let (state, folder) = recorded("whole");
        assert_eq!(verify(&folder).unwrap(), 3);
        fs::remove_dir_all(state).unwrap();
    }

    #[test]
    fn a_changed_line_breaks_the_chain_there() {
        let (state, folder) = recorded("changed");
        let path = folder.join(EVENTS);
        let text = fs::read_to_string(&path).unwrap().replace("two", "TWO");
        fs::write(&path, text).unwrap();
        let error = verify(&folder).unwrap_err().to_string();
        assert!(
            error.ends_with("line 2: the hash does not follow from the lines before"),
            "{error}"
        );
        fs::remove_dir_all(state).unwrap();
    }

    #[test]
    fn a_line_taken_out_breaks_the_chain() {
        let (state, folder) = recorded("gone");
        let path = folder.join(EVENTS);
        let text = fs::read_to_string(&path).unwrap();
        let kept: String = text.split_inclusive('\n').filter(|l| !l.contains("two")).collect();
        fs::write(&path, kept).unwrap();
        assert!(verify(&folder).is_err());
        fs::remove_dir_all(state).unwrap();
    }
}
