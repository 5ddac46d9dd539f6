//! `pg_server`: starts, stops and restarts a node's container, in order and with time.

use std::time::Duration;

use crate::modules::action::{OneTrip, VERBS, verdict};
use crate::modules::pg_node::{NODE, Settings, container_arg, superuser_arg};
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};
use crate::shell::Script;

/// See the file's head.
pub(super) struct PgServer;

const STATES: &[&str] = &["started", "stopped", "restarted"];

static DOC: Doc = Doc {
    name: "pg_server",
    summary: "Starts, stops or restarts the server of a container that is there.",
    description: "A stop is a fast shutdown whatever the image's stop signal is, and is never cut short: a server killed while it stops leaves no proof of what it wrote. \
A start waits until the server answers.",
    args: &[
        ArgDoc { required: true, ..arg("state", ArgKind::Choice(STATES), "What it should be.") },
        arg("timeout", ArgKind::Int, "Seconds a stop may take. Left out: pg_stop_timeout."),
        ArgDoc {
            default: "60",
            ..arg("wait", ArgKind::Int, "Seconds to wait until a started server answers.")
        },
        container_arg(),
        superuser_arg(),
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Visible,
    returns: &[],
    examples: "- name: Settings that need it\n  pg_server:\n    state: restarted\n  when: pg_conf.restart_required\n",
};

const SERVE: &str = r#"state=$(pg_state)
[ "$state" = absent ] && { [ "$wanted" = stopped ] && exit 0; give_up "there is no container $container on this host"; }
if [ "$wanted" != started ] && [ "$state" = running ]; then
  reply changed 1
  [ -n "$check" ] && exit 0
  pg_stop $((timeout * 5)) || give_up "the server in container $container did not stop within $timeout s: it is still stopping, and is not killed"
fi
[ "$wanted" = stopped ] && exit 0
if [ "$(pg_state)" != running ]; then
  reply changed 1
  [ -n "$check" ] && exit 0
  out=$(docker start "$container" 2>&1 </dev/null) || give_up "cannot start container $container: $out"
fi
tries=0
until pg_ready; do
  tries=$((tries + 1))
  [ "$(pg_state)" = running ] || give_up "the server in container $container ended: $(docker logs --tail 5 "$container" 2>&1)"
  [ "$tries" -lt $((wait * 5)) ] || give_up "the server in container $container does not answer after $wait s: $(docker logs --tail 3 "$container" 2>&1)"
  sleep 0.2 2>/dev/null || sleep 1
done
"#;

impl Module for PgServer {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let settings = Settings::new(args, cx)?;
        let timeout = match args.integer("timeout")? {
            Some(seconds) => seconds.unsigned_abs(),
            None => settings.number("stop_timeout", 600)?,
        };
        let wait = args.integer("wait")?.unwrap_or(60).unsigned_abs();
        let script = Script::new(VERBS)
            .then(NODE)
            .then(SERVE)
            .var("container", settings.text("container")?)
            .var("superuser", settings.text("superuser")?)
            .var("wanted", args.choice("state", STATES, "started")?)
            .var("timeout", timeout.to_string())
            .var("wait", wait.to_string())
            .within(Duration::from_secs(timeout + wait + 60));
        Ok(Box::new(OneTrip::new(Reach::Visible, script, verdict)))
    }
}
