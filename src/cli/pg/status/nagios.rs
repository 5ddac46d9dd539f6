//! A status as a Nagios plugin says it: one line, performance data behind `|`, and an exit code.
//!
//! Form: <https://nagios-plugins.org/doc/guidelines.html>.

use super::Looked;
use super::limits::{Limit, Limits};
use crate::postgres::finding::Severity;
use crate::postgres::status::{ClusterStatus, NodeStatus};

/// States in Nagios' numbers; in the order of how bad they are, which is not theirs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum State {
    Fine,
    Warning,
    Unknown,
    Critical,
}

impl State {
    const fn code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Warning => 1,
            Self::Critical => 2,
            Self::Unknown => 3,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Fine => "OK",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// Returns the exit code and the line.
pub(super) fn line(looked: &Looked, limits: &Limits) -> (u8, String) {
    let mut judged: Vec<(State, String)> =
        looked.clusters.iter().map(|cluster| judge(cluster, limits)).collect();
    judged.extend(looked.errors.iter().map(|error| (State::Unknown, error.clone())));
    let worst = judged.iter().map(|(state, _)| *state).max().unwrap_or(State::Unknown);
    let mut told: Vec<&str> = Vec::new();
    for state in [State::Critical, State::Unknown, State::Warning] {
        told.extend(judged.iter().filter(|(of, _)| *of == state).map(|(_, text)| text.as_str()));
    }
    let summary = match (looked.clusters.as_slice(), told.len()) {
        ([], 0) => "no cluster was found in the inventory".to_owned(),
        ([one], 0) => format!("{} {}: {}", one.cluster, one.word(), one.reason),
        (all, 0) => format!("{} clusters healthy", all.len()),
        ([_], _) => told.join("; "),
        (all, bad) => format!("{bad} of {} clusters: {}", all.len(), told.join("; ")),
    };
    let data: Vec<String> =
        looked.clusters.iter().flat_map(|cluster| performance(cluster, limits)).collect();
    // A pipe would begin the performance data, a line end long output.
    let summary = summary.replace('|', "/").replace(['\n', '\r'], " ");
    let line = format!("MATRON {} - {summary} | {}", worst.word(), data.join(" "));
    (worst.code(), line.trim_end_matches([' ', '|']).to_owned())
}

fn judge(cluster: &ClusterStatus, limits: &Limits) -> (State, String) {
    let mut state = match cluster.verdict.as_str() {
        "healthy" => State::Fine,
        "degraded" if cluster.worst() == Some(Severity::Critical) => State::Critical,
        "degraded" => State::Warning,
        "unknown" => State::Unknown,
        _ => State::Critical,
    };
    let mut text = format!("{} {}: {}", cluster.cluster, cluster.word(), cluster.reason);
    for node in &cluster.nodes {
        let beyond = |limit: Limit| limit.reached(node.lag_bytes, node.lag_seconds);
        let lag = if beyond(limits.critical) {
            State::Critical
        } else if beyond(limits.warn) {
            State::Warning
        } else {
            continue;
        };
        state = state.max(lag);
        let bytes = node.lag_bytes.map(|bytes| format!("{bytes} bytes"));
        let seconds = node.lag_seconds.map(|seconds| format!("{seconds:.1} s"));
        let behind: Vec<String> = [bytes, seconds].into_iter().flatten().collect();
        text = format!("{text}; {} is {} behind", node.name, behind.join(" and "));
    }
    (state, text)
}

fn performance(cluster: &ClusterStatus, limits: &Limits) -> Vec<String> {
    let name = &cluster.cluster;
    let label = |rest: &str| format!("'{}'", format!("{name}.{rest}").replace(['\'', '='], "_"));
    let limit = |value: Option<u64>| value.map_or_else(String::new, |value| value.to_string());
    let streaming = cluster.nodes.iter().filter(|node| node.streaming).count();
    let mut data = vec![
        format!("{}={}", label("nodes"), cluster.nodes.len()),
        format!("{}={streaming}", label("streaming")),
    ];
    for node in &cluster.nodes {
        let NodeStatus { name, lag_bytes, lag_seconds, .. } = node;
        if let Some(bytes) = lag_bytes {
            let (warn, critical) = (limit(limits.warn.bytes), limit(limits.critical.bytes));
            data.push(format!("{}={bytes}B;{warn};{critical};0", label(&format!("{name}.lag"))));
        }
        if let Some(seconds) = lag_seconds {
            let (warn, critical) = (limit(limits.warn.seconds), limit(limits.critical.seconds));
            data.push(format!(
                "{}={seconds:.3}s;{warn};{critical};0",
                label(&format!("{name}.age"))
            ));
        }
    }
    data
}

#[cfg(test)]
mod tests;
