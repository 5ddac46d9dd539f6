//! A pair built by hand with the commands of dcm4che's README is taken over in place.

use std::time::Duration;

use super::Test;
use super::ward::{Ran, Ward};

pub const TESTS: &[Test] = &[
    ("adopt::pair_of_the_readme_is_taken_over_in_place", |ward| taken_over(ward, 17)),
    ("adopt::what_the_inventory_has_wrong_is_refused_by_name", refused),
];

/// The archive's password, which such a pair has in its containers' environment.
const PASSWORD: &str = "ward-0nly-practice";

/// Builds the pair of `major` by hand: `db1` on h1, `db2` on h2 at port 6432.
pub fn by_hand(ward: &Ward, major: u8) -> Result<(), String> {
    for host in ["h1", "h2"] {
        ward.lab("heal", host)?;
        ward.empty(host)?;
        done(ward.on_host(host, "rm -rf /var/local/mypacs"))?;
    }
    let volume = if major >= 18 { "/var/lib/postgresql" } else { "/var/lib/postgresql/data" };
    let below = if major >= 18 { "/18/docker" } else { "" };
    let run = |name: &str, port: u16| {
        format!(
            "docker run --name {name} --restart unless-stopped -p {port}:5432 -e POSTGRES_DB=pacsdb -e POSTGRES_USER=pacs \
             -e POSTGRES_PASSWORD={PASSWORD} -v /var/local/mypacs/{name}:{volume} -d matron-lab/postgres:{major} >/dev/null\n\
             for i in $(seq 600); do docker exec {name} pg_isready -q -h 127.0.0.1 -U pacs -d pacsdb && break; sleep 0.1; done\n"
        )
    };
    let kept = if major >= 13 { "wal_keep_size = 128" } else { "wal_keep_segments = 8" };
    let primary = format!(
        "set -e\n{}data=/var/local/mypacs/db1{below}\n\
         echo 'host replication replicator 0.0.0.0/0 trust' >>$data/pg_hba.conf\n\
         printf 'wal_level = hot_standby\\nmax_wal_senders = 3\\nhot_standby = on\\n{kept}\\n' >>$data/postgresql.conf\n\
         docker restart db1 >/dev/null\n\
         for i in $(seq 600); do docker exec db1 pg_isready -q -h 127.0.0.1 -U pacs -d pacsdb && break; sleep 0.1; done\n\
         docker exec -i db1 psql -q -v ON_ERROR_STOP=1 -U pacs -d pacsdb <<'SQL'\n\
         create role replicator with replication login encrypted password 'replpass';\n\
         create table t (n int primary key);\ninsert into t select generate_series(1, 500);\nSQL\n",
        run("db1", 5432)
    );
    done(ward.on_host("h1", &primary))?;
    let conninfo =
        format!("host={} port=5432 user=replicator password=replpass", ward.address("h1"));
    // Up to 11 the README writes recovery.conf itself.
    let (option, standby) = if major >= 12 {
        ("-R", String::new())
    } else {
        let text = format!(
            "standby_mode = 'on'\\nprimary_conninfo = '{conninfo}'\\ntrigger_file = '/var/local/mypacs/slave_db/failover'\\n"
        );
        ("", format!("printf \"{text}\" >/var/local/mypacs/db2/recovery.conf\n"))
    };
    let clone = format!(
        "set -e\ndocker run --rm -v /var/local/mypacs/db2:{volume} matron-lab/postgres:{major} \
         sh -c \"pg_basebackup -D \\$PGDATA -d '{conninfo}' -X fetch {option}\" 2>&1\n{standby}\
         chown -R 999:999 /var/local/mypacs/db2\n{}",
        run("db2", 6432)
    );
    done(ward.on_host("h2", &clone))?;
    streams(ward, "db1")
}

fn done(ran: Ran) -> Result<(), String> {
    ran.expect_code(0).map(drop)
}

/// Waits until the standby streams, asked in a container on h1 by its name.
fn streams(ward: &Ward, name: &str) -> Result<(), String> {
    ward.wait("the standby streams", Duration::from_secs(60), || {
        let line = format!(
            "echo 'select state from pg_stat_replication' | docker exec -i {name} psql -AtXU pacs -d pacsdb"
        );
        ward.on_host("h1", &line).stdout.trim() == "streaming"
    })
}

/// Runs a verb on the pair; `more` may correct what the inventory says.
fn pg(ward: &Ward, verb: &str, major: u8, more: &[&str]) -> Ran {
    let inventory = ward.write("adopt.yml", "databases:\n  hosts:\n    h2:\n      pg_port: 6432\n");
    let inventory = inventory.to_string_lossy();
    let image = format!("pg_image=matron-lab/postgres:{major}");
    let words = [&["-i", &inventory, "-l", "h1,h2", "-e", &image], more].concat();
    ward.with_inventory(&["pg", verb], &words)
}

/// Adopts a pair of `major`, and looks at everything that must be another way and everything that must not.
pub fn taken_over(ward: &Ward, major: u8) -> Result<(), String> {
    by_hand(ward, major)?;
    let inodes = |host: &str| {
        ward.on_host(host, "find /var/local/mypacs -name PG_VERSION | sort | xargs ls -i").stdout
    };
    let before = (inodes("h1"), inodes("h2"));

    // What will change is told, and nothing does.
    let told = pg(ward, "adopt", major, &["-C"]).expect_code(0)?;
    told.expect_says("h2: container db2 is renamed ward-db")?
        .expect_says("loses or narrows the line: host replication replicator 0.0.0.0/0 trust")?
        .expect_says("wal_log_hints = off becomes on (restart)")?
        .expect_says("restart policy unless-stopped becomes no")?
        .expect_says("writes stop once")?;
    streams(ward, "db1")?;
    pg(ward, "adopt", major, &[]).expect_code(5)?.expect_says("--yes")?;

    // Killed on the way, once when the standby is at its restart: the same command ends right.
    let stopped = "docker inspect -f '{{.State.Running}}' ward-db 2>/dev/null";
    let mut first = {
        let inventory = ward.inventory_file();
        let extra = ward.write("adopt.yml", "databases:\n  hosts:\n    h2:\n      pg_port: 6432\n");
        let image = format!("pg_image=matron-lab/postgres:{major}");
        let (inventory, extra) = (inventory.to_string_lossy(), extra.to_string_lossy());
        let words =
            ["pg", "adopt", "--yes", "-i", &inventory, "-i", &extra, "-l", "h1,h2", "-e", &image];
        let mut command = ward.command(&words);
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        command.spawn().map_err(|error| error.to_string())?
    };
    let reached = ward.wait("the standby is stopped", Duration::from_secs(120), || {
        ward.on_host("h2", stopped).stdout.trim() == "false"
    });
    first.kill().map_err(|error| error.to_string())?;
    first.wait().map_err(|error| error.to_string())?;
    reached?;
    let ran = pg(ward, "adopt", major, &["--yes", "--diff"]).expect_code(0)?;
    let ran = ran.expect_says("no writes for")?.expect_says("ward: healthy")?;
    if ran.all().contains("replpass") || ran.all().contains(PASSWORD) {
        return Err(format!("a password was said:\n{}", ran.all()));
    }

    // Taking over leaves the hosts' own settings (kernel, engine) alone; the first setup makes them, the second changes nothing.
    pg(ward, "setup", major, &["--yes"]).expect_code(0)?;
    let again = pg(ward, "setup", major, &["--yes"]).expect_code(0)?;
    for host in ["h1", "h2"] {
        if again.tally(host, "changed")? != 0 {
            return Err(format!("a second run changed something on {host}:\n{}", again.stdout));
        }
        let line = "docker inspect $(docker ps -aq); cat /var/local/mypacs/db?/postgresql.auto.conf \
                    /var/local/mypacs/db?/recovery.conf /var/local/mypacs/db?/18/docker/postgresql.auto.conf 2>/dev/null";
        let seen = ward.on_host(host, line).stdout;
        for secret in ["replpass", PASSWORD] {
            if seen.contains(secret) {
                return Err(format!("{secret} can still be seen on {host}"));
            }
        }
        let open = ward.on_host(
            host,
            "grep -rh '0.0.0.0/0' /var/local/mypacs/db?/pg_hba.conf; docker inspect -f '{{.HostConfig.RestartPolicy.Name}}' ward-db",
        );
        if open.stdout.trim() != "no" {
            return Err(format!("on {host}: {}", open.stdout));
        }
    }
    if before != (inodes("h1"), inodes("h2")) {
        return Err("the data is not where it was".into());
    }
    ward.sql("h1", "insert into t values (501)")?;
    ward.wait("the standby has every row", Duration::from_secs(60), || {
        ward.sql("h2", "select count(*) from t").is_ok_and(|count| count == "501")
    })
}

fn refused(ward: &Ward) -> Result<(), String> {
    by_hand(ward, 17)?;
    let wrong = pg(ward, "adopt", 17, &["--yes", "-e", "pg_port=7432"]);
    wrong.expect_code(2)?.expect_says("Set pg_port: 5432 for h1 in the inventory")?;
    let wrong = pg(ward, "adopt", 17, &["--yes", "-e", "pg_adopt_container=nobody"]);
    wrong.expect_code(2)?.expect_says("found no nobody (there are: db1)")?;
    // Nothing was touched.
    streams(ward, "db1")?;
    for host in ["h1", "h2"] {
        ward.empty(host)?;
    }
    Ok(())
}
