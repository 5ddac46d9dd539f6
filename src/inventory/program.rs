//! Sources that are programs: `--list` answers groups as JSON, `--host NAME` a host's variables when `_meta` does not.

use std::path::Path;

use super::Inventory;
use super::load::{Findings, Loading};
use crate::names::HostName;
use crate::source::{Diagnostic, Span};
use crate::yaml::{Node, from_json};

/// Runs a program and reads its answer into the inventory.
pub(super) fn read(inventory: &mut Inventory, path: &Path, loading: &mut Loading<'_>) {
    let Some((tree, span)) = ask(path, &["--list"], loading) else { return };
    let Some(groups) = tree.as_object() else {
        return loading.findings.push(
            Diagnostic::error(format!("{} --list must answer a JSON object", path.display()))
                .at(span, ""),
        );
    };
    let mut hosts: Vec<HostName> = Vec::new();
    for (name, group) in groups.iter().filter(|(name, _)| *name != "_meta") {
        let mut reader = Reader { inventory, findings: &mut loading.findings, path, span };
        reader.group(name, group, &mut hosts);
    }
    let known = tree.get("_meta").and_then(|meta| meta.get("hostvars"));
    for host in hosts {
        let vars = match known {
            Some(known) => known.get(host.as_str()).map(|vars| from_json(vars, span)),
            None => ask(path, &["--host", host.as_str()], loading)
                .map(|(vars, span)| from_json(&vars, span)),
        };
        for (key, value) in vars.as_ref().and_then(Node::as_map).unwrap_or_default() {
            inventory.set_host_var(&host, key.raw().unwrap_or_default(), value.clone(), key.span);
        }
    }
}

fn ask(
    path: &Path,
    arguments: &[&str],
    loading: &mut Loading<'_>,
) -> Option<(serde_json::Value, Span)> {
    let call = format!("{} {}", path.display(), arguments.join(" "));
    let mut refuse = |message: String, hint: Option<String>| {
        loading.findings.push(Diagnostic::error(message).maybe_hint(hint));
    };
    let output = match loading.programs.run(path, arguments) {
        Ok(output) => output,
        Err(error) => {
            refuse(format!("cannot run inventory program {call}: {error}"), None);
            return None;
        }
    };
    if output.status != Some(0) {
        let status = output.status.map_or("a signal".to_owned(), |code| code.to_string());
        let last = output.stderr.lines().last().filter(|line| !line.trim().is_empty());
        refuse(
            format!("inventory script returned non-zero exit code {status}: {call}"),
            last.map(|line| format!("it said: {line}")),
        );
        return None;
    }
    let text = if output.stdout.trim().is_empty() { "{}" } else { output.stdout.as_str() };
    let file = loading.sources.add(format!("{call} (output)"), text);
    match serde_json::from_str(text) {
        Ok(tree) => Some((tree, Span::new(file, 0, 0))),
        Err(error) => {
            let at = text
                .split_inclusive('\n')
                .take(error.line().saturating_sub(1))
                .map(str::len)
                .sum::<usize>()
                + error.column().saturating_sub(1);
            let place = Span::new(file, at.min(text.len()), at.min(text.len()));
            let message = format!("inventory program {call} must answer JSON: {error}");
            loading.findings.error(place, message);
            None
        }
    }
}

struct Reader<'r> {
    inventory: &'r mut Inventory,
    findings: &'r mut Findings,
    path: &'r Path,
    span: Span,
}

impl Reader<'_> {
    fn group(&mut self, name: &str, group: &serde_json::Value, hosts: &mut Vec<HostName>) {
        self.inventory.ensure_group(name);
        if group.is_array() {
            return self.hosts(name, group, hosts);
        }
        let Some(parts) = group.as_object() else {
            let message =
                format!("group '{name}' of {} must be an object or a list", self.path.display());
            return self.findings.error(self.span, message);
        };
        for (part, value) in parts {
            match part.as_str() {
                "hosts" => self.hosts(name, value, hosts),
                "children" => self.children(name, value),
                "vars" => {
                    let vars = from_json(value, self.span);
                    for (key, value) in vars.as_map().unwrap_or_default() {
                        let key = key.raw().unwrap_or_default();
                        if self
                            .inventory
                            .set_group_var(name, key, value.clone(), self.span)
                            .is_err()
                        {
                            let message = "ansible_group_priority must be a whole number";
                            self.findings.error(self.span, message);
                        }
                    }
                }
                other => self.findings.push(Diagnostic::warning(format!(
                    "skipping unexpected key ({other}) in group ({name}) of {}",
                    self.path.display()
                ))),
            }
        }
    }

    fn names<'v>(&mut self, what: &str, value: &'v serde_json::Value) -> Vec<&'v str> {
        let names: Option<Vec<&str>> =
            value.as_array().map(|items| items.iter().filter_map(|item| item.as_str()).collect());
        names.unwrap_or_else(|| {
            let message =
                format!("value contains '{what}' which is not a list: {}", self.path.display());
            self.findings.error(self.span, message);
            Vec::new()
        })
    }

    fn hosts(&mut self, group: &str, value: &serde_json::Value, hosts: &mut Vec<HostName>) {
        for name in self.names(&format!("{group}.hosts"), value) {
            let host = HostName::new(name);
            self.inventory.ensure_host(&host, Some(self.path));
            self.inventory.join(&host, group);
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
    }

    fn children(&mut self, group: &str, value: &serde_json::Value) {
        for child in self.names(&format!("{group}.children"), value) {
            self.inventory.ensure_group(child);
            if let Err(error) = self.inventory.link(group, child) {
                self.findings.error(self.span, format!("{error}: {}", self.path.display()));
            }
        }
    }
}
