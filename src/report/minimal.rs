//! One host, one block: the form of `ansible` for a single module.

use std::io::Write;
use std::sync::Mutex;

use serde_json::{Map, Value};

use super::python_json;
use crate::event::{Event, EventSink, NoteLevel};
use crate::outcome::Status;

/// Writes `HOST | STATUS | rc=N >>` and the output for commands, `HOST | STATUS => {…}` for everything else.
pub struct Minimal<O> {
    out: Mutex<O>,
}

impl<O> std::fmt::Debug for Minimal<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Minimal")
    }
}

impl<O: Write + Send> Minimal<O> {
    /// Makes a reporter over a stream.
    pub fn new(out: O) -> Self {
        Self { out: Mutex::new(out) }
    }
}

fn block(host: &str, status: Status, result: &Map<String, Value>) -> String {
    let word = match status {
        Status::Ok => "SUCCESS",
        Status::Changed => "CHANGED",
        Status::Skipped => "SKIPPED",
        Status::Failed => "FAILED!",
        Status::Unreachable => "UNREACHABLE!",
    };
    let is_command = result.contains_key("stdout") && result.contains_key("rc");
    if is_command {
        let text = |key: &str| result.get(key).and_then(Value::as_str).unwrap_or_default();
        let rc = result.get("rc").cloned().unwrap_or(Value::Null);
        let word = word.trim_end_matches('!');
        let mut out = format!("{host} | {word} | rc={rc} >>\n{}", text("stdout"));
        if !text("stderr").is_empty() {
            if !text("stdout").is_empty() {
                out.push('\n');
            }
            out.push_str(text("stderr"));
        }
        if status == Status::Failed && !text("msg").is_empty() {
            out.push_str(text("msg"));
        }
        return out;
    }
    let shown: Map<String, Value> = result
        .iter()
        .filter(|(key, _)| {
            !key.starts_with("_ansible_") && !matches!(key.as_str(), "failed" | "invocation")
        })
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    format!("{host} | {word} => {}", python_json::indented(&Value::Object(shown)))
}

impl<O: Write + Send> EventSink for Minimal<O> {
    fn take(&self, event: &Event) {
        let text = match event {
            Event::HostDone { host, status, result, .. } => block(host.as_str(), *status, result),
            Event::NoHostsMatched {} => "[WARNING]: No hosts matched, nothing to do".to_owned(),
            Event::Note { level: NoteLevel::Warning, text } => format!("[WARNING]: {text}"),
            _ => return,
        };
        let mut out = self.out.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // A reader that went away must not stop a run in the middle of an act.
        let _gone = writeln!(out, "{text}");
        let _gone = out.flush();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_command_shows_its_output_under_a_heading() {
        let result = json!({"rc": 0, "stdout": "hi", "stderr": "", "changed": true});
        let text = block("h1", Status::Changed, result.as_object().unwrap());
        assert_eq!(text, "h1 | CHANGED | rc=0 >>\nhi");
    }

    #[test]
    fn anything_else_shows_its_result() {
        let result = json!({"ping": "pong", "changed": false});
        let text = block("h1", Status::Ok, result.as_object().unwrap());
        assert_eq!(text, "h1 | SUCCESS => {\n    \"changed\": false,\n    \"ping\": \"pong\"\n}");
    }
}
