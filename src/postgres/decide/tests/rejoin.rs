//! Rejoin: a line a case.

use super::*;

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
