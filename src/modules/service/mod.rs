//! `systemd` and `service`: keep services of the host.

use std::time::Duration;

use serde_json::{Map, Value as Json};

use crate::modules::action::{OneTrip, VERBS, verdict};
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};
use crate::outcome::Outcome;
use crate::shell::{Reply, Script};

/// See the file's head.
pub(super) struct Systemd;

/// See the file's head.
pub(super) struct Service;

const STATES: &[&str] = &["reloaded", "restarted", "started", "stopped"];
const SCOPES: &[&str] = &["system", "user", "global"];

static SYSTEMD: Doc = Doc {
    name: "systemd",
    summary: "Keeps a systemd unit: its state, whether it is enabled, masked, and systemd's own reload.",
    description: "",
    args: &[
        ArgDoc {
            aliases: &["service", "unit"],
            ..arg("name", ArgKind::Str, "Name of the unit; `.service` may be left out.")
        },
        arg(
            "state",
            ArgKind::Choice(STATES),
            "started and stopped are kept; restarted and reloaded are done.",
        ),
        arg("enabled", ArgKind::Bool, "Whether it starts with the host."),
        arg("masked", ArgKind::Bool, "Whether it is kept from starting at all."),
        ArgDoc {
            default: "false",
            aliases: &["daemon-reload"],
            ..arg("daemon_reload", ArgKind::Bool, "Has systemd read its unit files again first.")
        },
        ArgDoc {
            default: "false",
            aliases: &["daemon-reexec"],
            ..arg("daemon_reexec", ArgKind::Bool, "Has systemd start itself anew first.")
        },
        ArgDoc { default: "system", ..arg("scope", ArgKind::Choice(SCOPES), "Whose units.") },
        ArgDoc {
            default: "false",
            ..arg("force", ArgKind::Bool, "Overrides links that are there when enabling.")
        },
        ArgDoc {
            default: "false",
            ..arg("no_block", ArgKind::Bool, "Does not wait for it to start or stop.")
        },
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Visible,
    returns: &[
        ("name", "The unit."),
        ("state", "started or stopped."),
        ("enabled", "As given."),
        ("status", "What `systemctl show` says of it."),
    ],
    examples: "- systemd:\n    name: docker\n    state: started\n    enabled: true\n    daemon_reload: true\n",
};

static SERVICE: Doc = Doc {
    name: "service",
    summary: "Keeps a service by whatever runs the host's services.",
    description: "systemd where it runs the host, else OpenRC or init scripts.",
    args: &[
        ArgDoc { required: true, ..arg("name", ArgKind::Str, "Name of the service.") },
        arg(
            "state",
            ArgKind::Choice(STATES),
            "started and stopped are kept; restarted and reloaded are done.",
        ),
        arg("enabled", ArgKind::Bool, "Whether it starts with the host."),
        ArgDoc {
            default: "false",
            ..arg("daemon_reload", ArgKind::Bool, "Has systemd read its unit files again first.")
        },
        arg(
            "sleep",
            ArgKind::Int,
            "Seconds between stop and start of a restart by an init script.",
        ),
        ArgDoc { default: "default", ..arg("runlevel", ArgKind::Str, "Runlevel of OpenRC.") },
        arg(
            "pattern",
            ArgKind::Ignored("the service is asked for its status"),
            "A process to look for.",
        ),
        arg(
            "arguments",
            ArgKind::Ignored("init scripts get no arguments"),
            "Arguments of the init script.",
        ),
        arg("use", ArgKind::Ignored("the manager is found on the host"), "Name of the manager."),
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Visible,
    returns: &[
        ("name", "The service."),
        ("state", "started or stopped."),
        ("enabled", "As given."),
        ("status", "What `systemctl show` says of it, under systemd."),
    ],
    examples: "- service:\n    name: chrony\n    state: restarted\n",
};

impl Module for Systemd {
    fn doc(&self) -> &'static Doc {
        &SYSTEMD
    }

    fn parse(&self, args: &mut Args, _cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let name = args.text("name")?;
        if name.is_none() {
            for needs in ["state", "enabled", "masked"] {
                if let Some(arg) = args.get(needs) {
                    let text = format!("parameter '{needs}' requires 'name'");
                    return Err(ArgError::new(text).at(arg));
                }
            }
            let any =
                args.boolean("daemon_reload", false)? || args.boolean("daemon_reexec", false)?;
            if !any {
                return Err(ArgError::new(
                    "one of the following is required: state, enabled, masked, daemon_reload, daemon_reexec",
                ));
            }
        }
        action("systemd", name.unwrap_or_default(), args)
    }
}

impl Module for Service {
    fn doc(&self) -> &'static Doc {
        &SERVICE
    }

    fn parse(&self, args: &mut Args, _cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let name = args.required("name")?;
        if args.get("state").is_none() && args.get("enabled").is_none() {
            return Err(ArgError::new("one of the following is required: state, enabled"));
        }
        action("service", name, args)
    }
}

fn action(via: &str, name: String, args: &Args) -> Result<Box<dyn Action>, ArgError> {
    let state = match args.get("state") {
        Some(_) => args.choice("state", STATES, "started")?,
        None => "",
    };
    let word = |value: Option<bool>| match value {
        Some(true) => "yes",
        Some(false) => "no",
        None => "",
    };
    let enabled = args.maybe_boolean("enabled")?;
    let flag = |name: &str, text: &'static str| {
        args.boolean(name, false).map(|on| if on { text } else { "" })
    };
    let script = Script::new(VERBS)
        .then(include_str!("service.sh"))
        .var("via", via)
        .var("name", &name)
        .var("state", state)
        .var("enabled", word(enabled))
        .var("masked", word(args.maybe_boolean("masked")?))
        .flag("daemon_reload", args.boolean("daemon_reload", false)?)
        .flag("daemon_reexec", args.boolean("daemon_reexec", false)?)
        .var("scope", args.choice("scope", SCOPES, "system")?)
        .var("force_flag", flag("force", "--force")?)
        .var("block_flag", flag("no_block", "--no-block")?)
        .var_or_empty("sleep", args.integer("sleep")?.map(|seconds| seconds.to_string()))
        .var_or_empty("runlevel", args.text("runlevel")?)
        // A database that recovers or shuts down may take long, and systemd has limits of its own.
        .within(Duration::from_secs(1800));
    let finish = move |reply: &Reply| outcome(reply, name, state, enabled);
    Ok(Box::new(OneTrip::new(Reach::Visible, script, finish).long()))
}

fn outcome(reply: &Reply, name: String, state: &str, enabled: Option<bool>) -> Outcome {
    let mut outcome = verdict(reply).with("name", name);
    if !state.is_empty() {
        outcome = outcome.with("state", if state == "stopped" { "stopped" } else { "started" });
    }
    if let Some(enabled) = enabled {
        outcome = outcome.with("enabled", enabled);
    }
    let status = reply.field("status").unwrap_or_default();
    let status: Map<String, Json> = status
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.to_owned(), Json::from(value)))
        .collect();
    outcome.with("status", Json::Object(status))
}

#[cfg(test)]
mod tests;
