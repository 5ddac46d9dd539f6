//! `pg_reconnect`: proves that a standby can log in anew, by letting it.

use std::time::Duration;

use crate::modules::action::{OneTrip, VERBS, verdict};
use crate::modules::pg_node::{NODE, Settings, container_arg, major_arg, superuser_arg};
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};
use crate::postgres::dialect::Receiver;
use crate::shell::Script;

/// See the file's head.
pub(super) struct PgReconnect;

static DOC: Doc = Doc {
    name: "pg_reconnect",
    summary: "Ends a standby's WAL receiver and waits until a new one streams.",
    description: "A connection that stands says nothing of the password it was made with. Before 9.6 a server does not tell of its receiver, and nothing is done.",
    args: &[
        ArgDoc { default: "60", ..arg("timeout", ArgKind::Int, "Seconds.") },
        container_arg(),
        superuser_arg(),
        major_arg(),
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Skipped,
    reach: Reach::Visible,
    returns: &[],
    examples: "- name: The standby can log in\n  pg_reconnect:\n",
};

const RECONNECT: &str = r#"pg_must "select coalesce((select pid from pg_stat_wal_receiver limit 1), 0)"
before=$pg_out
# It is the server's own child, and ends in order when it is asked to.
[ "$before" = 0 ] || docker exec -u postgres "$container" sh -c 'kill "$1"' sh "$before" >/dev/null 2>&1 </dev/null
tries=0
while :; do
  pg_must "select pid || ' ' || status from pg_stat_wal_receiver limit 1"
  case $pg_out in
    "$before "*) ;;
    *' streaming') break ;;
  esac
  tries=$((tries + 1))
  [ "$tries" -lt $((timeout * 5)) ] || give_up "the standby in container $container does not stream with its new password after $timeout s: $(docker logs --tail 3 "$container" 2>&1 </dev/null)"
  sleep 0.2 2>/dev/null || sleep 1
done
"#;

impl Module for PgReconnect {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let settings = Settings::new(args, cx)?;
        let timeout = args.integer("timeout")?.unwrap_or(60).unsigned_abs();
        let code = if settings.dialect()?.receiver == Receiver::Absent { "" } else { RECONNECT };
        let script = Script::new(VERBS)
            .then(NODE)
            .then(code)
            .var("container", settings.text("container")?)
            .var("superuser", settings.text("superuser")?)
            .var("timeout", timeout.to_string())
            .within(Duration::from_secs(timeout + 60));
        Ok(Box::new(OneTrip::new(Reach::Visible, script, verdict)))
    }
}
