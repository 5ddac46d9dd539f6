//! `pg_role`: the replication role on a primary, with a verifier computed here.

use std::fmt::Write as _;

use base64::Engine as _;

use crate::modules::action::{VERBS, trouble, unexpected};
use crate::modules::pg_node::{
    NODE, Settings, container_arg, identifier, literal, major_arg, superuser_arg,
};
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Done, Mode, Module, Reach, Step,
    TaskContext, arg,
};
use crate::outcome::Outcome;
use crate::postgres::dialect::Passwords;
use crate::postgres::scram;
use crate::secret::Secret;
use crate::shell::{Reply, Script};

/// See the file's head.
pub(super) struct PgRole;

const KINDS: &[&str] = &["replication", "login"];

static DOC: Doc = Doc {
    name: "pg_role",
    summary: "Makes a role that may replicate and log in, with this password.",
    description: "The password never travels in SQL: its SCRAM-SHA-256 verifier (md5 before 10) is computed on the controller with a salt from the host. \
Whether the role has this password already is found out from the verifier that is stored. From 11 on it may also read files of the data directory, which pg_rewind needs and a base backup gives anyhow. Use `no_log: true`.",
    args: &[
        arg(
            "name",
            ArgKind::Str,
            "The role. Left out: the replication user that `pg_require` found.",
        ),
        ArgDoc {
            default: "replication",
            ..arg(
                "kind",
                ArgKind::Choice(KINDS),
                "login gives a role that is there this password and nothing else.",
            )
        },
        ArgDoc { required: true, ..arg("password", ArgKind::Str, "Its password.") },
        container_arg(),
        superuser_arg(),
        major_arg(),
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Visible,
    returns: &[("role", "The role's name.")],
    examples: "- name: Replication role\n  pg_role:\n    password: \"{{ pg_secret.password }}\"\n  no_log: true\n",
};

const LOOK: &str = r#"pg_must "$sql"
reply role "$pg_out"
reply salt "$(head -c 16 /dev/urandom | base64 | tr -d '\n')"
"#;

const CHANGE: &str = r#"pg_must "$sql"
reply changed 1
"#;

struct Give {
    name: String,
    password: Secret,
    container: String,
    superuser: String,
    passwords: Passwords,
    reads_files: bool,
    replicates: bool,
    mode: Mode,
}

/// A verifier is no password, and still nothing for a log that many read. The superuser may set these for a session.
const QUIET: &str = "set log_statement = 'none'; set log_min_duration_statement = -1; set log_duration = off; \
set log_min_error_statement = 'panic'; set pg_stat_statements.track_utility = off;";

/// What pg_rewind calls on its source (the manual's page of pg_rewind, Notes); grants are a database's own, and it connects to
/// `postgres`.
const FILE_FUNCTIONS: &[&str] = &[
    "pg_catalog.pg_ls_dir(text, boolean, boolean)",
    "pg_catalog.pg_stat_file(text, boolean)",
    "pg_catalog.pg_read_binary_file(text)",
    "pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean)",
];

impl Module for PgRole {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let settings = Settings::new(args, cx)?;
        let name = match args.text("name")? {
            Some(name) => name,
            None => settings.text("replication_user")?,
        };
        let replicates = args.choice("kind", KINDS, "replication")? == "replication";
        Ok(Box::new(Give {
            name,
            password: Secret::new(args.required("password")?),
            container: settings.text("container")?,
            superuser: settings.text("superuser")?,
            passwords: settings.dialect()?.passwords,
            reads_files: replicates && settings.dialect()?.rewind_by_role,
            replicates,
            mode: Mode::default(),
        }))
    }
}

impl Give {
    fn ask(&self, code: &'static str, sql: &str) -> Step {
        let script = Script::new(VERBS).then(NODE).then(code);
        let script = script.var("container", &self.container).var("superuser", &self.superuser);
        Step::Send(script.secret("sql", sql))
    }

    fn after_look(&self, reply: &Reply) -> Step {
        let row = reply.field("role").unwrap_or_default();
        let (able, rest) = row.trim().split_once('|').unwrap_or_default();
        let (reads, stored) = rest.split_once('|').unwrap_or_default();
        let known = able == "t" && scram::matches(stored, &self.name, &self.password);
        if known && reads == "t" {
            return self.done(false);
        }
        if self.mode.check {
            return self.done(true);
        }
        if known {
            return self.ask(CHANGE, &self.grants());
        }
        let salt = reply.field("salt").unwrap_or_default();
        let salt = base64::engine::general_purpose::STANDARD.decode(salt.trim());
        let Some(salt) = salt.ok().filter(|salt| salt.len() == 16) else {
            return Step::Done(Outcome::failed(
                "the host gave no random numbers (head, /dev/urandom and base64 are needed)",
            ));
        };
        let verifier = scram::verifier(self.passwords, &self.name, &self.password, &salt);
        if !self.replicates && row.trim().is_empty() {
            return Step::Done(Outcome::failed(format!("there is no role {}", self.name)));
        }
        let verb = if row.trim().is_empty() { "create" } else { "alter" };
        let rights =
            if self.replicates { "with login replication password" } else { "with password" };
        let role = identifier(&self.name);
        let verifier = literal(&verifier);
        let grants = self.grants();
        let sql = format!("{QUIET} {verb} role {role} {rights} {verifier}; {grants}");
        self.ask(CHANGE, &sql)
    }

    fn grants(&self) -> String {
        let functions = if self.reads_files { FILE_FUNCTIONS } else { &[] };
        let role = identifier(&self.name);
        let one = |function: &&str| format!("grant execute on function {function} to {role}");
        functions.iter().map(one).collect::<Vec<_>>().join("; ")
    }

    fn done(&self, changed: bool) -> Step {
        Step::Done(Outcome::changed_if(changed).with("role", self.name.clone()))
    }
}

impl Action for Give {
    fn begin(&mut self, mode: Mode) -> Step {
        self.mode = mode;
        let name = literal(&self.name);
        let able = if self.replicates { "rolcanlogin and rolreplication" } else { "rolcanlogin" };
        let functions = if self.reads_files { FILE_FUNCTIONS } else { &[] };
        let mut reads = String::new();
        for function in functions {
            let _ = write!(reads, " and has_function_privilege(oid, '{function}', 'execute')");
        }
        self.ask(
            LOOK,
            &format!(
                "select {able}, true{reads}, rolpassword from pg_authid where rolname = {name}"
            ),
        )
    }

    fn resume(&mut self, done: Done) -> Step {
        let Done::Reply(reply) = done else { return unexpected() };
        match trouble(&reply) {
            Some(trouble) => Step::Done(trouble),
            None if reply.fields.is_set("changed") => self.done(true),
            None => self.after_look(&reply),
        }
    }

    fn reach(&self) -> Reach {
        Reach::Visible
    }
}
