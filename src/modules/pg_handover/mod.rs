//! `pg_handover`: the steps of a switchover, each one script on one node, so that few round trips lie between the last write
//! on the old primary and the first one on the new.
//!
//! Lives here: arguments, and which script follows which answer. Does not: whether a switchover may be (`postgres::decide`),
//! and its order (`switchover.yml`).

mod told;

use std::time::Duration;

use self::told::{Taken, seconds};
use crate::modules::action::{Finished, OneTrip, VERBS, trouble, unexpected, verdict};
use crate::modules::pg_node::{
    FILES, NODE, Settings, container_arg, data_arg, etc_arg, literal, major_arg, owner_arg,
    slot_name, superuser_arg,
};
use crate::modules::pg_standby::{TEMPLATE, Upstream, settings_file};
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Done, Mode, Module, Reach, Step,
    TaskContext, arg,
};
use crate::outcome::Outcome;
use crate::postgres::config;
use crate::postgres::dialect::{Dialect, Promote, StandbyFile};
use crate::postgres::lsn::Lsn;
use crate::shell::Script;

/// See the file's head.
pub(super) struct PgHandover;

const STEPS: &[&str] = &["prepare", "listen", "stop", "take", "back", "done"];

static DOC: Doc = Doc {
    name: "pg_handover",
    summary: "Hands the primary's part over from one node to another, a step at a time.",
    description: "On the node `from`: `prepare` makes a checkpoint and lays out what will make it a standby; `stop` fences it, stops it fast and tells by its control file \
that the shutdown was clean and where its log ends; `take` starts it again as a standby. On the node `to`: `listen` opens a session that waits and says whom a commit will wait for; \
`take` waits until all of that log is replayed, promotes, and proves a write. `back` is the way back as long as nobody was promoted. `done` clears away. \
On any other node it does nothing. `stop` and `take` do not fail but say what is the case, because what has to follow depends on it: see `switchover.yml`.",
    args: &[
        ArgDoc { required: true, ..arg("step", ArgKind::Choice(STEPS), "Which step.") },
        ArgDoc { required: true, ..arg("from", ArgKind::Str, "The primary that stops.") },
        ArgDoc { required: true, ..arg("to", ArgKind::Str, "The standby that takes over.") },
        arg("host", ArgKind::Str, "With `prepare`: the address of the node that takes over."),
        ArgDoc { default: "5432", ..arg("port", ArgKind::Int, "With `prepare`: its port.") },
        arg(
            "synchronous_names",
            ArgKind::Str,
            "With `listen`: whom a commit waits for on the new primary (`synchronous_standby_names`); nobody when it is empty.",
        ),
        arg(
            "proof",
            ArgKind::Str,
            "With `take`: the position of the old primary's last checkpoint.",
        ),
        ArgDoc {
            default: "30",
            ..arg(
                "budget",
                ArgKind::Int,
                "Seconds from the order to stop until the proof has to be there.",
            )
        },
        arg(
            "spent_ms",
            ArgKind::Int,
            "With `take`: milliseconds of the budget that the stop took.",
        ),
        arg("user", ArgKind::Str, "Replication role. Left out: what `pg_require` found."),
        ArgDoc {
            default: TEMPLATE,
            ..arg("template", ArgKind::Str, "With `prepare`: the template of a standby's settings.")
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
        ("clean", "`stop`: the old primary was shut down in order, and its control file says so."),
        ("lsn", "`stop`: the position of its last checkpoint. `take`: of the first write."),
        ("ordered_at_ms", "`stop`: when the stop was ordered, by this machine's clock."),
        ("spent_ms", "`stop`: how long it took until the proof was there."),
        (
            "promotion",
            "`take`: `done`, `none` (never ordered), or `unknown` (the answer was lost).",
        ),
        ("proof", "`take`: up to where the new primary had replayed before it was promoted."),
        ("timeline", "`take`: the new primary's."),
        ("wrote_at_ms", "`take`: when the first write was committed, by this machine's clock."),
        ("confirmed_at_ms", "`take`: when the first write was confirmed as a client's would be."),
        ("why", "`stop`, `take`: why it is not so."),
    ],
    examples: "- name: Stop the old primary\n  pg_handover:\n    step: stop\n    from: \"{{ pg_plan.old_primary }}\"\n    to: \"{{ pg_plan.primary }}\"\n  register: pg_stop\n",
};

const SESSION: &str = include_str!("session.sh");
const OLD_PREPARE: &str = include_str!("old_prepare.sh");
const OLD_STOP: &str = include_str!("old_stop.sh");
const OLD_START: &str = include_str!("old_start.sh");
const OLD_BACK: &str = include_str!("old_back.sh");
const NEW_PREPARE: &str = include_str!("new_prepare.sh");
const NEW_PROOF: &str = include_str!("new_proof.sh");
const NEW_PROMOTE: &str = include_str!("new_promote.sh");
const NEW_STATE: &str = include_str!("new_state.sh");
const NEW_CANCEL: &str = include_str!("new_cancel.sh");
const DONE: &str = include_str!("done.sh");

/// Files of the data directory that wait for the moment of the stop.
const SETTINGS_NEXT: &str = "matron.handover.conf";
const SIGNAL_NEXT: &str = "matron.handover.signal";

/// Settings of `ALTER SYSTEM` that would win over ours on a standby.
const OVERRULING: &str = "primary_conninfo primary_slot_name recovery_target_timeline";

/// How long a session outlives the budget: the answers have to come back.
const SESSION_MARGIN: u64 = 30;

/// How long a promotion and its first write may take.
const PROMOTION: Duration = Duration::from_secs(90);

impl Module for PgHandover {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let (from, to) = (args.required("from")?, args.required("to")?);
        if from == to {
            return Err(ArgError::new("a node cannot hand over to itself"));
        }
        let step = args.choice("step", STEPS, "prepare")?;
        let settings = Settings::new(args, cx)?;
        let node = Node {
            dialect: settings.dialect()?,
            budget: args.integer("budget")?.unwrap_or(30).clamp(1, 3600).unsigned_abs(),
            settings: &settings,
            args,
            cx,
            from: &from,
            to: &to,
        };
        match (step, cx.host == from, cx.host == to) {
            ("prepare", true, _) => node.prepare(),
            ("listen", _, true) => node.listen(),
            ("stop", true, _) => node.stop(),
            ("take", true, _) => node.start(),
            ("take", _, true) => node.take(),
            ("back", true, _) => node.back(),
            ("back", _, true) => node.cancel(),
            ("done", true, _) | ("done", _, true) => node.done(),
            _ => Ok(Finished::boxed(Outcome::ok())),
        }
    }
}

/// One of the two nodes, and what it is to do.
struct Node<'a, 'b> {
    settings: &'a Settings<'a, 'b>,
    args: &'a Args,
    cx: &'a TaskContext<'b>,
    dialect: &'static Dialect,
    budget: u64,
    from: &'a str,
    to: &'a str,
}

type Made = Result<Box<dyn Action>, ArgError>;

impl Node<'_, '_> {
    fn script(&self, code: &[&'static str]) -> Result<Script, ArgError> {
        let settings = self.settings;
        let settings_file = settings_file(self.dialect);
        let standby_file = self.dialect.standby_file.name();
        let etc = settings.text("etc")?;
        let cluster = etc.rsplit('/').next().unwrap_or_default().to_owned();
        let script = Script::new(VERBS).then(NODE).then(FILES);
        Ok(code
            .iter()
            .fold(script, |script, code| script.then(code))
            .var("container", settings.text("container")?)
            .var("superuser", settings.text("superuser")?)
            .var("data", settings.text("data")?)
            .var("owner", settings.text("owner")?)
            .var("etc", etc)
            .var("cluster", cluster)
            .var("settings_file", settings_file)
            .var("settings_next", SETTINGS_NEXT)
            .var("standby_file", standby_file)
            .var("standby_next", self.standby_next()))
    }

    /// Up to 11 the signal file is the settings file.
    const fn standby_next(&self) -> &'static str {
        match self.dialect.standby_file {
            StandbyFile::RecoveryConf => SETTINGS_NEXT,
            StandbyFile::Signal => SIGNAL_NEXT,
        }
    }

    fn one(script: Script) -> Box<dyn Action> {
        Box::new(OneTrip::new(Reach::Visible, script, verdict))
    }

    fn stop_timeout(&self) -> Result<u64, ArgError> {
        self.settings.number("stop_timeout", 600)
    }

    fn prepare(&self) -> Made {
        let settings = self.settings;
        let user = match self.args.text("user")? {
            Some(user) => user,
            None => settings.text("replication_user")?,
        };
        let template = self.args.text("template")?.unwrap_or_else(|| TEMPLATE.to_owned());
        let following = Upstream {
            host: self.args.required("host")?,
            port: self.args.integer("port")?.unwrap_or(5432).to_string(),
            user,
            slot: settings.text("slot")?,
            name: self.cx.host.to_owned(),
            password: None,
        }
        .following(settings, self.dialect, &template)?;
        let mark = serde_json::json!({"from": self.from, "to": self.to}).to_string();
        let reset = match self.dialect.standby_file {
            StandbyFile::RecoveryConf => "",
            StandbyFile::Signal => OVERRULING,
        };
        Ok(Self::one(
            self.script(&[OLD_PREPARE])?
                .var("settings", following.settings)
                .var("mark", mark)
                .var("reset", reset)
                // A large one on a busy disk takes its minutes, and costs nobody anything yet.
                .within(Duration::from_secs(self.stop_timeout()?.max(600))),
        ))
    }

    fn listen(&self) -> Made {
        let names = self.args.text("synchronous_names")?.filter(|names| !names.is_empty());
        let synchronous = names.map_or_else(String::new, |names| {
            format!("synchronous_standby_names = {}\n", config::quote(&names))
        });
        let opening = format!(
            "set statement_timeout = '{budget}s'; select clock_timestamp() + interval '{lease} seconds' as lease \\gset\n\
             select 'matron ready ' || pg_is_in_recovery();",
            budget = self.budget,
            lease = self.budget + SESSION_MARGIN / 2,
        );
        Ok(Self::one(
            self.script(&[SESSION, NEW_PREPARE])?
                .var("synchronous", synchronous)
                .var("opening", opening)
                .var("life", (self.budget + SESSION_MARGIN).to_string())
                .var("database", self.settings.text("database")?),
        ))
    }

    fn stop(&self) -> Made {
        let script = self
            .script(&[OLD_STOP])?
            .var("budget_ms", (self.budget * 1000).to_string())
            .within(Duration::from_secs(self.budget + 60));
        Ok(Box::new(told::Stop { script: Some(script) }))
    }

    fn start(&self) -> Made {
        let script = self.script(&[OLD_START])?.within(Duration::from_secs(self.budget + 60));
        Ok(Box::new(told::Start { script: Some(script) }))
    }

    fn take(&self) -> Made {
        let proof = self.args.required("proof")?;
        let proof: Lsn = proof.parse().map_err(|_| {
            ArgError::new(format!("argument 'proof' is not a position in the log: {proof}"))
        })?;
        let spent = self.args.integer("spent_ms")?.unwrap_or(0).clamp(0, 3_600_000).unsigned_abs();
        let left = (self.budget * 1000).saturating_sub(spent).max(500);
        let (word, position) = (self.dialect.wal.word, self.dialect.wal.position);
        let question = format!(
            "select 'matron replayed ' || pg_last_{word}_replay_{position}() || case when pg_last_{word}_replay_{position}() > '{proof}'::pg_lsn \
             and pg_is_in_recovery() then ' t' else ' f' end;"
        );
        let (order, by_hand) = match self.dialect.promote {
            Promote::Function => (
                "coalesce((case when clock_timestamp() < :'lease' then pg_promote(false) end)::text, 'late')",
                false,
            ),
            Promote::PgCtl => {
                ("case when clock_timestamp() < :'lease' then 'true' else 'late' end", true)
            }
        };
        let promote = self
            .script(&[SESSION, NEW_PROMOTE])?
            .flag("by_hand", by_hand)
            .var("inside", self.settings.text("pgdata")?)
            .var("order", format!("select 'matron ordered ' || {order};"))
            .var("verify", verify(self.dialect))
            .within(PROMOTION);
        let proof_script = self
            .script(&[SESSION, NEW_PROOF])?
            .var("question", question)
            .var("budget_ms", left.to_string())
            .within(Duration::from_millis(left + 2000));
        let state = self.script(&[NEW_STATE])?.within(Duration::from_secs(30));
        Ok(Box::new(Take {
            stage: Stage::Proof,
            proof: Some(proof_script),
            promote: Some(promote),
            state: Some(state),
            taken: Taken::default(),
            node: self.to.to_owned(),
            wanted: proof,
            left: Duration::from_millis(left),
        }))
    }

    fn back(&self) -> Made {
        let timeout = self.stop_timeout()?;
        Ok(Self::one(
            self.script(&[OLD_BACK])?
                .var("timeout", timeout.to_string())
                .var("write", write(self.dialect))
                .within(Duration::from_secs(timeout + 120)),
        ))
    }

    fn cancel(&self) -> Made {
        let slot = literal(&slot_name(self.from));
        let drop = format!(
            "select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = {slot} and not active"
        );
        Ok(Self::one(self.script(&[SESSION, NEW_CANCEL])?.var("drop_slots", drop)))
    }

    fn done(&self) -> Made {
        Ok(Self::one(self.script(&[SESSION, DONE])?))
    }
}

/// Returns what the session runs once the order is given: wait for the end of recovery, write for itself, write as a client does.
fn verify(dialect: &Dialect) -> String {
    let (word, position) = (dialect.wal.word, dialect.wal.position);
    let walfile = format!("pg_{word}file_name");
    let write = write(dialect);
    format!(
        "set statement_timeout = '60s';
do $$ begin while pg_is_in_recovery() loop perform pg_sleep(0.002); end loop; end $$;
select 'matron primary ' || ('x' || substr({walfile}(pg_current_{word}_{position}()), 1, 8))::bit(32)::int;
set synchronous_commit = local;
{write}
select 'matron wrote ' || pg_current_{word}_insert_{position}();
reset synchronous_commit;
set statement_timeout = '20s';
{write}
select 'matron confirmed ' || pg_current_{word}_insert_{position}();"
    )
}

/// Returns a transaction that leaves nothing behind.
const fn write(dialect: &Dialect) -> &'static str {
    if dialect.emits_messages {
        "begin; select txid_current(); select pg_logical_emit_message(true, 'matron', 'it takes writes'); commit;"
    } else {
        "select pg_create_restore_point('matron');"
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Proof,
    Promote,
    State,
}

/// Waits for the proof, and only then orders the promotion: as long as the first is not answered, nobody can have been promoted.
struct Take {
    stage: Stage,
    proof: Option<Script>,
    promote: Option<Script>,
    state: Option<Script>,
    taken: Taken,
    node: String,
    wanted: Lsn,
    left: Duration,
}

impl Take {
    fn ask_state(&mut self) -> Step {
        self.stage = Stage::State;
        self.state.take().map_or_else(unexpected, Step::Send)
    }

    fn after_proof(&mut self, done: Done) -> Step {
        let why = match done {
            Done::Lost(message) => {
                format!("{} did not answer before it was asked to promote: {message}", self.node)
            }
            Done::Reply(reply) => {
                if let Some(proof) = reply.field("proof") {
                    self.taken.proof = Some(proof);
                    self.stage = Stage::Promote;
                    return self.promote.take().map_or_else(unexpected, Step::Send);
                }
                match (trouble(&reply), reply.field("missing")) {
                    (Some(_), _) if reply.timed_out => {
                        format!("{} did not answer within {}", self.node, seconds(self.left))
                    }
                    (Some(outcome), _) => outcome.message().unwrap_or_default().to_owned(),
                    (None, missing) => format!(
                        "{} has not got the old primary's log up to {} within {}: {}",
                        self.node,
                        self.wanted,
                        seconds(self.left),
                        missing.unwrap_or_default()
                    ),
                }
            }
            _ => return unexpected(),
        };
        Step::Done(self.taken.none(why))
    }

    fn after_promote(&mut self, done: Done) -> Step {
        match done {
            Done::Lost(message) => {
                self.taken.why = message;
                self.ask_state()
            }
            Done::Reply(reply) => {
                if let Some(refused) = reply.field("refused") {
                    let why = format!("{} was not promoted: {refused}", self.node);
                    return Step::Done(self.taken.none(why));
                }
                if let Some(outcome) = trouble(&reply) {
                    outcome.message().unwrap_or_default().clone_into(&mut self.taken.why);
                    // A script that gave up before the order says so without `ordered`.
                    if !reply.timed_out && !reply.fields.is_set("ordered") {
                        let why = std::mem::take(&mut self.taken.why);
                        return Step::Done(self.taken.none(why));
                    }
                    return self.ask_state();
                }
                Step::Done(self.taken.done(&reply))
            }
            _ => unexpected(),
        }
    }

    fn after_state(&mut self, done: Done) -> Step {
        let promoted = match done {
            Done::Lost(_) => false,
            Done::Reply(reply) => reply.field("in_recovery").as_deref() == Some("f"),
            _ => return unexpected(),
        };
        Step::Done(if promoted { self.taken.done_unseen() } else { self.taken.unknown() })
    }
}

impl Action for Take {
    fn begin(&mut self, mode: Mode) -> Step {
        if mode.check {
            return Step::Done(Outcome::changed_if(true).with("promotion", "none"));
        }
        self.proof.take().map_or_else(unexpected, Step::Send)
    }

    fn resume(&mut self, done: Done) -> Step {
        match self.stage {
            Stage::Proof => self.after_proof(done),
            Stage::Promote => self.after_promote(done),
            Stage::State => self.after_state(done),
        }
    }

    fn reach(&self) -> Reach {
        Reach::Visible
    }

    fn bears_loss(&self) -> bool {
        true
    }
}
