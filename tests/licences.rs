//! The licences of everything that goes into the binary are on the list of `deny.toml`.

#![expect(clippy::expect_used, reason = "a failure here is a failed test")]

use std::path::Path;
use std::process::Command;

/// Reads the strings of `allow = [ … ]` under `[licenses]`.
fn allowed() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deny.toml");
    let text = std::fs::read_to_string(path).expect("deny.toml can be read");
    let list = text.split("allow = [").nth(1).and_then(|rest| rest.split(']').next());
    let list = list.expect("deny.toml has an allow list");
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Tells whether a licence expression can be met from the list: every AND part needs one OR choice that is allowed.
fn is_met(expression: &str, allowed: &[String]) -> bool {
    let expression = expression.replace('/', " OR ");
    let flat = expression.replace(['(', ')'], " ");
    // No expression in the tree nests AND inside OR in a way that matters, which this states instead of assuming.
    if expression.contains('(') && expression.contains(" AND ") {
        return flat
            .split(" AND ")
            .all(|part| part.split(" OR ").any(|one| is_listed(one, allowed)));
    }
    flat.split(" OR ").any(|choice| choice.split(" AND ").all(|one| is_listed(one, allowed)))
}

fn is_listed(licence: &str, allowed: &[String]) -> bool {
    let licence = licence.trim();
    allowed.iter().any(|known| known == licence)
}

#[test]
fn every_dependency_has_a_licence_on_the_list() {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--filter-platform",
            "x86_64-unknown-linux-gnu",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo metadata runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("metadata is JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let allowed = allowed();
    let wrong: Vec<String> = packages
        .iter()
        .filter(|package| !package["license"].as_str().is_some_and(|text| is_met(text, &allowed)))
        .map(|package| {
            format!("{} {}: {}", package["name"], package["version"], package["license"])
        })
        .collect();
    assert!(wrong.is_empty(), "not on the list of deny.toml:\n{}", wrong.join("\n"));
    assert!(packages.len() > 50, "the tree was not found");
}
