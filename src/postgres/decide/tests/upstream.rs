//! Who follows whom: a line a case.

use std::fmt::Write as _;

use super::*;
use crate::postgres::view::CloneFrom;

/// `db3` follows `db2`.
fn cascade(nodes: [Option<Observation>; 3]) -> View {
    let mut view = view(nodes);
    view.nodes[2].wanted_upstream = Some("db2".to_owned());
    view
}

/// Who follows whom, and who is copied from whom.
fn upstreams(view: &View, goal: &Goal, accept: &[&str]) -> String {
    let accept: Vec<_> = accept.iter().map(|word| (*word).to_owned()).collect();
    match decide(view, goal, &accept) {
        Ok(plan) => {
            let mut text = String::new();
            for (node, upstream) in &plan.upstreams {
                let _ = write!(text, "{node}>{upstream} ");
            }
            for (node, source) in &plan.sources {
                let _ = write!(text, "{node}={source} ");
            }
            text.trim_end().to_owned()
        }
        Err(refusal) => refusal.to_string(),
    }
}

#[test]
fn node_follows_what_it_wants_while_that_is_there() {
    let ok = || Some(standby("db1", 1, 9));
    let third = || Some(standby("db2", 1, 9));
    let lost = || Some(orphan("db2", 1, 9));
    let db1 = || Some(primary(1, 9));
    let holds = |claim: &str, nodes: [Option<Observation>; 3], told: &str| {
        assert_eq!(upstreams(&cascade(nodes), &Goal::Status, &[]), told, "{claim}");
    };
    holds("a cascade in order", [db1(), ok(), third()], "db2>db1 db3>db2");
    holds("nothing there yet", [None, None, None], "");
    holds("middle is not seen and sends still", [db1(), None, third()], "db2>db1 db3>db2");
    holds("middle is not seen and sends nothing", [db1(), None, lost()], "db2>db1 db3>db1");
    let foreign = Some(bare(Role::Foreign));
    holds("middle has data of its own", [db1(), foreign, lost()], "db2>db1 db3>db1");
    let deaf = Some(orphan("db1", 1, 9));
    holds("middle gets nothing", [db1(), deaf, lost()], "db2>db1 db3>db1");
    let second = Some(standby("db2", 1, 9));
    holds("middle is the primary", [second, db1(), third()], "db1>db2 db3>db2");
    let of_third = || Some(standby("db3", 1, 9));
    holds("third is the primary", [of_third(), of_third(), db1()], "db1>db3 db2>db3");
}

#[test]
fn set_up_brings_a_middle_that_is_stopped_and_copies_from_what_streams() {
    let up = |nodes| upstreams(&cascade(nodes), &Goal::SetUp, &[]);
    let db1 = || Some(primary(1, 9));
    let empty = || Some(bare(Role::Empty));
    assert_eq!(up([empty(), empty(), empty()]), "db2>db1 db3>db2 db2=db1 db3=db1");
    assert_eq!(up([db1(), Some(standby("db1", 1, 9)), empty()]), "db2>db1 db3>db2 db3=db2");
    assert_eq!(up([db1(), Some(stopped(STANDBY_DONE, 1, 9)), empty()]), "db2>db1 db3>db2 db3=db1");
}

#[test]
fn ring_of_wishes_falls_back_to_the_primary() {
    let mut nodes =
        cascade([Some(primary(1, 9)), Some(standby("db1", 1, 9)), Some(standby("db1", 1, 9))]);
    nodes.nodes[1].wanted_upstream = Some("db3".to_owned());
    assert_eq!(upstreams(&nodes, &Goal::Status, &[]), "db2>db1 db3>db1");
    nodes.nodes[2].wanted_upstream = Some("db3".to_owned());
    assert_eq!(upstreams(&nodes, &Goal::Status, &[]), "db2>db1 db3>db1");
}

#[test]
fn failover_keeps_a_cascade_that_is_left_and_re_points_the_rest() {
    let lost: &[&str] = &["old-primary-unreachable", "possible-loss"];
    let goal = |candidate: &str| Goal::Failover {
        candidate: Some(candidate.to_owned()),
        stage: FailoverStage::Last,
    };
    let after = |nodes: View, candidate: &str| {
        format!(
            "{}; {}",
            told(&nodes, &goal(candidate), lost),
            upstreams(&nodes, &goal(candidate), lost)
        )
    };
    let third = || Some(orphan("db2", 1, 9));
    assert_eq!(
        after(cascade([None, Some(orphan("db1", 1, 9)), third()]), "db2"),
        "db2 record_debt(db1), db2 promote, db2 verify_write, db3 follow(db2) [loss unknown]; db1>db2 db3>db2"
    );
    // The end of a cascade is promoted: its old primary is the one that the middle followed.
    assert_eq!(
        after(cascade([None, Some(orphan("db1", 1, 9)), third()]), "db3"),
        "db3 record_debt(db1), db3 promote, db3 verify_write, db2 follow(db3) [loss unknown]; db1>db3 db2>db3"
    );
    let mut four = view([
        None,
        Some(orphan("db1", 1, 9)),
        Some(orphan("db1", 1, 9)),
        Some(standby("db3", 1, 9)),
    ]);
    four.nodes[3].wanted_upstream = Some("db3".to_owned());
    assert_eq!(
        after(four, "db2"),
        "db2 record_debt(db1), db2 promote, db2 verify_write, db3 follow(db2), db4 follow(db3) [loss unknown]; \
         db1>db2 db3>db2 db4>db3"
    );
}

#[test]
fn rejoin_lets_a_node_that_fell_back_to_the_primary_go_to_its_upstream_again() {
    let all = Goal::Rejoin { node: None, by: By::Auto };
    let only = |node: &str| Goal::Rejoin { node: Some(node.to_owned()), by: By::Auto };
    let middle_back = || {
        cascade([
            Some(primary(1, 9)),
            Some(stopped(STANDBY_DONE, 1, 9)),
            Some(standby("db1", 1, 9)),
        ])
    };
    assert_eq!(told(&middle_back(), &all, &[]), "db2 follow(db1), db3 follow(db2)");
    assert_eq!(told(&middle_back(), &only("db2"), &[]), "db2 follow(db1)");
    let in_order =
        cascade([Some(primary(1, 9)), Some(standby("db1", 1, 9)), Some(standby("db2", 1, 9))]);
    assert_eq!(told(&in_order, &all, &[]), "");
    // What is behind a middle that gets nothing gets nothing either.
    let broken =
        cascade([Some(primary(1, 9)), Some(orphan("db1", 1, 9)), Some(standby("db2", 1, 9))]);
    assert_eq!(told(&broken, &all, &[]), "db2 follow(db1), db3 follow(db2)");
}

#[test]
fn copy_comes_from_where_it_was_asked_for() {
    let with = |from: CloneFrom, middle: Option<Observation>| {
        let mut nodes = cascade([Some(primary(1, 9)), middle, Some(bare(Role::Empty))]);
        nodes.nodes[2].clone_from = Some(from);
        upstreams(&nodes, &Goal::SetUp, &[])
    };
    let streaming = || Some(standby("db1", 1, 9));
    let node = |name: &str| CloneFrom::Node(name.to_owned());
    assert_eq!(with(CloneFrom::Primary, streaming()), "db2>db1 db3>db2 db3=db1");
    assert_eq!(with(CloneFrom::Standby, streaming()), "db2>db1 db3>db2 db3=db2");
    assert_eq!(with(node("db1"), streaming()), "db2>db1 db3>db2 db3=db1");
    assert_eq!(with(node("db2"), streaming()), "db2>db1 db3>db2 db3=db2");
    assert_eq!(with(node("db3"), streaming()), "db2>db1 db3>db2 db3=db2");
    for (from, value, limit) in [
        (CloneFrom::Standby, "a standby, and none streams", "a standby that streams"),
        (
            node("db2"),
            "db2, which is not the primary and does not stream",
            "the primary, or a standby that streams",
        ),
        (node("db9"), "db9, which is no node of st_mary", "a node of this cluster"),
    ] {
        assert_eq!(
            with(from, Some(orphan("db1", 1, 9))),
            format!(
                "refused: source of the copy for db3: found {value}; allowed is {limit}. Copy from the primary \
                 (--from primary), or see with matron pg status why that one does not stream."
            )
        );
    }
}
