//! `group_by`: puts a host into a group named by a value.

use minijinja::Value;

use crate::modules::action::Finished;
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};
use crate::outcome::{Effect, Outcome};

/// See the file's head.
pub(super) struct GroupBy;

static DOC: Doc = Doc {
    name: "group_by",
    summary: "Puts this host into a group named by a value, for the plays that follow.",
    description: "Spaces in the name become `-`.",
    args: &[
        ArgDoc { required: true, ..arg("key", ArgKind::Str, "Name of the group.") },
        ArgDoc { default: "all", ..arg("parents", ArgKind::List, "Parents of the group.") },
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Controller,
    returns: &[("add_group", "The group."), ("parent_groups", "Its parents.")],
    examples: "- group_by:\n    key: \"os_{{ ansible_facts.distribution }}\"\n",
};

impl Module for GroupBy {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let clean = |name: String| name.replace(' ', "-");
        let group = clean(args.required("key")?);
        let parents = args.list("parents")?.unwrap_or_else(|| vec!["all".to_owned()]);
        let parents: Vec<String> = parents.into_iter().map(clean).collect();
        let member = cx.vars.variable("group_names").ok().flatten().is_some_and(|names| {
            let names = names.try_iter();
            names.is_ok_and(|mut names| names.any(|name| name == Value::from(group.as_str())))
        });
        let outcome = Outcome::changed_if(!member)
            .with("add_group", group.as_str())
            .with("parent_groups", parents.clone());
        Ok(Finished::boxed(outcome.with_effect(Effect::GroupBy { group, parents })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::test_context::{Fake, finish};
    use crate::outcome::Status;
    use minijinja::value::Serde;

    #[test]
    fn new_membership_is_a_change_and_spaces_become_dashes() {
        let mut args = Args::of([("key", Value::from("a b"))]);
        let outcome = finish(&GroupBy, &mut args, &Fake::default()).expect("parses");
        let effect = Effect::GroupBy { group: "a-b".to_owned(), parents: vec!["all".to_owned()] };
        assert_eq!((outcome.status, outcome.effects), (Status::Changed, vec![effect]));
    }

    #[test]
    fn member_already_is_ok() {
        let fake = Fake::default().variable("group_names", Value::from(Serde(["a-b"])));
        let mut args = Args::of([("key", Value::from("a b"))]);
        assert_eq!(finish(&GroupBy, &mut args, &fake).map(|o| o.status), Ok(Status::Ok));
    }
}
