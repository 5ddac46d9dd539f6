//! `hostname`: keeps the host's name.

use serde_json::json;

use crate::modules::action::{OneTrip, VERBS, verdict};
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};
use crate::outcome::Effect;
use crate::shell::Script;

/// See the file's head.
pub(super) struct Hostname;

static DOC: Doc = Doc {
    name: "hostname",
    summary: "Keeps the host's name, now and after a restart.",
    description: "/etc/hosts is left as it is.",
    args: &[
        ArgDoc { required: true, ..arg("name", ArgKind::Str, "The name.") },
        arg("use", ArgKind::Ignored("the way is found on the host"), "How to set it."),
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Visible,
    returns: &[("name", "The name."), ("ansible_facts", "hostname, nodename, fqdn and domain.")],
    examples: "- hostname:\n    name: db1\n",
};

const SCRIPT: &str = r#"now=$(uname -n)
kept=
[ -r /etc/hostname ] && IFS= read -r kept </etc/hostname
if [ "$now" != "$name" ] || [ "$kept" != "$name" ]; then
  if [ -z "$check" ]; then
    if [ -d /run/systemd/system ] && command -v hostnamectl >/dev/null 2>&1; then
      run hostnamectl set-hostname --static --transient "$name"
    else
      printf '%s\n' "$name" >/etc/hostname || give_up "cannot write /etc/hostname"
      [ "$now" = "$name" ] || run hostname "$name"
    fi
  fi
  reply changed 1
  reply diff_before "$now
"; reply diff_after "$name
"; reply diff_name hostname
fi
"#;

impl Module for Hostname {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, _cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let name = args.required("name")?;
        // hostname(7): letters, digits, hyphens and dots, 64 bytes at most on Linux.
        let good = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        if name.is_empty() || name.len() > 64 || !name.chars().all(good) || name.starts_with('-') {
            return Err(ArgError::new(format!(
                "argument 'name' is not a host name: '{name}' (letters, digits, '-' and '.', at most 64)"
            )));
        }
        let script = Script::new(VERBS).then(SCRIPT).var("name", &name);
        Ok(Box::new(OneTrip::new(Reach::Visible, script, move |reply| {
            let short = name.split('.').next().unwrap_or(&name).to_owned();
            let domain = name.split_once('.').map_or("", |(_, domain)| domain);
            let shown = json!({
                "ansible_hostname": short, "ansible_nodename": name, "ansible_fqdn": name,
                "ansible_domain": domain,
            });
            let facts = [
                ("hostname", short.as_str()),
                ("nodename", name.as_str()),
                ("fqdn", name.as_str()),
                ("domain", domain),
            ];
            let facts =
                facts.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
            let outcome = verdict(reply).with("name", name.as_str()).with("ansible_facts", shown);
            outcome.with_effect(Effect::Facts(facts))
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::Mode;
    use crate::modules::test_context::Host;
    use crate::outcome::Status;
    use minijinja::Value;

    #[test]
    fn check_mode_says_another_name_is_a_change() {
        for host in Host::each() {
            let args = [("name", Value::from("matron-other.example"))];
            let outcome = host.run(&Hostname, args, Mode { check: true, diff: true });
            assert_eq!(outcome.status, Status::Changed, "{outcome:?}");
            assert_eq!(outcome.data["ansible_facts"]["ansible_domain"], "example");
        }
    }
}
