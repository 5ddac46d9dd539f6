//! `fetch`: a file of a host to this machine.

use std::path::{Path, PathBuf};

use crate::modules::action::{Finished, unexpected};
use crate::modules::host_paths::HOST_PATHS;
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Done, Download, Mode, Module, Reach,
    Step, TaskContext, arg, environment, place, verdict,
};
use crate::outcome::{Effect, Outcome, Status};
use crate::shell::{Reply, Script};

/// See the file's head.
pub(super) struct Fetch;

/// More than this is not held in memory.
const LIMIT: u64 = 1024 * 1024 * 1024;

static DOC: Doc = Doc {
    name: "fetch",
    summary: "Fetches a file from a host.",
    description: "Kept as `dest/HOST/path/of/the/file`, or as `dest` itself with `flat`. A file that is the same is not sent.",
    args: &[
        ArgDoc { required: true, ..arg("src", ArgKind::Path, "The file on the host.") },
        ArgDoc {
            required: true,
            ..arg("dest", ArgKind::Path, "Where to keep it on this machine.")
        },
        ArgDoc {
            default: "false",
            ..arg(
                "flat",
                ArgKind::Bool,
                "`dest` is the file itself (a folder if it ends with `/`).",
            )
        },
        ArgDoc {
            default: "true",
            ..arg("fail_on_missing", ArgKind::Bool, "Fails when the file is not there.")
        },
        ArgDoc {
            default: "true",
            ..arg("validate_checksum", ArgKind::Bool, "Compares digests after the transfer.")
        },
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Skipped,
    reach: Reach::Local,
    returns: &[
        ("dest", "Where it is kept."),
        ("checksum", "SHA-1 of the content."),
        ("md5sum", "MD5 of the content."),
    ],
    examples: "- fetch:\n    src: /var/log/postgresql/postgresql.log\n    dest: logs/\n",
};

impl Module for Fetch {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let (src, dest) = (args.required("src")?, args.required("dest")?);
        if cx.mode.check {
            let message = "check mode not (yet) supported for this module";
            return Ok(Finished::boxed(Outcome::skipped(message)));
        }
        let flat = args.boolean("flat", false)?;
        let base = src.rsplit('/').next().unwrap_or_default();
        let kept = |path: &str| cx.files.find("", path).ok();
        let dest = if !flat {
            let dest = dest.trim_end_matches('/');
            format!("{dest}/{}/{}", cx.host, src.trim_start_matches('/'))
        } else if dest.ends_with('/') {
            format!("{dest}{base}")
        } else if kept(&dest).is_some_and(|path| cx.files.is_dir(&path)) {
            return Err(ArgError::new(
                "dest is an existing directory, use a trailing slash if you want to fetch src into that directory",
            ));
        } else {
            dest
        };
        let known = kept(&dest).and_then(|path| cx.files.read_as_is(&path).ok());
        Ok(Box::new(Fetching {
            src,
            dest: Path::new(&dest).to_path_buf(),
            known,
            fail_on_missing: args.boolean("fail_on_missing", true)?,
            validate: args.boolean("validate_checksum", true)?,
            environment: environment::exports(cx)?,
            sum: String::new(),
        }))
    }
}

struct Fetching {
    src: String,
    dest: PathBuf,
    known: Option<Vec<u8>>,
    fail_on_missing: bool,
    validate: bool,
    environment: String,
    sum: String,
}

const ASK: &str = r#"expand "$src"; src=$expanded
reply src "$src"
if [ ! -e "$src" ] && [ ! -L "$src" ]; then reply missing 'the remote file does not exist, not transferring, ignored'
elif [ -d "$src" ]; then fail 'remote file is a directory, fetch cannot work on directories'
elif [ ! -r "$src" ]; then reply missing 'the remote file is not readable, not transferring, ignored'
else
  sum=$(sha1sum <"$src") || fail "cannot read $src"
  reply sum "${sum%% *}"
fi
reply end 1"#;

impl Fetching {
    fn decide(&mut self, reply: &Reply) -> Step {
        if let Some(failed) = verdict::failure(reply) {
            return Step::Done(failed);
        }
        let path = reply.field("src").unwrap_or_else(|| self.src.clone());
        if let Some(message) = reply.field("missing") {
            let outcome = if self.fail_on_missing {
                Outcome::failed(message)
            } else {
                Outcome::ok().with("msg", message)
            };
            return Step::Done(outcome.with("file", path));
        }
        self.sum = reply.field("sum").unwrap_or_default();
        match &self.known {
            Some(known) if place::sha1_hex(known) == self.sum => {
                let outcome =
                    Outcome::ok().with("md5sum", place::md5_hex(known)).with("file", path);
                Step::Done(
                    outcome
                        .with("dest", self.dest.display().to_string())
                        .with("checksum", self.sum.clone()),
                )
            }
            Some(_) | None => Step::Download(Download { path, limit: LIMIT }),
        }
    }
}

impl Action for Fetching {
    fn begin(&mut self, _mode: Mode) -> Step {
        let script = Script::new(HOST_PATHS).then(ASK).var("src", &self.src);
        Step::Send(environment::with(script, &self.environment))
    }

    fn resume(&mut self, done: Done) -> Step {
        match done {
            Done::Reply(reply) => self.decide(&reply),
            Done::Downloaded(content) => {
                let sum = place::sha1_hex(&content);
                if self.validate && sum != self.sum {
                    let failed = Outcome::failed("checksum mismatch")
                        .with("checksum", sum)
                        .with("remote_checksum", self.sum.clone())
                        .with("file", self.src.clone());
                    return Step::Done(failed);
                }
                let outcome = Outcome::new(Status::Changed)
                    .with("md5sum", place::md5_hex(&content))
                    .with("dest", self.dest.display().to_string())
                    .with("remote_md5sum", serde_json::Value::Null)
                    .with("checksum", sum)
                    .with("remote_checksum", self.sum.clone());
                Step::Done(outcome.with_effect(Effect::Keep { path: self.dest.clone(), content }))
            }
            Done::Uploaded(_)
            | Done::Waited
            | Done::Answered(_)
            | Done::Locked(_)
            | Done::Lost(_) => unexpected(),
        }
    }

    fn reach(&self) -> Reach {
        Reach::Local
    }
}
