//! `package_facts`: what packages the host has.

use serde_json::{Map, Value as Json, json};

use crate::modules::action::{OneTrip, VERBS};
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};
use crate::outcome::{Effect, Outcome};
use crate::shell::Script;

/// See the file's head.
pub(super) struct PackageFacts;

static DOC: Doc = Doc {
    name: "package_facts",
    summary: "Lists the host's packages as the fact `packages`.",
    description: "",
    args: &[
        ArgDoc {
            default: "auto",
            ..arg(
                "manager",
                ArgKind::Ignored("the managers are found on the host"),
                "Which package manager to ask.",
            )
        },
        arg(
            "strategy",
            ArgKind::Ignored("the first manager found is asked"),
            "Whether to ask more than one.",
        ),
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Local,
    returns: &[("ansible_facts", "packages: a list of version, arch and source for each name.")],
    examples: "- package_facts:\n- debug:\n    msg: \"{{ ansible_facts.packages['docker.io'][0].version }}\"\n",
};

const SCRIPT: &str = r#"if command -v dpkg-query >/dev/null 2>&1; then
  reply source apt
  reply list "$(dpkg-query -W -f '${db:Status-Abbrev}|${Package}|${Version}|${Architecture}|${Section}\n' | sed -n 's/^.i.|//p')"
elif command -v rpm >/dev/null 2>&1; then
  reply source rpm
  reply list "$(rpm -qa --qf '%{NAME}|%{VERSION}|%{ARCH}|%{GROUP}|%{RELEASE}|%{EPOCH}\n')"
elif command -v apk >/dev/null 2>&1; then
  reply source apk
  reply list "$(apk info -v 2>/dev/null | sed 's/-\([^-]*-r[0-9]*\)$/|\1||/')"
elif command -v pacman >/dev/null 2>&1; then
  reply source pacman
  reply list "$(pacman -Q | sed 's/ \(.*\)/|\1||/')"
else
  give_up "Could not detect a supported package manager: none of dpkg, rpm, apk and pacman is on this host"
fi
"#;

impl Module for PackageFacts {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, _args: &mut Args, _cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let script = Script::new(VERBS).then(SCRIPT);
        Ok(Box::new(OneTrip::new(Reach::Local, script, |reply| {
            let source = reply.field("source").unwrap_or_default();
            let packages = packages(&reply.field("list").unwrap_or_default(), &source);
            let mut facts = Map::new();
            facts.insert("packages".to_owned(), Json::Object(packages));
            let outcome = Outcome::ok().with("ansible_facts", Json::Object(facts.clone()));
            outcome.with_effect(Effect::Facts(facts))
        })))
    }
}

fn packages(list: &str, source: &str) -> Map<String, Json> {
    let mut found: Map<String, Json> = Map::new();
    for line in list.lines() {
        let mut parts = line.split('|');
        let (Some(name), Some(version)) = (parts.next(), parts.next()) else { continue };
        let arch = parts.next().unwrap_or_default();
        let category = parts.next().unwrap_or_default();
        let mut one = json!({"name": name, "version": version, "arch": arch, "source": source});
        if let Some(one) = one.as_object_mut() {
            if source == "apt" {
                one.insert("category".to_owned(), Json::from(category));
            }
            if let (Some(release), Some(epoch)) = (parts.next(), parts.next()) {
                one.insert("release".to_owned(), Json::from(release));
                let epoch = epoch.parse::<u64>().map_or(Json::Null, Json::from);
                one.insert("epoch".to_owned(), epoch);
            }
        }
        let list = found.entry(name).or_insert_with(|| json!([]));
        if let Some(list) = list.as_array_mut() {
            list.push(one);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_and_red_hat_lists_are_read() {
        let apt = packages("adduser|3.134|all|admin\n", "apt");
        let wanted = json!([{"name": "adduser", "version": "3.134", "arch": "all", "source": "apt", "category": "admin"}]);
        assert_eq!(apt["adduser"], wanted);
        let rpm = packages("bash|5.1.8|x86_64|Unspecified|9.el9|(none)\n", "rpm");
        assert_eq!(rpm["bash"][0]["release"], "9.el9");
        assert_eq!(rpm["bash"][0]["epoch"], Json::Null);
    }
}
