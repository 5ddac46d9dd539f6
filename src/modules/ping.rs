//! `ping`: proves that scripts run on a host.

use crate::modules::action::OneTrip;
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};
use crate::outcome::Outcome;
use crate::shell::Script;

/// See the file's head.
pub(super) struct Ping;

static DOC: Doc = Doc {
    name: "ping",
    summary: "Proves that matron can log in and run a shell on the host.",
    description: "Not ICMP: it takes the whole way a task takes, `become` included.",
    args: &[ArgDoc {
        default: "pong",
        ..arg("data", ArgKind::Str, "What to answer; `crash` makes it fail.")
    }],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Local,
    returns: &[("ping", "The value of `data`.")],
    examples: "- ping:\n",
};

impl Module for Ping {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn observes(&self, _args: &Args) -> bool {
        true
    }

    fn parse(&self, args: &mut Args, _cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let data = args.text("data")?.unwrap_or_else(|| "pong".to_owned());
        let script = Script::new("reply ping \"$data\"").var("data", &data);
        Ok(Box::new(OneTrip::new(Reach::Local, script, move |reply| {
            if data == "crash" {
                return Outcome::failed("boom");
            }
            Outcome::ok().with("ping", reply.field("ping").unwrap_or_default())
        })))
    }
}
