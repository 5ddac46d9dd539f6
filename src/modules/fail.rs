//! `fail`: fails with a message.

use crate::modules::action::Finished;
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};
use crate::outcome::{Outcome, Status};

/// See the file's head.
pub(super) struct Fail;

static DOC: Doc = Doc {
    name: "fail",
    summary: "Fails with a message of your own.",
    description: "Of use together with `when`.",
    args: &[ArgDoc {
        default: "Failed as requested from task",
        ..arg("msg", ArgKind::Raw, "What to say.")
    }],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Controller,
    returns: &[("msg", "The message.")],
    examples: "- fail:\n    msg: this host is not Debian\n  when: ansible_facts.os_family != 'Debian'\n",
};

impl Module for Fail {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, _cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let message = args.json("msg")?.unwrap_or_else(|| "Failed as requested from task".into());
        Ok(Finished::boxed(Outcome::new(Status::Failed).with("msg", message)))
    }
}
