//! A status as Prometheus reads it: the text exposition format.
//!
//! Form: <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use super::{Looked, cannot_write};
use crate::cli::failure::Failure;
use crate::postgres::finding::Severity;
use crate::postgres::observation::Observation;
use crate::postgres::status::{ClusterStatus, NodeStatus};
use crate::postgres::synchronous::PossibleLoss;

/// Every verdict there is, so that each has a series and none goes stale.
const VERDICTS: [&str; 6] =
    ["healthy", "degraded", "no_primary", "two_primaries", "unknown", "empty"];

/// One metric: its name behind `matron_pg_`, what it tells, and its samples.
struct Metric {
    name: &'static str,
    help: &'static str,
    samples: Vec<(Vec<(&'static str, String)>, f64)>,
}

/// Returns the page.
pub(super) fn page(looked: &Looked, now: i64) -> String {
    let mut out = String::new();
    let clusters = &looked.clusters;
    for metric in of_clusters(clusters).into_iter().chain(of_nodes(clusters)) {
        write_metric(&mut out, &metric);
    }
    for metric in [
        Metric {
            name: "status_errors",
            help: "Hosts that failed and are in no cluster's status.",
            samples: vec![(Vec::new(), number(looked.errors.len() as u64))],
        },
        Metric {
            name: "status_timestamp_seconds",
            help: "When this was looked at, in seconds since 1970.",
            #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit")]
            samples: vec![(Vec::new(), now as f64)],
        },
    ] {
        write_metric(&mut out, &metric);
    }
    out
}

fn of_clusters(clusters: &[ClusterStatus]) -> Vec<Metric> {
    let each = |name, help, value: &dyn Fn(&ClusterStatus) -> Option<f64>| Metric {
        name,
        help,
        samples: clusters
            .iter()
            .filter_map(|cluster| {
                Some((vec![("cluster", cluster.cluster.clone())], value(cluster)?))
            })
            .collect(),
    };
    let verdicts = clusters.iter().flat_map(|cluster| {
        VERDICTS.map(|verdict| {
            let labels =
                vec![("cluster", cluster.cluster.clone()), ("verdict", verdict.to_owned())];
            (labels, flag(cluster.verdict == verdict))
        })
    });
    let severities = clusters.iter().flat_map(|cluster| {
        [Severity::Note, Severity::Warning, Severity::Critical].map(|severity| {
            let count = cluster.findings.iter().filter(|found| found.severity == severity).count();
            let labels = vec![
                ("cluster", cluster.cluster.clone()),
                ("severity", severity.word().to_owned()),
            ];
            (labels, number(count as u64))
        })
    });
    vec![
        each("cluster_healthy", "Whether the verdict is healthy.", &|cluster| {
            Some(flag(cluster.verdict == "healthy"))
        }),
        Metric {
            name: "cluster_verdict",
            help: "1 for the verdict that holds, 0 for the others.",
            samples: verdicts.collect(),
        },
        Metric {
            name: "cluster_findings",
            help: "Number of findings by severity.",
            samples: severities.collect(),
        },
        each("cluster_debts", "Nodes that could not be fenced and are still owed.", &|cluster| {
            Some(number(cluster.debts.len() as u64))
        }),
        each(
            "cluster_writes_wait",
            "Whether every commit waits for a standby that is not there.",
            &|cluster| Some(flag(cluster.protection.writes_wait)),
        ),
        each(
            "cluster_lost_standby_stops_writes",
            "Whether losing one more standby stops writes.",
            &|cluster| Some(flag(cluster.protection.lost_standby_stops_writes)),
        ),
        each(
            "cluster_possible_loss_bytes",
            "WAL that a failover now may lose at most; absent when that is not known.",
            &|cluster| match cluster.protection.loss {
                PossibleLoss::Nothing => Some(0.0),
                PossibleLoss::AtMost { bytes } => Some(number(bytes)),
                PossibleLoss::Unbounded | PossibleLoss::Unknown => None,
            },
        ),
    ]
}

fn of_nodes(clusters: &[ClusterStatus]) -> Vec<Metric> {
    let nodes: Vec<(&ClusterStatus, &NodeStatus)> = clusters
        .iter()
        .flat_map(|cluster| cluster.nodes.iter().map(move |node| (cluster, node)))
        .collect();
    let labels = |(cluster, node): (&ClusterStatus, &NodeStatus)| {
        vec![("cluster", cluster.cluster.clone()), ("node", node.name.clone())]
    };
    let each = |name, help, value: &dyn Fn(&NodeStatus) -> Option<f64>| Metric {
        name,
        help,
        samples: nodes.iter().filter_map(|at| Some((labels(*at), value(at.1)?))).collect(),
    };
    let seen = |name, help, value: &dyn Fn(&Observation) -> Option<u64>| {
        each(name, help, &|node: &NodeStatus| value(node.observed.as_ref()?).map(number))
    };
    let more = |at, extra: Vec<(&'static str, String)>| [labels(at), extra].concat();
    let mut roles = Vec::new();
    let mut infos = Vec::new();
    let mut kept = Vec::new();
    let mut active = Vec::new();
    let mut positions = Vec::new();
    for at in &nodes {
        roles.push((more(*at, vec![("role", at.1.role.clone())]), 1.0));
        let Some(seen) = &at.1.observed else { continue };
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        infos.push((
            more(
                *at,
                vec![
                    ("address", format!("{}:{}", at.1.address, at.1.port)),
                    ("version", text(&seen.version)),
                    ("image", seen.container.image.clone()),
                    ("image_id", seen.container.image_id.clone()),
                    ("libc", text(&seen.container.libc)),
                    ("system_identifier", text(&seen.system_identifier)),
                    ("restart_policy", seen.container.restart_policy.clone()),
                ],
            ),
            1.0,
        ));
        for slot in &seen.slots {
            let label = vec![("slot", slot.name.clone())];
            active.push((more(*at, label.clone()), flag(slot.active)));
            kept.extend(slot.kept.map(|bytes| (more(*at, label), number(bytes))));
        }
        for (kind, lsn) in [
            ("written", seen.written),
            ("received", seen.received),
            ("flushed", seen.flushed),
            ("replayed", seen.replayed),
        ] {
            let sample =
                |position: u64| (more(*at, vec![("kind", kind.to_owned())]), number(position));
            positions.extend(lsn.map(|lsn| sample(lsn.0)));
        }
    }
    vec![
        each("node_seen", "Whether the node's host answered.", &|node| {
            Some(flag(node.observed.is_some()))
        }),
        Metric { name: "node_role", help: "1 for the role the node has.", samples: roles },
        Metric { name: "node_info", help: "What the node runs, as labels.", samples: infos },
        each("node_streaming", "Whether WAL flows to a standby.", &|node| {
            (node.role == "standby").then(|| flag(node.streaming))
        }),
        seen("node_timeline", "The node's timeline.", &|seen| {
            seen.timeline.map(|timeline| u64::from(timeline.0))
        }),
        Metric { name: "node_wal_position_bytes", help: "WAL positions.", samples: positions },
        each("node_lag_bytes", "WAL that the primary has and a standby has not.", &|node| {
            node.lag_bytes.map(number)
        }),
        each(
            "node_replay_lag_bytes",
            "WAL that the primary has and a standby has not replayed.",
            &|node| node.replay_lag_bytes.map(number),
        ),
        each("node_lag_seconds", "How old the data is that a standby shows.", &|node| {
            node.lag_seconds
        }),
        seen("node_database_bytes", "Size of all databases.", &|seen| seen.size),
        seen("node_disk_size_bytes", "Size of the data's file system.", &|seen| seen.disk.size),
        seen("node_disk_free_bytes", "Free on the data's file system.", &|seen| seen.disk.free),
        seen("node_data_bytes", "The data directory on disk.", &|seen| seen.disk.data),
        seen("node_wal_bytes", "WAL on disk.", &|seen| seen.disk.wal),
        seen("node_connections", "Client connections.", &|seen| seen.load.connections),
        seen("node_connections_limit", "max_connections.", &|seen| seen.load.max_connections),
        seen("node_archive_waiting", "WAL segments that wait for the archiver.", &|seen| {
            seen.archiver.waiting
        }),
        each(
            "node_clock_skew_seconds",
            "How far the host's clock is ahead of the one that looked.",
            &|node| {
                #[expect(clippy::cast_precision_loss, reason = "milliseconds fit")]
                node.observed.as_ref()?.skew.map(|skew| skew.milliseconds as f64 / 1000.0)
            },
        ),
        Metric {
            name: "slot_active",
            help: "Whether a replication slot is in use.",
            samples: active,
        },
        Metric { name: "slot_kept_bytes", help: "WAL kept for a replication slot.", samples: kept },
    ]
}

fn write_metric(out: &mut String, metric: &Metric) {
    if metric.samples.is_empty() {
        return;
    }
    let name = format!("matron_pg_{}", metric.name);
    let _ = writeln!(out, "# HELP {name} {}", metric.help.replace('\\', "\\\\"));
    let _ = writeln!(out, "# TYPE {name} gauge");
    for (labels, value) in &metric.samples {
        out.push_str(&name);
        if !labels.is_empty() {
            let labels: Vec<String> = labels
                .iter()
                .map(|(label, value)| format!("{label}=\"{}\"", escaped(value)))
                .collect();
            let _ = write!(out, "{{{}}}", labels.join(","));
        }
        let _ = writeln!(out, " {value}");
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn flag(on: bool) -> f64 {
    if on { 1.0 } else { 0.0 }
}

#[expect(clippy::cast_precision_loss, reason = "the format knows floats only")]
fn number(value: u64) -> f64 {
    value as f64
}

/// Writes the page beside its place and moves it there, so that a collector never reads half of it.
pub(super) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Not a name that a collector would pick up.
    let beside = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let written = std::fs::File::create(&beside)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&beside, path));
    written.map_err(|error| {
        // Nothing can be done about a rest that cannot be removed either.
        std::fs::remove_file(&beside).ok();
        cannot_write(path, &error)
    })
}

#[cfg(test)]
mod tests;
