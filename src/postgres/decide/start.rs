//! Starting what is stopped, by an operator's word: what the guard may not decide alone, and the same proof where there is one.

use super::{
    Act, Consent, Decision, Plan, Refusal, check_systems, refuse_starting, refuse_two_primaries,
};
use crate::postgres::observation::{Observation, Role};
use crate::postgres::timeline::TimelineId;
use crate::postgres::view::{Node, View};

pub(super) fn decide(view: &View, wanted: Option<&str>, consent: Consent<'_>) -> Decision {
    refuse_two_primaries(view)?;
    refuse_starting(view)?;
    let mut plan = Plan::new(None);
    check_systems(view, consent, &mut plan)?;
    if let Some(wanted) = wanted {
        check_wanted(view, wanted)?;
    }
    let asked = |node: &Node| wanted.is_none_or(|wanted| wanted == node.name);
    for (node, seen) in view.in_role(Role::Stopped).filter(|(node, _)| asked(node)) {
        if seen.fenced.is_none() && seen.standby_configured {
            plan.fact(format!("{} is a standby and may always start", node.name));
            plan.step(&node.name, Act::Start);
        }
    }
    let fenced = view.in_role(Role::Stopped).filter(|(_, seen)| seen.fenced.is_some());
    for (node, _) in fenced {
        plan.fact(format!("{} is fenced and stays down: matron pg rejoin", node.name));
    }
    let claims: Vec<_> = view.in_role(Role::Stopped).filter(|(_, seen)| claims(seen)).collect();
    if let Some((primary, _)) = view.sole_primary() {
        plan.primary = Some(primary.name.clone());
        if let Some((node, _)) = claims.iter().find(|(node, _)| asked(node)) {
            // Left to the verb that knows what to do with its data, unless it was asked for by name.
            if wanted.is_some() {
                return Err(second_primary(node, primary));
            }
            plan.fact(format!("{} was a primary and stays down: matron pg rejoin", node.name));
        }
        return Ok(plan);
    }
    if let Some((node, seen)) = chosen(&claims, wanted)? {
        refuse_behind(view, node, seen)?;
        refuse_unasked(view, node, consent, &mut plan)?;
        settle_others(&claims, node, seen, consent, &mut plan)?;
        forget_debts(view, node, &mut plan)?;
        plan.primary = Some(node.name.clone());
        plan.fact(format!(
            "{} was the primary and no node that was seen took its place",
            node.name
        ));
        plan.step(&node.name, Act::Start);
        plan.step(&node.name, Act::VerifyWrite);
    }
    Ok(plan)
}

/// Tells whether a stopped node would come up as a primary.
fn claims(seen: &Observation) -> bool {
    !seen.standby_configured && seen.fenced.is_none()
}

fn check_wanted(view: &View, wanted: &str) -> Result<(), Box<Refusal>> {
    let refuse = |value: String, limit: &str, way_out: &str| {
        Err(Refusal::new("node to start", value, limit, way_out))
    };
    let Some(node) = view.node(wanted) else {
        return refuse(
            format!("{wanted}, which is no node of {}", view.cluster),
            "a node of this cluster",
            "Check the name.",
        );
    };
    let Some(seen) = node.seen() else {
        return refuse(
            format!("{wanted}, whose host cannot be reached"),
            "a host that answers",
            "Make it reachable and run this again.",
        );
    };
    match seen.role {
        Role::Stopped if seen.fenced.is_some() => refuse(
            format!("{wanted}, which is fenced ({})", seen.fenced.as_deref().unwrap_or_default()),
            "a node that is not",
            "Another node took its place: matron pg rejoin makes it a standby of that one.",
        ),
        Role::Empty | Role::HalfCloned | Role::Foreign => refuse(
            format!("{wanted}, which is {}", seen.role.word()),
            "one with data",
            "matron pg setup, or matron pg rejoin.",
        ),
        Role::Stopped | Role::Primary | Role::Standby | Role::Starting => Ok(()),
    }
}

fn second_primary(node: &Node, primary: &Node) -> Box<Refusal> {
    Refusal::new(
        "node to start",
        format!("{}, which was a primary, while {} takes writes", node.name, primary.name),
        "no second primary",
        "matron pg rejoin makes it a standby.",
    )
}

/// Returns the node that comes up as the primary: the one that was named, else the only one that claims to be it, else the one
/// that was promoted last.
fn chosen<'a>(
    claims: &[(&'a Node, &'a Observation)],
    wanted: Option<&str>,
) -> Result<Option<(&'a Node, &'a Observation)>, Box<Refusal>> {
    if let Some(wanted) = wanted {
        return Ok(claims.iter().find(|(node, _)| node.name == wanted).copied());
    }
    let Some(latest) = claims.iter().map(|(_, seen)| seen.timeline).max() else {
        return Ok(None);
    };
    let mut last = claims.iter().filter(|(_, seen)| seen.timeline == latest);
    let first = last.next().copied();
    if last.next().is_some() {
        let names: Vec<_> = claims.iter().map(|(node, _)| node.name.as_str()).collect();
        return Err(Refusal::new(
            "stopped nodes that were the primary",
            format!("{} on the same timeline", names.join(" and ")),
            "one that was promoted last",
            "Find out which one the archive wrote to last and name it: matron pg start --node NODE.",
        ));
    }
    Ok(first)
}

/// Refuses when a node that was seen is on a later timeline: another one was promoted after this one.
fn refuse_behind(view: &View, node: &Node, own: &Observation) -> Result<(), Box<Refusal>> {
    let number = |timeline: Option<TimelineId>| timeline.map_or(0, |timeline| timeline.0);
    for (other, seen) in view.nodes.iter().filter_map(|other| Some((other, other.seen()?))) {
        if other.name != node.name && number(seen.timeline) > number(own.timeline) {
            return Err(Refusal::new(
                &format!("timeline of {}", node.name),
                format!("{}; {} is on {}", number(own.timeline), other.name, number(seen.timeline)),
                "the latest of all nodes",
                "Another node was promoted after it: start that one, and rejoin this one.",
            ));
        }
    }
    Ok(())
}

/// The word that accepts every silence at once.
const PEERS: &str = "peer-unreachable";

fn refuse_unasked(
    view: &View,
    node: &Node,
    consent: Consent<'_>,
    plan: &mut Plan,
) -> Result<(), Box<Refusal>> {
    for (other, why) in view.unknown() {
        let own = format!("{}-unreachable", other.name);
        let word = if consent.words.contains(&own) { own } else { PEERS.to_owned() };
        let refusal = Refusal::new(
            "nodes that could have taken its place",
            format!("{} cannot be reached ({why})", other.name),
            "every node seen",
            &format!(
                "Make its host reachable. If it is lost, and you know that nothing promoted it while {} was down: accept that.",
                node.name
            ),
        );
        consent.or(refusal.unless_accepted(word), plan)?;
    }
    Ok(())
}

/// What becomes of other stopped nodes that were a primary: they are fenced, so that they cannot start as a second one.
fn settle_others(
    claims: &[(&Node, &Observation)],
    node: &Node,
    own: &Observation,
    consent: Consent<'_>,
    plan: &mut Plan,
) -> Result<(), Box<Refusal>> {
    for (other, seen) in claims.iter().filter(|(other, _)| other.name != node.name) {
        if seen.timeline == own.timeline {
            let refusal = Refusal::new(
                "stopped nodes that were the primary",
                format!("{} and {} on the same timeline", node.name, other.name),
                "one",
                &format!(
                    "{} would be fenced; what only it holds is kept and not merged.",
                    other.name
                ),
            );
            consent.or(refusal.unless_accepted(format!("fence-{}", other.name)), plan)?;
        } else {
            plan.fact(format!("{} was promoted after {}", node.name, other.name));
        }
        plan.step(&other.name, Act::Fence);
    }
    Ok(())
}

/// A failover away from this node that never promoted anybody is undone.
fn forget_debts(view: &View, node: &Node, plan: &mut Plan) -> Result<(), Box<Refusal>> {
    for (holder, seen) in view.nodes.iter().filter_map(|other| Some((other, other.seen()?))) {
        if holder.name == node.name || !seen.debts.iter().any(|debt| debt.node == node.name) {
            continue;
        }
        if seen.role != Role::Standby && !seen.standby_configured {
            return Err(Refusal::new(
                "what is owed",
                format!("{}, by the failover that made {} the primary", node.name, holder.name),
                "nothing",
                "Start the other one, and rejoin this one.",
            ));
        }
        plan.fact(format!(
            "a failover to {} was begun and promoted nobody: it is undone",
            holder.name
        ));
        plan.step_about(&holder.name, Act::PayDebt, &node.name);
    }
    Ok(())
}
