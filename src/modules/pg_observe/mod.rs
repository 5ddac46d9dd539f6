//! `pg_observe`: everything that can be seen of a node on its host, running or not.
//!
//! Lives here: the module and its two questions: `ask.sh` (host, container, data directory) and the SQL that suits the
//! server's version. Does not: what it means for the cluster (`postgres::view`).

mod question;

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value as Json};

use crate::modules::action::{VERBS, trouble, unexpected};
use crate::modules::pg_node::{
    CONTROL, NODE, PIDS, PLACES, REWIND, Settings, container_arg, data_arg, etc_arg, image_arg,
    nodes_arg, owner_arg, places_arg, root_arg, superuser_arg,
};
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Done, Mode, Module, Reach, Step,
    TaskContext, arg,
};
use crate::outcome::Outcome;
use crate::postgres::conninfo::ConnInfo;
use crate::postgres::control::ControlData;
use crate::postgres::dialect::Dialect;
use crate::postgres::lsn::{Lsn, SEGMENT_BYTES};
use crate::postgres::observation::{
    Archiver, Container, Debt, Disk, GuardUnit, Image, Observation, PeerAnswer, Rewindable, Role,
    Skew, Upstream,
};
use crate::postgres::timeline::TimelineId;
use crate::postgres::version::{Major, ServerVersion};
use crate::shell::{Reply, Script};
use question::{add_answer, question};

/// See the file's head.
pub(super) struct PgObserve;

static DOC: Doc = Doc {
    name: "pg_observe",
    summary: "Looks at a database node: role, timeline, WAL positions, replication, control file, container, marker, debts.",
    description: "Reads only, in one round trip where the version is known before. A running server is asked by SQL, a stopped one through its \
control file. Nothing in it can hang: an engine or a server that does not answer is told as `trouble`. `pg_decide` reads what is registered as \
`pg_node`. Works without `pg_image` before it: data directory and version are then found on the host.",
    args: &[
        container_arg(),
        superuser_arg(),
        data_arg(),
        root_arg(),
        etc_arg(),
        image_arg(),
        owner_arg(),
        nodes_arg(),
        places_arg(),
        ArgDoc {
            default: "90",
            ..arg("timeout", ArgKind::Int, "Seconds after which the host is given up.")
        },
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
        ("written", "WAL written; also `received`, `flushed`, `replayed`, each where it applies."),
        ("version", "The server's full version."),
        ("upstream", "Where its WAL comes from, and whether it does."),
        ("followers", "Rows of pg_stat_replication."),
        ("slots", "Physical replication slots."),
        ("control", "pg_controldata of a stopped node."),
        (
            "container",
            "State, image (name, id, digests, C library), restart policy of the container.",
        ),
        ("wanted", "The image the inventory wants, as this host holds it."),
        ("disk", "Size and free bytes of the file system, bytes of the data and of its WAL."),
        (
            "skew",
            "Milliseconds the host's clock is ahead of this machine's, and how far off that may be.",
        ),
        (
            "load",
            "Connections, clients waiting for a synchronous standby, long and prepared transactions.",
        ),
        (
            "guard_unit",
            "Whether the guard's unit is enabled and active, and the last line it wrote.",
        ),
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
    places: String,
    programs: Option<Vec<String>>,
    within: Duration,
    /// The version the server is expected to be of: asked for at once, that saves a round trip.
    expected: Option<&'static Dialect>,
    seen: Observation,
}

impl Module for PgObserve {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn observes(&self, _args: &Args) -> bool {
        true
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let settings = Settings::new(args, cx)?;
        let within = args.integer("timeout")?.and_then(|number| u64::try_from(number).ok());
        let within = within.unwrap_or(90).max(1);
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
            data: settings.maybe("data").unwrap_or_default(),
            root: settings.text("root")?,
            etc: settings.text("etc")?,
            image: settings.text("image")?,
            owner: settings.maybe("owner").unwrap_or_default(),
            expected: expected(&settings),
            within: Duration::from_secs(within),
            peers,
            places: settings.places()?,
            programs: programs(&settings)?,
            seen: Observation::default(),
        }))
    }
}

/// Returns the version that `pg_image` found or, before it was asked, the one that the image's tag names.
fn expected(settings: &Settings<'_, '_>) -> Option<&'static Dialect> {
    let text = settings.maybe("major").or_else(|| {
        let image = settings.maybe("image")?;
        image.rsplit('/').next()?.split_once(':').map(|(_, tag)| tag.to_owned())
    })?;
    Dialect::of(Major::parse(&text).ok()?).ok()
}

impl Action for Look {
    fn begin(&mut self, _mode: Mode) -> Step {
        Step::Send(
            Script::new(VERBS)
                .then(NODE)
                .then(CONTROL)
                .then(REWIND)
                .then(PIDS)
                .then(PLACES)
                .then(include_str!("ask.sh"))
                .var("container", &self.container)
                .var("superuser", &self.superuser)
                .var("data", &self.data)
                .var("root", &self.root)
                .var("etc", &self.etc)
                .var("image", &self.image)
                .var("owner", &self.owner)
                .var("peers", &self.peers)
                .var("places", &self.places)
                .var("sql", self.expected.map(question).unwrap_or_default())
                .var(
                    "sql_major",
                    self.expected.map(|dialect| dialect.major.to_string()).unwrap_or_default(),
                )
                .within(self.within),
        )
    }

    fn resume(&mut self, done: Done) -> Step {
        let Done::Reply(reply) = done else { return unexpected() };
        if let Some(trouble) = trouble(&reply) {
            return Step::Done(trouble);
        }
        // The second trip brings the server's answer alone.
        if self.seen.version_num.is_none() {
            self.seen = match from_host(&reply) {
                Ok(seen) => seen,
                Err(text) => return Step::Done(Outcome::failed(text)),
            };
            if self.programs.is_some() {
                self.seen.rewind.programs.clone_from(&self.programs);
            }
        }
        self.seen.wanted.name.clone_from(&self.image);
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
    let container = container(reply);
    // The last `control` is the fullest: the image's own `pg_controldata`, where there is one.
    let control = match reply.field("control").filter(|text| !text.is_empty()) {
        Some(text) => Some(ControlData::parse(&text).map_err(|error| error.to_string())?),
        None => None,
    };
    let running = matches!(container.state.as_str(), "running" | "paused" | "restarting");
    // Behind an engine that does not answer a server may well run, unless it stopped in order.
    let hidden = fields.is_set("docker_down")
        && control.as_ref().is_some_and(|control: &ControlData| !control.state.is_clean());
    // A server of somebody's own making, or one that Docker has lost sight of.
    let alive = fields.is_set("alive") && !running;
    let role = if running || hidden || alive {
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
    // The control file of a standby tells a new timeline late; it is on it once it has received WAL of it.
    let received =
        reply.field("wal_timeline").and_then(|name| u32::from_str_radix(name.trim(), 16).ok());
    let received = received.map(TimelineId).filter(|_| fields.is_set("standby_file"));
    let timeline =
        control.as_ref().and_then(|control| Some(control.timeline).max(promoted).max(received));
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
        programs: programs_inside(reply),
        ..Rewindable::default()
    };
    let disk = disk(reply);
    let debts = fields.all("debt").filter_map(|text| serde_json::from_str::<Debt>(&text).ok());
    let peer = |node: String| PeerAnswer { node, answers: true };
    let container_paused = container.state == "paused";
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
        control: control.filter(|_| !running && !hidden && !alive),
        standby_configured: fields.is_set("standby_file"),
        fenced: reply.field("fenced").map(|text| text.trim().to_owned()),
        container,
        handover: reply.field("handover").and_then(|text| serde_json::from_str(&text).ok()),
        debts: debts.collect(),
        peers: fields.all("answers").map(peer).collect(),
        wanted: wanted(reply),
        archiver: Archiver { waiting: number("unarchived"), ..Archiver::default() },
        rewind,
        disk_free: disk.free,
        disk,
        clock: epoch(reply, "clock").map(|clock| clock.as_secs()),
        skew: skew(reply),
        guard: fields.is_set("guard"),
        guard_unit: GuardUnit {
            enabled: text("guard_enabled").unwrap_or_default(),
            active: text("guard_active").unwrap_or_default(),
            said: text("guard_said"),
        },
        trouble: if fields.is_set("docker_down") {
            let runs = if alive { ", and a server runs on the data" } else { "" };
            Some(format!("the Docker engine does not answer{runs}"))
        } else if container_paused {
            Some("its container is paused".to_owned())
        } else if alive {
            Some("a server runs on the data that is not the container's".to_owned())
        } else {
            text("trouble")
        },
        ..Observation::default()
    })
}

fn container(reply: &Reply) -> Container {
    let line = reply.field("container").unwrap_or_default();
    let mut parts = line.trim().split('|').map(str::to_owned);
    let mut next = || parts.next().unwrap_or_default();
    let (state, image, image_id, restart_policy) = (next(), next(), next(), next());
    let exit_code = next().parse().ok();
    let stop_timeout = next().parse().ok();
    let inside = reply.field("inside").or_else(|| reply.field("libc")).unwrap_or_default();
    let libc = inside.lines().next().map(str::trim).filter(|libc| !libc.is_empty());
    let (_, digests) = image_line(&reply.field("image").unwrap_or_default());
    Container {
        state,
        image,
        image_id,
        restart_policy,
        exit_code,
        stop_timeout,
        digests,
        libc: libc.map(str::to_owned),
    }
}

/// Programs that the running container has, behind the line of its C library.
fn programs_inside(reply: &Reply) -> Option<Vec<String>> {
    let inside = reply.field("inside")?;
    let mut lines = inside.lines().map(str::trim);
    lines.next().filter(|libc| !libc.is_empty())?;
    Some(lines.filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

/// Reads `ID|DIGEST DIGEST `; of a digest only what stands behind the repository's name counts.
fn image_line(line: &str) -> (String, Vec<String>) {
    let (id, digests) = line.trim().split_once('|').unwrap_or_default();
    let digests = digests.split_whitespace().filter_map(|digest| digest.split_once('@'));
    (id.to_owned(), digests.map(|(_, digest)| digest.to_owned()).collect())
}

fn wanted(reply: &Reply) -> Image {
    let (id, digests) = image_line(&reply.field("images").unwrap_or_default());
    let libc = reply.field("wanted_libc").map(|text| text.trim().to_owned());
    Image { name: String::new(), id, digests, libc: libc.filter(|text| !text.is_empty()) }
}

fn disk(reply: &Reply) -> Disk {
    let bytes = |text: &str| {
        text.trim().parse::<u64>().ok().map(|kilobytes| kilobytes.saturating_mul(1024))
    };
    let whole = reply.field("disk").unwrap_or_default();
    let mut whole = whole.split_whitespace().map(bytes);
    let (size, free) = (whole.next().flatten(), whole.next().flatten());
    let of = |key: &str| reply.field(key).and_then(|text| bytes(&text));
    Disk { size, free, data: of("data_kilobytes"), wal: of("wal_kilobytes") }
}

/// Reads `1795384800.123456789`, or whole seconds where the host's `date` knows no more.
fn epoch(reply: &Reply, key: &str) -> Option<Duration> {
    let text = reply.field(key)?;
    let (seconds, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let nanoseconds = format!("{fraction:0<9.9}").parse().ok()?;
    Some(Duration::new(seconds.parse().ok()?, nanoseconds))
}

/// Compares clocks as NTP does: four readings, two here and two there; the way there and back bounds the error.
fn skew(reply: &Reply) -> Option<Skew> {
    let (sent, answered) = reply.between?;
    let (first, last) = (epoch(reply, "clock")?, epoch(reply, "clock_end")?);
    let since = |time: SystemTime| {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        i64::try_from(since.as_millis()).ok()
    };
    let far = |time: Duration| i64::try_from(time.as_millis()).ok();
    let (sent, answered, first, last) = (since(sent)?, since(answered)?, far(first)?, far(last)?);
    let milliseconds = (first.checked_sub(sent)?.checked_add(last.checked_sub(answered)?)?) / 2;
    let way = answered.checked_sub(sent)?.checked_sub(last.checked_sub(first)?)?;
    // A clock that shows whole seconds is late by half of one on average.
    let coarse = !reply.field("clock")?.contains('.');
    let bound = u64::try_from(way).unwrap_or_default() / 2 + if coarse { 1000 } else { 1 };
    Some(Skew { milliseconds, bound })
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
