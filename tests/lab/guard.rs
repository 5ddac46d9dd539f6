//! Power that goes and comes back, in every order: what the guards make of it, and what only an operator may say.

use std::time::{Duration, Instant};

use super::Test;
use super::life::{expect_sql, fresh, healthy, pg, roles, started};
use super::ward::Ward;

pub const TESTS: &[Test] = &[
    ("guard::site_that_lost_its_power_comes_back_by_itself", whole_site),
    ("guard::lone_primary_stays_down_until_an_operator_says_so", lone_primary),
    ("guard::of_two_that_believe_to_be_the_primary_the_promoted_one_comes_back", both_believe),
    ("guard::what_a_stopped_primary_alone_holds_is_counted", counted),
    ("guard::power_goes_and_comes_in_more_orders", more_orders),
];

const IN_RECOVERY: &str = "select pg_is_in_recovery()";
const PAIR: [&str; 2] = ["h1", "h2"];

fn writes(ward: &Ward, host: &str) -> bool {
    ward.sql(host, IN_RECOVERY).is_ok_and(|answer| answer == "f")
}

/// Watches until a check holds; two hosts that take writes end it at once.
fn watch(ward: &Ward, what: &str, check: impl Fn() -> bool) -> Result<(), String> {
    let end = Instant::now() + Duration::from_secs(120);
    loop {
        if PAIR.iter().all(|host| writes(ward, host)) {
            return Err(format!("two primaries while waiting for: {what}"));
        }
        if check() {
            return Ok(());
        }
        if Instant::now() > end {
            return Err(format!("not within two minutes: {what}{}", logs(ward)));
        }
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// Watches for a while that a host does not take writes.
fn stays_down(ward: &Ward, host: &str) -> Result<(), String> {
    let end = Instant::now() + Duration::from_secs(6);
    while Instant::now() < end {
        if writes(ward, host) {
            return Err(format!("{host} takes writes{}", logs(ward)));
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    Ok(())
}

fn guard_log(ward: &Ward, host: &str) -> String {
    ward.on_host(host, "tail -n 8 /var/log/matron-pg-guard.log").stdout
}

fn logs(ward: &Ward) -> String {
    let of = |host: &str| format!("\n{host}:\n{}", guard_log(ward, host));
    PAIR.map(of).concat()
}

fn boot(ward: &Ward, host: &str) -> Result<(), String> {
    ward.lab("heal", host)?;
    started(ward, host)
}

/// `primary` takes writes and the other one streams from it.
fn in_order(ward: &Ward, primary: &str) -> Result<(), String> {
    watch(ward, &format!("{primary} takes writes"), || writes(ward, primary))?;
    expect_sql(
        ward,
        primary,
        "select count(*) from pg_stat_replication where state = 'streaming'",
        "1",
    )
}

fn whole_site(ward: &Ward) -> Result<(), String> {
    healthy(ward, 17)?;
    let (primary, standby) = roles(ward)?;
    // One at a time, the other one running.
    ward.lab("kill", primary)?;
    ward.lab("heal", primary)?;
    in_order(ward, primary)?;
    // All at once.
    ward.lab("kill", standby)?;
    ward.lab("kill", primary)?;
    ward.lab("heal", primary)?;
    ward.lab("heal", standby)?;
    in_order(ward, primary)?;
    let log = guard_log(ward, primary);
    if !log.contains(&format!("the primary: {standby} is a standby on timeline")) {
        return Err(format!("the guard of {primary} does not say why it started:\n{log}"));
    }
    pg(ward, "status", 17, &[]).expect_code(0)?.expect_says("healthy").map(drop)
}

fn lone_primary(ward: &Ward) -> Result<(), String> {
    healthy(ward, 17)?;
    let (primary, standby) = roles(ward)?;
    ward.lab("kill", standby)?;
    ward.lab("kill", primary)?;
    boot(ward, primary)?;
    watch(ward, "the guard says that it waits", || {
        guard_log(ward, primary).contains("may not start alone")
    })?;
    stays_down(ward, primary)?;
    let refused = pg(ward, "start", 17, &["-T", "3"]);
    if refused.code == 0 {
        return Err(format!("it started without a word:\n{}", refused.all()));
    }
    refused.expect_says("matron_accept=peer-unreachable")?;
    let words = ["-T", "3", "--accept", "peer-unreachable", "--reason", "ticket 12"];
    pg(ward, "start", 17, &words).expect_says("peer-unreachable")?;
    watch(ward, "the operator's word counts", || writes(ward, primary))?;
    let log = guard_log(ward, primary);
    if !log.contains("by the word of") || !log.contains("peer-unreachable, ticket 12") {
        return Err(format!("the guard's log does not say who and why:\n{log}"));
    }
    boot(ward, standby)?;
    in_order(ward, primary)?;

    // Behind a cable that is cut between the two, the nodes cannot prove anything; matron reaches both and can.
    ward.lab("kill", standby)?;
    ward.lab("kill", primary)?;
    boot(ward, primary)?;
    let cut = format!(
        "iptables -I OUTPUT -d {0} -j DROP; iptables -I INPUT -s {0} -j DROP; iptables -I FORWARD -s {0} -j DROP",
        ward.address(standby)
    );
    ward.on_host(primary, &cut);
    boot(ward, standby)?;
    watch(ward, "the standby runs", || {
        ward.sql(standby, IN_RECOVERY).is_ok_and(|answer| answer == "t")
    })?;
    stays_down(ward, primary)?;
    pg(ward, "start", 17, &[]).expect_says("no node that was seen took its place")?;
    watch(ward, "matron has seen both", || writes(ward, primary))?;
    let heal = cut.replace("-I ", "-D ");
    ward.on_host(primary, &heal);
    in_order(ward, primary)
}

fn both_believe(ward: &Ward) -> Result<(), String> {
    healthy(ward, 17)?;
    let (old, new) = roles(ward)?;
    ward.sql(old, "create table if not exists kept (n int); insert into kept values (1)")?;
    let mark = ward.write("cut", "");
    std::fs::remove_file(&mark).map_err(|error| error.to_string())?;
    ward.lab("kill", old)?;
    // A fence command that fails proves nothing; one that succeeds is as good as the operator's word.
    let refused = pg(ward, "failover", 17, &["-T", "3", "-e", "pg_fence_command=false"]);
    if refused.code == 0 || !writes(ward, old) && writes(ward, new) {
        return Err(format!("a fence command that failed was believed:\n{}", refused.all()));
    }
    refused.expect_says("matron_accept=old-primary-unreachable")?;
    let command = format!("{{\"pg_fence_command\": \"touch {}\"}}", mark.display());
    pg(ward, "failover", 17, &["-T", "3", "-e", &command])
        .expect_code(0)?
        .expect_says(&format!("nothing that {old} acknowledged is lost"))?
        .expect_says("was switched off by pg_fence_command")?;
    if !mark.exists() {
        return Err("the fence command did not run".into());
    }
    expect_sql(ward, new, "select count(*) from kept", "1")?;
    pg(ward, "status", 17, &["-T", "3"]).expect_says("owed")?;
    // The old one comes back first and alone: it stays down. Then the new one: it takes over again, and the old one is fenced.
    ward.lab("kill", new)?;
    boot(ward, old)?;
    stays_down(ward, old)?;
    ward.lab("heal", new)?;
    watch(ward, "the new primary comes back without being asked", || writes(ward, new))?;
    watch(ward, "the old one is fenced", || guard_log(ward, old).contains("fenced and kept down"))?;
    stays_down(ward, old)?;
    pg(ward, "rejoin", 17, &[]).expect_code(0)?;
    in_order(ward, new)?;
    pg(ward, "status", 17, &[]).expect_code(0)?.expect_says("healthy").map(drop)
}

fn counted(ward: &Ward) -> Result<(), String> {
    fresh(ward)?;
    let asynchronous = ["-e", "pg_synchronous=off"];
    pg(ward, "setup", 17, &asynchronous).expect_code(0)?;
    let (primary, standby) = roles(ward)?;
    ward.sql(primary, "create table lost (n int)")?;
    let there = "select count(*) from pg_class where relname = 'lost'";
    expect_sql(ward, standby, there, "1")?;
    ward.on_host(standby, "docker stop -t 60 ward-db");
    for n in 1..=3 {
        ward.sql(primary, &format!("insert into lost values ({n})"))?;
    }
    ward.on_host(primary, "docker kill ward-db");
    ward.on_host(standby, "docker start ward-db");
    expect_sql(ward, standby, IN_RECOVERY, "t")?;
    let refused = pg(ward, "failover", 17, &asynchronous);
    if refused.code == 0 {
        return Err(format!("three commits were lost without a word:\n{}", refused.all()));
    }
    refused
        .expect_says(&format!("commits of {primary} in"))?
        .expect_says("matron_accept=possible-loss")?;
    // The way out that the refusal names: nothing is lost.
    pg(ward, "start", 17, &asynchronous).expect_code(0)?;
    expect_sql(ward, standby, "select count(*) from lost", "3")?;
    fresh(ward)
}

/// More orders than a short lane has time for: `MATRON_LAB_ORDERS=8`.
fn more_orders(ward: &Ward) -> Result<(), String> {
    let orders: usize =
        std::env::var("MATRON_LAB_ORDERS").ok().and_then(|number| number.parse().ok()).unwrap_or(0);
    // Down in this order, up in that one; a host that is named once more loses its power while the other one boots.
    let all: &[(&[usize], &[usize])] = &[
        (&[0], &[0]),
        (&[1], &[1]),
        (&[0, 1], &[0, 1]),
        (&[0, 1], &[1, 0]),
        (&[1, 0], &[0, 1]),
        (&[1, 0], &[1, 0]),
        (&[0, 1], &[0, 0, 1]),
        (&[1, 0], &[1, 1, 0]),
    ];
    for (down, up) in all.iter().take(orders) {
        healthy(ward, 17)?;
        let (primary, standby) = roles(ward)?;
        let hosts = [primary, standby];
        for at in *down {
            ward.lab("kill", hosts[*at])?;
        }
        let mut on = Vec::new();
        for at in *up {
            if on.contains(at) {
                ward.lab("kill", hosts[*at])?;
            }
            ward.lab("heal", hosts[*at])?;
            on.push(*at);
        }
        in_order(ward, primary).map_err(|why| format!("down {down:?}, up {up:?}: {why}"))?;
    }
    Ok(())
}
