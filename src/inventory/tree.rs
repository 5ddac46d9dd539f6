//! YAML sources: a mapping of groups, each with `hosts`, `children` and `vars`.

use std::path::Path;

use super::load::Findings;
use super::{Inventory, address};
use crate::names::{HostName, nearest};
use crate::source::{Diagnostic, Span};
use crate::yaml::{Node, from_json};

const SECTIONS: [&str; 3] = ["vars", "children", "hosts"];

/// Reads a YAML document into the inventory; everything wrong is reported.
pub(super) fn read(inventory: &mut Inventory, path: &Path, tree: &Node, findings: &mut Findings) {
    if tree.is_null() {
        return;
    }
    let Some(groups) = tree.as_map() else {
        return findings.push(
            Diagnostic::error(format!(
                "YAML inventory has invalid structure, it should be a dictionary, got: {}",
                tree.type_name()
            ))
            .at(tree.span, "")
            .hint("start with a group: 'all:', below it 'hosts:'"),
        );
    };
    if let Some(plugin) = tree.get("plugin").filter(|plugin| plugin.as_scalar().is_some()) {
        return findings.push(
            Diagnostic::error(format!(
                "inventory plugin '{}' is not supported",
                plugin.raw().unwrap_or_default()
            ))
            .at(plugin.span, "")
            .hint("give a program that answers --list, or write the hosts out with 'ansible-inventory --list --export'"),
        );
    }
    let mut reader = Reader { inventory, findings, path };
    for (name, group) in groups {
        reader.group(name, group, 0);
    }
}

struct Reader<'r> {
    inventory: &'r mut Inventory,
    findings: &'r mut Findings,
    path: &'r Path,
}

impl Reader<'_> {
    /// Returns the group's name when it could be read.
    fn group(&mut self, name: &Node, group: &Node, depth: usize) -> Option<String> {
        let Some(text) = name.as_str() else {
            self.findings.push(
                Diagnostic::error(format!(
                    "invalid group name supplied, expected a string but got {} '{}'",
                    name.type_name(),
                    name.raw().unwrap_or_default()
                ))
                .at(name.span, "")
                .hint("quote it"),
            );
            return None;
        };
        let sections = match group.as_map() {
            Some(sections) => sections,
            None if group.is_null() => &[],
            None => {
                self.findings.push(
                    Diagnostic::warning(format!(
                        "skipping '{text}' as this is not a valid group definition"
                    ))
                    .at(group.span, "expected a mapping")
                    .hint("a group holds 'hosts:', 'children:' or 'vars:'"),
                );
                return None;
            }
        };
        self.inventory.ensure_group(text);
        for (key, section) in sections {
            self.section(text, key, section, depth);
        }
        Some(text.to_owned())
    }

    fn section(&mut self, group: &str, key: &Node, section: &Node, depth: usize) {
        let word = key.raw().unwrap_or_default();
        if !SECTIONS.contains(&word) {
            let hint = match nearest(word, SECTIONS) {
                Some(near) => format!("did you mean {near}?"),
                None => "host variables go below a host, group variables below 'vars:'".to_owned(),
            };
            let message = format!(
                "skipping unexpected key ({word}) in group ({group}), only \"vars\", \"children\" and \"hosts\" are valid"
            );
            return self.findings.push(Diagnostic::warning(message).at(key.span, "").hint(hint));
        }
        // `hosts: one` names one host.
        let alone;
        let entries = match (section.as_map(), section.as_str()) {
            (Some(entries), _) => entries,
            (None, Some(_)) => {
                let null = from_json(&serde_json::Value::Null, section.span);
                alone = [(section.clone(), null)];
                &alone[..]
            }
            (None, None) if section.is_null() => return,
            (None, None) => {
                let message = format!(
                    "invalid \"{word}\" entry for \"{group}\" group, requires a dictionary, found \"{}\" instead",
                    section.type_name()
                );
                let error = Diagnostic::error(message).at(section.span, "");
                return self.findings.push(match word {
                    "vars" => error.hint("write 'name: value' without a dash"),
                    _ => error.hint("write 'name:' with a colon and without a dash"),
                });
            }
        };
        for (name, value) in entries {
            match word {
                "vars" => self.variable(group, name, value),
                "children" => {
                    if let Some(child) = self.group(name, value, depth + 1)
                        && let Err(error) = self.inventory.link(group, &child)
                    {
                        self.findings.error(name.span, error.to_string());
                    }
                }
                _ => self.host(group, name, value),
            }
        }
    }

    fn variable(&mut self, group: &str, name: &Node, value: &Node) {
        let key = name.raw().unwrap_or_default();
        if self.inventory.set_group_var(group, key, value.clone(), name.span).is_err() {
            self.findings.error(value.span, "ansible_group_priority must be a whole number");
        }
    }

    fn host(&mut self, group: &str, name: &Node, vars: &Node) {
        let Some(text) = name.as_str() else {
            return self.findings.push(
                Diagnostic::error(format!(
                    "host pattern {} must be a string",
                    name.raw().unwrap_or_default()
                ))
                .at(name.span, format!("read as {}", name.type_name()))
                .hint("quote it"),
            );
        };
        let vars = match vars.as_map() {
            Some(vars) => vars,
            None if vars.is_null() => &[],
            None => {
                return self.findings.push(
                    Diagnostic::error(format!(
                        "variables of host '{text}' must be a dictionary, found: {}",
                        vars.type_name()
                    ))
                    .at(vars.span, ""),
                );
            }
        };
        let (pattern, port) = address::split_port(text);
        match address::expand(pattern) {
            Ok(names) => {
                for host in names {
                    self.one_host(&HostName::from(host), group, (port, name.span), vars);
                }
            }
            Err(why) => self.findings.error(name.span, why),
        }
    }

    fn one_host(
        &mut self,
        host: &HostName,
        group: &str,
        (port, at): (Option<u16>, Span),
        vars: &[(Node, Node)],
    ) {
        if self.inventory.ensure_host(host, Some(self.path))
            && let Some(port) = port
        {
            let node = from_json(&port.into(), at);
            self.inventory.set_host_var(host, "ansible_port", node, at);
        }
        self.inventory.join(host, group);
        for (key, value) in vars {
            let name = key.raw().unwrap_or_default();
            self.inventory.set_host_var(host, name, value.clone(), key.span);
        }
    }
}
