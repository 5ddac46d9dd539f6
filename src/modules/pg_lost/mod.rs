//! `pg_lost`: what only a stopped node holds, read from its WAL and kept aside before anything touches it.
//!
//! Lives here: the module, `keep.sh` (what runs on the host) and `read.awk` (counts what `pg_waldump` prints). Does not: names of
//! tables (`pg_relations`, on the primary), or the report for people (`pg_lost_report`).

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::modules::action::{OneTrip, VERBS, verdict};
use crate::modules::pg_node::{
    CONTROL, NODE, PLACES, REWIND, Settings, container_arg, data_arg, image_arg, major_arg,
    owner_arg, places_arg, root_arg,
};
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};
use crate::outcome::Outcome;
use crate::postgres::lsn::Lsn;
use crate::shell::{Reply, Script};

/// See the file's head.
pub(super) struct PgLost;

static DOC: Doc = Doc {
    name: "pg_lost",
    summary: "Lists what only a stopped node holds, by pg_waldump in a one-off container, and keeps its WAL aside.",
    description: "It reads the stretches of WAL that `pg_decide` found to be in no other node: transactions with their times, and rows inserted, updated and \
deleted by committed ones, a table each by its file. The list, those segments of WAL, configuration and the container's last log go into a folder of `aside/`; \
with `whole`, the data directory too where it fits. What cannot be read is said, and why. Run again, it goes on with the same folder until \
`pg_lost_report` has ended it.",
    args: &[
        arg(
            "stretches",
            ArgKind::Raw,
            "What only this node has: timeline, from and to of each stretch (`pg_plan.forks[host].stretches`).",
        ),
        ArgDoc {
            default: "true",
            ..arg("keep", ArgKind::Bool, "Whether WAL and configuration are kept.")
        },
        ArgDoc {
            default: "false",
            ..arg(
                "whole",
                ArgKind::Bool,
                "Whether the data directory is copied aside as a whole where it fits.",
            )
        },
        arg(
            "budget_mb",
            ArgKind::Int,
            "MB that `aside/` may take. Left out: pg_aside_budget_mb; without it, 10240 for a copy of the whole and no limit for WAL.",
        ),
        ArgDoc { default: "86400", ..arg("timeout", ArgKind::Int, "Seconds it may take.") },
        container_arg(),
        data_arg(),
        root_arg(),
        owner_arg(),
        image_arg(),
        major_arg(),
        places_arg(),
        arg("programs", ArgKind::Dict, "Programs of the image. Left out: what `pg_image` found."),
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Visible,
    returns: &[
        ("held", "Whether there was anything to look at."),
        ("readable", "Whether its WAL could be read."),
        ("why", "Why it could not."),
        (
            "incomplete",
            "What of it could not be read, when its WAL ends before its own latest checkpoint.",
        ),
        ("from", "First position that only it holds."),
        ("to", "Last record that it holds."),
        ("transactions", "Committed transactions that changed tables."),
        (
            "quiet",
            "Committed transactions that changed catalogues only, or nothing: vacuum, analyze, DDL.",
        ),
        ("aborted", "Transactions that were rolled back."),
        ("unfinished", "Transactions that had not ended."),
        ("first_commit", "When the first of them was committed (UTC)."),
        ("last_commit", "When the last of them was committed (UTC)."),
        (
            "commits",
            "The first 50 of them: xid, lsn, rows, time. All are in listing.tsv in the folder.",
        ),
        ("tables", "By file: inserted, updated, deleted, and whether the file was made there."),
        ("files", "The files, for `pg_relations`."),
        ("aside", "The folder."),
        ("wal_kept", "Segments of WAL that were kept."),
        ("whole_kept", "Where the data directory was copied to."),
        ("not_whole", "Why it was not."),
    ],
    examples: "- name: What only this node holds\n  pg_lost:\n    stretches: \"{{ pg_plan.forks[inventory_hostname].stretches }}\"\n  register: pg_held\n",
};

impl Module for PgLost {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let stretches = stretches(&args.json("stretches")?.unwrap_or_default())?;
        let seconds = args.integer("timeout")?.and_then(|seconds| u64::try_from(seconds).ok());
        let keep = args.boolean("keep", true)?;
        let whole = args.boolean("whole", false)? && keep;
        let settings = Settings::new(args, cx)?;
        let budget = match args.integer("budget_mb")? {
            Some(megabytes) => Some(megabytes.to_string()),
            None => settings.maybe("aside_budget_mb").filter(|text| !text.is_empty()),
        };
        let dialect = settings.dialect()?;
        let program = dialect.wal_reader;
        let programs = settings.json("programs")?.unwrap_or_default();
        let program = if programs.get(program).is_some() { program } else { "" };
        let script = Script::new(VERBS)
            .then(NODE)
            .then(CONTROL)
            .then(REWIND)
            .then(PLACES)
            .then(include_str!("keep.sh"))
            .var("container", settings.text("container")?)
            .var("superuser", "")
            .var("data", settings.text("data")?)
            .var("root", settings.text("root")?)
            .var("owner", settings.text("owner")?)
            .var("image", settings.text("image")?)
            .var("wal_directory", dialect.wal.directory)
            .var("program", program)
            .var("places", settings.places()?)
            .var("awk", include_str!("read.awk"))
            .var("stretches", stretches)
            .var_or_empty("budget", budget)
            .flag("keep", keep)
            .flag("whole", whole)
            .within(Duration::from_secs(seconds.unwrap_or(86_400)));
        Ok(Box::new(OneTrip::new(Reach::Visible, script, outcome).long()))
    }
}

/// Returns the stretches as lines for the script: timeline, from, and to where it has one.
fn stretches(given: &Json) -> Result<String, ArgError> {
    let mut lines = String::new();
    for stretch in given.as_array().into_iter().flatten() {
        let position = |key: &str| {
            let text = stretch[key].as_str().unwrap_or_default();
            if text.is_empty() {
                return Ok(None);
            }
            let lsn = text.parse::<Lsn>().map_err(|error| ArgError::new(error.to_string()))?;
            Ok::<_, ArgError>(Some(lsn))
        };
        let (Some(timeline), Some(from)) = (stretch["timeline"].as_u64(), position("from")?) else {
            return Err(ArgError::new("a stretch of WAL needs a timeline and from"));
        };
        let to = position("to")?.map(|to| format!(" {to}")).unwrap_or_default();
        let _ = writeln!(lines, "{timeline} {from}{to}");
    }
    Ok(lines)
}

fn outcome(reply: &Reply) -> Outcome {
    let mut outcome = verdict(reply);
    if reply.fields.is_set("nothing") {
        return outcome.with("held", false);
    }
    outcome = outcome.with("held", true);
    for key in ["aside", "whole_kept", "not_whole"] {
        outcome = outcome.with(key, reply.field(key));
    }
    let kept = reply.field("wal_kept").and_then(|count| count.trim().parse::<u64>().ok());
    outcome = outcome.with("wal_kept", kept);
    let listing = reply.field("listing").unwrap_or_default();
    let checkpoint = reply.field("checkpoint").and_then(|text| text.trim().parse().ok());
    let mut read = Listing::read(&listing, checkpoint);
    let commits = reply.field("first").unwrap_or_default();
    read.commits = commits.lines().filter_map(Commit::read).collect();
    read.last = reply.field("last").as_deref().and_then(Commit::read);
    if let Json::Object(map) = read.told() {
        outcome.data.extend(map);
    }
    outcome
}

/// A committed transaction.
#[derive(Debug)]
struct Commit {
    xid: u64,
    lsn: String,
    rows: u64,
    time: String,
}

impl Commit {
    fn read(line: &str) -> Option<Self> {
        let mut parts = line.split('\t');
        let ("tx", xid, lsn, rows) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?)
        else {
            return None;
        };
        let time = parts.next().unwrap_or_default().to_owned();
        let (xid, rows) = (xid.parse().ok()?, rows.parse().ok()?);
        Some(Self { xid, lsn: lsn.parse::<Lsn>().ok()?.to_string(), rows, time })
    }

    fn told(&self) -> Json {
        json!({"xid": self.xid, "lsn": self.lsn, "rows": self.rows, "time": self.time})
    }
}

/// What `read.awk` found.
#[derive(Debug, Default)]
struct Listing {
    why: Option<String>,
    incomplete: Option<String>,
    from: Option<Lsn>,
    to: Option<Lsn>,
    records: u64,
    sums: [u64; 4],
    tables: Vec<Json>,
    commits: Vec<Commit>,
    last: Option<Commit>,
}

impl Listing {
    /// Reads the lines that are not about single transactions. `checkpoint` is the node's latest: its WAL reaches that far.
    fn read(text: &str, checkpoint: Option<Lsn>) -> Self {
        let mut listing = Self::default();
        let mut ended = String::new();
        for line in text.lines() {
            let parts: Vec<&str> = line.split('\t').collect();
            let number = |at: usize| parts.get(at).and_then(|text| text.parse().ok()).unwrap_or(0);
            match parts.as_slice() {
                ["unreadable", why, ..] => listing.why = Some((*why).to_owned()),
                ["stretch", _, from, rest @ ..] => {
                    listing.from = listing.from.or_else(|| from.parse().ok());
                    rest.first().copied().unwrap_or_default().clone_into(&mut ended);
                }
                ["range", _, last, ..] => {
                    listing.to = last.parse().ok();
                    listing.records = number(3);
                }
                ["sum", ..] => listing.sums = [number(1), number(2), number(3), number(4)],
                ["rel", file, _, _, _, fresh] => listing.tables.push(json!({
                    "file": file, "inserted": number(2), "updated": number(3), "deleted": number(4), "fresh": *fresh == "1",
                })),
                _ => {}
            }
        }
        listing.tables.sort_by(|a, b| a["file"].as_str().cmp(&b["file"].as_str()));
        if listing.why.is_some() {
            return listing;
        }
        // Every WAL ends with a record that is none. One that ends before the node's own checkpoint was not read to its end.
        let reached = listing.to.or(listing.from);
        match (checkpoint, reached) {
            (Some(checkpoint), Some(reached)) if checkpoint > reached => {
                let text = format!(
                    "it was read to {reached}, and goes on to {checkpoint} at least: {ended}"
                );
                if listing.records == 0 {
                    listing.why = Some(text);
                } else {
                    listing.incomplete = Some(text);
                }
            }
            (_, None) => listing.why = Some(format!("nothing of it could be read: {ended}")),
            (Some(_) | None, Some(_)) => {}
        }
        listing
    }

    fn told(&self) -> Json {
        let [transactions, quiet, aborted, unfinished] = self.sums;
        let files: Vec<&Json> = self.tables.iter().map(|table| &table["file"]).collect();
        json!({
            "readable": self.why.is_none(),
            "why": self.why,
            "incomplete": self.incomplete,
            "from": self.from,
            "to": self.to.or(self.from),
            "records": self.records,
            "transactions": transactions,
            "quiet": quiet,
            "aborted": aborted,
            "unfinished": unfinished,
            "first_commit": self.commits.first().map(|commit| commit.time.clone()),
            "last_commit": self.last.as_ref().map(|commit| commit.time.clone()),
            "commits": self.commits.iter().map(Commit::told).collect::<Vec<_>>(),
            "tables": self.tables,
            "files": files,
        })
    }
}

#[cfg(test)]
mod tests;
