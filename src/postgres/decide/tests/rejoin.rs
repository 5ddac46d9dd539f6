//! Rejoin: a line a case.

use super::*;
use crate::postgres::observation::Rewindable;

fn rejoin_by(by: By) -> Goal {
    Goal::Rejoin { node: None, by }
}

/// Has everything that a rewind needs.
fn rewindable(seen: Observation) -> Observation {
    with(seen, |seen| {
        seen.major = Some("17\n".to_owned());
        seen.rewind = Rewindable {
            programs: Some(vec!["pg_rewind".to_owned(), "pg_waldump".to_owned()]),
            checksums: Some(false),
            wal_log_hints: Some(true),
            wal_from: Some(Lsn(0x10)),
            ..Rewindable::default()
        };
    })
}

fn now() -> Observation {
    with(forked(primary(2, 0x90), 1, 0x50), |seen| {
        seen.version_num = Some(170_011);
        seen.rewind.full_page_writes = Some(true);
    })
}

const REWOUND: &str = "db1 fence, db1 list_lost, db1 rewind(db2), db1 follow(db2)";
const ANEW: &str = "db1 fence, db1 list_lost, db1 move_aside, db1 clone(db2), db1 follow(db2)";

#[test]
fn node_that_went_its_own_way_is_rewound_where_that_can_work() {
    let gone = || rewindable(stopped(CRASHED, 1, 0x60));
    let but = |change: fn(&mut Observation)| Some(with(gone(), change));
    let now = || Some(now());
    hold(
        &rejoin_by(By::Auto),
        vec![
            case("crashed old primary", [Some(gone()), now()], &[], REWOUND),
            case(
                "old primary that went on and stopped in order",
                [Some(rewindable(fenced(stopped(DONE, 1, 0x60)))), now()],
                &[],
                REWOUND,
            ),
            case(
                "old primary that runs, accepted by name",
                [Some(rewindable(primary(1, 0x60))), now()],
                &["stop-db1"],
                REWOUND,
            ),
            case(
                "standby past the fork",
                [Some(rewindable(orphan("db9", 1, 0x51))), now()],
                &[],
                REWOUND,
            ),
            case(
                "checksums do what hints do",
                [
                    but(|seen| {
                        seen.rewind.wal_log_hints = Some(false);
                        seen.rewind.checksums = Some(true);
                    }),
                    now(),
                ],
                &[],
                REWOUND,
            ),
            case(
                "WAL from the fork's own position on is enough",
                [but(|seen| seen.rewind.wal_from = Some(Lsn(0x50))), now()],
                &[],
                REWOUND,
            ),
            case(
                "debt is paid",
                [Some(gone()), Some(owing(super::rejoin::now(), "db1", "db2"))],
                &[],
                "db1 fence, db1 list_lost, db1 rewind(db2), db1 follow(db2), db2 pay_debt(db1)",
            ),
        ],
    );
}

#[test]
fn what_stands_in_the_way_of_a_rewind_is_said_and_the_node_copied_anew() {
    for (change, why) in [
        (
            (|seen| seen.rewind.programs = Some(vec![])) as fn(&mut Observation),
            "its image has no pg_rewind",
        ),
        (|seen| seen.rewind.programs = None, "whether its image has pg_rewind is not known"),
        (
            |seen| seen.rewind.wal_log_hints = Some(false),
            "neither wal_log_hints nor data checksums are on",
        ),
        (
            |seen| seen.rewind.wal_log_hints = None,
            "whether wal_log_hints or data checksums are on is not known",
        ),
        (
            |seen| seen.rewind.wal_from = Some(Lsn(0x51)),
            "its WAL back to where it left the primary's history (0/50) is gone: the oldest is from 0/51",
        ),
        (|seen| seen.rewind.wal_from = None, "which WAL it still has is not known"),
        (
            |seen| seen.rewind.interrupted = true,
            "a rewind of it was begun and did not end, and cannot be begun again",
        ),
        (|seen| seen.rewind.damaged = true, "its control file is damaged"),
        (
            |seen| seen.major = Some("16".to_owned()),
            "its data is of PostgreSQL 16, the primary's of 17",
        ),
        (
            |seen| seen.timeline = Some(TimelineId(7)),
            "where it left the primary's history is not known",
        ),
    ] {
        let seen = with(rewindable(stopped(CRASHED, 1, 0x60)), change);
        let nodes = view([Some(seen), Some(now())]);
        assert_eq!(told(&nodes, &rejoin_by(By::Auto), &[]), ANEW, "{why}");
        let plan = decide(&nodes, &rejoin_by(By::Auto), &[]).unwrap();
        let fact = format!("db1 is copied anew, for it cannot be rewound: {why}");
        assert!(plan.facts.contains(&fact), "{fact}: {:?}", plan.facts);
        assert_eq!(told(&nodes, &rejoin_by(By::Rewind), &[]), format!("NO rewind of db1: {why}"));
    }
}

#[test]
fn obstacles_of_the_primary_and_of_the_version_are_said() {
    for (change, why) in [
        (
            (|seen| seen.rewind.full_page_writes = Some(false)) as fn(&mut Observation),
            "full_page_writes is off on the primary",
        ),
        (
            |seen| seen.version_num = Some(90_426),
            "PostgreSQL 9.4 comes without pg_rewind; its data is of PostgreSQL 17, the primary's of 9.4",
        ),
    ] {
        let gone = rewindable(stopped(CRASHED, 1, 0x60));
        let nodes = view([Some(gone), Some(with(now(), change))]);
        assert_eq!(told(&nodes, &rejoin_by(By::Rewind), &[]), format!("NO rewind of db1: {why}"));
    }
}

#[test]
fn node_is_copied_anew_when_that_is_told() {
    let clone = rejoin_by(By::Clone);
    let gone = rewindable(stopped(CRASHED, 1, 0x60));
    hold(
        &clone,
        vec![
            case("that could be rewound", [Some(gone), Some(now())], &[], ANEW),
            case(
                "that could follow",
                [Some(rewindable(stopped(STANDBY_DONE, 2, 0x80))), Some(now())],
                &[],
                ANEW,
            ),
            case("but not one that follows", [Some(standby("db2", 2, 0x90)), Some(now())], &[], ""),
        ],
    );
}

#[test]
fn node_that_can_follow_needs_no_rewind_even_when_told() {
    let nodes = view([Some(fenced(stopped(DONE, 1, 0x40))), Some(now())]);
    assert_eq!(told(&nodes, &rejoin_by(By::Rewind), &[]), "db1 follow(db2)");
}

#[test]
fn half_rewound_data_neither_follows_nor_is_listed_as_in_order() {
    let half = with(stopped(STANDBY_DONE, 2, 0x80), |seen| seen.rewind.interrupted = true);
    let nodes = view([Some(half), Some(now())]);
    assert_eq!(told(&nodes, &rejoin_by(By::Auto), &[]), ANEW);
    let plan = decide(&nodes, &Goal::Status, &[]).unwrap();
    assert!(
        plan.facts.contains(&"db1 was being rewound, and that did not end".to_owned()),
        "{:?}",
        plan.facts
    );
}

#[test]
fn plan_says_which_stretches_of_wal_only_the_node_has() {
    let forks = |seen| {
        let nodes = view([Some(seen), Some(forked(primary(3, 0x90), 1, 0x50))]);
        decide(&nodes, &rejoin_by(By::Auto), &[]).unwrap().forks
    };
    let stretch = |timeline, from, to: Option<u64>| Stretch {
        timeline: TimelineId(timeline),
        from: Lsn(from),
        to: to.map(Lsn),
    };
    let old = forks(stopped(CRASHED, 1, 0x60));
    let (timeline, lsn) = (TimelineId(1), Lsn(0x50));
    assert_eq!(old["db1"], Fork { timeline, lsn, stretches: vec![stretch(1, 0x50, None)] });
    // It was promoted too, further on than the one that counts.
    let promoted = with(stopped(CRASHED, 2, 0x80), |seen| {
        seen.history = Some("# 2\n1\t0/70\tno recovery target specified\n".to_owned());
    });
    let stretches = vec![stretch(1, 0x50, Some(0x70)), stretch(2, 0x70, None)];
    assert_eq!(forks(promoted)["db1"], Fork { timeline, lsn, stretches });
    // The history file at hand is another timeline's.
    let unknown = with(stopped(CRASHED, 2, 0x80), |seen| {
        seen.history = Some("# 5\n1\t0/70\tno recovery target specified\n".to_owned());
    });
    assert_eq!(forks(unknown).get("db1"), None);
}

#[test]
fn rejoin() {
    let follow_again = "db1 follow(db2)";
    let anew = ANEW;
    hold(
        &rejoin_by(By::Auto),
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
                "db1 fence, db1 list_lost, db1 move_aside, db1 clone(db2), db1 follow(db2), db2 pay_debt(db1)",
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
    let of = |name: &str| Goal::Rejoin { node: Some(name.to_owned()), by: By::Auto };
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
