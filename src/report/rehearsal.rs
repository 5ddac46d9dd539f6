//! A rehearsal in words: every play and task in order, what was looked at, decided and shown, host by host.

use std::io::Write;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value};

use crate::event::{Event, EventSink, NoteLevel};
use crate::outcome::Status;

/// Writes a rehearsal as plain lines.
pub struct Rehearsal<O> {
    out: Mutex<O>,
}

impl<O> std::fmt::Debug for Rehearsal<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rehearsal")
    }
}

impl<O: Write + Send> Rehearsal<O> {
    /// Makes a reporter over a stream.
    pub fn new(out: O) -> Self {
        Self { out: Mutex::new(out) }
    }

    fn say(&self, text: &str) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        // A reader that went away is no error of ours.
        let _gone = writeln!(out, "{text}");
    }
}

/// Lines of a decision that people want to see.
const DECISION: &[&str] = &["check_lines", "facts", "changes"];

fn decision(result: &Map<String, Value>) -> Vec<String> {
    let list = |key: &&str| result.get(*key).and_then(Value::as_array).into_iter().flatten();
    let mut lines: Vec<String> = DECISION
        .iter()
        .flat_map(list)
        .filter_map(|line| line.as_str().map(str::to_owned))
        .collect();
    for step in result.get("steps").and_then(Value::as_array).into_iter().flatten() {
        let word = |key: &str| step[key].as_str().unwrap_or_default().to_owned();
        let about = step["about"].as_str().map(|node| format!(" ({node})")).unwrap_or_default();
        lines.push(format!("step: {} {}{about}", word("node"), word("act")));
    }
    lines
}

impl<O: Write + Send> EventSink for Rehearsal<O> {
    fn take(&self, event: &Event) {
        match event {
            Event::PlayStarted { name, .. } => self.say(&format!("\nPLAY {name}")),
            Event::TaskStarted { name, module, place, .. } => {
                self.say(&format!("\nTASK {name} ({module}, {place})"));
            }
            Event::Note { level: NoteLevel::Note, text } => {
                self.say(&format!("  {}", text.replace('\n', "\n  ")));
            }
            Event::HostDone { host, status, result, .. } => {
                let items = result.get("results").and_then(Value::as_array);
                let undone = items.is_some_and(|all| all.iter().any(|one| one["planned"] == true));
                if undone || result.contains_key("planned") || result.contains_key("censored") {
                    return;
                }
                match status {
                    Status::Skipped => self.say(&format!("  {host}: not here")),
                    Status::Ok | Status::Changed => self.say(&format!("  {host}: known")),
                    Status::Failed | Status::Unreachable => {
                        let text = result.get("msg").and_then(Value::as_str).unwrap_or_default();
                        self.say(&format!("  {host}: {text}"));
                    }
                }
                for line in decision(result) {
                    self.say(&format!("    {line}"));
                }
            }
            Event::RunEnded { exit, .. } => self.say(&format!(
                "\nNothing was changed. Of a module that looks first, the first script is shown: the next one depends on the answer.{}",
                if *exit == 0 { "" } else { " The plan ends early: see above." }
            )),
            Event::RunStarted { .. }
            | Event::NoHostsMatched {}
            | Event::NoHostsRemaining {}
            | Event::ItemDone { .. }
            | Event::Retrying { .. }
            | Event::Progress { .. }
            | Event::Line { .. }
            | Event::HostStarted { .. }
            | Event::Included { .. }
            | Event::Meta { .. }
            | Event::Note { level: NoteLevel::Warning | NoteLevel::Deprecation, .. }
            | Event::CustomStats { .. } => {}
        }
    }
}
