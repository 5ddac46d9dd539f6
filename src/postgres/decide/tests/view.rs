//! Every view of a cluster we can think of, with its verdict and what is found, in one line each.

#![expect(clippy::unnecessary_wraps, reason = "a node of a view is seen or not")]

use super::*;
use crate::postgres::observation::{Collation, Image, Skew, Slot};

/// Verdict, then each finding as node and kind.
fn seen(view: &View) -> String {
    let found: Vec<_> = view
        .findings()
        .iter()
        .map(|(node, finding)| format!("{node} {}", finding.kind()))
        .collect();
    format!("{}: {}", view.verdict().word(), found.join(", "))
        .trim_end_matches([' ', ':'])
        .to_owned()
}

pub(super) fn hold_views(cases: Vec<(&str, View, &str)>) {
    let wrong: Vec<_> = cases
        .iter()
        .map(|(claim, view, told)| (claim, seen(view), told))
        .filter(|(_, got, told)| got != *told)
        .map(|(claim, got, told)| format!("{claim}\n  expected {told}\n  got      {got}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

pub(super) fn p() -> Option<Observation> {
    Some(primary(1, 90))
}

pub(super) fn s() -> Option<Observation> {
    Some(standby("db1", 1, 90))
}

pub(super) fn changed(
    seen: Option<Observation>,
    change: impl FnOnce(&mut Observation),
) -> Option<Observation> {
    seen.map(|seen| with(seen, change))
}

pub(super) fn image(id: &str, digests: &[&str], libc: &str) -> Image {
    Image {
        name: "pacs:17".to_owned(),
        id: format!("sha256:{id}"),
        digests: digests.iter().map(|digest| (*digest).to_owned()).collect(),
        libc: Some(libc.to_owned()),
    }
}

/// Runs on an image, and would be made anew of the same.
pub(super) fn on(seen: Option<Observation>, image: &Image) -> Option<Observation> {
    changed(seen, |seen| {
        seen.wanted = image.clone();
        if !matches!(seen.role, Role::Empty | Role::HalfCloned) {
            seen.container.image.clone_from(&image.name);
            seen.container.image_id.clone_from(&image.id);
            seen.container.digests.clone_from(&image.digests);
            seen.container.libc.clone_from(&image.libc);
        }
    })
}

#[test]
fn clusters_that_are_as_they_should_be() {
    hold_views(vec![
        ("one node alone", view([p()]), "healthy"),
        ("a pair", view([p(), s()]), "healthy"),
        ("the pair the other way round", view([Some(standby("db2", 1, 90)), p()]), "healthy"),
        ("three nodes", view([p(), s(), s()]), "healthy"),
        (
            "on a later timeline",
            view([Some(primary(7, 90)), Some(standby("db1", 7, 90))]),
            "healthy",
        ),
        ("a standby a little behind", view([p(), Some(standby("db1", 1, 10))]), "healthy"),
        ("a cascade", view([p(), s(), Some(standby("db2", 1, 90))]), "healthy"),
        (
            "a cascade of three",
            view([p(), s(), Some(standby("db2", 1, 90)), Some(standby("db3", 1, 80))]),
            "healthy",
        ),
        (
            "a standby that names its primary otherwise and is in its books",
            view([
                changed(p(), |seen| {
                    seen.followers.push(Follower {
                        name: "db2".to_owned(),
                        state: "streaming".to_owned(),
                        ..Follower::default()
                    });
                }),
                changed(s(), |seen| seen.upstream.host = Some("pacs-db.local".to_owned())),
            ]),
            "healthy",
        ),
        (
            "a standby that catches up",
            view([
                changed(p(), |seen| {
                    seen.followers.push(Follower {
                        name: "db2".to_owned(),
                        state: "catchup".to_owned(),
                        ..Follower::default()
                    });
                }),
                s(),
            ]),
            "healthy",
        ),
        (
            "an idle primary's keepalives are half a minute apart",
            view([p(), changed(s(), |seen| seen.upstream.silent_seconds = Some(31))]),
            "healthy",
        ),
        (
            "neither checksums nor hints is worth a note only",
            view([
                changed(p(), |seen| {
                    seen.rewind.checksums = Some(false);
                    seen.rewind.wal_log_hints = Some(false);
                }),
                s(),
            ]),
            "healthy: db1 no_rewind",
        ),
        (
            "so is a transaction that is open for hours",
            view([changed(p(), |seen| seen.load.oldest_transaction = Some(7200)), s()]),
            "healthy: db1 long_transaction",
        ),
        (
            "and a prepared one that nobody ends",
            view([
                changed(p(), |seen| {
                    seen.load.prepared = 1;
                    seen.load.oldest_prepared = Some(90_000);
                }),
                s(),
            ]),
            "healthy: db1 prepared",
        ),
        (
            "archiving that failed once",
            view([
                changed(p(), |seen| {
                    seen.archiver.failing = true;
                    seen.archiver.waiting = Some(2);
                }),
                s(),
            ]),
            "healthy",
        ),
        (
            "a slot that a node will use",
            view([
                changed(p(), |seen| {
                    seen.slots.push(Slot {
                        name: "matron_db2".to_owned(),
                        kept: Some(0),
                        ..Slot::default()
                    });
                }),
                s(),
            ]),
            "healthy",
        ),
        (
            "nothing anywhere",
            view([Some(bare(Role::Empty)), Some(bare(Role::Empty))]),
            "empty: db1 not_running, db2 not_running",
        ),
        (
            "a copy half done and no source",
            view([Some(bare(Role::Empty)), Some(bare(Role::HalfCloned))]),
            "empty: db1 not_running, db2 not_running",
        ),
    ]);
}

#[test]
fn clusters_without_a_primary() {
    hold_views(vec![
        ("nobody was seen", view([None, None]), "unknown: db1 not_seen, db2 not_seen"),
        (
            "one standby was seen",
            view([None, Some(orphan("db1", 1, 90))]),
            "unknown: db1 not_seen, db2 not_streaming",
        ),
        ("the standby streams from what was not seen", view([None, s()]), "unknown: db1 not_seen"),
        (
            "one empty, one not seen",
            view([Some(bare(Role::Empty)), None]),
            "unknown: db1 not_running, db2 not_seen",
        ),
        (
            "stopped in order",
            view([Some(stopped(DONE, 1, 90)), Some(orphan("db1", 1, 90))]),
            "no primary: db1 not_running, db1 unfenced, db2 not_streaming",
        ),
        (
            "crashed",
            view([Some(stopped(CRASHED, 1, 90)), Some(orphan("db1", 1, 90))]),
            "no primary: db1 not_running, db1 unfenced, db2 not_streaming",
        ),
        (
            "fenced, and nobody was promoted",
            view([Some(fenced(stopped(DONE, 1, 90))), Some(orphan("db1", 1, 90))]),
            "no primary: db1 not_running, db2 not_streaming",
        ),
        (
            "both stopped",
            view([Some(stopped(DONE, 1, 90)), Some(stopped(STANDBY_DONE, 1, 90))]),
            "no primary: db1 not_running, db1 unfenced, db2 not_running",
        ),
        (
            "starting",
            view([Some(bare(Role::Starting)), Some(orphan("db1", 1, 90))]),
            "no primary: db1 not_running, db2 not_streaming",
        ),
        (
            "its engine hangs",
            view([
                Some(with(bare(Role::Starting), |seen| {
                    seen.trouble = Some("the Docker engine does not answer".to_owned());
                    seen.guard = true;
                })),
                Some(orphan("db1", 1, 90)),
            ]),
            "no primary: db1 not_running, db1 trouble, db2 not_streaming",
        ),
        (
            "two standbys follow each other",
            view([Some(standby("db2", 1, 90)), Some(standby("db1", 1, 90))]),
            "no primary",
        ),
        (
            "data that are none",
            view([Some(bare(Role::Foreign)), Some(bare(Role::Empty))]),
            "no primary: db1 not_running, db2 not_running",
        ),
    ]);
}

#[test]
fn clusters_with_more_than_one() {
    hold_views(vec![
        ("on one timeline", view([p(), p()]), "two primaries"),
        ("one was promoted later", view([p(), Some(primary(2, 90))]), "two primaries"),
        ("beside a standby", view([p(), Some(primary(2, 90)), s()]), "two primaries"),
        (
            "beside one not seen",
            view([p(), Some(primary(2, 90)), None]),
            "two primaries: db3 not_seen",
        ),
        (
            "while a debt is open",
            view([p(), Some(owing(primary(2, 90), "db1", "db2"))]),
            "two primaries: db1 owed",
        ),
    ]);
}

#[test]
fn standbys_that_are_not_as_they_should_be() {
    let following = |state: &str| {
        let state = state.to_owned();
        changed(p(), move |seen| {
            seen.followers.push(Follower { name: "db2".to_owned(), state, ..Follower::default() });
        })
    };
    hold_views(vec![
        ("not seen", view([p(), None]), "degraded: db2 not_seen"),
        ("stopped", view([p(), Some(stopped(STANDBY_DONE, 1, 90))]), "degraded: db2 not_running"),
        (
            "crashed",
            view([p(), Some(stopped(ControlState::InArchiveRecovery, 1, 90))]),
            "degraded: db2 not_running",
        ),
        ("emptied", view([p(), Some(bare(Role::Empty))]), "degraded: db2 not_running"),
        ("half copied", view([p(), Some(bare(Role::HalfCloned))]), "degraded: db2 not_running"),
        ("starting", view([p(), Some(bare(Role::Starting))]), "degraded: db2 not_running"),
        ("no receiver", view([p(), Some(orphan("db1", 1, 90))]), "degraded: db2 not_streaming"),
        (
            "its receiver waits",
            view([p(), changed(s(), |seen| seen.upstream.status = "waiting".to_owned())]),
            "degraded: db2 not_streaming",
        ),
        (
            "it says streaming and its sender says startup",
            view([following("startup"), s()]),
            "degraded: db2 not_streaming",
        ),
        (
            "it says streaming and has heard nothing for minutes",
            view([p(), changed(s(), |seen| seen.upstream.silent_seconds = Some(300))]),
            "degraded: db2 not_streaming",
        ),
        (
            "on the timeline before, which cannot follow",
            view([Some(primary(2, 90)), Some(orphan("db1", 1, 99))]),
            "degraded: db2 other_timeline",
        ),
        (
            "that receives the timeline before",
            view([Some(primary(2, 90)), Some(standby("db1", 1, 99))]),
            "degraded: db2 other_timeline",
        ),
        (
            "on a later timeline than the primary",
            view([p(), Some(orphan("db1", 2, 99))]),
            "degraded: db2 other_timeline",
        ),
        (
            "that streams from a stranger",
            view([p(), changed(s(), |seen| seen.upstream.host = Some("10.9.9.9".to_owned()))]),
            "degraded: db2 stranger",
        ),
        (
            "below a standby that streams no more",
            view([p(), Some(orphan("db1", 1, 90)), Some(standby("db2", 1, 90))]),
            "degraded: db2 not_streaming",
        ),
        (
            "that does not replay",
            view([p(), changed(s(), |seen| seen.paused = true)]),
            "degraded: db2 paused",
        ),
        (
            "with another cluster's data",
            view([p(), changed(s(), |seen| seen.system_identifier = Some("1".to_owned()))]),
            "degraded: db2 other_system",
        ),
        (
            "whose disk is not mounted",
            view([
                p(),
                Some(with(bare(Role::Empty), |seen| seen.marker = Some(SYSTEM.to_owned()))),
            ]),
            "degraded: db2 not_running",
        ),
        (
            "whose marker is another's",
            view([p(), changed(s(), |seen| seen.marker = Some("1".to_owned()))]),
            "degraded: db2 marker",
        ),
        (
            "that was being rewound",
            view([
                p(),
                Some(with(stopped(STANDBY_DONE, 1, 90), |seen| seen.rewind.interrupted = true)),
            ]),
            "degraded: db2 not_running, db2 half_rewound",
        ),
        (
            "a former primary that nothing keeps down",
            view([Some(stopped(CRASHED, 1, 90)), Some(primary(2, 90))]),
            "degraded: db1 not_running, db1 unfenced",
        ),
        (
            "a former primary that is fenced",
            view([Some(fenced(stopped(DONE, 1, 90))), Some(primary(2, 90))]),
            "degraded: db1 not_running",
        ),
        (
            "a former primary that is owed",
            view([None, Some(owing(primary(2, 90), "db1", "db2"))]),
            "degraded: db1 not_seen, db1 owed",
        ),
    ]);
}

#[test]
fn hosts_that_are_not_as_they_should_be() {
    let policy = |policy: &str| {
        let policy = policy.to_owned();
        changed(s(), move |seen| seen.container.restart_policy = policy)
    };
    let unit = |state: &str| {
        let state = state.to_owned();
        changed(s(), move |seen| seen.guard_unit.enabled = state)
    };
    let disk = |free: u64, size: u64| {
        changed(p(), move |seen| {
            seen.disk.free = Some(free);
            seen.disk.size = Some(size);
        })
    };
    let skew = |seen: Option<Observation>, milliseconds: i64, bound: u64| {
        changed(seen, move |seen| seen.skew = Some(Skew { milliseconds, bound }))
    };
    let slot = |status: &str, name: &str, active: bool| {
        let slot = Slot {
            name: name.to_owned(),
            active,
            kept: Some(5000),
            wal_status: status.to_owned(),
            ..Slot::default()
        };
        changed(p(), move |seen| seen.slots.push(slot))
    };
    hold_views(vec![
        ("no restart policy", view([p(), policy("no")]), "healthy"),
        ("restart policy always", view([p(), policy("always")]), "degraded: db2 restart_policy"),
        ("unless-stopped", view([p(), policy("unless-stopped")]), "degraded: db2 restart_policy"),
        ("on-failure", view([p(), policy("on-failure")]), "degraded: db2 restart_policy"),
        (
            "no guard",
            view([changed(p(), |seen| seen.guard = false), s()]),
            "degraded: db1 no_guard",
        ),
        ("the guard's unit is on", view([p(), unit("enabled")]), "healthy"),
        ("the guard's unit is off", view([p(), unit("disabled")]), "degraded: db2 guard_off"),
        ("the guard's unit is masked", view([p(), unit("masked")]), "degraded: db2 guard_off"),
        ("room enough", view([disk(50 << 30, 100 << 30), s()]), "healthy"),
        ("less than a gigabyte", view([disk(1 << 29, 10 << 30), s()]), "degraded: db1 disk_full"),
        ("less than a fiftieth", view([disk(10 << 30, 1 << 40), s()]), "degraded: db1 disk_full"),
        ("clocks agree", view([skew(p(), 40, 30), skew(s(), -900, 20)]), "healthy"),
        ("a clock is off", view([skew(p(), 0, 30), skew(s(), 9000, 20)]), "degraded: db2 clock"),
        (
            "a clock that may be off is not said to be",
            view([skew(p(), 0, 30), skew(s(), 9000, 6000)]),
            "healthy",
        ),
        (
            "clocks in seconds only",
            view([
                changed(p(), |seen| seen.clock = Some(100)),
                changed(s(), |seen| seen.clock = Some(110)),
            ]),
            "degraded: db2 clock",
        ),
        (
            "a slot lost its WAL",
            view([slot("lost", "matron_db2", false), s()]),
            "degraded: db1 slot_lost",
        ),
        (
            "a slot of nobody",
            view([slot("reserved", "matron_db9", false), s()]),
            "degraded: db1 slot_unused",
        ),
        (
            "a slot of a backup tool at work",
            view([slot("reserved", "barman", true), s()]),
            "healthy",
        ),
        (
            "archiving fails for long",
            view([
                changed(p(), |seen| {
                    seen.archiver.failing = true;
                    seen.archiver.waiting = Some(200);
                }),
                s(),
            ]),
            "degraded: db1 archiver",
        ),
        (
            "a database sorted under another C library",
            view([
                changed(p(), |seen| {
                    seen.collations.push(Collation {
                        database: "pacsdb".to_owned(),
                        made: "2.31".to_owned(),
                        has: "2.41".to_owned(),
                    });
                }),
                s(),
            ]),
            "degraded: db1 collation",
        ),
    ]);
}

#[test]
fn images_are_compared_with_the_primarys() {
    let (one, other) =
        (image("aa", &["sha256:d1"], "glibc 2.41"), image("bb", &["sha256:d2"], "glibc 2.41"));
    let old = image("cc", &["sha256:d3"], "glibc 2.31");
    let mirrored = image("dd", &["sha256:d9", "sha256:d1"], "glibc 2.41");
    let unasked = Image { libc: None, ..old.clone() };
    hold_views(vec![
        ("the same", view([on(p(), &one), on(s(), &one)]), "healthy"),
        ("another", view([on(p(), &one), on(s(), &other)]), "degraded: db2 other_image"),
        (
            "the same by a digest, kept otherwise",
            view([on(p(), &one), on(s(), &mirrored)]),
            "healthy",
        ),
        (
            "another C library too",
            view([on(p(), &one), on(s(), &old)]),
            "degraded: db2 other_image, db2 other_libc",
        ),
        (
            "a C library that was not asked",
            view([on(p(), &one), on(s(), &unasked)]),
            "degraded: db2 other_image",
        ),
    ]);
}

#[test]
fn reason_names_the_fact_the_verdict_rests_on() {
    for (view, reason) in [
        (view([p(), s()]), "db1 takes writes, its standby streams"),
        (view([p(), s(), s()]), "db1 takes writes, 2 standbys stream"),
        (view([p()]), "db1 takes writes; it is the only node"),
        (view([p(), None]), "db1 takes writes; db2 not seen: connect timed out"),
        (view([p(), Some(primary(2, 90))]), "db1 (timeline 1) and db2 (timeline 2) take writes"),
        (
            view([Some(stopped(DONE, 1, 90)), s()]),
            "every node was seen and none takes writes: db1 is stopped, db2 is standby",
        ),
        (view([None, s()]), "no primary was seen, and db1 could not be asked: it may be one"),
        (view([Some(bare(Role::Empty)), Some(bare(Role::Empty))]), "no node holds data"),
        (
            view([changed(p(), |seen| seen.guard = false), None]),
            "db1 takes writes; db1 has no guard (and 1 more)",
        ),
    ] {
        assert_eq!(view.reason(), reason);
    }
}
