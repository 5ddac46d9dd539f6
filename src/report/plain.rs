//! Plain lines: for files, pipes, CI and `NO_COLOR`.

use std::io::Write;
use std::sync::Mutex;

use super::text::{Look, Teller, TextLine};
use crate::event::{Event, EventSink};

/// Writes Ansible's default words as they come; data to one stream, talk to the other.
pub struct Plain<O, T> {
    state: Mutex<(Teller, O, T)>,
}

impl<O, T> std::fmt::Debug for Plain<O, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Plain")
    }
}

impl<O: Write + Send, T: Write + Send> Plain<O, T> {
    /// Makes a reporter over a stream for data and one for talk.
    pub fn new(look: Look, data: O, talk: T) -> Self {
        Self { state: Mutex::new((Teller::new(look), data, talk)) }
    }
}

impl<O: Write + Send, T: Write + Send> EventSink for Plain<O, T> {
    fn take(&self, event: &Event) {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (teller, data, talk) = &mut *state;
        let lines = teller.lines(event);
        if lines.is_empty() {
            return;
        }
        // A reader that went away (`| head`) must not stop a run in the middle of an act.
        for TextLine { text, talk: is_talk, .. } in lines {
            let _gone = if is_talk { writeln!(talk, "{text}") } else { writeln!(data, "{text}") };
        }
        let _gone = data.flush();
        let _gone = talk.flush();
    }
}
