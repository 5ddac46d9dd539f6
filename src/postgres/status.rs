//! A cluster as `matron pg status` tells it: one document with a stable form, from which text, nagios and prometheus are made.

use serde::{Deserialize, Serialize};

use super::finding::Severity;
use super::observation::{Debt, Observation, Role};
use super::synchronous::Protection;
use super::view::{Answer, Node, Verdict, View};

/// The form's name; it changes when a field goes or means something else, not when one is added.
pub const SCHEMA: &str = "matron.status/1";

/// One cluster.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ClusterStatus {
    /// `pg_cluster`.
    pub cluster: String,
    /// `healthy`, `degraded`, `no_primary`, `two_primaries`, `unknown` or `empty`.
    pub verdict: String,
    /// The fact that the verdict rests on.
    pub reason: String,
    /// The primary, when there is exactly one.
    pub primary: Option<String>,
    /// What synchronous replication means now.
    pub protection: Protection,
    /// The same as a sentence.
    pub protection_text: String,
    /// Nodes in inventory order.
    pub nodes: Vec<NodeStatus>,
    /// What is not as it should be.
    pub findings: Vec<FindingStatus>,
    /// Nodes that could not be fenced when another one was promoted.
    pub debts: Vec<Debt>,
}

/// One node.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its host's name.
    pub name: String,
    /// Where its peers reach it.
    pub address: String,
    /// The port there.
    pub port: u16,
    /// `primary`, `standby`, `starting`, `stopped`, `half_cloned`, `empty`, `foreign`, or `unknown`.
    pub role: String,
    /// Why it could not be asked.
    pub why: Option<String>,
    /// WAL is flowing to it.
    pub streaming: bool,
    /// The node that sends it.
    pub upstream: Option<String>,
    /// `sync`, `quorum`, `potential` or `async`, as the sender says.
    pub sync_state: Option<String>,
    /// Bytes of WAL that the primary has and it has not.
    pub lag_bytes: Option<u64>,
    /// Bytes of WAL that the primary has and it has not replayed.
    pub replay_lag_bytes: Option<u64>,
    /// Seconds that what it shows is old; nothing while it has replayed all there is.
    pub lag_seconds: Option<f64>,
    /// Everything that was seen of it, as `pg_observe` returns it.
    pub observed: Option<Box<Observation>>,
}

/// One finding.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct FindingStatus {
    /// The node it is about.
    pub node: String,
    /// `note`, `warning` or `critical`.
    pub severity: Severity,
    /// What kind it is.
    pub kind: String,
    /// For people; follows the node's name.
    pub text: String,
}

impl ClusterStatus {
    /// Tells a cluster.
    pub fn of(view: &View) -> Self {
        let verdict = view.verdict();
        let protection = view.protection();
        Self {
            cluster: view.cluster.clone(),
            verdict: verdict.word().replace(' ', "_"),
            reason: view.reason(),
            primary: match verdict {
                Verdict::Healthy { primary } | Verdict::Degraded { primary } => Some(primary),
                Verdict::Empty
                | Verdict::TwoPrimaries { .. }
                | Verdict::NoPrimary
                | Verdict::Unknown => None,
            },
            protection_text: protection.sentence(),
            protection,
            nodes: view.nodes.iter().map(|node| NodeStatus::of(view, node)).collect(),
            findings: view
                .findings()
                .into_iter()
                .map(|(node, finding)| FindingStatus {
                    node,
                    severity: finding.severity(),
                    kind: finding.kind(),
                    text: finding.to_string(),
                })
                .collect(),
            debts: view.debts(),
        }
    }

    /// Returns the verdict as people read it.
    pub fn word(&self) -> String {
        self.verdict.replace('_', " ")
    }

    /// Returns the worst of its findings.
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }
}

impl NodeStatus {
    fn of(view: &View, node: &Node) -> Self {
        let mut out = Self {
            name: node.name.clone(),
            address: node.address.clone(),
            port: node.port,
            role: "unknown".to_owned(),
            why: None,
            streaming: false,
            upstream: None,
            sync_state: None,
            lag_bytes: None,
            replay_lag_bytes: None,
            lag_seconds: None,
            observed: None,
        };
        let seen = match &node.answer {
            Answer::Unknown { why } => {
                out.why = Some(why.clone());
                return out;
            }
            Answer::Seen(seen) => seen,
        };
        let role = serde_json::to_value(seen.role).unwrap_or_default();
        role.as_str().unwrap_or("unknown").clone_into(&mut out.role);
        if seen.role == Role::Standby {
            out.streaming = seen.upstream.is_streaming();
            let sender = view.sender_of(node, seen);
            out.upstream =
                sender.map(|sender| sender.name.clone()).or_else(|| seen.upstream.host.clone());
            out.sync_state = sender
                .and_then(Node::seen)
                .and_then(|sender| view.following(node, sender))
                .map(|row| row.sync_state.clone());
            out.lag_bytes = view.lag(seen);
            out.replay_lag_bytes = view.replay_lag(seen);
            #[expect(clippy::cast_precision_loss, reason = "seconds for people and graphs")]
            let seconds = view.lag_ms(seen).map(|milliseconds| milliseconds as f64 / 1000.0);
            out.lag_seconds = seconds;
        }
        out.observed = Some(seen.clone());
        out
    }
}
