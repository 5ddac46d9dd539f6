//! `shell`: a command line run by a shell on the host.

use serde_json::Value;

use crate::modules::command::{CHDIR, CREATES, REMOVES, RETURNS, Run, STDIN, STDIN_NEWLINE};
use crate::modules::{
    Action, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};
use crate::shell::join;

/// See the file's head.
pub(super) struct Shell;

static DOC: Doc = Doc {
    name: "shell",
    summary: "Runs a command line in a shell.",
    description: "Like `command`, but by `/bin/sh -c` (or `executable`), so pipes, globs and variables work.",
    args: &[
        arg("cmd", ArgKind::Str, "The command line."),
        arg(
            "executable",
            ArgKind::Path,
            "The shell to use, as an absolute path. The default is `/bin/sh`.",
        ),
        CHDIR,
        CREATES,
        REMOVES,
        STDIN,
        STDIN_NEWLINE,
    ],
    free_form: Some("cmd"),
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Visible,
    returns: RETURNS,
    examples: "- shell: docker ps -q | wc -l\n  register: running\n  changed_when: false\n",
};

impl Module for Shell {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let line = args.text("cmd")?.filter(|line| !line.is_empty());
        let line = line.ok_or_else(|| ArgError::new("one of the following is required: cmd"))?;
        let executable = args.text("executable")?.unwrap_or_else(|| "/bin/sh".to_owned());
        let words = vec![executable, "-c".to_owned(), line.clone()];
        let shown = join(&words);
        Ok(Box::new(Run::parse(args, cx, words, Value::from(line), shown)?))
    }
}
