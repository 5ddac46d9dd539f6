//! Switching over: the primary's part goes to a standby while both are well. Everything that could go wrong is checked before,
//! and one that was interrupted is finished, or taken back.

mod checks;
mod unfinished;

use serde::{Deserialize, Serialize};

use super::checks::Checklist;
use super::{Act, Consent, Decision, Plan, Refusal, check_systems, refuse_two_primaries};
use crate::postgres::observation::{Observation, Role};
use crate::postgres::view::{Node, View};

/// What a switchover may meet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of WAL that the candidate may be behind.
    pub lag: u64,
    /// Seconds within which the proof has to be there (`pg_switchover_budget`).
    pub budget: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { lag: 16 << 20, budget: 30 }
    }
}

pub(super) fn decide(
    view: &View,
    wanted: Option<&str>,
    limits: Limits,
    consent: Consent<'_>,
) -> Decision {
    refuse_two_primaries(view)?;
    let mut plan = Plan::new(None);
    check_systems(view, consent, &mut plan)?;
    if let Some(wanted) = wanted
        && view.node(wanted).is_none()
    {
        return Err(no_such_node(view, wanted));
    }
    if let Some(decision) = unfinished::decide(view, wanted, consent, &mut plan) {
        return decision.map(|()| plan);
    }
    let (primary, truth) = primary(view)?;
    if wanted == Some(primary.name.as_str()) {
        return Ok(already(view, primary));
    }
    let (candidate, standby) = candidate(view, primary, truth, wanted)?;
    let mut list = Checklist::new(consent);
    let pair = checks::Pair { view, primary, truth, candidate, standby, limits };
    pair.check(&mut list);
    list.close(&mut plan)?;

    plan.primary = Some(candidate.name.clone());
    plan.old_primary = Some(primary.name.clone());
    plan.step_about(&primary.name, Act::HandOver, &candidate.name);
    plan.step_about(&candidate.name, Act::TakeOver, &primary.name);
    plan.step(&candidate.name, Act::VerifyWrite);
    follow(view, &mut plan, &candidate.name, Some(&primary.name));
    plan.step(&primary.name, Act::EndHandover);
    Ok(plan)
}

/// Every other standby that answers follows the new primary, and so does the old one.
fn follow(view: &View, plan: &mut Plan, primary: &str, old: Option<&str>) {
    for node in view.nodes.iter().filter(|node| node.name != primary) {
        if old == Some(node.name.as_str()) || node.role() == Some(Role::Standby) {
            plan.step_about(&node.name, Act::Follow, primary);
        }
    }
}

fn no_such_node(view: &View, wanted: &str) -> Box<Refusal> {
    let names: Vec<_> = view.nodes.iter().map(|node| node.name.as_str()).collect();
    Refusal::new(
        "candidate",
        format!("{wanted}, which is no node of {}", view.cluster),
        &names.join(" or "),
        "Name a node of this cluster.",
    )
}

/// Asked for what is the case: nothing to do but to let the standbys follow.
fn already(view: &View, primary: &Node) -> Plan {
    let mut plan = Plan::new(Some(&primary.name));
    plan.fact(format!("{} is the primary already", primary.name));
    plan.step(&primary.name, Act::VerifyWrite);
    follow(view, &mut plan, &primary.name, None);
    plan
}

fn primary(view: &View) -> Result<(&Node, &Observation), Box<Refusal>> {
    view.sole_primary().ok_or_else(|| {
        let unknown: Vec<_> = view.unknown().map(|(node, _)| node.name.as_str()).collect();
        let value = if unknown.is_empty() {
            "none takes writes".to_owned()
        } else {
            format!("none was seen, and {} did not answer", unknown.join(" and "))
        };
        Refusal::new(
            "primary that hands over",
            value,
            "one that takes writes",
            "A switchover needs a primary that can stop in order. If it is lost: matron pg failover; if it is only stopped: matron pg setup.",
        )
    })
}

/// Finds the standby that takes over: the named one, else the preferred one, else one whose confirmation commits wait for, else the
/// one with the most WAL.
fn candidate<'a>(
    view: &'a View,
    primary: &Node,
    truth: &Observation,
    wanted: Option<&str>,
) -> Result<(&'a Node, &'a Observation), Box<Refusal>> {
    if let Some(node) = wanted.and_then(|wanted| view.node(wanted)) {
        return node.seen().map(|seen| (node, seen)).ok_or_else(|| {
            Refusal::new(
                &format!("role of {}", node.name),
                "unknown: its host did not answer",
                "a running standby",
                "Make its host reachable, or name another one.",
            )
        });
    }
    let mut best: Option<(&Node, &Observation)> = None;
    let key = |node: &Node, seen: &Observation| {
        let row = view.following(node, truth);
        let confirms = row.is_some_and(super::super::observation::Follower::confirms);
        (node.preferred, row.is_some(), confirms, seen.lsn)
    };
    for (node, seen) in view.in_role(Role::Standby) {
        if best.is_none_or(|(other, known)| key(node, seen) > key(other, known)) {
            best = Some((node, seen));
        }
    }
    best.ok_or_else(|| {
        let states: Vec<_> = view
            .nodes
            .iter()
            .filter(|node| node.name != primary.name)
            .map(|node| match node.role() {
                Some(role) => format!("{} is {}", node.name, role.word()),
                None => format!("{} is unknown", node.name),
            })
            .collect();
        Refusal::new(
            "running standbys",
            if states.is_empty() {
                "none: the cluster has one node".to_owned()
            } else {
                format!("none ({})", states.join(", "))
            },
            "at least one",
            "Bring one back first: matron pg rejoin, or matron pg setup.",
        )
    })
}
