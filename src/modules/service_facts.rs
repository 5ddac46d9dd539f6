//! `service_facts`: what services the host has, and how they are.

use serde_json::{Map, Value as Json, json};

use crate::modules::action::OneTrip;
use crate::modules::{Action, ArgError, Args, CheckMode, Doc, Module, Reach, TaskContext};
use crate::outcome::{Effect, Outcome};
use crate::shell::Script;

/// See the file's head.
pub(super) struct ServiceFacts;

static DOC: Doc = Doc {
    name: "service_facts",
    summary: "Lists the host's services as the fact `services`.",
    description: "",
    args: &[],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Local,
    returns: &[("ansible_facts", "services: name, state, status and source of each.")],
    examples: "- service_facts:\n- debug:\n    var: ansible_facts.services['docker.service'].state\n",
};

const SCRIPT: &str = r#"if [ -d /run/systemd/system ] && command -v systemctl >/dev/null 2>&1; then
  reply units "$(systemctl list-units --no-pager --no-legend --plain --all --type service 2>/dev/null)"
  reply files "$(systemctl list-unit-files --no-pager --no-legend --type service 2>/dev/null)"
fi
if command -v rc-status >/dev/null 2>&1; then
  reply openrc "$(rc-status -a -s 2>/dev/null)"
elif [ -d /etc/init.d ] && ! [ -d /run/systemd/system ]; then
  list=
  for path in /etc/init.d/*; do
    [ -x "$path" ] || continue
    state=stopped
    timeout 5 "$path" status >/dev/null 2>&1 </dev/null && state=running
    list="$list${path##*/} $state
"
  done
  reply sysv "$list"
fi
exit 0
"#;

impl Module for ServiceFacts {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, _args: &mut Args, _cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        Ok(Box::new(OneTrip::new(Reach::Local, Script::new(SCRIPT), |reply| {
            let field = |key: &str| reply.field(key).unwrap_or_default();
            let mut found = systemd(&field("units"), &field("files"));
            found.extend(plain(&field("sysv"), "sysv"));
            found.extend(plain(&field("openrc").replace(['[', ']'], " "), "openrc"));
            let mut facts = Map::new();
            facts.insert("services".to_owned(), Json::Object(found));
            let outcome = Outcome::ok().with("ansible_facts", Json::Object(facts.clone()));
            outcome.with_effect(Effect::Facts(facts))
        })))
    }
}

fn systemd(units: &str, files: &str) -> Map<String, Json> {
    let mut found = Map::new();
    for line in files.lines() {
        let mut words = line.split_whitespace();
        let (Some(name), Some(status)) = (words.next(), words.next()) else { continue };
        let about =
            json!({"name": name, "state": "inactive", "status": status, "source": "systemd"});
        found.insert(name.to_owned(), about);
    }
    for line in units.lines() {
        // A bullet stands before units that failed or were not found.
        let line = line.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, load, active, sub, ..] = words[..] else { continue };
        let status = if load == "loaded" { "unknown" } else { load };
        let about = found.entry(name).or_insert_with(
            || json!({"name": name, "state": "unknown", "status": status, "source": "systemd"}),
        );
        let state = match (active, sub) {
            ("active", "running") => "running",
            ("failed", _) => "failed",
            ("active", _) => "active",
            (_, _) => "stopped",
        };
        if let Some(about) = about.as_object_mut() {
            about.insert("state".to_owned(), Json::from(state));
        }
    }
    found
}

/// Reads lines `NAME STATE`.
fn plain(list: &str, source: &str) -> Map<String, Json> {
    let about = |line: &str| {
        let mut words = line.split_whitespace();
        let (name, state) = (words.next()?, words.next()?);
        let state = if state == "started" { "running" } else { state };
        Some((name.to_owned(), json!({"name": name, "state": state, "source": source})))
    };
    list.lines().filter_map(about).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From systemd 252.
    #[test]
    fn units_and_files_make_one_list() {
        let units = "docker.service loaded active running Docker Application Container Engine\n* apparmor.service not-found inactive dead apparmor.service\ncron.service loaded failed failed cron\n";
        let files = "docker.service enabled enabled\ncron.service disabled enabled\nssh@.service static -\n";
        let found = systemd(units, files);
        let state = |name: &str| (found[name]["state"].clone(), found[name]["status"].clone());
        assert_eq!(state("docker.service"), (json!("running"), json!("enabled")));
        assert_eq!(state("cron.service"), (json!("failed"), json!("disabled")));
        assert_eq!(state("apparmor.service"), (json!("stopped"), json!("not-found")));
        assert_eq!(state("ssh@.service"), (json!("inactive"), json!("static")));
    }
}
