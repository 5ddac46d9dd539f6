//! Adopting: a line a case, with what is refused by name.

use super::*;
use crate::postgres::handbuilt::{HandBuilt, SettingChange, Wanted};

/// A container as the README makes it.
fn by_hand(name: &str) -> HandBuilt {
    HandBuilt {
        container: name.to_owned(),
        state: "running".to_owned(),
        image: "dcm4che/postgres-dcm4chee:17.4-34".to_owned(),
        image_id: "sha256:0123456789abcdef".to_owned(),
        restart_policy: "unless-stopped".to_owned(),
        port: Some(5432),
        pgdata: "/var/lib/postgresql/data".to_owned(),
        data: format!("/var/local/mypacs/{name}"),
        source: format!("/var/local/mypacs/{name}"),
        mount_type: "bind".to_owned(),
        destination: "/var/lib/postgresql/data".to_owned(),
        arguments: vec!["postgres".to_owned()],
        password_in_environment: true,
        superuser: "pacs".to_owned(),
        database: "pacsdb".to_owned(),
        slots_allowed: Some(10),
        senders_allowed: Some(3),
        wanted: Wanted {
            container: "ward-db".to_owned(),
            port: 5432,
            pgdata: "/var/lib/postgresql/data".to_owned(),
            volume: "/var/lib/postgresql/data".to_owned(),
            image: "dcm4che/postgres-dcm4chee:17.4-34".to_owned(),
            image_id: "sha256:0123456789abcdef".to_owned(),
            superuser: "pacs".to_owned(),
            database: "pacsdb".to_owned(),
            replication_user: "replicator".to_owned(),
            settings: Vec::new(),
        },
        ..HandBuilt::default()
    }
}

fn ours() -> HandBuilt {
    HandBuilt { managed: true, ..by_hand("ward-db") }
}

fn pair() -> View {
    view([Some(primary(1, 9)), Some(standby("db1", 1, 9))])
}

fn found(first: HandBuilt, second: HandBuilt) -> Goal {
    Goal::Adopt { found: vec![("db1".to_owned(), first), ("db2".to_owned(), second)] }
}

fn steps(plan: &Plan) -> String {
    let words = |step: &Step| format!("{} {:?}", step.node, step.act);
    plan.steps.iter().map(words).collect::<Vec<_>>().join(", ")
}

#[test]
fn standby_is_taken_over_before_its_primary() {
    let plan = decide(&pair(), &found(by_hand("db1"), by_hand("db2")), &[]).expect("a plan");
    assert_eq!(steps(&plan), "db2 Adopt, db2 Follow, db1 Adopt, db1 Keep");
    let lines: Vec<_> = plan.changes.iter().map(ToString::to_string).collect();
    for line in [
        "db2: container db2 is renamed ward-db",
        "db2: POSTGRES_PASSWORD leaves the container's environment (restart)",
        "db1: role replicator gets a new password",
        "db1: the container is made anew on the same data, after its standbys stream again (restart)",
    ] {
        assert!(lines.iter().any(|told| told == line), "{line} is not in {lines:#?}");
    }
    assert!(plan.facts.iter().any(|fact| fact.starts_with("writes stop once")), "{:?}", plan.facts);
}

#[test]
fn what_was_taken_over_stays_as_it_is() {
    let plan = decide(&pair(), &found(ours(), ours()), &[]).expect("a plan");
    assert_eq!(steps(&plan), "db2 Follow, db1 Keep");
    assert!(plan.changes.is_empty());
}

#[test]
fn interrupted_run_goes_on_with_what_is_left() {
    let plan = decide(&pair(), &found(by_hand("db1"), ours()), &[]).expect("a plan");
    assert_eq!(steps(&plan), "db2 Follow, db1 Adopt, db1 Keep");
    // It was killed between the primary's stop and its start.
    let cut = view([Some(stopped(ControlState::ShutDown, 1, 9)), Some(orphan("db1", 1, 9))]);
    let plan = decide(&cut, &found(by_hand("ward-db.matron-old"), ours()), &[]).expect("a plan");
    assert_eq!(steps(&plan), "db2 Follow, db1 Adopt, db1 Start");
}

#[test]
fn what_the_inventory_has_wrong_is_refused_with_what_to_write() {
    type Wrong = fn(&mut HandBuilt);
    let cases: &[(Wrong, &str, Option<&str>)] = &[
        (|hand| hand.port = Some(6432), "Set pg_port: 6432 for db2 in the inventory", None),
        (|hand| hand.port = None, "published port: found none", None),
        (
            |hand| hand.superuser = "postgres".to_owned(),
            "Set postgres_user: postgres for db2",
            None,
        ),
        (|hand| hand.database = "x".to_owned(), "Set postgres_db: x for db2", None),
        (
            |hand| {
                hand.pgdata = "/var/lib/postgresql/data/pgdata".to_owned();
                hand.data = "/var/local/mypacs/db2/pgdata".to_owned();
            },
            "Set pg_pgdata: /var/lib/postgresql/data/pgdata for db2",
            None,
        ),
        (|hand| hand.mount_type = "volume".to_owned(), "found Docker volume /var", None),
        (|hand| hand.image_id = "sha256:ff".to_owned(), "Set pg_image", Some("db2-other-image")),
        (
            |hand| hand.arguments = vec!["-c".to_owned(), "max_connections=300".to_owned()],
            "found max_connections=300",
            Some("db2-arguments-dropped"),
        ),
        (|hand| hand.slots_allowed = Some(0), "Set max_replication_slots = 10", None),
        (|hand| hand.senders_allowed = Some(20), "Put max_wal_senders: 20 into pg_settings", None),
    ];
    for (wrong, text, word) in cases {
        let mut hand = by_hand("db2");
        wrong(&mut hand);
        let goal = found(by_hand("db1"), hand);
        let refusal = decide(&pair(), &goal, &[]).expect_err(text);
        assert!(refusal.to_string().contains(text), "{refusal}");
        assert_eq!(refusal.accept.as_deref(), *word);
        assert!(refusal.checks.len() > 10, "all checks are told: {:?}", refusal.checks);
        if let Some(word) = word {
            let plan = decide(&pair(), &goal, &[(*word).to_owned()]).expect("accepted");
            assert_eq!(plan.accepted, [*word]);
        }
    }
}

#[test]
fn setting_known_to_the_inventory_may_stand_in_the_arguments() {
    let mut hand = by_hand("db2");
    hand.arguments = ["postgres", "-c", "max_connections=300"].map(str::to_owned).to_vec();
    hand.wanted.settings = vec!["max_connections".to_owned()];
    assert!(decide(&pair(), &found(by_hand("db1"), hand), &[]).is_ok());
}

#[test]
fn setting_that_changes_tells_whether_it_takes_a_restart() {
    let mut hand = by_hand("db2");
    hand.settings.push(SettingChange {
        name: "wal_log_hints".to_owned(),
        now: "off".to_owned(),
        wanted: "on".to_owned(),
        restart: true,
    });
    let plan = decide(&pair(), &found(by_hand("db1"), hand), &[]).expect("a plan");
    let lines: Vec<_> = plan.changes.iter().map(ToString::to_string).collect();
    assert!(
        lines.contains(&"db2: wal_log_hints = off becomes on (restart)".to_owned()),
        "{lines:?}"
    );
}

#[test]
fn two_primaries_and_nothing_at_all_are_refused() {
    let two = view([Some(primary(1, 9)), Some(primary(1, 9))]);
    let refusal = decide(&two, &found(by_hand("db1"), by_hand("db2")), &[]).expect_err("refused");
    assert_eq!(refusal.check, "number of nodes that take writes");
    let none = view([Some(bare(Role::Empty)), Some(bare(Role::Empty))]);
    let nothing = found(HandBuilt::default(), HandBuilt::default());
    let refusal = decide(&none, &nothing, &[]).expect_err("refused");
    assert_eq!(refusal.check, "containers to take over");
}
