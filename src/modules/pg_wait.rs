//! `pg_wait`: waits until a node is what it should be, within a deadline.

use std::fmt::Write as _;
use std::time::Duration;

use crate::modules::action::{VERBS, trouble, unexpected};
use crate::modules::pg_node::{NODE, Settings, container_arg, literal, major_arg, superuser_arg};
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Done, Mode, Module, Reach, Step,
    TaskContext, arg,
};
use crate::outcome::Outcome;
use crate::postgres::dialect::{Dialect, Receiver};
use crate::shell::Script;

/// See the file's head.
pub(super) struct PgWait;

const CONDITIONS: &[&str] = &["ready", "writable", "in_recovery", "streaming", "followed"];

static DOC: Doc = Doc {
    name: "pg_wait",
    summary: "Waits until a server answers, takes writes, is in recovery, streams, or is followed by standbys.",
    description: "Streaming is asked of the receiver itself: a standby that cannot follow answers like a healthy one. \
The server is asked over TCP, because the temporary server of an image's first start listens on the socket only.",
    args: &[
        ArgDoc { required: true, ..arg("for", ArgKind::Choice(CONDITIONS), "What to wait for.") },
        arg("names", ArgKind::List, "With `followed`: the standbys that must stream."),
        arg(
            "host",
            ArgKind::Str,
            "With `streaming`: the address it must come from (where the server tells, 9.6 and later).",
        ),
        arg("port", ArgKind::Int, "With `streaming`: the port there."),
        ArgDoc { default: "120", ..arg("timeout", ArgKind::Int, "Seconds.") },
        container_arg(),
        superuser_arg(),
        major_arg(),
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Skipped,
    reach: Reach::Visible,
    returns: &[("answer", "What the server said last."), ("waited", "Seconds it took.")],
    examples: "- name: The standby streams\n  pg_wait:\n    for: streaming\n    timeout: 60\n",
};

const ASK: &str = r#"state=$(pg_state)
reply state "$state"
case $state in
  running) ;;
  exited | dead | absent) reply ended "$(docker logs --tail 6 "$container" 2>&1 </dev/null)"; exit 0 ;;
  *) exit 0 ;;
esac
pg_ready || { reply log "$(docker logs --tail 3 "$container" 2>&1 </dev/null)"; exit 0; }
if [ -n "$sql" ]; then
  answer=$(pg_sql "$sql") || { reply log "$answer"; exit 0; }
  reply answer "$answer"
else
  reply answer yes
fi
"#;

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Debug)]
struct Wait {
    container: String,
    superuser: String,
    what: &'static str,
    sql: String,
    names: Vec<String>,
    limit: Duration,
    waited: Duration,
    last: String,
    ended: u32,
}

impl Module for PgWait {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let settings = Settings::new(args, cx)?;
        let what = args.choice("for", CONDITIONS, "ready")?;
        let names = args.list("names")?.unwrap_or_default();
        let seconds = args.integer("timeout")?.unwrap_or(120).unsigned_abs();
        let from = args.text("host")?.filter(|host| !host.is_empty());
        let from = match (from, args.integer("port")?) {
            (Some(host), port) => vec![("host", host), ("port", port.unwrap_or(5432).to_string())],
            (None, _) => Vec::new(),
        };
        Ok(Box::new(Wait {
            container: settings.text("container")?,
            superuser: settings.text("superuser")?,
            what,
            sql: question(what, &names, &from, settings.dialect()?),
            names,
            limit: Duration::from_secs(seconds),
            waited: Duration::ZERO,
            last: String::new(),
            ended: 0,
        }))
    }
}

/// Returns the query whose answer begins with `yes` when it is so.
fn question(what: &str, names: &[String], from: &[(&str, String)], dialect: &Dialect) -> String {
    let (word, position) = (dialect.wal.word, dialect.wal.position);
    match what {
        "writable" => {
            "select case when pg_is_in_recovery() then 'in recovery' else 'yes' end".to_owned()
        }
        "in_recovery" => {
            "select case when pg_is_in_recovery() then 'yes' else 'not in recovery' end".to_owned()
        }
        "streaming" if dialect.receiver == Receiver::Absent => format!(
            "select case when pg_is_in_recovery() and pg_last_{word}_receive_{position}() is not null then 'yes' else 'nothing received' end"
        ),
        "streaming" => {
            // A receiver of before a change of upstream streams for a moment more.
            let mut elsewhere = String::new();
            for (keyword, value) in from {
                let word = literal(&format!(" {keyword}={value} "));
                let _ = write!(
                    elsewhere,
                    "when position({word} in ' ' || conninfo || ' ') = 0 then 'streaming from elsewhere' "
                );
            }
            format!(
                "select coalesce((select case when status <> 'streaming' or not pg_is_in_recovery() then status {elsewhere}\
                 else 'yes, timeline ' || received_tli end from pg_stat_wal_receiver limit 1), 'no receiver')"
            )
        }
        "followed" => {
            let list: Vec<_> = names.iter().map(|name| literal(name)).collect();
            format!(
                "select coalesce((select 'waiting for ' || string_agg(n, ', ') from unnest(array[{}]::text[]) n where not exists \
                 (select from pg_stat_replication where application_name = n and state = 'streaming')), 'yes')",
                list.join(", ")
            )
        }
        _ => String::new(),
    }
}

impl Wait {
    fn ask(&self) -> Step {
        Step::Send(
            Script::new(VERBS)
                .then(NODE)
                .then(ASK)
                .var("container", &self.container)
                .var("superuser", &self.superuser)
                .var("sql", &self.sql)
                .within(Duration::from_secs(30)),
        )
    }

    fn give_up(&self, why: &str) -> Step {
        let mut wanted = self.what.replace('_', " ");
        if !self.names.is_empty() {
            wanted = format!("{wanted} by {}", self.names.join(", "));
        }
        let text = format!("{}: waited for {wanted}: {why}: {}", self.container, self.last);
        Step::Done(Outcome::failed(text).with("answer", self.last.clone()))
    }
}

impl Action for Wait {
    fn begin(&mut self, _mode: Mode) -> Step {
        self.ask()
    }

    fn resume(&mut self, done: Done) -> Step {
        match done {
            Done::Waited => self.ask(),
            Done::Reply(reply) => {
                self.waited += reply.took;
                // A question that hung is asked again: a server in trouble is what is waited for.
                if !reply.timed_out
                    && let Some(trouble) = trouble(&reply)
                {
                    return Step::Done(trouble);
                }
                if let Some(answer) =
                    reply.field("answer").filter(|answer| answer.starts_with("yes"))
                {
                    let seconds = self.waited.as_secs_f64();
                    return Step::Done(
                        Outcome::ok()
                            .with("answer", answer)
                            .with("waited", (seconds * 10.0).round() / 10.0),
                    );
                }
                if let Some(log) = reply.field("ended") {
                    self.last = log;
                    self.ended += 1;
                    // Once may be the moment between two starts.
                    if self.ended > 2 {
                        return self.give_up("the container ended");
                    }
                }
                for key in ["answer", "log"] {
                    if let Some(text) = reply.field(key).filter(|text| !text.is_empty()) {
                        self.last = text;
                    }
                }
                if self.waited >= self.limit {
                    return self.give_up(&format!("not so after {} s", self.limit.as_secs()));
                }
                self.waited += PAUSE;
                Step::Wait(PAUSE)
            }
            _ => unexpected(),
        }
    }

    fn reach(&self) -> Reach {
        Reach::Visible
    }
}
