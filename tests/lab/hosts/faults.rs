//! Hosts that hang, cables that are pulled, people who change their mind.

use std::process::Command;
use std::time::{Duration, Instant};

use super::{ensure, exec, play};
use crate::ward::{Ran, Ward};

const SLOW: &str = "
- hosts: h3,h4
  gather_facts: false
  become: true
  tasks:
    - name: slow
      shell: touch /run/slow-began; sleep ${SECONDS_TO_SLEEP:-3}.0625; touch /run/slow-ended
      args:
        executable: /bin/sh
      environment:
        SECONDS_TO_SLEEP: '{{ seconds }}'
    - name: after
      command: hostname
";

fn healed<T>(ward: &Ward, result: Result<T, String>) -> Result<T, String> {
    ward.lab("heal", "h4")?;
    let tidy = "rm -f /run/slow-began /run/slow-ended";
    for host in ["h3", "h4"] {
        ward.on_host(host, tidy);
    }
    exec(ward, "h4", "wait_for_connection", "timeout=20", &[]).expect_code(0)?;
    result
}

/// Waits until the slow task runs on both hosts.
fn began(ward: &Ward) -> Result<(), String> {
    ward.wait("the task runs", Duration::from_secs(10), || {
        ["h3", "h4"].iter().all(|host| ward.on_host(host, "test -e /run/slow-began").code == 0)
    })
}

fn h3_went_on_without_h4(ran: &Ran) -> Result<(), String> {
    let whole = ran.tally("h3", "ok")? == 2 && ran.tally("h4", "unreachable")? == 1;
    ensure(whole, || ran.all())
}

pub(crate) fn a_paused_host_is_left_out(ward: &Ward) -> Result<(), String> {
    ward.lab("pause", "h4")?;
    let start = Instant::now();
    let ran = play(ward, "paused", SLOW, &["-T", "3", "-e", "seconds=0"]);
    let took = start.elapsed();
    healed(ward, ran.expect_code(4))
        .and_then(|ran| ran.expect_says("did not finish the SSH handshake within 3 s"))
        .and_then(|ran| h3_went_on_without_h4(&ran))?;
    ensure(took < Duration::from_secs(6), || format!("it took {took:?}"))
}

pub(crate) fn a_cut_host_ends_its_task(ward: &Ward) -> Result<(), String> {
    let playbook = ward.write("cut.yml", SLOW).display().to_string();
    let inventory = ward.inventory_file().display().to_string();
    let alive = "-o ServerAliveInterval=1 -o ServerAliveCountMax=2";
    let words = ["play", "-i", &inventory, &playbook, "-e", "seconds=4", "--ssh-extra-args", alive];
    let ran = std::thread::scope(|scope| {
        let playing = scope.spawn(|| ward.matron(&words));
        let cut = began(ward).and_then(|()| ward.lab("cut", "h4"));
        let ran = playing.join().map_err(|_| "it broke off".to_owned());
        cut.and(ran)
    });
    healed(ward, ran.and_then(|ran| ran.expect_code(4)))
        .and_then(|ran| ran.expect_says("was lost while a script ran"))
        .and_then(|ran| h3_went_on_without_h4(&ran))
}

pub(crate) fn ctrl_c_leaves_nothing_running(ward: &Ward) -> Result<(), String> {
    let playbook = ward.write("interrupt.yml", SLOW).display().to_string();
    let inventory = ward.inventory_file().display().to_string();
    let words = ["play", "-i", &inventory, &playbook, "-e", "seconds=50"];
    let mut command = ward.command(&words);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let playing = command.spawn().map_err(|error| error.to_string())?;
    let running = began(ward);
    let start = Instant::now();
    let interrupt = ["-INT", &playing.id().to_string()].map(str::to_owned);
    drop(Command::new("kill").args(interrupt).status());
    let ran = playing.wait_with_output().map(Ran::from).map_err(|error| error.to_string())?;
    let took = start.elapsed();
    running?;
    let ran = ran.expect_code(99)?;
    ensure(took < Duration::from_secs(3), || format!("it took {took:?}\n{}", ran.all()))?;
    for host in ["h3", "h4"] {
        let left = ward.on_host(host, "pgrep -af '[s]leep 50'; ls /run/slow-ended 2>/dev/null");
        ensure(left.stdout.is_empty(), || left.all())?;
    }
    healed(ward, play(ward, "interrupt", SLOW, &["-e", "seconds=0"]).expect_code(0)).map(drop)
}
