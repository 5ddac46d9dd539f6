//! `sysctl`: keeps kernel settings.

use crate::modules::action::{Next, TwoTrips, VERBS, WRITE};
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};
use crate::outcome::{Diff, Outcome};
use crate::shell::Script;

/// See the file's head.
pub(super) struct Sysctl;

const STATES: &[&str] = &["present", "absent"];

static DOC: Doc = Doc {
    name: "sysctl",
    summary: "Keeps kernel settings, in a file and in the running kernel.",
    description: "",
    args: &[
        ArgDoc {
            required: true,
            aliases: &["key"],
            ..arg("name", ArgKind::Str, "Name, as `net.ipv4.ip_forward`.")
        },
        ArgDoc { aliases: &["val"], ..arg("value", ArgKind::Str, "Value.") },
        ArgDoc {
            default: "present",
            ..arg("state", ArgKind::Choice(STATES), "Whether the file has it.")
        },
        ArgDoc { default: "/etc/sysctl.conf", ..arg("sysctl_file", ArgKind::Path, "The file.") },
        ArgDoc {
            default: "true",
            ..arg("reload", ArgKind::Bool, "Loads the file when it changed.")
        },
        ArgDoc {
            default: "false",
            ..arg(
                "sysctl_set",
                ArgKind::Bool,
                "Sets the running kernel to it too, whatever the file says.",
            )
        },
        ArgDoc {
            default: "false",
            ..arg("ignoreerrors", ArgKind::Bool, "Passes over names the kernel does not know.")
        },
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Visible,
    returns: &[],
    examples: "- sysctl:\n    name: vm.overcommit_memory\n    value: '2'\n    sysctl_file: /etc/sysctl.d/30-postgresql.conf\n",
};

const LOOK: &str = r#"real=$(readlink -f -- "$path") || real=$path
[ -e "$real" ] && reply text "$(cat -- "$real"; echo x)"
[ "$set_now" ] && reply now "$(sysctl -n "$name" 2>/dev/null)"
exit 0
"#;

const ACT: &str = r#"set -- ; [ "$ignore" ] && set -- -e
if [ "$set_now" ]; then
  said=$(sysctl "$@" -w "$name=$value" 2>&1) || [ "$ignore" ] || give_up "setting $name failed: $said"
fi
if [ "$reload" ] && [ "$write" ]; then
  said=$(sysctl "$@" -p "$path" 2>&1) || [ "$ignore" ] || give_up "Failed to reload sysctl: $said"
fi
exit 0
"#;

impl Module for Sysctl {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, _cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let name = args.required("name")?.trim().to_owned();
        let present = args.choice("state", STATES, "present")? == "present";
        let value = match args.text("value")? {
            Some(value) => value.split_whitespace().collect::<Vec<_>>().join(" "),
            None if present => {
                return Err(ArgError::new(
                    "state is present but all of the following are missing: value",
                ));
            }
            None => String::new(),
        };
        if name.is_empty() || name.contains(['=', '\n']) {
            return Err(ArgError::new(format!(
                "argument 'name' is not a kernel setting: '{name}'"
            )));
        }
        let path = args.text("sysctl_file")?.unwrap_or_else(|| "/etc/sysctl.conf".to_owned());
        let reload = args.boolean("reload", true)?;
        let set_now = args.boolean("sysctl_set", false)? && present;
        let ignore = args.boolean("ignoreerrors", false)?;
        let look = Script::new(LOOK).var("path", &path).var("name", &name).flag("set_now", set_now);
        Ok(Box::new(TwoTrips::new(Reach::Visible, look, move |reply, mode| {
            let before = reply.field("text").unwrap_or_default();
            let before = before.strip_suffix('x').unwrap_or(&before).to_owned();
            let after = edited(&before, &name, present.then_some(value.as_str()));
            let now = reply.field("now").unwrap_or_default();
            let now: Vec<&str> = now.split_whitespace().collect();
            let set = set_now && now.join(" ") != value;
            let write = before != after;
            if !write && !set {
                return Next::Done(Outcome::ok());
            }
            let mut outcome = Outcome::changed_if(true);
            if write {
                let (before_header, after_header) = (path.clone(), path.clone());
                let after = after.clone();
                outcome = outcome.with_diff(Diff { before_header, after_header, before, after });
            }
            if mode.check {
                return Next::Done(outcome);
            }
            let script = Script::new(VERBS).then(if write { WRITE } else { ":" }).then(ACT);
            let script = script
                .var("path", &path)
                .var("text", &after)
                .var("mode", "0644")
                .var("name", &name)
                .var("value", &value)
                .flag("write", write)
                .flag("set_now", set)
                .flag("reload", reload)
                .flag("ignore", ignore);
            Next::send(script, outcome)
        })))
    }
}

/// Sets (or takes out, for `None`) one setting in the text of a file; the last line that sets it stays in its place.
fn edited(text: &str, name: &str, value: Option<&str>) -> String {
    let sets = |line: &str| {
        let line = line.trim().trim_start_matches('-').trim();
        !line.starts_with(['#', ';'])
            && line.split_once('=').is_some_and(|(key, _)| {
                // sysctl.d(5): slashes and dots are both separators.
                key.trim().replace('/', ".") == name.replace('/', ".")
            })
    };
    let same = |line: &str| {
        let words =
            line.split_once('=').map(|(_, found)| found.split_whitespace().collect::<Vec<_>>());
        words.map(|words| words.join(" ")).as_deref() == value
    };
    let last = text.lines().enumerate().filter(|(_, line)| sets(line)).map(|(at, _)| at).last();
    let mut out = String::with_capacity(text.len());
    for (at, line) in text.lines().enumerate() {
        if !sets(line) {
            out.push_str(line);
        } else if Some(at) != last || value.is_none() {
            continue;
        } else if same(line) {
            out.push_str(line);
        } else {
            out.extend([name, "=", value.unwrap_or_default()]);
        }
        out.push('\n');
    }
    if last.is_none()
        && let Some(value) = value
    {
        out.extend([name, "=", value, "\n"]);
    }
    // A file that needed nothing keeps its last line as it was, line end or not.
    if out.strip_suffix('\n') == Some(text) { text.to_owned() } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::Mode;
    use crate::modules::test_context::Host;
    use crate::outcome::Status;
    use minijinja::Value;

    #[test]
    fn setting_is_added_replaced_and_taken_out() {
        assert_eq!(edited("", "a.b", Some("1")), "a.b=1\n");
        assert_eq!(edited("# x\na.b = 0\nc=2\n", "a.b", Some("1")), "# x\na.b=1\nc=2\n");
        assert_eq!(edited("a/b = 1\n", "a.b", Some("1")), "a/b = 1\n");
        assert_eq!(edited("a.b=1\nc=2", "a.b", None), "c=2\n");
    }

    #[test]
    fn second_run_changes_nothing() {
        for host in Host::each() {
            let args = || {
                [
                    ("name", Value::from("vm.swappiness")),
                    ("value", Value::from(1)),
                    ("sysctl_file", Value::from(host.path("d/30.conf"))),
                    ("reload", Value::from(false)),
                ]
            };
            let seen = [(); 2].map(|()| host.run(&Sysctl, args(), Mode::default()).status);
            assert_eq!(seen, [Status::Changed, Status::Ok]);
            assert_eq!(host.read("d/30.conf"), "vm.swappiness=1\n");
        }
    }
}
