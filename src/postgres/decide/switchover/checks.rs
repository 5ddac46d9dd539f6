//! What has to be so before a primary that is well is stopped.

use super::super::Refusal;
use super::super::checks::Checklist;
use super::super::gate::compare;
use super::Limits;
use crate::postgres::finding::Ground;
use crate::postgres::lsn::bytes_for_people;
use crate::postgres::observation::{Observation, Role};
use crate::postgres::view::{Node, View};

/// Files that wait for the archiver: worth a word, and too many.
const ARCHIVE: (u64, u64) = (16, 128);

/// A transaction that has run for longer than this is somebody's work; seconds.
const LONG_TRANSACTION: u64 = 60;

/// Room beside as much WAL as there is now.
const DISK_MARGIN: u64 = 256 << 20;

/// Hosts' clocks this far apart make logs hard to read; milliseconds.
const CLOCKS: u64 = 5000;

/// An orderly stop wants at least this long before it is cut short; seconds.
const STOP_GRACE: u64 = 60;

/// The two nodes of a switchover.
pub(super) struct Pair<'a> {
    pub(super) view: &'a View,
    pub(super) primary: &'a Node,
    pub(super) truth: &'a Observation,
    pub(super) candidate: &'a Node,
    pub(super) standby: &'a Observation,
    pub(super) limits: Limits,
}

impl Pair<'_> {
    /// Checks all of it.
    pub(super) fn check(&self, list: &mut Checklist<'_>) {
        self.role(list);
        self.attached(list);
        self.receives(list);
        self.lag(list);
        self.room_for_followers(list);
        self.same_server(list);
        self.host_of_candidate(list);
        self.siblings(list);
        self.work_on_primary(list);
        self.archiver(list);
        self.both_hosts(list);
        self.rewind(list);
    }

    fn role(&self, list: &mut Checklist<'_>) {
        let name = self.candidate.name.as_str();
        list.check(
            Some(name),
            self.standby.role == Role::Standby,
            Refusal::new(
                "role",
                self.standby.role.word(),
                Role::Standby.word(),
                "Name a running standby, or bring this node back first: matron pg rejoin.",
            ),
        );
        let (own, other) = (&self.standby.system_identifier, &self.truth.system_identifier);
        list.check(
            Some(name),
            own.is_some() && own == other,
            Refusal::new(
                "system identifier",
                own.as_deref().unwrap_or("unknown"),
                other.as_deref().unwrap_or("the primary's"),
                "It holds the data of another cluster: check the inventory.",
            ),
        );
    }

    fn attached(&self, list: &mut Checklist<'_>) {
        let name = self.candidate.name.as_str();
        let upstream = self.view.upstream_of(self.standby);
        let followed = upstream.map_or_else(
            || {
                self.standby
                    .upstream
                    .host
                    .clone()
                    .unwrap_or_else(|| "nothing that is configured".to_owned())
            },
            |node| node.name.clone(),
        );
        list.check(
            Some(name),
            upstream.is_some_and(|node| node.name == self.primary.name),
            Refusal::new(
                "follows",
                followed,
                &self.primary.name,
                "Let it follow the primary itself first: remove pg_upstream and run matron pg rejoin.",
            ),
        );
        let row = self.view.following(self.candidate, self.truth);
        let state = row.map_or("not attached", |row| row.state.as_str());
        list.check(
            Some(name),
            state == "streaming",
            Refusal::new(
                "attached to the primary",
                state,
                "streaming",
                "See its log with docker logs why it does not stream, and run this again.",
            ),
        );
        let sync = row.map_or("not attached", |row| row.sync_state.as_str());
        let waits = if self.truth.synchronous.is_empty() {
            "commits wait for nobody"
        } else {
            "commits wait for a standby"
        };
        list.noted(Some(name), "synchronous state", format!("{sync}; {waits}"), "");
    }

    fn receives(&self, list: &mut Checklist<'_>) {
        let name = self.candidate.name.as_str();
        let upstream = &self.standby.upstream;
        let status =
            if upstream.status.is_empty() { "no receiver runs" } else { upstream.status.as_str() };
        // Before 9.6 a standby cannot be asked about its receiver; the primary's row says it.
        let blind = upstream.status.is_empty()
            && self.standby.version_num.is_some_and(|number| number < 90_600);
        if blind {
            list.noted(Some(name), "receiver", "cannot be asked before 9.6", "streaming");
        } else {
            list.check(
                Some(name),
                upstream.is_streaming(),
                Refusal::new(
                    "receiver",
                    status,
                    "streaming",
                    "See its log with docker logs why it does not stream, and run this again.",
                ),
            );
        }
        let shown = |timeline: Option<crate::postgres::TimelineId>| {
            timeline.map_or_else(|| "unknown".to_owned(), |timeline| timeline.to_string())
        };
        let received = upstream.timeline.or(self.standby.timeline);
        list.check(
            Some(name),
            received.is_some() && received == self.truth.timeline,
            Refusal::new(
                "received timeline",
                shown(received),
                &shown(self.truth.timeline),
                "It follows another history than the primary's: matron pg rejoin.",
            ),
        );
        list.check(
            Some(name),
            !self.standby.paused,
            Refusal::new(
                "replay",
                if self.standby.paused { "paused" } else { "running" },
                "running",
                "Resume it there: select pg_wal_replay_resume() (pg_xlog_replay_resume() before 10).",
            ),
        );
    }

    fn lag(&self, list: &mut Checklist<'_>) {
        let name = self.candidate.name.as_str();
        let limit = bytes_for_people(self.limits.lag);
        let mut one = |check: &str, behind: Option<u64>| {
            let Some(behind) = behind else {
                list.noted(Some(name), check, "unknown", &limit);
                return;
            };
            list.check(
                Some(name),
                behind <= self.limits.lag,
                Refusal::new(
                    check,
                    format!("{} behind", bytes_for_people(behind)),
                    &limit,
                    "Wait until it has caught up (matron pg status shows it), or raise pg_switchover_max_lag_mb. Writes stop for as long as it needs.",
                )
                .unless_accepted("lag"),
            );
        };
        let end = self.truth.lsn;
        let received = self.view.following(self.candidate, self.truth).and_then(|row| row.flushed);
        let received = received.max(self.standby.lsn);
        one("received", end.zip(received).map(|(end, received)| end.ahead_of(received)));
        one("replayed", end.zip(self.standby.replayed).map(|(end, done)| end.ahead_of(done)));
    }

    fn room_for_followers(&self, list: &mut Checklist<'_>) {
        let name = self.candidate.name.as_str();
        let others = self.view.nodes.len().saturating_sub(1);
        let mut one = |check: &str, setting: &str, most: Option<u64>, used: usize, new: usize| {
            let Some(most) = most else {
                list.noted(Some(name), check, "unknown", &format!("{new} free"));
                return;
            };
            let free = most.saturating_sub(used as u64);
            list.check(
                Some(name),
                free >= new as u64,
                Refusal::new(
                    check,
                    format!("{free} free of {most}"),
                    &format!("{new} free"),
                    &format!("Raise {setting} in pg_settings and run matron pg setup."),
                ),
            );
        };
        let senders = self.standby.followers.len();
        one("WAL senders", "max_wal_senders", self.standby.max_wal_senders, senders, others);
        let slots = self.standby.slots.len();
        let there = self
            .view
            .nodes
            .iter()
            .filter(|node| node.name != self.candidate.name)
            .filter(|node| self.standby.slots.iter().any(|slot| slot.name.ends_with(&node.name)))
            .count();
        let new = others.saturating_sub(there);
        one("replication slots", "max_replication_slots", self.standby.max_slots, slots, new);
    }

    fn same_server(&self, list: &mut Checklist<'_>) {
        let name = self.candidate.name.as_str();
        let (own, other) = (self.standby, self.truth);
        list.check(
            Some(name),
            own.major.is_some() && own.major == other.major,
            Refusal::new(
                "major version",
                own.major.as_deref().unwrap_or("unknown"),
                other.major.as_deref().unwrap_or("the primary's"),
                "Both run the same major: WAL of one means nothing to another.",
            ),
        );
        let (own, other) = (Ground::of(own), Ground::of(other));
        for compared in compare((name, &own), (&self.primary.name, &other)) {
            match compared.refusal {
                None => list.passed(None, &compared.name, compared.value, &compared.limit),
                Some(refusal) => list.failed(None, refusal),
            }
        }
    }

    fn host_of_candidate(&self, list: &mut Checklist<'_>) {
        let name = self.candidate.name.as_str();
        let disk = &self.standby.disk;
        let wal = disk.wal.or(self.truth.disk.wal).unwrap_or_default();
        let need = wal.saturating_add(DISK_MARGIN);
        match disk.free.or(self.standby.disk_free) {
            Some(free) => list.check(
                Some(name),
                free >= need,
                Refusal::new(
                    "disk",
                    format!("{} free", bytes_for_people(free)),
                    &format!(
                        "{} (its WAL and {})",
                        bytes_for_people(need),
                        bytes_for_people(DISK_MARGIN)
                    ),
                    "Make room: a primary whose disk is full stops.",
                )
                .unless_accepted(format!("{name}-disk")),
            ),
            None => list.noted(Some(name), "disk", "unknown", &bytes_for_people(need)),
        }
        let reached = self.truth.peers.iter().find(|peer| peer.node == name);
        match reached {
            Some(peer) => list.check(
                Some(name),
                peer.answers,
                Refusal::new(
                    &format!("port as {} sees it", self.primary.name),
                    if peer.answers { "answers" } else { "does not answer" },
                    "answers",
                    "The old primary could not follow it: open the way between the hosts, or set pg_address.",
                ),
            ),
            None => list.noted(
                Some(name),
                &format!("port as {} sees it", self.primary.name),
                "not asked",
                "answers",
            ),
        }
    }

    fn siblings(&self, list: &mut Checklist<'_>) {
        for node in &self.view.nodes {
            if node.name == self.primary.name || node.name == self.candidate.name {
                continue;
            }
            let Some(seen) = node.seen() else {
                list.failed(
                    Some(&node.name),
                    Refusal::new(
                        "sibling",
                        "its host did not answer",
                        "reachable, so that it can follow the new primary",
                        "Make its host reachable, or bring it back later with matron pg rejoin.",
                    )
                    .unless_accepted(format!("{}-unreachable", node.name)),
                );
                continue;
            };
            if seen.role == Role::Standby && seen.upstream.is_streaming() {
                list.passed(Some(&node.name), "sibling", "streaming", "streaming");
            } else {
                list.noted(Some(&node.name), "sibling", seen.role.word(), "streaming");
            }
        }
    }

    fn work_on_primary(&self, list: &mut Checklist<'_>) {
        let name = self.primary.name.as_str();
        let backups = self.truth.followers.iter().filter(|row| row.state == "backup").count();
        let running = backups > 0 || self.truth.exclusive_backup;
        list.check(
            Some(name),
            !running,
            Refusal::new(
                "base backups",
                if running { format!("{} running", backups.max(1)) } else { "none".to_owned() },
                "none",
                "Let it end: it would be lost.",
            )
            .unless_accepted("backup-running"),
        );
        let load = &self.truth.load;
        list.check(
            Some(name),
            load.prepared == 0,
            Refusal::new(
                "prepared transactions",
                load.prepared.to_string(),
                "0",
                "Their coordinator has to find the new primary: end them, or accept that.",
            )
            .unless_accepted("prepared-transactions"),
        );
        let oldest = load.oldest_transaction.unwrap_or_default();
        list.check(
            Some(name),
            oldest <= LONG_TRANSACTION,
            Refusal::new(
                "longest transaction",
                format!("{oldest} s"),
                &format!("{LONG_TRANSACTION} s"),
                "It is cut off and has to be done again: let it end.",
            )
            .unless_accepted("long-transactions"),
        );
        let clients = load.connections.map_or_else(|| "unknown".to_owned(), |n| n.to_string());
        list.noted(Some(name), "clients that have to connect again", clients, "");
        if load.waiting_for_standby > 0 {
            let waiting = load.waiting_for_standby.to_string();
            list.noted(Some(name), "commits that wait for a standby", waiting, "0");
        }
    }

    fn archiver(&self, list: &mut Checklist<'_>) {
        let name = self.primary.name.as_str();
        let archiver = &self.truth.archiver;
        if matches!(archiver.mode.as_str(), "" | "off") {
            list.passed(Some(name), "archiver", "off", "");
            return;
        }
        let waiting = archiver.waiting.unwrap_or_default();
        let value = format!("{waiting} files wait");
        let limit = format!("{}, and {} at most", ARCHIVE.0, ARCHIVE.1);
        if waiting > ARCHIVE.0 && waiting <= ARCHIVE.1 {
            list.noted(Some(name), "archiver", value, &limit);
        } else {
            list.check(
                Some(name),
                waiting <= ARCHIVE.1,
                Refusal::new(
                    "archiver",
                    value,
                    &limit,
                    "The shutdown waits for them: see what archive_command fails at.",
                )
                .unless_accepted("archive-backlog"),
            );
        }
        if archiver.failing {
            list.noted(Some(name), "archiver's last try", "failed", "succeeded");
        }
    }

    fn both_hosts(&self, list: &mut Checklist<'_>) {
        for (node, seen) in [(self.primary, self.truth), (self.candidate, self.standby)] {
            let name = node.name.as_str();
            let policy = seen.container.restart_policy.as_str();
            list.check(
                Some(name),
                matches!(policy, "" | "no"),
                Refusal::new(
                    "restart policy",
                    if policy.is_empty() { "unknown" } else { policy },
                    "no",
                    "Docker would start it behind the guard's back: matron pg setup makes the container anew.",
                )
                .unless_accepted(format!("{name}-restart-policy")),
            );
            list.check(
                Some(name),
                seen.guard,
                Refusal::new(
                    "guard",
                    if seen.guard { "installed" } else { "not installed" },
                    "installed",
                    "Without it nothing keeps an old primary down after a reboot: matron pg setup installs it.",
                )
                .unless_accepted(format!("{name}-no-guard")),
            );
            match seen.container.stop_timeout {
                Some(grace) if grace < STOP_GRACE => list.noted(
                    Some(name),
                    "stop grace",
                    format!("{grace} s"),
                    &format!("{STOP_GRACE} s at least, for stops that are not matron's"),
                ),
                Some(grace) => list.passed(
                    Some(name),
                    "stop grace",
                    format!("{grace} s"),
                    &format!("{STOP_GRACE} s at least"),
                ),
                None => list.noted(Some(name), "stop grace", "unknown", ""),
            }
        }
        let offset = |seen: &Observation| seen.skew.map(|skew| skew.milliseconds);
        let apart = match (offset(self.truth), offset(self.standby)) {
            (Some(one), Some(other)) => Some(one.abs_diff(other)),
            (Some(_) | None, _) => None,
        };
        match apart {
            Some(apart) if apart <= CLOCKS => {
                list.passed(None, "clocks of both hosts", format!("{apart} ms apart"), "5 s");
            }
            Some(apart) => {
                list.noted(None, "clocks of both hosts", format!("{apart} ms apart"), "5 s");
            }
            None => list.noted(None, "clocks of both hosts", "unknown", "5 s"),
        }
        for debt in self.view.debts() {
            list.noted(
                Some(&debt.node),
                "owed",
                format!("not fenced when {} was promoted", debt.promoted),
                "nothing",
            );
        }
        list.noted(
            None,
            "time until the proof must be there",
            format!(
                "{} s, then {} is the primary again by itself",
                self.limits.budget, self.primary.name
            ),
            "",
        );
    }

    fn rewind(&self, list: &mut Checklist<'_>) {
        let on = |value: Option<bool>| value == Some(true);
        let possible = on(self.truth.rewind.checksums) || on(self.truth.rewind.wal_log_hints);
        let value =
            if possible { "possible" } else { "not possible: neither checksums nor wal_log_hints" };
        list.noted(Some(&self.primary.name), "rewind, should it be needed", value, "");
    }
}
