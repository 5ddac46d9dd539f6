//! What `matron inventory` shows: the shapes of `ansible-inventory --list`, `--host` and `--graph`, values untemplated.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::Inventory;
use crate::names::HostName;
use crate::vars::{Layer, Layers, Rank, Variable};
use crate::yaml::{Node, NodeKind, Tag, to_json, to_value};

impl Inventory {
    /// Returns groups and host variables in the shape of `ansible-inventory --list`, keys sorted.
    pub fn to_list_json(&self, playbook_dir: Option<&Path>) -> Json {
        let mut hostvars = Map::new();
        let mut hosts: Vec<&HostName> = self.hosts.keys().collect();
        hosts.sort();
        for host in hosts {
            let vars = self.host_json(host, playbook_dir);
            if vars.as_object().is_some_and(|vars| !vars.is_empty()) {
                hostvars.insert(host.to_string(), vars);
            }
        }
        let mut meta = Map::new();
        meta.insert("hostvars".to_owned(), Json::Object(hostvars));
        let mut list: Vec<(String, Json)> = vec![("_meta".to_owned(), Json::Object(meta))];
        for group in self.groups.values() {
            let mut parts = Map::new();
            if !group.children.is_empty() {
                let children = group.children.iter().map(|name| Json::from(name.as_str()));
                parts.insert("children".to_owned(), children.collect());
            }
            if group.name != "all" && !group.hosts.is_empty() {
                let hosts = group.hosts.iter().map(|name| Json::from(name.as_str()));
                parts.insert("hosts".to_owned(), hosts.collect());
            }
            if !parts.is_empty() {
                list.push((group.name.clone(), Json::Object(parts)));
            }
        }
        list.sort_by(|(a, _), (b, _)| a.cmp(b));
        Json::Object(list.into_iter().collect())
    }

    /// Returns a host's variables from the inventory, untemplated, keys sorted (`ansible-inventory --host`).
    pub fn host_json(&self, host: &HostName, playbook_dir: Option<&Path>) -> Json {
        let mut layers = Layers::default();
        self.push_layers(host, playbook_dir, &mut layers);
        let mut names: Vec<_> = layers.names().collect();
        names.sort();
        let vars = names.iter().filter_map(|name| {
            let (value, _) = layers.get(name)?;
            Some((name.to_string(), variable_json(value)))
        });
        Json::Object(vars.collect())
    }

    /// Returns the tree of groups and hosts below `root` as `ansible-inventory --graph` draws it; `None` for an unknown group.
    pub fn graph(&self, root: &str, with_vars: bool) -> Option<String> {
        let mut text = String::new();
        self.groups.get(root)?;
        self.draw(root, 0, with_vars, &mut text);
        Some(text)
    }

    fn draw(&self, name: &str, depth: usize, with_vars: bool, into: &mut String) {
        let Some(group) = self.groups.get(name) else { return };
        line(into, depth, &format!("@{name}:"));
        for child in &group.children {
            self.draw(child, depth + 1, with_vars, into);
        }
        if name != "all" {
            for host in &group.hosts {
                line(into, depth + 1, host.as_str());
                if with_vars {
                    let mut layers = Layers::default();
                    self.push_layers(host, None, &mut layers);
                    draw_vars(&layers, depth + 2, into);
                }
            }
        }
        if with_vars {
            let mut layers = Layers::default();
            layers.push(Rank::Groups, group.vars.clone());
            if group.priority != 1 {
                let priority = [("ansible_group_priority".to_owned(), group.priority.into())];
                layers.push(Rank::Groups, Arc::new(Layer::data(priority, "group priority")));
            }
            for layer in self.folders.iter().filter_map(|folder| folder.group(name)) {
                layers.push(Rank::Groups, layer.clone());
            }
            draw_vars(&layers, depth + 1, into);
        }
    }
}

fn line(into: &mut String, depth: usize, text: &str) {
    if depth > 0 {
        into.push_str(&"  |".repeat(depth));
        into.push_str("--");
    }
    into.push_str(text);
    into.push('\n');
}

fn draw_vars(layers: &Layers, depth: usize, into: &mut String) {
    let mut names: Vec<_> = layers.names().collect();
    names.sort();
    for name in names {
        let Some((value, _)) = layers.get(&name) else { continue };
        let value = match value {
            Variable::Written(node) => to_value(node),
            Variable::Data(value) => value.clone(),
        };
        let mut text = String::new();
        // Writing into a string cannot fail.
        let _written = write!(text, "{{{name} = {value}}}");
        line(into, depth, &text);
    }
}

fn variable_json(value: &Variable) -> Json {
    match value {
        Variable::Written(node) => node_json(node),
        Variable::Data(value) => serde_json::to_value(value).unwrap_or(Json::Null),
    }
}

/// JSON in which encrypted and unsafe text stays marked, as `ansible-inventory` marks it.
fn node_json(node: &Node) -> Json {
    let marked = |key: &str, text: &str| {
        Json::Object([(key.to_owned(), Json::from(text))].into_iter().collect())
    };
    match (&node.kind, &node.tag) {
        (NodeKind::Scalar(scalar), Some(Tag::Vault)) => marked("__ansible_vault", &scalar.raw),
        (NodeKind::Scalar(scalar), Some(Tag::Unsafe)) => marked("__ansible_unsafe", &scalar.raw),
        (NodeKind::Scalar(_), None) => to_json(node),
        (NodeKind::Seq(items), _) => items.iter().map(node_json).collect(),
        (NodeKind::Map(entries), _) => {
            let mut pairs: Vec<(String, Json)> = entries
                .iter()
                .map(|(key, value)| (key.raw().unwrap_or_default().to_owned(), node_json(value)))
                .collect();
            pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
            Json::Object(pairs.into_iter().collect())
        }
    }
}
