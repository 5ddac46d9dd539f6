//! Failover: a line a case.

use super::*;
use crate::postgres::observation::{PeerAnswer, Promise, Unreceived};

#[test]
fn failover() {
    let lost: &[&str] = &["old-primary-unreachable", "possible-loss"];
    let quiet = |seen| with(seen, |seen: &mut Observation| seen.upstream.silent_seconds = Some(40));
    let hears = |node: &str| {
        let peer = PeerAnswer { node: node.to_owned(), answers: true };
        with(orphan(node, 1, 9), |seen| seen.peers.push(peer))
    };
    hold(
        &FAILOVER,
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
                &["old-primary-unreachable", "old-primary-answers-peers", "possible-loss"],
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
                &["old-primary-unreachable", "db3-unreachable", "possible-loss"],
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
    let to = |name: &str| Goal::Failover {
        candidate: Some(name.to_owned()),
        stage: FailoverStage::Last,
    };
    let lost: &[&str] = &["old-primary-unreachable", "possible-loss"];
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

/// Commits on db1 waited for these.
fn promised(seen: Observation, names: &str) -> Observation {
    let promise = Promise { primary: "db1".to_owned(), names: names.to_owned() };
    with(seen, |seen| seen.promise = Some(promise))
}

/// A stopped primary whose WAL was read from `from` on.
fn read(from: u64, commits: u64) -> Observation {
    with(stopped(CRASHED, 1, 0x30), |seen| {
        seen.unreceived = Some(Unreceived {
            from: Lsn(from),
            to: Lsn(from + 0x100),
            commits,
            seconds: Some(7),
            ..Unreceived::default()
        });
    })
}

#[test]
fn failover_loss_is_stated_and_consented_to() {
    let gone: &[&str] = &["old-primary-unreachable"];
    let waiting = || promised(orphan("db1", 1, 0x40), "FIRST 1 (\"db2\")");
    let either = |lsn| promised(orphan("db1", 1, lsn), "ANY 1 (db2, DB3)");
    hold(
        &FAILOVER,
        vec![
            case(
                "what an unreachable primary held is not known",
                [None, Some(orphan("db1", 1, 0x40))],
                gone,
                "NO commits that would be lost: what db1 committed after 0/40; how much cannot be known from here ~possible-loss",
            ),
            case(
                "commits that waited for the candidate are there",
                [None, Some(waiting())],
                gone,
                "db2 record_debt(db1), db2 promote, db2 verify_write",
            ),
            case(
                "commits that waited for another one are not",
                [None, Some(promised(orphan("db1", 1, 0x40), "FIRST 1 (db3)"))],
                gone,
                "NO commits that would be lost: what db1 committed after 0/40; how much cannot be known from here ~possible-loss",
            ),
            case(
                "commits on another primary prove nothing",
                [
                    None,
                    Some(with(waiting(), |seen| {
                        seen.promise =
                            Some(Promise { primary: "db9".to_owned(), names: "db2".to_owned() });
                    })),
                ],
                gone,
                "NO commits that would be lost: what db1 committed after 0/40; how much cannot be known from here ~possible-loss",
            ),
            case(
                "of two that could have acknowledged the one with more has it",
                [None, Some(either(0x40)), Some(either(0x50))],
                gone,
                "db3 record_debt(db1), db3 promote, db3 verify_write, db2 follow(db3)",
            ),
            case(
                "of two that could have acknowledged one is not seen",
                [None, Some(either(0x40)), None],
                &["old-primary-unreachable", "db3-unreachable"],
                "NO commits that would be lost: what db1 committed after 0/40; how much cannot be known from here ~possible-loss",
            ),
            case(
                "a crash loses nothing that had to wait",
                [Some(stopped(CRASHED, 1, 0x30)), Some(waiting())],
                &[],
                "db1 fence, db2 promote, db2 verify_write",
            ),
            case(
                "commits are counted where the WAL can be read",
                [Some(read(0x40, 3)), Some(orphan("db1", 1, 0x40))],
                &[],
                "NO commits that would be lost: 3 commits of db1 in 256 bytes of WAL, made within 7 s, that db2 never received ~possible-loss",
            ),
            case(
                "counted and accepted",
                [Some(read(0x40, 3)), Some(orphan("db1", 1, 0x40))],
                &["possible-loss"],
                "db1 fence, db2 promote, db2 verify_write [loses 3 commits in 256]",
            ),
            case(
                "none counted is none lost",
                [Some(read(0x40, 0)), Some(orphan("db1", 1, 0x40))],
                &[],
                "db1 fence, db2 promote, db2 verify_write",
            ),
            case(
                "a count from elsewhere does not count",
                [Some(read(0x30, 0)), Some(orphan("db1", 1, 0x40))],
                &[],
                "NO commits that would be lost: db1 did not stop in order: commits after 0/40 may exist only there ~possible-loss",
            ),
        ],
    );
}

#[test]
fn failover_of_a_primary_that_is_half_there() {
    let state = |state: &str, trouble: &str| {
        with(bare(Role::Starting), |seen| {
            seen.container.state = state.to_owned();
            seen.trouble = Some(trouble.to_owned());
        })
    };
    let engine = || Some(state("", "the Docker engine does not answer"));
    let paused = || Some(state("paused", "its container is paused"));
    let waits = || Some(orphan("db1", 1, 0x40));
    let local = |name: &str| {
        with(orphan("db1", 1, 0x50), |seen| seen.system_identifier = Some(name.to_owned()))
    };
    hold(
        &FAILOVER,
        vec![
            case(
                "an engine that hangs is no proof that the server is down",
                [engine(), waits()],
                &[],
                "NO old primary: db1: the Docker engine does not answer ~old-primary-running",
            ),
            case(
                "accepted, it is stopped by its processes",
                [engine(), waits()],
                &["old-primary-running"],
                "db1 fence, db2 promote, db2 verify_write [loss unknown]",
            ),
            case(
                "a paused container may go on",
                [paused(), waits()],
                &[],
                "NO old primary: db1: its container is paused ~old-primary-running",
            ),
            case(
                "accepted, it is killed where it stands",
                [paused(), waits()],
                &["old-primary-running"],
                "db1 fence, db2 promote, db2 verify_write [loss unknown]",
            ),
            case(
                "a starting one is not a paused one",
                [Some(state("running", "starting up")), waits()],
                &["old-primary-running"],
                "NO old primary: db1 is starting ~old-primary-starting",
            ),
            case(
                "one that lost its disk is fenced all the same",
                [Some(bare(Role::Empty)), waits()],
                &["possible-loss"],
                "db1 fence, db2 promote, db2 verify_write [loss unknown]",
            ),
            case(
                "a standby of another cluster is not promoted",
                [None, waits(), Some(local("42"))],
                &["old-primary-unreachable", "possible-loss"],
                "NO system identifier of all nodes: 42 on db3 and 7711119790488621087 on db2",
            ),
        ],
    );
}

#[test]
fn failover_leaves_to_time_and_to_the_fence_command_what_they_can_settle() {
    let first =
        |can_cut| Goal::Failover { candidate: None, stage: FailoverStage::First { can_cut } };
    let cut = Goal::Failover { candidate: None, stage: FailoverStage::LastAfterCut };
    let alive = view([None, Some(standby("db1", 1, 9))]);
    let all: &[&str] = &["old-primary-unreachable", "possible-loss"];
    let pending = |goal: &Goal, accept: &[&str]| {
        let accept: Vec<_> = accept.iter().map(|word| (*word).to_owned()).collect();
        decide(&alive, goal, &accept).map(|plan| plan.pending).map_err(|refusal| refusal.accept)
    };
    assert_eq!(pending(&first(false), all), Ok(vec![Pending::Silence]));
    assert_eq!(pending(&first(false), &[]), Err(Some("old-primary-unreachable".to_owned())));
    assert_eq!(pending(&first(true), &["possible-loss"]), Ok(vec![Pending::Cut]));
    assert_eq!(pending(&first(true), &[]), Err(Some("possible-loss".to_owned())));
    let done = "db2 record_debt(db1), db2 promote, db2 verify_write [loss unknown]";
    assert_eq!(told(&alive, &cut, &["possible-loss"]), done);
    assert_eq!(
        told(&alive, &FAILOVER, all),
        "NO old primary: db1: its host cannot be reached from here, but it sends WAL to db2 ~old-primary-answers-peers"
    );
}

#[test]
fn node_that_may_not_be_promoted_is_not() {
    let mut nodes = view([None, Some(orphan("db1", 1, 0x40)), Some(orphan("db1", 1, 0x50))]);
    nodes.nodes[2].promotable = false;
    let all: &[&str] = &["old-primary-unreachable", "possible-loss"];
    assert_eq!(
        told(&nodes, &FAILOVER, all),
        "db2 record_debt(db1), db2 promote, db2 verify_write, db3 follow(db2) [loss unknown]"
    );
    let named = Goal::Failover { candidate: Some("db3".to_owned()), stage: FailoverStage::Last };
    assert_eq!(told(&nodes, &named, all), "NO candidate: db3, which has pg_promotable: false");
}
