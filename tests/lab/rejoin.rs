//! Rejoining: an old primary that wrote where nobody saw it is rewound or copied anew, what only it held is listed and kept, and a
//! rewind that was killed ends right when it is asked for again.

use std::process::Stdio;
use std::time::Duration;

use super::Test;
use super::life::{expect_sql, healthy, patient_failover, pg, roles, started};
use super::ward::{Ran, Ward};

pub const TESTS: &[Test] = &[
    ("rejoin::pg17_is_rewound_and_what_only_it_held_is_listed_and_kept", |ward| {
        by_itself(ward, 17)
    }),
    ("rejoin::copied_anew_as_told_with_the_same_list", |ward| as_told(ward, 17)),
    ("rejoin::rewind_that_was_killed_ends_right_when_run_again", killed_rewind),
    ("rejoin::old_primary_that_stopped_in_order_just_follows", stopped_in_order),
];

/// Majors whose image in the ward has neither `pg_rewind` nor `pg_waldump`.
const WITHOUT_PROGRAMS: &[u8] = &[10, 12];

/// What the old primary alone did, and how the list has to say it.
const DIVERGE: &str = "set synchronous_commit = local; insert into only_here select g, 'there' from generate_series(101, 130) g; \
                       update only_here set word = 'changed' where n <= 5; delete from only_here where n in (6, 7); \
                       begin; insert into only_here values (999, 'never'); rollback;";
const LISTED: &str = "rows of pacsdb.public.only_here: 30 inserted, 5 updated, 2 deleted";

/// A pair of which the old primary was cut off and went on: returns it, running and writable again within reach, and the new one.
fn diverged(
    ward: &Ward,
    major: u8,
    before: &str,
    there: &str,
) -> Result<(&'static str, &'static str), String> {
    healthy(ward, major)?;
    let (old, new) = roles(ward)?;
    let make = "drop table if exists only_here; create table only_here (n int primary key, word text); \
                insert into only_here select g, 'both' from generate_series(1, 20) g;";
    ward.sql(old, &format!("{make} {before}"))?;
    expect_sql(ward, new, "select count(*) from only_here", "20")?;
    ward.lab("cut", old)?;
    ward.sql(old, &format!("{DIVERGE} {there}"))?;
    patient_failover(ward, major)?;
    ward.sql(new, "insert into only_here values (500, 'after')")?;
    ward.lab("heal", old)?;
    started(ward, old)?;
    Ok((old, new))
}

fn rejoin(ward: &Ward, major: u8, old: &str, by: &str) -> Ran {
    let accept = format!("stop-{old}");
    pg(ward, "rejoin", major, &["--by", by, "--accept", &accept])
}

/// The pair is in order and the old primary has the new one's rows and none of its own.
fn in_order(ward: &Ward, major: u8, old: &str, new: &str) -> Result<(), String> {
    expect_sql(ward, new, "select state from pg_stat_replication", "streaming")?;
    expect_sql(ward, old, "select pg_is_in_recovery()", "t")?;
    expect_sql(ward, old, "select count(*) || ' ' || max(n) from only_here", "21 500")?;
    pg(ward, "status", major, &[]).expect_code(0)?.expect_says("healthy").map(drop)
}

/// Returns the newest folder of `aside/`.
fn aside(ward: &Ward, host: &str) -> Result<String, String> {
    let ran = ward.on_host(host, "ls -d /srv/matron/ward/aside/* | tail -n 1");
    let folder = ran.stdout.trim().to_owned();
    if folder.is_empty() { Err(format!("nothing is aside: {}", ran.all())) } else { Ok(folder) }
}

fn expect_file(ward: &Ward, host: &str, path: &str) -> Result<(), String> {
    let ran = ward.on_host(host, &format!("[ -s '{path}' ] || ls -la \"$(dirname '{path}')\""));
    if ran.stdout.is_empty() && ran.code == 0 {
        return Ok(());
    }
    Err(format!("{path} is not there: {}", ran.all()))
}

/// A pair of a major, diverged, and rejoined in the way matron chooses: by rewind where the image has it, by a copy otherwise. For
/// the lane and for the matrix.
pub fn by_itself(ward: &Ward, major: u8) -> Result<(), String> {
    let (old, new) = diverged(ward, major, "", "")?;
    let unasked =
        pg(ward, "rejoin", major, &[]).expect_says(&format!("matron_accept=stop-{old}"))?;
    if unasked.code == 0 {
        return Err(format!("it stopped a node that takes writes unasked:\n{}", unasked.all()));
    }
    let ran = rejoin(ward, major, old, "auto").expect_code(0)?;
    let folder = aside(ward, old)?;
    if WITHOUT_PROGRAMS.contains(&major) {
        ran.expect_says("is copied anew, for it cannot be rewound: its image has no pg_rewind")?
            .expect_says("could not be listed: the image has no pg_waldump")?;
    } else {
        ran.expect_says("is rewound: only what differs is copied")?
            .expect_says("3 transactions that changed tables")?
            .expect_says(LISTED)?;
        expect_file(ward, old, &format!("{folder}/lost.json"))?;
        expect_file(ward, old, &format!("{folder}/listing.tsv"))?;
        let wal = ward.on_host(old, &format!("ls {folder}/wal | grep -c '^[0-9A-F]*$'"));
        if wal.stdout.trim() == "0" {
            return Err(format!("its WAL was not kept: {}", wal.all()));
        }
    }
    expect_file(ward, old, &format!("{folder}/lost.txt"))?;
    let data = if major >= 18 { format!("data/{major}/docker") } else { "data".to_owned() };
    expect_file(ward, old, &format!("{folder}/{data}/PG_VERSION"))?;
    in_order(ward, major, old, new)
}

/// A copy, because that was asked for; the list and the old data are the same.
pub fn as_told(ward: &Ward, major: u8) -> Result<(), String> {
    let (old, new) = diverged(ward, major, "", "")?;
    let ran = rejoin(ward, major, old, "clone").expect_code(0)?;
    ran.expect_says("is copied anew, as told")?.expect_says(LISTED)?;
    let folder = aside(ward, old)?;
    expect_file(ward, old, &format!("{folder}/data/PG_VERSION"))?;
    in_order(ward, major, old, new)
}

/// matron and the rewind are killed while it copies.
fn killed_rewind(ward: &Ward) -> Result<(), String> {
    // Enough that it cannot be over before it is killed.
    let before = "drop table if exists ballast; create table ballast (n int, filler text); \
                  insert into ballast select g, repeat('x', 900) from generate_series(1, 60000) g;";
    let there = "set synchronous_commit = local; update ballast set filler = repeat('y', 900);";
    let (old, new) = diverged(ward, 17, before, there)?;
    let inventory = ward.inventory_file();
    let inventory = inventory.to_string_lossy();
    let accept = format!("stop-{old}");
    let words = [
        "pg",
        "rejoin",
        "--yes",
        "-i",
        &inventory,
        "-l",
        "h1,h2",
        "-e",
        "pg_image=matron-lab/postgres:17",
        "-e",
        "pg_synchronous=on",
        "--by",
        "rewind",
        "--accept",
        &accept,
    ];
    let mut first = ward.command(&words);
    let mut first = first
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    let strike = "i=0; until [ -s /srv/matron/ward/rewind.begun ]; do i=$((i + 1)); [ $i -lt 6000 ] || exit 1; sleep 0.02; done; \
                  until docker kill ward-db-rewind >/dev/null 2>&1; do [ -e /srv/matron/ward/rewind.begun ] || exit 2; done";
    let struck = ward.on_host(old, strike);
    first.kill().map_err(|error| error.to_string())?;
    first.wait().map_err(|error| error.to_string())?;
    if struck.code != 0 {
        return Err(format!("the rewind was over before it could be killed ({})", struck.code));
    }
    ward.wait("the lock has died with its holder", Duration::from_secs(60), || {
        ward.on_host(old, "flock -n /run/lock/matron-pg-ward.lock true").code == 0
            && ward.on_host(new, "flock -n /run/lock/matron-pg-ward.lock true").code == 0
    })?;
    pg(ward, "status", 17, &[]).expect_says("was being rewound, and that did not end")?;
    pg(ward, "rejoin", 17, &["--by", "rewind"])
        .expect_says("a rewind of it was begun and did not end, and cannot be begun again")?;
    let ran = pg(ward, "rejoin", 17, &[]).expect_code(0)?;
    ran.expect_says("is copied anew, for it cannot be rewound: a rewind of it was begun")?
        .expect_says(LISTED)?;
    let folder = aside(ward, old)?;
    expect_file(ward, old, &format!("{folder}/data/PG_VERSION"))?;
    let left = ward
        .on_host(old, "ls /srv/matron/ward/rewind.begun /srv/matron/ward/rejoin.aside 2>/dev/null");
    if !left.stdout.trim().is_empty() {
        return Err(format!("left behind: {}", left.stdout));
    }
    in_order(ward, 17, old, new)
}

/// Nothing is only there: no copy, no rewind, nothing aside.
fn stopped_in_order(ward: &Ward) -> Result<(), String> {
    healthy(ward, 17)?;
    let (old, new) = roles(ward)?;
    let folders = || ward.on_host(old, "ls /srv/matron/ward/aside 2>/dev/null").stdout;
    let before = folders();
    let stop = "docker kill --signal INT ward-db >/dev/null; i=0; while [ \"$(docker inspect -f '{{.State.Running}}' ward-db)\" = true ]; do \
                i=$((i + 1)); [ $i -lt 600 ] || exit 1; sleep 0.1; done";
    let stopped = ward.on_host(old, stop);
    if stopped.code != 0 {
        return Err(format!("the old primary did not stop: {}", stopped.all()));
    }
    pg(ward, "failover", 17, &[]).expect_code(0)?.expect_says("lost: nothing")?;
    let ran = pg(ward, "rejoin", 17, &[]).expect_code(0)?;
    ran.expect_says("it follows without a new copy")?;
    expect_sql(ward, new, "select state from pg_stat_replication", "streaming")?;
    pg(ward, "status", 17, &[]).expect_code(0)?.expect_says("healthy")?;
    if folders() == before {
        Ok(())
    } else {
        Err(format!("something was put aside: {}", folders()))
    }
}
