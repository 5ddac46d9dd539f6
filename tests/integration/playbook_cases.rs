//! Playbooks in, trees or mistakes out. A case is one text file: `=== FILE` starts a file of the project (`site.yml` is the
//! playbook), `=== expected` what comes of it. On a difference the outcome is written beside the case as `NAME.new`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use matron::playbook::tags::Selection;
use matron::playbook::{
    Block, Catalog, Common, EarlyVars, Item, Loader, Play, Playbook, RoleUse, Task,
};
use matron::source::{Diagnostic, Fault, MemoryFiles, Severity, Sources};
use matron::yaml::{self, Node};

#[derive(Debug)]
struct Modules;

const NAMES: [&str; 19] = [
    "apt",
    "assert",
    "command",
    "copy",
    "debug",
    "fail",
    "file",
    "lineinfile",
    "ping",
    "raw",
    "script",
    "service",
    "set_fact",
    "shell",
    "stat",
    "systemd",
    "template",
    "postgresql_user",
    "docker_container",
];

impl Catalog for Modules {
    fn is_module(&self, name: &str) -> bool {
        NAMES.contains(&name)
    }

    fn takes_free_form(&self, name: &str) -> bool {
        ["command", "raw", "script", "shell"].contains(&name)
    }

    fn names(&self) -> Vec<&'static str> {
        NAMES.to_vec()
    }
}

/// Renders `{{ name }}` from the variables around it.
struct Around;

impl EarlyVars for Around {
    fn render(&self, text: &str, vars: &[(Node, Node)]) -> Result<String, String> {
        let mut out = text.to_owned();
        for (key, value) in vars.iter().rev() {
            let name = key.raw().unwrap_or_default();
            out = out.replace(&format!("{{{{ {name} }}}}"), value.raw().unwrap_or_default());
        }
        match out.split_once("{{ ") {
            Some((_, rest)) => {
                let name = rest.split(" }}").next().unwrap_or_default();
                Err(format!("'{name}' is undefined"))
            }
            None => Ok(out),
        }
    }
}

fn cases_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/playbook")
}

fn load(files: &[(&str, &str)]) -> String {
    let sources = Sources::default();
    let files = Arc::new(MemoryFiles::of(files));
    let roles = vec![PathBuf::from("shared_roles")];
    let loader = Loader::new(sources.clone(), files, &Modules, roles);
    let mut out = String::new();
    match loader.playbook(Path::new("site.yml"), &Around) {
        Ok((playbook, warnings)) => {
            for warning in &warnings {
                out.push_str(&said(warning, &sources));
            }
            Dump { sources: &sources, out: &mut out }.playbook(&playbook);
        }
        Err(found) => {
            for one in &found.0 {
                out.push_str(&said(one, &sources));
            }
        }
    }
    out
}

fn said(one: &Diagnostic, sources: &Sources) -> String {
    let place = one.labels.first().and_then(|label| sources.locate(label.span));
    let place = place.map_or_else(|| "nowhere".to_owned(), |place| place.to_string());
    let severity = match (one.severity, one.fault) {
        (Severity::Warning, _) => "warning",
        (Severity::Error, Fault::Written) => "error",
        (Severity::Error, Fault::Missing) => "missing",
    };
    let mut text = format!("{place}: {severity}: {}\n", one.message);
    for hint in &one.hints {
        let _ = writeln!(text, "  hint: {hint}");
    }
    text
}

struct Dump<'a> {
    sources: &'a Sources,
    out: &'a mut String,
}

impl Dump<'_> {
    fn line(&mut self, depth: usize, text: &str) {
        let _ = writeln!(self.out, "{:1$}{text}", "", depth * 2);
    }

    fn playbook(&mut self, playbook: &Playbook) {
        for play in &playbook.plays {
            self.play(play);
        }
    }

    fn play(&mut self, play: &Play) {
        let at = self.sources.locate(play.span).map(|at| at.to_string()).unwrap_or_default();
        let mut words = format!("play {at} hosts={}", json(&play.hosts));
        let dir = play.playbook_dir.display().to_string();
        if !dir.is_empty() {
            let _ = write!(words, " playbook_dir={dir}");
        }
        words.push_str(&name(play.name.as_ref()));
        words.push_str(&common(&play.common));
        for (key, value) in [
            ("gather_facts", &play.gather_facts),
            ("gather_subset", &play.gather_subset),
            ("gather_timeout", &play.gather_timeout),
            ("fact_path", &play.fact_path),
            ("serial", &play.serial),
            ("strategy", &play.strategy),
            ("order", &play.order),
            ("max_fail_percentage", &play.max_fail_percentage),
            ("force_handlers", &play.force_handlers),
        ] {
            words.push_str(&maybe(key, value.as_ref()));
        }
        words.push_str(&list("vars_files", &play.vars_files));
        words.push_str(&list("vars_prompt", &play.vars_prompt));
        self.line(0, &words);
        for (title, items) in [
            ("pre_tasks", &play.pre_tasks),
            ("roles", &play.roles),
            ("tasks", &play.tasks),
            ("post_tasks", &play.post_tasks),
            ("handlers", &play.handlers),
        ] {
            self.items(1, title, items);
        }
    }

    fn items(&mut self, depth: usize, title: &str, items: &[Item]) {
        if items.is_empty() {
            return;
        }
        self.line(depth, &format!("{title}:"));
        for item in items {
            match item {
                Item::Task(task) => self.task(depth + 1, task),
                Item::Block(block) => self.block(depth + 1, block),
            }
        }
    }

    fn block(&mut self, depth: usize, block: &Block) {
        let mut words = "block".to_owned();
        words.push_str(&name(block.name.as_ref()));
        words.push_str(&list("when", &block.when));
        words.push_str(&list("notify", &block.notify));
        words.push_str(&maybe("delegate_to", block.delegate.to.as_ref()));
        words.push_str(&maybe("delegate_facts", block.delegate.facts.as_ref()));
        words.push_str(&common(&block.common));
        self.line(depth, &words);
        if let Some(used) = &block.role {
            self.role(depth + 1, used);
        }
        self.items(depth + 1, "tasks", &block.block);
        self.items(depth + 1, "rescue", &block.rescue);
        self.items(depth + 1, "always", &block.always);
    }

    fn role(&mut self, depth: usize, used: &RoleUse) {
        let role = &used.role;
        let mut words = format!("role {} in {}", role.name, role.path.display());
        words.push_str(&pairs("params", &used.params));
        words.push_str(&pairs("defaults", &role.defaults));
        words.push_str(&pairs("vars", &role.vars));
        if let Some(spec) = &role.argument_spec {
            let _ = write!(words, " argument_spec={}", json(spec));
        }
        if used.allow_duplicates {
            words.push_str(" allow_duplicates");
        }
        if !used.public {
            words.push_str(" private");
        }
        if !used.parents.is_empty() {
            let _ = write!(words, " parents={}", used.parents.join(","));
        }
        self.line(depth, &words);
        self.items(depth + 1, "dependencies", &used.dependencies);
        self.items(depth + 1, "handlers", &role.handlers);
    }

    fn task(&mut self, depth: usize, task: &Task) {
        let action = &task.action;
        let at = self.sources.locate(action.span);
        let at = at.map(|at| format!("{}:{}", at.line, at.column)).unwrap_or_default();
        let mut words = format!("{} {at}", action.name);
        if action.written != action.name {
            let _ = write!(words, " written={}", action.written);
        }
        if let Some(text) = &action.free_form {
            let _ = write!(words, " free_form={}", json(text));
        }
        for argument in &action.named {
            let at = self.sources.locate(argument.span);
            let at = at.map(|at| format!("{}:{}", at.line, at.column)).unwrap_or_default();
            let _ = write!(words, " {}@{at}={}", argument.name, json(&argument.value));
        }
        words.push_str(&maybe("whole", action.whole.as_ref()));
        words.push_str(&name(task.name.as_ref()));
        words.push_str(&list("when", &task.when));
        for (key, value) in [
            ("changed_when", &task.changed_when),
            ("failed_when", &task.failed_when),
            ("until", &task.until),
            ("break_when", &task.loop_control.break_when),
        ] {
            if let Some(conditions) = value {
                let _ = write!(words, " {key}=[{}]", joined(conditions));
            }
        }
        if let Some(repeat) = &task.repeat {
            let kind = repeat.lookup.as_deref().map_or("loop".to_owned(), |l| format!("with_{l}"));
            let _ = write!(words, " {kind}={}", json(&repeat.over));
        }
        for (key, value) in [
            ("loop_var", &task.loop_control.loop_var),
            ("index_var", &task.loop_control.index_var),
            ("label", &task.loop_control.label),
            ("pause", &task.loop_control.pause),
            ("extended", &task.loop_control.extended),
            ("retries", &task.retries),
            ("delay", &task.delay),
            ("register", &task.register),
            ("delegate_to", &task.delegate.to),
            ("delegate_facts", &task.delegate.facts),
            ("async", &task.asynchronous),
            ("poll", &task.poll),
        ] {
            words.push_str(&maybe(key, value.as_ref()));
        }
        words.push_str(&list("notify", &task.notify));
        words.push_str(&list("listen", &task.listen));
        words.push_str(&common(&task.common));
        if !task.folder.as_os_str().is_empty() {
            let _ = write!(words, " folder={}", task.folder.display());
        }
        self.line(depth, &words);
    }
}

fn common(common: &Common) -> String {
    let mut words = String::new();
    words.push_str(&pairs("vars", &common.vars));
    words.push_str(&list("tags", &common.tags));
    words.push_str(&list("environment", &common.environment));
    words.push_str(&list("module_defaults", &common.module_defaults));
    for (key, value) in [
        ("become", &common.r#become),
        ("become_user", &common.become_user),
        ("become_method", &common.become_method),
        ("become_flags", &common.become_flags),
        ("become_exe", &common.become_exe),
        ("connection", &common.connection),
        ("remote_user", &common.remote_user),
        ("port", &common.port),
        ("check_mode", &common.check_mode),
        ("diff", &common.diff),
        ("no_log", &common.no_log),
        ("ignore_errors", &common.ignore_errors),
        ("ignore_unreachable", &common.ignore_unreachable),
        ("any_errors_fatal", &common.any_errors_fatal),
        ("run_once", &common.run_once),
        ("throttle", &common.throttle),
        ("timeout", &common.timeout),
        ("debugger", &common.debugger),
    ] {
        words.push_str(&maybe(key, value.as_ref()));
    }
    words
}

fn json(node: &Node) -> String {
    yaml::to_json(node).to_string()
}

fn name(node: Option<&Node>) -> String {
    maybe("name", node)
}

fn maybe(key: &str, node: Option<&Node>) -> String {
    node.map(|node| format!(" {key}={}", json(node))).unwrap_or_default()
}

fn joined(nodes: &[Node]) -> String {
    nodes.iter().map(json).collect::<Vec<_>>().join(", ")
}

fn list(key: &str, nodes: &[Node]) -> String {
    if nodes.is_empty() { String::new() } else { format!(" {key}=[{}]", joined(nodes)) }
}

fn pairs(key: &str, entries: &[(Node, Node)]) -> String {
    if entries.is_empty() {
        return String::new();
    }
    let texts: Vec<String> = entries
        .iter()
        .map(|(name, value)| format!("{}: {}", name.raw().unwrap_or_default(), json(value)))
        .collect();
    format!(" {key}={{{}}}", texts.join(", "))
}

/// Splits a case into its files and what is expected.
fn sections(text: &str) -> BTreeMap<&str, &str> {
    let mut sections = BTreeMap::new();
    for part in text.split("=== ").skip(1) {
        let (head, body) = part.split_once('\n').unwrap_or((part, ""));
        sections.insert(head.trim(), body);
    }
    sections
}

#[test]
fn each_case_gives_its_tree_or_its_mistakes() {
    let mut differ = Vec::new();
    let mut count = 0;
    for entry in fs::read_dir(cases_folder()).expect("cases are there") {
        let path = entry.expect("entry can be read").path();
        if path.extension().is_none_or(|end| end != "txt") {
            continue;
        }
        count += 1;
        let text = fs::read_to_string(&path).expect("case can be read");
        let mut files = sections(&text);
        let expected = files.remove("expected").unwrap_or_default();
        let files: Vec<(&str, &str)> = files.into_iter().collect();
        let outcome = load(&files);
        if outcome.trim() != expected.trim() {
            let head = text.split("=== expected").next().unwrap_or_default();
            fs::write(path.with_extension("new"), format!("{head}=== expected\n{outcome}"))
                .expect("outcome can be written");
            differ.push(format!("{}:\n{outcome}", path.display()));
        }
    }
    assert!(count > 10, "the cases were not found");
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

#[test]
fn bench_workloads_load_without_a_mistake() {
    for (name, tasks) in [("w1", 1), ("w2", 25), ("w3", 2), ("w4", 1)] {
        let path = cases_folder().join("workloads").join(format!("{name}.yml"));
        let text = fs::read_to_string(path).expect("workload can be read");
        let tree = load(&[("site.yml", &text)]);
        assert!(tree.starts_with("play site.yml:"), "{name}: {tree}");
        let found = tree.lines().filter(|line| line.contains("written=ansible.builtin.")).count();
        assert_eq!(found, tasks, "{name}: {tree}");
    }
}

/// The table was made by `ansible-playbook --list-tasks` (2.19) with these tags on tasks and on the command line.
#[test]
fn tag_selection_agrees_with_what_ansible_lists() {
    let text = fs::read_to_string(cases_folder().join("tags.json")).expect("table can be read");
    let table: serde_json::Value = serde_json::from_str(&text).expect("table is JSON");
    let words = |value: &serde_json::Value| -> Vec<String> {
        serde_json::from_value(value.clone()).expect("a list of tags")
    };
    let lists = |value: &serde_json::Value| -> Vec<Vec<String>> {
        serde_json::from_value(value.clone()).expect("lists of tags")
    };
    let tasks = lists(&table["tasks"]);
    let mut differ = Vec::new();
    for row in table["selections"].as_array().expect("rows") {
        let selection = Selection::new(&words(&row["only"]), &words(&row["skip"]));
        let runs: Vec<Vec<String>> =
            tasks.iter().filter(|tags| selection.takes(tags)).cloned().collect();
        if runs != lists(&row["runs"]) {
            differ.push(format!("{row}: here {runs:?}"));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

/// Cuts each valid case at every line and drops each line once: the loader answers, whatever is left.
#[test]
fn torn_playbooks_give_mistakes_and_no_panic() {
    for case in ["task-forms", "task-keywords", "play-keywords", "every-mistake-at-once"] {
        let path = cases_folder().join(format!("{case}.txt"));
        let text = fs::read_to_string(path).expect("case can be read");
        let files = sections(&text);
        let lines: Vec<&str> = files["site.yml"].lines().collect();
        for at in 0..lines.len() {
            let cut = lines[..at].join("\n");
            let without = [&lines[..at], &lines[at + 1..]].concat().join("\n");
            let half = &lines[at][..lines[at].len() / 2];
            let torn = [&lines[..at], &[half], &lines[at + 1..]].concat().join("\n");
            for text in [cut, without, torn] {
                assert!(!load(&[("site.yml", &text)]).is_empty(), "nothing said about:\n{text}");
            }
        }
    }
}
