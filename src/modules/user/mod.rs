//! `user`: keeps a user of the host.

use serde_json::Value as Json;

use crate::modules::action::{OneTrip, VERBS, verdict};
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};
use crate::outcome::Outcome;
use crate::shell::{Reply, Script};

/// See the file's head.
pub(super) struct User;

const STATES: &[&str] = &["present", "absent"];
const UPDATES: &[&str] = &["always", "on_create"];

static DOC: Doc = Doc {
    name: "user",
    summary: "Keeps a user of the host.",
    description: "Needs useradd, usermod and userdel (package passwd or shadow). The password is a hash, as crypt(5) has it.",
    args: &[
        ArgDoc { required: true, aliases: &["user"], ..arg("name", ArgKind::Str, "Login name.") },
        ArgDoc {
            default: "present",
            ..arg("state", ArgKind::Choice(STATES), "Whether it is there.")
        },
        arg("uid", ArgKind::Int, "Its number."),
        ArgDoc {
            default: "false",
            ..arg("non_unique", ArgKind::Bool, "Takes a number that another user has.")
        },
        arg("group", ArgKind::Str, "Its primary group."),
        arg("groups", ArgKind::List, "Its other groups; an empty list takes it out of all."),
        ArgDoc {
            default: "false",
            ..arg("append", ArgKind::Bool, "Adds to the groups it has rather than replacing them.")
        },
        arg("shell", ArgKind::Path, "Login shell."),
        arg("home", ArgKind::Path, "Home folder."),
        ArgDoc {
            default: "true",
            aliases: &["createhome"],
            ..arg("create_home", ArgKind::Bool, "Makes the home folder.")
        },
        ArgDoc {
            default: "false",
            ..arg("move_home", ArgKind::Bool, "Moves what is in the home when `home` changes.")
        },
        arg("skeleton", ArgKind::Path, "Folder a new home is copied from."),
        arg("umask", ArgKind::Str, "umask for a new home."),
        arg("comment", ArgKind::Str, "Full name (GECOS)."),
        arg("password", ArgKind::Str, "Hash of the password."),
        ArgDoc {
            default: "always",
            ..arg("update_password", ArgKind::Choice(UPDATES), "When to set the password.")
        },
        arg("password_lock", ArgKind::Bool, "Locks or unlocks the password."),
        arg(
            "expires",
            ArgKind::Float,
            "When the account expires, in seconds of the epoch; negative for never.",
        ),
        ArgDoc { default: "false", ..arg("system", ArgKind::Bool, "Makes it a system user.") },
        ArgDoc {
            default: "false",
            ..arg("remove", ArgKind::Bool, "Removes its home and mail too, with `state: absent`.")
        },
        ArgDoc {
            default: "false",
            ..arg(
                "force",
                ArgKind::Bool,
                "Removes it though it is logged in; makes a new SSH key over an old one.",
            )
        },
        ArgDoc {
            default: "false",
            ..arg("generate_ssh_key", ArgKind::Bool, "Makes an SSH key without a passphrase.")
        },
        ArgDoc {
            default: ".ssh/id_rsa",
            ..arg("ssh_key_file", ArgKind::Path, "Where, from the home folder.")
        },
        ArgDoc { default: "rsa", ..arg("ssh_key_type", ArgKind::Str, "Type of the key.") },
        arg("ssh_key_bits", ArgKind::Int, "Bits of the key."),
        arg("ssh_key_comment", ArgKind::Str, "Comment of the key."),
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Local,
    returns: &[
        ("name", "Login name."),
        ("state", "State."),
        ("uid", "Number."),
        ("group", "Number of the primary group."),
        ("groups", "Other groups as given."),
        ("home", "Home folder."),
        ("shell", "Login shell."),
        ("comment", "Full name."),
        ("ssh_key_file", "Path of the SSH key."),
        ("ssh_public_key", "Its public half."),
        ("ssh_fingerprint", "Its fingerprint."),
    ],
    examples: "- user:\n    name: pacs\n    groups: docker\n    append: true\n    shell: /bin/bash\n",
};

impl Module for User {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, _cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let name = args.required("name")?;
        let state = args.choice("state", STATES, "present")?;
        let groups = args.list("groups")?;
        let password = args.text("password")?;
        let comment = args.text("comment")?;
        let number = |value: Option<i64>| value.map(|number| number.to_string());
        let lock = match args.maybe_boolean("password_lock")? {
            Some(true) => "1",
            Some(false) => "0",
            None => "",
        };
        let always = args.choice("update_password", UPDATES, "always")? == "always";
        let expiry = expiry(args)?;
        let given = |name: &str| args.text(name).map(Option::unwrap_or_default);
        let ssh_file = args.text("ssh_key_file")?.unwrap_or_else(|| ".ssh/id_rsa".to_owned());
        let ssh_type = args.text("ssh_key_type")?.unwrap_or_else(|| "rsa".to_owned());
        let append = args.boolean("append", false)?;
        let move_home = args.boolean("move_home", false)?;
        let (force, remove) = (args.boolean("force", false)?, args.boolean("remove", false)?);
        let script = Script::new(VERBS)
            .then(include_str!("user.sh"))
            .var("name", &name)
            .var("state", state)
            .var_or_empty("uid", number(args.integer("uid")?))
            .flag("non_unique", args.boolean("non_unique", false)?)
            .var("group", given("group")?)
            .flag("groups_given", groups.is_some())
            .var("groups", groups.clone().unwrap_or_default().join(","))
            .flag("append", append)
            .var("shell", given("shell")?)
            .var("home", given("home")?)
            .flag("create_home", args.boolean("create_home", true)?)
            .flag("move_home", move_home)
            .var("skeleton", given("skeleton")?)
            .var("umask", given("umask")?)
            .flag("comment_given", comment.is_some())
            .var_or_empty("comment", comment)
            .flag("password_given", password.is_some())
            .secret("password", password.as_deref().unwrap_or_default())
            .flag("update_password", always)
            .var("lock", lock)
            .flag("expires_given", expiry.is_some())
            .var_or_empty("expires", expiry.as_ref().map(|(date, _)| date))
            .var_or_empty("expires_day", expiry.as_ref().map(|(_, day)| day))
            .flag("system", args.boolean("system", false)?)
            .flag("force", force)
            .flag("remove", remove)
            .flag("generate_ssh_key", args.boolean("generate_ssh_key", false)?)
            .var("ssh_key_file", ssh_file)
            .var("ssh_key_type", ssh_type)
            .var_or_empty("ssh_key_bits", number(args.integer("ssh_key_bits")?))
            .var("ssh_key_comment", given("ssh_key_comment")?);
        Ok(Box::new(OneTrip::new(Reach::Local, script, move |reply| {
            let outcome = verdict(reply).with("name", name).with("state", state);
            if state == "absent" {
                return outcome.with("force", force).with("remove", remove);
            }
            let outcome = outcome.with("append", append).with("move_home", move_home);
            present(outcome, reply, groups.as_deref(), password.is_some())
        })))
    }
}

fn present(outcome: Outcome, reply: &Reply, groups: Option<&[String]>, password: bool) -> Outcome {
    let number = |key: &str| {
        let found = reply.field(key).and_then(|text| text.parse::<i64>().ok());
        found.map_or(Json::Null, Json::from)
    };
    let mut outcome = outcome.with("uid", number("uid")).with("group", number("gid"));
    for key in ["comment", "home", "shell"] {
        outcome = outcome.with(key, reply.field(key).unwrap_or_default());
    }
    for key in ["ssh_key_file", "ssh_public_key", "ssh_fingerprint"] {
        if let Some(text) = reply.field(key) {
            outcome = outcome.with(key, text);
        }
    }
    if let Some(groups) = groups {
        outcome = outcome.with("groups", groups.join(","));
    }
    if password {
        outcome = outcome.with("password", "NOT_LOGGING_PASSWORD");
    }
    outcome
}

/// Returns the day of expiry as a date for usermod and as days of the epoch as /etc/shadow has it; both empty for never.
fn expiry(args: &Args) -> Result<Option<(String, String)>, ArgError> {
    let Some(seconds) = args.float("expires")? else { return Ok(None) };
    if seconds < 0.0 {
        return Ok(Some((String::new(), String::new())));
    }
    let bad = || ArgError::new(format!("argument 'expires' is not a time of the epoch: {seconds}"));
    let duration = std::time::Duration::try_from_secs_f64(seconds).map_err(|_| bad())?;
    let seconds = i64::try_from(duration.as_secs()).map_err(|_| bad())?;
    let stamp = jiff::Timestamp::from_second(seconds).map_err(|_| bad())?;
    Ok(Some((stamp.strftime("%Y-%m-%d").to_string(), (seconds / 86_400).to_string())))
}

#[cfg(test)]
mod tests;
