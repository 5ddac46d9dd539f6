//! One operator a cluster: a second run is refused, and a run that was killed holds nothing.

use std::time::Duration;

use super::Test;
use super::ward::Ward;

pub const TESTS: &[Test] = &[
    ("lock::second_run_is_refused_and_names_the_first", second_is_refused),
    ("lock::asking_without_a_terminal_is_refused", unasked),
];

const PAIR: &[&str] = &["-l", "h1,h2", "-e", "pg_image=matron-lab/postgres:17"];

fn second_is_refused(ward: &Ward) -> Result<(), String> {
    for host in ["h1", "h2"] {
        ward.lab("heal", host)?;
        ward.empty(host)?;
    }
    let file = ward.inventory_file();
    let file = file.to_string_lossy();
    let words = [&["pg", "setup", "--yes", "-i", &file], PAIR].concat();
    let mut first = ward.command(&words);
    first.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut first = first.spawn().map_err(|error| error.to_string())?;
    let who = "cat /run/lock/matron-pg-ward.lock.who";
    let held = ward.wait("the first run has its locks", Duration::from_secs(60), || {
        ["h1", "h2"].iter().all(|host| ward.on_host(host, who).stdout.contains("pg setup"))
    });
    let second = ward.with_inventory(&["pg", "setup", "--yes"], PAIR);
    // Looking needs no lock.
    let status = ward.with_inventory(&["pg", "status"], PAIR);
    first.kill().map_err(|error| error.to_string())?;
    first.wait().map_err(|error| error.to_string())?;
    held?;
    let named = format!("pid {}: matron pg setup) since 20", first.id());
    second.expect_code(2)?.expect_says("refused: lock of cluster ward")?.expect_says(&named)?;
    status.expect_code(0)?;
    // A killed run holds nothing, and the same command ends what it began.
    ward.wait("the lock has died with its holder", Duration::from_secs(60), || {
        ward.on_host("h1", "flock -n /run/lock/matron-pg-ward.lock true").code == 0
            && ward.on_host("h2", "flock -n /run/lock/matron-pg-ward.lock true").code == 0
    })?;
    ward.with_inventory(&["pg", "setup", "--yes"], PAIR).expect_code(0)?;
    ward.with_inventory(&["pg", "status"], PAIR).expect_says("healthy").map(drop)
}

fn unasked(ward: &Ward) -> Result<(), String> {
    for verb in ["setup", "clone", "failover", "rejoin"] {
        let ran = ward.with_inventory(&["pg", verb], PAIR).expect_code(5)?;
        ran.expect_says("there is no terminal")?.expect_says("--yes")?;
    }
    Ok(())
}
