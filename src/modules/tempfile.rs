//! `tempfile`: a new file or folder with a name nobody has.

use crate::modules::action::{Finished, OneTrip};
use crate::modules::attributes::{self, ATTRIBUTES, Attributes};
use crate::modules::host_paths::HOST_PATHS;
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
    environment, verdict,
};
use crate::outcome::{Outcome, Status};
use crate::shell::Script;

/// See the file's head.
pub(super) struct TempFile;

static DOC: Doc = Doc {
    name: "tempfile",
    summary: "Makes a temporary file or folder.",
    description: "Only its owner can read it. Nothing removes it again: do so with `file: state=absent`.",
    args: &[
        ArgDoc {
            default: "file",
            ..arg("state", ArgKind::Choice(&["directory", "file"]), "What to make.")
        },
        arg(
            "path",
            ArgKind::Path,
            "Folder to make it in. The default is the host's temporary folder.",
        ),
        ArgDoc { default: "ansible.", ..arg("prefix", ArgKind::Str, "How the name begins.") },
        arg("suffix", ArgKind::Str, "How the name ends."),
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Skipped,
    reach: Reach::Local,
    returns: &[("path", "The path made; with mode, owner, group, size and state.")],
    examples: "- tempfile:\n    state: directory\n  register: work\n",
};

// Not mktemp: names with a suffix are beyond busybox's.
const MAKE: &str = r#"expand "${folder:-${TMPDIR:-/tmp}}"; folder=${expanded%/}
umask 077
tries=0
while :; do
  noise=$(head -c 6 /dev/urandom | od -An -tx1 | tr -d ' \n')
  path=$folder/$prefix$noise$suffix
  if [ "$state" = directory ]; then said=$(mkdir -- "$path" 2>&1) && break
  else said=$( { set -C; : >"$path"; } 2>&1 ) && break; fi
  tries=$((tries + 1))
  if [ ! -d "$folder" ]; then fail "[Errno 2] No such file or directory: '$path'"; fi
  [ "$tries" -lt 20 ] || fail "cannot make $path: ${said##*: }"
done
reply path "$path"
now "$path"
reply end 1"#;

impl Module for TempFile {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let state = args.choice("state", &["directory", "file"], "file")?;
        if cx.mode.check {
            let message = "remote module (tempfile) does not support check mode";
            return Ok(Finished::boxed(Outcome::skipped(message)));
        }
        let script = Script::new(HOST_PATHS).then(ATTRIBUTES).then(MAKE);
        let script = environment::with(script, &environment::exports(cx)?)
            .var("state", state)
            .var_or_empty("folder", args.text("path")?)
            .var("prefix", args.text("prefix")?.unwrap_or_else(|| "ansible.".to_owned()))
            .var_or_empty("suffix", args.text("suffix")?);
        let script = Attributes::default().give_to(script);
        Ok(Box::new(OneTrip::new(Reach::Local, script, |reply| {
            verdict::failure(reply).unwrap_or_else(|| {
                let outcome = Outcome::new(Status::Changed).with("path", reply.field("path"));
                attributes::describe(outcome, reply)
            })
        })))
    }
}
