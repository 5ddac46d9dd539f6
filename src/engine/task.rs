//! One task on one host: its loop, its conditions, its result.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use minijinja::Value;
use minijinja::value::ValueKind;
use serde_json::{Map, Value as Json};

use crate::engine::attempt::Attempt;
use crate::engine::compile::{TaskKind, TaskPlan};
use crate::engine::include::Include;
use crate::engine::result::{Finished, of_loop};
use crate::engine::scene::Scene;
use crate::engine::view::{View, shown, value_of};
use crate::engine::{arguments, include, magic, rehearse};
use crate::event::Event;
use crate::names::HostName;
use crate::outcome::Effect;
use crate::playbook::Loop;
use crate::template::{TemplateError, TemplateErrorKind};
use crate::vars::{Layer, Origin, Rank, Variable};
use crate::yaml::Node;

/// A task to do on a host.
#[derive(Clone)]
pub(crate) struct Job {
    pub(crate) scene: Arc<Scene>,
    pub(crate) host: HostName,
    pub(crate) plan: Arc<TaskPlan>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct TaskEnd {
    /// The host.
    pub(crate) host: HostName,
    /// The result.
    pub(crate) finished: Finished,
    /// The host it was delegated to.
    pub(crate) delegated: Option<HostName>,
    /// Whose facts the effects are, and whether they take the `ansible_` prefix.
    pub(crate) effects: Vec<(HostName, Effect, Prefix)>,
    /// Variables of `include_vars`.
    pub(crate) variables: Vec<(Arc<str>, (Variable, Origin))>,
    /// Files and roles to go on with.
    pub(crate) includes: Vec<Include>,
    /// The word of a meta task that is to be done.
    pub(crate) meta: Option<String>,
    /// Handlers to notify, templated.
    pub(crate) notify: Vec<String>,
    /// Items were shown one by one.
    pub(crate) looped: bool,
    /// Nothing of the result may show.
    pub(crate) no_log: bool,
    /// A failure does not count.
    pub(crate) ignored: bool,
    /// How long it took.
    pub(crate) took: Duration,
}

/// How facts are named as variables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Prefix {
    /// `ansible_NAME` (`setup`).
    Ansible,
    /// As they come (`service_facts`, `getent` ...).
    None,
}

/// What one item (or the task without a loop) came to.
#[derive(Debug)]
pub(crate) struct Single {
    pub(crate) finished: Finished,
    pub(crate) delegated: Option<HostName>,
    pub(crate) delegate_facts: bool,
    pub(crate) include: Option<Include>,
    pub(crate) variables: Vec<(Arc<str>, (Variable, Origin))>,
    pub(crate) meta: Option<String>,
}

impl Single {
    pub(crate) fn of(finished: Finished) -> Self {
        Self {
            finished,
            delegated: None,
            delegate_facts: false,
            include: None,
            variables: Vec::new(),
            meta: None,
        }
    }
}

/// Keys that are no part of what `debug: var` shows.
const ADDED: &[&str] = &[
    "ansible_index_var",
    "ansible_loop",
    "ansible_loop_var",
    "changed",
    "failed",
    "failed_when_result",
    "changed_when_result",
];

/// What is repeated.
enum Items {
    Once,
    Each(Vec<Value>),
}

impl Job {
    /// Does the task.
    pub(crate) async fn run(self) -> TaskEnd {
        let started = Instant::now();
        let search: Arc<[PathBuf]> = magic::search_path(&self.plan, &self.scene.plan.play).into();
        let layers = self.scene.layers(&self.host, Some(&self.plan));
        let view = View::new(&self.scene.run, layers, search.clone());
        crate::engine::settle::mask(&self.scene.run, &view, self.own_names());
        self.scene.run.emit(Event::HostStarted { task: self.plan.id, host: self.host.clone() });
        let mut end = match view.flag(
            "no_log",
            self.plan.keywords.no_log.as_ref(),
            self.scene.run.world.options.defaults.no_log,
        ) {
            Ok(no_log) => {
                let mut end = self.items(&view, &search, no_log).await;
                end.no_log = no_log;
                end
            }
            Err(error) => self.end(Finished::failed(format!("Task failed: {}", error.0))),
        };
        if end.finished.is_bad() {
            let keywords = &self.plan.keywords;
            let (word, node) = if end.finished.status == crate::outcome::Status::Unreachable {
                ("ignore_unreachable", keywords.ignore_unreachable.as_ref())
            } else {
                ("ignore_errors", keywords.ignore_errors.as_ref())
            };
            end.ignored = view.flag(word, node, false).unwrap_or(false);
        }
        end.took = started.elapsed();
        end
    }

    fn end(&self, finished: Finished) -> TaskEnd {
        TaskEnd {
            host: self.host.clone(),
            finished,
            delegated: None,
            effects: Vec::new(),
            variables: Vec::new(),
            includes: Vec::new(),
            meta: None,
            notify: Vec::new(),
            looped: false,
            no_log: false,
            ignored: false,
            took: Duration::ZERO,
        }
    }

    /// Makes the end of a job whose work panicked.
    pub(crate) fn panicked(&self) -> TaskEnd {
        self.end(Finished::failed_unchanged("matron failed inside this task (a bug in matron)"))
    }

    async fn items(&self, view: &View, search: &Arc<[PathBuf]>, no_log: bool) -> TaskEnd {
        let items = match self.plan.task.repeat.as_ref().map(|repeat| loop_items(repeat, view)) {
            None => Items::Once,
            Some(Ok(items)) => Items::Each(items),
            Some(Err(error)) => {
                // A loop over something that is not there is no error where `when` leaves the task out.
                if let Ok(Some(unmet)) = unmet(&self.plan.when, view) {
                    return self.end(Finished::unmet(unmet));
                }
                if self.scene.run.world.options.plan {
                    let run = &self.scene.run;
                    return self.end(rehearse::unknown(
                        run,
                        &self.host,
                        "what it loops over",
                        &error,
                    ));
                }
                return self.end(Finished::failed(error));
            }
        };
        match items {
            Items::Once => {
                let mut single = self.single(view, search).await;
                let mut end = self.end(Finished::failed(""));
                end.delegated.clone_from(&single.delegated);
                self.collect(&mut single, view, &mut end);
                end.finished = single.finished;
                end
            }
            Items::Each(items) => self.each(view, search, items, no_log).await,
        }
    }

    async fn each(
        &self,
        view: &View,
        search: &Arc<[PathBuf]>,
        items: Vec<Value>,
        no_log: bool,
    ) -> TaskEnd {
        let mut end = self.end(Finished::failed(""));
        let control = &self.plan.task.loop_control;
        let names = match LoopNames::read(self, view) {
            Ok(names) => names,
            Err(error) => return self.end(Finished::failed(format!("Task failed: {error}"))),
        };
        // What earlier items have set is seen by later ones.
        let mut carried = Layer::default();
        let mut done = Vec::with_capacity(items.len());
        for (at, item) in items.iter().enumerate() {
            if self.scene.run.world.cancel.is_cancelled() {
                break;
            }
            if at > 0
                && let Ok(Some(seconds)) = view.keyword_number("pause", control.pause.as_ref())
            {
                tokio::time::sleep(Duration::from_secs_f64(seconds.max(0.0))).await;
            }
            let mut view = view.with(Rank::Magic, names.layer(&items, at, item));
            if !carried.values.is_empty() {
                view = view.with(Rank::SetFacts, carried.clone());
            }
            let mut single = self.single(&view, search).await;
            names.mark(&mut single.finished.data, &items, at, item);
            for effect in &single.finished.effects {
                if let Effect::SetFact { variables, .. } = effect {
                    for (name, value) in variables {
                        carry(&mut carried, name, value_of(value));
                    }
                }
            }
            if let Some(name) = self.register() {
                carry(&mut carried, &name, value_of(&single.finished.data));
            }
            end.delegated.clone_from(&single.delegated);
            self.collect(&mut single, &view, &mut end);
            if !matches!(self.plan.kind, TaskKind::IncludeTasks | TaskKind::IncludeRole) {
                self.emit_item(&view, &single, item, no_log);
            }
            let stop = control.break_when.as_ref().is_some_and(|conditions| {
                let view = match self.register() {
                    Some(name) => {
                        let mut layer = Layer::default();
                        carry(&mut layer, &name, value_of(&single.finished.data));
                        view.with(Rank::Magic, layer)
                    }
                    None => view.clone(),
                };
                matches!(unmet(conditions, &view), Ok(None))
            });
            let lost = single.finished.status == crate::outcome::Status::Unreachable;
            done.push(single.finished);
            if stop || lost {
                break;
            }
        }
        end.looped = !done.is_empty();
        end.finished = of_loop(done);
        end
    }

    /// Takes what an item wants done beyond its result.
    fn collect(&self, single: &mut Single, view: &View, end: &mut TaskEnd) {
        end.includes.extend(single.include.take());
        end.variables.append(&mut single.variables);
        if single.meta.is_some() {
            end.meta = single.meta.take();
        }
        let facts_of = match (&single.delegated, single.delegate_facts) {
            (Some(delegate), true) => delegate.clone(),
            (Some(_) | None, _) => self.host.clone(),
        };
        let setup =
            self.plan.kind == TaskKind::GatherFacts || self.plan.task.action.name == "setup";
        let prefix = if setup { Prefix::Ansible } else { Prefix::None };
        for effect in single.finished.effects.drain(..) {
            end.effects.push((facts_of.clone(), effect, prefix));
        }
        if crate::engine::result::is_true(&single.finished.data, "changed")
            && !single.finished.is_bad()
        {
            for node in &self.plan.notify {
                match view.resolve(node) {
                    Ok(value) if value.kind() == ValueKind::Seq => {
                        let names = value.try_iter().into_iter().flatten();
                        end.notify.extend(names.map(|name| shown(&name)));
                    }
                    Ok(value) => end.notify.push(shown(&value)),
                    Err(error) => {
                        single.finished =
                            Finished::failed(format!("Task failed: {}", error.message));
                    }
                }
            }
        }
    }

    fn emit_item(&self, view: &View, single: &Single, item: &Value, no_log: bool) {
        let label = match &self.plan.task.loop_control.label {
            _ if no_log => "(censored due to no_log)".to_owned(),
            Some(node) => {
                view.text(node).unwrap_or_else(|error| format!("<< error 1 - {} >>", error.message))
            }
            None => shown(item),
        };
        let run = &self.scene.run;
        let (mut result, diff) = single.finished.shown(no_log);
        self.decorate(&mut result, single.finished.status);
        let event = Event::ItemDone {
            task: self.plan.id,
            host: self.host.clone(),
            delegated: single.delegated.clone(),
            label: run.world.redactor.redact(&label),
            status: single.finished.status,
            // Said once, of the loop as a whole.
            ignored: false,
            place: single.finished.shown_place(&run.world.sources, self.plan.task.span),
            result: masked(run, result),
            diff: masked_diff(run, diff),
        };
        self.scene.emit_of(&self.host, &self.plan, event);
    }

    /// Marks results that are always shown.
    pub(crate) fn decorate(&self, result: &mut Map<String, Json>, status: crate::outcome::Status) {
        let name = self.plan.task.action.name.as_str();
        let talks = match name {
            "debug" => {
                status != crate::outcome::Status::Skipped && !result.contains_key("censored")
            }
            "assert" => status != crate::outcome::Status::Skipped && !self.is_quiet(),
            _ => false,
        };
        let failed = status == crate::outcome::Status::Failed;
        if name == "debug" && result.contains_key("results") && failed {
            result.retain(|key, _| key == "msg");
            return;
        }
        if name == "debug" {
            result.remove("changed");
        }
        // Failures of the engine before the module ran are shown in one line, as Ansible does.
        let by_engine = result.get("msg").and_then(Json::as_str).is_some_and(|text| {
            status == crate::outcome::Status::Failed && text.starts_with("Task failed: ")
        });
        if talks && !by_engine && !result.contains_key("results") {
            if name == "debug" {
                // A message is shown alone, a variable beside its item, without what the engine adds.
                let message = result.contains_key("msg");
                result
                    .retain(|key, _| key == "msg" || (!message && !ADDED.contains(&key.as_str())));
            }
            result.insert("_ansible_verbose_always".to_owned(), true.into());
        }
    }

    /// Returns the names of variables that come with the task, its blocks and its role rather than with the host.
    fn own_names(&self) -> impl Iterator<Item = &str> {
        let lineage = &self.plan.lineage;
        let role = lineage
            .role
            .iter()
            .flat_map(|role| role.defaults.iter().chain(&role.vars).chain(&role.params));
        let own = std::iter::once(&self.plan.vars);
        let layers = own.chain(&lineage.block_vars).chain(&lineage.params).chain(role);
        layers.flat_map(|layer| layer.values.keys().map(AsRef::as_ref))
    }

    /// Tells whether the task asked for few words.
    fn is_quiet(&self) -> bool {
        let named = &self.plan.task.action.named;
        named.iter().any(|arg| arg.name == "quiet" && arg.value.as_bool() == Some(true))
    }

    /// Returns the name a result is kept under.
    pub(crate) fn register(&self) -> Option<String> {
        self.plan.task.register.as_ref().and_then(Node::raw).map(str::to_owned)
    }

    async fn single(&self, view: &View, search: &Arc<[PathBuf]>) -> Single {
        let mut uncertain = false;
        match unmet(&self.plan.when, view) {
            Ok(None) => {}
            Ok(Some(condition)) => return Single::of(Finished::unmet(condition)),
            Err(error) if self.scene.run.world.options.plan => {
                uncertain = true;
                let unknown = "whether this is done";
                rehearse::unknown(&self.scene.run, &self.host, unknown, &error.message);
            }
            Err(error) => return Single::of(condition_failed(&error)),
        }
        match self.plan.kind {
            // What would be included, or ended, is not known.
            _ if uncertain && !matches!(self.plan.kind, TaskKind::Module) => {
                Single::of(Finished::unmet(Json::Null))
            }
            TaskKind::Module | TaskKind::GatherFacts => {
                Box::pin(Attempt::new(self, view, search).uncertain(uncertain).run()).await
            }
            TaskKind::Meta => {
                let action = &self.plan.task.action;
                let node = action.free_form.as_ref().or_else(|| {
                    action.named.iter().find(|arg| arg.name == "free_form").map(|arg| &arg.value)
                });
                let word = node.map(|node| view.text(node)).transpose();
                match word {
                    Ok(word) => {
                        let mut single = Single::of(Finished::of(crate::outcome::Outcome::ok()));
                        single.meta = word;
                        single
                    }
                    Err(error) => {
                        Single::of(Finished::failed(format!("Task failed: {}", error.message)))
                    }
                }
            }
            TaskKind::IncludeTasks => include::tasks(self, view),
            TaskKind::IncludeRole => include::role(self, view),
            TaskKind::IncludeVars => include::vars(self, view, search),
        }
    }
}

/// Returns the first condition that does not hold, as it is shown.
pub(crate) fn unmet(conditions: &[Node], view: &View) -> Result<Option<Json>, TemplateError> {
    for condition in conditions {
        if !view.condition(condition)? {
            return Ok(Some(crate::yaml::to_json(condition)));
        }
    }
    Ok(None)
}

/// Makes the result of a condition that could not be told.
pub(crate) fn condition_failed(error: &TemplateError) -> Finished {
    match error.kind {
        TemplateErrorKind::NotBoolean => {
            Finished::failed(format!("Task failed: {}", error.message))
        }
        TemplateErrorKind::Undefined
        | TemplateErrorKind::Syntax
        | TemplateErrorKind::Runtime
        | TemplateErrorKind::Recursion => {
            Finished::failed_unchanged(format!("Task failed: {}", evaluating(&error.message)))
        }
    }
    .at(error.span)
}

/// Puts Ansible's words before what went wrong in a condition.
pub(crate) fn evaluating(message: &str) -> String {
    let head = "Error while evaluating conditional: ";
    if message.starts_with(head) { message.to_owned() } else { format!("{head}{message}") }
}

/// Masks secrets in a result.
pub(crate) fn masked(
    run: &crate::engine::scene::Run,
    result: Map<String, Json>,
) -> Map<String, Json> {
    let mut value = Json::Object(result);
    run.world.redactor.redact_json(&mut value);
    match value {
        Json::Object(map) => map,
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => {
            Map::new()
        }
    }
}

/// Masks secrets in diffs.
pub(crate) fn masked_diff(
    run: &crate::engine::scene::Run,
    mut diff: Vec<crate::outcome::Diff>,
) -> Vec<crate::outcome::Diff> {
    for one in &mut diff {
        one.before = run.world.redactor.redact(&one.before);
        one.after = run.world.redactor.redact(&one.after);
    }
    diff
}

fn carry(layer: &mut Layer, name: &str, value: Value) {
    let origin = Origin { what: Arc::from("set in this loop"), span: None };
    layer.values.insert(Arc::from(name), (Variable::Data(value), origin));
}

fn loop_items(repeat: &Loop, view: &View) -> Result<Vec<Value>, String> {
    let resolved =
        view.resolve(&repeat.over).map_err(|error| format!("Task failed: {}", error.message))?;
    let is_list = matches!(resolved.kind(), ValueKind::Seq | ValueKind::Iterable);
    let elements = |value: &Value| -> Result<Vec<Value>, String> {
        value.try_iter().map(Iterator::collect).map_err(|error| error.to_string())
    };
    match &repeat.lookup {
        None if is_list => elements(&resolved),
        None => Err(format!(
            "The `loop` value must resolve to a 'list', not '{}'.",
            arguments::python_type(&resolved)
        )),
        Some(lookup) => {
            let terms = if is_list { elements(&resolved)? } else { vec![resolved] };
            let found = view
                .lookup(lookup, terms)
                .map_err(|error| format!("Task failed: {}", error.message))?;
            elements(&found)
        }
    }
}

/// What loop variables are called.
struct LoopNames {
    item: String,
    index: Option<String>,
    extended: bool,
    all_items: bool,
}

impl LoopNames {
    fn read(job: &Job, view: &View) -> Result<Self, String> {
        let control = &job.plan.task.loop_control;
        let text = |keyword: &str, node: &Option<Node>| {
            view.keyword_text(keyword, node.as_ref()).map_err(|error| error.0)
        };
        let flag = |keyword: &str, node: &Option<Node>, default: bool| {
            view.flag(keyword, node.as_ref(), default).map_err(|error| error.0)
        };
        Ok(Self {
            item: text("loop_var", &control.loop_var)?.unwrap_or_else(|| "item".to_owned()),
            index: text("index_var", &control.index_var)?,
            extended: flag("extended", &control.extended, false)?,
            all_items: flag("extended_allitems", &control.extended_allitems, true)?,
        })
    }

    fn layer(&self, items: &[Value], at: usize, item: &Value) -> Layer {
        let mut values = vec![
            (self.item.clone(), item.clone()),
            ("ansible_loop_var".to_owned(), Value::from(self.item.as_str())),
        ];
        if let Some(index) = &self.index {
            values.push((index.clone(), Value::from(at)));
            values.push(("ansible_index_var".to_owned(), Value::from(index.as_str())));
        }
        if self.extended {
            values.push(("ansible_loop".to_owned(), self.extended(items, at)));
        }
        Layer::data(values, "loop")
    }

    fn extended(&self, items: &[Value], at: usize) -> Value {
        let length = items.len();
        let mut pairs = vec![
            ("index", Value::from(at + 1)),
            ("index0", Value::from(at)),
            ("first", Value::from(at == 0)),
            ("last", Value::from(at + 1 == length)),
            ("length", Value::from(length)),
            ("revindex", Value::from(length - at)),
            ("revindex0", Value::from(length - at - 1)),
        ];
        if self.all_items {
            pairs.push(("allitems", items.iter().cloned().collect()));
        }
        if let Some(next) = items.get(at + 1) {
            pairs.push(("nextitem", next.clone()));
        }
        if let Some(previous) = at.checked_sub(1).and_then(|at| items.get(at)) {
            pairs.push(("previtem", previous.clone()));
        }
        Value::from_pairs(pairs)
    }

    /// Adds the item to its result.
    fn mark(&self, data: &mut Map<String, Json>, items: &[Value], at: usize, item: &Value) {
        let json = |value: &Value| serde_json::to_value(value).unwrap_or(Json::Null);
        data.insert(self.item.clone(), json(item));
        data.insert("ansible_loop_var".to_owned(), self.item.as_str().into());
        if let Some(index) = &self.index {
            data.insert(index.clone(), at.into());
            data.insert("ansible_index_var".to_owned(), index.as_str().into());
        }
        if self.extended {
            data.insert("ansible_loop".to_owned(), json(&self.extended(items, at)));
        }
    }
}
