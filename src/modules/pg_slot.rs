//! `pg_slot`: physical replication slots on a primary.

use crate::modules::action::{OneTrip, VERBS, verdict};
use crate::modules::pg_node::{NODE, Settings, container_arg, literal, major_arg, superuser_arg};
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};
use crate::outcome::Outcome;
use crate::shell::{Reply, Script};

/// See the file's head.
pub(super) struct PgSlot;

static DOC: Doc = Doc {
    name: "pg_slot",
    summary: "Makes a replication slot for each node that follows this one, so that no WAL is removed that one still needs.",
    description: "On a primary or on a standby that others follow. A slot that has lost its WAL (`wal_status = lost`) is made anew. A slot that nobody \
comes for any more keeps WAL until the disk is full: with `purge` those that matron made (`matron_...`) and that nothing uses are dropped.",
    args: &[
        ArgDoc { required: true, ..arg("names", ArgKind::List, "The slots.") },
        ArgDoc {
            default: "false",
            ..arg(
                "purge",
                ArgKind::Bool,
                "Whether matron's other slots are dropped when nothing uses them.",
            )
        },
        arg("keep", ArgKind::List, "With `purge`: slots that are neither made nor dropped."),
        container_arg(),
        superuser_arg(),
        major_arg(),
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Visible,
    returns: &[
        ("created", "The slots that were made."),
        ("unwanted", "With `purge`: matron's slots that are not wanted here."),
        ("dropped", "Those of them that were dropped; the others are in use."),
    ],
    examples: "- name: A slot for each node that follows this one\n  pg_slot:\n    names: \"{{ pg_plan.slots_by_node[inventory_hostname] }}\"\n",
};

const MAKE: &str = r#"created= unwanted= dropped=
if [ -n "$missing" ]; then
  pg_must "$missing"
  created=$pg_out
  reply created "$created"
fi
if [ -n "$surplus" ]; then
  pg_must "$surplus"
  unwanted=${pg_out%%|*} dropped=${pg_out#*|}
  reply unwanted "$unwanted"
  reply dropped "$dropped"
fi
[ -n "$created$dropped" ] || exit 0
reply changed 1
[ -n "$check" ] && exit 0
[ -z "$created" ] || pg_must "$make"
[ -z "$dropped" ] || pg_must "$drop"
"#;

impl Module for PgSlot {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let settings = Settings::new(args, cx)?;
        let names = args.list("names")?.unwrap_or_default();
        for name in &names {
            let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
            if name.is_empty() || name.len() > 63 || !name.bytes().all(letter) {
                let text = format!(
                    "'{name}' cannot be a slot's name: lower case letters, digits and '_', at most 63"
                );
                return Err(ArgError::new(text));
            }
        }
        let dialect = settings.dialect()?;
        let purge = args.boolean("purge", false)?;
        let kept = args.list("keep")?.unwrap_or_default();
        let array = |names: &mut dyn Iterator<Item = &String>| {
            let names: Vec<_> = names.map(|name| literal(name)).collect();
            format!("array[{}]::text[]", names.join(", "))
        };
        let wanted = format!("(select unnest({}) as slot_name) wanted", array(&mut names.iter()));
        let unusable =
            if dialect.slot_wal_status { "and wal_status is distinct from 'lost'" } else { "" };
        let missing = format!(
            "from {wanted} where not exists (select from pg_replication_slots s where s.slot_name = wanted.slot_name {unusable})"
        );
        let names_missing = format!("select coalesce(string_agg(slot_name, ' '), '') {missing}");
        let creation = dialect.create_slot("slot_name::name");
        let lost = format!(
            "select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name in (select slot_name {missing})"
        );
        let surplus = format!(
            "from pg_replication_slots where slot_type = 'physical' and slot_name like 'matron\\_%' and slot_name::text <> all ({})",
            array(&mut names.iter().chain(&kept))
        );
        let names_where = |which: &str| {
            format!(
                "coalesce(string_agg(case when {which} then slot_name end, ' ' order by slot_name), '')"
            )
        };
        let names_surplus = format!(
            "select {} || '|' || {} {surplus}",
            names_where("true"),
            names_where("not active")
        );
        let drop = format!("select pg_drop_replication_slot(slot_name) {surplus} and not active");
        if names.is_empty() && !purge {
            return Ok(crate::modules::action::Finished::boxed(nothing()));
        }
        let script = Script::new(VERBS)
            .then(NODE)
            .then(MAKE)
            .var("container", settings.text("container")?)
            .var("superuser", settings.text("superuser")?)
            .var("missing", if names.is_empty() { String::new() } else { names_missing })
            .var("make", format!("{lost}; select {creation} {missing}"))
            .var("surplus", if purge { names_surplus } else { String::new() })
            .var("drop", drop);
        Ok(Box::new(OneTrip::new(Reach::Visible, script, finish)))
    }
}

fn nothing() -> Outcome {
    Outcome::ok().with("created", serde_json::json!([]))
}

fn finish(reply: &Reply) -> Outcome {
    let mut outcome = verdict(reply);
    for key in ["created", "unwanted", "dropped"] {
        let names = reply.field(key).unwrap_or_default();
        let names: Vec<&str> = names.split_whitespace().collect();
        outcome = outcome.with(key, serde_json::json!(names));
    }
    outcome
}
