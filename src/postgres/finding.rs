//! What is not as it should be: each kind of finding, its words, how much it matters, and how it is found.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::lsn::bytes_for_people;
use super::observation::{Collation, Debt, Image, Observation, Role, slot_name};
use super::timeline::TimelineId;
use super::view::{Node, View};

/// How much a finding matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing; the cluster is healthy all the same.
    Note,
    /// To be put right; the archive works.
    Warning,
    /// The archive does not work, or one more loss loses data.
    Critical,
}

impl Severity {
    /// Returns the word people read.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// Something that is not as it should be, about one node.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Finding {
    /// It could not be asked.
    NotSeen {
        /// Why.
        why: String,
    },
    /// A standby gets no WAL.
    NotStreaming {
        /// What its receiver says.
        status: String,
    },
    /// A standby is on another timeline than the primary and gets no WAL.
    OtherTimeline {
        /// Its own.
        own: TimelineId,
        /// The primary's.
        primary: TimelineId,
    },
    /// Its data belongs to another cluster.
    OtherSystem {
        /// Its own identifier.
        own: String,
        /// The primary's.
        primary: String,
    },
    /// It does not run.
    NotRunning {
        /// Its role.
        role: Role,
    },
    /// It was primary once, does not run, and nothing keeps it from starting writable but its guard.
    Unfenced,
    /// A rewind of it was begun and did not end.
    HalfRewound,
    /// A switchover was begun and not finished.
    HandingOver {
        /// The node that shall take over.
        to: String,
    },
    /// An open debt.
    Owed(Debt),
    /// A restart policy would start it behind the guard's back.
    RestartPolicy {
        /// The policy.
        policy: String,
    },
    /// Its image is not the primary's.
    OtherImage {
        /// Its own.
        own: String,
        /// The primary's.
        primary: String,
    },
    /// A slot has lost its WAL.
    SlotLost {
        /// Its name.
        slot: String,
    },
    /// Its clock is off.
    Clock {
        /// Seconds from the primary's host.
        seconds: u64,
    },
    /// The guard is not there.
    NoGuard,
    /// The guard is there and does not run at boot.
    GuardOff {
        /// What systemd says of its unit.
        state: String,
    },
    /// Its C library is not the primary's: text may be sorted differently.
    OtherLibc {
        /// Its own.
        own: String,
        /// The primary's.
        primary: String,
    },
    /// A database's indexes on text were made under another version of the C library.
    Collation(Collation),
    /// Commits wait for standbys that do not stream.
    WritesWait {
        /// What `status` says about it.
        sentence: String,
    },
    /// Commits should wait for standbys and do not, or the other way round.
    SynchronousDiffers {
        /// `pg_synchronous`.
        wanted: String,
        /// `synchronous_standby_names`.
        found: String,
    },
    /// A standby streams from something that is no node of this cluster.
    Stranger {
        /// Its address.
        host: String,
    },
    /// Replay is paused.
    Paused,
    /// A slot that no node uses keeps WAL.
    SlotUnused {
        /// Its name.
        slot: String,
        /// Bytes.
        kept: u64,
    },
    /// Its disk is nearly full.
    DiskFull {
        /// Bytes left.
        free: u64,
    },
    /// Its archiver does not get rid of WAL.
    Archiver {
        /// Segments that wait.
        waiting: u64,
    },
    /// `pg_rewind` cannot bring it back as it is set up.
    NoRewind,
    /// A transaction is open for long.
    LongTransaction {
        /// Seconds.
        seconds: u64,
    },
    /// A prepared transaction was forgotten.
    Prepared {
        /// How many.
        count: u64,
        /// Seconds since the oldest.
        seconds: u64,
    },
    /// Something about it could not be seen.
    Trouble {
        /// What.
        why: String,
    },
    /// The marker says one cluster and the data another.
    Marker {
        /// What the marker says.
        marker: String,
        /// What the data says.
        data: String,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSeen { why } => write!(f, "not seen: {why}"),
            Self::NotStreaming { status } if status.is_empty() => {
                f.write_str("gets no WAL: no receiver runs")
            }
            Self::NotStreaming { status } => write!(f, "gets no WAL: its receiver is {status}"),
            Self::OtherTimeline { own, primary } => {
                write!(f, "is on timeline {own}, the primary on {primary}, and gets no WAL")
            }
            Self::OtherSystem { own, primary } => {
                write!(f, "belongs to another cluster: system {own}, the primary's is {primary}")
            }
            Self::NotRunning { role } => write!(f, "does not run ({})", role.word()),
            Self::Unfenced => f.write_str("was a primary and is not fenced"),
            Self::HalfRewound => f.write_str("was being rewound, and that did not end"),
            Self::HandingOver { to } => write!(
                f,
                "was handing over to {to}, and that did not end: finish it with matron pg switchover --to {to}"
            ),
            Self::Owed(debt) => write!(
                f,
                "owed: {} was not fenced when {} was promoted ({}): {}",
                debt.node, debt.promoted, debt.since, debt.reason
            ),
            Self::RestartPolicy { policy } => {
                write!(f, "restart policy is {policy}: it would start without being asked")
            }
            Self::OtherImage { own, primary } => {
                write!(f, "runs image {own}, the primary {primary}")
            }
            Self::SlotLost { slot } => write!(f, "slot {slot} has lost the WAL it should keep"),
            Self::Clock { seconds } => write!(f, "clock is {seconds} s off the primary's"),
            Self::NoGuard => f.write_str("has no guard"),
            Self::GuardOff { state } => {
                write!(f, "would not be started at boot: its guard's unit is {state}")
            }
            Self::OtherLibc { own, primary } => {
                write!(f, "has {own}, the primary {primary}: text may be sorted differently")
            }
            Self::Collation(Collation { database, made, has }) => write!(
                f,
                "database {database} was made under collation version {made} and the server has {has}: its indexes on text may be wrong"
            ),
            Self::WritesWait { sentence } => f.write_str(sentence),
            Self::SynchronousDiffers { wanted, found } if found.is_empty() => {
                write!(f, "commits wait for no standby, and pg_synchronous is {wanted}")
            }
            Self::SynchronousDiffers { wanted, found } => {
                write!(f, "commits wait for {found}, and pg_synchronous is {wanted}")
            }
            Self::Stranger { host } => {
                write!(f, "streams from {host}, which is no node of this cluster")
            }
            Self::Paused => f.write_str("receives WAL and does not replay it: replay is paused"),
            Self::SlotUnused { slot, kept } => write!(
                f,
                "slot {slot} belongs to no node and keeps {} of WAL",
                bytes_for_people(*kept)
            ),
            Self::DiskFull { free } => {
                write!(f, "has {} left on its disk", bytes_for_people(*free))
            }
            Self::Archiver { waiting } => {
                write!(f, "archiving fails: {waiting} segments of WAL wait for it")
            }
            Self::NoRewind => f.write_str(
                "has neither page checksums nor wal_log_hints: it could not be rewound, only copied anew",
            ),
            Self::LongTransaction { seconds } => {
                write!(f, "a transaction has been open for {seconds} s")
            }
            Self::Prepared { count, seconds } => {
                write!(f, "{count} prepared transactions wait, the oldest for {seconds} s")
            }
            Self::Trouble { why } => f.write_str(why),
            Self::Marker { marker, data } => {
                write!(f, "should hold system {marker} and holds {data}: is a disk not mounted?")
            }
        }
    }
}

impl Finding {
    /// Returns the finding's kind as machines read it.
    pub fn kind(&self) -> String {
        let value = serde_json::to_value(self).unwrap_or_default();
        value["kind"].as_str().unwrap_or("other").to_owned()
    }

    /// Returns how much it matters.
    pub const fn severity(&self) -> Severity {
        match self {
            Self::WritesWait { .. }
            | Self::OtherSystem { .. }
            | Self::Marker { .. }
            | Self::DiskFull { .. } => Severity::Critical,
            Self::NotSeen { .. }
            | Self::NotStreaming { .. }
            | Self::OtherTimeline { .. }
            | Self::NotRunning { .. }
            | Self::Unfenced
            | Self::HalfRewound
            | Self::HandingOver { .. }
            | Self::Owed(_)
            | Self::RestartPolicy { .. }
            | Self::OtherImage { .. }
            | Self::OtherLibc { .. }
            | Self::Collation(_)
            | Self::SlotLost { .. }
            | Self::SlotUnused { .. }
            | Self::Clock { .. }
            | Self::NoGuard
            | Self::GuardOff { .. }
            | Self::SynchronousDiffers { .. }
            | Self::Stranger { .. }
            | Self::Paused
            | Self::Archiver { .. } => Severity::Warning,
            Self::NoRewind
            | Self::LongTransaction { .. }
            | Self::Prepared { .. }
            | Self::Trouble { .. } => Severity::Note,
        }
    }
}

/// Clocks further apart than this are worth a word; milliseconds.
const CLOCK_LIMIT: u64 = 5_000;
/// Segments that wait for the archiver before it is worth a word.
const ARCHIVE_LIMIT: u64 = 16;
/// Seconds that a transaction may be open.
const TRANSACTION_LIMIT: u64 = 3_600;
/// A disk with less than this is nearly full; bytes.
const DISK_LIMIT: u64 = 1 << 30;
/// A message within this many seconds; an idle primary may be silent for half of `wal_sender_timeout`.
const SILENCE_LIMIT: u64 = 90;

/// Finds what is wrong with a node that was seen.
pub(super) fn of_node(view: &View, node: &Node, seen: &Observation) -> Vec<Finding> {
    let mut out = Vec::new();
    match seen.role {
        Role::Primary => of_primary(view, seen, &mut out),
        Role::Standby => of_standby(view, node, seen, &mut out),
        Role::Stopped if !seen.standby_configured && seen.fenced.is_none() => {
            out.push(Finding::NotRunning { role: seen.role });
            out.push(Finding::Unfenced);
        }
        Role::Starting | Role::Stopped | Role::HalfCloned | Role::Empty | Role::Foreign => {
            out.push(Finding::NotRunning { role: seen.role });
        }
    }
    if seen.rewind.interrupted {
        out.push(Finding::HalfRewound);
    }
    if let Some(mark) = &seen.handover {
        out.push(Finding::HandingOver { to: mark.to.clone() });
    }
    if let Some(why) = &seen.trouble {
        out.push(Finding::Trouble { why: why.clone() });
    }
    if let (Some(marker), Some(data)) = (&seen.marker, &seen.system_identifier)
        && marker != data
    {
        out.push(Finding::Marker { marker: marker.clone(), data: data.clone() });
    }
    let policy = seen.container.restart_policy.as_str();
    if !policy.is_empty() && policy != "no" {
        out.push(Finding::RestartPolicy { policy: policy.to_owned() });
    }
    if matches!(seen.role, Role::Primary | Role::Standby) {
        of_running(seen, &mut out);
    }
    if let Some(free) = seen.disk.free
        && (free < DISK_LIMIT || seen.disk.size.is_some_and(|size| free < size / 50))
    {
        out.push(Finding::DiskFull { free });
    }
    if let Some((at, primary)) = view.sole_primary()
        && at.name != node.name
    {
        beside(seen, primary, &mut out);
    }
    out
}

fn of_primary(view: &View, seen: &Observation, out: &mut Vec<Finding>) {
    for slot in &seen.slots {
        if slot.wal_status == "lost" {
            out.push(Finding::SlotLost { slot: slot.name.clone() });
        } else if let Some(kept) = slot.kept
            && !slot.active
            && !view.nodes.iter().any(|node| slot_name(&node.name) == slot.name)
        {
            out.push(Finding::SlotUnused { slot: slot.name.clone(), kept });
        }
    }
}

fn of_standby(view: &View, node: &Node, seen: &Observation, out: &mut Vec<Finding>) {
    let primary = view.sole_primary().and_then(|(_, primary)| primary.timeline);
    let sender = view.sender_of(node, seen);
    // A sender's books are newer than a receiver's word: one that cannot follow is thrown out and tries again for ever.
    let booked = sender.and_then(Node::seen).and_then(|sender| view.following(node, sender));
    let starting = booked.is_some_and(|row| row.state == "startup");
    let silent = seen.upstream.silent_seconds.is_some_and(|seconds| seconds > SILENCE_LIMIT);
    let streams = seen.upstream.is_streaming() && !starting && !silent;
    let received = seen.upstream.timeline.or(seen.timeline);
    match (received, primary) {
        (Some(own), Some(primary)) if own < primary => {
            out.push(Finding::OtherTimeline { own, primary });
        }
        _ if streams => {}
        (Some(own), Some(primary)) if own != primary => {
            out.push(Finding::OtherTimeline { own, primary });
        }
        _ => {
            let status = if starting {
                "starting again and again".to_owned()
            } else if silent {
                format!("silent for {} s", seen.upstream.silent_seconds.unwrap_or_default())
            } else {
                seen.upstream.status.clone()
            };
            out.push(Finding::NotStreaming { status });
        }
    }
    if streams
        && sender.is_none()
        && let Some(host) = &seen.upstream.host
    {
        out.push(Finding::Stranger { host: host.clone() });
    }
    if seen.paused {
        out.push(Finding::Paused);
    }
}

fn of_running(seen: &Observation, out: &mut Vec<Finding>) {
    if !seen.guard {
        out.push(Finding::NoGuard);
    } else if matches!(seen.guard_unit.enabled.as_str(), "disabled" | "masked" | "bad") {
        out.push(Finding::GuardOff { state: seen.guard_unit.enabled.clone() });
    }
    out.extend(seen.collations.iter().cloned().map(Finding::Collation));
    if seen.archiver.failing {
        let waiting = seen.archiver.waiting.unwrap_or_default();
        if waiting >= ARCHIVE_LIMIT {
            out.push(Finding::Archiver { waiting });
        }
    }
    if seen.rewind.checksums == Some(false) && seen.rewind.wal_log_hints == Some(false) {
        out.push(Finding::NoRewind);
    }
    if let Some(seconds) = seen.load.oldest_transaction
        && seconds > TRANSACTION_LIMIT
    {
        out.push(Finding::LongTransaction { seconds });
    }
    if let Some(seconds) = seen.load.oldest_prepared
        && seconds > TRANSACTION_LIMIT
    {
        out.push(Finding::Prepared { count: seen.load.prepared, seconds });
    }
}

/// Compares a node with the primary.
fn beside(seen: &Observation, primary: &Observation, out: &mut Vec<Finding>) {
    if let (Some(own), Some(primary)) = (&seen.system_identifier, &primary.system_identifier)
        && own != primary
    {
        out.push(Finding::OtherSystem { own: own.clone(), primary: primary.clone() });
    }
    let (own, other) = (Ground::of(seen), Ground::of(primary));
    if own.differs_in_image(&other) {
        out.push(Finding::OtherImage { own: own.shown(), primary: other.shown() });
    }
    if let Some((own, primary)) = own.differs_in_libc(&other) {
        out.push(Finding::OtherLibc { own, primary });
    }
    let apart = match (seen.skew, primary.skew) {
        // What both may be off is taken out.
        (Some(own), Some(other)) => own
            .milliseconds
            .abs_diff(other.milliseconds)
            .saturating_sub(own.bound)
            .saturating_sub(other.bound),
        _ => match (seen.clock, primary.clock) {
            (Some(own), Some(other)) => own.abs_diff(other).saturating_mul(1000),
            _ => 0,
        },
    };
    if apart > CLOCK_LIMIT {
        out.push(Finding::Clock { seconds: apart / 1000 });
    }
}

/// Finds what is wrong with the cluster as a whole, by the node it is told at.
pub(super) fn of_cluster(view: &View) -> Vec<(String, Finding)> {
    let mut out = Vec::new();
    let Some((primary, seen)) = view.sole_primary() else { return out };
    let protection = view.protection();
    if protection.writes_wait {
        let sentence = protection.sentence();
        out.push((primary.name.clone(), Finding::WritesWait { sentence }));
    }
    let standbys = view.in_role(Role::Standby).next().is_some();
    let asked = protection.wanted != super::synchronous::Mode::Off;
    if standbys && asked != protection.waits_for.is_some() {
        out.push((
            primary.name.clone(),
            Finding::SynchronousDiffers {
                wanted: protection.wanted.word().to_owned(),
                found: seen.synchronous.clone(),
            },
        ));
    }
    out
}

/// What a node's server runs on, or would.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ground {
    /// The image.
    pub image: Image,
}

impl Ground {
    /// Returns what its container is made of; the wanted image where there is no container yet.
    pub fn of(seen: &Observation) -> Self {
        if seen.container.image_id.is_empty() {
            return Self::wanted(seen);
        }
        let container = &seen.container;
        let image = Image {
            name: container.image.clone(),
            id: container.image_id.clone(),
            digests: container.digests.clone(),
            libc: container.libc.clone(),
        };
        Self { image }
    }

    /// Returns what its container will be made of.
    pub fn wanted(seen: &Observation) -> Self {
        Self { image: seen.wanted.clone() }
    }

    /// Tells whether two images are known to differ: by content, and by every digest that registries know them under.
    pub fn differs_in_image(&self, other: &Self) -> bool {
        let (own, other) = (&self.image, &other.image);
        let shared = own.digests.iter().any(|digest| other.digests.contains(digest));
        !own.id.is_empty() && !other.id.is_empty() && own.id != other.id && !shared
    }

    /// Returns both C libraries when they are known to differ.
    pub fn differs_in_libc(&self, other: &Self) -> Option<(String, String)> {
        let (own, other) = (self.image.libc.as_ref()?, other.image.libc.as_ref()?);
        (own != other).then(|| (own.clone(), other.clone()))
    }

    /// Returns the image for people: name and the beginning of its id.
    pub fn shown(&self) -> String {
        let id = self.image.id.trim_start_matches("sha256:");
        let id = id.get(..12).unwrap_or(id);
        if self.image.name.is_empty() {
            id.to_owned()
        } else {
            format!("{} ({id})", self.image.name)
        }
    }
}
