//! A status for people: a table a cluster, or one line a cluster.

use std::fmt::Write as _;

use super::Looked;
use crate::postgres::finding::Severity;
use crate::postgres::lsn::bytes_for_people;
use crate::postgres::status::{ClusterStatus, NodeStatus};

/// How it is laid out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    /// Columns that do not fit are left out; `None` shows all.
    pub(super) width: Option<usize>,
    /// One line a cluster.
    pub(super) brief: bool,
    /// Verdicts have a colour; their words say the same.
    pub(super) colour: bool,
}

/// Lays out all clusters.
pub(super) fn page(looked: &Looked, page: Page) -> String {
    if page.brief {
        return brief(&looked.clusters, page);
    }
    let blocks: Vec<_> = looked.clusters.iter().map(|cluster| full(cluster, page)).collect();
    blocks.join("\n")
}

fn full(cluster: &ClusterStatus, page: Page) -> String {
    let mut out = String::new();
    let word = coloured(cluster, &cluster.word(), page);
    wrapped(&mut out, &format!("{}: {word} - {}", cluster.cluster, cluster.reason), "", page);
    if cluster.primary.is_some() {
        wrapped(&mut out, &cluster.protection_text, "  ", page);
    }
    out.push('\n');
    for line in table(&HEADS, &rows(cluster), page).lines() {
        let _ = writeln!(out, "  {line}");
    }
    if !cluster.findings.is_empty() {
        out.push('\n');
    }
    for finding in &cluster.findings {
        let mark = match finding.severity {
            Severity::Critical => "!!",
            Severity::Warning => "! ",
            Severity::Note => "- ",
        };
        wrapped(&mut out, &format!("{mark} {} {}", finding.node, finding.text), "  ", page);
    }
    out
}

/// A column: its head, and how soon it is left out when there is no room; 0 never is.
struct Head(&'static str, u8);

const HEADS: [Head; 12] = [
    Head("NODE", 0),
    Head("ROLE", 0),
    Head("TL", 0),
    Head("WAL", 4),
    Head("BEHIND", 0),
    Head("OLD", 0),
    Head("FROM", 0),
    Head("SYNC", 1),
    Head("VERSION", 6),
    Head("IMAGE", 8),
    Head("FREE", 5),
    Head("GUARD", 7),
];

fn rows(cluster: &ClusterStatus) -> Vec<Vec<String>> {
    cluster.nodes.iter().map(row).collect()
}

fn row(node: &NodeStatus) -> Vec<String> {
    let dash = || "-".to_owned();
    let Some(seen) = &node.observed else {
        let mut row = vec![node.name.clone(), "unknown".to_owned()];
        row.resize(HEADS.len(), dash());
        return row;
    };
    let role = match (seen.role.word(), &seen.fenced) {
        (word, Some(_)) => format!("{word}, fenced"),
        ("standby", None) if !node.streaming => "standby, no WAL".to_owned(),
        (word, None) => word.to_owned(),
    };
    let image = seen.container.image_id.trim_start_matches("sha256:");
    let guard = match (seen.guard, seen.guard_unit.active.as_str()) {
        (false, _) => "dash".to_owned(),
        (true, "") => seen.guard_unit.enabled.clone(),
        (true, active) => active.to_owned(),
    };
    vec![
        node.name.clone(),
        role,
        seen.timeline.map_or_else(dash, |timeline| timeline.to_string()),
        seen.lsn.map_or_else(dash, |lsn| lsn.to_string()),
        node.lag_bytes.map_or_else(dash, bytes_for_people),
        node.lag_seconds.map_or_else(dash, seconds),
        node.upstream.clone().unwrap_or_else(dash),
        node.sync_state.clone().unwrap_or_else(dash),
        seen.version.clone().or_else(|| seen.major.clone()).unwrap_or_else(dash),
        image.get(..12).map_or_else(dash, str::to_owned),
        seen.disk.free.map_or_else(dash, bytes_for_people),
        if guard.is_empty() { dash() } else { guard },
    ]
}

/// Lays out rows under their heads, without the columns for which there is no room.
fn table(heads: &[Head], rows: &[Vec<String>], page: Page) -> String {
    let mut shown: Vec<usize> = (0..heads.len()).collect();
    let width_of = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        let head = heads.get(column).map_or(0, |head| head.0.len());
        cells.max().unwrap_or(0).max(head)
    };
    let total =
        |shown: &[usize]| 2 + shown.iter().map(|column| width_of(*column) + 2).sum::<usize>();
    while page.width.is_some_and(|width| total(&shown) > width + 2) {
        let soonest = shown
            .iter()
            .filter_map(|column| heads.get(*column).map(|head| (head.1, *column)))
            .filter(|(rank, _)| *rank > 0)
            .max();
        let Some((_, column)) = soonest else { break };
        shown.retain(|other| *other != column);
    }
    let mut out = String::new();
    let mut line = |cell: &dyn Fn(usize) -> String| {
        let mut text = String::new();
        for column in &shown {
            let _ = write!(text, "{:<width$}  ", cell(*column), width = width_of(*column));
        }
        out.push_str(text.trim_end());
        out.push('\n');
    };
    line(&|column| heads.get(column).map_or_else(String::new, |head| head.0.to_owned()));
    for row in rows {
        line(&|column| row.get(column).cloned().unwrap_or_default());
    }
    out
}

const BRIEF: [Head; 6] = [
    Head("CLUSTER", 0),
    Head("STATE", 0),
    Head("PRIMARY", 0),
    Head("STANDBYS", 0),
    Head("BEHIND", 0),
    Head("REASON", 0),
];

fn brief(clusters: &[ClusterStatus], page: Page) -> String {
    let rows: Vec<Vec<String>> = clusters.iter().map(brief_row).collect();
    let text = table(&BRIEF, &rows, Page { width: None, ..page });
    if !page.colour {
        return text;
    }
    let mut lines = text.lines();
    let mut out = lines.next().map(|head| format!("{head}\n")).unwrap_or_default();
    for (line, cluster) in lines.zip(clusters) {
        let word = cluster.word();
        let _ = writeln!(out, "{}", line.replacen(&word, &coloured(cluster, &word, page), 1));
    }
    out
}

fn brief_row(cluster: &ClusterStatus) -> Vec<String> {
    let standbys = cluster.nodes.iter().filter(|node| Some(&node.name) != cluster.primary.as_ref());
    let streaming = standbys.clone().filter(|node| node.streaming).count();
    let behind = cluster.nodes.iter().filter_map(|node| node.lag_bytes).max();
    vec![
        cluster.cluster.clone(),
        cluster.word(),
        cluster.primary.clone().unwrap_or_else(|| "-".to_owned()),
        format!("{streaming}/{}", standbys.count()),
        behind.map_or_else(|| "-".to_owned(), bytes_for_people),
        cluster.reason.clone(),
    ]
}

fn seconds(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 60.0 => format!("{seconds:.1} s"),
        seconds if seconds < 7_200.0 => format!("{:.0} min", seconds / 60.0),
        seconds => format!("{:.0} h", seconds / 3_600.0),
    }
}

fn coloured(cluster: &ClusterStatus, word: &str, page: Page) -> String {
    if !page.colour {
        return word.to_owned();
    }
    let critical = cluster.worst() == Some(Severity::Critical);
    let code = match cluster.verdict.as_str() {
        "healthy" => "32",
        "degraded" if !critical => "33",
        _ => "1;31",
    };
    format!("\u{1b}[{code}m{word}\u{1b}[0m")
}

/// Adds a paragraph, broken between words where the terminal ends.
fn wrapped(out: &mut String, text: &str, indent: &str, page: Page) {
    let width = page.width.unwrap_or(usize::MAX).max(40);
    let mut line = indent.to_owned();
    let mut empty = true;
    for word in text.split(' ') {
        if !empty && line.chars().count() + 1 + word.chars().count() > width {
            let _ = writeln!(out, "{}", line.trim_end());
            line = format!("{indent}   ");
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    let _ = writeln!(out, "{}", line.trim_end());
}

#[cfg(test)]
mod tests;
