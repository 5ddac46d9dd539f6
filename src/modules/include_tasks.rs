//! `include_tasks`: the table of its arguments; the engine does the including.

use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};

/// See the file's head.
pub(super) struct IncludeTasks;

static DOC: Doc = Doc {
    name: "include_tasks",
    summary: "Includes a file of tasks at this place, at run time.",
    description: "May be looped over and may depend on facts. Tags of the include decide whether it runs; they do not pass to the tasks in it, except by `apply`.",
    args: &[
        ArgDoc { required: true, ..arg("file", ArgKind::Str, "The file of tasks.") },
        arg("apply", ArgKind::Dict, "Keywords that the tasks in it inherit."),
    ],
    free_form: Some("file"),
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Controller,
    returns: &[],
    examples: "- include_tasks: debian.yml\n  when: ansible_facts.os_family == 'Debian'\n",
};

impl Module for IncludeTasks {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, _args: &mut Args, _cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        Err(super::meant_for_the_engine(&DOC))
    }
}
