//! `command` and what it shares with `shell`: one command on the host, its output and exit status.

use std::time::Duration;

use serde_json::{Value, json};

use crate::modules::action::unexpected;
use crate::modules::host_paths::HOST_PATHS;
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Done, Mode, Module, Reach, Step,
    TaskContext, arg, environment, verdict,
};
use crate::outcome::{Outcome, Status};
use crate::shell::{self, Reply, Script, join};

/// See the file's head.
pub(super) struct Command;

pub(super) const CHDIR: ArgDoc = arg("chdir", ArgKind::Path, "Folder to run in.");
pub(super) const CREATES: ArgDoc =
    arg("creates", ArgKind::Path, "A path or glob on the host; when it is there, nothing is run.");
pub(super) const REMOVES: ArgDoc = arg(
    "removes",
    ArgKind::Path,
    "A path or glob on the host; when it is not there, nothing is run.",
);
pub(super) const STDIN: ArgDoc =
    arg("stdin", ArgKind::Str, "Text given to the command's standard input.");
pub(super) const STDIN_NEWLINE: ArgDoc = ArgDoc {
    default: "true",
    ..arg("stdin_add_newline", ArgKind::Bool, "Adds a line end to `stdin`.")
};
pub(super) const RETURNS: &[(&str, &str)] = &[
    ("cmd", "What was run."),
    ("rc", "Exit status; 128 + N when signal N ended it."),
    ("stdout", "Standard output; `stdout_lines` has it in lines."),
    ("stderr", "Standard error; `stderr_lines` has it in lines."),
    ("start", "When it started, by the host's clock; `end` and `delta` as well."),
    ("msg", "Why nothing was run, or that the exit status is not zero."),
];

/// Commands have no limit of their own; this only keeps a forgotten one from living for ever.
const NO_LIMIT: Duration = Duration::from_secs(30 * 24 * 3600);

static DOC: Doc = Doc {
    name: "command",
    summary: "Runs a command without a shell.",
    description: "The words are split by quotes as a shell would, but nothing else is done with them: no pipes, no globs. \
                  Variables of the host's environment are put in unless `expand_argument_vars` is false.",
    args: &[
        arg("cmd", ArgKind::Str, "The command line."),
        arg("argv", ArgKind::List, "The command as a list of words, instead of `cmd`."),
        CHDIR,
        CREATES,
        REMOVES,
        STDIN,
        STDIN_NEWLINE,
        ArgDoc {
            default: "true",
            ..arg(
                "strip_empty_ends",
                ArgKind::Bool,
                "Strips empty lines from the end of stdout and stderr.",
            )
        },
        ArgDoc {
            default: "true",
            ..arg(
                "expand_argument_vars",
                ArgKind::Bool,
                "Puts in environment variables and `~` of the host.",
            )
        },
    ],
    free_form: Some("cmd"),
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Visible,
    returns: RETURNS,
    examples: "- command: pg_lsclusters -h\n  changed_when: false\n\
               - command:\n      argv: [touch, /srv/a b]\n      creates: /srv/a b\n",
};

impl Module for Command {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let (words, shown) = match (args.text("cmd")?, args.list("argv")?) {
            (Some(_), Some(_)) => {
                return Err(ArgError::new("parameters are mutually exclusive: cmd|argv"));
            }
            (Some(line), None) if !line.trim().is_empty() => {
                let words = shell::split(&line).map_err(|why| {
                    ArgError::new(format!("{why}: {line}")).hint("close the quote, or use argv")
                })?;
                let shown = line.trim().to_owned();
                (words, shown)
            }
            (None, Some(words)) if !words.is_empty() => {
                let shown = join(&words);
                (words, shown)
            }
            (_, _) => {
                return Err(ArgError::new("one of the following is required: cmd, argv"));
            }
        };
        let expand = args.boolean("expand_argument_vars", true)?;
        let mut run = Run::parse(args, cx, words.clone(), Value::from(words), shown)?;
        run.expand = expand;
        run.strip = args.boolean("strip_empty_ends", true)?;
        Ok(Box::new(run))
    }
}

/// One command under way.
#[derive(Debug)]
pub(super) struct Run {
    words: Vec<String>,
    cmd: Value,
    shown: String,
    chdir: Option<String>,
    creates: Option<String>,
    removes: Option<String>,
    stdin: Option<String>,
    expand: bool,
    strip: bool,
    environment: String,
    deadline: Duration,
    mode: Mode,
}

impl Run {
    pub(super) fn parse(
        args: &Args,
        cx: &TaskContext<'_>,
        words: Vec<String>,
        cmd: Value,
        shown: String,
    ) -> Result<Self, ArgError> {
        let mut stdin = args.text("stdin")?;
        if let Some(text) = &mut stdin
            && args.boolean("stdin_add_newline", true)?
        {
            text.push('\n');
        }
        Ok(Self {
            words,
            cmd,
            shown,
            chdir: args.text("chdir")?,
            creates: args.text("creates")?,
            removes: args.text("removes")?,
            stdin,
            expand: false,
            strip: true,
            environment: environment::exports(cx)?,
            deadline: deadline(cx),
            mode: Mode::default(),
        })
    }
}

/// The deadline of a user's command: the task's `timeout`, or none to speak of.
pub(super) fn deadline(cx: &TaskContext<'_>) -> Duration {
    cx.timeout.filter(|seconds| *seconds > 0).map_or(NO_LIMIT, Duration::from_secs)
}

/// Shell function `is_there PATTERN`: whether a path or glob names anything.
pub(super) const IS_THERE: &str = r#"is_there() {
  expand "$1"
  # Unquoted on purpose: this is the glob. No splitting, so blanks in it are kept.
  g_ifs=$IFS IFS=
  set -- $expanded
  IFS=$g_ifs
  [ -e "$1" ] || [ -L "$1" ]
}"#;

const RUN: &str = r#"if [ "$chdir" ]; then
  expand "$chdir"
  cd -- "$expanded" 2>/dev/null || { reply where "$expanded"; fail 'Unable to change directory before execution.'; }
fi
if [ "$creates" ] && is_there "$creates"; then reply there 1; reply end 1; exit 0; fi
if [ "$removes" ] && ! is_there "$removes"; then reply missing 1; reply end 1; exit 0; fi
if [ "$check" ]; then reply end 1; exit 0; fi
eval "set -- $words"
if [ "$vars" ]; then
  w_count=$#
  while [ "$w_count" -gt 0 ]; do
    expand "$1"
    shift
    set -- "$@" "$expanded"
    w_count=$((w_count - 1))
  done
fi
# An executable that cannot be started is told apart from one that ends with 126 or 127 by itself.
program=
case $1 in
  */*) program=$1 ;;
  *)
    w_ifs=$IFS IFS=:
    for w_folder in $PATH; do
      [ -x "${w_folder:-.}/$1" ] && [ ! -d "${w_folder:-.}/$1" ] && program=${w_folder:-.}/$1 && break
    done
    IFS=$w_ifs ;;
esac
if [ -z "$program" ] || { [ ! -e "$program" ] && [ ! -L "$program" ]; }; then
  reply errno 2; reply said "[Errno 2] No such file or directory: b'$1'"; fail 'Error executing command.'
fi
if [ -d "$program" ] || [ ! -x "$program" ]; then
  reply errno 13; reply said "[Errno 13] Permission denied: b'$1'"; fail 'Error executing command.'
fi
reply start "$(date '+%Y-%m-%d %H:%M:%S.%N')"
# The command sees the host's own locale; only our scripts need C.
if [ "$with_stdin" ]; then
  printf '%s' "$stdin" | ( unset LC_ALL; exec "$@" ) 3>&-
else
  ( unset LC_ALL; exec "$@" ) </dev/null 3>&-
fi
reply rc "$?"
reply stop "$(date '+%Y-%m-%d %H:%M:%S.%N')"
reply end 1"#;

impl Action for Run {
    fn begin(&mut self, mode: Mode) -> Step {
        self.mode = mode;
        let script = Script::new(HOST_PATHS).then(IS_THERE).then(RUN);
        let may_expand = |word: &String| word.contains('$') || word.starts_with('~');
        let script = environment::with(script, &self.environment)
            .var("words", join(&self.words))
            .flag("vars", self.expand && self.words.iter().any(may_expand))
            .var_or_empty("chdir", self.chdir.as_deref())
            .var_or_empty("creates", self.creates.as_deref())
            .var_or_empty("removes", self.removes.as_deref())
            .flag("with_stdin", self.stdin.is_some())
            .var_or_empty("stdin", self.stdin.as_deref())
            .flag("check", mode.check)
            .within(self.deadline);
        Step::Send(script)
    }

    fn resume(&mut self, done: Done) -> Step {
        let Done::Reply(reply) = done else { return unexpected() };
        Step::Done(self.outcome(&reply))
    }

    fn reach(&self) -> Reach {
        Reach::Visible
    }
}

impl Run {
    fn outcome(&self, reply: &Reply) -> Outcome {
        if let Some(failed) = verdict::failure(reply) {
            return self.not_started(failed, reply);
        }
        let gate = |there: bool, path: &Option<String>| {
            let path = path.as_deref().unwrap_or_default();
            let state = if there { "exists" } else { "does not exist" };
            let verb = if self.mode.check { "Would" } else { "Did" };
            let outcome = self.result(Outcome::ok(), &format!("skipped, since {path} {state}"), "");
            outcome
                .with("rc", 0)
                .with("msg", format!("{verb} not run command since '{path}' {state}"))
        };
        if reply.fields.is_set("there") {
            return gate(true, &self.creates);
        }
        if reply.fields.is_set("missing") {
            return gate(false, &self.removes);
        }
        if self.mode.check {
            // With creates or removes the answer is known: it would run. Without, nobody can tell.
            let gated = self.creates.is_some() || self.removes.is_some();
            let status = if gated { Status::Changed } else { Status::Skipped };
            return self
                .result(Outcome::new(status), "", "")
                .with("rc", 0)
                .with("msg", "Command would have run if not in check mode");
        }
        let Some(rc) = reply.field("rc").and_then(|rc| rc.parse::<i64>().ok()) else {
            return Outcome::failed("the command left no exit status");
        };
        let status = if rc == 0 { Status::Changed } else { Status::Failed };
        let text = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            if self.strip {
                text.trim_end_matches(['\r', '\n']).to_owned()
            } else {
                text.into_owned()
            }
        };
        let clock = Clock::read(reply);
        self.result(Outcome::new(status), &text(&reply.stdout), &text(&reply.stderr))
            .with("rc", rc)
            .with("start", clock.start)
            .with("end", clock.end)
            .with("delta", clock.delta)
            .with("msg", if rc == 0 { "" } else { "non-zero return code" })
    }

    /// The keys every result has, in the order Ansible shows them.
    fn result(&self, outcome: Outcome, stdout: &str, stderr: &str) -> Outcome {
        outcome
            .with("stdout", stdout)
            .with("stderr", stderr)
            .with("rc", Value::Null)
            .with("cmd", self.cmd.clone())
            .with("start", Value::Null)
            .with("end", Value::Null)
            .with("delta", Value::Null)
            .with("msg", "")
            .with("stdout_lines", lines(stdout))
            .with("stderr_lines", lines(stderr))
    }

    fn not_started(&self, failed: Outcome, reply: &Reply) -> Outcome {
        let message = failed.message().unwrap_or_default().to_owned();
        let mut outcome =
            self.result(failed, &reply.stdout_text(), &reply.stderr_text()).with("msg", message);
        if let Some(errno) = reply.field("errno").and_then(|text| text.parse::<i64>().ok()) {
            outcome = outcome.with("rc", errno).with("cmd", self.shown.clone());
            for key in ["start", "end", "delta"] {
                outcome.data.shift_remove(key);
            }
            if let Some(said) = reply.field("said") {
                outcome = outcome.with("exception", said);
            }
        }
        outcome
    }
}

/// Splits output into lines as Python's `splitlines` does for line feeds and carriage returns.
pub(super) fn lines(text: &str) -> Value {
    let mut lines = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(['\n', '\r']).unwrap_or(rest.len());
        let (line, tail) = rest.split_at(end);
        lines.push(json!(line));
        rest = tail.strip_prefix("\r\n").or_else(|| tail.get(1..)).unwrap_or_default();
    }
    Value::Array(lines)
}

/// Start, end and the time between, by the host's clock.
struct Clock {
    start: Value,
    end: Value,
    delta: Value,
}

impl Clock {
    fn read(reply: &Reply) -> Self {
        let moment = |key: &str| {
            let text = reply.field(key)?;
            let (seconds, fraction) = text.split_once('.')?;
            // busybox's date has no nanoseconds and leaves something else there.
            let digits: String =
                fraction.chars().take_while(char::is_ascii_digit).take(6).collect();
            let text = format!("{seconds}.{digits:0<6}");
            jiff::civil::DateTime::strptime("%Y-%m-%d %H:%M:%S%.f", &text).ok().map(|at| (text, at))
        };
        let (Some((start, from)), Some((end, to))) = (moment("start"), moment("stop")) else {
            return Self { start: Value::Null, end: Value::Null, delta: Value::Null };
        };
        let micros = to.duration_since(from).as_micros().max(0);
        let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let delta = format!("{hours}:{minutes:02}:{seconds:02}.{micros:06}");
        Self { start: start.into(), end: end.into(), delta: delta.into() }
    }
}
