//! One node as it was seen: what `pg_observe` found on a host, typed.

use serde::{Deserialize, Serialize};

use super::control::ControlData;
use super::lsn::Lsn;
use super::timeline::TimelineId;

/// What a node is right now, in the sense that matters for decisions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Takes writes.
    Primary,
    /// In recovery, answers.
    Standby,
    /// The container runs and its server does not answer (yet).
    Starting,
    /// There is a data directory and no server runs on it.
    Stopped,
    /// A base backup was begun and did not end.
    HalfCloned,
    /// Nothing is there.
    #[default]
    Empty,
    /// There are files that are no data directory of PostgreSQL.
    Foreign,
}

impl Role {
    /// Returns the word people read.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Standby => "standby",
            Self::Starting => "starting",
            Self::Stopped => "stopped",
            Self::HalfCloned => "half-cloned",
            Self::Empty => "empty",
            Self::Foreign => "foreign files",
        }
    }
}

/// A standby's own view of where its WAL comes from.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Upstream {
    /// Address it is configured to follow.
    pub host: Option<String>,
    /// Port.
    pub port: Option<u16>,
    /// `streaming`, `starting` …; empty when there is no receiver.
    pub status: String,
    /// `received_tli`.
    pub timeline: Option<TimelineId>,
    /// Seconds since the last message, when there is a receiver.
    pub silent_seconds: Option<u64>,
    /// How far the node it follows had written when it last said so.
    pub told: Option<Lsn>,
    /// Who really sends, where the server tells (11 and later).
    pub sender: Option<String>,
    /// The slot it uses there.
    pub slot: Option<String>,
}

impl Upstream {
    /// Tells whether WAL is flowing.
    pub fn is_streaming(&self) -> bool {
        self.status == "streaming"
    }
}

/// A row of `pg_stat_replication`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Follower {
    /// `application_name`: the node's name, when matron set it up.
    pub name: String,
    /// Where it comes from.
    pub address: String,
    /// `streaming`, `catchup`, `startup`, `backup`.
    pub state: String,
    /// `sync`, `async`, `quorum`, `potential`.
    pub sync_state: String,
    /// What it has replayed.
    pub replayed: Option<Lsn>,
    /// What it has flushed.
    pub flushed: Option<Lsn>,
    /// What was sent to it.
    pub sent: Option<Lsn>,
    /// What it has written.
    pub written: Option<Lsn>,
    /// Milliseconds from a commit's flush here to its flush there, lately (10 and later).
    pub flush_lag_ms: Option<u64>,
    /// Milliseconds from a commit's flush here to its replay there, lately (10 and later).
    pub replay_lag_ms: Option<u64>,
}

impl Follower {
    /// Tells whether it is one of those that commits wait for.
    pub fn confirms(&self) -> bool {
        self.state == "streaming" && matches!(self.sync_state.as_str(), "sync" | "quorum")
    }
}

/// A physical replication slot.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Slot {
    /// Name.
    pub name: String,
    /// In use.
    pub active: bool,
    /// WAL from here on is kept for it.
    pub restart: Option<Lsn>,
    /// `reserved`, `extended`, `unreserved`, `lost`; empty before 13.
    pub wal_status: String,
    /// Bytes of WAL that are kept for it.
    pub kept: Option<u64>,
}

/// Something that is owed: a node that could not be fenced when another one was promoted.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Debt {
    /// The node that was not fenced.
    pub node: String,
    /// The one promoted instead.
    pub promoted: String,
    /// When, as the host's clock said (UTC, ISO 8601).
    pub since: String,
    /// Why.
    pub reason: String,
}

/// A switchover that is under way: it is noted on the old primary's host before anything is stopped.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Handover {
    /// The primary that stops.
    pub from: String,
    /// The standby that takes over.
    pub to: String,
}

/// Whether another node's port answers, seen from this host.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PeerAnswer {
    /// The other node.
    pub node: String,
    /// Its server accepts connections.
    pub answers: bool,
}

/// The database container.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Container {
    /// `running`, `exited`, `created`, `paused` …; empty when there is none.
    pub state: String,
    /// Image as named.
    pub image: String,
    /// Image by content.
    pub image_id: String,
    /// `no`, `always`, `unless-stopped`, `on-failure`.
    pub restart_policy: String,
    /// How it ended last.
    pub exit_code: Option<i32>,
    /// Digests under which registries know the image.
    pub digests: Vec<String>,
    /// The image's C library: `glibc 2.41`, `musl`.
    pub libc: Option<String>,
    /// Seconds that Docker leaves it for an orderly stop (`--stop-timeout`), where that was set.
    pub stop_timeout: Option<u64>,
}

/// An image that a host holds.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Image {
    /// As the inventory names it.
    pub name: String,
    /// By content; empty when the host does not hold it.
    pub id: String,
    /// Digests under which registries know it.
    pub digests: Vec<String>,
    /// Its C library, where a run of it told that before.
    pub libc: Option<String>,
}

/// The unit that starts the guard at boot.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct GuardUnit {
    /// `enabled`, `disabled`, `boot hook` on a host without systemd; empty when there is none.
    pub enabled: String,
    /// `active`, `inactive`, `failed` …
    pub active: String,
    /// The last line that the guard wrote about this cluster.
    pub said: Option<String>,
}

/// Room on the file system of the data, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Disk {
    /// Size of the file system.
    pub size: Option<u64>,
    /// Free for the database.
    pub free: Option<u64>,
    /// The data directory, as long as counting it does not take long.
    pub data: Option<u64>,
    /// `pg_wal` in it.
    pub wal: Option<u64>,
}

/// The host's clock against this machine's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Skew {
    /// Milliseconds it is ahead; negative when it is behind.
    pub milliseconds: i64,
    /// How far off that may be: half of the way there and back.
    pub bound: u64,
}

/// A database whose text was sorted by another version of the C library than the server has now.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Collation {
    /// The database.
    pub database: String,
    /// The version its indexes were made under (`datcollversion`).
    pub made: String,
    /// The version the server has.
    pub has: String,
}

/// What goes on in a running server.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Load {
    /// Client connections.
    pub connections: Option<u64>,
    /// `max_connections`.
    pub max_connections: Option<u64>,
    /// Clients that wait for a synchronous standby.
    pub waiting_for_standby: u64,
    /// Transactions open for more than a minute.
    pub long_transactions: u64,
    /// Seconds the oldest transaction is open.
    pub oldest_transaction: Option<u64>,
    /// Prepared transactions.
    pub prepared: u64,
    /// Seconds since the oldest of them was prepared.
    pub oldest_prepared: Option<u64>,
}

/// The archiver.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Archiver {
    /// `archive_mode`: `off`, `on`, `always`.
    pub mode: String,
    /// Segments that wait for it (`archive_status/*.ready`).
    pub waiting: Option<u64>,
    /// The last attempt failed.
    pub failing: bool,
}

/// What tells whether `pg_rewind` can bring a node back.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Rewindable {
    /// Programs that the node's image has, of those that not every image has (`pg_rewind`, `pg_waldump`); nothing when it was
    /// not asked.
    pub programs: Option<Vec<String>>,
    /// Page checksums are on.
    pub checksums: Option<bool>,
    /// `wal_log_hints` is on.
    pub wal_log_hints: Option<bool>,
    /// `full_page_writes` is on; asked of a running server.
    pub full_page_writes: Option<bool>,
    /// The lowest position of which the node still has the WAL.
    pub wal_from: Option<Lsn>,
    /// A rewind was begun and did not end.
    pub interrupted: bool,
    /// Its control file does not match its checksum.
    pub damaged: bool,
}

/// What commits on a primary wait for, as a standby holds it: replicated like any other row, so it is as old as the WAL there.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Promise {
    /// The primary whose commits wait.
    pub primary: String,
    /// Its `synchronous_standby_names`.
    pub names: String,
}

impl Promise {
    const BEFORE: &str = "matron: commits on ";
    const BETWEEN: &str = " wait for ";

    /// Reads what [`Self::text`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let (primary, names) = text.strip_prefix(Self::BEFORE)?.split_once(Self::BETWEEN)?;
        Some(Self { primary: primary.to_owned(), names: names.to_owned() })
    }

    /// Returns it as the comment on the replication role holds it.
    pub fn text(&self) -> String {
        format!("{}{}{}{}", Self::BEFORE, self.primary, Self::BETWEEN, self.names)
    }

    /// Returns the standbys it names: what is not a keyword, a number or punctuation.
    pub fn standbys(&self) -> Vec<&str> {
        self.names
            .split(|c: char| c.is_whitespace() || "(),\"".contains(c))
            .filter(|name| !name.is_empty() && name.parse::<u32>().is_err())
            .filter(|name| !["FIRST", "ANY"].contains(&name.to_uppercase().as_str()))
            .collect()
    }
}

/// What a stopped former primary holds and the standbys never received, as its WAL says.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Unreceived {
    /// Read from here on: what the best standby has received.
    pub from: Lsn,
    /// Where its last record ends.
    pub to: Lsn,
    /// Commits in between.
    pub commits: u64,
    /// When the first of them was made, as that server's clock said.
    pub first: Option<String>,
    /// When the last of them was made.
    pub last: Option<String>,
    /// Seconds from the first to the last.
    pub seconds: Option<u64>,
}

/// Everything seen on one host about its node.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Observation {
    /// What it is.
    pub role: Role,
    /// `server_version_num` of a running server.
    pub version_num: Option<u32>,
    /// Major of the data directory (`PG_VERSION`).
    pub major: Option<String>,
    /// Which cluster its data belongs to.
    pub system_identifier: Option<String>,
    /// Which cluster this host's marker says that it should belong to.
    pub marker: Option<String>,
    /// Current timeline: of the insertion point on a primary, of what is replayed on a standby, of the latest checkpoint when stopped.
    pub timeline: Option<TimelineId>,
    /// The full version: `17.11`.
    pub version: Option<String>,
    /// The furthest WAL position known: written on a primary, received on a standby, checkpoint when stopped.
    pub lsn: Option<Lsn>,
    /// Written: by a primary, or by a standby's receiver where it tells (13 and later).
    pub written: Option<Lsn>,
    /// Received, on a standby.
    pub received: Option<Lsn>,
    /// Safe on disk.
    pub flushed: Option<Lsn>,
    /// Replayed, on a standby.
    pub replayed: Option<Lsn>,
    /// Replay is paused, on a standby.
    pub paused: bool,
    /// Milliseconds since the last replayed commit, on a standby.
    pub replay_delay_ms: Option<u64>,
    /// The timeline's history file, on a primary.
    pub history: Option<String>,
    /// Where a standby's WAL comes from.
    pub upstream: Upstream,
    /// Who follows it.
    pub followers: Vec<Follower>,
    /// Its slots.
    pub slots: Vec<Slot>,
    /// `synchronous_standby_names`.
    pub synchronous: String,
    /// `synchronous_commit`.
    pub synchronous_commit: String,
    /// What goes on in it.
    pub load: Load,
    /// Its archiver.
    pub archiver: Archiver,
    /// Databases whose collation version is not the server's (15 and later).
    pub collations: Vec<Collation>,
    /// `pg_controldata`, when no server answers.
    pub control: Option<ControlData>,
    /// `standby.signal` or `recovery.conf` is in the data directory.
    pub standby_configured: bool,
    /// It was fenced by matron, and why.
    pub fenced: Option<String>,
    /// A switchover that was begun here and is not finished.
    pub handover: Option<Handover>,
    /// `max_wal_senders`.
    pub max_wal_senders: Option<u64>,
    /// `max_replication_slots`.
    pub max_slots: Option<u64>,
    /// An exclusive base backup is under way (up to 14).
    pub exclusive_backup: bool,
    /// Its container.
    pub container: Container,
    /// The image that the inventory wants, as this host holds it.
    pub wanted: Image,
    /// What this host remembers as owed.
    pub debts: Vec<Debt>,
    /// Which other nodes answer, seen from here.
    pub peers: Vec<PeerAnswer>,
    /// Size of all databases in bytes, on a running node.
    pub size: Option<u64>,
    /// Free bytes where the data lies.
    pub disk_free: Option<u64>,
    /// Room on its disk.
    pub disk: Disk,
    /// The host's clock, seconds since 1970.
    pub clock: Option<u64>,
    /// The host's clock against this machine's.
    pub skew: Option<Skew>,
    /// The guard is installed.
    pub guard: bool,
    /// Whether it could be rewound.
    pub rewind: Rewindable,
    /// The unit that starts it.
    pub guard_unit: GuardUnit,
    /// Why a running server did not answer.
    pub trouble: Option<String>,
    /// What commits wait for, as this node's data says.
    pub promise: Option<Promise>,
    /// What only this stopped node holds.
    pub unreceived: Option<Unreceived>,
}

/// Returns the name of a node's replication slot: lower case letters, digits and `_` are all that a slot may have.
pub fn slot_name(node: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    format!("matron_{}", node.chars().map(plain).collect::<String>())
}
