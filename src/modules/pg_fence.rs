//! `pg_fence`: stops a node and sees to it that it can only come up as a standby.

use std::time::Duration;

use crate::modules::action::{OneTrip, VERBS, verdict};
use crate::modules::pg_node::{
    NODE, Settings, container_arg, data_arg, etc_arg, major_arg, owner_arg,
};
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};
use crate::shell::Script;

/// See the file's head.
pub(super) struct PgFence;

static DOC: Doc = Doc {
    name: "pg_fence",
    summary: "Fences a node: restart policy off, stopped, standby.signal (recovery.conf up to 11) in its data directory.",
    description: "Even an accidental start then comes up read-only. A server that does not stop in order within `timeout` is killed: a fence that waits is none.",
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

const FENCE: &str = r#"state=$(pg_state)
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
# First the mark: whatever happens after it, a start finds it.
if [ ! -e "$etc/fenced" ]; then printf '%s\n' "$reason" >"$etc/fenced.new" && mv -f "$etc/fenced.new" "$etc/fenced"; fi
rm -f "$etc/allow-start"
[ "$state" = paused ] && docker unpause "$container" >/dev/null 2>&1
case $state in
  paused | running | restarting)
    if ! pg_stop $((timeout * 5)); then
      clean=no
      docker kill "$container" >/dev/null 2>&1
      pg_stop 50 || give_up "container $container cannot be stopped: this node is not fenced"
    fi
    ;;
esac
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
            .then(FENCE)
            .var("container", settings.text("container")?)
            .var("data", settings.text("data")?)
            .var("etc", settings.text("etc")?)
            .var("owner", settings.text("owner")?)
            .var("standby_file", settings.dialect()?.standby_file.name())
            .var("reason", args.required("reason")?)
            .var("timeout", timeout.to_string())
            .within(Duration::from_secs(timeout + 60));
        Ok(Box::new(OneTrip::new(Reach::Visible, script, |reply| {
            verdict(reply).with("clean", reply.field("clean").is_none_or(|clean| clean == "yes"))
        })))
    }
}
