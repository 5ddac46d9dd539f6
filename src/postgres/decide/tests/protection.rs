//! What commits wait for: held against what was asked for, and said in a sentence.

use super::view::{changed, hold_views, p, s};
use super::*;

fn synchronous(mut view: View, mode: Mode) -> View {
    view.synchronous = mode;
    view
}

/// A primary that waits as the setting says, for followers each in a state and a sync state.
fn waiting(setting: &str, followers: &[(&str, &str, &str)]) -> Option<Observation> {
    changed(p(), |seen| {
        setting.clone_into(&mut seen.synchronous);
        seen.synchronous_commit = "on".to_owned();
        seen.flushed = Some(Lsn(90));
        seen.followers = followers
            .iter()
            .map(|(name, state, sync)| Follower {
                name: (*name).to_owned(),
                state: (*state).to_owned(),
                sync_state: (*sync).to_owned(),
                flushed: Some(Lsn(80)),
                ..Follower::default()
            })
            .collect();
    })
}

#[test]
fn synchronous_replication_is_held_against_what_was_asked_for() {
    let one = [("db2", "streaming", "sync")];
    let none: [(&str, &str, &str); 0] = [];
    let pair = |setting, followers: &[_], mode| {
        synchronous(view([waiting(setting, followers), s()]), mode)
    };
    hold_views(vec![
        ("off and off", pair("", &[("db2", "streaming", "async")], Mode::Off), "healthy"),
        ("on and on", pair("FIRST 1 (db2)", &one, Mode::On), "healthy"),
        ("on by hand", pair("FIRST 1 (db2)", &one, Mode::Off), "degraded: db1 synchronous_differs"),
        (
            "asked for and not on",
            pair("", &[("db2", "streaming", "async")], Mode::On),
            "degraded: db1 synchronous_differs",
        ),
        (
            "asked for, and there is no standby yet",
            synchronous(view([waiting("", &none), Some(bare(Role::Empty))]), Mode::On),
            "degraded: db2 not_running",
        ),
        (
            "its only standby is gone",
            synchronous(view([waiting("FIRST 1 (db2)", &none), None]), Mode::On),
            "degraded: db2 not_seen, db1 writes_wait",
        ),
        (
            "a standby that catches up does not confirm yet",
            pair("FIRST 1 (db2)", &[("db2", "catchup", "sync")], Mode::On),
            "degraded: db1 writes_wait",
        ),
        (
            "one of two is gone, and all are waited for",
            synchronous(view([waiting("FIRST 2 (db2, db3)", &one), s(), None]), Mode::On),
            "degraded: db3 not_seen, db1 writes_wait",
        ),
        (
            "one of two is gone, and one is enough",
            synchronous(
                view([waiting("ANY 1 (db2, db3)", &[("db2", "streaming", "quorum")]), s(), None]),
                Mode::Quorum,
            ),
            "degraded: db3 not_seen",
        ),
        (
            "commits that do not wait, whatever is named",
            synchronous(
                view([
                    changed(waiting("FIRST 1 (db2)", &one), |seen| {
                        seen.synchronous_commit = "local".to_owned();
                    }),
                    s(),
                ]),
                Mode::On,
            ),
            "degraded: db1 synchronous_differs",
        ),
    ]);
}

#[test]
fn what_it_means_for_loss_is_said_in_a_sentence() {
    let two = [("db2", "streaming", "quorum"), ("db3", "streaming", "quorum")];
    let both = [("db2", "streaming", "sync"), ("db3", "streaming", "sync")];
    for (claim, view, sentence) in [
        (
            "off",
            view([waiting("", &[("db2", "streaming", "async")]), s()]),
            "commits wait for no standby: a failover now may lose at most 10 bytes of WAL; a lost standby stops writes: no",
        ),
        (
            "off and nobody follows",
            view([waiting("", &[]), None]),
            "commits wait for no standby: no standby streams: a failover now may lose everything since one last did; a lost standby stops writes: no",
        ),
        (
            "on",
            view([waiting("FIRST 2 (db2, db3)", &both), s(), s()]),
            "every commit waits for db2 and db3: a failover now loses nothing acknowledged; a lost standby stops writes: yes",
        ),
        (
            "quorum",
            view([waiting("ANY 1 (db2, db3)", &two), s(), s()]),
            "every commit waits for one of db2 and db3: a failover that sees all of them loses nothing acknowledged; a lost standby stops writes: no",
        ),
        (
            "quorum and the last one",
            view([waiting("ANY 1 (db2, db3)", &two[..1]), s(), None]),
            "every commit waits for one of db2 and db3: a failover that sees all of them loses nothing acknowledged; a lost standby stops writes: yes",
        ),
        (
            "9.5, which takes the first that streams",
            view([
                waiting(
                    "db2, db3",
                    &[("db2", "streaming", "sync"), ("db3", "streaming", "potential")],
                ),
                s(),
                s(),
            ]),
            "every commit waits for the first one of db2 and db3: a failover that sees all of them loses nothing acknowledged; a lost standby stops writes: no",
        ),
        (
            "writes wait",
            view([
                changed(waiting("FIRST 2 (db2, db3)", &both[..1]), |seen| {
                    seen.load.waiting_for_standby = 3;
                }),
                s(),
                None,
            ]),
            "WRITES WAIT: every commit waits for db2 and db3, and only db2 streams (3 waiting now); a failover now loses nothing acknowledged",
        ),
        (
            "no primary",
            view([None, s()]),
            "no primary was seen: what a failover would lose cannot be told from here",
        ),
    ] {
        assert_eq!(view.protection().sentence(), sentence, "{claim}");
    }
}
