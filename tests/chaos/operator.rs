//! The operator: plays a schedule, accepts only what is true, and afterwards does what status and refusals advise until the
//! cluster is in order.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::hosts::{Hosts, Is};
use super::schedule::{Fault, Schedule, Step, Twist, Verb};
use super::witness::{Witness, lost, two_places};

/// A run of matron that takes longer hangs.
const RUN_LIMIT: Duration = Duration::from_secs(300);

/// A schedule has to end in order within this time after everything was healed.
const END_LIMIT: Duration = Duration::from_secs(300);

/// What a run of matron did.
pub struct Act {
    /// `None` when it was killed.
    pub code: Option<i32>,
    pub text: String,
    /// The twist came before it was over.
    pub twisted: bool,
}

/// What `matron pg status` says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Said {
    pub verdict: String,
    pub primary: Option<String>,
    pub report: String,
}

/// A schedule being played.
pub struct Operator<'a> {
    hosts: &'a mut Hosts,
    log: File,
    started: Instant,
    /// Who took writes when somebody looked last.
    primary: Option<String>,
    last: Option<(Verb, bool)>,
}

/// What came of a schedule.
pub struct Played {
    pub wrong: Vec<String>,
    pub rows: usize,
    pub sync_rows: usize,
    /// The last twist of a run came before the run was over.
    pub twisted: bool,
    pub seconds: f64,
}

/// Plays a schedule on a ward.
pub fn play(hosts: &mut Hosts, schedule: &Schedule, log: File) -> Played {
    let mut operator = Operator { hosts, log, started: Instant::now(), primary: None, last: None };
    operator.say(&schedule.to_string());
    let mut played =
        Played { wrong: Vec::new(), rows: 0, sync_rows: 0, twisted: false, seconds: 0.0 };
    if let Err(why) = operator.whole(schedule, &mut played) {
        played.wrong.push(why);
    }
    if !played.wrong.is_empty() {
        let relics = operator.hosts.relics();
        operator.say(&relics);
    }
    for wrong in &played.wrong {
        operator.say(wrong);
    }
    played.seconds = operator.started.elapsed().as_secs_f64();
    played
}

impl Operator<'_> {
    fn say(&mut self, line: &str) {
        let at = self.started.elapsed().as_secs_f64();
        writeln!(self.log, "[{at:7.2}] {line}").ok();
    }

    fn whole(&mut self, schedule: &Schedule, played: &mut Played) -> Result<(), String> {
        self.prepare(schedule)?;
        self.started = Instant::now();
        let mut clients = Vec::new();
        for host in self.hosts.names() {
            clients.push((host.clone(), self.hosts.address(&host)?));
        }
        let mut witness = Witness::start(clients)?;
        if !schedule.empty {
            witness.wait_sync(Duration::from_secs(30))?;
        }
        let mut outcome = self.steps(schedule, played);
        if outcome.is_ok() {
            outcome = self.end(&witness);
        }
        let rows = witness.stop();
        played.rows = rows.len();
        played.sync_rows = rows.iter().filter(|row| row.sync).count();
        played.wrong.extend(two_places(&rows));
        outcome?;
        self.count(&witness, &rows, played)
    }

    /// Every acknowledged row has to be on every node.
    fn count(
        &mut self,
        witness: &Witness,
        rows: &[super::witness::Row],
        played: &mut Played,
    ) -> Result<(), String> {
        for host in self.hosts.names() {
            let end = Instant::now() + Duration::from_secs(20);
            loop {
                let held = witness.held(&host);
                let (sync, other) = match &held {
                    Ok(held) => lost(rows, held),
                    Err(_) => (rows.iter().collect(), Vec::new()),
                };
                if sync.is_empty() || Instant::now() > end {
                    held?;
                    if let Some(row) = sync.first() {
                        played.wrong.push(format!(
                            "{} acknowledged synchronous rows are not on {host}; the first is {} of timeline {} on {:?}, {:.2} s after the start",
                            sync.len(), row.id, row.timeline, row.node, (row.began - self.started).as_secs_f64()
                        ));
                    }
                    if let Some(row) = other.first() {
                        let line = format!(
                            "note: {} rows whose server may not have waited for a standby are not on {host}; the first is {} of timeline {} on {:?}",
                            other.len(),
                            row.id,
                            row.timeline,
                            row.node
                        );
                        self.say(&line);
                    }
                    break;
                }
                std::thread::sleep(Duration::from_millis(300));
            }
        }
        Ok(())
    }

    /// Brings the ward to where the schedule starts.
    fn prepare(&mut self, schedule: &Schedule) -> Result<(), String> {
        if self.hosts.nodes != schedule.nodes {
            self.hosts.up(schedule.nodes)?;
            self.hosts.empty()?;
        }
        self.hosts.undo_all()?;
        if schedule.empty {
            self.hosts.empty()?;
            self.hosts.cast("h1");
            return Ok(());
        }
        self.hosts.forget_aside();
        if self.status()?.verdict != "healthy" {
            self.hosts.empty()?;
            let ran = self.matron(Verb::Setup, &[], None)?;
            if ran.code != Some(0) {
                return Err(format!("the cluster could not be set up:\n{}", ran.text));
            }
        }
        let said = self.status()?;
        let primary = said.primary.clone().filter(|_| said.verdict == "healthy");
        let primary =
            primary.ok_or_else(|| format!("no cluster in order to start from: {said:?}"))?;
        self.hosts.cast(&primary);
        self.primary = Some(primary);
        Ok(())
    }

    fn steps(&mut self, schedule: &Schedule, played: &mut Played) -> Result<(), String> {
        for step in &schedule.steps {
            self.say(&step.to_string());
            match step {
                Step::Wait(ms) => std::thread::sleep(Duration::from_millis(*ms)),
                Step::Do(fault) => {
                    self.look();
                    self.hosts.suffer(*fault)?;
                }
                Step::Run(verb, twist) => {
                    let ran = self.try_verb(*verb, *twist)?;
                    played.twisted = ran.twisted;
                    self.hear(&ran);
                    self.check_status()?;
                }
                Step::RunWell(verb) => {
                    let ran = self.insist(*verb)?;
                    self.hear(&ran);
                    if ran.code != Some(0) {
                        return Err(format!(
                            "{} again ended with {:?}:\n{}",
                            verb.word(),
                            ran.code,
                            ran.text
                        ));
                    }
                    self.check_status()?;
                }
            }
        }
        Ok(())
    }

    fn hear(&mut self, ran: &Act) {
        let tail: Vec<&str> = ran.text.lines().collect();
        let from = tail.len().saturating_sub(12);
        let line = format!(
            "  exit {:?}{}: {}",
            ran.code,
            if ran.twisted { ", twisted" } else { "" },
            tail[from..].join("\n      ")
        );
        self.say(&line);
    }

    /// Notes who takes writes, for later, when it cannot be asked any more.
    fn look(&mut self) {
        let mut primaries: Vec<(u32, String)> = Vec::new();
        for (host, is) in self.hosts.truth() {
            if let Is::Primary { timeline } = is {
                primaries.push((timeline, host));
            }
        }
        if let Some((_, host)) = primaries.into_iter().max() {
            self.primary = Some(host);
        }
    }

    /// The words a careful operator gives: only what he sees with his own eyes.
    fn accepted(&self) -> Vec<&'static str> {
        let out = self.primary.as_ref().is_some_and(|host| self.hosts.plight(host).is_out());
        if out { vec!["old-primary-unreachable"] } else { Vec::new() }
    }

    /// Runs a verb as an operator does: again while it says that a moment has to pass.
    fn try_verb(&mut self, verb: Verb, twist: Option<(Twist, u32)>) -> Result<Act, String> {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            self.look();
            let accept = if verb == Verb::Failover { self.accepted() } else { Vec::new() };
            let ran = self.matron(verb, &accept, twist)?;
            self.last = Some((verb, !accept.is_empty()));
            let again = asks_for_time(&ran.text) && !ran.twisted && ran.code != Some(0);
            if !again || Instant::now() > end {
                return Ok(ran);
            }
            let (_, said) = ran.text.split_once("refused: ").unwrap_or(("", &ran.text));
            let said: String = said.chars().take(200).collect();
            self.say(&format!("  told to wait: {said}"));
            std::thread::sleep(Duration::from_secs(2));
        }
    }

    /// Runs a verb until it ends well, for a while.
    fn insist(&mut self, verb: Verb) -> Result<Act, String> {
        let end = Instant::now() + Duration::from_secs(90);
        loop {
            let ran = self.try_verb(verb, None)?;
            if ran.code == Some(0) || Instant::now() > end {
                return Ok(ran);
            }
            // A host that is out is exit 4 of a run that did its work.
            let out = self.hosts.names().iter().any(|host| self.hosts.plight(host).is_out());
            if out && ran.code == Some(4) {
                return Ok(Act { code: Some(0), ..ran });
            }
            self.hear(&ran);
            std::thread::sleep(Duration::from_secs(2));
        }
    }

    /// Runs one verb of matron, with its twist.
    fn matron(
        &mut self,
        verb: Verb,
        accept: &[&str],
        twist: Option<(Twist, u32)>,
    ) -> Result<Act, String> {
        let inventory = self.hosts.inventory().to_string_lossy().into_owned();
        let mut words = vec!["pg", verb.word(), "-i", &inventory, "--yes", "-T", "2"];
        words.extend(["--output", "json"]);
        for word in accept {
            words.extend(["--accept", word]);
        }
        let mut command = self.hosts.matron(&words);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (send, events) = std::sync::mpsc::sync_channel::<String>(4096);
        let reader = std::thread::spawn(move || {
            for line in stdout.into_iter().flat_map(|out| BufReader::new(out).lines()) {
                let Ok(line) = line else { break };
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        let errors = std::thread::spawn(move || {
            let mut text = String::new();
            if let Some(mut stream) = stderr {
                stream.read_to_string(&mut text).ok();
            }
            text
        });
        let end = Instant::now() + RUN_LIMIT;
        let (mut tasks, mut twisted, mut text) = (0, false, String::new());
        loop {
            match events.recv_timeout(Duration::from_millis(500)) {
                Ok(line) => {
                    let started = line.contains("\"event\":\"task_started\"");
                    tasks += u32::from(started);
                    text.push_str(&tell(&line));
                    let now = started && !twisted;
                    if let Some((twist, _)) = twist.filter(|(_, at)| now && tasks >= *at) {
                        twisted = true;
                        text.extend(["<<<< ", &twist.to_string(), " >>>>\n"]);
                        match twist {
                            Twist::KillMatron => child.kill().map_err(|error| error.to_string())?,
                            Twist::CtrlC => interrupt(child.id()),
                            Twist::Fault(fault) => self.suffer_meanwhile(fault)?,
                        }
                    }
                }
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {}
            }
            if Instant::now() > end {
                child.kill().ok();
                child.wait().ok();
                return Err(format!("matron pg {} hangs:\n{text}", verb.word()));
            }
        }
        let status = child.wait().map_err(|error| error.to_string())?;
        reader.join().ok();
        text.push_str(&errors.join().unwrap_or_default());
        Ok(Act { code: status.code(), text, twisted })
    }

    fn suffer_meanwhile(&mut self, fault: Fault) -> Result<(), String> {
        self.hosts.suffer(fault)
    }

    /// Asks matron for the state.
    fn status(&mut self) -> Result<Said, String> {
        let inventory = self.hosts.inventory().to_string_lossy().into_owned();
        let words = ["pg", "status", "-i", &inventory, "-T", "2", "--output", "json"];
        let ran = super::hosts::run(&mut self.hosts.matron(&words));
        let said = ran.out.lines().filter_map(said_in).next_back();
        said.ok_or_else(|| format!("status said nothing:\n{}", ran.out))
    }

    /// Status has to say what is the case. What changes while it is asked is asked again.
    fn check_status(&mut self) -> Result<(), String> {
        let mut wrong = String::new();
        for _ in 0..4 {
            let before = self.hosts.truth();
            let said = self.status()?;
            if self.hosts.truth() != before {
                continue;
            }
            match self.judge(&said, &before) {
                Ok(()) => {
                    self.say(&format!("  status: {}", said.report));
                    return Ok(());
                }
                Err(why) => wrong = why,
            }
            std::thread::sleep(Duration::from_secs(1));
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    fn judge(&self, said: &Said, truth: &[(String, Is)]) -> Result<(), String> {
        let lie =
            |what: &str| Err(format!("status lies: {what}\nit says {said:?}\nand it is {truth:?}"));
        let seen = |host: &str| !self.hosts.plight(host).is_out();
        let primaries: Vec<&str> = truth
            .iter()
            .filter(|(host, is)| seen(host) && matches!(is, Is::Primary { .. }))
            .map(|(host, _)| host.as_str())
            .collect();
        match (said.verdict.as_str(), primaries.as_slice()) {
            ("healthy", [primary]) => {
                let address = self.hosts.address(primary)?;
                let whole = truth.iter().all(|(host, is)| {
                    seen(host)
                        && match is {
                            Is::Primary { .. } => true,
                            Is::Standby { from } => from.as_ref() == Some(&address),
                            Is::Out | Is::Down => false,
                        }
                });
                if !whole {
                    return lie("not every node streams from the primary");
                }
            }
            ("degraded", [_])
            | ("two primaries", [_, _, ..])
            | ("empty" | "no primary" | "unknown", []) => {}
            ("healthy" | "degraded", _) => return lie("there is not one primary"),
            ("two primaries", _) => return lie("there are not two primaries"),
            ("empty" | "no primary" | "unknown", _) => return lie("there is a primary"),
            _ => return lie("it knows a verdict that this test does not"),
        }
        match (&said.primary, primaries.as_slice()) {
            (Some(name), [primary]) if name != primary => lie("it names another primary"),
            _ => Ok(()),
        }
    }

    /// Heals everything, runs the same command again, and then what is advised, until the cluster is in order.
    fn end(&mut self, witness: &Witness) -> Result<(), String> {
        self.say("the end: heal all");
        self.hosts.undo_all()?;
        let end = Instant::now() + END_LIMIT;
        let mut verb = self.last.map(|(verb, _)| verb);
        let mut accept: Vec<String> = Vec::new();
        loop {
            if let Some(verb) = verb {
                self.look();
                self.say(&format!("run {} {}", verb.word(), accept.join(" ")));
                let words: Vec<&str> = accept.iter().map(String::as_str).collect();
                let ran = self.matron(verb, &words, None)?;
                self.hear(&ran);
                accept = true_words(&ran.text);
            }
            self.check_status()?;
            let said = self.status()?;
            if said.verdict == "healthy" {
                self.judge(&said, &self.hosts.truth())?;
                witness
                    .wait_sync(Duration::from_secs(30))
                    .map_err(|why| format!("healthy, but {why}"))?;
                self.say("healthy");
                return Ok(());
            }
            if Instant::now() > end {
                return Err(format!("not in order within {END_LIMIT:?}: {}", said.report));
            }
            if accept.is_empty() {
                // The guards have their say meanwhile.
                std::thread::sleep(Duration::from_secs(1));
                verb = Some(advised(&said, verb));
            }
        }
    }
}

/// What the operator does next, from the verdict and what he did before.
fn advised(said: &Said, before: Option<Verb>) -> Verb {
    match (said.verdict.as_str(), before) {
        // After a rejoin that was not enough, setup repairs the rest.
        ("degraded", Some(Verb::Rejoin)) => Verb::Setup,
        ("two primaries" | "degraded", _) => Verb::Rejoin,
        // Starting what is stopped loses nothing; only when that is refused is a standby promoted.
        ("no primary" | "unknown", Some(Verb::Setup)) => Verb::Failover,
        _ => Verb::Setup,
    }
}

/// Returns the words of a refusal that are true once everything is healed: a node beside a later primary may be stopped.
fn true_words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || "-_=".contains(c)));
    let mut found: Vec<String> = words
        .filter_map(|word| word.strip_prefix("matron_accept=").or(Some(word)))
        .filter(|word| word.starts_with("stop-h"))
        .map(str::to_owned)
        .collect();
    found.sort();
    found.dedup();
    found
}

/// Tells whether a refusal says to wait a moment.
fn asks_for_time(text: &str) -> bool {
    ["old-primary-answers-peers", "starting (", "locked by", "held by", "is being operated"]
        .iter()
        .any(|word| text.contains(word))
}

fn said_in(line: &str) -> Option<Said> {
    let value: Value = serde_json::from_str(line).ok()?;
    let cluster = value.get("clusters")?.get(0)?;
    let word = |from: &Value, key: &str| {
        from.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let list = |key: &str| cluster.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let nodes = list("nodes").into_iter().map(|node| {
        let upstream = word(&node, "upstream");
        format!("{} {} {upstream}", word(&node, "name"), word(&node, "role"))
    });
    let findings = list("findings").into_iter().map(|finding| finding.to_string());
    let report: Vec<String> =
        std::iter::once(word(cluster, "reason")).chain(nodes).chain(findings).collect();
    Some(Said {
        verdict: cluster.get("verdict")?.as_str()?.replace('_', " "),
        primary: cluster.get("primary").and_then(Value::as_str).map(str::to_owned),
        report: report.join(" / "),
    })
}

/// Returns what a person would see of an event.
fn tell(line: &str) -> String {
    let Ok(event) = serde_json::from_str::<Value>(line) else { return format!("{line}\n") };
    let word = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    match word("event").as_str() {
        "task_started" => format!("TASK {}\n", word("name")),
        "host_done" => {
            let status = word("status");
            let message = event["result"].get("msg").map(Value::to_string).unwrap_or_default();
            if status == "skipped" {
                String::new()
            } else if status == "ok" && message.len() > 400 {
                format!("  {} ok\n", word("host"))
            } else {
                format!("  {} {status} {message}\n", word("host"))
            }
        }
        _ => String::new(),
    }
}

fn interrupt(id: u32) {
    let process = i32::try_from(id).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(process) = process {
        rustix::process::kill_process(process, rustix::process::Signal::INT).ok();
    }
}
