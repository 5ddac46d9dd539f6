//! Playbooks run on this machine, held against what ansible-core 2.19 said to the same playbooks
//! (`tests/cases/engine/NAME.expected`, written by `tests/cases/capture.sh`).

#![expect(clippy::expect_used, clippy::panic, reason = "tests stop where something is wrong")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use matron::engine::{self, Early, Options, Person, World};
use matron::event::{Event, EventSink, Tally};
use matron::inventory::Inventory;
use matron::names::HostName;
use matron::outcome::Status;
use matron::playbook::Loader;
use matron::secret::Redactor;
use matron::source::{Files, Sources};
use matron::template::Outside;
use matron::vars::Layer;
use serde_json::{Map, Value as Json};

#[derive(Debug)]
struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn is_file(&self, path: &Path) -> bool {
        path.is_file()
    }

    fn is_dir(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut names: Vec<String> = std::fs::read_dir(path)?
            .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
            .collect::<Result<_, _>>()?;
        names.sort();
        Ok(names)
    }

    fn is_executable(&self, _path: &Path) -> bool {
        false
    }
}

#[derive(Debug)]
struct Nothing;

impl Outside for Nothing {
    fn env(&self, _name: &str) -> Option<String> {
        None
    }

    fn pipe(&self, _command: &str, _folder: &Path) -> Result<String, String> {
        Err("nothing is run in tests".to_owned())
    }

    fn keep(&self, _path: &Path, _text: &str) -> Result<(), String> {
        Err("nothing is written in tests".to_owned())
    }

    fn glob(&self, _pattern: &str) -> Vec<PathBuf> {
        Vec::new()
    }

    fn now(&self) -> (i64, u32, i32) {
        (0, 0, 0)
    }

    fn random(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

struct Nobody;

#[async_trait::async_trait]
impl engine::Ask for Nobody {
    async fn ask(&self, _question: &matron::modules::Question) -> Option<String> {
        None
    }
}

#[derive(Default)]
struct Log(Mutex<Vec<Event>>);

impl EventSink for Log {
    fn take(&self, event: &Event) {
        self.0.lock().expect("no panic while logging").push(event.clone());
    }
}

/// A run and what came of it.
struct Ran {
    events: Vec<Event>,
    exit: u8,
}

fn world(options: Options, log: Arc<Log>, extra: Layer) -> World {
    World {
        options,
        sources: Sources::default(),
        files: Arc::new(Disk),
        outside: Arc::new(Nothing),
        extra: Arc::new(extra),
        roles_path: Vec::new(),
        events: log,
        redactor: Redactor::default(),
        cancel: tokio_util::sync::CancellationToken::new(),
        asker: Arc::new(Nobody),
        person: Person {
            user: "root".to_owned(),
            home: PathBuf::from("/root"),
            agent: None,
            folder: PathBuf::from("."),
            hostname: "here".to_owned(),
        },
        connections: None,
    }
}

/// Reads the words of a case's first line as flags.
fn flags(text: &str) -> (Options, Layer) {
    let mut options = Options { forks: 5, ..Options::default() };
    let mut extra: Vec<(String, minijinja::Value)> = Vec::new();
    let line = text.lines().next().and_then(|line| line.strip_prefix("# args: ")).unwrap_or("");
    let mut words = line.split(' ').filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        let mut value = || words.next().expect("a flag has a value").to_owned();
        match word {
            "--tags" => options.tags.push(value()),
            "--skip-tags" => options.skip_tags.push(value()),
            "--limit" => options.limit = Some(value()),
            "--check" => options.check = true,
            "--diff" => options.diff = true,
            "--force-handlers" => options.force_handlers = true,
            "--start-at-task" => {
                let rest: Vec<&str> = words.by_ref().collect();
                options.start_at_task = Some(rest.join(" ").trim_matches('"').to_owned());
                if let Some(task) = &mut options.start_at_task
                    && let Some((_, quoted)) = line.split_once('"')
                {
                    quoted.trim_end_matches('"').clone_into(task);
                }
            }
            "-e" => {
                let pair = value();
                let (name, text) = pair.split_once('=').expect("-e name=value");
                extra.push((name.to_owned(), minijinja::Value::from(text)));
            }
            other => panic!("the tests do not know the flag {other}"),
        }
    }
    (options, Layer::data(extra, "-e"))
}

async fn play(path: &Path) -> Ran {
    let text = std::fs::read_to_string(path).expect("case can be read");
    let (options, extra) = flags(&text);
    let log = Arc::new(Log::default());
    let world = world(options, log.clone(), extra);
    let folder = path.parent().expect("case has a folder");
    let hosts = folder.join("hosts").display().to_string();
    let (mut inventory, _) =
        Inventory::load(&[hosts], &*world.files, &world.sources).expect("inventory loads");
    inventory.load_group_vars(folder, &*world.files, &world.sources).expect("group_vars load");
    let loader = Loader::new(
        world.sources.clone(),
        world.files.clone(),
        engine::catalog(),
        world.roles_path.clone(),
    );
    let (playbook, _) = loader
        .playbook(path, &Early::new(&world))
        .unwrap_or_else(|errors| panic!("{} does not load: {errors}", path.display()));
    let playbooks = vec![playbook];
    if let Err(errors) = engine::check(&world, &inventory, &playbooks) {
        panic!("{} is refused: {errors}", path.display());
    }
    let result = engine::run(&world, inventory, playbooks).await;
    let events = log.0.lock().expect("no panic while logging").clone();
    Ran { events, exit: result.exit }
}

fn who(host: &HostName, delegated: Option<&HostName>) -> String {
    delegated.map_or_else(|| format!("[{host}]"), |to| format!("[{host} -> {to}]"))
}

fn sorted(value: &Json) -> String {
    match value {
        Json::Object(map) => {
            let map: BTreeMap<&String, &Json> = map.iter().collect();
            let parts: Vec<String> = map
                .into_iter()
                .map(|(key, value)| format!("{}: {}", Json::from(key.as_str()), sorted(value)))
                .collect();
            format!("{{{}}}", parts.join(", "))
        }
        Json::Array(items) => {
            format!("[{}]", items.iter().map(sorted).collect::<Vec<_>>().join(", "))
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => value.to_string(),
    }
}

fn tail(status: Status, result: &Map<String, Json>) -> String {
    if matches!(status, Status::Failed | Status::Unreachable) {
        let text = result.get("msg").or(result.get("reason")).cloned().unwrap_or(Json::from(""));
        return format!(" => {}", text.as_str().map_or_else(|| sorted(&text), plain));
    }
    if result.get("_ansible_verbose_always") != Some(&Json::Bool(true)) {
        return String::new();
    }
    let shown: Map<String, Json> = result
        .iter()
        .filter(|(key, _)| !key.starts_with("_ansible_") && key.as_str() != "failed")
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    format!(" => {}", sorted(&Json::Object(shown)))
}

/// Takes off what `reduce.py` takes off: places, and long tails of messages.
fn plain(text: &str) -> String {
    let here = format!("{}/", cases().display());
    let mut text = text.replace(&here, "");
    for end in ["on the Ansible Controller", "was not found"] {
        if let Some(at) = text.find(end)
            && (end.starts_with("on") || text.contains("the role '"))
        {
            text.truncate(at + end.len());
        }
    }
    if let (Some(at), Some(end)) = (text.find(" at '"), text.find("'. Conditionals")) {
        text.replace_range(at..=end, "");
    }
    text
}

fn counts(tally: &Tally) -> String {
    format!(
        "ok={} changed={} unreachable={} failed={} skipped={} rescued={} ignored={}",
        tally.ok,
        tally.changed,
        tally.unreachable,
        tally.failed,
        tally.skipped,
        tally.rescued,
        tally.ignored
    )
}

/// Writes a run in the same reduced form as `tests/cases/reduce.py`.
fn reduced(ran: &Ran) -> String {
    let mut out = String::new();
    let mut block: Vec<(String, String)> = Vec::new();
    let flush = |block: &mut Vec<(String, String)>, out: &mut String| {
        block.sort_by(|a, b| a.0.cmp(&b.0));
        for (_, line) in block.drain(..) {
            let _ = writeln!(out, "{line}");
        }
    };
    let word = |status: Status, item: bool| match (status, item) {
        (Status::Ok, _) => "ok",
        (Status::Changed, _) => "changed",
        (Status::Skipped, _) => "skipping",
        (Status::Failed, true) => "failed",
        (Status::Failed | Status::Unreachable, _) => "fatal",
    };
    for event in &ran.events {
        match event {
            Event::PlayStarted { name, .. } => {
                flush(&mut block, &mut out);
                let _ = writeln!(out, "PLAY [{name}]");
            }
            Event::TaskStarted { name, handler, .. } => {
                flush(&mut block, &mut out);
                let head = if *handler { "RUNNING HANDLER" } else { "TASK" };
                let _ = writeln!(out, "{head} [{name}]");
            }
            Event::NoHostsMatched {} => out.push_str("skipping: no hosts matched\n"),
            Event::NoHostsRemaining {} => {
                flush(&mut block, &mut out);
                out.push_str("NO MORE HOSTS LEFT\n");
            }
            Event::ItemDone { host, delegated, label, status, ignored, result, .. } => {
                let mut line = format!(
                    "{}: {} (item={label}){}",
                    word(*status, true),
                    who(host, delegated.as_ref()),
                    tail(*status, result)
                );
                // Ansible says it once, at the loop's end.
                let _ = ignored;
                if line.ends_with(' ') {
                    line.pop();
                }
                block.push((host.to_string(), line));
            }
            Event::HostDone { host, delegated, status, ignored, looped, result, .. } => {
                let shown = !looped
                    || *status == Status::Skipped
                    || (*status == Status::Failed && !result.contains_key("results"));
                if *looped
                    && *ignored
                    && !shown
                    && let Some((_, line)) = block.last_mut()
                {
                    line.push_str(" ...ignoring");
                }
                if shown {
                    let head = match status {
                        Status::Failed | Status::Unreachable => {
                            let kind =
                                if *status == Status::Failed { "FAILED" } else { "UNREACHABLE" };
                            format!("fatal: {}: {kind}!", who(host, delegated.as_ref()))
                        }
                        Status::Ok | Status::Changed | Status::Skipped => {
                            format!("{}: {}", word(*status, false), who(host, delegated.as_ref()))
                        }
                    };
                    let ignoring = if *ignored { " ...ignoring" } else { "" };
                    let line = format!("{head}{}{ignoring}", tail(*status, result));
                    block.push((host.to_string(), line));
                }
            }
            Event::Included { what, hosts, label } => {
                let name = Path::new(what).file_name().map(|name| name.to_string_lossy());
                let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
                let label =
                    label.as_ref().map(|label| format!(" => (item={label})")).unwrap_or_default();
                let name = name.unwrap_or_default();
                block.push((
                    String::new(),
                    format!("included: {name} for {}{label}", hosts.join(", ")),
                ));
            }
            Event::Retrying { host, name, left, .. } => {
                let line = format!("FAILED - RETRYING: [{host}]: {name} ({left} retries left).");
                block.push((host.to_string(), line));
            }
            Event::RunEnded { recap, .. } => {
                flush(&mut block, &mut out);
                for (host, tally) in recap {
                    let _ = writeln!(out, "{host} : {}", counts(tally));
                }
            }
            Event::RunStarted { .. }
            | Event::Progress { .. }
            | Event::Line { .. }
            | Event::HostStarted { .. }
            | Event::Meta { .. }
            | Event::Note { .. }
            | Event::CustomStats { .. } => {}
        }
    }
    let _ = writeln!(out, "exit {}", ran.exit);
    out
}

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/engine")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn playbooks_end_as_they_do_under_ansible() {
    let mut names: Vec<PathBuf> = std::fs::read_dir(cases())
        .expect("cases can be listed")
        .map(|entry| entry.expect("entry can be read").path())
        .filter(|path| path.extension().is_some_and(|end| end == "yml"))
        .collect();
    names.sort();
    assert!(names.len() >= 40, "the cases were not found");
    let only = option_env!("ENGINE_CASE");
    let mut wrong = String::new();
    for path in names {
        let name = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
        if only.is_some_and(|only| only != name) {
            continue;
        }
        let expected = std::fs::read_to_string(path.with_extension("expected"))
            .unwrap_or_else(|error| panic!("{name}.expected: {error}"));
        let got = reduced(&play(&path).await);
        if got != expected {
            let diff = similar::TextDiff::from_lines(&expected, &got)
                .unified_diff()
                .context_radius(2)
                .header("ansible", "matron")
                .to_string();
            let _ = writeln!(wrong, "== {name}\n{diff}");
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// Returns what the checks before a run say to a playbook, as `line:column message (hint)`.
fn refused(text: &str) -> Vec<String> {
    let log = Arc::new(Log::default());
    let mut world = world(Options { forks: 5, ..Options::default() }, log, Layer::default());
    world.files = Arc::new(matron::source::MemoryFiles::of(&[("site.yml", text)]));
    let loader = Loader::new(
        world.sources.clone(),
        world.files.clone(),
        engine::catalog(),
        world.roles_path.clone(),
    );
    let (playbook, _) =
        loader.playbook(Path::new("site.yml"), &Early::new(&world)).expect("playbook loads");
    let errors = engine::check(&world, &Inventory::default(), &[playbook]).err();
    let errors = errors.map(|all| all.0).unwrap_or_default();
    errors
        .iter()
        .map(|one| {
            let place = one.labels.first().and_then(|label| world.sources.locate(label.span));
            let place = place.map(|at| format!("{}:{} ", at.line, at.column)).unwrap_or_default();
            let hint = one.hints.first().map(|hint| format!(" ({hint})")).unwrap_or_default();
            format!("{place}{}{hint}", one.message)
        })
        .collect()
}

#[test]
fn every_mistake_is_told_with_its_place_before_anything_runs() {
    let text = r#"- hosts: all
  strategy: lineer
  tasks:
    - copy: {content: x, desst: /tmp/x}
    - file: {path: /tmp/x, state: direktory, mode: 644}
    - debug: {msg: "{{ x | nosuchfilter }}"}
      when: x is nosuchtest
    - command: "true"
      notify: restrat
      become: true
      become_method: doas
    - set_fact: {anything: goes}
    - command: sleep 5
      async: 10
      poll: 0
    - meta: flush_handler
  handlers:
    - {name: restart, debug: {msg: x}}
"#;
    let said = refused(text).join("\n");
    let starts = [
        "2:13 the strategy 'lineer' is not there (use linear, free or host_pinned)",
        "4:26 Unsupported parameters for (copy) module: desst.",
        "5:35 value of state must be one of: absent, directory, file, hard, link, touch, got: direktory (did you mean 'directory'?)",
        "5:52 argument 'mode' is not a file mode: 644",
    ];
    for start in starts {
        assert!(said.contains(start), "not said: {start}\n{said}");
    }
    for word in ["nosuchfilter", "nosuchtest", "'restart'?", "doas", "poll: 0", "flush_handlers"] {
        assert!(said.contains(word), "nothing is said of {word}\n{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelled_run_ends_soon_with_99_and_leaves_nothing_running() {
    let mark = format!("31.{}", std::process::id());
    let text = format!(
        "- hosts: localhost\n  gather_facts: false\n  tasks:\n    - command: sleep {mark}\n    \
         - debug: {{msg: never}}\n"
    );
    let log = Arc::new(Log::default());
    let mut world =
        world(Options { forks: 5, ..Options::default() }, log.clone(), Layer::default());
    world.files = Arc::new(matron::source::MemoryFiles::of(&[("site.yml", text.as_str())]));
    let loader = Loader::new(
        world.sources.clone(),
        world.files.clone(),
        engine::catalog(),
        world.roles_path.clone(),
    );
    let (playbook, _) =
        loader.playbook(Path::new("site.yml"), &Early::new(&world)).expect("playbook loads");
    let cancel = world.cancel.clone();
    let running =
        tokio::spawn(
            async move { engine::run(&world, Inventory::default(), vec![playbook]).await },
        );
    let sleeping = || {
        let found =
            std::process::Command::new("pgrep").args(["-f", &format!("^sleep {mark}$")]).output();
        found.is_ok_and(|found| found.status.success())
    };
    let until = |wanted: bool| async move {
        for _ in 0..300 {
            if sleeping() == wanted {
                return true;
            }
            tokio::time::sleep(std::time::Duration::from_millis(30)).await;
        }
        false
    };
    assert!(until(true).await, "the command did not start");
    cancel.cancel();
    let result = tokio::time::timeout(std::time::Duration::from_secs(20), running).await;
    let result = result.expect("the run ends").expect("the run does not panic");
    assert_eq!(result.exit, 99);
    assert!(until(false).await, "the command still runs");
    let events = log.0.lock().expect("no panic while logging").clone();
    let tasks = events.iter().filter(|event| matches!(event, Event::TaskStarted { .. })).count();
    assert_eq!(tasks, 1, "nothing starts after the cancel");
}
