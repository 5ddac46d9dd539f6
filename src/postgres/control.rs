//! What `pg_controldata` says about a node that does not run.

use serde::{Deserialize, Serialize};

use super::lsn::Lsn;
use super::timeline::TimelineId;

/// The state in which a server left its control file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlState {
    /// Stopped cleanly as a primary: the latest checkpoint is the end of its WAL.
    ShutDown,
    /// Stopped cleanly as a standby.
    ShutDownInRecovery,
    /// Running as a primary, or it crashed: what comes after the latest checkpoint is not known.
    InProduction,
    /// Running as a standby, or it crashed.
    InArchiveRecovery,
    /// It was starting, stopping or recovering from a crash when it was last heard of.
    Between,
}

impl ControlState {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "shut down" => Some(Self::ShutDown),
            "shut down in recovery" => Some(Self::ShutDownInRecovery),
            "in production" => Some(Self::InProduction),
            "in archive recovery" => Some(Self::InArchiveRecovery),
            "starting up" | "shutting down" | "in crash recovery" => Some(Self::Between),
            _ => None,
        }
    }

    /// Tells whether the server stopped in order.
    pub const fn is_clean(self) -> bool {
        matches!(self, Self::ShutDown | Self::ShutDownInRecovery)
    }
}

/// The facts of a control file that decisions rest on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ControlData {
    /// Which cluster; text, because JSON numbers lose its last digits.
    pub system_identifier: String,
    /// How it ended.
    pub state: ControlState,
    /// The timeline of the latest checkpoint.
    pub timeline: TimelineId,
    /// The latest checkpoint; the end of WAL when the state is [`ControlState::ShutDown`].
    pub checkpoint: Lsn,
    /// Where a standby must get to before it may be read; zero on a primary.
    pub minimum_recovery: Option<Lsn>,
    /// Page checksums are on; `None` when it was not told.
    pub checksums: Option<bool>,
    /// `wal_log_hints` is on; `None` when it was not told.
    pub wal_log_hints: Option<bool>,
    /// Bytes in a WAL segment; `None` when it was not told.
    #[serde(default)]
    pub segment_bytes: Option<u64>,
    /// The file does not match its checksum.
    #[serde(default)]
    pub damaged: bool,
}

/// Why a control file's text was not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// A line is missing.
    #[error("pg_controldata does not say '{line}'")]
    Missing {
        /// What the line begins with.
        line: &'static str,
    },
    /// A line says something unknown.
    #[error("pg_controldata says '{value}' for '{line}'")]
    Unknown {
        /// What the line begins with.
        line: &'static str,
        /// Its value.
        value: String,
    },
}

impl ControlData {
    /// Reads the output of `pg_controldata` under `LC_ALL=C`.
    pub fn parse(text: &str) -> Result<Self, ControlError> {
        let find = |line: &'static str| {
            text.lines()
                .filter_map(|row| row.split_once(':'))
                .find(|(name, _)| name.trim_end() == line)
                .map(|(_, value)| value.trim())
        };
        let need = |line| find(line).ok_or(ControlError::Missing { line });
        let unknown = |line, value: &str| ControlError::Unknown { line, value: value.to_owned() };

        let line = "Database system identifier";
        let system_identifier = need(line)?;
        if system_identifier.parse::<u64>().is_err() {
            return Err(unknown(line, system_identifier));
        }
        let line = "Database cluster state";
        let state = need(line)?;
        let state = ControlState::parse(state).ok_or_else(|| unknown(line, state))?;
        let line = "Latest checkpoint's TimeLineID";
        let timeline = need(line)?;
        let timeline = timeline.parse().map(TimelineId).map_err(|_| unknown(line, timeline))?;
        let line = "Latest checkpoint location";
        let checkpoint = need(line)?;
        let checkpoint = checkpoint.parse().map_err(|_| unknown(line, checkpoint))?;
        Ok(Self {
            system_identifier: system_identifier.to_owned(),
            state,
            timeline,
            checkpoint,
            minimum_recovery: find("Minimum recovery ending location")
                .and_then(|value| value.parse().ok())
                .filter(|lsn| *lsn != Lsn(0)),
            checksums: find("Data page checksum version").map(|value| value != "0"),
            wal_log_hints: find("wal_log_hints setting").map(|value| value == "on"),
            segment_bytes: find("Bytes per WAL segment").and_then(|value| value.parse().ok()),
            damaged: text.to_lowercase().contains("crc checksum does not match"),
        })
    }
}

#[cfg(test)]
#[path = "control/tests.rs"]
mod tests;
