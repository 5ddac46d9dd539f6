//! `apt`: keeps packages of Debian and its kin; and `package`, which finds the host's own manager.

use std::time::Duration;

use crate::modules::action::{OneTrip, VERBS, verdict};
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};
use crate::outcome::{Outcome, Status};
use crate::shell::{Reply, Script};

/// See the file's head.
pub(super) struct Apt;

/// See the file's head.
pub(super) struct Package;

const STATES: &[&str] =
    &["present", "latest", "absent", "build-dep", "fixed", "installed", "removed"];
const UPGRADES: &[&str] = &["no", "yes", "safe", "full", "dist"];
const PACKAGE_STATES: &[&str] = &["present", "latest", "absent", "installed", "removed"];

static APT: Doc = Doc {
    name: "apt",
    summary: "Keeps packages of Debian and its kin.",
    description: "Runs apt-get without questions; configuration files that were changed on the host are kept. Check mode is apt's own simulation.",
    args: &[
        ArgDoc {
            aliases: &["package", "pkg"],
            ..arg("name", ArgKind::List, "Packages, each `NAME` or `NAME=VERSION` (with `*`).")
        },
        ArgDoc {
            default: "present",
            ..arg("state", ArgKind::Choice(STATES), "What they should be.")
        },
        ArgDoc {
            aliases: &["update-cache"],
            ..arg(
                "update_cache",
                ArgKind::Bool,
                "Runs apt-get update before; implied by cache_valid_time.",
            )
        },
        ArgDoc {
            default: "0",
            ..arg("cache_valid_time", ArgKind::Int, "Seconds for which a cache is fresh enough.")
        },
        ArgDoc {
            default: "5",
            ..arg(
                "update_cache_retries",
                ArgKind::Int,
                "How often to try again when the update fails.",
            )
        },
        ArgDoc {
            default: "12",
            ..arg("update_cache_retry_max_delay", ArgKind::Int, "Seconds at most between tries.")
        },
        arg("deb", ArgKind::Path, "A .deb file on the host to install."),
        ArgDoc {
            aliases: &["install-recommends"],
            ..arg(
                "install_recommends",
                ArgKind::Bool,
                "Whether recommended packages come along; the default is the host's.",
            )
        },
        ArgDoc {
            aliases: &["default-release"],
            ..arg("default_release", ArgKind::Str, "Release to take packages from.")
        },
        ArgDoc {
            default: "false",
            ..arg("purge", ArgKind::Bool, "Removes configuration files too.")
        },
        ArgDoc {
            default: "false",
            ..arg("autoremove", ArgKind::Bool, "Removes packages nothing needs any more.")
        },
        ArgDoc {
            default: "false",
            ..arg(
                "autoclean",
                ArgKind::Bool,
                "Removes package files that cannot be fetched any more.",
            )
        },
        ArgDoc {
            default: "false",
            ..arg("clean", ArgKind::Bool, "Removes all fetched package files.")
        },
        ArgDoc {
            default: "no",
            ..arg(
                "upgrade",
                ArgKind::Choice(UPGRADES),
                "Upgrades all packages: yes and safe remove none, full and dist may.",
            )
        },
        ArgDoc {
            default: "force-confdef,force-confold",
            ..arg(
                "dpkg_options",
                ArgKind::Str,
                "Options for dpkg, comma-separated, without dashes.",
            )
        },
        ArgDoc {
            default: "false",
            ..arg("allow_unauthenticated", ArgKind::Bool, "Takes packages that are not signed.")
        },
        ArgDoc {
            default: "false",
            aliases: &["allow-downgrade", "allow_downgrades", "allow-downgrades"],
            ..arg("allow_downgrade", ArgKind::Bool, "Takes an older version than the one there.")
        },
        ArgDoc {
            default: "false",
            ..arg("allow_change_held_packages", ArgKind::Bool, "Changes packages on hold.")
        },
        ArgDoc {
            default: "false",
            ..arg("only_upgrade", ArgKind::Bool, "Leaves alone what is not installed.")
        },
        ArgDoc {
            default: "false",
            ..arg("fail_on_autoremove", ArgKind::Bool, "Fails rather than removing a package.")
        },
        ArgDoc {
            default: "false",
            ..arg(
                "force",
                ArgKind::Bool,
                "Downgrades, removes essential and changes held packages. Dangerous.",
            )
        },
        ArgDoc {
            default: "60",
            ..arg("lock_timeout", ArgKind::Int, "Seconds to wait for another apt or dpkg.")
        },
        arg(
            "force_apt_get",
            ArgKind::Ignored("apt-get is always used"),
            "Uses apt-get rather than aptitude.",
        ),
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Local,
    returns: &[
        ("cache_updated", "Whether apt-get update ran."),
        ("cache_update_time", "When it last did, in seconds of the epoch."),
        ("stdout", "What apt-get said."),
        ("stderr", "What it complained of."),
    ],
    examples: "- apt:\n    name: [docker.io, chrony=4.*]\n    update_cache: true\n    cache_valid_time: 3600\n",
};

static PACKAGE: Doc = Doc {
    name: "package",
    summary: "Keeps packages by the host's own package manager.",
    description: "Finds apt, dnf, yum, zypper, apk or pacman on the host.",
    args: &[
        ArgDoc {
            required: true,
            aliases: &["pkg"],
            ..arg("name", ArgKind::List, "Packages, under the names the host's manager knows.")
        },
        ArgDoc {
            default: "present",
            ..arg("state", ArgKind::Choice(PACKAGE_STATES), "What they should be.")
        },
        arg("update_cache", ArgKind::Bool, "Refreshes the manager's cache before."),
        ArgDoc {
            default: "0",
            ..arg(
                "cache_valid_time",
                ArgKind::Int,
                "Seconds for which a cache is fresh enough (apt).",
            )
        },
        arg("use", ArgKind::Ignored("the manager is found on the host"), "Name of the manager."),
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Local,
    returns: &[("stdout", "What the manager said.")],
    examples: "- package:\n    name: chrony\n",
};

impl Module for Apt {
    fn doc(&self) -> &'static Doc {
        &APT
    }

    fn parse(&self, args: &mut Args, _cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let (packages, mut state) = wanted(args, STATES)?;
        let upgrade = match args.get("upgrade").map(|arg| &arg.value) {
            // `upgrade: yes` unquoted is a boolean in YAML.
            Some(value) if value.is_true() && value.as_str().is_none() => "yes",
            Some(value) if value.as_str().is_none() => "no",
            Some(_) | None => args.choice("upgrade", UPGRADES, "no")?,
        };
        let deb = args.text("deb")?;
        if let (Some(path), Some(arg)) = (&deb, args.get("deb"))
            && path.contains("://")
        {
            let error = ArgError::new(format!("argument 'deb' is an address: {path}")).at(arg);
            return Err(error.hint("fetch it with get_url and give its path on the host"));
        }
        if deb.is_some() && !packages.is_empty() {
            return Err(ArgError::new("parameters are mutually exclusive: deb|package|upgrade"));
        }
        if !packages.is_empty() && upgrade != "no" {
            return Err(ArgError::new("parameters are mutually exclusive: deb|package|upgrade"));
        }
        if packages.is_empty() && state != "fixed" {
            state = "present";
        }
        let script = Script::new(VERBS)
            .then(include_str!("apt.sh"))
            .var("packages", packages.join("\n"))
            .var("state", state)
            .var("upgrade", upgrade)
            .var_or_empty("deb", deb);
        Ok(boxed(options(script, args)?))
    }
}

impl Module for Package {
    fn doc(&self) -> &'static Doc {
        &PACKAGE
    }

    fn parse(&self, args: &mut Args, _cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let (packages, state) = wanted(args, PACKAGE_STATES)?;
        let script = Script::new(VERBS)
            .then(include_str!("package.sh"))
            .then(include_str!("apt.sh"))
            .var("packages", packages.join("\n"))
            .var("state", state)
            .var("upgrade", "no")
            .var("deb", "");
        Ok(boxed(options(script, args)?))
    }
}

fn wanted(args: &Args, states: &[&'static str]) -> Result<(Vec<String>, &'static str), ArgError> {
    let packages = args.list("name")?.unwrap_or_default();
    // Old playbooks write `name: a b` in one word by mistake; apt would take neither.
    if let Some(bad) = packages.iter().find(|name| name.chars().any(char::is_whitespace)) {
        return Err(ArgError::new(format!("package name '{bad}' has white space in it"))
            .hint("give a list: name: [a, b]"));
    }
    let state = match args.choice("state", states, "present")? {
        "installed" => "present",
        "removed" => "absent",
        state => state,
    };
    Ok((packages.into_iter().filter(|name| !name.is_empty()).collect(), state))
}

fn options(script: Script, args: &Args) -> Result<Script, ArgError> {
    let number = |name: &str, default: i64| {
        args.integer(name).map(|found| found.unwrap_or(default).max(0).to_string())
    };
    let valid = number("cache_valid_time", 0)?;
    let update = args.maybe_boolean("update_cache")?.unwrap_or(valid != "0");
    let recommends = match args.maybe_boolean("install_recommends")? {
        Some(true) => "yes",
        Some(false) => "no",
        None => "",
    };
    let dpkg = args.text("dpkg_options")?.unwrap_or_default();
    Ok(script
        .flag("update_cache", update)
        .var("cache_valid_time", valid)
        .var("update_cache_retries", number("update_cache_retries", 5)?)
        .var("update_cache_retry_max_delay", number("update_cache_retry_max_delay", 12)?)
        .var("install_recommends", recommends)
        .var_or_empty("default_release", args.text("default_release")?)
        .flag("purge", args.boolean("purge", false)?)
        .flag("autoremove", args.boolean("autoremove", false)?)
        .flag("autoclean", args.boolean("autoclean", false)?)
        .flag("clean", args.boolean("clean", false)?)
        .var("dpkg_options", dpkg)
        .flag("allow_unauthenticated", args.boolean("allow_unauthenticated", false)?)
        .flag("allow_downgrade", args.boolean("allow_downgrade", false)?)
        .flag("allow_change_held", args.boolean("allow_change_held_packages", false)?)
        .flag("only_upgrade", args.boolean("only_upgrade", false)?)
        .flag("fail_on_autoremove", args.boolean("fail_on_autoremove", false)?)
        .flag("force", args.boolean("force", false)?)
        .var("lock_timeout", number("lock_timeout", 60)?)
        // A large upgrade over a slow line.
        .within(Duration::from_secs(3600)))
}

fn boxed(script: Script) -> Box<dyn Action> {
    Box::new(OneTrip::new(Reach::Local, script, outcome).long())
}

fn outcome(reply: &Reply) -> Outcome {
    let mut outcome = verdict(reply);
    if let Some(time) = reply.field("cache_update_time").and_then(|n| n.parse::<i64>().ok()) {
        outcome = outcome
            .with("cache_update_time", time)
            .with("cache_updated", reply.fields.is_set("cache_updated"));
    }
    if outcome.status == Status::Changed {
        for key in ["stdout", "stderr"] {
            outcome = outcome.with(key, reply.field(key).unwrap_or_default());
        }
    }
    outcome
}

#[cfg(test)]
mod tests;
