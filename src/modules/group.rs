//! `group`: keeps a group of the host.

use serde_json::Value as Json;

use crate::modules::action::{OneTrip, VERBS, verdict};
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};
use crate::shell::Script;

/// See the file's head.
pub(super) struct Group;

const STATES: &[&str] = &["present", "absent"];

static DOC: Doc = Doc {
    name: "group",
    summary: "Keeps a group of the host.",
    description: "Needs groupadd, groupmod and groupdel (package passwd or shadow).",
    args: &[
        ArgDoc { required: true, ..arg("name", ArgKind::Str, "Name of the group.") },
        arg("gid", ArgKind::Int, "Its number."),
        ArgDoc {
            default: "present",
            ..arg("state", ArgKind::Choice(STATES), "Whether it is there.")
        },
        ArgDoc { default: "false", ..arg("system", ArgKind::Bool, "Makes it a system group.") },
        ArgDoc {
            default: "false",
            ..arg("force", ArgKind::Bool, "Removes it even when it is some user's primary group.")
        },
        ArgDoc {
            default: "false",
            ..arg("non_unique", ArgKind::Bool, "Takes a number that another group has.")
        },
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Local,
    returns: &[("name", "Name."), ("gid", "Number."), ("state", "State."), ("system", "As given.")],
    examples: "- group:\n    name: postgres\n    gid: 999\n    system: true\n",
};

const SCRIPT: &str = r#"lookup() { getent group "$1" 2>/dev/null || awk -F: -v n="$1" '$1 == n { print; found = 1 } END { exit !found }' /etc/group; }
now=
entry=$(lookup "$name") && { now=${entry#*:*:}; now=${now%%:*}; }
if [ "$state" = absent ]; then
  if [ "$now" ]; then
    [ "$check" ] || { need groupdel; set --; [ "$force" ] && set -- -f; run groupdel "$@" -- "$name"; }
    reply changed 1
  fi
elif [ -z "$now" ]; then
  if [ -z "$check" ]; then
    need groupadd
    set --
    [ "$gid" ] && set -- "$@" -g "$gid"
    [ "$gid" ] && [ "$non_unique" ] && set -- "$@" -o
    [ "$system" ] && set -- "$@" -r
    run groupadd "$@" -- "$name"
    entry=$(lookup "$name"); now=${entry#*:*:}; now=${now%%:*}
  fi
  reply changed 1
elif [ "$gid" ] && [ "$gid" != "$now" ]; then
  if [ -z "$check" ]; then
    need groupmod
    set -- -g "$gid"
    [ "$non_unique" ] && set -- "$@" -o
    run groupmod "$@" -- "$name"
  fi
  now=$gid
  reply changed 1
fi
reply gid "$now"
"#;

impl Module for Group {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, _cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let name = args.required("name")?;
        let state = args.choice("state", STATES, "present")?;
        let system = args.boolean("system", false)?;
        let gid = args.integer("gid")?.map(|gid| gid.to_string());
        let script = Script::new(VERBS)
            .then(SCRIPT)
            .var("name", &name)
            .var("state", state)
            .var_or_empty("gid", gid)
            .flag("system", system)
            .flag("force", args.boolean("force", false)?)
            .flag("non_unique", args.boolean("non_unique", false)?);
        Ok(Box::new(OneTrip::new(Reach::Local, script, move |reply| {
            let mut outcome = verdict(reply).with("name", name).with("state", state);
            if state == "present" {
                let gid = reply.field("gid").and_then(|gid| gid.parse::<i64>().ok());
                outcome = outcome.with("gid", gid.map_or(Json::Null, Json::from));
                outcome = outcome.with("system", system);
            }
            outcome
        })))
    }
}
