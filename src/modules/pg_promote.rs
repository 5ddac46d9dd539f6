//! `pg_promote`: makes a standby the primary and waits until it takes writes.

use std::time::Duration;

use crate::modules::action::{OneTrip, VERBS, verdict};
use crate::modules::pg_node::{
    NODE, Settings, container_arg, data_arg, etc_arg, identifier, major_arg, superuser_arg,
};
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};
use crate::postgres::dialect::Promote;
use crate::shell::Script;

/// See the file's head.
pub(super) struct PgPromote;

static DOC: Doc = Doc {
    name: "pg_promote",
    summary: "Promotes a standby in the way of its version, and waits until it takes writes.",
    description: "A node that is the primary already is left alone. It stops waiting for synchronous standbys first: it has none.",
    args: &[
        ArgDoc {
            default: "60",
            ..arg("timeout", ArgKind::Int, "Seconds to wait until it takes writes.")
        },
        container_arg(),
        superuser_arg(),
        data_arg(),
        major_arg(),
        etc_arg(),
        arg(
            "pgdata",
            ArgKind::Path,
            "PGDATA inside the container. Left out: what `pg_image` found.",
        ),
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Visible,
    returns: &[("timeline", "Its timeline now.")],
    examples: "- name: Promote\n  pg_promote:\n  when: \"'promote' in pg_plan.acts[inventory_hostname]\"\n",
};

const PROMOTE: &str = r#"pg_ready || give_up "the server in container $container does not answer: it cannot be promoted"
pg_must 'select pg_is_in_recovery()'
if [ "$pg_out" = t ]; then
  reply changed 1
  [ -n "$check" ] && exit 0
  rm -f "$data/matron.sync.conf"
  pg_must 'select pg_reload_conf()'
  if [ "$how" = function ]; then
    # Its own wait looks ten times a second only.
    pg_must 'select pg_promote(false)'
  else
    out=$(docker exec -u postgres "$container" pg_ctl promote -D "$inside" 2>&1 </dev/null) || give_up "pg_ctl promote: $out"
  fi
fi
tries=0
while :; do
  pg_must 'select pg_is_in_recovery()'
  [ "$pg_out" = f ] && break
  tries=$((tries + 1))
  [ "$tries" -lt $((timeout * 20)) ] || give_up "promotion: still in recovery after $timeout s; see docker logs $container"
  sleep 0.02 2>/dev/null || sleep 1
done
# Nothing that makes it a standby may be left for its next start.
rm -f "$data/standby.signal" "$data/recovery.conf" "$etc/fenced"
pg_must "$timeline_sql"
reply timeline "$pg_out"
# From now on it owes: its own guard knows that whoever was left unfenced has not followed it.
for debt in "$etc"/debts/*.json; do [ -e "$debt" ] && printf '%s\n' "$pg_out" >"${debt%.json}.timeline"; done
# What commits on another node waited for says nothing about this one.
[ -z "$forget_sql" ] || pg_sql "$forget_sql" >/dev/null
"#;

impl Module for PgPromote {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let settings = Settings::new(args, cx)?;
        let dialect = settings.dialect()?;
        let timeout = args.integer("timeout")?.unwrap_or(60).clamp(1, 3600);
        let (word, position) = (dialect.wal.word, dialect.wal.position);
        let walfile = format!("pg_{word}file_name");
        let timeline = format!(
            "select ('x' || substr({walfile}(pg_current_{word}_{position}()), 1, 8))::bit(32)::int"
        );
        let script = Script::new(VERBS)
            .then(NODE)
            .then(PROMOTE)
            .var("container", settings.text("container")?)
            .var("superuser", settings.text("superuser")?)
            .var("data", settings.text("data")?)
            .var("etc", settings.text("etc")?)
            .var("inside", settings.text("pgdata")?)
            .var("timeout", timeout.to_string())
            .var("timeline_sql", timeline)
            .var(
                "forget_sql",
                settings.maybe("replication_user").map_or_else(String::new, |role| {
                    let role = identifier(&role);
                    format!("set synchronous_commit = local; comment on role {role} is null")
                }),
            )
            .var(
                "how",
                match dialect.promote {
                    Promote::Function => "function",
                    Promote::PgCtl => "pg_ctl",
                },
            )
            .within(Duration::from_secs(timeout.unsigned_abs() * 2 + 30));
        Ok(Box::new(OneTrip::new(Reach::Visible, script, |reply| {
            let timeline = reply.field("timeline").and_then(|text| text.trim().parse::<u32>().ok());
            verdict(reply).with("timeline", timeline)
        })))
    }
}
