//! The fixtures are whole outputs of `pg_controldata` of servers 11.13, 13.16, 15.18, 17.11 and 18.6.

use super::*;

fn in_production(text: &str) -> ControlData {
    ControlData::parse(text).unwrap()
}

#[test]
fn every_major_is_read_alike() {
    for (text, system, checkpoint, checksums) in [
        (include_str!("fixtures/11-in-production.txt"), "7711119782395310110", 0x15D_F1D0, false),
        (include_str!("fixtures/13-in-production.txt"), "7711119787984113696", 0x15C_F538, false),
        (include_str!("fixtures/15-in-production.txt"), "7711119789481574431", 0x150_14A0, false),
        (include_str!("fixtures/17-in-production.txt"), "7711119790488621087", 0x14E_F800, false),
        (include_str!("fixtures/18-in-production.txt"), "7711119791312248864", 0x176_6488, true),
    ] {
        let expected = ControlData {
            system_identifier: system.to_owned(),
            state: ControlState::InProduction,
            timeline: TimelineId(1),
            checkpoint: Lsn(checkpoint),
            minimum_recovery: None,
            checksums: Some(checksums),
            wal_log_hints: Some(false),
            segment_bytes: Some(16 << 20),
            damaged: false,
        };
        assert_eq!(in_production(text), expected);
    }
}

#[test]
fn clean_stop_of_a_primary_is_told_from_a_crash() {
    let stopped = in_production(include_str!("fixtures/17-shut-down.txt"));
    assert_eq!(stopped.state, ControlState::ShutDown);
    assert!(stopped.state.is_clean());
    assert!(!ControlState::InProduction.is_clean());
}

#[test]
fn clean_stop_of_a_standby_is_its_own_state() {
    let stopped = in_production(include_str!("fixtures/11-shut-down-in-recovery.txt"));
    assert_eq!(stopped.state, ControlState::ShutDownInRecovery);
}

#[test]
fn damage_is_told_in_the_words_of_every_major() {
    let text = include_str!("fixtures/17-shut-down.txt");
    for warning in [
        "WARNING: Calculated CRC checksum does not match value stored in file.",
        "pg_controldata: warning: calculated CRC checksum does not match value stored in file",
    ] {
        assert!(in_production(&format!("{warning}\n{text}")).damaged);
    }
}

#[test]
fn missing_line_is_named() {
    let error = ControlData::parse("Database system identifier: 1\n");
    assert_eq!(error, Err(ControlError::Missing { line: "Database cluster state" }));
}

#[test]
fn unknown_state_is_an_error_not_a_guess() {
    let text = include_str!("fixtures/17-shut-down.txt").replace("shut down", "asleep");
    let error = ControlData::parse(&text);
    let line = "Database cluster state";
    assert_eq!(error, Err(ControlError::Unknown { line, value: "asleep".to_owned() }));
}
