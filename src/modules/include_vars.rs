//! `include_vars`: the table of its arguments; the engine does the reading, because the values stay lazy templates.

use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};

/// See the file's head.
pub(super) struct IncludeVars;

static DOC: Doc = Doc {
    name: "include_vars",
    summary: "Reads variables from a file, or from the files of a folder, at run time.",
    description: "Looked for in the role's `vars/`, beside the task file, and in the playbook's `vars/`.",
    args: &[
        arg("file", ArgKind::Path, "The file. Not with `dir`."),
        arg("dir", ArgKind::Path, "The folder, read in name order."),
        arg(
            "name",
            ArgKind::Str,
            "A variable that holds what was read; else each becomes a variable.",
        ),
        ArgDoc {
            default: "0",
            ..arg("depth", ArgKind::Int, "How deep to go into `dir`; 0 is all the way.")
        },
        arg(
            "files_matching",
            ArgKind::Str,
            "Only files of `dir` whose name matches this regular expression.",
        ),
        arg("ignore_files", ArgKind::List, "Files of `dir` to leave out."),
        ArgDoc {
            default: "json,yaml,yml",
            ..arg("extensions", ArgKind::List, "Endings that files of `dir` must have.")
        },
        ArgDoc {
            default: "false",
            ..arg(
                "ignore_unknown_extensions",
                ArgKind::Bool,
                "Leaves files with another ending out rather than failing.",
            )
        },
        arg(
            "hash_behaviour",
            ArgKind::Choice(&["replace", "merge"]),
            "How mappings meet those that are there.",
        ),
    ],
    free_form: Some("file"),
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Controller,
    returns: &[
        ("ansible_facts", "The variables."),
        ("ansible_included_var_files", "The files that were read."),
    ],
    examples: "- include_vars: \"{{ ansible_facts.os_family }}.yml\"\n",
};

impl Module for IncludeVars {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, _args: &mut Args, _cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        Err(super::meant_for_the_engine(&DOC))
    }
}
