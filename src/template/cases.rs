//! What ansible-core 2.19.14 was seen to answer, expression by expression.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use minijinja::Value;

use super::{Outside, Templar, TemplateErrorKind};
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

#[test]
fn conditions_must_be_boolean() {
    let (templar, scope) = world(VARIABLES);
    let mut wrong = Vec::new();
    for line in include_str!("cases/conditions.txt").lines() {
        let (text, expected) = line.split_once(" ==> ").expect("a case has an arrow");
        let got = match templar.condition_text(text, None, &scope) {
            Ok(verdict) => verdict.to_string(),
            Err(error) => format!("! {error}"),
        };
        if got != expected {
            wrong.push(format!("{text}\n   wanted {expected}\n   got    {got}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn errors_point_into_the_value() {
    let sources = Sources::default();
    let text = "msg: 'hello {{ n + nope }}'\n";
    let file = sources.add("play.yml", text);
    let node = crate::yaml::parse_one(&sources, file).expect("YAML");
    let templar = Templar::new(sources, Arc::new(MemoryFiles::default()), Arc::new(Quiet));
    let scope = Value::from_pairs([("n", 1)]);
    let message = node.get("msg").expect("msg");
    let error = templar.resolve(message, &scope).expect_err("nope is undefined");
    let span = error.span.expect("a place");
    let part = text.get(span.start as usize..span.end as usize);
    assert_eq!((error.message.as_str(), part), ("'nope' is undefined", Some("n + nope")));
}

#[test]
fn check_names_an_unknown_filter_without_evaluating() {
    let (templar, _) = world("{}");
    let found =
        templar.check("{{ secret | no_such }} {{ x is nothing }}", None).map_err(|e| e.message);
    assert_eq!(found, Err("Syntax error in template: No filter named 'no_such'.".to_owned()));
    assert_eq!(
        templar.check_expression("x is version('1', '>') and y | ansible.builtin.bool", None),
        Ok(())
    );
}

fn rendered(text: &str, files: &[(&str, &str)]) -> String {
    let (templar, scope) = world(VARIABLES);
    let templar =
        Templar::new(templar.sources().clone(), Arc::new(MemoryFiles::of(files)), Arc::new(Quiet));
    let options = super::TemplateOptions::default();
    let search = [PathBuf::from("/role/templates")];
    match templar.file(text, Path::new("/play/a.j2"), &options, &scope, &search) {
        Ok(text) => text,
        Err(error) => format!("! {error}"),
    }
}

#[test]
fn template_files_trim_blocks_and_keep_their_last_line_end() {
    let text = "a\n{% for i in l %}\n- {{ i }}\n{% endfor %}\n{{ 'x\\ty' }}\n";
    assert_eq!(rendered(text, &[]), "a\n- 3\n- 1\n- 2\nx\ty\n");
}

#[test]
fn header_line_overrides_options() {
    let text = "#jinja2: trim_blocks:False, variable_start_string:'[%', variable_end_string:'%]'\n[% n %] {{ n }}{% if true %}\ny{% endif %}\n";
    assert_eq!(rendered(text, &[]), "5 {{ n }}\ny\n");
}

#[test]
fn includes_and_imports_come_from_the_search_path() {
    let files = [
        ("/role/templates/b.j2", "B{{ n }}\n"),
        ("/play/m.j2", "{% macro m(x) %}<{{ x }}>{% endmacro %}"),
    ];
    let text = "{% include 'b.j2' %}\n{% from 'm.j2' import m %}{{ m(1) }}\n";
    assert_eq!(rendered(text, &files), "B5\n<1>\n");
}

#[test]
fn missing_include_names_the_paths_searched() {
    let text = "{% include 'c.j2' %}";
    let wanted = "! template 'c.j2' was not found; searched: /role/templates/c.j2, /play/c.j2";
    assert_eq!(rendered(text, &[]), wanted);
}

#[test]
fn undefined_in_a_template_file_is_named_with_its_line() {
    assert_eq!(
        rendered("a\n{{ d.q }}\n", &[]),
        "! object of type 'dict' has no attribute 'q' (/play/a.j2:2)"
    );
}

#[test]
fn data_is_never_templated_again() {
    let (templar, _) = world("{}");
    let mut layers = Layers::default();
    let values = [("out".to_owned(), Value::from("{{ 1 + 1 }}"))];
    layers.push(Rank::SetFacts, Arc::new(Layer::data(values, "register")));
    let scope = scope(Arc::new(layers), &templar);
    let got = templar.text("{{ out }}", None, &scope).map(|value| value.to_string());
    assert_eq!(got, Ok("{{ 1 + 1 }}".to_owned()));
}

#[test]
fn a_no_break_space_inside_braces_is_a_space() {
    assert_eq!(answer("{{\u{a0}n\u{a0}}}"), "5");
}

#[test]
fn quote_that_is_never_closed_is_a_mistake_whatever_stands_behind_it() {
    let (templar, scope) = world(VARIABLES);
    for text in [r"'\é", r"'\", r"'", r#""\n é"#] {
        let error = templar.expression(text, None, &scope).expect_err(text);
        assert_eq!(error.kind, TemplateErrorKind::Syntax, "{text}: {}", error.message);
    }
}

#[test]
fn templating_costs_microseconds() {
    let (templar, scope) = world(VARIABLES);
    let time = |text: &str| {
        let started = std::time::Instant::now();
        for _ in 0..1_000 {
            templar.text(text, None, &scope).expect("has a value");
        }
        started.elapsed() / 1_000
    };
    for text in [
        "{{ n }}",
        "x{{ d.y }}y",
        "{{ nope.a | default('x') }}",
        "{% for i in l %}{{ i }}{% endfor %}",
    ] {
        let took = time(text);
        println!("{took:?} {text}");
        assert!(took < std::time::Duration::from_millis(1), "{text} took {took:?}");
    }
}
