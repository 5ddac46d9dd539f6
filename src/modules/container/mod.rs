//! `container`: keeps a container as a rendered `docker run` command says.
//!
//! Lives here: the module; `words.rs` reads and checks the command, `container.sh` does the work. The container carries
//! the digest of its command as a label: while the digest is the same, the container is left alone.

mod words;

use std::path::Path;
use std::time::Duration;

use serde_json::Value as Json;

use crate::modules::action::{OneTrip, VERBS, verdict};
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};
use crate::outcome::Outcome;
use crate::shell::{Reply, Script, join};
use crate::template::TemplateOptions;

/// See the file's head.
pub(super) struct Container;

const STATES: &[&str] = &["started", "stopped", "absent", "present"];
const PULLS: &[&str] = &["missing", "never", "always"];

static DOC: Doc = Doc {
    name: "container",
    summary: "Keeps a container as a rendered `docker run` command says.",
    description: "The command is not run by a shell: it is cut into words (quotes, comments and line ends with or without a backslash are understood), checked, and labelled with its digest. A container whose digest is the same is left alone; otherwise it is stopped within `stop_timeout`, set aside, and removed once its replacement was created and started; when that fails, the old one comes back. Volumes are never removed. The command may not hold passwords in its environment: `docker inspect` would show them.",
    args: &[
        ArgDoc { required: true, ..arg("name", ArgKind::Str, "Name of the container.") },
        ArgDoc {
            default: "started",
            ..arg(
                "state",
                ArgKind::Choice(STATES),
                "present makes it without starting it; absent stops and removes it.",
            )
        },
        arg(
            "command",
            ArgKind::Str,
            "The rendered command: `docker run`, options, image and arguments. Not with `template`.",
        ),
        arg("template", ArgKind::Path, "A template file that renders to the command."),
        ArgDoc {
            default: "missing",
            ..arg("pull", ArgKind::Choice(PULLS), "When to pull the image.")
        },
        ArgDoc {
            default: "false",
            ..arg("recreate", ArgKind::Bool, "Replaces the container even when nothing changed.")
        },
        ArgDoc {
            default: "600",
            ..arg(
                "stop_timeout",
                ArgKind::Int,
                "Seconds a container gets to stop before it is killed.",
            )
        },
        ArgDoc {
            default: "false",
            ..arg(
                "allow_secret_env",
                ArgKind::Bool,
                "Takes passwords in the environment all the same.",
            )
        },
        ArgDoc { default: "docker", ..arg("docker_command", ArgKind::Str, "The program to call.") },
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Visible,
    returns: &[
        ("name", "Name of the container."),
        ("id", "Its id; empty when it is absent."),
        ("image", "The image as the command names it."),
        ("image_digest", "Id of the image it was made of."),
        ("status", "created, running, paused, exited, absent ..."),
        ("pid", "Its first process on the host; 0 when it does not run."),
        ("exit_code", "How it ended last."),
        ("digest", "SHA-256 of the command."),
        ("actions", "What was done, in order: pull, stop, remove, create, start, unpause."),
    ],
    examples: "- container:\n    name: archive-db\n    template: docker-run-db.j2\n    pull: never\n",
};

impl Module for Container {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let name = args.required("name")?;
        let state = args.choice("state", STATES, "started")?;
        let pull = args.choice("pull", PULLS, "missing")?;
        let grace = args.integer("stop_timeout")?.unwrap_or(600);
        let grace = u64::try_from(grace).map_err(|_| {
            ArgError::new(format!("argument 'stop_timeout' is {grace}: it is not negative"))
        })?;
        let secrets = args.boolean("allow_secret_env", false)?;
        let command = match command(args, cx)? {
            Some(text) => Some(words::read(&text, &name, secrets).map_err(|why| {
                ArgError::new(format!("the docker run command of '{name}' is not right: {why}"))
            })?),
            None => None,
        };
        let docker = args.text("docker_command")?.unwrap_or_else(|| "docker".to_owned());
        let mut script = Script::new(VERBS)
            .then(include_str!("container.sh"))
            .var("name", &name)
            .var("state", state)
            .var("pull", pull)
            .var("stop_timeout", grace.to_string())
            .var("docker_command", docker)
            .flag("recreate", args.boolean("recreate", false)?)
            .var("actions", "")
            .var("before", "")
            // A pull of a large image over a slow line takes its time; the grace comes on top.
            .within(Duration::from_secs(grace.saturating_add(3600)));
        let (mut image, mut digest) = (String::new(), String::new());
        let (mut words, mut shown) = (String::new(), String::new());
        if let Some(command) = command {
            words = join(&command.words);
            shown = command.shown();
            digest = command.digest();
            image = command.image;
        }
        script = script
            .var("image", &image)
            .var("digest", &digest)
            .var("words", &words)
            .var("shown", &shown);
        let finish = move |reply: &Reply| outcome(reply, &image, &digest);
        Ok(Box::new(OneTrip::new(Reach::Visible, script, finish).long()))
    }
}

fn command(args: &Args, cx: &TaskContext<'_>) -> Result<Option<String>, ArgError> {
    let (command, template) = (args.text("command")?, args.text("template")?);
    match (command, template) {
        (Some(_), Some(_)) => {
            Err(ArgError::new("parameters are mutually exclusive: command|template"))
        }
        (Some(command), None) => Ok(Some(command)),
        (None, None) => Ok(None),
        (None, Some(name)) => {
            let path = cx.files.find("templates", &name).map_err(|tried| {
                let tried: Vec<String> =
                    tried.iter().map(|path| path.display().to_string()).collect();
                ArgError::new(format!("Could not find or access '{name}'"))
                    .hint(format!("searched in: {}", tried.join(", ")))
            })?;
            let text = cx.files.read(&path).map_err(|error| {
                ArgError::new(format!("cannot read template {}: {error}", path.display()))
            })?;
            let text = String::from_utf8(text)
                .map_err(|_| ArgError::new(format!("template {} is not UTF-8", path.display())))?;
            let options = TemplateOptions::default();
            cx.vars
                .template(&text, Path::new(&path), &options, &[])
                .map(Some)
                .map_err(ArgError::new)
        }
    }
}

fn outcome(reply: &Reply, image: &str, digest: &str) -> Outcome {
    let field = |key: &str| reply.field(key).unwrap_or_default();
    let number = |key: &str| field(key).parse::<i64>().map_or(Json::Null, Json::from);
    let actions: Vec<Json> = field("actions").split_whitespace().map(Json::from).collect();
    verdict(reply)
        .with("name", field("name"))
        .with("id", field("id"))
        .with("image", image)
        .with("image_digest", field("image_id"))
        .with("status", field("status"))
        .with("pid", number("pid"))
        .with("exit_code", number("exit_code"))
        .with("digest", digest)
        .with("actions", actions)
}

#[cfg(test)]
mod tests;
