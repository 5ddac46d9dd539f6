//! `pg_fence`: stops a node and sees to it that it can only come up as a standby.

use std::time::Duration;

use crate::modules::action::{OneTrip, VERBS, verdict};
use crate::modules::pg_node::{
    NODE, PIDS, Settings, container_arg, data_arg, etc_arg, major_arg, owner_arg,
};
use crate::modules::pg_start::LOCK;
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};
use crate::shell::Script;

/// See the file's head.
pub(super) struct PgFence;

static DOC: Doc = Doc {
    name: "pg_fence",
    summary: "Fences a node: restart policy off, stopped, standby.signal (recovery.conf up to 11) in its data directory.",
    description: "Even an accidental start then comes up read-only. A server that does not stop in order within `timeout` is killed: a fence that waits is none. \
That it is gone is told by the host's processes and not by Docker, so an engine that hangs or has ended keeps neither the server alive nor the fence from being true.",
    args: &[
        ArgDoc {
            required: true,
            ..arg("reason", ArgKind::Str, "Why, for status and the guard's log.")
        },
        arg(
            "timeout",
            ArgKind::Int,
            "Seconds for an orderly stop before it is killed. Left out: pg_stop_timeout.",
        ),
        container_arg(),
        data_arg(),
        major_arg(),
        etc_arg(),
        owner_arg(),
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Visible,
    returns: &[("clean", "Whether the server stopped in order.")],
    examples: "- name: Fence the old primary\n  pg_fence:\n    reason: failover to {{ pg_plan.primary }}\n",
};

const FENCE: &str = r#"engine=yes
within 20 docker version >/dev/null 2>&1 </dev/null || engine=no
state=absent
[ "$engine" = yes ] && state=$(pg_state)
[ -z "$(server_pids)" ] || reply changed 1
clean=yes
if [ "$state" = paused ] || [ "$state" = running ] || [ "$state" = restarting ]; then reply changed 1; fi
if [ "$state" != absent ]; then
  policy=$(docker inspect -f '{{.HostConfig.RestartPolicy.Name}}' "$container")
  if [ "$policy" != no ]; then
    reply changed 1
    [ -n "$check" ] || docker update --restart=no "$container" >/dev/null 2>&1
  fi
fi
if [ -s "$data/PG_VERSION" ] && { [ ! -e "$data/$standby_file" ] || [ ! -e "$etc/fenced" ]; }; then reply changed 1; fi
[ -n "$check" ] && exit 0
mkdir -p "$etc"
# First the mark, under the lock that the guard starts under: whatever happens after it, a start finds it.
guard_lock
if [ ! -e "$etc/fenced" ]; then printf '%s\n' "$reason" >"$etc/fenced.new" && mv -f "$etc/fenced.new" "$etc/fenced"; fi
rm -f "$etc/allow-start"
guard_unlock
[ "$engine" = yes ] && state=$(pg_state)
case $state in
  paused)
    # Let go on, it would take writes again before it stops.
    clean=no
    docker kill "$container" >/dev/null 2>&1 || { docker unpause "$container" >/dev/null 2>&1; docker kill "$container" >/dev/null 2>&1; }
    ;;
  running | restarting)
    if ! pg_stop $((timeout * 5)); then
      clean=no
      docker kill "$container" >/dev/null 2>&1
      pg_stop 50 || [ -z "$(server_pids)" ] || give_up "container $container cannot be stopped: this node is not fenced"
    fi
    ;;
esac
# Whatever Docker says: no server runs on this data any more, or this is no fence.
tries=0
while pids=$(server_pids); [ -n "$pids" ]; do
  first=${pids%%
*}
  if [ "$tries" -eq 0 ]; then kill -INT "$first" 2>/dev/null; fi
  # The first one is the server's own process, which would start the others again.
  if [ "$tries" -ge $((timeout * 5)) ]; then clean=no; kill -KILL "$first" 2>/dev/null; kill -KILL $pids 2>/dev/null; fi
  tries=$((tries + 1))
  [ "$tries" -lt $((timeout * 5 + 100)) ] || give_up "a server still runs on $data (process $first): this node is not fenced"
  sleep 0.2 2>/dev/null || sleep 1
done
if [ -s "$data/PG_VERSION" ] && [ ! -e "$data/$standby_file" ]; then
  (umask 077 && if [ "$standby_file" = recovery.conf ]; then printf "standby_mode = 'on'\n"; fi >"$data/$standby_file") &&
    chown "$owner" "$data/$standby_file" || give_up "cannot write $data/$standby_file: this node is stopped, and could start as a primary"
  sync
fi
reply clean "$clean"
"#;

impl Module for PgFence {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let settings = Settings::new(args, cx)?;
        let timeout = match args.integer("timeout")? {
            Some(seconds) => seconds.unsigned_abs(),
            None => settings.number("stop_timeout", 600)?,
        };
        let script = Script::new(VERBS)
            .then(NODE)
            .then(PIDS)
            .then(LOCK)
            .then(FENCE)
            .var("container", settings.text("container")?)
            .var("data", settings.text("data")?)
            .var("etc", settings.text("etc")?)
            .var("owner", settings.text("owner")?)
            .var("standby_file", settings.dialect()?.standby_file.name())
            .var("reason", args.required("reason")?)
            .var("timeout", timeout.to_string())
            .within(Duration::from_secs(timeout * 2 + 180));
        Ok(Box::new(OneTrip::new(Reach::Visible, script, |reply| {
            verdict(reply).with("clean", reply.field("clean").is_none_or(|clean| clean == "yes"))
        })))
    }
}
