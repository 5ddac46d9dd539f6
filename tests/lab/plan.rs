//! `matron pg plan` shows everything and does nothing, also where an act would rest on one that was not done.

use super::Test;
use super::ward::{Ran, Ward};

pub const TESTS: &[Test] = &[("plan::plan_shows_every_act_and_changes_nothing", plans)];

/// What matron could change on a host, as one text.
fn state(ward: &Ward, host: &str) -> String {
    let line = "docker ps -a --no-trunc --format '{{.ID}} {{.Names}} {{.Image}}'; \
                docker inspect -f '{{.State.StartedAt}} {{.HostConfig.RestartPolicy.Name}}' $(docker ps -aq) 2>/dev/null; \
                find /etc /usr/local /srv /var/cache/matron /root \\( -path '*/data/*' -o -path '*/mypacs/*/*' \\) -prune -o -printf '%p %m %u %s %T@\\n' 2>/dev/null | \
                grep -v '/data ' | sort; \
                cat /srv/matron/*/data/*.conf 2>/dev/null | sha256sum; ls -A /srv/matron/*/data 2>/dev/null | grep -v postmaster; \
                systemctl list-units --all --no-legend 'matron*' | awk '{ print $1, $4 }'; ls /run/lock";
    ward.on_host(host, line).stdout
}

fn plan(ward: &Ward, verb: &[&str]) -> Ran {
    let mut words = vec!["pg", "plan"];
    words.extend(verb);
    ward.with_inventory(
        &words,
        &["-l", "h1,h2", "-e", "pg_image=matron-lab/postgres:17", "-T", "3"],
    )
}

fn unchanged(ward: &Ward, verb: &[&str], says: &[&str], code: i32) -> Result<(), String> {
    let before = (state(ward, "h1"), state(ward, "h2"));
    let mut ran = plan(ward, verb).expect_code(code)?;
    for words in says {
        ran = ran.expect_says(words)?;
    }
    if ran.all().contains("ward-0nly-practice") {
        return Err("the password is in the plan".into());
    }
    let after = (state(ward, "h1"), state(ward, "h2"));
    if before == after {
        return Ok(());
    }
    let changed: Vec<&str> = after
        .0
        .lines()
        .chain(after.1.lines())
        .filter(|line| !before.0.contains(line) && !before.1.contains(line))
        .collect();
    Err(format!("plan {verb:?} changed something: {changed:#?}"))
}

fn plans(ward: &Ward) -> Result<(), String> {
    for host in ["h1", "h2"] {
        ward.lab("heal", host)?;
        ward.empty(host)?;
    }
    // Nothing is there: each act rests on one that is not done, down to the standby.
    let says = [
        "step: h1 create",
        "step: h2 clone (h1)",
        "h1: container, as root",
        "shown='docker run",
        "h2: what pg_password is given depends on what an earlier act gives",
        "h2: pg_clone, as root",
        "TASK Lock of the cluster on its first node",
        "There is a primary to follow",
        "Nothing was changed.",
    ];
    unchanged(ward, &["setup"], &says, 0)?;
    unchanged(ward, &["failover"], &["refused: running standbys", "The plan ends early"], 2)?;

    let words = ["-l", "h1,h2", "-e", "pg_image=matron-lab/postgres:17", "--yes"];
    ward.with_inventory(&["pg", "setup"], &words).expect_code(0)?;
    unchanged(ward, &["setup"], &["step: h1 keep", "step: h2 follow (h1)"], 0)?;
    unchanged(ward, &["failover"], &["refused", "The plan ends early"], 2)?;
    let lost = ["failover", "--accept", "old-primary-running"];
    unchanged(ward, &lost, &["step: h2 promote", "h2: pg_promote, as root"], 0)
}
