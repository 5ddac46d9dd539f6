//! `pg_lock`: one operator a cluster, until the run ends.

use crate::modules::action::unexpected;
use crate::modules::pg_node::Settings;
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Done, Mode, Module, Reach, Step,
    TaskContext, arg,
};
use crate::outcome::Outcome;

/// See the file's head.
pub(super) struct PgLock;

static DOC: Doc = Doc {
    name: "pg_lock",
    summary: "Takes the lock of a cluster on a host, so that no second run of matron works on it; refuses when another one holds it.",
    description: "The lock is held by the run's live connection until the run ends. It dies with that connection, so a matron that was killed leaves none. \
The refusal says who holds it, since when, and what for. Nothing is taken in check mode.",
    args: &[ArgDoc {
        ..arg("cluster", ArgKind::Str, "The cluster's name. Left out: what `pg_require` found.")
    }],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Visible,
    returns: &[("holder", "Who holds it, when that is somebody else.")],
    examples: "- name: Nobody else works on this cluster\n  pg_lock:\n",
};

#[derive(Debug)]
struct Take {
    cluster: String,
    host: String,
}

impl Module for PgLock {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let settings = Settings::new(args, cx)?;
        Ok(Box::new(Take { cluster: settings.text("cluster")?, host: cx.host.to_owned() }))
    }
}

impl Action for Take {
    fn begin(&mut self, mode: Mode) -> Step {
        if mode.check {
            return Step::Done(Outcome::ok());
        }
        Step::Lock { name: format!("pg-{}", self.cluster) }
    }

    fn resume(&mut self, done: Done) -> Step {
        let Done::Locked(taken) = done else { return unexpected() };
        let Err(holder) = taken else { return Step::Done(Outcome::ok()) };
        let (cluster, host) = (&self.cluster, &self.host);
        let text = format!(
            "refused: lock of cluster {cluster} on {host}: found held by {holder}; allowed is nobody. Wait until that run has ended, \
or end it; its lock goes with it. Nothing was changed."
        );
        Step::Done(Outcome::failed(text).with("holder", holder))
    }

    fn reach(&self) -> Reach {
        Reach::Visible
    }
}
