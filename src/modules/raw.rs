//! `raw`: a command line handed to the host's shell as it is.

use crate::modules::action::{Finished, OneTrip};
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
    command, environment, verdict,
};
use crate::outcome::{Outcome, Status};
use crate::shell::{Reply, Script};

/// See the file's head.
pub(super) struct Raw;

/// Result keys of raw and script.
pub(super) const RETURNS: &[(&str, &str)] = &[
    ("rc", "Exit status."),
    ("stdout", "Standard output; `stdout_lines` has it in lines."),
    ("stderr", "Standard error; `stderr_lines` has it in lines."),
];

static DOC: Doc = Doc {
    name: "raw",
    summary: "Runs a command line as it is.",
    description: "Given to `/bin/sh -c` (or `executable`). Output is not stripped. Always reported as changed.",
    args: &[
        ArgDoc { required: true, ..arg("free_form", ArgKind::Str, "The command line.") },
        arg("executable", ArgKind::Path, "The shell to use, as an absolute path."),
    ],
    free_form: Some("free_form"),
    open: false,
    check_mode: CheckMode::Skipped,
    reach: Reach::Visible,
    returns: RETURNS,
    examples: "- raw: uptime\n",
};

const RUN: &str = r#"eval "${environment-}"
( unset LC_ALL; exec "${executable:-/bin/sh}" -c "$line" ) </dev/null 3>&-
reply rc "$?"
reply end 1"#;

impl Module for Raw {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let line = args.text("free_form")?.filter(|line| !line.trim().is_empty());
        let line = line.ok_or_else(|| ArgError::new("no command given"))?;
        if cx.mode.check {
            return Ok(Finished::boxed(Outcome::new(Status::Skipped)));
        }
        let script = environment::with(Script::new(RUN), &environment::exports(cx)?)
            .var("line", line)
            .var_or_empty("executable", args.text("executable")?)
            .within(command::deadline(cx));
        Ok(Box::new(OneTrip::new(Reach::Visible, script, outcome)))
    }
}

/// Reads exit status and output, unstripped.
pub(super) fn outcome(reply: &Reply) -> Outcome {
    if let Some(failed) = verdict::failure(reply) {
        return failed;
    }
    let Some(rc) = reply.field("rc").and_then(|rc| rc.parse::<i64>().ok()) else {
        return Outcome::failed("the command left no exit status");
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&reply.stdout), text(&reply.stderr));
    let outcome = Outcome::new(if rc == 0 { Status::Changed } else { Status::Failed })
        .with("rc", rc)
        .with("stdout_lines", command::lines(&stdout))
        .with("stdout", stdout)
        .with("stderr_lines", command::lines(&stderr))
        .with("stderr", stderr);
    if rc == 0 { outcome } else { outcome.with("msg", "non-zero return code") }
}
