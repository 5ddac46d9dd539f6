//! Rejoining: every node that does not follow the primary follows it again, and nothing is thrown away.
//!
//! A node that holds nothing the primary has not just follows. One that went its own way is rewound where that can work, and
//! copied anew otherwise; what it alone held is listed and kept first.

use super::rewind::{Obstacle, fork, obstacles};
use super::{
    Act, By, Check, CheckVerdict, Consent, Decision, Plan, Refusal, check_systems, gate, upstream,
};
use crate::postgres::observation::{Observation, Role};
use crate::postgres::view::{Node, View, can_follow};

pub(super) fn decide(view: &View, wanted: Option<&str>, by: By, consent: Consent<'_>) -> Decision {
    let mut plan = Plan::new(None);
    check_systems(view, consent, &mut plan)?;
    let (primary, truth) = proven_primary(view, consent, &mut plan)?;
    plan.primary = Some(primary.name.clone());
    if let Some(wanted) = wanted {
        check_wanted(view, wanted, primary)?;
    }
    for node in view.nodes.iter().filter(|node| node.name != primary.name) {
        if wanted.is_some_and(|wanted| wanted != node.name) {
            continue;
        }
        match node.seen() {
            Some(seen) => bring_back(view, &mut plan, node, seen, (primary, truth), by)?,
            None => plan.fact(format!("{} was not seen and is left alone", node.name)),
        }
    }
    re_point(view, &mut plan, wanted);
    gate::check(view, primary, &mut plan, consent)?;
    Ok(plan)
}

/// Standbys that stream, and from another node than they shall, change over once what is brought back is there.
fn re_point(view: &View, plan: &mut Plan, wanted: Option<&str>) {
    upstream::assign(view, plan);
    for node in &view.nodes {
        let Some(shall) = plan.upstreams.get(&node.name).cloned() else { continue };
        let left_alone = wanted.is_some_and(|wanted| wanted != node.name)
            || plan.acts_on(&node.name).any(|act| *act == Act::Follow);
        let Some(now) = view.streams_from(node) else { continue };
        if now.name != shall && !left_alone {
            plan.fact(format!("{} follows {} and shall follow {shall}", node.name, now.name));
            plan.step_about(&node.name, Act::Follow, &shall);
        }
    }
}

fn check_wanted(view: &View, wanted: &str, primary: &Node) -> Result<(), Box<Refusal>> {
    let refuse = |value: String, limit: &str, way_out: &str| {
        Err(Refusal::new("node to rejoin", value, limit, way_out))
    };
    match view.node(wanted) {
        None => refuse(
            format!("{wanted}, which is no node of {}", view.cluster),
            "a node of this cluster",
            "Check the name.",
        ),
        Some(node) if node.name == primary.name => refuse(
            format!("{wanted}, which is the primary"),
            "a node that is not",
            "Name the other one, or none.",
        ),
        Some(node) if node.seen().is_none() => refuse(
            format!("{wanted}, whose host cannot be reached"),
            "a host that answers",
            "Make it reachable and run this again.",
        ),
        Some(_) => Ok(()),
    }
}

/// Finds the one node whose history counts. With two that take writes, the one on the later timeline was promoted by somebody;
/// the other one is stopped only when that is accepted by name, for what it wrote since goes aside with it.
fn proven_primary<'a>(
    view: &'a View,
    consent: Consent<'_>,
    plan: &mut Plan,
) -> Result<(&'a Node, &'a Observation), Box<Refusal>> {
    let mut primaries: Vec<_> = view.in_role(Role::Primary).collect();
    primaries.sort_by_key(|(_, seen)| std::cmp::Reverse(seen.timeline));
    match primaries.as_slice() {
        [] => {
            let unknown: Vec<_> = view.unknown().map(|(node, _)| node.name.as_str()).collect();
            let value = if unknown.is_empty() {
                "none takes writes".to_owned()
            } else {
                format!("none was seen, and {} cannot be reached", unknown.join(" and "))
            };
            Err(Refusal::new(
                "primary to follow",
                value,
                "one that takes writes",
                "Make a primary first: matron pg failover, or start the one that is stopped.",
            ))
        }
        [one] => Ok(*one),
        [first, second, ..] => {
            if first.1.timeline == second.1.timeline {
                return Err(Refusal::new(
                    "nodes that take writes",
                    format!("{} and {} on the same timeline", first.0.name, second.0.name),
                    "one",
                    "Which one the archive wrote to cannot be told from here: stop the other one's container and run this again.",
                ));
            }
            for (node, _) in primaries.iter().skip(1) {
                let refusal = Refusal::new(
                    "nodes that take writes",
                    format!("{} beside {}, which was promoted later", node.name, first.0.name),
                    "one",
                    "What it wrote since then is kept aside and not merged.",
                );
                consent.or(refusal.unless_accepted(format!("stop-{}", node.name)), plan)?;
            }
            Ok(*first)
        }
    }
}

fn bring_back(
    view: &View,
    plan: &mut Plan,
    node: &Node,
    seen: &Observation,
    (primary, truth): (&Node, &Observation),
    by: By,
) -> Result<(), Box<Refusal>> {
    let name = node.name.as_str();
    match seen.role {
        Role::Standby if follows(view, node, primary, truth) => {
            let from = view.streams_from(node).map_or(primary.name.as_str(), |from| &from.name);
            plan.fact(format!("{name} follows {from} already"));
        }
        Role::Standby | Role::Stopped if by != By::Clone && can_follow(seen, truth) => {
            plan.fact(format!(
                "{name} holds nothing that {} does not: it follows without a new copy",
                primary.name
            ));
            plan.step_about(name, Act::Follow, &primary.name);
        }
        Role::Primary | Role::Standby | Role::Stopped => {
            went_its_own_way(plan, node, seen, (primary, truth), by)?;
        }
        Role::Empty | Role::HalfCloned => {
            plan.step_about(name, Act::Clone, &primary.name);
            plan.step_about(name, Act::Follow, &primary.name);
        }
        Role::Starting => {
            let trouble = seen.trouble.as_deref().unwrap_or("its server does not answer yet");
            return Err(Refusal::new(
                &format!("server on {name}"),
                format!("starting ({trouble})"),
                "running or stopped",
                "Wait until it answers, or stop its container, and run this again.",
            ));
        }
        Role::Foreign => {
            return Err(Refusal::new(
                &format!("data directory of {name}"),
                "files that are not PostgreSQL's",
                "empty, or a data directory of this cluster",
                "Move the files away.",
            ));
        }
    }
    if truth.debts.iter().any(|debt| debt.node == name) {
        plan.step_about(&primary.name, Act::PayDebt, name);
    }
    Ok(())
}

/// Rewinds a node, or copies the primary anew; either way what only it held is listed and kept before anything is touched.
fn went_its_own_way(
    plan: &mut Plan,
    node: &Node,
    seen: &Observation,
    (primary, truth): (&Node, &Observation),
    by: By,
) -> Result<(), Box<Refusal>> {
    let name = node.name.as_str();
    let fork = fork(seen, truth);
    let timeline = seen.timeline.map_or_else(|| "?".to_owned(), |timeline| timeline.to_string());
    let since = fork.as_ref().map_or_else(
        || "where it left the primary's history is not known".to_owned(),
        |fork| format!("its part from {} on is in no other node", fork.lsn),
    );
    plan.fact(format!("{name} went its own way on timeline {timeline}: {since}"));
    let against = obstacles(seen, truth, fork.as_ref());
    let rewind = match by {
        By::Clone => {
            plan.fact(format!("{name} is copied anew, as told"));
            false
        }
        By::Auto | By::Rewind if against.is_empty() => {
            note(plan, name, CheckVerdict::Passed, "it can", "");
            plan.fact(format!("{name} is rewound: only what differs is copied"));
            true
        }
        By::Auto => {
            let why = in_words(&against);
            note(plan, name, CheckVerdict::Noted, &why, "nothing in its way");
            plan.fact(format!("{name} is copied anew, for it cannot be rewound: {why}"));
            false
        }
        By::Rewind => {
            return Err(Refusal::new(
                &format!("rewind of {name}"),
                in_words(&against),
                "nothing in its way",
                "Let it be copied anew: matron pg rejoin --by clone, or -e pg_rejoin_by=clone.",
            ));
        }
    };
    plan.step(name, Act::Fence);
    plan.step(name, Act::ListLost);
    if rewind {
        plan.step_about(name, Act::Rewind, &primary.name);
    } else {
        plan.step(name, Act::MoveAside);
        plan.step_about(name, Act::Clone, &primary.name);
    }
    plan.step_about(name, Act::Follow, &primary.name);
    if let Some(fork) = fork {
        plan.forks.insert(name.to_owned(), fork);
    }
    Ok(())
}

fn note(plan: &mut Plan, node: &str, verdict: CheckVerdict, value: &str, limit: &str) {
    plan.checks.push(Check {
        name: "rewind".to_owned(),
        node: Some(node.to_owned()),
        value: value.to_owned(),
        limit: limit.to_owned(),
        verdict,
    });
}

fn in_words(obstacles: &[Obstacle]) -> String {
    let words: Vec<_> = obstacles.iter().map(Obstacle::to_string).collect();
    words.join("; ")
}

/// Tells whether a standby gets the primary's WAL, from itself or by way of other standbys that do.
fn follows(view: &View, node: &Node, primary: &Node, truth: &Observation) -> bool {
    let mut at = node;
    // No way is longer than the cluster has nodes.
    for _ in &view.nodes {
        match view.streams_from(at) {
            Some(upstream) if upstream.name == primary.name => return true,
            Some(upstream) if upstream.seen().is_some() => at = upstream,
            // What is between could not be asked: what arrives has to be of the primary's timeline.
            Some(_) => return at.seen().is_some_and(|seen| seen.timeline == truth.timeline),
            None => return false,
        }
    }
    false
}
