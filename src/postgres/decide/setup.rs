//! Setting up: from nothing, or from whatever part of a cluster is there already.

use super::{
    Act, Consent, Decision, Plan, Refusal, check_systems, gate, refuse_starting,
    refuse_two_primaries,
};
use crate::postgres::observation::{Observation, Role};
use crate::postgres::view::{Node, View, can_follow};

pub(super) fn decide(view: &View, consent: Consent<'_>) -> Decision {
    refuse_two_primaries(view)?;
    refuse_starting(view)?;
    let mut plan = Plan::new(None);
    check_systems(view, consent, &mut plan)?;
    refuse_foreign(view)?;
    let primary = match view.sole_primary() {
        Some((node, _)) => {
            plan.step(&node.name, Act::Keep);
            node
        }
        None => without_primary(view, consent, &mut plan)?,
    };
    plan.primary = Some(primary.name.clone());
    for node in view.nodes.iter().filter(|node| node.name != primary.name) {
        let Some(seen) = node.seen() else { continue };
        make_follow(&mut plan, node, seen, primary)?;
    }
    gate::check(view, primary, &mut plan, consent)?;
    Ok(plan)
}

fn refuse_foreign(view: &View) -> Result<(), Box<Refusal>> {
    let Some((node, _)) = view.in_role(Role::Foreign).next() else { return Ok(()) };
    Err(Refusal::new(
        &format!("data directory of {}", node.name),
        "files that are not PostgreSQL's",
        "empty, or a data directory of this cluster",
        "Set pg_data_root to a directory of its own, or move the files away.",
    ))
}

/// Finds the node that becomes the primary when none runs.
fn without_primary<'a>(
    view: &'a View,
    consent: Consent<'_>,
    plan: &mut Plan,
) -> Result<&'a Node, Box<Refusal>> {
    let unknown: Vec<_> = view.unknown().collect();
    for (node, why) in unknown {
        let refusal = Refusal::new(
            "nodes that could be the primary",
            format!("{} did not answer ({why})", node.name),
            "every node seen",
            "Make its host reachable and run this again.",
        );
        consent.or(refusal.unless_accepted(format!("{}-unreachable", node.name)), plan)?;
    }
    if let Some((standby, _)) = view.in_role(Role::Standby).next() {
        return match stopped_primary(view) {
            // A standby runs and its primary only has to be started: nothing was promoted meanwhile.
            Some((node, seen))
                if view
                    .in_role(Role::Standby)
                    .all(|(_, other)| other.timeline <= seen.timeline) =>
            {
                plan.step(&node.name, Act::Start);
                Ok(node)
            }
            Some(_) | None => Err(Refusal::new(
                "primary of the cluster",
                format!("none; {} is a standby", standby.name),
                "one that runs, or one that is stopped and not behind its standbys",
                "Start the old primary, or make the standby the primary: matron pg failover.",
            )),
        };
    }
    let stopped: Vec<_> = view.in_role(Role::Stopped).collect();
    match stopped.as_slice() {
        [] => {
            let node = preferred(view)?;
            plan.step(&node.name, Act::Create);
            plan.fact(format!("no node holds data yet: {} becomes the primary", node.name));
            Ok(node)
        }
        _ => match stopped_primary(view) {
            Some((node, seen))
                if stopped.iter().all(|(_, other)| other.timeline <= seen.timeline) =>
            {
                plan.step(&node.name, Act::Start);
                plan.fact(format!("{} was the primary and is stopped", node.name));
                Ok(node)
            }
            Some(_) | None => {
                let nodes: Vec<_> = stopped.iter().map(|(node, _)| node.name.as_str()).collect();
                Err(Refusal::new(
                    "primary of the cluster",
                    format!("none runs, and {} are stopped", nodes.join(" and ")),
                    "exactly one stopped node that was the primary and is not behind another",
                    "Look at matron pg status, start the node that was the primary, and run this again.",
                ))
            }
        },
    }
}

/// Returns the only stopped node that would start as a primary.
fn stopped_primary(view: &View) -> Option<(&Node, &Observation)> {
    let mut stopped = view
        .in_role(Role::Stopped)
        .filter(|(_, seen)| !seen.standby_configured && seen.fenced.is_none());
    let first = stopped.next()?;
    stopped.next().is_none().then_some(first)
}

fn preferred(view: &View) -> Result<&Node, Box<Refusal>> {
    let preferred: Vec<_> = view.nodes.iter().filter(|node| node.preferred).collect();
    let first_seen = || view.nodes.iter().find(|node| node.seen().is_some());
    match preferred.as_slice() {
        [one] if one.seen().is_some() => Some(*one),
        [] | [_] => first_seen(),
        many => {
            let names: Vec<_> = many.iter().map(|node| node.name.as_str()).collect();
            return Err(Refusal::new(
                "hosts with pg_prefer: primary",
                names.join(" and "),
                "at most one",
                "Keep it on the host where the primary should live in quiet times.",
            ));
        }
    }
    .ok_or_else(|| {
        Refusal::new(
            "nodes of the cluster",
            "none answers",
            "at least one",
            "Make a host of group databases reachable.",
        )
    })
}

fn make_follow(
    plan: &mut Plan,
    node: &Node,
    seen: &Observation,
    primary: &Node,
) -> Result<(), Box<Refusal>> {
    match seen.role {
        Role::Standby => plan.step_about(&node.name, Act::Follow, &primary.name),
        Role::Empty | Role::HalfCloned => {
            plan.step_about(&node.name, Act::Clone, &primary.name);
            plan.step_about(&node.name, Act::Follow, &primary.name);
        }
        Role::Stopped => {
            let follows = seen.standby_configured
                && primary.seen().is_some_and(|primary| {
                    primary.role != Role::Primary || can_follow(seen, primary)
                });
            if !follows || seen.fenced.is_some() {
                let timeline = seen
                    .timeline
                    .map_or_else(String::new, |timeline| format!(", timeline {timeline}"));
                return Err(Refusal::new(
                    &format!("data on {}", node.name),
                    format!(
                        "a stopped node of this cluster that cannot simply follow {}{timeline}",
                        primary.name
                    ),
                    "nothing, or a standby's data",
                    "Bring it back as a standby: matron pg rejoin. Its data is kept aside.",
                ));
            }
            plan.step_about(&node.name, Act::Follow, &primary.name);
        }
        // The callers have refused these.
        Role::Primary | Role::Starting | Role::Foreign => {}
    }
    Ok(())
}
