//! A node that somebody built by hand: what its container and files are, and what the inventory says of it.

use serde::{Deserialize, Serialize};

/// A setting that will have another value.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SettingChange {
    /// Its name.
    pub name: String,
    /// What the server uses now.
    pub now: String,
    /// What it will use.
    pub wanted: String,
    /// Only a restart takes it into use.
    pub restart: bool,
}

/// What the inventory says of a node, beside what was found of it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Wanted {
    /// `pg_container`.
    pub container: String,
    /// `pg_port`.
    pub port: u16,
    /// PGDATA in the container, as image and inventory say.
    pub pgdata: String,
    /// The image's volume.
    pub volume: String,
    /// `pg_image`.
    pub image: String,
    /// Its id.
    pub image_id: String,
    /// `postgres_user`.
    pub superuser: String,
    /// `postgres_db`.
    pub database: String,
    /// `pg_replication_user`.
    pub replication_user: String,
    /// Names in `pg_settings`.
    pub settings: Vec<String>,
}

/// A container that runs (or ran) a node, and its data.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HandBuilt {
    /// The container's name; empty when there is none.
    pub container: String,
    /// It carries matron's label: there is nothing to take over.
    pub managed: bool,
    /// `running`, `exited` …
    pub state: String,
    /// Image as named.
    pub image: String,
    /// Image by content.
    pub image_id: String,
    /// `no`, `always`, `unless-stopped` …
    pub restart_policy: String,
    /// Host port that leads to 5432.
    pub port: Option<u16>,
    /// PGDATA in the container.
    pub pgdata: String,
    /// The same on the host.
    pub data: String,
    /// What is mounted there on the host; empty when nothing is, so that the data lies in the container itself.
    pub source: String,
    /// `bind` or `volume`.
    pub mount_type: String,
    /// Where it is mounted in the container.
    pub destination: String,
    /// Arguments of the server.
    pub arguments: Vec<String>,
    /// The password is in the container's environment, for everybody to read who may ask Docker.
    pub password_in_environment: bool,
    /// `POSTGRES_USER`.
    pub superuser: String,
    /// `POSTGRES_DB`.
    pub database: String,
    /// Containers that reach it by a link or by its name on a network of their own.
    pub linked: Vec<String>,
    /// Lines of pg_hba.conf that let in whom they should not.
    pub open_lines: Vec<String>,
    /// Files that hold a replication password in the clear.
    pub password_files: Vec<String>,
    /// A file by which anybody could promote it.
    pub trigger_file: String,
    /// Settings that will change.
    pub settings: Vec<SettingChange>,
    /// `max_replication_slots` of a running server.
    pub slots_allowed: Option<u32>,
    /// `max_wal_senders` of a running server.
    pub senders_allowed: Option<u32>,
    /// The superuser's password is the inventory's; nothing when it could not be asked.
    pub password_matches: Option<bool>,
    /// What the inventory says.
    pub wanted: Wanted,
}

impl HandBuilt {
    /// Tells whether there is a container that is to be taken over.
    pub fn is_foreign(&self) -> bool {
        !self.container.is_empty() && !self.managed
    }

    /// Returns the folder whose content is what the image's volume would be, when there is one.
    pub fn volume_folder(&self) -> Option<&str> {
        let below = self.wanted.pgdata.strip_prefix(self.wanted.volume.as_str())?;
        let folder = self.data.strip_suffix(below)?;
        (self.pgdata == self.wanted.pgdata && !folder.is_empty()).then_some(folder)
    }
}
