//! The conductor: plays one after another, batches, recap, exit code.

#![expect(clippy::similar_names, reason = "a play and its plan are what they are called")]

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use minijinja::Value;

use crate::engine::compile::{BlockPlan, Compiler, Order, Part, PlayPlan, TaskPlan};
use crate::engine::facts;
use crate::engine::files::TaskFiles;
use crate::engine::host_run::{Standing, Walk};
use crate::engine::include::{read_file, tag_words};
use crate::engine::scene::{Run, Scene};
use crate::engine::settle::is_secret_name;
use crate::engine::stepper::Stepper;
use crate::engine::strategy::{BatchEnd, Strategy, free, linear, refresh_lists};
use crate::engine::view::{View, shown};
use crate::engine::{Gathering, Mismatch, RunResult, World, catalog, magic};
use crate::event::{Event, NoteLevel};
use crate::inventory::Inventory;
use crate::modules::{ProjectFiles as _, Question, as_bool};
use crate::names::HostName;
use crate::playbook::{Loader, Play, Playbook};
use crate::remote::{Fleet, FleetOptions};
use crate::source::Diagnostic;
use crate::template::Templar;
use crate::vars::{Layer, Layers, Rank};
use crate::yaml::Node;

/// Why a run cannot go on, in words for the user.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Stop(String);

/// Runs playbooks to their end.
pub(super) async fn run(
    world: &World,
    inventory: Inventory,
    playbooks: Vec<Playbook>,
) -> RunResult {
    let templar = Templar::new(world.sources.clone(), world.files.clone(), world.outside.clone());
    let fleet = world.connections.clone().unwrap_or_else(|| connections(world));
    let loader = Loader::new(
        world.sources.clone(),
        world.files.clone(),
        catalog(),
        world.roles_path.clone(),
    );
    let wanted = facts::scan(&playbooks, world);
    let run = Arc::new(Run::new(world.clone(), templar, fleet, loader, inventory, wanted));
    let mut conductor = Conductor {
        run: run.clone(),
        step: Stepper::new(world.options.step),
        start_at: world.options.start_at_task.clone(),
        clean: true,
    };
    let mut failure = nobody_left(&run);
    let playbooks = if failure.is_some() { Vec::new() } else { playbooks };
    'all: for playbook in playbooks {
        for play in playbook.plays {
            match Box::pin(conductor.play(Arc::new(play))).await {
                Ok(Flow::On) => {}
                Ok(Flow::Stop) => break,
                Err(stop) => {
                    failure = Some(stop.0);
                    break 'all;
                }
            }
            if world.cancel.is_cancelled() {
                break 'all;
            }
        }
    }
    run.locks.release().await;
    if world.connections.is_none() {
        run.fleet.close().await;
    }
    let failure = run.stopped().or(failure);
    if failure.is_none() && conductor.start_at.is_some() {
        // Said as Ansible says it, and no failure of the run there either.
        let text = format!(
            "[ERROR]: No matching task \"{}\" found. Note: --start-at-task can only follow static \
             includes.",
            conductor.start_at.as_deref().unwrap_or_default()
        );
        run.emit(Event::Note { level: NoteLevel::Note, text });
    }
    let recap = if failure.is_none() { run.recap() } else { Vec::new() };
    let exit = if world.cancel.is_cancelled() {
        99
    } else if failure.is_some() {
        1
    } else {
        conductor.exit()
    };
    let stats = run.stats();
    if !stats.is_empty() {
        run.emit(Event::CustomStats { stats });
    }
    run.emit(Event::RunEnded { recap: recap.clone(), exit });
    RunResult { exit, recap, failure: failure.map(Diagnostic::error) }
}

/// Makes connections that outlive a run; nothing is connected yet.
pub(super) fn connections(world: &World) -> Arc<Fleet> {
    Arc::new(Fleet::new(fleet_options(world)))
}

/// Returns why there is nothing to do at all: `--limit` leaves no host.
fn nobody_left(run: &Run) -> Option<String> {
    let limit = run.world.options.limit.as_deref()?;
    match run.inventory().matching(limit, &*run.world.files) {
        Ok(hosts) if hosts.is_empty() => Some(
            "Specified inventory, host pattern and/or --limit leaves us with no hosts to target."
                .to_owned(),
        ),
        Ok(_) => None,
        Err(error) => Some(error.to_string()),
    }
}

fn fleet_options(world: &World) -> FleetOptions {
    let person = &world.person;
    FleetOptions {
        person: crate::transport::ssh::Person::new(
            person.user.clone(),
            person.home.clone(),
            person.agent.clone(),
        ),
        redactor: world.redactor.clone(),
        connecting: crate::remote::CONNECTING,
    }
}

struct Conductor {
    run: Arc<Run>,
    step: Stepper,
    start_at: Option<String>,
    /// No batch broke off.
    clean: bool,
}

/// Whether the playbook goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Flow {
    On,
    Stop,
}

impl Conductor {
    fn exit(&self) -> u8 {
        let (failed, unreachable) = self.run.out();
        if unreachable > 0 {
            4
        } else if failed > 0 || !self.clean {
            2
        } else {
            0
        }
    }

    async fn play(&mut self, play: Arc<Play>) -> Result<Flow, Stop> {
        let run = self.run.clone();
        let view = play_view(&run, &play);
        let name = Self::play_name(&play, &view);
        let hosts = self.hosts(&play, &view)?;
        let flag = |word: &str, node: Option<&Node>, default| {
            view.flag(word, node, default).map_err(|error| Stop(error.0))
        };
        let gathering = run.world.options.defaults.gathering;
        let gather_unasked = match gathering {
            Gathering::Implicit => true,
            Gathering::Explicit => false,
            Gathering::Smart => hosts.iter().any(|host| !run.has_facts(host)),
        };
        let gather = flag("gather_facts", play.gather_facts.as_ref(), gather_unasked)?;
        let force =
            flag("force_handlers", play.force_handlers.as_ref(), run.world.options.force_handlers)?;
        if hosts.is_empty() {
            run.emit(Event::PlayStarted { name, hosts });
            run.emit(Event::NoHostsMatched {});
            return Ok(Flow::On);
        }
        let hosts: Vec<HostName> = hosts.into_iter().filter(|host| !run.is_out(host)).collect();
        if hosts.is_empty() {
            // All of them failed before: nothing more is said.
            run.emit(Event::PlayStarted { name, hosts });
            return Ok(Flow::On);
        }
        let render = |node: &Node| tag_words(node, &view);
        let compiler = Compiler { tags: &run.tags, ids: &run.ids, render: &render, handler: false };
        let mut plan = compiler.play(&play, gather, force);
        if let Some(task) = &self.start_at {
            if start_at(&mut plan, task) {
                self.start_at = None;
            } else {
                plan.root = Arc::new(BlockPlan::default());
            }
        }
        let plan = Arc::new(plan);
        let prompt = Arc::new(prompts(&run, &play).await?);
        let strategy = Self::strategy(&play, &view, &run.world.options.defaults.strategy)?;
        let batches = batches(&play, &view, &hosts)?;
        for batch in batches {
            let batch: Vec<HostName> = batch.into_iter().filter(|host| !run.is_out(host)).collect();
            if batch.is_empty() {
                continue;
            }
            run.emit(Event::PlayStarted { name: name.clone(), hosts: hosts.clone() });
            let scene =
                Scene::new(&run, plan.clone(), prompt.clone(), strategy == Strategy::Linear);
            scene.set_lists(&hosts, &batch);
            let before = run.out();
            let mut walks: Vec<Walk> =
                batch.iter().map(|host| Walk::new(host.clone(), plan.root.clone())).collect();
            refresh_lists(&scene, &walks);
            for host in &batch {
                vars_files(&scene, host)?;
                hide_secrets(&scene, host);
            }
            let end = match strategy {
                Strategy::Linear => linear(&scene, &mut walks, &mut self.step).await,
                Strategy::Free => free(&scene, &mut walks, false).await,
                Strategy::HostPinned => free(&scene, &mut walks, true).await,
            };
            for walk in &walks {
                if walk.is_failing() && walk.standing() == Standing::Failed {
                    run.drop_host(&walk.host, false);
                }
            }
            if end == BatchEnd::Broken {
                self.clean = false;
                return Ok(Flow::Stop);
            }
            let after = run.out();
            let lost = (after.0 + after.1).saturating_sub(before.0 + before.1);
            if lost == batch.len() {
                return Ok(Flow::Stop);
            }
            if end == BatchEnd::PlayEnded {
                break;
            }
        }
        Ok(Flow::On)
    }

    fn play_name(play: &Play, view: &View) -> String {
        let raw = magic::play_name(play);
        match &play.name {
            Some(node) if crate::template::has_template(&raw) => view.text(node).unwrap_or(raw),
            Some(_) | None => raw,
        }
    }

    /// Returns the hosts of a play in its order, also those that are out.
    fn hosts(&self, play: &Play, view: &View) -> Result<Vec<HostName>, Stop> {
        let value = view.resolve(&play.hosts).map_err(|error| {
            Stop(format!("the 'hosts' of a play cannot be told: {}", error.message))
        })?;
        let pattern = match value.try_iter() {
            Ok(items) if value.as_str().is_none() => {
                items.map(|item| shown(&item)).collect::<Vec<_>>().join(",")
            }
            Ok(_) | Err(_) => shown(&value),
        };
        let run = &self.run;
        let inventory = run.inventory();
        let files = &*run.world.files;
        let matched =
            inventory.matched(&pattern, files).map_err(|error| Stop(error.to_string()))?;
        let mismatch = run.world.options.defaults.pattern_mismatch;
        for (part, near) in matched.missed {
            if mismatch == Mismatch::Ignore {
                continue;
            }
            let near = near.map(|near| format!(" (did you mean '{near}'?)")).unwrap_or_default();
            if mismatch == Mismatch::Error {
                return Err(Stop(format!("Could not match supplied host pattern: {part}{near}")));
            }
            run.warn(format!("Could not match supplied host pattern, ignoring: {part}{near}"));
        }
        let mut hosts = matched.hosts;
        if let Some(limit) = &run.world.options.limit {
            let limited =
                inventory.matching(limit, files).map_err(|error| Stop(error.to_string()))?;
            let limited: HashSet<HostName> = limited.into_iter().collect();
            hosts.retain(|host| limited.contains(host));
        }
        drop(inventory);
        let order =
            view.keyword_text("order", play.order.as_ref()).map_err(|error| Stop(error.0))?;
        match order.as_deref() {
            None | Some("inventory") => {}
            Some("reverse_inventory") => hosts.reverse(),
            Some("sorted") => hosts.sort(),
            Some("reverse_sorted") => hosts.sort_by(|a, b| b.cmp(a)),
            Some("shuffle") => shuffle(&mut hosts, &*run.world.outside),
            Some(other) => {
                return Err(Stop(format!(
                    "'{other}' is not an order: use inventory, reverse_inventory, sorted, \
                     reverse_sorted or shuffle"
                )));
            }
        }
        Ok(hosts)
    }

    fn strategy(play: &Play, view: &View, default: &str) -> Result<Strategy, Stop> {
        let name =
            view.keyword_text("strategy", play.strategy.as_ref()).map_err(|error| Stop(error.0))?;
        let name = name.unwrap_or_else(|| default.to_owned());
        Strategy::named(&name).ok_or_else(|| {
            Stop(format!("the strategy '{name}' is not there: use linear, free or host_pinned"))
        })
    }
}

fn shuffle(hosts: &mut [HostName], outside: &dyn crate::template::Outside) {
    for at in (1..hosts.len()).rev() {
        let mut bytes = [0; 8];
        outside.random(&mut bytes);
        let other = usize::try_from(u64::from_le_bytes(bytes) % (at as u64 + 1)).unwrap_or(0);
        hosts.swap(at, other);
    }
}

/// Returns what is known of a play before any host: its own vars and `-e`.
fn play_view(run: &Run, play: &Play) -> View {
    let mut layers = Layers::default();
    layers.push(Rank::PlayVars, Arc::new(Layer::written(&play.common.vars, "play vars")));
    layers.push(Rank::Extra, run.world.extra.clone());
    layers.push(Rank::Magic, run.magic.clone());
    let playbook_dir = Value::from(play.playbook_dir.display().to_string());
    let here = [("playbook_dir".to_owned(), playbook_dir), ("groups".to_owned(), run.groups())];
    layers.push(Rank::Magic, Arc::new(Layer::data(here, "magic variable")));
    View::new(run, layers, Arc::from([]))
}

/// Splits hosts into batches by `serial`.
fn batches(play: &Play, view: &View, hosts: &[HostName]) -> Result<Vec<Vec<HostName>>, Stop> {
    let Some(node) = &play.serial else { return Ok(vec![hosts.to_vec()]) };
    let value = view.keyword("serial", node).map_err(|error| Stop(error.0))?;
    let sizes: Vec<Value> = match value.try_iter() {
        Ok(items) if value.as_str().is_none() => items.collect(),
        Ok(_) | Err(_) => vec![value],
    };
    let total = hosts.len();
    let mut numbers = Vec::new();
    for size in sizes {
        let text = shown(&size);
        let text = text.trim();
        let bad =
            || Stop(format!("serial cannot be '{text}': use a number of hosts, or a percentage"));
        let number = if let Some(percent) = text.strip_suffix('%') {
            let percent: f64 = percent.trim().parse().map_err(|_| bad())?;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "counts of hosts are small and not negative"
            )]
            let number = ((percent / 100.0 * total as f64) as usize).max(1);
            number
        } else {
            let number: i64 = text.parse().map_err(|_| bad())?;
            usize::try_from(number).unwrap_or(0)
        };
        numbers.push(if number == 0 { total } else { number });
    }
    let mut rest = hosts;
    let mut batches = Vec::new();
    let mut at = 0;
    while !rest.is_empty() {
        let size = numbers.get(at).or(numbers.last()).copied().unwrap_or(total).min(rest.len());
        let (batch, left) = rest.split_at(size);
        batches.push(batch.to_vec());
        rest = left;
        at += 1;
    }
    Ok(batches)
}

/// Asks for `vars_prompt`.
async fn prompts(run: &Run, play: &Play) -> Result<Layer, Stop> {
    let mut values = Vec::new();
    for entry in &play.vars_prompt {
        let Some(name) = entry.get("name").and_then(|node| node.raw()) else { continue };
        if run.world.extra.values.contains_key(name) {
            continue;
        }
        let words = |key: &str| entry.get(key).and_then(|node| node.raw()).map(str::to_owned);
        let yes = |key: &str, default: bool| {
            entry.get(key).and_then(|node| as_bool(&crate::yaml::to_value(node))).unwrap_or(default)
        };
        let private = yes("private", true);
        let default = words("default");
        let prompt = words("prompt").unwrap_or_else(|| name.to_owned());
        let prompt = match &default {
            Some(default) => format!("{prompt} [{default}]: "),
            None => format!("{prompt}: "),
        };
        let ask = |prompt: String| Question { prompt, echo: !private, seconds: None };
        let answer = loop {
            let answer = run.world.asker.ask(&ask(prompt.clone())).await;
            let Some(answer) = answer else { break None };
            if !yes("confirm", false) {
                break Some(answer);
            }
            let again = run.world.asker.ask(&ask(format!("confirm {prompt}"))).await;
            if again.as_deref() == Some(answer.as_str()) {
                break Some(answer);
            }
            run.warn("***** VALUES ENTERED DO NOT MATCH ****");
        };
        let value = answer.filter(|text| !text.is_empty()).or(default).unwrap_or_else(|| {
            run.warn(format!("no value was given for {name:?}"));
            String::new()
        });
        if private {
            run.world.redactor.add(&value);
        }
        values.push((name.to_owned(), Value::from(value)));
    }
    Ok(Layer::data(values, "vars_prompt"))
}

/// Reads `vars_files` for a host.
fn vars_files(scene: &Arc<Scene>, host: &HostName) -> Result<(), Stop> {
    let play = &scene.plan.play;
    if play.vars_files.is_empty() {
        return Ok(());
    }
    let run = &scene.run;
    let search: Arc<[PathBuf]> = Arc::from([play.playbook_dir.clone()]);
    let files = TaskFiles::new(run.world.files.clone(), search.clone());
    let mut layers: Vec<Arc<Layer>> = Vec::new();
    for entry in &play.vars_files {
        let names: Vec<&Node> =
            entry.as_seq().map_or_else(|| vec![entry], |all| all.iter().collect());
        let mut tried = Vec::new();
        let mut found = None;
        for node in names {
            scene.set_files(host, layers.clone());
            let view = View::new(run, scene.layers(host, None), search.clone());
            // A name that needs facts not gathered yet is passed over, as Ansible does.
            let Ok(name) = view.text(node) else {
                tried.push(node.raw().unwrap_or_default().to_owned());
                continue;
            };
            match files.find("vars", &name) {
                Ok(path) => {
                    found = Some(path);
                    break;
                }
                Err(_) => tried.push(name),
            }
        }
        match found {
            Some(path) => {
                let key = path.clone();
                let layer = run.vars_file(&key, || {
                    let entries = read_file(run, &path).map_err(Stop)?;
                    let what = format!("vars_files {}", path.display());
                    Ok::<_, Stop>(Layer::written(&entries, &what))
                })?;
                layers.push(layer);
            }
            None if tried.iter().any(|name| crate::template::has_template(name)) => {}
            None => {
                return Err(Stop(format!("vars file {} was not found", tried.join(", "))));
            }
        }
    }
    scene.set_files(host, layers);
    Ok(())
}

/// Masks the values of variables that are named like secrets.
fn hide_secrets(scene: &Arc<Scene>, host: &HostName) {
    let layers = scene.layers(host, None);
    let names: Vec<Arc<str>> = layers.names().filter(|name| is_secret_name(name)).collect();
    if names.is_empty() {
        return;
    }
    let view = View::new(&scene.run, layers, Arc::from([]));
    for name in names {
        if let Ok(Some(value)) = view.variable(&name)
            && let Some(text) = value.as_str()
        {
            scene.run.world.redactor.add(text);
        }
    }
}

/// Leaves out what comes before a named task. Returns whether the task is there.
fn start_at(plan: &mut PlayPlan, name: &str) -> bool {
    let Some(order) = find_named(&plan.root, name) else { return false };
    plan.root = Arc::new(from_order(&plan.root, &order));
    true
}

fn parts(block: &BlockPlan) -> impl Iterator<Item = &Part> {
    block.main.iter().chain(&block.rescue).chain(&block.always)
}

fn find_named(block: &BlockPlan, name: &str) -> Option<Order> {
    parts(block).find_map(|part| match part {
        Part::Task(task) => is_named(task, name).then(|| task.order.clone()),
        Part::Block(block) => find_named(block, name),
        Part::RoleEnd(_) => None,
    })
}

fn is_named(task: &TaskPlan, name: &str) -> bool {
    let own = task.task.name.as_ref().and_then(|node| node.raw()).unwrap_or_default();
    if own.is_empty() {
        return false;
    }
    let full = task.lineage.role.as_ref().map(|role| format!("{} : {own}", role.name));
    let matches = |text: &str| text == name || glob(name, text);
    matches(own) || full.is_some_and(|full| matches(&full))
}

/// Tells whether a text matches a pattern with `*` and `?`.
fn glob(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let mut reach = vec![false; text.len() + 1];
    reach[0] = true;
    for wanted in pattern {
        if wanted == '*' {
            let first = reach.iter().position(|can| *can).unwrap_or(reach.len());
            reach.iter_mut().skip(first).for_each(|can| *can = true);
        } else {
            let mut next = vec![false; text.len() + 1];
            for (at, c) in text.iter().enumerate() {
                next[at + 1] = reach[at] && (wanted == '?' || wanted == *c);
            }
            reach = next;
        }
    }
    reach.last().copied().unwrap_or(false)
}

fn from_order(block: &BlockPlan, order: &Order) -> BlockPlan {
    let keep = |list: &[Part]| -> Vec<Part> {
        list.iter()
            .filter_map(|part| match part {
                Part::Task(task) if task.implicit || task.order >= *order => Some(part.clone()),
                Part::Task(_) => None,
                Part::Block(inner) => {
                    let inner = from_order(inner, order);
                    let empty = parts(&inner).next().is_none();
                    (!empty).then(|| Part::Block(Arc::new(inner)))
                }
                Part::RoleEnd(_) => Some(part.clone()),
            })
            .collect()
    };
    BlockPlan {
        main: keep(&block.main),
        rescue: keep(&block.rescue),
        always: keep(&block.always),
        role: block.role.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glob_takes_stars_and_question_marks() {
        assert!(glob("in*l ?ocker", "install docker"));
        assert!(!glob("in*x", "install docker"));
    }
}
