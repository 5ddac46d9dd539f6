//! Clusters on practice hosts: set up, lose the primary's host, fail over, come back, rejoin, for each version.

use std::time::{Duration, Instant};

use super::Test;
use super::ward::{Ward, last_json};

pub const TESTS: &[Test] = &[
    ("cluster::missing_password_is_refused_by_name_before_anything_runs", missing_password),
    ("cluster::pg11_setup_failover_rejoin", |ward| life(ward, 11)),
    ("cluster::pg13_setup_failover_rejoin", |ward| life(ward, 13)),
    ("cluster::pg15_setup_failover_rejoin", |ward| life(ward, 15)),
    ("cluster::pg18_setup_failover_rejoin", |ward| life(ward, 18)),
    ("cluster::pg17_setup_failover_rejoin", |ward| life(ward, 17)),
    ("cluster::a_line_deleted_from_a_rendered_file_is_repaired_alone", repaired_alone),
    ("cluster::failover_is_refused_while_the_primary_answers", failover_refused),
    ("cluster::data_of_another_cluster_is_refused", foreign_data),
    ("cluster::passwords_are_nowhere_to_be_seen", passwords),
    ("cluster::archive_is_told_of_every_node", archive),
    ("cluster::demo_ends_well_and_says_so_in_json", demo),
];

/// The password of the archive's user in the ward's inventory.
const PASSWORD: &str = "ward-0nly-practice";

/// Rows written before the loss.
const ROWS: u32 = 200;

/// The words that make the pair of `major`.
fn pair(major: u8) -> Vec<String> {
    vec![
        "-e".into(),
        format!("pg_image=matron-lab/postgres:{major}"),
        "-e".into(),
        "pg_synchronous=on".into(),
    ]
}

fn pg(ward: &Ward, verb: &str, major: u8, more: &[&str]) -> super::ward::Ran {
    let pair = pair(major);
    let mut words: Vec<&str> = pair.iter().map(String::as_str).collect();
    words.extend(["-l", "h1,h2"]);
    if verb != "status" {
        words.push("--yes");
    }
    words.extend(more);
    ward.with_inventory(&["pg", verb], &words)
}

fn missing_password(ward: &Ward) -> Result<(), String> {
    fresh(ward)?;
    let ran = pg(ward, "setup", 17, &["-e", "postgres_password="]);
    let ran = ran.expect_says("postgres_password")?;
    if ran.code == 0 {
        return Err(format!("it ran:\n{}", ran.all()));
    }
    let touched = ward.on_host("h1", "ls -d /srv/matron /etc/matron 2>/dev/null; docker ps -aq");
    if touched.stdout.trim().is_empty() {
        Ok(())
    } else {
        Err(format!("touched: {}", touched.stdout))
    }
}

/// Brings both hosts back, whatever an earlier test did to them, and empties them.
fn fresh(ward: &Ward) -> Result<(), String> {
    for host in ["h1", "h2"] {
        ward.lab("heal", host)?;
        started(ward, host)?;
        ward.empty(host)?;
    }
    Ok(())
}

/// Waits until a host has finished its start.
fn started(ward: &Ward, host: &str) -> Result<(), String> {
    let line = "case $(systemctl is-system-running) in running|degraded) ;; *) exit 1;; esac";
    ward.wait(&format!("{host} has started"), Duration::from_secs(60), || {
        ward.on_host(host, line).code == 0
    })
}

/// A whole life of a pair.
fn life(ward: &Ward, major: u8) -> Result<(), String> {
    fresh(ward)?;
    pg(ward, "setup", major, &[]).expect_code(0)?;
    let again = pg(ward, "setup", major, &[]).expect_code(0)?;
    for host in ["h1", "h2"] {
        if again.tally(host, "changed")? != 0 {
            return Err(format!("the second setup changed something on {host}:\n{}", again.stdout));
        }
    }
    expect_sql(
        ward,
        "h1",
        "select state || ' ' || (sync_state in ('sync', 'quorum')) from pg_stat_replication",
        "streaming true",
    )?;
    ward.sql("h1", "create table t (n int primary key)")?;
    for first in (1..=ROWS).step_by(50) {
        let insert = format!("insert into t select generate_series({first}, {first} + 49)");
        ward.sql("h1", &insert)?;
    }

    ward.lab("kill", "h1")?;
    let refused = pg(ward, "failover", major, &["-T", "3"]);
    if refused.code == 0 {
        return Err(format!(
            "failover did not ask for the unreachable primary to be accepted:\n{}",
            refused.all()
        ));
    }
    refused.expect_says("refused: old primary")?;
    fail_over(ward, major)?;
    expect_sql(ward, "h2", "select pg_is_in_recovery()", "f")?;
    expect_sql(ward, "h2", "select count(*) from t", &ROWS.to_string())?;
    ward.sql("h2", "insert into t values (-1)")?;
    // What is owed is said while the host is away: this run cannot reach it, which is exit 4, and says so.
    let owed = pg(ward, "status", major, &["-T", "3"]);
    owed.expect_says("h1")?.expect_says("owe")?;

    ward.lab("heal", "h1")?;
    started(ward, "h1")?;
    // The guard has had its say: whatever runs on h1 now, it is no primary.
    let end = Instant::now() + Duration::from_secs(5);
    while Instant::now() < end {
        if ward.sql("h1", "select pg_is_in_recovery()").is_ok_and(|answer| answer == "f") {
            return Err("the old primary came back writable: two primaries".into());
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    pg(ward, "rejoin", major, &[]).expect_code(0)?;
    expect_sql(ward, "h2", "select state from pg_stat_replication", "streaming")?;
    expect_sql(ward, "h1", "select pg_is_in_recovery()", "t")?;
    let kept = ward.on_host("h1", "ls -d /srv/matron/ward/aside/*");
    if kept.code != 0 {
        return Err(format!("the old data was not kept aside: {}", kept.all()));
    }
    ward.wait("the standby has every row", Duration::from_secs(20), || {
        ward.sql("h1", "select count(*) from t").is_ok_and(|count| count == (ROWS + 1).to_string())
    })?;
    pg(ward, "status", major, &[]).expect_code(0)?.expect_says("healthy")?;
    // Run once more the other way round, it is a pair in order.
    let after = pg(ward, "setup", major, &[]).expect_code(0)?;
    for host in ["h1", "h2"] {
        if after.tally(host, "failed")? != 0 {
            return Err(format!("setup after the rejoin failed on {host}:\n{}", after.stdout));
        }
    }
    Ok(())
}

/// Fails over. While the standby has heard from the old primary a moment ago, matron refuses: an operator tries again.
fn fail_over(ward: &Ward, major: u8) -> Result<(), String> {
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

fn expect_sql(ward: &Ward, host: &str, sql: &str, want: &str) -> Result<(), String> {
    ward.wait(&format!("on {host}: {sql} = {want}"), Duration::from_secs(20), || {
        ward.sql(host, sql).is_ok_and(|answer| answer == want)
    })
    .map_err(|why| format!("{why}; it answers {:?}", ward.sql(host, sql)))
}

/// Leaves a pair of 17 that is in order, whoever is primary.
fn healthy(ward: &Ward) -> Result<(), String> {
    if pg(ward, "status", 17, &[]).all().contains("healthy") {
        return Ok(());
    }
    fresh(ward)?;
    pg(ward, "setup", 17, &[]).expect_code(0).map(drop)
}

fn repaired_alone(ward: &Ward) -> Result<(), String> {
    healthy(ward)?;
    let find = "ls /etc/systemd/system/matron-pg-*.service | head -n 1";
    let unit = ward.on_host("h1", find).stdout.trim().to_owned();
    if unit.is_empty() {
        return Err("there is no unit of the guard on h1".into());
    }
    let before = ward.on_host("h1", &format!("sha256sum {unit}; sed -i 1d {unit}")).stdout;
    let ran = pg(ward, "setup", 17, &[]).expect_code(0)?;
    let after = ward.on_host("h1", &format!("sha256sum {unit}")).stdout;
    if before != after {
        return Err(format!("the file was not repaired: {before} {after}"));
    }
    let changed = (ran.tally("h1", "changed")?, ran.tally("h2", "changed")?);
    if changed == (1, 0) {
        Ok(())
    } else {
        Err(format!("changed {changed:?} instead of (1, 0):\n{}", ran.stdout))
    }
}

fn failover_refused(ward: &Ward) -> Result<(), String> {
    healthy(ward)?;
    let roles = || -> Result<(String, String), String> {
        let role = "select pg_is_in_recovery()";
        Ok((ward.sql("h1", role)?, ward.sql("h2", role)?))
    };
    let before = roles()?;
    let ran = pg(ward, "failover", 17, &[]);
    if ran.code == 0 {
        return Err(format!("it failed over from a primary that works:\n{}", ran.all()));
    }
    let ran = ran.expect_says("refused")?;
    let after = roles()?;
    if before != after {
        return Err(format!("roles went from {before:?} to {after:?}:\n{}", ran.all()));
    }
    pg(ward, "status", 17, &[]).expect_says("healthy").map(drop)
}

fn foreign_data(ward: &Ward) -> Result<(), String> {
    healthy(ward)?;
    let primary = if ward.sql("h1", "select pg_is_in_recovery()")? == "f" { "h1" } else { "h2" };
    let standby = if primary == "h1" { "h2" } else { "h1" };
    ward.empty(standby)?;
    // A database of somebody else's making where the standby's data would go.
    let make = "mkdir -p /srv/matron/ward/data && docker run -d --name other -e POSTGRES_PASSWORD=x \
                --mount type=bind,src=/srv/matron/ward/data,dst=/var/lib/postgresql/data matron-lab/postgres:17 >/dev/null && \
                for i in $(seq 100); do docker exec other pg_isready -q -h 127.0.0.1 && break; sleep 0.1; done; \
                docker stop -t 20 other >/dev/null; docker rm other >/dev/null; cat /srv/matron/ward/data/PG_VERSION";
    let other = ward.on_host(standby, make);
    if other.stdout.trim() != "17" {
        return Err(format!("the other database could not be made: {}", other.all()));
    }
    let before = ward
        .on_host(
            standby,
            "cd /srv/matron/ward/data && find . -type f | sort | xargs sha256sum | sha256sum",
        )
        .stdout;
    let ran = pg(ward, "setup", 17, &[]);
    let after = ward
        .on_host(
            standby,
            "cd /srv/matron/ward/data && find . -type f | sort | xargs sha256sum | sha256sum",
        )
        .stdout;
    if ran.code == 0 || before != after {
        return Err(format!("foreign data was taken over (exit {}):\n{}", ran.code, ran.all()));
    }
    let said = ran.expect_says("system identifier").map(drop);
    ward.empty(standby)?;
    pg(ward, "setup", 17, &[]).expect_code(0)?;
    said
}

fn archive(ward: &Ward) -> Result<(), String> {
    healthy(ward)?;
    ward.empty("h3")?;
    // No archive image can be had without a registry; what counts is the command it is started with.
    let stand_in = "docker create --name stand-in matron-lab/postgres:17 >/dev/null && docker commit \
                    --change 'ENTRYPOINT [\"sleep\", \"86400\"]' --change 'CMD []' stand-in practice/archive:1 \
                    >/dev/null; docker rm -v stand-in";
    let made = ward.on_host("h3", stand_in);
    if made.code != 0 {
        return Err(format!("the stand-in image could not be made: {}", made.all()));
    }
    let inventory = ward.write(
        "archive.yml",
        &format!(
            "archives:\n  hosts:\n    h3:\n  vars:\n    pg_cluster: ward\n    pg_archive_image: practice/archive:1\n    \
             postgres_db: pacsdb\n    postgres_user: pacs\n    postgres_password: {PASSWORD}\n    archive_ports: [8080]\n"
        ),
    );
    let inventory = inventory.to_string_lossy();
    let words = ["-i", &inventory, "--yes", "-l", "h1,h2,h3", "-e", "pg_synchronous=on"];
    let setup = || ward.with_inventory(&["pg", "setup"], &words).expect_code(0);
    setup()?;
    let again = setup()?.tally("h3", "changed")?;
    let line =
        "docker inspect -f '{{range .Config.Env}}{{println .}}{{end}}{{.State.Status}}' ward-arc";
    let seen = ward.on_host("h3", line).stdout;
    ward.empty("h3")?;
    let hosts = format!("POSTGRES_HOST={}:5432,{}\n", ward.address("h1"), ward.address("h2"));
    for want in [
        hosts.as_str(),
        "POSTGRES_PORT=5432\n",
        "POSTGRES_PASSWORD_FILE=/run/matron/postgres_password\n",
        "POSTGRES_JDBC_PARAMS=targetServerType=primary&connectTimeout=3&",
        "running",
    ] {
        if !seen.contains(want) {
            return Err(format!("'{want}' is not in the archive's container:\n{seen}"));
        }
    }
    if seen.contains(PASSWORD) {
        return Err("the password is in the archive's environment".into());
    }
    if again == 0 { Ok(()) } else { Err(format!("the second setup changed {again} on h3")) }
}

fn passwords(ward: &Ward) -> Result<(), String> {
    fresh(ward)?;
    let ran = pg(ward, "setup", 17, &["-vvv", "--diff", "--show-scripts"]).expect_code(0)?;
    if ran.all().contains(PASSWORD) {
        let line =
            ran.all().lines().find(|line| line.contains(PASSWORD)).unwrap_or_default().to_owned();
        return Err(format!("the password is in the output: {line}"));
    }
    for host in ["h1", "h2"] {
        let seen = ward.on_host(host, "docker inspect $(docker ps -aq); cat /proc/*/cmdline /proc/*/environ 2>/dev/null | tr '\\0' '\\n'; journalctl --no-pager 2>/dev/null");
        if let Some(line) = seen.stdout.lines().find(|line| line.contains(PASSWORD)) {
            return Err(format!("the password is to be seen on {host}: {line}"));
        }
    }
    let records = ward.records()?;
    match records.lines().find(|line| line.contains(PASSWORD)) {
        Some(_) => Err("the password is in the run record".into()),
        None => Ok(()),
    }
}

fn demo(ward: &Ward) -> Result<(), String> {
    let ran = ward.demo().expect_code(0)?;
    let found = last_json(&ran.stdout)?;
    let number = |key: &str| found[key].as_u64().unwrap_or_default();
    let good = number("rows_acknowledged") > 100
        && number("rows_found") == number("rows_acknowledged")
        && number("write_gap_ms") > 0
        && number("writable_primaries") == 1
        && found["standby_streaming"] == true
        && found["second_run_changed"].as_u64() == Some(0)
        && found["steps"].as_array().is_some_and(|steps| steps.len() >= 8);
    if good { Ok(()) } else { Err(format!("the demo found: {found}")) }
}
