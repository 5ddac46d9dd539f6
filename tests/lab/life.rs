//! The life of a pair in steps: what every major has to live through. The lane runs it whole for the majors that differ most, the
//! matrix for all of them, step by step.

use std::time::{Duration, Instant};

use super::ward::{Ran, Ward};

/// A step: its name and what it does with a pair of a major. Each leaves a pair that the next one can begin with.
pub type Step = (&'static str, fn(&Ward, u8) -> Result<(), String>);

/// The steps in their order.
pub const STEPS: &[Step] = &[
    ("setup", set_up),
    ("again", second_run_changes_nothing),
    ("switchover", switch_over),
    ("and back", switch_over),
    ("failover", fail_over),
    ("rejoin", rejoin),
    ("setup after", set_up_after),
];

/// The password of the archive's user in the ward's inventory.
pub const PASSWORD: &str = "ward-0nly-practice";

/// Rows written before the loss.
const ROWS: u32 = 200;

/// The hosts of the pair.
const PAIR: [&str; 2] = ["h1", "h2"];

/// Lives a whole life.
pub fn whole(ward: &Ward, major: u8) -> Result<(), String> {
    for (name, step) in STEPS {
        step(ward, major).map_err(|why| format!("{name}: {why}"))?;
    }
    Ok(())
}

/// Runs a `pg` verb on the pair as one of `major`.
pub fn pg(ward: &Ward, verb: &str, major: u8, more: &[&str]) -> Ran {
    let image = format!("pg_image=matron-lab/postgres:{major}");
    let mut words = vec!["-e", &image, "-e", "pg_synchronous=on", "-l", "h1,h2"];
    if verb != "status" {
        words.push("--yes");
    }
    words.extend(more);
    ward.with_inventory(&["pg", verb], &words)
}

/// Brings both hosts back, whatever an earlier test did to them, and empties them.
pub fn fresh(ward: &Ward) -> Result<(), String> {
    for host in PAIR {
        ward.lab("heal", host)?;
        started(ward, host)?;
        ward.empty(host)?;
    }
    Ok(())
}

/// Leaves a pair of `major` that is in order, whoever is primary.
pub fn healthy(ward: &Ward, major: u8) -> Result<(), String> {
    let status = pg(ward, "status", major, &[]).all();
    let same = |host: &str| {
        ward.sql(host, "show server_version_num")
            .is_ok_and(|number| number.starts_with(&major.to_string()))
    };
    if status.contains("healthy") && PAIR.iter().all(|host| same(host)) {
        return Ok(());
    }
    set_up(ward, major)
}

/// Waits until a host has finished its start.
pub fn started(ward: &Ward, host: &str) -> Result<(), String> {
    let line = "case $(systemctl is-system-running) in running|degraded) ;; *) exit 1;; esac";
    ward.wait(&format!("{host} has started"), Duration::from_secs(60), || {
        ward.on_host(host, line).code == 0
    })
}

/// Waits until a query has an answer.
pub fn expect_sql(ward: &Ward, host: &str, sql: &str, want: &str) -> Result<(), String> {
    ward.wait(&format!("on {host}: {sql} = {want}"), Duration::from_secs(60), || {
        ward.sql(host, sql).is_ok_and(|answer| answer == want)
    })
    .map_err(|why| format!("{why}; it answers {:?}", ward.sql(host, sql)))
}

/// Returns the host that takes writes, and the other one.
pub fn roles(ward: &Ward) -> Result<(&'static str, &'static str), String> {
    let writes = |host: &str| {
        ward.is_running(host)
            && ward.sql(host, "select pg_is_in_recovery()").is_ok_and(|answer| answer == "f")
    };
    match PAIR.map(writes) {
        [true, false] => Ok(("h1", "h2")),
        [false, true] => Ok(("h2", "h1")),
        [true, true] => Err("two primaries".into()),
        [false, false] => Err("no primary".into()),
    }
}

/// From nothing to a pair that streams.
fn set_up(ward: &Ward, major: u8) -> Result<(), String> {
    fresh(ward)?;
    pg(ward, "setup", major, &[]).expect_code(0)?;
    let streams =
        "select state || ' ' || (sync_state in ('sync', 'quorum')) from pg_stat_replication";
    expect_sql(ward, "h1", streams, "streaming true")?;
    ward.sql("h1", "create table t (n int primary key)")?;
    for first in (1..=ROWS).step_by(50) {
        let insert = format!("insert into t select generate_series({first}, {first} + 49)");
        ward.sql("h1", &insert)?;
    }
    Ok(())
}

fn second_run_changes_nothing(ward: &Ward, major: u8) -> Result<(), String> {
    let again = pg(ward, "setup", major, &[]).expect_code(0)?;
    for host in PAIR {
        if again.tally(host, "changed")? != 0 {
            return Err(format!("the second setup changed something on {host}:\n{}", again.stdout));
        }
    }
    Ok(())
}

/// The nodes change their parts, and nothing is lost.
fn switch_over(ward: &Ward, major: u8) -> Result<(), String> {
    let (old, new) = roles(ward)?;
    ward.sql(old, "insert into t select max(n) + 1 from t")?;
    let rows = ward.sql(old, "select count(*) || ' ' || max(n) from t")?;
    pg(ward, "switchover", major, &[]).expect_code(0)?;
    if roles(ward)? != (new, old) {
        return Err(format!("{old} is the primary still"));
    }
    expect_sql(ward, new, "select count(*) || ' ' || max(n) from t", &rows)?;
    expect_sql(ward, new, "select state from pg_stat_replication", "streaming")?;
    ward.sql(new, "insert into t select max(n) + 1 from t")?;
    let rows = ward.sql(new, "select count(*) from t")?;
    expect_sql(ward, old, "select count(*) from t", &rows)?;
    pg(ward, "status", major, &[]).expect_code(0)?.expect_says("healthy").map(drop)
}

/// The primary's host loses its power; the standby takes over with every row. Leaves the old primary's host down.
fn fail_over(ward: &Ward, major: u8) -> Result<(), String> {
    let (old, new) = roles(ward)?;
    let rows = ward.sql(old, "select count(*) from t")?;
    ward.lab("kill", old)?;
    let refused = pg(ward, "failover", major, &["-T", "3"]);
    if refused.code == 0 {
        return Err(format!(
            "failover did not ask for the unreachable primary to be accepted:\n{}",
            refused.all()
        ));
    }
    refused.expect_says("refused: old primary")?;
    patient_failover(ward, major)?;
    expect_sql(ward, new, "select pg_is_in_recovery()", "f")?;
    expect_sql(ward, new, "select count(*) from t", &rows)?;
    ward.sql(new, "insert into t select min(n) - 1 from t")?;
    // What is owed is said while the host is away: this run cannot reach it, which is exit 4, and says so.
    let owed = pg(ward, "status", major, &["-T", "3"]);
    owed.expect_says(old)?.expect_says("owe").map(drop)
}

/// Fails over. While the standby has heard from the old primary a moment ago, matron refuses: an operator tries again.
pub fn patient_failover(ward: &Ward, major: u8) -> Result<(), String> {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let accept = ["-T", "3", "--accept", "old-primary-unreachable"];
        let ran = pg(ward, "failover", major, &accept);
        let early = ran.all().contains("old-primary-answers-peers");
        if ran.code == 0 || !early || Instant::now() > end {
            return ran.expect_code(0).map(drop);
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// Leaves a pair whose old primary's host is down, and returns it and the new primary.
fn lost(ward: &Ward, major: u8) -> Result<(&'static str, &'static str), String> {
    if PAIR.iter().all(|host| ward.is_running(host)) {
        fail_over(ward, major)?;
    }
    let (new, old) = roles(ward)?;
    Ok((old, new))
}

/// The old primary's host comes back; its guard keeps it from taking writes; it rejoins as a standby with every row.
fn rejoin(ward: &Ward, major: u8) -> Result<(), String> {
    let (old, new) = lost(ward, major)?;
    ward.lab("heal", old)?;
    started(ward, old)?;
    // The guard has had its say: whatever runs there now, it is no primary.
    let end = Instant::now() + Duration::from_secs(5);
    while Instant::now() < end {
        if ward.sql(old, "select pg_is_in_recovery()").is_ok_and(|answer| answer == "f") {
            return Err("the old primary came back writable: two primaries".into());
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    pg(ward, "rejoin", major, &[]).expect_code(0)?;
    expect_sql(ward, new, "select state from pg_stat_replication", "streaming")?;
    expect_sql(ward, old, "select pg_is_in_recovery()", "t")?;
    let kept = ward.on_host(old, "ls -d /srv/matron/ward/aside/*");
    if kept.code != 0 {
        return Err(format!("the old data was not kept aside: {}", kept.all()));
    }
    let rows = ward.sql(new, "select count(*) from t")?;
    expect_sql(ward, old, "select count(*) from t", &rows)?;
    pg(ward, "status", major, &[]).expect_code(0)?.expect_says("healthy").map(drop)
}

/// Run once more the other way round, it is a pair in order.
fn set_up_after(ward: &Ward, major: u8) -> Result<(), String> {
    let after = pg(ward, "setup", major, &[]).expect_code(0)?;
    for host in PAIR {
        if after.tally(host, "failed")? != 0 {
            return Err(format!("setup after the rejoin failed on {host}:\n{}", after.stdout));
        }
    }
    Ok(())
}
