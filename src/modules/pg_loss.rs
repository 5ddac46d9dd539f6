//! `pg_loss`: counts what only a stopped former primary holds: its WAL after what the best standby has received.

use std::time::Duration;

use serde_json::Value as Json;

use crate::modules::action::{Finished, OneTrip, VERBS, verdict};
use crate::modules::pg_decide::registered;
use crate::modules::pg_node::{PIDS, Settings, data_arg, image_arg, nodes_arg, owner_arg};
use crate::modules::pg_observe::from_registered;
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};
use crate::outcome::Outcome;
use crate::postgres::lsn::Lsn;
use crate::postgres::observation::{Observation, Role, Unreceived};
use crate::shell::{Reply, Script};

/// See the file's head.
pub(super) struct PgLoss;

static DOC: Doc = Doc {
    name: "pg_loss",
    summary: "Counts the commits that only a stopped former primary holds, by pg_waldump in a one-off container.",
    description: "It reads the WAL of a stopped primary from what the best standby has received on; nothing is changed, and nothing is done on other nodes. \
`pg_decide` reads what is registered as `pg_lost`. Where the WAL cannot be read up to that position, it says nothing rather than zero.",
    args: &[
        arg(
            "observations",
            ArgKind::Dict,
            "What was observed, by host. Left out: `pg_node` of each host of the cluster.",
        ),
        nodes_arg(),
        data_arg(),
        owner_arg(),
        image_arg(),
        ArgDoc { default: "300", ..arg("timeout", ArgKind::Int, "Seconds it may take.") },
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Visible,
    returns: &[(
        "unreceived",
        "from, to, commits, first, last, seconds; missing when it is not known.",
    )],
    examples: "- name: What only the old primary holds\n  pg_loss:\n  register: pg_lost\n",
};

/// Up to 9.6 the tool and the folder have other names. Reading begins before the position, so that arriving there is seen.
const COUNT: &str = r#"within "$timeout" docker run --rm --network none --user "$owner" -e LC_ALL=C -e TZ=UTC \
  --mount "type=bind,src=$data,dst=/pgdata,readonly" --entrypoint sh "$image" -c '
    tool=pg_waldump; command -v pg_waldump >/dev/null 2>&1 || tool=pg_xlogdump
    wal=/pgdata/pg_wal; [ -d "$wal" ] || wal=/pgdata/pg_xlog
    "$tool" -p "$wal" -t "$1" -s "$2" 2>/dev/null || true' sh "$timeline" "$start" 2>/dev/null </dev/null |
  awk '/^rmgr: / {
    at = ""; size = 0; line = $0
    if (match(line, /lsn: [0-9A-F]+\/[0-9A-F]+/)) at = substr(line, RSTART + 5, RLENGTH - 5)
    if (match(line, /len \(rec\/tot\): *[0-9]+\/ *[0-9]+/)) { size = substr(line, RSTART, RLENGTH); sub(/.*\/ */, "", size) }
    when = ""
    if (line ~ /^rmgr: Transaction/ && match(line, /desc: COMMIT(_PREPARED)? [^;]*[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9] [0-9:.]+/)) {
      when = substr(line, RSTART, RLENGTH); sub(/.*[^0-9]?([0-9][0-9][0-9][0-9]-)/, "&", when)
      n = split(when, words, " "); when = words[n - 1] "T" words[n]
    }
    print at, size, when
  }' | tail -n 200000 >"$list"
reply records "$(cat "$list")"
rm -f "$list"
"#;

/// Reading begins this much before the position: within one piece of WAL at the least size there is.
const BEFORE: u64 = 1 << 20;

impl Module for PgLoss {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let settings = Settings::new(args, cx)?;
        let given = args.json("observations")?;
        let nodes = settings.json("nodes")?.unwrap_or_default();
        let seen: Vec<(String, Observation)> = nodes
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|node| node["name"].as_str())
            .filter_map(|name| {
                let known = match &given {
                    Some(all) => all[name].clone(),
                    None => registered(cx, name),
                };
                Some((name.to_owned(), from_registered(&known).ok()?))
            })
            .collect();
        let Some((timeline, from)) = question(&seen, cx.host) else {
            return Ok(Finished::boxed(Outcome::ok()));
        };
        let timeout = args.integer("timeout")?.unwrap_or(300).clamp(1, 86_400).unsigned_abs();
        let start = Lsn(from.0 / BEFORE * BEFORE);
        let script = Script::new(VERBS)
            .then(PIDS)
            .then("list=$(mktemp) || give_up \"cannot make a temporary file\"\n")
            .then(COUNT)
            .var("data", settings.text("data")?)
            .var("owner", settings.text("owner")?)
            .var("image", settings.text("image")?)
            .var("timeline", timeline.to_string())
            .var("start", start.to_string())
            .var("timeout", timeout.to_string())
            .within(Duration::from_secs(timeout + 60));
        Ok(Box::new(OneTrip::new(Reach::Visible, script, move |reply| told(reply, from))))
    }
}

/// Returns from where on, and on which timeline, this host's WAL is worth reading: it is a stopped former primary, and a standby runs.
fn question(seen: &[(String, Observation)], host: &str) -> Option<(u32, Lsn)> {
    let (_, own) = seen.iter().find(|(name, _)| name == host)?;
    let control = own.control.as_ref().filter(|_| own.role == Role::Stopped)?;
    if own.standby_configured && own.fenced.is_none() {
        return None;
    }
    let standbys = seen.iter().filter(|(_, other)| other.role == Role::Standby);
    let best = standbys.filter_map(|(_, other)| Some((other.timeline?, other.lsn?))).max()?;
    (best.0 == control.timeline).then_some((control.timeline.0, best.1))
}

fn told(reply: &Reply, from: Lsn) -> Outcome {
    let outcome = verdict(reply);
    let records = reply.field("records").unwrap_or_default();
    match count(&records, from) {
        Some(found) => {
            outcome.with("unreceived", serde_json::to_value(found).unwrap_or(Json::Null))
        }
        None => outcome,
    }
}

/// Counts lines of position, length and time of commit. `None` unless reading arrived at `from`.
fn count(records: &str, from: Lsn) -> Option<Unreceived> {
    let mut found = Unreceived { from, to: Lsn(0), ..Unreceived::default() };
    for line in records.lines() {
        let mut words = line.split_whitespace();
        let Some(at) = words.next().and_then(|word| word.parse::<Lsn>().ok()) else { continue };
        let size = words.next().and_then(|word| word.parse::<u64>().ok()).unwrap_or_default();
        // A record begins on an eighth byte, and may run over the head of a page.
        let pages = size / 8192 + 1;
        found.to = Lsn(at.0 + size.next_multiple_of(8) + pages * 40);
        let Some(when) = words.next() else { continue };
        if at >= from {
            found.commits += 1;
            found.first.get_or_insert_with(|| when.to_owned());
            found.last = Some(when.to_owned());
        }
    }
    if found.to < from {
        return None;
    }
    found.seconds = match (found.first.as_deref(), found.last.as_deref()) {
        (Some(first), Some(last)) => Some(seconds(last)?.saturating_sub(seconds(first)?)),
        _ => None,
    };
    Some(found)
}

/// Returns `YYYY-MM-DDTHH:MM:SS…` as seconds, days counted as in months of 31: for differences within a day or two.
fn seconds(time: &str) -> Option<u64> {
    let mut parts = time.split(['-', 'T', ':', '.']).map(|part| part.parse::<u64>().ok());
    let mut next = || parts.next().flatten();
    let (year, month, day) = (next()?, next()?, next()?);
    let (hour, minute, second) = (next()?, next()?, next()?);
    Some((((year * 12 + month) * 31 + day) * 24 + hour) * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As awk makes it of pg_waldump 17.
    const RECORDS: &str = "0/3000028 114 \n0/30000A0 34 2026-11-23T01:02:03.100000\n0/30000D0 34 2026-11-23T01:02:04.100000\n0/3000100 34 2026-11-23T01:02:09.000000\n";

    #[test]
    fn commits_after_the_position_are_counted_with_their_time() {
        let found = count(RECORDS, Lsn(0x300_00D0)).unwrap();
        assert_eq!((found.commits, found.seconds), (2, Some(5)));
        assert_eq!(found.first.as_deref(), Some("2026-11-23T01:02:04.100000"));
        assert_eq!(count(RECORDS, Lsn(0x300_0128)).unwrap().commits, 0);
    }

    #[test]
    fn wal_that_cannot_be_read_so_far_says_nothing() {
        assert_eq!(count(RECORDS, Lsn(0x400_0000)), None);
        assert_eq!(count("", Lsn(1)), None);
    }

    #[test]
    fn only_a_stopped_former_primary_is_read() {
        let standby = Observation {
            role: Role::Standby,
            timeline: Some(crate::postgres::timeline::TimelineId(1)),
            lsn: Some(Lsn(9)),
            ..Observation::default()
        };
        let seen = vec![("db1".to_owned(), Observation::default()), ("db2".to_owned(), standby)];
        assert_eq!(question(&seen, "db1"), None);
        assert_eq!(question(&seen, "db2"), None);
    }
}
