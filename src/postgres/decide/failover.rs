//! Failing over: which standby, at what price, and what becomes of the old primary.

mod loss;

use super::{
    Act, Consent, Decision, FailoverStage, Pending, Plan, Refusal, check_systems,
    refuse_two_primaries,
};
use crate::postgres::lsn::bytes_for_people;
use crate::postgres::observation::{Observation, Role};
use crate::postgres::view::{Node, View, can_follow};

pub(super) fn decide(
    view: &View,
    wanted: Option<&str>,
    stage: FailoverStage,
    consent: Consent<'_>,
) -> Decision {
    refuse_two_primaries(view)?;
    let mut plan = Plan::new(None);
    check_systems(view, consent, &mut plan)?;
    if let Some(done) = already_done(view, wanted) {
        return Ok(done);
    }
    let (candidate, standby) = candidate(view, wanted)?;
    plan.primary = Some(candidate.name.clone());
    let old = old_primary(view, candidate, standby);
    if let Some(old) = old {
        plan.old_primary = Some(old.name.clone());
    }
    refuse_live_primary(view, old, stage, consent, &mut plan)?;
    weigh_unknown(view, old, stage, consent, &mut plan)?;
    loss::weigh(view, old, (candidate, standby), consent, &mut plan)?;

    if let Some(old) = old {
        if old.seen().is_some() {
            plan.step(&old.name, Act::Fence);
        } else {
            plan.step_about(&candidate.name, Act::RecordDebt, &old.name);
        }
    }
    plan.step(&candidate.name, Act::Promote);
    plan.step(&candidate.name, Act::VerifyWrite);
    for (node, _) in view.in_role(Role::Standby) {
        if node.name != candidate.name {
            plan.step_about(&node.name, Act::Follow, &candidate.name);
        }
    }
    Ok(plan)
}

/// A failover that was interrupted after the promotion, or is asked for twice, has only its end left to do.
fn already_done(view: &View, wanted: Option<&str>) -> Option<Plan> {
    let (primary, seen) = view.sole_primary()?;
    let owed = view.debts().iter().any(|debt| debt.promoted == primary.name);
    let mut others = view.nodes.iter().filter(|node| node.name != primary.name);
    let fenced = others.any(|node| node.seen().is_some_and(|seen| seen.fenced.is_some()));
    if !owed && !fenced && wanted != Some(primary.name.as_str()) {
        return None;
    }
    let mut plan = Plan::new(Some(&primary.name));
    plan.fact(format!("{} is the primary already", primary.name));
    plan.step(&primary.name, Act::VerifyWrite);
    for (node, standby) in view.in_role(Role::Standby) {
        let left = view.streams_from(node).is_none() || standby.timeline != seen.timeline;
        if left && can_follow(standby, seen) {
            plan.step_about(&node.name, Act::Follow, &primary.name);
        }
    }
    Some(plan)
}

fn candidate<'a>(
    view: &'a View,
    wanted: Option<&str>,
) -> Result<(&'a Node, &'a Observation), Box<Refusal>> {
    if let Some(wanted) = wanted {
        let node = view.node(wanted).ok_or_else(|| {
            let names: Vec<_> = view.nodes.iter().map(|node| node.name.as_str()).collect();
            Refusal::new(
                "candidate",
                format!("{wanted}, which is no node of {}", view.cluster),
                &names.join(" or "),
                "Name a node of this cluster.",
            )
        })?;
        return match node.seen() {
            Some(_) if !node.promotable => Err(Refusal::new(
                "candidate",
                format!("{wanted}, which has pg_promotable: false"),
                "a node that may be promoted",
                "Guards of other nodes do not ask it before they start a primary. Change the inventory and run setup first, or name another one.",
            )),
            Some(seen) if seen.role == Role::Standby => best_or_refuse(view, node, seen),
            Some(seen) => Err(Refusal::new(
                &format!("role of {wanted}"),
                seen.role.word(),
                "a running standby",
                "Name a standby, or none: the one with the most WAL is taken then.",
            )),
            None => Err(Refusal::new(
                &format!("role of {wanted}"),
                "unknown: its host did not answer",
                "a running standby",
                "Make its host reachable, or name another one.",
            )),
        };
    }
    // The first of the best in inventory order, preferred ones before: `max_by_key` alone would take the last.
    let mut best: Option<(&Node, &Observation)> = None;
    for (node, seen) in view.in_role(Role::Standby).filter(|(node, _)| node.promotable) {
        let key = |node: &Node, seen: &Observation| (seen.timeline, seen.lsn, node.preferred);
        if best.is_none_or(|(other, known)| key(node, seen) > key(other, known)) {
            best = Some((node, seen));
        }
    }
    best.ok_or_else(|| {
        let states: Vec<_> = view
            .nodes
            .iter()
            .map(|node| match node.role() {
                Some(role) => format!("{} is {}", node.name, role.word()),
                None => format!("{} is unknown", node.name),
            })
            .collect();
        Refusal::new(
            "running standbys",
            format!("none ({})", states.join(", ")),
            "at least one",
            "Start a standby's container, or make its host reachable, and run this again.",
        )
    })
}

/// Refuses a named candidate that lacks WAL which another standby has.
fn best_or_refuse<'a>(
    view: &'a View,
    node: &'a Node,
    seen: &'a Observation,
) -> Result<(&'a Node, &'a Observation), Box<Refusal>> {
    for (other, known) in view.in_role(Role::Standby) {
        if (known.timeline, known.lsn) > (seen.timeline, seen.lsn) {
            let more = known.lsn.unwrap_or_default().ahead_of(seen.lsn.unwrap_or_default());
            return Err(Refusal::new(
                &format!("WAL received by {}", node.name),
                format!("{} less than {} has", bytes_for_people(more), other.name),
                "the most of all standbys",
                "Name that one, or none.",
            ));
        }
    }
    Ok((node, seen))
}

/// Finds the node that the candidate followed.
fn old_primary<'a>(view: &'a View, candidate: &Node, standby: &Observation) -> Option<&'a Node> {
    let running = view.sole_primary().map(|(node, _)| node);
    let followed = || {
        // A cascading standby followed another one: what counts is where that one's WAL came from.
        let mut upstream = view.upstream_of(standby)?;
        for _ in &view.nodes {
            match upstream.seen() {
                Some(seen) if seen.role == Role::Standby => upstream = view.upstream_of(seen)?,
                Some(_) | None => break,
            }
        }
        Some(upstream).filter(|node| node.name != candidate.name)
    };
    let stopped = || {
        let mut stopped = view
            .in_role(Role::Stopped)
            .filter(|(_, seen)| !seen.standby_configured || seen.fenced.is_some())
            .map(|(node, _)| node);
        let first = stopped.next()?;
        stopped.next().is_none().then_some(first)
    };
    let unknown = || {
        let mut unknown = view.unknown().map(|(node, _)| node);
        let first = unknown.next()?;
        unknown.next().is_none().then_some(first)
    };
    running.or_else(followed).or_else(stopped).or_else(unknown)
}

/// Refuses when there are signs that the old primary lives.
fn refuse_live_primary(
    view: &View,
    old: Option<&Node>,
    stage: FailoverStage,
    consent: Consent<'_>,
    plan: &mut Plan,
) -> Result<(), Box<Refusal>> {
    let Some(old) = old else { return Ok(()) };
    if let Some(seen) = old.seen() {
        let refusal = match seen.role {
            Role::Primary => Refusal::new(
                "old primary",
                format!("{} runs and takes writes", old.name),
                "lost, stopped or fenced",
                "For maintenance stop it in order first; a failover after that loses nothing.",
            )
            .unless_accepted("old-primary-running"),
            Role::Starting if seen.trouble.is_some() && seen.container.state != "running" => Refusal::new(
                "old primary",
                format!(
                    "{}: {}",
                    old.name,
                    seen.trouble.as_deref().unwrap_or("its server does not answer")
                ),
                "lost, stopped or fenced",
                "It may go on at any moment: repair that (docker unpause, systemctl restart docker), or accept that it is killed and fenced.",
            )
            .unless_accepted("old-primary-running"),
            Role::Starting => Refusal::new(
                "old primary",
                format!("{} is starting", old.name),
                "lost, stopped or fenced",
                "Wait and see whether it comes up; it may need no failover.",
            )
            .unless_accepted("old-primary-starting"),
            Role::Standby | Role::Stopped | Role::HalfCloned | Role::Empty | Role::Foreign => {
                return Ok(());
            }
        };
        return consent.or(refusal, plan);
    }
    match stage {
        FailoverStage::First { can_cut: true } | FailoverStage::LastAfterCut => return Ok(()),
        FailoverStage::First { can_cut: false } => {
            plan.pending.push(Pending::Silence);
            return Ok(());
        }
        FailoverStage::Last => {}
    }
    for (node, seen) in view.in_role(Role::Standby) {
        let streams = seen.upstream.is_streaming()
            && view.upstream_of(seen).is_some_and(|upstream| upstream.name == old.name)
            // A receiver stays `streaming` for wal_receiver_timeout after a cable was pulled: what counts is a recent message.
            && seen.upstream.silent_seconds.is_none_or(|seconds| seconds < FRESH_SECONDS);
        let answers = seen.peers.iter().any(|peer| peer.node == old.name && peer.answers);
        if streams || answers {
            let how = if answers { "its port answers" } else { "it sends WAL" };
            let refusal = Refusal::new(
                "old primary",
                format!(
                    "{}: its host cannot be reached from here, but {how} to {}",
                    old.name, node.name
                ),
                "silent for the standbys too",
                "It did not fall silent while this was waited for (pg_silence_wait), so it takes writes, and promoting now makes two primaries: repair the way to its host, or stop it there.",
            );
            consent.or(refusal.unless_accepted("old-primary-answers-peers"), plan)?;
        }
    }
    Ok(())
}

/// A message from the primary within this many seconds proves that it lived then.
const FRESH_SECONDS: u64 = 15;

/// Asks for consent to everything that could not be seen.
fn weigh_unknown(
    view: &View,
    old: Option<&Node>,
    stage: FailoverStage,
    consent: Consent<'_>,
    plan: &mut Plan,
) -> Result<(), Box<Refusal>> {
    for (node, why) in view.unknown() {
        let is_old = old.is_some_and(|old| old.name == node.name);
        match stage {
            FailoverStage::First { can_cut: true } if is_old => {
                plan.pending.push(Pending::Cut);
                plan.fact(format!(
                    "{} cannot be reached ({why}): pg_fence_command is to switch it off first",
                    node.name
                ));
                continue;
            }
            FailoverStage::LastAfterCut if is_old => {
                plan.fact(format!("{} was switched off by pg_fence_command", node.name));
                continue;
            }
            FailoverStage::First { .. } | FailoverStage::Last | FailoverStage::LastAfterCut => {}
        }
        let refusal = if is_old {
            Refusal::new(
                "old primary",
                format!("{}: its host cannot be reached ({why})", node.name),
                "stopped and fenced, or accepted as lost",
                "If you know that it is down: what it committed and no standby received is lost, and it must not come back on its own; its guard sees to that, and status shows it as owed.",
            )
            .unless_accepted("old-primary-unreachable")
        } else {
            Refusal::new(
                "nodes that could hold more WAL",
                format!("{} cannot be reached ({why})", node.name),
                "every standby seen",
                "Make its host reachable, so that the one with the most WAL is promoted.",
            )
            .unless_accepted(format!("{}-unreachable", node.name))
        };
        consent.or(refusal, plan)?;
    }
    Ok(())
}
