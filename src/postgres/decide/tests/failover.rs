//! Failover: a line a case.

use super::*;
use crate::postgres::observation::PeerAnswer;

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
