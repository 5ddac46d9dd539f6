//! A switchover that was interrupted: the mark on the old primary's host says between whom. It goes on from wherever it was,
//! or back when that is asked for and nobody took over.

use super::super::{Act, Consent, Plan, Refusal};
use super::follow;
use crate::postgres::control::ControlState;
use crate::postgres::lsn::{Lsn, bytes_for_people};
use crate::postgres::observation::{Observation, Role};
use crate::postgres::view::{Node, View};

/// Decides when there is an unfinished one; `None` when there is none, or when it never began.
pub(super) fn decide(
    view: &View,
    wanted: Option<&str>,
    consent: Consent<'_>,
    plan: &mut Plan,
) -> Option<Result<(), Box<Refusal>>> {
    let (old, seen, to) = view.nodes.iter().find_map(|node| {
        let seen = node.seen()?;
        let mark = seen.handover.as_ref().filter(|mark| mark.from == node.name)?;
        Some((node, seen, view.node(&mark.to)?))
    })?;
    plan.fact(format!("a switchover from {} to {} was begun and not finished", old.name, to.name));
    match view.sole_primary() {
        // It serves still: the stop was never ordered, or it has been taken back. A new one may begin.
        Some((primary, _)) if primary.name == old.name => None,
        Some((primary, _)) if primary.name == to.name => {
            if let Some(wanted) = wanted.filter(|wanted| *wanted != to.name) {
                return Some(Err(other_direction(wanted, old, to)));
            }
            plan.primary = Some(to.name.clone());
            plan.old_primary = Some(old.name.clone());
            plan.step(&to.name, Act::VerifyWrite);
            follow(view, plan, &to.name, Some(&old.name));
            plan.step(&old.name, Act::EndHandover);
            Some(Ok(()))
        }
        // Somebody else was promoted meanwhile: the mark says nothing any more.
        Some(_) => None,
        None => Some(match wanted {
            Some(wanted) if wanted == old.name => back(view, old, to, consent, plan),
            Some(wanted) if wanted != to.name => Err(other_direction(wanted, old, to)),
            Some(_) | None => forward(view, (old, seen), to, plan),
        }),
    }
}

fn other_direction(wanted: &str, old: &Node, to: &Node) -> Box<Refusal> {
    Refusal::new(
        "unfinished switchover",
        format!("from {} to {}", old.name, to.name),
        "none, before another one",
        &format!(
            "Finish it with matron pg switchover --to {}, and then switch over to {wanted}.",
            to.name
        ),
    )
}

/// Nobody takes writes, and the old primary's log has an end that is known: the candidate takes over when it holds all of it.
fn forward(
    view: &View,
    (old, seen): (&Node, &Observation),
    to: &Node,
    plan: &mut Plan,
) -> Result<(), Box<Refusal>> {
    let way_back = format!("Or go back: matron pg switchover --to {}.", old.name);
    let Some(standby) = to.seen().filter(|standby| standby.role == Role::Standby) else {
        let value = to.role().map_or("unknown: its host did not answer", Role::word);
        return Err(Refusal::new(
            &format!("role of {}", to.name),
            value,
            "a running standby",
            &format!("Start it, or make its host reachable, and run this again. {way_back}"),
        ));
    };
    // A position that the candidate has to be past.
    let end = match (seen.role, seen.control.as_ref()) {
        (Role::Stopped, Some(control)) if control.state == ControlState::ShutDown => {
            Some(control.checkpoint)
        }
        // It was started as a standby already: what it holds is what it held when it stopped, and what it got since.
        (Role::Standby, _) => seen.lsn.map(|lsn| Lsn(lsn.0.saturating_sub(1))),
        (Role::Stopped, Some(control)) if control.state == ControlState::ShutDownInRecovery => {
            seen.lsn.max(control.minimum_recovery).map(|lsn| Lsn(lsn.0.saturating_sub(1)))
        }
        _ => None,
    };
    let Some(end) = end else {
        return Err(Refusal::new(
            &format!("end of the log of {}", old.name),
            format!("{} did not stop in order", old.name),
            "known, so that nothing is lost",
            &format!("Go back: matron pg switchover --to {}.", old.name),
        ));
    };
    let held = standby.lsn.max(standby.replayed).unwrap_or_default();
    if held <= end {
        return Err(Refusal::new(
            &format!("log received by {}", to.name),
            format!("{held}, {} short of the end", bytes_for_people(end.ahead_of(held).max(1))),
            &format!("past {end}, where {} stopped", old.name),
            &format!("Go back: matron pg switchover --to {}.", old.name),
        ));
    }
    for (node, why) in view.unknown() {
        plan.fact(format!("{} was not seen ({why}) and is left alone", node.name));
    }
    plan.primary = Some(to.name.clone());
    plan.old_primary = Some(old.name.clone());
    plan.proof = Some(end);
    plan.step_about(&to.name, Act::TakeOver, &old.name);
    plan.step(&to.name, Act::VerifyWrite);
    follow(view, plan, &to.name, Some(&old.name));
    plan.step(&old.name, Act::EndHandover);
    Ok(())
}

/// The old primary is the primary again. That nobody was promoted has to be seen on every node.
fn back(
    view: &View,
    old: &Node,
    to: &Node,
    consent: Consent<'_>,
    plan: &mut Plan,
) -> Result<(), Box<Refusal>> {
    for (node, why) in view.unknown() {
        let refusal = Refusal::new(
            "nodes that may have been promoted",
            format!("{} did not answer ({why})", node.name),
            "every node seen",
            "Make its host reachable and run this again. If you know that it is lost for good, it must never start again as it is.",
        );
        consent.or(refusal.unless_accepted(format!("{}-unreachable", node.name)), plan)?;
    }
    let timeline = old.seen().and_then(|seen| seen.timeline);
    let later = view
        .nodes
        .iter()
        .filter_map(|node| Some((node, node.seen()?)))
        .find(|(node, seen)| node.name != old.name && seen.timeline > timeline);
    if let Some((node, seen)) = later {
        let own = seen.timeline.map_or_else(|| "?".to_owned(), |timeline| timeline.to_string());
        return Err(Refusal::new(
            &format!("timeline of {}", node.name),
            format!("{own}: it was promoted, or followed one that was"),
            "not later than the old primary's",
            &format!("Start {} and finish the switchover: matron pg switchover.", to.name),
        ));
    }
    plan.primary = Some(old.name.clone());
    plan.step_about(&old.name, Act::TakeBack, &to.name);
    plan.step(&old.name, Act::VerifyWrite);
    for (node, _) in view.in_role(Role::Standby) {
        if node.name != old.name {
            plan.step_about(&node.name, Act::Follow, &old.name);
        }
    }
    plan.step(&old.name, Act::EndHandover);
    Ok(())
}
