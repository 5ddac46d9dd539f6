//! `pg_verify_write`: proves that a node takes writes, and leaves nothing behind.

use std::time::Duration;

use crate::modules::action::{OneTrip, VERBS, verdict};
use crate::modules::pg_node::{NODE, Settings, container_arg, major_arg, superuser_arg};
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};
use crate::shell::Script;

/// See the file's head.
pub(super) struct PgVerifyWrite;

static DOC: Doc = Doc {
    name: "pg_verify_write",
    summary: "Proves that a server commits: a transaction that leaves nothing behind, in the archive's database.",
    description: "A WAL message from 9.6 on, a restore point before. The position in the log must move, so a server that only pretends is found out. \
With synchronous replication the commit also proves that a standby confirms.",
    args: &[
        ArgDoc { default: "20", ..arg("timeout", ArgKind::Int, "Seconds the commit may take.") },
        arg("database", ArgKind::Str, "Left out: the archive's."),
        container_arg(),
        superuser_arg(),
        major_arg(),
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Skipped,
    reach: Reach::Visible,
    returns: &[("lsn", "The position after the commit.")],
    examples: "- name: It takes writes\n  pg_verify_write:\n",
};

const VERIFY: &str = r#"pg_ready || give_up "the server in container $container does not answer"
pg_must "select pg_is_in_recovery()::text || current_setting('transaction_read_only')"
[ "$pg_out" = falseoff ] || give_up "the server in container $container is read-only: found in recovery and read-only = $pg_out; expected falseoff"
pg_must "select $position"
before=$pg_out
pg_must "set statement_timeout = '${timeout}s'; $write"
pg_must "select $position"
[ "$pg_out" != "$before" ] || give_up "the log of the server in container $container did not move: it is at $before still"
reply lsn "$pg_out"
"#;

impl Module for PgVerifyWrite {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let settings = Settings::new(args, cx)?;
        let dialect = settings.dialect()?;
        let timeout = args.integer("timeout")?.unwrap_or(20).clamp(1, 3600);
        let write = if dialect.emits_messages {
            "begin; select txid_current(); select pg_logical_emit_message(true, 'matron', 'it takes writes'); commit"
        } else {
            "select pg_create_restore_point('matron')"
        };
        let (word, position) = (dialect.wal.word, dialect.wal.position);
        let script = Script::new(VERBS)
            .then(NODE)
            .then(VERIFY)
            .var("container", settings.text("container")?)
            .var("superuser", settings.text("superuser")?)
            .var("database", settings.text("database")?)
            .var("write", write)
            .var("position", format!("pg_current_{word}_insert_{position}()"))
            .var("timeout", timeout.to_string())
            .within(Duration::from_secs(timeout.unsigned_abs() + 30));
        Ok(Box::new(OneTrip::new(Reach::Visible, script, |reply| {
            verdict(reply).with("lsn", reply.field("lsn").unwrap_or_default())
        })))
    }
}
