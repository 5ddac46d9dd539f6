//! What matron carries: every bundled playbook passes all checks against every example inventory, so neither can rot.

use std::path::Path;
use std::process::Command;

const PLAYBOOKS: &[&str] =
    &["archive", "failover", "host", "primary", "rejoin", "require", "site", "standby", "status"];

#[test]
fn bundled_playbooks_pass_the_checks_with_every_example_inventory() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for inventory in ["one-site", "many-sites"] {
        for playbook in PLAYBOOKS {
            let done = Command::new(env!("CARGO_BIN_EXE_matron"))
                .current_dir(root)
                .arg("play")
                .arg(format!("playbooks/{playbook}.yml"))
                .args(["-i", &format!("inventories/{inventory}/hosts.yml"), "--syntax-check"])
                .output();
            let told = match &done {
                Ok(output) if output.status.success() => continue,
                Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
                Err(error) => error.to_string(),
            };
            unreachable!("{playbook} with {inventory}: {told}");
        }
    }
}

#[test]
fn missing_password_is_refused_by_name_before_any_host_is_touched() {
    let done = Command::new(env!("CARGO_BIN_EXE_matron"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["play", "playbooks/site.yml", "-i", "inventories/one-site/hosts.yml"])
        .output();
    let told = done
        .map(|output| (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned()));
    let (code, text) = told.unwrap_or_default();
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("db1.stmary.example lacks: postgres_password"), "{text}");
    assert!(!text.contains("UNREACHABLE"), "no host was asked: {text}");
}
