//! `pg_password`: the replication password, kept on the host where only root can read it.

use crate::modules::action::{VERBS, trouble, unexpected};
use crate::modules::pg_node::{FILES, Settings};
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Done, Mode, Module, Reach, Step,
    TaskContext, arg,
};
use crate::outcome::Outcome;
use crate::postgres::conninfo::passfile_line;
use crate::shell::Script;

/// See the file's head.
pub(super) struct PgPassword;

static DOC: Doc = Doc {
    name: "pg_password",
    summary: "Keeps the replication password in the cluster's secrets folder and writes the passfile that libpq reads.",
    description: "Without `value` the password that is there is kept, and one is made from the host's random numbers when there is none. Use `no_log: true`.",
    args: &[
        arg("value", ArgKind::Str, "The password. Left out: the one on the host, or a new one."),
        ArgDoc {
            default: "false",
            ..arg(
                "fresh",
                ArgKind::Bool,
                "Make another one for a rotation, or take up the one of a rotation that was interrupted; it is kept apart until `settled`.",
            )
        },
        ArgDoc {
            default: "false",
            ..arg(
                "settled",
                ArgKind::Bool,
                "The rotation has ended: nothing is kept apart any more.",
            )
        },
        arg("user", ArgKind::Str, "The replication role. Left out: what `pg_require` found."),
        arg("secrets", ArgKind::Path, "The folder. Left out: what `pg_require` found."),
        arg("owner", ArgKind::Str, "uid:gid of the server. Left out: what `pg_image` found."),
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Local,
    returns: &[("password", "The password, for the other nodes.")],
    examples: "- name: Replication password\n  pg_password:\n    value: \"{{ pg_replication_password | default(omit) }}\"\n  no_log: true\n  register: pg_secret\n",
};

/// A password that is on its way to all nodes; the passfile of this one stays as it is until it gets the value itself.
const FRESH: &str = r#"file="$secrets/replication.next"
if [ -s "$file" ]; then
  value=$(cat "$file")
else
  value=$(head -c 64 /dev/urandom | base64 | tr -d '+/=\n' | cut -c 1-40)
  [ "${#value}" -ge 20 ] || give_up "cannot make a password: /dev/urandom or base64 is missing"
  [ -n "$check" ] || { put "$file" "$value"; chown 0:0 "$file"; }
fi
reply fresh 1
reply changed 1
reply password "$value"
"#;

const SETTLED: &str = r#"if [ -e "$secrets/replication.next" ]; then
  reply changed 1
  [ -n "$check" ] || rm -f "$secrets/replication.next"
fi
"#;

const KEEP: &str = r#"file="$secrets/replication"
was=; [ -s "$file" ] && was=$(cat "$file")
if [ -z "$value" ]; then
  value=$was
  [ -n "$value" ] || value=$(head -c 64 /dev/urandom | base64 | tr -d '+/=\n' | cut -c 1-40)
  [ "${#value}" -ge 20 ] || [ -n "$was" ] || give_up "cannot make a password: /dev/urandom or base64 is missing"
fi
if [ "$value" != "$was" ]; then
  reply changed 1
  [ -n "$check" ] || { put "$file" "$value"; chown 0:0 "$file"; }
fi
reply password "$value"
"#;

const PASSFILE: &str = r#"[ -s "$secrets/pgpass" ] && was=$(cat "$secrets/pgpass") || was=
if [ "$was" != "$line" ]; then
  reply changed 1
  [ -n "$check" ] || put "$secrets/pgpass" "$line
"
fi
reply done 1
"#;

#[derive(Debug)]
struct Keep {
    value: String,
    user: String,
    secrets: String,
    owner: String,
    fresh: bool,
    settled: bool,
    password: String,
    changed: bool,
    mode: Mode,
}

impl Module for PgPassword {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let settings = Settings::new(args, cx)?;
        let value = args.text("value")?.unwrap_or_default();
        if value.contains(['\n', '\r', '\0']) {
            return Err(ArgError::new("the replication password must be one line"));
        }
        let user = match args.text("user")? {
            Some(user) => user,
            None => settings.text("replication_user")?,
        };
        Ok(Box::new(Keep {
            value,
            user,
            secrets: settings.text("secrets")?,
            owner: settings.text("owner")?,
            fresh: args.boolean("fresh", false)?,
            settled: args.boolean("settled", false)?,
            password: String::new(),
            changed: false,
            mode: Mode::default(),
        }))
    }
}

impl Action for Keep {
    fn begin(&mut self, mode: Mode) -> Step {
        self.mode = mode;
        let settled = if self.settled { SETTLED } else { "" };
        let code = if self.fresh { FRESH } else { KEEP };
        let script = Script::new(VERBS).then(FILES).then(settled).then(code);
        let script = script.flag("check", mode.check);
        let script = script.secret("value", &self.value);
        Step::Send(script.var("secrets", &self.secrets).var("owner", &self.owner))
    }

    fn resume(&mut self, done: Done) -> Step {
        let Done::Reply(reply) = done else { return unexpected() };
        if let Some(trouble) = trouble(&reply) {
            return Step::Done(trouble);
        }
        self.changed |= reply.fields.is_set("changed");
        if let Some(password) = reply.field("password") {
            let line = passfile_line(&self.user, &password);
            self.password = password;
            if reply.fields.is_set("fresh") {
                return Step::Done(
                    Outcome::changed_if(true).with("password", self.password.clone()),
                );
            }
            let script =
                Script::new(VERBS).then(FILES).then(PASSFILE).flag("check", self.mode.check);
            let script = script.secret("line", line.trim_end_matches('\n'));
            return Step::Send(script.var("secrets", &self.secrets).var("owner", &self.owner));
        }
        Step::Done(Outcome::changed_if(self.changed).with("password", self.password.clone()))
    }

    fn reach(&self) -> Reach {
        Reach::Local
    }
}
