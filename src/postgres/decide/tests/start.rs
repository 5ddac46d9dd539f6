//! Starting by an operator's word: a line a case.

use super::*;

#[test]
fn start() {
    let was = |timeline| Some(stopped(CRASHED, timeline, 0x50));
    let down = || Some(stopped(STANDBY_DONE, 1, 0x40));
    let waits = || Some(orphan("db1", 1, 0x40));
    hold(
        &Goal::Start { node: None },
        vec![
            case(
                "a pair in order has nothing to start",
                [Some(primary(1, 9)), Some(standby("db1", 1, 9))],
                &[],
                "",
            ),
            case("a standby may always start", [Some(primary(1, 9)), down()], &[], "db2 start"),
            case(
                "primary with its standby waiting",
                [was(1), waits()],
                &[],
                "db1 start, db1 verify_write",
            ),
            case(
                "whole site: the standby goes first",
                [was(1), down()],
                &[],
                "db2 start, db1 start, db1 verify_write",
            ),
            case(
                "lone primary stays down",
                [was(1), None],
                &[],
                "NO nodes that could have taken its place: db2 cannot be reached (connect timed out) ~peer-unreachable",
            ),
            case(
                "lone primary accepted by name",
                [was(1), None],
                &["peer-unreachable"],
                "db1 start, db1 verify_write",
            ),
            case(
                "or by the name of the node",
                [was(1), None],
                &["db2-unreachable"],
                "db1 start, db1 verify_write",
            ),
            case(
                "another node's name does not help",
                [was(1), None, None],
                &["db2-unreachable"],
                "NO nodes that could have taken its place: db3 cannot be reached (connect timed out) ~peer-unreachable",
            ),
            case(
                "one word for all silences",
                [was(1), None, None],
                &["peer-unreachable"],
                "db1 start, db1 verify_write",
            ),
            case(
                "a silent node is accepted by name with three, too",
                [was(1), waits(), None],
                &["peer-unreachable"],
                "db1 start, db1 verify_write",
            ),
            case(
                "standby alone is not made a primary",
                [None, down()],
                &["peer-unreachable"],
                "db2 start",
            ),
            case(
                "old primary beside a new one is left to rejoin",
                [was(1), Some(primary(2, 9))],
                &[],
                "",
            ),
            case(
                "old primary behind a stopped new one is not started",
                [was(1), was(2)],
                &[],
                "db1 fence, db2 start, db2 verify_write",
            ),
            case(
                "standby ahead is proof that another was promoted",
                [was(1), Some(orphan("db3", 2, 0x60)), None],
                &["peer-unreachable"],
                "NO timeline of db1: 1; db2 is on 2",
            ),
            case(
                "two claims on one timeline have to be told apart by a person",
                [was(1), was(1)],
                &[],
                "NO stopped nodes that were the primary: db1 and db2 on the same timeline",
            ),
            case(
                "fenced node stays down",
                [Some(fenced(stopped(CRASHED, 1, 0x50))), waits()],
                &[],
                "",
            ),
            case(
                "failover that promoted nobody is undone",
                [was(1), Some(owing(orphan("db1", 1, 0x40), "db1", "db2"))],
                &[],
                "db2 pay_debt(db1), db1 start, db1 verify_write",
            ),
            case(
                "new primary that is down goes first, whatever is owed",
                [was(1), Some(owing(stopped(CRASHED, 2, 0x50), "db1", "db2"))],
                &[],
                "db1 fence, db2 start, db2 verify_write",
            ),
            case(
                "promotion that crashed before its first record is known by what is owed",
                [was(1), Some(owing(stopped(CRASHED, 1, 0x50), "db1", "db2"))],
                &[],
                "NO stopped nodes that were the primary: db1 and db2 on the same timeline",
            ),
            case(
                "server that is starting is waited for",
                [Some(bare(Role::Starting)), waits()],
                &[],
                "NO server on db1: starting (its server does not answer yet)",
            ),
            case(
                "two primaries are not made three",
                [Some(primary(1, 9)), Some(primary(2, 9)), was(1)],
                &[],
                "NO number of nodes that take writes: db1 (timeline 1) and db2 (timeline 2)",
            ),
            case(
                "disk that is not mounted",
                [
                    Some(with(bare(Role::Empty), |seen| seen.marker = Some(SYSTEM.to_owned()))),
                    waits(),
                ],
                &[],
                "NO system identifier of the data on db1: nothing ~db1-data-gone",
            ),
            case("nothing at all", [Some(bare(Role::Empty)), None], &[], ""),
            case("nobody answers", [None, None], &[], ""),
        ],
    );
}

#[test]
fn start_of_a_named_node() {
    let of = |name: &str| Goal::Start { node: Some(name.to_owned()) };
    let was = |timeline| Some(stopped(CRASHED, timeline, 0x50));
    let both = view([was(1), was(1)]);
    assert_eq!(
        told(&both, &of("db1"), &[]),
        "NO stopped nodes that were the primary: db1 and db2 on the same timeline ~fence-db2"
    );
    assert_eq!(told(&both, &of("db1"), &["fence-db2"]), "db2 fence, db1 start, db1 verify_write");
    let later = view([was(1), was(2)]);
    assert_eq!(told(&later, &of("db1"), &[]), "NO timeline of db1: 1; db2 is on 2");
    assert_eq!(told(&later, &of("db2"), &[]), "db1 fence, db2 start, db2 verify_write");
    let replaced = view([was(1), Some(primary(2, 9))]);
    assert_eq!(
        told(&replaced, &of("db1"), &["peer-unreachable"]),
        "NO node to start: db1, which was a primary, while db2 takes writes"
    );
    let kept = view([Some(fenced(stopped(CRASHED, 1, 0x50))), None]);
    assert_eq!(
        told(&kept, &of("db1"), &["peer-unreachable"]),
        "NO node to start: db1, which is fenced (failover to db2)"
    );
    assert_eq!(told(&kept, &of("db2"), &[]), "NO node to start: db2, whose host cannot be reached");
    assert_eq!(told(&kept, &of("db9"), &[]), "NO node to start: db9, which is no node of st_mary");
    let bare = view([Some(bare(Role::Empty)), None]);
    assert_eq!(told(&bare, &of("db1"), &[]), "NO node to start: db1, which is empty");
    let pair = view([was(1), Some(stopped(STANDBY_DONE, 1, 0x40))]);
    assert_eq!(told(&pair, &of("db2"), &[]), "db2 start");
}

/// A promotion that crashed left a claim on the old timeline; what is owed tells the two apart when the new one is named.
#[test]
fn crashed_promotion_is_started_by_name() {
    let nodes = view([
        Some(stopped(CRASHED, 1, 0x50)),
        Some(owing(stopped(CRASHED, 1, 0x50), "db1", "db2")),
    ]);
    let goal = Goal::Start { node: Some("db2".to_owned()) };
    assert_eq!(told(&nodes, &goal, &["fence-db1"]), "db1 fence, db2 start, db2 verify_write");
    let goal = Goal::Start { node: Some("db1".to_owned()) };
    assert_eq!(
        told(&nodes, &goal, &["fence-db2"]),
        "NO what is owed: db1, by the failover that made db2 the primary"
    );
}
