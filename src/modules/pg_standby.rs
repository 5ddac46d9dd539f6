//! `pg_standby`: makes a data directory that of a standby of a given primary, in the way of its version.

use crate::modules::action::{VERBS, trouble, unexpected};
use crate::modules::pg_node::{
    FILES, NODE, Settings, container_arg, data_arg, etc_arg, major_arg, owner_arg, superuser_arg,
};
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Done, Mode, Module, Reach, Step,
    TaskContext, arg,
};
use crate::outcome::{Diff, Outcome};
use crate::postgres::config;
use crate::postgres::conninfo::ConnInfo;
use crate::postgres::dialect::{Dialect, StandbyFile};
use crate::shell::{Reply, Script};

/// See the file's head.
pub(super) struct PgStandby;

static DOC: Doc = Doc {
    name: "pg_standby",
    summary: "Configures a node as a standby: recovery.conf up to 11, standby.signal and settings from 12 on.",
    description: "Connection settings of others (pg_basebackup -R, ALTER SYSTEM) that would win over these are taken out of postgresql.auto.conf while the server \
is stopped. The text is a template's, which gets `pg_conninfo` (quoted), `pg_slot_name` (quoted) and `pg_engine`.",
    args: &[
        ArgDoc { required: true, ..arg("host", ArgKind::Str, "The primary's address.") },
        ArgDoc { default: "5432", ..arg("port", ArgKind::Int, "The primary's port.") },
        arg("user", ArgKind::Str, "Replication role. Left out: what `pg_require` found."),
        arg("slot", ArgKind::Str, "This node's slot there. Left out: what `pg_require` found."),
        arg(
            "name",
            ArgKind::Str,
            "How it shows in pg_stat_replication. Left out: the host's name.",
        ),
        arg(
            "password",
            ArgKind::Str,
            "Needed before 10, where a connection string cannot name a passfile.",
        ),
        ArgDoc {
            default: TEMPLATE,
            ..arg("template", ArgKind::Str, "The template of the settings.")
        },
        container_arg(),
        superuser_arg(),
        data_arg(),
        major_arg(),
        owner_arg(),
        etc_arg(),
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Visible,
    returns: &[
        ("restart_required", "Whether a running standby must be restarted to follow."),
        ("conninfo", "The connection string, without a password."),
    ],
    examples: "- name: Follow the primary\n  pg_standby:\n    host: \"{{ pg_plan.upstreams[inventory_hostname].address }}\"\n",
};

const READ: &str = r#"[ -s "$data/PG_VERSION" ] || give_up "there is no data directory at $data"
state=$(pg_state)
reply state "$state"
if [ "$state" = running ]; then
  tries=0
  until pg_ready; do
    tries=$((tries + 1)); [ "$tries" -lt 50 ] || give_up "the server in container $container does not answer"
    sleep 0.2 2>/dev/null || sleep 1
  done
  pg_must 'select pg_is_in_recovery()'
  [ "$pg_out" = t ] || give_up "the server in container $container is a primary: it is not made a standby while it runs"
fi
[ -e "$data/$settings_file" ] && reply settings "$(cat "$data/$settings_file"; echo x)"
[ -e "$data/$standby_file" ] && reply signal 1
[ -e "$data/postgresql.auto.conf" ] && reply auto "$(cat "$data/postgresql.auto.conf"; echo x)"
[ -s "$data/matron.sync.conf" ] && reply sync 1
[ -e "$etc/fenced" ] && reply fenced 1
exit 0
"#;

const WRITE: &str = r#"[ -n "$settings_set" ] && put "$data/$settings_file" "$settings"
[ -n "$auto_set" ] && put "$data/postgresql.auto.conf" "$auto"
[ "$settings_file" = "$standby_file" ] || [ -e "$data/$standby_file" ] || put "$data/$standby_file" ''
# A standby that is promoted one day must not wait for standbys it does not have.
rm -f "$data/matron.sync.conf"
rm -f "$etc/fenced"
if [ -n "$reload" ] && [ "$(pg_state)" = running ]; then pg_must 'select pg_reload_conf()'; fi
reply done 1
"#;

#[derive(Debug)]
struct Follow {
    dialect: &'static Dialect,
    settings: String,
    conninfo: String,
    secret: bool,
    container: String,
    superuser: String,
    data: String,
    owner: String,
    etc: String,
    outcome: Option<Outcome>,
    mode: Mode,
}

/// Settings that only this module may make.
const OURS: &[&str] = &["primary_conninfo", "primary_slot_name", "recovery_target_timeline"];

/// The template of the settings when none is named.
pub(super) const TEMPLATE: &str = "standby.conf.j2";

/// What a standby follows, and as whom.
pub(super) struct Upstream {
    pub(super) host: String,
    pub(super) port: String,
    pub(super) user: String,
    pub(super) slot: String,
    /// How it shows in `pg_stat_replication`.
    pub(super) name: String,
    /// Where a connection string cannot name a passfile.
    pub(super) password: Option<String>,
}

/// The settings by which a standby follows.
pub(super) struct Following {
    /// The text of [`settings_file`].
    pub(super) settings: String,
    /// The connection string, without a password.
    pub(super) conninfo: String,
    /// There is a password in the text.
    pub(super) secret: bool,
}

impl Upstream {
    /// Renders the settings.
    pub(super) fn following(
        self,
        settings: &Settings<'_, '_>,
        dialect: &Dialect,
        template: &str,
    ) -> Result<Following, ArgError> {
        let shown = ConnInfo::default()
            .with("host", self.host)
            .with("port", self.port)
            .with("user", self.user)
            .with("application_name", self.name)
            .with("connect_timeout", "5")
            .with("keepalives_idle", "10")
            .with("keepalives_interval", "5")
            .with("keepalives_count", "3");
        let (conninfo, secret) = if dialect.passfile_keyword {
            (shown.clone().with("passfile", "/run/matron/pgpass"), false)
        } else {
            // Before 10 libpq finds the passfile by PGPASSFILE, which the container has; a password given here is for containers without it.
            match self.password {
                Some(password) => (shown.clone().with("password", password), true),
                None => (shown.clone(), false),
            }
        };
        let quoted = |text: &str| minijinja::Value::from(config::quote(text));
        let extra =
            [("pg_conninfo", quoted(&conninfo.to_string())), ("pg_slot_name", quoted(&self.slot))];
        let text = settings.template(template, &extra)?;
        Ok(Following {
            settings: format!("{}\n", text.trim_end()),
            conninfo: shown.to_string(),
            secret,
        })
    }
}

/// Returns the file in the data directory that holds a standby's settings.
pub(super) const fn settings_file(dialect: &Dialect) -> &'static str {
    match dialect.standby_file {
        StandbyFile::RecoveryConf => "recovery.conf",
        StandbyFile::Signal => "matron.standby.conf",
    }
}

impl Module for PgStandby {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let settings = Settings::new(args, cx)?;
        let dialect = settings.dialect()?;
        let user = match args.text("user")? {
            Some(user) => user,
            None => settings.text("replication_user")?,
        };
        let following = Upstream {
            host: args.required("host")?,
            port: args.integer("port")?.unwrap_or(5432).to_string(),
            user,
            slot: settings.text("slot")?,
            name: args.text("name")?.unwrap_or_else(|| cx.host.to_owned()),
            password: args.text("password")?,
        }
        .following(
            &settings,
            dialect,
            &args.text("template")?.unwrap_or_else(|| TEMPLATE.to_owned()),
        )?;
        Ok(Box::new(Follow {
            dialect,
            settings: following.settings,
            conninfo: following.conninfo,
            secret: following.secret,
            container: settings.text("container")?,
            superuser: settings.text("superuser")?,
            data: settings.text("data")?,
            owner: settings.text("owner")?,
            etc: settings.text("etc")?,
            outcome: None,
            mode: Mode::default(),
        }))
    }
}

impl Follow {
    fn script(&self, code: &'static str) -> Script {
        Script::new(VERBS)
            .then(NODE)
            .then(FILES)
            .then(code)
            .var("container", &self.container)
            .var("superuser", &self.superuser)
            .var("data", &self.data)
            .var("owner", &self.owner)
            .var("etc", &self.etc)
            .var("settings_file", settings_file(self.dialect))
            .var("standby_file", self.dialect.standby_file.name())
    }

    fn after_read(&mut self, reply: &Reply) -> Step {
        let whole = |key: &str| {
            reply.field(key).map(|text| text.strip_suffix('x').unwrap_or(&text).to_owned())
        };
        let running = reply.field("state").as_deref() == Some("running");
        let before = whole("settings");
        let settings_set = before.as_deref() != Some(self.settings.as_str());
        let auto = whole("auto").unwrap_or_default();
        let clean = config::without_settings(&auto, OURS);
        // A running server may rewrite the file at any moment: it is left alone then.
        let auto_set = auto != clean && !running;
        let unsignalled = !reply.fields.is_set("signal");
        let leftover = reply.fields.is_set("sync") || reply.fields.is_set("fenced");
        let changed = settings_set || auto_set || unsignalled || leftover;
        let restart = running && settings_set && !self.dialect.conninfo_reloads;
        let mut outcome = Outcome::changed_if(changed)
            .with("restart_required", restart)
            .with("conninfo", self.conninfo.clone());
        if settings_set && !self.secret {
            let header = format!("{}/{}", self.data, settings_file(self.dialect));
            let (before_header, after_header) = (header.clone(), header);
            let (before, after) = (before.unwrap_or_default(), self.settings.clone());
            outcome = outcome.with_diff(Diff { before_header, after_header, before, after });
        }
        if self.mode.check || !changed {
            return Step::Done(outcome);
        }
        self.outcome = Some(outcome);
        let script = self
            .script(WRITE)
            .flag("settings_set", settings_set)
            .flag("auto_set", auto_set)
            .flag("reload", running && settings_set && self.dialect.conninfo_reloads)
            .var("auto", clean);
        Step::Send(if self.secret {
            script.secret("settings", &self.settings)
        } else {
            script.var("settings", &self.settings)
        })
    }
}

impl Action for Follow {
    fn begin(&mut self, mode: Mode) -> Step {
        self.mode = mode;
        Step::Send(self.script(READ))
    }

    fn resume(&mut self, done: Done) -> Step {
        let Done::Reply(reply) = done else { return unexpected() };
        if let Some(trouble) = trouble(&reply) {
            return Step::Done(trouble);
        }
        match self.outcome.take() {
            Some(outcome) => Step::Done(outcome),
            None => self.after_read(&reply),
        }
    }

    fn reach(&self) -> Reach {
        Reach::Visible
    }
}
