//! `apt_repository`: keeps a source of packages.

use std::time::Duration;

use crate::modules::action::{Next, TwoTrips, VERBS, WRITE};
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, FileMode, Module, Reach, TaskContext,
    arg,
};
use crate::outcome::{Diff, Outcome};
use crate::shell::Script;

/// See the file's head.
pub(super) struct AptRepository;

const STATES: &[&str] = &["present", "absent"];

static DOC: Doc = Doc {
    name: "apt_repository",
    summary: "Keeps a source of packages of Debian and its kin.",
    description: "A source in one line, as sources.list(5) has it. `ppa:` names are not understood.",
    args: &[
        ArgDoc {
            required: true,
            ..arg("repo", ArgKind::Str, "The line: `deb [options] address release components`.")
        },
        ArgDoc {
            default: "present",
            ..arg("state", ArgKind::Choice(STATES), "Whether it is there.")
        },
        arg(
            "filename",
            ArgKind::Str,
            "File in /etc/apt/sources.list.d, without `.list`; made of the address otherwise.",
        ),
        ArgDoc { default: "0644", ..arg("mode", ArgKind::Mode, "Mode of a new file.") },
        ArgDoc {
            default: "true",
            aliases: &["update-cache"],
            ..arg("update_cache", ArgKind::Bool, "Runs apt-get update when something changed.")
        },
        ArgDoc {
            default: "5",
            ..arg(
                "update_cache_retries",
                ArgKind::Int,
                "How often to try again when the update fails.",
            )
        },
        arg(
            "update_cache_retry_max_delay",
            ArgKind::Ignored("tries are at most 12 seconds apart"),
            "Seconds between tries.",
        ),
        arg("codename", ArgKind::Ignored("it only matters for ppa: names"), "Release name."),
        arg("install_python_apt", ArgKind::Ignored("Python is not used"), "Installs python-apt."),
        arg(
            "validate_certs",
            ArgKind::Ignored("apt checks its sources itself"),
            "Whether to check certificates.",
        ),
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Local,
    returns: &[
        ("repo", "As given."),
        ("state", "As given."),
        ("sources_added", "Files made."),
        ("sources_removed", "Files removed."),
    ],
    examples: "- apt_repository:\n    repo: deb [signed-by=/etc/apt/keyrings/pgdg.asc] https://apt.postgresql.org/pub/repos/apt bookworm-pgdg main\n    filename: pgdg\n",
};

const LOOK: &str = r#"command -v apt-get >/dev/null 2>&1 || give_up "apt-get is not on this host: module apt_repository is for Debian and its kin"
for path in "$root/sources.list" "$root"/sources.list.d/*.list; do
  [ -f "$path" ] && reply file "$path
$(cat -- "$path"; echo x)"
done
exit 0
"#;

const REMOVE: &str = r#"rm -f -- "$path" || give_up "cannot remove $path"
"#;

const UPDATE: &str = r#"if [ "$update" ]; then
  tries=0
  until said=$(DEBIAN_FRONTEND=noninteractive apt-get -q update 2>&1 </dev/null); do
    tries=$((tries + 1))
    [ "$tries" -gt "$retries" ] && give_up "Failed to update apt cache after the source changed: $said"
    sleep "$((tries < 12 ? tries : 12))"
  done
fi
exit 0
"#;

impl Module for AptRepository {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, _cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let repo = args.required("repo")?.trim().to_owned();
        let state = args.choice("state", STATES, "present")?;
        if repo.starts_with("ppa:") {
            let error = ArgError::new(format!("argument 'repo' is a ppa name: {repo}"));
            return Err(error.hint("write the whole line: deb [signed-by=…] https://ppa.launchpadcontent.net/… release main"));
        }
        let wanted = normal(&repo).ok_or_else(|| {
            ArgError::new(format!("argument 'repo' is not a line of sources.list: {repo}"))
                .hint("it starts with deb or deb-src, then an address, a release and components")
        })?;
        let name = match args.text("filename")? {
            Some(name) => name.trim_end_matches(".list").to_owned(),
            None => file_name(&wanted),
        };
        let mode = match args.mode("mode")? {
            Some(FileMode::Octal(bits)) => format!("{bits:04o}"),
            Some(FileMode::Symbolic(text)) => text,
            Some(FileMode::Preserve) | None => "0644".to_owned(),
        };
        let update = args.boolean("update_cache", true)?;
        let retries = args.integer("update_cache_retries")?.unwrap_or(5).max(0).to_string();
        let look = Script::new(VERBS).then(LOOK).var("root", "/etc/apt");
        Ok(Box::new(TwoTrips::new(Reach::Local, look, move |reply, run| {
            let files: Vec<(String, String)> = reply
                .fields
                .all("file")
                .filter_map(|file| {
                    let (path, text) = file.split_once('\n')?;
                    Some((path.to_owned(), text.strip_suffix('x').unwrap_or(text).to_owned()))
                })
                .collect();
            let holder = files
                .iter()
                .find(|(_, text)| text.lines().any(|line| normal(line).as_ref() == Some(&wanted)));
            let outcome = |changed| {
                let outcome = Outcome::changed_if(changed);
                outcome.with("repo", repo.as_str()).with("state", state)
            };
            let (path, before, after) = match (state, holder) {
                ("present", Some(_)) | ("absent", None) => return Next::Done(outcome(false)),
                ("absent", Some((path, text))) => {
                    let kept = text.lines().filter(|line| normal(line).as_ref() != Some(&wanted));
                    let after = kept.fold(String::new(), |text, line| text + line + "\n");
                    (path.clone(), text.clone(), after)
                }
                (_, _) => {
                    let path = format!("/etc/apt/sources.list.d/{name}.list");
                    let known = files.iter().find(|(known, _)| *known == path);
                    let before = known.map(|(_, text)| text.clone()).unwrap_or_default();
                    let gap = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
                    let after = format!("{before}{gap}{repo}\n");
                    (path, before, after)
                }
            };
            let (added, removed) = (before.is_empty(), after.trim().is_empty());
            let names = |yes: bool| if yes { vec![path.clone()] } else { Vec::new() };
            let outcome = outcome(true)
                .with("sources_added", names(added))
                .with("sources_removed", names(removed));
            let (before_header, after_header) = (path.clone(), path.clone());
            let diff = Diff { before_header, after_header, before, after: after.clone() };
            let outcome = outcome.with_diff(diff);
            if run.check {
                return Next::Done(outcome);
            }
            let script = Script::new(VERBS)
                .then(if removed { REMOVE } else { WRITE })
                .then(UPDATE)
                .var("path", &path)
                .var("text", &after)
                .var("mode", &mode)
                .flag("update", update)
                .var("retries", &retries)
                .within(Duration::from_secs(1800));
            Next::send(script, outcome)
        })))
    }
}

/// Returns a source line with single spaces and without its comment; `None` for what is no source.
fn normal(line: &str) -> Option<String> {
    let line = line.split('#').next()?;
    let words: Vec<&str> = line.split_whitespace().collect();
    let first = words.first()?;
    (matches!(*first, "deb" | "deb-src") && words.len() >= 3).then(|| words.join(" "))
}

/// Makes a file name of the address, as Ansible does.
fn file_name(line: &str) -> String {
    let mut inside = false;
    let address = line.split(' ').skip(1).find(|word| {
        inside |= word.starts_with('[');
        let option = inside;
        inside &= !word.ends_with(']');
        !option
    });
    let address = address.unwrap_or("source");
    let address = address.split_once("://").map_or(address, |(_, rest)| rest);
    let clean: String =
        address.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { ' ' }).collect();
    clean.split_whitespace().collect::<Vec<_>>().join("_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_same_whatever_their_spaces_and_comments() {
        let one = normal("deb  http://deb.debian.org/debian bookworm   main # own");
        assert_eq!(one, normal("deb http://deb.debian.org/debian bookworm main"));
        assert_eq!(normal("# deb http://x y z"), None);
    }

    #[test]
    fn file_is_named_by_the_address() {
        let line = "deb [arch=amd64 signed-by=/k.asc] https://apt.postgresql.org/pub/repos/apt bookworm-pgdg main";
        assert_eq!(file_name(line), "apt_postgresql_org_pub_repos_apt");
    }
}
