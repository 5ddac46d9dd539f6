//! `pg_start`: starts a stopped node by an operator's word, past its guard, and writes down who and why.

use std::time::Duration;

use crate::modules::action::{OneTrip, VERBS, verdict};
use crate::modules::pg_node::{
    NODE, Settings, container_arg, data_arg, etc_arg, major_arg, superuser_arg,
};
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};
use crate::shell::Script;

/// See the file's head.
pub(super) struct PgStart;

static DOC: Doc = Doc {
    name: "pg_start",
    summary: "Starts the container of a stopped node, and writes into the guard's log who wanted it and why.",
    description: "The decision is `pg_decide`'s (goal start). A node that is fenced is refused here too, under the lock that fencing takes.",
    args: &[
        ArgDoc { required: true, ..arg("who", ArgKind::Str, "Who wants it, for the guard's log.") },
        ArgDoc { default: "", ..arg("why", ArgKind::Str, "Why, for the guard's log.") },
        ArgDoc {
            default: "120",
            ..arg("wait", ArgKind::Int, "Seconds to wait until its server answers.")
        },
        container_arg(),
        superuser_arg(),
        data_arg(),
        major_arg(),
        etc_arg(),
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Visible,
    returns: &[],
    examples: "- name: Start it\n  pg_start:\n    who: \"{{ matron_who }}\"\n    why: \"{{ pg_plan.accepted | join(', ') }}\"\n  when: \"'start' in pg_plan.acts[inventory_hostname]\"\n",
};

/// Holds the lock under which the guard looks a last time and starts.
pub(super) const LOCK: &str = r#"guard_lock() {
  mkdir -p "$etc"
  command -v flock >/dev/null 2>&1 || return 0
  exec 9>"$etc/guard.lock"
  flock -w 60 9 || give_up "the lock $etc/guard.lock is held by another process for more than 60 s"
}
guard_unlock() { command -v flock >/dev/null 2>&1 && exec 9>&-; :; }
"#;

const START: &str = r#"state=$(pg_state)
[ "$state" = absent ] && give_up "there is no container $container on this host: matron pg setup makes it"
[ "$state" = running ] || reply changed 1
[ -n "$check" ] && exit 0
guard_lock
[ ! -e "$etc/fenced" ] || give_up "this node is fenced ($(cat "$etc/fenced")): bring it back with matron pg rejoin"
rm -f "$etc/allow-start"
if [ "$state" != running ]; then
  what='the primary'; [ -e "$data/$standby_file" ] && what='a standby'
  printf '%s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$cluster: $what, by the word of $who${why:+ ($why)}: starting" >>/var/log/matron-pg-guard.log
  [ "$state" = paused ] && { out=$(docker unpause "$container" 2>&1 </dev/null) || give_up "cannot unpause container $container: $out"; }
  out=$(docker start "$container" 2>&1 </dev/null 9>&-) || give_up "cannot start container $container: $out"
fi
guard_unlock
tries=0
until pg_ready; do
  tries=$((tries + 1))
  [ "$(pg_state)" = running ] || give_up "the server in container $container ended: $(docker logs --tail 5 "$container" 2>&1)"
  [ "$tries" -lt $((wait * 5)) ] || give_up "the server in container $container does not answer after $wait s: $(docker logs --tail 3 "$container" 2>&1)"
  sleep 0.2 2>/dev/null || sleep 1
done
"#;

impl Module for PgStart {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let settings = Settings::new(args, cx)?;
        let wait = args.integer("wait")?.unwrap_or(120).unsigned_abs();
        let script = Script::new(VERBS)
            .then(NODE)
            .then(LOCK)
            .then(START)
            .var("container", settings.text("container")?)
            .var("superuser", settings.text("superuser")?)
            .var("data", settings.text("data")?)
            .var("etc", settings.text("etc")?)
            .var("cluster", settings.maybe("cluster").unwrap_or_default())
            .var("standby_file", settings.dialect()?.standby_file.name())
            .var("who", args.required("who")?)
            .var("why", args.text("why")?.unwrap_or_default())
            .var("wait", wait.to_string())
            .within(Duration::from_secs(wait * 2 + 120));
        Ok(Box::new(OneTrip::new(Reach::Visible, script, verdict)))
    }
}
