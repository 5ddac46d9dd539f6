//! The chaos lane: random schedules of faults around matron's verbs on real hosts, judged by clients that know nothing of
//! matron. `cargo chaos --schedules 20`; without flags, as a part of `cargo test`, only a short smoke of it runs.

#![expect(
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "a lane without a harness is its own door, says itself what it does, and waits for real hosts"
)]

#[path = "chaos/hosts.rs"]
mod hosts;
#[path = "chaos/operator.rs"]
mod operator;
#[path = "chaos/schedule.rs"]
mod schedule;
#[path = "chaos/witness.rs"]
mod witness;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Parser;
use libtest_mimic::{Arguments, Failed, Trial};

use schedule::{Schedule, Twist, Verb};

/// A test of something pure: its name and what it holds.
type Claim = (&'static str, fn() -> Result<(), String>);

/// Play random schedules of faults on practice hosts
#[derive(Debug, Parser)]
struct Flags {
    /// How many schedules
    #[arg(long, default_value_t = 1)]
    schedules: u64,
    /// Seed of the first one; the next ones follow. From the clock when it is not given
    #[arg(long)]
    seed: Option<u64>,
    /// How many wards side by side
    #[arg(long, default_value_t = 1)]
    wards: u8,
    /// First part of the wards' names
    #[arg(long, default_value = "chaos")]
    name: String,
    /// Only schedules of this many nodes
    #[arg(long)]
    nodes: Option<u8>,
    /// A written schedule instead; may be given again
    #[arg(long, value_name = "FILE")]
    case: Vec<PathBuf>,
    /// Interrupt this verb after its first, second ... task instead
    #[arg(long, value_name = "VERB")]
    sweep: Option<String>,
    /// With --sweep: only every such task
    #[arg(long, default_value_t = 1)]
    every: u32,
    /// With --sweep: from this task on
    #[arg(long, default_value_t = 1)]
    from: u32,
    /// With --sweep: Ctrl-C instead of kill -9
    #[arg(long)]
    ctrl_c: bool,
    /// The matron to test, instead of the one just built
    #[arg(long, value_name = "PROGRAM", default_value = BUILT)]
    matron: PathBuf,
    /// Only show the schedules
    #[arg(long)]
    print: bool,
    /// Leave the wards up
    #[arg(long)]
    keep: bool,
}

/// The program that belongs to this build.
const BUILT: &str = env!("CARGO_BIN_EXE_matron");

const OWN: &[&str] = &["--schedules", "--seed", "--case", "--sweep"];

fn main() -> ExitCode {
    let own = std::env::args().any(|word| {
        OWN.iter().any(|own| {
            word == *own || word.strip_prefix(own).is_some_and(|more| more.starts_with('='))
        })
    });
    if own { lane(&Flags::parse()) } else { smoke() }
}

fn written(path: &Path) -> Result<Schedule, String> {
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Schedule::read(&name, &text)
}

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chaos/cases");
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    found.sort();
    found
}

/// The part of the lane that belongs to `cargo test`.
fn smoke() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let mut trials: Vec<Trial> = [schedule::CLAIMS, witness::CLAIMS]
        .concat()
        .into_iter()
        .map(|(name, claim)| Trial::test(name, move || claim().map_err(Failed::from)))
        .collect();
    trials.push(Trial::test("schedule::every_case_can_be_read", || {
        cases().iter().try_for_each(|path| written(path).map(drop)).map_err(Failed::from)
    }));
    trials.push(Trial::test("a_failover_that_is_killed_half_way_is_finished_by_the_next", || {
        let ward = std::env::var("MATRON_LAB_WARD").unwrap_or_else(|_| "chaossmoke".to_owned());
        let mut hosts = hosts::Hosts::new(&ward, Path::new(BUILT)).map_err(Failed::from)?;
        let schedule = schedule::sweep(Verb::Failover, 2, Twist::KillMatron, 26);
        let ended = one(&mut hosts, &schedule);
        if std::env::var_os("MATRON_LAB_KEEP").is_none() {
            hosts.down().map_err(Failed::from)?;
        }
        ended.map(drop).map_err(Failed::from)
    }));
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Plays a schedule and says what came of it; tells whether its twist came in time.
fn one(hosts: &mut hosts::Hosts, schedule: &Schedule) -> Result<bool, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("chaos/logs");
    std::fs::create_dir_all(&folder).expect("the folder of logs can be made");
    let log = folder.join(format!("{}.log", schedule.name.replace(": ", "-").replace(' ', "-")));
    let file = std::fs::File::create(&log).expect("the log can be written");
    let played = operator::play(hosts, schedule, file);
    let good = played.wrong.is_empty();
    println!(
        "{} {} ({} nodes{}): {:.0} s, {} rows acknowledged, {} of them synchronous",
        if good { "good" } else { "FAILED" },
        schedule.name,
        schedule.nodes,
        if schedule.empty { ", from empty" } else { "" },
        played.seconds,
        played.rows,
        played.sync_rows,
    );
    if good {
        return Ok(played.twisted);
    }
    let wrong = played.wrong.join("\n");
    let why = format!("{schedule}\n{wrong}\nlog: {}", log.display());
    eprintln!("{why}\n");
    Err(why)
}

fn lane(flags: &Flags) -> ExitCode {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let seed = flags.seed.unwrap_or(clock);
    if let Some(verb) = &flags.sweep {
        return match verb.parse() {
            Ok(verb) => sweep(flags, verb),
            Err(why) => {
                eprintln!("{why}");
                ExitCode::FAILURE
            }
        };
    }
    let schedules = if flags.case.is_empty() {
        println!("seed {seed}");
        let seeds = (seed..).map(Schedule::of_seed);
        let wanted = seeds.filter(|one| flags.nodes.is_none_or(|nodes| one.nodes == nodes));
        Ok(wanted.take(usize::try_from(flags.schedules).unwrap_or(1)).collect())
    } else {
        flags.case.iter().map(|path| written(path)).collect::<Result<Vec<_>, _>>()
    };
    let schedules = match schedules {
        Ok(schedules) => schedules,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::FAILURE;
        }
    };
    if flags.print {
        for schedule in &schedules {
            println!("{schedule}");
        }
        return ExitCode::SUCCESS;
    }
    let all = schedules.len();
    let queue = Mutex::new(schedules);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for at in 1..=flags.wards {
            let (queue, failed) = (&queue, &failed);
            scope.spawn(move || worker(flags, at, queue, failed));
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("{} of {all} schedules failed: {}", failed.len(), failed.join(", "));
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Plays schedules on a ward of its own until there are none left.
fn worker(flags: &Flags, at: u8, queue: &Mutex<Vec<Schedule>>, failed: &Mutex<Vec<String>>) {
    let name = if flags.wards == 1 { flags.name.clone() } else { format!("{}{at}", flags.name) };
    let mut hosts = match hosts::Hosts::new(&name, &flags.matron) {
        Ok(hosts) => hosts,
        Err(why) => return eprintln!("{why}"),
    };
    let next = |nodes: u8| {
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        // Another size of cluster means to set it up anew: those of this size first.
        let at = queue.iter().position(|one| one.nodes == nodes).unwrap_or(0);
        (at < queue.len()).then(|| queue.remove(at))
    };
    while let Some(schedule) = next(hosts.nodes) {
        if one(&mut hosts, &schedule).is_err() {
            failed.lock().unwrap_or_else(PoisonError::into_inner).push(schedule.name);
            // The next one starts from nothing.
            hosts.empty().unwrap_or_else(|why| eprintln!("{why}"));
        }
    }
    if !flags.keep {
        hosts.down().unwrap_or_else(|why| eprintln!("{why}"));
    }
}

/// Interrupts a verb after each of its tasks in turn, until it is over before.
fn sweep(flags: &Flags, verb: Verb) -> ExitCode {
    let mut hosts = match hosts::Hosts::new(&flags.name, &flags.matron) {
        Ok(hosts) => hosts,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::FAILURE;
        }
    };
    let twist = if flags.ctrl_c { Twist::CtrlC } else { Twist::KillMatron };
    let (mut failed, mut played) = (0, 0);
    let step = usize::try_from(flags.every).unwrap_or(1).max(1);
    for at in (flags.from..).step_by(step) {
        let schedule = schedule::sweep(verb, flags.nodes.unwrap_or(2), twist, at);
        played += 1;
        match one(&mut hosts, &schedule) {
            Ok(true) => {}
            Ok(false) => break,
            Err(_) => {
                failed += 1;
                hosts.empty().unwrap_or_else(|why| eprintln!("{why}"));
            }
        }
    }
    println!("{failed} of {played} interruptions of {} failed", verb.word());
    if !flags.keep {
        hosts.down().unwrap_or_else(|why| eprintln!("{why}"));
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
