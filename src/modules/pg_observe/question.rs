//! The one query that a running server is asked, in the words of its version, and how its answer is read.

use serde_json::Value as Json;

use super::point_at;
use crate::postgres::dialect::{Dialect, Receiver};
use crate::postgres::observation::{
    Collation, Follower, Observation, Promise, Role, Slot, Upstream,
};
use crate::postgres::timeline::TimelineId;

/// Returns the query; its answer is one JSON object.
pub(super) fn question(dialect: &Dialect) -> String {
    let word = dialect.wal.word;
    let position = dialect.wal.position;
    let walfile = if word == "wal" { "pg_walfile_name" } else { "pg_xlogfile_name" };
    let diff = if word == "wal" { "pg_wal_lsn_diff" } else { "pg_xlog_location_diff" };
    let recovery_timeline = if dialect.control_functions {
        "(select greatest(c.timeline_id, r.min_recovery_end_timeline) from pg_control_checkpoint() c, pg_control_recovery() r)"
    } else {
        "null"
    };
    let status = if dialect.slot_wal_status { "wal_status" } else { "null" };
    let flushed = if dialect.flush_position {
        format!("pg_current_{word}_flush_{position}()")
    } else {
        format!("pg_current_{word}_{position}()")
    };
    let lag = |column: &str| {
        if dialect.lag_columns {
            format!("(extract(epoch from {column}) * 1000)::bigint")
        } else {
            "null".to_owned()
        }
    };
    let clients = if dialect.backend_type { " and backend_type = 'client backend'" } else { "" };
    let waiting = if dialect.wait_events {
        "(select count(*) from pg_stat_activity where wait_event = 'SyncRep')"
    } else {
        "0"
    };
    let collations = if dialect.database_collation {
        "(select coalesce(json_agg(json_build_object('database', datname, 'made', datcollversion, \
         'has', pg_database_collation_actual_version(oid))), '[]') from pg_database \
         where datallowconn and datcollversion <> pg_database_collation_actual_version(oid))"
    } else {
        "'[]'::json"
    };
    // A statement that runs into its limit says so, where a killed client would say nothing.
    // Columns of pg_stat_replication: replay_lsn from 10 on, replay_location before.
    format!(
        "set statement_timeout = '15s';
select json_build_object(
  'version_num', current_setting('server_version_num'),
  'version', current_setting('server_version'),
  'in_recovery', pg_is_in_recovery(),
  'timeline', case when pg_is_in_recovery() then {recovery_timeline}
    else ('x' || substr({walfile}(pg_current_{word}_{position}()), 1, 8))::bit(32)::int end,
  'lsn', ({furthest})::text,
  'written', case when not pg_is_in_recovery() then pg_current_{word}_{position}()::text end,
  'flushed', case when not pg_is_in_recovery() then {flushed}::text end,
  'received', pg_last_{word}_receive_{position}()::text,
  'replayed', pg_last_{word}_replay_{position}()::text,
  'paused', case when pg_is_in_recovery() then pg_is_{word}_replay_paused() end,
  'delay_ms', greatest(0, (extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp()) * 1000)::bigint),
  'size', (select sum(pg_database_size(oid)) from pg_database),
  'senders', current_setting('max_wal_senders')::int,
  'max_slots', current_setting('max_replication_slots')::int,
  'exclusive_backup', {exclusive_backup},
  'synchronous', current_setting('synchronous_standby_names'),
  'synchronous_commit', current_setting('synchronous_commit'),
  'checksums', current_setting('data_checksums'),
  'hints', current_setting('wal_log_hints'),
  'full_pages', current_setting('full_page_writes'),
  'receiver', {receiver},
  'promise', (select description from pg_shdescription where classoid = 'pg_authid'::regclass and description like 'matron: commits on %' limit 1),
  'followers', (select coalesce(json_agg(json_build_object('name', application_name, 'address', host(client_addr), 'state', state,
    'sync_state', sync_state, 'sent', sent_{position}::text, 'written', write_{position}::text,
    'replayed', replay_{position}::text, 'flushed', flush_{position}::text,
    'flush_lag', {flush_lag}, 'replay_lag', {replay_lag})), '[]') from pg_stat_replication),
  'slots', (select coalesce(json_agg(json_build_object('name', slot_name, 'active', active, 'restart', restart_lsn::text,
    'wal_status', {status}, 'kept', greatest(0, {diff}({furthest}, restart_lsn))::bigint)), '[]') from pg_replication_slots where slot_type = 'physical'),
  'load', json_build_object(
    'connections', (select count(*) from pg_stat_activity where pid <> pg_backend_pid(){clients}),
    'max_connections', current_setting('max_connections')::int,
    'waiting_for_standby', {waiting},
    'long_transactions', (select count(*) from pg_stat_activity where pid <> pg_backend_pid(){clients} and xact_start < clock_timestamp() - interval '1 minute'),
    'oldest_transaction', (select floor(extract(epoch from max(clock_timestamp() - xact_start)))::bigint from pg_stat_activity where pid <> pg_backend_pid(){clients}),
    'prepared', (select count(*) from pg_prepared_xacts),
    'oldest_prepared', (select floor(extract(epoch from max(clock_timestamp() - prepared)))::bigint from pg_prepared_xacts)),
  'archiver', json_build_object(
    'mode', current_setting('archive_mode'),
    'failing', (select coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) from pg_stat_archiver)),
  'collations', {collations}
)",
        furthest = dialect.furthest_position(),
        exclusive_backup = if dialect.exclusive_backups { "pg_is_in_backup()" } else { "false" },
        receiver = receiver(dialect),
        flush_lag = lag("flush_lag"),
        replay_lag = lag("replay_lag"),
    )
}

fn receiver(dialect: &Dialect) -> String {
    let more = match dialect.receiver {
        Receiver::Absent => return "null".to_owned(),
        Receiver::Received => "",
        Receiver::ReceivedWithSender => ", 'sender', sender_host",
        Receiver::FlushedWithSender => {
            ", 'sender', sender_host, 'written', written_lsn::text, 'flushed', flushed_lsn::text"
        }
    };
    format!(
        "(select json_build_object('status', status, 'timeline', received_tli, 'conninfo', conninfo, 'slot', slot_name, 'told', latest_end_lsn::text, \
         'silent', greatest(0, extract(epoch from clock_timestamp() - last_msg_receipt_time))::bigint{more}) from pg_stat_wal_receiver limit 1)"
    )
}

/// Adds a server's answer to what its host told.
pub(super) fn add_answer(seen: &mut Observation, answer: &Json) {
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    let some = |value: &Json| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let lsn = |value: &Json| value.as_str().and_then(|text| text.parse().ok());
    let number = |value: &Json| value.as_u64();
    let timeline =
        |value: &Json| number(value).and_then(|number| u32::try_from(number).ok()).map(TimelineId);
    let on = |value: &Json| value.as_str().map(|text| text == "on");
    let standby = answer["in_recovery"].as_bool().unwrap_or(true);
    seen.max_wal_senders = number(&answer["senders"]);
    seen.max_slots = number(&answer["max_slots"]);
    seen.exclusive_backup = answer["exclusive_backup"].as_bool().unwrap_or_default();
    seen.role = if standby { Role::Standby } else { Role::Primary };
    seen.trouble = None;
    if let Some(number) = answer["version_num"].as_str().and_then(|text| text.parse().ok()) {
        seen.version_num = Some(number);
    }
    // Debian adds its own words: `17.11 (Debian 17.11-0+deb13u1)`.
    seen.version = some(&answer["version"])
        .map(|text| text.split_whitespace().next().unwrap_or_default().to_owned());
    seen.promise = answer["promise"].as_str().and_then(Promise::parse);
    let receiver = &answer["receiver"];
    seen.upstream.told = lsn(&receiver["told"]);
    seen.timeline = timeline(&answer["timeline"]).max(seen.timeline.filter(|_| standby));
    if receiver.is_object() {
        seen.upstream.status = text(&receiver["status"]);
        seen.upstream.timeline = timeline(&receiver["timeline"]);
        seen.upstream.silent_seconds = number(&receiver["silent"]);
        seen.upstream.sender = some(&receiver["sender"]);
        seen.upstream.slot = some(&receiver["slot"]);
        if seen.upstream.is_streaming() {
            seen.timeline = seen.timeline.max(seen.upstream.timeline);
            point_at(&mut seen.upstream, &text(&receiver["conninfo"]));
        }
    }
    seen.lsn = lsn(&answer["lsn"]);
    if standby {
        seen.received = lsn(&answer["received"]);
        seen.replayed = lsn(&answer["replayed"]);
        seen.written = lsn(&receiver["written"]);
        seen.flushed = lsn(&receiver["flushed"]).or(seen.received);
        seen.paused = answer["paused"].as_bool().unwrap_or_default();
        seen.replay_delay_ms = number(&answer["delay_ms"]);
    } else {
        seen.written = lsn(&answer["written"]);
        seen.flushed = lsn(&answer["flushed"]);
        seen.upstream = Upstream::default();
    }
    let mark = seen.timeline.map(|timeline| format!("# {timeline}\n"));
    seen.history = seen
        .history
        .take()
        .and_then(|history| history.strip_prefix(mark.as_deref()?).map(str::to_owned));
    seen.size = number(&answer["size"]);
    seen.synchronous = text(&answer["synchronous"]);
    seen.synchronous_commit = text(&answer["synchronous_commit"]);
    seen.rewind.checksums = on(&answer["checksums"]);
    seen.rewind.wal_log_hints = on(&answer["hints"]);
    seen.rewind.full_page_writes = on(&answer["full_pages"]);
    seen.load = serde_json::from_value(answer["load"].clone()).unwrap_or_default();
    seen.archiver.mode = text(&answer["archiver"]["mode"]);
    seen.archiver.failing = answer["archiver"]["failing"].as_bool().unwrap_or_default();
    if seen.archiver.mode == "off" {
        seen.archiver.waiting = None;
    }
    let list = |value: &Json| value.as_array().cloned().unwrap_or_default();
    seen.collations = list(&answer["collations"])
        .iter()
        .map(|row| Collation {
            database: text(&row["database"]),
            made: text(&row["made"]),
            has: text(&row["has"]),
        })
        .collect();
    seen.followers = list(&answer["followers"])
        .iter()
        .map(|row| Follower {
            name: text(&row["name"]),
            address: text(&row["address"]),
            state: text(&row["state"]),
            sync_state: text(&row["sync_state"]),
            sent: lsn(&row["sent"]),
            written: lsn(&row["written"]),
            replayed: lsn(&row["replayed"]),
            flushed: lsn(&row["flushed"]),
            flush_lag_ms: number(&row["flush_lag"]),
            replay_lag_ms: number(&row["replay_lag"]),
        })
        .collect();
    seen.slots = list(&answer["slots"])
        .iter()
        .map(|row| Slot {
            name: text(&row["name"]),
            active: row["active"].as_bool().unwrap_or_default(),
            restart: lsn(&row["restart"]),
            wal_status: text(&row["wal_status"]),
            kept: number(&row["kept"]),
        })
        .collect();
}
