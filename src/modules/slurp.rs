//! `slurp`: a file's content, as base64.

use base64::Engine as _;

use crate::modules::action::OneTrip;
use crate::modules::host_paths::HOST_PATHS;
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
    environment, verdict,
};
use crate::outcome::Outcome;
use crate::shell::Script;

/// See the file's head.
pub(super) struct Slurp;

static DOC: Doc = Doc {
    name: "slurp",
    summary: "Reads a file from a host.",
    description: "The content comes as base64: `result.content | b64decode`.",
    args: &[ArgDoc {
        required: true,
        aliases: &["path"],
        ..arg("src", ArgKind::Path, "The file on the host.")
    }],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Local,
    returns: &[
        ("content", "The content, base64."),
        ("source", "The path."),
        ("encoding", "`base64`."),
    ],
    examples: "- slurp:\n    src: /etc/machine-id\n  register: id\n",
};

const READ: &str = r#"expand "$src"; src=$expanded
[ -e "$src" ] || fail "File not found: $src"
[ ! -d "$src" ] || fail "Source is a directory and must be a file: $src"
[ -r "$src" ] || fail "File is not readable: $src"
reply source "$src"
reply_file content "$src"
reply end 1"#;

impl Module for Slurp {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn observes(&self, _args: &Args) -> bool {
        true
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let script = Script::new(HOST_PATHS).then(READ).var("src", args.required("src")?);
        let script = environment::with(script, &environment::exports(cx)?);
        Ok(Box::new(OneTrip::new(Reach::Local, script, |reply| {
            if let Some(failed) = verdict::failure(reply) {
                return failed;
            }
            let content = reply.fields.bytes("content").unwrap_or_default();
            Outcome::ok()
                .with("content", base64::engine::general_purpose::STANDARD.encode(content))
                .with("source", reply.field("source"))
                .with("encoding", "base64")
        })))
    }
}
