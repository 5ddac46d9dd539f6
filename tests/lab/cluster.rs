//! Clusters on practice hosts: lives of pairs of the versions that differ most, and what a pair must refuse or repair.

use super::Test;
use super::life::{self, PASSWORD, fresh, pg};
use super::ward::{Ward, last_json};

pub const TESTS: &[Test] = &[
    ("cluster::missing_password_is_refused_by_name_before_anything_runs", missing_password),
    ("cluster::pg11_lives", |ward| life::whole(ward, 11)),
    ("cluster::pg15_lives", |ward| life::whole(ward, 15)),
    ("cluster::pg18_lives", |ward| life::whole(ward, 18)),
    ("cluster::pg17_lives", |ward| life::whole(ward, 17)),
    ("cluster::a_line_deleted_from_a_rendered_file_is_repaired_alone", repaired_alone),
    ("cluster::failover_is_refused_while_the_primary_answers", failover_refused),
    ("cluster::data_of_another_cluster_is_refused", foreign_data),
    ("cluster::passwords_are_nowhere_to_be_seen", passwords),
    ("cluster::archive_is_told_of_every_node", archive),
    ("cluster::demo_ends_well_and_says_so_in_json", demo),
];

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

/// Leaves a pair of 17 that is in order, whoever is primary.
fn healthy(ward: &Ward) -> Result<(), String> {
    life::healthy(ward, 17)
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
