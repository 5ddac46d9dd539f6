//! One module on one host for one item: arguments, way, tries, verdicts.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::engine::arguments;
use crate::engine::compile::TaskKind;
use crate::engine::connection::{AddressError, Way, way};
use crate::engine::drive::Drive;
use crate::engine::files::TaskFiles;
use crate::engine::result::Finished;
use crate::engine::task::{Job, Single, condition_failed, evaluating, masked, unmet};
use crate::engine::view::{View, shown, value_of};
use crate::engine::{facts, rehearse, scene::Run};
use crate::event::Event;
use crate::modules::{Args, CheckMode, Mode, Module, TaskContext};
use crate::names::HostName;
use crate::outcome::{Outcome, Status};
use crate::transport::{TransportError, TransportErrorKind};
use crate::vars::{Layer, Rank};
use crate::yaml::Node;

/// How often `until` tries again, when nothing is said.
const RETRIES: f64 = 3.0;
/// How long it waits between tries, in seconds.
const DELAY: f64 = 5.0;

/// A module to be run.
pub(crate) struct Attempt<'a> {
    job: &'a Job,
    view: &'a View,
    search: &'a Arc<[PathBuf]>,
    /// Whether it is done at all is not known yet (a rehearsal).
    uncertain: bool,
}

/// What stays the same from try to try.
struct Ready {
    module: &'static dyn Module,
    args: Args,
    way: Way,
    mode: Mode,
    environment: Vec<(String, String)>,
    timeout: Option<u64>,
    delegated: Option<HostName>,
    delegate_facts: bool,
}

impl<'a> Attempt<'a> {
    pub(crate) fn new(job: &'a Job, view: &'a View, search: &'a Arc<[PathBuf]>) -> Self {
        Self { job, view, search, uncertain: false }
    }

    /// Says that a rehearsal does not know whether this is done at all.
    pub(crate) fn uncertain(self, uncertain: bool) -> Self {
        Self { uncertain, ..self }
    }

    fn stage(&self) -> &Run {
        &self.job.scene.run
    }

    /// Runs the module until it is done.
    pub(crate) async fn run(self) -> Single {
        let delegated = match self.delegate() {
            Ok(delegated) => delegated,
            Err(error) => {
                let mut single = Single::of(Finished::failed(format!("Task failed: {}", error.0)));
                let written = self.job.plan.delegate.to.as_ref().and_then(Node::raw);
                single.delegated = written.map(HostName::new);
                return single;
            }
        };
        let ready = match self.ready(delegated.clone()) {
            Ok(ready) => ready,
            Err(finished) => {
                let mut single = Single::of(self.rehearsed(*finished));
                single.delegated = delegated;
                return single;
            }
        };
        let finished = self.tries(&ready).await;
        let mut single = Single::of(finished);
        single.delegate_facts = ready.delegate_facts;
        single.delegated = ready.delegated;
        single
    }

    /// In a rehearsal, arguments that cannot be told yet are no failure.
    fn rehearsed(&self, finished: Finished) -> Finished {
        if !self.stage().world.options.plan || !finished.is_bad() {
            return finished;
        }
        let why = finished.data.get("msg").and_then(|msg| msg.as_str()).unwrap_or_default();
        let what = format!("what {} is given", self.job.plan.task.action.name);
        rehearse::unknown(self.stage(), &self.job.host, &what, why)
    }

    fn delegate(&self) -> Result<Option<HostName>, AddressError> {
        let Some(node) = &self.job.plan.delegate.to else { return Ok(None) };
        let value = self.view.resolve(node)?;
        if crate::template::is_omit(&value) || value.is_none() {
            return Ok(None);
        }
        let name = shown(&value);
        Ok(Some(HostName::new(name)).filter(|name| !name.as_str().is_empty()))
    }

    fn ready(&self, delegated: Option<HostName>) -> Result<Ready, Box<Finished>> {
        let plan = &self.job.plan;
        let options = &self.stage().world.options;
        let words = |text: String| Box::new(Finished::failed(format!("Task failed: {text}")));
        let name = match plan.kind {
            TaskKind::GatherFacts => "setup",
            TaskKind::Module
            | TaskKind::IncludeTasks
            | TaskKind::IncludeRole
            | TaskKind::IncludeVars
            | TaskKind::Meta => plan.task.action.name.as_str(),
        };
        let Some(module) = crate::modules::find(name) else {
            return Err(words(format!("the module '{name}' was not found")));
        };
        let args = arguments::render(plan, module.doc(), self.view)
            .map_err(|error| Box::new(failed_arguments(error)))?;
        let keywords = &plan.keywords;
        let flag = |word: &str, node: Option<&Node>, default: bool| {
            self.view.flag(word, node, default).map_err(|error| words(error.0))
        };
        let mode = Mode {
            check: flag("check_mode", keywords.check_mode.as_ref(), options.check)?,
            diff: flag("diff", keywords.diff.as_ref(), options.diff)?,
        };
        let number = |word: &str, node: Option<&Node>| {
            self.view.keyword_number(word, node).map_err(|error| words(error.0))
        };
        let seconds = number("timeout", keywords.timeout.as_ref())?;
        let asynchronous = number("async", plan.task.asynchronous.as_ref())?;
        // A task with `async` and `poll` is waited for here; its deadline is the one it was given.
        #[expect(clippy::cast_precision_loss, reason = "a number of seconds a person wrote")]
        let default = options.defaults.task_timeout.map(|seconds| seconds as f64);
        let timeout = seconds.or(asynchronous).or(default).filter(|seconds| *seconds > 0.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "positive by the filter; a cast of a float saturates"
        )]
        let timeout = timeout.map(|seconds| seconds.ceil() as u64);
        let way = self.way(delegated.as_ref()).map_err(|error| words(error.0))?;
        Ok(Ready {
            module,
            args,
            way,
            mode,
            environment: self.environment().map_err(words)?,
            timeout,
            delegate_facts: flag("delegate_facts", plan.delegate.facts.as_ref(), false)?,
            delegated,
        })
    }

    fn way(&self, delegated: Option<&HostName>) -> Result<Way, AddressError> {
        let keywords = &self.job.plan.keywords;
        match delegated {
            None => way(self.stage(), &self.job.host, self.view, self.view, keywords),
            Some(delegate) => {
                // The way is the delegate's own, but variables of the task (`vars: {ansible_user: x}`) and of its loop
                // are nearer than the delegate's.
                let plan = &self.job.plan;
                let layers = self.job.scene.layers(delegate, Some(plan));
                let mut view = View::new(self.stage(), layers, self.search.clone());
                if plan.task.repeat.is_some() {
                    let named = plan.task.loop_control.loop_var.as_ref().and_then(Node::raw);
                    let name = named.unwrap_or("item");
                    if let Some(item) = self.view.variable(name)? {
                        let layer = Layer::data([(name.to_owned(), item)], "loop");
                        view = view.with(Rank::Magic, layer);
                    }
                }
                let mut keywords = keywords.clone();
                if matches!(delegate.as_str(), "localhost" | "127.0.0.1" | "::1") {
                    keywords.remote_user = None;
                    keywords.port = None;
                }
                way(self.stage(), delegate, &view, self.view, &keywords)
            }
        }
    }

    fn environment(&self) -> Result<Vec<(String, String)>, String> {
        let mut merged: indexmap::IndexMap<String, String> = indexmap::IndexMap::new();
        for node in &self.job.plan.keywords.environment {
            let value = self.view.keyword("environment", node).map_err(|error| error.0)?;
            let list = match value.kind() {
                minijinja::value::ValueKind::Seq => {
                    value.try_iter().into_iter().flatten().collect()
                }
                _ => vec![value],
            };
            for mapping in list {
                if mapping.is_none() || crate::template::is_omit(&mapping) {
                    continue;
                }
                for key in mapping.try_iter().into_iter().flatten() {
                    let value = mapping.get_item(&key).unwrap_or_default();
                    merged.insert(shown(&key), shown(&value));
                }
            }
        }
        Ok(merged.into_iter().collect())
    }

    async fn tries(&self, ready: &Ready) -> Finished {
        let task = &self.job.plan.task;
        if self.stage().world.options.plan {
            let finished = self.once(ready).await;
            let mut finished =
                rehearse::soften(self.stage(), &self.job.host, ready.module, finished);
            if !rehearse::is_undone(&finished) {
                self.judge(&mut finished);
            }
            return finished;
        }
        if task.until.is_none() && task.retries.is_none() {
            let mut finished = self.once(ready).await;
            self.judge(&mut finished);
            return finished;
        }
        let number = |word: &str, node: &Option<Node>, default: f64| {
            self.view
                .keyword_number(word, node.as_ref())
                .map(|number| number.unwrap_or(default).max(0.0))
                .map_err(|error| Box::new(Finished::failed(format!("Task failed: {}", error.0))))
        };
        let retries = match number("retries", &task.retries, RETRIES) {
            Ok(retries) => retries,
            Err(failed) => return *failed,
        };
        let delay = match number("delay", &task.delay, DELAY) {
            Ok(delay) => Duration::from_secs_f64(delay),
            Err(failed) => return *failed,
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not negative; a cast of a float saturates"
        )]
        let retries = retries as u64;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let mut finished = self.once(ready).await;
            if finished.status == Status::Unreachable || finished.status == Status::Skipped {
                return finished;
            }
            finished.data.insert("attempts".to_owned(), attempt.into());
            self.judge(&mut finished);
            let met = match &task.until {
                Some(conditions) => match unmet(conditions, &self.with_result(&finished)) {
                    Ok(unmet) => unmet.is_none(),
                    Err(error) => return condition_failed(&error),
                },
                None => !finished.is_bad(),
            };
            let cancelled = self.stage().world.cancel.is_cancelled();
            if met || cancelled {
                return finished;
            }
            if attempt > retries {
                finished.data.insert("attempts".to_owned(), retries.into());
                finished.set_failed(true);
                return finished;
            }
            self.emit_retry(&finished, retries + 1 - attempt);
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = self.stage().world.cancel.cancelled() => return finished,
            }
        }
    }

    fn emit_retry(&self, finished: &Finished, left: u64) {
        let plan = &self.job.plan;
        let no_log = self
            .view
            .flag(
                "no_log",
                plan.keywords.no_log.as_ref(),
                self.stage().world.options.defaults.no_log,
            )
            .unwrap_or(true);
        let (result, _) = finished.shown(no_log);
        let event = Event::Retrying {
            task: plan.id,
            host: self.job.host.clone(),
            name: crate::engine::naming::task_name(&self.job.scene, &self.job.host, plan),
            left,
            result: masked(self.stage(), result),
        };
        self.job.scene.emit_of(&self.job.host, plan, event);
    }

    /// Applies `changed_when` and `failed_when`.
    fn judge(&self, finished: &mut Finished) {
        let task = &self.job.plan.task;
        if matches!(finished.status, Status::Skipped | Status::Unreachable)
            || (task.changed_when.is_none() && task.failed_when.is_none())
        {
            return;
        }
        if let Some(conditions) = &task.changed_when {
            match unmet(conditions, &self.with_result(finished)) {
                Ok(unmet) => finished.set_changed(unmet.is_none()),
                Err(error) => {
                    let text = evaluating(&error.message);
                    finished.data.insert("changed_when_result".to_owned(), text.into());
                    finished.set_failed(true);
                    return;
                }
            }
        }
        if let Some(conditions) = &task.failed_when {
            match unmet(conditions, &self.with_result(finished)) {
                Ok(unmet) => {
                    let failed = unmet.is_none();
                    finished.set_failed(failed);
                    finished.data.insert("failed_when_result".to_owned(), failed.into());
                }
                Err(error) => {
                    finished.set_failed(true);
                    let text = evaluating(&error.message);
                    finished.data.insert("failed_when_result".to_owned(), text.into());
                }
            }
        }
    }

    /// Returns the view with the result under the name it is registered by.
    fn with_result(&self, finished: &Finished) -> View {
        match self.job.register() {
            Some(name) => {
                let values = [(name, value_of(&finished.data))];
                self.view.with(Rank::Magic, Layer::data(values, "register"))
            }
            None => self.view.clone(),
        }
    }

    /// Runs the module once.
    async fn once(&self, ready: &Ready) -> Finished {
        let job = self.job;
        let run = self.stage();
        let cancel = run.world.cancel.child_token();
        let drive = Drive {
            fleet: &run.fleet,
            way: &ready.way,
            cancel: &cancel,
            asker: &run.world.asker,
            task: job.plan.id,
            host: &job.host,
            events: &run.world.events,
            redactor: &run.world.redactor,
            show_scripts: run.world.options.show_scripts,
            locks: &run.locks,
            connection: Mutex::new(None),
        };
        if job.plan.kind == TaskKind::GatherFacts && !facts::wanted(&job.scene) {
            // Nothing in the play can read facts: that the host answers is all there is to know.
            return match drive.connection().await {
                Ok(_) => Finished::of(Outcome::ok()),
                Err(error) => unreachable(&error),
            };
        }
        if ready.mode.check && ready.module.doc().check_mode == CheckMode::Skipped {
            let name = ready.module.doc().name;
            return Finished::of(Outcome::skipped(format!(
                "remote module ({name}) does not support check mode"
            )));
        }
        let action = {
            let files = TaskFiles::new(run.world.files.clone(), self.search.clone());
            let context = TaskContext {
                host: job.host.as_str(),
                mode: ready.mode,
                vars: self.view,
                files: &files,
                environment: &ready.environment,
                user: &ready.way.user,
                timeout: ready.timeout,
                verbosity: run.world.options.verbosity,
            };
            match ready.module.parse(&mut ready.args.clone(), &context) {
                Ok(action) => action,
                Err(error) => {
                    return self.rehearsed(Finished::of(Outcome::failed(error.message)));
                }
            }
        };
        let mut mode = ready.mode;
        if run.world.options.plan {
            if self.uncertain || !rehearse::is_done(ready.module, &ready.args) {
                let name = ready.module.doc().name;
                return rehearse::show(run, &job.host, &ready.way, name, action, mode);
            }
            mode.check |= ready.module.observes(&ready.args);
        }
        let outcome = match ready.timeout {
            None => Box::pin(drive.run(action, mode)).await,
            Some(seconds) => {
                let mut running = Box::pin(drive.run(action, mode));
                tokio::select! {
                    outcome = &mut running => outcome,
                    () = tokio::time::sleep(Duration::from_secs(seconds)) => {
                        cancel.cancel();
                        // The act is told to stop, and waited for, so that nothing of it goes on behind our back.
                        let _stopped = running.await;
                        return timed_out(seconds);
                    }
                }
            }
        };
        match outcome {
            Ok(outcome) => {
                let mut finished = Finished::of(outcome);
                // A command that ran and failed has changed something, for all that is known.
                let name = ready.module.doc().name;
                let ran = finished.status == Status::Failed
                    && finished.data.get("delta").is_some_and(|delta| !delta.is_null());
                if ran && matches!(name, "command" | "shell" | "raw" | "script") {
                    finished.data.insert("changed".to_owned(), true.into());
                }
                finished
            }
            Err(error) => unreachable(&error),
        }
    }
}

fn timed_out(seconds: u64) -> Finished {
    let mut finished =
        Finished::failed_unchanged(format!("Task failed: Timed out after {seconds} second(s)."));
    finished.data.insert("timedout".to_owned(), serde_json::json!({ "period": seconds }));
    finished
}

/// Makes a result of arguments that could not be finished.
pub(crate) fn failed_arguments(error: arguments::ArgumentsError) -> Finished {
    let place = error.place();
    Finished::failed_unchanged(error.text()).at(place)
}

/// Makes a result of a transport error.
fn unreachable(error: &TransportError) -> Finished {
    let status = match error.kind {
        TransportErrorKind::Connect
        | TransportErrorKind::HostKey
        | TransportErrorKind::Authentication
        | TransportErrorKind::Lost
        | TransportErrorKind::Protocol => Status::Unreachable,
        TransportErrorKind::Become
        | TransportErrorKind::Transfer
        | TransportErrorKind::Cancelled => Status::Failed,
    };
    let mut outcome = Outcome::new(status).with("msg", format!("Task failed: {}", error.message));
    if let Some(hint) = &error.hint {
        outcome = outcome.with("hint", hint.as_str());
    }
    Finished::of(outcome)
}
