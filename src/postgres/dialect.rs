//! What a major version has, wants and calls things: one table, version by feature, from 9.4 to 18.
//!
//! Each row is the one before it with what that release changed, so a row reads like release notes. Nothing else in matron
//! compares versions. Sources: the release notes and the pages of the manual named at the fields.

use std::fmt::Write as _;

use serde::Serialize;

use super::synchronous::Mode;
use super::version::Major;

/// How one major version speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Dialect {
    /// The major it is for.
    #[serde(serialize_with = "as_text")]
    pub major: Major,
    /// The word for `wal_level` that a standby needs.
    pub wal_level: &'static str,
    /// The setting that keeps WAL without a slot, in 9.4 to 12 counted in segments of 16 MB.
    pub wal_kept: WalKept,
    /// `max_slot_wal_keep_size` is there.
    pub slot_wal_limit: bool,
    /// `idle_replication_slot_timeout` is there.
    pub idle_slot_timeout: bool,
    /// `checkpoint_segments` rather than `max_wal_size`.
    pub checkpoint_segments: bool,
    /// Default of `hot_standby`.
    pub hot_standby_default: bool,
    /// Default of `max_wal_senders` and `max_replication_slots`.
    pub senders_default: u16,
    /// How a data directory says that it is a standby's.
    pub standby_file: StandbyFile,
    /// Default of `recovery_target_timeline` is `latest`.
    pub follows_latest: bool,
    /// A change of `primary_conninfo` takes a reload only.
    pub conninfo_reloads: bool,
    /// The setting of a trigger file, where there is one.
    pub trigger_setting: Option<&'static str>,
    /// How a standby is promoted.
    pub promote: Promote,
    /// `pg_basebackup -S` is there.
    pub basebackup_slot: bool,
    /// `pg_basebackup -C` is there.
    pub basebackup_creates_slot: bool,
    /// A base backup may be taken by `pg_start_backup` alone, and `pg_is_in_backup()` tells.
    pub exclusive_backups: bool,
    /// `pg_basebackup -X` default.
    pub basebackup_wal_default: &'static str,
    /// `wal_retrieve_retry_interval` is there.
    pub retrieve_interval: bool,
    /// `pg_create_physical_replication_slot` takes `immediately_reserve`.
    pub slot_reserves: bool,
    /// `pg_replication_slots.wal_status` is there.
    pub slot_wal_status: bool,
    /// `pg_rewind` comes with the server.
    pub rewind: bool,
    /// `pg_rewind` finishes crash recovery by itself.
    pub rewind_recovers: bool,
    /// `pg_rewind` may read its source as a role that is no superuser.
    pub rewind_by_role: bool,
    /// The program that prints WAL.
    pub wal_reader: &'static str,
    /// A base backup has a manifest and `pg_verifybackup` reads it.
    pub manifest: bool,
    /// `pg_verifybackup --progress` is there.
    pub verify_progress: bool,
    /// `pg_basebackup`'s option for a WAL directory of its own.
    pub waldir_option: &'static str,
    /// The official image's variable for one.
    pub waldir_variable: &'static str,
    /// `initdb` turns page checksums on by itself.
    pub checksums_default: bool,
    /// Default of `password_encryption`, and whether SCRAM verifiers are understood.
    pub passwords: Passwords,
    /// `passfile=` may stand in a connection string.
    pub passfile_keyword: bool,
    /// Names of WAL functions and columns.
    pub wal: WalNames,
    /// `pg_stat_wal_receiver`.
    pub receiver: Receiver,
    /// `pg_control_system()` and the other `pg_control_*` functions are there.
    pub control_functions: bool,
    /// `pg_current_wal_flush_lsn` (or its older name) is there.
    pub flush_position: bool,
    /// `pg_stat_replication` has `write_lag`, `flush_lag` and `replay_lag`.
    pub lag_columns: bool,
    /// `pg_stat_activity.wait_event` is there.
    pub wait_events: bool,
    /// `pg_stat_activity.backend_type` is there.
    pub backend_type: bool,
    /// `pg_database.datcollversion` is there.
    pub database_collation: bool,
    /// `pg_settings.pending_restart` is there.
    pub pending_restart: bool,
    /// `pg_logical_emit_message` is there: a write that leaves nothing behind.
    pub emits_messages: bool,
    /// Form of `synchronous_standby_names`.
    pub sync_names: SyncNames,
    /// `PGDATA` of the official image.
    pub image_pgdata: &'static str,
    /// `VOLUME` of the official image.
    pub image_volume: &'static str,
    /// Last month of upstream's support.
    pub end_of_life: &'static str,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn as_text<S: serde::Serializer>(major: &Major, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(major)
}

/// How WAL is kept without a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WalKept {
    /// `wal_keep_segments`, 16 MB each.
    Segments,
    /// `wal_keep_size`.
    Size,
}

/// How a data directory says that it is a standby's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StandbyFile {
    /// `recovery.conf` with everything in it; from 12 on a server with one does not start.
    RecoveryConf,
    /// Empty `standby.signal`, and ordinary settings.
    Signal,
}

impl StandbyFile {
    /// Returns the file's name in the data directory.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RecoveryConf => "recovery.conf",
            Self::Signal => "standby.signal",
        }
    }
}

/// How a standby is promoted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Promote {
    /// `pg_ctl promote`, which before 10 returns at once.
    PgCtl,
    /// `pg_promote()`.
    Function,
}

/// Passwords.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Passwords {
    /// Only md5.
    Md5,
    /// md5 by default, SCRAM understood.
    Either,
    /// SCRAM by default.
    Scram,
}

impl Passwords {
    /// Returns the pg_hba method to ask for.
    pub const fn hba_method(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Either | Self::Scram => "scram-sha-256",
        }
    }
}

/// Names that version 10 changed from xlog and location to wal and lsn.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct WalNames {
    /// `wal` or `xlog`.
    pub word: &'static str,
    /// `lsn` or `location`, as in `pg_current_wal_lsn`.
    pub position: &'static str,
    /// The directory in the data directory.
    pub directory: &'static str,
}

const XLOG: WalNames = WalNames { word: "xlog", position: "location", directory: "pg_xlog" };
const WAL: WalNames = WalNames { word: "wal", position: "lsn", directory: "pg_wal" };

/// What `pg_stat_wal_receiver` offers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Receiver {
    /// There is no such view.
    Absent,
    /// `received_lsn`, and the sender only inside `conninfo`.
    Received,
    /// `received_lsn` and `sender_host`.
    ReceivedWithSender,
    /// `flushed_lsn` and `sender_host`.
    FlushedWithSender,
}

/// Forms of `synchronous_standby_names`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncNames {
    /// A list, of which the first connected one counts.
    List,
    /// `N (a, b)`.
    Count,
    /// `FIRST N (a, b)` and `ANY N (a, b)`.
    FirstOrAny,
}

const V9_4: Dialect = Dialect {
    major: Major::new(9, 4),
    wal_level: "hot_standby",
    wal_kept: WalKept::Segments,
    slot_wal_limit: false,
    idle_slot_timeout: false,
    checkpoint_segments: true,
    hot_standby_default: false,
    senders_default: 0,
    standby_file: StandbyFile::RecoveryConf,
    follows_latest: false,
    conninfo_reloads: false,
    trigger_setting: Some("trigger_file"),
    promote: Promote::PgCtl,
    basebackup_slot: false,
    basebackup_creates_slot: false,
    exclusive_backups: true,
    basebackup_wal_default: "none",
    retrieve_interval: false,
    slot_reserves: false,
    slot_wal_status: false,
    rewind: false,
    rewind_recovers: false,
    rewind_by_role: false,
    wal_reader: "pg_xlogdump",
    manifest: false,
    verify_progress: false,
    waldir_option: "--xlogdir",
    waldir_variable: "POSTGRES_INITDB_XLOGDIR",
    checksums_default: false,
    passwords: Passwords::Md5,
    passfile_keyword: false,
    wal: XLOG,
    receiver: Receiver::Absent,
    control_functions: false,
    flush_position: false,
    lag_columns: false,
    wait_events: false,
    backend_type: false,
    database_collation: false,
    pending_restart: false,
    emits_messages: false,
    sync_names: SyncNames::List,
    image_pgdata: "/var/lib/postgresql/data",
    image_volume: "/var/lib/postgresql/data",
    end_of_life: "2020-02",
};

const V9_5: Dialect = Dialect {
    major: Major::new(9, 5),
    checkpoint_segments: false,
    retrieve_interval: true,
    rewind: true,
    pending_restart: true,
    end_of_life: "2021-02",
    ..V9_4
};

const V9_6: Dialect = Dialect {
    major: Major::new(9, 6),
    wal_level: "replica",
    basebackup_slot: true,
    slot_reserves: true,
    receiver: Receiver::Received,
    control_functions: true,
    flush_position: true,
    wait_events: true,
    emits_messages: true,
    sync_names: SyncNames::Count,
    end_of_life: "2021-11",
    ..V9_5
};

const V10: Dialect = Dialect {
    major: Major::new(10, 0),
    hot_standby_default: true,
    senders_default: 10,
    basebackup_wal_default: "stream",
    passwords: Passwords::Either,
    passfile_keyword: true,
    wal_reader: "pg_waldump",
    waldir_option: "--waldir",
    waldir_variable: "POSTGRES_INITDB_WALDIR",
    wal: WAL,
    lag_columns: true,
    backend_type: true,
    sync_names: SyncNames::FirstOrAny,
    end_of_life: "2022-11",
    ..V9_6
};

const V11: Dialect = Dialect {
    major: Major::new(11, 0),
    rewind_by_role: true,
    basebackup_creates_slot: true,
    receiver: Receiver::ReceivedWithSender,
    end_of_life: "2023-11",
    ..V10
};

const V12: Dialect = Dialect {
    major: Major::new(12, 0),
    standby_file: StandbyFile::Signal,
    follows_latest: true,
    trigger_setting: Some("promote_trigger_file"),
    promote: Promote::Function,
    end_of_life: "2024-11",
    ..V11
};

const V13: Dialect = Dialect {
    major: Major::new(13, 0),
    wal_kept: WalKept::Size,
    slot_wal_limit: true,
    conninfo_reloads: true,
    slot_wal_status: true,
    rewind_recovers: true,
    manifest: true,
    receiver: Receiver::FlushedWithSender,
    end_of_life: "2025-11",
    ..V12
};

const V14: Dialect = Dialect {
    major: Major::new(14, 0),
    passwords: Passwords::Scram,
    end_of_life: "2026-11",
    ..V13
};

const V15: Dialect = Dialect {
    major: Major::new(15, 0),
    exclusive_backups: false,
    database_collation: true,
    end_of_life: "2027-11",
    ..V14
};

const V16: Dialect = Dialect {
    major: Major::new(16, 0),
    trigger_setting: None,
    verify_progress: true,
    end_of_life: "2028-11",
    ..V15
};

const V17: Dialect = Dialect { major: Major::new(17, 0), end_of_life: "2029-11", ..V16 };

const V18: Dialect = Dialect {
    major: Major::new(18, 0),
    idle_slot_timeout: true,
    checksums_default: true,
    image_pgdata: "/var/lib/postgresql/18/docker",
    image_volume: "/var/lib/postgresql",
    end_of_life: "2030-11",
    ..V17
};

/// Every major that matron speaks, oldest first.
pub static TABLE: &[Dialect] = &[V9_4, V9_5, V9_6, V10, V11, V12, V13, V14, V15, V16, V17, V18];

/// A major that is not in the table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("PostgreSQL {major} is not one matron speaks (9.4 to 18)")]
pub struct UnknownMajor {
    /// The major asked for.
    pub major: Major,
}

impl Dialect {
    /// Returns the row of a major.
    pub fn of(major: Major) -> Result<&'static Self, UnknownMajor> {
        TABLE.iter().find(|row| row.major == major).ok_or(UnknownMajor { major })
    }

    /// Returns the settings that keep about `megabytes` of WAL without a slot.
    pub fn wal_kept(&self, megabytes: u32) -> (&'static str, String) {
        match self.wal_kept {
            WalKept::Segments => ("wal_keep_segments", megabytes.div_ceil(16).to_string()),
            WalKept::Size => ("wal_keep_size", format!("{megabytes}MB")),
        }
    }

    /// Returns the expression for a node's furthest position: written on a primary, received on a standby.
    ///
    /// A standby that has just started has received nothing: what it replayed counts then.
    pub fn furthest_position(&self) -> String {
        let WalNames { word, position, .. } = self.wal;
        format!(
            "case when pg_is_in_recovery() then greatest(coalesce(pg_last_{word}_receive_{position}(), '0/0'), \
             coalesce(pg_last_{word}_replay_{position}(), '0/0')) else pg_current_{word}_{position}() end"
        )
    }

    /// Returns the call that makes a standby's slot; the name is `$1` in no sense: give it as a quoted literal.
    pub fn create_slot(&self, quoted_name: &str) -> String {
        let reserve = if self.slot_reserves { ", true" } else { "" };
        format!("pg_create_physical_replication_slot({quoted_name}{reserve})")
    }

    /// Returns the value of `synchronous_standby_names` by which a commit waits for all of these standbys, for any one of
    /// them, or for none; an error when this version cannot wait for as many.
    pub fn synchronous_names(&self, mode: Mode, names: &[String]) -> Result<String, OneOnly> {
        if mode == Mode::Off || names.is_empty() {
            return Ok(String::new());
        }
        let mut list = String::new();
        for name in names {
            let comma = if list.is_empty() { "" } else { ", " };
            let _ = write!(list, "{comma}\"{}\"", name.replace('"', "\"\""));
        }
        let all = names.len();
        Ok(match (self.sync_names, mode) {
            (SyncNames::List, Mode::On) if all > 1 => {
                return Err(OneOnly { major: self.major, standbys: all });
            }
            // The first of the list that streams, which for a promise of one is as good as any.
            (SyncNames::List, _) => list,
            (SyncNames::Count, Mode::On) => format!("{all} ({list})"),
            (SyncNames::Count, _) => format!("1 ({list})"),
            (SyncNames::FirstOrAny, Mode::On) => format!("FIRST {all} ({list})"),
            (SyncNames::FirstOrAny, _) => format!("ANY 1 ({list})"),
        })
    }
}

/// A version that waits for one standby only, asked to wait for more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "refused: pg_synchronous: found on with {standbys} standbys; PostgreSQL {major} can wait for one only (9.6 and later for all). Set pg_synchronous: quorum, which waits for one of them, or off."
)]
pub struct OneOnly {
    /// The version.
    pub major: Major,
    /// Standbys it should wait for.
    pub standbys: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> &'static Dialect {
        Dialect::of(Major::parse(text).unwrap()).unwrap()
    }

    /// Majors for which something holds, as text.
    fn majors(holds: impl Fn(&Dialect) -> bool) -> String {
        let list: Vec<_> =
            TABLE.iter().filter(|row| holds(row)).map(|row| row.major.to_string()).collect();
        list.join(" ")
    }

    #[test]
    fn table_has_each_major_once_and_in_order() {
        assert!(TABLE.windows(2).all(|pair| pair[0].major < pair[1].major));
        assert_eq!(majors(|_| true), "9.4 9.5 9.6 10 11 12 13 14 15 16 17 18");
    }

    #[test]
    fn unknown_major_is_refused_by_name() {
        let error = Dialect::of(Major::new(19, 0)).map_err(|error| error.to_string());
        assert_eq!(error, Err("PostgreSQL 19 is not one matron speaks (9.4 to 18)".to_owned()));
    }

    #[test]
    fn standby_is_told_by_recovery_conf_up_to_11() {
        assert_eq!(
            majors(|row| row.standby_file == StandbyFile::RecoveryConf),
            "9.4 9.5 9.6 10 11"
        );
    }

    #[test]
    fn hot_standby_word_is_for_9_4_and_9_5_only() {
        assert_eq!(majors(|row| row.wal_level == "hot_standby"), "9.4 9.5");
    }

    #[test]
    fn wal_is_kept_by_segments_up_to_12() {
        assert_eq!(of("12").wal_kept(128), ("wal_keep_segments", "8".to_owned()));
        assert_eq!(of("13").wal_kept(128), ("wal_keep_size", "128MB".to_owned()));
        assert_eq!(majors(|row| row.wal_kept == WalKept::Segments), "9.4 9.5 9.6 10 11 12");
    }

    #[test]
    fn functions_speak_of_xlog_before_10() {
        assert_eq!(majors(|row| row.wal.word == "xlog"), "9.4 9.5 9.6");
        assert!(of("9.6").furthest_position().contains("pg_last_xlog_receive_location()"));
        assert!(of("10").furthest_position().contains("pg_last_wal_receive_lsn()"));
    }

    #[test]
    fn promotion_by_function_is_from_12_on() {
        assert_eq!(majors(|row| row.promote == Promote::PgCtl), "9.4 9.5 9.6 10 11");
    }

    #[test]
    fn checkpoint_segments_is_for_9_4_only() {
        assert_eq!(majors(|row| row.checkpoint_segments), "9.4");
    }

    #[test]
    fn senders_are_there_by_default_from_10_on() {
        assert_eq!(majors(|row| row.senders_default == 0), "9.4 9.5 9.6");
    }

    #[test]
    fn scram_is_understood_from_10_and_default_from_14() {
        assert_eq!(majors(|row| row.passwords == Passwords::Md5), "9.4 9.5 9.6");
        assert_eq!(majors(|row| row.passwords == Passwords::Scram), "14 15 16 17 18");
        assert_eq!(of("9.6").passwords.hba_method(), "md5");
        assert_eq!(of("10").passwords.hba_method(), "scram-sha-256");
    }

    #[test]
    fn receiver_view_grew_in_four_steps() {
        assert_eq!(majors(|row| row.receiver == Receiver::Absent), "9.4 9.5");
        assert_eq!(majors(|row| row.receiver == Receiver::Received), "9.6 10");
        assert_eq!(majors(|row| row.receiver == Receiver::ReceivedWithSender), "11 12");
        assert_eq!(majors(|row| row.receiver == Receiver::FlushedWithSender), "13 14 15 16 17 18");
    }

    #[test]
    fn data_directory_of_the_image_moved_in_18() {
        assert_eq!(majors(|row| row.image_pgdata != row.image_volume), "18");
        assert_eq!(of("18").image_pgdata, "/var/lib/postgresql/18/docker");
    }

    #[test]
    fn synchronous_names_take_the_form_of_the_version() {
        let names = ["db2".to_owned(), "db3".to_owned()];
        let told = |major: &str, mode, names: &[String]| {
            of(major).synchronous_names(mode, names).unwrap_or_else(|error| error.to_string())
        };
        for (major, mode, setting) in [
            ("9.5", Mode::Quorum, r#""db2", "db3""#),
            ("9.6", Mode::Quorum, r#"1 ("db2", "db3")"#),
            ("9.6", Mode::On, r#"2 ("db2", "db3")"#),
            ("10", Mode::On, r#"FIRST 2 ("db2", "db3")"#),
            ("17", Mode::Quorum, r#"ANY 1 ("db2", "db3")"#),
            ("17", Mode::Off, ""),
        ] {
            assert_eq!(told(major, mode, &names), setting, "{major}");
        }
        assert_eq!(told("9.4", Mode::On, &names[..1]), r#""db2""#);
        assert_eq!(told("17", Mode::On, &names[..1]), r#"FIRST 1 ("db2")"#);
        assert_eq!(told("17", Mode::On, &[]), "");
        assert_eq!(
            told("9.5", Mode::On, &names),
            "refused: pg_synchronous: found on with 2 standbys; PostgreSQL 9.5 can wait for one only (9.6 and later for all). \
             Set pg_synchronous: quorum, which waits for one of them, or off."
        );
    }

    #[test]
    fn slot_is_reserved_at_once_where_that_can_be_asked() {
        assert_eq!(of("9.5").create_slot("'a'"), "pg_create_physical_replication_slot('a')");
        assert_eq!(of("9.6").create_slot("'a'"), "pg_create_physical_replication_slot('a', true)");
    }

    #[test]
    fn features_begin_where_the_release_notes_say() {
        assert_eq!(majors(|row| !row.follows_latest), "9.4 9.5 9.6 10 11");
        assert_eq!(majors(|row| !row.conninfo_reloads), "9.4 9.5 9.6 10 11 12");
        assert_eq!(majors(|row| !row.basebackup_slot), "9.4 9.5");
        assert_eq!(majors(|row| !row.basebackup_creates_slot), "9.4 9.5 9.6 10");
        assert_eq!(majors(|row| !row.rewind), "9.4");
        assert_eq!(majors(|row| !row.retrieve_interval), "9.4");
        assert_eq!(majors(|row| !row.rewind_by_role), "9.4 9.5 9.6 10");
        assert_eq!(majors(|row| !row.rewind_recovers), "9.4 9.5 9.6 10 11 12");
        assert_eq!(majors(|row| row.wal_reader == "pg_xlogdump"), "9.4 9.5 9.6");
        assert_eq!(majors(|row| row.waldir_option == "--xlogdir"), "9.4 9.5 9.6");
        assert_eq!(majors(|row| row.verify_progress), "16 17 18");
        assert_eq!(majors(|row| row.trigger_setting.is_none()), "16 17 18");
        assert_eq!(majors(|row| row.manifest && row.slot_wal_limit), "13 14 15 16 17 18");
        assert_eq!(majors(|row| row.checksums_default), "18");
        assert_eq!(majors(|row| !row.flush_position || !row.wait_events), "9.4 9.5");
        assert_eq!(majors(|row| !row.lag_columns || !row.backend_type), "9.4 9.5 9.6");
        assert_eq!(majors(|row| row.database_collation), "15 16 17 18");
        assert_eq!(majors(|row| row.passfile_keyword), "10 11 12 13 14 15 16 17 18");
    }
}
