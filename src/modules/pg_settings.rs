//! `pg_settings`: a file of settings of matron's own in the data directory, included by postgresql.conf, and taken into use.

use std::fmt::Write as _;
use std::time::Duration;

use crate::modules::action::{VERBS, trouble, unexpected};
use crate::modules::pg_node::{
    FILES, NODE, Settings, container_arg, data_arg, identifier, literal, major_arg, owner_arg,
    superuser_arg,
};
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Done, Mode, Module, Reach, Step,
    TaskContext, arg,
};
use crate::outcome::{Diff, Outcome};
use crate::postgres::config::{self, Place};
use crate::postgres::observation::Promise;
use crate::shell::{Reply, Script};

/// See the file's head.
pub(super) struct PgSettings;

/// The files that postgresql.conf includes, the last one wins.
const INCLUDES: &str = "include_if_exists = 'matron.conf'\ninclude_if_exists = 'matron.sync.conf'\ninclude_if_exists = 'matron.standby.conf'\ninclude_if_exists = 'matron.owed.conf'\n";

const NAMES: &[&str] = &["matron.conf", "matron.sync.conf"];

static DOC: Doc = Doc {
    name: "pg_settings",
    summary: "Writes settings into a file of their own in the data directory, reloads when something changed, tells whether a restart is due.",
    description: "In files and not on the server's command line, because pg_rewind and single-user recovery read only files. \
The text comes from a template, or from `settings`. A server that does not run reads it when it starts.",
    args: &[
        arg(
            "template",
            ArgKind::Str,
            "A template of settings; it may use `pg`, `pg_engine` and everything else.",
        ),
        arg(
            "settings",
            ArgKind::Dict,
            "Settings and their values instead of a template; an empty mapping empties the file.",
        ),
        ArgDoc { default: "matron.conf", ..arg("name", ArgKind::Choice(NAMES), "The file.") },
        ArgDoc {
            default: "false",
            ..arg(
                "grow",
                ArgKind::Bool,
                "On a standby before its primary is changed: takes the settings only when one grows that a standby may not have less of than its primary, and lets none of those shrink.",
            )
        },
        container_arg(),
        superuser_arg(),
        data_arg(),
        major_arg(),
        owner_arg(),
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Visible,
    returns: &[
        ("restart_required", "Whether a setting waits for a restart."),
        ("pending", "The settings that wait."),
        ("reloaded", "Whether the server was told to read its files."),
    ],
    examples: "- name: Settings\n  pg_settings:\n    template: postgresql.conf.j2\n  register: pg_conf\n",
};

const READ: &str = r#"[ -s "$data/PG_VERSION" ] || give_up "there is no data directory at $data"
[ -e "$data/$name" ] && reply own "$(cat "$data/$name"; echo x)"
reply main "$(cat "$data/postgresql.conf"; echo x)"
reply state "$(pg_state)"
if [ "$(pg_state)" = running ]; then
  pg_must "select floor(extract(epoch from pg_conf_load_time()))::bigint"
  newest=$(stat -c %Y "$data/$name" "$data/postgresql.conf" 2>/dev/null | sort -n | tail -n 1)
  [ "${newest:-0}" -ge "$pg_out" ] && reply stale 1
  [ "${newest:-0}" -gt "$pg_out" ] && reply never_loaded 1
  if [ -n "$pending_sql" ]; then pg_must "$pending_sql"; reply pending "$pg_out"; fi
  if [ -n "$floor_sql" ]; then pg_must "$floor_sql"; reply floor "$pg_out"; fi
fi
exit 0
"#;

const WRITE: &str = r#"writable=
if [ -n "$forget_sql" ] && [ "$(pg_state)" = running ]; then
  pg_must 'select not pg_is_in_recovery()'
  writable=$pg_out
  # Forgotten before it ends, told after it began: a standby must not believe what is not so.
  [ "$writable" = t ] && pg_must "$forget_sql"
fi
[ -n "$own_set" ] && put "$data/$name" "$own"
[ -n "$main_set" ] && put "$data/postgresql.conf" "$main"
if [ "$(pg_state)" = running ]; then
  pg_must "select pg_conf_load_time()"
  before=$pg_out
  # A mistake in the files would be logged and not told: let the server read them first, where it can.
  if [ -n "$errors_sql" ]; then
    pg_must "$errors_sql"
    [ -z "$pg_out" ] || give_up "the server does not accept its settings: $pg_out"
  fi
  pg_must "select pg_reload_conf()"
  tries=0
  while [ "$tries" -lt 50 ]; do
    pg_must "select pg_conf_load_time()"
    [ "$pg_out" != "$before" ] && break
    tries=$((tries + 1))
    sleep 0.1 2>/dev/null || sleep 1
  done
  # The settings' own view follows the file a moment later in this session's next one.
  if [ -n "$pending_sql" ]; then pg_must "$pending_sql"; reply pending "$pg_out"; else reply pending "$assume"; fi
  [ "$writable" = t ] && [ -n "$tell_sql" ] && pg_must "$tell_sql"
  reply reloaded 1
fi
reply done 1
"#;

const PENDING: &str = "select coalesce(string_agg(name, ', ' order by name), '') from pg_settings where pending_restart";
/// `applied` is false for settings that a later line overrides and for those that need a restart, which are no mistakes.
const ERRORS: &str = "select coalesce(string_agg(coalesce(name, sourcefile) || ': ' || error, ', '), '') from pg_file_settings \
where error is not null and error <> 'setting could not be applied'";

/// Settings of which a standby may not have less than its primary: it stops, or stops replaying, where the primary's WAL says more.
const FLOOR: &[&str] = &[
    "max_connections",
    "max_worker_processes",
    "max_wal_senders",
    "max_prepared_transactions",
    "max_locks_per_transaction",
];

/// Returns the settings as a standby takes them before its primary does: those that grow, and none of [`FLOOR`] smaller than it is
/// now. `None` when nothing grows. `now` has a line a setting, `name|value`.
fn grown(wanted: &str, now: &str) -> Option<String> {
    let mut text = wanted.trim_end().to_owned();
    let mut grows = false;
    for (name, now) in now.lines().filter_map(|line| line.split_once('|')) {
        let Some(number) = number_of(wanted, name) else { continue };
        let Ok(now) = now.trim().parse::<u64>() else { continue };
        grows |= number > now;
        if number < now {
            let _ = write!(text, "\n{name} = {now}");
        }
    }
    text.push('\n');
    grows.then_some(text)
}

/// Returns what a text of settings makes of a number; the last line counts.
fn number_of(text: &str, name: &str) -> Option<u64> {
    let value = |line: &str| {
        let (key, value) = line.split_once('=')?;
        let value = value.split('#').next().unwrap_or_default().trim().trim_matches('\'');
        (key.trim() == name).then(|| value.parse().ok()).flatten()
    };
    text.lines().rev().find_map(value)
}

#[derive(Debug)]
struct Write {
    name: &'static str,
    wanted: String,
    empty: bool,
    grow: bool,
    container: String,
    superuser: String,
    data: String,
    owner: String,
    tells_pending: bool,
    /// The statements that forget and tell what commits wait for.
    promise: Option<(String, String)>,
    changed: bool,
    diff: Vec<Diff>,
    mode: Mode,
}

impl Module for PgSettings {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let name = args.choice("name", NAMES, "matron.conf")?;
        let settings = Settings::new(args, cx)?;
        let mut empty = false;
        let wanted = match (args.text("template")?, args.json("settings")?) {
            (Some(template), None) => settings.template(&template, &[])?,
            (None, Some(serde_json::Value::Object(map))) => {
                empty = map.is_empty();
                let mut text = String::from("# Written by matron; changes are overwritten.\n");
                for (name, value) in &map {
                    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    let _ = writeln!(text, "{name} = {}", config::quote(&value));
                }
                text
            }
            _ => return Err(ArgError::new("one of the following is required: template, settings")),
        };
        Ok(Box::new(Write {
            name,
            wanted: format!("{}\n", wanted.trim_end()),
            empty,
            grow: args.boolean("grow", false)?,
            container: settings.text("container")?,
            superuser: settings.text("superuser")?,
            data: settings.text("data")?,
            owner: settings.text("owner")?,
            tells_pending: settings.dialect()?.pending_restart,
            promise: promise(args, cx, &settings, name)?,
            changed: false,
            diff: Vec::new(),
            mode: Mode::default(),
        }))
    }
}

/// What commits wait for is written where a standby finds it when the primary is gone: into the comment on the replication role.
fn promise(
    args: &Args,
    cx: &TaskContext<'_>,
    settings: &Settings<'_, '_>,
    name: &str,
) -> Result<Option<(String, String)>, ArgError> {
    let role = settings.maybe("replication_user").filter(|_| name == "matron.sync.conf");
    let Some(role) = role else { return Ok(None) };
    let wanted = args.json("settings")?.unwrap_or_default();
    let names = wanted["synchronous_standby_names"].as_str().unwrap_or_default().to_owned();
    let comment = |what: &str| {
        format!("set synchronous_commit = local; comment on role {} is {what}", identifier(&role))
    };
    let tell = if names.is_empty() {
        String::new()
    } else {
        comment(&literal(&Promise { primary: cx.host.to_owned(), names }.text()))
    };
    Ok(Some((comment("null"), tell)))
}

impl Write {
    fn script(&self, code: &'static str) -> Script {
        Script::new(VERBS)
            .then(NODE)
            .then(FILES)
            .then(code)
            .var("container", &self.container)
            .var("superuser", &self.superuser)
            .var("data", &self.data)
            .var("owner", &self.owner)
            .var("name", self.name)
            .var("pending_sql", if self.tells_pending { PENDING } else { "" })
            .var("floor_sql", self.floor_sql())
            .var("errors_sql", if self.tells_pending { ERRORS } else { "" })
            .var("forget_sql", self.promise.as_ref().map_or("", |(forget, _)| forget))
            .var("tell_sql", self.promise.as_ref().map_or("", |(_, tell)| tell))
            .within(Duration::from_secs(60))
    }

    /// Returns the question for what the server has now, when that counts.
    fn floor_sql(&self) -> String {
        if !self.grow {
            return String::new();
        }
        let names: Vec<_> = FLOOR.iter().map(|name| literal(name)).collect();
        format!("select name, setting from pg_settings where name in ({})", names.join(", "))
    }

    fn after_read(&mut self, reply: &Reply) -> Step {
        if self.grow {
            match grown(&self.wanted, &reply.field("floor").unwrap_or_default()) {
                Some(text) => self.wanted = text,
                None => return self.done("", false),
            }
        }
        // An `x` was put behind each text so that the shell keeps its last line end.
        let whole = |key: &str| {
            reply.field(key).map(|text| text.strip_suffix('x').unwrap_or(&text).to_owned())
        };
        let own = whole("own");
        let main = whole("main").unwrap_or_default();
        let new_main = config::with_block(&main, INCLUDES, Place::Bottom);
        // No settings and no file is the same: an empty file would only be noise.
        let nothing = own.is_none() && self.empty;
        let own_set = !nothing && own.as_deref() != Some(self.wanted.as_str());
        let main_set = main != new_main;
        self.changed = own_set || main_set || reply.fields.is_set("never_loaded");
        for (differs, file, before, after) in [
            (own_set, self.name, own.unwrap_or_default(), self.wanted.clone()),
            (main_set, "postgresql.conf", main, new_main.clone()),
        ] {
            if differs {
                let header = format!("{}/{file}", self.data);
                let diff =
                    Diff { before_header: header.clone(), after_header: header, before, after };
                self.diff.push(diff);
            }
        }
        if self.mode.check || !(self.changed || reply.fields.is_set("stale")) {
            return self.done(&reply.field("pending").unwrap_or_default(), false);
        }
        let script = self
            .script(WRITE)
            .flag("own_set", own_set)
            .flag("main_set", main_set)
            .var("own", &self.wanted)
            .var("main", new_main)
            .var("assume", if self.changed { "whatever has changed" } else { "" });
        Step::Send(script)
    }

    fn done(&mut self, pending: &str, reloaded: bool) -> Step {
        let mut outcome = Outcome::changed_if(self.changed)
            .with("restart_required", !pending.trim().is_empty())
            .with("pending", pending.trim())
            .with("reloaded", reloaded);
        outcome.diff = std::mem::take(&mut self.diff);
        Step::Done(outcome)
    }
}

impl Action for Write {
    fn begin(&mut self, mode: Mode) -> Step {
        self.mode = mode;
        Step::Send(self.script(READ))
    }

    fn resume(&mut self, done: Done) -> Step {
        let Done::Reply(reply) = done else { return unexpected() };
        if let Some(trouble) = trouble(&reply) {
            return Step::Done(trouble);
        }
        if reply.fields.is_set("done") {
            let pending = reply.field("pending").unwrap_or_default();
            return self.done(&pending, reply.fields.is_set("reloaded"));
        }
        self.after_read(&reply)
    }

    fn reach(&self) -> Reach {
        Reach::Visible
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standby_takes_what_grows_before_its_primary_and_lets_nothing_shrink() {
        let wanted = "# ours\nmax_wal_senders = 10\nmax_connections = '300'\nwork_mem = '8MB'\n";
        let now = |connections: u32, senders: u32| {
            format!(
                "max_connections|{connections}\nmax_wal_senders|{senders}\nmax_worker_processes|8\n"
            )
        };
        assert_eq!(grown(wanted, &now(300, 10)), None);
        assert_eq!(grown(wanted, &now(400, 10)), None, "it shrinks: the primary is first");
        assert_eq!(grown(wanted, &now(100, 10)).as_deref(), Some(wanted));
        assert_eq!(grown(wanted, &now(100, 20)), Some(format!("{wanted}max_wal_senders = 20\n")));
    }

    #[test]
    fn last_line_of_a_setting_counts() {
        let text = "max_connections = 100 # site\nmax_connections_x = 5\n max_connections='200'\n";
        assert_eq!(number_of(text, "max_connections"), Some(200));
        assert_eq!(number_of(text, "max_wal_senders"), None);
    }
}
