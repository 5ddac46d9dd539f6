//! Ready-made actions for modules that need no steps of their own.
//!
//! Lives here: [`Finished`] (nothing to send) and [`OneTrip`] (one script, one reply), and the reading of the verdict
//! fields that their scripts share. Does not: anything a single module knows.

use std::fmt;

use crate::modules::{Action, Done, Mode, Reach, Step};
use crate::outcome::{Diff, Outcome};
use crate::shell::{Reply, Script};

/// Shell functions for scripts that answer with verdict fields; see [`verdict`].
///
/// `give_up TEXT` fails the task and ends the script; `run WORDS` runs a command with its
/// output kept, and gives up with that output when it fails.
pub(super) const VERBS: &str = r#"give_up() { reply failed 1; reply msg "$1"; exit 0; }
run() {
  run_out=$("$@" 2>&1 </dev/null) && return 0
  run_rc=$?
  reply failed 1; reply rc "$run_rc"; reply stderr "$run_out"
  reply msg "${run_out:-$1 failed with exit status $run_rc}"; exit 0
}
need() { command -v "$1" >/dev/null 2>&1 || give_up "Failed to find required executable \"$1\" in paths: $PATH"; }
"#;

/// An action whose outcome is known without asking the host.
pub(super) struct Finished {
    outcome: Option<Outcome>,
}

impl Finished {
    /// Boxes an outcome as an action.
    pub(super) fn boxed(outcome: Outcome) -> Box<dyn Action> {
        Box::new(Self { outcome: Some(outcome) })
    }
}

impl Action for Finished {
    fn begin(&mut self, _mode: Mode) -> Step {
        Step::Done(self.outcome.take().unwrap_or_else(Outcome::ok))
    }

    fn resume(&mut self, _done: Done) -> Step {
        unexpected()
    }

    fn reach(&self) -> Reach {
        Reach::Controller
    }
}

type Finish = Box<dyn FnOnce(&Reply) -> Outcome + Send>;

/// An action that is one script and one reply.
///
/// The script gets `check` and `diff` as flags.
pub(super) struct OneTrip {
    script: Option<Script>,
    finish: Option<Finish>,
    reach: Reach,
    long: bool,
    mode: Mode,
}

impl fmt::Debug for OneTrip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OneTrip").field("script", &self.script).finish_non_exhaustive()
    }
}

impl OneTrip {
    /// Sends a script and reads its reply by `finish`, which is called only for a reply without trouble (see
    /// [`trouble`]).
    pub(super) fn new(
        reach: Reach,
        script: Script,
        finish: impl FnOnce(&Reply) -> Outcome + Send + 'static,
    ) -> Self {
        Self {
            script: Some(script),
            finish: Some(Box::new(finish)),
            reach,
            long: false,
            mode: Mode::default(),
        }
    }

    /// Runs the script on a channel of its own.
    pub(super) fn long(mut self) -> Self {
        self.long = true;
        self
    }
}

impl Action for OneTrip {
    fn begin(&mut self, mode: Mode) -> Step {
        self.mode = mode;
        let Some(script) = self.script.take() else { return unexpected() };
        let script = script.flag("check", mode.check).flag("diff", mode.diff);
        if self.long { Step::SendLong(script) } else { Step::Send(script) }
    }

    fn resume(&mut self, done: Done) -> Step {
        let (Done::Reply(reply), Some(finish)) = (done, self.finish.take()) else {
            return unexpected();
        };
        Step::Done(trouble(&reply).unwrap_or_else(|| finish(&reply)))
    }

    fn reach(&self) -> Reach {
        self.reach
    }
}

/// What follows the first trip of [`TwoTrips`].
pub(super) enum Next {
    /// Nothing more.
    Done(Outcome),
    /// A second script, and the reading of its reply.
    Send(Script, Finish),
}

impl Next {
    /// Sends a second script whose success gives `outcome`.
    pub(super) fn send(script: Script, outcome: Outcome) -> Self {
        Self::Send(script, Box::new(move |_| outcome))
    }
}

type Decide = Box<dyn FnOnce(&Reply, Mode) -> Next + Send>;

/// An action that looks first, decides here, and acts in a second trip only when it must.
pub(super) struct TwoTrips {
    look: Option<Script>,
    decide: Option<Decide>,
    finish: Option<Finish>,
    reach: Reach,
    mode: Mode,
}

impl TwoTrips {
    /// Makes one of a script that looks and a decision.
    pub(super) fn new(
        reach: Reach,
        look: Script,
        decide: impl FnOnce(&Reply, Mode) -> Next + Send + 'static,
    ) -> Self {
        let (look, decide) = (Some(look), Some(Box::new(decide) as Decide));
        Self { look, decide, finish: None, reach, mode: Mode::default() }
    }
}

impl Action for TwoTrips {
    fn begin(&mut self, mode: Mode) -> Step {
        self.mode = mode;
        self.look.take().map_or_else(unexpected, Step::Send)
    }

    fn resume(&mut self, done: Done) -> Step {
        let Done::Reply(reply) = done else { return unexpected() };
        if let Some(outcome) = trouble(&reply) {
            return Step::Done(outcome);
        }
        if let Some(finish) = self.finish.take() {
            return Step::Done(finish(&reply));
        }
        let Some(decide) = self.decide.take() else { return unexpected() };
        match decide(&reply, self.mode) {
            Next::Done(outcome) => Step::Done(outcome),
            Next::Send(script, finish) => {
                self.finish = Some(finish);
                Step::Send(script)
            }
        }
    }

    fn reach(&self) -> Reach {
        self.reach
    }
}

/// A script that puts text into a file as a whole: `path`, `text`, and `mode` for a file that is new. Owner and mode of
/// a file that is there stay; a link is followed.
pub(super) const WRITE: &str = r#"real=$(readlink -f -- "$path") || real=$path
folder=$(dirname -- "$real")
[ -d "$folder" ] || mkdir -p -- "$folder" || give_up "cannot make the folder $folder"
temp=$(mktemp "$folder/.matron.XXXXXX") || give_up "cannot write in the folder $folder"
if [ -e "$real" ]; then
  chmod "$(stat -c %a -- "$real")" "$temp"; chown "$(stat -c %u:%g -- "$real")" "$temp"
else
  chmod "${mode:-0644}" "$temp"
fi
printf '%s' "$text" >"$temp" && sync "$temp" 2>/dev/null || [ -s "$temp" ] || [ -z "$text" ] || { rm -f "$temp"; give_up "cannot write $real"; }
mv -f -- "$temp" "$real" || { rm -f "$temp"; give_up "cannot put $real in place"; }
"#;

/// The step when the engine answered something that was not asked: a bug, told as a failure of the task.
pub(super) fn unexpected() -> Step {
    Step::Done(Outcome::failed(
        "the engine answered a step that was not asked for (a bug in matron)",
    ))
}

/// Returns the failure a reply tells of: `failed` said by the script, a script killed at its deadline, or one that ended
/// badly without a word.
pub(super) fn trouble(reply: &Reply) -> Option<Outcome> {
    if reply.timed_out {
        let seconds = reply.took.as_secs();
        let text = format!("the host did not finish in time: killed after {seconds} s");
        return Some(Outcome::failed(text).with("stderr", reply.stderr_text()));
    }
    if reply.fields.is_set("failed") {
        let mut outcome = Outcome::failed(reply.field("msg").unwrap_or_default());
        if let Some(rc) = reply.field("rc").and_then(|rc| rc.parse::<i64>().ok()) {
            outcome = outcome.with("rc", rc);
        }
        for key in ["stdout", "stderr"] {
            if let Some(text) = reply.field(key) {
                outcome = outcome.with(key, text);
            }
        }
        return Some(outcome);
    }
    if reply.status != 0 {
        let stderr = reply.stderr_text();
        let last = stderr.lines().last().unwrap_or("it said nothing").to_owned();
        let text = format!("the script ended with status {}: {last}", reply.status);
        let outcome = Outcome::failed(text).with("rc", reply.status);
        return Some(outcome.with("stderr", stderr));
    }
    None
}

/// Starts the outcome of a good reply: changed when it says `changed`, with the `diff_before` and `diff_after` fields as
/// a diff.
pub(super) fn verdict(reply: &Reply) -> Outcome {
    let mut outcome = Outcome::changed_if(reply.fields.is_set("changed"));
    if let Some(text) = reply.field("msg") {
        outcome = outcome.with("msg", text);
    }
    if let (Some(before), Some(after)) = (reply.field("diff_before"), reply.field("diff_after"))
        && before != after
    {
        let header = reply.field("diff_name").unwrap_or_default();
        let (before_header, after_header) = (header.clone(), header);
        outcome = outcome.with_diff(Diff { before_header, after_header, before, after });
    }
    outcome
}
