//! Editing a file on a host: read in one round trip, computed here, and written in a second one only when something
//! differs, on condition that the file is still the one that was read.
//!
//! Used by lineinfile, replace and blockinfile: their rules need Python's regular expressions, which no `sh` has.

use serde_json::{Map, Value};

use crate::modules::action::unexpected;
use crate::modules::attributes::{self, ATTRIBUTES};
use crate::modules::copy;
use crate::modules::host_paths::HOST_PATHS;
use crate::modules::place::{self, PLACE, Placement};
use crate::modules::{Action, ArgError, Args, Done, Mode, Reach, Step, TaskContext, verdict};
use crate::outcome::{Diff, Outcome};
use crate::shell::{Reply, Script};

/// Files above this are not edited line by line.
const SIZE_LIMIT: usize = 16 * 1024 * 1024;

/// How often a file that changes under our hands is read again.
const ATTEMPTS: u8 = 3;

/// What an editor makes of a file's text.
#[derive(Clone, Debug)]
pub(super) struct Edited {
    /// The text it shall have.
    pub(super) text: String,
    /// `msg` of the result.
    pub(super) message: String,
    /// Further keys of the result.
    pub(super) data: Map<String, Value>,
}

/// Why an editor does not edit.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct Refusal {
    /// `msg` of the result.
    pub(super) message: String,
    /// `rc` of the result, where Ansible gives one.
    pub(super) rc: Option<i64>,
}

impl Refusal {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), rc: None }
    }

    /// The file is not there, and may not be made.
    pub(super) fn missing(message: String) -> Self {
        Self { message, rc: Some(257) }
    }
}

impl From<fancy_regex::Error> for Refusal {
    fn from(error: fancy_regex::Error) -> Self {
        Self::new(error.to_string())
    }
}

/// One way of editing.
pub(super) trait Editor: Send {
    /// Returns the new text, or a refusal. `None` is a file that is not there.
    fn edit(&self, text: Option<&str>) -> Result<Edited, Refusal>;
    /// Words the result as this module's users know it.
    fn report(&self, outcome: Outcome, backup: Option<String>) -> Outcome;
    /// Returns the headings of the content's diff.
    fn heading(&self, path: &str) -> String {
        format!("{path} (content)")
    }
}

/// Reads what the editors share; `path` is required.
pub(super) fn placement(args: &Args, cx: &TaskContext<'_>) -> Result<Placement, ArgError> {
    let mut placement = copy::placement(args, cx, args.required("path")?)?;
    placement.force = true;
    placement.follow = true;
    Ok(placement)
}

/// An edit under way.
pub(super) struct Edit<E> {
    editor: E,
    placement: Placement,
    mode: Mode,
    attempts: u8,
    read: Option<Seen>,
}

/// What the first script saw, and what was made of it.
struct Seen {
    path: String,
    old: Option<Vec<u8>>,
    edited: Edited,
    attributes: (Map<String, Value>, Map<String, Value>),
}

/// Needs HOST_PATHS and ATTRIBUTES. Says what is there and which attributes would change; changes nothing.
const READ: &str = r#"expand "$dest"; dest=$expanded
if [ -L "$dest" ]; then dest=$(readlink -f -- "$dest"); fi
reply path "$dest"
check=1 changed=
if [ -d "$dest" ]; then reply folder 1
elif [ -e "$dest" ]; then
  want_ids
  look "$dest"
  [ "$l_size" -le "$size_limit" ] || fail "$dest has $l_size bytes; more than $size_limit are not edited"
  reply_file text "$dest" || fail "cannot read $dest"
  settle "$dest"
fi
reply end 1"#;

/// Needs HOST_PATHS, ATTRIBUTES and PLACE. Writes if the file is still the one that was read.
const WRITE: &str = r#"digest_of "$dest"
if [ "$d_sum" != "$expected" ]; then reply stale 1; reply end 1; exit 0; fi
if [ "$make_folder" ]; then
  parent_of "$dest"
  [ -d "$folder" ] || said=$(mkdir -p -- "$folder" 2>&1) || fail "Error creating $folder ($said)"
fi
place
reply end 1"#;

impl<E: Editor> Edit<E> {
    pub(super) fn new(editor: E, placement: Placement) -> Self {
        Self { editor, placement, mode: Mode::default(), attempts: 0, read: None }
    }

    fn ask(&mut self) -> Step {
        self.attempts += 1;
        let script = Script::new(HOST_PATHS).then(ATTRIBUTES).then(READ);
        let script = self.placement.variables(script, Mode { check: true, diff: self.mode.diff });
        Step::Send(script.var("size_limit", SIZE_LIMIT.to_string()))
    }

    fn compute(&self, reply: &Reply) -> Result<Seen, Refusal> {
        let path = reply.field("path").unwrap_or_default();
        if reply.fields.is_set("folder") {
            let message = format!("Path {path} is a directory !");
            return Err(Refusal { message, rc: Some(256) });
        }
        let old = reply.fields.bytes("text").map(<[u8]>::to_vec);
        let edited = match &old {
            None => self.editor.edit(None)?,
            Some(bytes) => {
                let text = std::str::from_utf8(bytes).map_err(|error| {
                    let at = error.valid_up_to();
                    Refusal::new(format!("{path} is not UTF-8 text at byte {at}"))
                })?;
                self.editor.edit(Some(text))?
            }
        };
        let attributes = attributes::sides(reply, Map::new(), Map::new());
        Ok(Seen { path, old, edited, attributes })
    }

    /// Decides after reading: nothing to do, or write.
    fn decide(&mut self, reply: &Reply) -> Step {
        if let Some(failed) = verdict::failure(reply) {
            return Step::Done(failed);
        }
        let seen = match self.compute(reply) {
            Ok(seen) => seen,
            Err(refusal) => {
                let failed = Outcome::failed(refusal.message);
                return Step::Done(match refusal.rc {
                    Some(rc) => failed.with("rc", rc),
                    None => failed,
                });
            }
        };
        let same_text = seen.old.as_deref().unwrap_or_default() == seen.edited.text.as_bytes();
        let absent_and_empty = seen.old.is_none() && seen.edited.text.is_empty();
        let same = same_text && (seen.old.is_some() || absent_and_empty);
        if self.mode.check || (same && seen.attributes.0 == seen.attributes.1) {
            return Step::Done(self.outcome(&seen, None));
        }
        let mut placement = self.placement.clone();
        placement.dest.clone_from(&seen.path);
        placement.content = seen.edited.text.clone().into_bytes();
        let script = Script::new(HOST_PATHS).then(ATTRIBUTES).then(PLACE).then(WRITE);
        let script = placement
            .variables(script, Mode { check: false, diff: false })
            .var("expected", seen.old.as_deref().map(place::sha1_hex).unwrap_or_default())
            .var("sha1", place::sha1_hex(&placement.content))
            .flag("make_folder", seen.old.is_none())
            .var("content", &placement.content);
        self.read = Some(seen);
        Step::Send(script)
    }

    fn written(&mut self, seen: Seen, reply: &Reply) -> Step {
        if reply.fields.is_set("stale") && verdict::failure(reply).is_none() {
            if self.attempts < ATTEMPTS {
                return self.ask();
            }
            let message = format!("{} keeps changing while it is edited", seen.path);
            return Step::Done(Outcome::failed(message));
        }
        if let Some(failed) = verdict::failure(reply) {
            let Some(status) = reply.field("exit_status") else { return Step::Done(failed) };
            let message = format!("failed to validate: rc:{status} error:{}", reply.stderr_text());
            return Step::Done(Outcome::failed(message));
        }
        Step::Done(self.outcome(&seen, reply.field("backup_file")))
    }

    fn outcome(&self, seen: &Seen, backup: Option<String>) -> Outcome {
        let old = seen.old.as_deref().unwrap_or_default();
        let text_changed = old != seen.edited.text.as_bytes();
        let (before, after) = seen.attributes.clone();
        let attributes_changed = before != after;
        let mut message = seen.edited.message.clone();
        if attributes_changed {
            if !message.is_empty() {
                message.push_str(" and ");
            }
            message.push_str("ownership, perms or SE linux context changed");
        }
        let mut outcome = Outcome::changed_if(text_changed || attributes_changed);
        outcome.data.clone_from(&seen.edited.data);
        outcome = outcome.with("msg", message);
        if self.mode.diff && text_changed {
            let heading = self.editor.heading(&seen.path);
            outcome = outcome.with_diff(Diff {
                before_header: heading.clone(),
                after_header: heading,
                before: place::shown(old),
                after: seen.edited.text.clone(),
            });
        }
        if self.mode.diff {
            let header = format!("{} (file attributes)", seen.path);
            outcome.diff.extend(attributes::diff(&header, before, after));
        }
        self.editor.report(outcome, backup)
    }
}

impl<E: Editor> Action for Edit<E> {
    fn begin(&mut self, mode: Mode) -> Step {
        self.mode = mode;
        self.ask()
    }

    fn resume(&mut self, done: Done) -> Step {
        let Done::Reply(reply) = done else { return unexpected() };
        match self.read.take() {
            Some(seen) => self.written(seen, &reply),
            None => self.decide(&reply),
        }
    }

    fn reach(&self) -> Reach {
        Reach::Local
    }
}
