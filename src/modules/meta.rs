//! `meta`: steers the run. The engine acts on the effect.

use crate::modules::action::Finished;
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};
use crate::outcome::{Effect, Outcome};

/// The words `meta` takes.
const WORDS: &[&str] = &[
    "clear_facts",
    "clear_host_errors",
    "end_batch",
    "end_host",
    "end_play",
    "end_role",
    "flush_handlers",
    "noop",
    "refresh_inventory",
    "reset_connection",
];

/// See the file's head.
pub(super) struct Meta;

static DOC: Doc = Doc {
    name: "meta",
    summary: "Steers the run: flushes handlers, ends a play, a host or a role, clears facts.",
    description: "",
    args: &[ArgDoc { required: true, ..arg("free_form", ArgKind::Choice(WORDS), "What to do.") }],
    free_form: Some("free_form"),
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Controller,
    returns: &[],
    examples: "- meta: flush_handlers\n- meta: end_host\n  when: not needed\n",
};

impl Module for Meta {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, _cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        if args.get("free_form").is_none() {
            return Err(ArgError::new("missing required arguments: free_form")
                .hint(format!("meta takes one of: {}", WORDS.join(", "))));
        }
        let word = args.choice("free_form", WORDS, "noop")?;
        Ok(Finished::boxed(Outcome::ok().with_effect(Effect::Meta(word.to_owned()))))
    }
}
