//! How long a client cannot write while a planned switchover takes place.
//!
//! `cargo bench --bench switchover -- [--rounds 20] [--peers] [--pg 17] [--output json] [--keep]`
//!
//! A client writes a row each 5 ms through a connection string that names both nodes; the primary is moved to and fro; each gap is
//! the longest time between two acknowledged rows. `--peers` measures repmgr and Patroni in the same rounds, on PostgreSQL 15 all.
//! `docs/benchmarks.md` says how to read it. `cargo bench --profile dev` measures the debug build.

#![expect(
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "a bench is its own door, says itself what it does, and waits for real hosts"
)]

#[path = "switchover/client.rs"]
mod client;
#[path = "switchover/matron.rs"]
mod matron;
#[path = "switchover/patroni.rs"]
mod patroni;
#[path = "switchover/repmgr.rs"]
mod repmgr;
#[path = "switchover/report.rs"]
mod report;
#[path = "switchover/system.rs"]
mod system;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use client::{Pair, Row, Writer, longest_gap};
use report::Measured;
use system::{System, patiently};
use tokio::runtime::Runtime;

/// How long a pair may take until it is in order again.
const SETTLE: Duration = Duration::from_secs(180);

/// What was asked for.
struct Wanted {
    rounds: usize,
    systems: Vec<String>,
    major: u8,
    json: bool,
    keep: bool,
    trace: bool,
}

impl Wanted {
    fn of(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut wanted = Self {
            rounds: 20,
            systems: vec!["matron".into()],
            major: 17,
            json: false,
            keep: false,
            trace: false,
        };
        let mut major = None;
        let mut words = words;
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                // Said by cargo.
                "--bench" => {}
                "--rounds" => {
                    let text = value()?;
                    let rounds = text.parse().ok().filter(|rounds| *rounds > 0);
                    wanted.rounds =
                        rounds.ok_or_else(|| format!("--rounds {text}: not a count"))?;
                }
                "--pg" => {
                    let text = value()?;
                    major = Some(text.parse().map_err(|_| format!("--pg {text}: not a major"))?);
                }
                "--peers" => {
                    wanted.systems = ["matron", "repmgr", "patroni"].map(str::to_owned).to_vec();
                }
                "--systems" => wanted.systems = value()?.split(',').map(str::to_owned).collect(),
                "--output" => {
                    let text = value()?;
                    wanted.json = match text.as_str() {
                        "json" => true,
                        "text" => false,
                        _ => return Err(format!("--output {text}: text or json")),
                    };
                }
                "--keep" => wanted.keep = true,
                "--trace" => wanted.trace = true,
                _ => {
                    return Err(format!(
                        "'{word}' is not known here: --rounds, --peers, --systems, --pg, --output, --keep, --trace are"
                    ));
                }
            }
        }
        // What Debian 12 has, for a fair pair.
        let alone = wanted.systems == ["matron"];
        wanted.major = major.unwrap_or(if alone { 17 } else { 15 });
        Ok(wanted)
    }

    fn system(&self, name: &str) -> Result<Box<dyn System>, String> {
        match name {
            "matron" => Ok(Box::new(matron::Matron::new(self.major))),
            "repmgr" => Ok(Box::new(repmgr::Repmgr::new())),
            "patroni" => Ok(Box::new(patroni::Patroni::new())),
            _ => Err(format!("--systems {name}: matron, repmgr and patroni are known")),
        }
    }
}

/// A system on its way through the rounds.
struct Course {
    system: Box<dyn System>,
    pair: Pair,
    version: String,
    rows: Vec<Row>,
    gaps: Vec<Duration>,
    commands: Vec<Duration>,
    quiet: Vec<Duration>,
    failed: Vec<String>,
}

impl Course {
    fn begin(runtime: &Runtime, mut system: Box<dyn System>) -> Result<Self, String> {
        eprintln!("== {}: making a pair", system.name());
        let pair = system.up()?;
        let version = system.version()?.lines().next().unwrap_or_default().to_owned();
        patiently("both nodes are in order", SETTLE, || runtime.block_on(pair.settled()))?;
        runtime.block_on(pair.execute(client::TABLE))?;
        Ok(Self {
            system,
            pair,
            version,
            rows: Vec::new(),
            gaps: Vec::new(),
            commands: Vec::new(),
            quiet: Vec::new(),
            failed: Vec::new(),
        })
    }

    /// Moves the primary once, with the client writing.
    fn round(&mut self, runtime: &Runtime, number: usize) -> Result<(), String> {
        let settled = |pair: &Pair| runtime.block_on(pair.settled());
        let from = patiently("both nodes are in order", SETTLE, || settled(&self.pair))?;
        let first = self.rows.last().map_or(0, |row| row.number + 1000);
        let begun = Instant::now();
        let writer = Writer::start(runtime, &self.pair, first);
        writer.wait(begun, 200, SETTLE)?;
        let quiet = longest_gap(&writer.rows(), begun);
        let start = Instant::now();
        let switched = self.system.switch(from, 1 - from);
        let command = start.elapsed();
        if let Err(why) = switched {
            eprintln!("{}: round {number} failed: {why}", self.system.name());
            self.failed.push(why);
            self.rows.extend(writer.stop(runtime));
            return Ok(());
        }
        let to = patiently("both nodes are in order", SETTLE, || settled(&self.pair))?;
        writer.wait(Instant::now(), 20, SETTLE)?;
        let rows = writer.stop(runtime);
        if to == from {
            self.failed.push("the primary is where it was".into());
        } else {
            let gap = longest_gap(&rows, start);
            eprintln!(
                "{}: round {number}: gap {:.3} s, command {:.3} s",
                self.system.name(),
                gap.as_secs_f64(),
                command.as_secs_f64()
            );
            self.gaps.push(gap);
            self.commands.push(command);
            self.quiet.push(quiet);
        }
        self.rows.extend(rows);
        Ok(())
    }

    /// Counts what was lost and returns what was measured.
    fn end(&self, runtime: &Runtime) -> Result<Measured, String> {
        patiently("both nodes are in order", SETTLE, || runtime.block_on(self.pair.settled()))?;
        Ok(Measured {
            name: self.system.name(),
            version: self.version.clone(),
            settings: self.system.settings(),
            gaps: self.gaps.clone(),
            commands: self.commands.clone(),
            quiet: self.quiet.clone(),
            failed: self.failed.len(),
            acknowledged: self.rows.len(),
            lost: runtime.block_on(self.pair.lost(&self.rows))?,
        })
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    // Built along by `cargo test --all-targets`, it has nothing to do.
    if !words.iter().any(|word| word == "--bench") {
        eprintln!("run it by: cargo bench --bench switchover");
        return ExitCode::SUCCESS;
    }
    match Wanted::of(words.into_iter()).and_then(|wanted| measure(&wanted)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Runs all rounds and says what came out; tells whether the targets were met.
fn measure(wanted: &Wanted) -> Result<bool, String> {
    let runtime = Runtime::new().map_err(|error| error.to_string())?;
    let mut courses = Vec::new();
    for name in &wanted.systems {
        courses.push(Course::begin(&runtime, wanted.system(name)?)?);
    }
    for course in &mut courses {
        course.pair.trace = wanted.trace;
    }
    let load = report::load();
    // In turn, so that all of them meet the same machine.
    for number in 1..=wanted.rounds {
        for course in &mut courses {
            course.round(&runtime, number)?;
        }
    }
    let measured =
        courses.iter().map(|course| course.end(&runtime)).collect::<Result<Vec<_>, _>>()?;
    if !wanted.keep {
        for course in &courses {
            course.system.down();
        }
    }
    Ok(report::show(&measured, wanted.major, &load, wanted.json))
}
