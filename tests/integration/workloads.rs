//! Plain Ansible playbooks of everyday work, run by the real binary over a real sshd (`tests/cases/workloads`).
//!
//! What they leave behind is held against what ansible-core left behind (`NAME.expected`, written by
//! `tests/cases/capture_workloads.sh`); a second run must not touch it.

#![expect(clippy::expect_used, reason = "a failure here is a failed test")]

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sha2::{Digest as _, Sha256};

use crate::support::sshd::{Folder, Sshd, text};

const HOST: &str = "host-001";

/// A host behind sshd, and the folder it is told to work in.
struct Lab {
    sshd: Sshd,
    base: Folder,
}

impl Lab {
    fn new(shell: &str) -> Self {
        let lab = Self { sshd: Sshd::start(shell), base: Folder::new() };
        fs::create_dir(lab.root()).expect("the host's folder");
        let inventory = format!(
            "all:\n  vars:\n    ansible_user: root\n    ansible_ssh_private_key_file: {key}\n    \
             bench_base: {base}\n    big_file: {base}/blob.bin\n  hosts:\n    {HOST}:\n      \
             ansible_host: 127.0.0.1\n      ansible_port: {port}\n",
            key = text(&lab.sshd.folder.join("id")),
            base = text(lab.base.path()),
            port = lab.sshd.port,
        );
        fs::write(lab.base.join("inventory.yml"), inventory).expect("inventory");
        lab
    }

    fn root(&self) -> PathBuf {
        self.base.join(HOST)
    }

    fn play(&self, name: &str) -> Output {
        let playbook = Path::new("tests/cases/workloads").join(format!("{name}.yml"));
        Command::new(env!("CARGO_BIN_EXE_matron"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env_clear()
            .env("HOME", self.sshd.folder.join("home"))
            .env("PATH", "/usr/bin:/bin")
            .env("MATRON_STATE_DIR", self.base.join("state"))
            .args(["play", "-i", text(&self.base.join("inventory.yml")), text(&playbook)])
            .output()
            .expect("matron runs")
    }

    /// Runs a workload and returns its recap: `ok=1 changed=0 ...`.
    fn recap(&self, name: &str) -> String {
        let output = self.play(name);
        let out = String::from_utf8_lossy(&output.stdout);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {}\n{out}\n{said}", output.status);
        let line = out.lines().rfind(|line| line.starts_with(HOST)).expect("a recap");
        let (_, counts) = line.split_once(':').expect("counts");
        counts.split_whitespace().take(5).collect::<Vec<_>>().join(" ")
    }

    /// Returns mode, digest and path of everything below the host's folder, as the capture script writes it.
    fn listing(&self) -> String {
        let mut lines = String::new();
        for path in below(&self.root()) {
            let mode = fs::metadata(&path).expect("metadata").mode() & 0o7777;
            let sum = if path.is_dir() { "-".to_owned() } else { self.digest(&path) };
            let name = path.strip_prefix(self.root()).expect("below").display();
            let _ = writeln!(lines, "{mode:o} {sum} {name}");
        }
        lines
    }

    fn digest(&self, path: &Path) -> String {
        let content = fs::read_to_string(path).expect("a text file");
        hex(&Sha256::digest(content.replace(text(self.base.path()), "BASE")))
    }

    /// Returns what tells that a file was written again: inode and time of change of its content.
    fn marks(&self) -> Vec<(PathBuf, u64, i64, i64)> {
        let mark = |path: PathBuf| {
            let meta = fs::metadata(&path).expect("metadata");
            (path, meta.ino(), meta.mtime(), meta.mtime_nsec())
        };
        below(&self.root()).into_iter().map(mark).collect()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Lists files and folders below a folder, in order of their path's bytes.
fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("listing") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                folders.push(path.clone());
            }
            found.push(path);
        }
    }
    found.sort_by(|a, b| text(a).cmp(text(b)));
    found
}

/// Runs a workload twice; the second run must leave every file as it is.
fn twice(shell: &str, name: &str) -> (String, String) {
    let lab = Lab::new(shell);
    let first = lab.recap(name);
    let expected = fs::read_to_string(format!(
        "{}/tests/cases/workloads/{name}.expected",
        env!("CARGO_MANIFEST_DIR")
    ));
    assert_eq!(lab.listing(), expected.expect("expectations"), "{name} left something else behind");
    let before = lab.marks();
    let second = lab.recap(name);
    assert_eq!(lab.marks(), before, "{name} wrote files again");
    (first, second)
}

#[test]
fn one_command_is_ok() {
    let lab = Lab::new("/bin/dash");
    assert_eq!(lab.recap("w1"), "ok=1 changed=0 unreachable=0 failed=0 skipped=0");
}

#[test]
fn provisioning_changes_all_at_first_and_nothing_again() {
    for shell in ["/bin/dash", "/bin/busybox"] {
        let (first, second) = twice(shell, "w2");
        assert_eq!(first, "ok=25 changed=21 unreachable=0 failed=0 skipped=0", "{shell}");
        assert_eq!(second, "ok=24 changed=0 unreachable=0 failed=0 skipped=1", "{shell}");
    }
}

#[test]
fn loop_of_templates_writes_each_file_once() {
    let (first, second) = twice("/bin/dash", "w3");
    assert_eq!(first, "ok=2 changed=2 unreachable=0 failed=0 skipped=0");
    assert_eq!(second, "ok=2 changed=0 unreachable=0 failed=0 skipped=0");
}

#[test]
fn big_file_arrives_whole_and_is_not_sent_again() {
    let lab = Lab::new("/bin/dash");
    // No repetition that a compressing or block-wise sender could profit from, the same in every run.
    let mut block = Sha256::digest(b"big file").to_vec();
    let mut blob = Vec::with_capacity(8 << 20);
    while blob.len() < 8 << 20 {
        block = Sha256::digest(&block).to_vec();
        blob.extend(&block);
    }
    fs::write(lab.base.join("blob.bin"), &blob).expect("blob");
    assert_eq!(lab.recap("w4"), "ok=1 changed=1 unreachable=0 failed=0 skipped=0");
    let copy = lab.root().join("blob.bin");
    assert!(fs::read(&copy).expect("the copy") == blob, "the copy differs");
    assert_eq!(fs::metadata(&copy).expect("metadata").mode() & 0o7777, 0o644);
    let before = lab.marks();
    assert_eq!(lab.recap("w4"), "ok=1 changed=0 unreachable=0 failed=0 skipped=0");
    assert_eq!(lab.marks(), before, "the file was written again");
}
