//! `wait_for_connection`: waits until a host can be reached and runs scripts.

use std::time::Duration;

use crate::modules::action::unexpected;
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Done, Mode, Module, Reach, Step,
    TaskContext, arg,
};
use crate::outcome::Outcome;
use crate::shell::Script;

/// See the file's head.
pub(super) struct WaitForConnection;

static DOC: Doc = Doc {
    name: "wait_for_connection",
    summary: "Waits until the host can be reached and runs scripts.",
    description: "Of use after a restart of the host. Logs in anew each time it tries.",
    args: &[
        ArgDoc {
            default: "5",
            ..arg("connect_timeout", ArgKind::Int, "Seconds one try may take.")
        },
        ArgDoc {
            default: "0",
            ..arg("delay", ArgKind::Int, "Seconds to wait before the first try.")
        },
        ArgDoc { default: "1", ..arg("sleep", ArgKind::Int, "Seconds between tries.") },
        ArgDoc { default: "600", ..arg("timeout", ArgKind::Int, "Seconds to go on trying.") },
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Visible,
    returns: &[("elapsed", "Seconds it took.")],
    examples: "- wait_for_connection:\n    delay: 10\n    timeout: 300\n",
};

impl Module for WaitForConnection {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, _cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        Ok(Box::new(Waiting {
            delay: seconds(args, "delay", 0)?,
            sleep: seconds(args, "sleep", 1)?,
            connect: seconds(args, "connect_timeout", 5)?.max(Duration::from_secs(1)),
            timeout: seconds(args, "timeout", 600)?,
            elapsed: Duration::ZERO,
            under_way: Duration::ZERO,
        }))
    }
}

/// Reads whole seconds that are not negative.
pub(super) fn seconds(args: &Args, name: &str, default: u64) -> Result<Duration, ArgError> {
    let Some(number) = args.integer(name)? else { return Ok(Duration::from_secs(default)) };
    u64::try_from(number).map(Duration::from_secs).map_err(|_| {
        ArgError::new(format!("argument '{name}' is {number}: a number of seconds is not negative"))
    })
}

struct Waiting {
    delay: Duration,
    sleep: Duration,
    connect: Duration,
    timeout: Duration,
    elapsed: Duration,
    under_way: Duration,
}

impl Waiting {
    fn wait(&mut self, time: Duration) -> Step {
        self.under_way = time;
        Step::Wait(time)
    }

    fn probe(&self) -> Step {
        Step::Send(Script::new("reply there 1").within(self.connect))
    }

    fn again(&mut self, took: Duration, why: &str) -> Step {
        self.elapsed += took;
        if self.elapsed >= self.timeout {
            let seconds = self.elapsed.as_secs();
            let text = format!("timed out waiting for ping module test: {why}");
            return Step::Done(Outcome::failed(text).with("elapsed", seconds));
        }
        self.wait(self.sleep.max(Duration::from_millis(100)))
    }
}

impl Action for Waiting {
    fn begin(&mut self, mode: Mode) -> Step {
        if mode.check {
            return Step::Done(Outcome::ok().with("elapsed", 0));
        }
        if self.delay.is_zero() { self.probe() } else { self.wait(self.delay) }
    }

    fn resume(&mut self, done: Done) -> Step {
        match done {
            Done::Waited => {
                self.elapsed += self.under_way;
                self.probe()
            }
            Done::Reply(reply) if reply.fields.is_set("there") => {
                self.elapsed += reply.took;
                Step::Done(Outcome::ok().with("elapsed", self.elapsed.as_secs()))
            }
            Done::Reply(reply) => self.again(reply.took, "the host does not run scripts"),
            // How long the failed try took is not known; it was at most the time for one.
            Done::Lost(why) => self.again(self.connect, &why),
            Done::Uploaded(_) | Done::Downloaded(_) | Done::Answered(_) | Done::Locked(_) => {
                unexpected()
            }
        }
    }

    fn reach(&self) -> Reach {
        Reach::Visible
    }

    fn bears_loss(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::test_context::Fake;
    use crate::shell::{Fields, Reply};
    use minijinja::Value;

    #[test]
    fn lost_connections_are_tried_again_until_one_holds() {
        let mut action =
            Fake::default().parse(&WaitForConnection, &mut Args::default()).expect("parses");
        assert!(matches!(action.begin(Mode::default()), Step::Send(_)));
        assert!(matches!(action.resume(Done::Lost("refused".to_owned())), Step::Wait(_)));
        assert!(matches!(action.resume(Done::Waited), Step::Send(_)));
        let fields = Fields(vec![("there".to_owned(), b"1".to_vec())]);
        let reply = Reply { fields, ..Reply::default() };
        let Step::Done(outcome) = action.resume(Done::Reply(reply)) else { panic!("not done") };
        assert_eq!(outcome, Outcome::ok().with("elapsed", 6));
    }

    #[test]
    fn host_that_stays_away_fails_with_the_reason() {
        let mut args = Args::of([("timeout", Value::from(5))]);
        let mut action = Fake::default().parse(&WaitForConnection, &mut args).expect("parses");
        let _first = action.begin(Mode::default());
        let Step::Done(outcome) = action.resume(Done::Lost("refused".to_owned())) else {
            panic!("not done")
        };
        assert_eq!(outcome.message(), Some("timed out waiting for ping module test: refused"));
    }
}
