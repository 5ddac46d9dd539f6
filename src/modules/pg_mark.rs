//! `pg_mark`: tells a node's server which former primary must not start any more, where that one's guard can ask for it.

use std::time::Duration;

use crate::modules::action::{OneTrip, VERBS, verdict};
use crate::modules::pg_node::{
    FILES, NODE, Settings, container_arg, data_arg, owner_arg, superuser_arg,
};
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};
use crate::shell::Script;

/// See the file's head.
pub(super) struct PgMark;

static DOC: Doc = Doc {
    name: "pg_mark",
    summary: "Tells a server which former primary must not start any more: the setting `matron.owed`, which guards of peers read.",
    description: "A failover away from a node that cannot be reached tells every standby first: from then on none of them vouches for that node, so its guard \
keeps it down even when the one that was promoted cannot be reached from there. The mark names a timeline and means nothing once the node is on a later one.",
    args: &[
        ArgDoc { required: true, ..arg("node", ArgKind::Str, "The former primary.") },
        ArgDoc {
            default: "present",
            ..arg("state", ArgKind::Choice(&["present", "absent"]), "Whether it is owed.")
        },
        ArgDoc {
            default: "0",
            ..arg("timeline", ArgKind::Int, "The last timeline it was the primary of.")
        },
        container_arg(),
        superuser_arg(),
        data_arg(),
        owner_arg(),
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Visible,
    returns: &[],
    examples: "- name: Nobody vouches for the old primary any more\n  pg_mark:\n    node: \"{{ pg_plan.old_primary }}\"\n    timeline: \"{{ pg_plan.timeline }}\"\n",
};

const MARK: &str = r##"file="$data/matron.owed.conf"
if [ "$state" = absent ]; then
  [ -e "$file" ] || exit 0
  grep -q "'$node [0-9]*'" "$file" || exit 0
fi
[ "$(pg_state)" = running ] || give_up "container $container does not run: its server cannot be told"
wanted="$node $timeline"; [ "$state" = absent ] && wanted=
pg_told() {
  docker exec -i -u postgres "$container" psql -X -q -A -t -U "$superuser" -d postgres 2>/dev/null <<'SQL'
show matron.owed;
SQL
}
[ -n "$wanted" ] && [ "$(pg_told)" = "$wanted" ] && exit 0
reply changed 1
[ -n "$check" ] && exit 0
put "$file" "# Written by matron: a former primary that must not start as one again, and the last timeline it was primary of.
matron.owed = '$wanted'
"
grep -q '^include_if_exists.*matron.owed.conf' "$data/postgresql.conf" || printf "include_if_exists = 'matron.owed.conf'\n" >>"$data/postgresql.conf"
pg_must 'select pg_reload_conf()'
tries=0
until [ "$(pg_told)" = "$wanted" ]; do
  tries=$((tries + 1))
  [ "$tries" -lt 50 ] || give_up "the server in container $container did not take the setting matron.owed"
  sleep 0.1 2>/dev/null || sleep 1
done
[ -n "$wanted" ] || rm -f "$file"
"##;

impl Module for PgMark {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let settings = Settings::new(args, cx)?;
        let node = args.required("node")?;
        if node.is_empty() || node.contains(|c: char| c.is_whitespace() || "',\\".contains(c)) {
            return Err(ArgError::new(format!("'{node}' is no node's name")));
        }
        let timeline = args.integer("timeline")?.unwrap_or(0).unsigned_abs();
        let script = Script::new(VERBS)
            .then(NODE)
            .then(FILES)
            .then(MARK)
            .var("container", settings.text("container")?)
            .var("superuser", settings.text("superuser")?)
            .var("data", settings.text("data")?)
            .var("owner", settings.text("owner")?)
            .var("node", node)
            .var("timeline", timeline.to_string())
            .var("state", args.choice("state", &["present", "absent"], "present")?)
            .within(Duration::from_secs(60));
        Ok(Box::new(OneTrip::new(Reach::Visible, script, verdict)))
    }
}
