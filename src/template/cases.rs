//! What ansible-core 2.19.14 was seen to answer, expression by expression.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use minijinja::Value;

use super::{Outside, Templar};
use crate::source::{MemoryFiles, Sources};
use crate::vars::{Layer, Layers, Rank, scope};

/// An outside that answers without one.
#[derive(Debug)]
pub(super) struct Quiet;

impl Outside for Quiet {
    fn env(&self, name: &str) -> Option<String> {
        (name == "HOME").then(|| "/root".to_owned())
    }
    fn pipe(&self, command: &str, _: &Path) -> Result<String, String> {
        Ok(command.strip_prefix("echo ").unwrap_or_default().replace("; echo ", "\n") + "\n")
    }
    fn keep(&self, _: &Path, _: &str) -> Result<(), String> {
        Ok(())
    }
    fn glob(&self, pattern: &str) -> Vec<PathBuf> {
        vec![PathBuf::from(pattern.replace('*', "s"))]
    }
    fn now(&self) -> (i64, u32, i32) {
        (1_577_934_245, 0, 0)
    }
    fn random(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

/// Makes a templar and a scope from the text of variables.
pub(super) fn world(variables: &str) -> (Templar, Value) {
    let sources = Sources::default();
    let file = sources.add("vars.yml", variables);
    let node = crate::yaml::parse_one(&sources, file).expect("variables are YAML");
    let files = MemoryFiles::of(&[
        ("/x.j2", "T {{ n }}\n"),
        ("/x.csv", "a,1\nb,2\n"),
        ("/x.ini", "[s]\nk = v\n"),
        ("/etc/hosts", "h\n"),
        ("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
    ]);
    let templar = Templar::new(sources, Arc::new(files), Arc::new(Quiet));
    let mut layers = Layers::default();
    layers.push(
        Rank::PlayVars,
        Arc::new(Layer::written(node.as_map().unwrap_or_default(), "play vars")),
    );
    let scope = scope(Arc::new(layers), &templar);
    (templar, scope)
}

const VARIABLES: &str = r#"
a: "{{ nope }}"
d: {x: "{{ nope }}", y: 1, z: "{{ d.y }}"}
l: [3, 1, 2]
r1: "{{ r2 }}"
r2: "{{ r1 }}"
e: {}
n: 5
cond: "n == 5"
lists: {a: [1, 2], b: {c: 1}}
"#;

/// Returns a template's value as JSON, or `! ` and the error's text.
pub(super) fn answer(text: &str) -> String {
    let (templar, scope) = world(VARIABLES);
    match templar.text(text, None, &scope) {
        Ok(value) => serde_json::to_string(&value).unwrap_or_else(|error| format!("!! {error}")),
        Err(error) => format!("! {error}"),
    }
}

fn check(table: &str) {
    let mut wrong = Vec::new();
    for line in table.lines().filter(|line| !line.trim().is_empty()) {
        let (text, expected) = line.split_once(" ==> ").expect("a case has an arrow");
        let text = match text.trim().strip_prefix("RAW:") {
            Some(raw) => raw.replace("⏎", "\n"),
            None => format!("{{{{ {} }}}}", text.trim()),
        };
        let got = answer(&text);
        if got != expected.trim() {
            wrong.push(format!("{text}\n   wanted {}\n   got    {got}", expected.trim()));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn types_and_text_are_as_ansible_gives_them() {
    check(include_str!("cases/types.txt"));
}

#[test]
fn undefined_is_strict_but_passes_through_guards() {
    check(include_str!("cases/undefined.txt"));
}

#[test]
fn filters_tests_and_lookups_answer_as_ansible_does() {
    check(include_str!("cases/library.txt"));
}
