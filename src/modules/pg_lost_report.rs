//! `pg_lost_report`: what only an old primary held, as a report for people, kept beside the data it is about.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use crate::modules::action::{Finished, OneTrip, VERBS, verdict};
use crate::modules::pg_node::{Settings, root_arg};
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};
use crate::outcome::Outcome;
use crate::postgres::lsn::{Lsn, bytes_for_people};
use crate::shell::Script;

/// See the file's head.
pub(super) struct PgLostReport;

static DOC: Doc = Doc {
    name: "pg_lost_report",
    summary: "Writes what only a node held as lost.txt and lost.json beside the data that was kept, and returns its lines.",
    description: "From what `pg_lost` found and the names that `pg_relations` gave. What could not be read stands in it as such.",
    args: &[
        arg(
            "held",
            ArgKind::Raw,
            "What `pg_lost` returned. Left out: the report of this rejoin as it stands on the host is read.",
        ),
        arg("names", ArgKind::Raw, "What `pg_relations` returned."),
        ArgDoc {
            default: "false",
            ..arg(
                "ended",
                ArgKind::Bool,
                "Whether this rejoin has ended: the next one begins a folder of its own.",
            )
        },
        root_arg(),
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Visible,
    returns: &[
        ("lines", "The report."),
        ("tables", "By table: name, inserted, updated, deleted."),
        ("report", "Where it is on the host."),
    ],
    examples: "- name: Report\n  pg_lost_report:\n    held: \"{{ pg_held }}\"\n    names: \"{{ hostvars[pg_plan.primary].pg_names }}\"\n",
};

const WRITE: &str = r#"[ -d "$to" ] || give_up "there is no folder $to"
for name in txt json; do
  case $name in txt) text=$lines ;; json) text=$whole ;; esac
  if [ ! -e "$to/lost.$name" ] || [ "$(cat "$to/lost.$name")" != "$text" ]; then
    reply changed 1
    [ -n "$check" ] || { printf '%s\n' "$text" >"$to/lost.$name.new" && mv -f "$to/lost.$name.new" "$to/lost.$name" || give_up "cannot write $to/lost.$name"; }
  fi
done
"#;

const READ: &str = r#"note=$root/rejoin.aside
[ -s "$note" ] || exit 0
to=$(cat "$note")
if [ -s "$to/lost.txt" ]; then reply report "$to/lost.txt"; reply lines "$(cat "$to/lost.txt")"; fi
[ -n "$ended" ] || exit 0
reply changed 1
[ -n "$check" ] || rm -f "$note"
"#;

impl Module for PgLostReport {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let Some(held) = args.json("held")? else {
            let script = Script::new(VERBS)
                .then(READ)
                .var("root", Settings::new(args, cx)?.text("root")?)
                .flag("ended", args.boolean("ended", false)?);
            return Ok(Box::new(OneTrip::new(Reach::Visible, script, |reply| {
                let text = reply.field("lines").unwrap_or_default();
                let lines: Vec<&str> = text.lines().collect();
                verdict(reply).with("lines", json!(lines)).with("report", reply.field("report"))
            })));
        };
        if held["held"] != Json::Bool(true) {
            return Ok(Finished::boxed(Outcome::ok().with("lines", json!([]))));
        }
        let names = args.json("names")?.unwrap_or_default();
        let tables = tables(&held, &names);
        let lines = lines(cx.host, &held, &tables);
        let to = held["aside"].as_str().unwrap_or_default().to_owned();
        let whole = json!({"node": cx.host, "held": held, "tables": tables});
        let script = Script::new(VERBS)
            .then(WRITE)
            .var("to", &to)
            .var("lines", lines.join("\n"))
            .var("whole", serde_json::to_string_pretty(&whole).unwrap_or_default());
        Ok(Box::new(OneTrip::new(Reach::Visible, script, move |reply| {
            verdict(reply)
                .with("lines", json!(lines))
                .with("tables", json!(tables))
                .with("report", format!("{to}/lost.txt"))
        })))
    }
}

/// Returns the tables with names: those of users first, each with its counts.
fn tables(held: &Json, names: &Json) -> Vec<Json> {
    let mut tables = Vec::new();
    for table in held["tables"].as_array().into_iter().flatten() {
        let file = table["file"].as_str().unwrap_or_default();
        let (_, place) = file.split_once('/').unwrap_or_default();
        let (database, number) = place.split_once('/').unwrap_or_default();
        let fresh = table["fresh"] == Json::Bool(true);
        // A number that was given to a new file here may belong to another table there.
        let name = names["names"][place].as_str().filter(|_| !fresh);
        let known = names["databases"][database].as_str().unwrap_or(database);
        let low = number.parse::<u32>().is_ok_and(|number| number < 16_384);
        let catalogue = low
            || name.is_some_and(|name| {
                name.contains(".pg_catalog.") || name.contains(".information_schema.")
            });
        let shown = match name {
            Some(name) => name.to_owned(),
            None if fresh => {
                format!("file {number} of {known}, which was made there: it has no name elsewhere")
            }
            None => format!("file {number} of {known}, which the primary does not know"),
        };
        tables.push(json!({
            "name": shown, "known": name.is_some(), "catalogue": catalogue, "file": file,
            "inserted": table["inserted"], "updated": table["updated"], "deleted": table["deleted"],
        }));
    }
    tables.sort_by_key(|table| {
        (table["catalogue"] == Json::Bool(true), table["name"].as_str().map(str::to_owned))
    });
    tables
}

fn lines(node: &str, held: &Json, tables: &[Json]) -> Vec<String> {
    let text = |key: &str| held[key].as_str().filter(|text| !text.is_empty());
    let number = |key: &str| held[key].as_u64().unwrap_or(0);
    let mut lines = Vec::new();
    if let Some(why) = text("why") {
        lines.push(format!(
            "what only {node} held could not be listed: {why}. It may have held commits that are nowhere else"
        ));
    } else {
        let (from, to) = (text("from").unwrap_or("?"), text("to").unwrap_or("?"));
        let position = |text: &str| text.parse::<Lsn>().unwrap_or_default();
        let bytes = bytes_for_people(position(to).ahead_of(position(from)));
        let mut first = format!("only {node} held WAL from {from} to {to} ({bytes}): ");
        match number("transactions") {
            0 => first.push_str("no transaction that changed a table"),
            count => {
                let plural = if count == 1 { "" } else { "s" };
                let _ = write!(first, "{count} transaction{plural} that changed tables");
                if let (Some(start), Some(end)) = (text("first_commit"), text("last_commit")) {
                    let _ = write!(first, ", committed from {start} to {end}");
                }
            }
        }
        lines.push(first);
        lines.push(format!(
            "beside them {} that changed catalogues only, {} rolled back, {} not ended",
            number("quiet"),
            number("aborted"),
            number("unfinished")
        ));
        if let Some(incomplete) = text("incomplete") {
            lines.push(format!("this list is not whole: {incomplete}"));
        }
    }
    let mut catalogues = 0;
    for table in tables {
        if table["catalogue"] == Json::Bool(true) {
            catalogues += 1;
            continue;
        }
        let mut counts = Vec::new();
        for what in ["inserted", "updated", "deleted"] {
            match table[what].as_u64() {
                None | Some(0) => {}
                Some(rows) => counts.push(format!("{rows} {what}")),
            }
        }
        if !counts.is_empty() {
            let name = table["name"].as_str().unwrap_or_default();
            lines.push(format!("rows of {name}: {}", counts.join(", ")));
        }
    }
    if catalogues > 0 {
        lines.push(format!("catalogues touched: {catalogues}"));
    }
    let mut kept = Vec::new();
    if let Some(count) = held["wal_kept"].as_u64().filter(|count| *count > 0) {
        let plural = if count == 1 { "" } else { "s" };
        kept.push(format!("its WAL ({count} segment{plural})"));
    }
    if text("whole_kept").is_some() {
        kept.push("its data directory".to_owned());
    }
    let aside = text("aside").unwrap_or_default();
    if kept.is_empty() {
        lines.push(format!("this report is in {aside} on {node}"));
    } else {
        lines.push(format!("kept in {aside} on {node}: {}, this report", kept.join(", ")));
    }
    if let Some(why) = text("not_whole") {
        lines.push(format!("not copied there: {why}"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held() -> Json {
        json!({
            "held": true, "readable": true, "why": null, "from": "0/3042CF0", "to": "0/30B9408", "transactions": 4, "quiet": 13,
            "aborted": 2, "unfinished": 0, "first_commit": "2026-11-23 01:13:29.304835 UTC",
            "last_commit": "2026-11-23 01:13:29.358984 UTC", "aside": "/srv/matron/ward/aside/x", "wal_kept": 1,
            "whole_kept": null, "not_whole": "its data directory takes 20000 MB beside 1 MB in x; allowed are 10240 MB",
            "tables": [
                {"file": "1663/16384/1259", "inserted": 1, "updated": 0, "deleted": 0, "fresh": false},
                {"file": "1663/16384/16386", "inserted": 32, "updated": 5, "deleted": 1, "fresh": false},
                {"file": "1663/16384/16400", "inserted": 1, "updated": 0, "deleted": 0, "fresh": true},
                {"file": "1663/16384/16500", "inserted": 0, "updated": 2, "deleted": 0, "fresh": false},
            ],
        })
    }

    #[test]
    fn report_names_tables_counts_times_and_what_has_no_name() {
        let names = json!({
            "names": {"16384/16386": "pacsdb.public.study", "16384/16400": "pacsdb.public.other", "16384/1259": "pacsdb.pg_catalog.pg_class"},
            "databases": {"16384": "pacsdb"},
        });
        let held = held();
        assert_eq!(
            lines("db1", &held, &tables(&held, &names)),
            [
                "only db1 held WAL from 0/3042CF0 to 0/30B9408 (473.7 kB): 4 transactions that changed tables, committed from \
                 2026-11-23 01:13:29.304835 UTC to 2026-11-23 01:13:29.358984 UTC",
                "beside them 13 that changed catalogues only, 2 rolled back, 0 not ended",
                "rows of file 16400 of pacsdb, which was made there: it has no name elsewhere: 1 inserted",
                "rows of file 16500 of pacsdb, which the primary does not know: 2 updated",
                "rows of pacsdb.public.study: 32 inserted, 5 updated, 1 deleted",
                "catalogues touched: 1",
                "kept in /srv/matron/ward/aside/x on db1: its WAL (1 segment), this report",
                "not copied there: its data directory takes 20000 MB beside 1 MB in x; allowed are 10240 MB",
            ]
        );
    }

    #[test]
    fn what_could_not_be_read_is_said() {
        let held = json!({"held": true, "readable": false, "why": "the image has no pg_waldump", "aside": "/a", "tables": []});
        assert_eq!(
            lines("db1", &held, &[]),
            [
                "what only db1 held could not be listed: the image has no pg_waldump. It may have held commits that are nowhere else",
                "this report is in /a on db1",
            ]
        );
    }
}
