//! What became of one task on one host.
//!
//! Lives here: [`Outcome`], its status, diffs and effects. Does not: who counts them (engine, report).

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How a task ended on a host.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// As it should be already.
    Ok,
    /// Something was changed (or would be, in check mode).
    Changed,
    /// `when` was false, or the module had nothing to do by its own rules.
    Skipped,
    /// The task failed on this host.
    Failed,
    /// The host could not be reached.
    Unreachable,
}

/// The result of a task: Ansible's result dictionary, plus what the engine must do with it.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    /// How it ended.
    pub status: Status,
    /// The result as `register` gives it, without the keys `changed`, `failed`, `skipped` (the engine adds them).
    pub data: Map<String, Value>,
    /// What changed, for `--diff`.
    pub diff: Vec<Diff>,
    /// What the engine must do beside recording the result.
    pub effects: Vec<Effect>,
}

/// A change to show with `--diff`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Diff {
    /// Heading of the old side (usually the path).
    pub before_header: String,
    /// Heading of the new side.
    pub after_header: String,
    /// Old text.
    pub before: String,
    /// New text.
    pub after: String,
}

/// Something a task does to the run rather than to its host.
#[derive(Clone, PartialEq, Debug)]
pub enum Effect {
    /// Facts of the host (`ansible_facts`); the keys have no `ansible_` prefix unless the fact itself has one.
    Facts(Map<String, Value>),
    /// `set_fact`: variables of the host at set_fact precedence.
    SetFact {
        /// Names and values.
        variables: Map<String, Value>,
        /// Also kept as a fact.
        cacheable: bool,
    },
    /// `include_vars`: variables of the host at include_vars precedence.
    IncludeVars(Map<String, Value>),
    /// `add_host`.
    AddHost {
        /// Name of the new (or known) host.
        name: String,
        /// Groups it joins.
        groups: Vec<String>,
        /// Its variables.
        variables: Map<String, Value>,
    },
    /// `group_by`.
    GroupBy {
        /// The group this host joins.
        group: String,
        /// Parents of that group.
        parents: Vec<String>,
    },
    /// `meta: …` and what else steers the run; the word is one of Ansible's free forms.
    Meta(String),
    /// `fetch`: a file to keep on this machine, written atomically; folders are made. A relative path is
    /// relative to the working folder.
    Keep {
        /// Where.
        path: PathBuf,
        /// What.
        content: Vec<u8>,
    },
    /// `set_stats`: figures of the run.
    Stats {
        /// Names and values.
        data: Map<String, Value>,
        /// Per host rather than for the run.
        per_host: bool,
    },
}

impl Outcome {
    /// Starts an outcome with a status and an empty result.
    pub fn new(status: Status) -> Self {
        Self { status, data: Map::new(), diff: Vec::new(), effects: Vec::new() }
    }

    /// Nothing had to change.
    pub fn ok() -> Self {
        Self::new(Status::Ok)
    }

    /// Ok or changed.
    pub fn changed_if(changed: bool) -> Self {
        Self::new(if changed { Status::Changed } else { Status::Ok })
    }

    /// Failed with Ansible's `msg`.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Status::Failed).with("msg", message.into())
    }

    /// Skipped with a reason.
    pub fn skipped(message: impl Into<String>) -> Self {
        Self::new(Status::Skipped).with("msg", message.into())
    }

    /// Adds a key to the result.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.data.insert(key.to_owned(), value.into());
        self
    }

    /// Adds a diff.
    #[must_use]
    pub fn with_diff(mut self, diff: Diff) -> Self {
        self.diff.push(diff);
        self
    }

    /// Adds an effect.
    #[must_use]
    pub fn with_effect(mut self, effect: Effect) -> Self {
        self.effects.push(effect);
        self
    }

    /// Returns `msg`, if there is one.
    pub fn message(&self) -> Option<&str> {
        self.data.get("msg").and_then(Value::as_str)
    }
}
