use super::*;
use crate::postgres::lsn::Lsn;
use crate::shell::Fields;

fn reply(fields: &[(&str, &str)]) -> Reply {
    let field = |(key, value): &(&str, &str)| ((*key).to_owned(), value.as_bytes().to_vec());
    Reply { fields: Fields(fields.iter().map(field).collect()), ..Reply::default() }
}

const CONTROL_17: &str = include_str!("../../postgres/control/fixtures/17-shut-down.txt");
const RUNNING: &str = "running|lab/postgres:17|sha256:47b2|no|0";

#[test]
fn empty_host_is_empty() {
    let seen =
        from_host(&reply(&[("clock", "1795384800"), ("disk", "4096 1024"), ("container", "")]));
    let expected = Observation {
        clock: Some(1_795_384_800),
        disk_free: Some(1_048_576),
        disk: Disk { size: Some(4_194_304), free: Some(1_048_576), ..Disk::default() },
        ..Observation::default()
    };
    assert_eq!(seen, Ok(expected));
}

#[test]
fn stopped_node_is_told_by_its_control_file() {
    let seen = from_host(&reply(&[
        ("major", "17"),
        ("control", CONTROL_17),
        ("container", "exited|lab/postgres:17|sha256:47b2|no|0"),
    ]))
    .unwrap();
    assert_eq!(seen.role, Role::Stopped);
    assert_eq!(seen.system_identifier.as_deref(), Some("7711121189521797152"));
    assert_eq!(seen.control.map(|control| control.checkpoint), Some(Lsn(0x14E_F878)));
}

#[test]
fn container_whose_server_does_not_answer_is_starting() {
    let seen =
        from_host(&reply(&[("major", "17"), ("container", RUNNING), ("trouble", "FATAL: x")]))
            .unwrap();
    assert_eq!((seen.role, seen.trouble.as_deref()), (Role::Starting, Some("FATAL: x")));
}

#[test]
fn upstream_comes_from_whichever_file_has_it() {
    for line in
        ["'host=10.77.0.11 port=5432 user=replicator password=''x'''", "host=10.77.0.11 # old"]
    {
        let seen = from_host(&reply(&[("major", "11"), ("conninfo", line)])).unwrap();
        assert_eq!(seen.upstream.host.as_deref(), Some("10.77.0.11"), "{line}");
    }
}

#[test]
fn primary_answers_with_its_own_timeline_and_history() {
    let host = [
        ("major", "17"),
        ("container", RUNNING),
        ("version_num", "170011"),
        ("history_name", "00000002"),
        ("history", "1\t0/3000148\tx"),
    ];
    let mut seen = from_host(&reply(&host)).unwrap();
    let answer = serde_json::json!({"in_recovery": false, "timeline": 2, "lsn": "0/5000060", "size": 24_000_000, "synchronous": "",
        "receiver": null, "slots": [{"name": "matron_db1", "active": false, "restart": null, "wal_status": null}],
        "followers": [{"name": "db1", "address": "10.77.0.11", "state": "streaming", "sync_state": "async", "replayed": "0/5000060", "flushed": "0/5000060"}]});
    add_answer(&mut seen, &answer);
    assert_eq!(
        (seen.role, seen.timeline, seen.lsn),
        (Role::Primary, Some(TimelineId(2)), Some(Lsn(0x500_0060)))
    );
    assert_eq!(seen.history.as_deref(), Some("1\t0/3000148\tx"));
    assert_eq!(seen.followers.first().map(|row| row.state.as_str()), Some("streaming"));
}

#[test]
fn standby_is_on_the_timeline_whose_wal_it_received() {
    let host = |standby: &'static str| {
        let fields = [
            ("major", "17"),
            ("control", CONTROL_17),
            ("wal_timeline", "00000003"),
            (standby, "1"),
        ];
        from_host(&reply(&fields)).unwrap().timeline
    };
    assert_eq!(host("standby_file"), Some(TimelineId(3)));
    assert_ne!(host("nothing"), Some(TimelineId(3)));
}

#[test]
fn history_of_another_timeline_is_not_the_nodes_own() {
    let host = [
        ("major", "17"),
        ("container", RUNNING),
        ("version_num", "170011"),
        ("history_name", "00000002"),
        ("history", "x"),
    ];
    let mut seen = from_host(&reply(&host)).unwrap();
    add_answer(&mut seen, &serde_json::json!({"in_recovery": true, "timeline": 1, "lsn": "0/1"}));
    assert_eq!((seen.timeline, seen.history), (Some(TimelineId(1)), None));
}

#[test]
fn observation_survives_being_registered() {
    let seen = from_host(&reply(&[("major", "17"), ("control", CONTROL_17)])).unwrap();
    assert_eq!(from_registered(&Json::Object(outcome(&seen).data)), Ok(seen));
}

#[test]
fn host_that_was_not_reached_is_unknown_with_its_reason() {
    let value = serde_json::json!({"unreachable": true, "msg": "connect timed out\nmore"});
    assert_eq!(from_registered(&value), Err("connect timed out".to_owned()));
    assert_eq!(from_registered(&Json::Null), Err("it was not asked".to_owned()));
}

#[test]
fn old_servers_are_asked_in_their_own_words() {
    let of = |text: &str| Dialect::of(crate::postgres::Major::parse(text).unwrap()).unwrap();
    let old = question(of("9.4"));
    assert!(old.contains("pg_current_xlog_location()") && old.contains("replay_location"), "{old}");
    assert!(
        !old.contains("pg_stat_wal_receiver") && !old.contains("pg_control_checkpoint"),
        "{old}"
    );
    let new = question(of("17"));
    assert!(new.contains("pg_current_wal_lsn()") && new.contains("wal_status"), "{new}");
}

#[test]
fn clock_is_compared_with_the_way_there_and_back_taken_out() {
    let at = |millis: u64| SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
    let mut told = reply(&[("clock", "1003.100000000"), ("clock_end", "1003.600000000")]);
    // 40 ms there, 500 ms of work, 60 ms back; the host is 3 s ahead.
    told.between = Some((at(1_000_060), at(1_000_660)));
    assert_eq!(skew(&told), Some(Skew { milliseconds: 2990, bound: 51 }));
}

#[test]
fn clock_of_whole_seconds_is_known_to_a_second() {
    let at = |millis: u64| SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
    let mut told = reply(&[("clock", "1000"), ("clock_end", "1000")]);
    told.between = Some((at(1_000_100), at(1_000_200)));
    assert_eq!(skew(&told), Some(Skew { milliseconds: -150, bound: 1050 }));
}

#[test]
fn server_behind_an_engine_that_hangs_is_not_taken_for_stopped() {
    let crashed = CONTROL_17.replace("shut down", "in production");
    let told = |control: &str| {
        let told = reply(&[("major", "17"), ("control", control), ("docker_down", "1")]);
        from_host(&told).unwrap()
    };
    let seen = told(&crashed);
    assert_eq!(
        (seen.role, seen.trouble.as_deref()),
        (Role::Starting, Some("the Docker engine does not answer"))
    );
    assert_eq!(told(CONTROL_17).role, Role::Stopped);
}

#[test]
fn images_are_known_by_content_digest_and_c_library() {
    let told = reply(&[
        ("container", RUNNING),
        ("images", "sha256:9a|mirror/postgres@sha256:d1 hub/postgres@sha256:d2 \n"),
        ("image", "sha256:47b2|\n"),
        ("wanted_libc", "glibc 2.41"),
        ("inside", "glibc 2.36\npg_rewind"),
    ]);
    let seen = from_host(&told).unwrap();
    assert_eq!(seen.rewind.programs, Some(vec!["pg_rewind".to_owned()]));
    assert_eq!(seen.wanted.digests, ["sha256:d1", "sha256:d2"]);
    assert_eq!(
        (seen.wanted.libc.as_deref(), seen.container.libc.as_deref()),
        (Some("glibc 2.41"), Some("glibc 2.36"))
    );
}
