//! Clusters as the forms are tested with.

use super::*;
use crate::postgres::Lsn;
use crate::postgres::control::{ControlData, ControlState};
use crate::postgres::observation::{Follower, Observation, Role, Slot, Upstream};
use crate::postgres::synchronous::Mode;
use crate::postgres::timeline::TimelineId;
use crate::postgres::view::{Answer, Node, View};

const END: u64 = 0x500_0148;

fn node(role: Role, lsn: u64) -> Observation {
    let mut seen = Observation {
        role,
        timeline: Some(TimelineId(1)),
        lsn: Some(Lsn(lsn)),
        replayed: Some(Lsn(lsn)),
        flushed: Some(Lsn(lsn)),
        version: Some("17.11".to_owned()),
        system_identifier: Some("7711119790488621087".to_owned()),
        guard: true,
        ..Observation::default()
    };
    seen.container.state = "running".to_owned();
    seen.container.image = "dcm4che/postgres-dcm4chee:17.4-34".to_owned();
    seen.container.image_id = "sha256:d76afc82378ea18ec48a95b4005e9ec8".to_owned();
    seen.container.restart_policy = "no".to_owned();
    seen.disk.free = Some(41 << 30);
    seen.disk.size = Some(252 << 30);
    seen.guard_unit.enabled = "enabled".to_owned();
    seen.guard_unit.active = "active".to_owned();
    seen
}

fn primary() -> Observation {
    let mut seen = node(Role::Primary, END);
    seen.replayed = None;
    seen.followers.push(Follower {
        name: "h2".to_owned(),
        state: "streaming".to_owned(),
        sync_state: "async".to_owned(),
        flushed: Some(Lsn(END)),
        ..Follower::default()
    });
    seen.slots.push(Slot {
        name: "matron_h2".to_owned(),
        active: true,
        kept: Some(0),
        ..Slot::default()
    });
    seen
}

fn standby(behind: u64) -> Observation {
    let mut seen = node(Role::Standby, END - behind);
    seen.upstream = Upstream {
        host: Some("10.0.0.1".to_owned()),
        port: Some(5432),
        status: "streaming".to_owned(),
        timeline: Some(TimelineId(1)),
        ..Upstream::default()
    };
    seen.replay_delay_ms = Some(behind / 1000);
    seen
}

fn cluster(name: &str, nodes: [Option<Observation>; 2]) -> ClusterStatus {
    let nodes = nodes.into_iter().enumerate().map(|(at, seen)| Node {
        name: format!("h{}", at + 1),
        address: format!("10.0.0.{}", at + 1),
        port: 5432,
        preferred: false,
        promotable: true,
        wanted_upstream: None,
        clone_from: None,
        answer: match seen {
            Some(seen) => Answer::Seen(Box::new(seen)),
            None => Answer::Unknown {
                why: "connect to host 10.0.0.2 port 22: Connection timed out".to_owned(),
            },
        },
    });
    let view = View { cluster: name.to_owned(), nodes: nodes.collect(), synchronous: Mode::Off };
    ClusterStatus::of(&view)
}

pub(super) fn of<const N: usize>(clusters: [ClusterStatus; N]) -> Looked {
    Looked { clusters: clusters.into(), errors: Vec::new() }
}

pub(super) fn healthy() -> Looked {
    of([cluster("st_mary", [Some(primary()), Some(standby(0))])])
}

/// The standby's host does not answer.
pub(super) fn lost() -> Looked {
    let mut alone = primary();
    alone.followers.clear();
    of([cluster("st_mary", [Some(alone), None])])
}

/// A standby that is so many megabytes behind, which here is twice as many seconds.
pub(super) fn late(megabytes: u64) -> Looked {
    let mut behind = standby(0);
    behind.replayed = Some(Lsn(1));
    behind.replay_delay_ms = Some(megabytes * 4000);
    of([cluster("st_mary", [Some(primary()), Some(behind)])])
}

/// Commits wait for a standby that is gone.
pub(super) fn waiting() -> Looked {
    let mut alone = primary();
    alone.followers.clear();
    alone.synchronous = "FIRST 1 (\"h2\")".to_owned();
    alone.load.waiting_for_standby = 3;
    of([cluster("st_mary", [Some(alone), None])])
}

pub(super) fn two() -> Looked {
    of([cluster("st_mary", [Some(primary()), Some(primary())])])
}

pub(super) fn stopped() -> Looked {
    let mut down = node(Role::Stopped, END);
    down.control = Some(ControlData {
        state: ControlState::ShutDown,
        ..ControlData::parse(include_str!("../../../postgres/control/fixtures/17-shut-down.txt"))
            .unwrap()
    });
    of([cluster("st_mary", [Some(down), Some(standby(0))])])
}

pub(super) fn unseen() -> Looked {
    of([cluster("st_mary", [None, Some(standby(0))])])
}

pub(super) fn pair() -> Looked {
    let [one] = <[ClusterStatus; 1]>::try_from(healthy().clusters).unwrap();
    let mut alone = primary();
    alone.followers.clear();
    of([one, cluster("city-hospital", [Some(alone), None])])
}

#[test]
fn exit_code_tells_whether_every_node_was_seen() {
    assert_eq!((healthy().code(), two().code(), lost().code()), (0, 0, 4));
    let mut failed = healthy();
    failed.errors.push("h9: failed".to_owned());
    assert_eq!(failed.code(), 2);
}

#[test]
fn status_survives_being_json() {
    for looked in [healthy(), lost(), waiting(), two(), stopped(), unseen()] {
        let text = serde_json::to_string(&looked.clusters).unwrap();
        let back: Vec<ClusterStatus> = serde_json::from_str(&text).unwrap();
        assert_eq!(back, looked.clusters);
    }
}
