//! `debug`: shows a message or the value of an expression.

use serde_json::Value as Json;

use crate::modules::action::Finished;
use crate::modules::{
    Action, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg, to_json,
};
use crate::outcome::Outcome;

/// See the file's head.
pub(super) struct Debug;

static DOC: Doc = Doc {
    name: "debug",
    summary: "Shows a message or the value of a variable.",
    description: "Runs here and sends nothing to the host. An undefined `var` is shown as not defined; it does not fail.",
    args: &[
        arg("msg", ArgKind::Raw, "What to show; any type. The default is `Hello world!`."),
        arg("var", ArgKind::Expression, "An expression to show with its value. Not with `msg`."),
        crate::modules::ArgDoc {
            default: "0",
            ..arg(
                "verbosity",
                ArgKind::Int,
                "Shows only at this many `-v` or more; else the task is skipped.",
            )
        },
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Controller,
    returns: &[("msg", "The message, when `msg` was given.")],
    examples: "- debug:\n    msg: \"primary is {{ primary }}\"\n- debug:\n    var: ansible_facts.distribution\n",
};

impl Module for Debug {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        if let (Some(_), Some(var)) = (args.get("msg"), args.get("var")) {
            return Err(ArgError::new("parameters are mutually exclusive: msg|var").at(var));
        }
        let wanted = args.integer("verbosity")?.unwrap_or(0);
        if wanted > i64::from(cx.verbosity) {
            let outcome = Outcome::new(crate::outcome::Status::Skipped);
            let reason = "Verbosity threshold not met.";
            return Ok(Finished::boxed(outcome.with("skipped_reason", reason)));
        }
        let Some(var) = args.get("var") else {
            let message = args.json("msg")?.unwrap_or_else(|| Json::from("Hello world!"));
            return Ok(Finished::boxed(Outcome::ok().with("msg", message)));
        };
        let Some(text) = var.value.as_str() else {
            let value = args.json("var")?.unwrap_or(Json::Null);
            return Ok(Finished::boxed(Outcome::ok().with(&var.value.to_string(), value)));
        };
        let name = inner_expression(text);
        let value = match cx.vars.expression(name, var.span) {
            Ok(value) if !value.is_undefined() => to_json(&value).map_err(|error| {
                ArgError::new(format!("'{name}' cannot be shown: {error}")).at(var)
            })?,
            Ok(_) => not_defined(&format!("'{name}' is undefined")),
            // A name without a value is shown as such; a value that cannot be opened is a failure.
            Err(error) if error.contains("undecryptable variable") => {
                return Err(ArgError::new(format!(
                    "Error while resolving `var` expression: Error rendering expression: {error}"
                ))
                .at(var));
            }
            Err(error) => not_defined(&error),
        };
        Ok(Finished::boxed(Outcome::ok().with(name, value)))
    }
}

/// Takes the braces off `{{ expression }}`: old playbooks write `var: "{{ x }}"`.
fn inner_expression(text: &str) -> &str {
    let text = text.trim();
    let inner = text.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
    match inner {
        Some(inner) if !inner.contains("{{") => inner.trim_matches('-').trim(),
        Some(_) | None => text,
    }
}

/// What is shown for an expression that has no value, in the words of ansible-core 2.19.
fn not_defined(error: &str) -> Json {
    Json::from(format!("<< error 1 - {error} >>"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::test_context::{Fake, finish};
    use minijinja::Value;
    use minijinja::value::Serde;

    #[test]
    fn message_keeps_its_type() {
        let mut args = Args::of([("msg", Value::from(Serde(vec![1, 2])))]);
        let outcome = finish(&Debug, &mut args, &Fake::default());
        assert_eq!(outcome, Ok(Outcome::ok().with("msg", vec![1, 2])));
    }

    #[test]
    fn expression_is_shown_under_its_own_text() {
        let mut args = Args::of([("var", Value::from("{{ n }}"))]);
        let outcome = finish(&Debug, &mut args, &Fake::default().variable("n", 3));
        assert_eq!(outcome, Ok(Outcome::ok().with("n", 3)));
    }

    #[test]
    fn undefined_variable_is_said_and_does_not_fail() {
        let mut args = Args::of([("var", Value::from("nope"))]);
        let outcome = finish(&Debug, &mut args, &Fake::default());
        assert_eq!(outcome, Ok(Outcome::ok().with("nope", "<< error 1 - 'nope' is undefined >>")));
    }

    #[test]
    fn message_above_the_verbosity_is_skipped() {
        let mut args = Args::of([("msg", Value::from("x")), ("verbosity", Value::from(1))]);
        let status = finish(&Debug, &mut args, &Fake::default()).map(|outcome| outcome.status);
        assert_eq!(status, Ok(crate::outcome::Status::Skipped));
    }
}
