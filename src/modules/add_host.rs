//! `add_host`: adds a host to the inventory of this run.

use minijinja::Value;
use serde_json::{Map, Value as Json, json};

use crate::modules::action::Finished;
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
    to_json,
};
use crate::outcome::{Effect, Outcome};

/// See the file's head.
pub(super) struct AddHost;

static DOC: Doc = Doc {
    name: "add_host",
    summary: "Adds a host, or groups and variables of a host, to the inventory of this run.",
    description: "Runs once for all hosts of the batch. Every argument but `name` and `groups` is a variable of the host. A port after the name (`h:2222`) becomes `ansible_port`.",
    args: &[
        ArgDoc {
            required: true,
            aliases: &["host", "hostname"],
            ..arg("name", ArgKind::Str, "Name of the host.")
        },
        ArgDoc {
            aliases: &["group", "groupname"],
            ..arg("groups", ArgKind::List, "Groups the host joins; new ones are made.")
        },
    ],
    free_form: None,
    open: true,
    check_mode: CheckMode::Full,
    reach: Reach::Controller,
    returns: &[("add_host", "`host_name`, `groups` and `host_vars`.")],
    examples: "- add_host:\n    name: \"{{ standby_address }}\"\n    groups: databases\n    pg_cluster: st_mary\n",
};

impl Module for AddHost {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let given = args.required("name")?;
        let (name, port) = split_port(given.trim());
        if name.is_empty() {
            return Err(ArgError::new("argument 'name' is empty: a host needs a name"));
        }
        let groups = args.list("groups")?.unwrap_or_default();
        let mut variables = Map::new();
        for (key, arg) in &args.named {
            if matches!(key.as_str(), "name" | "groups") {
                continue;
            }
            let value = to_json(&arg.value).map_err(|error| {
                ArgError::new(format!("the value of '{key}' cannot be kept: {error}")).at(arg)
            })?;
            variables.insert(key.clone(), value);
        }
        if let Some(port) = port {
            variables.insert("ansible_port".to_owned(), Json::from(port));
        }
        let changed = is_news(cx, name, &groups, &variables);
        let added = json!({"groups": groups, "host_name": name, "host_vars": variables});
        let effect = Effect::AddHost { name: name.to_owned(), groups, variables };
        let outcome = Outcome::changed_if(changed).with("add_host", added);
        Ok(Finished::boxed(outcome.with_effect(effect)))
    }
}

/// Splits `h:22` and `[::1]:22`; a bare IPv6 address has no port.
fn split_port(name: &str) -> (&str, Option<u16>) {
    if let Some(rest) = name.strip_prefix('[')
        && let Some((address, after)) = rest.split_once(']')
    {
        return (address, after.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    match name.split_once(':') {
        Some((host, port)) if !port.contains(':') => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_) => (name, None),
        },
        Some(_) | None => (name, None),
    }
}

/// Tells whether the inventory does not hold all of this already, as far as `groups` and `hostvars` can tell.
fn is_news(
    cx: &TaskContext<'_>,
    name: &str,
    groups: &[String],
    variables: &Map<String, Json>,
) -> bool {
    let Ok(Some(known)) = cx.vars.variable("groups") else { return true };
    let has = |group: &str| {
        known.get_item(&Value::from(group)).is_ok_and(|hosts| {
            hosts.try_iter().is_ok_and(|mut hosts| hosts.any(|host| host.as_str() == Some(name)))
        })
    };
    if !has("all") || !groups.iter().all(|group| has(group)) {
        return true;
    }
    let Ok(Some(all)) = cx.vars.variable("hostvars") else { return !variables.is_empty() };
    let Ok(host) = all.get_item(&Value::from(name)) else { return true };
    variables.iter().any(|(key, wanted)| {
        let is = host.get_item(&Value::from(key.as_str())).ok().and_then(|v| to_json(&v).ok());
        is.as_ref() != Some(wanted)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::test_context::{Fake, finish};
    use crate::outcome::Status;
    use minijinja::value::Serde;

    fn arguments() -> Args {
        Args::of([
            ("name", Value::from("h9:33")),
            ("groups", Value::from("g1,g2")),
            ("foo", Value::from(1)),
        ])
    }

    #[test]
    fn port_and_variables_go_to_the_host() {
        let outcome = finish(&AddHost, &mut arguments(), &Fake::default()).expect("parses");
        let Json::Object(variables) = json!({"foo": 1, "ansible_port": 33}) else { unreachable!() };
        let groups = vec!["g1".to_owned(), "g2".to_owned()];
        let effect = Effect::AddHost { name: "h9".to_owned(), groups, variables };
        assert_eq!((outcome.status, outcome.effects), (Status::Changed, vec![effect]));
    }

    #[test]
    fn host_that_is_there_with_all_of_it_is_ok() {
        let groups = json!({"all": ["h9"], "g1": ["h9"], "g2": ["h9"]});
        let hosts = json!({"h9": {"foo": 1, "ansible_port": 33}});
        let fake = Fake::default()
            .variable("groups", Value::from(Serde(groups)))
            .variable("hostvars", Value::from(Serde(hosts)));
        let outcome = finish(&AddHost, &mut arguments(), &fake).map(|outcome| outcome.status);
        assert_eq!(outcome, Ok(Status::Ok));
    }

    #[test]
    fn bare_ipv6_address_has_no_port() {
        assert_eq!(split_port("fe80::1"), ("fe80::1", None));
        assert_eq!(split_port("[fe80::1]:22"), ("fe80::1", Some(22)));
    }
}
