//! `include_role`: the table of its arguments; the engine does the including.

use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};

/// See the file's head.
pub(super) struct IncludeRole;

static DOC: Doc = Doc {
    name: "include_role",
    summary: "Runs a role at this place, at run time.",
    description: "May be looped over and may depend on facts.",
    args: &[
        ArgDoc {
            required: true,
            aliases: &["role"],
            ..arg("name", ArgKind::Str, "Name of the role, or a path to it.")
        },
        ArgDoc {
            default: "main",
            ..arg("tasks_from", ArgKind::Str, "File of its `tasks/` to run.")
        },
        ArgDoc { default: "main", ..arg("vars_from", ArgKind::Str, "File of its `vars/`.") },
        ArgDoc {
            default: "main",
            ..arg("defaults_from", ArgKind::Str, "File of its `defaults/`.")
        },
        ArgDoc {
            default: "main",
            ..arg("handlers_from", ArgKind::Str, "File of its `handlers/`.")
        },
        arg("apply", ArgKind::Dict, "Keywords that its tasks inherit."),
        ArgDoc {
            default: "true",
            ..arg("allow_duplicates", ArgKind::Bool, "Runs it again when it has run already.")
        },
        ArgDoc {
            default: "false",
            ..arg("public", ArgKind::Bool, "Lets the tasks after it see its variables.")
        },
        ArgDoc {
            default: "true",
            ..arg(
                "rolespec_validate",
                ArgKind::Bool,
                "Whether its arguments are checked; that is not there yet, so a role with argument_specs needs false.",
            )
        },
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Controller,
    returns: &[],
    examples: "- include_role:\n    name: postgresql\n    tasks_from: users\n",
};

impl Module for IncludeRole {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, _args: &mut Args, _cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        Err(super::meant_for_the_engine(&DOC))
    }
}
