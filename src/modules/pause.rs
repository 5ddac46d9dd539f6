//! `pause`: waits for time to pass or for a person.

use std::time::Duration;

use crate::modules::action::unexpected;
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Done, Mode, Module, Question, Reach,
    Step, TaskContext, arg,
};
use crate::outcome::Outcome;

/// See the file's head.
pub(super) struct Pause;

static DOC: Doc = Doc {
    name: "pause",
    summary: "Waits for time to pass, or for the person at the terminal.",
    description: "Runs once for all hosts of the batch. Without a terminal a question is not asked and the run goes on with an empty answer.",
    args: &[
        arg("minutes", ArgKind::Float, "How long to wait. Not with `seconds`."),
        arg("seconds", ArgKind::Float, "How long to wait. Not with `minutes`."),
        arg("prompt", ArgKind::Str, "What to ask."),
        ArgDoc { default: "true", ..arg("echo", ArgKind::Bool, "Whether typing shows.") },
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Controller,
    returns: &[
        ("user_input", "What was typed."),
        ("stdout", "How long it waited, in words."),
        ("delta", "How long it waited, in whole seconds; 0 when it waited for a person."),
        ("echo", "Whether typing showed."),
    ],
    examples: "- pause:\n    seconds: 5\n- pause:\n    prompt: Is the archive stopped? Press Enter to go on\n",
};

impl Module for Pause {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, _cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let (minutes, seconds) = (args.float("minutes")?, args.float("seconds")?);
        if let (Some(_), Some(arg)) = (minutes, args.get("seconds")) {
            return Err(ArgError::new("parameters are mutually exclusive: minutes|seconds").at(arg));
        }
        let prompt = args.text("prompt")?;
        let echo = args.boolean("echo", true)?;
        // Below one second Ansible waits one second.
        let wait = minutes.map(|minutes| minutes * 60.0).or(seconds).map(|wait| wait.max(1.0));
        let wait = match wait {
            None => None,
            Some(wait) => Some(Duration::try_from_secs_f64(wait).map_err(|_| {
                ArgError::new(format!("cannot wait {wait} seconds"))
                    .hint("give a number of seconds or minutes that is not negative")
            })?),
        };
        let unit = if minutes.is_some() { Unit::Minutes } else { Unit::Seconds };
        Ok(Box::new(PauseAction { prompt, echo, wait, unit }))
    }
}

#[derive(Clone, Copy)]
enum Unit {
    Minutes,
    Seconds,
}

struct PauseAction {
    prompt: Option<String>,
    echo: bool,
    wait: Option<Duration>,
    unit: Unit,
}

impl PauseAction {
    fn outcome(&self, answer: String) -> Outcome {
        let mut outcome = Outcome::ok();
        if let Some(wait) = self.wait {
            let words = match self.unit {
                Unit::Minutes => {
                    format!("Paused for {} minutes", python_float(wait.as_secs_f64() / 60.0))
                }
                Unit::Seconds => format!("Paused for {} seconds", python_float(wait.as_secs_f64())),
            };
            outcome = outcome.with("delta", wait.as_secs()).with("stdout", words);
        } else {
            outcome = outcome.with("delta", 0).with("stdout", "Paused for 0.0 minutes");
        }
        outcome = outcome.with("echo", self.echo).with("rc", 0).with("stderr", "");
        outcome.with("user_input", answer)
    }
}

/// Writes a number as Python does: always with a decimal point, at most two places.
fn python_float(number: f64) -> String {
    let rounded = (number * 100.0).round() / 100.0;
    format!("{rounded:?}")
}

impl Action for PauseAction {
    fn begin(&mut self, _mode: Mode) -> Step {
        match (&self.prompt, self.wait) {
            (None, Some(wait)) => Step::Wait(wait),
            (prompt, wait) => Step::Ask(Question {
                prompt: prompt
                    .clone()
                    .unwrap_or_else(|| "Press enter to continue, Ctrl+C to interrupt".to_owned()),
                echo: self.echo,
                seconds: wait.map(|wait| wait.as_secs().max(1)),
            }),
        }
    }

    fn resume(&mut self, done: Done) -> Step {
        match done {
            Done::Waited => Step::Done(self.outcome(String::new())),
            Done::Answered(answer) => Step::Done(self.outcome(answer.unwrap_or_default())),
            Done::Reply(_)
            | Done::Uploaded(_)
            | Done::Downloaded(_)
            | Done::Locked(_)
            | Done::Lost(_) => unexpected(),
        }
    }

    fn reach(&self) -> Reach {
        Reach::Controller
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::test_context::Fake;
    use minijinja::Value;

    #[test]
    fn timed_pause_waits_and_asks_nobody() {
        let mut args = Args::of([("minutes", Value::from(1.5))]);
        let mut action = Fake::default().parse(&Pause, &mut args).expect("parses");
        let step = action.begin(Mode::default());
        assert!(matches!(step, Step::Wait(wait) if wait == Duration::from_secs(90)), "{step:?}");
        let Step::Done(outcome) = action.resume(Done::Waited) else { panic!("not done") };
        assert_eq!(outcome.data["stdout"], "Paused for 1.5 minutes");
    }

    #[test]
    fn answer_becomes_user_input() {
        let mut args = Args::of([("prompt", Value::from("ready?"))]);
        let mut action = Fake::default().parse(&Pause, &mut args).expect("parses");
        let step = action.begin(Mode::default());
        assert!(matches!(&step, Step::Ask(q) if q.prompt == "ready?" && q.seconds.is_none()));
        let Step::Done(outcome) = action.resume(Done::Answered(Some("yes".to_owned()))) else {
            panic!("not done")
        };
        assert_eq!(outcome.data["user_input"], "yes");
    }
}
