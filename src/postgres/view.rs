//! A cluster as it was seen: its nodes, what they say about each other, and one verdict.
//!
//! A node that did not answer is unknown, which is not the same as down: nothing here ever takes silence for a fact.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::lsn::Lsn;
use super::observation::{Debt, Follower, Observation, Role};
use super::timeline::{History, TimelineId};

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

/// Something that is not as it should be, about one node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Finding {
    /// It could not be asked.
    NotSeen {
        /// Why.
        why: String,
    },
    /// A standby gets no WAL.
    NotStreaming {
        /// What its receiver says.
        status: String,
    },
    /// A standby is on another timeline than the primary and gets no WAL.
    OtherTimeline {
        /// Its own.
        own: TimelineId,
        /// The primary's.
        primary: TimelineId,
    },
    /// Its data belongs to another cluster.
    OtherSystem {
        /// Its own identifier.
        own: String,
        /// The primary's.
        primary: String,
    },
    /// It does not run.
    NotRunning {
        /// Its role.
        role: Role,
    },
    /// It was primary once, does not run, and nothing keeps it from starting writable but its guard.
    Unfenced,
    /// A rewind of it was begun and did not end.
    HalfRewound,
    /// An open debt.
    Owed(Debt),
    /// A restart policy would start it behind the guard's back.
    RestartPolicy {
        /// The policy.
        policy: String,
    },
    /// Its image is not the primary's.
    OtherImage {
        /// Its own.
        own: String,
        /// The primary's.
        primary: String,
    },
    /// A slot has lost its WAL.
    SlotLost {
        /// Its name.
        slot: String,
    },
    /// Its clock is off.
    Clock {
        /// Seconds from the primary's host.
        seconds: u64,
    },
    /// The guard is not there.
    NoGuard,
    /// The marker says one cluster and the data another.
    Marker {
        /// What the marker says.
        marker: String,
        /// What the data says.
        data: String,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSeen { why } => write!(f, "not seen: {why}"),
            Self::NotStreaming { status } if status.is_empty() => {
                f.write_str("gets no WAL: no receiver runs")
            }
            Self::NotStreaming { status } => write!(f, "gets no WAL: its receiver is {status}"),
            Self::OtherTimeline { own, primary } => {
                write!(f, "is on timeline {own}, the primary on {primary}, and gets no WAL")
            }
            Self::OtherSystem { own, primary } => {
                write!(f, "belongs to another cluster: system {own}, the primary's is {primary}")
            }
            Self::NotRunning { role } => write!(f, "does not run ({})", role.word()),
            Self::Unfenced => f.write_str("was a primary and is not fenced"),
            Self::HalfRewound => f.write_str("was being rewound, and that did not end"),
            Self::Owed(debt) => write!(
                f,
                "owed: {} was not fenced when {} was promoted ({}): {}",
                debt.node, debt.promoted, debt.since, debt.reason
            ),
            Self::RestartPolicy { policy } => {
                write!(f, "restart policy is {policy}: it would start without being asked")
            }
            Self::OtherImage { own, primary } => {
                write!(f, "runs image {own}, the primary {primary}")
            }
            Self::SlotLost { slot } => write!(f, "slot {slot} has lost the WAL it should keep"),
            Self::Clock { seconds } => write!(f, "clock is {seconds} s off the primary's"),
            Self::NoGuard => f.write_str("has no guard"),
            Self::Marker { marker, data } => {
                write!(f, "should hold system {marker} and holds {data}: is a disk not mounted?")
            }
        }
    }
}

/// Clocks further apart than this are worth a word; seconds.
const CLOCK_LIMIT: u64 = 5;

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
                if self.findings().is_empty() {
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

    /// Returns everything that is not as it should be, in node order.
    pub fn findings(&self) -> Vec<(String, Finding)> {
        let primary = self.sole_primary();
        let mut findings = Vec::new();
        for node in &self.nodes {
            let mut add = |finding| findings.push((node.name.clone(), finding));
            match &node.answer {
                Answer::Unknown { why } => add(Finding::NotSeen { why: why.clone() }),
                Answer::Seen(seen) => {
                    findings_of(node, seen, primary).into_iter().for_each(&mut add);
                }
            }
        }
        findings
            .extend(self.debts().into_iter().map(|debt| (debt.node.clone(), Finding::Owed(debt))));
        findings
    }

    /// Returns how far a standby's received WAL is behind the primary, in bytes.
    pub fn lag(&self, standby: &Observation) -> Option<u64> {
        let (_, primary) = self.sole_primary()?;
        Some(primary.lsn?.ahead_of(standby.lsn?))
    }
}

fn findings_of(
    node: &Node,
    seen: &Observation,
    primary: Option<(&Node, &Observation)>,
) -> Vec<Finding> {
    let mut out = Vec::new();
    match seen.role {
        Role::Primary => {
            let lost = seen.slots.iter().filter(|slot| slot.wal_status == "lost");
            out.extend(lost.map(|slot| Finding::SlotLost { slot: slot.name.clone() }));
        }
        Role::Standby => match (seen.timeline, primary.and_then(|(_, primary)| primary.timeline)) {
            _ if seen.upstream.is_streaming() => {}
            (Some(own), Some(primary)) if own != primary => {
                out.push(Finding::OtherTimeline { own, primary });
            }
            _ => out.push(Finding::NotStreaming { status: seen.upstream.status.clone() }),
        },
        Role::Stopped if !seen.standby_configured && seen.fenced.is_none() => {
            out.push(Finding::NotRunning { role: seen.role });
            out.push(Finding::Unfenced);
        }
        Role::Starting | Role::Stopped | Role::HalfCloned | Role::Empty | Role::Foreign => {
            out.push(Finding::NotRunning { role: seen.role });
        }
    }
    if seen.rewind.interrupted {
        out.push(Finding::HalfRewound);
    }
    if let (Some(marker), Some(data)) = (&seen.marker, &seen.system_identifier)
        && marker != data
    {
        out.push(Finding::Marker { marker: marker.clone(), data: data.clone() });
    }
    let policy = seen.container.restart_policy.as_str();
    if !policy.is_empty() && policy != "no" {
        out.push(Finding::RestartPolicy { policy: policy.to_owned() });
    }
    if !seen.guard && matches!(seen.role, Role::Primary | Role::Standby) {
        out.push(Finding::NoGuard);
    }
    if let Some((at, primary)) = primary
        && at.name != node.name
    {
        if let (Some(own), Some(primary)) = (&seen.system_identifier, &primary.system_identifier)
            && own != primary
        {
            out.push(Finding::OtherSystem { own: own.clone(), primary: primary.clone() });
        }
        let (own, other) = (&seen.container.image_id, &primary.container.image_id);
        if !own.is_empty() && !other.is_empty() && own != other {
            out.push(Finding::OtherImage { own: own.clone(), primary: other.clone() });
        }
        if let (Some(own), Some(other)) = (seen.clock, primary.clock)
            && own.abs_diff(other) > CLOCK_LIMIT
        {
            out.push(Finding::Clock { seconds: own.abs_diff(other) });
        }
    }
    out
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
