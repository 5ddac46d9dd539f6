//! `wait_for`: waits until a port, a file or the passing of time is as wanted.
//!
//! One short probe at a time; the engine waits between them, so a wait can be cancelled at any moment and holds no
//! connection busy.

use std::time::Duration;

use fancy_regex::{Captures, Regex};
use serde_json::{Map, Value as Json};

use crate::modules::action::{VERBS, trouble, unexpected};
use crate::modules::wait_for_connection::seconds;
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Done, Mode, Module, Reach, Step,
    TaskContext, arg,
};
use crate::outcome::Outcome;
use crate::shell::{Reply, Script};

/// See the file's head.
pub(super) struct WaitFor;

const STATES: &[&str] = &["absent", "drained", "present", "started", "stopped"];

static DOC: Doc = Doc {
    name: "wait_for",
    summary: "Waits until a port answers or is quiet, or a file is there, holds a text, or is gone.",
    description: "Looks from the host: by bash or nc, and for ports of the host itself by the kernel's table of sockets. Without port and path it waits `timeout` seconds.",
    args: &[
        arg("port", ArgKind::Int, "TCP port. Not with `path`."),
        ArgDoc {
            default: "127.0.0.1",
            ..arg("host", ArgKind::Str, "Name or address of who has the port.")
        },
        arg("path", ArgKind::Path, "A file."),
        arg(
            "search_regex",
            ArgKind::Str,
            "A regular expression the file, or what the port sends, must hold.",
        ),
        ArgDoc {
            default: "started",
            ..arg(
                "state",
                ArgKind::Choice(STATES),
                "started, present: it is there; stopped, absent: it is gone; drained: nobody is connected.",
            )
        },
        ArgDoc { default: "300", ..arg("timeout", ArgKind::Int, "Seconds to wait at most.") },
        ArgDoc { default: "0", ..arg("delay", ArgKind::Int, "Seconds before the first look.") },
        ArgDoc { default: "1", ..arg("sleep", ArgKind::Int, "Seconds between looks.") },
        ArgDoc {
            default: "5",
            ..arg("connect_timeout", ArgKind::Int, "Seconds one connection may take.")
        },
        ArgDoc {
            default: "ESTABLISHED,FIN_WAIT1,FIN_WAIT2,SYN_RECV,SYN_SENT,TIME_WAIT",
            ..arg(
                "active_connection_states",
                ArgKind::List,
                "States that count as connected, for drained.",
            )
        },
        arg(
            "exclude_hosts",
            ArgKind::List,
            "Addresses whose connections do not count, for drained.",
        ),
        arg("msg", ArgKind::Str, "What to say when it did not come about."),
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Skipped,
    reach: Reach::Visible,
    returns: &[
        ("elapsed", "Seconds it took."),
        ("match_groups", "Groups of search_regex."),
        ("match_groupdict", "Named groups of search_regex."),
        ("state", "As given; `file` or `directory` for a path that is there."),
        ("port", "As given."),
        ("path", "As given."),
    ],
    examples: "- wait_for:\n    port: 5432\n    timeout: 60\n- wait_for:\n    path: /var/log/postgresql.log\n    search_regex: ready to accept connections\n",
};

/// Numbers of TCP states in `/proc/net/tcp` (`net/tcp_states.h`).
const TCP_STATES: &[(&str, &str)] = &[
    ("ESTABLISHED", "01"),
    ("SYN_SENT", "02"),
    ("SYN_RECV", "03"),
    ("FIN_WAIT1", "04"),
    ("FIN_WAIT2", "05"),
    ("TIME_WAIT", "06"),
    ("CLOSE_WAIT", "08"),
    ("LAST_ACK", "09"),
    ("CLOSING", "0B"),
];

impl Module for WaitFor {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, _cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let state = args.choice("state", STATES, "started")?;
        let host = args.text("host")?.unwrap_or_else(|| "127.0.0.1".to_owned());
        let path = args.text("path")?;
        let port = match args.integer("port")? {
            Some(port) => Some(u16::try_from(port).map_err(|_| {
                ArgError::new(format!("argument 'port' is {port}: a port is between 0 and 65535"))
            })?),
            None => None,
        };
        let regex = args.text("search_regex")?;
        let pattern = match &regex {
            Some(text) => Some(Regex::new(&format!("(?m){text}")).map_err(|error| {
                ArgError::new(format!(
                    "argument 'search_regex' is not a regular expression: {error}"
                ))
            })?),
            None => None,
        };
        let target = match (path, port, state) {
            (Some(_), Some(_), _) => {
                return Err(ArgError::new(
                    "port and path parameter can not both be passed to wait_for",
                ));
            }
            (Some(_), None, "stopped") => {
                return Err(ArgError::new(
                    "state=stopped should only be used for checking a port in the wait_for module",
                ));
            }
            (Some(_), None, "drained") => {
                return Err(ArgError::new(
                    "state=drained should only be used for checking a port in the wait_for module",
                ));
            }
            (Some(path), None, _) => Target::Path(path),
            (None, Some(port), "drained") => Target::Drained { port },
            (None, Some(port), _) => Target::Port { host: host.clone(), port },
            (None, None, _) => Target::Time,
        };
        let words = args.list("active_connection_states")?;
        let counted = match words {
            None => TCP_STATES.iter().take(6).map(|(_, number)| *number).collect(),
            Some(words) => words.iter().map(|word| tcp_state(word)).collect::<Result<_, _>>()?,
        };
        Ok(Box::new(Waiting {
            target,
            host,
            state,
            gone: matches!(state, "absent" | "stopped"),
            regex,
            pattern,
            counted,
            excluded: args.list("exclude_hosts")?.unwrap_or_default(),
            timeout: seconds(args, "timeout", 300)?,
            delay: seconds(args, "delay", 0)?,
            sleep: seconds(args, "sleep", 1)?,
            connect: seconds(args, "connect_timeout", 5)?.max(Duration::from_secs(1)),
            message: args.text("msg")?,
            elapsed: Duration::ZERO,
            under_way: Duration::ZERO,
        }))
    }
}

fn tcp_state(word: &str) -> Result<&'static str, ArgError> {
    let found = TCP_STATES.iter().find(|(name, _)| *name == word);
    found.map(|(_, number)| *number).ok_or_else(|| {
        let names: Vec<&str> = TCP_STATES.iter().map(|(name, _)| *name).collect();
        ArgError::new(format!(
            "unknown active_connection_state ({word}) defined, choose from: {}",
            names.join(", ")
        ))
    })
}

enum Target {
    Port { host: String, port: u16 },
    Drained { port: u16 },
    Path(String),
    Time,
}

struct Waiting {
    target: Target,
    host: String,
    state: &'static str,
    gone: bool,
    regex: Option<String>,
    pattern: Option<Regex>,
    counted: Vec<&'static str>,
    excluded: Vec<String>,
    timeout: Duration,
    delay: Duration,
    sleep: Duration,
    connect: Duration,
    message: Option<String>,
    elapsed: Duration,
    under_way: Duration,
}

/// What a look found.
enum Found {
    Yes(Map<String, Json>),
    No,
}

impl Waiting {
    fn wait(&mut self, time: Duration) -> Step {
        self.under_way = time;
        Step::Wait(time)
    }

    fn look(&mut self) -> Step {
        let script = Script::new(VERBS)
            .then(include_str!("probe.sh"))
            .flag("regex", self.pattern.is_some() && !self.gone)
            .var("connect_timeout", self.connect.as_secs().to_string())
            .within(self.connect + Duration::from_secs(30));
        match &self.target {
            Target::Time => {
                let rest = self.timeout.saturating_sub(self.elapsed);
                if rest.is_zero() { Step::Done(self.done(Map::new())) } else { self.wait(rest) }
            }
            Target::Path(path) => Step::Send(script.var("kind", "path").var("path", path)),
            Target::Port { host, port } => Step::Send(
                script.var("kind", "port").var("host", host).var("port", port.to_string()),
            ),
            Target::Drained { port } => {
                Step::Send(script.var("kind", "drained").var("port", port.to_string()))
            }
        }
    }

    fn judge(&self, reply: &Reply) -> Found {
        if let Target::Drained { .. } = self.target {
            let busy = self.connections(&reply.field("sockets").unwrap_or_default());
            return if busy == 0 { Found::Yes(Map::new()) } else { Found::No };
        }
        let there = reply.fields.is_set("there");
        if self.gone {
            return if there { Found::No } else { Found::Yes(Map::new()) };
        }
        if !there {
            return Found::No;
        }
        let mut data = about(&reply.field("stat").unwrap_or_default());
        if let Some(pattern) = &self.pattern {
            let text = reply.field("text").unwrap_or_default();
            let Ok(Some(captures)) = pattern.captures(text.as_str()) else { return Found::No };
            groups(pattern, &captures, &mut data);
        }
        Found::Yes(data)
    }

    /// Counts the connections that still matter in lines of `/proc/net/tcp`.
    fn connections(&self, sockets: &str) -> usize {
        let busy = |line: &&str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [_, local, remote, state, ..] = words[..] else { return false };
            let port = match self.target {
                Target::Drained { port } => format!("{port:04X}"),
                Target::Port { .. } | Target::Path(_) | Target::Time => return false,
            };
            let here = local.rsplit_once(':').is_some_and(|(_, number)| number == port);
            let from = remote.rsplit_once(':').map_or("", |(address, _)| address);
            here && self.counted.contains(&state)
                && !self.excluded.iter().any(|host| kernel_address(host).as_deref() == Some(from))
        };
        sockets.lines().filter(busy).count()
    }

    fn done(&self, found: Map<String, Json>) -> Outcome {
        let text = |value: &Option<String>| value.clone().map_or(Json::Null, Json::from);
        let (path, port) = match &self.target {
            Target::Path(path) => (Json::from(path.as_str()), Json::Null),
            Target::Port { port, .. } | Target::Drained { port } => (Json::Null, Json::from(*port)),
            Target::Time => (Json::Null, Json::Null),
        };
        let mut outcome = Outcome::ok()
            .with("elapsed", self.elapsed.as_secs())
            .with("state", self.state)
            .with("port", port)
            .with("path", path)
            .with("search_regex", text(&self.regex))
            .with("match_groups", Vec::<Json>::new())
            .with("match_groupdict", Map::new());
        outcome.data.extend(found);
        outcome
    }

    fn late(&self) -> Outcome {
        let text = match (&self.target, &self.regex) {
            (Target::Port { host, port }, _) if self.gone => {
                format!("Timeout when waiting for {host}:{port} to stop.")
            }
            (Target::Port { host, port }, Some(regex)) => {
                format!("Timeout when waiting for search string {regex} in {host}:{port}")
            }
            (Target::Port { host, port }, None) => {
                format!("Timeout when waiting for {host}:{port}")
            }
            (Target::Drained { port }, _) => {
                format!("Timeout when waiting for {}:{port} to drain", self.host)
            }
            (Target::Path(path), _) if self.gone => {
                format!("Timeout when waiting for {path} to be absent.")
            }
            (Target::Path(path), Some(regex)) => {
                format!("Timeout when waiting for search string {regex} in {path}")
            }
            (Target::Path(path), None) => format!("Timeout when waiting for file {path}"),
            (Target::Time, _) => "Timeout".to_owned(),
        };
        let text = self.message.clone().unwrap_or(text);
        Outcome::failed(text).with("elapsed", self.elapsed.as_secs())
    }
}

/// Returns the facts of a file from `stat -c '%a %u %g %U %G %s %F'`.
fn about(stat: &str) -> Map<String, Json> {
    let mut data = Map::new();
    let parts: Vec<&str> = stat.splitn(7, ' ').collect();
    let [mode, uid, gid, owner, group, size, kind] = parts[..] else { return data };
    let number = |text: &str| text.parse::<i64>().map_or(Json::Null, Json::from);
    let state = if kind == "directory" { "directory" } else { "file" };
    data.insert("mode".to_owned(), Json::from(format!("{mode:0>4}")));
    data.insert("uid".to_owned(), number(uid));
    data.insert("gid".to_owned(), number(gid));
    data.insert("owner".to_owned(), Json::from(owner));
    data.insert("group".to_owned(), Json::from(group));
    data.insert("size".to_owned(), number(size));
    data.insert("state".to_owned(), Json::from(state));
    data
}

fn groups(pattern: &Regex, captures: &Captures<'_, str>, data: &mut Map<String, Json>) {
    let value = |at: usize| captures.get(at).map_or(Json::Null, |found| Json::from(found.as_str()));
    let all: Vec<Json> = (1..captures.len()).map(value).collect();
    let mut named = Map::new();
    for (at, name) in pattern.capture_names().enumerate() {
        if let Some(name) = name {
            named.insert(name.to_owned(), value(at));
        }
    }
    data.insert("match_groups".to_owned(), Json::from(all));
    data.insert("match_groupdict".to_owned(), Json::Object(named));
}

/// Writes an IPv4 address as `/proc/net/tcp` does on a little-endian host.
fn kernel_address(text: &str) -> Option<String> {
    let address: std::net::Ipv4Addr = text.parse().ok()?;
    Some(format!("{:08X}", u32::from(address).swap_bytes()))
}

impl Action for Waiting {
    fn begin(&mut self, mode: Mode) -> Step {
        if mode.check {
            return Step::Done(Outcome::skipped(
                "remote module (wait_for) does not support check mode",
            ));
        }
        if self.delay.is_zero() { self.look() } else { self.wait(self.delay) }
    }

    fn resume(&mut self, done: Done) -> Step {
        match done {
            Done::Waited => {
                self.elapsed += self.under_way;
                self.look()
            }
            Done::Reply(reply) => {
                self.elapsed += reply.took;
                if let Some(failed) = trouble(&reply) {
                    return Step::Done(failed.with("elapsed", self.elapsed.as_secs()));
                }
                if let Found::Yes(data) = self.judge(&reply) {
                    return Step::Done(self.done(data));
                }
                let rest = self.timeout.saturating_sub(self.elapsed);
                if rest.is_zero() {
                    return Step::Done(self.late());
                }
                self.wait(self.sleep.max(Duration::from_millis(100)).min(rest))
            }
            Done::Uploaded(_)
            | Done::Downloaded(_)
            | Done::Answered(_)
            | Done::Locked(_)
            | Done::Lost(_) => unexpected(),
        }
    }

    fn reach(&self) -> Reach {
        Reach::Visible
    }
}

#[cfg(test)]
mod tests;
