//! Debian packages that tests need and a fresh machine lacks: installed once, and said so first.

#![expect(clippy::expect_used, reason = "a test stands or falls by its host")]

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// Packages and a program of each.
const PROGRAMS: [(&str, &str); 4] = [
    ("openssh-server", "sshd"),
    ("openssh-client", "ssh-keygen"),
    ("busybox", "busybox"),
    ("sudo", "sudo"),
];

static PRESENT: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Makes sure that packages are installed; panics with apt's own words when they cannot be.
pub(crate) fn ensure(packages: &[&str]) {
    let mut present = PRESENT.lock().unwrap_or_else(PoisonError::into_inner);
    if packages.iter().all(|name| present.contains(*name)) {
        return;
    }
    // Test binaries run beside each other, and apt works for one at a time.
    let lock = File::create(std::env::temp_dir().join("matron-test-packages.lock"))
        .expect("a lock file in the temporary folder");
    lock.lock().expect("the lock");
    let missing: Vec<&str> = packages.iter().copied().filter(|name| !is_there(name)).collect();
    if !missing.is_empty() {
        install(&missing);
    }
    present.extend(packages.iter().map(|name| (*name).to_owned()));
}

fn is_there(package: &str) -> bool {
    let program =
        PROGRAMS.iter().find(|(name, _)| *name == package).map_or(package, |found| found.1);
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        .iter()
        .any(|folder| Path::new(folder).join(program).exists())
}

fn install(missing: &[&str]) {
    // Past the test harness, which keeps what a passing test prints to itself.
    writeln!(
        std::io::stderr(),
        "tests: installing Debian packages for the tests: {} (apt-get install)",
        missing.join(" ")
    )
    .ok();
    let apt = |words: &[&str]| {
        Command::new("apt-get")
            .args(words)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .output()
            .expect("apt-get runs; install these packages by hand")
    };
    let words = ["install", "-y", "--no-install-recommends"];
    let words: Vec<&str> = words.iter().chain(missing).copied().collect();
    let mut done = apt(&words);
    if !done.status.success() {
        apt(&["update"]);
        done = apt(&words);
    }
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}
