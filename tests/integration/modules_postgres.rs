//! `pg_*` modules against real shells, as far as they need no server: files of the data directory, marker, debts, passwords.

#![expect(clippy::panic, reason = "a claim that cannot be looked at is a failed test")]

use std::os::unix::fs::MetadataExt as _;

use matron::outcome::Status;
use serde_json::{Value, json};

use crate::support::shell_host::{ShellHost, data};

/// The user tests run as: files made for the server belong to it here.
fn owner(host: &ShellHost) -> String {
    let folder = std::fs::metadata(&host.folder).unwrap_or_else(|error| panic!("{error}"));
    format!("{}:{}", folder.uid(), folder.gid())
}

/// A data directory whose control file says: system 7711119790488621087, in production, checkpoint 0/14EF800, timeline 1.
fn data_directory(host: &ShellHost) {
    host.write("ward/data/PG_VERSION", "17\n");
    let mut control = Vec::new();
    control.extend(7_711_119_790_488_621_087_u64.to_le_bytes());
    control.extend(1700_u32.to_le_bytes());
    control.extend(202_406_281_u32.to_le_bytes());
    control.extend(6_u64.to_le_bytes());
    control.extend(1_795_384_985_u64.to_le_bytes());
    control.extend(0x14E_F800_u64.to_le_bytes());
    control.extend(0x14E_F800_u64.to_le_bytes());
    control.extend(1_u64.to_le_bytes());
    host.write("ward/data/global/pg_control", control);
}

fn place(host: &ShellHost) -> Value {
    json!({
        "container": "no-such-container", "superuser": "pacs", "data": host.path("ward/data"), "root": host.path("ward"),
        "etc": host.path("etc"), "image": "no-such-image", "owner": owner(host), "nodes": [],
    })
}

fn with(mut base: Value, keep: &[&str], more: Value) -> Value {
    if let (Some(map), Some(more)) = (base.as_object_mut(), more.as_object()) {
        map.retain(|name, _| keep.contains(&name.as_str()));
        map.extend(more.clone());
    }
    base
}

/// A Docker engine that answers and holds no container, whatever this machine has.
fn no_container(host: &ShellHost) {
    let bin = host.folder.join("bin");
    let docker = bin.join("docker");
    std::fs::write(&docker, "#!/bin/sh\n[ \"$1\" = info ]\n")
        .unwrap_or_else(|error| panic!("{error}"));
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&docker, mode).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn stopped_node_is_read_from_its_control_file_without_any_tool_of_postgresql() {
    for host in ShellHost::each() {
        data_directory(&host);
        no_container(&host);
        host.write("etc/system_identifier", "7711119790488621087\n");
        let seen = host.run("pg_observe", place(&host));
        assert_eq!(data(&seen, "role"), "stopped", "{}: {seen:?}", host.name);
        assert_eq!(data(&seen, "system_identifier"), "7711119790488621087");
        assert_eq!(data(&seen, "marker"), "7711119790488621087");
        assert_eq!(data(&seen, "control")["state"], "in_production");
        assert_eq!((data(&seen, "lsn"), data(&seen, "timeline")), (json!("0/14EF800"), json!(1)));
    }
}

#[test]
fn promotion_that_crashed_before_its_checkpoint_is_seen_by_its_history_file() {
    for host in ShellHost::each() {
        data_directory(&host);
        no_container(&host);
        host.write(
            "ward/data/pg_wal/00000002.history",
            "1\t0/14EF800\tno recovery target specified\n",
        );
        let seen = host.run("pg_observe", place(&host));
        assert_eq!(data(&seen, "timeline"), 2, "{}", host.name);
    }
}

#[test]
fn nothing_a_half_done_clone_and_foreign_files_are_told_apart() {
    for host in ShellHost::each() {
        no_container(&host);
        let role = || data(&host.run("pg_observe", place(&host)), "role");
        assert_eq!(role(), "empty", "{}", host.name);
        host.write("ward/clone.begun", "");
        assert_eq!(role(), "half_cloned", "{}", host.name);
        std::fs::remove_file(host.path("ward/clone.begun"))
            .unwrap_or_else(|error| panic!("{error}"));
        host.write("ward/data/holiday.jpg", "x");
        assert_eq!(role(), "foreign", "{}", host.name);
    }
}

#[test]
fn fence_leaves_a_node_that_can_only_come_up_as_a_standby() {
    for (major, file, content) in
        [("17", "standby.signal", ""), ("11", "recovery.conf", "standby_mode = 'on'\n")]
    {
        for host in ShellHost::each() {
            data_directory(&host);
            let more = json!({"reason": "failover to db2", "major": major, "timeout": 1});
            let args = with(place(&host), &["container", "data", "etc", "owner"], more);
            host.converges("pg_fence", args);
            assert_eq!(host.read(&format!("ward/data/{file}")), content, "{}", host.name);
            assert_eq!(host.read("etc/fenced"), "failover to db2\n");
            assert_eq!(host.mode(&format!("ward/data/{file}")), "0600");
            let seen = host.run("pg_observe", place(&host));
            assert_eq!(
                (data(&seen, "standby_configured"), data(&seen, "fenced")),
                (json!(true), json!("failover to db2"))
            );
        }
    }
}

#[test]
fn old_data_goes_aside_whole_and_takes_its_marker_along() {
    for host in ShellHost::each() {
        data_directory(&host);
        host.write("etc/system_identifier", "7711119790488621087\n");
        let args = with(place(&host), &["container", "root", "etc", "data"], json!({"need": 1}));
        let moved = host.run("pg_aside", args.clone());
        assert_eq!(moved.status, Status::Changed, "{}: {moved:?}", host.name);
        let aside = data(&moved, "aside");
        let aside = std::path::Path::new(aside.as_str().unwrap_or_default());
        assert!(
            aside.join("data/PG_VERSION").is_file() && aside.join("system_identifier").is_file()
        );
        assert_eq!(host.mode("etc/system_identifier"), "-");
        host.stays("pg_aside", args);
    }
}

#[test]
fn old_data_stays_when_there_is_no_room_for_both() {
    for host in ShellHost::each() {
        data_directory(&host);
        let more = json!({"need": 1_000_000_000_000_000_u64});
        let args = with(place(&host), &["container", "root", "etc", "data"], more);
        let refusal = host.refuses("pg_aside", args);
        assert!(refusal.starts_with("room to keep the old data beside a new copy"), "{refusal}");
        assert_eq!(host.read("ward/data/PG_VERSION"), "17\n");
    }
}

#[test]
fn debt_is_remembered_until_it_is_paid() {
    for host in ShellHost::each() {
        let open = json!({"node": "db1", "etc": host.path("etc")});
        host.converges("pg_debt", open);
        let seen = host.run("pg_observe", place(&host));
        let debt = data(&seen, "debts")[0].clone();
        assert_eq!(
            (&debt["node"], &debt["promoted"]),
            (&json!("db1"), &json!("h1")),
            "{}",
            host.name
        );
        host.converges("pg_debt", json!({"node": "db1", "etc": host.path("etc"), "state": "paid"}));
        assert_eq!(data(&host.run("pg_observe", place(&host)), "debts"), json!([]));
    }
}

#[test]
fn replication_password_is_made_once_and_only_its_owners_can_read_it() {
    for host in ShellHost::each() {
        std::fs::create_dir_all(host.path("secrets")).unwrap_or_else(|error| panic!("{error}"));
        let args =
            json!({"secrets": host.path("secrets"), "owner": owner(&host), "user": "replicator"});
        let first = host.run("pg_password", args.clone());
        assert_eq!(first.status, Status::Changed, "{}: {first:?}", host.name);
        let password = data(&first, "password");
        let password = password.as_str().unwrap_or_default();
        assert!(
            password.len() == 40 && password.bytes().all(|b| b.is_ascii_alphanumeric()),
            "{password}"
        );
        assert_eq!(host.read("secrets/pgpass"), format!("*:*:*:replicator:{password}\n"));
        assert_eq!(
            (host.mode("secrets/pgpass"), host.mode("secrets/replication")),
            ("0600".into(), "0600".into())
        );
        let second = host.run("pg_password", args);
        assert_eq!((second.status, data(&second, "password")), (Status::Ok, json!(password)));
    }
}

#[test]
fn clone_never_overwrites_data() {
    for host in ShellHost::each() {
        data_directory(&host);
        let more = json!({"host": "10.0.0.1", "secrets": host.path("secrets"), "user": "replicator", "slot": "matron_h1", "major": "17"});
        let args =
            with(place(&host), &["container", "data", "root", "etc", "owner", "image"], more);
        let refusal = host.refuses("pg_clone", args);
        assert!(refusal.contains("it is not overwritten"), "{}: {refusal}", host.name);
        assert_eq!(host.read("ward/data/PG_VERSION"), "17\n");
    }
}

/// Segments of 16 MB that take no room, named as a server names them.
fn wal(host: &ShellHost, names: &[&str]) {
    for name in names {
        let path = host.write(&format!("ward/data/pg_wal/{name}"), "x");
        let file = std::fs::OpenOptions::new().write(true).open(path);
        let done = file.and_then(|file| file.set_len(16 << 20));
        done.unwrap_or_else(|error| panic!("{error}"));
    }
}

fn lost(host: &ShellHost, more: Value) -> Value {
    let mut given = json!({
        "major": "17", "programs": {}, "keep": true, "stretches": [{"timeline": 1, "from": "0/3000148", "to": null}],
    });
    if let (Some(map), Some(more)) = (given.as_object_mut(), more.as_object()) {
        map.extend(more.clone());
    }
    with(place(host), &["container", "data", "root", "owner", "image"], given)
}

#[test]
fn wal_that_only_a_node_holds_is_kept_from_the_fork_on_and_what_cannot_be_read_is_said() {
    for host in ShellHost::each() {
        data_directory(&host);
        host.write("ward/data/postgresql.conf", "port = 5432\n");
        host.write(
            "ward/data/pg_wal/00000002.history",
            "1\t0/3000148\tno recovery target specified\n",
        );
        wal(
            &host,
            &[
                "000000010000000000000002",
                "000000010000000000000003",
                "00000001000000000000000A",
                "000000020000000000000003",
            ],
        );
        let kept = host.run("pg_lost", lost(&host, json!({"whole": true, "budget_mb": 100})));
        assert_eq!(data(&kept, "readable"), false, "{}: {kept:?}", host.name);
        assert_eq!(data(&kept, "why"), "the image has no pg_waldump");
        let folder = data(&kept, "aside");
        let folder = std::path::Path::new(folder.as_str().unwrap_or_default());
        let names = |of: &str| {
            let entries = std::fs::read_dir(folder.join(of)).into_iter().flatten().flatten();
            let mut names: Vec<_> =
                entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
            names.sort_unstable();
            names
        };
        assert_eq!(
            names("wal"),
            ["000000010000000000000003", "00000001000000000000000A", "00000002.history"]
        );
        assert_eq!(names("conf"), ["PG_VERSION", "control.txt", "postgresql.conf"]);
        assert!(folder.join("data/PG_VERSION").is_file(), "{kept:?}");
        // Run again, it goes on with the same folder.
        let again = host.stays("pg_lost", lost(&host, json!({"whole": true, "budget_mb": 100})));
        assert_eq!(data(&again, "aside"), data(&kept, "aside"));
        // A rewind that came to nothing leaves the node to be copied anew: the whole is there already.
        let args = with(place(&host), &["container", "root", "etc", "data"], json!({}));
        let moved = host.run("pg_aside", args);
        assert_eq!(data(&moved, "aside"), data(&kept, "aside"), "{moved:?}");
        assert_eq!(host.mode("ward/data"), "-");
        assert!(folder.join("data/PG_VERSION").is_file(), "{moved:?}");
        assert!(!folder.join("after-recovery").exists(), "{moved:?}");
    }
}

#[test]
fn wal_that_does_not_fit_the_budget_is_refused_with_value_and_limit() {
    for host in ShellHost::each() {
        data_directory(&host);
        wal(&host, &["000000010000000000000003"]);
        let refusal = host.refuses("pg_lost", lost(&host, json!({"budget_mb": 0})));
        assert!(
            refusal.contains("allowed are 0 MB (pg_aside_budget_mb)"),
            "{}: {refusal}",
            host.name
        );
        assert!(refusal.contains("-e pg_keep_old_data=false"), "{refusal}");
    }
}

#[test]
fn mark_of_a_rewind_stands_for_one_data_directory_and_goes_with_it() {
    for host in ShellHost::each() {
        data_directory(&host);
        let interrupted =
            || data(&host.run("pg_observe", place(&host)), "rewind")["interrupted"].clone();
        let inode = std::fs::metadata(host.path("ward/data")).map(|data| data.ino());
        let inode = inode.unwrap_or_else(|error| panic!("{error}"));
        host.write("ward/rewind.begun", format!("{}\n", inode + 1));
        assert_eq!(interrupted(), false, "{}", host.name);
        host.write("ward/rewind.begun", format!("{inode}\n"));
        assert_eq!(interrupted(), true, "{}", host.name);
        let kept = host.run("pg_lost", lost(&host, json!({"programs": {"pg_waldump": "17.11"}})));
        assert_eq!(data(&kept, "why"), "a rewind was begun before what it held was listed");
        let args = with(place(&host), &["container", "root", "etc", "data"], json!({}));
        let moved = host.run("pg_aside", args);
        assert_eq!(data(&moved, "aside"), data(&kept, "aside"), "{moved:?}");
        let folder = data(&moved, "aside");
        let folder = std::path::Path::new(folder.as_str().unwrap_or_default());
        assert!(folder.join("half-rewound/PG_VERSION").is_file(), "{moved:?}");
        assert_eq!(host.mode("ward/rewind.begun"), "-");
    }
}
