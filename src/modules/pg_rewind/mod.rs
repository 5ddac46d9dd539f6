//! `pg_rewind`: makes a stopped node's data that of the primary again by copying what differs.

use std::time::Duration;

use crate::modules::action::{OneTrip, VERBS, verdict};
use crate::modules::pg_node::{
    CONTROL, NODE, PLACES, REWIND, Settings, container_arg, data_arg, image_arg, major_arg,
    owner_arg, places_arg, root_arg,
};
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};
use crate::outcome::Outcome;
use crate::shell::{Reply, Script};

/// See the file's head.
pub(super) struct PgRewind;

static DOC: Doc = Doc {
    name: "pg_rewind",
    summary: "Rewinds a stopped node to its primary's history with pg_rewind in a one-off container of the same image.",
    description: "As the server's user, never as root. A stale postmaster.pid goes; a node that crashed recovers first in a server of one user, which takes no \
connections. pg_rewind is tried without effect first, so what stands in its way leaves the data as it was. While it runs a mark on the host says so: a rewind that \
did not end cannot be begun again. The container is removed before and made anew by the playbook, so that nothing can start on half-rewound data; what the \
primary's files brought along is removed, and the node stays fenced until `pg_standby` has configured it. It reads the primary through the replication \
role, which `pg_role` lets read files of the data directory; before 11 only the superuser may.",
    args: &[
        ArgDoc { required: true, ..arg("host", ArgKind::Str, "Address of the primary.") },
        ArgDoc { default: "5432", ..arg("port", ArgKind::Int, "Its port.") },
        ArgDoc {
            default: "false",
            ..arg(
                "strict",
                ArgKind::Bool,
                "Whether a rewind that cannot be done fails the task; otherwise it is told by `done`.",
            )
        },
        ArgDoc { default: "86400", ..arg("timeout", ArgKind::Int, "Seconds it may take.") },
        container_arg(),
        data_arg(),
        root_arg(),
        owner_arg(),
        image_arg(),
        major_arg(),
        places_arg(),
        arg("secrets", ArgKind::Path, "Folder of the passfile. Left out: what `pg_require` found."),
        arg("volume", ArgKind::Path, "The image's volume. Left out: what `pg_image` found."),
        arg(
            "pgdata",
            ArgKind::Path,
            "The data directory in the container. Left out: what `pg_image` found.",
        ),
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Visible,
    returns: &[
        ("done", "Whether the data is the primary's now, up to where a standby goes on."),
        ("why", "Why not."),
        ("rewound", "Whether anything had to be copied."),
        ("bytes", "How much was copied."),
        ("seconds", "How long it took."),
    ],
    examples: "- name: Rewind\n  pg_rewind:\n    host: \"{{ pg_plan.upstream.address }}\"\n    port: \"{{ pg_plan.upstream.port }}\"\n  register: pg_rewound\n",
};

impl Module for PgRewind {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let settings = Settings::new(args, cx)?;
        let dialect = settings.dialect()?;
        let port = args.integer("port")?.unwrap_or(5432);
        let strict = args.boolean("strict", false)?;
        let seconds = args.integer("timeout")?.and_then(|seconds| u64::try_from(seconds).ok());
        let user =
            settings.text(if dialect.rewind_by_role { "replication_user" } else { "superuser" })?;
        let script = Script::new(VERBS)
            .then(NODE)
            .then(CONTROL)
            .then(REWIND)
            .then(PLACES)
            .then(include_str!("rewind.sh"))
            .var("container", settings.text("container")?)
            .var("superuser", "")
            .var("data", settings.text("data")?)
            .var("root", settings.text("root")?)
            .var("owner", settings.text("owner")?)
            .var("image", settings.text("image")?)
            .var("secrets", settings.text("secrets")?)
            .var("places", settings.places()?)
            .var("volume", settings.text("volume")?)
            .var("pgdata", settings.text("pgdata")?)
            .var("host", args.required("host")?)
            .var("port", port.to_string())
            .var("user", user)
            .var("passfile", if dialect.rewind_by_role { "pgpass" } else { "rewind" })
            .flag("own_passfile", !dialect.rewind_by_role)
            .flag("no_ensure", dialect.rewind_recovers)
            .var("standby_file", dialect.standby_file.name())
            .within(Duration::from_secs(seconds.unwrap_or(86_400)));
        Ok(Box::new(
            OneTrip::new(Reach::Visible, script, move |reply| outcome(reply, strict)).long(),
        ))
    }
}

fn outcome(reply: &Reply, strict: bool) -> Outcome {
    let why = reply.field("broken").or_else(|| reply.field("impossible"));
    if let Some(why) = why {
        let outcome = if strict {
            let way = "Let it be copied anew: -e pg_rejoin_by=clone.";
            Outcome::failed(format!("it cannot be rewound: {why}. {way}"))
        } else {
            verdict(reply)
        };
        return outcome.with("done", false).with("why", why);
    }
    let mut outcome =
        verdict(reply).with("done", true).with("rewound", reply.fields.is_set("rewound"));
    for key in ["seconds", "bytes"] {
        let number = reply.field(key).and_then(|text| text.trim().parse::<u64>().ok());
        if let Some(number) = number {
            outcome = outcome.with(key, number);
        }
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Status;
    use crate::shell::Fields;

    fn reply(fields: &[(&str, &str)]) -> Reply {
        let field = |(key, value): &(&str, &str)| ((*key).to_owned(), value.as_bytes().to_vec());
        Reply { fields: Fields(fields.iter().map(field).collect()), ..Reply::default() }
    }

    #[test]
    fn rewind_that_cannot_be_done_is_told_or_fails_as_asked() {
        let no =
            [("changed", "1"), ("impossible", "pg_rewind: could not find previous WAL record")];
        let told = outcome(&reply(&no), false);
        assert_eq!((told.status, &told.data["done"]), (Status::Changed, &false.into()));
        let failed = outcome(&reply(&no), true);
        assert_eq!(
            failed.message(),
            Some(
                "it cannot be rewound: pg_rewind: could not find previous WAL record. Let it be copied anew: -e pg_rejoin_by=clone."
            )
        );
    }

    #[test]
    fn rewind_tells_bytes_and_seconds() {
        let told = outcome(
            &reply(&[("changed", "1"), ("rewound", "1"), ("bytes", "1024"), ("seconds", "2")]),
            true,
        );
        assert_eq!((&told.data["done"], &told.data["bytes"]), (&true.into(), &1024.into()));
    }
}
