//! `pg_aside`: moves a data directory out of the way, and keeps it.

use crate::modules::action::{OneTrip, VERBS, verdict};
use crate::modules::pg_node::{NODE, Settings, container_arg, data_arg, etc_arg, root_arg};
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};
use crate::shell::Script;

/// See the file's head.
pub(super) struct PgAside;

static DOC: Doc = Doc {
    name: "pg_aside",
    summary: "Moves a stopped node's data to `aside/` beside it, so that a new copy can take its place.",
    description: "It is a rename: it takes no time and no room. The new copy does take room; when there is too little, this refuses before anything is moved, \
unless `keep: false` allows to delete the old data (the playbook has proven the primary by then).",
    args: &[
        ArgDoc { default: "true", ..arg("keep", ArgKind::Bool, "Whether the old data is kept.") },
        arg("need", ArgKind::Int, "Bytes the new copy will take."),
        container_arg(),
        data_arg(),
        root_arg(),
        etc_arg(),
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Visible,
    returns: &[(
        "aside",
        "Where the old data is now; empty when there was none or it was not kept.",
    )],
    examples: "- name: Old data goes aside\n  pg_aside:\n    need: \"{{ pg_plan.size }}\"\n",
};

const ASIDE: &str = r#"[ -d "$root/data" ] && [ -n "$(ls -A "$root/data")" ] || { reply aside ''; exit 0; }
case $(pg_state) in running | paused | restarting) give_up "container $container runs: its data is not moved" ;; esac
if [ -n "$keep" ] && [ -n "$need" ]; then
  free=$(df -Pk "$root" | awk 'NR == 2 { print $4 }')
  [ "$((need / 1024 + 65536))" -le "${free:-0}" ] ||
    give_up "room to keep the old data beside a new copy under $root: found $free kB free; needed are $((need / 1024 + 65536)) kB. Remove older folders in $root/aside, enlarge the disk, or allow it to be deleted: -e pg_keep_old_data=false"
fi
reply changed 1
[ -n "$check" ] && exit 0
to="$root/aside/$(date -u +%Y%m%dT%H%M%SZ)"
mkdir -p "$root/aside" && chmod 700 "$root/aside" && mkdir "$to" && mv "$root/data" "$to/data" || give_up "cannot move $root/data to $to"
# The marker goes with the data it stands for: an empty data directory is right now.
for file in system_identifier fenced; do [ -e "$etc/$file" ] && mv -f "$etc/$file" "$to/$file"; done
sync
if [ -z "$keep" ]; then rm -rf "$to"; to=; fi
reply aside "$to"
"#;

impl Module for PgAside {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let settings = Settings::new(args, cx)?;
        let need = args.integer("need")?.filter(|need| *need > 0).map(|need| need.to_string());
        let script = Script::new(VERBS)
            .then(NODE)
            .then(ASIDE)
            .var("container", settings.text("container")?)
            .var("root", settings.text("root")?)
            .var("etc", settings.text("etc")?)
            .flag("keep", args.boolean("keep", true)?)
            .var_or_empty("need", need);
        Ok(Box::new(OneTrip::new(Reach::Visible, script, |reply| {
            verdict(reply).with("aside", reply.field("aside").unwrap_or_default())
        })))
    }
}
