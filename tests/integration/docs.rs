//! The committed pages say what the program says, and their links lead somewhere.

#![expect(clippy::expect_used, reason = "a failure here is a failed test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn matron(args: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_matron"))
        .args(args)
        .current_dir(root())
        .env_remove("ANSIBLE_INVENTORY")
        .output()
        .expect("matron starts")
}

/// A folder of this process that goes when it is dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("matron-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a temporary folder");
        Self(folder)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A folder left behind harms no other test.
        let _left = fs::remove_dir_all(&self.0);
    }
}

fn pages_in(folder: &Path) -> BTreeMap<String, String> {
    let mut pages = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("a folder of pages") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        pages.insert(name, fs::read_to_string(&path).expect("a page"));
    }
    pages
}

fn markdown_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            markdown_files(&path, found);
        } else if path.extension().is_some_and(|end| end == "md") {
            found.push(path);
        }
    }
}

#[test]
fn module_pages_are_what_the_code_says() {
    let scratch = Scratch::new("module-pages");
    let done = matron(&["doc", "--markdown", &scratch.0.display().to_string()]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let (said, kept) = (pages_in(&scratch.0), pages_in(&root().join("docs/modules")));
    let way_out = "write them anew: matron doc --markdown docs/modules";
    assert_eq!(
        said.keys().collect::<Vec<_>>(),
        kept.keys().collect::<Vec<_>>(),
        "docs/modules has other pages than there are modules; {way_out}, and remove pages of modules that are gone"
    );
    for (name, text) in &said {
        assert_eq!(kept.get(name), Some(text), "docs/modules/{name} is old; {way_out}");
    }
}

#[test]
fn command_line_page_is_what_the_code_says() {
    let scratch = Scratch::new("cli-page");
    let file = scratch.0.join("cli.md");
    let done = matron(&["doc", "--cli", &file.display().to_string()]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let kept = fs::read_to_string(root().join("docs/cli.md")).expect("docs/cli.md");
    let said = fs::read_to_string(&file).expect("the page just written");
    assert_eq!(kept, said, "docs/cli.md is old; write it anew: matron doc --cli docs/cli.md");
}

#[test]
fn relative_links_lead_to_files_and_headings() {
    let mut pages = vec![root().join("README.md"), root().join("CHANGELOG.md")];
    markdown_files(&root().join("docs"), &mut pages);
    let mut broken = Vec::new();
    for page in pages {
        let text = fs::read_to_string(&page).expect("a page");
        for link in links(&text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (path, heading) = link.split_once('#').unwrap_or((&link, ""));
            let to = match path {
                "" => page.clone(),
                path => page.parent().expect("a folder").join(path),
            };
            if !to.exists() {
                broken.push(format!("{}: {link}", page.display()));
            } else if !heading.is_empty() {
                let text = fs::read_to_string(&to).expect("the page a link leads to");
                if !headings(&text).contains(&heading.to_owned()) {
                    broken.push(format!("{}: {link} has no such heading", page.display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "links that lead nowhere:\n{}", broken.join("\n"));
}

/// Returns the targets of `[text](target)`.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut in_block = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        }
        if in_block {
            continue;
        }
        for part in line.split("](").skip(1) {
            if let Some((target, _)) = part.split_once(')') {
                found.push(target.to_owned());
            }
        }
    }
    found
}

/// Returns the addresses of a page's headings as Markdown renderers make them.
fn headings(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| line.starts_with('#'));
    lines
        .map(|line| {
            let words = line.trim_start_matches('#').trim().to_lowercase();
            let kept = words.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            kept.collect::<String>().replace(' ', "-")
        })
        .collect()
}

#[test]
fn readme_gives_every_dependency_its_reason() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml");
    let readme = fs::read_to_string(root().join("README.md")).expect("README.md");
    let mut section = "";
    let mut missing = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        } else if section.contains("dependencies]")
            && let Some((name, _)) = line.split_once(" = ")
            && !readme.contains(&format!("| {name} |"))
        {
            missing.push(name);
        }
    }
    assert!(
        missing.is_empty(),
        "README.md has no line `| NAME | why |` for: {}",
        missing.join(", ")
    );
}

#[test]
fn readme_stays_short() {
    let readme = fs::read_to_string(root().join("README.md")).expect("README.md");
    let lines = readme.lines().count();
    assert!(lines < 250, "README.md has {lines} lines; keep it under 250");
}

/// Returns the example inventories: everything below `inventories/` but what `matron lab up` writes.
fn example_inventories() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join("inventories")).expect("inventories/") {
        let folder = entry.expect("an entry").path();
        if !folder.is_dir() || folder.file_name().is_some_and(|name| name == "lab") {
            continue;
        }
        for entry in fs::read_dir(&folder).expect("a folder of an inventory") {
            let path = entry.expect("an entry").path();
            let is_source = path
                .extension()
                .is_some_and(|end| ["yml", "yaml", "ini"].iter().any(|known| end == *known));
            if path.is_file() && is_source {
                found.push(path);
            }
        }
    }
    assert!(!found.is_empty(), "there are no example inventories");
    found
}

#[test]
fn example_inventories_can_be_read() {
    for inventory in example_inventories() {
        let source = inventory.display().to_string();
        let listed = matron(&["inventory", "-i", &source, "--list"]);
        let talk = String::from_utf8_lossy(&listed.stderr);
        assert!(listed.status.success(), "{source}: {talk}");
        assert!(talk.is_empty(), "{source} gives warnings: {talk}");
        let json: serde_json::Value =
            serde_json::from_slice(&listed.stdout).expect("the list is JSON");
        assert!(json.get("databases").is_some(), "{source} has no group databases: {json}");
    }
}

#[test]
fn site_playbook_checks_with_every_example_inventory() {
    for inventory in example_inventories() {
        let source = inventory.display().to_string();
        let checked = matron(&["play", "-i", &source, "playbooks/site.yml", "--syntax-check"]);
        let talk = String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.success(), "{source}: {talk}");
    }
}
