//! `pg_hba`: matron's lines in pg_hba.conf, and a reload when they changed.

use crate::modules::action::{VERBS, trouble, unexpected};
use crate::modules::pg_node::{
    FILES, NODE, Settings, container_arg, data_arg, nodes_arg, owner_arg, superuser_arg,
};
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Done, Mode, Module, Reach, Step,
    TaskContext, arg,
};
use crate::outcome::{Diff, Outcome};
use crate::postgres::config::{self, Place};
use crate::postgres::hba;
use crate::shell::{Reply, Script};

/// See the file's head.
pub(super) struct PgHba;

static DOC: Doc = Doc {
    name: "pg_hba",
    summary: "Keeps a block of lines at the top of pg_hba.conf and reloads when it changed.",
    description: "Lines that let anyone in without a password, or allow replication from any address, are refused. The other lines stay as they are. \
In the template `pg_peers` is the list of all nodes' addresses with their masks.",
    args: &[
        ArgDoc {
            default: "pg_hba.conf.j2",
            ..arg("template", ArgKind::Str, "The template of the block.")
        },
        arg("block", ArgKind::Str, "The lines themselves instead of a template."),
        ArgDoc {
            default: "false",
            ..arg(
                "narrow",
                ArgKind::Bool,
                "Takes out the other lines by which anyone may replicate, and makes `trust` over the network ask for a password.",
            )
        },
        container_arg(),
        superuser_arg(),
        data_arg(),
        owner_arg(),
        nodes_arg(),
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Visible,
    returns: &[("reloaded", "Whether the server was told to read it.")],
    examples: "- name: Peers may replicate\n  pg_hba:\n    template: pg_hba.conf.j2\n",
};

const READ: &str = r#"[ -s "$data/PG_VERSION" ] || give_up "there is no data directory at $data"
reply file "$(cat "$data/pg_hba.conf"; echo x)"
if [ "$(pg_state)" = running ]; then
  pg_must "select floor(extract(epoch from pg_conf_load_time()))::bigint"
  written=$(stat -c %Y "$data/pg_hba.conf")
  [ "$written" -ge "$pg_out" ] && reply stale 1
fi
exit 0
"#;

const WRITE: &str = r#"[ -n "$set" ] && put "$data/pg_hba.conf" "$text"
if [ "$(pg_state)" = running ]; then pg_must "select pg_reload_conf()"; reply reloaded 1; fi
reply done 1
"#;

#[derive(Debug)]
struct Keep {
    block: String,
    narrow: bool,
    container: String,
    superuser: String,
    data: String,
    owner: String,
    outcome: Option<Outcome>,
    mode: Mode,
}

impl Module for PgHba {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let settings = Settings::new(args, cx)?;
        let block = if let Some(block) = args.text("block")? {
            block
        } else {
            let name = args.text("template")?.unwrap_or_else(|| "pg_hba.conf.j2".to_owned());
            let nodes = settings.json("nodes")?.unwrap_or_default();
            let peers: Vec<_> = nodes
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|node| node["address"].as_str().map(hba::address))
                .collect();
            settings.template(&name, &[("pg_peers", minijinja::Value::from(peers))])?
        };
        hba::check(&block).map_err(|error| {
            ArgError::new(error.to_string()).hint("name the peers' addresses and a password method")
        })?;
        Ok(Box::new(Keep {
            block,
            narrow: args.boolean("narrow", false)?,
            container: settings.text("container")?,
            superuser: settings.text("superuser")?,
            data: settings.text("data")?,
            owner: settings.text("owner")?,
            outcome: None,
            mode: Mode::default(),
        }))
    }
}

impl Keep {
    fn script(&self, code: &'static str) -> Script {
        Script::new(VERBS)
            .then(NODE)
            .then(FILES)
            .then(code)
            .var("container", &self.container)
            .var("superuser", &self.superuser)
            .var("data", &self.data)
            .var("owner", &self.owner)
    }

    fn after_read(&mut self, reply: &Reply) -> Step {
        let before = reply.field("file").unwrap_or_default();
        let before = before.strip_suffix('x').unwrap_or(&before).to_owned();
        let rest = if self.narrow { hba::narrow(&before).0 } else { before.clone() };
        let after = config::with_block(&rest, &self.block, Place::Top);
        let set = before != after;
        let mut outcome = Outcome::changed_if(set);
        if set {
            let header = format!("{}/pg_hba.conf", self.data);
            let (before_header, after_header) = (header.clone(), header);
            outcome = outcome.with_diff(Diff {
                before_header,
                after_header,
                before,
                after: after.clone(),
            });
        }
        if self.mode.check || !(set || reply.fields.is_set("stale")) {
            return Step::Done(outcome.with("reloaded", false));
        }
        self.outcome = Some(outcome);
        Step::Send(self.script(WRITE).flag("set", set).var("text", after))
    }
}

impl Action for Keep {
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
            Some(outcome) => Step::Done(outcome.with("reloaded", reply.fields.is_set("reloaded"))),
            None => self.after_read(&reply),
        }
    }

    fn reach(&self) -> Reach {
        Reach::Visible
    }
}
