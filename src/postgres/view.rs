//! A cluster as it was seen: its nodes, what they say about each other, and one verdict.
//!
//! A node that did not answer is unknown, which is not the same as down: nothing here ever takes silence for a fact.

use serde::{Deserialize, Serialize};

pub use super::finding::{Finding, Severity};
use super::finding::{of_cluster, of_node};
use super::lsn::Lsn;
use super::observation::{Debt, Follower, Observation, Role};
use super::synchronous::{Mode, Protection};
use super::timeline::History;

/// What was learned about a node.
#[derive(Clone, PartialEq, Debug)]
pub enum Answer {
    /// Its host was asked.
    Seen(Box<Observation>),
    /// Its host could not be asked.
    Unknown {
        /// Why.
        why: String,
    },
}

/// Where a copy of the data shall come from (`pg_clone_from`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CloneFrom {
    /// The primary.
    Primary,
    /// Any standby that streams.
    Standby,
    /// This node.
    Node(String),
}

impl CloneFrom {
    /// Reads the variable: a kind, or else a node's name.
    pub fn parse(text: &str) -> Self {
        match text {
            "primary" => Self::Primary,
            "standby" => Self::Standby,
            name => Self::Node(name.to_owned()),
        }
    }
}

/// One node of a cluster.
#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    /// Its host's name in the inventory.
    pub name: String,
    /// Where the other nodes and the archive reach it.
    pub address: String,
    /// The port there.
    pub port: u16,
    /// `pg_prefer: primary`.
    pub preferred: bool,
    /// `pg_upstream`: the node it shall follow while it is a standby and that one can be followed; the primary when it is not named.
    pub wanted_upstream: Option<String>,
    /// `pg_clone_from`: where a copy shall come from.
    pub clone_from: Option<CloneFrom>,
    /// It may be promoted (`pg_promotable`).
    pub promotable: bool,
    /// What it said.
    pub answer: Answer,
}

impl Node {
    /// Returns what was seen, if anything was.
    pub fn seen(&self) -> Option<&Observation> {
        match &self.answer {
            Answer::Seen(observation) => Some(observation),
            Answer::Unknown { .. } => None,
        }
    }

    /// Returns its role, if it is known.
    pub fn role(&self) -> Option<Role> {
        self.seen().map(|seen| seen.role)
    }
}

/// All nodes of one cluster.
#[derive(Clone, PartialEq, Debug)]
pub struct View {
    /// The cluster's name (`pg_cluster`).
    pub cluster: String,
    /// Its nodes in inventory order.
    pub nodes: Vec<Node>,
    /// `pg_synchronous`.
    pub synchronous: Mode,
}

/// The state of a cluster in one word, with the nodes it rests on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// Every node was seen and there is nothing yet.
    Empty,
    /// One primary, every other node streams from it, nothing is owed.
    Healthy {
        /// The primary.
        primary: String,
    },
    /// One primary, and something is not as it should be.
    Degraded {
        /// The primary.
        primary: String,
    },
    /// More than one node takes writes.
    TwoPrimaries {
        /// They.
        nodes: Vec<String>,
    },
    /// Every node was seen and none takes writes.
    NoPrimary,
    /// No primary was seen, and a node that was not seen could be one.
    Unknown,
}

impl Verdict {
    /// Returns the word people read.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Healthy { .. } => "healthy",
            Self::Degraded { .. } => "degraded",
            Self::TwoPrimaries { .. } => "two primaries",
            Self::NoPrimary => "no primary",
            Self::Unknown => "unknown",
        }
    }
}

impl View {
    /// Returns a node by name.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// Returns the nodes in a role with what was seen of them.
    pub fn in_role(&self, role: Role) -> impl Iterator<Item = (&Node, &Observation)> {
        self.nodes
            .iter()
            .filter_map(|node| node.seen().map(|seen| (node, seen)))
            .filter(move |(_, seen)| seen.role == role)
    }

    /// Returns the nodes that could not be asked, with the reason.
    pub fn unknown(&self) -> impl Iterator<Item = (&Node, &str)> {
        self.nodes.iter().filter_map(|node| match &node.answer {
            Answer::Unknown { why } => Some((node, why.as_str())),
            Answer::Seen(_) => None,
        })
    }

    /// Returns the primary when exactly one was seen.
    pub fn sole_primary(&self) -> Option<(&Node, &Observation)> {
        let mut primaries = self.in_role(Role::Primary);
        let first = primaries.next()?;
        primaries.next().is_none().then_some(first)
    }

    /// Returns the debts that any host remembers, each node once.
    pub fn debts(&self) -> Vec<Debt> {
        let mut debts: Vec<Debt> = Vec::new();
        for debt in self.nodes.iter().filter_map(Node::seen).flat_map(|seen| &seen.debts) {
            if !debts.iter().any(|known| known.node == debt.node) {
                debts.push(debt.clone());
            }
        }
        debts
    }

    /// Returns the node whose address a standby follows.
    pub fn upstream_of(&self, seen: &Observation) -> Option<&Node> {
        let host = seen.upstream.host.as_deref()?;
        let port = seen.upstream.port.unwrap_or(5432);
        self.nodes.iter().find(|node| node.address == host && node.port == port)
    }

    /// Returns the node from which a standby gets WAL right now, as it says itself.
    pub fn streams_from(&self, node: &Node) -> Option<&Node> {
        let seen = node.seen().filter(|seen| seen.role == Role::Standby)?;
        self.upstream_of(seen).filter(|_| seen.upstream.is_streaming())
    }

    /// Returns the node that a standby really follows: by the address it has, or by the books of the one that sends.
    pub fn sender_of(&self, node: &Node, seen: &Observation) -> Option<&Node> {
        self.upstream_of(seen).or_else(|| {
            self.nodes.iter().filter(|other| other.name != node.name).find(|other| {
                other.seen().is_some_and(|other| self.following(node, other).is_some())
            })
        })
    }

    /// Returns the row under which a node follows another, if it does.
    pub fn following<'a>(&self, node: &Node, primary: &'a Observation) -> Option<&'a Follower> {
        primary.followers.iter().find(|row| row.name == node.name)
    }

    /// Returns the one verdict.
    pub fn verdict(&self) -> Verdict {
        let primaries: Vec<_> = self.in_role(Role::Primary).collect();
        match primaries.as_slice() {
            [] if self.unknown().next().is_some() => Verdict::Unknown,
            [] if self
                .nodes
                .iter()
                .all(|node| matches!(node.role(), Some(Role::Empty | Role::HalfCloned))) =>
            {
                Verdict::Empty
            }
            [] => Verdict::NoPrimary,
            [(primary, _)] => {
                let primary = primary.name.clone();
                if self.findings().iter().all(|(_, finding)| finding.severity() == Severity::Note) {
                    Verdict::Healthy { primary }
                } else {
                    Verdict::Degraded { primary }
                }
            }
            many => Verdict::TwoPrimaries {
                nodes: many.iter().map(|(node, _)| node.name.clone()).collect(),
            },
        }
    }

    /// Returns the fact that the verdict rests on.
    pub fn reason(&self) -> String {
        let names = |list: &[&str]| list.join(" and ");
        let unseen: Vec<_> = self.unknown().map(|(node, _)| node.name.as_str()).collect();
        match self.verdict() {
            Verdict::Empty => "no node holds data".to_owned(),
            Verdict::Unknown => format!(
                "no primary was seen, and {} could not be asked: it may be one",
                names(&unseen)
            ),
            Verdict::TwoPrimaries { nodes } => {
                let told: Vec<_> = nodes.iter().map(|name| self.with_timeline(name)).collect();
                format!("{} take writes", told.join(" and "))
            }
            Verdict::NoPrimary => {
                let told: Vec<_> = self
                    .nodes
                    .iter()
                    .filter_map(|node| Some(format!("{} is {}", node.name, node.role()?.word())))
                    .collect();
                format!("every node was seen and none takes writes: {}", told.join(", "))
            }
            Verdict::Healthy { primary } => {
                let others = self.nodes.len().saturating_sub(1);
                match others {
                    0 => format!("{primary} takes writes; it is the only node"),
                    1 => format!("{primary} takes writes, its standby streams"),
                    more => format!("{primary} takes writes, {more} standbys stream"),
                }
            }
            Verdict::Degraded { primary } => {
                let findings = self.findings();
                let worst = |least: Severity| {
                    findings.iter().filter(|(_, found)| found.severity() >= least).count()
                };
                let most = findings.iter().map(|(_, found)| found.severity()).max();
                let first = findings.iter().find(|(_, found)| Some(found.severity()) == most);
                let told =
                    first.map_or_else(String::new, |(node, found)| format!("{node} {found}"));
                match worst(Severity::Warning) {
                    0 | 1 => format!("{primary} takes writes; {told}"),
                    more => format!("{primary} takes writes; {told} (and {} more)", more - 1),
                }
            }
        }
    }

    fn with_timeline(&self, name: &str) -> String {
        let timeline = self.node(name).and_then(Node::seen).and_then(|seen| seen.timeline);
        timeline.map_or_else(|| name.to_owned(), |timeline| format!("{name} (timeline {timeline})"))
    }

    /// Returns what synchronous replication means for loss now.
    pub fn protection(&self) -> Protection {
        Protection::of(self)
    }

    /// Returns everything that is not as it should be, in node order.
    pub fn findings(&self) -> Vec<(String, Finding)> {
        let mut findings = Vec::new();
        for node in &self.nodes {
            let mut add = |finding| findings.push((node.name.clone(), finding));
            match &node.answer {
                Answer::Unknown { why } => add(Finding::NotSeen { why: why.clone() }),
                Answer::Seen(seen) => {
                    of_node(self, node, seen).into_iter().for_each(&mut add);
                }
            }
        }
        findings.extend(of_cluster(self));
        findings
            .extend(self.debts().into_iter().map(|debt| (debt.node.clone(), Finding::Owed(debt))));
        findings
    }

    /// Returns how far a standby's received WAL is behind the primary, in bytes.
    pub fn lag(&self, standby: &Observation) -> Option<u64> {
        let (_, primary) = self.sole_primary()?;
        Some(primary.lsn?.ahead_of(standby.lsn?))
    }

    /// Returns how far a standby's replayed WAL is behind the primary, in bytes.
    pub fn replay_lag(&self, standby: &Observation) -> Option<u64> {
        let (_, primary) = self.sole_primary()?;
        Some(primary.lsn?.ahead_of(standby.replayed?))
    }

    /// Returns how old the data is that a standby shows, in milliseconds: nothing while it has replayed all there is, for the
    /// age of the last commit says nothing about a primary that nobody writes to.
    pub fn lag_ms(&self, standby: &Observation) -> Option<u64> {
        match self.replay_lag(standby) {
            Some(0) => Some(0),
            Some(_) | None => standby.replay_delay_ms,
        }
    }
}

/// Tells whether a node's data is part of what a primary's history holds, so that it can follow without a new copy.
///
/// A node that crashed as a primary never qualifies: where its WAL ends is not known without starting it.
pub fn can_follow(seen: &Observation, primary: &Observation) -> bool {
    let (Some(own), Some(current)) = (seen.timeline, primary.timeline) else { return false };
    let Some(lsn) = furthest(seen) else { return false };
    // A rewind that did not end leaves data that only looks whole.
    if seen.rewind.interrupted {
        return false;
    }
    let crashed_primary = seen.role == Role::Stopped
        && !seen.control.as_ref().is_some_and(|control| {
            control.state.is_clean()
                || control.state == super::control::ControlState::InArchiveRecovery
        });
    if crashed_primary || seen.role == Role::Primary {
        return false;
    }
    let history = primary.history.as_deref().map(History::parse);
    match history {
        Some(Ok(history)) => history.can_be_followed_by(current, own, lsn),
        Some(Err(_)) | None => own == current,
    }
}

/// Returns the furthest position a node is known to hold.
fn furthest(seen: &Observation) -> Option<Lsn> {
    let minimum = seen.control.as_ref().and_then(|control| control.minimum_recovery);
    seen.lsn.max(minimum)
}
