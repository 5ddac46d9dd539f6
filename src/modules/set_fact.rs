//! `set_fact`: gives a host variables during the run.

use serde_json::{Map, Value as Json};

use crate::modules::action::Finished;
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
    to_json,
};
use crate::outcome::{Effect, Outcome};

/// See the file's head.
pub(super) struct SetFact;

static DOC: Doc = Doc {
    name: "set_fact",
    summary: "Gives this host variables for the rest of the run.",
    description: "Every argument but `cacheable` is a variable. They stand above play and role variables.",
    args: &[ArgDoc {
        default: "false",
        ..arg("cacheable", ArgKind::Bool, "Also keeps the variables as facts.")
    }],
    free_form: None,
    open: true,
    check_mode: CheckMode::Full,
    reach: Reach::Controller,
    returns: &[("ansible_facts", "The variables that were set.")],
    examples: "- set_fact:\n    primary: \"{{ inventory_hostname }}\"\n    cacheable: true\n",
};

impl Module for SetFact {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, _cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let cacheable = args.boolean("cacheable", false)?;
        let mut variables = Map::new();
        for (name, arg) in args.named.iter().filter(|(name, _)| *name != "cacheable") {
            check_name(name).map_err(|error| error.at(arg))?;
            let value = to_json(&arg.value).map_err(|error| {
                ArgError::new(format!("the value of '{name}' cannot be kept: {error}")).at(arg)
            })?;
            variables.insert(name.clone(), value);
        }
        if variables.is_empty() {
            return Err(ArgError::new(
                "No key/value pairs provided, at least one is required for this action to succeed",
            ));
        }
        let outcome = Outcome::ok().with("ansible_facts", Json::Object(variables.clone()));
        Ok(Finished::boxed(outcome.with_effect(Effect::SetFact { variables, cacheable })))
    }
}

fn check_name(name: &str) -> Result<(), ArgError> {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    let good = name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit());
    if good {
        return Ok(());
    }
    Err(ArgError::new(format!("Invalid variable name '{name}'.")).hint(
        "Variable names must be strings starting with a letter or underscore character, and \
         contain only letters, numbers and underscores.",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::test_context::{Fake, finish};
    use minijinja::Value;

    #[test]
    fn variables_keep_their_type_and_cacheable_is_not_one() {
        let mut args = Args::of([("n", Value::from(5)), ("cacheable", Value::from(true))]);
        let outcome = finish(&SetFact, &mut args, &Fake::default()).expect("parses");
        let variables: Map<_, _> = [("n".to_owned(), Json::from(5))].into_iter().collect();
        assert_eq!(outcome.effects, vec![Effect::SetFact { variables, cacheable: true }]);
    }

    #[test]
    fn name_that_is_no_variable_is_refused() {
        let mut args = Args::of([("a-b", Value::from(5))]);
        let error = finish(&SetFact, &mut args, &Fake::default()).map_err(|error| error.message);
        assert_eq!(error, Err("Invalid variable name 'a-b'.".to_owned()));
    }
}
