//! The walls: no arrow between rooms runs up. Reads every `crate::room` in `src/` and checks it against the floors.

#![expect(clippy::expect_used, reason = "a failure here is a failed test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Rooms and what they may name beside themselves; `docs/architecture.md` draws it.
fn allowed() -> BTreeMap<&'static str, Vec<&'static str>> {
    let words =
        ["names", "source", "yaml", "secret", "vault", "shell", "digest", "outcome", "event"];
    let thought = ["inventory", "playbook", "vars", "template"];
    let hands = ["transport", "remote"];
    let skills = ["postgres", "modules"];
    let with = |groups: &[&[&'static str]]| groups.concat();
    let mut map = BTreeMap::new();
    for room in words {
        map.insert(room, words.to_vec());
    }
    for room in thought {
        map.insert(room, with(&[&words, &thought]));
    }
    for room in hands {
        map.insert(room, with(&[&words, &thought, &hands]));
    }
    // Modules do no I/O: they may not name the hands.
    for room in skills {
        map.insert(room, with(&[&words, &thought, &skills]));
    }
    map.insert("engine", with(&[&words, &thought, &hands, &skills, &["engine"]]));
    map.insert("record", with(&[&words, &["record"]]));
    map.insert("report", with(&[&words, &["report"]]));
    let all = with(&[&words, &thought, &hands, &skills, &["engine", "record", "report", "cli"]]);
    map.insert("cli", all.clone());
    map.insert("main", all.clone());
    map.insert("lib", all);
    map
}

fn rust_files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("src can be read") {
        let path = entry.expect("entry can be read").path();
        if path.is_dir() {
            rust_files(&path, into);
        } else if path.extension().is_some_and(|end| end == "rs") {
            into.push(path);
        }
    }
}

/// Returns the rooms a text names by `crate::room`, lists in braces included, comments left out.
fn rooms_named(text: &str) -> Vec<String> {
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    let mut rooms = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let list = match rest.strip_prefix('{') {
            Some(inner) => {
                let mut depth = 1;
                let end = inner
                    .char_indices()
                    .find(|(_, c)| {
                        match c {
                            '{' => depth += 1,
                            '}' => depth -= 1,
                            _ => {}
                        }
                        depth == 0
                    })
                    .map_or(inner.len(), |(end, _)| end);
                inner[..end].split(',').map(str::trim).map(str::to_owned).collect()
            }
            None => vec![rest.to_owned()],
        };
        for item in list {
            let room: String =
                item.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            if !room.is_empty() {
                rooms.push(room);
            }
        }
    }
    rooms
}

#[test]
fn no_arrow_runs_up() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    let allowed = allowed();
    let mut wrong = Vec::new();
    for file in &files {
        let inside = file.strip_prefix(&src).expect("file is in src");
        let first = inside.iter().next().expect("has a part").to_string_lossy().into_owned();
        let room = first.trim_end_matches(".rs").to_owned();
        let Some(may) = allowed.get(room.as_str()) else {
            wrong.push(format!("{}: room '{room}' is on no floor", inside.display()));
            continue;
        };
        let text = fs::read_to_string(file).expect("file can be read");
        for named in rooms_named(&text) {
            let is_room = allowed.contains_key(named.as_str());
            if is_room && !may.contains(&named.as_str()) {
                wrong.push(format!("{}: '{room}' may not name '{named}'", inside.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(files.len() > 10, "the tree was not found");
}

#[test]
fn every_module_is_listed() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/modules");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    let mut missing = Vec::new();
    let list = fs::read_to_string(src.join("mod.rs")).expect("modules can be read");
    for file in files {
        let text = fs::read_to_string(&file).expect("file can be read");
        for line in text.lines() {
            let Some(rest) = line.strip_prefix("impl Module for ") else { continue };
            let name = rest.trim_end_matches([' ', '{']);
            if !list.contains(&format!("::{name},")) {
                missing.push(format!("{name} in {}", file.display()));
            }
        }
    }
    assert!(missing.is_empty(), "not in modules::ALL: {}", missing.join(", "));
}
