//! Switching over: a line a case.

#![expect(clippy::unnecessary_wraps, reason = "a node of a view is seen or not")]

use super::*;
use crate::postgres::observation::{Archiver, Handover, PeerAnswer, Skew, Slot};

const SWITCH: Goal =
    Goal::Switchover { candidate: None, limits: SwitchoverLimits { lag: 1000, budget: 30 } };

fn to(node: &str) -> Goal {
    Goal::Switchover {
        candidate: Some(node.to_owned()),
        limits: SwitchoverLimits { lag: 1000, budget: 30 },
    }
}

fn well(seen: Observation) -> Observation {
    with(seen, |seen| {
        seen.major = Some("17".to_owned());
        seen.container.image_id = "sha256:1".to_owned();
        seen.container.libc = Some("glibc 2.41".to_owned());
        seen.container.restart_policy = "no".to_owned();
        seen.max_wal_senders = Some(10);
        seen.max_slots = Some(10);
        seen.disk.free = Some(1 << 40);
        seen.replayed = seen.lsn;
        seen.rewind.checksums = Some(true);
    })
}

fn row(name: &str, lsn: u64) -> Follower {
    Follower {
        name: name.to_owned(),
        state: "streaming".to_owned(),
        sync_state: "async".to_owned(),
        flushed: Some(Lsn(lsn)),
        ..Follower::default()
    }
}

/// `db1`, which every other one of `standbys` follows.
fn first(standbys: &[&str], change: impl FnOnce(&mut Observation)) -> Option<Observation> {
    let mut seen = well(primary(3, 5000));
    for name in standbys {
        seen.followers.push(row(name, 5000));
        seen.peers.push(PeerAnswer { node: (*name).to_owned(), answers: true });
    }
    change(&mut seen);
    Some(seen)
}

fn second(change: impl FnOnce(&mut Observation)) -> Option<Observation> {
    let mut seen = well(standby("db1", 3, 5000));
    change(&mut seen);
    Some(seen)
}

fn pair(
    of_primary: impl FnOnce(&mut Observation),
    of_standby: impl FnOnce(&mut Observation),
) -> [Option<Observation>; 2] {
    [first(&["db2"], of_primary), second(of_standby)]
}

const WHOLE: &str =
    "db1 hand_over(db2), db2 take_over(db1), db2 verify_write, db1 follow(db2), db1 end_handover";

fn handing(seen: Observation) -> Option<Observation> {
    Some(with(seen, |seen| {
        seen.handover = Some(Handover { from: "db1".to_owned(), to: "db2".to_owned() });
        seen.standby_configured = true;
    }))
}

#[test]
fn switchover_of_a_pair_in_order() {
    let same = |_: &mut Observation| {};
    hold(
        &SWITCH,
        vec![
            case("pair in order", pair(same, same), &[], WHOLE),
            case(
                "one primary and no standby",
                [first(&[], same)],
                &[],
                "NO running standbys: none: the cluster has one node",
            ),
            case(
                "standby that does not answer",
                [first(&["db2"], same), None],
                &[],
                "NO running standbys: none (db2 is unknown)",
            ),
            case(
                "stopped standby",
                [first(&[], same), Some(stopped(STANDBY_DONE, 3, 5000))],
                &[],
                "NO running standbys: none (db2 is stopped)",
            ),
            case(
                "no primary",
                [Some(well(orphan("db2", 3, 9))), second(same)],
                &[],
                "NO primary that hands over: none takes writes",
            ),
            case(
                "primary that does not answer",
                [None, second(same)],
                &[],
                "NO primary that hands over: none was seen, and db1 did not answer",
            ),
            case(
                "two primaries",
                [first(&[], same), Some(well(primary(4, 9)))],
                &[],
                "NO number of nodes that take writes: db1 (timeline 3) and db2 (timeline 4)",
            ),
        ],
    );
}

#[test]
fn what_the_candidate_has_to_be() {
    let same = |_: &mut Observation| {};
    hold(
        &SWITCH,
        vec![
            case(
                "it is not attached",
                pair(|seen| seen.followers.clear(), same),
                &[],
                "NO attached to the primary: not attached",
            ),
            case(
                "it catches up still",
                pair(|seen| seen.followers[0].state = "catchup".to_owned(), same),
                &[],
                "NO attached to the primary: catchup",
            ),
            case(
                "it follows somebody else",
                pair(same, |seen| seen.upstream.host = Some("10.9.9.9".to_owned())),
                &[],
                "NO follows: 10.9.9.9",
            ),
            case(
                "its receiver waits",
                pair(same, |seen| seen.upstream.status = "waiting".to_owned()),
                &[],
                "NO receiver: waiting",
            ),
            case(
                "it receives another timeline",
                pair(same, |seen| seen.upstream.timeline = Some(TimelineId(2))),
                &[],
                "NO received timeline: 2",
            ),
            case(
                "its replay is paused",
                pair(same, |seen| seen.paused = true),
                &[],
                "NO replay: paused",
            ),
            case(
                "it received too little",
                pair(
                    |seen| seen.followers[0].flushed = Some(Lsn(3000)),
                    |seen| seen.lsn = Some(Lsn(3000)),
                ),
                &[],
                "NO received: 1.9 kB behind ~lag",
            ),
            case(
                "it replayed too little",
                pair(same, |seen| seen.replayed = Some(Lsn(3999))),
                &[],
                "NO replayed: 1001 bytes behind ~lag",
            ),
            case(
                "just within the limit",
                pair(same, |seen| seen.replayed = Some(Lsn(4000))),
                &[],
                WHOLE,
            ),
            case(
                "lag that was accepted",
                pair(same, |seen| seen.replayed = Some(Lsn(1))),
                &["lag"],
                WHOLE,
            ),
            case(
                "no senders left",
                pair(same, |seen| seen.max_wal_senders = Some(0)),
                &[],
                "NO WAL senders: 0 free of 0",
            ),
            case(
                "no slots left",
                pair(same, |seen| {
                    seen.max_slots = Some(1);
                    seen.slots.push(Slot { name: "barman".to_owned(), ..Slot::default() });
                }),
                &[],
                "NO replication slots: 0 free of 1",
            ),
            case(
                "a slot that is there needs no other",
                pair(same, |seen| {
                    seen.max_slots = Some(1);
                    seen.slots.push(Slot { name: "matron_db1".to_owned(), ..Slot::default() });
                }),
                &[],
                WHOLE,
            ),
            case(
                "another major",
                pair(same, |seen| seen.major = Some("16".to_owned())),
                &[],
                "NO major version: 16",
            ),
            case(
                "another C library",
                pair(same, |seen| seen.container.libc = Some("glibc 2.36".to_owned())),
                &[],
                "NO C library of db2: glibc 2.36 ~db2-other-glibc",
            ),
            case(
                "another C library that was accepted",
                pair(same, |seen| seen.container.libc = Some("glibc 2.36".to_owned())),
                &["db2-other-glibc"],
                WHOLE,
            ),
            case(
                "disk too full",
                pair(same, |seen| seen.disk.free = Some(1 << 20)),
                &[],
                "NO disk: 1.0 MB free ~db2-disk",
            ),
            case(
                "the old primary cannot reach it",
                pair(|seen| seen.peers[0].answers = false, same),
                &[],
                "NO port as db1 sees it: does not answer",
            ),
        ],
    );
}

#[test]
fn what_the_primary_has_to_be() {
    let same = |_: &mut Observation| {};
    let archiver =
        |waiting| Archiver { mode: "on".to_owned(), waiting: Some(waiting), ..Archiver::default() };
    hold(
        &SWITCH,
        vec![
            case(
                "a backup runs",
                pair(
                    |seen| {
                        seen.followers
                            .push(Follower { state: "backup".to_owned(), ..Follower::default() });
                    },
                    same,
                ),
                &[],
                "NO base backups: 1 running ~backup-running",
            ),
            case(
                "an exclusive backup runs",
                pair(|seen| seen.exclusive_backup = true, same),
                &[],
                "NO base backups: 1 running ~backup-running",
            ),
            case(
                "a prepared transaction",
                pair(|seen| seen.load.prepared = 2, same),
                &[],
                "NO prepared transactions: 2 ~prepared-transactions",
            ),
            case(
                "a long transaction",
                pair(|seen| seen.load.oldest_transaction = Some(61), same),
                &[],
                "NO longest transaction: 61 s ~long-transactions",
            ),
            case("archiver behind", pair(|seen| seen.archiver = archiver(128), same), &[], WHOLE),
            case(
                "archiver far behind",
                pair(|seen| seen.archiver = archiver(129), same),
                &[],
                "NO archiver: 129 files wait ~archive-backlog",
            ),
            case(
                "restart policy",
                pair(|seen| seen.container.restart_policy = "always".to_owned(), same),
                &[],
                "NO restart policy: always ~db1-restart-policy",
            ),
            case(
                "no guard on the standby",
                pair(same, |seen| seen.guard = false),
                &[],
                "NO guard: not installed ~db2-no-guard",
            ),
            case(
                "clocks apart are only noted",
                pair(
                    |seen| seen.skew = Some(Skew { milliseconds: 60_000, bound: 1 }),
                    |seen| seen.skew = Some(Skew { milliseconds: 0, bound: 1 }),
                ),
                &[],
                WHOLE,
            ),
        ],
    );
}

#[test]
fn every_check_is_told_when_some_refuse() {
    let nodes = view(pair(
        |seen| seen.load.prepared = 1,
        |seen| {
            seen.paused = true;
            seen.disk.free = Some(0);
        },
    ));
    let refusal = decide(&nodes, &SWITCH, &[]).expect_err("refused");
    let refused: Vec<_> = refusal
        .checks
        .iter()
        .filter(|check| check.verdict == CheckVerdict::Refused)
        .map(|check| check.name.as_str())
        .collect();
    assert_eq!(refused, ["replay", "disk", "prepared transactions"]);
    assert!(refusal.checks.len() > 20, "{}", refusal.checks.len());
}

#[test]
fn candidate_is_named_or_chosen() {
    let same = |_: &mut Observation| {};
    let three =
        || [first(&["db2", "db3"], same), second(same), Some(well(standby("db1", 3, 5000)))];
    let named = "db1 hand_over(db3), db3 take_over(db1), db3 verify_write, db1 follow(db3), db2 follow(db3), db1 end_handover";
    hold(&to("db3"), vec![case("the named one", three(), &[], named)]);
    hold(
        &SWITCH,
        vec![case(
            "the one whose confirmation is waited for",
            [
                first(&["db2", "db3"], |seen| seen.followers[1].sync_state = "sync".to_owned()),
                second(same),
                Some(well(standby("db1", 3, 5000))),
            ],
            &[],
            named,
        )],
    );
    hold(
        &to("db2"),
        vec![
            case(
                "a sibling that is not seen",
                [first(&["db2"], same), second(same), None],
                &[],
                "NO sibling: its host did not answer ~db3-unreachable",
            ),
            case(
                "a sibling that is not seen and accepted",
                [first(&["db2"], same), second(same), None],
                &["db3-unreachable"],
                WHOLE,
            ),
        ],
    );
    hold(
        &to("db1"),
        vec![case(
            "the primary itself",
            pair(same, same),
            &[],
            "db1 verify_write, db2 follow(db1)",
        )],
    );
    hold(
        &to("db9"),
        vec![case(
            "no node of it",
            pair(same, same),
            &[],
            "NO candidate: db9, which is no node of st_mary",
        )],
    );
}

#[test]
fn unfinished_switchover_is_finished() {
    let same = |_: &mut Observation| {};
    let ahead = || Some(well(orphan("db1", 3, 5100)));
    let end = "db2 verify_write, db1 follow(db2), db1 end_handover";
    let forward = "db2 take_over(db1), db2 verify_write, db1 follow(db2), db1 end_handover";
    for goal in [SWITCH, to("db2")] {
        hold(
            &goal,
            vec![
                case(
                    "the stop was never ordered: from the beginning",
                    [
                        first(&["db2"], |seen| {
                            seen.handover =
                                Some(Handover { from: "db1".to_owned(), to: "db2".to_owned() });
                        }),
                        second(same),
                    ],
                    &[],
                    WHOLE,
                ),
                case(
                    "stopped, nobody promoted",
                    [handing(stopped(DONE, 3, 5000)), ahead()],
                    &[],
                    forward,
                ),
                case(
                    "stopped, and the candidate lacks the end",
                    [handing(stopped(DONE, 3, 5000)), Some(well(orphan("db1", 3, 5000)))],
                    &[],
                    "NO log received by db2: 0/1388, 1 bytes short of the end",
                ),
                case(
                    "it crashed on the way",
                    [handing(stopped(CRASHED, 3, 5000)), ahead()],
                    &[],
                    "NO end of the log of db1: db1 did not stop in order",
                ),
                case(
                    "it is a standby already, nobody promoted",
                    [handing(orphan("db2", 3, 5100)), ahead()],
                    &[],
                    forward,
                ),
                case(
                    "candidate is gone",
                    [handing(stopped(DONE, 3, 5000)), None],
                    &[],
                    "NO role of db2: unknown: its host did not answer",
                ),
                case(
                    "promoted, the old one not started",
                    [handing(stopped(DONE, 3, 5000)), Some(well(primary(4, 5200)))],
                    &[],
                    end,
                ),
                case(
                    "promoted, the old one follows",
                    [handing(standby("db2", 4, 5200)), Some(well(primary(4, 5200)))],
                    &[],
                    end,
                ),
            ],
        );
    }
}

#[test]
fn unfinished_switchover_goes_back_when_nobody_was_promoted() {
    let ahead = || Some(well(orphan("db1", 3, 5100)));
    hold(
        &to("db1"),
        vec![
            case(
                "stopped, nobody promoted",
                [handing(stopped(DONE, 3, 5000)), ahead()],
                &[],
                "db1 take_back(db2), db1 verify_write, db2 follow(db1), db1 end_handover",
            ),
            case(
                "candidate is not seen: it may have been promoted",
                [handing(stopped(DONE, 3, 5000)), None],
                &[],
                "NO nodes that may have been promoted: db2 did not answer (connect timed out) ~db2-unreachable",
            ),
            case(
                "candidate is known to be lost",
                [handing(stopped(DONE, 3, 5000)), None],
                &["db2-unreachable"],
                "db1 take_back(db2), db1 verify_write, db1 end_handover",
            ),
            case(
                "candidate was promoted and has stopped",
                [handing(stopped(DONE, 3, 5000)), Some(stopped(DONE, 4, 5200))],
                &[],
                "NO timeline of db2: 4: it was promoted, or followed one that was",
            ),
            case(
                "candidate is the primary",
                [handing(stopped(DONE, 3, 5000)), Some(well(primary(4, 5200)))],
                &[],
                "NO unfinished switchover: from db1 to db2",
            ),
        ],
    );
}
