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
    summary: "Makes a replication slot for each standby on the primary, so that no WAL is removed that one still needs.",
    description: "A slot that has lost its WAL (`wal_status = lost`) is made anew.",
    args: &[
        ArgDoc { required: true, ..arg("names", ArgKind::List, "The slots.") },
        container_arg(),
        superuser_arg(),
        major_arg(),
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Visible,
    returns: &[("created", "The slots that were made.")],
    examples: "- name: A slot for each standby\n  pg_slot:\n    names: \"{{ pg_plan.slots }}\"\n",
};

const MAKE: &str = r#"pg_must "$missing"
created=$pg_out
reply created "$created"
[ -n "$created" ] || exit 0
reply changed 1
[ -n "$check" ] && exit 0
pg_must "$make"
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
        let wanted: Vec<_> = names.iter().map(|name| literal(name)).collect();
        let wanted =
            format!("(select unnest(array[{}]::text[]) as slot_name) wanted", wanted.join(", "));
        let unusable =
            if dialect.slot_wal_status { "and wal_status is distinct from 'lost'" } else { "" };
        let missing = format!(
            "from {wanted} where not exists (select from pg_replication_slots s where s.slot_name = wanted.slot_name {unusable})"
        );
        let names_missing = format!("select coalesce(string_agg(slot_name, ' '), '') {missing}");
        let creation = dialect.create_slot("slot_name::name");
        let drop = format!(
            "select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name in (select slot_name {missing})"
        );
        let script = Script::new(VERBS)
            .then(NODE)
            .then(MAKE)
            .var("container", settings.text("container")?)
            .var("superuser", settings.text("superuser")?)
            .var("missing", names_missing)
            .var("make", format!("{drop}; select {creation} {missing}"));
        if names.is_empty() {
            return Ok(crate::modules::action::Finished::boxed(nothing()));
        }
        Ok(Box::new(OneTrip::new(Reach::Visible, script, finish)))
    }
}

fn nothing() -> Outcome {
    Outcome::ok().with("created", serde_json::json!([]))
}

fn finish(reply: &Reply) -> Outcome {
    let created = reply.field("created").unwrap_or_default();
    let created: Vec<&str> = created.split_whitespace().collect();
    verdict(reply).with("created", serde_json::json!(created))
}
