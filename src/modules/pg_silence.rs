//! `pg_silence`: waits until a standby has heard nothing of a node for a while, as it must have when that node is lost.

use std::time::Duration;

use crate::modules::action::{VERBS, trouble, unexpected};
use crate::modules::pg_node::{NODE, Settings, container_arg, major_arg, superuser_arg};
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Done, Mode, Module, Reach, Step,
    TaskContext, arg,
};
use crate::outcome::Outcome;
use crate::postgres::dialect::Receiver;
use crate::shell::Script;

/// See the file's head.
pub(super) struct PgSilence;

static DOC: Doc = Doc {
    name: "pg_silence",
    summary: "Waits until a standby hears nothing of a node any more: no WAL for a while, and no answer at its port.",
    description: "A primary that was lost a moment ago is told from one that lives behind a broken way by its silence alone. It waits at least `least` seconds, \
because an answer that the lost node's guard got before its peers were told counts for a few seconds, and at most `timeout`. It never fails: \
`pg_decide` looks at the nodes again and decides.",
    args: &[
        ArgDoc { required: true, ..arg("address", ArgKind::Str, "The lost node's address.") },
        ArgDoc { default: "5432", ..arg("port", ArgKind::Int, "Its port.") },
        ArgDoc { default: "8", ..arg("least", ArgKind::Int, "Seconds to wait in any case.") },
        ArgDoc { default: "15", ..arg("silence", ArgKind::Int, "Seconds without a message.") },
        ArgDoc { default: "60", ..arg("timeout", ArgKind::Int, "Seconds to wait at most.") },
        container_arg(),
        superuser_arg(),
        major_arg(),
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Skipped,
    reach: Reach::Visible,
    returns: &[
        ("silent", "Whether nothing was heard at the end."),
        ("waited", "Seconds it took."),
        ("heard", "What was heard last."),
    ],
    examples: "- name: The old primary is silent\n  pg_silence:\n    address: 10.0.0.1\n",
};

const LISTEN: &str = r#"[ "$(pg_state)" = running ] || exit 0
if docker exec "$container" pg_isready -q -h "$address" -p "$port" -t 2 >/dev/null 2>&1 </dev/null; then
  reply heard "its port answers"
elif [ $? -eq 1 ]; then
  reply heard "its server is starting"
fi
answer=$(pg_sql "$sql") && reply silent "$answer"
exit 0
"#;

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Debug)]
struct Listen {
    script: Script,
    least: Duration,
    limit: Duration,
    silence: u64,
    waited: Duration,
}

impl Module for PgSilence {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let settings = Settings::new(args, cx)?;
        // Without a view of the receiver the port alone has to do.
        let sql = if settings.dialect()?.receiver == Receiver::Absent {
            "select ''"
        } else {
            "select coalesce((select case when status = 'streaming' then extract(epoch from clock_timestamp() - last_msg_receipt_time)::bigint::text end \
             from pg_stat_wal_receiver limit 1), '')"
        };
        let seconds = |name: &str, default: i64| -> Result<u64, ArgError> {
            Ok(args.integer(name)?.unwrap_or(default).clamp(0, 86_400).unsigned_abs())
        };
        let script = Script::new(VERBS)
            .then(NODE)
            .then(LISTEN)
            .var("container", settings.text("container")?)
            .var("superuser", settings.text("superuser")?)
            .var("address", args.required("address")?)
            .var("port", seconds("port", 5432)?.to_string())
            .var("sql", sql)
            .within(Duration::from_secs(30));
        Ok(Box::new(Listen {
            script,
            least: Duration::from_secs(seconds("least", 8)?),
            limit: Duration::from_secs(seconds("timeout", 60)?),
            silence: seconds("silence", 15)?,
            waited: Duration::ZERO,
        }))
    }
}

impl Action for Listen {
    fn begin(&mut self, _mode: Mode) -> Step {
        Step::Send(self.script.clone())
    }

    fn resume(&mut self, done: Done) -> Step {
        let reply = match done {
            Done::Waited => return Step::Send(self.script.clone()),
            Done::Reply(reply) => reply,
            _ => return unexpected(),
        };
        self.waited += reply.took;
        if let Some(trouble) = trouble(&reply) {
            return Step::Done(trouble);
        }
        let quiet = reply.field("silent").and_then(|text| text.trim().parse::<u64>().ok());
        let heard = reply.field("heard").or_else(|| {
            let quiet = quiet.filter(|seconds| *seconds < self.silence)?;
            Some(format!("it sent WAL or a sign of life {quiet} s ago"))
        });
        let over =
            if heard.is_none() { self.waited >= self.least } else { self.waited >= self.limit };
        if over {
            return Step::Done(
                Outcome::ok()
                    .with("silent", heard.is_none())
                    .with("waited", self.waited.as_secs())
                    .with("heard", heard.unwrap_or_default()),
            );
        }
        self.waited += PAUSE;
        Step::Wait(PAUSE)
    }

    fn reach(&self) -> Reach {
        Reach::Visible
    }
}
