//! `pg_observe`: everything that can be seen of a node on its host, running or not.
//!
//! Lives here: the module and its two questions: `ask.sh` (host, container, data directory) and the SQL that suits the
//! server's version. Does not: what it means for the cluster (`postgres::view`).

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Map, Value as Json};

use crate::modules::action::{VERBS, trouble, unexpected};
use crate::modules::pg_node::{
    CONTROL, NODE, Settings, container_arg, data_arg, etc_arg, image_arg, nodes_arg, owner_arg,
    root_arg, superuser_arg,
};
use crate::modules::{
    Action, ArgError, Args, CheckMode, Doc, Done, Mode, Module, Reach, Step, TaskContext,
};
use crate::outcome::Outcome;
use crate::postgres::conninfo::ConnInfo;
use crate::postgres::control::ControlData;
use crate::postgres::dialect::{Dialect, Receiver};
use crate::postgres::lsn::{Lsn, SEGMENT_BYTES};
use crate::postgres::observation::{
    Container, Debt, Follower, Observation, PeerAnswer, Rewindable, Role, Slot, Upstream,
};
use crate::postgres::timeline::TimelineId;
use crate::postgres::version::ServerVersion;
use crate::shell::{Reply, Script};

/// See the file's head.
pub(super) struct PgObserve;

static DOC: Doc = Doc {
    name: "pg_observe",
    summary: "Looks at a database node: role, timeline, WAL positions, replication, control file, container, marker, debts.",
    description: "Reads only. A running server is asked by SQL, a stopped one through its control file. `pg_decide` reads what is registered as `pg_node`.",
    args: &[
        container_arg(),
        superuser_arg(),
        data_arg(),
        root_arg(),
        etc_arg(),
        image_arg(),
        owner_arg(),
        nodes_arg(),
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Visible,
    returns: &[
        ("role", "primary, standby, starting, stopped, half_cloned, empty or foreign."),
        ("system_identifier", "Which cluster the data belongs to."),
        ("timeline", "The node's timeline."),
        ("lsn", "The furthest WAL position it is known to hold."),
        ("upstream", "Where its WAL comes from, and whether it does."),
        ("followers", "Rows of pg_stat_replication."),
        ("slots", "Physical replication slots."),
        ("control", "pg_controldata of a stopped node."),
        ("container", "State, image and restart policy of the container."),
        ("debts", "What this host remembers as owed."),
    ],
    examples: "- name: Look at the node\n  pg_observe:\n  register: pg_node\n",
};

#[derive(Debug)]
struct Look {
    container: String,
    superuser: String,
    data: String,
    root: String,
    etc: String,
    image: String,
    owner: String,
    peers: String,
    programs: Option<Vec<String>>,
    seen: Observation,
}

impl Module for PgObserve {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let settings = Settings::new(args, cx)?;
        let nodes = settings.json("nodes")?.unwrap_or_default();
        let mut peers = String::new();
        for node in nodes.as_array().into_iter().flatten() {
            let name = node["name"].as_str().unwrap_or_default();
            if name != cx.host {
                let address = node["address"].as_str().unwrap_or_default();
                let _ = writeln!(peers, "{name} {address} {}", node["port"]);
            }
        }
        Ok(Box::new(Look {
            container: settings.text("container")?,
            superuser: settings.text("superuser")?,
            data: settings.text("data")?,
            root: settings.text("root")?,
            etc: settings.text("etc")?,
            image: settings.text("image")?,
            owner: settings.text("owner")?,
            peers,
            programs: programs(&settings)?,
            seen: Observation::default(),
        }))
    }
}

impl Action for Look {
    fn begin(&mut self, _mode: Mode) -> Step {
        Step::Send(
            Script::new(VERBS)
                .then(NODE)
                .then(CONTROL)
                .then(include_str!("ask.sh"))
                .var("container", &self.container)
                .var("superuser", &self.superuser)
                .var("data", &self.data)
                .var("root", &self.root)
                .var("etc", &self.etc)
                .var("image", &self.image)
                .var("owner", &self.owner)
                .var("peers", &self.peers)
                .within(Duration::from_secs(90)),
        )
    }

    fn resume(&mut self, done: Done) -> Step {
        let Done::Reply(reply) = done else { return unexpected() };
        if let Some(trouble) = trouble(&reply) {
            return Step::Done(trouble);
        }
        if let Some(answer) = reply.field("answer") {
            let answer = serde_json::from_str(&answer);
            return Step::Done(match answer {
                Ok(answer) => {
                    add_answer(&mut self.seen, &answer);
                    outcome(&self.seen)
                }
                Err(error) => Outcome::failed(format!("the server's answer is not JSON: {error}")),
            });
        }
        self.seen = match from_host(&reply) {
            Ok(seen) => seen,
            Err(text) => return Step::Done(Outcome::failed(text)),
        };
        self.seen.rewind.programs.clone_from(&self.programs);
        let dialect =
            self.seen.version_num.map(|number| Dialect::of(ServerVersion(number).major()));
        match dialect {
            None => Step::Done(outcome(&self.seen)),
            Some(Err(error)) => Step::Done(Outcome::failed(error.to_string())),
            Some(Ok(dialect)) => Step::Send(
                Script::new(VERBS)
                    .then(NODE)
                    .then("pg_must \"$sql\"\nreply answer \"$pg_out\"")
                    .var("container", &self.container)
                    .var("superuser", &self.superuser)
                    .var("sql", question(dialect)),
            ),
        }
    }

    fn reach(&self) -> Reach {
        Reach::Visible
    }
}

fn outcome(seen: &Observation) -> Outcome {
    let mut outcome = Outcome::ok();
    if let Ok(Json::Object(map)) = serde_json::to_value(seen) {
        outcome.data = map;
    }
    outcome
}

/// Returns the programs that `pg_image` found in the image.
fn programs(settings: &Settings<'_, '_>) -> Result<Option<Vec<String>>, ArgError> {
    let found = settings.json("programs")?;
    Ok(found.as_ref().and_then(Json::as_object).map(|map| map.keys().cloned().collect()))
}

/// Reads the answer of `ask.sh`.
fn from_host(reply: &Reply) -> Result<Observation, String> {
    let fields = &reply.fields;
    let container = container(&reply.field("container").unwrap_or_default());
    // The last `control` is the fullest: the image's own `pg_controldata`, where there is one.
    let control = match reply.field("control").filter(|text| !text.is_empty()) {
        Some(text) => Some(ControlData::parse(&text).map_err(|error| error.to_string())?),
        None => None,
    };
    let running = container.state == "running";
    let role = if running {
        Role::Starting
    } else if fields.is_set("major") {
        Role::Stopped
    } else if fields.is_set("half") {
        Role::HalfCloned
    } else if fields.is_set("foreign") {
        Role::Foreign
    } else {
        Role::Empty
    };
    let number = |key: &str| reply.field(key).and_then(|text| text.trim().parse::<u64>().ok());
    let text = |key: &str| {
        reply.field(key).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    };
    let history_of =
        reply.field("history_name").and_then(|name| u32::from_str_radix(&name, 16).ok());
    // A promotion writes its history file before its first checkpoint. A standby may hold one of a timeline it is not on.
    let promoted = history_of.map(TimelineId).filter(|_| !fields.is_set("standby_file"));
    let timeline = control.as_ref().and_then(|control| Some(control.timeline).max(promoted));
    let mut upstream = Upstream::default();
    for line in fields.all("conninfo").filter(|line| !line.trim().is_empty()) {
        point_at(&mut upstream, &unquoted(&line));
    }
    let rewind = Rewindable {
        checksums: control.as_ref().and_then(|control| control.checksums),
        wal_log_hints: control.as_ref().and_then(|control| control.wal_log_hints),
        wal_from: reply.field("wal_first").and_then(|name| {
            let bytes = control.as_ref().and_then(|control| control.segment_bytes);
            Lsn::of_segment(&name, bytes.unwrap_or(SEGMENT_BYTES))
        }),
        interrupted: fields.is_set("half_rewound"),
        damaged: control.as_ref().is_some_and(|control| control.damaged),
        ..Rewindable::default()
    };
    let debts = fields.all("debt").filter_map(|text| serde_json::from_str::<Debt>(&text).ok());
    let peer = |node: String| PeerAnswer { node, answers: true };
    Ok(Observation {
        role,
        version_num: number("version_num").and_then(|number| u32::try_from(number).ok()),
        major: text("major"),
        system_identifier: control.as_ref().map(|control| control.system_identifier.clone()),
        marker: text("marker"),
        timeline,
        lsn: control.as_ref().map(|control| control.checkpoint),
        history: reply.field("history").filter(|_| history_of.is_some()).map(|text| {
            // Kept with its number until the node's timeline is known.
            format!("# {}\n{text}", history_of.unwrap_or_default())
        }),
        upstream,
        control: control.filter(|_| !running),
        standby_configured: fields.is_set("standby_file"),
        fenced: reply.field("fenced").map(|text| text.trim().to_owned()),
        container,
        debts: debts.collect(),
        peers: fields.all("answers").map(peer).collect(),
        disk_free: number("free").map(|kilobytes| kilobytes.saturating_mul(1024)),
        clock: number("clock"),
        rewind,
        guard: fields.is_set("guard"),
        trouble: if fields.is_set("docker_down") {
            Some("the Docker engine does not answer".to_owned())
        } else {
            text("trouble")
        },
        ..Observation::default()
    })
}

fn container(line: &str) -> Container {
    let mut parts = line.split('|').map(str::to_owned);
    let mut next = || parts.next().unwrap_or_default();
    Container {
        state: next(),
        image: next(),
        image_id: next(),
        restart_policy: next(),
        exit_code: next().parse().ok(),
    }
}

/// Takes the quotes off a setting's value as configuration files write it.
fn unquoted(line: &str) -> String {
    let Some(inner) = line.trim().strip_prefix('\'') else {
        return line.split('#').next().unwrap_or_default().trim().to_owned();
    };
    let mut out = String::new();
    let mut chars = inner.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' if chars.next_if_eq(&'\'').is_some() => out.push('\''),
            '\'' => break,
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out
}

fn point_at(upstream: &mut Upstream, conninfo: &str) {
    if let Ok(info) = ConnInfo::parse(conninfo) {
        upstream.host = info.get("host").map(str::to_owned);
        upstream.port = info.get("port").and_then(|port| port.parse().ok());
    }
}

/// Returns the one query that a running server is asked; its answer is one JSON object.
fn question(dialect: &Dialect) -> String {
    let word = dialect.wal.word;
    let position = dialect.wal.position;
    let walfile = if word == "wal" { "pg_walfile_name" } else { "pg_xlogfile_name" };
    let receiver = if dialect.receiver == Receiver::Absent {
        "null".to_owned()
    } else {
        "(select json_build_object('status', status, 'timeline', received_tli, 'conninfo', conninfo, \
         'silent', greatest(0, extract(epoch from clock_timestamp() - last_msg_receipt_time))::bigint) from pg_stat_wal_receiver limit 1)"
            .to_owned()
    };
    let recovery_timeline = if dialect.control_functions {
        "(select greatest(c.timeline_id, r.min_recovery_end_timeline) from pg_control_checkpoint() c, pg_control_recovery() r)"
    } else {
        "null"
    };
    let status = if dialect.slot_wal_status { "wal_status" } else { "null" };
    // Columns of pg_stat_replication: replay_lsn from 10 on, replay_location before.
    format!(
        "select json_build_object(
  'in_recovery', pg_is_in_recovery(),
  'timeline', case when pg_is_in_recovery() then {recovery_timeline}
    else ('x' || substr({walfile}(pg_current_{word}_{position}()), 1, 8))::bit(32)::int end,
  'lsn', ({furthest})::text,
  'replayed', pg_last_{word}_replay_{position}()::text,
  'delay_ms', greatest(0, (extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp()) * 1000)::bigint),
  'size', (select sum(pg_database_size(oid)) from pg_database),
  'synchronous', current_setting('synchronous_standby_names'),
  'checksums', current_setting('data_checksums'),
  'hints', current_setting('wal_log_hints'),
  'full_pages', current_setting('full_page_writes'),
  'receiver', {receiver},
  'followers', (select coalesce(json_agg(json_build_object('name', application_name, 'address', host(client_addr), 'state', state,
    'sync_state', sync_state, 'replayed', replay_{position}::text, 'flushed', flush_{position}::text)), '[]') from pg_stat_replication),
  'slots', (select coalesce(json_agg(json_build_object('name', slot_name, 'active', active, 'restart', restart_lsn::text,
    'wal_status', {status})), '[]') from pg_replication_slots where slot_type = 'physical')
)",
        furthest = dialect.furthest_position(),
    )
}

fn add_answer(seen: &mut Observation, answer: &Json) {
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    let lsn = |value: &Json| value.as_str().and_then(|text| text.parse().ok());
    let number = |value: &Json| value.as_u64();
    let timeline =
        |value: &Json| number(value).and_then(|number| u32::try_from(number).ok()).map(TimelineId);
    let standby = answer["in_recovery"].as_bool().unwrap_or(true);
    seen.role = if standby { Role::Standby } else { Role::Primary };
    seen.trouble = None;
    let receiver = &answer["receiver"];
    seen.timeline = timeline(&answer["timeline"]).max(seen.timeline.filter(|_| standby));
    if receiver.is_object() {
        seen.upstream.status = text(&receiver["status"]);
        seen.upstream.timeline = timeline(&receiver["timeline"]);
        seen.upstream.silent_seconds = number(&receiver["silent"]);
        if seen.upstream.is_streaming() {
            seen.timeline = seen.timeline.max(seen.upstream.timeline);
            point_at(&mut seen.upstream, &text(&receiver["conninfo"]));
        }
    }
    seen.lsn = lsn(&answer["lsn"]);
    if standby {
        seen.replayed = lsn(&answer["replayed"]);
        seen.replay_delay_ms = number(&answer["delay_ms"]);
    } else {
        seen.upstream = Upstream::default();
    }
    let mark = seen.timeline.map(|timeline| format!("# {timeline}\n"));
    seen.history = seen
        .history
        .take()
        .and_then(|history| history.strip_prefix(mark.as_deref()?).map(str::to_owned));
    seen.size = number(&answer["size"]);
    let switch = |value: &Json| value.as_str().map(|text| text == "on");
    seen.rewind.checksums = switch(&answer["checksums"]);
    seen.rewind.wal_log_hints = switch(&answer["hints"]);
    seen.rewind.full_page_writes = switch(&answer["full_pages"]);
    seen.synchronous = text(&answer["synchronous"]);
    let list = |value: &Json| value.as_array().cloned().unwrap_or_default();
    seen.followers = list(&answer["followers"])
        .iter()
        .map(|row| Follower {
            name: text(&row["name"]),
            address: text(&row["address"]),
            state: text(&row["state"]),
            sync_state: text(&row["sync_state"]),
            replayed: lsn(&row["replayed"]),
            flushed: lsn(&row["flushed"]),
        })
        .collect();
    seen.slots = list(&answer["slots"])
        .iter()
        .map(|row| Slot {
            name: text(&row["name"]),
            active: row["active"].as_bool().unwrap_or_default(),
            restart: lsn(&row["restart"]),
            wal_status: text(&row["wal_status"]),
        })
        .collect();
}

/// Returns an observation from what was registered, or why there is none.
pub(super) fn from_registered(value: &Json) -> Result<Observation, String> {
    let Some(map) = value.as_object() else { return Err("it was not asked".to_owned()) };
    let is = |key: &str| map.get(key).and_then(Json::as_bool).unwrap_or_default();
    let message = |map: &Map<String, Json>| {
        let text = map.get("msg").and_then(Json::as_str).unwrap_or("no reason given");
        text.lines().next().unwrap_or_default().trim_start_matches("Task failed: ").to_owned()
    };
    if is("unreachable") || is("failed") {
        return Err(message(map));
    }
    if is("skipped") || !map.contains_key("role") {
        return Err("it was not asked".to_owned());
    }
    serde_json::from_value(value.clone())
        .map_err(|error| format!("what was observed cannot be read: {error}"))
}

#[cfg(test)]
mod tests;
