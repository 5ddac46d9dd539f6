//! `getent`: asks the host's name service (users, groups, hosts ...).

use serde_json::{Map, Value as Json};

use crate::modules::action::{OneTrip, VERBS};
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};
use crate::outcome::{Effect, Outcome};
use crate::shell::Script;

/// See the file's head.
pub(super) struct Getent;

static DOC: Doc = Doc {
    name: "getent",
    summary: "Asks the host's name service: users, groups, hosts and so on.",
    description: "The answer becomes the fact getent_DATABASE: a mapping of keys to the other fields. Where getent is missing, passwd, group, shadow, hosts, services and protocols are read from /etc.",
    args: &[
        ArgDoc {
            required: true,
            ..arg("database", ArgKind::Str, "passwd, group, hosts, services ...")
        },
        arg("key", ArgKind::Str, "One key; all are listed without it."),
        arg("split", ArgKind::Str, "What parts the fields; known for the usual databases."),
        ArgDoc {
            default: "true",
            ..arg("fail_key", ArgKind::Bool, "Fails when the key is not found.")
        },
        arg("service", ArgKind::Str, "Asks only this service of nsswitch.conf."),
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Local,
    returns: &[("ansible_facts", "getent_DATABASE.")],
    examples: "- getent:\n    database: passwd\n    key: postgres\n",
};

const SCRIPT: &str = r#"if command -v getent >/dev/null 2>&1; then
  set -- ; [ "$service" ] && set -- -s "$service"
  if [ "$key" ]; then out=$(getent "$@" "$database" "$key" 2>&1); else out=$(getent "$@" "$database" 2>&1); fi
  rc=$?
else
  [ -r "/etc/$database" ] || give_up "cannot ask for $database: getent is not on this host and /etc/$database cannot be read"
  if [ "$key" ]; then out=$(awk -F '[:[:space:]]+' -v k="$key" '$1 == k' "/etc/$database"); else out=$(cat "/etc/$database"); fi
  rc=0; [ -z "$out" ] && rc=2
fi
reply rc "$rc"; reply out "$out"
"#;

impl Module for Getent {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, _cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let database = args.required("database")?;
        let key = args.text("key")?;
        let fail = args.boolean("fail_key", true)?;
        let colons = ["passwd", "shadow", "group", "gshadow"].contains(&database.as_str());
        let split = args.text("split")?.or_else(|| colons.then(|| ":".to_owned()));
        let script = Script::new(VERBS)
            .then(SCRIPT)
            .var("database", &database)
            .var_or_empty("key", key.as_ref())
            .var_or_empty("service", args.text("service")?);
        Ok(Box::new(OneTrip::new(Reach::Local, script, move |reply| {
            let out = reply.field("out").unwrap_or_default();
            let found = match reply.field("rc").as_deref() {
                Some("0") => entries(&out, split.as_deref()),
                Some("2") if !fail => key.into_iter().map(|key| (key, Json::Null)).collect(),
                Some("1") => return Outcome::failed("Missing arguments, or database unknown."),
                Some("2") => {
                    return Outcome::failed(
                        "One or more supplied key could not be found in the database.",
                    );
                }
                Some("3") => {
                    return Outcome::failed("Enumeration not supported on this database.");
                }
                Some(_) | None => {
                    return Outcome::failed("Unexpected failure!").with("stderr", out);
                }
            };
            let mut facts = Map::new();
            facts.insert(format!("getent_{database}"), Json::Object(found));
            let outcome = Outcome::ok().with("ansible_facts", Json::Object(facts.clone()));
            outcome.with_effect(Effect::Facts(facts))
        })))
    }
}

fn entries(out: &str, split: Option<&str>) -> Map<String, Json> {
    let mut found = Map::new();
    for line in out.lines() {
        let mut fields: Vec<&str> = match split {
            Some(split) => line.split(split).collect(),
            None => line.split_whitespace().collect(),
        };
        if fields.is_empty() {
            continue;
        }
        let key = fields.remove(0);
        found.insert(key.to_owned(), Json::from(fields));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::Mode;
    use crate::modules::test_context::Host;
    use minijinja::Value;

    #[test]
    fn root_is_found_and_nobody_knows_nope() {
        for host in Host::each() {
            let run = |key: &str| {
                let args = [("database", Value::from("passwd")), ("key", Value::from(key))];
                host.run(&Getent, args, Mode::default())
            };
            let outcome = run("root");
            assert_eq!(
                outcome.data["ansible_facts"]["getent_passwd"]["root"][1], "0",
                "{outcome:?}"
            );
            let wanted = "One or more supplied key could not be found in the database.";
            assert_eq!(run("matron-nope").message(), Some(wanted));
        }
    }
}
