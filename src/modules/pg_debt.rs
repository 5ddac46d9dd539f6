//! `pg_debt`: what is owed about a node that could not be fenced, remembered on the host of the node promoted instead.

use crate::modules::action::{OneTrip, VERBS, verdict};
use crate::modules::pg_node::{Settings, etc_arg};
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};
use crate::shell::Script;

/// See the file's head.
pub(super) struct PgDebt;

static DOC: Doc = Doc {
    name: "pg_debt",
    summary: "Remembers, or forgets, that a node could not be fenced.",
    description: "An open debt keeps the cluster from being called healthy until the node has been dealt with.",
    args: &[
        ArgDoc { required: true, ..arg("node", ArgKind::Str, "The node that was not fenced.") },
        ArgDoc {
            default: "open",
            ..arg("state", ArgKind::Choice(&["open", "paid"]), "Whether it is owed.")
        },
        ArgDoc {
            default: "its host could not be reached",
            ..arg("reason", ArgKind::Str, "Why it was not fenced.")
        },
        etc_arg(),
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Visible,
    returns: &[],
    examples: "- name: Remember what is owed\n  pg_debt:\n    node: \"{{ pg_plan.old_primary }}\"\n",
};

const DEBT: &str = r#"file="$etc/debts/$node.json"
if [ "$state" = paid ]; then
  [ -e "$file" ] || exit 0
  reply changed 1
  [ -n "$check" ] || rm -f "$file" "${file%.json}.timeline" || give_up "cannot remove $file"
  exit 0
fi
[ -s "$file" ] && exit 0
reply changed 1
[ -n "$check" ] && exit 0
since=$(date -u +%Y-%m-%dT%H:%M:%SZ)
mkdir -p "$etc/debts" && printf '%s' "$head" >"$file.new" && printf '"since":"%s"}\n' "$since" >>"$file.new" && mv -f "$file.new" "$file" && sync ||
  give_up "cannot write $file"
"#;

impl Module for PgDebt {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let settings = Settings::new(args, cx)?;
        let node = args.required("node")?;
        let reason = args.text("reason")?;
        let reason = reason.unwrap_or_else(|| "its host could not be reached".to_owned());
        if node.is_empty() || node.contains('/') {
            return Err(ArgError::new(format!("'{node}' is no node's name")));
        }
        let json =
            serde_json::json!({"node": node, "promoted": cx.host, "reason": reason}).to_string();
        // The host's own clock says when: the rest of the object comes from here, open at its end.
        let head = format!("{},", json.trim_end_matches('}'));
        let script = Script::new(VERBS)
            .then(DEBT)
            .var("etc", settings.text("etc")?)
            .var("node", node)
            .var("head", head)
            .var("state", args.choice("state", &["open", "paid"], "open")?);
        Ok(Box::new(OneTrip::new(Reach::Visible, script, verdict)))
    }
}
