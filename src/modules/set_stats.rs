//! `set_stats`: figures of the run, shown at its end.

use serde_json::{Value as Json, json};

use crate::modules::action::Finished;
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};
use crate::outcome::{Effect, Outcome};

/// See the file's head.
pub(super) struct SetStats;

static DOC: Doc = Doc {
    name: "set_stats",
    summary: "Keeps figures of the run, shown at its end.",
    description: "",
    args: &[
        ArgDoc { required: true, ..arg("data", ArgKind::Dict, "Names and values.") },
        ArgDoc {
            default: "false",
            ..arg("per_host", ArgKind::Bool, "Keeps them by host rather than for the run.")
        },
        ArgDoc {
            default: "true",
            ..arg(
                "aggregate",
                ArgKind::Bool,
                "Adds to a value that is there rather than replacing it.",
            )
        },
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Controller,
    returns: &[("ansible_stats", "`data`, `per_host` and `aggregate`.")],
    examples: "- set_stats:\n    data:\n      rows_lost: 0\n",
};

impl Module for SetStats {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, _cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let Some(Json::Object(data)) = args.json("data")? else {
            return Err(ArgError::new("argument 'data' must be a mapping of names to values"));
        };
        let per_host = args.boolean("per_host", false)?;
        let aggregate = args.boolean("aggregate", true)?;
        let stats = json!({"data": data, "per_host": per_host, "aggregate": aggregate});
        let outcome = Outcome::ok().with("ansible_stats", stats);
        Ok(Finished::boxed(outcome.with_effect(Effect::Stats { data, per_host })))
    }
}
