//! `pg_adopt`: finds a database container that was built by hand and what is to be known of it, and takes it over.
//!
//! Lives here: the module, its scripts (`find.sh`, `look.sh`, `take.sh`) and the choice of the container. Does not: what may be
//! taken over, and what changes (`postgres::decide`).

mod containers;

use minijinja::Value;
use serde_json::Value as Json;

use self::containers::{Seen, choose};
use crate::modules::action::{OneTrip, VERBS, trouble, unexpected, verdict};
use crate::modules::pg_node::{
    NODE, Settings, container_arg, image_arg, literal, major_arg, root_arg, superuser_arg,
};
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Done, Mode, Module, Reach, Step,
    TaskContext, arg, to_json,
};
use crate::outcome::Outcome;
use crate::postgres::handbuilt::{HandBuilt, SettingChange, Wanted};
use crate::postgres::{config, hba, scram};
use crate::secret::Secret;
use crate::shell::{Reply, Script};

/// See the file's head.
pub(super) struct PgAdopt;

const STATES: &[&str] = &["found", "taken"];

static DOC: Doc = Doc {
    name: "pg_adopt",
    summary: "Finds a database container that was built by hand, tells what matron would change of it, and takes it over without a restart.",
    description: "With `state: found` it only looks: at the container named by `name`, or the one with matron's own name, or the only one that publishes \
`pg_port`. With `state: taken` the cluster's folder gets a link to the data where it lies, the container gets matron's name, and its restart \
policy becomes no. Nothing is stopped, copied or removed; the playbook adopt.yml does the rest.",
    args: &[
        ArgDoc { default: "found", ..arg("state", ArgKind::Choice(STATES), "Look, or take over.") },
        arg("name", ArgKind::Str, "The container that is there. Left out: it is looked for."),
        arg("folder", ArgKind::Path, "With `taken`: the folder on the host that is mounted."),
        arg(
            "password",
            ArgKind::Str,
            "The password that the superuser should have; compared, never sent.",
        ),
        ArgDoc {
            default: "postgresql.conf.j2",
            ..arg("template", ArgKind::Str, "Template of the settings the node will have.")
        },
        container_arg(),
        superuser_arg(),
        image_arg(),
        root_arg(),
        major_arg(),
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Visible,
    returns: &[
        ("found", "What was found, and what the inventory says of it."),
        ("container", "The container's name."),
        ("data", "The data directory on the host."),
        ("folder", "The folder on the host that is the image's volume."),
    ],
    examples: "- name: Find what was built by hand\n  pg_adopt:\n  register: pg_found\n",
};

#[derive(Debug)]
struct Find {
    named: Option<String>,
    wanted: Wanted,
    password: Option<Secret>,
    template: String,
    found: HandBuilt,
}

impl Module for PgAdopt {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn observes(&self, args: &Args) -> bool {
        args.text("state").is_ok_and(|state| state.as_deref() != Some("taken"))
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let settings = Settings::new(args, cx)?;
        let named = args.text("name")?.filter(|name| !name.is_empty());
        if args.choice("state", STATES, "found")? == "taken" {
            let script = Script::new(VERBS)
                .then(include_str!("take.sh"))
                .var("container", settings.text("container")?)
                .var("root", settings.text("root")?)
                .var("found", named.unwrap_or_default())
                .var("folder", args.required("folder")?);
            return Ok(Box::new(OneTrip::new(Reach::Visible, script, verdict)));
        }
        let known = |name: &str| settings.maybe(name).unwrap_or_default();
        let site = settings.json("settings")?;
        let site = site.as_ref().and_then(Json::as_object);
        let template = args.text("template")?.unwrap_or_else(|| "postgresql.conf.j2".to_owned());
        let engine = engine(cx)?;
        let of_engine = |name: &str| engine[name].as_str().unwrap_or_default().to_owned();
        Ok(Box::new(Find {
            named,
            wanted: Wanted {
                container: settings.text("container")?,
                port: u16::try_from(settings.number("port", 5432)?).unwrap_or(5432),
                pgdata: of_engine("pgdata"),
                volume: of_engine("volume"),
                image: settings.text("image")?,
                image_id: of_engine("image_id"),
                superuser: settings.text("superuser")?,
                database: known("database"),
                replication_user: known("replication_user"),
                settings: site.map(|map| map.keys().cloned().collect()).unwrap_or_default(),
            },
            password: args.text("password")?.map(Secret::new),
            template: settings.template(&template, &[])?,
            found: HandBuilt::default(),
        }))
    }
}

/// Returns what `pg_image` found.
fn engine(cx: &TaskContext<'_>) -> Result<Json, ArgError> {
    let value: Option<Value> = cx.vars.variable("pg_engine").map_err(ArgError::new)?;
    let value = value.unwrap_or_default();
    to_json(&value).map_err(|error| ArgError::new(error.to_string()))
}

impl Find {
    fn look(&self) -> Step {
        let names: Vec<String> =
            written(&self.template).into_iter().map(|(name, _)| literal(name)).collect();
        let settings = format!(
            "select name || '|' || context || '|' || current_setting(name) from pg_settings where name in ({}) order by name",
            names.join(", ")
        );
        let stored = format!(
            "select rolpassword from pg_authid where rolname = {}",
            literal(&self.found.superuser)
        );
        Step::Send(
            Script::new(VERBS)
                .then(NODE)
                .then(include_str!("look.sh"))
                .var("container", &self.found.container)
                .var("superuser", &self.found.superuser)
                .var("data", &self.found.data)
                .var("settings_sql", settings)
                .var("stored_sql", stored),
        )
    }

    fn after_find(&mut self, reply: &Reply) -> Step {
        let environments = reply.fields.all("environment");
        let seen: Vec<Seen> = reply
            .fields
            .all("container")
            .zip(environments)
            .filter_map(|(text, environment)| Seen::read(&text, &environment))
            .collect();
        match choose(&seen, self.named.as_deref(), &self.wanted) {
            Ok(None) => Step::Done(told(&self.found, &self.wanted)),
            Ok(Some(found)) => {
                self.found = found;
                self.look()
            }
            Err(text) => Step::Done(Outcome::failed(text)),
        }
    }

    fn after_look(&mut self, reply: &Reply) -> Step {
        let found = &mut self.found;
        found.open_lines = hba::narrow(&reply.field("hba").unwrap_or_default()).1;
        found.password_files = reply.fields.all("password_file").collect();
        found.trigger_file = reply.field("trigger_file").unwrap_or_default();
        let number = |key: &str| reply.field(key).and_then(|text| text.trim().parse().ok());
        found.slots_allowed = number("slots");
        found.senders_allowed = number("senders");
        found.settings = differing(&self.template, &reply.field("settings").unwrap_or_default());
        if let (Some(stored), Some(password)) = (reply.field("stored"), &self.password) {
            let stored = stored.trim();
            found.password_matches =
                (!stored.is_empty()).then(|| scram::matches(stored, &found.superuser, password));
        }
        Step::Done(told(found, &self.wanted))
    }
}

fn told(found: &HandBuilt, wanted: &Wanted) -> Outcome {
    let found = HandBuilt { wanted: wanted.clone(), ..found.clone() };
    let folder = found.volume_folder().unwrap_or_default().to_owned();
    Outcome::ok()
        .with("container", found.container.clone())
        .with("data", found.data.clone())
        .with("folder", folder)
        .with("foreign", found.is_foreign())
        .with("found", serde_json::to_value(&found).unwrap_or_default())
}

/// Returns the settings that a file sets, values without quotes.
fn written(text: &str) -> Vec<(&str, String)> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let (name, value) = line.split_once('=')?;
            Some((name.trim(), config::unquote(value.trim())))
        })
        .collect()
}

/// Returns the settings whose value will be another one.
fn differing(template: &str, rows: &str) -> Vec<SettingChange> {
    let wanted = written(template);
    let rows = rows.lines().filter_map(|row| {
        let mut parts = row.splitn(3, '|');
        Some((parts.next()?, parts.next()?, parts.next()?))
    });
    rows.filter_map(|(name, context, now)| {
        // The last line of a file wins.
        let (_, value) = wanted.iter().rfind(|(known, _)| *known == name)?;
        (config::canonical(value) != config::canonical(now)).then(|| SettingChange {
            name: name.to_owned(),
            now: now.to_owned(),
            wanted: value.clone(),
            restart: context == "postmaster",
        })
    })
    .collect()
}

impl Action for Find {
    fn begin(&mut self, _mode: Mode) -> Step {
        Step::Send(Script::new(VERBS).then(include_str!("find.sh")))
    }

    fn resume(&mut self, done: Done) -> Step {
        let Done::Reply(reply) = done else { return unexpected() };
        if let Some(trouble) = trouble(&reply) {
            return Step::Done(trouble);
        }
        if self.found.container.is_empty() {
            self.after_find(&reply)
        } else {
            self.after_look(&reply)
        }
    }

    fn reach(&self) -> Reach {
        Reach::Visible
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_settings_with_another_value_are_told_and_units_are_understood() {
        let template = "# wal_level = x\nlisten_addresses = '*'\nwal_keep_size = 1024MB\nwal_log_hints = on\nwal_level = replica\n";
        let rows = "listen_addresses|postmaster|*\nwal_keep_size|sighup|1GB\nwal_level|postmaster|replica\nwal_log_hints|postmaster|off";
        let names: Vec<_> = differing(template, rows);
        assert_eq!(
            names,
            [SettingChange {
                name: "wal_log_hints".to_owned(),
                now: "off".to_owned(),
                wanted: "on".to_owned(),
                restart: true,
            }]
        );
    }
}
