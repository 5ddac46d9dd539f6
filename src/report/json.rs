//! Events as JSON lines, for machines (`--output json`).

use std::io::Write;
use std::sync::Mutex;

use crate::event::{Event, EventSink};

/// Writes each event as one JSON object on a line.
pub struct JsonLines<O> {
    out: Mutex<O>,
}

impl<O> std::fmt::Debug for JsonLines<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JsonLines")
    }
}

impl<O: Write + Send> JsonLines<O> {
    /// Makes a reporter over a stream.
    pub fn new(out: O) -> Self {
        Self { out: Mutex::new(out) }
    }
}

impl<O: Write + Send> EventSink for JsonLines<O> {
    fn take(&self, event: &Event) {
        let Ok(line) = serde_json::to_string(event) else { return };
        let mut out = self.out.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // A reader that went away must not stop a run in the middle of an act.
        let _gone = writeln!(out, "{line}");
        let _gone = out.flush();
    }
}
