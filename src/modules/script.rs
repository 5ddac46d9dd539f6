//! `script`: a script of the project, run on the host.

use crate::modules::action::{Finished, OneTrip};
use crate::modules::command::{self, CHDIR, CREATES, IS_THERE, REMOVES};
use crate::modules::host_paths::HOST_PATHS;
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg, copy,
    environment, raw,
};
use crate::outcome::Outcome;
use crate::shell::{self, Script as ShellScript, join};

/// See the file's head.
pub(super) struct Script;

static DOC: Doc = Doc {
    name: "script",
    summary: "Runs a script of the project on a host.",
    description: "The script travels in the same round trip, is made executable in a folder of its own and removed afterwards.",
    args: &[
        arg(
            "cmd",
            ArgKind::Str,
            "Path of the script (looked for in `files/`), then its arguments.",
        ),
        arg("executable", ArgKind::Str, "What runs the script, instead of its first line."),
        CHDIR,
        CREATES,
        REMOVES,
        ArgDoc {
            default: "true",
            ..arg("decrypt", ArgKind::Bool, "Opens files sealed with Ansible Vault.")
        },
    ],
    free_form: Some("cmd"),
    open: false,
    check_mode: CheckMode::Skipped,
    reach: Reach::Visible,
    returns: raw::RETURNS,
    examples: "- script: check-disk.sh /srv/pg\n",
};

const RUN: &str = r#"if [ "$creates" ] && is_there "$creates"; then reply skipped "$creates exists, matching creates option"; reply end 1; exit 0; fi
if [ "$removes" ] && ! is_there "$removes"; then reply skipped "$removes does not exist, matching removes option"; reply end 1; exit 0; fi
# Home first: /tmp is often mounted without the right to execute.
work=$(mktemp -d "${HOME:-/tmp}/.matron.XXXXXX" 2>/dev/null) || work=$(mktemp -d /tmp/.matron.XXXXXX) || fail 'no folder for the script can be made'
trap 'rm -rf -- "$work"' EXIT
trap 'exit 143' HUP INT TERM
if [ "${content_b64+set}" ]; then printf '%s' "$content_b64" | base64 -d >"$work/$name"
else printf '%s' "$content" >"$work/$name"; fi || fail "the script cannot be written to $work"
chmod 0700 "$work/$name"
if [ "$chdir" ]; then
  expand "$chdir"
  cd -- "$expanded" 2>/dev/null || fail 'Unable to change directory before execution.'
fi
program=$work/$name
( unset LC_ALL; export program; exec sh -c "$executable \"\$program\" $rest" ) </dev/null 3>&-
reply rc "$?"
reply end 1"#;

impl Module for Script {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let open = args.boolean("decrypt", true)?;
        let line = args.required("cmd")?;
        let words = shell::split(&line).map_err(|why| ArgError::new(why.to_string()))?;
        let Some((path, rest)) = words.split_first() else {
            return Err(ArgError::new("the name of the script is missing"));
        };
        let path = copy::find(cx, "files", path)?;
        let content = copy::read(cx, &path, open)?;
        if cx.mode.check {
            let message = "Check mode is not supported for this task.";
            return Ok(Finished::boxed(Outcome::skipped(message)));
        }
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let script = ShellScript::new(HOST_PATHS).then(IS_THERE).then(RUN);
        let script = environment::with(script, &environment::exports(cx)?)
            .var("content", content)
            .var("name", name.unwrap_or_else(|| "script".to_owned()))
            .var("rest", join(rest))
            .var_or_empty("executable", args.text("executable")?)
            .var_or_empty("chdir", args.text("chdir")?)
            .var_or_empty("creates", args.text("creates")?)
            .var_or_empty("removes", args.text("removes")?)
            .within(command::deadline(cx));
        Ok(Box::new(OneTrip::new(Reach::Visible, script, |reply| match reply.field("skipped") {
            Some(why) => Outcome::skipped(why),
            None => raw::outcome(reply),
        })))
    }
}
