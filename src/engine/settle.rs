//! What a finished task does to its host and the run: effects, registered results, notifications, counts, events.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use crate::engine::handlers;
use crate::engine::host_run::{Fall, Walk};
use crate::engine::naming::task_name;
use crate::engine::result::{Finished, is_true};
use crate::engine::scene::{Run, Scene};
use crate::engine::task::{Job, Prefix, TaskEnd, masked, masked_diff};
use crate::engine::view::{View, value_of};
use crate::event::Event;
use crate::names::HostName;
use crate::outcome::{Effect, Status};
use crate::secret::Redactor;
use crate::template::has_template;
use crate::vars::{Layer, Variable};

/// Settles a task for the host it ran on. `sharers` are all hosts that get what it set: the host itself, or the batch
/// under `run_once`. Returns what a failure led to.
pub(crate) fn settle(
    scene: &Scene,
    job: &Job,
    walk: &mut Walk,
    end: &mut TaskEnd,
    sharers: &[HostName],
) -> Option<Fall> {
    let run = &scene.run;
    let included: Vec<Arc<str>> = end.variables.iter().map(|(name, _)| name.clone()).collect();
    apply_effects(run, end, sharers);
    if included.iter().any(|name| is_secret_name(name)) {
        let view = View::new(run, scene.layers(&end.host, None), Arc::from([]));
        mask(run, &view, included.iter().map(AsRef::as_ref));
    }
    if let Some(name) = job.register() {
        let value = value_of(&end.finished.data);
        for host in sharers {
            run.set(host, vec![(name.clone(), value.clone())], "register");
        }
    }
    let bad = end.finished.is_bad();
    let counts = bad && !end.ignored;
    if !bad && !notify(scene, walk, &end.notify) {
        return None;
    }
    let rescued = counts && end.finished.status == Status::Failed && walk.would_rescue();
    count(run, end, rescued);
    emit(scene, job, end, rescued);
    if !counts {
        return None;
    }
    remember_failure(scene, job, end);
    if end.finished.status == Status::Unreachable {
        walk.lose();
        run.drop_host(&end.host, true);
        return Some(Fall::Failed);
    }
    let fall = walk.fail();
    if fall == Fall::Failed {
        run.drop_host(&end.host, false);
    }
    Some(fall)
}

/// Notes the handlers that notifications mean; false, and the end of the run, when one means none.
fn notify(scene: &Scene, walk: &mut Walk, names: &[String]) -> bool {
    if names.is_empty() {
        return true;
    }
    let known = scene.handlers();
    for name in names {
        let meant = handlers::meant(scene, &walk.host, &known, name);
        if meant.is_empty() && !scene.run.world.options.defaults.missing_handler_is_error {
            scene.run.warn(format!(
                "The requested handler '{name}' was not found in either the main handlers list nor \
                 in the listening handlers list"
            ));
            continue;
        }
        if meant.is_empty() {
            scene.run.stop_with(format!(
                "The requested handler '{name}' was not found in either the main handlers list nor \
                 in the listening handlers list"
            ));
            return false;
        }
        for at in meant {
            walk.notify(at);
        }
    }
    true
}

fn apply_effects(run: &Arc<Run>, end: &mut TaskEnd, sharers: &[HostName]) {
    if !end.variables.is_empty() {
        for host in sharers {
            run.include(host, &end.variables);
        }
    }
    for (owner, effect, prefix) in end.effects.drain(..) {
        // Facts of a delegate stay with it; what a task sets for its own host is shared under `run_once`.
        let shared = owner == end.host;
        let targets: &[HostName] = if shared { sharers } else { std::slice::from_ref(&owner) };
        match effect {
            Effect::Facts(facts) => {
                for host in targets {
                    run.add_facts(host, &facts, prefix == Prefix::Ansible);
                }
            }
            Effect::SetFact { variables, cacheable } => {
                for host in targets {
                    let values = variables
                        .iter()
                        .map(|(name, value)| (name.clone(), value_of(value)))
                        .collect();
                    run.set(host, values, "set_fact");
                    if cacheable {
                        run.add_facts(host, &variables, false);
                    }
                }
                hide_secrets(run, &variables);
            }
            Effect::IncludeVars(variables) => {
                hide_secrets(run, &variables);
                let layer = crate::vars::Layer::data(
                    variables.iter().map(|(name, value)| (name.clone(), value_of(value))),
                    "include_vars",
                );
                let values: Vec<_> = layer.values.into_iter().collect();
                for host in targets {
                    run.include(host, &values);
                }
            }
            Effect::AddHost { name, groups, variables } => {
                let name = HostName::new(name);
                let variables =
                    variables.iter().map(|(name, value)| (name.clone(), value_of(value)));
                run.change_inventory(|inventory| {
                    inventory.add_host(&name, &groups, variables);
                });
            }
            Effect::GroupBy { group, parents } => {
                run.change_inventory(|inventory| {
                    if let Err(error) = inventory.add_group(&group, &parents) {
                        run.warn(error.to_string());
                    }
                    inventory.add_to_group(&owner, &group);
                });
            }
            Effect::Stats { data, per_host } => run.add_stats(&end.host, &data, per_host),
            Effect::Keep { path, content } => {
                // A file that was asked for and cannot be kept must not look like a success.
                if let Err(error) = keep(&path, &content) {
                    run.stop_with(format!("cannot keep {}: {error}", path.display()));
                }
            }
            Effect::Meta(_) => {}
        }
    }
}

/// Writes a fetched file on this machine: beside its place, then renamed.
fn keep(path: &std::path::Path, content: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".matron-part");
    std::fs::write(&beside, content)?;
    std::fs::rename(&beside, path)
}

/// Masks values of variables that are named like secrets.
pub(crate) fn hide_secrets(run: &Run, variables: &Map<String, Json>) {
    for (name, value) in variables {
        if is_secret_name(name)
            && let Some(text) = value.as_str()
        {
            run.world.redactor.add(text);
        }
    }
}

/// Masks the values of variables of a layer that are named like secrets and are written out.
pub fn hide_written_secrets(layer: &Layer, redactor: &Redactor) {
    for (name, (value, _)) in &layer.values {
        let text = match value {
            Variable::Written(node) => node.raw().map(str::to_owned),
            Variable::Data(value) => value.as_str().map(str::to_owned),
        };
        if let Some(text) = text.filter(|text| is_secret_name(name) && !has_template(text)) {
            redactor.add(&text);
        }
    }
}

/// Masks the values of those of a view's variables that are named like secrets.
pub(crate) fn mask<'a>(run: &Run, view: &View, names: impl Iterator<Item = &'a str>) {
    for name in names.filter(|name| is_secret_name(name)) {
        if let Ok(Some(value)) = view.variable(name)
            && let Some(text) = value.as_str()
        {
            run.world.redactor.add(text);
        }
    }
}

/// Tells whether a variable's name says that its value is a secret.
pub(crate) fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["password", "passwd", "passphrase", "secret", "token"].iter().any(|end| name.ends_with(end))
        || name.ends_with("_pass")
}

fn count(run: &Run, end: &TaskEnd, rescued: bool) {
    let changed = is_true(&end.finished.data, "changed");
    let ignored = end.ignored;
    let status = end.finished.status;
    run.count(&end.host, |tally| match status {
        Status::Ok => tally.ok += 1,
        Status::Changed => {
            tally.ok += 1;
            tally.changed += 1;
        }
        Status::Skipped => tally.skipped += 1,
        Status::Failed | Status::Unreachable if ignored => {
            tally.ok += 1;
            tally.ignored += 1;
            if changed {
                tally.changed += 1;
            }
        }
        Status::Failed if rescued => tally.rescued += 1,
        Status::Failed => tally.failed += 1,
        Status::Unreachable => tally.unreachable += 1,
    });
}

fn emit(scene: &Scene, job: &Job, end: &TaskEnd, rescued: bool) {
    let run = &scene.run;
    let (mut result, diff) = end.finished.shown(end.no_log);
    job.decorate(&mut result, end.finished.status);
    let event = Event::HostDone {
        task: job.plan.id,
        host: end.host.clone(),
        delegated: end.delegated.clone(),
        status: end.finished.status,
        ignored: end.ignored,
        rescued,
        looped: end.looped,
        place: end.finished.shown_place(&run.world.sources, job.plan.task.span),
        result: masked(run, result),
        diff: masked_diff(run, diff),
        took_ms: u64::try_from(end.took.as_millis()).unwrap_or(u64::MAX),
    };
    scene.emit_of(&end.host, &job.plan, event);
}

/// Sets `ansible_failed_task` and `ansible_failed_result` for a rescue.
fn remember_failure(scene: &Scene, job: &Job, end: &TaskEnd) {
    let plan = &job.plan;
    let mut task = Map::new();
    let name = plan.task.name.as_ref().map(|_| task_name(scene, &end.host, plan));
    task.insert("name".to_owned(), name.unwrap_or_default().into());
    task.insert("action".to_owned(), plan.task.action.written.clone().into());
    let args: Map<String, Json> = plan
        .task
        .action
        .named
        .iter()
        .map(|argument| (argument.name.clone(), crate::yaml::to_json(&argument.value)))
        .collect();
    task.insert("args".to_owned(), Json::Object(args));
    let values = vec![
        ("ansible_failed_task".to_owned(), value_of(&task)),
        ("ansible_failed_result".to_owned(), value_of(&end.finished.data)),
    ];
    scene.run.set(&end.host, values, "failure");
}

/// Makes the end of an include that could not be read: the host fails, whatever `ignore_errors` says.
pub(crate) fn include_failed(job: &Job, what: &str, reason: &str) -> TaskEnd {
    let mut finished = Finished::failed_unchanged(reason);
    finished.data.remove("msg");
    finished.data.insert("include".to_owned(), what.into());
    finished.data.insert("reason".to_owned(), reason.into());
    let mut end = job.panicked();
    end.finished = finished;
    end
}
