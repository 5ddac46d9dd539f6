//! Ctrl-C in the middle.

#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test stands or falls by its host, and waits for another process's doings"
)]

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use insta::assert_snapshot;

use crate::support::bench::Bench;

fn running(mark: &str) -> usize {
    let lines = fs::read_dir("/proc").expect("processes").flatten();
    lines
        .filter(|entry| {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).split('\0').any(|word| word == mark)
        })
        .count()
}

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn interrupt_ends_what_runs_on_the_host_and_exits_99() {
    let mut bench = Bench::new();
    // An unlikely number of seconds is the mark of our process.
    let mark = format!("4{}", &uuid::Uuid::new_v4().as_u128().to_string()[..8]);
    bench.tag(&mark, "[SECONDS]");
    bench.write(
        "site.yml",
        &format!(
            "- hosts: all\n  gather_facts: false\n  tasks:\n    - name: wait\n      command: sleep {mark}\n    \
             - name: never\n      command: touch {}\n",
            bench.project.join("never").display()
        ),
    );
    let program = Command::new(env!("CARGO_BIN_EXE_matron"));
    let running_program = bench.start(program, &["play", "-i", "hosts.ini", "site.yml"]);
    wait_until("the sleep runs", || running(&mark) > 0);
    let pid =
        i32::try_from(running_program.child.id()).ok().and_then(rustix::process::Pid::from_raw);
    rustix::process::kill_process(pid.expect("an id"), rustix::process::Signal::INT)
        .expect("a signal");
    let said = bench.ended(running_program);
    wait_until("nothing is left running", || running(&mark) == 0);
    assert!(!bench.project.join("never").exists());
    assert_snapshot!(said, @r##"
    exit 99
    PLAY [all]
    TASK [wait]
    Interrupted: ending what runs on the hosts. Press Ctrl-C again to leave at once.
    fatal: [h1]: FAILED! => {"changed": false, "msg": "Task failed: cancelled while work on h1 was under way"}
      at: site.yml:4:7
    PLAY RECAP
    h1 : ok=0 changed=0 unreachable=0 failed=1 skipped=0 rescued=0 ignored=0
    "##);
}
