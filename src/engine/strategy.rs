//! Strategies: in which order the tasks of a batch meet its hosts.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::engine::compile::{BlockPlan, Order, Part, TaskKind, TaskPlan};
use crate::engine::host_run::{Fall, Next, Standing, Walk};
use crate::engine::include::{self, Include};
use crate::engine::naming::task_name;
use crate::engine::scene::Scene;
use crate::engine::settle::{include_failed, settle};
use crate::engine::stepper::Stepper;
use crate::engine::task::{Job, TaskEnd, unmet};
use crate::engine::view::View;
use crate::event::Event;
use crate::names::HostName;

/// How a batch ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BatchEnd {
    /// Every host went to its end.
    Through,
    /// `meta: end_play`: the play's other batches do not run.
    PlayEnded,
    /// Too many failed: nothing more runs.
    Broken,
}

/// The strategies there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Strategy {
    /// All hosts do a task before any does the next.
    Linear,
    /// Each host goes on as fast as it can.
    Free,
    /// As free, but a host that has started is finished before another starts.
    HostPinned,
}

impl Strategy {
    /// Returns the strategy of a name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name.strip_prefix("ansible.builtin.").unwrap_or(name) {
            "linear" => Some(Self::Linear),
            "free" => Some(Self::Free),
            "host_pinned" => Some(Self::HostPinned),
            _ => None,
        }
    }
}

/// Says that a task starts.
fn announce(scene: &Scene, host: &HostName, plan: &TaskPlan) {
    scene.run.emit(started(scene, host, plan));
}

/// Returns the event that says so.
pub(crate) fn started(scene: &Scene, host: &HostName, plan: &TaskPlan) -> Event {
    let run = &scene.run;
    let place = run.world.sources.locate(plan.task.span);
    let place = place.map(|at| format!("{}:{}", at.path.display(), at.line)).unwrap_or_default();
    Event::TaskStarted {
        task: plan.id,
        name: run.world.redactor.redact(&task_name(scene, host, plan)),
        module: plan.task.action.written.clone(),
        place,
        handler: plan.handler,
        check: run.world.options.check,
    }
}

/// Runs one job behind its gates: forks, throttle.
async fn gated(job: Job) -> TaskEnd {
    let scene = job.scene.clone();
    let throttle = job.plan.keywords.throttle.as_ref().and_then(|node| {
        if let Some(number) = node.as_int() {
            return usize::try_from(number).ok();
        }
        let layers = scene.layers(&job.host, Some(&job.plan));
        let view = View::new(&scene.run, layers, Arc::from([]));
        view.text(node).ok().and_then(|text| text.trim().parse().ok())
    });
    let gate = throttle.filter(|width| *width > 0).map(|width| scene.throttle(job.plan.id, width));
    let _pass = match &gate {
        Some(gate) => gate.acquire().await.ok(),
        None => None,
    };
    let _fork = scene.forks.acquire().await.ok();
    job.run().await
}

/// Runs a batch in lockstep.
pub(crate) async fn linear(scene: &Arc<Scene>, walks: &mut [Walk], step: &mut Stepper) -> BatchEnd {
    let batch_size = walks.len();
    loop {
        if scene.run.world.cancel.is_cancelled() || scene.run.stopped().is_some() {
            return BatchEnd::Broken;
        }
        let handlers = scene.handlers();
        let peeks: Vec<Option<Next>> = walks.iter_mut().map(|walk| walk.peek(&handlers)).collect();
        let Some(order) = peeks.iter().flatten().map(|next| next.order.clone()).min() else {
            return BatchEnd::Through;
        };
        let group: Vec<usize> = peeks
            .iter()
            .enumerate()
            .filter(|(_, next)| next.as_ref().is_some_and(|next| next.order == order))
            .map(|(at, _)| at)
            .collect();
        let Some(plan) = peeks.iter().flatten().find(|next| next.order == order) else {
            return BatchEnd::Through;
        };
        let plan = plan.plan.clone();
        for at in &group {
            if let Some(walk) = walks.get_mut(*at) {
                walk.step();
            }
        }
        if !plan.implicit && !step.allows(scene, &plan, &first_host(walks, &group)).await {
            continue;
        }
        if plan.kind == TaskKind::Meta {
            if let Some(end) = meta(scene, walks, &group, &plan, &order).await {
                return end;
            }
            continue;
        }
        if let Some(end) = together(scene, walks, &group, &plan, &order, batch_size).await {
            return end;
        }
    }
}

fn first_host(walks: &[Walk], group: &[usize]) -> HostName {
    let first = group.first().and_then(|at| walks.get(*at));
    first.map_or_else(|| HostName::new(""), |walk| walk.host.clone())
}

/// Tells whether a task runs on one host for all.
fn is_once(scene: &Scene, host: &HostName, plan: &TaskPlan) -> bool {
    if crate::modules::ONCE_FOR_ALL.contains(&plan.task.action.name.as_str()) {
        return true;
    }
    let Some(node) = &plan.keywords.run_once else { return false };
    node.as_bool().unwrap_or_else(|| {
        let layers = scene.layers(host, Some(plan));
        let view = View::new(&scene.run, layers, Arc::from([]));
        view.flag("run_once", Some(node), false).unwrap_or(false)
    })
}

/// Starts hosts that wait until as many run as there are forks.
fn fill(
    scene: &Arc<Scene>,
    walks: &[Walk],
    plan: &Arc<TaskPlan>,
    waiting: &mut impl Iterator<Item = usize>,
    running: &mut Running,
) {
    while running.set.len() < scene.run.world.options.forks.max(1) {
        let Some(at) = waiting.next() else { return };
        let Some(walk) = walks.get(at) else { continue };
        let job = Job { scene: scene.clone(), host: walk.host.clone(), plan: plan.clone() };
        let handle = running.set.spawn(gated(job.clone()));
        running.jobs.insert(handle.id(), (at, job));
    }
}

/// Jobs on their way, and whose they are.
#[derive(Default)]
struct Running {
    set: JoinSet<TaskEnd>,
    jobs: HashMap<tokio::task::Id, (usize, Job)>,
}

/// Does one task on all hosts that have come to it.
async fn together(
    scene: &Arc<Scene>,
    walks: &mut [Walk],
    group: &[usize],
    plan: &Arc<TaskPlan>,
    order: &Order,
    batch_size: usize,
) -> Option<BatchEnd> {
    let first = first_host(walks, group);
    announce(scene, &first, plan);
    let once = is_once(scene, &first, plan);
    let workers: Vec<usize> =
        if once { group.iter().take(1).copied().collect() } else { group.to_vec() };
    let sharers: Vec<HostName> = if once {
        walks
            .iter()
            .filter(|walk| matches!(walk.standing(), Standing::Running | Standing::Ended))
            .map(|walk| walk.host.clone())
            .collect()
    } else {
        Vec::new()
    };
    // A host starts when a fork is free, in order: one fork means one host after the other.
    let mut running = Running::default();
    let mut waiting = workers.into_iter();
    let mut includes: Vec<(usize, Vec<Include>)> = Vec::new();
    let mut fatal = false;
    let mut lost_any = false;
    loop {
        fill(scene, walks, plan, &mut waiting, &mut running);
        let Some(joined) = running.set.join_next_with_id().await else { break };
        let (id, end) = match joined {
            Ok((id, end)) => (id, Some(end)),
            Err(error) => (error.id(), None),
        };
        let Some((at, job)) = running.jobs.remove(&id) else { continue };
        let mut end = end.unwrap_or_else(|| job.panicked());
        let Some(walk) = walks.get_mut(at) else { continue };
        let own = [walk.host.clone()];
        let shared: &[HostName] = if once { &sharers } else { &own };
        if !end.includes.is_empty() {
            let list = std::mem::take(&mut end.includes);
            if !end.finished.is_bad() {
                includes.push((at, list));
                continue;
            }
        }
        let include_lost = matches!(plan.kind, TaskKind::IncludeTasks | TaskKind::IncludeRole)
            && end.finished.data.contains_key("reason");
        if include_lost {
            end.ignored = false;
        }
        let fall = settle(scene, &job, walk, &mut end, shared);
        if fall.is_some() {
            lost_any = true;
            if once || is_fatal(scene, &job) {
                fatal = true;
            }
        }
    }
    if lost_any {
        refresh_lists(scene, walks);
    }
    if !includes.is_empty() {
        let failed = bring_in(scene, walks, plan, order, includes);
        lost_any |= failed;
    }
    if fatal {
        let mut broke = false;
        for walk in walks.iter_mut() {
            let goes_on = walk.standing() == Standing::Running && !walk.is_failing();
            if goes_on && !walk.is_recovering() {
                walk.break_off();
                broke = true;
            }
        }
        let handlers = scene.handlers();
        let left = walks.iter_mut().any(|walk| walk.peek(&handlers).is_some());
        if !left && broke {
            return Some(BatchEnd::Broken);
        }
    }
    if lost_any && too_many_failed(scene, walks, batch_size) {
        scene.run.emit(Event::NoHostsRemaining {});
        scene.run.emit(Event::NoHostsRemaining {});
        return Some(BatchEnd::Broken);
    }
    None
}

/// Tells whether a failure of this task ends the play for all hosts.
fn is_fatal(scene: &Scene, job: &Job) -> bool {
    let default = scene.run.world.options.defaults.any_errors_fatal;
    let Some(node) = &job.plan.keywords.any_errors_fatal else { return default };
    if let Some(value) = node.as_bool() {
        return value;
    }
    let view = View::new(&scene.run, scene.layers(&job.host, Some(&job.plan)), Arc::from([]));
    view.flag("any_errors_fatal", Some(node), false).unwrap_or(false)
}

/// Tells whether more hosts failed than `max_fail_percentage` allows.
fn too_many_failed(scene: &Scene, walks: &[Walk], batch_size: usize) -> bool {
    let Some(node) = &scene.plan.play.max_fail_percentage else { return false };
    let Some(host) = walks.first().map(|walk| walk.host.clone()) else { return false };
    let view = View::new(&scene.run, scene.layers(&host, None), Arc::from([]));
    let Ok(text) = view.text(node) else { return false };
    let Ok(limit) = text.trim().trim_end_matches('%').parse::<f64>() else { return false };
    let failed = walks
        .iter()
        .filter(|walk| walk.is_failing() || walk.standing() == Standing::Unreachable)
        .count();
    #[expect(clippy::cast_precision_loss, reason = "counts of hosts are small")]
    let percent = failed as f64 * 100.0 / batch_size.max(1) as f64;
    percent > limit
}

/// Tells the magic variables which hosts are left.
pub(crate) fn refresh_lists(scene: &Scene, walks: &[Walk]) {
    let alive: Vec<HostName> = walks
        .iter()
        .filter(|walk| !walk.is_failing() && walk.standing() != Standing::Unreachable)
        .map(|walk| walk.host.clone())
        .collect();
    scene.set_alive(&alive);
}

/// Reads what hosts include; those that include the same go on in step. Returns whether a host failed by it.
fn bring_in(
    scene: &Arc<Scene>,
    walks: &mut [Walk],
    plan: &Arc<TaskPlan>,
    order: &Order,
    mut includes: Vec<(usize, Vec<Include>)>,
) -> bool {
    includes.sort_by_key(|(at, _)| *at);
    // Each different include, in the order in which the first host names it.
    let mut kinds: Vec<(Include, Vec<usize>)> = Vec::new();
    for (at, list) in &includes {
        for include in list {
            match kinds.iter_mut().find(|(known, _)| known.key == include.key) {
                Some((_, hosts)) => hosts.push(*at),
                None => kinds.push((include.clone(), vec![*at])),
            }
        }
    }
    let mut built: HashMap<usize, Vec<Part>> = HashMap::new();
    let mut failed = false;
    for (number, (include, hosts)) in kinds.iter().enumerate() {
        let names: Vec<HostName> =
            hosts.iter().filter_map(|at| walks.get(*at).map(|walk| walk.host.clone())).collect();
        let Some(first) = names.first().cloned() else { continue };
        let mut inner = order.clone();
        inner.push(u32::try_from(number).unwrap_or(u32::MAX));
        match include::build(scene, &first, plan, include, inner) {
            Ok(block) => {
                for host in &names {
                    scene.run.count(host, |tally| tally.ok += 1);
                }
                let event = Event::Included {
                    what: include.shown.clone(),
                    hosts: names,
                    label: include.label.clone(),
                };
                scene.emit_of(&first, plan, event);
                for at in hosts {
                    built.entry(*at).or_default().push(Part::Block(block.clone()));
                }
            }
            Err(error) => {
                failed = true;
                let reason = places(scene, &error);
                for at in hosts {
                    let Some(walk) = walks.get_mut(*at) else { continue };
                    let job =
                        Job { scene: scene.clone(), host: walk.host.clone(), plan: plan.clone() };
                    let mut end = include_failed(&job, &include.shown, &reason);
                    let own = [walk.host.clone()];
                    settle(scene, &job, walk, &mut end, &own);
                    built.remove(at);
                }
            }
        }
    }
    for (at, main) in built {
        if let Some(walk) = walks.get_mut(at) {
            walk.enter(Arc::new(BlockPlan { main, ..BlockPlan::default() }));
        }
    }
    failed
}

/// Returns mistakes with their places as text.
fn places(scene: &Scene, errors: &crate::source::Diagnostics) -> String {
    let lines: Vec<String> = errors
        .0
        .iter()
        .map(|one| {
            let place =
                one.labels.first().and_then(|label| scene.run.world.sources.locate(label.span));
            match place {
                Some(place) => format!("{place}: {}", one.message),
                None => one.message.clone(),
            }
        })
        .collect();
    lines.join("\n")
}

/// Words of `meta` that act on the whole batch at once.
const FOR_ALL: &[&str] = &["end_play", "end_batch", "clear_host_errors"];

/// Does a meta task.
async fn meta(
    scene: &Arc<Scene>,
    walks: &mut [Walk],
    group: &[usize],
    plan: &Arc<TaskPlan>,
    order: &Order,
) -> Option<BatchEnd> {
    let raw = plan.task.action.free_form.as_ref().and_then(|node| node.raw()).unwrap_or_default();
    let for_all = FOR_ALL.contains(&raw) || is_once(scene, &first_host(walks, group), plan);
    let actors: Vec<usize> =
        if for_all { group.iter().take(1).copied().collect() } else { group.to_vec() };
    for at in actors {
        let Some(host) = walks.get(at).map(|walk| walk.host.clone()) else { continue };
        if !plan.implicit {
            announce(scene, &host, plan);
        }
        let Some(word) = meta_word(scene, &host, plan).await else { continue };
        let targets: Vec<usize> = if for_all { group.to_vec() } else { vec![at] };
        match word.as_str() {
            "end_play" => {
                walks.iter_mut().for_each(Walk::end);
                return Some(BatchEnd::PlayEnded);
            }
            "end_batch" => {
                walks.iter_mut().for_each(Walk::end);
                return Some(BatchEnd::Through);
            }
            "clear_host_errors" => {
                scene.run.forgive();
                for walk in walks.iter_mut() {
                    walk.forgive();
                }
                refresh_lists(scene, walks);
                scene.run.fleet.forget_lost().await;
            }
            _ => {
                for at in targets {
                    if let Some(walk) = walks.get_mut(at) {
                        meta_on(scene, walk, plan, &word, order).await;
                    }
                }
            }
        }
    }
    None
}

/// Evaluates a meta task on a host; `None` when its conditions leave it out or it failed.
async fn meta_word(scene: &Arc<Scene>, host: &HostName, plan: &Arc<TaskPlan>) -> Option<String> {
    if plan.implicit && plan.when.is_empty() {
        let node = plan.task.action.free_form.as_ref();
        return node.and_then(|node| node.raw()).map(str::to_owned);
    }
    let view = View::new(&scene.run, scene.layers(host, Some(plan)), Arc::from([]));
    let job = Job { scene: scene.clone(), host: host.clone(), plan: plan.clone() };
    let end = job.run().await;
    if matches!(unmet(&plan.when, &view), Ok(None)) {
        return end.meta;
    }
    let event = Event::HostDone {
        task: plan.id,
        host: host.clone(),
        delegated: None,
        status: end.finished.status,
        ignored: false,
        rescued: false,
        looped: false,
        place: end.finished.shown_place(&scene.run.world.sources, plan.task.span),
        result: end.finished.data,
        diff: Vec::new(),
        took_ms: 0,
    };
    scene.emit_of(host, plan, event);
    None
}

/// Does what a meta word says to one host.
async fn meta_on(scene: &Arc<Scene>, walk: &mut Walk, plan: &TaskPlan, word: &str, order: &Order) {
    match word {
        "flush_handlers" => walk.flush(order.clone()),
        "end_host" => walk.end(),
        "end_role" => walk.end_role(),
        "clear_facts" => scene.run.clear_facts(&walk.host),
        "reset_connection" => {
            let view = View::new(&scene.run, scene.layers(&walk.host, Some(plan)), Arc::from([]));
            let way = crate::engine::connection::way(
                &scene.run,
                &walk.host,
                &view,
                &view,
                &plan.keywords,
            );
            if let Ok(way) = way {
                scene.run.fleet.forget(&way.address).await;
            }
        }
        // `noop`; anything else was refused before the run.
        _ => {}
    }
}

/// Runs a batch without lockstep. `pinned` keeps a host's place among the forks until it is done.
pub(crate) async fn free(scene: &Arc<Scene>, walks: &mut Vec<Walk>, pinned: bool) -> BatchEnd {
    let gate = Arc::new(tokio::sync::Semaphore::new(scene.run.world.options.forks.max(1)));
    let mut running = JoinSet::new();
    let mut hosts: HashMap<tokio::task::Id, HostName> = HashMap::new();
    for walk in walks.drain(..) {
        let (scene, gate, host) = (scene.clone(), gate.clone(), walk.host.clone());
        let handle = running.spawn(async move {
            let _place = if pinned { gate.acquire().await.ok() } else { None };
            alone(&scene, walk).await
        });
        hosts.insert(handle.id(), host);
    }
    while let Some(joined) = running.join_next_with_id().await {
        match joined {
            Ok((_, walk)) => walks.push(walk),
            Err(error) => {
                if let Some(host) = hosts.remove(&error.id()) {
                    scene.run.count(&host, |tally| tally.failed += 1);
                    scene.run.drop_host(&host, false);
                }
            }
        }
    }
    if scene.ended.is_cancelled() { BatchEnd::PlayEnded } else { BatchEnd::Through }
}

/// Walks one host to its end.
async fn alone(scene: &Arc<Scene>, mut walk: Walk) -> Walk {
    loop {
        let stop = scene.run.world.cancel.is_cancelled()
            || scene.ended.is_cancelled()
            || scene.run.stopped().is_some();
        if stop {
            walk.end();
            return walk;
        }
        let handlers = scene.handlers();
        let Some(next) = walk.peek(&handlers) else { return walk };
        walk.step();
        let Next { plan, order } = next;
        if plan.kind == TaskKind::Meta {
            let Some(word) = meta_word(scene, &walk.host, &plan).await else { continue };
            match word.as_str() {
                "end_play" | "end_batch" => scene.ended.cancel(),
                "clear_host_errors" => {
                    scene.run.forgive();
                    scene.run.fleet.forget_lost().await;
                }
                _ => meta_on(scene, &mut walk, &plan, &word, &order).await,
            }
            continue;
        }
        if plan.keywords.run_once.is_some() && is_once(scene, &walk.host, &plan) {
            scene.warn_once(
                "Using run_once with the free strategy is not currently supported. This task will \
                 still be executed for every host in the inventory list.",
            );
        }
        let job = Job { scene: scene.clone(), host: walk.host.clone(), plan: plan.clone() };
        let mut end = gated(job.clone()).await;
        let own = [walk.host.clone()];
        let list = std::mem::take(&mut end.includes);
        if !list.is_empty() && !end.finished.is_bad() {
            let mut one = [walk];
            bring_in(scene, &mut one, &plan, &order, vec![(0, list)]);
            let [back] = one;
            walk = back;
            continue;
        }
        let fall = settle(scene, &job, &mut walk, &mut end, &own);
        if fall == Some(Fall::Failed) && is_fatal(scene, &job) {
            scene.ended.cancel();
        }
    }
}
