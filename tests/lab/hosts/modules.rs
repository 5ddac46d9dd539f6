//! Modules on a host of their own.

use std::time::Duration;

use super::{beside, ensure, exec, play, play_file};
use crate::ward::{Ran, Ward};

fn everything(ward: &Ward, more: &[&str]) -> Ran {
    let large = ward.write("large", &"0123456789abcdef\n".repeat(1_200_000));
    let (large, fetched) = (format!("large={}", large.display()), "fetched=fetched");
    let mut words = vec!["-e", large.as_str(), "-e", fetched];
    words.extend(more);
    play_file(ward, &beside("everything.yml"), &words)
}

/// Returns the names of the tasks that changed something.
fn changed(ran: &Ran) -> Vec<&str> {
    let mut task = "";
    let mut names = Vec::new();
    for line in ran.stdout.lines() {
        if let Some(name) = line.strip_prefix("TASK [") {
            task = name.split(']').next().unwrap_or_default();
        } else if line.starts_with("changed: ") {
            names.push(task);
        }
    }
    names
}

pub(crate) fn every_module_works_without_python(ward: &Ward) -> Result<(), String> {
    let away = beside("everything-away.yml");
    play_file(ward, &away, &[]).expect_code(0)?;
    drop(std::fs::remove_file(ward.write("fetched", "")));
    let found = everything(ward, &["--check", "--start-at-task", "Copy of a text"]);
    ensure(found.tally("h3", "failed")? <= 1, || found.all())?;
    let made = ward.on_host("h3", "ls -d /srv/everything");
    ensure(made.code != 0, || made.all())?;

    let first = everything(ward, &["--diff"]).expect_code(0)?;
    let first = first.expect_says("+second line")?.expect_says("+Description=hello from h3")?;
    ensure(first.tally("h3", "changed")? == 18, || first.all())?;
    let second = everything(ward, &[]).expect_code(0)?;
    ensure(second.tally("h3", "changed")? == 0, || second.all())?;

    let before = ward.on_host("h3", "cd /srv/everything; cat small; stat -c '%n %Z' *").stdout;
    let foretold = everything(ward, &["--check", "--diff", "-e", "greeting=goodbye"]);
    let foretold = foretold.expect_code(0)?.expect_says("-Description=hello from h3")?;
    let after = ward.on_host("h3", "cd /srv/everything; cat small; stat -c '%n %Z' *").stdout;
    ensure(before == after, || format!("a check changed something:\n{before}\n{after}"))?;
    let done = everything(ward, &["-e", "greeting=goodbye"]).expect_code(0)?;
    let wanted = ["Copy of a text", "Template"];
    ensure(changed(&foretold) == wanted && changed(&done) == wanted, || {
        format!("foretold {:?}, done {:?}", changed(&foretold), changed(&done))
    })?;

    let there = ward.on_host(
        "h3",
        "set -e; cmp /srv/everything/large - </dev/null 2>&1 | grep -q EOF; stat -c %a /srv/everything/large; \
         systemctl is-enabled everything; id -nG archivist; cat /proc/sys/net/ipv4/tcp_keepalive_time; \
         docker inspect -f '{{.State.Running}}' everything; tree --version | cut -c1-4",
    );
    ensure(there.stdout == "600\nenabled\narchivists\n4321\ntrue\ntree\n", || there.all())?;
    let gone = play_file(ward, &away, &[]).expect_code(0)?;
    ensure(gone.tally("h3", "changed")? == 7, || gone.all())?;
    let again = play_file(ward, &away, &[]).expect_code(0)?;
    ensure(again.tally("h3", "changed")? == 0, || again.all())
}

fn docker(words: &[&str]) -> std::io::Result<std::process::Output> {
    std::process::Command::new("docker").args(words).output()
}

pub(crate) fn a_restarted_host_is_waited_for(ward: &Ward) -> Result<(), String> {
    // A restart ends a container; what starts the machine again stands outside of it.
    let started = || ward.on_host("h4", "cut -d' ' -f22 /proc/1/stat").stdout;
    let before = started();
    let playing = std::sync::atomic::AtomicBool::new(true);
    let text = "
- hosts: h4
  gather_facts: false
  become: true
  tasks:
    - reboot:
        reboot_timeout: 60
    - wait_for_connection:
        timeout: 30
    - command: uptime
";
    let ran = std::thread::scope(|scope| {
        scope.spawn(|| {
            ward.wait("the restart is over", Duration::from_secs(100), || {
                let container = ward.container("h4");
                let words = ["inspect", "-f", "{{.State.Running}}", &container];
                if docker(&words).is_ok_and(|out| out.stdout.starts_with(b"false")) {
                    drop(docker(&["start", &container]));
                }
                !playing.load(std::sync::atomic::Ordering::Relaxed)
            })
        });
        let ran = play(ward, "restart", text, &[]);
        playing.store(false, std::sync::atomic::Ordering::Relaxed);
        ran
    });
    let ran = ran.expect_code(0)?;
    ensure(started() != before, || ran.all())?;
    ward.wait("the engine of h4 answers", Duration::from_secs(30), || {
        ward.on_host("h4", "docker version").code == 0
    })
}

pub(crate) fn a_name_is_set_and_restored(ward: &Ward) -> Result<(), String> {
    let set = |name: &str| exec(ward, "h4", "hostname", &format!("name={name}"), &["-b"]);
    // Docker mounts this file from outside; a machine's own is a plain file.
    ward.on_host("h4", "umount /etc/hostname && hostname >/etc/hostname");
    let named = || ward.on_host("h4", "hostname; cat /etc/hostname").stdout;
    let result = set("ward-four").expect_code(0).and_then(|ran| {
        ensure(named() == "ward-four\nward-four\n", || format!("{}{}", named(), ran.all()))?;
        set("ward-four").expect_code(0)?.expect_says("SUCCESS").map(drop)
    });
    set("h4").expect_code(0)?;
    ensure(named() == "h4\nh4\n", named)?;
    result
}
