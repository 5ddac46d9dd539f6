//! The decision table: a view, a goal, what was accepted, and what comes of it, in one line each.

use super::*;
use crate::postgres::control::{ControlData, ControlState};
use crate::postgres::lsn::Lsn;
use crate::postgres::observation::{Debt, Follower, Observation, PeerAnswer, Upstream};
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
        Node { address: address(&name), name, port: 5432, preferred: false, answer }
    });
    View { cluster: "st_mary".to_owned(), nodes: nodes.collect() }
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
fn set_up() {
    let empty = || Some(bare(Role::Empty));
    let half = || Some(bare(Role::HalfCloned));
    let lost_disk = || with(bare(Role::Empty), |seen| seen.marker = Some(SYSTEM.to_owned()));
    let other =
        |seen| with(seen, |seen: &mut Observation| seen.system_identifier = Some("42".to_owned()));
    hold(
        &Goal::SetUp,
        vec![
            case(
                "first node becomes the primary of nothing",
                [empty(), empty()],
                &[],
                "db1 create, db2 clone(db1), db2 follow(db1)",
            ),
            case("one node alone is a cluster", [empty()], &[], "db1 create"),
            case(
                "three nodes get two standbys",
                [empty(), empty(), empty()],
                &[],
                "db1 create, db2 clone(db1), db2 follow(db1), db3 clone(db1), db3 follow(db1)",
            ),
            case(
                "healthy pair is kept",
                [Some(primary(1, 9)), Some(standby("db1", 1, 9))],
                &[],
                "db1 keep, db2 follow(db1)",
            ),
            case(
                "primary is found wherever it is",
                [Some(standby("db2", 2, 9)), Some(primary(2, 9))],
                &[],
                "db2 keep, db1 follow(db2)",
            ),
            case(
                "half-done clone is started again",
                [Some(primary(1, 9)), half()],
                &[],
                "db1 keep, db2 clone(db1), db2 follow(db1)",
            ),
            case(
                "half-done clone and no primary begins anew",
                [empty(), half()],
                &[],
                "db1 create, db2 clone(db1), db2 follow(db1)",
            ),
            case(
                "unknown node may be the primary",
                [None, empty()],
                &[],
                "NO nodes that could be the primary: db1 did not answer (connect timed out) ~db1-unreachable",
            ),
            case(
                "unknown node can be accepted by name",
                [None, empty()],
                &["db1-unreachable"],
                "db2 create",
            ),
            case(
                "accepting another node's silence does not help",
                [None, empty()],
                &["db2-unreachable"],
                "NO nodes that could be the primary: db1 did not answer (connect timed out) ~db1-unreachable",
            ),
            case(
                "unknown node beside a primary is left alone",
                [Some(primary(1, 9)), None],
                &[],
                "db1 keep",
            ),
            case(
                "all unknown",
                [None, None],
                &["db1-unreachable", "db2-unreachable"],
                "NO nodes of the cluster: none answers",
            ),
            case(
                "two primaries are never set up",
                [Some(primary(1, 9)), Some(primary(2, 9))],
                &[],
                "NO number of nodes that take writes: db1 (timeline 1) and db2 (timeline 2)",
            ),
            case(
                "starting server is waited for",
                [Some(bare(Role::Starting)), empty()],
                &[],
                "NO server on db1: starting (its server does not answer yet)",
            ),
            case(
                "foreign files are not touched",
                [Some(bare(Role::Foreign)), empty()],
                &[],
                "NO data directory of db1: files that are not PostgreSQL's",
            ),
            case(
                "data of another cluster is not touched",
                [Some(primary(1, 9)), Some(other(stopped(STANDBY_DONE, 1, 5)))],
                &[],
                "NO system identifier of all nodes: 42 on db2 and 7711119790488621087 on db1",
            ),
            case(
                "empty mount is not a new cluster",
                [Some(lost_disk()), empty()],
                &[],
                "NO system identifier of the data on db1: nothing ~db1-data-gone",
            ),
            case(
                "empty mount can be accepted by name",
                [Some(lost_disk()), empty()],
                &["db1-data-gone"],
                "db1 create, db2 clone(db1), db2 follow(db1)",
            ),
            case(
                "stopped primary is started",
                [Some(stopped(DONE, 1, 9)), empty()],
                &[],
                "db1 start, db2 clone(db1), db2 follow(db1)",
            ),
            case(
                "crashed primary is started",
                [Some(stopped(CRASHED, 1, 9)), Some(orphan("db1", 1, 9))],
                &[],
                "db1 start, db2 follow(db1)",
            ),
            case(
                "both stopped: primary first",
                [Some(stopped(DONE, 1, 9)), Some(stopped(STANDBY_DONE, 1, 9))],
                &[],
                "db1 start, db2 follow(db1)",
            ),
            case(
                "stopped primary behind a promoted standby stays down",
                [Some(stopped(CRASHED, 1, 9)), Some(stopped(DONE, 2, 9))],
                &[],
                "NO primary of the cluster: none runs, and db1 and db2 are stopped",
            ),
            case(
                "fenced node is no stopped primary",
                [Some(fenced(stopped(CRASHED, 1, 9))), Some(stopped(DONE, 2, 9))],
                &[],
                "NO data on db1: a stopped node of this cluster that cannot simply follow db2, timeline 1",
            ),
            case(
                "only a standby left is a failover",
                [empty(), Some(orphan("db1", 1, 9))],
                &[],
                "NO primary of the cluster: none; db2 is a standby",
            ),
            case(
                "stopped primary behind a running standby stays down",
                [Some(stopped(CRASHED, 1, 9)), Some(orphan("db1", 2, 9))],
                &[],
                "NO primary of the cluster: none; db2 is a standby",
            ),
            case(
                "stopped standby is started",
                [Some(primary(1, 9)), Some(stopped(STANDBY_DONE, 1, 8))],
                &[],
                "db1 keep, db2 follow(db1)",
            ),
            case(
                "fenced old primary is for rejoin",
                [Some(fenced(stopped(CRASHED, 1, 9))), Some(primary(2, 9))],
                &[],
                "NO data on db1: a stopped node of this cluster that cannot simply follow db2, timeline 1",
            ),
            case(
                "crashed old primary is for rejoin",
                [Some(stopped(CRASHED, 1, 9)), Some(primary(2, 9))],
                &[],
                "NO data on db1: a stopped node of this cluster that cannot simply follow db2, timeline 1",
            ),
            case(
                "diverged stopped standby is for rejoin",
                [Some(forked(primary(2, 0x50), 1, 0x30)), Some(stopped(STANDBY_DONE, 1, 0x40))],
                &[],
                "NO data on db2: a stopped node of this cluster that cannot simply follow db1, timeline 1",
            ),
        ],
    );
}

#[test]
fn preferred_host_gets_the_first_primary_and_nothing_more() {
    let mut fresh = view([Some(bare(Role::Empty)), Some(bare(Role::Empty))]);
    fresh.nodes[1].preferred = true;
    assert_eq!(told(&fresh, &Goal::SetUp, &[]), "db2 create, db1 clone(db2), db1 follow(db2)");
    let mut running = view([Some(primary(1, 9)), Some(standby("db1", 1, 9))]);
    running.nodes[1].preferred = true;
    assert_eq!(told(&running, &Goal::SetUp, &[]), "db1 keep, db2 follow(db1)");
    fresh.nodes[0].preferred = true;
    let refusal = "NO hosts with pg_prefer: primary: db1 and db2";
    assert_eq!(told(&fresh, &Goal::SetUp, &[]), refusal);
}

#[test]
fn failover() {
    let lost: &[&str] = &["old-primary-unreachable"];
    let quiet = |seen| with(seen, |seen: &mut Observation| seen.upstream.silent_seconds = Some(40));
    let hears = |node: &str| {
        let peer = PeerAnswer { node: node.to_owned(), answers: true };
        with(orphan(node, 1, 9), |seen| seen.peers.push(peer))
    };
    hold(
        &Goal::Failover { candidate: None },
        vec![
            case(
                "unreachable primary needs a word",
                [None, Some(orphan("db1", 1, 9))],
                &[],
                "NO old primary: db1: its host cannot be reached (connect timed out) ~old-primary-unreachable",
            ),
            case(
                "unreachable primary accepted is a debt",
                [None, Some(orphan("db1", 1, 9))],
                lost,
                "db2 record_debt(db1), db2 promote, db2 verify_write [loss unknown]",
            ),
            case(
                "another word does not help",
                [None, Some(orphan("db1", 1, 9))],
                &["possible-loss"],
                "NO old primary: db1: its host cannot be reached (connect timed out) ~old-primary-unreachable",
            ),
            case(
                "primary that still sends is alive",
                [None, Some(standby("db1", 1, 9))],
                lost,
                "NO old primary: db1: its host cannot be reached from here, but it sends WAL to db2 ~old-primary-answers-peers",
            ),
            case(
                "receiver that hears nothing proves nothing",
                [None, Some(quiet(standby("db1", 1, 9)))],
                lost,
                "db2 record_debt(db1), db2 promote, db2 verify_write [loss unknown]",
            ),
            case(
                "primary whose port answers a peer is alive",
                [None, Some(hears("db1"))],
                lost,
                "NO old primary: db1: its host cannot be reached from here, but its port answers to db2 ~old-primary-answers-peers",
            ),
            case(
                "even that can be accepted by name",
                [None, Some(hears("db1"))],
                &["old-primary-unreachable", "old-primary-answers-peers"],
                "db2 record_debt(db1), db2 promote, db2 verify_write [loss unknown]",
            ),
            case(
                "running primary is for a switchover",
                [Some(primary(1, 9)), Some(standby("db1", 1, 9))],
                &[],
                "NO old primary: db1 runs and takes writes ~old-primary-running",
            ),
            case(
                "running primary accepted is fenced first",
                [Some(primary(1, 9)), Some(standby("db1", 1, 9))],
                &["old-primary-running"],
                "db1 fence, db2 promote, db2 verify_write [loss unknown]",
            ),
            case(
                "starting primary is given time",
                [Some(bare(Role::Starting)), Some(orphan("db1", 1, 9))],
                &[],
                "NO old primary: db1 is starting ~old-primary-starting",
            ),
            case(
                "clean stop that the standby holds loses nothing",
                [Some(stopped(DONE, 1, 0x50)), Some(orphan("db1", 1, 0x98))],
                &[],
                "db1 fence, db2 promote, db2 verify_write",
            ),
            case(
                "clean stop that the standby lacks is a loss",
                [Some(stopped(DONE, 1, 0x50)), Some(orphan("db1", 1, 0x40))],
                &[],
                "NO commits that would be lost: db1 has at least 16 bytes that db2 never received ~possible-loss",
            ),
            case(
                "shutdown record itself must have arrived",
                [Some(stopped(DONE, 1, 0x50)), Some(orphan("db1", 1, 0x50))],
                &[],
                "NO commits that would be lost: db1 stopped in order, and its last record at 0/50 may exist only there ~possible-loss",
            ),
            case(
                "crash may have lost commits",
                [Some(stopped(CRASHED, 1, 0x30)), Some(orphan("db1", 1, 0x40))],
                &[],
                "NO commits that would be lost: db1 did not stop in order: commits after 0/40 may exist only there ~possible-loss",
            ),
            case(
                "crash accepted is fenced",
                [Some(stopped(CRASHED, 1, 0x30)), Some(orphan("db1", 1, 0x40))],
                &["possible-loss"],
                "db1 fence, db2 promote, db2 verify_write [loss unknown]",
            ),
            case(
                "known loss is stated",
                [Some(stopped(CRASHED, 1, 0x50)), Some(orphan("db1", 1, 0x40))],
                &["possible-loss"],
                "db1 fence, db2 promote, db2 verify_write [loses at least 16]",
            ),
            case(
                "no standby",
                [None, Some(bare(Role::Empty))],
                lost,
                "NO running standbys: none (db1 is unknown, db2 is empty)",
            ),
            case(
                "stopped standby is no candidate",
                [None, Some(stopped(STANDBY_DONE, 1, 9))],
                lost,
                "NO running standbys: none (db1 is unknown, db2 is stopped)",
            ),
            case(
                "nobody answers",
                [None, None],
                lost,
                "NO running standbys: none (db1 is unknown, db2 is unknown)",
            ),
            case(
                "standby with the most WAL wins",
                [None, Some(orphan("db1", 1, 0x40)), Some(orphan("db1", 1, 0x50))],
                lost,
                "db3 record_debt(db1), db3 promote, db3 verify_write, db2 follow(db3) [loss unknown]",
            ),
            case(
                "first of equals wins",
                [None, Some(orphan("db1", 1, 0x50)), Some(orphan("db1", 1, 0x50))],
                lost,
                "db2 record_debt(db1), db2 promote, db2 verify_write, db3 follow(db2) [loss unknown]",
            ),
            case(
                "later timeline outranks more bytes",
                [None, Some(orphan("db1", 1, 0x90)), Some(orphan("db1", 2, 0x50))],
                lost,
                "db3 record_debt(db1), db3 promote, db3 verify_write, db2 follow(db3) [loss unknown]",
            ),
            case(
                "another unknown standby may hold more",
                [None, Some(orphan("db1", 1, 9)), None],
                lost,
                "NO nodes that could hold more WAL: db3 cannot be reached (connect timed out) ~db3-unreachable",
            ),
            case(
                "each silence is accepted by its own name",
                [None, Some(orphan("db1", 1, 9)), None],
                &["old-primary-unreachable", "db3-unreachable"],
                "db2 record_debt(db1), db2 promote, db2 verify_write [loss unknown]",
            ),
            case(
                "old primary is known by whom the standby follows",
                [None, Some(orphan("db3", 1, 9)), None],
                &["old-primary-unreachable"],
                "NO nodes that could hold more WAL: db1 cannot be reached (connect timed out) ~db1-unreachable",
            ),
            case(
                "two primaries are not made three",
                [Some(primary(1, 9)), Some(primary(2, 9)), Some(standby("db1", 1, 9))],
                &["old-primary-running"],
                "NO number of nodes that take writes: db1 (timeline 1) and db2 (timeline 2)",
            ),
            case(
                "interrupted after the promotion: only verify",
                [None, Some(owing(primary(2, 9), "db1", "db2"))],
                &[],
                "db2 verify_write",
            ),
            case(
                "asked twice after fencing: only verify",
                [Some(fenced(stopped(DONE, 1, 9))), Some(primary(2, 9))],
                &[],
                "db2 verify_write",
            ),
            case(
                "interrupted with a standby left: it follows",
                [None, Some(owing(primary(2, 9), "db1", "db2")), Some(orphan("db1", 2, 8))],
                &[],
                "db2 verify_write, db3 follow(db2)",
            ),
            case(
                "interrupted after the fence: goes on",
                [Some(fenced(stopped(DONE, 1, 0x50))), Some(orphan("db1", 1, 0x98))],
                &[],
                "db1 fence, db2 promote, db2 verify_write",
            ),
        ],
    );
}

#[test]
fn failover_to_a_named_node() {
    let to = |name: &str| Goal::Failover { candidate: Some(name.to_owned()) };
    let lost: &[&str] = &["old-primary-unreachable"];
    let three = view([None, Some(orphan("db1", 1, 0x40)), Some(orphan("db1", 1, 0x50))]);
    assert_eq!(
        told(&three, &to("db3"), lost),
        "db3 record_debt(db1), db3 promote, db3 verify_write, db2 follow(db3) [loss unknown]"
    );
    assert_eq!(
        told(&three, &to("db2"), lost),
        "NO WAL received by db2: 16 bytes less than db3 has"
    );
    assert_eq!(told(&three, &to("db1"), lost), "NO role of db1: unknown: its host did not answer");
    assert_eq!(told(&three, &to("db9"), lost), "NO candidate: db9, which is no node of st_mary");
    let pair = view([Some(bare(Role::Empty)), Some(primary(2, 9))]);
    assert_eq!(told(&pair, &to("db2"), &[]), "db2 verify_write");
    assert_eq!(told(&pair, &to("db1"), &[]), "NO role of db1: empty");
}

#[test]
fn rejoin() {
    let follow_again = "db1 follow(db2)";
    let anew = "db1 fence, db1 move_aside, db1 clone(db2), db1 follow(db2)";
    let now = || forked(primary(2, 0x90), 1, 0x50);
    hold(
        &Goal::Rejoin { node: None },
        vec![
            case(
                "crashed old primary is copied anew",
                [Some(stopped(CRASHED, 1, 0x40)), Some(now())],
                &[],
                anew,
            ),
            case(
                "fenced old primary that stopped in order before the fork just follows",
                [Some(fenced(stopped(DONE, 1, 0x40))), Some(now())],
                &[],
                follow_again,
            ),
            case(
                "fenced old primary that went past the fork is copied anew",
                [Some(fenced(stopped(DONE, 1, 0x60))), Some(now())],
                &[],
                anew,
            ),
            case(
                "clean stop without a known history is copied anew",
                [Some(stopped(DONE, 1, 0x40)), Some(primary(2, 0x90))],
                &[],
                anew,
            ),
            case(
                "debt is paid",
                [Some(stopped(CRASHED, 1, 0x40)), Some(owing(now(), "db1", "db2"))],
                &[],
                "db1 fence, db1 move_aside, db1 clone(db2), db1 follow(db2), db2 pay_debt(db1)",
            ),
            case(
                "debt of a node that follows is paid",
                [Some(standby("db2", 2, 0x90)), Some(owing(now(), "db1", "db2"))],
                &[],
                "db2 pay_debt(db1)",
            ),
            case(
                "node that follows is left alone",
                [Some(standby("db2", 2, 0x90)), Some(now())],
                &[],
                "",
            ),
            case(
                "stopped standby follows",
                [Some(stopped(STANDBY_DONE, 2, 0x80)), Some(now())],
                &[],
                follow_again,
            ),
            case(
                "standby that lost its way before the fork follows",
                [Some(orphan("db9", 1, 0x50)), Some(now())],
                &[],
                follow_again,
            ),
            case(
                "standby past the fork is copied anew",
                [Some(orphan("db9", 1, 0x51)), Some(now())],
                &[],
                anew,
            ),
            case(
                "empty node is copied",
                [Some(bare(Role::Empty)), Some(now())],
                &[],
                "db1 clone(db2), db1 follow(db2)",
            ),
            case(
                "half-done clone is started again",
                [Some(bare(Role::HalfCloned)), Some(now())],
                &[],
                "db1 clone(db2), db1 follow(db2)",
            ),
            case(
                "no primary",
                [Some(stopped(DONE, 1, 9)), Some(orphan("db1", 1, 9))],
                &[],
                "NO primary to follow: none takes writes",
            ),
            case(
                "no primary seen",
                [Some(stopped(DONE, 1, 9)), None],
                &[],
                "NO primary to follow: none was seen, and db2 cannot be reached",
            ),
            case(
                "returned old primary is stopped only by name",
                [Some(primary(1, 0x60)), Some(now())],
                &[],
                "NO nodes that take writes: db1 beside db2, which was promoted later ~stop-db1",
            ),
            case(
                "returned old primary accepted is copied anew",
                [Some(primary(1, 0x60)), Some(now())],
                &["stop-db1"],
                anew,
            ),
            case(
                "two on one timeline cannot be told apart",
                [Some(primary(1, 0x60)), Some(primary(1, 0x60))],
                &["stop-db1", "stop-db2"],
                "NO nodes that take writes: db1 and db2 on the same timeline",
            ),
            case(
                "starting node is waited for",
                [Some(bare(Role::Starting)), Some(now())],
                &[],
                "NO server on db1: starting (its server does not answer yet)",
            ),
            case(
                "foreign files are not touched",
                [Some(bare(Role::Foreign)), Some(now())],
                &[],
                "NO data directory of db1: files that are not PostgreSQL's",
            ),
            case("unreachable node is left alone", [None, Some(now())], &[], ""),
            case(
                "data of another cluster is not touched",
                [
                    Some(with(stopped(DONE, 1, 9), |seen| {
                        seen.system_identifier = Some("42".to_owned());
                    })),
                    Some(now()),
                ],
                &[],
                "NO system identifier of all nodes: 7711119790488621087 on db2 and 42 on db1",
            ),
        ],
    );
}

#[test]
fn rejoin_of_a_named_node() {
    let of = |name: &str| Goal::Rejoin { node: Some(name.to_owned()) };
    let three = view([Some(bare(Role::Empty)), Some(primary(2, 0x90)), Some(bare(Role::Empty))]);
    assert_eq!(told(&three, &of("db3"), &[]), "db3 clone(db2), db3 follow(db2)");
    assert_eq!(told(&three, &of("db2"), &[]), "NO node to rejoin: db2, which is the primary");
    assert_eq!(
        told(&three, &of("db9"), &[]),
        "NO node to rejoin: db9, which is no node of st_mary"
    );
    let lost = view([None, Some(primary(2, 0x90))]);
    assert_eq!(
        told(&lost, &of("db1"), &[]),
        "NO node to rejoin: db1, whose host cannot be reached"
    );
}

#[test]
fn refusal_says_what_was_checked_found_and_allowed_and_what_to_do() {
    let nodes = view([None, Some(orphan("db1", 1, 9))]);
    let goal = Goal::Failover { candidate: None };
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
    let goal = Goal::Failover { candidate: None };
    let plan = decide(&nodes, &goal, &["old-primary-unreachable".to_owned()]).unwrap();
    assert_eq!(plan.accepted, ["old-primary-unreachable"]);
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
