//! What a failover may lose: stated in bytes, seconds and commits where that can be known, and accepted by name where it is not nothing.

use crate::postgres::control::ControlState;
use crate::postgres::decide::{Consent, Loss, Plan, Refusal};
use crate::postgres::lsn::bytes_for_people;
use crate::postgres::observation::{Observation, Role, Unreceived};
use crate::postgres::view::{Node, View};

/// States what may be lost, and asks for consent when that is not nothing.
pub(super) fn weigh(
    view: &View,
    old: Option<&Node>,
    (candidate, standby): (&Node, &Observation),
    consent: Consent<'_>,
    plan: &mut Plan,
) -> Result<(), Box<Refusal>> {
    let received = standby.lsn.unwrap_or_default();
    let newest = standby
        .replay_delay_ms
        .map_or_else(String::new, |ms| format!("; its newest commit is {} old", age(ms / 1000)));
    plan.fact(format!("{} has received WAL up to {received}{newest}", candidate.name));
    let name = old.map_or("the old primary", |old| old.name.as_str());
    let promised = promised(view, name, candidate, standby);
    let Some(seen) = old.and_then(Node::seen) else {
        heard(name, candidate, standby, plan);
        if let Some(fact) = promised {
            plan.fact(fact);
            plan.loss = Loss::None;
            return Ok(());
        }
        plan.loss = Loss::Unknown;
        let refusal = Refusal::new(
            "commits that would be lost",
            format!("what {name} committed after {received}; how much cannot be known from here"),
            "none",
            "Its host would have to answer. With pg_synchronous: 'on' a failover of a pair in order loses nothing.",
        );
        return consent.or(refusal.unless_accepted("possible-loss"), plan);
    };
    let Some(control) = &seen.control else {
        plan.loss = Loss::Unknown;
        return match seen.role {
            // Accepted by name: it is stopped in order where it can be, and ships what it has.
            Role::Primary | Role::Starting => Ok(()),
            Role::Standby | Role::Stopped | Role::HalfCloned | Role::Empty | Role::Foreign => {
                let refusal = Refusal::new(
                    "commits that would be lost",
                    format!("what {name} committed after {received}; its data is gone"),
                    "none",
                    "Is a disk not mounted on its host?",
                );
                consent.or(refusal.unless_accepted("possible-loss"), plan)
            }
        };
    };
    if let Some(read) = seen.unreceived.as_ref().filter(|read| read.from == received) {
        counted(name, candidate, read, plan);
    } else {
        let missing = control.checkpoint.ahead_of(received);
        match control.state {
            ControlState::ShutDown if control.checkpoint < received => {
                plan.loss = Loss::None;
                plan.fact(format!(
                    "{name} was shut down in order at {} and {} holds all of it",
                    control.checkpoint, candidate.name
                ));
                return Ok(());
            }
            ControlState::ShutDownInRecovery | ControlState::InArchiveRecovery => {
                plan.loss = Loss::None;
                return Ok(());
            }
            ControlState::ShutDown | ControlState::InProduction | ControlState::Between
                if missing > 0 =>
            {
                plan.loss = Loss::AtLeast { bytes: missing };
            }
            ControlState::ShutDown | ControlState::InProduction | ControlState::Between => {
                plan.loss = Loss::Unknown;
            }
        }
    }
    if plan.loss == Loss::None {
        return Ok(());
    }
    if let Some(fact) = promised {
        plan.fact(fact);
        plan.loss = Loss::None;
        return Ok(());
    }
    let value = match &plan.loss {
        Loss::Counted { bytes, commits, seconds } => format!(
            "{commits} commit{} of {name} in {} of WAL, made within {}, that {} never received",
            if *commits == 1 { "" } else { "s" },
            bytes_for_people(*bytes),
            age(*seconds),
            candidate.name
        ),
        Loss::AtLeast { bytes } => format!(
            "{name} has at least {} that {} never received",
            bytes_for_people(*bytes),
            candidate.name
        ),
        Loss::None | Loss::Unknown if control.state.is_clean() => {
            format!(
                "{name} stopped in order, and its last record at {received} may exist only there"
            )
        }
        Loss::None | Loss::Unknown => {
            format!("{name} did not stop in order: commits after {received} may exist only there")
        }
    };
    let refusal = Refusal::new(
        "commits that would be lost",
        value,
        "none",
        "Its host answers: start it again (matron pg start) and nothing is lost.",
    );
    consent.or(refusal.unless_accepted("possible-loss"), plan)
}

/// What the old primary's WAL says, read on its host.
fn counted(name: &str, candidate: &Node, read: &Unreceived, plan: &mut Plan) {
    if read.commits == 0 {
        plan.loss = Loss::None;
        plan.fact(format!(
            "the WAL of {name} was read: it holds no commit that {} has not received",
            candidate.name
        ));
        return;
    }
    let (first, last) = (read.first.as_deref(), read.last.as_deref());
    plan.fact(format!(
        "the WAL of {name} was read: what {} lacks was committed from {} to {}",
        candidate.name,
        first.unwrap_or("?"),
        last.unwrap_or("?")
    ));
    plan.loss = Loss::Counted {
        bytes: read.to.ahead_of(read.from),
        commits: read.commits,
        seconds: read.seconds.unwrap_or_default(),
    };
}

/// What the standby last knew of a primary whose host does not answer.
fn heard(name: &str, candidate: &Node, standby: &Observation, plan: &mut Plan) {
    let received = standby.lsn.unwrap_or_default();
    match (standby.upstream.silent_seconds, standby.upstream.told) {
        (Some(seconds), Some(written)) => plan.fact(format!(
            "{} last heard from {name} {} ago; {name} had written up to {written} then, {} more than {} has",
            candidate.name,
            age(seconds),
            bytes_for_people(written.ahead_of(received)),
            candidate.name
        )),
        (Some(seconds), None) => {
            plan.fact(format!("{} last heard from {name} {} ago", candidate.name, age(seconds)));
        }
        (None, _) => plan.fact(format!(
            "{} has no connection to {name} any more; how far {name} had written then is not known",
            candidate.name
        )),
    }
}

/// Tells why no acknowledged commit is missing on the candidate, where synchronous replication proves that: commits on the old
/// primary waited for standbys that were all seen, and the candidate has the most WAL of them.
fn promised(view: &View, old: &str, candidate: &Node, standby: &Observation) -> Option<String> {
    let promise = standby.promise.as_ref().filter(|promise| promise.primary == old)?;
    let names = promise.standbys();
    let own = folded(&candidate.name);
    if !names.iter().any(|name| folded(name) == own) {
        return None;
    }
    let whole = names.iter().all(|name| {
        let node = view.nodes.iter().find(|node| folded(&node.name) == folded(name));
        node.and_then(Node::seen).is_some_and(|seen| {
            seen.role == Role::Standby
                && (seen.timeline, seen.lsn) <= (standby.timeline, standby.lsn)
        })
    });
    whole.then(|| {
        format!(
            "nothing that {old} acknowledged is lost: its commits waited for {} ({}), as {} last knew",
            names.join(", "),
            promise.names,
            candidate.name
        )
    })
}

/// Names are compared without regard to case, as `synchronous_standby_names` does.
fn folded(name: &str) -> String {
    name.to_ascii_lowercase()
}

fn age(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}
