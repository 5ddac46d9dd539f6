//! Results: what `register` gives, what events carry, how a loop's results become one.

use serde_json::{Map, Value as Json};

use crate::outcome::{Diff, Effect, Outcome, Status};
use crate::source::{Sources, Span};

/// The result of one task, or of one item of its loop, on one host.
#[derive(Clone, Debug)]
pub(crate) struct Finished {
    /// How it ended.
    pub(crate) status: Status,
    /// The result as `register` gives it.
    pub(crate) data: Map<String, Json>,
    /// What changed.
    pub(crate) diff: Vec<Diff>,
    /// What it does to the run.
    pub(crate) effects: Vec<Effect>,
    /// Where the mistake stands, when that is known better than "in this task".
    pub(crate) place: Option<Span>,
}

/// What stands in place of a result under `no_log`.
const CENSORED: &str =
    "the output has been hidden due to the fact that 'no_log: true' was specified for this result";

impl Finished {
    /// Makes a result of what a module came to.
    pub(crate) fn of(outcome: Outcome) -> Self {
        let Outcome { status, mut data, diff, effects } = outcome;
        match status {
            Status::Ok | Status::Changed | Status::Failed => {
                let changed = status == Status::Changed || is_true(&data, "changed");
                data.insert("changed".to_owned(), changed.into());
                data.insert("failed".to_owned(), (status == Status::Failed).into());
            }
            Status::Skipped => {
                data.insert("changed".to_owned(), false.into());
                data.insert("skipped".to_owned(), true.into());
            }
            Status::Unreachable => {
                data.insert("changed".to_owned(), false.into());
                data.insert("unreachable".to_owned(), true.into());
            }
        }
        Self { status, data, diff, effects, place: None }
    }

    /// Makes a failure with nothing but a text.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        let mut data = Map::new();
        data.insert("failed".to_owned(), true.into());
        data.insert("msg".to_owned(), message.into().into());
        Self { status: Status::Failed, data, diff: Vec::new(), effects: Vec::new(), place: None }
    }

    /// Makes a failure that says that nothing changed.
    pub(crate) fn failed_unchanged(message: impl Into<String>) -> Self {
        let mut failed = Self::failed(message);
        failed.data.insert("changed".to_owned(), false.into());
        failed
    }

    /// Makes the result of a condition that did not hold.
    pub(crate) fn unmet(condition: Json) -> Self {
        let mut data = Map::new();
        data.insert("changed".to_owned(), false.into());
        data.insert("skipped".to_owned(), true.into());
        data.insert("skip_reason".to_owned(), "Conditional result was False".into());
        data.insert("false_condition".to_owned(), condition);
        Self { status: Status::Skipped, data, diff: Vec::new(), effects: Vec::new(), place: None }
    }

    /// Adds where the mistake stands.
    pub(crate) fn at(mut self, place: Option<Span>) -> Self {
        self.place = self.place.or(place);
        self
    }

    /// Returns where to look when it failed, for people: what is known, else the task.
    pub(crate) fn shown_place(&self, sources: &Sources, task: Span) -> Option<String> {
        let place = self.is_bad().then(|| self.place.unwrap_or(task))?;
        sources.locate(place).map(|at| at.to_string())
    }

    /// Tells whether it failed or the host could not be reached.
    pub(crate) fn is_bad(&self) -> bool {
        matches!(self.status, Status::Failed | Status::Unreachable)
    }

    /// Sets `changed` by the verdict of `changed_when`.
    pub(crate) fn set_changed(&mut self, changed: bool) {
        self.data.insert("changed".to_owned(), changed.into());
        if !self.is_bad() {
            self.status = if changed { Status::Changed } else { Status::Ok };
        }
    }

    /// Sets `failed` by the verdict of `failed_when`.
    pub(crate) fn set_failed(&mut self, failed: bool) {
        self.data.insert("failed".to_owned(), failed.into());
        self.status = if failed {
            Status::Failed
        } else if is_true(&self.data, "changed") {
            Status::Changed
        } else {
            Status::Ok
        };
    }

    /// Returns what events may show of it.
    pub(crate) fn shown(&self, no_log: bool) -> (Map<String, Json>, Vec<Diff>) {
        if !no_log {
            return (self.data.clone(), self.diff.clone());
        }
        let mut data = Map::new();
        data.insert("censored".to_owned(), CENSORED.into());
        if let Some(changed) = self.data.get("changed") {
            data.insert("changed".to_owned(), changed.clone());
        }
        (data, Vec::new())
    }
}

/// Tells whether a key is true.
pub(crate) fn is_true(data: &Map<String, Json>, key: &str) -> bool {
    data.get(key) == Some(&Json::Bool(true))
}

/// Makes one result of the results of a loop.
pub(crate) fn of_loop(items: Vec<Finished>) -> Finished {
    let mut data = Map::new();
    if items.is_empty() {
        data.insert("changed".to_owned(), false.into());
        data.insert("skipped".to_owned(), true.into());
        data.insert("skipped_reason".to_owned(), "No items in the list".into());
        data.insert("results".to_owned(), Json::Array(Vec::new()));
        return Finished {
            status: Status::Skipped,
            data,
            diff: Vec::new(),
            effects: Vec::new(),
            place: None,
        };
    }
    let any = |status: Status| items.iter().any(|item| item.status == status);
    let skipped = items.iter().all(|item| item.status == Status::Skipped);
    let changed = items.iter().any(|item| is_true(&item.data, "changed"));
    let failed = any(Status::Failed);
    let status = if any(Status::Unreachable) {
        Status::Unreachable
    } else if failed {
        Status::Failed
    } else if skipped {
        Status::Skipped
    } else if changed {
        Status::Changed
    } else {
        Status::Ok
    };
    let message = if failed {
        "One or more items failed"
    } else if skipped {
        "All items skipped"
    } else {
        "All items completed"
    };
    data.insert("changed".to_owned(), changed.into());
    if failed {
        data.insert("failed".to_owned(), true.into());
    }
    if status == Status::Unreachable {
        data.insert("unreachable".to_owned(), true.into());
    }
    data.insert("msg".to_owned(), message.into());
    data.insert("skipped".to_owned(), skipped.into());
    let mut results = Vec::with_capacity(items.len());
    let mut diff = Vec::new();
    for item in items {
        diff.extend(item.diff);
        results.push(Json::Object(item.data));
    }
    data.insert("results".to_owned(), Json::Array(results));
    Finished { status, data, diff, effects: Vec::new(), place: None }
}
