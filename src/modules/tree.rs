//! A folder of files onto a host in few round trips: what differs is found by one script, and sent by the next.

use crate::modules::action::unexpected;
use crate::modules::attributes::{ATTRIBUTES, Attributes};
use crate::modules::host_paths::HOST_PATHS;
use crate::modules::place::{INLINE_LIMIT, PLACE, Place, Placement, sha1_hex};
use crate::modules::{Action, Done, Mode, Reach, Step, environment, verdict};
use crate::outcome::{Outcome, Status};
use crate::shell::{Fields, Reply, Script, quote};

/// Trees up to this size are sent at once, without asking first which files differ.
const SEND_AT_ONCE: usize = 64 * 1024;

/// Folders to make and files to bring.
pub(super) struct Tree {
    pub(super) folders: Vec<String>,
    pub(super) files: Vec<Placement>,
    pub(super) directory_mode: Option<String>,
    pub(super) attributes: Attributes,
    src: String,
    dest: String,
    environment: String,
    mode: Mode,
    /// Indices of files whose content is still to be sent.
    waiting: Vec<usize>,
    /// The large file that is under way.
    large: Option<Place>,
    result: Outcome,
}

const FOLDER: &str = r#"folder() {
  expand "$1"
  [ ! -d "$expanded" ] || return 0
  reply made "$expanded"
  [ ! "$check" ] || return 0
  said=$(mkdir -p -- "$expanded" 2>&1) || fail "Could not create $expanded: $said"
  f_mode=$mode mode=$directory_mode quiet=1
  want_ids
  settle "$expanded"
  mode=$f_mode quiet=
}
eval "$calls"
reply end 1"#;

impl Tree {
    pub(super) fn new(src: String, dest: String, environment: String) -> Self {
        let result = Outcome::ok().with("dest", dest.clone()).with("src", src.clone());
        Self {
            folders: Vec::new(),
            files: Vec::new(),
            directory_mode: None,
            attributes: Attributes::default(),
            src,
            dest,
            environment,
            mode: Mode::default(),
            waiting: Vec::new(),
            large: None,
            result,
        }
    }

    /// Makes the script for some files, with or without their content.
    ///
    /// The calls are shell words only: names and values quoted, content as base64.
    fn script(&self, indices: &[usize], with_content: bool, with_folders: bool) -> Script {
        use std::fmt::Write as _;

        use base64::Engine as _;
        let mut calls = String::new();
        if with_folders {
            for folder in &self.folders {
                let _ = writeln!(calls, "folder {}", quote(folder));
            }
        }
        for index in indices {
            let Some(file) = self.files.get(*index) else { continue };
            let mode = file.attributes.mode.as_deref().unwrap_or_default();
            let _ = writeln!(
                calls,
                "reply item {index}\ndest={} name={} mode={} sha1={}",
                quote(&file.dest),
                quote(&file.name),
                quote(mode),
                sha1_hex(&file.content)
            );
            if with_content {
                let coded = base64::engine::general_purpose::STANDARD.encode(&file.content);
                let _ = writeln!(calls, "content_b64='{coded}'");
            }
            calls.push_str("place\n");
        }
        let script = Script::new(HOST_PATHS).then(ATTRIBUTES).then(PLACE).then(FOLDER);
        // What all files share comes from the first; a tree without files needs only the folder's part.
        let script = match self.files.first() {
            Some(file) => file.variables(script, self.mode),
            None => self.attributes.give_to(environment::with(script, &self.environment)),
        };
        script
            .flag("check", self.mode.check)
            .var_or_empty("directory_mode", self.directory_mode.as_deref())
            .var("calls", calls)
    }

    /// Takes the next files: as many as fit into one script, or one large file for an upload.
    fn next(&mut self) -> Step {
        let size = |tree: &Self, index: usize| tree.files.get(index).map_or(0, |f| f.content.len());
        let Some(first) = self.waiting.first().copied() else {
            return Step::Done(self.result.clone());
        };
        if size(self, first) > INLINE_LIMIT {
            self.waiting.remove(0);
            let Some(file) = self.files.get(first).cloned() else { return self.next() };
            let mut place = Place::new(file);
            let step = place.begin(self.mode);
            self.large = Some(place);
            return step;
        }
        let mut total = 0;
        let mut batch = Vec::new();
        while let Some(index) = self.waiting.first().copied() {
            total += size(self, index);
            if total > INLINE_LIMIT {
                break;
            }
            batch.push(self.waiting.remove(0));
        }
        Step::Send(self.script(&batch, true, false))
    }

    /// Adds one file's outcome to the result; true when it failed.
    fn take(&mut self, outcome: Outcome) -> bool {
        match outcome.status {
            Status::Failed | Status::Unreachable => {
                self.result = outcome;
                return true;
            }
            Status::Changed => self.result.status = Status::Changed,
            Status::Ok | Status::Skipped => {}
        }
        self.result.diff.extend(outcome.diff);
        false
    }

    fn read(&mut self, reply: &Reply) -> Option<Step> {
        let (head, items) = segments(reply);
        if head.fields.is_set("made") {
            self.result.status = Status::Changed;
        }
        for (index, part) in items {
            if part.fields.is_set("need") && verdict::failure(&part).is_none() {
                self.waiting.push(index);
                continue;
            }
            let Some(file) = self.files.get(index) else { continue };
            let outcome = file.outcome(&part, None, self.mode);
            if self.take(outcome) {
                return Some(Step::Done(self.result.clone()));
            }
        }
        if let Some(failed) = verdict::failure(reply) {
            return Some(Step::Done(
                failed.with("src", self.src.clone()).with("dest", self.dest.clone()),
            ));
        }
        None
    }
}

/// Cuts a reply at its `item N` fields. Each part but the last counts as ended.
fn segments(reply: &Reply) -> (Reply, Vec<(usize, Reply)>) {
    let blank = || Reply { fields: Fields::default(), ..reply.clone() };
    let mut head = blank();
    let mut items: Vec<(usize, Reply)> = Vec::new();
    for (key, value) in &reply.fields.0 {
        if key == "item" {
            if let Some((_, last)) = items.last_mut() {
                last.fields.0.push(("end".to_owned(), b"1".to_vec()));
            }
            let index = String::from_utf8_lossy(value).parse().unwrap_or(usize::MAX);
            items.push((index, blank()));
            continue;
        }
        let part = items.last_mut().map_or(&mut head, |(_, part)| part);
        part.fields.0.push((key.clone(), value.clone()));
    }
    (head, items)
}

impl Action for Tree {
    fn begin(&mut self, mode: Mode) -> Step {
        self.mode = mode;
        let total: usize = self.files.iter().map(|file| file.content.len()).sum();
        let all: Vec<_> = (0..self.files.len()).collect();
        Step::Send(self.script(&all, total <= SEND_AT_ONCE, true))
    }

    fn resume(&mut self, done: Done) -> Step {
        if let Some(mut place) = self.large.take() {
            return match place.resume(done) {
                Step::Done(outcome) if self.take(outcome.clone()) => Step::Done(outcome),
                Step::Done(_) => self.next(),
                step => {
                    self.large = Some(place);
                    step
                }
            };
        }
        let Done::Reply(reply) = done else { return unexpected() };
        if let Some(step) = self.read(&reply) {
            return step;
        }
        self.next()
    }

    fn reach(&self) -> Reach {
        Reach::Local
    }
}
