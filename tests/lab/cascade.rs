//! Clusters of three on 17: siblings that follow one primary, and a cascade in which one standby follows another.

use super::Test;
use super::life::{expect_sql, started};
use super::ward::{Ran, Ward};

pub const TESTS: &[Test] = &[
    ("cascade::siblings_follow_through_switchover_failover_and_rejoin", siblings),
    ("cascade::a_cascade_keeps_its_shape_through_failover_and_rejoin", cascade),
];

const THREE: [&str; 3] = ["h1", "h2", "h3"];

/// Who is behind a node and gets WAL.
const FOLLOWERS: &str = "select coalesce(string_agg(application_name, ' ' order by application_name), '') \
                         from pg_stat_replication where state = 'streaming'";

struct Cluster<'a> {
    ward: &'a Ward,
    inventory: String,
    synchronous: &'a str,
}

impl<'a> Cluster<'a> {
    /// Three empty hosts; `h3` has variables of its own.
    fn empty(ward: &'a Ward, of_h3: &str, synchronous: &'a str) -> Result<Self, String> {
        for host in THREE {
            ward.lab("heal", host)?;
            started(ward, host)?;
            ward.empty(host)?;
        }
        let text = format!("databases:\n  hosts:\n    h3: {of_h3}\n");
        let inventory = ward.write("three.yml", &text).display().to_string();
        Ok(Self { ward, inventory, synchronous })
    }

    fn pg(&self, verb: &str, more: &[&str]) -> Ran {
        let synchronous = format!("pg_synchronous={}", self.synchronous);
        let mut words = vec!["-i", &self.inventory, "-l", "h1,h2,h3", "-e", &synchronous];
        words.extend(["-e", "pg_image=matron-lab/postgres:17"]);
        if verb != "status" {
            words.push("--yes");
        }
        words.extend(more);
        self.ward.with_inventory(&["pg", verb], &words)
    }

    fn set_up(&self) -> Result<(), String> {
        self.pg("setup", &[]).expect_code(0)?;
        let again = self.pg("setup", &[]).expect_code(0)?;
        for host in THREE {
            if again.tally(host, "changed")? != 0 {
                let out = again.stdout;
                return Err(format!("the second setup changed something on {host}:\n{out}"));
            }
        }
        self.ward.sql("h1", "create table t (n int primary key)").map(drop)
    }

    /// Writes a row, and waits until each host has every row.
    fn write(&self, primary: &str) -> Result<(), String> {
        self.ward.sql(primary, "insert into t select coalesce(max(n), 0) + 1 from t")?;
        let rows = self.ward.sql(primary, "select count(*) from t")?;
        THREE
            .iter()
            .try_for_each(|host| expect_sql(self.ward, host, "select count(*) from t", &rows))
    }

    /// Takes the primary's power and fails over; returns who takes writes.
    fn lose(&self, primary: &str) -> Result<&'static str, String> {
        self.ward.lab("kill", primary)?;
        let accept = ["-T", "3", "--accept", "old-primary-unreachable"];
        self.pg("failover", &accept).expect_code(0)?;
        let mut writing = THREE.into_iter().filter(|host| {
            *host != primary
                && self.ward.sql(host, "select pg_is_in_recovery()").is_ok_and(|text| text == "f")
        });
        match (writing.next(), writing.next()) {
            (Some(one), None) => Ok(one),
            (one, two) => Err(format!("take writes after the failover: {one:?} {two:?}")),
        }
    }

    fn bring_back(&self, host: &str) -> Result<(), String> {
        self.ward.lab("heal", host)?;
        started(self.ward, host)?;
        self.pg("rejoin", &[]).expect_code(0)?;
        self.pg("status", &[]).expect_code(0)?.expect_says("healthy").map(drop)
    }
}

fn others(than: &str) -> String {
    THREE.into_iter().filter(|host| *host != than).collect::<Vec<_>>().join(" ")
}

fn siblings(ward: &Ward) -> Result<(), String> {
    let cluster = Cluster::empty(ward, "{}", "quorum")?;
    cluster.set_up()?;
    expect_sql(ward, "h1", FOLLOWERS, "h2 h3")?;
    cluster.write("h1")?;
    cluster.pg("switchover", &["--to", "h2"]).expect_code(0)?;
    expect_sql(ward, "h2", FOLLOWERS, "h1 h3")?;
    cluster.write("h2")?;
    let next = cluster.lose("h2")?;
    let left = if next == "h1" { "h3" } else { "h1" };
    expect_sql(ward, next, FOLLOWERS, left)?;
    let rows = ward.sql(next, "select count(*) from t")?;
    expect_sql(ward, left, "select count(*) from t", &rows)?;
    cluster.bring_back("h2")?;
    expect_sql(ward, next, FOLLOWERS, &others(next))?;
    let tail = cluster.write(next);
    ward.empty("h3")?;
    tail
}

fn cascade(ward: &Ward) -> Result<(), String> {
    let cluster = Cluster::empty(ward, "{pg_upstream: h2}", "on")?;
    cluster.set_up()?;
    expect_sql(ward, "h1", FOLLOWERS, "h2")?;
    expect_sql(ward, "h2", FOLLOWERS, "h3")?;
    cluster.write("h1")?;
    let next = cluster.lose("h1")?;
    if next != "h2" {
        return Err(format!("{next} was promoted, which is the end of the cascade"));
    }
    // Nothing is behind the primary but the one that was behind it before.
    expect_sql(ward, "h2", FOLLOWERS, "h3")?;
    cluster.bring_back("h1")?;
    expect_sql(ward, "h2", FOLLOWERS, "h1 h3")?;
    let tail = cluster.write("h2");
    ward.empty("h3")?;
    tail
}
