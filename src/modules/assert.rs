//! `assert`: fails when a condition does not hold.

use crate::modules::action::Finished;
use crate::modules::{
    Action, Arg, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};
use crate::outcome::{Outcome, Status};
use minijinja::value::ValueKind;
use serde_json::Value as Json;

/// See the file's head.
pub(super) struct Assert;

static DOC: Doc = Doc {
    name: "assert",
    summary: "Fails when a condition does not hold.",
    description: "Conditions are those of `when`: each must be true or false, and all must be true.",
    args: &[
        ArgDoc {
            required: true,
            ..arg("that", ArgKind::Expression, "One condition or a list of them.")
        },
        ArgDoc {
            aliases: &["msg"],
            ..arg(
                "fail_msg",
                ArgKind::Raw,
                "What to say when it fails; the default is `Assertion failed`.",
            )
        },
        arg(
            "success_msg",
            ArgKind::Raw,
            "What to say when it holds; the default is `All assertions passed`.",
        ),
        ArgDoc { default: "false", ..arg("quiet", ArgKind::Bool, "Says less when it holds.") },
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Controller,
    returns: &[
        ("assertion", "The condition that did not hold."),
        ("evaluated_to", "What it came to: false."),
        ("msg", "The message."),
    ],
    examples: "- assert:\n    that:\n      - pg_version is defined\n      - pg_version | int >= 11\n    fail_msg: set pg_version to 11 or later\n",
};

impl Module for Assert {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let that = args
            .get("that")
            .ok_or_else(|| ArgError::new("conditional required in \"that\" string"))?
            .clone();
        for condition in conditions(&that)? {
            let holds = match condition.value.kind() {
                ValueKind::Bool => condition.value.is_true(),
                ValueKind::String => cx
                    .vars
                    .condition(condition.value.as_str().unwrap_or_default(), condition.span)
                    .map_err(|error| ArgError::new(error).at(&condition))?,
                other => {
                    let text = format!(
                        "Conditional expressions must be strings or booleans, not {other}: {}",
                        condition.value
                    );
                    return Err(ArgError::new(text).at(&condition));
                }
            };
            if !holds {
                let assertion = crate::modules::to_json(&condition.value).unwrap_or(Json::Null);
                let message =
                    args.json("fail_msg")?.unwrap_or_else(|| Json::from("Assertion failed"));
                let outcome = Outcome::new(Status::Failed)
                    .with("assertion", assertion)
                    .with("evaluated_to", false);
                return Ok(Finished::boxed(outcome.with("msg", message)));
            }
        }
        if args.boolean("quiet", false)? {
            return Ok(Finished::boxed(Outcome::ok()));
        }
        let message =
            args.json("success_msg")?.unwrap_or_else(|| Json::from("All assertions passed"));
        Ok(Finished::boxed(Outcome::ok().with("msg", message)))
    }
}

fn conditions(that: &Arg) -> Result<Vec<Arg>, ArgError> {
    if !matches!(that.value.kind(), ValueKind::Seq | ValueKind::Iterable) {
        return Ok(vec![that.clone()]);
    }
    let items = that.value.try_iter().map_err(|error| ArgError::new(error.to_string()).at(that))?;
    Ok(items.map(|value| Arg { value, raw: None, span: that.span }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::test_context::{Fake, finish};
    use minijinja::Value;
    use minijinja::value::Serde;

    #[test]
    fn first_condition_that_does_not_hold_is_named() {
        let that = Value::from(Serde(["n == 3", "n == 4"]));
        let mut args = Args::of([("that", that)]);
        let outcome = finish(&Assert, &mut args, &Fake::default().variable("n", 3));
        let wanted = Outcome::new(Status::Failed)
            .with("assertion", "n == 4")
            .with("evaluated_to", false)
            .with("msg", "Assertion failed");
        assert_eq!(outcome, Ok(wanted));
    }

    #[test]
    fn conditions_that_hold_say_so() {
        let mut args =
            Args::of([("that", Value::from("n == 3")), ("success_msg", Value::from("fine"))]);
        let outcome = finish(&Assert, &mut args, &Fake::default().variable("n", 3));
        assert_eq!(outcome, Ok(Outcome::ok().with("msg", "fine")));
    }
}
