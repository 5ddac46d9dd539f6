//! The decision table: a view, a goal, what was accepted, and what comes of it, in one line each.

mod adopt;
mod failover;
mod gate;
mod protection;
mod rejoin;
mod setup;
mod start;
mod switchover;
mod upstream;
mod view;

use super::*;
use crate::postgres::control::{ControlData, ControlState};
use crate::postgres::lsn::Lsn;
use crate::postgres::observation::{Debt, Follower, Observation, Upstream};
use crate::postgres::synchronous::Mode;
use crate::postgres::timeline::TimelineId;
use crate::postgres::view::{Answer, Node};

const SYSTEM: &str = "7711119790488621087";

fn address(name: &str) -> String {
    format!("10.0.0.{}", name.trim_start_matches("db"))
}

fn observation(role: Role, timeline: u32, lsn: u64) -> Observation {
    Observation {
        role,
        timeline: Some(TimelineId(timeline)),
        lsn: Some(Lsn(lsn)),
        system_identifier: Some(SYSTEM.to_owned()),
        guard: true,
        ..Observation::default()
    }
}

fn primary(timeline: u32, lsn: u64) -> Observation {
    observation(Role::Primary, timeline, lsn)
}

/// Streams from `upstream`, in silence for `silent` seconds.
fn standby(upstream: &str, timeline: u32, lsn: u64) -> Observation {
    let upstream = Upstream {
        host: Some(address(upstream)),
        port: Some(5432),
        status: "streaming".to_owned(),
        timeline: Some(TimelineId(timeline)),
        silent_seconds: Some(0),
        ..Upstream::default()
    };
    let mut seen = observation(Role::Standby, timeline, lsn);
    seen.upstream = upstream;
    seen.standby_configured = true;
    seen
}

/// A standby whose primary is gone.
fn orphan(upstream: &str, timeline: u32, lsn: u64) -> Observation {
    let mut seen = standby(upstream, timeline, lsn);
    seen.upstream.status.clear();
    seen.upstream.silent_seconds = None;
    seen
}

fn stopped(state: ControlState, timeline: u32, lsn: u64) -> Observation {
    let mut seen = observation(Role::Stopped, timeline, lsn);
    seen.control = Some(ControlData {
        system_identifier: SYSTEM.to_owned(),
        state,
        timeline: TimelineId(timeline),
        checkpoint: Lsn(lsn),
        minimum_recovery: None,
        checksums: Some(true),
        wal_log_hints: Some(true),
        segment_bytes: None,
        damaged: false,
    });
    seen.standby_configured =
        matches!(state, ControlState::ShutDownInRecovery | ControlState::InArchiveRecovery);
    seen
}

fn bare(role: Role) -> Observation {
    Observation { role, ..Observation::default() }
}

fn with(mut seen: Observation, change: impl FnOnce(&mut Observation)) -> Observation {
    change(&mut seen);
    seen
}

fn fenced(seen: Observation) -> Observation {
    with(seen, |seen| {
        seen.fenced = Some("failover to db2".to_owned());
        seen.standby_configured = true;
    })
}

fn owing(seen: Observation, node: &str, promoted: &str) -> Observation {
    with(seen, |seen| {
        seen.debts.push(Debt {
            node: node.to_owned(),
            promoted: promoted.to_owned(),
            since: "2026-11-22T10:00:00Z".to_owned(),
            reason: "unreachable".to_owned(),
        });
    })
}

fn forked(seen: Observation, parent: u32, at: u64) -> Observation {
    with(seen, |seen| {
        seen.history = Some(format!("{parent}\t{}\tno recovery target specified\n", Lsn(at)));
    })
}

/// `None` is a node that could not be asked.
fn view<const N: usize>(nodes: [Option<Observation>; N]) -> View {
    let nodes = nodes.into_iter().enumerate().map(|(at, seen)| {
        let name = format!("db{}", at + 1);
        let answer = match seen {
            Some(seen) => Answer::Seen(Box::new(seen)),
            None => Answer::Unknown { why: "connect timed out".to_owned() },
        };
        Node {
            address: address(&name),
            name,
            port: 5432,
            preferred: false,
            wanted_upstream: None,
            clone_from: None,
            promotable: true,
            answer,
        }
    });
    View { cluster: "st_mary".to_owned(), nodes: nodes.collect(), synchronous: Mode::Off }
}

/// A decision in one line: steps and loss, or what was found and the word that overrules it.
fn told(view: &View, goal: &Goal, accept: &[&str]) -> String {
    let accept: Vec<_> = accept.iter().map(|word| (*word).to_owned()).collect();
    match decide(view, goal, &accept) {
        Ok(plan) => {
            let act = |act: &Act| serde_json::to_value(act).unwrap().as_str().unwrap().to_owned();
            let step = |step: &Step| match &step.about {
                Some(about) => format!("{} {}({about})", step.node, act(&step.act)),
                None => format!("{} {}", step.node, act(&step.act)),
            };
            let steps: Vec<_> = plan.steps.iter().map(step).collect();
            let loss = match plan.loss {
                Loss::None => String::new(),
                Loss::AtLeast { bytes } => format!(" [loses at least {bytes}]"),
                Loss::Counted { bytes, commits, .. } => {
                    format!(" [loses {commits} commits in {bytes}]")
                }
                Loss::Unknown => " [loss unknown]".to_owned(),
            };
            format!("{}{loss}", steps.join(", "))
        }
        Err(refusal) => {
            let word = refusal.accept.map_or_else(String::new, |word| format!(" ~{word}"));
            format!("NO {}: {}{word}", refusal.check, refusal.value)
        }
    }
}

const FAILOVER: Goal = Goal::Failover { candidate: None, stage: FailoverStage::Last };

struct Case {
    claim: &'static str,
    view: View,
    accept: &'static [&'static str],
    told: &'static str,
}

fn hold(goal: &Goal, cases: Vec<Case>) {
    let wrong: Vec<_> = cases
        .iter()
        .map(|case| (case, told(&case.view, goal, case.accept)))
        .filter(|(case, told)| case.told != told)
        .map(|(case, told)| format!("{}\n  expected {}\n  got      {told}", case.claim, case.told))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn case<const N: usize>(
    claim: &'static str,
    nodes: [Option<Observation>; N],
    accept: &'static [&'static str],
    told: &'static str,
) -> Case {
    Case { claim, view: view(nodes), accept, told }
}

const DONE: ControlState = ControlState::ShutDown;
const CRASHED: ControlState = ControlState::InProduction;
const STANDBY_DONE: ControlState = ControlState::ShutDownInRecovery;

#[test]
fn refusal_says_what_was_checked_found_and_allowed_and_what_to_do() {
    let nodes = view([None, Some(orphan("db1", 1, 9))]);
    let goal = FAILOVER;
    let refusal = decide(&nodes, &goal, &[]).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "refused: old primary: found db1: its host cannot be reached (connect timed out); allowed is stopped and fenced, \
         or accepted as lost. If you know that it is down: what it committed and no standby received is lost, and it must \
         not come back on its own; its guard sees to that, and status shows it as owed. To go on all the same: -e \
         matron_accept=old-primary-unreachable"
    );
}

#[test]
fn what_was_accepted_is_kept_in_the_plan() {
    let nodes = view([None, Some(orphan("db1", 1, 9))]);
    let goal = FAILOVER;
    let words = ["old-primary-unreachable".to_owned(), "possible-loss".to_owned()];
    let plan = decide(&nodes, &goal, &words).unwrap();
    assert_eq!(plan.accepted, words);
    assert_eq!((plan.primary.as_deref(), plan.old_primary.as_deref()), (Some("db2"), Some("db1")));
}

#[test]
fn verdicts() {
    let streaming = || Some(standby("db1", 1, 9));
    for (claim, nodes, word) in [
        ("nothing there", view([Some(bare(Role::Empty)), Some(bare(Role::Empty))]), "empty"),
        ("a pair in order", view([Some(primary(1, 9)), streaming()]), "healthy"),
        (
            "standby not streaming",
            view([Some(primary(1, 9)), Some(orphan("db1", 1, 9))]),
            "degraded",
        ),
        ("standby not seen", view([Some(primary(1, 9)), None]), "degraded"),
        (
            "something owed",
            view([Some(owing(primary(1, 9), "db2", "db1")), streaming()]),
            "degraded",
        ),
        ("two primaries", view([Some(primary(1, 9)), Some(primary(2, 9))]), "two primaries"),
        ("only a standby", view([Some(stopped(DONE, 1, 9)), streaming()]), "no primary"),
        ("primary not seen", view([None, streaming()]), "unknown"),
        (
            "restart policy",
            view([
                Some(with(primary(1, 9), |seen| {
                    seen.container.restart_policy = "always".to_owned();
                })),
                streaming(),
            ]),
            "degraded",
        ),
        (
            "no guard",
            view([Some(with(primary(1, 9), |seen| seen.guard = false)), streaming()]),
            "degraded",
        ),
    ] {
        assert_eq!(nodes.verdict().word(), word, "{claim}");
    }
}

#[test]
fn status_lists_what_is_owed_and_acts_on_nothing() {
    let nodes = view([None, Some(owing(primary(2, 9), "db1", "db2"))]);
    let plan = decide(&nodes, &Goal::Status, &[]).unwrap();
    assert_eq!(plan.steps, []);
    assert_eq!(
        plan.facts,
        [
            "db1 not seen: connect timed out",
            "db1 owed: db1 was not fenced when db2 was promoted (2026-11-22T10:00:00Z): unreachable",
        ]
    );
}

#[test]
fn follower_is_found_by_its_name() {
    let mut first = primary(1, 9);
    first.followers.push(Follower { name: "db2".to_owned(), ..Follower::default() });
    let nodes = view([Some(first.clone()), Some(standby("db1", 1, 9))]);
    assert!(nodes.following(&nodes.nodes[1], &first).is_some());
    assert!(nodes.following(&nodes.nodes[0], &first).is_none());
}
