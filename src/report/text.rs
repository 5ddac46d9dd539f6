//! The words of `ansible-playbook`'s default output, as pure text with a colour name.
//!
//! People and scripts read these lines, so their form is Ansible's. What is our own: `…` progress lines of long steps.

use serde_json::{Map, Value};

use super::python_json;
use crate::event::{Event, NoteLevel, Tally};
use crate::names::HostName;
use crate::outcome::{Diff, Status};

/// Ansible's colours by meaning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Colour {
    /// No colour.
    None,
    /// Green.
    Ok,
    /// Yellow.
    Changed,
    /// Cyan.
    Skipped,
    /// Red.
    Failed,
    /// Bright red.
    Unreachable,
    /// Bright purple.
    Warning,
    /// Blue: verbose talk.
    Verbose,
    /// Green lines of a diff.
    DiffAdded,
    /// Red lines of a diff.
    DiffRemoved,
    /// Cyan headings of a diff.
    DiffLines,
}

/// A line (or block of lines) to show.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TextLine {
    /// Its colour.
    pub colour: Colour,
    /// Its text, without the last line end.
    pub text: String,
    /// Talk rather than data: goes to stderr.
    pub talk: bool,
}

/// How much to show.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// `-v` count.
    pub verbosity: u8,
    /// `--diff`.
    pub diff: bool,
    /// Width of the screen; 79 where there is none.
    pub width: usize,
    /// What the settings say about it.
    pub show: Show,
}

/// What settings of the default callback leave out or add (`ansible.cfg`, `ANSIBLE_*`).
#[derive(Clone, Copy, Debug)]
pub struct Show {
    /// Skipped hosts have a line.
    pub skipped: bool,
    /// Hosts where nothing changed have a line.
    pub ok: bool,
    /// Failures go to stderr.
    pub failed_to_stderr: bool,
    /// Results are written as YAML.
    pub yaml: bool,
    /// Check mode is told in every head line.
    pub check_markers: bool,
    /// A line when a host begins a task.
    pub host_start: bool,
    /// What `set_stats` gathered is shown without `-v` as well.
    pub custom_stats: bool,
    /// Lines around a change in a diff.
    pub diff_context: usize,
}

impl Default for Show {
    fn default() -> Self {
        Self {
            skipped: true,
            ok: true,
            failed_to_stderr: false,
            yaml: false,
            check_markers: false,
            host_start: false,
            custom_stats: false,
            diff_context: 3,
        }
    }
}

/// Turns events into lines in order; knows what must wait: the head line of a task of which nothing may be shown.
#[derive(Debug)]
pub(super) struct Teller {
    look: Look,
    waiting: Vec<TextLine>,
    task: String,
    check: bool,
}

impl Teller {
    pub(super) fn new(look: Look) -> Self {
        Self { look, waiting: Vec::new(), task: String::new(), check: false }
    }

    /// Returns the lines of one event.
    pub(super) fn lines(&mut self, event: &Event) -> Vec<TextLine> {
        let show = self.look.show;
        let mut lines = self.look.lines(event);
        if let Event::RunStarted { check, .. } = event {
            self.check = *check;
        }
        if show.check_markers && self.check {
            self.mark(event, &mut lines);
        }
        match event {
            Event::TaskStarted { name, .. } => {
                self.task.clone_from(name);
                if show.skipped && show.ok {
                    return lines;
                }
                self.waiting = lines;
                Vec::new()
            }
            Event::HostStarted { host, .. } if show.host_start => {
                vec![plain(Colour::None, format!(" [started TASK: {} on {host}]", self.task))]
            }
            Event::ItemDone { .. }
            | Event::HostDone { .. }
            | Event::Retrying { .. }
            | Event::Included { .. }
                if !lines.is_empty() =>
            {
                let mut all = std::mem::take(&mut self.waiting);
                all.append(&mut lines);
                all
            }
            Event::PlayStarted { .. } | Event::RunEnded { .. } => {
                self.waiting.clear();
                lines
            }
            _ => lines,
        }
    }

    fn mark(&self, event: &Event, lines: &mut Vec<TextLine>) {
        match event {
            Event::RunStarted { .. } | Event::RunEnded { .. } => {
                lines.push(self.look.banner("DRY RUN"));
            }
            Event::PlayStarted { name, .. } => {
                *lines = vec![self.look.banner(&format!("PLAY [{name}] [CHECK MODE]"))];
            }
            Event::TaskStarted { name, handler, .. } => {
                let word = if *handler { "RUNNING HANDLER" } else { "TASK" };
                let head = self.look.banner(&format!("{word} [{name}] [CHECK MODE]"));
                if let Some(first) = lines.first_mut() {
                    *first = head;
                }
            }
            _ => {}
        }
    }
}

impl Look {
    /// Turns one event into lines; most events are none or one.
    pub(super) fn lines(&self, event: &Event) -> Vec<TextLine> {
        match event {
            Event::RunStarted { .. } | Event::Progress { .. } | Event::HostStarted { .. } => {
                Vec::new()
            }
            Event::PlayStarted { name, .. } => vec![self.banner(&format!("PLAY [{name}]"))],
            Event::NoHostsMatched {} => {
                vec![plain(Colour::Skipped, "skipping: no hosts matched".into())]
            }
            Event::NoHostsRemaining {} => vec![self.banner("NO MORE HOSTS LEFT")],
            Event::TaskStarted { name, handler, place, .. } => {
                let word = if *handler { "RUNNING HANDLER" } else { "TASK" };
                let mut lines = vec![self.banner(&format!("{word} [{name}]"))];
                if self.verbosity >= 2 {
                    lines.push(plain(Colour::Verbose, format!("task path: {place}")));
                }
                lines
            }
            Event::ItemDone {
                host,
                delegated,
                label,
                status,
                ignored,
                place,
                result,
                diff,
                ..
            } => {
                let mut lines = self.diffs(diff, *status);
                lines.extend(self.item(host, delegated.as_ref(), label, *status, result));
                lines.extend(way_out(*status, place.as_deref(), result));
                if *ignored {
                    lines.push(plain(Colour::Skipped, "...ignoring".into()));
                }
                lines
            }
            Event::Retrying { host, name, left, result, .. } => {
                let mut text =
                    format!("FAILED - RETRYING: [{host}]: {name} ({left} retries left).");
                if self.verbosity >= 2 {
                    text = format!("{text}Result was: {}", self.dump(result));
                }
                vec![plain(Colour::Verbose, text)]
            }
            Event::Line { host, text, .. } => {
                vec![TextLine {
                    colour: Colour::Verbose,
                    text: format!("[{host}] {text}"),
                    talk: true,
                }]
            }
            Event::HostDone {
                host,
                delegated,
                status,
                ignored,
                looped,
                place,
                result,
                diff,
                ..
            } => {
                let mut lines = Vec::new();
                if !looped {
                    lines.extend(self.diffs(diff, *status));
                }
                lines.extend(self.host(host, delegated.as_ref(), *status, *looped, result));
                if !*ignored && (!*looped || !result.contains_key("results")) {
                    lines.extend(way_out(*status, place.as_deref(), result));
                }
                if *ignored {
                    lines.push(plain(Colour::Skipped, "...ignoring".into()));
                }
                lines
            }
            Event::Included { what, hosts, label } => {
                let item = label.as_ref().map(|l| format!(" => (item={l})")).unwrap_or_default();
                let text = format!("included: {what} for {}{item}", join(hosts));
                vec![plain(Colour::Skipped, text)]
            }
            Event::Meta { text, .. } => vec![plain(Colour::Skipped, text.clone())],
            Event::Note { level, text } => vec![note(*level, text)],
            Event::CustomStats { stats } => self.custom_stats(stats),
            Event::RunEnded { recap, .. } => self.recap(recap),
        }
    }

    fn banner(&self, text: &str) -> TextLine {
        let stars = self.width.saturating_sub(text.chars().count()).max(3);
        plain(Colour::None, format!("\n{text} {}", "*".repeat(stars)))
    }

    fn host(
        &self,
        host: &HostName,
        delegated: Option<&HostName>,
        status: Status,
        looped: bool,
        result: &Map<String, Value>,
    ) -> Vec<TextLine> {
        let who = who(host, delegated);
        match status {
            Status::Ok | Status::Changed => {
                let (word, colour) = good(status);
                if looped || (status == Status::Ok && !self.show.ok) {
                    return Vec::new();
                }
                let tail = if self.is_shown(result) { self.tail(result) } else { String::new() };
                vec![plain(colour, format!("{word}: [{who}]{tail}"))]
            }
            Status::Skipped if !self.show.skipped => Vec::new(),
            Status::Skipped => {
                let tail = if self.is_shown(result) { self.tail(result) } else { " ".to_owned() };
                let text = format!("skipping: [{who}]{tail}");
                vec![plain(Colour::Skipped, text.trim_end().to_owned())]
            }
            // The items have been shown.
            Status::Failed if looped => Vec::new(),
            Status::Failed => {
                let text = format!("fatal: [{who}]: FAILED!{}", self.tail(result));
                vec![self.bad(Colour::Failed, text)]
            }
            Status::Unreachable => {
                let text = format!("fatal: [{who}]: UNREACHABLE!{}", self.tail(result));
                vec![self.bad(Colour::Unreachable, text)]
            }
        }
    }

    fn item(
        &self,
        host: &HostName,
        delegated: Option<&HostName>,
        label: &str,
        status: Status,
        result: &Map<String, Value>,
    ) -> Vec<TextLine> {
        let who = who(host, delegated);
        if (status == Status::Skipped && !self.show.skipped)
            || (status == Status::Ok && !self.show.ok)
        {
            return Vec::new();
        }
        let tail = if self.is_shown(result) { self.tail(result) } else { String::new() };
        let line = match status {
            Status::Ok | Status::Changed => {
                let (word, colour) = good(status);
                plain(colour, format!("{word}: [{who}] => (item={label}){tail}"))
            }
            Status::Skipped => {
                let text = format!("skipping: [{who}] => (item={label}) {tail}");
                plain(Colour::Skipped, text)
            }
            Status::Failed | Status::Unreachable => {
                let text = format!("failed: [{who}] (item={label}){}", self.tail(result));
                self.bad(Colour::Failed, text)
            }
        };
        vec![line]
    }

    /// Tells whether a good result is printed: with `-v`, or when the module asks (`debug`).
    fn is_shown(&self, result: &Map<String, Value>) -> bool {
        self.verbosity > 0 || result.get(VERBOSE_ALWAYS) == Some(&Value::Bool(true))
    }

    /// Returns a line about a failure, on the stream the settings say.
    fn bad(&self, colour: Colour, text: String) -> TextLine {
        TextLine { colour, text, talk: self.show.failed_to_stderr }
    }

    /// Returns a result as it stands behind its host.
    fn tail(&self, result: &Map<String, Value>) -> String {
        format!(" => {}", self.dump(result))
    }

    fn dump(&self, result: &Map<String, Value>) -> String {
        let always = result.get(VERBOSE_ALWAYS) == Some(&Value::Bool(true));
        let mut shown = Map::new();
        for (key, value) in result {
            let hidden = key.starts_with("_ansible_")
                || matches!(key.as_str(), "failed" | "skipped" | "diff")
                // Said in a line of its own.
                || (key == "hint" && is_bad(result))
                || (matches!(key.as_str(), "invocation" | "exception") && self.verbosity < 3);
            if !hidden {
                shown.insert(key.clone(), value.clone());
            }
        }
        if self.show.yaml {
            return in_yaml(shown);
        }
        let value = Value::Object(shown);
        if always || self.verbosity > 2 {
            python_json::indented(&value)
        } else {
            python_json::one_line(&value)
        }
    }

    fn diffs(&self, diffs: &[Diff], status: Status) -> Vec<TextLine> {
        if !self.diff || status != Status::Changed {
            return Vec::new();
        }
        diffs.iter().flat_map(|diff| diff_lines(diff, self.show.diff_context)).collect()
    }

    fn custom_stats(&self, stats: &Map<String, Value>) -> Vec<TextLine> {
        // As Ansible, which shows them to who asks.
        if stats.is_empty() || (self.verbosity == 0 && !self.show.custom_stats) {
            return Vec::new();
        }
        let mut lines = vec![self.banner("CUSTOM STATS:")];
        for (who, data) in stats {
            let name = if who == "_run" { "RUN" } else { who };
            lines.push(plain(Colour::None, format!("\t{name}: {}", python_json::one_line(data))));
        }
        lines
    }

    fn recap(&self, recap: &[(HostName, Tally)]) -> Vec<TextLine> {
        let mut lines = vec![self.banner("PLAY RECAP")];
        for (host, t) in recap {
            let colour = if t.failed > 0 || t.unreachable > 0 {
                Colour::Failed
            } else if t.changed > 0 {
                Colour::Changed
            } else {
                Colour::Ok
            };
            let text = format!(
                "{host:<26} : ok={:<4} changed={:<4} unreachable={:<4} failed={:<4} skipped={:<4} \
                 rescued={:<4} ignored={:<4}",
                t.ok, t.changed, t.unreachable, t.failed, t.skipped, t.rescued, t.ignored
            );
            lines.push(plain(colour, text));
        }
        lines.push(plain(Colour::None, String::new()));
        lines
    }
}

/// A result key by which a module asks to be shown without `-v`.
const VERBOSE_ALWAYS: &str = "_ansible_verbose_always";

fn plain(colour: Colour, text: String) -> TextLine {
    TextLine { colour, text, talk: false }
}

fn note(level: NoteLevel, text: &str) -> TextLine {
    let (head, colour) = match level {
        NoteLevel::Warning => ("[WARNING]: ", Colour::Warning),
        NoteLevel::Deprecation => ("[DEPRECATION WARNING]: ", Colour::Warning),
        NoteLevel::Note => ("", Colour::None),
    };
    TextLine { colour, text: format!("{head}{text}"), talk: true }
}

/// Writes a result as the setting `callback_result_format: yaml` wants it: below its host, by four.
fn in_yaml(mut result: Map<String, Value>) -> String {
    for name in ["stdout", "stderr"] {
        let lines = format!("{name}_lines");
        if result.contains_key(name) && result.contains_key(&lines) {
            result.insert(lines, Value::from(OMITTED));
        }
    }
    let value = minijinja::Value::from(minijinja::value::Serde(Value::Object(result)));
    let text = crate::yaml::emit(&value, &crate::yaml::EmitOptions::nice());
    let mut out = String::new();
    for line in text.trim_end().lines() {
        out.push('\n');
        if !line.is_empty() {
            out.push_str("    ");
            out.push_str(line);
        }
    }
    out
}

/// Stands for lines that are shown as a whole already.
const OMITTED: &str = "<omitted>";

fn is_bad(result: &Map<String, Value>) -> bool {
    ["failed", "unreachable"].iter().any(|key| result.get(*key) == Some(&Value::Bool(true)))
}

/// Says where a mistake stands and what to do about it, below the line that says what it is.
fn way_out(status: Status, place: Option<&str>, result: &Map<String, Value>) -> Vec<TextLine> {
    if !matches!(status, Status::Failed | Status::Unreachable) {
        return Vec::new();
    }
    let hint = result.get("hint").and_then(Value::as_str);
    let line = |word: &str, text: &str| TextLine {
        colour: Colour::None,
        text: format!("  {word}: {text}"),
        talk: true,
    };
    let mut lines = Vec::new();
    // Nothing is wrong with a task whose host cannot be reached.
    let place = place.filter(|_| status == Status::Failed);
    lines.extend(place.map(|place| line("at", place)));
    lines.extend(hint.map(|hint| line("hint", hint)));
    lines
}

fn good(status: Status) -> (&'static str, Colour) {
    if status == Status::Changed { ("changed", Colour::Changed) } else { ("ok", Colour::Ok) }
}

fn who(host: &HostName, delegated: Option<&HostName>) -> String {
    match delegated {
        Some(other) => format!("{host} -> {other}"),
        None => host.to_string(),
    }
}

fn join(hosts: &[HostName]) -> String {
    hosts.iter().map(HostName::as_str).collect::<Vec<_>>().join(", ")
}

/// Draws one change as a unified diff with some lines around.
fn diff_lines(diff: &Diff, context: usize) -> Vec<TextLine> {
    let head = |word: &str, name: &str| {
        if name.is_empty() { word.to_owned() } else { format!("{word}: {name}") }
    };
    let mut lines = vec![
        plain(Colour::DiffRemoved, format!("--- {}", head("before", &diff.before_header))),
        plain(Colour::DiffAdded, format!("+++ {}", head("after", &diff.after_header))),
    ];
    let text = similar::TextDiff::from_lines(diff.before.as_str(), diff.after.as_str());
    for hunk in text.unified_diff().context_radius(context).iter_hunks() {
        lines.push(plain(Colour::DiffLines, hunk.header().to_string()));
        for change in hunk.iter_changes() {
            let (sign, colour) = match change.tag() {
                similar::ChangeTag::Delete => ('-', Colour::DiffRemoved),
                similar::ChangeTag::Insert => ('+', Colour::DiffAdded),
                similar::ChangeTag::Equal => (' ', Colour::None),
            };
            let value = change.value();
            lines.push(plain(colour, format!("{sign}{}", value.trim_end_matches('\n'))));
            if !value.ends_with('\n') {
                lines.push(plain(Colour::None, "\\ No newline at end of file".into()));
            }
        }
    }
    lines.push(plain(Colour::None, String::new()));
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn show(event: &Event, verbosity: u8) -> String {
        let look = Look { verbosity, diff: true, width: 79, show: Show::default() };
        look.lines(event).into_iter().map(|line| line.text).collect::<Vec<_>>().join("\n")
    }

    fn done(status: Status, result: Value) -> Event {
        Event::HostDone {
            task: 1,
            host: HostName::new("h1"),
            delegated: None,
            status,
            ignored: false,
            rescued: false,
            looped: false,
            place: None,
            result: result.as_object().cloned().unwrap_or_default(),
            diff: Vec::new(),
            took_ms: 3,
        }
    }

    #[test]
    fn banner_is_eighty_wide() {
        let event = Event::PlayStarted { name: "all".into(), hosts: Vec::new() };
        assert_eq!(show(&event, 0).trim_start_matches('\n').len(), 80);
    }

    #[test]
    fn failure_shows_its_result_on_one_line_without_the_failed_key() {
        let event = done(Status::Failed, json!({"msg": "no", "changed": false, "failed": true}));
        let text = r#"fatal: [h1]: FAILED! => {"changed": false, "msg": "no"}"#;
        assert_eq!(show(&event, 0), text);
    }

    #[test]
    fn debug_shows_its_message_over_lines() {
        let result = json!({"msg": "hi", "_ansible_verbose_always": true});
        assert_eq!(show(&done(Status::Ok, result), 0), "ok: [h1] => {\n    \"msg\": \"hi\"\n}");
    }

    #[test]
    fn recap_line_has_the_columns_scripts_read() {
        let tally = Tally { ok: 5, changed: 2, ..Tally::default() };
        let event = Event::RunEnded { recap: vec![(HostName::new("db1"), tally)], exit: 0 };
        let line = "db1                        : ok=5    changed=2    unreachable=0    failed=0    \
                    skipped=0    rescued=0    ignored=0   ";
        assert_eq!(show(&event, 0).lines().nth(2), Some(line));
    }

    #[test]
    fn diff_is_unified_with_ansible_headings() {
        let diff = Diff {
            before_header: "/etc/x".into(),
            after_header: "/etc/x".into(),
            before: "a\nb\n".into(),
            after: "a\nc\n".into(),
        };
        let text: Vec<String> = diff_lines(&diff, 3).into_iter().map(|l| l.text).collect();
        let want =
            ["--- before: /etc/x", "+++ after: /etc/x", "@@ -1,2 +1,2 @@", " a", "-b", "+c", ""];
        assert_eq!(text, want);
    }
}
