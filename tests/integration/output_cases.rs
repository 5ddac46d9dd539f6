//! What the real binary prints, held against what ansible-core 2.19 printed for the same playbooks
//! (`tests/cases/output/NAME.expected`, written by `tests/cases/capture_output.sh`).

#![expect(clippy::expect_used, reason = "a failure here is a failed test")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::sshd::{Folder, text};

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/output")
}

/// Runs a playbook and returns its output in the form of the expectations.
fn printed(name: &str) -> String {
    let folder = Folder::new();
    let playbook = std::fs::read_to_string(cases().join(format!("{name}.yml"))).expect("playbook");
    let words = playbook.lines().next().and_then(|line| line.strip_prefix("# args: "));
    let output = Command::new(env!("CARGO_BIN_EXE_matron"))
        .current_dir(cases())
        .env_clear()
        .env("HOME", folder.path())
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("MATRON_STATE_DIR", folder.join("state"))
        .args(["play", "-i", "hosts", "-f", "1", &format!("{name}.yml")])
        .args(["-e", &format!("out={}", text(folder.path()))])
        .args(words.unwrap_or_default().split_whitespace())
        .output()
        .expect("matron runs");
    let exit = output.status.code().expect("an exit status");
    let mut out = String::from_utf8(output.stdout).expect("text");
    let _ = writeln!(out, "exit {exit}");
    let out = out.replace(&format!("{}/", text(&cases())), "").replace(text(folder.path()), "OUT");
    let raw = folder.join("printed");
    std::fs::write(&raw, out).expect("output is kept");
    let rules = cases().join("../normalise.sed");
    let reduced =
        Command::new("sed").args(["-f", text(&rules), text(&raw)]).output().expect("sed runs");
    String::from_utf8(reduced.stdout).expect("text")
}

#[test]
fn output_and_exit_are_those_of_ansible_playbook() {
    let mut names: Vec<String> = std::fs::read_dir(cases())
        .expect("cases can be listed")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "expected"))
        .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert!(names.len() >= 25, "the cases were not found");
    let mut wrong = String::new();
    std::thread::scope(|scope| {
        let runs: Vec<_> = names.iter().map(|name| scope.spawn(|| printed(name))).collect();
        for (name, run) in names.iter().zip(runs) {
            let got = run.join().expect("the run ends");
            let path = cases().join(format!("{name}.expected"));
            let expected = std::fs::read_to_string(path).expect("expectations");
            if got != expected {
                let diff = similar::TextDiff::from_lines(&expected, &got)
                    .unified_diff()
                    .context_radius(2)
                    .header("ansible", "matron")
                    .to_string();
                let _ = writeln!(wrong, "== {name}\n{diff}");
            }
        }
    });
    assert!(wrong.is_empty(), "\n{wrong}");
}
