//! `pg_clone`: a base backup of another node into a new directory beside, moved into place when it is whole.

use std::time::Duration;

use crate::modules::action::{OneTrip, VERBS, verdict};
use crate::modules::pg_node::{
    CONTROL, NODE, PLACES, Settings, container_arg, data_arg, etc_arg, image_arg, major_arg,
    owner_arg, places_arg, root_arg,
};
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};
use crate::postgres::copy::Rate;
use crate::shell::Script;

/// See the file's head.
pub(super) struct PgClone;

static DOC: Doc = Doc {
    name: "pg_clone",
    summary: "Copies another node's data with pg_basebackup in a one-off container of the same image.",
    description: "WAL is streamed beside the copy through the node's own slot, so nothing the copy needs can be removed meanwhile. It goes into a directory \
beside, is verified against its manifest (13 and later), and is renamed when it is whole. The copying goes on when matron is killed or the host cannot be reached any more: the \
next run waits for the same copy, or begins it anew when it ended badly or would now be made otherwise. Interrupting a run stops it. Tablespaces and a WAL directory go to \
their places on this host; a tablespace without one is refused. A directory that holds data is never touched.",
    args: &[
        ArgDoc { required: true, ..arg("host", ArgKind::Str, "Address to copy from.") },
        ArgDoc { default: "5432", ..arg("port", ArgKind::Int, "Port to copy from.") },
        arg("user", ArgKind::Str, "Replication role. Left out: what `pg_require` found."),
        arg(
            "slot",
            ArgKind::Str,
            "This node's slot there; empty: none. Left out: what `pg_require` found.",
        ),
        arg("rate", ArgKind::Str, "Limit as pg_basebackup takes it: 32k to 1024M a second."),
        arg(
            "system_identifier",
            ArgKind::Str,
            "The cluster it must be; anything else is thrown away again.",
        ),
        arg("need", ArgKind::Int, "Bytes the copy will take; refused when there is less room."),
        ArgDoc {
            default: "true",
            ..arg(
                "verify",
                ArgKind::Bool,
                "Whether the copy is read again and held against its manifest (`pg_clone_verify`).",
            )
        },
        places_arg(),
        ArgDoc { default: "86400", ..arg("timeout", ArgKind::Int, "Seconds it may take.") },
        container_arg(),
        data_arg(),
        root_arg(),
        etc_arg(),
        owner_arg(),
        image_arg(),
        major_arg(),
        arg("secrets", ArgKind::Path, "Folder of the passfile. Left out: what `pg_require` found."),
        arg(
            "below",
            ArgKind::Path,
            "Where in the volume the data directory is. Left out: what `pg_image` found.",
        ),
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Visible,
    returns: &[
        ("seconds", "How long this run waited for it."),
        ("bytes", "How much was copied."),
        ("verified", "Whether the copy was held against its manifest and is right."),
        ("verification", "The same in words, with the reason when it was not."),
        ("resumed", "Whether the copy was one that an earlier run had begun."),
    ],
    examples: "- name: Copy the primary\n  pg_clone:\n    host: \"{{ pg_plan.sources[inventory_hostname].address }}\"\n    port: \"{{ pg_plan.sources[inventory_hostname].port }}\"\n",
};

const CLONE: &str = include_str!("pg_clone.sh");

impl Module for PgClone {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let settings = Settings::new(args, cx)?;
        let port = args.integer("port")?.unwrap_or(5432);
        let user = match args.text("user")? {
            Some(user) => user,
            None => settings.text("replication_user")?,
        };
        let rate = match args.text("rate")? {
            Some(rate) => rate,
            None => settings.maybe("clone_rate").unwrap_or_default(),
        };
        let rate = if rate.is_empty() {
            None
        } else {
            Some(Rate::parse(&rate).map_err(|error| ArgError::new(error.to_string()))?)
        };
        let verify = match args.get("verify") {
            Some(_) => args.boolean("verify", true)?,
            None => {
                settings.maybe("clone_verify").is_none_or(|text| text.to_lowercase() != "false")
            }
        };
        let wal_path = settings.maybe("wal_path").unwrap_or_default();
        let slot = match args.text("slot")? {
            Some(slot) => slot,
            None => settings.text("slot")?,
        };
        let dialect = settings.dialect()?;
        let seconds = args.integer("timeout")?.and_then(|seconds| u64::try_from(seconds).ok());
        let need = args.integer("need")?.filter(|need| *need > 0).map(|need| need.to_string());
        let script = Script::new(VERBS)
            .then(NODE)
            .then(CONTROL)
            .then(PLACES)
            .then(CLONE)
            .var("container", settings.text("container")?)
            .var("root", settings.text("root")?)
            .var("etc", settings.text("etc")?)
            .var("below", settings.maybe("below").unwrap_or_default())
            .var("secrets", settings.text("secrets")?)
            .var("owner", settings.text("owner")?)
            .var("image", settings.text("image")?)
            .var("host", args.required("host")?)
            .var("port", port.to_string())
            .var("user", user)
            .var("slot", if dialect.basebackup_slot { slot } else { String::new() })
            .var("rate", rate.map(|rate| rate.to_string()).unwrap_or_default())
            .var("places", settings.places()?)
            .var("wal_path", wal_path)
            .var("wal_option", dialect.waldir_option)
            .flag("verify", verify)
            .flag("manifest", dialect.manifest)
            .var("verify_progress", if dialect.verify_progress { "--progress" } else { "" })
            .var("standby_file", dialect.standby_file.name())
            .var("system_identifier", args.text("system_identifier")?.unwrap_or_default())
            .var_or_empty("need", need)
            .var("superuser", "")
            .within(Duration::from_secs(seconds.unwrap_or(86_400)));
        Ok(Box::new(
            OneTrip::new(Reach::Visible, script, |reply| {
                let mut outcome = verdict(reply).with("resumed", reply.fields.is_set("resumed"));
                if let Some(text) = reply.field("verification") {
                    let verified = reply.field("verified").as_deref() == Some("yes");
                    outcome = outcome.with("verified", verified).with("verification", text);
                }
                for key in ["seconds", "bytes"] {
                    let number = reply.field(key).and_then(|text| text.trim().parse::<u64>().ok());
                    if let Some(number) = number {
                        outcome = outcome.with(key, number);
                    }
                }
                outcome
            })
            .long(),
        ))
    }
}
