//! What was measured, for people and as JSON, and whether it is good enough.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

/// Limits of matron's gap, in seconds.
const MEDIAN: f64 = 0.7;
const P95: f64 = 1.5;

/// How many times shorter than the better peer's.
const RATIO: f64 = 3.0;

/// What became of one system.
pub struct Measured {
    pub name: &'static str,
    pub version: String,
    pub settings: &'static str,
    /// Of each round: the longest time between two acknowledged rows.
    pub gaps: Vec<Duration>,
    /// Of each round: how long the command took.
    pub commands: Vec<Duration>,
    /// Of each round: the same as `gaps`, just before the switchover.
    pub quiet: Vec<Duration>,
    pub failed: usize,
    pub acknowledged: usize,
    pub lost: usize,
}

/// Returns a quantile by nearest rank, in seconds; 0 when there is nothing.
fn quantile(times: &[Duration], percent: usize) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort();
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).map_or(0.0, Duration::as_secs_f64)
}

impl Measured {
    fn json(&self) -> Value {
        let seconds = |times: &[Duration]| -> Vec<f64> {
            times.iter().map(|time| (time.as_secs_f64() * 1000.0).round() / 1000.0).collect()
        };
        json!({
            "name": self.name,
            "version": self.version,
            "settings": self.settings,
            "gap_median_s": quantile(&self.gaps, 50),
            "gap_p95_s": quantile(&self.gaps, 95),
            "gap_max_s": quantile(&self.gaps, 100),
            "command_median_s": quantile(&self.commands, 50),
            "quiet_gap_max_s": quantile(&self.quiet, 100),
            "gaps_s": seconds(&self.gaps),
            "failed": self.failed,
            "rows_acknowledged": self.acknowledged,
            "rows_lost": self.lost,
        })
    }
}

/// Returns the load average, as the kernel tells it.
pub fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// Returns what this machine is.
fn machine() -> String {
    let of = |path: &str, key: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default().to_owned();
        line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{cores} cores ({}), {}, Linux {}",
        of("/proc/cpuinfo", "model name"),
        of("/proc/meminfo", "MemTotal"),
        kernel.trim()
    )
}

/// A limit, what was found, and whether that is within it.
fn targets(all: &[Measured]) -> Vec<(String, bool)> {
    let Some(ours) = all.iter().find(|one| one.name == "matron") else { return Vec::new() };
    let (median, p95) = (quantile(&ours.gaps, 50), quantile(&ours.gaps, 95));
    let mut list = vec![
        (format!("median gap {median:.3} s, target under {MEDIAN} s"), median < MEDIAN),
        (format!("p95 gap {p95:.3} s, target under {P95} s"), p95 < P95),
        (format!("acknowledged rows lost {}, target 0", ours.lost), ours.lost == 0),
        (format!("switchovers that failed {}, target 0", ours.failed), ours.failed == 0),
    ];
    let peers = all.iter().filter(|one| one.name != "matron" && !one.gaps.is_empty());
    let better = peers.min_by(|a, b| quantile(&a.gaps, 50).total_cmp(&quantile(&b.gaps, 50)));
    if let Some(better) = better {
        let ratio = quantile(&better.gaps, 50) / median.max(0.001);
        let text = format!("{ratio:.1} times shorter than {}, target {RATIO}", better.name);
        list.push((text, ratio >= RATIO));
    }
    // Nothing measured is nothing met.
    if ours.gaps.is_empty() {
        for (_, met) in &mut list {
            *met = false;
        }
    }
    list
}

/// Prints it all; tells whether every target was met.
pub fn show(all: &[Measured], major: u8, load: &str, as_json: bool) -> bool {
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    let targets = targets(all);
    let good = targets.iter().all(|(_, met)| *met);
    if as_json {
        let list: Vec<Value> =
            targets.iter().map(|(text, met)| json!({"target": text, "met": met})).collect();
        let systems: Vec<Value> = all.iter().map(Measured::json).collect();
        println!(
            "{}",
            json!({
                "machine": machine(), "load": load, "build": build, "major": major,
                "systems": systems, "targets": list, "good": good,
            })
        );
        return good;
    }
    println!(
        "\n{}, load {load} at the start; PostgreSQL {major}; matron's {build} build\n",
        machine()
    );
    println!(
        "{:<8} {:>6} {:>10} {:>8} {:>8} {:>11} {:>10} {:>8} {:>5} {:>6}",
        "system",
        "rounds",
        "median (s)",
        "p95",
        "max",
        "command (s)",
        "quiet max",
        "rows",
        "lost",
        "failed"
    );
    for one in all {
        println!(
            "{:<8} {:>6} {:>10.3} {:>8.3} {:>8.3} {:>11.3} {:>10.3} {:>8} {:>5} {:>6}",
            one.name,
            one.gaps.len(),
            quantile(&one.gaps, 50),
            quantile(&one.gaps, 95),
            quantile(&one.gaps, 100),
            quantile(&one.commands, 50),
            quantile(&one.quiet, 100),
            one.acknowledged,
            one.lost,
            one.failed
        );
    }
    println!();
    for one in all {
        println!("{}: {}; {}", one.name, one.version, one.settings);
    }
    println!();
    for (text, met) in &targets {
        println!("{} {text}", if *met { "pass" } else { "FAIL" });
    }
    good
}
