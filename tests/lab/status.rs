//! Status on practice hosts: one pair taken through the states that an operator may find it in, each told in every form.

use std::time::Duration;

use serde_json::Value;

use super::Test;
use super::ward::{Ran, Ward};

pub const TESTS: &[Test] = &[
    ("status::another_image_is_refused_by_name_before_anything_is_made", other_image),
    ("status::every_state_is_told_in_every_form", states),
];

/// How long a state may take to show itself on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

const PAIR: [&str; 4] = ["-l", "h1,h2", "-e", "pg_synchronous=on"];

fn status(ward: &Ward, more: &[&str]) -> Ran {
    ward.with_inventory(&["pg", "status"], &[&PAIR[..], &["-T", "3"], more].concat())
}

fn json(ward: &Ward) -> Result<Value, String> {
    let ran = status(ward, &["--output", "json"]);
    serde_json::from_str(&ran.stdout).map_err(|error| format!("{error}:\n{}", ran.all()))
}

/// Brings both hosts back, whatever an earlier test did to them, and empties them.
fn fresh(ward: &Ward) -> Result<(), String> {
    for host in ["h1", "h2"] {
        ward.lab("heal", host)?;
        let line = "case $(systemctl is-system-running) in running|degraded) ;; *) exit 1;; esac";
        ward.wait(&format!("{host} has started"), PATIENCE, || ward.on_host(host, line).code == 0)?;
        ward.empty(host)?;
    }
    Ok(())
}

fn setup(ward: &Ward, more: &[&str]) -> Ran {
    ward.with_inventory(&["pg", "setup", "--yes"], &[&PAIR[..], more].concat())
}

fn on(ward: &Ward, host: &str, line: &str) -> Result<String, String> {
    let ran = ward.on_host(host, line);
    if ran.code == 0 { Ok(ran.stdout) } else { Err(format!("on {host}: {line}: {}", ran.all())) }
}

fn other_image(ward: &Ward) -> Result<(), String> {
    fresh(ward)?;
    // The same tag, and behind it another image, as it comes from two pulls on two days.
    let image = "matron-lab/postgres:17";
    let id = "docker image inspect -f '{{.Id}}'";
    let change = format!(
        "{id} {image} && docker create --name changed {image} >/dev/null && docker commit -c 'LABEL changed=1' changed {image} >/dev/null && docker rm -v changed >/dev/null"
    );
    let before = on(ward, "h2", &change)?.trim().to_owned();
    let refused = setup(ward, &[]);
    on(ward, "h2", &format!("docker tag {before} {image}"))?;
    let refused = refused.expect_says("image of h2")?.expect_says("h2-other-image")?;
    if refused.code == 0 {
        return Err(format!("it was set up all the same:\n{}", refused.all()));
    }
    let made = on(ward, "h1", "docker ps -aq")?;
    if made.trim().is_empty() { Ok(()) } else { Err(format!("there is a container: {made}")) }
}

/// What is expected of a state.
struct State {
    verdict: &'static str,
    /// A finding that must be there: node and kind.
    finding: Option<(&'static str, &'static str)>,
    /// What the text says.
    says: &'static str,
    /// Exit code of the text form.
    code: i32,
    nagios: i32,
}

fn expect(ward: &Ward, state: &State) -> Result<(), String> {
    let shows = |told: &Value| {
        let findings = told["clusters"][0]["findings"].as_array().cloned().unwrap_or_default();
        let found = state.finding.is_none_or(|(node, kind)| {
            findings.iter().any(|finding| finding["node"] == node && finding["kind"] == kind)
        });
        told["clusters"][0]["verdict"] == state.verdict && found
    };
    let what = format!("{} {:?}", state.verdict, state.finding);
    ward.wait(&what, PATIENCE, || json(ward).is_ok_and(|told| shows(&told)))
        .map_err(|why| format!("{why}; it is {:#}", json(ward).unwrap_or_default()))?;
    let told = json(ward)?;
    if told["schema"] != "matron.status/1" {
        return Err(format!("the document does not name its schema: {told:#}"));
    }
    status(ward, &[]).expect_code(state.code)?.expect_says(state.says)?;
    let nagios = status(ward, &["--output", "nagios"]).expect_code(state.nagios)?;
    if nagios.stdout.lines().count() != 1 || !nagios.stdout.starts_with("MATRON ") {
        return Err(format!("not one line of a plugin:\n{}", nagios.all()));
    }
    let verdict =
        format!("matron_pg_cluster_verdict{{cluster=\"ward\",verdict=\"{}\"}} 1\n", state.verdict);
    status(ward, &["--output", "prometheus"]).expect_says(&verdict).map(drop)
}

fn states(ward: &Ward) -> Result<(), String> {
    fresh(ward)?;
    setup(ward, &[]).expect_code(0)?;
    let degraded = |finding, says, code, nagios| State {
        verdict: "degraded",
        finding: Some(finding),
        says,
        code,
        nagios,
    };
    expect(
        ward,
        &State {
            verdict: "healthy",
            finding: None,
            says: "every commit waits for h2: a failover now loses nothing acknowledged; a lost standby stops writes: yes",
            code: 0,
            nagios: 0,
        },
    )?;
    watch(ward)?;

    ward.lab("pause", "h2")?;
    let paused = expect(ward, &degraded(("h2", "not_seen"), "SSH handshake", 4, 1));
    ward.lab("heal", "h2")?;
    // Long paused, it may have been given up as a synchronous standby meanwhile: then it is critical.
    paused.or_else(|_| {
        ward.lab("pause", "h2")?;
        let told = expect(ward, &degraded(("h2", "not_seen"), "SSH handshake", 4, 2));
        ward.lab("heal", "h2")?;
        told
    })?;

    on(ward, "h2", "docker kill --signal INT ward-db; docker wait ward-db")?;
    expect(ward, &degraded(("h1", "writes_wait"), "WRITES WAIT", 0, 2))?;

    on(ward, "h1", "docker kill --signal INT ward-db; docker wait ward-db")?;
    expect(
        ward,
        &State {
            verdict: "no_primary",
            finding: Some(("h1", "unfenced")),
            says: "every node was seen and none takes writes",
            code: 0,
            nagios: 2,
        },
    )?;

    // By hand and past the guard, as people do: the standby is promoted, and then the old primary is started.
    on(ward, "h2", "docker start ward-db")?;
    ward.wait("h2 answers", PATIENCE, || ward.sql("h2", "select 1").is_ok())?;
    ward.sql("h2", "select pg_promote()")?;
    on(ward, "h1", "docker start ward-db")?;
    expect(
        ward,
        &State {
            verdict: "two_primaries",
            finding: None,
            says: "h1 (timeline 1) and h2 (timeline 2) take writes",
            code: 0,
            nagios: 2,
        },
    )?;

    // Made a standby by hand without a rewind: it answers, and can never follow.
    ward.sql(
        "h1",
        "set synchronous_commit = local; create table only_here (n int); select pg_switch_wal()",
    )?;
    cannot_follow(ward)?;
    expect(ward, &degraded(("h1", "other_timeline"), "is on timeline 1, the primary on 2", 0, 1))
}

fn cannot_follow(ward: &Ward) -> Result<(), String> {
    on(ward, "h1", "docker kill --signal INT ward-db; docker wait ward-db")?;
    let pass = on(ward, "h2", "cat /srv/matron/ward/secrets/pgpass")?;
    let conninfo = format!(
        "host={} port=5432 user=replicator application_name=h1 passfile=/run/matron/pgpass",
        ward.address("h2")
    );
    let line = format!(
        "cd /srv/matron/ward && printf '%s' '{pass}' >secrets/pgpass && chmod 600 secrets/pgpass && : >data/standby.signal && \
         echo \"primary_conninfo = '{conninfo}'\" >>data/postgresql.auto.conf && \
         chown --reference=data/PG_VERSION secrets/pgpass data/standby.signal && docker start ward-db"
    );
    on(ward, "h1", &line).map(drop)
}

/// Without a terminal `--watch` appends lines, each with its time, until it is ended.
fn watch(ward: &Ward) -> Result<(), String> {
    let file = ward.inventory_file();
    let file = file.to_string_lossy();
    let words = [&["pg", "status", "-i", &file, "--watch", "1"][..], &PAIR[..]].concat();
    let told = ward.write("watch.txt", "");
    let out = std::fs::File::create(&told).map_err(|error| error.to_string())?;
    let mut child = ward.command(&words).stdout(out).spawn().map_err(|error| error.to_string())?;
    let lines = || std::fs::read_to_string(&told).unwrap_or_default();
    let seen = ward.wait("two rounds of --watch", PATIENCE, || {
        lines().lines().filter(|line| line.contains(" ward ") && line.contains("healthy")).count()
            >= 2
    });
    let ended = child.kill().and_then(|()| child.wait());
    ended.map_err(|error| error.to_string())?;
    seen.map_err(|why| format!("{why}:\n{}", lines()))
}
