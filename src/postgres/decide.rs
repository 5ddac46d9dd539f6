//! From a view and a goal to the steps that get there, or a refusal that names the fact. Pure.
//!
//! Every refusal says what was checked, what was found, what would be allowed, and what to do. Some may be overruled, each by
//! its own name and never by a general force.

mod adopt;
mod checks;
mod failover;
mod gate;
mod rejoin;
mod rewind;
mod setup;
mod start;
mod switchover;
mod upstream;

use std::collections::BTreeMap;

pub use adopt::Found;
pub use checks::{Check, CheckVerdict};
pub use rewind::{By, Fork, Stretch};
use serde::{Deserialize, Serialize};
pub use switchover::Limits as SwitchoverLimits;

use super::lsn::Lsn;
use super::observation::Role;
use super::view::{Verdict, View};

/// What is wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Goal {
    /// One primary and every other node its standby, from nothing or from whatever part of it is there.
    SetUp,
    /// A standby becomes the primary because the old one is lost.
    Failover {
        /// The standby to promote; the one with the most WAL when it is not named.
        candidate: Option<String>,
        /// How far it has come.
        stage: FailoverStage,
    },
    /// Nodes that do not follow the primary follow it again.
    Rejoin {
        /// Only this one; all of them when it is not named.
        node: Option<String>,
        /// How those are brought back that went their own way.
        by: By,
    },
    /// What is stopped starts again, as far as that cannot make a second primary.
    Start {
        /// Only this one; all of them when it is not named.
        node: Option<String>,
    },
    /// A cluster that was built by hand becomes matron's.
    Adopt {
        /// What was found, by node.
        found: Found,
    },
    /// A standby becomes the primary while the old one is well, and nothing is lost.
    Switchover {
        /// The standby to promote; chosen when it is not named.
        candidate: Option<String>,
        /// What it may meet.
        limits: SwitchoverLimits,
    },
    /// Nothing but a verdict.
    Status,
}

/// A failover decides twice: first whether to begin, then, after what could be done about the old primary, whether to promote.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum FailoverStage {
    /// Nothing was done yet: what time and a fence command may settle is pending.
    First {
        /// There is a command that switches the old primary's host off.
        can_cut: bool,
    },
    /// What was not settled is refused.
    #[default]
    Last,
    /// As the last, and a command switched the old primary's host off and said so by its exit status.
    LastAfterCut,
}

/// What a first decision leaves to be settled.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pending {
    /// The old primary's host has to be switched off by the fence command.
    Cut,
    /// The old primary has to be silent for its standbys.
    Silence,
}

/// One thing to do on one node.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Make a new database: the first node of a new cluster.
    Create,
    /// Take its container over, data in place.
    Adopt,
    /// Keep it as it is, settings aside.
    Keep,
    /// Start it as what its data directory says.
    Start,
    /// Stop it, and see to it that it can only come up as a standby.
    Fence,
    /// Remember that another node could not be fenced.
    RecordDebt,
    /// Make it the primary.
    Promote,
    /// Prove that it takes writes.
    VerifyWrite,
    /// List and keep what only it holds.
    ListLost,
    /// Make its data that of the primary again, by copying what differs.
    Rewind,
    /// Move its data aside.
    MoveAside,
    /// Copy the primary's data.
    Clone,
    /// Configure it as a standby of the primary.
    Follow,
    /// Forget what is owed about it: it has been dealt with.
    PayDebt,
    /// Stop it in order, fenced, so that another node can take over.
    HandOver,
    /// Promote it once it holds everything that the old primary wrote.
    TakeOver,
    /// Make it the primary that it was: nobody took over.
    TakeBack,
    /// Forget that a switchover was under way.
    EndHandover,
}

/// An act and where it is done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Step {
    /// On which node.
    pub node: String,
    /// What.
    pub act: Act,
    /// The other node it is about: the source of a copy, the node to follow, the debtor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
}

/// One thing that will be another way, told before anything is done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Change {
    /// On which node.
    pub node: String,
    /// What, for people.
    pub what: String,
    /// It takes a restart of that node's server.
    pub restart: bool,
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let restart = if self.restart { " (restart)" } else { "" };
        write!(f, "{}: {}{restart}", self.node, self.what)
    }
}

/// What a plan may cost.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "loss", rename_all = "snake_case")]
pub enum Loss {
    /// Nothing that was committed is lost, and that is proven.
    None,
    /// At least this much is lost.
    AtLeast {
        /// Bytes of WAL.
        bytes: u64,
    },
    /// This much is lost: the old primary's WAL was read.
    Counted {
        /// Bytes of WAL.
        bytes: u64,
        /// Commits in it.
        commits: u64,
        /// Seconds from the first of them to the last.
        seconds: u64,
    },
    /// Commits that the standby had not received are lost; how many cannot be known from here.
    Unknown,
}

/// The steps to a goal, in order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// The primary when the plan is done.
    pub primary: Option<String>,
    /// The primary before it, when that is another node.
    pub old_primary: Option<String>,
    /// What to do.
    pub steps: Vec<Step>,
    /// What may be lost.
    pub loss: Loss,
    /// The facts it rests on, for people.
    pub facts: Vec<String>,
    /// What was accepted by name and mattered.
    pub accepted: Vec<String>,
    /// What was checked, in order, each with what was found.
    pub checks: Vec<Check>,
    /// The position that the new primary has to be past, when the old one has stopped already.
    pub proof: Option<Lsn>,
    /// By node: where it left the primary's history.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub forks: BTreeMap<String, Fork>,
    /// For every node but the primary: the node it shall follow.
    pub upstreams: BTreeMap<String, String>,
    /// For every node that is copied: the node it is copied from.
    pub sources: BTreeMap<String, String>,
    /// What will be another way, where that is told beforehand.
    #[serde(default)]
    pub changes: Vec<Change>,
    /// What has to be settled before the last decision.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<Pending>,
}

impl Plan {
    fn new(primary: Option<&str>) -> Self {
        Self {
            primary: primary.map(str::to_owned),
            old_primary: None,
            steps: Vec::new(),
            loss: Loss::None,
            facts: Vec::new(),
            accepted: Vec::new(),
            checks: Vec::new(),
            proof: None,
            forks: BTreeMap::new(),
            upstreams: BTreeMap::new(),
            sources: BTreeMap::new(),
            changes: Vec::new(),
            pending: Vec::new(),
        }
    }

    fn step(&mut self, node: &str, act: Act) {
        self.steps.push(Step { node: node.to_owned(), act, about: None });
    }

    fn step_about(&mut self, node: &str, act: Act, about: &str) {
        self.steps.push(Step { node: node.to_owned(), act, about: Some(about.to_owned()) });
    }

    fn fact(&mut self, fact: impl Into<String>) {
        self.facts.push(fact.into());
    }

    /// Returns the acts of one node, in order.
    pub fn acts_on<'a>(&'a self, node: &'a str) -> impl Iterator<Item = &'a Act> {
        self.steps.iter().filter(move |step| step.node == node).map(|step| &step.act)
    }
}

/// Why there is no plan.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
#[error("refused: {check}: found {value}; allowed is {limit}. {way_out}{}", accept_hint(.accept.as_deref()))]
pub struct Refusal {
    /// What was checked.
    pub check: String,
    /// What was found.
    pub value: String,
    /// What would be allowed.
    pub limit: String,
    /// What to do, as a sentence.
    pub way_out: String,
    /// The word to put into `matron_accept` to overrule it, where that can be.
    pub accept: Option<String>,
    /// Everything that was checked, this refusal among it: a look at the list saves the next refusal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
}

fn accept_hint(accept: Option<&str>) -> String {
    accept
        .map_or_else(String::new, |word| format!(" To go on all the same: -e matron_accept={word}"))
}

impl Refusal {
    fn new(check: &str, value: impl Into<String>, limit: &str, way_out: &str) -> Box<Self> {
        Box::new(Self {
            check: check.to_owned(),
            value: value.into(),
            limit: limit.to_owned(),
            way_out: way_out.to_owned(),
            accept: None,
            checks: Vec::new(),
        })
    }

    fn unless_accepted(mut self: Box<Self>, word: impl Into<String>) -> Box<Self> {
        self.accept = Some(word.into());
        self
    }
}

/// What a decision returns.
pub type Decision = Result<Plan, Box<Refusal>>;

/// Decides. A refusal holds what was checked, itself among it.
pub fn decide(view: &View, goal: &Goal, accept: &[String]) -> Decision {
    let consent = Consent { words: accept };
    let decision = steps(view, goal, consent).and_then(|mut plan| {
        upstream::assign(view, &mut plan);
        upstream::choose_sources(view, &mut plan)?;
        Ok(plan)
    });
    decision.map_err(|mut refusal| {
        if !refusal.checks.iter().any(|check| check.verdict == CheckVerdict::Refused) {
            let check = Check::of(&refusal, CheckVerdict::Refused);
            refusal.checks.push(check);
        }
        refusal
    })
}

/// Returns a plan with its steps; who follows whom is worked out of them.
fn steps(view: &View, goal: &Goal, consent: Consent<'_>) -> Decision {
    match goal {
        Goal::SetUp => setup::decide(view, consent),
        Goal::Failover { candidate, stage } => {
            failover::decide(view, candidate.as_deref(), *stage, consent)
        }
        Goal::Rejoin { node, by } => rejoin::decide(view, node.as_deref(), *by, consent),
        Goal::Start { node } => start::decide(view, node.as_deref(), consent),
        Goal::Adopt { found } => adopt::decide(view, found, consent),
        Goal::Switchover { candidate, limits } => {
            switchover::decide(view, candidate.as_deref(), *limits, consent)
        }
        Goal::Status => Ok(status(view)),
    }
}

/// What was accepted by name.
#[derive(Clone, Copy, Debug)]
struct Consent<'a> {
    words: &'a [String],
}

impl Consent<'_> {
    /// Passes when the refusal's word was accepted, and notes that in the plan.
    fn or(self, mut refusal: Box<Refusal>, plan: &mut Plan) -> Result<(), Box<Refusal>> {
        match &refusal.accept {
            Some(word) if self.words.contains(word) => {
                plan.checks.push(Check::of(&refusal, CheckVerdict::Accepted));
                if !plan.accepted.contains(word) {
                    plan.accepted.push(word.clone());
                }
                plan.fact(format!("{}: {} (accepted)", refusal.check, refusal.value));
                Ok(())
            }
            Some(_) | None => {
                refusal.checks.clone_from(&plan.checks);
                Err(refusal)
            }
        }
    }
}

fn status(view: &View) -> Plan {
    let primary = match view.verdict() {
        Verdict::Healthy { primary } | Verdict::Degraded { primary } => Some(primary),
        Verdict::Empty | Verdict::TwoPrimaries { .. } | Verdict::NoPrimary | Verdict::Unknown => {
            None
        }
    };
    let mut plan = Plan::new(primary.as_deref());
    for (node, finding) in view.findings() {
        plan.fact(format!("{node} {finding}"));
    }
    plan
}

/// Refuses when more than one node takes writes.
fn refuse_two_primaries(view: &View) -> Result<(), Box<Refusal>> {
    let primaries: Vec<_> = view.in_role(Role::Primary).collect();
    if primaries.len() < 2 {
        return Ok(());
    }
    let value: Vec<_> = primaries
        .iter()
        .map(|(node, seen)| match seen.timeline {
            Some(timeline) => format!("{} (timeline {timeline})", node.name),
            None => node.name.clone(),
        })
        .collect();
    Err(Refusal::new(
        "number of nodes that take writes",
        value.join(" and "),
        "one",
        "Find out which one the archive has been writing to, stop the other one's container, and run this again.",
    ))
}

/// Refuses when nodes hold data of different clusters, or a marker says that a disk is missing.
fn check_systems(view: &View, consent: Consent<'_>, plan: &mut Plan) -> Result<(), Box<Refusal>> {
    let mut first: Option<(&str, &str)> = None;
    for node in &view.nodes {
        let Some(seen) = node.seen() else { continue };
        let own = seen.system_identifier.as_deref();
        let held = own.or(matches!(seen.role, Role::Empty | Role::Foreign).then_some("nothing"));
        if let (Some(marker), Some(held)) = (seen.marker.as_deref(), held)
            && held != marker
        {
            let refusal = Refusal::new(
                &format!("system identifier of the data on {}", node.name),
                held,
                &format!("{marker}, as the marker on that host says"),
                "Mount the disk that is missing and run this again.",
            );
            consent.or(refusal.unless_accepted(format!("{}-data-gone", node.name)), plan)?;
        }
        match (own, first) {
            (Some(own), None) => first = Some((&node.name, own)),
            (Some(own), Some((name, other))) if own != other => {
                return Err(Refusal::new(
                    "system identifier of all nodes",
                    format!("{own} on {} and {other} on {name}", node.name),
                    "one and the same",
                    "One of them holds the data of another cluster. Check the inventory; matron overwrites neither.",
                ));
            }
            (Some(_) | None, _) => {}
        }
    }
    Ok(())
}

/// Refuses while a server is starting: what it will be is not known yet.
fn refuse_starting(view: &View) -> Result<(), Box<Refusal>> {
    let Some((node, seen)) = view.in_role(Role::Starting).next() else { return Ok(()) };
    let trouble = seen.trouble.as_deref().unwrap_or("its server does not answer yet");
    Err(Refusal::new(
        &format!("server on {}", node.name),
        format!("starting ({trouble})"),
        "running or stopped",
        "Wait until it answers, or read its log with docker logs, and run this again.",
    ))
}

#[cfg(test)]
mod tests;
