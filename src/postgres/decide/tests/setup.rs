//! Setting up: a line a case.

use super::*;

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
