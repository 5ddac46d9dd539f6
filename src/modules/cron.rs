//! `cron`: keeps jobs and variables of a crontab.

use crate::modules::action::{Next, TwoTrips, VERBS, WRITE};
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};
use crate::outcome::{Diff, Outcome};
use crate::shell::Script;

/// See the file's head.
pub(super) struct Cron;

const STATES: &[&str] = &["present", "absent"];
const SPECIAL: &[&str] = &["annually", "daily", "hourly", "monthly", "reboot", "weekly", "yearly"];

/// The comment that names the job on the line after it. It is Ansible's, so that a host managed by either keeps one job.
const MARK: &str = "#Ansible: ";

static DOC: Doc = Doc {
    name: "cron",
    summary: "Keeps a job, or a variable, of a crontab.",
    description: "A job is known by its name, which stands in a comment before it, in the form Ansible uses.",
    args: &[
        ArgDoc {
            required: true,
            ..arg("name", ArgKind::Str, "Name of the job, or of the variable with `env`.")
        },
        ArgDoc {
            aliases: &["value"],
            ..arg("job", ArgKind::Str, "The command, or the variable's value.")
        },
        ArgDoc {
            default: "present",
            ..arg("state", ArgKind::Choice(STATES), "Whether it is there.")
        },
        arg("user", ArgKind::Str, "Whose crontab, or who runs the job of a cron_file."),
        arg("cron_file", ArgKind::Path, "A file in /etc/cron.d instead of a user's crontab."),
        ArgDoc { default: "*", ..arg("minute", ArgKind::Str, "Minute.") },
        ArgDoc { default: "*", ..arg("hour", ArgKind::Str, "Hour.") },
        ArgDoc { default: "*", aliases: &["dom"], ..arg("day", ArgKind::Str, "Day of the month.") },
        ArgDoc { default: "*", ..arg("month", ArgKind::Str, "Month.") },
        ArgDoc {
            default: "*",
            aliases: &["dow"],
            ..arg("weekday", ArgKind::Str, "Day of the week.")
        },
        arg("special_time", ArgKind::Choice(SPECIAL), "A time by name, instead."),
        ArgDoc {
            default: "false",
            ..arg("disabled", ArgKind::Bool, "Keeps the job as a comment.")
        },
        ArgDoc {
            default: "false",
            ..arg("env", ArgKind::Bool, "Keeps a variable rather than a job.")
        },
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Local,
    returns: &[("jobs", "Names of the jobs."), ("envs", "Names of the variables.")],
    examples: "- cron:\n    name: base backup\n    minute: '15'\n    hour: '2'\n    job: /usr/local/bin/backup\n",
};

const LOOK: &str = r#"if [ "$path" ]; then
  [ -e "$path" ] && reply text "$(cat -- "$path"; echo x)"
else
  need crontab
  set -- ; [ "$user" ] && set -- -u "$user"
  # An empty crontab is an error of its own to crontab -l.
  reply text "$(crontab "$@" -l 2>/dev/null; echo x)"
fi
exit 0
"#;

const INSTALL: &str = r#"set -- ; [ "$user" ] && set -- -u "$user"
said=$(printf '%s' "$text" | crontab "$@" - 2>&1) || give_up "cannot install the crontab: $said"
"#;

const REMOVE: &str = r#"rm -f -- "$path" || give_up "cannot remove $path"
"#;

impl Module for Cron {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, _cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let name = args.required("name")?;
        let present = args.choice("state", STATES, "present")? == "present";
        let user = args.text("user")?;
        let file = args
            .text("cron_file")?
            .map(|file| if file.starts_with('/') { file } else { format!("/etc/cron.d/{file}") });
        if name.contains('\n') {
            return Err(ArgError::new("argument 'name' has a line end in it"));
        }
        let line = entry(args, &name, present, file.is_some(), user.as_deref())?;
        let look = Script::new(VERBS)
            .then(LOOK)
            .var_or_empty("user", user.as_ref())
            .var_or_empty("path", file.as_ref());
        let variable = args.boolean("env", false)?;
        Ok(Box::new(TwoTrips::new(Reach::Local, look, move |reply, mode| {
            let before = reply.field("text").unwrap_or_default();
            let before = before.strip_suffix('x').unwrap_or(&before).to_owned();
            let line = line.filter(|_| present);
            let after = if variable {
                with_variable(&before, &name, line.as_deref())
            } else {
                with_job(&before, &name, line.as_deref())
            };
            let outcome = Outcome::changed_if(before != after)
                .with("jobs", jobs(&after))
                .with("envs", variables(&after));
            if before == after {
                return Next::Done(outcome);
            }
            let header = file.clone().unwrap_or_else(|| "crontab".to_owned());
            let text = after.clone();
            let diff = Diff { before_header: header.clone(), after_header: header, before, after };
            let outcome = outcome.with_diff(diff);
            if mode.check {
                return Next::Done(outcome);
            }
            let code = match &file {
                None => INSTALL,
                Some(_) if text.is_empty() => REMOVE,
                Some(_) => WRITE,
            };
            let script = Script::new(VERBS)
                .then(code)
                .var_or_empty("user", user.as_ref())
                .var_or_empty("path", file.as_ref())
                .var("text", &text)
                .var("mode", "0644");
            Next::send(script, outcome)
        })))
    }
}

/// Returns the line to stand in the crontab; `None` when nothing is to be there.
fn entry(
    args: &Args,
    name: &str,
    present: bool,
    in_file: bool,
    user: Option<&str>,
) -> Result<Option<String>, ArgError> {
    if !present {
        return Ok(None);
    }
    let job = args.text("job")?.ok_or_else(|| {
        ArgError::new("You must specify 'job' to install a new cron job or variable")
    })?;
    let job = job.trim_end_matches(['\r', '\n']);
    if job.contains('\n') {
        return Err(ArgError::new("argument 'job' has a line end in it: a job is one line"));
    }
    if args.boolean("env", false)? {
        return Ok(Some(format!("{name}=\"{job}\"")));
    }
    let part = |name: &str| args.text(name).map(|text| text.unwrap_or_else(|| "*".to_owned()));
    let time = if args.get("special_time").is_some() {
        format!("@{}", args.choice("special_time", SPECIAL, "daily")?)
    } else {
        let parts = ["minute", "hour", "day", "month", "weekday"];
        parts.into_iter().map(part).collect::<Result<Vec<_>, _>>()?.join(" ")
    };
    let who = match (in_file, user) {
        (true, Some(user)) => format!(" {user}"),
        (true, None) => {
            return Err(ArgError::new(
                "To use cron_file=... parameter you must specify user=... as well",
            ));
        }
        (false, _) => String::new(),
    };
    let off = if args.boolean("disabled", false)? { "#" } else { "" };
    Ok(Some(format!("{off}{time}{who} {job}")))
}

fn with_job(text: &str, name: &str, line: Option<&str>) -> String {
    let mark = format!("{MARK}{name}");
    let mut out = Vec::new();
    let mut lines = text.lines();
    let mut placed = false;
    while let Some(current) = lines.next() {
        if current != mark {
            out.push(current);
            continue;
        }
        let _replaced = lines.next();
        if let Some(line) = line
            && !std::mem::replace(&mut placed, true)
        {
            out.extend([mark.as_str(), line]);
        }
    }
    if let Some(line) = line
        && !placed
    {
        out.extend([mark.as_str(), line]);
    }
    joined(&out, text)
}

fn with_variable(text: &str, name: &str, line: Option<&str>) -> String {
    let sets = |current: &str| current.split_once('=').is_some_and(|(key, _)| key.trim() == name);
    let mut out: Vec<&str> = Vec::new();
    let mut placed = line.is_none();
    // A variable holds for the jobs below it, so a new one goes on top.
    if let Some(line) = line
        && !text.lines().any(sets)
    {
        out.push(line);
        placed = true;
    }
    for current in text.lines() {
        if !sets(current) {
            out.push(current);
        } else if let Some(line) = line
            && !std::mem::replace(&mut placed, true)
        {
            out.push(line);
        }
    }
    joined(&out, text)
}

fn joined(lines: &[&str], before: &str) -> String {
    let mut text = lines.join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    if text.strip_suffix('\n') == Some(before) { before.to_owned() } else { text }
}

fn jobs(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.strip_prefix(MARK)).collect()
}

fn variables(text: &str) -> Vec<&str> {
    let name = |line: &'_ str| -> Option<usize> {
        let (key, _) = line.split_once('=')?;
        let key = key.trim();
        let word = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        word.then_some(key.len())
    };
    let lines = text.lines().map(str::trim_start);
    lines.filter_map(|line| line.get(..name(line)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::Mode;
    use crate::modules::test_context::Host;
    use crate::outcome::Status;
    use minijinja::Value;

    #[test]
    fn job_is_kept_under_its_name_and_others_stay() {
        let text = "MAILTO=\"\"\n#Ansible: old\n1 * * * * a\n0 0 * * * mine\n";
        let replaced = with_job(text, "old", Some("2 * * * * b"));
        assert_eq!(replaced, "MAILTO=\"\"\n#Ansible: old\n2 * * * * b\n0 0 * * * mine\n");
        assert_eq!(with_job(&replaced, "old", None), "MAILTO=\"\"\n0 0 * * * mine\n");
        assert_eq!((jobs(text), variables(text)), (vec!["old"], vec!["MAILTO"]));
    }

    #[test]
    fn variable_goes_on_top_and_is_replaced_in_place() {
        assert_eq!(with_variable("1 * * * * a\n", "X", Some("X=\"1\"")), "X=\"1\"\n1 * * * * a\n");
        assert_eq!(with_variable("A=1\nX=2\n", "X", Some("X=\"1\"")), "A=1\nX=\"1\"\n");
    }

    #[test]
    fn file_of_cron_d_is_written_once_and_removed_when_empty() {
        for host in Host::each() {
            let path = host.path("cron");
            let args = |state: &'static str| {
                [
                    ("name", Value::from("backup")),
                    ("hour", Value::from(2)),
                    ("job", Value::from("/bin/true")),
                    ("user", Value::from("root")),
                    ("cron_file", Value::from(path.clone())),
                    ("state", Value::from(state)),
                ]
            };
            let run = |state| host.run(&Cron, args(state), Mode::default()).status;
            assert_eq!([run("present"), run("present")], [Status::Changed, Status::Ok]);
            assert_eq!(host.read("cron"), "#Ansible: backup\n* 2 * * * root /bin/true\n");
            assert_eq!([run("absent"), run("absent")], [Status::Changed, Status::Ok]);
            assert!(!std::path::Path::new(&path).exists());
        }
    }
}
