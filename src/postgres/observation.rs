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
    /// The furthest WAL position known: written on a primary, received on a standby, checkpoint when stopped.
    pub lsn: Option<Lsn>,
    /// Replayed, on a standby.
    pub replayed: Option<Lsn>,
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
    /// `pg_controldata`, when no server answers.
    pub control: Option<ControlData>,
    /// `standby.signal` or `recovery.conf` is in the data directory.
    pub standby_configured: bool,
    /// It was fenced by matron, and why.
    pub fenced: Option<String>,
    /// Its container.
    pub container: Container,
    /// What this host remembers as owed.
    pub debts: Vec<Debt>,
    /// Which other nodes answer, seen from here.
    pub peers: Vec<PeerAnswer>,
    /// Size of all databases in bytes, on a running node.
    pub size: Option<u64>,
    /// Free bytes where the data lies.
    pub disk_free: Option<u64>,
    /// The host's clock, seconds since 1970.
    pub clock: Option<u64>,
    /// The guard is installed.
    pub guard: bool,
    /// Whether it could be rewound.
    pub rewind: Rewindable,
    /// Why a running server did not answer.
    pub trouble: Option<String>,
}
